"""The part of the Unlearn tab where a run is put together, estimated and started."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import gradio as gr

from salmu_demo.core.errors import QueryError
from salmu_demo.jobs.kinds.unlearning import UNLEARN, UnlearningOptions, UnlearningSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.checkpoint import COMPROMISED
from salmu_demo.ui.jobs.area import Launcher
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.unlearn import text
from salmu_demo.ui.tabs.unlearn.controls import Controls, common_controls, own_controls, settings_of, title_of
from salmu_demo.ui.tabs.unlearn.stop import StopControls, stop_controls, stop_of
from salmu_demo.ui.tabs.unlearn.view import MethodFacts, method_card
from salmu_demo.ui.widgets.components import markup
from salmu_demo.unlearning import DEFAULT_BUDGET
from salmu_demo.workbench.bench import Workbench

if TYPE_CHECKING:
    from salmu_demo.unlearning.methods import MethodSpec

# torch takes seconds to import, which a page whose features are all on disk does not need: methods are asked for only
# when a visitor opens the tab.

DEFAULT_METHOD: Final = "pinpoint"
MOST_PAIRS: Final = 1_000_000


@dataclass(frozen=True)
class Form:
    """What a run is put together from."""

    method: gr.Dropdown
    card: gr.HTML
    base: gr.Dropdown
    towers: gr.Radio
    budget: gr.Number
    seed: gr.Number
    stop: StopControls
    controls: Controls
    run: gr.Button

    @property
    def inputs(self) -> list[Any]:
        """The components a visitor fills in."""
        chosen = [self.method, self.base, self.towers, self.budget, self.seed]
        return [*chosen, *self.stop.inputs, *self.controls.inputs]

    @property
    def method_outputs(self) -> list[Any]:
        """Everything that depends on the method, in the order of :meth:`method_updates`."""
        return [self.card, self.towers, self.budget, self.stop.row, *self.controls.inputs]

    def method_updates(self, spec: "MethodSpec") -> list[Any]:
        """New values of what depends on the method."""
        facts = MethodFacts(spec.title, spec.idea, spec.citation, sorted(spec.needs))
        towers = [(title_of(tower), str(tower)) for tower in spec.towers]
        radio = gr.Radio(towers, value=towers[0][1])
        return [method_card(facts), radio, spec.budget, self.stop.update(spec), *self.controls.updates(spec)]


def unlearn_form() -> Form:
    """Build the form into the current Blocks context; it is empty until the tab is opened."""
    with gr.Row(elem_classes="controls"):
        method = gr.Dropdown([], label="Method", info=text.METHOD, elem_id="unlearn-method", min_width=240)
        base = gr.Dropdown([], label="Start from", info=text.BASE, elem_id="unlearn-base", min_width=240)
    card = markup(elem_id="unlearn-card")
    with gr.Row(elem_classes="controls"):
        towers = gr.Radio([], label="Towers", info=text.TOWERS, elem_id="unlearn-towers", min_width=240)
        budget = gr.Number(
            DEFAULT_BUDGET, label="Budget", info=text.BUDGET, precision=0, minimum=1, maximum=MOST_PAIRS, min_width=200,
            elem_id="unlearn-budget",
        )  # fmt: skip
        seed = gr.Number(0, label="Seed", info=text.SEED, precision=0, minimum=0, min_width=160)
    stop = stop_controls()
    numbers, words = own_controls()
    controls = Controls(numbers, words, common_controls())
    run = gr.Button("Unlearn", variant="primary", elem_id="unlearn-run")
    return Form(method, card, base, towers, budget, seed, stop, controls, run)


@dataclass(frozen=True)
class Filling:
    """The handler that fills the form when the tab is opened, for the shell to chain, and its components."""

    fill: Any
    inputs: list[Any]
    outputs: list[Any]


def connect_form(
    workbench: Workbench,
    manager: JobManager,
    launcher: Launcher,
    form: Form,
    listed: gr.State,
    own: Any,
    view: gr.State,
) -> Filling:
    """Connect the events of the form.

    Args:
        workbench: data and models.
        manager: estimates runs.
        launcher: starts them.
        form: the components.
        listed: state with the references of the models a visitor can choose from.
        own: the browser's memory of its jobs.
        view: state that holds the :class:`View`.
    """
    outputs = [form.method, form.base, *form.method_outputs]

    def fill(seen: View, method: str | None, base: str | None, listed: list[str]) -> list[Any]:
        if seen.tab != UNLEARN:
            return [gr.skip()] * len(outputs)
        bases = gr.Dropdown(listed, value=base or (COMPROMISED if COMPROMISED in listed else listed[0]))
        if method:
            # Whoever comes back finds the form as it was left.
            return [gr.skip(), bases, *[gr.skip()] * (len(outputs) - 2)]
        from salmu_demo.unlearning.methods import all_methods, find_method  # noqa: PLC0415

        choices = sorted((spec.title, spec.name) for spec in all_methods())
        methods = gr.Dropdown(choices, value=DEFAULT_METHOD)
        return [methods, bases, *form.method_updates(find_method(DEFAULT_METHOD))]

    @shows_errors
    def choose(method: str) -> list[Any]:
        from salmu_demo.unlearning.methods import find_method  # noqa: PLC0415

        return form.method_updates(find_method(method))

    @shows_errors
    def start(
        seen: View,
        own: Any,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
        # All that a form holds; after the two that Gradio puts in by their place.
        *values: Any,
    ) -> dict[Any, Any]:
        progress(0.0, desc=text.TIMING)
        method, base, towers, budget, seed, *rest = values
        stop, settings = rest[: len(form.stop.inputs)], rest[len(form.stop.inputs) :]
        spec = asked_job(workbench, method, base, towers, budget, seed, stop, settings)
        return launcher.launch(spec, manager.estimate(spec).seconds, seen, own, request)

    private: dict[str, Any] = {"api_visibility": "private"}
    form.method.input(choose, form.method, form.method_outputs, show_progress="hidden", **private)
    form.run.click(start, [view, own, *form.inputs], launcher.outputs, show_progress_on=form.run, **private)
    return Filling(fill, [view, form.method, form.base, listed], outputs)


def asked_job(
    workbench: Workbench,
    method: str | None,
    base: str | None,
    towers: str,
    budget: int | None,
    seed: int | None,
    stop: Sequence[Any],
    values: Sequence[Any],
) -> UnlearningSpec:
    """The job that the values of a form ask for.

    Args:
        workbench: data and models.
        method, base, towers, budget, seed: what was chosen.
        stop: values of :attr:`StopControls.inputs`.
        values: values of :attr:`Controls.inputs`.

    Raises:
        QueryError: if a value is missing, or there is no such method.
        ModelError: if the base model is none.
    """
    from salmu_demo.unlearning.methods import find_method  # noqa: PLC0415

    if not method or not base:
        raise QueryError(text.NO_CHOICE)
    if budget is None or seed is None:
        raise QueryError(text.MISSING.format(name="the budget and the seed"))
    [model] = workbench.models([base])
    chosen = find_method(method)
    return UnlearningSpec(
        (model.reference,),
        UnlearningOptions(method, towers, budget, settings_of(chosen, values), *stop_of(chosen, stop)),
        data=workbench.data.name,
        seed=seed,
        architectures={model.reference: model.architecture} if model.architecture else {},
    )
