"""The sheet all figures are drawn on: white in any theme, measured in inches, for a narrow screen first."""

import io
import textwrap
import threading
import warnings
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from salmu_demo.reports.roles import RoleStyle, role_styles
from salmu_demo.reports.text import printable
from salmu_demo.results.records import MeasuredData, MeasuredModel

DPI: Final = 200
WIDTH: Final = 4.6
"""Inches. On a screen of 390 pixels a point is then a little more than a pixel: 9 point text stays legible."""

TEXT: Final = "#1f2937"
MUTED: Final = "#4b5563"
FAINT: Final = "#d1d5db"

_LEGEND_LINE: Final = 0.185
_NOTE_LINE: Final = 0.125
_NOTE_CHARACTERS: Final = 92
_FOOT: Final = 0.08

_MARKERS: Final = {"●": ("o", 6.5), "■": ("s", 6.0), "▲": ("^", 7.0), "◆": ("D", 5.5), "▼": ("v", 7.0), "★": ("*", 9.0)}
"""Matplotlib's marker and size in points for the character that stands for a model in tables."""

# A letter that DejaVu lacks is drawn as a box; the table beside the figure has it, so nobody needs to be warned.
warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from font", category=UserWarning)

_SVG_LOCK: Final = threading.Lock()


class Sheet:
    """A figure with a legend of the models above its body and a note below.

    Attributes:
        figure: the figure, `WIDTH` inches wide.
        styles: look of each model.
    """

    def __init__(
        self, models: Sequence[MeasuredModel], body: float, note: str = "", more: Sequence[Line2D] = ()
    ) -> None:
        """Lay out a sheet.

        Args:
            models: the models, with their roles.
            body: height in inches of what lies between legend and note.
            note: a sentence to print below.
            more: further entries of the legend.
        """
        self.styles = role_styles([model.own_role for model in models])
        handles = [
            # With more models than looks a number tells them apart.
            Line2D(
                [], [], label=plain(f"{n}. {_label(m)}" if self.styles.count(style) > 1 else _label(m)), **dot(style)
            )
            for n, (m, style) in enumerate(zip(models, self.styles, strict=True), start=1)
        ]
        handles += more
        lines = textwrap.wrap(printable(note), _NOTE_CHARACTERS)
        self._top = _LEGEND_LINE * len(handles) + 0.06
        self._height = self._top + body + _NOTE_LINE * len(lines) + _FOOT
        self.figure = Figure(figsize=(WIDTH, self._height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        self.figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(0.0, 1 - 0.03 / self._height), frameon=False,
            fontsize=9, labelspacing=0.25, handletextpad=0.2, labelcolor=TEXT,
        )  # fmt: skip
        self.figure.text(
            0.02, _FOOT * 0.6 / self._height, plain("\n".join(lines), None), fontsize=6.5, color=MUTED, va="bottom"
        )

    def axes(self, top: float, height: float, left: float, right: float = 0.14) -> Axes:
        """Axes at a distance from the top of the body and from both sides, in inches, in the house style."""
        bottom = self._height - self._top - top - height
        axes = self.figure.add_axes(
            (left / WIDTH, bottom / self._height, (WIDTH - left - right) / WIDTH, height / self._height)
        )
        axes.tick_params(labelsize=8, labelcolor=TEXT, length=0)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_color(FAINT)
        return axes

    def heading(self, top: float, text: str) -> None:
        """A bold line; `top` is where its base lies below the top of the body, in inches."""
        y = (self._height - self._top - top) / self._height
        self.figure.text(0.02, y, plain(text, None), fontsize=9, fontweight="bold", color=TEXT)


def _label(model: MeasuredModel) -> str:
    """A model in the legend; a built-in or official name tells the role by itself."""
    role = model.own_role
    return model.name if role.origin == "name" or not role.title else f"{model.name}, {role.title}"


def dot(style: RoleStyle) -> dict[str, Any]:
    """How a model's dot is drawn: matplotlib's arguments."""
    marker, size = _MARKERS[style.marker]
    # The dark edge keeps light colours visible on white.
    return {
        "linestyle": "none",
        "marker": marker,
        "markersize": size,
        "color": style.colour,
        "markeredgecolor": TEXT,
        "markeredgewidth": 0.6,
    }


def plain(name: str, longest: int | None = 52) -> str:
    """Text that matplotlib does not take for mathematics or for a hidden label, cut to the width of the figure.

    >>> plain("_a$"), plain("abc", 2)
    (' _a\\\\$', 'a…')
    """
    short = name if longest is None else printable(name, longest)
    escaped = short.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def data_note(data: MeasuredData) -> str:
    """What every image says about its data, so that it can travel alone."""
    return " ".join(filter(None, (f"Measured on {data.title}.", data.notice)))


def figure_png(figure: Figure) -> bytes:
    """The figure as PNG; the same figure gives the same bytes."""
    return _saved(figure, "png", {"Software": None})


def figure_svg(figure: Figure) -> bytes:
    """The figure as SVG, its letters as outlines; the same figure gives the same bytes."""
    # The names of elements depend on a salt that matplotlib reads from its global settings only.
    with _SVG_LOCK, mpl.rc_context({"svg.hashsalt": "salmu-demo"}):
        return _saved(figure, "svg", {"Date": None, "Creator": None})


def _saved(figure: Figure, kind: str, metadata: dict[str, str | None]) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, dpi=DPI, facecolor="white", metadata=metadata)
    return stream.getvalue()


def reference_line(label: str, **look: Any) -> Line2D:
    """An entry of the legend for a line."""
    return Line2D([], [], label=label, color=TEXT, **look)
