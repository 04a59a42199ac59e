"""Table of a sweep's results: mean and spread over seeds, at equal budgets and at equal forgetting."""

import csv
import io
import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from salmu_demo.core.text import csv_text
from salmu_demo.data.source import benchmark_of
from salmu_demo.metrics import official_metrics
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD
from salmu_demo.reports.markdown import markdown_text
from salmu_demo.results.diagnosis import diagnose
from salmu_demo.results.evidence import NOTHING, Evidence, Values
from salmu_demo.results.records import RecordedAttack
from salmu_demo.sweeps.run import RunResult

CLEAR_COLUMNS: Final = (
    "RealTables", "RetainTables", "ForgetTables", "FQRowsGen", "FQGen", "FQKSGen", "ModelUtility", "ForgetCapROUGE",
    "RetainCapROUGE", "ForgetFaceROUGE", "RetainFaceROUGE", "ForgetCapProbGen", "RetainCapProbGen", "ForgetCapTRAllGen",
)  # fmt: skip
"""Metrics of CLEAR in the table of a sweep on it: the four columns of the paper's tables first; all are in the results
of the runs."""

CRITERIA: Final = ("gone", "lost", "kept")
"""Column names of the quantities that decide the first questions of the diagnosis."""


@dataclass(frozen=True)
class Spread:
    """Mean and spread of a metric over seeds.

    Attributes:
        mean: mean of the seeds that have a value; None without any.
        deviation: their sample standard deviation; None for fewer than two.
    """

    mean: float | None
    deviation: float | None

    def __str__(self) -> str:
        if self.mean is None:
            return "-"
        return f"{self.mean:.3f}" if self.deviation is None else f"{self.mean:.3f} ± {self.deviation:.3f}"


@dataclass(frozen=True)
class TableRow:
    """One row: a reference, or all seeds of one variant.

    Attributes:
        compared_at: "reference", "budget" or "forgetting".
        variant: name of the reference, or method with what differs from its defaults.
        seeds: how many runs have values here, of how many.
        metrics: the ten official metrics by name, or those of CLEAR.
        pairs: forget pairs spent, averaged.
        seconds: of a run, averaged.
        criteria: what decides the diagnosis' first three questions, as shares, averaged over the runs that have them:
            leak gone, general knowledge lost, holdouts kept; empty for Clean and Compromised, and on CLEAR.
        diagnoses: what became of the runs, with how many of each; empty for Clean and Compromised, and on CLEAR.
        problems: sentences of runs without a result.
        recovered: largest share of the leak that an attack brings back; None where no run was attacked.
    """

    compared_at: str
    variant: str
    seeds: tuple[int, int]
    metrics: dict[str, Spread]
    pairs: float | None
    seconds: float | None
    criteria: tuple[float | None, ...]
    diagnoses: dict[str, int]
    problems: tuple[str, ...]
    recovered: Spread | None = None

    @property
    def diagnosis(self) -> str:
        """The diagnoses in words."""
        if len(self.diagnoses) == 1:
            return next(iter(self.diagnoses))
        return ", ".join(f"{label} ({count})" for label, count in self.diagnoses.items())


def sweep_table(results: Sequence[RunResult], references: Mapping[str, Evidence]) -> list[TableRow]:
    """The references, then all variants at their budgets, then at equal forgetting if the sweep asks for it.

    Args:
        results: all runs.
        references: what was measured of "compromised", and perhaps of "clean" and "gold".
    """
    on_clear = any(benchmark_of(result.job.data) == "CLEAR" for result in results)
    sheet = _RowMaker(
        CLEAR_COLUMNS if on_clear else [spec.name for spec in official_metrics()], references, not on_clear
    )
    rows = [sheet.reference(role) for role in references]
    variants = _by_variant(results)
    rows += [sheet.row("budget", name, runs) for name, runs in variants.items()]
    if any(result.job.equal_forgetting for result in results):
        rows += [sheet.row("forgetting", name, runs) for name, runs in variants.items()]
    return rows


@dataclass(frozen=True)
class _RowMaker:
    """Makes rows of a table.

    Attributes:
        columns: names of its metrics.
        references: what was measured of the references.
        diagnoses: whether there is a diagnosis, which CLEAR does not have.
    """

    columns: Sequence[str]
    references: Mapping[str, Evidence]
    diagnoses: bool

    def reference(self, role: str) -> TableRow:
        """A reference; Gold is what a perfect method would make, and diagnosed as a method's result is."""
        found = self.references[role]
        criteria, diagnoses = self._diagnosed([found] if role == GOLD else [])
        recovered = _recovered([found.attacks] if found.attacks else [])
        return TableRow(
            "reference", role, (1, 1), self._spreads([found.values]), None, None, criteria if role == GOLD else (),
            diagnoses, (), recovered,
        )  # fmt: skip

    def row(self, compared_at: str, variant: str, runs: Sequence[RunResult]) -> TableRow:
        """All seeds of a variant."""
        found: list[tuple[Evidence, float]] = []
        for run in runs:
            if compared_at == "budget" and run.final:
                found.append((run.final.evidence(run.attacks), run.job.budget))
            elif compared_at == "forgetting" and run.at_level and run.level_pairs is not None:
                found.append((run.at_level.evidence(run.level_attacks), run.level_pairs))
        criteria, diagnoses = self._diagnosed([evidence for evidence, _ in found])
        return TableRow(
            compared_at,
            variant,
            (len(found), len(runs)),
            self._spreads([evidence.values for evidence, _ in found]),
            statistics.mean(pairs for _, pairs in found) if found else None,
            statistics.mean(run.seconds for run in runs),
            criteria,
            diagnoses,
            tuple(run.problem for run in runs if run.problem),
            _recovered([evidence.attacks for evidence, _ in found if evidence.attacks]),
        )

    def _diagnosed(self, found: Sequence[Evidence]) -> tuple[tuple[float | None, ...], dict[str, int]]:
        """What decides the first questions, averaged, and how many models have each label."""
        if not self.diagnoses:
            return (), {}
        targets = [self.references.get(role, NOTHING) for role in (CLEAN, COMPROMISED, GOLD)]
        diagnoses = [diagnose(evidence, *targets) for evidence in found]
        shares = [[criterion.value for criterion in diagnosis.criteria[: len(CRITERIA)]] for diagnosis in diagnoses]
        means = tuple(_mean(values) for values in zip(*shares, strict=True))
        return means, dict(Counter(str(diagnosis.label) for diagnosis in diagnoses))

    def _spreads(self, several: Sequence[Values]) -> dict[str, Spread]:
        return {
            name: spread_of([value for values in several if (value := values.get(name)) is not None])
            for name in self.columns
        }


def _by_variant(results: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """Runs that differ only in their seed; the name has the budget if a method has several."""
    budgets: dict[str, set[int]] = {}
    for result in results:
        budgets.setdefault(result.job.variant, set()).add(result.job.budget)
    variants: dict[str, list[RunResult]] = {}
    for result in results:
        name = result.job.variant
        if len(budgets[name]) > 1:
            name += f", budget {result.job.budget:,}"
        variants.setdefault(name, []).append(result)
    return variants


def _recovered(attacked: Sequence[Sequence[RecordedAttack]]) -> Spread | None:
    """Of several models the largest share that any attack brings back; None where none was attacked."""
    most = [
        max((one.recovered.value for one in records if one.counts and one.recovered is not None), default=None)
        for records in attacked
    ]
    return spread_of([share for share in most if share is not None]) if most else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def spread_of(known: Sequence[float]) -> Spread:
    """Mean and spread of the values of several seeds."""
    return Spread(_mean(known), statistics.stdev(known) if len(known) > 1 else None)


def table_json(rows: Sequence[TableRow]) -> str:
    """All rows as JSON."""
    content: list[dict[str, Any]] = [asdict(row) for row in rows]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def table_csv(rows: Sequence[TableRow]) -> str:
    """One line for each row, with mean and standard deviation of every metric."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    measured = [f"{name}{part}" for name in rows[0].metrics for part in ("", "_sd")]
    first = ["compared_at", "variant", "seeds", "of", "pairs", "seconds"]
    attacked = _attacked(rows)
    writer.writerow([*first, *measured, *CRITERIA, *attacked, "diagnosis", "problems"])
    for row in rows:
        numbers = [n for spread in row.metrics.values() for n in (spread.mean, spread.deviation)]
        writer.writerow(
            [
                row.compared_at,
                csv_text(row.variant),
                *row.seeds,
                *("" if n is None else f"{n:.1f}" for n in (row.pairs, row.seconds)),
                *("" if n is None else f"{n:.6f}" for n in (*numbers, *(row.criteria or [None] * len(CRITERIA)))),
                *("" if n is None else f"{n:.6f}" for n in [row.recovered and row.recovered.mean] * len(attacked)),
                row.diagnosis,
                csv_text(" ".join(row.problems)),
            ]
        )
    return buffer.getvalue()


def _attacked(rows: Sequence[TableRow]) -> list[str]:
    """The head of the column on attacks, if there is something to stand in it."""
    return ["recovered"] if any(row.recovered is not None for row in rows) else []


def table_markdown(rows: Sequence[TableRow], said: Sequence[str] = ()) -> str:
    """A Markdown table for each way of comparing, the references in each.

    Args:
        rows: of `sweep_table`.
        said: sentences on the references, which stand first.
    """
    titles = {"budget": "At equal budget", "forgetting": "At equal forgetting"}
    references = [row for row in rows if row.compared_at == "reference"]
    attacked = _attacked(rows)
    diagnosed = [] if tuple(rows[0].metrics) == CLEAR_COLUMNS else list(CRITERIA)
    header = [
        "method",
        "seeds",
        "pairs",
        *rows[0].metrics,
        *diagnosed,
        *attacked,
        *(["diagnosis"] if diagnosed else []),
    ]
    parts = ["\n".join(f"* {markdown_text(sentence)}" for sentence in said)] if said else []
    for compared_at, title in titles.items():
        chosen = [row for row in rows if row.compared_at == compared_at]
        if not chosen:
            continue
        lines = [f"## {title}", "", f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
        for row in [*references, *chosen]:
            seeds = "" if row.compared_at == "reference" else f"{row.seeds[0]} of {row.seeds[1]}"
            outcome = row.diagnosis or ("reference" if row.compared_at == "reference" else "not reached")
            pairs = "" if row.pairs is None else f"{row.pairs:,.0f}"
            shares = ["-" if share is None else f"{share:.1%}" for share in row.criteria] or [""] * len(diagnosed)
            shares += ["" if row.recovered is None else str(row.recovered) for _ in attacked]
            cells = [row.variant.replace("|", "\\|"), seeds, pairs, *map(str, row.metrics.values()), *shares, outcome]
            lines.append(f"| {' | '.join(cells[: len(header)])} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
