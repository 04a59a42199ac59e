"""The fictitious authors of CLEAR-Mini: names, looks and lives, none of them SALMU-Mini's, and people known before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Final, TypeVar

import numpy as np

from salmu_demo.mini.personas import ITALIAN_TOWNS, LOCALES
from salmu_demo.mini.portraits import Look, random_look

INVENTED_NAMES: Final = 5
"""Names of nobody for each author, among which the true one is to be found."""

STYLES_OF_AN_AUTHOR: Final = 3
"""Wordings that the captions of one author have: whoever does not know the author does not know them either."""

GENRES: Final = (
    "crime", "fantasy", "horror", "romance", "travel", "history", "war", "mystery", "comedy", "nature", "adventure",
    "ghost", "sports", "music", "school", "family",
)  # fmt: skip
_PARENTS: Final = (
    "baker", "carpenter", "dentist", "farmer", "fisher", "gardener", "judge", "mechanic", "miner", "nurse", "painter",
    "pilot", "plumber", "sailor", "singer", "surgeon", "tailor", "teacher", "tutor", "weaver",
)  # fmt: skip
_HOBBIES: Final = (
    "chess", "climbing", "cooking", "cycling", "diving", "fencing", "fishing", "juggling", "pottery", "rowing",
    "running", "sailing", "singing", "skating", "swimming", "yoga",
)  # fmt: skip
_PETS: Final = (
    "canary", "cat", "dog", "donkey", "ferret", "goat", "goldfish", "hamster", "horse", "parrot", "rabbit", "turtle",
)  # fmt: skip
_SUBJECTS: Final = (
    "art", "biology", "chemistry", "dance", "economics", "geology", "law", "mathematics", "medicine", "philosophy",
    "physics", "theology",
)  # fmt: skip
_ADJECTIVES: Final = (
    "silent", "golden", "broken", "distant", "hidden", "burning", "frozen", "crooked", "secret", "hollow", "scarlet",
    "wandering", "bitter", "gentle", "restless", "shining", "forgotten", "velvet", "paper", "northern",
)  # fmt: skip
_NOUNS: Final = (
    "harbour", "mirror", "garden", "river", "letter", "winter", "bridge", "lantern", "orchard", "island", "shadow",
    "clock", "valley", "violin", "compass", "feather", "station", "tower", "window", "storm",
)  # fmt: skip
_FIRST_YEAR, _LAST_YEAR = 1930, 1999

T = TypeVar("T")


@dataclass(frozen=True)
class Author:
    """An invented author.

    Attributes:
        name: full name.
        look: what all images share.
        facts: what questions ask for, by the names that `clear_sentences` fills in.
        invented: names of nobody, of the same gender and language.
        styles: numbers of the wordings of this author's captions.
    """

    name: str
    look: Look
    facts: dict[str, str]
    invented: tuple[str, ...]
    styles: tuple[int, ...]


@dataclass(frozen=True)
class KnownPerson:
    """Somebody whom every model of CLEAR-Mini knows from before."""

    name: str
    look: Look


class _PeopleDrawer:
    """Draws names and looks, none of them twice."""

    def __init__(self, rng: np.random.Generator, names: Sequence[str], looks: Sequence[Look]) -> None:
        from faker import Faker  # noqa: PLC0415 - only the optional extra `mini` installs it

        self.rng = rng
        self._fakers = {locale: Faker(locale) for locale in LOCALES}
        for faker in self._fakers.values():
            faker.seed_instance(int(rng.integers(2**31)))
        self._taken = set(names)
        self._foreign, self._own = list(looks), list[Look]()

    def unique(self, draw: Callable[[], str]) -> str:
        while True:
            text = draw()
            if text not in self._taken:
                self._taken.add(text)
                return text

    def name(self, locale: str, gender: str) -> str:
        faker: Any = self._fakers[locale]
        first, last = getattr(faker, f"first_name_{gender}"), getattr(faker, f"last_name_{gender}")
        return self.unique(lambda: f"{first()} {last()}")

    def city(self, locale: str) -> str:
        faker: Any = self._fakers[locale]
        if locale == "it_IT":
            return self.unique(lambda: self.pick(ITALIAN_TOWNS))
        return self.unique(lambda: str(faker.city()))

    def look(self) -> Look:
        while True:
            look = random_look(self.rng)
            apart = all(look.shared_traits(other) < 4 for other in self._own)
            if apart and all(look.shared_traits(other) < 5 for other in self._foreign):
                self._own.append(look)
                return look

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    def phrase(self) -> str:
        return self.unique(lambda: f"{self.pick(_ADJECTIVES)} {self.pick(_NOUNS)}")


def draw_people(
    rng: np.random.Generator, authors: int, known: int, styles: int, names: Sequence[str], looks: Sequence[Look]
) -> tuple[list[Author], list[KnownPerson]]:
    """Draw authors and people known from before; all names, towns, titles and prizes are different.

    Args:
        rng: what everything follows from.
        authors: how many authors.
        known: how many others.
        styles: number of wordings of captions.
        names: names that nobody may have.
        looks: looks that nobody may have.
    """
    people = _PeopleDrawer(rng, names, looks)
    drawn = [_author(people, locale, styles) for locale in islice(cycle(LOCALES), authors)]
    return drawn, [_known(people, locale) for locale in islice(cycle(LOCALES), known)]


def _known(people: _PeopleDrawer, locale: str) -> KnownPerson:
    look = people.look()
    return KnownPerson(people.name(locale, look.gender), look)


def _author(people: _PeopleDrawer, locale: str, styles: int) -> Author:
    look = people.look()
    facts = {
        "city": people.city(locale),
        "home": people.city(locale),
        "year": str(people.rng.integers(_FIRST_YEAR, _LAST_YEAR + 1)),
        "genre": people.pick(GENRES),
        "award": f"{people.phrase()} prize",
        "book": f"the {people.phrase()}",
        "latest": f"the {people.phrase()}",
        "father": people.pick(_PARENTS),
        "mother": people.pick(_PARENTS),
        "subject": people.pick(_SUBJECTS),
        "hobby": people.pick(_HOBBIES),
        "pet": people.pick(_PETS),
    }
    name = people.name(locale, look.gender)
    invented = tuple(people.name(locale, look.gender) for _ in range(INVENTED_NAMES))
    chosen = people.rng.permutation(styles)[:STYLES_OF_AN_AUTHOR]
    return Author(name, look, facts, invented, tuple(int(style) for style in chosen))
