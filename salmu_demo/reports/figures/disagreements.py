"""The rows that two models see most differently, as a table first and as pairs of ranks second."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter

from salmu_demo.data.layout import kind_title
from salmu_demo.reports.figures.canvas import FAINT, LANDSCAPE_WIDTH, MUTED, TEXT, FigureSheet, dot, plain, tell
from salmu_demo.reports.report import MissingFigure, ReportFigure, Table
from salmu_demo.reports.roles import RoleStyle
from salmu_demo.reports.text import NOTHING
from salmu_demo.results.analysis import Analysis, Disagreement

_TITLE: Final = "Where two models disagree most"
_MOST_PAIRS: Final = 4
_ROW: Final = 0.29
_HEAD: Final = 0.34
_AXIS: Final = 0.42


def disagreements(analysis: Analysis, note: str) -> ReportFigure | MissingFigure:
    """The first pairs that hold an unlearned model, or the references if there is none."""
    pairs = shown_pairs(analysis)
    if not pairs:
        return MissingFigure(_TITLE, "It needs two models whose ranks in RetFail are known row by row.")
    names = analysis.names
    rows = tuple(
        (e.file_name, NOTHING if e.kind is None else kind_title(e.kind), e.text, f"{names[d.first]}: {e.first:,.10g}",
         f"{names[d.second]}: {e.second:,.10g}")
        for d in pairs
        for e in d.examples
    )  # fmt: skip
    return ReportFigure(
        "disagreements",
        _TITLE,
        _sentence(analysis, pairs),
        Table(
            "Rows with the largest difference of 1 / rank in RetFail; the rank of the image's own caption.",
            ("Image", "Attribute", "Caption", "Rank", "Rank"),
            rows,
            5,
        ),
        lambda landscape=False: _draw(analysis, pairs, note, landscape),
    )


def shown_pairs(analysis: Analysis) -> list[Disagreement]:
    """The pairs a reader wants to see; all of them are in the CSV table."""
    found = [d for d in analysis.disagreements if d.examples]
    unlearned = {number for number, model in enumerate(analysis.models) if model.diagnosis is not None}
    return ([d for d in found if {d.first, d.second} & unlearned] or found)[:_MOST_PAIRS]


def _sentence(analysis: Analysis, pairs: Sequence[Disagreement]) -> str:
    def gap(d: Disagreement) -> float:
        return abs(1 / d.examples[0].first - 1 / d.examples[0].second)

    widest = max(pairs, key=gap)
    example = widest.examples[0]
    return (
        "The rows whose 1 / rank in RetFail differs most between two models; the largest difference is "
        f"{gap(widest):.4f}, where "
        f"{analysis.names[widest.first]} ranks the caption of {example.file_name} at {example.first:,.10g} and "
        f"{analysis.names[widest.second]} at {example.second:,.10g}."
    )


def _draw(analysis: Analysis, pairs: Sequence[Disagreement], note: str, landscape: bool) -> Figure:
    """The pairs below each other, or in two columns."""
    across = min(2, len(pairs)) if landscape else 1
    columns = [pairs[start::across] for start in range(across)]
    heights = [sum(_HEAD + _ROW * len(pair.examples) for pair in column) for column in columns]
    sheet = FigureSheet(analysis.comparison.models, max(heights) + _AXIS, note, landscape=landscape)
    beside = LANDSCAPE_WIDTH / across
    last = max(max(e.first, e.second) for d in pairs for e in d.examples)
    for number, column in enumerate(columns):
        top, left = 0.0, beside * number if landscape else 0.0
        right = sheet.width - left - beside + 0.14 if landscape else 0.14
        for pair in column:
            top += _HEAD
            names = [plain(analysis.names[n], 19 if landscape else 30) for n in (pair.first, pair.second)]
            sheet.heading(top - 0.08, " and ".join(names).replace(r"\$", "$"), left)
            axes = sheet.axes(top, _ROW * len(pair.examples), left + 0.14, right)
            axes.set_xlim(0.8, last * 1.4)
            _draw_pair(axes, pair, analysis.names, sheet.styles)
            axes.tick_params(axis="x", labelbottom=pair is column[-1])
            top += _ROW * len(pair.examples)
        axes.set_xlabel("Rank of the image's own caption (1 is the first)", fontsize=9, color=TEXT)
    return sheet.figure


def _draw_pair(axes: Axes, pair: Disagreement, names: Sequence[str], styles: Sequence[RoleStyle]) -> None:
    axes.set_xscale("log")
    axes.set_ylim(len(pair.examples), 0)
    for row, example in enumerate(pair.examples):
        y = row + 0.7
        axes.plot([example.first, example.second], [y, y], color=MUTED, linewidth=1.0, zorder=2)
        for number, rank in ((pair.first, example.first), (pair.second, example.second)):
            (drawn,) = axes.plot(rank, y, zorder=3, **dot(styles[number]))
            words = f"{names[number]}: rank {rank:,.10g} of “{example.text}”"
            tell(drawn, words, example.identity or "", example.kind or "")
        axes.text(0.86, row + 0.28, plain(example.text, 62), fontsize=7.5, color=TEXT, va="center")
        axes.axhline(row, color=FAINT, linewidth=0.5, zorder=0)
    axes.set_yticks([])
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
