"""Rows of sweeps: a row for each method, its values the means over seeds, with their spread."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, FiniteFloat

from salmu_demo.core.documents import read_cached, read_model
from salmu_demo.core.errors import ResultError
from salmu_demo.core.notices import CLEAR_MINI_NOTICE, MINI_NOTICE
from salmu_demo.core.settings import assets_dir
from salmu_demo.data.source import CLEAR_MINI, MINI, benchmark_of, load_data
from salmu_demo.leaderboard.rows import Row, RowSource, plain_text
from salmu_demo.metrics import metrics_of, official_metrics
from salmu_demo.models.roles import REFERENCES
from salmu_demo.results.questions import Label
from salmu_demo.results.records import MeasuredData

TABLE_FILE: Final = "sweep.json"
REFERENCES_FILE: Final = "references.json"
_MOST_ROWS: Final = 1000
_SALMU: Final = (MINI, "salmu-mini", MINI_NOTICE)
_CLEAR: Final = (CLEAR_MINI, "clear-mini", CLEAR_MINI_NOTICE)
_ON_CLEAR: Final = "ForgetTables"
"""A metric that every sweep on CLEAR has in its table, and no other."""


class _MetricSpread(BaseModel):
    mean: FiniteFloat | None = None
    deviation: FiniteFloat | None = None


class _SweepLine(BaseModel):
    """A line of the table that `salmu-demo sweep` writes."""

    compared_at: str
    variant: str
    seeds: tuple[int, int]
    seconds: FiniteFloat | None = None
    metrics: dict[str, _MetricSpread]
    diagnoses: dict[str, int] = {}


class _SweepOrigin(BaseModel):
    """What a sweep's references were measured on; an older one calls it otherwise."""

    measured_from: dict[str, str] = {}
    models: dict[str, str] = {}
    measured: dict[str, object] = {}

    @property
    def data(self) -> str | None:
        """Fingerprint of the data."""
        found = self.measured_from.get("data", self.measured.get("data"))
        return found if isinstance(found, str) else None


def embedded_sweeps() -> list[Path]:
    """Folders of the sweeps that come with the program."""
    return sorted(path.parent for path in assets_dir().glob(f"sweeps/*/{TABLE_FILE}"))


@dataclass(frozen=True)
class SweepOutcome:
    """What a method came to at equal budget: the label of most seeds, and seconds of a run where the sweep was made."""

    label: Label
    seconds: float


def sweep_outcomes(folders: Sequence[Path] | None = None) -> dict[str, SweepOutcome]:
    """Outcomes of methods with their own settings, by name, in some sweeps or those that come with the program."""
    found: dict[str, SweepOutcome] = {}
    for folder in embedded_sweeps() if folders is None else folders:
        for line in read_cached(folder / TABLE_FILE, list[_SweepLine]) or []:
            label, _ = _outcome(line)
            if line.compared_at == "budget" and label is not None and line.seconds is not None:
                found.setdefault(line.variant, SweepOutcome(label, line.seconds))
    return found


def sweep_rows(folder: Path) -> list[Row]:
    """The methods of a sweep at equal budget, and its references.

    Raises:
        ResultError: if the folder holds no results of a sweep.
    """
    path = folder / TABLE_FILE
    lines = read_model(path, list[_SweepLine], ResultError, "The table of a sweep")
    references = read_cached(folder / REFERENCES_FILE, _SweepOrigin)
    data, zero_shot = _measured_on(None if references is None else references.data, lines)
    names = {} if references is None else references.models
    wanted = [line for line in lines[:_MOST_ROWS] if line.compared_at in ("reference", "budget")]
    return [_row(line, position, path, data, zero_shot, names) for position, line in enumerate(wanted)]


def _measured_on(fingerprint: str | None, lines: Sequence[_SweepLine]) -> tuple[MeasuredData, str | None]:
    """The data, by their name if they are embedded ones, and their own zero-shot set: a sweep measures no other."""
    on_clear = any(_ON_CLEAR in line.metrics for line in lines)
    name, folder, notice = _CLEAR if on_clear else _SALMU
    embedded = load_data(name) if fingerprint and (assets_dir() / folder).is_dir() else None
    if embedded is None or embedded.fingerprint != fingerprint:
        return MeasuredData("clear:data of a sweep" if on_clear else "data of a sweep", fingerprint), None
    return MeasuredData(name, fingerprint, notice=notice), embedded.zero_shot.name if embedded.zero_shot else None


def _row(
    line: _SweepLine, position: int, path: Path, data: MeasuredData, zero_shot: str | None, names: Mapping[str, str]
) -> Row:
    known = {
        spec.name for spec in (official_metrics() if benchmark_of(data.name) == "SALMUBench" else metrics_of("CLEAR"))
    }
    role = next((r for r in REFERENCES if line.compared_at == "reference" and line.variant == r), None)
    measured = {name: spread for name, spread in line.metrics.items() if name in known and spread.mean is not None}
    values = {name: spread.mean for name, spread in measured.items() if spread.mean is not None}
    label, outcome = _outcome(line)
    return Row(
        id=hashlib.sha256(f"{path}\0{position}".encode(errors="surrogateescape")).hexdigest()[:12],
        name=plain_text(line.variant if role is None else names.get(role, line.variant)),
        source=RowSource.SWEEP,
        origin=plain_text(path.parent.name),
        data=data,
        values=values,
        zero_shot=zero_shot,
        role=role,
        role_from="told",
        file=path,
        label=label,
        reason=outcome,
        spread={name: spread.deviation for name, spread in measured.items() if spread.deviation is not None},
    )


def _outcome(line: _SweepLine) -> tuple[Label | None, str]:
    """The label of most seeds, and how many have which."""
    labels = {label: count for label, count in line.diagnoses.items() if label in set(Label)}
    if not labels:
        return None, ""
    most = max(labels, key=lambda label: labels[label])
    told = ", ".join(f"{label} ({count})" for label, count in labels.items()) if len(labels) > 1 else ""
    if line.compared_at == "reference" or line.seeds == (1, 1):
        return Label(most), ""
    return Label(most), f"Mean of {line.seeds[0]} of {line.seeds[1]} seeds{f': {told}' if told else ''}."
