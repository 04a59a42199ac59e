"""The tab of free search: a text or an image of one's own, with every chosen model side by side."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import gradio as gr

from salmu_demo.core.errors import ImageError, QueryError, quoted
from salmu_demo.core.progress import Progress, ProgressCallback
from salmu_demo.data.images import MAX_BYTES, decode_image
from salmu_demo.features.pixels import VisitorImage
from salmu_demo.ui.shell.incoming import gives_paths
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import SEARCH_TAB, View
from salmu_demo.ui.shell.visitor_files import visitor_files
from salmu_demo.ui.tabs.context import Context, TabHandlers
from salmu_demo.ui.tabs.probe.view import (
    CONTENT_WORDS,
    EXAMPLES,
    EXAMPLES_MEASURED,
    INTRODUCTIONS,
    PLACEHOLDERS,
    answer_html,
    example_label,
    gallery_words,
    nothing_html,
    own_image_html,
)
from salmu_demo.ui.widgets.components import QUEUED, Handler, choices, chosen
from salmu_demo.ui.widgets.images import Thumbnails, image_address
from salmu_demo.ui.widgets.markup import Action, actions
from salmu_demo.workbench.examples import examples
from salmu_demo.workbench.search import MAX_K, MAX_TEXT, KeptImages, Query, SearchAnswer, search, settings_of

CSS: Final = Path(__file__).with_name("probe.css").read_text("utf-8")

_STATE_SECONDS: Final = 3600
"""How long a page's query and results stay in memory after their last use."""

_IMAGE_HELP: Final = "Drop an image here, paste one or choose a file. The search starts at once; the file is not kept."


@dataclass(frozen=True)
class _SearchValues:
    """What a search is asked for, besides the query: the values of the components, in their order."""

    references: list[str] | None
    view: View
    content_for_text: str
    content_for_image: str
    gallery: str
    count: float
    differs_only: bool


TITLE: Final = "Probe"


def build(context: Context) -> TabHandlers:
    """Build the tab into the current Blocks context."""
    benchmark = context.workbench.data.benchmark
    gr.Markdown(INTRODUCTIONS[benchmark])
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320), gr.Tabs():
            with gr.Tab("By text"):
                text = gr.Textbox(
                    label="What to search for",
                    placeholder=PLACEHOLDERS[benchmark],
                    max_length=MAX_TEXT,
                    elem_id="probe-text",
                )
                faces_or_captions = _content_radio(["faces", "captions"])
                go = gr.Button("Search", variant="primary", elem_id="probe-search")
                offered = examples(context.workbench)
                gr.Markdown(EXAMPLES_MEASURED if any(e.clean for e in offered) else EXAMPLES)
                example_list = choices(actions(Action(e.text, example_label(e)) for e in offered))
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
                [(words, name) for name, words in gallery_words(benchmark).items()],
                value="all",
                label="Among which pairs",
            )
            count = gr.Slider(1, MAX_K, value=10, step=1, label="Results for each model", elem_id="probe-k")
            differs = gr.Checkbox(
                label="Only where models differ",
                info="Hides results that every model returned.",
                elem_id="probe-differs",
            )
    results = gr.HTML(nothing_html(), css_template=CSS, elem_id="probe-results")
    last_query = gr.State(None, time_to_live=_STATE_SECONDS)
    last_answer = gr.State(None, time_to_live=_STATE_SECONDS)

    asked = [context.bar.chosen, context.view, faces_or_captions, captions_or_faces, gallery, count, differs]
    found = [last_query, last_answer, results]
    thumbnails = Thumbnails(context.workbench.data)
    images = KeptImages()

    def ask(report: ProgressCallback, query: Query, *values: Any) -> tuple[Query, SearchAnswer, str]:
        asked = _SearchValues(*values)
        references = asked.references or []
        content = asked.content_for_text if query.image is None else asked.content_for_image
        settings = settings_of(content, asked.gallery, asked.count)
        told = asked.view.told.among(references)
        answer = search(context.workbench, references, query, settings, report, told)
        if query.image is not None:
            images.keep(query.image)
        return query, answer, answer_html(answer, asked.differs_only, thumbnails.address)

    def ask_text(report: ProgressCallback, text: str, *values: Any) -> Any:
        return ask(report, Query(text or ""), *values)

    @shows_errors
    def ask_example(event: gr.EventData, *values: Any, progress: gr.Progress = gr.Progress()) -> Any:  # noqa: B008
        example = chosen(event)
        if example not in [known.text for known in offered]:
            raise QueryError(f"There is no example {quoted(example)}; choose one that the page shows.")
        return example, *ask(_reporter(progress), Query(example), *values)

    def ask_image(report: ProgressCallback, path: str | None, *values: Any) -> Any:
        image = decode_image(taken_image(path), "Your image")
        own = own_image_html(image_address(image))
        answered = ask(report, Query(image=VisitorImage(image)), *values)
        return None, gr.HTML(own, visible=True), gr.Button(visible=True), *answered

    def ask_again(report: ProgressCallback, query: Query | None, *values: Any) -> Any:
        return (gr.skip(),) * 3 if query is None else ask(report, query, *values)

    def show(answer: SearchAnswer | None, differs_only: bool) -> Any:
        return gr.skip() if answer is None else answer_html(answer, differs_only, thumbnails.address)

    def forget() -> Any:
        return gr.HTML("", visible=False), gr.Button(visible=False), None, None, nothing_html()

    def reopen(report: ProgressCallback, *values: Any) -> Any:
        seen = _SearchValues(*values).view
        if seen.tab != SEARCH_TAB or not seen.query:
            return (gr.skip(),) * (1 + len(found))
        return seen.query, *ask(report, Query(seen.query), *values)

    def note_query(seen: View, query: Query | None) -> View:
        return replace(seen, query="" if query is None else query.text.strip())

    _on(partial(gr.on, [text.submit, go.click]), ask_text, [text, *asked], found)
    example_list.click(ask_example, asked, [text, *found], **_options(results))
    uploaded = _on(image.upload, ask_image, [image, *asked], [image, preview, clear, *found])
    # The file is gone whatever happened, so the box must be ready for another one.
    uploaded.failure(None, None, image, js="() => null", api_visibility="private", show_progress="hidden")
    changes = [faces_or_captions.input, captions_or_faces.input, gallery.input, count.input]
    _on(partial(gr.on, changes), ask_again, [last_query, *asked], found)
    differs.input(shows_errors(show), [last_answer, differs], results, api_visibility="private", show_progress="hidden")
    clear.click(forget, None, [preview, clear, *found], api_visibility="private", show_progress="hidden")
    # A search takes a while, in which the visitor may have gone to another tab: only its text is put into the view.
    last_query.change(note_query, [context.view, last_query], context.view, **QUEUED)
    reopening = Handler(_search(reopen), asked, [text, *found], _options(results))
    return TabHandlers(opened=[reopening])


def _content_radio(order: list[str]) -> gr.Radio:
    return gr.Radio([(CONTENT_WORDS[name], name) for name in order], value=order[0], label="Search in")


def _on(event: Callable[..., Any], handler: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> Any:
    """Connect a search: several visitors may search at once, and the latest of one visitor's searches wins."""

    return event(_search(handler), inputs, outputs, **_options(outputs[-1]))


def _search(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler of an event, from a search that reports how far it is."""

    def run(*values: Any, progress: gr.Progress = gr.Progress()) -> Any:  # noqa: B008 - how Gradio hands it over
        return handler(_reporter(progress), *values)

    return shows_errors(run)


def _options(results: gr.HTML) -> dict[str, Any]:
    return {
        "api_visibility": "private",
        "concurrency_limit": 4,
        "concurrency_id": "probe",
        "trigger_mode": "always_last",
        "show_progress_on": results,
    }


def _reporter(progress: gr.Progress) -> ProgressCallback:
    def tell(report: Progress) -> None:
        progress((report.done, report.total), desc=f"First search in this gallery: {report.text}", unit="items")

    return tell


def taken_image(path: str | None) -> bytes:
    """The content of an uploaded file, which is deleted: from here on the image lives in memory only."""
    if not path:
        raise ImageError("There is no image; choose a JPEG, PNG or WebP file.")
    with visitor_files().claimed(path) as file:
        # The page lets larger files in, which are checkpoints.
        if file.stat().st_size > MAX_BYTES:
            raise ImageError(f"The image is larger than {MAX_BYTES / 1e6:g} MB; make it smaller.")
        return file.read_bytes()
