"""The tab of free search: a text or an image of one's own, with every chosen model side by side."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from salmu_demo.core.errors import ImageError
from salmu_demo.core.progress import Progress, ProgressCallback
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.images import MAX_BYTES, decode_image
from salmu_demo.features.pixels import VisitorImage
from salmu_demo.ui.shell.incoming import gives_paths
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.shell.visitor_files import visitor_files
from salmu_demo.ui.tabs.probe.view import (
    CONTENT_WORDS,
    CSS,
    EMPTY_HTML,
    GALLERY_WORDS,
    answer_html,
    own_image_html,
)
from salmu_demo.ui.widgets.thumbnails import Thumbnails, image_address
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.search import MAX_K, MAX_TEXT, Answer, KeptImages, Query, examples, search, settings_of

_STATE_SECONDS = 3600
"""How long a page's query and results stay in memory after their last use."""

_IMAGE_HELP = "Drop an image here, paste one or choose a file. The search starts at once; the file is not kept."


@dataclass(frozen=True)
class _Controls:
    """Components that several events read or write."""

    text: gr.Textbox
    go: gr.Button
    faces_or_captions: gr.Radio
    captions_or_faces: gr.Radio
    gallery: gr.Radio
    k: gr.Slider
    differs: gr.Checkbox
    query: gr.State
    answer: gr.State
    results: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What a search changes."""
        return [self.query, self.answer, self.results]


def probe_tab(workbench: Workbench, chosen_models: gr.components.Component, view: gr.State) -> None:
    """Build the tab into the current Blocks context.

    Args:
        workbench: data and models.
        chosen_models: a component whose value is a list of model references.
        view: state that holds the :class:`View`, which says who is told to be a reference.
    """
    gr.Markdown(
        "Search with your own words or image, and see what each model puts first. A model that still links a face "
        "to a private value finds the one with the other."
    )
    image, clear, preview, example_buttons, controls = _build(workbench.data)
    _connect(workbench, chosen_models, view, controls, image, clear, preview, example_buttons)


def _build(
    data: BenchmarkData,
) -> tuple[gr.Image, gr.Button, gr.HTML, list[tuple[gr.Button, str]], _Controls]:
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320), gr.Tabs():
            with gr.Tab("By text"):
                text = gr.Textbox(
                    label="What to search for",
                    placeholder="A phone number, a name, or any description",
                    max_length=MAX_TEXT,
                    elem_id="probe-text",
                )
                faces_or_captions = _content_radio(["faces", "captions"])
                go = gr.Button("Search", variant="primary", elem_id="probe-search")
                gr.Markdown("Examples from the data set:")
                with gr.Row():
                    buttons = [
                        (gr.Button(f"{e.label}: {_short(e.text)}", size="sm", min_width=150), e.text)
                        for e in examples(data)
                    ]
            with gr.Tab("By image"):
                image = gr.Image(
                    label="Image",
                    sources=["upload", "clipboard"],
                    type="filepath",
                    image_mode=None,
                    height=170,
                    buttons=[],
                    placeholder=_IMAGE_HELP,
                    elem_id="probe-image",
                )
                gives_paths(image)
                with gr.Row():
                    preview = gr.HTML(css_template=CSS, visible=False, elem_id="probe-own-image")
                    clear = gr.Button("Forget the image", size="sm", visible=False, scale=0, min_width=160)
                captions_or_faces = _content_radio(["captions", "faces"])
        with gr.Column(scale=2, min_width=300):
            gallery = gr.Radio(
                [(words, name) for name, words in GALLERY_WORDS.items()], value="all", label="Among which pairs"
            )
            k = gr.Slider(1, MAX_K, value=10, step=1, label="Results for each model", elem_id="probe-k")
            differs = gr.Checkbox(
                label="Only where models differ",
                info="Hides results that every model returned.",
                elem_id="probe-differs",
            )
    results = gr.HTML(EMPTY_HTML, css_template=CSS, elem_id="probe-results")
    query = gr.State(None, time_to_live=_STATE_SECONDS)
    answer = gr.State(None, time_to_live=_STATE_SECONDS)
    controls = _Controls(text, go, faces_or_captions, captions_or_faces, gallery, k, differs, query, answer, results)
    return image, clear, preview, buttons, controls


def _content_radio(order: list[str]) -> gr.Radio:
    return gr.Radio([(CONTENT_WORDS[name], name) for name in order], value=order[0], label="Search in")


def _connect(
    workbench: Workbench,
    chosen_models: gr.components.Component,
    view: gr.State,
    controls: _Controls,
    image: gr.Image,
    clear: gr.Button,
    preview: gr.HTML,
    example_buttons: list[tuple[gr.Button, str]],
) -> None:
    thumbnails = Thumbnails(workbench.data)
    images = KeptImages()
    c = controls
    shared = [chosen_models, view, c.faces_or_captions, c.captions_or_faces, c.gallery, c.k, c.differs]

    def ask(
        told: ProgressCallback,
        query: Query,
        references: Any,
        seen: View,
        faces: str,
        captions: str,
        gallery: str,
        k: float,
        differs: bool,
    ) -> tuple[Query, Answer, str]:
        content = faces if query.image is None else captions
        answer = search(
            workbench,
            references or [],
            query,
            settings_of(content, gallery, k),
            told,
            seen.told.among(references or []),
        )
        if query.image is not None:
            images.keep(query.image)
        return query, answer, answer_html(answer, differs, thumbnails.address)

    def ask_text(told: ProgressCallback, text: str, *settings: Any) -> Any:
        return ask(told, Query(text or ""), *settings)

    def ask_example(example: str, told: ProgressCallback, *settings: Any) -> Any:
        return example, *ask(told, Query(example), *settings)

    def ask_image(told: ProgressCallback, path: str | None, *settings: Any) -> Any:
        image = decode_image(_taken(path), "Your image")
        own = own_image_html(image_address(image))
        asked = ask(told, Query(image=VisitorImage(image)), *settings)
        return None, gr.HTML(own, visible=True), gr.Button(visible=True), *asked

    def ask_again(told: ProgressCallback, query: Query | None, *settings: Any) -> Any:
        return (gr.skip(),) * 3 if query is None else ask(told, query, *settings)

    def show(answer: Answer | None, differs: bool) -> Any:
        return gr.skip() if answer is None else answer_html(answer, differs, thumbnails.address)

    def forget() -> Any:
        return gr.HTML("", visible=False), gr.Button(visible=False), None, None, EMPTY_HTML

    for asked in (c.text.submit, c.go.click):
        _on(asked, ask_text, [c.text, *shared], c.outputs)
    for button, example in example_buttons:
        _on(button.click, functools.partial(ask_example, example), shared, [c.text, *c.outputs])
    uploaded = _on(image.upload, ask_image, [image, *shared], [image, preview, clear, *c.outputs])
    # The file is gone whatever happened, so the box must be ready for another one.
    uploaded.failure(None, None, image, js="() => null", api_visibility="private", show_progress="hidden")
    for change in (c.faces_or_captions.input, c.captions_or_faces.input, c.gallery.input, c.k.input):
        _on(change, ask_again, [c.query, *shared], c.outputs)
    c.differs.input(
        shows_errors(show), [c.answer, c.differs], c.results, api_visibility="private", show_progress="hidden"
    )
    clear.click(forget, None, [preview, clear, *c.outputs], api_visibility="private")


def _on(event: Callable[..., Any], handler: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> Any:
    """Connect a search: several visitors may search at once, and the latest of one visitor's searches wins."""

    def run(*values: Any, progress: gr.Progress = gr.Progress()) -> Any:  # noqa: B008 - how Gradio hands it over
        return handler(_told(progress), *values)

    return event(
        shows_errors(run),
        inputs,
        outputs,
        api_visibility="private",
        concurrency_limit=4,
        concurrency_id="probe",
        trigger_mode="always_last",
        show_progress_on=outputs[-1],
    )


def _told(progress: gr.Progress) -> ProgressCallback:
    def tell(report: Progress) -> None:
        progress((report.done, report.total), desc=f"First search in this gallery: {report.text}", unit="items")

    return tell


def _taken(path: str | None) -> bytes:
    """The content of an uploaded file, which is deleted: from here on the image lives in memory only."""
    if not path:
        raise ImageError("There is no image; choose a JPEG, PNG or WebP file.")
    with visitor_files().claimed(path) as file:
        # The page lets larger files in, which are checkpoints.
        if file.stat().st_size > MAX_BYTES:
            raise ImageError(f"The image is larger than {MAX_BYTES / 1e6:g} MB; make it smaller.")
        return file.read_bytes()


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
