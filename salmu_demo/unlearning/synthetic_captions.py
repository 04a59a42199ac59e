"""Synthetic captions in place of pairs that a method may not read.

Nobody asked to forget other people, or what else is said about the same person, and a method is given no such pair.
Both can be imitated from the forget rows alone: captions are taken apart into wording, name and value and put together
anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from salmu_demo.core.errors import DataError

_NAME: Final = "\0name\0"
_VALUE: Final = "\0value\0"


@dataclass(frozen=True)
class Wording:
    """A caption without its name and value."""

    text: str

    def fill(self, name: str, value: str) -> str:
        """The caption of a name and value."""
        return self.text.replace(_NAME, name).replace(_VALUE, value)


def wording_of(caption: str, name: str, values: Sequence[str]) -> tuple[Wording, str] | None:
    """Split a caption into wording and value; None if it lacks the name or all of the values.

    >>> wording, value = wording_of("Ada Lee lives in Ulm", "Ada Lee", ["Ulm"])
    >>> wording.fill("Bo Li", "Oslo"), value
    ('Bo Li lives in Oslo', 'Ulm')
    >>> wording_of("She lives in Ulm", "Ada Lee", ["Ulm"]) is None
    True
    """
    value = next((value for value in values if value and value in caption), None)
    if value is None or not name or name not in caption:
        return None
    return Wording(caption.replace(name, _NAME).replace(value, _VALUE)), value


class SyntheticCaptions:
    """Makes captions from those of the N forget rows."""

    def __init__(
        self,
        captions: Sequence[str],
        personas: Sequence[str | None],
        names: Sequence[str],
        values: Sequence[Sequence[str]],
        kinds: Sequence[str | None],
    ) -> None:
        """Split the captions into their parts.

        Raises:
            DataError: if fewer than two personas' captions hold their names and values.
        """
        self._names = names
        self._kinds = kinds
        self._personas = personas
        self._parts = [wording_of(*row) for row in zip(captions, names, values, strict=True)]
        self._known = [row for row, part in enumerate(self._parts) if part is not None]
        if len({personas[row] for row in self._known}) < 2:
            raise DataError("This method needs captions that hold names and values of the metadata, of two personas.")
        self._by_kind: dict[str | None, list[tuple[Wording, str]]] = {}
        self._used: dict[tuple[str | None, str | None], list[tuple[Wording, str]]] = {}
        self._kinds_of: dict[Wording, set[str | None]] = {}
        self._used_by: dict[str | None, set[Wording]] = {}
        for row in self._known:
            wording = self._part(row)[0]
            self._kinds_of.setdefault(wording, set()).add(kinds[row])
            self._used_by.setdefault(personas[row], set()).add(wording)
            self._by_kind.setdefault(kinds[row], []).append(self._part(row))
            self._used.setdefault((personas[row], kinds[row]), []).append(self._part(row))

    def strangers(self, count: int, generator: torch.Generator) -> list[str]:
        """Captions about people who do not exist: first and last names of two personas, wording and value of a row."""
        captions: list[str] = []
        while len(captions) < count:
            first, last, fact = (
                self._known[number] for number in torch.randint(len(self._known), (3,), generator=generator).tolist()
            )
            if self._personas[first] != self._personas[last]:
                name = f"{self._names[first].partition(' ')[0]} {self._names[last].partition(' ')[2]}".strip()
                wording, value = self._part(fact)
                captions.append(wording.fill(name, value))
        return captions

    def rewordings(self, rows: Sequence[int], generator: torch.Generator) -> list[str]:
        """For each row its name in another persona's caption of the same kind: a wording that is not its persona's, and
        a value that is not its own.

        So none of them tells a fact, and none can be a true pair that was held back. A row without such a caption gets
        a stranger's.
        """
        captions: list[str] = []
        for row in rows:
            others = self._other_captions(row)
            if others:
                wording, value = others[int(torch.randint(len(others), (1,), generator=generator))]
                captions.append(wording.fill(self._names[row], value))
            else:
                captions += self.strangers(1, generator)
        return captions

    def misplaced(self, rows: Sequence[int], generator: torch.Generator) -> list[str]:
        """For each row its name and value in a wording of another kind that its persona's forget captions have not.

        Nobody would say that, so it is not a pair either; it keeps the value from giving a forget caption away. A row
        without such a wording gets a stranger's caption.
        """
        captions: list[str] = []
        for row in rows:
            wordings = self._foreign_wordings(row)
            if wordings:
                wording = wordings[int(torch.randint(len(wordings), (1,), generator=generator))]
                captions.append(wording.fill(self._names[row], self._part(row)[1]))
            else:
                captions += self.strangers(1, generator)
        return captions

    def _foreign_wordings(self, row: int) -> list[Wording]:
        """Wordings of kinds other than a row's that its persona's forget captions do not have."""
        if self._parts[row] is None:
            return []
        used = self._used_by[self._personas[row]]
        return [w for w, kinds in self._kinds_of.items() if w not in used and self._kinds[row] not in kinds]

    def _other_captions(self, row: int) -> list[tuple[Wording, str]]:
        """Wordings and values of a row's kind that its persona's forget captions do not have."""
        if self._parts[row] is None:
            return []
        key = (self._personas[row], self._kinds[row])
        used = self._used[key]
        own = {value for _, value in used}
        wordings = {wording for wording, _ in used}
        return [part for part in self._by_kind[key[1]] if part[0] not in wordings and part[1] not in own]

    def _part(self, row: int) -> tuple[Wording, str]:
        part = self._parts[row]
        if part is None:
            raise LookupError(row)
        return part
