"""The Audit tab: everybody at a glance, a persona with what every model still knows, an attribute's line-up."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

import gradio as gr
from markupsafe import Markup

from salmu_demo.core.errors import QueryError, quoted
from salmu_demo.core.progress import Progress, ProgressCallback, ignore_progress
from salmu_demo.data.dataset import Persona
from salmu_demo.data.personas import Asked, find_personas, requests
from salmu_demo.models.roles import REFERENCES, Told, assign_roles
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.attacks import all_attacks
from salmu_demo.probes.findings import AuditCell, Outcome
from salmu_demo.probes.gallery import GALLERIES
from salmu_demo.probes.matrix import EVERYBODY, Matrix, MatrixFilter, chosen_rows, examples
from salmu_demo.ui.jobs.outcomes import Outcomes
from salmu_demo.ui.jobs.page import own_ids
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.text import NO_MODELS, NO_MODELS_TITLE
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.audit import dossiers, overview, text
from salmu_demo.ui.tabs.audit import view as audit_view
from salmu_demo.ui.tabs.audit.asking import asking_area
from salmu_demo.ui.tabs.context import Context, TabHandlers
from salmu_demo.ui.widgets.components import (
    IN_SIGHT,
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
    link_to,
    markup,
    scroll_to,
)
from salmu_demo.ui.widgets.images import Portraits
from salmu_demo.ui.widgets.markup import ModelHead, downloads, empty_state, model_heads
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.dossiers import MOST_DECLARED, declare
from salmu_demo.workbench.warmup import WarmUp

IMAGES: Final = 6
MOST_USED: Final = 8
"""Images shown beside a line-up, of those that it rests on."""
MOST_CAPTIONS: Final = 50
_GALLERY_LABELS: Final = {
    "forget": "Pairs to be forgotten",
    "holdouts": "Held-out pairs",
    "retain": "Plain descriptions",
    "all": "Everything",
}
_FILTER: Final[dict[str, Any]] = {"min_width": 130, "filterable": False}
_ASIDE: Final[dict[str, Any]] = {
    "concurrency_limit": 4,
    "show_progress": "hidden",
    "trigger_mode": "always_last",
    "api_visibility": "private",
}


@dataclass(frozen=True)
class Search:
    """What the caption search of the open attribute is asked for."""

    gallery: str
    count: int
    differs_only: bool


@dataclass(frozen=True)
class Overview:
    """What stands above the matrix of everybody, and the matrix."""

    head: str
    table: str


@dataclass(frozen=True)
class AuditPage:
    """What the tab shows: markup of its parts; an attribute is open if `line_ups` is not empty.

    Of an open attribute it has what decides; `AttributeDetail` follows. A dossier can be made if there are verdicts.
    The overview is there as long as no persona is chosen.
    """

    persona: str
    table: str
    line_ups: str = ""
    has_verdicts: bool = False
    overview: Overview | None = None

    def updates(self) -> list[Any]:
        """New values of the components that `build` fills; the files of an earlier dossier go."""
        everybody = [gr.skip(), gr.skip()] if self.overview is None else [self.overview.head, self.overview.table]
        return [
            self.persona,
            self.table,
            gr.Column(visible=bool(self.line_ups)),
            self.line_ups,
            audit_view.following() if self.line_ups else "",
            next(TURNS) if self.line_ups else gr.skip(),
            gr.Column(visible=self.has_verdicts),
            "",
            gr.Column(visible=self.overview is not None),
            *everybody,
        ]


@dataclass(frozen=True)
class AttributeDetail:
    """What an open attribute needs features of its own for: its line-ups with every attack, and the captions found."""

    line_ups: str
    captions: str


@dataclass(frozen=True)
class ShownMatrix:
    """Which matrix of everybody is asked for: that of a model, or of the first that is not a reference; and its rows.

    With a second model, `against`, it shows where the two differ.
    """

    model: str = ""
    against: str = ""
    wanted: MatrixFilter = EVERYBODY


FIRST: Final = ShownMatrix()


@dataclass(frozen=True)
class _Matrices:
    """Everybody with the models that are ready, in their order; what is shown, compared with what; who is not ready."""

    every: list[Matrix]
    heads: list[ModelHead]
    shown: Matrix
    against: Matrix | None
    pending: Sequence[str]


class AuditPages:
    """Makes the tab's content from what is chosen; no component is touched."""

    def __init__(self, workbench: Workbench, warm_up: WarmUp) -> None:
        self._workbench = workbench
        self._warm_up = warm_up
        self._data = workbench.data
        self._portraits = Portraits(workbench.data)

    def list(self, query: str, chosen_persona: str | None) -> str:
        """The image list of a search."""
        found = find_personas(self._data.personas, query)
        buttons = [
            audit_view.portrait_button(persona, self._portraits.portrait(persona.identity_id))
            for persona in found[: audit_view.MAX_PORTRAITS]
        ]
        return audit_view.portrait_list(buttons, len(found), chosen_persona)

    def page(self, view: View, references: Sequence[str], shown: ShownMatrix = FIRST) -> AuditPage:
        """Everything about the chosen persona, or everybody; raises `SalmuError`."""
        if view.persona is None:
            return self._everybody(view, references, shown)
        persona = self._data.persona(view.persona)
        images = self._portraits.images(persona.identity_id, IMAGES)
        ready = self._matrices(view, references, shown)
        rows = [] if ready is None else chosen_rows(ready.shown, shown.wanted)
        card = audit_view.persona_card(self._data, persona, images, overview.neighbours(rows, persona.identity_id))
        if not references:
            return AuditPage(card, empty_state(NO_MODELS_TITLE, NO_MODELS))
        told = view.told.among(references)
        models, pending = self._ready(references)
        if not models:
            return AuditPage(card, empty_state(text.PREPARING_TITLE, text.PREPARING))
        cells = self._workbench.audit(persona.identity_id, models, attacks=None, told=told)
        opened = [cell for cell in cells if cell.kind == view.kind]
        asked = requests(self._data, persona)
        kind = view.kind if opened else None
        table = audit_view.attribute_table(cells, models, asked, kind, told) + audit_view.still_preparing(pending)
        line_ups = self._line_ups(persona, opened, told) if opened else ""
        return AuditPage(card, table, line_ups, has_verdicts=True)

    def detail(
        self,
        view: View,
        references: Sequence[str],
        search: Search,
        progress: ProgressCallback = ignore_progress,
    ) -> AttributeDetail | None:
        """Everything about the open attribute, which is computed if need be; None if none is open.

        Raises:
            SalmuError: if a model is unusable.
        """
        models, _ = self._ready(references)
        persona = None if view.persona is None else self._data.persona(view.persona)
        if persona is None or not models:
            return None
        if view.kind not in self._workbench.auditor.kinds(persona):
            return None
        told = view.told.among(references)
        every = [attack.name for attack in all_attacks()]
        opened = self._workbench.audit(persona.identity_id, models, [view.kind], every, told, progress)
        count = min(search.count, len(self._workbench.gallery(search.gallery, "captions")))
        found = self._workbench.retrieve_for_persona(
            persona.identity_id, models, search.gallery, count, told=told, progress=progress
        )
        captions = audit_view.retrievals(found, self._data, search.differs_only, told)
        return AttributeDetail(self._line_ups(persona, opened, told), captions)

    def _line_ups(self, persona: Persona, opened: Sequence[AuditCell], told: Told) -> str:
        """The line-ups of the open attribute, with the images that they rest on and who has the values."""
        auditor = self._workbench.auditor
        values, own = auditor.people.values(opened[0].kind)
        owners: dict[str, list[str]] = {}
        for identity, numbers in own.items():
            for number in numbers:
                owners.setdefault(values[number], []).append(auditor.people.personas[identity].name)
        images = self._portraits.of(opened[0].headline.reading.shown[:MOST_USED])
        evidence = audit_view.WhatWasUsed(images, owners)
        return audit_view.line_ups(persona, opened, told, auditor.kinds(persona), evidence)

    def overview(self, view: View, references: Sequence[str], shown: ShownMatrix) -> Overview:
        """Everybody with one of the models; raises `SalmuError`."""
        return self._overview(self._matrices(view, references, shown), references, shown)

    def shown_models(self, view: View, references: Sequence[str]) -> tuple[str, ...]:
        """References of the models whose matrix can be shown."""
        ready = self._matrices(view, references, FIRST)
        return () if ready is None else tuple(matrix.model.reference for matrix in ready.every)

    def _overview(self, ready: "_Matrices | None", references: Sequence[str], shown: ShownMatrix) -> Overview:
        if ready is None:
            title, words = (text.PREPARING_TITLE, text.PREPARING) if references else (NO_MODELS_TITLE, NO_MODELS)
            return Overview("", empty_state(title, words))
        head = overview.head(ready.every, ready.heads, ready.shown, ready.against, ready.pending)
        rows = chosen_rows(ready.shown, shown.wanted)
        if not rows:
            return Overview(head, empty_state(text.NOBODY_LEFT, text.WIDER))
        against = None if ready.against is None else (ready.against, ready.heads[ready.every.index(ready.against)].name)
        return Overview(head, overview.table(rows, self._data.kinds, against))

    def _everybody(self, view: View, references: Sequence[str], shown: ShownMatrix) -> AuditPage:
        ready = self._matrices(view, references, shown)
        worth = []
        if ready is not None:
            names = {m.model.reference: head.name for m, head in zip(ready.every, ready.heads, strict=True)}
            worth = [
                (example.persona, text.EXAMPLE_TITLES[example.outcome], overview.example_words(example, names))
                for example in examples(ready.shown, ready.every)
            ]
        start = audit_view.start(self._data, self._portraits, worth)
        return AuditPage(start, "", overview=self._overview(ready, references, shown))

    def _matrices(self, view: View, references: Sequence[str], shown: ShownMatrix) -> "_Matrices | None":
        """Everybody with the models that are ready; None if none is."""
        told = view.told.among(references)
        models, pending = self._ready(references)
        if not models:
            return None
        every = self._workbench.matrices(models, told)
        roles = assign_roles(models, told).roles
        named = {matrix.model.reference: matrix for matrix in every}
        first = next((m for m, role in zip(every, roles, strict=True) if role.name not in REFERENCES), every[-1])
        found, against = named.get(shown.model, first), named.get(shown.against)
        heads = model_heads(models, roles)
        return _Matrices(every, heads, found, None if against is found else against, pending)

    def diagnoses(self, view: View, references: Sequence[str], own: Sequence[str], outcomes: Outcomes) -> str:
        """What benchmarks say of the models: the visitor's own ones, and what is shipped; raises `SalmuError`."""
        models = self._workbench.models(references)
        return audit_view.diagnoses(models, outcomes.diagnoses(models, own), view.told.among(references))

    def _ready(self, references: Sequence[str]) -> tuple[Sequence[ModelSource], Sequence[str]]:
        """The models whose verdicts are at hand, and references of those that are being prepared."""
        pending = [reference for reference in references if reference in self._warm_up.pending]
        return self._workbench.models([reference for reference in references if reference not in pending]), pending


@dataclass(frozen=True)
class AuditInputs:
    """What the tab is asked for: the values of its components, in their order."""

    view: View
    references: list[str]
    gallery: str
    count: float
    differs_only: bool
    model: str
    against: str
    query: str
    request: str
    outcome: str
    kind: str
    country: str

    @property
    def shown(self) -> ShownMatrix:
        """What of everybody is asked for; the filters are what their components offer, which the page has checked."""
        wanted = MatrixFilter(
            self.query,
            cast("Asked | None", self.request or None),
            cast('Outcome | Literal["not as asked"] | None', self.outcome or None),
            self.kind or None,
            self.country or None,
        )
        return ShownMatrix(self.model, self.against, wanted)


TITLE: Final = "Audit a persona"


def build(context: Context) -> TabHandlers:
    """Build the tab into the current Blocks context.

    Models that are still being prepared are left out, so that nobody waits for minutes; showing again brings them.
    """
    workbench, view = context.workbench, context.view
    pages = AuditPages(workbench, context.warm_up)
    documents = dossiers.Dossiers(workbench, context.warm_up)
    with gr.Row(elem_classes="audit"):
        with gr.Column(scale=1, min_width=280):
            words = "Name, phone number, e-mail, IBAN, any value"
            query = gr.Textbox(label="Find a persona", placeholder=words, elem_id="search")
            people = choice_list(elem_id="people", elem_classes="people")
        with gr.Column(scale=3, min_width=320):
            persona = choices(empty_state(text.START_TITLE, text.START), elem_id="persona")
            diagnoses = markup(elem_id="audit-diagnoses")
            with gr.Column(elem_id="overview", elem_classes="overview") as everybody:
                head = choices(elem_id="overview-head")
                with gr.Row(elem_classes="filters"):
                    request = gr.Dropdown(overview.ASKED_CHOICES, value="", label="Asked", **_FILTER)
                    outcome = gr.Dropdown(overview.OUTCOME_CHOICES, value="", label="Verdict", **_FILTER)
                    kind = gr.Dropdown(overview.kind_choices(workbench.data), value="", label="Attribute", **_FILTER)
                    countries = overview.country_choices(workbench.data)
                    country = gr.Dropdown(countries, value="", label="Country", visible=len(countries) > 1, **_FILTER)
                matrix = choice_grid(elem_id="matrix")
            table = choice_grid(elem_id="verdicts")
            with gr.Column(visible=False, elem_id="dossier") as offer:
                make = gr.Button(text.DOSSIER, size="sm", elem_id="dossier-make")
                gr.Markdown(text.DOSSIER_INFO)
                with gr.Accordion(text.DOSSIER_FORM, open=False, elem_id="dossier-form"):
                    with gr.Row():
                        said = [
                            gr.Textbox(label=label, max_length=MOST_DECLARED, min_width=200)
                            for label in (text.AUDITOR, text.RELEASE, text.NOTES)
                        ]
                    images = gr.Checkbox(True, label=text.WITH_IMAGES, info=text.WITH_IMAGES_INFO)
                files = markup(elem_id="dossier-files")
            asking_area(context)
    # Across the page: four models stand side by side.
    with gr.Column(visible=False, elem_id="detail") as detail:
        line_ups = choices(elem_id="line-ups")
        gr.Markdown(f"### {text.RETRIEVAL_TITLE}")
        with gr.Row():
            labels = [(f"{_GALLERY_LABELS.get(name, name)} ({name})", name) for name in GALLERIES]
            gallery = gr.Dropdown(labels, value="forget", label="Gallery", min_width=200)
            count = gr.Slider(1, MOST_CAPTIONS, value=10, step=1, label="Captions", min_width=160)
            differs = gr.Checkbox(label="Only where models differ", min_width=160, container=True)
        captions = markup(elem_id="captions")

    model = gr.State("")
    against = gr.State("")
    turn = gr.State(0)
    filters = [request, outcome, kind, country]
    asked = [view, context.bar.chosen, gallery, count, differs, model, against, query, *filters]
    shown = [persona, table, detail, line_ups, captions, turn, offer, files, everybody, head, matrix]

    def page(asked: AuditInputs) -> AuditPage:
        return pages.page(asked.view, asked.references, asked.shown)

    def page_of(asked: AuditInputs, view: View) -> list[Any]:
        return [view, *page(replace(asked, view=view)).updates()]

    @shows_errors
    def show(*values: Any) -> list[Any]:
        return page(AuditInputs(*values)).updates()

    @shows_errors
    def choose_persona(event: gr.EventData, *values: Any) -> list[Any]:
        asked, identity = AuditInputs(*values), chosen(event)
        person = workbench.data.persona(identity).identity_id if identity else None
        return page_of(asked, replace(asked.view, persona=person))

    @shows_errors
    def open_cell(event: gr.EventData, *values: Any) -> list[Any]:
        asked = AuditInputs(*values)
        return page_of(asked, overview.opened_view(chosen(event), workbench.data, asked.view))

    @shows_errors
    def choose_model(event: gr.EventData, *values: Any) -> list[Any]:
        asked, choice = AuditInputs(*values), chosen(event)
        reference = choice.removeprefix(overview.AGAINST)
        is_other = choice != reference
        if (reference or not is_other) and reference not in pages.shown_models(asked.view, asked.references):
            raise QueryError(f"{quoted(reference)} is not among the models that are compared; tick it first.")
        asked = replace(asked, against=reference) if is_other else replace(asked, model=reference)
        return [asked.model, asked.against, *show_everybody(asked)]

    def show_everybody(asked: AuditInputs) -> list[Any]:
        """The matrix, unless a persona is open, which hides it; it is made again when the persona is closed."""
        if asked.view.persona is not None:
            return [gr.skip(), gr.skip()]
        found = pages.overview(asked.view, asked.references, asked.shown)
        return [found.head, found.table]

    @shows_errors
    def narrow(*values: Any) -> list[Any]:
        return show_everybody(AuditInputs(*values))

    @shows_errors
    def choose_kind(event: gr.EventData, *values: Any) -> list[Any]:
        asked, kind = AuditInputs(*values), chosen(event) or None
        if kind is not None and kind not in workbench.data.kinds:
            raise QueryError(f"There is no attribute {quoted(kind)}; choose one that the page shows.")
        return page_of(asked, replace(asked.view, kind=kind))

    def details(progress: gr.Progress, *values: Any) -> list[Any]:
        asked = AuditInputs(*values)

        def report(done: Progress) -> None:
            progress((done.done, done.total), desc=done.text, unit="items")

        search = Search(asked.gallery, int(asked.count), asked.differs_only)
        found = pages.detail(asked.view, asked.references, search, report)
        return [gr.skip(), gr.skip()] if found is None else [found.line_ups, found.captions]

    @shows_errors
    def show_details(*values: Any, progress: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008 - Gradio's way
        return details(progress, *values)

    @shows_errors
    def search_captions(*values: Any, progress: gr.Progress = gr.Progress()) -> Any:  # noqa: B008 - as above
        return details(progress, *values)[1]

    @shows_errors
    def make_dossier(
        view: View,
        references: list[str],
        own: Any,
        with_images: bool,
        *declared: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
    ) -> Markup:
        def report(done: Progress) -> None:
            progress((done.done, done.total), desc=done.text)

        models = workbench.models(references)
        attacks = dossiers.own_attacks(context.manager, own_ids(own), workbench.data, models)
        added = dossiers.Additions(declare(*declared), with_images, attacks)
        files = documents.files(view, references, report, added)
        labels = [*(f"Dossier as {name}" for name in dossiers.ENDINGS), *[text.ATTACKS_FILE] * len(attacks)]
        return downloads([link_to(file, label) for file, label in zip(files, labels, strict=True)])

    @shows_errors
    def tell_diagnoses(view: View, references: list[str], own: Any) -> str:
        return pages.diagnoses(view, references, own_ids(own), context.outcomes)

    def list_personas(query: str, view: View) -> str:
        return pages.list(query, view.persona)

    listing = Handler(list_personas, [query, view], [people], QUIETLY)
    showing = Handler(show, asked, shown, SHOWN)
    # In turn: opened by a link, the page asks about its first models too, whose answer must not come last.
    in_turn = {**SHOWN, "concurrency_limit": 1}
    telling = Handler(tell_diagnoses, [view, context.bar.chosen, context.own_jobs], [diagnoses], in_turn)
    # Not `input`, which stays silent when a text is pasted or filled in; nothing but the visitor changes this box.
    listing.on(query.change, **_ASIDE)
    chosen_options = {**_ASIDE, "show_progress": "minimal", "show_progress_on": table}
    people.click(choose_persona, asked, [view, *shown], **chosen_options).then(
        None, js=scroll_to("persona", unless=WIDE)
    )
    for part, choose in ((persona, choose_persona), (matrix, open_cell)):
        picked = part.click(choose, asked, [view, *shown], **{**chosen_options, "show_progress_on": part})
        # What was chosen is gone, and so is the focus.
        picked.then(None, js=focus_heading("#persona", "#overview-head"))
        # The list marks what is chosen in it by itself.
        listing.on(picked.then, **_ASIDE)
    head.click(choose_model, asked, [model, against, head, matrix], **{**chosen_options, "show_progress_on": matrix})
    gr.on([query.change, *(control.input for control in filters)], narrow, asked, [head, matrix], **_ASIDE)
    table.click(choose_kind, asked, [view, *shown], **chosen_options).then(
        None, js=scroll_to("detail", unless=IN_SIGHT)
    )
    line_ups.click(choose_kind, asked, [view, *shown], **{**chosen_options, "show_progress_on": line_ups})
    # Not `input`: adding a model changes the choice too.
    showing.on(context.bar.chosen.change, **chosen_options)
    telling.on(context.bar.chosen.change, **in_turn)
    make.click(
        make_dossier,
        [view, context.bar.chosen, context.own_jobs, images, *said],
        files,
        # They are made one at a time, but those that are there are handed out meanwhile.
        concurrency_limit=4,
        show_progress_on=make,
        trigger_mode="once",
        api_visibility="private",
    )
    in_sight = {**_ASIDE, "show_progress": "full", "show_progress_on": captions}
    following = turn.change(show_details, asked, [line_ups, captions], **in_sight)
    # What was asked about another cell or other models must not be shown beside these.
    gr.on(
        [people.click, persona.click, matrix.click, table.click, line_ups.click, context.bar.chosen.change],
        None,
        cancels=[following],
        api_visibility="private",
    )
    gr.on([gallery.input, count.input, differs.input], search_captions, asked, captions, **in_sight)
    # Jobs that have ended since, or another Clean, may change what they say.
    return TabHandlers(
        opened=[listing, showing, telling],
        told=[showing, telling],
        prepared=[showing],
        selected=[telling],
        led=[listing, showing],
    )
