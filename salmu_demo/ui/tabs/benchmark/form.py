"""The part of the Benchmark tab where a job is put together, estimated and started."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from salmu_demo.core.errors import QueryError
from salmu_demo.core.progress import duration_words
from salmu_demo.data.sample import Sample
from salmu_demo.jobs.kinds.benchmark import suggested_rows
from salmu_demo.jobs.manager import JobManager
from salmu_demo.jobs.plan import Plan, PlannedJob, make_plan
from salmu_demo.metrics import all_metrics
from salmu_demo.metrics.protocol import SEED
from salmu_demo.ui.jobs.area import JobArea, Launcher
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.widgets.components import markup
from salmu_demo.ui.widgets.markup import notice
from salmu_demo.workbench.bench import Workbench

_ALL: Final = "all"
_SAMPLE: Final = "sample"


@dataclass(frozen=True)
class Form:
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
    """The choice a visitor is given before a long job."""

    plan: gr.State
    column: gr.Column
    words: gr.HTML
    buttons: list[gr.Button]
    decline: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """Everything the methods may change."""
        return [self.plan, self.column, self.words, *self.buttons]

    def show(self, plan: Plan) -> dict[Any, Any]:
        """Changes that offer the choices of a plan."""
        shown = [gr.Button(choice.label, visible=True) for choice in plan.choices]
        buttons = shown + [gr.Button(visible=False)] * (len(self.buttons) - len(shown))
        return {
            self.plan: plan,
            self.column: gr.Column(visible=True),
            self.words: notice(text.OFFER.format(time=duration_words(plan.asked.seconds))),
            **dict(zip(self.buttons, buttons, strict=True)),
        }

    def hide(self) -> dict[Any, Any]:
        """Changes that take the offer back."""
        return {self.plan: None, self.column: gr.Column(visible=False)}


def benchmark_form(workbench: Workbench) -> Form:
    """Build the form into the current Blocks context."""
    suggestion = suggested_rows(workbench.data)
    with gr.Accordion("Metrics (all, unless you choose)", open=False, elem_id="benchmark-metrics"), gr.Row():
        metrics = [_metric_group(pillar, title, target) for pillar, (title, target) in text.PILLARS.items()]
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
    return Form(metrics, rows, size, seed, run)


def _metric_group(pillar: str, title: str, target: str) -> gr.CheckboxGroup:
    labels = [(f"{spec.title} ({spec.name})", spec.name) for spec in all_metrics() if spec.pillar == pillar]
    with gr.Column(min_width=320):
        return gr.CheckboxGroup(labels, value=[name for _, name in labels], label=title, info=target)


def long_job_offer() -> Offer:
    """Build the offer into the current Blocks context, hidden."""
    plan = gr.State(None)
    with gr.Column(visible=False, elem_id="benchmark-offer") as column:
        words = markup()
        with gr.Row():
            buttons = [gr.Button(visible=False, elem_id=f"offer-{n}", variant="primary") for n in range(2)]
            decline = gr.Button("Neither")
    return Offer(plan, column, words, buttons, decline)


def connect_start(
    workbench: Workbench,
    manager: JobManager,
    launcher: Launcher,
    form: Form,
    offer: Offer,
    area: JobArea,
    chosen_models: gr.CheckboxGroup,
    view: gr.State,
) -> None:
    """Connect the buttons that start jobs; `view` is the state that holds the :class:`View`."""
    own_state = area.visitor.own

    def launch(planned: PlannedJob, seen: View, own: Any, request: gr.Request) -> dict[Any, Any]:
        return {**offer.hide(), **launcher.launch(planned.spec, planned.seconds, seen, own, request)}

    @shows_errors
    def start(
        seen: View,
        own: Any,
        references: list[str],
        efficacy: list[str],
        utility: list[str],
        rows: str,
        size: int | None,
        seed: int | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
    ) -> dict[Any, Any]:
        progress(0.0, desc=text.TIMING)
        sample = _sample(size, seed) if rows == _SAMPLE else None
        plan = make_plan(workbench, manager, references, [*efficacy, *utility], sample, seen.told.among(references))
        return offer.show(plan) if plan.choices else launch(plan.asked, seen, own, request)

    def choose(number: int) -> Callable[..., dict[Any, Any]]:
        @shows_errors
        def run(seen: View, own: Any, plan: Plan | None, request: gr.Request) -> dict[Any, Any]:
            if plan is None:
                return offer.hide()
            return launch(plan.choices[number], seen, own, request)

        return run

    private: dict[str, Any] = {"api_visibility": "private"}
    outputs = [*offer.outputs, *launcher.outputs]
    # One at a time, which is Gradio's default: batches timed side by side would both look slow.
    form.run.click(
        start, [view, own_state, chosen_models, *form.inputs], outputs, show_progress_on=area.panel, **private
    )
    for number, button in enumerate(offer.buttons):
        button.click(choose(number), [view, own_state, offer.plan], outputs, show_progress_on=area.panel, **private)
    offer.decline.click(offer.hide, None, offer.outputs, show_progress="hidden", **private)


def _sample(size: int | None, seed: int | None) -> Sample:
    if size is None or seed is None:
        raise QueryError(text.NO_SAMPLE)
    return Sample(size, seed)
