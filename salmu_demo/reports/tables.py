"""Comparison tables as CSV and as text."""

import csv
import io

from salmu_demo.results.comparison import Comparison

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_text(value: str) -> str:
    """Text that a spreadsheet shows instead of running it as a formula.

    >>> csv_text("=1+1"), csv_text("+49 1234"), csv_text("Ulm")
    ("'=1+1", "'+49 1234", 'Ulm')
    """
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else value


def comparison_csv(comparison: Comparison) -> str:
    """One line for each (metric, model): value, target and gaps, with six decimals; every line says on what data."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["number", "metric", "pillar", "model", "fingerprint", "value", "target", "gap_to_target", "gap_to_clean",
         "gap_to_compromised", "data", "notice"]
    )  # fmt: skip
    for row in comparison.rows:
        for number, (model, cell) in enumerate(zip(comparison.models, row.cells, strict=True)):
            numbers = (cell.value, row.target, row.distance(number), cell.gap_to_clean, cell.gap_to_compromised)
            texts = (row.spec.number, row.spec.name, row.spec.pillar, csv_text(model.name), model.fingerprint or "")
            about = (csv_text(comparison.data.title), csv_text(comparison.data.notice))
            writer.writerow([*texts, *("" if n is None else f"{n:.6f}" for n in numbers), *about])
    return buffer.getvalue()


def comparison_text(comparison: Comparison) -> str:
    """The table for a terminal: a line for each metric, a column for each model, the gap to the target in brackets."""
    header = ["metric", "target", *(model.name for model in comparison.models)]
    lines = [header]
    for row in comparison.rows:
        cells = []
        for number, cell in enumerate(row.cells):
            gap = row.distance(number)
            value = "skipped" if cell.value is None else f"{cell.value:.4f}"
            cells.append(value if gap is None else f"{value} ({gap:+.4f})")
        target = "-" if row.target is None else f"{row.target:.4f} {row.spec.reference}"
        lines.append([f"{row.spec.number} {row.spec.name}", target, *cells])
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
