"""A report as Markdown (GitHub's flavour), with the figures as files beside it."""

import re
from typing import Final

from salmu_demo.reports.report import Block, ImageRow, Report, ReportFigure, Table

FIGURES_FOLDER: Final = "figures"

_SPECIAL: Final = re.compile(r"([\\`*_\[\]#!|~$^])")
_LINE_START: Final = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=[-+=:](?!\d)))")
"""What makes a list, a heading or a rule of a line; a number does not."""


def report_markdown(report: Report) -> str:
    """The report as Markdown; images are expected in `FIGURES_FOLDER`."""
    parts = [f"# {markdown_text(report.title)}", *(f"> {markdown_text(line)}" for line in report.notices)]
    parts += [_block(block) for block in report.head]
    for section in report.sections:
        parts += [f"## {markdown_text(section.title)}", *(_block(block) for block in section.on_paper)]
    return "\n\n".join(parts) + "\n"


def markdown_text(text: str) -> str:
    r"""Text that is shown as it is, in a paragraph as in a cell: no markup, HTML, mathematics or link.

    >>> markdown_text("<b>*a*|$x$"), markdown_text("1. a"), markdown_text("https://a.b")
    ('&lt;b&gt;\\*a\\*\\|\\$x\\$', '1\\. a', 'https:&#8203;//a.b')
    >>> markdown_text("0.1415"), markdown_text("+0.5 points"), markdown_text("1.1 RetFail")
    ('0.1415', '+0.5 points', '1.1 RetFail')
    """
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = _LINE_START.sub(r"\1\\", _SPECIAL.sub(r"\\\1", escaped))
    # A space of no width keeps addresses from becoming links by themselves.
    return escaped.replace("://", ":&#8203;//").replace("www.", "www.&#8203;")


def _block(block: Block) -> str:
    if isinstance(block, str):
        return markdown_text(block)
    if isinstance(block, ImageRow):
        shown = zip(block.labels, block.names, strict=True)
        images = [f"![{markdown_text(label)}]({FIGURES_FOLDER}/{name}.png)" for label, name in shown]
        return "\n\n".join([markdown_text(block.caption), *images])
    return _table(block) if isinstance(block, Table) else _figure(block)


def _table(table: Table) -> str:
    def line(cells: tuple[str, ...]) -> str:
        return f"| {' | '.join(markdown_text(cell) for cell in cells)} |"

    rule = " | ".join("---" if column < table.texts else "---:" for column in range(len(table.header)))
    lines = [line(table.header), f"| {rule} |", *(line(row) for row in table.rows)]
    return f"**{markdown_text(table.caption)}**\n\n" + "\n".join(lines)


def _figure(figure: ReportFigure) -> str:
    sentence = markdown_text(figure.sentence)
    image = f"![{sentence}]({FIGURES_FOLDER}/{figure.name}.png)"
    return f"### {markdown_text(figure.title)}\n\n{image}\n\n{sentence}\n\n{_table(figure.table)}"
