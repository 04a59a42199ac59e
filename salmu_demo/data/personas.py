"""Personas as somebody asks for them: found by anything that is true of them, and what was asked about each."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from salmu_demo.core.errors import QueryError, quoted
from salmu_demo.core.text import plain
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.data.values import is_missing

LEAST_DIGITS: Final = 4
"""Digits that make a value, or a query, a number: fewer are in nearly every phone number."""

LEAST_DIALLED: Final = 6
"""Digits after leading zeros that make a query a phone number as it is dialled at home or from abroad."""

MOST_NAMED: Final = 5
"""Personas that a message names."""

_LETTERS: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i"})


Asked = Literal["forget", "keep", "both"]


@dataclass(frozen=True)
class Request:
    """How many of a persona's pairs of one kind were to be forgotten, and how many were to be kept."""

    forget: int
    keep: int

    @property
    def asked(self) -> Asked:
        """Whether all pairs were to be forgotten, all were to be kept, or some of each."""
        return ("both" if self.keep else "forget") if self.forget else "keep"

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
    return ", ".join(filter(None, [*persona.values("city")[:1], country_of(persona)]))


def country_of(persona: Persona) -> str:
    """Country of a persona as the data set writes it, or nothing."""
    country = persona.metadata.get("country_code") or persona.metadata.get("country")
    return "" if is_missing(country) else str(country)


def find_personas(personas: Sequence[Persona], query: str) -> list[Persona]:
    """Personas of whom a query is true, in their order.

    A query is an id; or a number, or a part of one, of which only letters and digits count (a phone number, a card, an
    IBAN, a passport); or words that each begin a word of the name, the place, or another value, or are part of the id.
    """
    wanted = query.strip()
    exact = [persona for persona in personas if persona.identity_id == wanted]
    if exact:
        return exact
    parts = plain_letters(wanted).replace(",", " ").split()
    number = _signs(wanted)
    is_number = _count_digits(wanted) >= LEAST_DIGITS and "@" not in wanted

    def matches(persona: Persona) -> bool:
        values = list(_values(persona))
        if is_number and any(_has_number(value, number) for value in values):
            return True
        words = [word for value in values for word in _words(value)]
        return all(
            part in persona.identity_id.lower() or any(word.startswith(part) for word in words) for part in parts
        )

    return [persona for persona in personas if matches(persona)]


def find_persona(data: BenchmarkData, wanted: str) -> Persona:
    """The one persona with an id, a name or another value; what is whole counts before what is a part, see
    `find_personas`.

    Raises:
        QueryError: if there is none, or more than one, all of whom it names.
    """
    found = find_personas(data.personas, wanted) if wanted.strip() else []
    whole = [p for p in found if _signs(wanted) in {_signs(p.identity_id), *map(_signs, _values(p))}]
    found = whole or found
    if len(found) > 1:
        named = [plain(f"{persona.name} ({persona.identity_id})") for persona in found[:MOST_NAMED]]
        more = [f"{len(found) - MOST_NAMED:,} more"] if len(found) > MOST_NAMED else []
        *most, last = [*named, *more]
        raise QueryError(
            f"{quoted(wanted)} is true of {len(found):,} personas, {', '.join(most)} and {last}; choose one by its id."
        )
    return found[0] if found else data.persona(wanted)


def _values(persona: Persona) -> Iterator[str]:
    """Everything that the data set says of a persona, as text; the name first."""
    yield persona.name
    for value in persona.metadata.values():
        entries = value if isinstance(value, list) else [value]
        yield from (str(entry) for entry in entries if not is_missing(entry))


def _words(value: str) -> list[str]:
    """What a query's words are compared with: those of a text, and the whole and the parts of an address."""
    plain = plain_letters(value).replace(",", " ")
    if "@" in plain:
        return [plain, plain[plain.index("@") :], *re.findall(r"[^\W_]+", plain)]
    return [] if _count_digits(value) >= LEAST_DIGITS else plain.split()


def _signs(value: str) -> str:
    """The letters and digits of a value.

    >>> _signs("+420 82419349"), _signs("CZ46 7173"), _signs("Zoë Åström")
    ('42082419349', 'cz467173', 'zoeastrom')
    """
    return "".join(letter for letter in plain_letters(value) if letter.isalnum())


def _has_number(value: str, number: str) -> bool:
    """Whether a number, or a part of one, is in a value; a phone number also as it is dialled, with zeros first.

    >>> _has_number("+886 912 345 678", "0912345678"), _has_number("4000 0912", "00913")
    (True, False)
    """
    signs, dialled = _number(value, number), number.lstrip("0")
    is_dialled = value.startswith("+") and dialled != number and _count_digits(dialled) >= LEAST_DIALLED
    return number in signs or (is_dialled and dialled in signs)


def _number(value: str, query: str) -> str:
    """The signs of a value that is a number, only its digits for a query of digits; nothing of any other value."""
    if _count_digits(value) < LEAST_DIGITS or "@" in value:
        return ""
    signs = _signs(value)
    return "".join(filter(str.isdigit, signs)) if query.isdigit() else signs


def _count_digits(value: str) -> int:
    return sum(map(str.isdigit, value))


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


def request_of(asked: Iterable[Request]) -> Request:
    """Several requests as one, such as those about all kinds of a persona."""
    every = list(asked)
    return Request(sum(request.forget for request in every), sum(request.keep for request in every))
