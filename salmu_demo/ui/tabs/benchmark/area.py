"""The part of the Benchmark tab that shows the results of a finished job."""

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.tabs.benchmark.downloads import Downloads, downloads
from salmu_demo.ui.tabs.benchmark.page import BenchmarkPages
from salmu_demo.ui.widgets.components import markup

_SHOWN: Final[dict[str, Any]] = {
    "concurrency_limit": 4,
    "concurrency_id": "results",
    "trigger_mode": "always_last",
    "api_visibility": "private",
}


@dataclass(frozen=True)
class ResultArea:
    """Components of the results.

    Attributes:
        finished: id of the job whose results are shown, or an empty text; a change of it shows others.
    """

    finished: gr.Textbox
    column: gr.Column
    head: gr.HTML
    metrics: gr.HTML
    figures: gr.HTML
    first: gr.Dropdown
    second: gr.Dropdown
    pair: gr.HTML
    metric: gr.Dropdown
    order_by: gr.Dropdown
    groups: gr.HTML
    downloads: Downloads

    @property
    def outputs(self) -> list[Any]:
        """All components that show results, in the order of :meth:`updates`."""
        return [self.column, self.head, self.metrics, self.figures, self.first, self.second, self.pair, self.metric,
                self.order_by, self.groups, *self.downloads.outputs]  # fmt: skip

    def updates(self, pages: BenchmarkPages, job_id: str) -> list[Any]:
        """New values of the components; raises :class:`SalmuError`."""
        page = pages.results(job_id)
        first, second = page.pair
        metric = next(iter(page.groups), None)
        return [
            gr.Column(visible=True),
            page.head,
            page.metrics,
            page.figures,
            gr.Dropdown(page.models, value=first),
            gr.Dropdown(page.models, value=second),
            pages.pair(job_id, first, second),
            gr.Dropdown(page.groups, value=metric, interactive=metric is not None),
            gr.Dropdown(page.models, value=second),
            pages.groups(job_id, metric, second),
            *self.downloads.updates(page.outcome.files),
        ]


def result_area(pages: BenchmarkPages, finished: gr.Textbox) -> ResultArea:
    """Build the results into the current Blocks context, hidden until there are some."""
    with gr.Column(visible=False, elem_id="results") as column:
        head = markup(elem_id="results-head")
        with gr.Tabs(elem_id="results-tabs", overflow_behavior="wrap"):
            with gr.Tab("Metrics"):
                metrics = markup(elem_id="results-metrics")
            with gr.Tab("Figures"):
                figures = markup(elem_id="results-figures")
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
                files = downloads()
    area = ResultArea(finished, column, head, metrics, figures, first, second, pair, metric, order_by, groups, files)
    _connect(pages, area)
    return area


def _connect(pages: BenchmarkPages, area: ResultArea) -> None:
    @shows_errors
    def show(job_id: str) -> list[Any]:
        if not job_id:
            return [gr.Column(visible=False), *[gr.skip()] * (len(area.outputs) - 1)]
        return area.updates(pages, job_id)

    @shows_errors
    def compare(job_id: str, first: int, second: int) -> str:
        return pages.pair(job_id, first, second)

    @shows_errors
    def break_down(job_id: str, metric: str | None, order_by: int) -> str:
        return pages.groups(job_id, metric, order_by)

    area.finished.change(show, area.finished, area.outputs, show_progress_on=area.head, **_SHOWN)
    for model in (area.first, area.second):
        model.input(compare, [area.finished, area.first, area.second], area.pair, **_SHOWN)
    for control in (area.metric, area.order_by):
        control.input(break_down, [area.finished, area.metric, area.order_by], area.groups, **_SHOWN)
