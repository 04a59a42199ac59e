"""What a report consists of, whatever it is written as: paragraphs, tables and figures in sections.

Texts are plain; each format escapes them in its own way.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        caption: what it shows.
        header: titles of the C columns.
        rows: rows of C cells; the first cell heads the row.
        texts: number of columns, from the left, that hold words; the others hold numbers.
        links: for each cell the anchor of the row that it leads to, or an empty text; empty for none at all.
        looks: for each cell how HTML colours it, or an empty text; empty for none at all.
        anchors: names of the rows that links lead to; empty for none.
        on_screen: whether only HTML shows it, folded, because it is long and links lead to its rows.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1
    links: tuple[tuple[str, ...], ...] = ()
    looks: tuple[tuple[str, ...], ...] = ()
    anchors: tuple[str, ...] = ()
    on_screen: bool = False


class Draw(Protocol):
    """Draws a figure on a white ground, with no global state of matplotlib."""

    def __call__(self, landscape: bool = False) -> "Figure":
        """The figure, upright for a screen or wide for a page of paper."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure with what a reader who cannot see it needs.

    Attributes:
        name: name of its files, without an ending.
        title: what it is.
        sentence: what it shows, computed from the data.
        table: the numbers behind it.
        draw: draws it, upright or landscape.
    """

    name: str
    title: str
    sentence: str
    table: Table
    draw: Draw


@dataclass(frozen=True)
class MissingFigure:
    """A figure that cannot be drawn.

    Attributes:
        title: what it would be.
        reason: why not, in one sentence.
    """

    title: str
    reason: str


@dataclass(frozen=True)
class ImageRow:
    """Small images side by side.

    Attributes:
        caption: what they show.
        names: names of their files, without an ending.
        labels: what each is, in a few words.
    """

    caption: str
    names: tuple[str, ...]
    labels: tuple[str, ...]


Block = str | Table | ReportFigure | ImageRow
"""A piece of a section; a text is a paragraph."""


@dataclass(frozen=True)
class Section:
    """A titled part of a report.

    Attributes:
        title: its title.
        blocks: what it consists of.
        on_all_rows: whether it is about all rows of the data, even if a sample of them was measured.
    """

    title: str
    blocks: tuple[Block, ...]
    on_all_rows: bool = False

    @property
    def on_paper(self) -> tuple[Block, ...]:
        """What formats show in which nothing leads to a row."""
        return tuple(block for block in self.blocks if not (isinstance(block, Table) and block.on_screen))


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes:
        title: what it is about.
        notices: sentences no reader may miss.
        head: what was measured on what.
        sections: the rest.
    """

    title: str
    notices: tuple[str, ...]
    head: tuple[Block, ...]
    sections: tuple[Section, ...]

    @property
    def figures(self) -> list[ReportFigure]:
        """All figures, in order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, ReportFigure)]
