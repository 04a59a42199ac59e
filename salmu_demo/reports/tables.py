"""Tables to take away: CSV of everything an analysis holds, and the comparison as text."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from salmu_demo.core.text import aligned, csv_text
from salmu_demo.metrics.intervals import Interval
from salmu_demo.reports.text import capital, percent, printable, unsigned
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.breakdown import GroupMean
from salmu_demo.results.comparison import Comparison, target_role
from salmu_demo.results.diagnosis import Diagnosis
from salmu_demo.results.evidence import ForgetGroup
from salmu_demo.results.records import MeasuredData

_ABOUT: Final = ("data", "notice")

BY_SIDE: Final = ("RetFail", "AssocStr")
"""Metrics whose target depends on what else is kept of a person."""

Cell = str | int | float | None


def csv_tables(analysis: Analysis) -> dict[str, str]:
    """All tables that have lines, by name; every line says on what data it was measured."""
    made = {
        "comparison": comparison_csv(analysis),
        "differences": differences_csv(analysis),
        "by_kind": _groups_csv(analysis, "kind", [model.by_kind for model in analysis.models]),
        "by_persona": _groups_csv(analysis, "persona", [model.by_persona for model in analysis.models]),
        "by_side": sides_csv(analysis),
        "diagnosis": diagnosis_csv(analysis),
        "caption_exposure": caption_exposure_csv(analysis),
        "disagreements": disagreements_csv(analysis),
    }
    return {name: table for name, table in made.items() if table.count("\n") > 1}


def comparison_csv(analysis: Analysis) -> str:
    """One line for each (metric, model): value, interval, target, gaps, and where it lies between the references."""
    comparison = analysis.comparison
    header = (
        "number", "metric", "pillar", "model", "fingerprint", "value", "interval_low", "interval_high", "target",
        "gap_to_target", "gap_to_clean", "gap_to_compromised", "position", "scaled_distance", "remarks",
        "role", "role_from",
    )  # fmt: skip
    return csv_table(
        analysis.comparison.data,
        header,
        (
            (
                row.spec.number, row.spec.name, row.spec.pillar, measured.name, measured.fingerprint, cell.value,
                *_ends(model.intervals[row.spec.name]), row.target, row.distance(number), cell.gap_to_clean,
                cell.gap_to_compromised, model.positions[row.spec.name], model.distances[row.spec.name],
                " ".join(measured.remarks), measured.own_role.name, measured.own_role.origin,
            )
            for row in comparison.rows
            for number, (measured, cell, model) in enumerate(
                zip(comparison.models, row.cells, analysis.models, strict=True)
            )
        ),
    )  # fmt: skip


def differences_csv(analysis: Analysis) -> str:
    """One line for each metric of each pair of models: first minus second, and whether the first is better."""
    header = ("metric", "first", "second", "difference", "interval_low", "interval_high", "leaves_out_0", "standing")
    names = analysis.names
    return csv_table(
        analysis.comparison.data,
        header,
        (
            (d.metric, names[d.first], names[d.second], d.difference.value, *_ends(d.difference.interval),
             "yes" if d.difference.significant else "no", d.standing)
            for d in analysis.differences
        ),
    )  # fmt: skip


def sides_csv(analysis: Analysis) -> str:
    """One line for each (metric, model, side): number of people, mean and interval."""
    header = ("metric", "model", "side", "people", "mean", "interval_low", "interval_high")
    return csv_table(
        analysis.comparison.data,
        header,
        (
            (metric, name, side, found.people, found.mean, *_ends(found.interval))
            for name, model in zip(analysis.names, analysis.models, strict=True)
            for metric, sides in model.by_side.items()
            for side, found in sides.items()
        ),
    )


def diagnosis_csv(analysis: Analysis) -> str:
    """One line for each quantity of each diagnosed model."""
    header = (
        "model", "label", "question", "answer", "measure", "value", "interval_low", "interval_high", "threshold",
        "gold", "missing",
    )  # fmt: skip
    return csv_table(
        analysis.comparison.data,
        header,
        (
            (name, model.diagnosis.label, question.name, c.answer, c.measure, c.value, *_ends(c.interval), c.threshold,
             c.gold, c.missing)
            for name, model in zip(analysis.names, analysis.models, strict=True)
            if model.diagnosis is not None
            for question in model.diagnosis.questions
            for c in question.criteria
        ),
    )  # fmt: skip


def caption_exposure_csv(analysis: Analysis) -> str:
    """One line for each (model, persona, kind) with a measured row: mean caption exposure in bits."""

    def lines() -> Iterator[Sequence[Cell]]:
        for name, model in zip(analysis.names, analysis.models, strict=True):
            grid = model.exposure
            if grid is None:
                continue
            for persona, bits in zip(grid.personas, grid.bits.tolist(), strict=True):
                for kind, value in zip(grid.kinds, bits, strict=True):
                    if not math.isnan(value):
                        yield name, persona, kind, value

    return csv_table(analysis.comparison.data, ("model", "persona", "kind", "caption_exposure_bits"), lines())


def disagreements_csv(analysis: Analysis) -> str:
    """One line for each example of each pair of models, with the rank of the row's own caption by both."""
    header = ("first", "second", "file_name", "persona", "kind", "caption", "first_rank", "second_rank")
    names = analysis.names
    return csv_table(
        analysis.comparison.data,
        header,
        (
            (names[d.first], names[d.second], e.file_name, e.identity, e.kind, e.text, e.first, e.second)
            for d in analysis.disagreements
            for e in d.examples
        ),
    )


def _groups_csv(analysis: Analysis, what: str, groups: Sequence[dict[str, dict[str, GroupMean]]]) -> str:
    """One line for each (metric, model, group): number of rows and their mean."""
    return csv_table(
        analysis.comparison.data,
        ("metric", "model", what, "rows", "mean"),
        (
            (metric, name, group, mean.count, mean.mean)
            for name, by_metric in zip(analysis.names, groups, strict=True)
            for metric, found in by_metric.items()
            for group, mean in found.items()
        ),
    )


def csv_table(data: MeasuredData, header: Sequence[str], lines: Iterable[Sequence[Cell]]) -> str:
    """A table with numbers of six decimals, and the data in the last columns of every line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*header, *_ABOUT])
    for line in lines:
        writer.writerow([_cell(value) for value in (*line, data.title, data.notice)])
    return buffer.getvalue()


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return csv_text(printable(value))
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _ends(found: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if found is None else (found.low, found.high)


def comparison_lines(comparison: Comparison) -> list[list[str]]:
    """The table for a terminal, its header first: a line for each metric, a column for each model, gaps in brackets."""
    header = ["metric", "target", *(model.name for model in comparison.models)]
    titles = [model.own_role.title for model in comparison.models]
    lines = [header, ["", "", *titles]] if any(titles) else [header]
    for row in comparison.rows:
        cells = []
        for number, cell in enumerate(row.cells):
            gap = row.distance(number)
            value = "skipped" if cell.value is None else f"{cell.value:.4f}"
            cells.append(value if gap is None else f"{value} ({gap:+.4f})")
        target = "-" if row.target is None else f"{row.target:.4f} {target_role(row.spec)}"
        lines.append([f"{row.spec.number} {row.spec.name}", target, *cells])
    return lines


def first_lines(analysis: Analysis) -> list[str]:
    """How often the true caption or value is the first, a line for each metric that ranks."""
    lines = []
    for row in analysis.comparison.rows:
        results = [model.evaluation.results.get(row.spec.name) for model in analysis.models]
        shares = [
            f"{name} {percent(result.r_at_1)}"
            for name, result in zip(analysis.names, results, strict=True)
            if result is not None and result.r_at_1 is not None
        ]
        if shares:
            lines.append(f"{row.spec.name}, share ranked first: {', '.join(shares)}.")
    return lines


def side_lines(analysis: Analysis) -> list[str]:
    """The two metrics that depend on it by what else is kept of a person, a line for each kind of people."""
    return [
        f"{metric} of {side}: "
        + ", ".join(
            f"{name} {unsigned(found.mean)}"
            for name, model in zip(analysis.names, analysis.models, strict=True)
            if (found := model.by_side.get(metric, {}).get(side)) is not None
        )
        + "."
        for metric in BY_SIDE
        for side in (ForgetGroup.NOTHING_KEPT, ForgetGroup.BOTH)
        if any(side in model.by_side.get(metric, {}) for model in analysis.models)
    ]


def diagnosis_lines(name: str, diagnosis: Diagnosis) -> list[str]:
    """The label of a model, and a line for each question: its answer, and the quantity that decides it."""
    head = " ".join(filter(None, (f"{name}: {diagnosis.label}.", diagnosis.proviso)))
    return [head, *(f"  {q.words} {capital(q.answer)}: {q.deciding.sentence}" for q in diagnosis.questions)]


def comparison_text(comparison: Comparison) -> str:
    """The same as text, its columns aligned with spaces."""
    return aligned(comparison_lines(comparison))
