"""The tab where a table of one's own becomes a data set that the page offers."""

from typing import Any, Final

import gradio as gr

from salmu_demo.core.errors import QueryError
from salmu_demo.core.progress import Progress
from salmu_demo.core.settings import on_space
from salmu_demo.core.text import size_text
from salmu_demo.models.uploads import upload_limit
from salmu_demo.ui.shell.bar import GO_THERE
from salmu_demo.ui.shell.incoming import gives_paths
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.tabs.context import Context, TabHandlers
from salmu_demo.ui.tabs.data import text
from salmu_demo.ui.tabs.data.importing import (
    Waiting,
    imported,
    on_this_machine,
    preview_html,
    result_html,
    uploaded,
)
from salmu_demo.ui.widgets.components import markup
from salmu_demo.ui.widgets.markup import empty_state

TITLE: Final = "Your data"
_SUFFIXES: Final = [".zip", ".parquet", ".tar", ".csv", ".tsv", ".jsonl"]
_MOST_SEED: Final = 2**31 - 1


def build(context: Context) -> TabHandlers:
    """Build the tab into the current Blocks context."""
    datasets, limit = context.datasets, upload_limit()
    own = datasets.name(context.workbench)
    gr.Markdown(text.INTRODUCTION)
    waiting = gr.State(None)
    gr.Markdown(text.FORMATS if limit else text.NO_UPLOADS)
    with gr.Row(elem_classes="controls"):
        upload = gr.UploadButton(
            text.UPLOAD.format(limit=size_text(limit)), file_types=_SUFFIXES, visible=limit > 0, elem_id="import-upload"
        )
        gives_paths(upload)
        place = gr.Textbox(
            label=text.PATH, info=text.PATH_HELP, visible=not on_space(), elem_id="import-path", min_width=320, scale=3
        )
        look = gr.Button(text.LOOK, visible=not on_space(), elem_id="import-look")
    shown = markup(empty_state(text.NOTHING_TITLE, text.NOTHING), elem_id="import-preview")
    with gr.Column(visible=False, elem_id="import-form") as form:
        gr.Markdown(f"### {text.COLUMNS}")
        with gr.Row(elem_classes="controls"):
            columns = [
                gr.Dropdown(
                    [(text.NONE, "")], value="", label=target.capitalize(), info=info, min_width=220,
                    elem_id=f"import-{target}",
                )
                for target, info in text.TARGETS.items()
            ]  # fmt: skip
        with gr.Row(elem_classes="controls"):
            name = gr.Textbox(label=text.NAME, max_length=60, elem_id="import-called", min_width=240)
            seed = gr.Number(
                0, label=text.SEED, info=text.SEED_HELP, precision=0, minimum=0, maximum=_MOST_SEED, min_width=160
            )
        run = gr.Button(text.IMPORT, variant="primary", elem_id="import-run")
    result = markup(elem_id="import-result")
    address = gr.Textbox(visible="hidden", label="Page of the imported data set", elem_id="import-address")
    there = gr.Button(text.OPEN, variant="primary", visible=False, elem_id="import-open")

    def fill(found: Waiting) -> list[Any]:
        choices = [(text.NONE, ""), *((column, column) for column in found.seen.columns)]
        dropdowns = [gr.Dropdown(choices, value=found.seen.suggested.get(target, "")) for target in text.TARGETS]
        return [found, preview_html(found.seen), gr.Column(visible=True), *dropdowns, found.name]

    @shows_errors
    def take(path: str | None) -> list[Any]:
        if not path:
            raise QueryError(text.NO_TABLE)
        return fill(uploaded(path))

    @shows_errors
    def find(typed: str) -> list[Any]:
        return fill(on_this_machine(typed))

    @shows_errors
    def start(
        found: Waiting | None,
        called: str,
        number: int | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
        # After the one that Gradio puts in by its place.
        *chosen: str,
    ) -> list[Any]:
        if found is None:
            raise QueryError(text.NO_TABLE)

        def told(step: Progress) -> None:
            progress((step.done, step.total), desc=step.text)

        mapped = dict(zip(text.TARGETS, chosen, strict=True))
        made, report = imported(found, mapped, called, number or 0, datasets, told)
        offered = gr.Dropdown([*datasets.choices_on(own), datasets.choice(made)], value=own)
        return [result_html(report), datasets.address(made, own), gr.Button(visible=True), offered]

    private: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 1}
    filled = [waiting, shown, form, *columns, name]
    upload.upload(take, upload, filled, show_progress_on=shown, **private)
    gr.on([look.click, place.submit], find, place, filled, show_progress_on=shown, **private)
    run.click(
        start, [waiting, name, seed, *columns], [result, address, there, context.bar.data], show_progress_on=result,
        **private,
    )  # fmt: skip
    there.click(None, address, None, js=GO_THERE)
    return TabHandlers()
