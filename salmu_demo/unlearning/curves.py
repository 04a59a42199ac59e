"""Training curves as SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from salmu_demo.core.files import atomic_path


def draw_curve(entries: Sequence[dict[str, Any]], unit: str, readings: Sequence[str], path: Path) -> None:
    """Draw readings over `unit`; the same entries give the same file. Raises :class:`StorageError`."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for reading, marker in zip(readings, "so^D", strict=True):
        points = [(entry[unit], entry[reading]) for entry in entries]
        axes.plot(*zip(*points, strict=True), marker=marker, markersize=4, label=reading.replace("_", " "))
    axes.set_xlabel(unit)
    axes.set_ylim(min(-0.1, *(entry[reading] for entry in entries for reading in readings)) - 0.02, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    # Without a date and with ids that are no chance the same readings give the same file.
    with atomic_path(path, "The curve") as temporary, rc_context({"svg.hashsalt": "salmu-demo"}):
        figure.savefig(temporary, metadata={"Date": None})
