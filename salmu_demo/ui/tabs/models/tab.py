"""The Models tab: what each chosen model is, and what changed in one of them against another."""

from collections.abc import Sequence
from typing import Any, Final

import gradio as gr

from salmu_demo.core.errors import QueryError
from salmu_demo.core.progress import Progress
from salmu_demo.data import layout
from salmu_demo.models.roles import COMPROMISED, REFERENCES, ModelRole, assign_roles
from salmu_demo.results.records import MeasuredModel
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.context import Context, TabHandlers
from salmu_demo.ui.tabs.models.view import cards_html, change_html, model_card
from salmu_demo.ui.widgets.components import SHOWN, Handler, markup
from salmu_demo.ui.widgets.markup import empty_state

CHANGE_INTRODUCTION: Final = (
    "## What changed\nCompare a model with the one it was made from: how far the weights of each layer moved, and how "
    "alike both models see the same images and captions."
)
NO_CHANGE_TITLE: Final = "Nothing compared yet"
NO_CHANGE: Final = "Choose two models of the same architecture and press the button; the first time takes minutes."


TITLE: Final = "Models"


def build(context: Context) -> TabHandlers:
    """Build the tab into the current Blocks context."""
    workbench, chosen_models = context.workbench, context.bar.chosen
    cards = markup(elem_id="model-cards", elem_classes="model-cards")
    gr.Markdown(CHANGE_INTRODUCTION)
    with gr.Row(elem_id="change-choice"):
        model = gr.Dropdown([], label="Model", elem_id="change-model", min_width=200)
        against = gr.Dropdown([], label="Against", elem_id="change-against", min_width=200)
        split = gr.Dropdown(
            list(workbench.data.stored_splits), value=layout.FORGET, label="Compare features on", min_width=160
        )
    compare = gr.Button("Show what changed", variant="primary", elem_id="change-show")
    result = markup(empty_state(NO_CHANGE_TITLE, NO_CHANGE), elem_id="change-result")

    def show(references: list[str] | None, seen: View) -> list[Any]:
        names = references or []
        candidates = [MeasuredModel(name, name, role=workbench.own_role(name)) for name in names]
        roles = assign_roles(candidates, seen.told.among(names)).roles
        start, base = suggestion(names, roles)
        return [
            cards_html([model_card(workbench, name, names, role) for name, role in zip(names, roles, strict=True)]),
            gr.Dropdown(names, value=start),
            gr.Dropdown(names, value=base),
        ]

    @shows_errors
    def change(
        model: str | None,
        against: str | None,
        split: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
    ) -> str:
        if not model or not against:
            raise QueryError("Choose two models to compare; more can be ticked at the top of the page.")
        found, base = workbench.models([model])[0], workbench.models([against])[0]

        def told(step: Progress) -> None:
            progress((step.done, step.total), desc=step.text)

        return change_html(workbench.model_change(found, base, split, told))

    showing = Handler(show, [chosen_models, context.view], [cards, model, against], SHOWN)
    showing.on(chosen_models.change, show_progress="hidden", api_visibility="private")
    compare.click(
        change, [model, against, split], result, show_progress_on=result, concurrency_limit=1, api_visibility="private"
    )
    return TabHandlers(opened=[showing], told=[showing])


def suggestion(references: Sequence[str], roles: Sequence[ModelRole]) -> tuple[str | None, str | None]:
    """The model to look at first, and what to compare it with: Compromised, which unlearning starts from.

    >>> suggestion(["mini-clean", "leaky", "mine"], [ModelRole("clean"), ModelRole("compromised"), ModelRole()])
    ('mine', 'leaky')
    >>> suggestion(["mine"], [ModelRole()])
    ('mine', None)
    """
    named = list(zip(references, roles, strict=True))
    base = next((name for name, role in named if role.name == COMPROMISED), None)
    others = [name for name in references if name != base]
    unlearned = [name for name, role in named if role.name not in REFERENCES]
    return next(iter([*unlearned, *others]), None), base
