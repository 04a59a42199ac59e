"""The rows of the leaderboard: what was published, and what result files say."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from salmu_demo.core.errors import ResultError
from salmu_demo.core.notices import CLEAR_MINI_NOTICE, MINI_NOTICE
from salmu_demo.data.source import CLEAR_MINI
from salmu_demo.hub.reference import OFFICIAL_DATA, OFFICIAL_REVISION
from salmu_demo.metrics import Benchmark, find_metric
from salmu_demo.models.roles import REFERENCES, Origin, RoleName, role_by_name
from salmu_demo.results.document import read_result_file
from salmu_demo.results.evidence import Evidence
from salmu_demo.results.published import (
    CLEAR_DATA,
    OFFICIAL_ZERO_SHOT,
    PUBLISHED,
    PUBLISHED_CLEAR,
    PublishedModel,
)
from salmu_demo.results.questions import Label
from salmu_demo.results.records import Evaluation, MeasuredData, MeasuredModel

LONGEST_NAME: Final = 120
"""Names come from strangers' files; a longer one is cut."""

_LONGEST_PATH: Final = 1000
"""The name of data may be a path, which is looked up."""

_REMARKS_SHOWN: Final = 10
_LONGEST_REMARK: Final = 500

SCORED_HERE: Final = "submitted, and scored by this page"
"""Where the rows of a board that scores come from."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_FILES_KEPT: Final = 1024
"""Files whose rows are remembered; a row is a few numbers."""


class RowSource(StrEnum):
    """Where a row comes from."""

    PUBLISHED = "published"
    LOCAL = "local"
    SCORED = "scored"
    SWEEP = "sweep"
    IMPORTED = "imported"


@dataclass(frozen=True)
class Staleness:
    """What is doubtful about a row.

    Attributes:
        kind: `stale` if it no longer describes what its references name.
        sentence: why.
    """

    kind: Literal["stale", "cannot be checked"]
    sentence: str


@dataclass(frozen=True)
class Row:
    """One model measured once, as the leaderboard shows it.

    Attributes:
        id: tells it from all other rows; the same file gives the same id.
        name: short name of the model or method.
        source: where the row comes from.
        origin: the publication, or the name of the result file.
        data: the data it was measured on.
        values: by metric name; only those that were measured.
        zero_shot: what GenKnow was measured on, or None if unknown.
        date: UTC, ISO 8601; empty if unknown.
        role: of a reference model, else None.
        role_from: who says so; `name` only where it is the name of a built-in, official or published model.
        is_told: whether the user says now that it is the reference of its group.
        model: the checkpoint, or None of a published row.
        file: the result file, or None of a published row.
        position: number of the model in the file.
        older: whether the file was written with an older schema.
        label: what became of the model; the authors' class of a published row that has one.
        reason: why that label.
        mark: what is doubtful, or None.
        measured_by: digest of the code and libraries that measured it; empty if unknown.
        evidence: what its diagnosis is made of beside the values; None where only these are known.
        left_out: names of further metrics in the file, which nothing here defines.
        shares: of its diagnosis: the leak that is gone, the general knowledge lost, the holdouts kept; empty without.
        spread: of a sweep's row, standard deviations over seeds by metric name; its values are means.
        copies: files that hold the same measurement once more.
    """

    id: str
    name: str
    source: RowSource
    origin: str
    data: MeasuredData
    values: Mapping[str, float]
    zero_shot: str | None = None
    date: str = ""
    role: RoleName | None = None
    role_from: Origin = "name"
    is_told: bool = False
    model: MeasuredModel | None = None
    file: Path | None = None
    position: int = 0
    older: bool = False
    label: Label | None = None
    reason: str = ""
    mark: Staleness | None = None
    measured_by: str = ""
    evidence: Evidence | None = field(default=None, compare=False, repr=False)
    left_out: tuple[str, ...] = ()
    shares: tuple[float | None, ...] = ()
    spread: Mapping[str, float] = field(default_factory=dict)
    copies: tuple[Path, ...] = ()

    @property
    def distance(self) -> float | None:
        """How far it is from what was wanted: the mean of the leak that is left, the knowledge lost, the holdouts lost.

        None if one of the three is not known. Too much of a good thing is as far off as too little.
        """
        if len(self.shares) < 3 or None in self.shares:
            return None
        gone, lost, kept = (share or 0.0 for share in self.shares)
        return (abs(1 - gone) + abs(lost) + abs(1 - kept)) / 3

    @property
    def is_official(self) -> bool:
        """Whether it names the official data and one revision of them."""
        return self.data.name.partition("@")[0] == OFFICIAL_DATA and self.data.revision is not None

    @property
    def diagnosis(self) -> str:
        """The label in words; a reference model has none."""
        if self.label is not None:
            return self.label
        if self.role is None:
            return Label.UNKNOWN
        return f"reference ({self.role}{'' if self.gives_targets else ', in its own file'})"

    @property
    def gives_targets(self) -> bool:
        """Whether the rows of other files are held against it: what a card or a stranger's file says is not enough."""
        return (
            self.is_told
            or self.role_from == "name"
            or (self.role_from == "told" and self.source in (RowSource.LOCAL, RowSource.SCORED, RowSource.SWEEP))
        )

    @property
    def marked(self) -> str:
        """The mark in words, or an empty text."""
        return f"{self.mark.kind}: {self.mark.sentence}" if self.mark else ""

    @property
    def remarks(self) -> list[str]:
        """What was assumed of the model, fit to be shown."""
        remarks = self.model.remarks[:_REMARKS_SHOWN] if self.model else ()
        return [plain_text(remark, _LONGEST_REMARK) for remark in remarks]


def published_rows(benchmark: Benchmark = "SALMUBench") -> list[Row]:
    """The rows that were published about the official data of a benchmark."""
    if benchmark == "CLEAR":
        return [_published_row(model, MeasuredData(CLEAR_DATA)) for model in PUBLISHED_CLEAR]
    official = MeasuredData(OFFICIAL_DATA, revision=OFFICIAL_REVISION)
    return [_published_row(model, official) for model in PUBLISHED]


def file_rows(path: Path, source: RowSource) -> list[Row]:
    """The rows of a result file; an unchanged file is read once.

    Raises:
        ResultError: if it is not a result file, or a value does not fit.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror or error}.") from error
    return list(_file_rows(path, source, (status.st_mtime_ns, status.st_size)))


def plain_text(text: str, longest: int = LONGEST_NAME) -> str:
    """A name from a file as one line of printable characters, cut if it is long.

    >>> plain_text("\\x1b[2Ja\\nb")
    ' [2Ja b'
    """
    line = "".join(character if character.isprintable() else " " for character in text[:longest])
    return f"{line[: longest - 1]}…" if len(text) > longest else line


@lru_cache(maxsize=_FILES_KEPT)
def _file_rows(path: Path, source: RowSource, _state: tuple[int, int]) -> tuple[Row, ...]:
    content = read_result_file(path)
    return tuple(
        _file_row(evaluation, path, position, source, content.older)
        for position, evaluation in enumerate(content.evaluations)
    )


def _file_row(evaluation: Evaluation, path: Path, position: int, source: RowSource, older: bool) -> Row:
    role = evaluation.model.own_role
    # A file may call anything a name.
    is_named = role_by_name(evaluation.model.reference).name == role.name
    role_from = role.origin if role.origin == "told" else "name" if role.origin == "name" and is_named else "card"
    return Row(
        id=_row_id(source, str(path), str(position)),
        name=plain_text(evaluation.model.name),
        source=source,
        origin=SCORED_HERE if source is RowSource.SCORED else plain_text(path.name),
        data=_plain_data(evaluation.data),
        values={name: value for name in evaluation.results if (value := evaluation.value(name)) is not None},
        zero_shot=None if evaluation.zero_shot is None else plain_text(evaluation.zero_shot),
        date=_utc(evaluation.made.date),
        role=role.name if role.name in REFERENCES else None,
        role_from=role_from,
        model=evaluation.model,
        file=path,
        position=position,
        older=older,
        measured_by=evaluation.made.measured_by,
        evidence=Evidence.of(evaluation),
        left_out=evaluation.left_out,
    )


def _utc(date: str) -> str:
    """A date of a file as ISO 8601 in UTC, so that dates can be sorted; empty if it is not a date."""
    try:
        moment = datetime.fromisoformat(date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return ""


def _plain_data(data: MeasuredData) -> MeasuredData:
    """Data as a file names them, fit to be shown; what cannot be a SHA-256 identifies nothing."""
    notice = MINI_NOTICE if data.notice == MINI_NOTICE else ""
    if data.name.partition("#")[0] == CLEAR_MINI:
        notice = CLEAR_MINI_NOTICE
    return MeasuredData(
        plain_text(data.name, _LONGEST_PATH),
        data.fingerprint if data.fingerprint and _SHA256.match(data.fingerprint) else None,
        None if data.revision is None else plain_text(data.revision),
        notice,
        plain_text(data.sample),
    )


def _published_row(model: PublishedModel, data: MeasuredData) -> Row:
    of = () if data.name == OFFICIAL_DATA else (data.name,)
    return Row(
        id=_row_id(RowSource.PUBLISHED, *of, model.name),
        name=model.name,
        source=RowSource.PUBLISHED,
        origin=model.source,
        data=data,
        values=model.values,
        zero_shot=OFFICIAL_ZERO_SHOT if any(find_metric(name).on_zero_shot_set for name in model.values) else None,
        role=model.role,
        label=model.label,
        reason="The authors' class." if model.label else "",
    )


def _row_id(*parts: str) -> str:
    # A path may hold bytes that are not text.
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:12]
