"""What the Unlearn tab shows of a visitor's runs and of the models they made; no component is touched here."""

from dataclasses import dataclass
from pathlib import Path

from salmu_demo.core.errors import ResultError
from salmu_demo.core.settings import on_space
from salmu_demo.jobs.job import Job, JobState
from salmu_demo.jobs.kinds.unlearning import UNLEARN, UnlearningSpec, read_readings
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.made import made_folder, made_in
from salmu_demo.ui.jobs.page import JobPages
from salmu_demo.ui.tabs.models.tab import model_card
from salmu_demo.ui.tabs.models.view import cards_html
from salmu_demo.ui.tabs.unlearn import text
from salmu_demo.ui.tabs.unlearn.view import card_markdown, live_view
from salmu_demo.ui.widgets.markup import empty_state, notice
from salmu_demo.ui.widgets.people import People
from salmu_demo.ui.widgets.portraits import Portraits
from salmu_demo.workbench.bench import Workbench


@dataclass(frozen=True)
class MadeModel:
    """A model that a job made.

    Attributes:
        reference: of the model.
        base: of the model it was made from.
        facts: markup of what its files tell.
        card: its model card, as Markdown.
    """

    reference: str
    base: str
    facts: str
    card: str


class UnlearnPages(JobPages):
    """Makes the tab's content."""

    def __init__(self, workbench: Workbench, manager: JobManager) -> None:
        super().__init__(manager, UNLEARN, empty_state(text.EMPTY_TITLE, text.EMPTY))
        self._workbench = workbench
        self._people = People(workbench.data.personas)
        self._portraits = Portraits(workbench.data)

    def live(self, job: Job) -> str:
        """The readings of a run as curves and persons."""
        if not isinstance(job.spec, UnlearningSpec):
            return ""
        readings = read_readings(self._manager.folder(job.id))
        here = job.spec.data == self._workbench.data.name
        people = self._people if here else People()
        return live_view(readings, job.spec.unlearning.budget, people, self._portraits.portrait if here else None)

    def can_keep(self, job: Job) -> bool:
        """Whether a run has come to a checkpoint, which every reading but the first goes with."""
        return job.state is JobState.RUNNING and len(read_readings(self._manager.folder(job.id))) > 1

    def has_results(self, job: Job) -> bool:
        """Whether a run has left a model, whole or kept when it was cancelled."""
        return job.state.over and bool(made_in(self._manager.folder(job.id)))

    def made(self, job_id: str) -> MadeModel:
        """The model a job made.

        Raises:
            JobError: if there is no such job.
            ResultError: if its model is gone.
        """
        job = self._manager.job(job_id)
        found = made_in(self._manager.folder(job_id))
        if not found:
            raise ResultError("The model of this job is gone; make it again.")
        [reference] = found
        kept = "" if job.state is JobState.DONE else notice(text.KEPT)
        facts = cards_html([model_card(self._workbench, reference, [reference])])
        card = card_markdown(_card(made_folder(reference)))
        push = "" if on_space() else text.PUSH.format(reference=reference)
        return MadeModel(reference, job.spec.models[0], kept + facts, card + push)

    def made_by(self, own: list[str]) -> list[str]:
        """References of the models that a visitor's jobs made."""
        return [
            reference
            for job in self._known(own)
            if job.spec.kind == UNLEARN and job.state.over
            for reference in made_in(self._manager.folder(job.id))
        ]


def _card(folder: Path) -> str:
    try:
        return (folder / "README.md").read_text("utf-8")
    except OSError as error:
        raise ResultError(f"The card of {folder.name} cannot be read: {error.strerror or error}.") from error
