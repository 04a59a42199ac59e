"""What the benchmark tab shows, as values and as HTML; everything from data and models is escaped here."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from salmu_demo.background import State
from salmu_demo.metrics import METRICS
from salmu_demo.notices import SCORES_NOTICE
from salmu_demo.reports.roles import RoleStyle, role_styles
from salmu_demo.results.comparison import Comparison, ComparisonRow, find_reference
from salmu_demo.ui.benchmark_run import BenchmarkRun, BenchmarkStatus, Outcome
from salmu_demo.ui.components import model_label
from salmu_demo.ui.probe_view import plain, signed

PILLARS: Final = {
    "efficacy": ("Has it forgotten?", "Target: the Clean model's value."),
    "utility": ("What did forgetting break?", "Target: the Compromised model's value."),
}
_REFERENCE_WORDS: Final = {"clean": "Clean", "compromised": "Compromised"}


@dataclass(frozen=True)
class Page:
    """The benchmark tab at one moment.

    Attributes:
        status: markup of the progress or of how the run ended.
        polling: whether the page has to ask again.
        can_run: whether a run can be started.
        can_cancel: whether this visitor may cancel the run.
        outcome: results to show, or None.
    """

    status: str
    polling: bool = False
    can_run: bool = True
    can_cancel: bool = False
    outcome: Outcome | None = None


def page_of(run: BenchmarkRun | None, own_id: str | None) -> Page:
    """What a visitor sees of the latest run.

    Args:
        run: the latest run of the process, if any.
        own_id: id of the run this visitor started last, if any; only it gives results and the right to cancel.
    """
    if run is None:
        return Page("")
    status, own = run.status(), run.id == own_id
    if not status.over:
        remark = "" if own else "Another visitor's benchmark is running; yours can start when it has ended."
        return Page(
            progress_html(status, remark),
            polling=True,
            can_run=False,
            can_cancel=own and status.state is State.RUNNING,
        )
    return Page(_end_html(status), outcome=status.result) if own else Page("")


def metric_choices(pillar: str) -> list[tuple[str, str]]:
    """Label and name of each metric of a pillar."""
    return [(f"{spec.title} ({spec.name})", spec.name) for spec in METRICS if spec.pillar == pillar]


def clock(seconds: float) -> str:
    """A duration as on a stop watch.

    >>> clock(42.9), clock(3725)
    ('0:42', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def progress_words(status: BenchmarkStatus) -> str:
    """How far a run is, in words, for example `a: pictures of forget, 640 of 1,536; model 1 of 3; 0:42 elapsed`."""
    elapsed = f"{clock(status.seconds)} elapsed"
    step = status.progress
    if step is None:
        return f"Starting; {elapsed}"
    words = f"{step.words}; model {step.model} of {step.models}; {elapsed}"
    return f"Cancelling after this batch. {words}" if status.state is State.CANCELLING else words


def progress_html(status: BenchmarkStatus, remark: str = "") -> str:
    """The bar and its words."""
    percent = round(100 * status.progress.fraction) if status.progress else 0
    words = escape(progress_words(status))
    return (
        f'<div class="bench running"><p class="remark">{escape(remark)}</p>'
        f'<div class="meter" role="progressbar" aria-label="Benchmark" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}" aria-valuetext="{words}"><span style="width:{percent}%"></span></div>'
        f'<p class="words"><b>{percent}%</b> {words}</p></div>'
    )


def _end_html(status: BenchmarkStatus) -> str:
    elapsed = clock(status.seconds)
    if status.state is State.FINISHED:
        failures = status.result.failures if status.result else ()
        if failures:
            return _box(
                "warning", f"Finished in {elapsed}, but not every model could be measured. {' '.join(failures)}"
            )
        return _box("done", f"Finished in {elapsed}.")
    if status.state is State.CANCELLED:
        return _box(
            "warning", f"Cancelled after {elapsed}. Features that were complete are kept, so the next run is faster."
        )
    return _box("error", f"The benchmark failed after {elapsed}. {status.error}")


def _box(kind: str, text: str) -> str:
    return f'<div class="bench"><p class="end {kind}" role="status">{escape(text)}</p></div>'


EMPTY_HTML: Final = (
    '<section class="bench nothing"><p class="big">No results yet</p><p>Choose models at the top of the page and press '
    "Run benchmark. The table, a plot and the official result files appear here. You may leave the page meanwhile: the "
    "run goes on, and a reload finds it again.</p></section>"
)


def results_html(outcome: Outcome) -> str:
    """The table of all metrics, and the gaps to both references."""
    comparison = outcome.comparison
    styles = role_styles([model.name for model in comparison.models])
    notes = ["In the second line of a cell: how far the value is from the target."]
    missing = [words for role, words in _REFERENCE_WORDS.items() if find_reference(comparison.models, role) is None]
    if missing:
        notes.append(f"Without {' and '.join(missing)} among the models, some targets or gaps are missing.")
    if outcome.genknow:
        notes.append(f"GenKnow was measured on {outcome.genknow}.")
    if comparison.data.notice:
        notes.append(comparison.data.notice)
    notes.append(SCORES_NOTICE)
    sections = "".join(
        _pillar_html(pillar, rows, comparison, styles)
        for pillar in PILLARS
        if (rows := [row for row in comparison.rows if row.spec.pillar == pillar])
    )
    return (
        f'<section class="bench" aria-label="Benchmark results">{sections}{_gaps_html(comparison, styles)}'
        f'<p class="notes">{escape(" ".join(notes))}</p></section>'
    )


def _heads(comparison: Comparison, styles: Sequence[RoleStyle]) -> str:
    names = (model.name for model in comparison.models)
    labels = (model_label(name, style) for name, style in zip(names, styles, strict=True))
    return "".join(f'<th scope="col">{label}</th>' for label in labels)


def _pillar_html(
    pillar: str, rows: Sequence[ComparisonRow], comparison: Comparison, styles: Sequence[RoleStyle]
) -> str:
    title, target = PILLARS[pillar]
    names = [model.name for model in comparison.models]
    body = "".join(_metric_row(row, names, styles) for row in rows)
    return (
        f'<table role="table"><caption>{title} <span>{target}</span></caption><thead><tr role="row">'
        f'<th scope="col">Metric</th><th scope="col">Target</th>{_heads(comparison, styles)}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _metric_row(row: ComparisonRow, names: Sequence[str], styles: Sequence[RoleStyle]) -> str:
    spec = row.spec
    cells = ""
    for number, (name, style) in enumerate(zip(names, styles, strict=True)):
        value = row.cells[number].value
        distance = row.distance(number)
        gap = "" if distance is None else f'<span class="gap">{_distance_words(distance)}</span>'
        shown = "not measured" if value is None else plain(value)
        cells += (
            f'<td role="cell" data-label="{style.marker} {escape(name)}"><span class="value">{shown}</span>{gap}</td>'
        )
    whose = "" if row.target is None else f'<span class="gap">{_REFERENCE_WORDS[spec.reference]}</span>'
    return (
        f'<tr role="row"><th scope="row" role="rowheader">{spec.number} {spec.name} · {escape(spec.title)}'
        f'<span class="asks">{escape(spec.explanation)}</span></th>'
        f'<td role="cell" data-label="Target"><span class="value">{plain(row.target)}</span>{whose}</td>{cells}</tr>'
    )


def _distance_words(distance: float) -> str:
    return "on target" if abs(distance) < 0.00005 else f"{signed(distance)} off"


def _gaps_html(comparison: Comparison, styles: Sequence[RoleStyle]) -> str:
    names = [model.name for model in comparison.models]
    body = ""
    for row in comparison.rows:
        cells = "".join(
            f'<td role="cell" data-label="{style.marker} {escape(name)}"><span class="value">'
            f"{signed(cell.gap_to_clean)} to Clean</span>"
            f'<span class="value">{signed(cell.gap_to_compromised)} to Compromised</span></td>'
            for name, style, cell in zip(names, styles, row.cells, strict=True)
        )
        body += f'<tr role="row"><th scope="row" role="rowheader">{row.spec.number} {row.spec.name}</th>{cells}</tr>'
    return (
        '<details><summary>Gaps to both references</summary><table role="table" aria-label="Gaps to both references">'
        f'<thead><tr role="row"><th scope="col">Metric</th>{_heads(comparison, styles)}'
        f"</tr></thead><tbody>{body}</tbody></table></details>"
    )


CSS: Final = """
.bench { color: var(--body-text-color); }
.bench p { margin: 0; }
.bench .remark:not(:empty) { margin-bottom: 8px; font-weight: 600; }
.bench .meter { height: 12px; overflow: hidden; border: 1px solid var(--border-color-primary); border-radius: 99px;
  background: var(--background-fill-secondary); }
.bench .meter span { display: block; height: 100%; border-radius: 99px; background: #0072b2; transition: width 0.6s; }
.bench .words { margin-top: 6px; font-size: 0.9rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.bench .end { padding: 10px 14px; border: 1px solid var(--border-color-primary); border-left: 4px solid #009e73;
  border-radius: 8px; background: var(--background-fill-secondary); overflow-wrap: anywhere; }
.bench .end.warning { border-left-color: #e69f00; }
.bench .end.error { border-left-color: #d55e00; }
.bench table { width: 100%; margin: 0 0 20px; padding: 0; border: 0; border-collapse: collapse; font-size: 0.9rem; }
.bench caption { padding: 4px 0 8px; text-align: left; font-size: 1.1rem; font-weight: 600; }
.bench caption span { font-size: 0.85rem; font-weight: 400; color: var(--body-text-color-subdued); }
.bench tr { border: 0; }
.bench thead th { padding: 6px 10px; border: 0; border-bottom: 2px solid var(--border-color-primary);
  font-size: 0.8rem; text-align: right; vertical-align: bottom; overflow-wrap: anywhere; }
.bench thead th:first-child { padding-left: 0; text-align: left; }
.bench tbody th { padding: 8px 10px 8px 0; border: 0; border-bottom: 1px solid var(--border-color-primary);
  text-align: left; font-weight: 600; }
.bench td { padding: 8px 10px; border: 0; border-bottom: 1px solid var(--border-color-primary); text-align: right;
  vertical-align: top; font-variant-numeric: tabular-nums; }
.bench .asks { display: block; max-width: 46em; font-size: 0.82rem; font-weight: 400;
  color: var(--body-text-color-subdued); }
.bench .value { display: block; white-space: nowrap; }
.bench .gap { display: block; font-size: 0.8rem; white-space: nowrap; color: var(--body-text-color-subdued); }
.bench summary { padding: 6px 0; font-weight: 600; cursor: pointer; }
.bench .notes { margin-top: 10px; font-size: 0.8rem; color: var(--body-text-color-subdued); }
.bench.nothing { padding: 36px 16px; border: 1px dashed var(--border-color-primary); border-radius: 12px;
  text-align: center; color: var(--body-text-color-subdued); }
.bench.nothing p { max-width: 46em; margin: 0 auto; }
.bench.nothing .big { margin-bottom: 4px; font-size: 1.1rem; font-weight: 600; color: var(--body-text-color); }
@media (max-width: 640px) {
  .bench table, .bench tbody, .bench caption { display: block; }
  .bench thead { display: none; }
  .bench tr { display: block; margin: 0; padding: 8px 0; border: 0;
    border-bottom: 1px solid var(--border-color-primary); }
  .bench tbody th { display: block; padding: 0 0 4px; border: 0; }
  .bench td { display: grid; grid-template-columns: 1fr auto; gap: 0 10px; padding: 3px 0; border: 0; }
  .bench td::before { content: attr(data-label); grid-row: span 2; text-align: left; overflow-wrap: anywhere; }
  .bench .value, .bench .gap { grid-column: 2; }
}
"""
