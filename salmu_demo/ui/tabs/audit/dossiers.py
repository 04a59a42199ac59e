"""Dossiers that visitors make of the persona they look at."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from salmu_demo.core.errors import QueryError, SalmuError
from salmu_demo.core.progress import ProgressCallback
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.dossiers.contents import Attached
from salmu_demo.dossiers.schema import Declared
from salmu_demo.jobs.job import JobState
from salmu_demo.jobs.kinds.attack import ATTACK
from salmu_demo.jobs.kinds.benchmark import REPORT_FOLDER
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.names import distinct_names
from salmu_demo.models.roles import Told
from salmu_demo.models.source import ModelSource
from salmu_demo.reports.dossier import write_dossier
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.audit import text
from salmu_demo.ui.widgets.components import served
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.dossiers import attach, dossier, thumbnails
from salmu_demo.workbench.warmup import WarmUp

ENDINGS: Final = {"PDF": ".pdf", "HTML": ".html", "JSON": ".json"}
"""What can be downloaded, and how its file ends."""

_KEPT: Final = 16
"""Dossiers that are handed out again, the latest ones: nobody fills the disk by asking for one many times."""


@dataclass(frozen=True)
class Additions:
    """What a visitor adds to a dossier.

    Attributes:
        declared: what the visitor says, from `declare`.
        with_images: whether it may show images.
        attached: what the visitor's own attacks found in its models, see `own_attacks`.
    """

    declared: Declared = field(default_factory=Declared)
    with_images: bool = True
    attached: tuple[Attached, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it another dossier."""
        return (self.declared.model_dump_json(), self.with_images, tuple(each.digest for each in self.attached))


NOTHING_ADDED: Final = Additions()


def own_attacks(
    manager: JobManager, own: Sequence[str], data: BenchmarkData, models: Sequence[ModelSource]
) -> tuple[Attached, ...]:
    """What a visitor's finished attacks found in some of the models on a data set, the newest first.

    Of an attack that was run on the same model again, what it found before is left out.

    Args:
        manager: knows the jobs.
        own: ids of the visitor's jobs, the newest first.
        data: the data set.
        models: the models.
    """
    here = {model.fingerprint for model in models}
    told: set[tuple[str, str]] = set()
    found = []
    for job_id in own:
        with suppress(SalmuError):  # Gone or damaged: then it says nothing.
            job = manager.job(job_id)
            if job.spec.kind != ATTACK or job.spec.data != data.name or job.state is not JobState.DONE:
                continue
            attacks = attach(manager.folder(job_id) / REPORT_FOLDER)
            attacked = here & {model.fingerprint for model in attacks.document.models}
            tells = {(model, attack.name) for model in attacked for attack in attacks.document.attacks}
            if attacks.document.data.fingerprint == data.fingerprint and not tells <= told:
                told |= tells
                found.append(attacks)
    return tuple(found)


class Dossiers:
    """Makes the files of dossiers, one at a time, and hands out those it has without waiting for any."""

    def __init__(self, workbench: Workbench, warm_up: WarmUp) -> None:
        self._workbench = workbench
        self._warm_up = warm_up
        self._made: OrderedDict[object, list[str]] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def files(
        self,
        view: View,
        references: Sequence[str],
        progress: ProgressCallback,
        added: Additions = NOTHING_ADDED,
    ) -> list[str]:
        """Addresses of the files about the chosen persona with the chosen models.

        They are in the order of `ENDINGS`; the files of attacks that are attached follow.

        Raises:
            QueryError: if no persona or no model is chosen, or a model is still being prepared.
            SalmuError: if a model is unusable.
        """
        if view.persona is None or not references:
            raise QueryError(text.NOTHING_TO_REPORT)
        if pending := [reference for reference in references if reference in self._warm_up.pending]:
            raise QueryError(text.STILL_PREPARING.format(models=", ".join(pending)))
        told = view.told.among(references)
        models = self._workbench.models(references)
        key = (view.persona, tuple((model.reference, model.fingerprint) for model in models), told, added.key)
        found = self._kept(key)
        if found is None:
            with self._making:
                # Whoever asked for the same a moment before has it made by now.
                found = self._kept(key) or self._keep(key, self._make(view.persona, models, told, progress, added))
        return found

    def _kept(self, key: object) -> list[str] | None:
        with self._lock:
            made = self._made.get(key)
            # What nobody asked for in a day is swept away.
            if made is None or not all(Path(file).exists() for file in made):
                return None
            self._made.move_to_end(key)
            return made

    def _keep(self, key: object, made: list[str]) -> list[str]:
        with self._lock:
            self._made[key] = made
            self._made.move_to_end(key)
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made

    def _make(
        self, persona: str, models: Sequence[ModelSource], told: Told, progress: ProgressCallback, added: Additions
    ) -> list[str]:
        document = dossier(
            self._workbench, persona, models, distinct_names(models), told, added.declared, added.attached,
            added.with_images, progress,
        )  # fmt: skip
        with TemporaryDirectory() as folder:
            images = thumbnails(self._workbench.data, document)
            written = {path.name: path for path in write_dossier(document, images, added.attached, Path(folder))}
            documents = [f"dossier{ending}" for ending in ENDINGS.values()]
            # `verify` looks for the others beside the dossier.
            names = [*documents, *(name for name in written if name not in documents)]
            return [served(written[name]) for name in names]
