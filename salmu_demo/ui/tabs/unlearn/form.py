"""The part of the Unlearn tab where a run is put together, estimated and started.

The hyperparameters of a method go into lists of fields, which are made anew when a method is chosen.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Final

import gradio as gr

from salmu_demo.core.errors import JobError, QueryError
from salmu_demo.core.progress import duration_words
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.forget_requests import find_requests, request_words
from salmu_demo.jobs.kinds.unlearning import UNLEARN, UnlearningOptions, UnlearningSpec
from salmu_demo.leaderboard.sweeps import SweepOutcome, sweep_outcomes
from salmu_demo.metrics import Benchmark
from salmu_demo.models.checkpoint import CLEAR_BASE, COMPROMISED
from salmu_demo.ui.jobs.area import Launcher
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.context import Context
from salmu_demo.ui.tabs.unlearn import text
from salmu_demo.ui.tabs.unlearn.fields import Field, field_list, filled, typed_into
from salmu_demo.ui.tabs.unlearn.view import method_card
from salmu_demo.ui.widgets.components import QUEUED, Handler, markup
from salmu_demo.ui.widgets.markup import notice
from salmu_demo.unlearning import DEFAULT_BUDGET, UNRELATED, Modality, find_modality
from salmu_demo.unlearning.methods import Form, MethodSpec, Need, TrainedMethod, all_methods, find_method
from salmu_demo.unlearning.methods.base import Range
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.requests import next_run


@dataclass(frozen=True)
class Hyperparameters:
    """The hyperparameters of a method: its own, and those common to all methods."""

    own: Sequence[Field]
    common: Sequence[Field]

    @property
    def all(self) -> list[Field]:
        """Both, in this order."""
        return [*self.own, *self.common]


def hyperparameters_of(spec: MethodSpec) -> Hyperparameters:
    """The fields of a method's hyperparameters; one that takes no steps has no optimiser to set."""
    common = [entry.name for entry in fields(TrainedMethod)]
    shown = ["batch_size"] if spec.is_one_shot else common
    made = {name: _field(name, *facts) for name, facts in spec.hyperparameters.items()}
    return Hyperparameters(
        [field for name, field in made.items() if name not in common], [made[name] for name in shown]
    )


def _field(name: str, default: Any, allowed: Range) -> Field:
    words = allowed.words[:1].upper() + allowed.words[1:]
    if allowed.choices:
        return Field(name, title_of(name), words, default, words=allowed.choices)
    return Field(name, title_of(name), f"{words} ({allowed})", default, allowed.low, allowed.high)


def typed_for(spec: MethodSpec, own: Any, common: Any) -> dict[str, int | float | str | None]:
    """What was typed for a method, None where a field was emptied, from the values of `Controls.inputs`.

    Raises:
        QueryError: if a field could not hold it.
    """
    known = hyperparameters_of(spec)
    return {**typed_into(known.own, own), **typed_into(known.common, common)}


def settings_of(spec: MethodSpec, own: Any, common: Any) -> dict[str, float | str]:
    """The hyperparameters that differ from their defaults, from the values of `Controls.inputs`.

    Raises:
        QueryError: if one is empty, or its field could not hold it.
    """
    settings: dict[str, float | str] = {}
    for name, value in typed_for(spec, own, common).items():
        if value is None:
            raise QueryError(text.MISSING.format(name=title_of(name).lower()))
        if value != spec.hyperparameters[name][0]:
            settings[name] = value
    return settings


def carried(
    before: MethodSpec, spec: MethodSpec, towers: str, budget: int | None, own: Any, common: Any
) -> UnlearningOptions:
    """What a visitor typed for one method or form of it, as far as another has it too; the rest is at its defaults.

    Args:
        before: whose form was filled in.
        spec: whose form is to be shown.
        towers: the towers that were chosen.
        budget: the budget that was typed, or None for an empty field.
        own: the value of the fields of its own hyperparameters.
        common: that of the others.

    Raises:
        QueryError: if a field could not hold what was typed.
    """
    settings: dict[str, int | float | str] = {}
    for name, value in typed_for(before, own, common).items():
        if value is None or value == before.hyperparameters[name][0]:
            continue
        with suppress(QueryError):  # The other one has none of the name, or not with this value.
            if getattr(spec.configure({name: value}), name) == value:
                settings[name] = value
    return UnlearningOptions(
        spec.name,
        towers if towers in map(str, spec.towers) else str(spec.towers[0]),
        spec.budget if budget in (None, before.budget) else budget,
        settings,
    )


def title_of(name: str) -> str:
    """The label of a hyperparameter.

    >>> title_of("retain_weight")
    'Retain weight'
    """
    return name.replace("_", " ").capitalize()


def group_of(spec: MethodSpec) -> str:
    """The group of methods that one belongs to, by what it is given and does; a key of `text.GROUPS`."""
    if spec.is_one_shot:
        return "one-shot"
    if Need.GENERIC in spec.needs:
        return "generic"
    if Need.FORGET not in spec.needs:
        return "retain"
    return "both" if Need.RETAIN in spec.needs else "forget"


def modality_of(value: str) -> Modality | None:
    """The modality that the form's choice stands for; raises `QueryError` for one that it does not offer."""
    return find_modality(value or None)


def methods_of(modality: Modality | None) -> list[MethodSpec]:
    """Every method that works on a modality of CLEAR, in the form that does; the contrastive ones for None."""
    able = (spec for form in Form for spec in all_methods(form) if modality in (spec.modalities or (None,)))
    return [find_method(name, modality) for name in dict.fromkeys(spec.name for spec in able)]


def kept_method(name: str | None, modality: Modality | None) -> MethodSpec:
    """A method that was chosen, if it works on a modality, or else the default one."""
    default = DEFAULT_METHOD if modality is None else DEFAULT_METHOD_OF_CLEAR
    able = {spec.name: spec for spec in methods_of(modality)}
    return able.get(name or default, able[default])


def method_choices(outcomes: Mapping[str, SweepOutcome], modality: Modality | None = None) -> list[tuple[str, str]]:
    """Labels and values of the methods, group by group, each with what was measured of it and what that cost."""
    groups = list(text.GROUPS)
    ordered = sorted(methods_of(modality), key=lambda spec: (groups.index(group_of(spec)), spec.title))
    found = []
    for spec in ordered:
        outcome = outcomes.get(spec.name)
        said = "" if outcome is None else f" ({outcome.label}, {duration_words(outcome.seconds)})"
        found.append((f"{spec.title}{said} · {text.GROUPS[group_of(spec)]}", spec.name))
    return found


@dataclass(frozen=True)
class Controls:
    """The components of `Hyperparameters`."""

    own: gr.HTML
    common: gr.HTML

    @property
    def inputs(self) -> list[Any]:
        """Both, in the order of `updates`."""
        return [self.own, self.common]

    def updates(self, spec: MethodSpec, settings: Mapping[str, Any] | None = None) -> list[Any]:
        """The components as a method needs them, at its defaults but for some settings."""
        known = hyperparameters_of(spec)
        return [filled(known.own, settings), filled(known.common, settings)]


def controls() -> Controls:
    """Build the components into the current Blocks context."""
    own = field_list("unlearn-own")
    with gr.Accordion(text.TRAINING, open=False, elem_id="unlearn-training"):
        return Controls(own, field_list("unlearn-common"))


_NEVER: Final = ""
_ORACLE: Final = "oracle"
_RULES: Final = [(text.STOP_NEVER, _NEVER), (text.STOP_UNRELATED, UNRELATED), (text.STOP_ORACLE, _ORACLE)]


@dataclass(frozen=True)
class StopControls:
    """The components.

    Attributes:
        row: holds them.
        rule: which level of the forget similarity ends a run.
        level: the level, for the rule that takes a number.
        drop: percent of the retain similarity whose loss ends a run; 0 never does.
        best: whether the best checkpoint is kept.
    """

    row: gr.Row
    rule: gr.Radio
    level: gr.Number
    drop: gr.Number
    best: gr.Checkbox

    @property
    def inputs(self) -> list[Any]:
        """The components a visitor fills in, in the order of `Stop`."""
        return [self.rule, self.level, self.drop, self.best]

    def update(self, spec: MethodSpec) -> gr.Row:
        """The row, which a method without steps has no use for."""
        return gr.Row(visible=not spec.is_one_shot)


def stop_controls(benchmark: Benchmark) -> StopControls:
    """Build the components, in the words of a benchmark, into the current Blocks context."""
    rules, label, info = _RULES, "Cosine", text.STOP_LEVEL
    if benchmark == "CLEAR":
        # Readings of texts are probabilities.
        rules = [*_RULES[:-1], (text.STOP_ORACLE_OF_CLEAR, _ORACLE)]
        label, info = "Level", text.STOP_LEVEL_OF_CLEAR
    with gr.Row(elem_classes="controls") as row:
        rule = gr.Radio(
            rules, value=_NEVER, label="Stop early", info=text.STOP, elem_id="unlearn-stop", min_width=240, scale=3
        )
        level = gr.Number(
            0.0, label=label, info=info, minimum=-1, maximum=1, step=0.05, visible=False, min_width=200,
            elem_id="unlearn-stop-level",
        )  # fmt: skip
        drop = gr.Number(
            0.0, label="Most retain loss (%)", info=text.STOP_DROP, minimum=0, maximum=100, step=1, min_width=200,
            elem_id="unlearn-stop-drop",
        )  # fmt: skip
        best = gr.Checkbox(False, label="Keep the best", info=text.BEST, elem_id="unlearn-best", min_width=240)

    def choose(chosen: str) -> gr.Number:
        return gr.Number(visible=chosen == _ORACLE)

    rule.input(choose, rule, level, api_visibility="private", show_progress="hidden")
    return StopControls(row, rule, level, drop, best)


@dataclass(frozen=True)
class Stop:
    """What ends a run early, and which checkpoint is kept: the values of `StopControls.inputs`."""

    rule: str
    level: float | None
    drop: float | None
    best: bool = False


def stop_of(spec: MethodSpec, stop: Stop) -> tuple[str | float | None, float | None]:
    """The forget level and the retain drop of `salmu_demo.unlearning.plan.StopRules`, from a form's values.

    A method without steps has none: what the hidden components hold was meant for another method.

    Raises:
        QueryError: if the chosen rule lacks its number.
    """
    if spec.is_one_shot:
        return None, None
    if stop.rule == _ORACLE and stop.level is None:
        raise QueryError(text.MISSING.format(name="the level to stop at"))
    return {UNRELATED: UNRELATED, _ORACLE: stop.level}.get(stop.rule), stop.drop / 100 if stop.drop else None


def rule_of(options: UnlearningOptions) -> Stop:
    """What a form shows of the rules that end a run, see `stop_of`."""
    level = options.forget_level
    rule = UNRELATED if level == UNRELATED else _NEVER if level is None else _ORACLE
    number = level if isinstance(level, int | float) else 0.0
    return Stop(rule, float(number), 100 * (options.retain_drop or 0.0), options.keep_best)


# torch takes seconds to import, which a page whose features are all on disk does not need: methods are asked for only
# when a visitor opens the tab.

DEFAULT_METHOD: Final = "pinpoint"
DEFAULT_METHOD_OF_CLEAR: Final = "dpo"
MOST_PAIRS: Final = 1_000_000


@dataclass(frozen=True)
class UnlearnForm:
    """What a run is put together from; a modality is chosen for data of CLEAR only.

    `shown` holds the name and the form of the method whose hyperparameters the form shows.
    """

    data: BenchmarkData
    shown: gr.State
    modality: gr.Radio
    method: gr.Dropdown
    card: gr.HTML
    base: gr.Dropdown
    towers: gr.Radio
    budget: gr.Number
    seed: gr.Number
    forget: gr.CheckboxGroup
    stop: StopControls
    controls: Controls
    run: gr.Button
    estimate: gr.Button
    estimated: gr.HTML

    @property
    def inputs(self) -> list[Any]:
        """The components a visitor fills in."""
        chosen = [self.modality, self.method, self.base, self.towers, self.budget, self.seed, self.forget]
        return [*chosen, *self.stop.inputs, *self.controls.inputs]

    @property
    def method_outputs(self) -> list[Any]:
        """Everything that depends on the method, in the order of `method_updates`."""
        return [self.shown, self.card, self.towers, self.budget, self.stop.row, *self.controls.inputs]

    def method_updates(self, spec: MethodSpec, options: UnlearningOptions | None = None) -> list[Any]:
        """New values of what depends on the method: its defaults, or what a run was asked for."""
        towers = [(title_of(tower), str(tower)) for tower in spec.towers]
        radio = gr.Radio(towers, value=towers[0][1] if options is None else options.towers)
        return [
            (spec.name, str(spec.form)),
            method_card(spec.title, spec.idea, spec.citation, sorted(spec.needs)),
            radio,
            gr.Number(
                spec.budget if options is None else options.budget,
                info=text.BUDGET.format(units="texts" if spec.form is Form.GENERATIVE else "pairs"),
            ),
            self.stop.update(spec),
            *self.controls.updates(spec, None if options is None else options.settings),
        ]

    def offered(self, modality: Modality | None, chosen: str) -> gr.Dropdown:
        """The methods that work on a modality, one of them chosen."""
        # What sweeps measured is of SALMU-Mini.
        outcomes = {} if self.data.benchmark == "CLEAR" else sweep_outcomes()
        return gr.Dropdown(method_choices(outcomes, modality), value=chosen)

    @property
    def job_outputs(self) -> list[Any]:
        """Everything that `job_updates` changes."""
        return [self.forget, self.modality, self.method, self.base, self.seed, *self.stop.inputs, *self.method_outputs]

    def job_updates(self, job: UnlearningSpec, listed: Sequence[str]) -> list[Any]:
        """The form as a run was asked for, to be changed and run again.

        Raises:
            QueryError: if its method is gone, or somebody it was to forget is not in the data.
        """
        options, stop = job.unlearning, rule_of(job.unlearning)
        modality = find_modality(options.modality)
        spec = find_method(options.method, modality)
        asked = find_requests(self.data, options.forget)
        labelled = [(request_words(self.data, request), str(request)) for request in asked]
        base = gr.Dropdown(list(listed), value=job.models[0]) if job.models[0] in listed else gr.skip()
        return [
            gr.CheckboxGroup(labelled, value=[value for _, value in labelled], visible=bool(labelled)),
            str(modality or ""),
            self.offered(modality, spec.name),
            base,
            job.seed,
            stop.rule,
            gr.Number(value=stop.level, visible=stop.rule == _ORACLE),
            stop.drop,
            stop.best,
            *self.method_updates(spec, options),
        ]


def unlearn_form(data: BenchmarkData) -> UnlearnForm:
    """Build the form for a data set into the current Blocks context; it is empty until the tab is opened."""
    is_clear = data.benchmark == "CLEAR"
    modalities = [(title, str(modality)) for modality, title in text.MODALITIES.items()] if is_clear else []
    modality = gr.Radio(
        [*modalities, (text.PAIRS, "")], value=str(Modality.BOTH) if is_clear else "", label="Modality",
        info=text.MODALITY, visible=is_clear, elem_id="unlearn-modality",
    )  # fmt: skip
    shown = gr.State(None)
    with gr.Row(elem_classes="controls"):
        method = gr.Dropdown([], label="Method", info=text.METHOD, elem_id="unlearn-method", min_width=240)
        base = gr.Dropdown([], label="Start from", info=text.BASE, elem_id="unlearn-base", min_width=240)
    card = markup(elem_id="unlearn-card")
    forget = gr.CheckboxGroup([], label="Asked to forget", info=text.FORGET, visible=False, elem_id="unlearn-forget")
    with gr.Row(elem_classes="controls"):
        towers = gr.Radio([], label="Towers", info=text.TOWERS, elem_id="unlearn-towers", min_width=240)
        budget = gr.Number(
            DEFAULT_BUDGET, label="Budget", precision=0, minimum=1, maximum=MOST_PAIRS, min_width=200,
            elem_id="unlearn-budget",
        )  # fmt: skip
        seed = gr.Number(0, label="Seed", info=text.SEED, precision=0, minimum=0, min_width=160)
    stop = stop_controls(data.benchmark)
    hyperparameters = controls()
    estimated = markup(elem_id="unlearn-estimated")
    with gr.Row():
        run = gr.Button("Unlearn", variant="primary", elem_id="unlearn-run")
        estimate = gr.Button(text.ESTIMATE, elem_id="unlearn-estimate", scale=0, min_width=160)
    return UnlearnForm(
        data,
        shown,
        modality,
        method,
        card,
        base,
        towers,
        budget,
        seed,
        forget,
        stop,
        hyperparameters,
        run,
        estimate,
        estimated,
    )


@dataclass(frozen=True)
class UnlearnInputs:
    """What a run is asked for: the values of `UnlearnForm.inputs`."""

    modality: str
    method: str | None
    base: str | None
    towers: str
    budget: int | None
    seed: int | None
    forget: Sequence[str]
    stop: Stop
    hyperparameters: Sequence[Any]

    @classmethod
    def of(cls, values: Sequence[Any]) -> "UnlearnInputs":
        """Name the values of the components."""
        modality, method, base, towers, budget, seed, forget, rule, level, drop, best, *hyperparameters = values
        stop = Stop(rule, level, drop, best)
        return cls(modality, method, base, towers, budget, seed, forget, stop, hyperparameters)


def connect_form(context: Context, launcher: Launcher, form: UnlearnForm, own: Any) -> Handler:
    """Connect the events of the form; returns what fills it when the tab is opened first.

    Args:
        context: what the tab is built on.
        launcher: starts runs.
        form: the components.
        own: the browser's memory of its jobs.
    """
    outputs = [form.forget, form.method, form.base, *form.method_outputs]
    data = context.workbench.data

    def fill(
        seen: View, asked: list[str], modality: str, method: str | None, base: str | None, listed: list[str]
    ) -> list[Any]:
        if seen.tab != UNLEARN:
            return [gr.skip()] * len(outputs)
        labelled = [(request_words(data, request), str(request)) for request in find_requests(data, asked)]
        start = base or next((name for name in (COMPROMISED, CLEAR_BASE, *listed) if name in listed), None)
        start, ticked = (start, asked) if start is None else next_run(context.workbench, asked, start, listed)
        forget = gr.CheckboxGroup(labelled, value=ticked, visible=bool(asked))
        bases = gr.Dropdown(listed, value=start)
        if method:
            # Whoever comes back finds the form as it was left.
            return [forget, gr.skip(), bases, *[gr.skip()] * (len(outputs) - 3)]
        return [forget, *with_methods(modality, None, bases)]

    def with_methods(value: str, method: str | None, *others: Any) -> list[Any]:
        """The methods of a modality with one chosen, further updates, and what depends on the method."""
        spec = kept_method(method, modality := modality_of(value))
        return [form.offered(modality, spec.name), *others, *form.method_updates(spec)]

    def show_job(job_id: str, listed: list[str]) -> list[Any]:
        with suppress(JobError, QueryError):  # It is gone, or about other data: the form stays as it is.
            spec = context.manager.job(job_id).spec
            if isinstance(spec, UnlearningSpec) and spec.data == data.name:
                return form.job_updates(spec, listed)
        return [gr.skip()] * len(form.job_outputs)

    @shows_errors
    def choose(modality: str, method: str) -> list[Any]:
        return form.method_updates(find_method(method, modality_of(modality)))

    @shows_errors
    def choose_modality(
        chosen: str,
        method: str | None,
        shown: tuple[str, str] | None,
        towers: str,
        budget: int | None,
        own: Any,
        common: Any,
    ) -> list[Any]:
        if shown is None:
            return with_methods(chosen, method)
        name, of_form = shown
        before = next(spec for spec in all_methods(Form(of_form)) if spec.name == name)
        spec = kept_method(method, modality := modality_of(chosen))
        options = carried(before, spec, towers, budget, own, common)
        return [form.offered(modality, spec.name), *form.method_updates(spec, options)]

    @shows_errors
    def tell_time(
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
        *values: Any,
    ) -> str:
        progress(0.0, desc=text.TIMING)
        spec = asked_job(context.workbench, UnlearnInputs.of(values))
        return notice(text.ESTIMATED.format(time=duration_words(context.manager.estimate(spec).seconds)), "quiet")

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
        spec = asked_job(context.workbench, UnlearnInputs.of(values))
        return launcher.launch(spec, context.manager.estimate(spec).seconds, seen, own, request)

    private: dict[str, Any] = {"api_visibility": "private"}
    # What is unticked is no longer asked for, and not offered again.
    form.forget.input(lambda asked: asked, form.forget, context.requests, **QUEUED)
    chosen = [form.modality, form.method]
    form.method.input(choose, chosen, form.method_outputs, show_progress="hidden", **private)
    typed = [*chosen, form.shown, form.towers, form.budget, *form.controls.inputs]
    form.modality.input(choose_modality, typed, [form.method, *form.method_outputs], show_progress="hidden", **private)
    shown = context.jobs[UNLEARN].shown
    shown.change(show_job, [shown, context.bar.listed], form.job_outputs, **QUEUED)
    form.estimate.click(tell_time, form.inputs, form.estimated, show_progress_on=form.estimated, **private)
    form.run.click(start, [context.view, own, *form.inputs], launcher.outputs, show_progress_on=form.run, **private)
    inputs = [context.view, context.requests, *chosen, form.base, context.bar.listed]
    return Handler(fill, inputs, outputs, QUEUED)


def asked_job(workbench: Workbench, asked: UnlearnInputs) -> UnlearningSpec:
    """The job that the values of a form ask for.

    Raises:
        QueryError: if a value is missing, or there is no such modality, no such method for it, or nobody who is asked
            for.
        ModelError: if the base model is none.
    """
    if not asked.method or not asked.base:
        raise QueryError(text.NO_CHOICE)
    if asked.budget is None or asked.seed is None:
        raise QueryError(text.MISSING.format(name="the budget and the seed"))
    [model] = workbench.models([asked.base])
    modality = modality_of(asked.modality)
    method = find_method(asked.method, modality)
    settings = settings_of(method, *asked.hyperparameters)
    requests = tuple(str(request) for request in find_requests(workbench.data, asked.forget))
    stop = stop_of(method, asked.stop)
    best = asked.stop.best and not method.is_one_shot
    return UnlearningSpec(
        (model.reference,),
        UnlearningOptions(method.name, asked.towers, asked.budget, settings, *stop, requests, best, modality),
        data=workbench.data.name,
        seed=asked.seed,
        architectures={model.reference: model.architecture} if model.architecture else {},
    )
