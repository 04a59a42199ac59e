"""Personas as somebody asks for them: found by name and place, and what was asked to be forgotten about each."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Persona

_LETTERS: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i"})


@dataclass(frozen=True)
class Request:
    """How many of a persona's pairs of one kind were to be forgotten, and how many were to be kept."""

    forget: int
    keep: int

    @property
    def words(self) -> str:
        """The request in a few words.

        >>> Request(4, 0).words, Request(2, 2).words, Request(0, 4).words
        ('to be forgotten', '2 of 4 pairs to be forgotten', 'to be kept')
        """
        if not self.forget:
            return "to be kept"
        return f"{self.forget} of {self.forget + self.keep} pairs to be forgotten" if self.keep else "to be forgotten"


def plain_letters(words: str) -> str:
    """Lower case without accents, so that `Malmo` finds `Malmö`.

    >>> plain_letters("Łódź, Malmö")
    'lodz, malmo'
    """
    decomposed = unicodedata.normalize("NFKD", words.casefold().translate(_LETTERS))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def place_of(persona: Persona) -> str:
    """City and country of a persona, as far as the data set tells."""
    country = persona.metadata.get("country_code") or persona.metadata.get("country")
    return ", ".join([*persona.values("city")[:1], *([str(country)] if country else [])])


def find_personas(personas: Sequence[Persona], query: str) -> list[Persona]:
    """Personas in whose name, city or country every word of the query begins a word; numbers also match the id."""
    wanted = plain_letters(query).replace(",", " ").split()

    def matches(persona: Persona) -> bool:
        words = plain_letters(f"{persona.name} {place_of(persona)}").replace(",", " ").split()
        return all(
            part in persona.identity_id.lower() or any(word.startswith(part) for word in words) for part in wanted
        )

    return [persona for persona in personas if matches(persona)]


def requests(data: BenchmarkData, persona: Persona) -> dict[str, Request]:
    """What was asked about each kind of a persona's pairs, counted in its splits."""
    counts: dict[str, list[int]] = {}
    for split, rows in data.persona_rows(persona.identity_id).items():
        names = data.split(split).file_names
        for row in rows:
            kind = data.kind(names[row])
            if kind is not None:
                counts.setdefault(kind, [0, 0])[0 if split == layout.FORGET else 1] += 1
    return {kind: Request(*pair) for kind, pair in counts.items()}
