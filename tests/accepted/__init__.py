"""What is accepted, assumed or refused: tables of cases that the tests run and that docs/accepted.md lists."""

from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["accepted", "assumed", "refused"]


@dataclass(frozen=True)
class Case:
    """One thing that people may have.

    Attributes:
        area: heading of the table it stands in.
        what: the thing, in a reader's words (Markdown).
        outcome: whether it is used as it is, used with an assumption that every result states, or refused.
        says: what is done with it, or what the sentence says (Markdown).
        make: builds the thing for the test of its area; each area has its own signature.
        expected: what the test compares with, such as a part of the sentence.
    """

    area: str
    what: str
    outcome: Outcome
    says: str
    make: Any = None
    expected: Any = None

    @property
    def id(self) -> str:
        """A short name for pytest."""
        return "".join(letter if letter.isalnum() else "-" for letter in self.what)[:60].strip("-")
