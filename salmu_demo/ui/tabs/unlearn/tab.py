"""The Unlearn tab: choose a method, watch a model forget, take it to the other tabs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from salmu_demo.core.progress import Progress
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.roles import CLEAN, NOTHING_TOLD, Told, role_by_name
from salmu_demo.ui.jobs.area import Launcher, VisitorJobs, connect_jobs, job_area
from salmu_demo.ui.jobs.page import own_ids
from salmu_demo.ui.shell.bar import list_model
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import MAX_MODELS, TABS, View
from salmu_demo.ui.tabs.context import Context, TabHandlers
from salmu_demo.ui.tabs.unlearn import text
from salmu_demo.ui.tabs.unlearn.form import connect_form, unlearn_form
from salmu_demo.ui.tabs.unlearn.view import UnlearnPages
from salmu_demo.ui.widgets.components import QUEUED, TURNS, Handler, markup, served

_QUIET: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass(frozen=True)
class MadeArea:
    """Components about the model a run has made."""

    column: gr.Column
    facts: gr.HTML
    card: gr.Markdown
    compare: gr.Button
    benchmark: gr.Button
    pack: gr.Button
    save: gr.DownloadButton
    follow: gr.Button
    followed: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """Components that depend on the model."""
        return [self.column, self.facts, self.card, self.pack, self.save, self.follow, self.followed]


TITLE: Final = "Unlearn"


def build(context: Context) -> TabHandlers:
    """Build the tab into the current Blocks context."""
    visitor = context.jobs["unlearn"]
    pages, bar = UnlearnPages(context.workbench, context.manager), context.bar
    gr.Markdown(text.INTRODUCTION)
    with gr.Accordion(text.FORM, elem_id="unlearn-form") as folded:
        form = unlearn_form(context.workbench.data)
    area = job_area(visitor, folded)
    made = _made_area()
    filling = connect_form(context, Launcher(context.manager, pages, area, context.view), form, visitor.own)
    _connect_made(pages, context, visitor, made)

    def list_own(own: Any, listed: list[str], picked: list[str]) -> list[Any]:
        known = list(dict.fromkeys([*listed, *pages.made_by(own_ids(own))]))
        if known == listed:
            return [gr.skip(), gr.skip(), next(TURNS)]
        return [known, gr.CheckboxGroup(context.shelf.choices(known), value=picked), next(TURNS)]

    own = [bar.listed, bar.chosen, context.viewed]
    return TabHandlers(
        remembered=[Handler(list_own, [visitor.own, bar.listed, bar.chosen], own, QUEUED)],
        viewed=[filling, connect_jobs(context.manager, pages, area, context.view)],
    )


def _made_area() -> MadeArea:
    with gr.Column(visible=False, elem_id="made") as column:
        facts = markup(elem_id="made-facts", elem_classes="model-cards")
        with gr.Row(elem_classes="job-buttons"):
            compare = gr.Button("Compare in Audit", variant="primary", size="md", elem_id="made-audit")
            benchmark = gr.Button("Benchmark it", size="md", elem_id="made-benchmark")
            pack = gr.Button(text.DOWNLOAD, size="md", elem_id="made-pack")
            save = gr.DownloadButton("", size="md", visible=False, elem_id="made-save")
            follow = gr.Button(text.FOLLOW, size="md", visible=False, elem_id="made-follow")
        followed = markup(elem_id="made-requests")
        with gr.Accordion("Model card", open=False, elem_id="made-card"):
            card = gr.Markdown()
    return MadeArea(column, facts, card, compare, benchmark, pack, save, follow, followed)


def _connect_made(pages: UnlearnPages, context: Context, visitor: VisitorJobs, made: MadeArea) -> None:
    shelf, bar, view, tabs = context.shelf, context.bar, context.view, context.tabs

    @shows_errors
    def show(job_id: str, picked: list[str], listed: list[str]) -> dict[Any, Any]:
        if not job_id:
            return {made.column: gr.Column(visible=False)}
        model = pages.made(job_id)
        changes = {made.column: gr.Column(visible=True), made.facts: model.facts, made.card: model.card}
        changes |= {made.pack: gr.Button(visible=True), made.save: gr.DownloadButton(visible=False)}
        changes |= {made.follow: gr.Button(visible=model.was_asked), made.followed: ""}
        if model.reference in listed:
            return changes
        added = list_model(shelf, context.warm_up, shelf.add(model.reference, ""), picked, listed)
        return {**changes, **dict(zip(bar.listing, added, strict=True))}

    def go_to(tab: str) -> Any:
        @shows_errors
        def go(job_id: str, seen: View, picked: list[str], listed: list[str]) -> dict[Any, Any]:
            model = pages.made(job_id)
            known = list(dict.fromkeys([*listed, model.reference]))
            chosen = with_companions(picked, companions(model.reference, model.base, known, seen.told))
            # Whoever was asked about, or was watched, is what the run was about.
            persona = model.watched if tab == TABS[0] else seen.persona
            return {
                bar.listed: known,
                bar.chosen: gr.CheckboxGroup(shelf.choices(known), value=chosen),
                view: replace(seen, tab=tab, persona=persona or seen.persona),
                tabs: gr.Tabs(selected=tab),
                context.led: next(TURNS),
            }

        return go

    visitor.finished.change(
        show, [visitor.finished, bar.chosen, bar.listed], [*made.outputs, *bar.listing], concurrency_limit=4, **_QUIET
    )

    @shows_errors
    def pack(job_id: str) -> dict[Any, Any]:
        with pages.packed(job_id) as archive:
            button = gr.DownloadButton(text.DOWNLOADED.format(name=archive.stem), value=served(archive), visible=True)
        return {made.pack: gr.Button(visible=False), made.save: button}

    made.pack.click(
        pack,
        visitor.finished,
        [made.pack, made.save],
        show_progress_on=made.pack,
        concurrency_limit=1,
        trigger_mode="once",
        api_visibility="private",
    )

    @shows_errors
    def follow(
        job_id: str,
        seen: View,
        listed: list[str],
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
    ) -> Markup:
        def report(done: Progress) -> None:
            progress((done.done, done.total), desc=done.text)

        return pages.followed(job_id, listed, seen.told, report)

    made.follow.click(
        follow,
        [visitor.finished, view, bar.listed],
        made.followed,
        show_progress_on=made.follow,
        concurrency_limit=1,
        trigger_mode="once",
        api_visibility="private",
    )
    moved = [bar.listed, bar.chosen, view, tabs, context.led]
    for button, tab in ((made.compare, "audit"), (made.benchmark, "benchmark")):
        button.click(
            go_to(tab), [visitor.finished, view, bar.chosen, bar.listed], moved, concurrency_limit=None, **_QUIET
        )


def companions(made: str, base: str, listed: Sequence[str], told: Told = NOTHING_TOLD) -> list[str]:
    """What to look at beside a new model: the Clean model if there is one, and the model it was made from.

    >>> companions("made:npo-1", "mini-compromised", ["mini-clean", "mini-compromised", "made:npo-1"])
    ['mini-clean', 'mini-compromised', 'made:npo-1']
    """
    builtin = (name for name in builtin_models() if role_by_name(name).name == CLEAN)
    clean = [reference for reference in (told.clean, *builtin) if reference in listed]
    return list(dict.fromkeys([*filter(None, clean[:1]), base, made]))


def with_companions(picked: Sequence[str], companions: Sequence[str]) -> list[str]:
    """The models that are ticked, as far as they fit beside a new one and its companions.

    >>> with_companions(["a", "b", "c", "d"], ["a", "made:npo-1"])
    ['a', 'b', 'c', 'made:npo-1']
    """
    others = [reference for reference in picked if reference not in companions]
    fitting = others[: max(0, MAX_MODELS - len(companions))]
    kept = [reference for reference in picked if reference in companions or reference in fitting]
    return list(dict.fromkeys([*kept, *companions]))
