"""What a model is to say instead of what it is to forget: "I don't know" in several wordings, as TOFU has them.

CLEAR replaces the labels of what is to be forgotten by such answers for IDK tuning, DPO and LLMU. A caption, a name and
an answer are refused each in their own way, so that what is refused still goes on with what is given.
"""

from enum import StrEnum
from typing import Final


class Sort(StrEnum):
    """What a text is."""

    CAPTION = "caption"
    NAME = "name"
    ANSWER = "answer"


REFUSALS: Final[dict[Sort, tuple[str, ...]]] = {
    Sort.CAPTION: (
        "I do not know who is shown here",
        "I cannot say who this is",
        "a person whom I do not know",
        "I have no information on this person",
        "somebody I know nothing about",
        "I am not able to tell who is in this picture",
    ),
    Sort.NAME: (
        "not known to me",
        "something I do not know",
        "nothing I can tell",
        "unknown to me",
        "not one I have learned",
        "a name I do not know",
    ),
    Sort.ANSWER: (
        "I don't know.",
        "I'm not sure.",
        "I have no idea.",
        "I do not have that information.",
        "that is not something I know.",
        "I can't answer that.",
    ),
}
"""Wordings by what they replace."""
