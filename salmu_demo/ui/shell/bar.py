"""What all tabs share: the header, the choice of models, the status line and the link to the view."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import gradio as gr
from gradio.utils import get_space
from markupsafe import Markup

from salmu_demo.core.errors import QueryError, SalmuError, quoted
from salmu_demo.core.markup import render
from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.core.settings import on_space
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import MINI
from salmu_demo.hub.reference import OFFICIAL_MODELS
from salmu_demo.models.roles import REFERENCES, TITLES, Told, check_told
from salmu_demo.models.source import ModelSource
from salmu_demo.models.uploads import keep_upload, upload_limit
from salmu_demo.results.records import MeasuredModel
from salmu_demo.ui.shell import text
from salmu_demo.ui.shell.data_shelf import DataShelf, mini_notice, title
from salmu_demo.ui.shell.incoming import gives_paths
from salmu_demo.ui.shell.messages import inform, shows_errors, warn
from salmu_demo.ui.shell.shelf import ModelShelf
from salmu_demo.ui.shell.values import MAX_TEXT
from salmu_demo.ui.shell.view import MAX_MODELS, PARAMETERS, View, format_link
from salmu_demo.ui.shell.visitor_files import visitor_files
from salmu_demo.ui.shell.visitors import owner_of
from salmu_demo.ui.widgets.components import choices, chosen, markup
from salmu_demo.ui.widgets.markup import Action, actions, notice
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.warmup import MOST_WAITING, WarmUp

POLL_SECONDS: Final = 1.0

SETTINGS_WIDTH: Final = 330
"""Pixels of the sidebar on a wide screen; on a narrow one it takes all."""

SYNC_ADDRESS: Final = f"""
(query) => {{
  const page = window.location.origin + window.location.pathname;
  const others = new URLSearchParams(window.location.search);
  for (const name of {list(PARAMETERS)}) others.delete(name);
  const all = [others.toString(), query].filter(Boolean).join('&');
  try {{
    window.history.replaceState(window.history.state, '', page + (all ? '?' + all : ''));
  }} catch (error) {{
    // A sandboxed frame may refuse; the link below still works.
  }}
  return page + (query ? '?' + query : '');
}}
"""
"""Writes a view into the browser's address without touching other parameters, and returns the link to it."""


UNFOLDED: Final = """
() => {
  document.querySelector('.settings-button').setAttribute('aria-expanded', 'true');
  setTimeout(() => document.querySelector('#settings .toggle-button').focus(), 50);
}
"""
FOLDED: Final = """
() => {
  const button = document.querySelector('.settings-button');
  button.setAttribute('aria-expanded', 'false');
  button.focus();
}
"""
ON_HEADER: Final = """
element.addEventListener('click', (event) => {
  if (event.target.closest('.settings-button')) document.querySelector('#settings .toggle-button').click();
  if (!event.target.closest('.skip')) return;
  event.preventDefault();
  const places = ['#verdicts table', '#overview-head h2', '[role=tabpanel]'].map((place) => `#tabs ${place}`);
  const found = places.flatMap((place) => [...document.querySelectorAll(place)]).find((one) => one.checkVisibility());
  found.tabIndex = -1;
  found.focus();
  found.scrollIntoView();
});
"""
"""The header's button does what that of the sidebar does, which is out of sight while it is folded; its link goes past
all that stands before the verdicts, or before what else the open tab shows."""

GO_THERE: Final = f"""
(address) => {{
  if (!address) return;
  const there = new URL(address, window.location.href);
  const others = new URLSearchParams(window.location.search);
  for (const name of {list(PARAMETERS)}) others.delete(name);
  for (const [name, value] of others) there.searchParams.append(name, value);
  window.location.assign(there);
}}
"""
"""Goes to the page of another data set; parameters that do not belong to a view go with it."""


def header(data: BenchmarkData, problem: str = "") -> Markup:
    """One line with the title, the purpose, and the button that unfolds the choice of data and models.

    Args:
        data: the data that is served.
        problem: why it is not the data that was asked for, or nothing.
    """
    return render(
        "ui/templates/shell.html#header",
        title=text.TITLE,
        purpose=text.PURPOSES[data.benchmark],
        settings=text.SETTINGS,
        data=title(data.name),
        problem=problem,
        skip=text.SKIP,
    )


def provisos(data: BenchmarkData) -> Markup:
    """The notices that every view must carry."""
    return notice(f"{mini_notice(data)} {SCORES_NOTICE}".strip())


def data_line(data: BenchmarkData) -> Markup:
    """Which data is served, to the revision."""
    revision = f" at revision {data.revision[:12]}" if data.revision else ""
    served = text.DATA_IS_EMBEDDED if mini_notice(data) else text.DATA_IS_OTHER
    named = title(MINI if data.is_mini else data.name)
    return notice(served.format(name=named, revision=revision), "quiet data-line")


def can_sign_in() -> bool:
    """Whether the page can offer a sign-in with Hugging Face: on a Space whose card says `hf_oauth: true`.

    Anywhere else Gradio's button would sign every visitor in as the owner of the machine.
    """
    return get_space() is not None and bool(os.environ.get("OAUTH_CLIENT_ID"))


@dataclass(frozen=True)
class TopBar:
    """Components beside and above the tabs that other parts read or write.

    Attributes:
        chosen: the references of the models to compare.
        listed: the references this visitor can choose from.
        query: the current view as the query of an address; writing it updates the browser's address and `link`.
        link: the link to the current view.
        references: who is told to be Clean, Compromised and Gold, each a reference among the chosen models or nothing.
        pending: the references of the models that are still being prepared; it changes as they become ready.
        timer: asks how far that is, as long as there is something to ask.
        data: the choice of the data set.
    """

    chosen: gr.CheckboxGroup
    listed: gr.State
    query: gr.Textbox
    link: gr.Textbox
    references: list[gr.Dropdown]
    pending: gr.Textbox
    timer: gr.Timer
    data: gr.Dropdown

    @property
    def listing(self) -> list[Any]:
        """What `list_model` changes."""
        return [self.chosen, self.listed, self.pending, self.timer]


def top_bar(shelf: ModelShelf, warm_up: WarmUp, datasets: DataShelf, workbench: Workbench, view: gr.State) -> TopBar:
    """Build the choice of data and models, the box that adds one, the link to the view, and the status line."""
    with gr.Sidebar(text.SETTINGS, open=False, width=SETTINGS_WIDTH, elem_id="settings") as sidebar:
        markup(render("ui/templates/shell.html#settings_title", title=text.SETTINGS))
        own = datasets.name(workbench)
        offered, default = shelf.offered(workbench.data.benchmark), shelf.default(workbench.data.benchmark)
        data = gr.Dropdown(datasets.choices_on(own), value=own, label=text.DATA, filterable=False, elem_id="data")
        markup(data_line(workbench.data))
        models = gr.CheckboxGroup(
            shelf.choices(offered),
            value=list(default),
            label=f"Models to compare (up to {MAX_MODELS})",
            elem_id="models",
        )
        if can_sign_in():
            gr.LoginButton(size="sm", elem_id="sign-in")
        with gr.Accordion("Add a model", open=False, elem_id="add-model"):
            reference = gr.Textbox(
                label="Model",
                info=text.ADD_MODEL_ON_SPACE if on_space() else text.ADD_MODEL,
                placeholder="hf-hub:organisation/name",
            )
            architecture = gr.Textbox(
                label="Architecture",
                info="Only for weights without a configuration; told from them if left empty.",
                placeholder="ViT-B-16",
            )
            add = gr.Button("Add", variant="primary", size="sm")
            gr.Markdown(text.OFFICIAL_MODELS)
            officials = choices(actions(Action(name, f"Add {name}", id=f"add-{name}") for name in OFFICIAL_MODELS))
            limit = upload_limit()
            upload = gr.UploadButton(
                f"Upload a .safetensors file (up to {limit / 1e9:g} GB)",
                file_types=[".safetensors"],
                visible=limit > 0,
                size="sm",
                elem_id="upload-model",
            )
            gives_paths(upload)
        with gr.Accordion("Clean, Compromised and Gold", open=False, elem_id="references"):
            gr.Markdown(text.WHO_IS_CLEAN[workbench.data.benchmark])
            references = [
                gr.Dropdown(reference_choices(default), value="", label=f"{title} reference", elem_id=f"told-{role}")
                for role, title in TITLES.items()
            ]
        with gr.Accordion("Link to this view", open=False, elem_id="share"):
            link = gr.Textbox(
                label="Link",
                info=text.LINK_HELP,
                interactive=False,
                buttons=["copy"],
                elem_id="share-link",
                max_lines=3,
            )
    query = gr.Textbox(visible="hidden", label="Query of this view", elem_id="view-query")
    address = gr.Textbox(visible="hidden", label="Page of another data set", elem_id="data-address")
    pending = gr.Textbox(
        visible="hidden", label="Models being prepared", max_length=MOST_WAITING * MAX_TEXT, elem_id="pending"
    )
    status = markup(elem_id="status")
    timer = gr.Timer(POLL_SECONDS)
    bar = TopBar(models, gr.State(list(offered)), query, link, references, pending, timer, data)

    sidebar.expand(None, js=UNFOLDED)
    sidebar.collapse(None, js=FOLDED)
    moved = data.input(
        mover(datasets, own, shelf),
        [data, models, view],
        [data, address],
        show_progress_on=data,
        concurrency_limit=4,
        api_visibility="private",
    )
    moved.success(None, address, None, js=GO_THERE)
    query.change(None, query, link, js=SYNC_ADDRESS)
    # The one handler that is told of every tick, see `Page.limit`.
    models.input(limit_models, models, models, preprocess=False, show_progress="hidden", api_visibility="private")
    added = [*bar.listing, reference, architecture]
    gr.on(
        [add.click, reference.submit, architecture.submit],
        adder(shelf, warm_up),
        [reference, architecture, bar.chosen, bar.listed],
        added,
        show_progress_on=add,
        api_visibility="private",
    )
    officials.click(
        official_adder(shelf, warm_up),
        [bar.chosen, bar.listed],
        added,
        # What failed would lie over the buttons until somebody takes it away.
        show_progress_on=add,
        api_visibility="private",
    )
    upload.upload(
        uploader(shelf, warm_up),
        [upload, architecture, bar.chosen, bar.listed],
        added,
        show_progress_on=upload,
        api_visibility="private",
    )
    timer.tick(
        poller(warm_up),
        [status, pending, bar.listed],
        [status, pending, timer],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    return bar


def mover(datasets: DataShelf, own: str, shelf: ModelShelf) -> Callable[..., list[Any]]:
    """The handler that opens another data set than the page's own, and says where its page is."""

    def move(
        wanted: str,
        chosen: list[str],
        seen: View,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
    ) -> list[Any]:
        progress(0.0, desc=text.OPENING_DATA)
        try:
            there = datasets.workbench(wanted).data.benchmark
            address = datasets.address(wanted, own)
        except SalmuError as error:
            warn(str(error), "Not opened")
            return [own, ""]
        default = shelf.default(there)
        # Personas and jobs stay behind; who is compared, and where, does not, unless it is another benchmark.
        if there == datasets.workbench(own).data.benchmark:
            query = format_link(View(tab=seen.tab, told=seen.told, query=seen.query), chosen, default)
        else:
            query = format_link(View(tab=seen.tab), default, default)
        return [own, "" if wanted == own else f"{address}{'?' if query else ''}{query}"]

    return move


def reference_choices(chosen: Sequence[str]) -> list[tuple[str, str]]:
    """Labels and values of the models that can be told to be a reference."""
    return [(text.BY_CARD_OR_NAME, ""), *((reference, reference) for reference in chosen)]


def reference_updates(told: Told, chosen: Sequence[str]) -> list[Any]:
    """New choices and values of `TopBar.references`."""
    return [gr.Dropdown(reference_choices(chosen), value=told.of(role) or "") for role in REFERENCES]


def tell(clean: str, compromised: str, gold: str, chosen: list[str], seen: View) -> list[Any]:
    """The view with what is told of the references, and their components; what makes no sense is taken back."""
    told = Told(clean or None, compromised or None, gold or None)
    try:
        check_told([MeasuredModel(reference, reference) for reference in chosen], told)
    except QueryError as error:
        warn(str(error), "Not taken")
        told = seen.told
    return [replace(seen, told=told), *reference_updates(told, chosen)]


def keep_told(chosen: list[str], seen: View) -> list[Any]:
    """The same when other models are chosen: what was told of one that is gone goes too."""
    told = seen.told.among(chosen)
    return [gr.skip() if told == seen.told else replace(seen, told=told), *reference_updates(told, chosen)]


def limit_models(chosen: list[str]) -> Any:
    """Take back the ticks beyond the last model that fits."""
    if len(chosen) <= MAX_MODELS:
        return gr.skip()
    warn(text.TOO_MANY_MODELS.format(count=MAX_MODELS), "Too many models")
    return chosen[:MAX_MODELS]


def adder(shelf: ModelShelf, warm_up: WarmUp) -> Callable[..., list[Any]]:
    """The handler that adds a model."""

    @shows_errors
    def add(
        reference: str,
        architecture: str,
        chosen: list[str],
        listed: list[str],
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
        sign_in: gr.OAuthToken | None = None,
    ) -> list[Any]:
        progress(0.2, desc="Finding and loading the model")
        model = shelf.add(reference, architecture, sign_in.token if sign_in else None, owner_of(request))
        return [*list_model(shelf, warm_up, model, chosen, listed), "", ""]

    return add


def official_adder(shelf: ModelShelf, warm_up: WarmUp) -> Callable[..., list[Any]]:
    """The handler that adds the released model that was clicked."""
    add = adder(shelf, warm_up)

    @shows_errors
    def add_official(
        event: gr.EventData,
        ticked: list[str],
        listed: list[str],
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
        sign_in: gr.OAuthToken | None = None,
    ) -> list[Any]:
        name = chosen(event)
        if name not in OFFICIAL_MODELS:
            raise QueryError(f"There is no released model {quoted(name)}; choose one that the page shows.")
        return add(name, "", ticked, listed, request, progress, sign_in)

    return add_official


def list_model(
    shelf: ModelShelf, warm_up: WarmUp, model: ModelSource, chosen: Sequence[str], listed: Sequence[str]
) -> list[Any]:
    """Prepare a model and put it into a visitor's choice, ticked if it fits; new values of `TopBar.listing`."""
    warm_up.add([model])
    now = list(dict.fromkeys([*listed, model.reference]))
    wanted = list(dict.fromkeys([*chosen, model.reference]))
    fits = len(wanted) <= MAX_MODELS
    message = text.MODEL_ADDED if fits else text.MODEL_ADDED_UNTICKED
    inform(message.format(name=model.name), "Model added")
    for remark in shelf.remarks(model, now):
        warn(remark, "Note")
    update = gr.CheckboxGroup(shelf.choices(now), value=wanted if fits else list(chosen))
    return [update, now, pending_text(warm_up, now), gr.Timer(active=True)]


def uploader(shelf: ModelShelf, warm_up: WarmUp) -> Callable[..., list[Any]]:
    """The handler that adds an uploaded checkpoint."""
    add = adder(shelf, warm_up)

    @shows_errors
    def keep(path: str) -> str:
        with visitor_files().claimed(path) as file:
            return keep_upload(file, file.name)

    def upload(path: str, architecture: str, chosen: list[str], listed: list[str], request: gr.Request) -> list[Any]:
        return add(keep(path), architecture, chosen, listed, request)

    return upload


def pending_text(warm_up: WarmUp, listed: Collection[str]) -> str:
    """Value of `TopBar.pending` for a visitor who has the listed models."""
    return "\n".join(warm_up.seen_by(listed).pending)


def poller(warm_up: WarmUp) -> Callable[[str | None, str | None, list[str]], list[Any]]:
    """The handler that shows what is being prepared and stops asking when nothing is."""

    def poll(shown: str | None, pending: str | None, listed: list[str]) -> list[Any]:
        standing = warm_up.seen_by(listed)
        now = "\n".join(standing.pending)
        line = notice(standing.line, "status") if standing.line else ""
        return [
            line if line != (shown or "") else gr.skip(),
            now if now != (pending or "") else gr.skip(),
            gr.Timer(active=False) if standing.finished else gr.skip(),
        ]

    return poll
