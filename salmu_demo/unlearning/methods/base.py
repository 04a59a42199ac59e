"""What a method is: hyperparameters, an objective, and the facts the registry lists about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Final, Generic, TypeVar

from salmu_demo.core.errors import PluginError, QueryError
from salmu_demo.core.plugins import METHODS, load_entry_points
from salmu_demo.unlearning import DEFAULT_BUDGET, LoRA, Modality, Towers
from salmu_demo.unlearning.tensors import State, Step, TextStep, TrainedModel, torch


class Form(StrEnum):
    """What a method works on; one method may have several forms, each with hyperparameters of its own."""

    CONTRASTIVE = "contrastive"
    """Features of images and captions, which a dual encoder compares."""
    GENERATIVE = "generative"
    """Texts that a decoder writes about images, or about none."""
    VISUAL = "visual"
    """Features of images alone."""


MODALITIES: Final[dict[Form, tuple[Modality, ...]]] = {
    Form.CONTRASTIVE: (),
    Form.GENERATIVE: tuple(Modality),
    Form.VISUAL: (Modality.VISUAL,),
}
"""The modalities of CLEAR that a form may be told to forget; one without any takes none."""


class Need(StrEnum):
    """What a method has to be given."""

    FORGET = "forget pairs"
    RETAIN = "retain pairs"
    GENERIC = "generic captions"
    FROZEN = "frozen original"
    PEOPLE = "several people to forget, whom it sets against each other"


@dataclass(frozen=True)
class Range:
    """The values a hyperparameter may have: a number within bounds, or one of several words.

    Attributes:
        words: what it does.
        low: smallest value.
        high: largest value.
        choices: the words, if it is not a number.
    """

    words: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " | ".join(self.choices) if self.choices else f"{self.low:g} to {self.high:g}"


def hyperparameter(
    default: float | str, words: str, low: float = 0.0, high: float = 0.0, choices: tuple[str, ...] = ()
) -> Any:
    """A field of a method's dataclass.

    Args:
        default: its default value.
        words: what it does, in a few words.
        low: smallest value of a number.
        high: largest value of a number.
        choices: the values of a hyperparameter that is not a number.
    """
    return field(default=default, metadata={"range": Range(words, low, high, choices)})


def learning_rate(default: float) -> Any:
    """The learning rate, whose default is each method's own."""
    return hyperparameter(default, "peak learning rate of AdamW", 1e-9, 1e-1)


@dataclass(frozen=True)
class Losses:
    """The two halves of an objective; their sum is minimised.

    Attributes:
        forget: what makes the model forget, or None.
        retain: what keeps the rest, or None.
    """

    forget: torch.Tensor | None = None
    retain: torch.Tensor | None = None

    @property
    def total(self) -> torch.Tensor:
        """What is minimised."""
        terms = [term for term in (self.forget, self.retain) if term is not None]
        return torch.stack(terms).sum()


@dataclass(frozen=True)
class Method(ABC):
    """A method with its hyperparameters; the ones here are common to all methods.

    Attributes:
        learning_rate: peak learning rate.
        batch_size: forget pairs, and retain pairs, of a step.
        warm_up: share of the steps in which the learning rate rises.
        clip_norm: largest norm of the gradient.
        weight_decay: of AdamW; anything but 0 pulls on all weights.
    """

    spec: ClassVar[MethodSpec]

    learning_rate: float = learning_rate(1e-4)
    batch_size: int = hyperparameter(64, "pairs to forget, and to retain, in a step", 2, 4096)
    warm_up: float = hyperparameter(0.1, "share of the steps in which the learning rate rises", 0, 1)
    clip_norm: float = hyperparameter(1.0, "largest norm of the gradient", 1e-6, 1e6)
    weight_decay: float = hyperparameter(0.0, "weight decay of AdamW", 0, 1)

    def __post_init__(self) -> None:
        """Refuse a value outside its range; raises `QueryError`."""
        for entry in fields(self):
            allowed: Range = entry.metadata["range"]
            value = getattr(self, entry.name)
            inside = value in allowed.choices if allowed.choices else allowed.low <= value <= allowed.high
            if not inside:
                raise QueryError(f"{entry.name} of {self.spec.name} is {value}; it must be {allowed}.")

    @property
    def needs(self) -> frozenset[Need]:
        """What it has to be given with its hyperparameters."""
        return self.spec.needs

    def check(self, model: TrainedModel) -> None:  # noqa: B027 - most methods suit every architecture
        """Refuse a base model whose architecture does not suit the method; raises `ModelError`."""

    def deploy(self, start: State, trained: State) -> State:
        """The tensors of the new model, from those before and after training."""
        return trained


S = TypeVar("S")


@dataclass(frozen=True)
class SteppedMethod(Method, Generic[S]):
    """A method that minimises an objective step by step; what a step offers depends on the method's form.

    Attributes:
        lora_rank: rank of the changes that are trained in place of the weights, or 0.
        lora_alpha: their size, see `LoRA`.
        edits_weights: whether it changes whole weights besides training, which low-rank changes cannot hold.
    """

    edits_weights: ClassVar[bool] = False

    lora_rank: int = hyperparameter(0, "rank of LoRA matrices trained in place of the weights; 0 for none", 0, 1024)
    lora_alpha: float = hyperparameter(
        16.0, "LoRA: what its matrices add is alpha / rank times their product", 1e-3, 1e4
    )

    def __post_init__(self) -> None:
        """Refuse a value outside its range, or LoRA where it cannot hold what the method does; raises `QueryError`."""
        super().__post_init__()
        if self.lora_rank and self.edits_weights:
            raise QueryError(
                f"{self.spec.name} changes whole weights besides training them, which LoRA leaves as they are; leave "
                "lora_rank out, or choose another method."
            )

    def lora(self, seed: int) -> LoRA | None:
        """The changes to train in place of the weights, which begin by a seed; None to train the weights."""
        return LoRA(self.lora_rank, self.lora_alpha, seed) if self.lora_rank else None

    @abstractmethod
    def losses(self, step: S) -> Losses:
        """The objective on one batch."""

    def backward(self, step: S) -> float:
        """Set the gradients of a step and return the objective's value."""
        total = self.losses(step).total
        torch.autograd.backward(total)
        return float(total.detach())


@dataclass(frozen=True)
class TrainedMethod(SteppedMethod[Step]):
    """A method that minimises an objective of features: the contrastive and the visual form."""


@dataclass(frozen=True)
class GenerativeMethod(SteppedMethod[TextStep]):
    """A method that minimises an objective of what a decoder writes: the generative form."""

    batch_size: int = hyperparameter(16, "texts to forget, and to retain, in a step", 2, 4096)

    def check(self, model: TrainedModel) -> None:
        """Refuse a base model that does not write."""
        _ = model.captioner


class OneShotMethod(Method):
    """A method that edits the weights once, from gradients or features, without training."""

    @abstractmethod
    def edit(self, steps: Sequence[Step], model: TrainedModel) -> None:
        """Edit the model in place.

        Args:
            steps: the batches of the budget; a step that is asked for again has nothing computed yet.
            model: the model.
        """


@dataclass(frozen=True)
class MethodSpec:
    """What the registry says about a method.

    Attributes:
        name: as the user types it.
        title: as papers call it.
        citation: where it was published, and as what it is implemented here.
        idea: one line on how it works.
        needs: what it has to be given.
        towers: which towers it may be told to change.
        budget: forget pairs, or texts, it is given unless the user says otherwise.
        method: its class, whose fields are its hyperparameters.
        form: what it works on.
    """

    name: str
    title: str
    citation: str
    idea: str
    needs: frozenset[Need]
    towers: tuple[Towers, ...]
    budget: int
    method: type[Method]
    form: Form = Form.CONTRASTIVE

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities it may be told to forget; none if it takes none."""
        return MODALITIES[self.form]

    @property
    def is_one_shot(self) -> bool:
        """Whether it edits the weights once, so that there is no optimiser and nothing to stop early."""
        return issubclass(self.method, OneShotMethod)

    @property
    def hyperparameters(self) -> dict[str, tuple[Any, Range]]:
        """Default and range of each hyperparameter, the method's own first."""
        common = {entry.name for entry in fields(TrainedMethod)}
        ordered = sorted(fields(self.method), key=lambda entry: entry.name in common)
        return {entry.name: (entry.default, entry.metadata["range"]) for entry in ordered}

    def configure(self, settings: Mapping[str, str | float]) -> Method:
        """The method with some hyperparameters set, from numbers or from what a user typed.

        Raises:
            QueryError: if there is no such hyperparameter, or its value is no number or out of range.
        """
        values: dict[str, Any] = {}
        for key, given in settings.items():
            if key not in self.hyperparameters:
                known = ", ".join(self.hyperparameters)
                raise QueryError(f"{self.name} has no hyperparameter {key!r}; choose one of {known}.")
            default, allowed = self.hyperparameters[key]
            try:
                values[key] = type(default)(given)
            except ValueError as error:
                raise QueryError(f"{key} of {self.name} is {given!r}; it must be {allowed}.") from error
        return self.method(**values)


REGISTRY: Final[dict[str, dict[Form, MethodSpec]]] = {}
M = TypeVar("M", bound=type[Method])

ALL_TOWERS: Final = tuple(Towers)


def register(
    name: str,
    title: str,
    citation: str,
    idea: str,
    needs: set[Need],
    towers: tuple[Towers, ...] = ALL_TOWERS,
    budget: int = DEFAULT_BUDGET,
    form: Form = Form.CONTRASTIVE,
) -> Callable[[M], M]:
    """Class decorator that adds a method, or a further form of one, to the registry.

    Args:
        name: as the user types it; all forms of a method have the same.
        title: as papers call it.
        citation: where it was published, and how this implementation differs.
        idea: one line on how it works.
        needs: what it has to be given.
        towers: which towers it may be told to change; the first is the default.
        budget: forget pairs, or texts, that go through the model unless the user says otherwise.
        form: what it works on.

    Raises:
        PluginError: if the name is taken.
    """

    def add(method: M) -> M:
        forms = REGISTRY.setdefault(name, {})
        # A cell of a notebook may be run again.
        if form in forms and forms[form].method.__module__ != method.__module__:
            raise PluginError(f"There is already an unlearning method called {name}; choose another name.")
        method.spec = forms[form] = MethodSpec(
            name, title, citation, idea, frozenset(needs), towers, budget, method, form
        )
        return method

    return add


def all_methods(form: Form = Form.CONTRASTIVE) -> list[MethodSpec]:
    """Every method that has a form, in alphabetical order."""
    load_entry_points(METHODS)
    return [REGISTRY[name][form] for name in sorted(REGISTRY) if form in REGISTRY[name]]


def find_method(name: str, modality: Modality | None = None) -> MethodSpec:
    """The method of a name, in the form that works on a modality of CLEAR, or in the contrastive one for None.

    Raises:
        QueryError: if there is none.
    """
    load_entry_points(METHODS)
    if name not in REGISTRY:
        raise QueryError(f"There is no unlearning method {name!r:.80}; choose one of {', '.join(sorted(REGISTRY))}.")
    forms = REGISTRY[name].values()
    for spec in forms:
        if modality in (spec.modalities or (None,)):
            return spec
    known = list(dict.fromkeys(str(each) for spec in forms for each in spec.modalities))
    if modality is None:
        raise QueryError(f"{name} forgets rows of CLEAR only; name its modality, {' or '.join(known)}.")
    if known:
        raise QueryError(f"{name} has no form that forgets the modality {modality}; choose {' or '.join(known)}.")
    able = [spec.name for form in Form for spec in all_methods(form) if modality in spec.modalities]
    raise QueryError(
        f"{name} has no form for models that write, so it takes no modality; leave it out, or choose one of "
        f"{', '.join(sorted(able))}."
    )
