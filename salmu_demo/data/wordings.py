"""Wordings of the probes: a sentence about a person and one value, filled in with a name or without."""

from typing import Final

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
