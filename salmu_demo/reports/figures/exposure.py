"""How exposed each attribute of each persona is: a heat map for each model, the personas in the same order."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from salmu_demo.data.layout import kind_title
from salmu_demo.reports.figures.canvas import FAINT, MUTED, TEXT, FigureSheet, plain, tell
from salmu_demo.reports.report import MissingFigure, ReportFigure, Table
from salmu_demo.reports.text import NOTHING, counted, listed
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.breakdown import ExposureGrid
from salmu_demo.results.records import MeasuredModel

_TITLE: Final = "Caption exposure by persona and attribute"
_MOST_ACROSS: Final = 4
_MOST_ACROSS_LANDSCAPE: Final = 5
_LANDSCAPE_BODY: Final = 7.2
"""Inches of several lines of maps that fit a page of paper, with the legend and the note."""

_LABELLED: Final = 40
"""Personas up to which each is named; more are an image, not a list."""

_MOST_TOLD: Final = 1000
"""Cells up to which each says on a page what it is; more would make it heavy."""

_SHOWN: Final = 10
_LEFT: Final = 0.72
_NAMES: Final = 1.15
_HEAD: Final = 0.26
_KINDS: Final = 0.86
_BAR: Final = 0.52


def exposure(analysis: Analysis, note: str, people: Mapping[str, str]) -> ReportFigure | MissingFigure:
    """Small multiples, personas from the most to the least exposed one over all models; `people` has their names."""
    known = [(number, model.exposure) for number, model in enumerate(analysis.models)]
    grids = [(number, grid) for number, grid in known if grid is not None and grid.bits.size]
    if not grids:
        return MissingFigure(_TITLE, "No model has RetFail's ranks with their personas; a results.json holds them.")
    names = [analysis.names[number] for number, _ in grids]
    aligned = aligned_grids([grid for _, grid in grids])
    means = [np.nanmean(grid.bits, axis=1) for grid in aligned]
    personas = aligned[0].personas
    ends = list(range(len(personas)))
    if len(ends) > 2 * _SHOWN:
        ends = ends[:_SHOWN] + ends[-_SHOWN:]
    which = "the most and the least exposed" if len(ends) < len(personas) else "all"
    table = Table(
        f"Mean caption exposure of a persona in bits; {which} of {counted(len(personas), 'persona')}.",
        ("Persona", *names),
        tuple((people.get(personas[n], personas[n]), *(_bits(mean[n]) for mean in means)) for n in ends),
    )
    models = [analysis.comparison.models[number] for number, _ in grids]
    return ReportFigure(
        "exposure",
        _TITLE,
        _sentence(names, aligned, people),
        table,
        lambda landscape=False: _draw(models, aligned, note, people, landscape),
    )


def aligned_grids(grids: list[ExposureGrid]) -> list[ExposureGrid]:
    """The same personas and kinds for all, the persona that is the most exposed over all models first."""
    personas = sorted({p for grid in grids for p in grid.personas})
    kinds = tuple(dict.fromkeys(k for grid in grids for k in grid.kinds))
    cubes = np.full((len(grids), len(personas), len(kinds)), np.nan)
    for cube, grid in zip(cubes, grids, strict=True):
        rows = [personas.index(p) for p in grid.personas] if list(grid.personas) != personas else range(len(personas))
        cube[np.ix_(list(rows), [kinds.index(k) for k in grid.kinds])] = grid.bits
    order = np.argsort(-np.nanmean(cubes, axis=(0, 2)), kind="stable")
    return [ExposureGrid(tuple(personas[n] for n in order), kinds, cube[order]) for cube in cubes]


def _bits(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{value:.4f}"


def _sentence(names: list[str], grids: list[ExposureGrid], people: Mapping[str, str]) -> str:
    means = [f"{_bits(float(np.nanmean(grid.bits)))} bits for {n}" for n, grid in zip(names, grids, strict=True)]
    worst = max(range(len(grids)), key=lambda n: float(np.nanmax(grids[n].bits)))
    row, column = np.unravel_index(int(np.nanargmax(grids[worst].bits)), grids[worst].bits.shape)
    persona = grids[worst].personas[int(row)]
    whose = people.get(persona, f"persona {persona}")
    return (
        f"Caption exposure, log2(candidates) − log2(rank), of {counted(len(grids[0].personas), 'persona')} in "
        f"{counted(len(grids[0].kinds), 'kind')} of attribute, on average {listed(means)}; the highest is "
        f"{_bits(float(grids[worst].bits[row, column]))} bits, {whose} and "
        f"{kind_title(grids[worst].kinds[int(column)])}, for {names[worst]}."
    )


def _draw(
    models: Sequence[MeasuredModel], grids: list[ExposureGrid], note: str, people: Mapping[str, str], landscape: bool
) -> Figure:
    count = len(grids[0].personas)
    # 774 personas get two pixels or so each; few ones get a line of text each.
    lines = math.ceil(len(grids) / (_MOST_ACROSS_LANDSCAPE if landscape else _MOST_ACROSS))
    across = math.ceil(len(grids) / lines)
    most = 5.2 if lines == 1 else 3.4
    if landscape and lines > 1:
        most = (_LANDSCAPE_BODY - _BAR) / lines - _HEAD - _KINDS
    height = min(max(1.2, 0.13 * count), most)
    block = _HEAD + height + _KINDS
    sheet = FigureSheet(models, block * lines + _BAR, note, landscape=landscape)
    top_bits = max(float(np.nanmax(grid.bits)) for grid in grids)
    colours = mpl.colormaps["viridis"].with_extremes(bad=FAINT)
    named = count <= _LABELLED and height >= 0.12 * count
    left_of_all = _NAMES if named and people else _LEFT
    room = (sheet.width - left_of_all - 0.1) / across
    cells = sum(grid.bits.size for grid in grids)
    for number, grid in enumerate(grids):
        line, column = divmod(number, across)
        left = left_of_all + room * column
        axes = sheet.axes(block * line + _HEAD, height, left, sheet.width - left - room + 0.1)
        image = axes.imshow(
            _masked(grid.bits), aspect="auto", interpolation="nearest", cmap=colours, vmin=0, vmax=top_bits or 1
        )
        if cells <= _MOST_TOLD:
            _tell_cells(axes, grid, models[number].name, people)
        style = sheet.styles[number]
        axes.set_title(f"{style.marker} {plain(models[number].name, int(room * 11))}", fontsize=8, color=TEXT, pad=4)
        axes.set_xticks(
            range(len(grid.kinds)), [plain(kind_title(k), 14) for k in grid.kinds], rotation=90, fontsize=7.5
        )
        if column:
            axes.set_yticks([])
        elif named:
            axes.set_yticks(range(count), [plain(people.get(p, p), 18) for p in grid.personas], fontsize=7.5)
        else:
            axes.set_ylabel(f"{count} personas, most exposed first", fontsize=8, color=MUTED)
            axes.set_yticks([])
    bar = sheet.axes(block * lines + 0.06, 0.12, left_of_all)
    sheet.figure.colorbar(image, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=8, labelcolor=TEXT, length=2)
    bar.set_xlabel("Mean caption exposure in bits; grey: no row", fontsize=8, color=TEXT)
    return sheet.figure


def _tell_cells(axes: Axes, grid: ExposureGrid, model: str, people: Mapping[str, str]) -> None:
    """An unseen square on every cell, which says on a page what it is."""
    for row, persona in enumerate(grid.personas):
        for column, kind in enumerate(grid.kinds):
            if not np.isnan(grid.bits[row, column]):
                # What is drawn in no colour at all has no place where a pointer could rest.
                square = axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="white", alpha=0.002))
                whose = people.get(persona, f"persona {persona}")
                bits = _bits(float(grid.bits[row, column]))
                tell(square, f"{whose}, {kind_title(kind)}, {model}: {bits} bits", persona, kind)


def _masked(bits: NDArray[np.float64]) -> np.ma.MaskedArray[tuple[int, ...], np.dtype[np.float64]]:
    return np.ma.masked_invalid(bits)
