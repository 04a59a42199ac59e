"""The results of a benchmark as markup: what each model forgot and broke, every metric, figures, pairs and groups."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from salmu_demo.attacks.schema import AttacksDocument
from salmu_demo.core.markup import render
from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.data.layout import kind_title
from salmu_demo.data.source import benchmark_of
from salmu_demo.metrics import find_metric
from salmu_demo.metrics.intervals import Difference, Interval
from salmu_demo.models.roles import COMPROMISED, GOLD, SCALE, TITLES
from salmu_demo.reports.attacks import attack_report
from salmu_demo.reports.figures.canvas import page_svg
from salmu_demo.reports.report import MissingFigure, ReportFigure, Table
from salmu_demo.reports.text import counted, interval_cell, number_cell, percent, signed, unsigned
from salmu_demo.results.analysis import (
    OPPOSITE,
    Analysis,
    ModelAnalysis,
    PairedDifference,
    Standing,
    grouped_metrics,
)
from salmu_demo.results.breakdown import GroupMean
from salmu_demo.results.comparison import ComparisonRow, target_role
from salmu_demo.results.diagnosis import Diagnosis
from salmu_demo.results.questions import Answer, DiagnosisQuestion, Label
from salmu_demo.results.records import MeasuredData
from salmu_demo.ui.jobs.outcomes import Drawing
from salmu_demo.ui.shell.text import WHY_THEY_DIFFER, WHY_THEY_DIFFER_TITLE
from salmu_demo.ui.shell.view import MAX_MODELS, PagePersonas
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.widgets.images import data_address
from salmu_demo.ui.widgets.markup import Download, ModelHead, empty_state, model_heads, terms

MOST_PERSONAS: Final = 20
"""Personas listed at once: half of them from either end."""

ImageOf = Callable[[str], str | None]
"""Gives the address of a forget row's image by its file name, or None if it is damaged."""

_ICONS: Final = {Answer.YES: "✓", Answer.NO: "✗", Answer.UNDECIDED: "≈", Answer.NOT_MEASURED: "?"}


def _heads(analysis: Analysis) -> list[ModelHead]:
    return model_heads(analysis.comparison.models, analysis.roles)


def results_title(analysis: Analysis, about: str = "") -> Markup:
    """What was measured on what, the notice that goes with the data, and what else is to be said of the results."""
    data = analysis.comparison.data
    return render(
        "ui/templates/benchmark.html#results_title",
        title=f"{counted(len(analysis.models), 'model')} on {data.name}",
        about=about,
        sample=data.sample,
        sampling=f"{data.sample[:1].upper()}{data.sample[1:]}." if data.sample else "",
        provisos=" ".join(filter(None, (data.notice, SCORES_NOTICE))),
        remarks=analysis.remarks,
    )


@dataclass(frozen=True)
class _QuestionCard:
    """One question of a diagnosis: its answer, what decides it and by how much, and what was not measured of it."""

    icon: str
    words: str
    answer: str
    sentence: str
    margin: str
    missing: str


@dataclass(frozen=True)
class _DiagnosisCard:
    """What became of a model; of a reference, which has no diagnosis, what it is for."""

    model: ModelHead
    diagnosis: Label | None
    reference: str
    questions: Sequence[_QuestionCard]
    proviso: str
    signs: Sequence[str]


def diagnosis_cards(analysis: Analysis) -> Markup:
    """A card for each model: the label in words, icon and colour, and every criterion with its margin."""
    cards = [_card(model, head) for model, head in zip(analysis.models, _heads(analysis), strict=True)]
    return render(
        "ui/templates/benchmark.html#diagnosis_cards",
        cards=cards,
        folded=len(cards) > MAX_MODELS,
        sample=analysis.comparison.data.sample,
        hint=text.NO_DIAGNOSIS if any(card.diagnosis is Label.UNKNOWN for card in cards) else "",
    )


def audits_view(analysis: Analysis, audits: Sequence[str]) -> Markup:
    """What audits say of each model, or an empty text, and why that can differ; nothing if they say nothing."""
    said = [(head, words) for head, words in zip(_heads(analysis), audits, strict=True) if words]
    if not said:
        return Markup()
    return render(
        "ui/templates/benchmark.html#audits",
        title=text.AUDITS,
        models=said,
        why=WHY_THEY_DIFFER_TITLE,
        words=WHY_THEY_DIFFER,
    )


def _card(model: ModelAnalysis, head: ModelHead) -> _DiagnosisCard:
    diagnosis = model.diagnosis
    if diagnosis is None:
        return _DiagnosisCard(head, None, text.REFERENCES[head.style.role], (), "", ())
    questions = [_question(question) for question in diagnosis.questions]
    return _DiagnosisCard(head, diagnosis.label, "", questions, diagnosis.proviso, _signs(diagnosis))


def _question(question: DiagnosisQuestion) -> _QuestionCard:
    margin, found = "", question.deciding
    if found.margin is not None:
        margin = f"{abs(found.margin) * 100:.1f} points {'to spare' if found.margin >= 0 else 'short'}"
    # What decides by being missing has said so.
    missing = "; ".join(words for words in question.missing if words != found.missing)
    return _QuestionCard(
        _ICONS[question.answer],
        question.words,
        question.answer,
        found.sentence,
        margin,
        f"Not measured: {missing}." if missing else "",
    )


def _signs(diagnosis: Diagnosis) -> list[str]:
    """The two signs the paper names that do not decide the label."""
    signs = []
    if diagnosis.utility_efficient is not None:
        signs.append(f"Utility-efficient deletion: {'yes' if diagnosis.utility_efficient else 'no'}.")
    if diagnosis.below_clean:
        signs.append("AssocStr is below Clean's, a sign of over-generalised forgetting.")
    return signs


@dataclass(frozen=True)
class _MetricCell:
    """A value and what is to be said of it, and a bar as long as it is off target, where one can be drawn."""

    lines: Sequence[str]
    percent: str


@dataclass(frozen=True)
class _MetricRow:
    """A metric: what it is, its target and whose value that is, and each model's cell."""

    title: str
    explanation: str
    target: str
    whose: str
    cells: Sequence[_MetricCell]


@dataclass(frozen=True)
class _Pillar:
    """The metrics of one question."""

    title: str
    target: str
    rows: Sequence[_MetricRow]


def metric_tables(analysis: Analysis) -> Markup:
    """All metrics of all models: value, interval, target and distances; a table for each pillar."""
    notes = [text.TABLE]
    benchmark = benchmark_of(analysis.comparison.data.name)
    needed = (COMPROMISED, GOLD) if benchmark == "CLEAR" else SCALE
    missing = [TITLES[role] for role in needed if role not in {r.name for r in analysis.roles}]
    if missing:
        notes.append(text.NO_REFERENCES.format(missing=" and ".join(missing)))
    zero_shot = next(filter(None, (model.evaluation.zero_shot for model in analysis.models)), None)
    if zero_shot:
        notes.append(f"GenKnow was measured on {zero_shot}.")
    pillars = [
        _Pillar(*words, [_metric_row(row, analysis) for row in rows])
        for pillar, words in text.PILLARS[benchmark].items()
        if (rows := [row for row in analysis.comparison.rows if row.spec.pillar == pillar])
    ]
    return render(
        "ui/templates/benchmark.html#metric_tables",
        models=_heads(analysis),
        pillars=pillars,
        sample=analysis.comparison.data.sample,
        notes=" ".join(notes),
        words=terms("benchmark", "target", "on the scale", "interval", "leak left", "leakage rate", "diagnosis"),
        provenance=_provenance(analysis),
    )


def _metric_row(row: ComparisonRow, analysis: Analysis) -> _MetricRow:
    spec = row.spec
    number = f"{spec.number} " if spec.official else ""
    return _MetricRow(
        title=f"{number}{spec.name} · {spec.title}{f' ({spec.unit})' if spec.unit else ''}",
        explanation=spec.explanation,
        target=number_cell(row.target),
        whose="" if row.target is None else TITLES[target_role(spec)],
        cells=[_metric_cell(row, number, model) for number, model in enumerate(analysis.models)],
    )


def _metric_cell(row: ComparisonRow, number: int, model: ModelAnalysis) -> _MetricCell:
    name, value = row.spec.name, row.cells[number].value
    result = model.evaluation.results.get(name)
    lines = ["not measured" if value is None else unsigned(value)]
    if value is None and result is not None and result.reason:
        lines.append(result.reason)
    if result is not None and result.r_at_1 is not None:
        lines.append(f"first in {percent(result.r_at_1)}")
    interval = model.intervals.get(name)
    if interval is not None:
        lines.append(interval_cell(interval))
    distance, scaled = row.distance(number), model.distances.get(name)
    if distance is not None:
        on_target = abs(distance) < 0.00005
        side = "above" if distance > 0 else "below"
        lines.append("on target" if on_target else f"{abs(distance):.4f} {side} target")
        if scaled is not None and not on_target:
            lines.append(f"{scaled:.2f} on the scale")
    return _MetricCell(lines, "" if scaled is None else f"{100 * min(1.0, abs(scaled)):.0f}")


def _provenance(analysis: Analysis) -> list[str]:
    """How, when and with what the numbers were made."""
    data = analysis.comparison.data
    lines = [f"Data: {data.title}, fingerprint {(data.fingerprint or 'unknown')[:12]}"]
    for model in analysis.models:
        evaluation = model.evaluation
        facts = [
            f"fingerprint {(evaluation.model.fingerprint or 'unknown')[:12]}",
            *([f"revision {evaluation.model.revision}"] if evaluation.model.revision else []),
            *([f"on {evaluation.model.device}"] if evaluation.model.device else []),
            *([evaluation.made.date] if evaluation.made.date else []),
            f"seed {evaluation.made.seed}",
        ]
        lines.append(f"{evaluation.model.name}: {', '.join(facts)}")
    versions = ", ".join(f"{name} {version}" for name, version in analysis.models[0].evaluation.made.versions.items())
    return [*lines, *([versions] if versions else [])]


@dataclass(frozen=True)
class _Figure:
    """A figure with its sentence, the table behind it and its files, or why it is missing."""

    title: str
    missing: str = ""
    sentence: str = ""
    svg: str = ""
    files: Sequence[Download] = ()
    table: Table | None = None


def figures_view(
    figures: Sequence[ReportFigure | MissingFigure],
    drawing: Callable[[ReportFigure], Drawing],
    data: MeasuredData,
    address: Callable[[str, str], str] | None = None,
) -> Markup:
    """All figures, in the page's own colours; instead of one that is missing the page says why.

    Args:
        figures: the figures.
        drawing: gives the files of one.
        data: what was measured.
        address: address of a persona's attribute; None where the page knows nobody.
    """
    shown = [
        _Figure(figure.title, missing=figure.reason)
        if isinstance(figure, MissingFigure)
        else _figure(figure, drawing(figure), address)
        for figure in figures
    ]
    return render("ui/templates/benchmark.html#figures", figures=shown, sample=data.sample)


def _figure(figure: ReportFigure, drawn: Drawing, address: Callable[[str, str], str] | None) -> _Figure:
    name = figure.name
    files = [Download(f"{name}.svg", "SVG", data_address(drawn.svg, "image/svg+xml"))]
    if drawn.pdf is not None:
        wide = data_address(drawn.pdf, "application/pdf")
        files.append(Download(f"{name}-landscape.pdf", "PDF for a paper, landscape", wide))
    # Whatever strangers wrote was escaped when the figure was drawn.
    svg = Markup(page_svg(drawn.svg, name, address))
    return _Figure(figure.title, sentence=figure.sentence, svg=svg, files=files, table=figure.table)


def attacks_view(document: AttacksDocument) -> Markup:
    """What attacks brought back, as their report says it."""
    report = attack_report(document)
    return render(
        "ui/templates/benchmark.html#attacks",
        title=report.title,
        provisos=" ".join(report.notices),
        blocks=[block for section in report.sections for block in section.blocks],
    )


@dataclass(frozen=True)
class _GroupRow:
    """An attribute kind, or the id of a persona: the mean of each model, and the rows of it."""

    title: str
    values: Sequence[str]
    count: str
    after_gap: bool


def group_choices(analysis: Analysis) -> list[str]:
    """Names of the metrics that can be broken down."""
    return [name for name in grouped_metrics() if any(model.by_kind.get(name) for model in analysis.models)]


def groups_view(analysis: Analysis, metric: str | None, order_by: int, people: PagePersonas) -> Markup:
    """A metric by attribute kind and by persona, a column for each model.

    Args:
        analysis: the results.
        metric: name of the metric, or None if there is none to break down.
        order_by: number of the model whose values order the personas, the highest first.
        people: names of the personas.
    """
    if metric is None:
        return empty_state("Nothing to break down", text.NO_GROUPS)
    by_kind = [model.by_kind.get(metric, {}) for model in analysis.models]
    by_persona = [model.by_persona.get(metric, {}) for model in analysis.models]
    kinds = dict.fromkeys(kind for groups in by_kind for kind in groups)
    leading = by_persona[order_by] or next(filter(None, by_persona), {})
    personas = sorted(leading, key=lambda persona: (-leading[persona].mean, persona))
    half = MOST_PERSONAS // 2
    few = len(personas) <= MOST_PERSONAS
    lowest = [] if few else personas[-half:]
    spec = find_metric(metric)
    return render(
        "ui/templates/benchmark.html#groups",
        models=_heads(analysis),
        about=f"{spec.title}. {spec.explanation}",
        kinds=[_group_row(kind_title(kind), [groups.get(kind) for groups in by_kind]) for kind in kinds],
        personas=[
            _group_row(
                persona, [groups.get(persona) for groups in by_persona], after_gap=persona == next(iter(lowest), None)
            )
            for persona in [*personas[: len(personas) if few else half], *lowest]
        ],
        order=(text.ALL_PERSONAS if few else text.SOME_PERSONAS).format(
            total=len(personas), count=half, model=analysis.names[order_by]
        ),
        people=people,
        sample=analysis.comparison.data.sample,
    )


def _group_row(title: str, found: Sequence[GroupMean | None], after_gap: bool = False) -> _GroupRow:
    count = next((mean.count for mean in found if mean is not None), 0)
    return _GroupRow(title, [number_cell(mean.mean if mean else None) for mean in found], f"{count:,}", after_gap)


@dataclass(frozen=True)
class _DifferenceRow:
    """A metric of two models: first minus second, and what the first is beside the second."""

    metric: str
    title: str
    value: str
    interval: str
    standing: Standing


@dataclass(frozen=True)
class _RankedCaption:
    """A forget row, and the rank of its caption by either model."""

    file_name: str
    address: str | None
    identity: str | None
    kind: str
    text: str
    ranks: Sequence[str]


def pair_choices(analysis: Analysis) -> list[tuple[str, int]]:
    """Label and number of each model that can be one of a pair."""
    return [(f"{head.style.marker} {head.name}", number) for number, head in enumerate(_heads(analysis))]


def pair_view(analysis: Analysis, first: int, second: int, people: PagePersonas, image_of: ImageOf | None) -> Markup:
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
        return empty_state("The same model twice", text.SAME_MODEL)
    return _differences(analysis, first, second) + _examples(analysis, first, second, people, image_of)


def _differences(analysis: Analysis, first: int, second: int) -> Markup:
    titles = {row.spec.name: row.spec.title for row in analysis.comparison.rows}
    rows = [
        _difference_row(found, titles[found.metric], found.first != first)
        for found in analysis.differences
        if {found.first, found.second} == {first, second}
    ]
    return render(
        "ui/templates/benchmark.html#differences",
        differences=rows,
        caption=text.DIFFERENCES.format(first=analysis.names[first], second=analysis.names[second]),
        first=analysis.names[first],
        missing=text.NO_DIFFERENCES,
        sample=analysis.comparison.data.sample,
    )


def _reversed(difference: Difference) -> Difference:
    low, high = difference.interval.low, difference.interval.high
    return Difference(-difference.value, Interval(-high, -low))


def _difference_row(found: PairedDifference, title: str, is_reversed: bool) -> _DifferenceRow:
    difference = _reversed(found.difference) if is_reversed else found.difference
    standing = OPPOSITE[found.standing] if is_reversed else found.standing
    value, ends = signed(difference.value, 4), interval_cell(difference.interval)
    return _DifferenceRow(found.metric, title, value, ends, standing)


def _examples(analysis: Analysis, first: int, second: int, people: PagePersonas, image_of: ImageOf | None) -> Markup:
    found = next((d for d in analysis.disagreements if {d.first, d.second} == {first, second}), None)
    is_reversed = found is not None and found.first != first
    examples = [
        _RankedCaption(
            file_name=example.file_name,
            address=image_of(example.file_name) if image_of else None,
            identity=example.identity,
            kind=kind_title(example.kind) if example.kind else "No attribute",
            text=example.text,
            ranks=[f"{rank:,g}" for rank in (example.first, example.second)][:: -1 if is_reversed else 1],
        )
        for example in (found.examples if found else ())
    ]
    remarks = [text.NO_EXAMPLES] if found is None else [text.EXAMPLES, *([] if image_of else [text.NO_IMAGES])]
    heads = _heads(analysis)
    return render(
        "ui/templates/benchmark.html#examples",
        examples=examples,
        models=[heads[first], heads[second]],
        people=people,
        with_images=image_of is not None,
        remarks=remarks,
        sample=analysis.comparison.data.sample,
    )
