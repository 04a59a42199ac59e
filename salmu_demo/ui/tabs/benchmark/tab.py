"""The Benchmark tab: put a job together, start it, leave, come back, read and download the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from salmu_demo.core.errors import QueryError
from salmu_demo.core.markup import render
from salmu_demo.core.progress import duration_words
from salmu_demo.data.sample import Sample
from salmu_demo.jobs.kinds.attack import ATTACK
from salmu_demo.jobs.kinds.benchmark import suggested_rows
from salmu_demo.jobs.plan import BenchmarkPlan, PlannedJob, make_plan
from salmu_demo.metrics import Benchmark, metrics_of
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.source import ModelSource
from salmu_demo.reports.files import ReportFiles
from salmu_demo.ui.jobs.area import JobArea, Launcher, connect_jobs, job_area
from salmu_demo.ui.jobs.page import own_ids
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.tabs.benchmark.attacks import build_attacks
from salmu_demo.ui.tabs.benchmark.page import BenchmarkPages
from salmu_demo.ui.tabs.context import Context, TabHandlers
from salmu_demo.ui.widgets.components import TURNS, choices, chosen, link_to, markup, served
from salmu_demo.ui.widgets.markup import Action, actions, notice
from salmu_demo.workbench.bench import Workbench

_ALL: Final = "all"
_METRICS: Final[dict[Benchmark, str]] = {
    "SALMUBench": "Metrics (all, unless you choose)",
    "CLEAR": "Metrics (all of CLEAR, unless you choose)",
}
_SAMPLE: Final = "sample"
_SHOWN: Final[dict[str, Any]] = {
    "concurrency_limit": 4,
    "concurrency_id": "results",
    "trigger_mode": "always_last",
    "api_visibility": "private",
}


TITLE: Final = "Benchmark"


def build(context: Context) -> TabHandlers:
    """Build the tab into the current Blocks context."""
    visitor = context.jobs["benchmark"]

    def can_be_audited(model: ModelSource) -> bool:
        warm_up, name = context.warm_up, model.reference
        return context.workbench.has_verdicts(model) or (warm_up.was_asked(name) and name not in warm_up.pending)

    pages = BenchmarkPages(context.workbench, context.manager, context.outcomes, can_be_audited)
    gr.Markdown(text.INTRODUCTIONS[context.workbench.data.benchmark])
    with gr.Accordion(text.FORM, elem_id="benchmark-form") as folded:
        form = benchmark_form(context.workbench)
    offer = Offer(gr.State(None), choices(elem_id="benchmark-offer"))
    area = job_area(visitor, folded)
    with gr.Column(visible=context.workbench.data.benchmark != "CLEAR"):
        attacks = build_attacks(context, pages)
    results = result_area(pages, visitor.finished, visitor.own, context.jobs[ATTACK].finished)
    attacks.offer(results.attack)
    _connect_start(context, Launcher(context.manager, pages, area, context.view), form, offer, area)
    return TabHandlers(viewed=[connect_jobs(context.manager, pages, area, context.view), *attacks.viewed])


@dataclass(frozen=True)
class BenchmarkForm:
    """What a job is put together from."""

    metrics: list[gr.CheckboxGroup]
    rows: gr.Radio
    size: gr.Number
    seed: gr.Number
    run: gr.Button

    @property
    def inputs(self) -> list[Any]:
        """The components a visitor fills in."""
        return [*self.metrics, self.rows, self.size, self.seed]


@dataclass(frozen=True)
class Offer:
    """The choice a visitor is given before a long job, and the plan that it is of."""

    plan: gr.State
    buttons: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """Everything the methods may change."""
        return [self.plan, self.buttons]

    def show(self, plan: BenchmarkPlan) -> dict[Any, Any]:
        """Changes that offer the choices of a plan."""
        words = notice(text.OFFER.format(time=duration_words(plan.asked.seconds)))
        offered = [Action(str(number), choice.label, "foremost") for number, choice in enumerate(plan.choices)]
        return {self.plan: plan, self.buttons: words + actions([*offered, Action("", text.DECLINE)])}

    def hide(self) -> dict[Any, Any]:
        """Changes that take the offer back."""
        return {self.plan: None, self.buttons: ""}


def benchmark_form(workbench: Workbench) -> BenchmarkForm:
    """Build the form into the current Blocks context."""
    suggestion = suggested_rows(workbench.data)
    with gr.Accordion(_METRICS[workbench.data.benchmark], open=False, elem_id="benchmark-metrics"), gr.Row():
        metrics = [
            _metric_group(pillar, title, target, workbench.data.benchmark)
            for pillar, (title, target) in text.PILLARS[workbench.data.benchmark].items()
        ]
    rows = gr.Radio(
        [("All rows", _ALL), *([("A sample", _SAMPLE)] if suggestion else [])],
        value=_ALL,
        label="Rows",
        info=text.SAMPLING,
        elem_id="benchmark-rows",
    )
    with gr.Row(visible=False) as sample:
        size = gr.Number(suggestion, label="Forget rows", precision=0, minimum=1, elem_id="sample-size")
        seed = gr.Number(SEED, label="Seed", precision=0, minimum=0)
    run = gr.Button("Run benchmark", variant="primary", elem_id="benchmark-run")

    def show_sample(rows: str) -> Any:
        return gr.Row(visible=rows == _SAMPLE)

    rows.change(show_sample, rows, sample, queue=False, show_progress="hidden", api_visibility="private")
    return BenchmarkForm(metrics, rows, size, seed, run)


def _metric_group(pillar: str, title: str, target: str, benchmark: Benchmark) -> gr.CheckboxGroup:
    metrics = [spec for spec in metrics_of(benchmark) if spec.pillar == pillar]
    # Those of SALMUBench can be asked of data of CLEAR too, but nobody expects them there.
    own = [spec for spec in metrics if spec.benchmark == benchmark]
    ordered = [*own, *(spec for spec in metrics if spec not in own)]
    labels = [(f"{spec.title} ({spec.name})", spec.name) for spec in ordered]
    with gr.Column(min_width=320):
        return gr.CheckboxGroup(labels, value=[spec.name for spec in own], label=title, info=target)


@dataclass(frozen=True)
class BenchmarkInputs:
    """What a visitor asks for: the values of the components, in their order."""

    view: View
    own: Any
    references: list[str]
    efficacy: list[str]
    utility: list[str]
    rows: str
    size: int | None
    seed: int | None

    @property
    def sample(self) -> Sample | None:
        """The sample to measure, or None for all rows; raises `QueryError` if a number is missing."""
        if self.rows != _SAMPLE:
            return None
        if self.size is None or self.seed is None:
            raise QueryError(text.NO_SAMPLE)
        return Sample(self.size, self.seed)


def _connect_start(context: Context, launcher: Launcher, form: BenchmarkForm, offer: Offer, area: JobArea) -> None:
    """Connect the buttons that start jobs."""
    view, own_state = context.view, area.visitor.own

    def launch(planned: PlannedJob, seen: View, own: Any, request: gr.Request) -> dict[Any, Any]:
        return {**offer.hide(), **launcher.launch(planned.spec, planned.seconds, seen, own, request)}

    @shows_errors
    def start(
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
        *values: Any,
    ) -> dict[Any, Any]:
        progress(0.0, desc=text.TIMING)
        asked = BenchmarkInputs(*values)
        told = asked.view.told.among(asked.references)
        metrics = [*asked.efficacy, *asked.utility]
        plan = make_plan(context.workbench, context.manager, asked.references, metrics, asked.sample, told)
        return offer.show(plan) if plan.choices else launch(plan.asked, asked.view, asked.own, request)

    @shows_errors
    def choose(
        seen: View, own: Any, plan: BenchmarkPlan | None, request: gr.Request, event: gr.EventData
    ) -> dict[Any, Any]:
        offered = {str(number): choice for number, choice in enumerate(plan.choices if plan else ())}
        planned = offered.get(chosen(event))
        return offer.hide() if planned is None else launch(planned, seen, own, request)

    private: dict[str, Any] = {"api_visibility": "private"}
    outputs = [*offer.outputs, *launcher.outputs]
    # One at a time, which is Gradio's default: batches timed side by side would both look slow.
    form.run.click(
        start, [view, own_state, context.bar.chosen, *form.inputs], outputs, show_progress_on=area.panel, **private
    )
    offer.buttons.click(choose, [view, own_state, offer.plan], outputs, show_progress_on=area.panel, **private)


def downloads(files: ReportFiles | None) -> Markup:
    """Links to all files of a report, which are then served; without any it says how to have some."""
    if files is None:
        return notice(text.NO_FILES, "quiet")
    whole = {
        "Report as PDF": files.pdf,
        "Report as HTML": files.html,
        "Report as Markdown": files.markdown,
        "All files (ZIP)": files.archive,
        "Everything as JSON": files.results,
    }
    groups = {
        "For a paper (LaTeX, BibTeX)": files.paper,
        "Official result files": files.official,
        "Tables (CSV)": files.tables,
    }
    return render(
        "ui/templates/benchmark.html#files",
        reports=[link_to(served(path), label) for label, path in whole.items()],
        groups=[(title, [link_to(served(path)) for path in paths]) for title, paths in groups.items()],
    )


@dataclass(frozen=True)
class ResultArea:
    """Components of the results.

    Attributes:
        finished: id of the job whose results are shown, or an empty text; a change of it shows others.
    """

    finished: gr.Textbox
    column: gr.Column
    others: gr.CheckboxGroup
    head: gr.HTML
    audits: gr.HTML
    attack: gr.Button
    metrics: gr.HTML
    figures: gr.HTML
    attacks: gr.HTML
    first: gr.Dropdown
    second: gr.Dropdown
    pair: gr.HTML
    metric: gr.Dropdown
    order_by: gr.Dropdown
    groups: gr.HTML
    downloads: gr.HTML
    turn: gr.State

    @property
    def outputs(self) -> list[Any]:
        """All components that show results but figures and audits, which follow `turn`, in the order of `updates`."""
        return [self.column, self.head, self.attack, self.metrics, self.attacks, self.first, self.second,
                self.pair, self.metric, self.order_by, self.groups, self.downloads, self.turn]  # fmt: skip

    def updates(self, pages: BenchmarkPages, job_id: str, others: Sequence[str] = ()) -> list[Any]:
        """New values of the components; raises `SalmuError`."""
        page = pages.results(job_id, others)
        first, second = page.pair
        metric = next(iter(page.groups), None)
        return [
            gr.Column(visible=True),
            page.head,
            gr.Button(visible=page.can_attack),
            page.metrics,
            page.attacks,
            gr.Dropdown(page.models, value=first),
            gr.Dropdown(page.models, value=second),
            pages.pair(job_id, first, second, others),
            gr.Dropdown(page.groups, value=metric, interactive=metric is not None),
            gr.Dropdown(page.models, value=second),
            pages.groups(job_id, metric, second, others),
            downloads(page.outcome.files),
            next(TURNS),
        ]


def result_area(pages: BenchmarkPages, finished: gr.Textbox, own: gr.BrowserState, attacked: gr.Textbox) -> ResultArea:
    """Build the results into the current Blocks context, hidden until there are some.

    Args:
        pages: what is shown.
        finished: id of the job whose results are shown.
        own: ids of the visitor's jobs.
        attacked: id of the finished job of attacks, whose end may add to the results.
    """
    with gr.Column(visible=False, elem_id="results") as column:
        head = markup(elem_id="results-head")
        audits = markup(elem_id="results-audits")
        attack = gr.Button(text.ATTACK_THESE, size="sm", elem_id="results-attack")
        others = gr.CheckboxGroup(
            [], value=[], label="Beside the models of", info=text.BESIDE, visible=False, elem_id="results-others"
        )
        with gr.Tabs(elem_id="results-tabs", overflow_behavior="wrap"):
            with gr.Tab("Metrics"):
                metrics = markup(elem_id="results-metrics")
            with gr.Tab("Figures"):
                figures = markup(elem_id="results-figures")
            with gr.Tab("Attacks"):
                attacks = markup(elem_id="results-attacks")
            with gr.Tab("Two models"):
                with gr.Row():
                    first = gr.Dropdown([], label="First model", elem_id="results-first", min_width=200)
                    second = gr.Dropdown([], label="Second model", elem_id="results-second", min_width=200)
                pair = markup(elem_id="results-pair")
            with gr.Tab("Attributes and personas"):
                with gr.Row():
                    metric = gr.Dropdown([], label="Metric", elem_id="results-metric", min_width=200)
                    order_by = gr.Dropdown([], label="Order personas by", elem_id="results-order", min_width=200)
                groups = markup(elem_id="results-groups")
            with gr.Tab("Downloads"):
                files = markup(elem_id="results-downloads")
    area = ResultArea(
        finished,
        column,
        others,
        head,
        audits,
        attack,
        metrics,
        figures,
        attacks,
        first,
        second,
        pair,
        metric,
        order_by,
        groups,
        files,
        gr.State(0),
    )
    _connect(pages, area, own, attacked)
    return area


def _connect(pages: BenchmarkPages, area: ResultArea, own: gr.BrowserState, attacked: gr.Textbox) -> None:
    @shows_errors
    def show(job_id: str, jobs: Any) -> list[Any]:
        if not job_id:
            nothing = [gr.skip()] * (len(area.outputs) - 1)
            return [gr.CheckboxGroup([], value=[], visible=False), gr.Column(visible=False), *nothing]
        beside = pages.companions(job_id, own_ids(jobs))
        return [gr.CheckboxGroup(beside, value=[], visible=bool(beside)), *area.updates(pages, job_id)]

    @shows_errors
    def put_beside(job_id: str, others: list[str]) -> list[Any]:
        return area.updates(pages, job_id, others)

    @shows_errors
    def follow(job_id: str, others: list[str]) -> list[Any]:
        if not job_id:
            return [gr.skip(), gr.skip()]
        return [pages.audits(job_id, others), pages.figures(job_id, others)]

    @shows_errors
    def show_attacked(job_id: str, attacks: str, jobs: Any) -> list[Any]:
        told = pages.tells_of(job_id, attacks)
        return show(job_id, jobs) if told else [gr.skip()] * (len(area.outputs) + 1)

    @shows_errors
    def compare(job_id: str, others: list[str], first: int, second: int) -> str:
        return pages.pair(job_id, first, second, others)

    @shows_errors
    def break_down(job_id: str, others: list[str], metric: str | None, order_by: int) -> str:
        return pages.groups(job_id, metric, order_by, others)

    jobs, everything = [area.finished, area.others], [area.others, *area.outputs]
    area.finished.change(show, [area.finished, own], everything, show_progress_on=area.head, **_SHOWN)
    attacked.change(show_attacked, [area.finished, attacked, own], everything, show_progress_on=area.head, **_SHOWN)
    area.others.input(put_beside, jobs, area.outputs, show_progress_on=area.head, **_SHOWN)
    # What takes longest, and is not what is read first.
    area.turn.change(follow, jobs, [area.audits, area.figures], show_progress_on=area.figures, **_SHOWN)
    gr.on([area.first.input, area.second.input], compare, [*jobs, area.first, area.second], area.pair, **_SHOWN)
    gr.on(
        [area.metric.input, area.order_by.input],
        break_down,
        [*jobs, area.metric, area.order_by],
        area.groups,
        **_SHOWN,
    )
