"""The results of a benchmark as markup: what each model forgot and broke, and every metric against its target."""

from collections.abc import Sequence
from html import escape
from typing import Final

from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.models.roles import TITLES
from salmu_demo.reports.roles import RoleStyle, role_styles
from salmu_demo.reports.text import counted, interval_cell, number_cell, signed, unsigned
from salmu_demo.results.analysis import Analysis, ModelAnalysis
from salmu_demo.results.comparison import ComparisonRow
from salmu_demo.results.diagnosis import Criterion, Diagnosis, Label
from salmu_demo.results.records import MeasuredData
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.widgets.markup import diagnosis_badge, model_head, notice

_OUTCOMES: Final = {True: ("✓", "met"), False: ("✗", "not met"), None: ("?", "not measured")}


def results_title(analysis: Analysis) -> str:
    """What was measured on what, and the notice that goes with the data."""
    data = analysis.comparison.data
    remarks = " ".join(filter(None, (data.notice, SCORES_NOTICE)))
    return (
        f"<h2>{counted(len(analysis.models), 'model')} on {escape(data.name)}{_sampled_mark(data)}</h2>"
        f"{notice(f'{data.sample[:1].upper()}{data.sample[1:]}.') if data.sample else ''}{notice(remarks, 'quiet')}"
        f"{''.join(map(notice, analysis.remarks))}"
    )


def heading(title: str, data: MeasuredData) -> str:
    """Heading of one part of the results, marked if only a sample was measured."""
    return f"<h3>{escape(title)}{_sampled_mark(data)}</h3>"


def _sampled_mark(data: MeasuredData) -> str:
    return f' <span class="sampled" title="{escape(data.sample)}">sampled</span>' if data.sample else ""


def diagnosis_cards(analysis: Analysis) -> str:
    """A card for each model: the label in words, icon and colour, and every criterion with its margin."""
    styles = role_styles(analysis.roles)
    cards = "".join(_card(model, style) for model, style in zip(analysis.models, styles, strict=True))
    hint = notice(text.NO_DIAGNOSIS, "quiet") if any(_is_unknown(model.diagnosis) for model in analysis.models) else ""
    title = heading("Diagnosis", analysis.comparison.data)
    return (
        f'<section class="diagnosis" aria-label="Diagnosis">{title}<div class="columns">{cards}</div>{hint}</section>'
    )


def _is_unknown(diagnosis: Diagnosis | None) -> bool:
    return diagnosis is not None and diagnosis.label is Label.UNKNOWN


def _card(model: ModelAnalysis, style: RoleStyle) -> str:
    measured = model.evaluation.model
    name = model_head(measured.name, style, measured.own_role)
    diagnosis = model.diagnosis
    if diagnosis is None:
        badge = '<span class="verdict verdict-unknown">reference</span>'
        return (
            f'<article class="card"><h4>{name} {badge}</h4><p class="quiet">{text.REFERENCES[style.role]}</p></article>'
        )
    criteria = "".join(map(_criterion, diagnosis.criteria))
    signs = "".join(f"<li>{sign}</li>" for sign in _signs(diagnosis))
    return (
        f'<article class="card"><h4>{name} {diagnosis_badge(diagnosis.label)}</h4>'
        f'<ul class="criteria">{criteria}</ul>{f"<ul class=signs>{signs}</ul>" if signs else ""}</article>'
    )


def _criterion(criterion: Criterion) -> str:
    icon, spoken = _OUTCOMES[criterion.passed]
    margin = ""
    if criterion.margin is not None:
        points = f"{abs(criterion.margin) * 100:.1f} points"
        margin = f' <span class="margin">{points} {"to spare" if criterion.passed else "short"}</span>'
    return (
        f'<li><span class="icon" aria-hidden="true">{icon}</span> <span><span class="unseen">{spoken}: </span>'
        f"{escape(criterion.sentence)}{margin}</span></li>"
    )


def _signs(diagnosis: Diagnosis) -> list[str]:
    """The two signs the paper names that do not decide the label."""
    signs = []
    if diagnosis.utility_efficient is not None:
        signs.append(f"Utility-efficient deletion: {'yes' if diagnosis.utility_efficient else 'no'}.")
    if diagnosis.below_clean:
        signs.append("AssocStr is below Clean's, a sign of over-generalised forgetting.")
    return signs


def metric_tables(analysis: Analysis) -> str:
    """All metrics of all models: value, interval, target and distances; a table for each pillar."""
    comparison = analysis.comparison
    styles = role_styles(analysis.roles)
    notes = [text.TABLE]
    missing = [words for role, words in TITLES.items() if role not in {r.name for r in analysis.roles}]
    if missing:
        notes.append(text.NO_REFERENCES.format(missing=" and ".join(missing)))
    zero_shot = next(filter(None, (model.evaluation.zero_shot for model in analysis.models)), None)
    if zero_shot:
        notes.append(f"GenKnow was measured on {zero_shot}.")
    tables = "".join(
        _pillar_table(pillar, rows, analysis, styles)
        for pillar in text.PILLARS
        if (rows := [row for row in comparison.rows if row.spec.pillar == pillar])
    )
    return f'<section aria-label="Metrics">{tables}{notice(" ".join(notes), "quiet")}{_provenance(analysis)}</section>'


def model_heads(analysis: Analysis) -> str:
    """A column head for each model."""
    shown = zip(analysis.names, role_styles(analysis.roles), analysis.roles, strict=True)
    labels = (model_head(name, style, role) for name, style, role in shown)
    return "".join(f'<th scope="col" role="columnheader">{label}</th>' for label in labels)


def cell_label(name: str, style: RoleStyle) -> str:
    """The attribute that names a cell's model where the table has no head row, on narrow screens."""
    return f'data-label="{style.marker} {escape(name)}"'


def _pillar_table(pillar: str, rows: Sequence[ComparisonRow], analysis: Analysis, styles: Sequence[RoleStyle]) -> str:
    title, target = text.PILLARS[pillar]
    body = "".join(_metric_row(row, analysis, styles) for row in rows)
    return (
        f'{heading(title, analysis.comparison.data)}<table class="numbers stacked" role="table">'
        f'<caption>{escape(target)}</caption><thead><tr role="row"><th scope="col" role="columnheader">Metric</th>'
        f'<th scope="col" role="columnheader">Target</th>{model_heads(analysis)}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _metric_row(row: ComparisonRow, analysis: Analysis, styles: Sequence[RoleStyle]) -> str:
    spec = row.spec
    cells = "".join(_metric_cell(row, number, analysis.models[number], style) for number, style in enumerate(styles))
    whose = "" if row.target is None else f"<small>{TITLES[spec.reference]}</small>"
    number = f"{spec.number} " if spec.official else ""
    return (
        f'<tr role="row"><th scope="row" role="rowheader">{number}{spec.name} · {escape(spec.title)}'
        f"<small>{escape(spec.explanation)}</small></th>"
        f'<td role="cell" data-label="Target"><b>{number_cell(row.target)}</b>{whose}</td>{cells}</tr>'
    )


def _metric_cell(row: ComparisonRow, number: int, model: ModelAnalysis, style: RoleStyle) -> str:
    name = row.spec.name
    value = row.cells[number].value
    lines = [f"<b>{'not measured' if value is None else unsigned(value)}</b>"]
    interval = model.intervals.get(name)
    if interval is not None:
        lines.append(f"<small>{interval_cell(interval)}</small>")
    distance = row.distance(number)
    if distance is not None:
        on_target = abs(distance) < 0.00005
        lines.append(f"<small>{'on target' if on_target else f'{signed(distance, 4)} to target'}</small>")
        scaled = model.distances.get(name)
        if scaled is not None and not on_target:
            lines.append(f"<small>{scaled:.2f} on the scale</small>")
    return f'<td role="cell" {cell_label(model.evaluation.model.name, style)}>{"".join(lines)}</td>'


def _provenance(analysis: Analysis) -> str:
    """How, when and with what the numbers were made."""
    lines = []
    for model in analysis.models:
        evaluation = model.evaluation
        facts = [
            f"fingerprint {(evaluation.model.fingerprint or 'unknown')[:12]}",
            *([f"revision {evaluation.model.revision}"] if evaluation.model.revision else []),
            *([f"on {evaluation.model.device}"] if evaluation.model.device else []),
            *([evaluation.made.date] if evaluation.made.date else []),
            f"seed {evaluation.made.seed}",
        ]
        lines.append(f"<li>{escape(evaluation.model.name)}: {escape(', '.join(facts))}</li>")
    data = analysis.comparison.data
    about = f"{data.title}, fingerprint {(data.fingerprint or 'unknown')[:12]}"
    versions = ", ".join(f"{name} {version}" for name, version in analysis.models[0].evaluation.made.versions.items())
    return (
        '<details class="made"><summary>Measured on what, with what</summary><ul>'
        f"<li>Data: {escape(about)}</li>{''.join(lines)}{f'<li>{escape(versions)}</li>' if versions else ''}"
        "</ul></details>"
    )
