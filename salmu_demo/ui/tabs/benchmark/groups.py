"""Where a metric's value comes from, as markup: by attribute kind and by persona."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from salmu_demo.data.layout import kind_title
from salmu_demo.metrics import find_metric
from salmu_demo.reports.roles import role_styles
from salmu_demo.reports.text import number_cell
from salmu_demo.results.analysis import Analysis, grouped_metrics
from salmu_demo.results.breakdown import GroupMean
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.tabs.benchmark.results import cell_label, heading, model_heads
from salmu_demo.ui.widgets.markup import empty_state, notice
from salmu_demo.ui.widgets.people import People

MOST_PERSONAS: Final = 20
"""Personas listed at once: half of them from either end."""

Groups = dict[str, GroupMean]


def group_choices(analysis: Analysis) -> list[str]:
    """Names of the metrics that can be broken down."""
    return [name for name in grouped_metrics() if any(model.by_kind.get(name) for model in analysis.models)]


def groups_view(analysis: Analysis, metric: str | None, order_by: int, people: People) -> str:
    """A metric by attribute kind and by persona, a column for each model.

    Args:
        analysis: the results.
        metric: name of the metric, or None if there is none to break down.
        order_by: number of the model whose values order the personas, the highest first.
        people: names of the personas.
    """
    if metric is None:
        return empty_state("Nothing to break down", text.NO_GROUPS)
    data = analysis.comparison.data
    by_kind = [model.by_kind.get(metric, {}) for model in analysis.models]
    by_persona = [model.by_persona.get(metric, {}) for model in analysis.models]
    leading = by_persona[order_by] or next(filter(None, by_persona), {})
    personas = sorted(leading, key=lambda persona: (-leading[persona].mean, persona))
    half = MOST_PERSONAS // 2
    few = len(personas) <= MOST_PERSONAS
    shown = [personas] if few else [personas[:half], personas[-half:]]
    words = (text.ALL_PERSONAS if few else text.SOME_PERSONAS).format(
        total=len(personas), count=half, model=analysis.names[order_by]
    )
    spec = find_metric(metric)
    return (
        f"{notice(f'{spec.title}. {spec.explanation}', 'quiet')}{heading('By attribute kind', data)}"
        f"{_table(analysis, by_kind, [list(_kinds(by_kind))], 'Attribute kind', lambda kind: escape(kind_title(kind)))}"
        f"{heading('By persona', data)}{notice(words, 'quiet')}"
        f"{_table(analysis, by_persona, shown, 'Persona', people.link)}"
    )


def _kinds(by_kind: Sequence[Groups]) -> dict[str, None]:
    return dict.fromkeys(kind for groups in by_kind for kind in groups)


def _table(
    analysis: Analysis,
    groups: Sequence[Groups],
    blocks: Sequence[Sequence[str]],
    title: str,
    name: Callable[[str], str],
) -> str:
    """A row for each group; a gap between the blocks of rows."""
    styles = role_styles(analysis.roles)
    models = list(zip(analysis.names, styles, groups, strict=True))
    gap = f'<tr class="gap" aria-hidden="true"><td colspan="{len(models) + 2}">⋮</td></tr>'

    def row(group: str) -> str:
        found = [model_groups.get(group) for _, _, model_groups in models]
        cells = "".join(
            f'<td role="cell" {cell_label(model, style)}><b>{number_cell(mean.mean if mean else None)}</b></td>'
            for (model, style, _), mean in zip(models, found, strict=True)
        )
        count = next((mean.count for mean in found if mean is not None), 0)
        return (
            f'<tr role="row"><th scope="row" role="rowheader">{name(group)}</th>{cells}'
            f'<td role="cell" data-label="Rows"><span>{count:,}</span></td></tr>'
        )

    body = gap.join("".join(map(row, block)) for block in blocks)
    return (
        f'<table class="numbers stacked" role="table"><thead><tr role="row">'
        f'<th scope="col" role="columnheader">{escape(title)}</th>{model_heads(analysis)}'
        f'<th scope="col" role="columnheader">Rows</th></tr></thead><tbody>{body}</tbody></table>'
    )
