"""The Unlearn tab: choose a method, watch a model forget, take it to the other tabs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import gradio as gr

from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.roles import CLEAN, NOTHING_TOLD, Told, role_by_name
from salmu_demo.ui.jobs.area import Launcher, Opening, VisitorJobs, connect_jobs, job_area
from salmu_demo.ui.jobs.page import own_ids
from salmu_demo.ui.shell.bar import ModelShelf, TopBar, list_model
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.unlearn import text
from salmu_demo.ui.tabs.unlearn.form import Filling, connect_form, unlearn_form
from salmu_demo.ui.tabs.unlearn.page import UnlearnPages
from salmu_demo.ui.widgets.components import markup
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.warmup import WarmUp

_QUIET: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass(frozen=True)
class UnlearnTab:
    """Handlers for the shell to chain, and their components.

    Attributes:
        opening: shows the visitor's run when the tab is opened.
        filling: fills the form when it is opened first.
        list_own: lists the models that the visitor's runs have made, from what the browser remembers.
        list_inputs: what it reads.
        list_outputs: what it changes.
        leaving: events of the buttons that go to another tab with the new model.
    """

    opening: Opening
    filling: Filling
    list_own: Any
    list_inputs: list[Any]
    list_outputs: list[Any]
    leaving: list[Any]


@dataclass(frozen=True)
class MadeArea:
    """Components about the model a run has made."""

    column: gr.Column
    facts: gr.HTML
    card: gr.Markdown
    compare: gr.Button
    benchmark: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """Components that depend on the model."""
        return [self.column, self.facts, self.card]


def unlearn_tab(
    workbench: Workbench,
    manager: JobManager,
    shelf: ModelShelf,
    warm_up: WarmUp,
    bar: TopBar,
    tabs: gr.Tabs,
    view: gr.State,
    visitor: VisitorJobs,
) -> UnlearnTab:
    """Build the tab into the current Blocks context.

    Args:
        workbench: data and models.
        manager: runs the jobs.
        shelf: the models visitors can choose; a new one is added.
        warm_up: prepares a new one.
        bar: the choice of models.
        tabs: all tabs, to go to another one.
        view: state that holds the :class:`View`.
        visitor: the visitor's runs.
    """
    pages = UnlearnPages(workbench, manager)
    gr.Markdown(text.INTRODUCTION)
    form = unlearn_form()
    area = job_area(visitor)
    made = _made_area()
    launcher = Launcher(manager, pages, area, view)
    filling = connect_form(workbench, manager, launcher, form, bar.listed, visitor.own, view)
    leaving = _connect_made(pages, shelf, warm_up, bar, tabs, view, visitor, made)

    def list_own(own: Any, listed: list[str], picked: list[str]) -> list[Any]:
        known = list(dict.fromkeys([*listed, *pages.made_by(own_ids(own))]))
        return (
            [gr.skip(), gr.skip()] if known == listed else [known, gr.CheckboxGroup(shelf.choices(known), value=picked)]
        )

    return UnlearnTab(
        connect_jobs(manager, pages, area, view),
        filling,
        list_own,
        [visitor.own, bar.listed, bar.chosen],
        [bar.listed, bar.chosen],
        leaving,
    )


def _made_area() -> MadeArea:
    with gr.Column(visible=False, elem_id="made") as column:
        facts = markup(elem_id="made-facts", elem_classes="model-cards")
        with gr.Row(elem_classes="job-buttons"):
            compare = gr.Button("Compare in Audit", variant="primary", size="md", elem_id="made-audit")
            benchmark = gr.Button("Benchmark it", size="md", elem_id="made-benchmark")
        with gr.Accordion("Model card", open=False, elem_id="made-card"):
            card = gr.Markdown()
    return MadeArea(column, facts, card, compare, benchmark)


def _connect_made(
    pages: UnlearnPages,
    shelf: ModelShelf,
    warm_up: WarmUp,
    bar: TopBar,
    tabs: gr.Tabs,
    view: gr.State,
    visitor: VisitorJobs,
    made: MadeArea,
) -> list[Any]:
    @shows_errors
    def show(job_id: str, picked: list[str], listed: list[str]) -> dict[Any, Any]:
        if not job_id:
            return {made.column: gr.Column(visible=False)}
        model = pages.made(job_id)
        changes = {made.column: gr.Column(visible=True), made.facts: model.facts, made.card: model.card}
        if model.reference in listed:
            return changes
        added = list_model(shelf, warm_up, shelf.add(model.reference, ""), picked, listed)
        return {**changes, **dict(zip(bar.listing, added, strict=True))}

    def go_to(tab: str) -> Any:
        @shows_errors
        def go(job_id: str, seen: View, listed: list[str]) -> dict[Any, Any]:
            model = pages.made(job_id)
            known = list(dict.fromkeys([*listed, model.reference]))
            chosen = companions(model.reference, model.base, known, seen.told)
            return {
                bar.listed: known,
                bar.chosen: gr.CheckboxGroup(shelf.choices(known), value=chosen),
                view: replace(seen, tab=tab),
                tabs: gr.Tabs(selected=tab),
            }

        return go

    visitor.finished.change(
        show, [visitor.finished, bar.chosen, bar.listed], [*made.outputs, *bar.listing], concurrency_limit=4, **_QUIET
    )
    moved = [bar.listed, bar.chosen, view, tabs]
    return [
        button.click(go_to(tab), [visitor.finished, view, bar.listed], moved, concurrency_limit=None, **_QUIET)
        for button, tab in ((made.compare, "audit"), (made.benchmark, "benchmark"))
    ]


def companions(made: str, base: str, listed: Sequence[str], told: Told = NOTHING_TOLD) -> list[str]:
    """What to look at beside a new model: the Clean model if there is one, and the model it was made from.

    >>> companions("made:npo-1", "mini-compromised", ["mini-clean", "mini-compromised", "made:npo-1"])
    ['mini-clean', 'mini-compromised', 'made:npo-1']
    """
    builtin = (name for name in builtin_models() if role_by_name(name).name == CLEAN)
    clean = [reference for reference in (told.clean, *builtin) if reference in listed]
    return list(dict.fromkeys([*filter(None, clean[:1]), base, made]))
