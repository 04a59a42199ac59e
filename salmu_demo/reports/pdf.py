"""A report as PDF, in a font that has the letters of most languages, tagged for screen readers."""

import io
import math
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import BaseDocTemplate, CondPageBreak, Frame, LongTable, PageTemplate
from reportlab.platypus.flowables import Flowable

from salmu_demo.reports.figures.canvas import DPI
from salmu_demo.reports.pdf_tags import Element, TaggedCanvas, TaggedImage, TaggedText
from salmu_demo.reports.report import Block, ImageRow, Report, ReportFigure, Table

_FONT: Final = "DejaVuSans"
_BOLD: Final = "DejaVuSans-Bold"
_MARGIN: Final = 16 * mm
_WIDTH: Final = A4[0] - 2 * _MARGIN
_HEIGHT: Final = A4[1] - 2 * _MARGIN
_FIGURE_HEIGHT: Final = 232 * mm
_CELL_PADDING: Final = 3.0
_SHORT: Final = 12
_START: Final = 30 * mm
_LONGEST_WORD: Final = 115.0
"""Points up to which a word decides the width of its column; a longer one, such as a fingerprint, is broken."""

_IMAGES: Final = 6
"""Small images in a row."""
_IMAGE: Final = 22 * mm
"""Longer side of one."""

_TEXT: Final = HexColor("#1f2937")
_MUTED: Final = HexColor("#4b5563")
_LINE: Final = HexColor("#d1d5db")
_FAINT: Final = HexColor("#f3f4f6")


def _style(size: float, font: str = _FONT, **more: Any) -> ParagraphStyle:
    settings = {"leading": size * 1.38, "textColor": _TEXT, "splitLongWords": 1, **more}
    return ParagraphStyle("style", fontName=font, fontSize=size, **settings)


_TITLE: Final = _style(16, _BOLD, spaceAfter=8, leading=20.5)
_HEADING: Final = _style(12.5, _BOLD, spaceBefore=16, spaceAfter=5, keepWithNext=1)
_SUBHEADING: Final = _style(10, _BOLD, spaceBefore=10, spaceAfter=4, keepWithNext=1)
_BODY: Final = _style(8.8, spaceAfter=5)
_NOTICE: Final = _style(8.8, spaceAfter=5, backColor=_FAINT, borderPadding=(4, 6, 4, 6), leftIndent=6, rightIndent=6,
                        spaceBefore=3)  # fmt: skip
_CAPTION: Final = _style(7.8, textColor=_MUTED, spaceBefore=6, spaceAfter=3)
_SENTENCE: Final = _style(8.8, spaceBefore=4, spaceAfter=5)
_CELL: Final = _style(7)
_LABEL: Final = _style(7, textColor=_MUTED)
_HEAD_CELL: Final = _style(7, _BOLD)
_NUMBER: Final = _style(7, alignment=TA_RIGHT)
_HEAD_NUMBER: Final = _style(7, _BOLD, alignment=TA_RIGHT)


def report_pdf(report: Report, images: Mapping[str, bytes]) -> bytes:
    """The report as PDF; the same report gives the same bytes.

    Args:
        report: the report.
        images: PNG of each figure by its name, landscape ones, whose text then has its size.
    """
    _register_fonts()
    root = Element("Document")
    story: list[Flowable] = [TaggedText.of(report.title, _TITLE, root.add("H1"))]
    story += [TaggedText.of(line, _NOTICE, root.add("P")) for line in report.notices]
    for block in report.head:
        story += _block(block, images, root)
    for section in report.sections:
        within = root.add("Sect")
        heading = TaggedText.of(section.title, _HEADING, within.add("H2"))
        heading.bookmark = section.title
        story.append(heading)
        for block in section.on_paper:
            story += _block(block, images, within)
    stream = io.BytesIO()
    document = _Document(
        stream, pagesize=A4, title=report.title, author="salmu-demo", subject=report.notices[0], lang="en", invariant=1,
        displayDocTitle=True,
        leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
    )  # fmt: skip
    frame = Frame(_MARGIN, _MARGIN, _WIDTH, _HEIGHT, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    document.addPageTemplates(PageTemplate(frames=[frame], onPage=_page_number))
    document.build(story, canvasmaker=partial(TaggedCanvas, root))
    return stream.getvalue()


class _Document(BaseDocTemplate):  # type: ignore[misc]  # reportlab has no types
    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 - the name reportlab calls
        if isinstance(flowable, TaggedText) and flowable.bookmark:
            self.canv.bookmarkPage(flowable.bookmark)
            self.canv.addOutlineEntry(flowable.bookmark, flowable.bookmark)


@cache
def _register_fonts() -> None:
    """DejaVu comes with matplotlib, so that the images and the text look alike."""
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    for name in (_FONT, _BOLD):
        pdfmetrics.registerFont(TTFont(name, folder / f"{name}.ttf"))


def _page_number(canvas: TaggedCanvas, document: BaseDocTemplate) -> None:
    canvas.setFont(_FONT, 7)
    canvas.setFillColor(_MUTED)
    canvas.begin_decoration()
    canvas.drawString(_MARGIN, 9 * mm, "salmu-demo")
    canvas.drawRightString(A4[0] - _MARGIN, 9 * mm, f"Page {document.page}")
    canvas.end_mark()


def _lines(table: LongTable, step: str, *_: Any) -> None:
    """Marks the lines of a table as decoration, when reportlab says that it begins and ends to draw them."""
    if step == "startLines":
        table.canv.begin_decoration()
    elif step == "endLines":
        table.canv.end_mark()


def _block(block: Block, images: Mapping[str, bytes], within: Element) -> list[Flowable]:
    if isinstance(block, str):
        return [TaggedText.of(block, _BODY, within.add("P"))]
    if isinstance(block, ImageRow):
        return _image_row(block, images, within)
    return _table(block, within) if isinstance(block, Table) else _figure(block, images[block.name], within)


def _image_row(row: ImageRow, images: Mapping[str, bytes], within: Element) -> list[Flowable]:
    """Rows of small images, each with its label."""
    width = _WIDTH / _IMAGES
    caption = TaggedText.of(row.caption, _CAPTION, within.add("P"))
    cells: list[Any] = []
    for name, label in zip(row.names, row.labels, strict=True):
        image = TaggedImage(io.BytesIO(images[name]))
        image.element = within.add("Figure", alt=label)
        scale = min(1.0, _IMAGE / max(image.imageWidth, image.imageHeight))
        image.drawWidth, image.drawHeight = image.imageWidth * scale, image.imageHeight * scale
        cells.append([image, TaggedText.of(label, _LABEL, within.add("P"))])
    rows = [cells[start : start + _IMAGES] for start in range(0, len(cells), _IMAGES)]
    filled = [[*line, *[""] * (_IMAGES - len(line))] for line in rows]
    look = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
    return [caption, LongTable(filled, colWidths=[width] * _IMAGES, style=look, hAlign="LEFT", spaceAfter=8)]


def _figure(figure: ReportFigure, png: bytes, within: Element) -> list[Flowable]:
    title = TaggedText.of(figure.title, _SUBHEADING, within.add("H3"))
    image = TaggedImage(io.BytesIO(png), hAlign="LEFT")
    image.element = within.add("Figure", alt=figure.sentence)
    # Pixels become inches again, smaller only if the page is not high enough.
    scale = min(72 / DPI, _FIGURE_HEIGHT / image.imageHeight)
    image.drawWidth, image.drawHeight = image.imageWidth * scale, image.imageHeight * scale
    image.keepWithNext = True
    sentence = TaggedText.of(figure.sentence, _SENTENCE, within.add("P"))
    return [title, image, sentence, *_table(figure.table, within)]


def _table(table: Table, within: Element) -> list[Flowable]:
    grid_element = within.add("Table")
    caption = TaggedText.of(table.caption, _CAPTION, grid_element.add("Caption"))

    def row(cells: Sequence[str], words: ParagraphStyle, numbers: ParagraphStyle, scope: str = "") -> list[TaggedText]:
        line = grid_element.add("TR")
        scopes = [scope or ("" if n else "Row") for n in range(len(cells))]
        return [
            TaggedText.of(text, words if n < table.texts else numbers, line.add("TH" if own else "TD", scope=own))
            for n, (text, own) in enumerate(zip(cells, scopes, strict=True))
        ]

    content = [
        row(table.header, _HEAD_CELL, _HEAD_NUMBER, "Column"),
        *(row(cells, _CELL, _NUMBER) for cells in table.rows),
    ]
    look = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEABOVE", (0, 0), (-1, 0), 1, _TEXT),
        ("LINEBELOW", (0, 0), (-1, 0), 0.6, _TEXT),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, _LINE),
        ("LINEBELOW", (0, -1), (-1, -1), 1, _TEXT),
        ("LEFTPADDING", (0, 0), (-1, -1), _CELL_PADDING),
        ("RIGHTPADDING", (0, 0), (-1, -1), _CELL_PADDING),
        ("TOPPADDING", (0, 0), (-1, -1), 1.6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.2),
    ]
    grid = LongTable(
        content, colWidths=_widths(table), repeatRows=1, style=look, hAlign="LEFT", spaceAfter=8, renderCB=_lines
    )
    # A short table stays on one page; a long one starts wherever a few of its rows have room.
    caption.keepWithNext = len(table.rows) <= _SHORT
    return [caption, grid] if caption.keepWithNext else [CondPageBreak(_START), caption, grid]


def _widths(table: Table) -> list[float]:
    """Widths in points: what each column needs, or on a page too narrow shares by the root of it, words kept whole."""
    columns = [_column(table, number) for number in range(len(table.header))]
    if sum(needed for needed, _ in columns) <= _WIDTH:
        return [needed for needed, _ in columns]
    most = _LONGEST_WORD
    if sum(min(word, most) for _, word in columns) > _WIDTH:
        most = _WIDTH / len(columns)
    widths: dict[int, float] = {}
    while len(widths) < len(columns):
        rest = {n: column for n, column in enumerate(columns) if n not in widths}
        unit = (_WIDTH - sum(widths.values())) / sum(math.sqrt(needed) for needed, _ in rest.values())
        shares = {n: unit * math.sqrt(needed) for n, (needed, _) in rest.items()}
        # First those whose words need more than a share, then those that need less: each changes the others' shares.
        narrow = {n: min(word, most) for n, (_, word) in rest.items() if min(word, most) > shares[n]}
        modest = {n: needed for n, (needed, _) in rest.items() if needed < shares[n]}
        widths |= narrow or modest or shares
    return [widths[n] for n in range(len(columns))]


def _column(table: Table, number: int) -> tuple[float, float]:
    """Points that the widest cell of a column needs, and its widest word."""
    cells = [(table.header[number], _BOLD), *((row[number], _FONT) for row in table.rows)]
    padding = 2 * _CELL_PADDING + 1
    needed = max(pdfmetrics.stringWidth(text, font, _CELL.fontSize) for text, font in cells)
    word = max(pdfmetrics.stringWidth(w, font, _CELL.fontSize) for text, font in cells for w in (text.split() or [""]))
    return needed + padding, word + padding
