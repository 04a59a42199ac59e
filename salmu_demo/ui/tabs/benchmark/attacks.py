"""The part of the Benchmark tab about attacks: run them on the models chosen above, and read what they bring back.

What they find in models whose results are shown is told there: in the diagnosis, a tab of its own and the reports.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from salmu_demo.attacks import all_attacks
from salmu_demo.attacks.base import choose_attacks
from salmu_demo.attacks.document import read_attacks
from salmu_demo.core.errors import QueryError, ResultError
from salmu_demo.jobs.kinds.attack import ATTACK, AttackSpec
from salmu_demo.jobs.kinds.benchmark import BENCHMARK, REPORT_FOLDER
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.roles import REFERENCES, SCALE, Told, assign_roles
from salmu_demo.ui.jobs.area import Launcher, connect_jobs, job_area
from salmu_demo.ui.jobs.page import JobPages
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.tabs.benchmark.page import BenchmarkPages
from salmu_demo.ui.tabs.benchmark.results import attacks_view
from salmu_demo.ui.tabs.context import Context
from salmu_demo.ui.widgets.components import QUIETLY, SHOWN, Handler, link_to, markup, scroll_to, served
from salmu_demo.ui.widgets.markup import downloads, empty_state
from salmu_demo.workbench.bench import Workbench

_ENDINGS: Final = {
    "Report as PDF": ".pdf",
    "Report as HTML": ".html",
    "Table (CSV)": ".csv",
    "Everything as JSON": ".json",
}
"""What can be downloaded, and how its file ends."""

_FROM_TOP: Final = "target.getBoundingClientRect().top >= 0"


class AttackPages(JobPages):
    """Makes the content of this part of the tab."""

    def __init__(self, manager: JobManager) -> None:
        super().__init__(manager, ATTACK, empty_state(text.ATTACKS_EMPTY_TITLE, text.ATTACKS_EMPTY), tab=BENCHMARK)

    def results(self, job_id: str) -> Markup:
        """What the attacks of a finished job brought back, and links to its files, which are then served.

        Raises:
            SalmuError: if something of it is gone or damaged.
        """
        folder = self._manager.folder(job_id) / REPORT_FOLDER
        written = {path.suffix: path for path in folder.glob("attacks.*")}
        if not set(_ENDINGS.values()) <= written.keys():
            raise ResultError(text.ATTACKS_GONE)
        found = attacks_view(read_attacks(folder))
        return found + downloads([link_to(served(written[ending]), label) for label, ending in _ENDINGS.items()])


def asked_attacks(
    workbench: Workbench, references: Sequence[str], told: Told, attacks: Sequence[str], thorough: bool
) -> AttackSpec:
    """The job that attacks the chosen models; those that are Clean and Compromised are what they are compared with.

    Gold is attacked like the others: a perfect unlearner has nothing to bring back.

    Raises:
        QueryError: if only references are chosen, or no attack.
        ModelError: if a model cannot be found.
    """
    if not attacks:
        raise QueryError(text.NO_ATTACK)
    models = workbench.models(references)
    roles = [role.name for role in assign_roles(models, told.among(references)).roles]
    attacked = [model for model, role in zip(models, roles, strict=True) if role not in SCALE]
    if not attacked:
        raise QueryError(text.ONLY_REFERENCES)
    found = {role: model.reference for model, role in zip(models, roles, strict=True)}
    return AttackSpec(
        tuple(model.reference for model in attacked),
        tuple(attacks),
        data=workbench.data.name,
        architectures={model.reference: model.architecture for model in models if model.architecture},
        told=Told(*(found.get(role) for role in REFERENCES)),
        thorough=thorough,
    )


@dataclass(frozen=True)
class AttackPart:
    """This part of the tab.

    Attributes:
        viewed: what to do when the tab is opened.
        offer: lets a button attack the models whose results are shown.
    """

    viewed: list[Handler]
    offer: Callable[[gr.Button], None]


def build_attacks(context: Context, results_of: BenchmarkPages) -> AttackPart:
    """Build this part of the tab into the current Blocks context, above the results of benchmarks."""
    visitor, evaluated = context.jobs[ATTACK], context.jobs[BENCHMARK].finished
    pages = AttackPages(context.manager)
    with gr.Accordion(text.ATTACKS_TITLE, open=False, elem_id="attacks") as folded:
        gr.Markdown(text.ATTACKS)
        with gr.Accordion(text.ATTACKS_FORM, elem_id="attacks-form") as form:
            names = [(attack.title, attack.name) for attack in all_attacks()]
            ticked = [attack.name for attack in choose_attacks(None)]
            attacks = gr.CheckboxGroup(names, value=ticked, label="Attacks", elem_id="attacks-chosen")
            thorough = gr.Checkbox(False, label="Thorough", info=text.THOROUGH, elem_id="attacks-thorough")
            run = gr.Button("Run attacks", variant="primary", elem_id="attacks-run")
        area = job_area(visitor, form)
    # Not within: what is folded misses the changes that a link brings.
    results = markup(visible=False, elem_id="attacks-results")
    launcher = Launcher(context.manager, pages, area, context.view)

    @shows_errors
    def start(
        seen: View,
        own: Any,
        chosen: list[str],
        evaluation: str,
        names: list[str],
        tries_more: bool,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
    ) -> dict[Any, Any]:
        progress(0.0, desc=text.TIMING)
        spec = asked_attacks(context.workbench, chosen, seen.told, names, tries_more)
        if results_of.measured(evaluation, spec.models):
            spec = replace(spec, evaluation=evaluation)
        return launcher.launch(spec, context.manager.estimate(spec).seconds, seen, own, request)

    @shows_errors
    def start_again(
        seen: View,
        own: Any,
        evaluation: str,
        names: list[str],
        tries_more: bool,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
    ) -> dict[Any, Any]:
        progress(0.0, desc=text.TIMING)
        spec = asked_attacks(context.workbench, *results_of.compared(evaluation), names, tries_more)
        spec = replace(spec, evaluation=evaluation)
        begun = launcher.launch(spec, context.manager.estimate(spec).seconds, seen, own, request)
        return {folded: gr.Accordion(open=True), **begun}

    def offer(button: gr.Button) -> None:
        button.click(
            start_again,
            [context.view, visitor.own, evaluated, attacks, thorough],
            [folded, *launcher.outputs],
            show_progress_on=button,
            api_visibility="private",
        ).success(None, js=scroll_to("attacks", unless=_FROM_TOP))

    @shows_errors
    def show(job_id: str, evaluation: str) -> gr.HTML:
        if not job_id or results_of.tells_of(evaluation, job_id):
            return gr.HTML(visible=False)
        return gr.HTML(pages.results(job_id), visible=True)

    run.click(
        start,
        [context.view, visitor.own, context.bar.chosen, evaluated, attacks, thorough],
        launcher.outputs,
        show_progress_on=area.panel,
        api_visibility="private",
    )
    # A link changes it twice in a moment: the last one counts.
    changes = [visitor.finished.change, evaluated.change]
    gr.on(changes, show, [visitor.finished, evaluated], results, trigger_mode="always_last", **SHOWN)

    def unfold(seen: View) -> Any:
        return gr.Accordion(open=True) if pages.shows(seen.job) else gr.skip()

    jobs = connect_jobs(context.manager, pages, area, context.view)
    return AttackPart([jobs, Handler(unfold, [context.view], [folded], QUIETLY)], offer)
