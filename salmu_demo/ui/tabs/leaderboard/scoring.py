"""A board that scores: models of the Hub that anybody submits are measured by the queue, on the data of the page."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from salmu_demo.core.errors import QueryError, SalmuError, quoted
from salmu_demo.hub.reference import HF_HUB, model_on_hub
from salmu_demo.jobs.job import Job, JobState
from salmu_demo.jobs.kinds.benchmark import BENCHMARK, BenchmarkSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.metrics import metrics_of
from salmu_demo.models.roles import REFERENCES, Told
from salmu_demo.ui.shell.shelf import ModelShelf
from salmu_demo.ui.widgets.markup import notice
from salmu_demo.workbench.bench import Workbench

VARIABLE: Final = "SALMU_BOARD"

_SHOWN: Final = 10
"""Submissions that are listed while they wait, and failures."""


@dataclass(frozen=True)
class Scale:
    """What every submitted model is measured beside.

    Attributes:
        models: references of these models.
        told: those of them that are said to be Clean, Compromised or Gold.
    """

    models: tuple[str, ...]
    told: Told


def chosen_scale() -> Scale | None:
    """What `SALMU_BOARD` says: models, or `clean=MODEL`, separated by commas; None if the board does not score.

    Raises:
        QueryError: if one of them says a role that there is not, or one twice.
    """
    models: list[str] = []
    told: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in os.environ.get(VARIABLE, "").split(","))):
        # What is decided about a model stands behind it, with an equals sign of its own.
        role, equals, model = entry.partition("=") if entry.partition("=")[0] in REFERENCES else ("", "", entry)
        if not model or role in told:
            raise QueryError(
                f"{VARIABLE} holds {quoted(entry)}; write models that submissions are measured beside, such as "
                "mini-clean,mini-compromised or clean=hf-hub:ORG/NAME."
            )
        models.append(model)
        told |= {role: model} if equals else {}
    return Scale(tuple(dict.fromkeys(models)), Told(**told)) if models else None


class Scoring:
    """Takes submissions, and knows whose results everybody may see."""

    def __init__(self, workbench: Workbench, manager: JobManager, shelf: ModelShelf, scale: Scale) -> None:
        self._workbench, self._manager, self._shelf, self._scale = workbench, manager, shelf, scale

    def submit(self, typed: str, owner: str) -> Job:
        """Queue the evaluation of a public model of the Hub, at the commit that it is at now.

        Args:
            typed: `ORG/NAME[@REVISION]`, with or without `hf-hub:`.
            owner: who submits, see `owner_of`; each has one job at a time.

        Raises:
            QueryError: if it is not a model of the Hub, or has been scored or submitted already.
            SalmuError: of the kind that fits, if it does not load, is not public, or the queue is full.
        """
        reference = typed.strip() if typed.strip().startswith(HF_HUB) else f"{HF_HUB}{typed.strip()}"
        target = model_on_hub(reference)
        assert target is not None
        # Without anybody's token: what is scored is there for everybody to see.
        model = self._shelf.add(reference, "", None, owner)
        pinned = f"{HF_HUB}{target.repository}@{model.revision}"
        for job in self._jobs():
            if pinned in job.spec.models and (job.state is JobState.DONE or not job.state.over):
                word = "on the board" if job.state.over else "in the queue"
                raise QueryError(f"{quoted(pinned.removeprefix(HF_HUB))} is {word} already.")
        spec = BenchmarkSpec(
            (*self._scale.models, pinned),
            tuple(metric.name for metric in metrics_of(self._workbench.data.benchmark)),
            data=self._workbench.data.name,
            told=self._scale.told,
            on_board=True,
        )
        return self._manager.submit(spec, owner)

    def scored(self) -> list[str]:
        """Ids of the finished jobs whose rows everybody sees."""
        return [job.id for job in self._jobs() if job.state is JobState.DONE]

    def html(self) -> Markup:
        """What waits, and what failed; nothing that gives a job or a visitor away."""
        lines = [line for job in self._jobs() if (line := self._line(job))]
        return Markup("").join(notice(line, "quiet") for line in lines[:_SHOWN])

    def _line(self, job: Job) -> str:
        name = job.spec.models[-1].removeprefix(HF_HUB)
        if not job.state.over:
            ahead = self._manager.position(job.id)
            waits = f"waits, {ahead} ahead" if ahead is not None else "is being measured"
            return f"{name} {waits}."
        if job.state is JobState.DONE:
            return ""
        return f"{name} could not be scored: {job.error or job.state}"

    def _jobs(self) -> Sequence[Job]:
        """Submissions on the data of the page, the newest first."""
        return [
            job
            for job in self._manager.jobs()
            if job.spec.kind == BENCHMARK
            and isinstance(job.spec, BenchmarkSpec)
            and job.spec.on_board
            and job.spec.data == self._workbench.data.name
        ]


def check_scale(workbench: Workbench) -> Scale | None:
    """`chosen_scale`, whose models are found now rather than when somebody submits; raises `SalmuError`."""
    scale = chosen_scale()
    if scale is not None:
        try:
            workbench.models(scale.models)
        except SalmuError as error:
            raise QueryError(f"{VARIABLE} names a model that cannot be used. {error}") from error
    return scale
