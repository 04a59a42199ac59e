"""Two models of a benchmark against each other, as markup: their differences, and rows they see differently."""

from collections.abc import Callable
from html import escape
from typing import Final

from salmu_demo.data.layout import kind_title
from salmu_demo.reports.roles import RoleStyle, role_styles
from salmu_demo.reports.text import interval_cell, signed
from salmu_demo.results.analysis import Analysis, DisputedRow
from salmu_demo.results.intervals import Difference, Interval
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.tabs.benchmark.results import heading
from salmu_demo.ui.widgets.markup import empty_state, image, model_label, notice
from salmu_demo.ui.widgets.people import People

ImageOf = Callable[[str], str | None]
"""Gives the address of a forget row's image by its file name, or None if it is damaged."""

_SIDE: Final = 96


def pair_choices(analysis: Analysis) -> list[tuple[str, int]]:
    """Label and number of each model that can be one of a pair."""
    names = analysis.names
    labels = [f"{style.marker} {name}" for style, name in zip(role_styles(analysis.roles), names, strict=True)]
    return [(label, number) for number, label in enumerate(labels)]


def pair_view(analysis: Analysis, first: int, second: int, people: People, image_of: ImageOf | None) -> str:
    """Differences and examples of two models.

    Args:
        analysis: the results.
        first: number of the first model.
        second: number of the second model.
        people: names of the personas.
        image_of: the images, or None if they cannot be shown because the data is not at hand.
    """
    if len(analysis.models) < 2:
        return empty_state("Only one model", text.ONE_MODEL)
    if first == second:
        return empty_state("Twice the same model", text.SAME_MODEL)
    return _differences(analysis, first, second) + _examples(analysis, first, second, people, image_of)


def _differences(analysis: Analysis, first: int, second: int) -> str:
    title = heading("Differences", analysis.comparison.data)
    found = [
        (d.metric, d.difference if d.first == first else _reversed(d.difference))
        for d in analysis.differences
        if {d.first, d.second} == {first, second}
    ]
    if not found:
        return title + notice(text.NO_DIFFERENCES, "quiet")
    titles = {row.spec.name: row.spec.title for row in analysis.comparison.rows}
    rows = "".join(_difference_row(metric, titles[metric], difference) for metric, difference in found)
    heads = "".join(
        f'<th scope="col" role="columnheader">{head}</th>' for head in ("Metric", "Difference", "Interval", "Clear")
    )
    caption = text.DIFFERENCES.format(first=analysis.names[first], second=analysis.names[second])
    return (
        f'{title}<table class="numbers stacked" role="table"><caption>{escape(caption)}</caption>'
        f'<thead><tr role="row">{heads}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _reversed(difference: Difference) -> Difference:
    low, high = difference.interval.low, difference.interval.high
    return Difference(-difference.value, Interval(-high, -low))


def _difference_row(metric: str, title: str, difference: Difference) -> str:
    verdict = "<b>yes</b>, leaves out 0" if difference.significant else "no, holds 0"
    return (
        f'<tr role="row"><th scope="row" role="rowheader">{metric}<small>{escape(title)}</small></th>'
        f'<td role="cell" data-label="Difference"><b>{signed(difference.value, 4)}</b></td>'
        f'<td role="cell" data-label="Interval"><span>{interval_cell(difference.interval)}</span></td>'
        f'<td role="cell" data-label="Clear"><span>{verdict}</span></td></tr>'
    )


def _examples(analysis: Analysis, first: int, second: int, people: People, image_of: ImageOf | None) -> str:
    title = heading("Where they disagree most", analysis.comparison.data)
    found = next((d for d in analysis.disagreements if {d.first, d.second} == {first, second}), None)
    if found is None:
        return title + notice(text.NO_EXAMPLES, "quiet")
    styles = role_styles(analysis.roles)
    shown = [(analysis.names[number], styles[number]) for number in (first, second)]
    items = "".join(
        _example(
            example,
            [example.first, example.second] if found.first == first else [example.second, example.first],
            shown,
            people,
            image_of,
        )
        for example in found.examples
    )
    remark = notice(text.NO_IMAGES, "quiet") if image_of is None else ""
    return f'{title}{notice(text.EXAMPLES, "quiet")}{remark}<ul class="examples">{items}</ul>'


def _example(
    example: DisputedRow,
    ranks: list[float],
    models: list[tuple[str, RoleStyle]],
    people: People,
    image_of: ImageOf | None,
) -> str:
    kind = kind_title(example.kind) if example.kind else "No attribute"
    shown = "" if image_of is None else image(image_of(example.file_name), f"Image {example.file_name}", _SIDE)
    lines = "".join(
        f"<li>{model_label(name, style)} <b>rank {rank:,g}</b></li>"
        for rank, (name, style) in zip(ranks, models, strict=True)
    )
    return (
        f'<li class="card example">{shown}<div><p class="quiet">{people.link(example.identity)} · {escape(kind)}</p>'
        f'<p class="caption">{escape(example.text)}</p><ul class="ranks">{lines}</ul></div></li>'
    )
