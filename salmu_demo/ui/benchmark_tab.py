"""The tab of the ten official metrics: started once, run in the background, found again after a reload."""

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.context import Context

from salmu_demo.ui.benchmark_run import BenchmarkRunner, benchmark_work
from salmu_demo.ui.benchmark_view import (
    CSS,
    EMPTY_HTML,
    PILLARS,
    Page,
    metric_choices,
    page_of,
    results_html,
)
from salmu_demo.ui.messages import shows_errors
from salmu_demo.workbench import Workbench

POLL_SECONDS: Final = 1.0


@dataclass(frozen=True)
class _Parts:
    """Components the events of the tab read or write."""

    efficacy: gr.CheckboxGroup
    utility: gr.CheckboxGroup
    run: gr.Button
    cancel: gr.Button
    status: gr.HTML
    table: gr.HTML
    downloads: gr.Row
    official: gr.DownloadButton
    csv: gr.DownloadButton
    figure: gr.Image
    sentence: gr.Markdown
    timer: gr.Timer
    own_run: gr.BrowserState

    @property
    def shown(self) -> list[Any]:
        """Everything that depends on the run."""
        return [self.run, self.cancel, self.status, self.table, self.downloads, self.official, self.csv, self.figure,
                self.sentence, self.timer]  # fmt: skip

    def update(self, page: Page) -> dict[Any, Any]:
        """Changes that bring the tab to a page."""
        changes: dict[Any, Any] = {
            self.run: gr.Button(interactive=page.can_run),
            self.cancel: gr.Button(visible=page.can_cancel),
            self.status: page.status,
            self.timer: gr.Timer(active=page.polling),
        }
        outcome = page.outcome
        if outcome is None:
            return changes
        several = len(outcome.comparison.models) > 1
        return changes | {
            self.table: results_html(outcome),
            self.downloads: gr.Row(visible=True),
            self.official: gr.DownloadButton(
                f"Official results ({'zip of JSON files' if several else 'JSON'})", value=str(outcome.official)
            ),
            self.csv: gr.DownloadButton(value=str(outcome.table)),
            self.figure: gr.Image(str(outcome.figure), alt_text=outcome.sentence, visible=True),
            self.sentence: gr.Markdown(outcome.sentence, visible=True),
        }


def benchmark_tab(workbench: Workbench, chosen_models: gr.components.Component) -> None:
    """Build the tab into the current Blocks context.

    Args:
        workbench: data and models.
        chosen_models: a component whose value is a list of model references.
    """
    gr.Markdown(
        "Measure the chosen models with the ten official SALMUBench metrics. The first run of a model reads all "
        "pictures and takes minutes; after that it takes seconds."
    )
    _connect(workbench, chosen_models, _build())


def _build() -> _Parts:
    groups = {}
    with gr.Row():
        for pillar, (title, target) in PILLARS.items():
            choices = metric_choices(pillar)
            with gr.Column(min_width=320):
                groups[pillar] = gr.CheckboxGroup(
                    choices,
                    value=[name for _, name in choices],
                    label=title,
                    info=target,
                    elem_id=f"benchmark-{pillar}",
                )
    with gr.Row():
        run = gr.Button("Run benchmark", variant="primary", elem_id="benchmark-run")
        cancel = gr.Button("Cancel", variant="stop", visible=False, elem_id="benchmark-cancel")
    status = gr.HTML(css_template=CSS, elem_id="benchmark-status")
    with gr.Row(visible=False) as downloads:
        official = gr.DownloadButton("Official results", elem_id="benchmark-official")
        csv = gr.DownloadButton("Table (CSV)", elem_id="benchmark-csv")
    table = gr.HTML(EMPTY_HTML, css_template=CSS, elem_id="benchmark-table")
    sentence = gr.Markdown(visible=False)
    figure = gr.Image(
        visible=False,
        interactive=False,
        show_label=False,
        format="png",
        width=540,
        buttons=["download", "fullscreen"],
        elem_id="benchmark-figure",
    )
    timer = gr.Timer(POLL_SECONDS, active=False)
    # The id of a run is known to the browser that started it only. It outlives a reload, but not this process.
    own_run = gr.BrowserState(None, storage_key="salmu-demo-benchmark", secret="salmu-demo")
    return _Parts(groups["efficacy"], groups["utility"], run, cancel, status, table, downloads, official, csv, figure,
                  sentence, timer, own_run)  # fmt: skip


def _connect(workbench: Workbench, chosen_models: gr.components.Component, parts: _Parts) -> None:
    runner = BenchmarkRunner()
    folder = Path(tempfile.mkdtemp(prefix="salmu-demo-benchmark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

    def look(own_id: str | None) -> dict[Any, Any]:
        page = page_of(runner.latest, own_id)
        # While a run goes on, a poll sends its progress only.
        return {parts.status: page.status} if page.polling else parts.update(page)

    def find_again(own_id: str | None) -> dict[Any, Any]:
        return parts.update(page_of(runner.latest, own_id))

    def start(references: list[str] | None, efficacy: list[str], utility: list[str]) -> dict[Any, Any]:
        work = benchmark_work(workbench, references or [], [*efficacy, *utility], folder / "latest")
        run = runner.start(work)
        return parts.update(page_of(run, run.id)) | {parts.own_run: run.id}

    def cancel(own_id: str | None) -> dict[Any, Any]:
        run = runner.latest
        if run is not None and run.id == own_id:
            run.cancel()
        return parts.update(page_of(run, own_id))

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    parts.run.click(
        shows_errors(start),
        [chosen_models, parts.efficacy, parts.utility],
        [*parts.shown, parts.own_run],
        **quiet,
    )
    parts.cancel.click(cancel, parts.own_run, parts.shown, queue=False, **quiet)
    # Not queued: a poll must not wait behind anyone's search. It reads a few fields, so it may be called freely.
    parts.timer.tick(look, parts.own_run, parts.shown, queue=False, **quiet)
    # The browser's value arrives when the tab is opened for the first time, so this, not a load event, finds a run
    # again after a reload.
    parts.own_run.change(find_again, parts.own_run, parts.shown, queue=False, **quiet)
    if Context.root_block is not None:
        # Whoever started no run learns that another visitor's is going on.
        Context.root_block.load(find_again, parts.own_run, parts.shown, queue=False, **quiet)
