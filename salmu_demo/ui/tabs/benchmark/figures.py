"""The figures of a benchmark as markup: each with its sentence and the table behind it."""

from collections.abc import Callable, Sequence
from html import escape

from salmu_demo.reports.report import MissingFigure, ReportFigure, Table
from salmu_demo.results.records import MeasuredData
from salmu_demo.ui.tabs.benchmark.results import heading
from salmu_demo.ui.widgets.markup import notice
from salmu_demo.ui.widgets.thumbnails import data_address


def figures_view(
    figures: Sequence[ReportFigure | MissingFigure], png: Callable[[ReportFigure], bytes], data: MeasuredData
) -> str:
    """All figures; `png` gives the image of one. Instead of one that is missing the page says why."""
    shown = "".join(f"<section>{heading(figure.title, data)}{_figure(figure, png)}</section>" for figure in figures)
    return f'<div class="figures">{shown}</div>'


def _figure(figure: ReportFigure | MissingFigure, png: Callable[[ReportFigure], bytes]) -> str:
    if isinstance(figure, MissingFigure):
        return notice(figure.reason, "quiet")
    sentence = escape(figure.sentence)
    return (
        f'<figure class="plot"><img src="{data_address(png(figure), "image/png")}" alt="{sentence}">'
        f"<figcaption>{sentence}</figcaption>"
        f"<details><summary>The table behind it</summary>{_table(figure.table)}</details></figure>"
    )


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col" role="columnheader">{escape(title)}</th>' for title in table.header)
    rows = "".join(_row(table, row) for row in table.rows)
    return (
        f'<table class="numbers stacked" role="table"><caption>{escape(table.caption)}</caption>'
        f'<thead><tr role="row">{heads}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _row(table: Table, row: Sequence[str]) -> str:
    cells = "".join(
        f'<td role="cell" data-label="{escape(title)}"><span>{escape(cell)}</span></td>'
        for title, cell in zip(table.header[1:], row[1:], strict=True)
    )
    return f'<tr role="row"><th scope="row" role="rowheader">{escape(row[0])}</th>{cells}</tr>'
