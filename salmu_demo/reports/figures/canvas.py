"""The sheet all figures are drawn on, measured in inches: upright for a narrow screen, or landscape for a paper."""

import io
import json
import math
import re
import textwrap
import threading
import warnings
from collections.abc import Callable, Sequence
from html import escape, unescape
from typing import Any, Final
from urllib.parse import quote, unquote

import matplotlib as mpl
from matplotlib.artist import Artist
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

LANDSCAPE_WIDTH: Final = 7.0
"""Inches: the text of an A4 page, or of both columns of a paper."""

LEAST_POINTS: Final = 7
"""No text of a figure is smaller."""

TEXT: Final = "#1f2937"
MUTED: Final = "#4b5563"
FAINT: Final = "#d1d5db"

_LEGEND_LINE: Final = 0.185
_LEGENDS_ACROSS: Final = 3
_LANDSCAPE_NAME: Final = 30
_NOTE_LINE: Final = 0.135
_NOTE_CHARACTERS: Final = 18.5
"""In an inch."""
_FOOT: Final = 0.08
_MARGIN: Final = 0.09

_MARKERS: Final = {
    "●": ("o", 6.5),
    "■": ("s", 6.0),
    "▲": ("^", 7.0),
    "◆": ("D", 5.5),
    "▼": ("v", 7.0),
    "★": ("*", 9.0),
    "✚": ("P", 7.5),
    "⬢": ("h", 7.0),
    "⬟": ("p", 7.5),
    "✦": ((4, 1, 0), 9.5),
    "►": (">", 7.0),
}
"""Matplotlib's marker and size in points for the character that stands for a model in tables."""

# A letter that DejaVu lacks is drawn as a box; the table beside the figure has it, so nobody needs to be warned.
warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from font", category=UserWarning)

_SETTINGS_LOCK: Final = threading.Lock()

_TELLS: Final = "tell:"
_TOLD: Final = re.compile(rf'<a xlink:href="{_TELLS}([^"]*)" target="_blank">(.*?)</a>', re.DOTALL)
_MARK: Final = re.compile(r'<g data-persona="([^"]*)" data-kind="([^"]*)"><title>([^<]*)</title>(.*?)</g>', re.DOTALL)
_STYLE: Final = re.compile(r"<style.*?</style>", re.DOTALL)
_ID: Final = re.compile(r'( id="|url\(#|xlink:href="#)')
_INKS: Final = {"#ffffff": "--paper", TEXT: "--ink", MUTED: "--faded", FAINT: "--rule"}
"""What a page may colour by its theme."""


class FigureSheet:
    """A figure with a legend of the models above its body and a note below.

    Attributes:
        figure: the figure.
        width: its width in inches, `WIDTH` or `LANDSCAPE_WIDTH`.
        styles: look of each model.
    """

    def __init__(
        self,
        models: Sequence[MeasuredModel],
        body: float,
        note: str = "",
        more: Sequence[Line2D] = (),
        landscape: bool = False,
    ) -> None:
        """Lay out a sheet.

        Args:
            models: the models, with their roles.
            body: height in inches of what lies between legend and note.
            note: a sentence to print below.
            more: further entries of the legend.
            landscape: whether it is wide.
        """
        self.width = LANDSCAPE_WIDTH if landscape else WIDTH
        longest, across = (_LANDSCAPE_NAME, _LEGENDS_ACROSS) if landscape else (52, 1)
        self.styles = role_styles([model.reference for model in models], [model.own_role for model in models])
        handles = [
            # With more models than looks a number tells them apart.
            Line2D(
                [],
                [],
                label=plain(f"{n}. {_label(m)}" if self.styles.count(style) > 1 else _label(m), longest),
                **dot(style),
            )
            for n, (m, style) in enumerate(zip(models, self.styles, strict=True), start=1)
        ]
        handles += more
        lines = textwrap.wrap(printable(note), int(_NOTE_CHARACTERS * self.width))
        self._top = _LEGEND_LINE * math.ceil(len(handles) / across) + 0.06
        self._height = self._top + body + _NOTE_LINE * len(lines) + _FOOT
        self.figure = Figure(figsize=(self.width, self._height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        self.figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(0.0, 1 - 0.03 / self._height), frameon=False,
            fontsize=8 if landscape else 9, labelspacing=0.25, handletextpad=0.2, labelcolor=TEXT, ncols=across,
            columnspacing=1.0,
        )  # fmt: skip
        self.figure.text(
            _MARGIN / self.width, _FOOT * 0.6 / self._height, plain("\n".join(lines), None),
            fontsize=LEAST_POINTS, color=MUTED, va="bottom",
        )  # fmt: skip

    def axes(self, top: float, height: float, left: float, right: float = 0.14) -> Axes:
        """Axes at a distance from the top of the body and from both sides, in inches, in the house style."""
        bottom = self._height - self._top - top - height
        axes = self.figure.add_axes(
            (left / self.width, bottom / self._height, (self.width - left - right) / self.width, height / self._height)
        )
        axes.tick_params(labelsize=8, labelcolor=TEXT, length=0)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_color(FAINT)
        return axes

    def heading(self, top: float, text: str, left: float = 0.0) -> None:
        """A bold line; its base lies `top` inches below the top of the body, `left` inches from the left."""
        y = (self._height - self._top - top) / self._height
        self.figure.text((left + _MARGIN) / self.width, y, plain(text, None), fontsize=9, fontweight="bold", color=TEXT)


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


def tell(artist: Artist, words: str, persona: str = "", kind: str = "") -> None:
    """What a page says of a mark where the pointer rests on it, and whose attribute a click opens, if it has one."""
    # The only thing of an artist that reaches the SVG as it is given.
    artist.set_url(_TELLS + quote(json.dumps([printable(words), persona, kind])))


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


def figure_png(figure: Figure, kept: bool = True) -> bytes:
    """The figure as PNG; the same figure gives the same bytes.

    Args:
        figure: the figure.
        kept: whether it is worth the time to make it small; not for what takes the pixels out again at once.
    """
    return _saved(figure, "png", {"Software": None}, pil_kwargs={} if kept else {"compress_level": 1})


def figure_svg(figure: Figure) -> bytes:
    """The figure as SVG, its letters as outlines, marks with what `tell` says; the same figure gives the same bytes."""
    # The names of elements depend on a salt that matplotlib reads from its global settings only.
    with _SETTINGS_LOCK, mpl.rc_context({"svg.hashsalt": "salmu-demo"}):
        drawn = _saved(figure, "svg", {"Date": None, "Creator": None}).decode()
    return _TOLD.sub(_told, drawn).encode()


def figure_pdf(figure: Figure) -> bytes:
    """The figure as PDF, its letters as text; the same figure gives the same bytes."""
    with _SETTINGS_LOCK, mpl.rc_context({"pdf.fonttype": 42}):
        return _saved(figure, "pdf", {"CreationDate": None, "Producer": None, "Creator": None})


def page_svg(svg: bytes, name: str, address: Callable[[str, str], str] | None = None) -> str:
    """A figure for a page: its ids its own, its ink and paper the page's, its marks links.

    Args:
        svg: of `figure_svg`.
        name: name of the figure, which the ids begin with.
        address: address of a persona's attribute; None where the page knows nobody.
    """
    text = svg.decode()
    # Its one rule of style would hold for the whole page, whose own has the same.
    text = _STYLE.sub("", text[text.index("<svg") :])
    text = _ID.sub(rf"\g<1>{name}-", text)
    for colour, variable in _INKS.items():
        text = text.replace(colour, f"var({variable}, {colour})")

    if address is None:
        return text

    def link(found: re.Match[str]) -> str:
        persona, kind, words, mark = found.groups()
        where = escape(address(unescape(persona), unescape(kind)))
        # Hundreds of tab stops would be no help; the table behind the figure has none.
        return f'<a href="{where}" tabindex="-1" aria-label="{words}"><title>{words}</title>{mark}</a>'

    return _MARK.sub(link, text)


def _told(found: re.Match[str]) -> str:
    """A group with a title instead of a link to what `tell` has put into it."""
    words, persona, kind = json.loads(unquote(found[1]))
    whose = f' data-persona="{escape(persona)}" data-kind="{escape(kind)}"' if persona else ""
    return f"<g{whose}><title>{escape(words)}</title>{found[2]}</g>"


def _saved(figure: Figure, kind: str, metadata: dict[str, str | None], **more: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, dpi=DPI, facecolor="white", metadata=metadata, **more)
    return stream.getvalue()


def reference_line(label: str, **look: Any) -> Line2D:
    """An entry of the legend for a line."""
    return Line2D([], [], label=label, color=TEXT, **look)
