"""What a report says about an analysis, built once for all formats."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from salmu_demo.core.notices import CLEAR_MINI_NOTICE, SCORES_NOTICE
from salmu_demo.data.layout import KINDS, kind_title
from salmu_demo.data.source import CLEAR_MINI, is_clear
from salmu_demo.hub.reference import OFFICIAL_DATA, OFFICIAL_REVISION
from salmu_demo.metrics import DECISIONS
from salmu_demo.metrics.clear_protocol import CLEAR_DECISIONS
from salmu_demo.metrics.intervals import LEVEL, RESAMPLES, Interval
from salmu_demo.metrics.protocol import SEED, Decision
from salmu_demo.reports.clear import aggregates
from salmu_demo.reports.figures import report_figures
from salmu_demo.reports.report import Block, ImageRow, MissingFigure, Report, ReportFigure, Section, Table
from salmu_demo.reports.roles import role_styles
from salmu_demo.reports.tables import diagnosis_lines
from salmu_demo.reports.text import (
    NOTHING,
    capital,
    counted,
    interval_cell,
    listed,
    number_cell,
    percent,
    printable,
    signed_cell,
    with_printable_names,
)
from salmu_demo.results.analysis import Analysis, ModelAnalysis, PairedDifference, SideMean, grouped_metrics
from salmu_demo.results.breakdown import GroupMean
from salmu_demo.results.diagnosis import Diagnosis
from salmu_demo.results.evidence import ForgetGroup
from salmu_demo.results.expectations import ACS_TOLERANCE, TOLERANCE, expectations, is_official_data
from salmu_demo.results.questions import RULE, DiagnosisQuestion
from salmu_demo.results.records import Evaluation, MeasuredData

_MODELS_ACROSS: Final = 5
"""Models side by side in one table: with more of them a page is too narrow."""

_PERSONAS_SHOWN: Final = 5
_PARAGRAPH: Final = 5000


def build_report(
    analysis: Analysis, further: Sequence[Section] = (), people: Mapping[str, str] | None = None
) -> Report:
    """The whole report: verdicts first, what was measured on what last; the same analysis gives the same report.

    Args:
        analysis: what is reported.
        further: sections on what was found in other ways, such as by attacks.
        people: names of personas by their ids; those that are not known are called by their ids.
    """
    analysis = with_printable_names(analysis)
    people = people or {}
    data = analysis.comparison.data
    first, *figures = report_figures(analysis, people)
    of_clear = is_clear(data.name)
    diagnosis = () if of_clear else (Section("How the diagnosis is made", tuple(_rule())),)
    verdicts = (
        (Section("Verdicts", (aggregates(analysis), *analysis.remarks, *_figures([first]))),)
        if of_clear
        else (
            Section("Verdicts", (*_verdicts(analysis), *_figures([first]))),
            Section("What the verdicts rest on", tuple(_answers(analysis))),
        )
    )
    sections = (
        *verdicts,
        Section("Metrics", tuple(_metrics(analysis))),
        *_expected(analysis),
        *further,
        Section("Differences between models", tuple(_differences(analysis))),
        Section("By attribute", tuple(_by_kind(analysis))),
        Section("By persona", tuple(_by_persona(analysis, people))),
        Section("By what is kept of a person", tuple(_by_side(analysis))),
        Section("Figures", tuple(_figures(figures))),
        *diagnosis,
        Section("How sure the numbers are", tuple(_intervals())),
        Section("Protocol decisions", (_decisions(_decided(data)),)),
        Section("How to cite", tuple(_cite(analysis))),
        Section("What was measured on what", tuple(_provenance(analysis))),
    )
    about = listed(analysis.names) if len(analysis.names) <= _MODELS_ACROSS else f"{len(analysis.names)} models"
    title = f"What {about} forgot and kept, measured on {data.title}"
    report = Report(title, (data_line(data), SCORES_NOTICE), (), sections)
    return printable_report(report, "sampled" if data.sample else "")


def data_line(data: MeasuredData) -> str:
    """What must be said about the data before any number."""
    if data.notice:
        line = data.notice
    elif data.name.partition("#")[0] == CLEAR_MINI:
        line = CLEAR_MINI_NOTICE
    elif is_official_data(data):
        line = f"Measured on the official benchmark data, {OFFICIAL_DATA}"
        if data.revision in (None, OFFICIAL_REVISION):
            line += "." if data.revision is None else ", at the revision the published numbers were made on."
        else:
            line += f", at another revision than the published numbers ({OFFICIAL_REVISION})."
    else:
        line = f"Measured on {data.name}, which is not the official benchmark data: do not compare with the paper."
    if data.sample:
        line += f" Only a part of the rows was measured ({data.sample}): intervals are wider than those of all rows."
    return line


def printable_report(report: Report, mark: str = "") -> Report:
    """All texts printable, and `mark` in every caption, so that a table taken out of the report still says it.

    Sections that are about all rows are not marked.
    """

    def table(raw: Table, mark: str) -> Table:
        caption = f"{raw.caption.rstrip('.')} ({mark})." if mark else raw.caption
        rows = tuple(map(_all_printable, raw.rows))
        return replace(raw, caption=printable(caption), header=_all_printable(raw.header), rows=rows)

    def block(raw: Block, mark: str = mark) -> Block:
        if isinstance(raw, str):
            return printable(raw, _PARAGRAPH)
        if isinstance(raw, Table):
            return table(raw, mark)
        if isinstance(raw, ImageRow):
            return replace(raw, caption=printable(raw.caption), labels=_all_printable(raw.labels))
        return replace(raw, sentence=printable(raw.sentence, _PARAGRAPH), table=table(raw.table, mark))

    return Report(
        printable(report.title),
        _all_printable(report.notices),
        tuple(map(block, report.head)),
        tuple(
            replace(section, blocks=tuple(block(raw, "" if section.on_all_rows else mark) for raw in section.blocks))
            for section in report.sections
        ),
    )


def _all_printable(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(printable, texts))


def _provenance(analysis: Analysis) -> Iterator[Block]:
    models = [model.evaluation for model in analysis.models]
    yield Table(
        "What was measured.",
        ("Model", "Given as", "Fingerprint (SHA-256)", "Revision", "Architecture", "Parameters", "Device"),
        tuple(
            (
                f"{style.marker} {head}",
                *(value or NOTHING for value in (m.reference, m.fingerprint, m.revision, m.architecture)),
                NOTHING if m.parameters is None else f"{m.parameters:,}",
                m.device or NOTHING,
            )
            for head, m, style in zip(
                _model_heads(analysis),
                (e.model for e in models),
                role_styles([e.model.reference for e in models], analysis.roles),
                strict=True,
            )
        ),
        7,
    )
    settings = tuple(
        (head, setting.name, setting.value, setting.origin)
        for head, evaluation in zip(_model_heads(analysis), models, strict=True)
        for setting in evaluation.model.settings
    )
    if settings:
        yield Table("How inputs are computed, and who says so.", ("Model", "Setting", "Value", "Said by"), settings, 4)
    data = analysis.comparison.data
    rows = [
        ("Data", data.name),
        ("Data fingerprint (SHA-256)", data.fingerprint or NOTHING),
        ("Data revision", data.revision or NOTHING),
        ("Rows", data.sample or "all"),
        ("General knowledge measured on", _shared(models, lambda e: e.zero_shot or NOTHING)),
        ("Date (UTC)", _shared(models, lambda e: e.made.date or NOTHING)),
        ("Seed", _shared(models, lambda e: str(e.made.seed))),
        ("Versions", _shared(models, _versions)),
        ("Protocol", f"{counted(len(_decided(data)), 'decision')} on what the publications leave open, listed above"),
    ]
    yield Table("On what, and how.", ("Fact", "Value"), tuple(rows), 2)


def _model_heads(analysis: Analysis) -> list[str]:
    """The models as the heads of tables: with what they are to the others."""
    return [
        f"{name} · {role.title}" if role.title else name
        for name, role in zip(analysis.names, analysis.roles, strict=True)
    ]


def _versions(evaluation: Evaluation) -> str:
    return ", ".join(f"{package} {number}" for package, number in evaluation.made.versions.items()) or NOTHING


def _shared(models: Sequence[Evaluation], fact: Callable[[Evaluation], str]) -> str:
    """A fact of all models: once if they share it, else of each."""
    facts = [fact(model) for model in models]
    if len(set(facts)) == 1:
        return facts[0]
    return "; ".join(f"{model.model.name}: {value}" for model, value in zip(models, facts, strict=True))


def _diagnosed(analysis: Analysis) -> list[tuple[str, Diagnosis]]:
    return [
        (name, model.diagnosis)
        for name, model in zip(analysis.names, analysis.models, strict=True)
        if model.diagnosis is not None
    ]


def _verdicts(analysis: Analysis) -> Iterator[Block]:
    """The label of each model, and what was assumed, which nobody may miss."""
    diagnosed = _diagnosed(analysis)
    if diagnosed:
        yield Table(
            "Diagnosis of each model, and the answers; in brackets the distance to the threshold, positive on the good "
            "side.",
            ("Model", "Diagnosis", *(question.words for question in diagnosed[0][1].questions)),
            tuple((name, d.label, *map(_answer, d.questions)) for name, d in diagnosed),
            2,
        )
    else:
        yield "Only reference models were measured; a diagnosis is made of a model between them."
    yield from analysis.remarks


def _answers(analysis: Analysis) -> Iterator[Block]:
    """Of each model everything that answers the questions."""
    diagnosed = _diagnosed(analysis)
    if not diagnosed:
        yield "There is no model to diagnose."
    for name, diagnosis in diagnosed:
        head, *lines = diagnosis_lines(name, diagnosis)
        yield f"{head} {' '.join(line.strip() for line in lines)}{_signs(diagnosis)}"
        yield Table(
            f"{name}: everything that answers the questions.",
            ("Question", "Measure", "Value", "95 % interval", "Wanted", "Gold", "Answer"),
            tuple(
                (question.name, c.measure, NOTHING if c.value is None else percent(c.value), _ends(c.interval),
                 c.wanted, NOTHING if c.gold is None else percent(c.gold),
                 f"{c.answer}: {c.missing}" if c.missing else c.answer)
                for question in diagnosis.questions
                for c in question.criteria
            ),
            2,
        )  # fmt: skip


def _answer(question: DiagnosisQuestion) -> str:
    found = question.deciding
    if found.value is None or found.margin is None:
        return question.answer
    margin = f"{found.margin * 100:+.1f} points".replace("-", "−")
    return f"{question.answer}: {percent(found.value)} ({margin})"


def _ends(found: Interval | None) -> str:
    return NOTHING if found is None else f"{percent(found.low)} to {percent(found.high)}"


def _signs(diagnosis: Diagnosis) -> str:
    """The two signs the publication names."""
    signs = ""
    if diagnosis.utility_efficient is not None:
        met = "meets" if diagnosis.utility_efficient else "does not meet"
        signs += f" It {met} the published criterion of utility-efficient deletion."
    if diagnosis.below_clean:
        signs += " Its AssocStr is below Clean's, which the authors call a sign of over-generalisation."
    return signs


def _metrics(analysis: Analysis) -> Iterator[Block]:
    rows, heads = analysis.comparison.rows, _model_heads(analysis)
    for chunk in _chunks(len(analysis.names)):
        yield Table(
            "Value of every metric and its target: Gold's value for what is to be forgotten, else Compromised's."
            if is_clear(analysis.comparison.data.name)
            else "Value of every metric and its target: Clean's value for efficacy (1), Compromised's for utility (2).",
            ("Metric", "In words", "Target", *(heads[n] for n in chunk)),
            tuple(
                (f"{row.spec.number} {row.spec.name}", row.spec.title, number_cell(row.target),
                 *(number_cell(row.cells[n].value) for n in chunk))
                for row in rows
            ),
            2,
        )  # fmt: skip
    yield (
        "Position is the place of a value between Clean (0) and Compromised (1); off target is the distance to the "
        "target on that scale. Both need both references, and a metric in which they differ. Metrics with a + are "
        "further measures of this tool and none of the ten official metrics; RetFailBits and ValExp are in bits."
    )
    for number, model in enumerate(analysis.models):
        name = analysis.names[number]
        yield Table(
            f"{name}: values, intervals and distances to the target.",
            ("Metric", "Value", "95 % interval", "Target", "To target", "Position", "Off target"),
            tuple(
                (
                    f"{row.spec.number} {row.spec.name}",
                    number_cell(row.cells[number].value),
                    interval_cell(model.intervals[row.spec.name]),
                    number_cell(row.target),
                    signed_cell(row.distance(number)),
                    number_cell(model.positions[row.spec.name]),
                    number_cell(model.distances[row.spec.name]),
                )
                for row in rows
            ),
        )


def _chunks(count: int) -> list[range]:
    return [range(start, min(start + _MODELS_ACROSS, count)) for start in range(0, count, _MODELS_ACROSS)]


def _expected(analysis: Analysis) -> Iterator[Section]:
    found = expectations(analysis)
    if not found:
        return
    far = [e for e in found if not e.is_met]
    verdict = (
        f"All {len(found)} values agree."
        if not far
        else f"Further off: {listed([f'{e.metric} of {e.model}' for e in far])}, {len(far)} of {len(found)} values."
    )
    yield Section(
        "Agreement with published numbers",
        (
            f"The released reference models on the official data, beside what was published about them. Expected are "
            f"differences of at most {TOLERANCE:g} ({ACS_TOLERANCE:g} for ACS, whose negatives are drawn). {verdict}",
            Table(
                "Our values beside the published ones.",
                ("Model", "Metric", "Here", "Published", "Difference", "Within tolerance"),
                tuple(
                    (e.model, e.metric, number_cell(e.value), number_cell(e.published),
                     signed_cell(e.difference), "yes" if e.is_met else "NO")
                    for e in found
                ),
                2,
            ),
            f"Source: {listed(list(dict.fromkeys(e.source for e in found)))}.",
        ),
    )  # fmt: skip


def _differences(analysis: Analysis) -> Iterator[Block]:
    pairs: dict[tuple[int, int], list[PairedDifference]] = {}
    for difference in analysis.differences:
        pairs.setdefault((difference.first, difference.second), []).append(difference)
    if not pairs:
        yield "Paired differences need two models whose scores are known row by row."
        return
    yield (
        "Differences are paired: both models are measured on the same rows and resampled with the same personas. "
        "Better is nearer to the target. A difference is clear if its interval and that of the distances to the target "
        "leave out 0."
    )
    for (first, second), found in pairs.items():
        yield Table(
            f"{analysis.names[first]} minus {analysis.names[second]}.",
            ("Metric", "Difference", "95 % interval", "The first is"),
            tuple(
                (d.metric, signed_cell(d.difference.value), interval_cell(d.difference.interval), d.standing)
                for d in found
            ),
        )  # fmt: skip


def _by_kind(analysis: Analysis) -> Iterator[Block]:
    yield from _grouped(
        analysis,
        lambda model: model.by_kind,
        lambda metric: f"{metric} by kind of attribute.",
        "Attribute",
        kind_title,
        grouped_metrics(),
    )


def _by_persona(analysis: Analysis, people: Mapping[str, str]) -> Iterator[Block]:
    yield (
        f"RetFail of the personas of whom it is highest and lowest on average over models, {_PERSONAS_SHOWN} of each; "
        "all personas and metrics are in the table by_persona of the CSV files."
    )
    yield from _grouped(
        analysis, lambda model: model.by_persona, lambda _: "RetFail by persona.", "Persona",
        lambda persona: people.get(persona, persona), ("RetFail",), 2 * _PERSONAS_SHOWN,
    )  # fmt: skip


def _by_side(analysis: Analysis) -> Iterator[Block]:
    yield (
        "People with nothing kept are to be forgotten altogether: their rows are held against Clean. Of people with "
        "pairs on both sides a model retrained without the forget rows knows the facts from the pairs that are kept: "
        "their rows are held against Gold, where such a model was measured."
    )
    metrics = [m for m in grouped_metrics() if any(model.by_side.get(m) for model in analysis.models)]
    for metric in metrics:
        yield Table(
            f"{metric} by what is kept of a person, with 95 % intervals.",
            ("Model", *(capital(side) for side in (ForgetGroup.NOTHING_KEPT, ForgetGroup.BOTH))),
            tuple(
                (
                    name,
                    *(
                        _side(model.by_side.get(metric, {}).get(side))
                        for side in (ForgetGroup.NOTHING_KEPT, ForgetGroup.BOTH)
                    ),
                )
                for name, model in zip(_model_heads(analysis), analysis.models, strict=True)
            ),
        )
    if not metrics:
        yield "It needs forget rows of people of either kind, and IdZSC, which says who they are."


def _side(found: SideMean | None) -> str:
    return NOTHING if found is None else f"{number_cell(found.mean)} ({interval_cell(found.interval)})"


def _grouped(
    analysis: Analysis,
    groups_of: Callable[[ModelAnalysis], dict[str, dict[str, GroupMean]]],
    caption: Callable[[str], str],
    what: str,
    title: Callable[[str], str],
    metrics: Sequence[str],
    most: int | None = None,
) -> Iterator[Block]:
    """A table for each metric: groups down, models across; with `most`, the highest and lowest groups only."""
    shown, heads = False, _model_heads(analysis)
    for metric in metrics:
        known = [n for n, model in enumerate(analysis.models) if metric in groups_of(analysis.models[n])]
        found = {n: groups_of(analysis.models[n])[metric] for n in known}
        names = list(dict.fromkeys(name for groups in found.values() for name in groups))
        if most is None:
            names.sort(key=lambda name: (KINDS.index(name) if name in KINDS else len(KINDS), name))
        else:
            names.sort(key=lambda name: (-sum(g[name].mean for g in found.values() if name in g), name))
            names = names if len(names) <= most else names[: most // 2] + names[-(most // 2) :]
        for chunk in _chunks(len(known)):
            numbers = [known[n] for n in chunk]
            shown = True
            yield Table(
                caption(metric),
                (what, "Rows", *(heads[n] for n in numbers)),
                tuple(
                    (title(name), _rows(found, name),
                     *(number_cell(found[n][name].mean if name in found[n] else None) for n in numbers))
                    for name in names
                ),
            )  # fmt: skip
    if not shown:
        yield "It needs scores with their rows; a results.json holds them, an official result file does not."


def _rows(found: dict[int, dict[str, GroupMean]], name: str) -> str:
    return f"{next(groups[name].count for groups in found.values() if name in groups):,}"


def _figures(figures: Sequence[ReportFigure | MissingFigure]) -> Iterator[Block]:
    for figure in figures:
        if isinstance(figure, MissingFigure):
            yield f"{figure.title} is not drawn. {figure.reason}"
        else:
            yield figure


def _rule() -> Iterator[Block]:
    yield (
        "The questions are asked in this order; the first that is answered with no gives the label, and none answered "
        "so is a clean pass. An answer is undecided if the threshold lies inside the interval of the quantity; a model "
        "with no clear no and an undecided answer is “undecided”. One of the first three questions whose metrics are "
        "missing ends the rule with “not enough metrics”; the last two may be missing, and a pass says so. Three of "
        "the labels are those of SALMUBench; the paper publishes no rule, so this one is salmu-demo's."
    )
    yield Table(
        "The rule of the diagnosis.",
        ("Question", "Quantity", "Must be", "Label if not"),
        tuple((question, quantity, wanted, label) for _, question, quantity, wanted, label in RULE),
        4,
    )


def _intervals() -> Iterator[Block]:
    yield (
        f"Intervals hold {LEVEL:.0%} of {RESAMPLES:,} bootstrap resamples (percentiles). Whole personas are drawn with "
        "replacement, because the rows of one persona are not independent; a row of no persona is drawn by itself, and "
        "of a zero-shot set whole classes, whose images share their prompts. Where 95% is said, such intervals hold "
        "the truth in 90 to 96% of cases. "
        f"The draws use seed {SEED} and are the same for all models. They tell how much the numbers depend on which "
        "personas were measured, not how much they depend on the seed of a training run."
    ).replace("%", " %")


def _decided(data: MeasuredData) -> Sequence[Decision]:
    """What the publications of the benchmark of some data leave open."""
    return CLEAR_DECISIONS if is_clear(data.name) else DECISIONS


def _decisions(decisions: Sequence[Decision]) -> Table:
    return Table(
        "What the public description of the benchmark leaves open, and what is done here.",
        ("Metric", "Question", "Decision", "Constant"),
        tuple((d.topic, d.question, d.decision, d.constant) for d in decisions),
        4,
    )


def _cite(analysis: Analysis) -> Iterator[Block]:
    versions = sorted({model.evaluation.made.versions.get("salmu-demo", "") for model in analysis.models} - {""})
    if is_clear(analysis.comparison.data.name):
        yield "The benchmark, its data and metrics: CLEAR, arXiv 2410.18057."
    else:
        yield "The benchmark, its data, metrics and reference models: SALMUBench, CVPR 2026, arXiv 2603.26316."
    yield f"The evaluator, its intervals and its diagnosis: {' '.join(['salmu-demo', ', '.join(versions)]).strip()}."
