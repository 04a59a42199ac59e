"""A report as one HTML file that needs no other: style and images are inside, and nothing is asked of any server."""

import base64
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files

from salmu_demo.reports.report import Block, Report, ReportFigure, Table


def report_html(report: Report, images: Mapping[str, bytes]) -> str:
    """The report as an HTML page.

    Args:
        report: the report.
        images: PNG of each figure by its name.
    """
    links = "".join(f'<li><a href="#s{n}">{escape(s.title)}</a></li>' for n, s in enumerate(report.sections))
    notices = "".join(f'<p class="notice">{escape(line)}</p>\n' for line in report.notices)
    sections = "".join(
        f'<section aria-labelledby="s{n}">\n<h2 id="s{n}">{escape(section.title)}</h2>\n'
        f"{''.join(_block(block, images) for block in section.blocks)}</section>\n"
        for n, section in enumerate(report.sections)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Whatever a name might smuggle in, a page with this rule runs no script and loads nothing.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>{escape(report.title)}</title>\n<style>\n{_style()}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(report.title)}</h1>\n{notices}{''.join(_block(block, images) for block in report.head)}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n{sections}</main>\n</body>\n</html>\n'
    )


@cache
def _style() -> str:
    return files("salmu_demo.reports").joinpath("report.css").read_text("utf-8")


def _block(block: Block, images: Mapping[str, bytes]) -> str:
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>\n"
    return _table(block) if isinstance(block, Table) else _figure(block, images[block.name])


def _table(table: Table) -> str:
    def cell(tag: str, column: int, text: str) -> str:
        scope = {"thead": ' scope="col"', "tbody": ' scope="row"', "td": ""}[tag]
        kind = "words" if column < table.texts else "number"
        name = "td" if tag == "td" else "th"
        return f'<{name}{scope} class="{kind}">{escape(text)}</{name}>'

    head = "".join(cell("thead", n, text) for n, text in enumerate(table.header))
    body = "".join(
        f"<tr>{''.join(cell('td' if n else 'tbody', n, text) for n, text in enumerate(row))}</tr>\n"
        for row in table.rows
    )
    return (
        # Whoever has no mouse scrolls a wide table with the arrow keys, once it can have the focus.
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(table.caption)}"><table>'
        f"<caption><span>{escape(table.caption)}</span></caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"
        "</div>\n"
    )


def _figure(figure: ReportFigure, image: bytes) -> str:
    address = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    return (
        f'<h3>{escape(figure.title)}</h3>\n<figure><img src="{address}" alt="{escape(figure.sentence)}">\n'
        f"<figcaption>{escape(figure.sentence)}</figcaption></figure>\n{_table(figure.table)}"
    )
