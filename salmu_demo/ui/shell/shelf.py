"""The models that visitors can choose, and who may have which."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from salmu_demo.core.errors import ModelError
from salmu_demo.core.settings import on_space
from salmu_demo.hub.client import Visitor, acting_for, check_access
from salmu_demo.hub.reference import model_on_hub
from salmu_demo.metrics import Benchmark
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.made import MADE, made_folder
from salmu_demo.models.said import split_said
from salmu_demo.models.source import ModelSource
from salmu_demo.models.uploads import UPLOAD, uploaded_file
from salmu_demo.reports.roles import role_styles
from salmu_demo.workbench.bench import Workbench

HUB_ONLY: Final = "Only Hub models can be added here: write hf-hub:ORG/NAME."
NO_REFERENCE: Final = "Type the model to add first, for example hf-hub:ORG/NAME."

FIRST_MODELS: Final = (
    "mini-clean", "mini-compromised", "mini-unlearned-finetune", "mini-unlearned-pinpoint",
    "mini-clear-base", "mini-clear-gold",
)  # fmt: skip
"""What a page compares before anything is chosen: the references, the plainest method and one that goes too far; on
data of CLEAR its two references."""

_MOST_ADDED: Final = 1000
"""Models that are remembered with whoever added them, the latest ones."""


class ModelShelf:
    """The models visitors can choose: the built-in ones, and those added while the app runs."""

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self.builtin = tuple(builtin_models())
        self._added: OrderedDict[tuple[str, str], None] = OrderedDict()

    @staticmethod
    def offered(benchmark: Benchmark) -> tuple[str, ...]:
        """The built-in models that the page of data of a benchmark lists: those that were trained on its miniature."""
        return tuple(builtin_models(benchmark))

    def default(self, benchmark: Benchmark) -> tuple[str, ...]:
        """Those that such a page compares before anything is chosen."""
        return tuple(name for name in FIRST_MODELS if name in self.offered(benchmark))

    def opened_by(self, owner: str) -> "OpenedBy":
        """The references that a link opens for a visitor; see `OpenedBy`."""
        return OpenedBy(self, owner)

    def opens(self, reference: str, owner: str) -> bool:
        """Whether a visitor can have a model by naming it: it is built in, was added by the same visitor, or has a
        name that holds a secret.

        Nothing else is told of what others have added: a public model of the Hub is found when it is added.
        """
        if reference in self.builtin or (owner, reference) in self._added:
            return True
        try:
            if reference.startswith(UPLOAD):
                uploaded_file(reference)
            elif reference.startswith(MADE):
                made_folder(reference)
            else:
                return False
        except ModelError:
            return False
        return True

    def add(self, reference: str, architecture: str, token: str | None = None, owner: str = "") -> ModelSource:
        """Find a model and load it once, so that a checkpoint that does not fit is refused now.

        On a Space the visitor's rights count: whoever adds a private or gated model is checked anew each time, even if
        it is loaded already.

        Args:
            reference: the model.
            architecture: of weights without a configuration, or nothing.
            token: of the visitor's sign-in on a Space, or None.
            owner: who adds it, see `owner_of`; the visitor's own links open it from now on.

        Raises:
            ModelError: if there is none, it does not load, the visitor may not read it, or a stranger asks for a path
                of this machine.
        """
        reference = reference.strip()
        if not reference:
            raise ModelError(NO_REFERENCE)
        visitor = Visitor(token) if on_space() else None
        place, _ = split_said(reference)
        target = model_on_hub(place)
        is_allowed = target is not None or place.startswith((UPLOAD, MADE)) or place in self.builtin
        if visitor and not is_allowed:
            raise ModelError(HUB_ONLY)
        is_restricted = bool(visitor and target and check_access(target, visitor, ModelError))
        with acting_for(visitor):
            [model] = self._workbench.models([reference], architecture.strip() or None)
        self._workbench.embedder.facts(model)
        if not is_restricted:
            self._added[owner, model.reference] = None
            self._added.move_to_end((owner, model.reference))
            if len(self._added) > _MOST_ADDED:
                self._added.popitem(last=False)
        return model

    def choices(self, references: Sequence[str]) -> list[tuple[str, str]]:
        """Labels and values where models are chosen: the marker that each has among them, and its name."""
        styles = role_styles(references, [self._workbench.own_role(reference) for reference in references])
        return [(f"{style.marker} {reference}", reference) for style, reference in zip(styles, references, strict=True)]

    def remarks(self, model: ModelSource, listed: Collection[str]) -> list[str]:
        """What a visitor, who has the listed models, should know about one that was added."""
        return [*model.remarks, *self._workbench.twin_remarks(model, listed)]


@dataclass(frozen=True)
class OpenedBy:
    """The references that a visitor's link opens; there are more than could be listed, so each is asked for."""

    shelf: ModelShelf
    owner: str

    def __contains__(self, reference: object) -> bool:
        return isinstance(reference, str) and self.shelf.opens(reference, self.owner)
