"""Requests to be forgotten: who asks, and whether for everything or for one attribute.

A request is written `PERSONA` or `PERSONA:KIND`, in the command line, in jobs and in the record of a model alike.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from salmu_demo.core.errors import QueryError, quoted
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Persona, Split
from salmu_demo.data.layout import canonical_kind, kind_title
from salmu_demo.data.personas import find_persona

REQUESTED_SPLITS: Final = (*layout.SENSITIVE_SPLITS, layout.RETAIN_SYNTH)
"""Stored splits of training pairs that name their persona: a request takes the person's rows of all of them."""


@dataclass(frozen=True)
class ForgetRequest:
    """Somebody who asks to be forgotten.

    Attributes:
        persona: id of the persona.
        kind: the one attribute that is asked for; None for everything.
    """

    persona: str
    kind: str | None = None

    def __str__(self) -> str:
        """As it is written.

        >>> str(ForgetRequest("00000024")), str(ForgetRequest("00000024", "email"))
        ('00000024', '00000024:email')
        """
        return self.persona if self.kind is None else f"{self.persona}:{self.kind}"

    def covers(self, identity: str | None, kind: str | None) -> bool:
        """Whether a pair of a persona about an attribute is asked for."""
        return self.persona == identity and self.kind in (None, kind)


Round = tuple[ForgetRequest, ...]
"""What one run was asked for; nothing stands for the whole split `forget`."""


def are_covered(requests: Iterable[ForgetRequest], identity: str | None, kind: str | None) -> bool:
    """Whether any of some requests asks for a pair, see `ForgetRequest.covers`."""
    return any(request.covers(identity, kind) for request in requests)


def find_requests(data: BenchmarkData, written: Iterable[str]) -> Round:
    """Read requests, each once; one for everything takes in those for single attributes of the same person.

    Args:
        data: the data set.
        written: `PERSONA` or `PERSONA:KIND` each; a persona is named by its id, its name or another value.

    Raises:
        QueryError: if there is no such persona or kind, or the persona has no pair of that kind.
    """
    found = list(dict.fromkeys(_find_request(data, each.strip()) for each in written))
    whole = {request.persona for request in found if request.kind is None}
    return tuple(request for request in found if request.kind is None or request.persona not in whole)


def _find_request(data: BenchmarkData, written: str) -> ForgetRequest:
    name, colon, end = written.rpartition(":")
    kind = canonical_kind(end)
    if not colon or written in data.identities:
        return ForgetRequest(find_persona(data, written).identity_id)
    persona = find_persona(data, name)
    known = pair_kinds(data, persona)
    if kind not in known:
        raise QueryError(
            f"{persona.name} has no pairs of {quoted(end)} in {data.name}; ask for one of {', '.join(known)}."
        )
    return ForgetRequest(persona.identity_id, kind)


def pair_kinds(data: BenchmarkData, persona: Persona) -> list[str]:
    """The attributes that a persona has any pair of, in the data set's order."""
    rows = data.persona_rows(persona.identity_id)
    found = {data.kind(data.split(split).file_names[row]) for split, numbers in rows.items() for row in numbers}
    return [kind for kind in data.kinds if kind in found]


def requested_rows(data: BenchmarkData, requests: Sequence[ForgetRequest]) -> list[Split]:
    """The pairs that requests ask for: rows of each split that has any.

    Raises:
        DataError: if one of the splits is not on this machine, so that what is asked for is not all here.
    """
    found = []
    for name in REQUESTED_SPLITS:
        split = data.split(name)
        rows = zip(split.identities, split.file_names, strict=True)
        asked = [row for row, (identity, file) in enumerate(rows) if are_covered(requests, identity, data.kind(file))]
        if asked:
            found.append(split.take(name, asked))
    return found


def request_words(data: BenchmarkData, request: ForgetRequest) -> str:
    """A request for people, with the persona's name; raises `QueryError` if there is no such persona."""
    words = f"{data.persona(request.persona).name} ({request.persona})"
    return words if request.kind is None else f"{words}: {kind_title(request.kind)}"
