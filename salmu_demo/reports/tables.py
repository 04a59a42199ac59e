"""Tables to take away: CSV of everything an analysis holds, and the comparison as text."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from salmu_demo.core.text import aligned, csv_text
from salmu_demo.metrics.intervals import Interval
from salmu_demo.reports.text import printable
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.breakdown import GroupMean
from salmu_demo.results.comparison import Comparison
from salmu_demo.results.records import MeasuredData

_ABOUT: Final = ("data", "notice")

Cell = str | int | float | None


def csv_tables(analysis: Analysis) -> dict[str, str]:
    """All tables that have lines, by name; every line says on what data it was measured."""
    made = {
        "comparison": comparison_csv(analysis),
        "differences": differences_csv(analysis),
        "by_kind": _groups_csv(analysis, "kind", [model.by_kind for model in analysis.models]),
        "by_persona": _groups_csv(analysis, "persona", [model.by_persona for model in analysis.models]),
        "exposure": exposure_csv(analysis),
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
    """One line for each metric of each pair of models: value of the first minus value of the second."""
    header = ("metric", "first", "second", "difference", "interval_low", "interval_high", "leaves_out_0")
    names = analysis.names
    return csv_table(
        analysis.comparison.data,
        header,
        (
            (d.metric, names[d.first], names[d.second], d.difference.value, *_ends(d.difference.interval),
             "yes" if d.difference.significant else "no")
            for d in analysis.differences
        ),
    )  # fmt: skip


def exposure_csv(analysis: Analysis) -> str:
    """One line for each (model, persona, kind) with a measured row: mean exposure in bits."""

    def lines() -> Iterator[Sequence[Cell]]:
        for name, model in zip(analysis.names, analysis.models, strict=True):
            grid = model.exposure
            if grid is None:
                continue
            for persona, bits in zip(grid.personas, grid.bits.tolist(), strict=True):
                for kind, value in zip(grid.kinds, bits, strict=True):
                    if not math.isnan(value):
                        yield name, persona, kind, value

    return csv_table(analysis.comparison.data, ("model", "persona", "kind", "exposure_bits"), lines())


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
        target = "-" if row.target is None else f"{row.target:.4f} {row.spec.reference}"
        lines.append([f"{row.spec.number} {row.spec.name}", target, *cells])
    return lines


def comparison_text(comparison: Comparison) -> str:
    """The same as text, its columns aligned with spaces."""
    return aligned(comparison_lines(comparison))
