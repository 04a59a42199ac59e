"""Rows of the same data belong together, and only they: targets, diagnoses and ranks are those of one group."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from salmu_demo.data.source import benchmark_of
from salmu_demo.leaderboard.rows import Row, RowSource, plain_text
from salmu_demo.metrics import Benchmark, Metric, known_metrics, official_metrics
from salmu_demo.models.roles import REFERENCES, SCALE, TITLES, ReferenceName, RoleName
from salmu_demo.results.comparison import target_role
from salmu_demo.results.diagnosis import diagnose
from salmu_demo.results.evidence import NOTHING, Evidence

_TRUST = {RowSource.PUBLISHED: 0, RowSource.LOCAL: 1, RowSource.SCORED: 1, RowSource.SWEEP: 3, RowSource.IMPORTED: 4}
"""Whose references a group takes first; a stale local one comes between the local and the sweeps' ones."""

_DIGITS = 9
"""Decimals to which two files of one measurement agree."""


@dataclass(frozen=True)
class DataGroup:
    """All rows of one data set and sample.

    Attributes:
        id: the same for the same data.
        identified: whether the data are known by their content or official revision.
        rows: its rows with their diagnoses: published ones first, then the newest.
    """

    id: str
    identified: bool
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """The data in words: name, sample, revision and the start of the fingerprint."""
        named = [row for row in self.rows if row.source is not RowSource.SWEEP] or list(self.rows)
        data = next((row.data for row in named if row.data.fingerprint), named[0].data)
        parts = [plain_text(data.name), data.sample or "all rows"]
        if data.revision:
            parts.append(f"revision {data.revision[:8]}")
        if data.fingerprint:
            parts.append(f"content {data.fingerprint[:8]}")
        if not self.identified:
            parts.append(f"not identified, from {self.rows[0].origin}")
        return ", ".join(parts)

    @property
    def notice(self) -> str:
        """What every view of these numbers must say about the data, or an empty text."""
        return next((row.data.notice for row in self.rows if row.data.notice), "")

    @property
    def benchmark(self) -> Benchmark:
        """Whose numbers these are."""
        return benchmark_of(self.rows[0].data.name)

    @cached_property
    def specs(self) -> list[Metric]:
        """The metrics that at least one row has; of CLEAR's dozens those that are made of all others."""
        known = [spec for spec in known_metrics() if any(spec.name in row.values for row in self.rows)]
        if self.benchmark == "SALMUBench":
            return known
        return [spec for spec in known if spec.benchmark == "CLEAR" and not spec.of_rows]

    @cached_property
    def references(self) -> dict[str, Row]:
        """The row that gives the targets, by role; published ones before local ones before imported ones."""
        return {role: rows[0] for role in REFERENCES if (rows := _references(self.rows, role))}

    @property
    def reference_line(self) -> str:
        """Who is who, in words; empty without references."""
        return "; ".join(
            f"{TITLES[role]}: {row.name} ({', '.join(filter(None, (row.source, 'as told' if row.is_told else '')))})"
            for role, row in self.references.items()
        )

    @cached_property
    def zero_shot(self) -> str | None:
        """The zero-shot set on which rows can be ranked; None if unknown."""
        candidates = [*reversed(self.references.values()), *self.rows]
        return next((row.zero_shot for row in candidates if row.values.keys() & _on_zero_shot_set()), None)

    def target(self, spec: Metric) -> float | None:
        """The value to reach, or None without the reference."""
        reference = self.references.get(target_role(spec))
        return None if reference is None else self.comparable(reference, spec)

    def comparable(self, row: Row, spec: Metric) -> float | None:
        """A row's value, or None if it is missing or was measured on another zero-shot set than the group's."""
        if spec.on_zero_shot_set and row.zero_shot != self.zero_shot:
            return None
        return row.values.get(spec.name)


def group_rows(rows: Iterable[Row]) -> list[DataGroup]:
    """Put rows of the same data together and diagnose them; the official data come first, unidentified data last.

    Data are the same if their content and sample are. The published rows name the official data by revision only; rows
    of that revision join them unless they disagree about its content, in which case each content is a group. Data
    without fingerprint are a group for each file, whatever name it gives.
    """
    rows = list(rows)
    contents: dict[str | None, set[str]] = defaultdict(set)
    for row in rows:
        if row.is_official and row.data.fingerprint:
            contents[row.data.revision].add(row.data.fingerprint)
    members: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        members[_key(row, len(contents[row.data.revision]) > 1)].append(row)
    groups = [
        DataGroup(
            hashlib.sha256(repr(key).encode()).hexdigest()[:12], key[0] != "file", _diagnosed(_ordered(_as_told(rows)))
        )
        for key, rows in members.items()
    ]
    return sorted(map(_with_one_scale, groups), key=_place)


def _with_one_scale(group: DataGroup) -> DataGroup:
    """Without the references that a sweep measured once more, where the group has them from elsewhere."""
    given = group.references.values()
    rows = [r for r in group.rows if r.source is not RowSource.SWEEP or r.role not in SCALE or r in given]
    return replace(group, rows=tuple(rows))


def _place(group: DataGroup) -> tuple[bool, bool, str]:
    return not group.rows[0].is_official, not group.identified, group.title


def merged(rows: Iterable[Row]) -> list[Row]:
    """The rows, each measurement once: what several files hold of a model is one row, which names the other files.

    It is the same measurement if model, data, sample, zero-shot set and role are the same and no official metric has
    another value. The row with the most values stays, a local one before an imported one, one without doubt first.
    """
    found: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        own = (row.id,) if row.file is None or row.source is RowSource.SWEEP else ()
        found[(own, *_measurement(row))].append(row)
    kept = []
    for same in found.values():
        first, *others = sorted(same, key=_worth)
        kept.append(replace(first, copies=tuple(row.file for row in others if row.file is not None)))
    return kept


def _worth(row: Row) -> tuple[int, int, bool]:
    return -len(row.values), list(RowSource).index(row.source), row.mark is not None


def _measurement(row: Row) -> tuple[object, ...]:
    data, model = row.data, row.model
    known = None if model is None else model.fingerprint
    values = tuple(row.values.get(spec.name) for spec in official_metrics())
    return (
        row.name, known, data.fingerprint or data.name, data.sample, row.zero_shot, row.role, row.role_from,
        tuple(None if value is None else round(value, _DIGITS) for value in values),
    )  # fmt: skip


def _key(row: Row, content_disputed: bool) -> tuple[str, ...]:
    fingerprint, sample = row.data.fingerprint or "", row.data.sample
    if row.is_official:
        return ("official", row.data.revision or "", fingerprint if content_disputed else "", sample)
    if fingerprint:
        return ("content", fingerprint, sample)
    if row.source is RowSource.PUBLISHED:
        return ("published", row.data.name, sample)
    return ("file", str(row.file), row.data.name, sample)


def _ordered(rows: Iterable[Row]) -> list[Row]:
    newest_first = sorted(rows, key=lambda row: row.date, reverse=True)
    return sorted(newest_first, key=lambda row: list(RowSource).index(row.source))


def _as_told(rows: Sequence[Row]) -> list[Row]:
    """The rows of a group; beside one that the user says is a reference no other has its role."""
    told = {row.role for row in rows if row.is_told}
    return [replace(row, role=None) if row.role in told and not row.is_told else row for row in rows]


def _references(rows: Iterable[Row], role: RoleName) -> list[Row]:
    return sorted((row for row in rows if row.role == role and row.gives_targets), key=_distrust)


def _distrust(row: Row) -> tuple[int, bool]:
    stale = row.source is RowSource.LOCAL and row.mark is not None and row.mark.kind == "stale"
    return _TRUST[row.source] + stale, row.role_from != "name"


def _diagnosed(rows: Sequence[Row]) -> tuple[Row, ...]:
    candidates = {role: _references(rows, role) for role in REFERENCES}
    return tuple(_diagnose(row, rows, candidates) for row in rows)


def _diagnose(row: Row, rows: Sequence[Row], candidates: Mapping[ReferenceName, Sequence[Row]]) -> Row:
    """A row with its diagnosis against the references of its own file, or else of its group."""
    if row.role in SCALE:
        return row
    references = []
    for role in REFERENCES:
        own = [other for other in rows if other.role == role and row.file in (other.file, *other.copies) and row.file]
        reference = next(iter([*own, *candidates[role]]), None)
        references.append(NOTHING if reference is None else _evidence_beside(row, reference))
    diagnosis = diagnose(_evidence(row), *references)
    shares = tuple(criterion.value for criterion in diagnosis.criteria[:3])
    if row.label is not None:
        return replace(row, shares=shares)
    reason = " ".join(filter(None, (diagnosis.sentence, diagnosis.proviso)))
    return replace(row, label=diagnosis.label, reason=reason, shares=shares)


def _evidence_beside(row: Row, reference: Row) -> Evidence:
    """What of a reference can be held against a row: nothing measured on another zero-shot set."""
    evidence = _evidence(reference)
    if row.zero_shot == reference.zero_shot:
        return evidence
    values = {name: value for name, value in evidence.values.items() if name not in _on_zero_shot_set()}
    return replace(evidence, values=values)


def _evidence(row: Row) -> Evidence:
    return row.evidence or Evidence(row.values)


def _on_zero_shot_set() -> set[str]:
    return {metric.name for metric in known_metrics() if metric.on_zero_shot_set}
