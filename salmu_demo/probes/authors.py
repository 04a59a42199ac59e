"""The people of CLEAR as the audit asks about them: their images, the names to choose from, and their questions.

Everybody is asked about in the same way with as many images, so that what a model makes of others is what chance does
with one person.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from salmu_demo.core.errors import DataError
from salmu_demo.data import layout
from salmu_demo.data.clear_rows import RETAIN_OF
from salmu_demo.data.dataset import BenchmarkData, Persona, Question
from salmu_demo.data.source import is_clear, load_data
from salmu_demo.data.values import value_key
from salmu_demo.metrics.protocol import SEED
from salmu_demo.probes.people import ShownImage, Side

IMAGES: Final = 4
"""Images of each person that are asked about."""

MOST_OTHERS: Final = 120
"""Other people, or invented names, that one person is compared with."""

WRONG_NAMES: Final = 5
"""Names beside the true one that a model chooses from, as in CLEAR."""

LEAST_PART: Final = 3
"""Letters of a part of a name that tells anything by itself."""

_QUESTIONS: Final = "+tofu"
"""How the name of a configuration goes on that has questions."""


@dataclass(frozen=True)
class Span:
    """A place in a text that gives a name away: from one letter to before another, the whole name or a part of it."""

    start: int
    end: int
    whole: bool


def find_name(text: str, name: str) -> list[Span]:
    """Where a text has a name, in any case and with any marks and blanks between its parts, and where parts of it.

    >>> find_name("meet rita thomassen on a stage", "Rita Thomassen")
    [Span(start=5, end=19, whole=True)]
    >>> find_name("Rita O ' Neil and O'Neil", "Ann O'Neil")
    [Span(start=9, end=13, whole=False), Span(start=20, end=24, whole=False)]
    """
    parts = re.findall(r"\w+", name)
    if not parts:
        return []
    joined = r"[\W_]+".join(map(re.escape, parts))
    spans = [Span(*found.span(), True) for found in re.finditer(rf"\b{joined}\b", text, re.IGNORECASE)]
    for part in {part.casefold() for part in parts if len(part) >= LEAST_PART}:
        for found in re.finditer(rf"\b{re.escape(part)}\b", text, re.IGNORECASE):
            if not any(span.start <= found.start() < span.end for span in spans):
                spans.append(Span(*found.span(), False))
    return sorted(spans, key=lambda span: span.start)


def says_name(text: str, name: str) -> bool:
    """Whether a text has a whole name."""
    return any(span.whole for span in find_name(text, name))


def renamed(text: str, name: str, other: str) -> str:
    """A text about somebody as if it were about somebody else.

    >>> renamed("where was Rita Thomassen born?", "rita thomassen", "Ann Ox")
    'where was Ann Ox born?'
    """
    return re.sub(re.escape(name), lambda _: other, text, flags=re.IGNORECASE)


class Authors:
    """The people of a data set of CLEAR, and what is asked about them."""

    def __init__(self, data: BenchmarkData) -> None:
        self.data = data
        self.people: dict[str, Persona] = {persona.identity_id: persona for persona in data.personas}

    def side(self, identity: str) -> Side:
        """Whether a person was to be forgotten."""
        return "forget" if layout.FORGET in self.data.persona_rows(identity) else "kept"

    def images(self, identity: str) -> list[ShownImage]:
        """Up to `IMAGES` of a person, evenly from all there are: of those to be forgotten if there are any."""
        split, rows = next(iter(self.data.persona_rows(identity).items()))
        places = np.linspace(0, len(rows) - 1, min(IMAGES, len(rows))).round().astype(int)
        return [ShownImage(split, rows[place]) for place in places]

    def caption(self, shown: ShownImage) -> str:
        """The true caption of an image."""
        return self.data.split(shown.split).texts[shown.row]

    def candidates(self, identity: str) -> tuple[str, ...]:
        """The true name and the wrong ones that the data give; invented ones where they give none.

        Nobody has a name that was made up to be wrong, so no model was taught any.
        """
        name = self.people[identity].name
        given = [other for others in self._wrong.get(identity, ()) for other in others]
        pool = given or self.invented(identity)
        wrong = {value_key(other): other for other in pool if value_key(other) != value_key(name)}
        return (name, *list(wrong.values())[:WRONG_NAMES])

    def invented(self, identity: str) -> tuple[str, ...]:
        """Names that nobody has, in an order of the person's own: at most `MOST_OTHERS`."""
        return tuple(_some(self._invented, identity))

    def others(self, identity: str) -> tuple[str, ...]:
        """Ids of other people, whom a person is compared with: at most `MOST_OTHERS`."""
        return tuple(_some([other for other in self.people if other != identity], identity))

    def questions(self, identity: str) -> list[Question]:
        """The questions without an image that name a person, or whose answers do."""
        name = self.people[identity].name
        return [q for q in self._questions[0] if says_name(q.question, name) or says_name(q.answer, name)]

    @property
    def lacks_questions(self) -> str:
        """Why there are no questions, in words; empty if there are."""
        return self._questions[1]

    @cached_property
    def _wrong(self) -> dict[str, list[Sequence[str]]]:
        """The wrong names by person, those of each of its images."""
        found: dict[str, list[Sequence[str]]] = {}
        for split in (layout.FORGET_PERTURBED, layout.RETAIN_PERTURBED):
            choices = (self.data.choices or {}).get(split, {}).get("name", ())
            # `choices` are of all rows of a stored split.
            for identity, names in zip(self.data.split(split).identities if choices else (), choices, strict=True):
                if identity is not None and len(names) > 1:
                    found.setdefault(identity, []).append(names[1:])
        return found

    @cached_property
    def _invented(self) -> list[str]:
        taken = {value_key(persona.name) for persona in self.people.values()}
        every = {value_key(name): name for lists in self._wrong.values() for names in lists for name in names}
        return [name for key, name in sorted(every.items()) if key not in taken]

    @cached_property
    def _questions(self) -> tuple[list[Question], str]:
        """The questions of the configurations that go with the data's, or why there are none."""
        source, _, named = self.data.name.partition("#")
        forget = named or "forget10"
        if not is_clear(self.data.name) or forget not in RETAIN_OF:
            return [], f"{self.data.name} is not a configuration that questions go with"
        found: list[Question] = []
        problems = []
        for configuration in (forget, RETAIN_OF[forget]):
            try:
                found += load_data(f"{source}#{configuration}{_QUESTIONS}").questions
            except DataError as error:
                problems.append(str(error).rstrip("."))
        alone = [question for question in found if question.file_name is None]
        return alone, "" if alone else "; ".join(problems) or f"{self.data.name} has no questions"


def _some(every: Sequence[str], identity: str) -> list[str]:
    """Some of many, always the same for a person, in an order of its own."""
    generator = np.random.default_rng([SEED, *identity.encode()])
    return [every[place] for place in generator.permutation(len(every))[:MOST_OTHERS]]
