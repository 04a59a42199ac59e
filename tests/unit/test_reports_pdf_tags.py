"""What a screen reader finds in a PDF: every piece once, in the order of reading, with its kind."""

import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from matplotlib.figure import Figure
from pypdf import PdfReader
from pypdf.generic import ContentStream

from salmu_demo.reports.figures.canvas import figure_png
from salmu_demo.reports.pdf import report_pdf
from salmu_demo.reports.report import ImageRow, Report, ReportFigure, Section, Table

ROWS = 150
"""As many as need several pages, each with the heads of the table."""

PNG = figure_png(Figure(figsize=(1, 1)))
TABLE = Table("A long table.", ("Model", "Value"), tuple((f"m{n}", f"0.{n}") for n in range(ROWS)))
FIGURE = ReportFigure("figure", "A figure", "It shows (a) → b.", Table("Its numbers.", ("A",), (("1",),)), None)  # type: ignore[arg-type]
REPORT = Report(
    "A <report> & more",
    ("A notice.",),
    ("First of all.",),
    (
        Section("One", ("word " * 3000, FIGURE)),
        Section("Two", (TABLE, ImageRow("Faces.", ("image",), ("forget, row 3",)))),
    ),
)


@pytest.fixture(scope="module")
def pdf() -> PdfReader:
    return PdfReader(io.BytesIO(report_pdf(REPORT, {"figure": PNG, "image": PNG})))


def elements(node: Any) -> Iterator[Any]:
    """All elements below a node, in the order of reading."""
    kids = node["/K"].get_object()
    for kid in kids if isinstance(kids, list) else [kids]:
        found = kid.get_object()
        if isinstance(found, dict) and "/S" in found:
            yield found
            yield from elements(found)


def marks(element: Any) -> list[tuple[int, int]]:
    """Pages, as objects of the file, and numbers of what an element consists of."""
    kids = element["/K"].get_object()
    if not isinstance(kids, list):
        return [(element.raw_get("/Pg").idnum, kids)]
    found = [kid.get_object() for kid in kids]
    return [(kid.raw_get("/Pg").idnum, kid["/MCID"]) for kid in found if "/MCID" in kid]


def shown(pdf: PdfReader) -> list[list[tuple[str, int | None]]]:
    """Of each page the marks around every text that it draws, and their numbers."""
    found: list[list[tuple[str, int | None]]] = []
    for page in pdf.pages:
        found.append([])
        around: list[tuple[str, int | None]] = []
        for operands, operator in ContentStream(page.get_contents(), pdf).operations:
            if operator in (b"BDC", b"BMC"):
                around.append((operands[0], operands[1]["/MCID"] if operator == b"BDC" else None))
            elif operator == b"EMC":
                around.pop()
            elif operator in (b"Tj", b"TJ", b"Do"):
                (mark,) = around  # In exactly one.
                found[-1].append(mark)
        assert around == []
    return found


def placed(page: Any) -> list[tuple[bytes, tuple[float, float]]]:
    """Every operator of a page, and where the origin is when it draws."""
    found: list[tuple[bytes, tuple[float, float]]] = []
    page.extract_text(visitor_operand_before=lambda op, args, matrix, text: found.append((op, (matrix[4], matrix[5]))))
    return found


def test_a_viewer_learns_language_title_and_that_there_is_a_structure(pdf: PdfReader):
    catalog = pdf.trailer["/Root"]
    assert catalog["/Lang"] == "en"
    assert catalog["/ViewerPreferences"]["/DisplayDocTitle"]
    assert catalog["/MarkInfo"]["/Marked"]
    assert (pdf.metadata.title, pdf.metadata.subject) == (REPORT.title, REPORT.notices[0])
    xmp = pdf.xmp_metadata
    assert (xmp.dc_title, xmp.dc_language) == ({"x-default": REPORT.title}, ["en"])
    assert {page["/Tabs"] for page in pdf.pages} == {"/S"}


def test_the_structure_is_that_of_the_report(pdf: PdfReader):
    document, *found = elements(pdf.trailer["/Root"]["/StructTreeRoot"])
    assert document["/S"] == "/Document"
    kinds = [element["/S"] for element in found]
    assert kinds[:12] == [
        "/H1", "/P", "/P", "/Sect", "/H2", "/P", "/H3", "/Figure", "/P", "/Table", "/Caption", "/TR",
    ]  # fmt: skip
    assert kinds[-3:] == ["/P", "/Figure", "/P"]
    count = Counter(kinds)
    assert (count["/Table"], count["/TR"], count["/TD"]) == (2, ROWS + 3, ROWS)
    scopes = Counter(element["/A"]["/Scope"] for element in found if element["/S"] == "/TH")
    assert scopes == {"/Column": 3, "/Row": ROWS + 1}
    assert [element["/Alt"] for element in found if element["/S"] == "/Figure"] == [FIGURE.sentence, "forget, row 3"]


def test_images_say_where_they_are(pdf: PdfReader):
    figures = [e for e in elements(pdf.trailer["/Root"]["/StructTreeRoot"]) if e["/S"] == "/Figure"]
    for figure, size in zip(figures, (72, 22 * 72 / 25.4), strict=True):  # one inch, and 22 mm
        left, lower, right, upper = map(float, figure["/A"]["/BBox"])
        drawn = next(page for page in pdf.pages if page.indirect_reference == figure.raw_get("/Pg"))
        places = [place for operator, place in placed(drawn) if operator == b"Do"]
        assert (left, lower) in [(pytest.approx(x, abs=0.01), pytest.approx(y, abs=0.01)) for x, y in places]
        assert (right - left, upper - lower) == (pytest.approx(size, abs=0.02), pytest.approx(size, abs=0.02))


def test_every_text_and_image_is_a_piece_or_said_to_be_none(pdf: PdfReader):
    root = pdf.trailer["/Root"]["/StructTreeRoot"]
    numbers = root["/ParentTree"]["/Nums"]
    owners = {int(numbers[n]): numbers[n + 1].get_object() for n in range(0, len(numbers), 2)}
    pages = shown(pdf)
    assert len(pages) > 3
    for page, drawn in zip(pdf.pages, pages, strict=True):
        own = owners[page["/StructParents"]]
        pieces = [(kind, number) for kind, number in drawn if number is not None]
        assert [kind for kind, number in drawn if number is None].count("/Artifact") >= 2  # its number and the name
        assert {number for _, number in pieces} == set(range(len(own)))
        for kind, number in pieces:
            element = own[number].get_object()
            assert element["/S"] == kind
            assert (page.indirect_reference.idnum, number) in marks(element)


def test_what_goes_on_over_pages_is_one_piece_and_heads_are_read_once(pdf: PdfReader):
    _, *found = elements(pdf.trailer["/Root"]["/StructTreeRoot"])
    (long,) = (element for element in found if element["/S"] == "/P" and len(marks(element)) > 1)
    assert len({page for page, _ in marks(long)}) == len(marks(long)) > 1
    assert {len(marks(element)) for element in found if element["/S"] == "/TH"} == {1}
    assert sum(("/Artifact", None) in drawn for drawn in shown(pdf)) == len(pdf.pages)


def test_the_same_report_gives_the_same_bytes():
    assert report_pdf(REPORT, {"figure": PNG, "image": PNG}) == report_pdf(REPORT, {"figure": PNG, "image": PNG})
