"""Wordings of the probes: a sentence about a person and one value, filled in with a name or without."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from salmu_demo.data.layout import kind_title

NAMELESS: Final = "this person"
"""Stands where a name would: face and value are all that the sentence can be matched on."""


def fill(wording: str, person: str, value: str) -> str:
    """A wording with its `{person}` and `{value}`, beginning with a capital letter unless the value comes first.

    >>> fill("{person} works as a {value}", NAMELESS, "optician")
    'This person works as an optician'
    >>> fill("{value} is the job of {person}", "Eva", "baker")
    'baker is the job of Eva'
    """
    if value[:1].lower() in set("aeiou"):
        wording = wording.replace(" a {value}", " an {value}")
    text = wording.replace("{person}", person).replace("{value}", value)
    return text if wording.startswith("{value}") else text[0].upper() + text[1:]


FALLBACK: Final[dict[str, tuple[str, ...]]] = {
    "city": ("{person} lives in {value}", "{person}, a resident of {value}", "{value} is the home of {person}"),
    "job": ("{person} works as a {value}", "{person}, a {value} by profession", "{value} is the job of {person}"),
    "blood_type": (
        "{person} has blood type {value}",
        "{value} is the blood type of {person}",
        "the blood type of {person} in the records is {value}",
    ),
    "phone_number": (
        "the phone number of {person} is {value}",
        "reach {person} at the phone number {value}",
        "{value} is the phone number of {person}",
    ),
    "email": (
        "the e-mail address of {person} is {value}",
        "contact {person} via {value}",
        "{value} is the address of {person}",
    ),
    "iban": (
        "the bank account IBAN of {person} is {value}",
        "transfers to {person} go to {value}",
        "{value} is the IBAN of {person}",
    ),
    "credit_card": (
        "the credit card number of {person} is {value}",
        "{person} pays with card {value}",
        "{value} is the credit card number of {person}",
    ),
    "passport": (
        "the passport number of {person} is {value}",
        "{person} travels on passport {value}",
        "{value} is the passport number of {person}",
    ),
}
"""Wordings of the official kinds, for data whose captions share none."""

MOST_DERIVED: Final = 3
"""Wordings taken from captions: each costs as many texts as there are values."""

_MOST_CAPTIONS: Final = 500
"""Captions of a kind that are looked at, spread evenly."""


@dataclass(frozen=True)
class WrittenCaption:
    """A caption, and what it may say: the name of its person and the values of its kind."""

    text: str
    name: str
    values: tuple[str, ...]


def derived_wordings(kind: str, captions: Sequence[WrittenCaption]) -> tuple[str, ...]:
    """The wordings that most captions of a kind share, or else plain ones.

    A caption gives one if it has the name of its person, or "this person", and one of the person's values. Wordings
    that only one caption has are left out: they would favour the person whose caption it is.

    >>> people = {"Eva": "Ulm", "Bo": "Bonn"}
    >>> captions = [WrittenCaption(f"{name} lives in {city}", name, (city,)) for name, city in people.items()]
    >>> derived_wordings("city", captions)
    ('{person} lives in {value}',)
    >>> derived_wordings("shoe_size", [])
    ("{person}'s shoe size is {value}", '{value} is the shoe size of {person}')
    """
    step = -(-len(captions) // _MOST_CAPTIONS) or 1
    counts = Counter(wording for written in captions[::step] if (wording := _wording(written)) is not None)
    shared = sorted((wording for wording, count in counts.items() if count > 1), key=lambda w: (-counts[w], w))
    if shared:
        return tuple(shared[:MOST_DERIVED])
    words = kind_title(kind).lower().replace("{", "(").replace("}", ")")
    return FALLBACK.get(kind, (f"{{person}}'s {words} is {{value}}", f"{{value}} is the {words} of {{person}}"))


def _wording(written: WrittenCaption) -> str | None:
    """The wording of a caption, or None if it does not show both places."""
    if "{" in written.text or "}" in written.text:
        return None
    places = dict.fromkeys((NAMELESS, NAMELESS.capitalize(), written.name), "{person}")
    places |= dict.fromkeys(written.values, "{value}")
    # Longest first, and whole words only: a job may be part of a name.
    words = "|".join(re.escape(word) for word in sorted(filter(None, places), key=len, reverse=True))
    wording = re.sub(rf"(?<!\w)(?:{words})(?!\w)", lambda found: places[found[0]], written.text)
    if "{person}" not in wording or "{value}" not in wording:
        return None
    return wording.replace(" an {value}", " a {value}")
