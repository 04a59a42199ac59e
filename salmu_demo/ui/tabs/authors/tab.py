"""The Audit tab of data of CLEAR: everybody's captions at a glance, an author with what every model says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import gradio as gr

from salmu_demo.core.progress import Progress, ProgressCallback, ignore_progress
from salmu_demo.data.personas import find_personas
from salmu_demo.models.source import ModelSource
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.text import NO_MODELS, NO_MODELS_TITLE
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.audit import text as audit_text
from salmu_demo.ui.tabs.audit.asking import asking_area
from salmu_demo.ui.tabs.audit.view import MAX_PORTRAITS, portrait_button, portrait_list, still_preparing
from salmu_demo.ui.tabs.authors import text
from salmu_demo.ui.tabs.authors import view as author_view
from salmu_demo.ui.tabs.context import Context, TabHandlers
from salmu_demo.ui.widgets.components import (
    QUIETLY,
    SHOWN,
    TURNS,
    WIDE,
    Handler,
    choice_grid,
    choice_list,
    choices,
    chosen,
    focus_heading,
    markup,
    scroll_to,
)
from salmu_demo.ui.widgets.images import Image, Portraits, Thumbnails
from salmu_demo.ui.widgets.markup import empty_state
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.warmup import WarmUp

_ASIDE: Final[dict[str, Any]] = {
    "concurrency_limit": 4,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "api_visibility": "private",
}


@dataclass(frozen=True)
class AuthorPage:
    """What the tab shows at once: an author or how to choose one, everybody, and whether `AuthorDetail` follows."""

    author: str
    everybody: str
    verdicts: str = ""
    has_detail: bool = False

    def updates(self) -> list[Any]:
        """New values of the components that `build` fills; what was told of another author goes."""
        return [self.author, self.everybody, self.verdicts, "", next(TURNS) if self.has_detail else gr.skip()]


@dataclass(frozen=True)
class AuthorDetail:
    """What models say about the open author: the verdicts, and what they rest on."""

    verdicts: str
    evidence: str


class AuthorPages:
    """Makes the tab's content from what is chosen; no component is touched."""

    def __init__(self, workbench: Workbench, warm_up: WarmUp) -> None:
        self._workbench = workbench
        self._warm_up = warm_up
        self._portraits = Portraits(workbench.data)
        self._thumbnails = Thumbnails(workbench.data)

    def list(self, query: str, open_author: str | None) -> str:
        """The image list of a search."""
        found = find_personas(self._workbench.data.personas, query)
        buttons = [
            portrait_button(persona, self._portraits.portrait(persona.identity_id)) for persona in found[:MAX_PORTRAITS]
        ]
        return portrait_list(buttons, len(found), open_author)

    def page(self, view: View, references: Sequence[str], query: str = "") -> AuthorPage:
        """The chosen author before any model is asked, or everybody; raises `SalmuError`."""
        authors = self._workbench.authors
        order = author_view.order_of(authors, find_personas(self._workbench.data.personas, query))
        models, pending = self._ready(references)
        if view.persona is not None:
            persona = self._workbench.data.persona(view.persona)
            card = author_view.author_card(authors, persona, self._images(persona.identity_id), order)
            if not references:
                return AuthorPage(card, "", empty_state(NO_MODELS_TITLE, NO_MODELS))
            if not models:
                return AuthorPage(card, "", empty_state(audit_text.PREPARING_TITLE, audit_text.PREPARING))
            return AuthorPage(card, "", author_view.following(), has_detail=True)
        if not models:
            title, words = (
                (audit_text.PREPARING_TITLE, audit_text.PREPARING) if references else (NO_MODELS_TITLE, NO_MODELS)
            )
            return AuthorPage(empty_state(text.START_TITLE, text.START), empty_state(title, words))
        writers = [model for model in models if model.has_decoder]
        captions = [self._workbench.author_captions(model) for model in writers]
        everybody = author_view.overview(authors, order, writers, captions, view.told.among(references))
        return AuthorPage("", everybody + still_preparing(pending))

    def detail(
        self, view: View, references: Sequence[str], progress: ProgressCallback = ignore_progress
    ) -> AuthorDetail | None:
        """What the models that are ready say about the open author, asked if need be; None if none is open.

        Raises:
            SalmuError: if a model is unusable.
        """
        models, pending = self._ready(references)
        if view.persona is None or not models:
            return None
        persona, told = self._workbench.data.persona(view.persona), view.told.among(references)
        findings = self._workbench.author(persona.identity_id, models, told, progress)
        images = self._images(persona.identity_id)
        return AuthorDetail(
            author_view.verdicts(findings, told) + still_preparing(pending),
            author_view.evidence(self._workbench.authors, persona, findings, images, told),
        )

    def _images(self, identity: str) -> Sequence[Image]:
        """The images that are asked about."""
        shown = self._workbench.authors.images(identity)
        return [Image(image.split, self._thumbnails.address(image.split, image.row)) for image in shown]

    def _ready(self, references: Sequence[str]) -> tuple[Sequence[ModelSource], Sequence[str]]:
        """The models that are ready, and references of those that are being prepared."""
        pending = [reference for reference in references if reference in self._warm_up.pending]
        return self._workbench.models([reference for reference in references if reference not in pending]), pending


TITLE: Final = "Audit an author"


def build(context: Context) -> TabHandlers:
    """Build the tab into the current Blocks context.

    What a model says about an author follows the author's card: it is asked when somebody opens the author, and kept.
    """
    workbench, view, models = context.workbench, context.view, context.bar.chosen
    pages = AuthorPages(workbench, context.warm_up)
    with gr.Row(elem_classes="audit"):
        with gr.Column(scale=1, min_width=280):
            query = gr.Textbox(label="Find an author", placeholder="Name or id", elem_id="search")
            people = choice_list(elem_id="people", elem_classes="people")
        with gr.Column(scale=3, min_width=320):
            author = choices(empty_state(text.START_TITLE, text.START), elem_id="persona")
            everybody = choice_grid(elem_id="matrix")
            verdicts = markup(elem_id="verdicts")
            asking_area(context)
    # Across the page: four models stand side by side.
    evidence = markup(elem_id="evidence")
    turn = gr.State(0)
    asked, shown = [view, models, query], [author, everybody, verdicts, evidence, turn]

    @shows_errors
    def show(view: View, references: list[str], query: str) -> list[Any]:
        return pages.page(view, references, query).updates()

    @shows_errors
    def choose(event: gr.EventData, view: View, references: list[str], query: str) -> list[Any]:
        identity = chosen(event)
        person = workbench.data.persona(identity).identity_id if identity else None
        opened = replace(view, persona=person, kind=None)
        return [opened, *pages.page(opened, references, query).updates()]

    @shows_errors
    def follow(
        view: View,
        references: list[str],
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
    ) -> list[Any]:
        def report(done: Progress) -> None:
            progress((done.done, done.total), desc=done.text, unit="items")

        found = pages.detail(view, references, report)
        return [gr.skip(), gr.skip()] if found is None else [found.verdicts, found.evidence]

    @shows_errors
    def narrow(view: View, references: list[str], query: str) -> Any:
        return gr.skip() if view.persona is not None else pages.page(view, references, query).everybody

    def list_people(query: str, view: View) -> str:
        return pages.list(query, view.persona)

    listing = Handler(list_people, [query, view], [people], QUIETLY)
    showing = Handler(show, asked, shown, SHOWN)
    # Not `input`, which stays silent when a text is pasted or filled in; nothing but the visitor changes this box.
    listing.on(query.change, **_ASIDE)
    query.change(narrow, asked, everybody, **_ASIDE)
    for part in (people, author, everybody):
        picked = part.click(
            choose, asked, [view, *shown], **{**_ASIDE, "show_progress": "minimal", "show_progress_on": part}
        )
        if part is people:
            picked.then(None, js=scroll_to("persona", unless=WIDE))
        else:
            # What was chosen is gone, and so is the focus.
            picked.then(None, js=focus_heading("#persona", "#matrix"))
            # The list marks what is chosen in it by itself.
            listing.on(picked.then, **_ASIDE)
    # Not `input`: adding a model changes the choice too.
    showing.on(models.change, **_ASIDE)
    in_sight = {**_ASIDE, "show_progress": "full", "show_progress_on": verdicts}
    following = turn.change(follow, [view, models], [verdicts, evidence], **in_sight)
    # What was asked about another author must not be shown beside this one.
    gr.on(
        [people.click, author.click, everybody.click, models.change],
        None,
        cancels=[following],
        api_visibility="private",
    )
    return TabHandlers(
        opened=[listing, showing],
        told=[showing],
        prepared=[showing],
        led=[listing, showing],
    )
