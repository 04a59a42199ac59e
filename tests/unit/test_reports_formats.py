"""Reports as Markdown, HTML and PDF: everything is there, and nothing a stranger wrote becomes markup."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure
from pypdf import PdfReader

from salmu_demo.metrics import Rows
from salmu_demo.reports.content import build_report
from salmu_demo.reports.figures.canvas import figure_png
from salmu_demo.reports.html import report_html
from salmu_demo.reports.markdown import report_markdown
from salmu_demo.reports.pdf import report_pdf
from salmu_demo.reports.report import Report
from salmu_demo.results.analysis import analyse
from salmu_demo.results.records import Evaluation, MeasuredData
from tests.fixtures.results import evaluations

HOSTILE = ("<img src=x onerror=alert(1)>", "=cmd()|a|b", "$x$ _y_ *z*", "n\x00\x07\n\u202e" + "Žü" * 3000)
DATA = MeasuredData("<b>data|$x$</b>", notice="<script>alert(2)</script> & [link](http://example.invalid)")


def hostile(evaluation: Evaluation) -> Evaluation:
    rows = {
        name: Rows(
            [f"<i>|{n}\x00.jpg" + "l" * 3000 * (n == 0) for n in rows.file_names],
            [i and f"=$p{i}" for i in rows.identities],
            [kind and f"k|<u>{kind}" for kind in rows.kinds],
            [
                f"$c_{{x$ <script>alert(3)</script> | {text}" * (50 if n == 3 else 1)
                for n, text in enumerate(rows.texts)
            ],
        )
        for name, rows in evaluation.rows.items()
    }
    return replace(evaluation, rows=rows)


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(analyse([hostile(e) for e in evaluations(HOSTILE, DATA)]))


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    blank = figure_png(Figure(figsize=(1, 1)))
    return report_html(report, {figure.name: blank for figure in report.figures})


@pytest.fixture(scope="module")
def pdf(report: Report) -> PdfReader:
    wide = {figure.name: figure_png(figure.draw(landscape=True), kept=False) for figure in report.figures}
    return PdfReader(io.BytesIO(report_pdf(report, wide)))


@pytest.fixture(scope="module")
def pages(pdf: PdfReader) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in pdf.pages]


class Page(HTMLParser):
    """Collects tags with their attributes, and the text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def test_html_runs_nothing_and_asks_nobody(html: str):
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "nav", "ul", "li", "a",
        "section", "div", "table", "caption", "span", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img",
    }  # fmt: skip
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        if "src" in attributes:
            assert tag == "img"
            assert str(attributes["src"]).startswith("data:image/png;base64,")
        assert str(attributes.get("href", "#")).startswith("#")
    assert "url(" not in html
    assert "@import" not in html
    assert "<img src=x onerror=alert(1)>" in page.words


def test_html_is_accessible_and_has_both_modes_and_print(html: str):
    page = Page(html)
    count = [tag for tag, _ in page.tags].count
    assert ("html", {"lang": "en"}) in page.tags
    assert count("table") == count("caption") > 20
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.tags if tag == "th")
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert re.search(r"figure img \{[^}]*background: #ffffff", html)


def test_html_links_lead_to_the_sections(html: str):
    page = Page(html)
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = {str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a"}
    assert links == ids != set()


def test_markdown_shows_names_as_they_are(report: Report):
    text = report_markdown(report)
    assert "<" not in text
    assert r"\$x\$ \_y\_ \*z\*" in text
    links = re.findall(r"(?<!\\)\]\(([^)]*)\)", text)
    assert links == [f"figures/{figure.name}.png" for figure in report.figures]
    assert "\x00" not in text


def test_markdown_shows_numbers_unescaped(report: Report):
    text = report_markdown(report)
    assert re.search(r"\| [−]?0\.\d{4} \|", text)
    assert re.search(r"\| 1\.1 RetFail \|", text)
    assert not re.search(r"\d\\[.)]|\\[−+-]\d", text)


def test_markdown_tables_have_as_many_cells_as_their_head(report: Report):
    blocks = re.findall(r"(?:^\|.*\n)+", report_markdown(report), re.MULTILINE)
    assert len(blocks) > 20
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_pdf_holds_title_text_page_numbers_and_outline(pdf: PdfReader, pages: list[str], report: Report):
    assert pdf.metadata.title == report.title
    text = " ".join(pages)
    assert "<img src=x onerror=alert(1)>" in text
    assert "ŽüŽü" in text
    assert "Protocol decisions" in text
    assert all(f"Page {number}" in page for number, page in enumerate(pages, start=1))
    assert [entry.title for entry in pdf.outline] == [section.title for section in report.sections]


def test_pdf_holds_every_value_of_every_table(pages: list[str], report: Report):
    text = "".join("".join(pages).split())
    sections = [block for section in report.sections for block in section.blocks]
    cells = {
        cell for b in sections if hasattr(b, "rows") for row in b.rows for cell in row if re.match(r"[−+]?\d\.", cell)
    }
    assert len(cells) > 100
    assert [cell for cell in cells if "".join(cell.split()) not in text] == []


def test_pdf_has_no_text_under_7_points(pdf: PdfReader):
    for page in pdf.pages:
        sizes: list[float] = []
        page.extract_text(visitor_text=lambda text, _, __, ___, size, p=sizes: p.append(size) if text.strip() else None)
        assert min(sizes) >= 7


def test_pdf_keeps_everything_on_the_page(pdf: PdfReader):
    for page in pdf.pages:
        places: list[float] = []
        page.extract_text(visitor_text=lambda text, _, tm, *__, p=places: p.append(tm[4]) if text.strip() else None)
        assert min(places) >= 0
        assert max(places) < float(page.mediabox.width)
