"""A fixed set of components that takes the hyperparameters of any method, built from the method's dataclass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import gradio as gr

from salmu_demo.core.errors import QueryError
from salmu_demo.ui.tabs.unlearn import text

if TYPE_CHECKING:
    from salmu_demo.unlearning.methods import MethodSpec

OWN_NUMBERS: Final = 6
OWN_WORDS: Final = 3
COMMON_NUMBERS: Final = 5
"""Hyperparameters of each sort that a method can have here."""


@dataclass(frozen=True)
class Fields:
    """The hyperparameters of a method by sort: own numbers, own words, and those common to all methods."""

    numbers: Sequence[str]
    words: Sequence[str]
    common: Sequence[str]

    @property
    def names(self) -> list[str | None]:
        """What each component of :attr:`Controls.inputs` takes, in their order; None for one that is not used."""
        groups = ((self.numbers, OWN_NUMBERS), (self.words, OWN_WORDS), (self.common, COMMON_NUMBERS))
        return [name for names, count in groups for name in [*names, *[None] * (count - len(names))]]


def fields_of(spec: "MethodSpec") -> Fields:
    """Sort the hyperparameters of a method; one that takes no steps has no optimiser to set."""
    from salmu_demo.unlearning.methods import Method  # noqa: PLC0415

    common = [entry.name for entry in fields(Method)]
    own = {name: allowed for name, (_, allowed) in spec.hyperparameters.items() if name not in common}
    return Fields(
        [name for name, allowed in own.items() if not allowed.choices],
        [name for name, allowed in own.items() if allowed.choices],
        ["batch_size"] if spec.is_one_shot else common,
    )


def settings_of(spec: "MethodSpec", values: Sequence[Any]) -> dict[str, float | str]:
    """The hyperparameters that differ from their defaults, from the values of :attr:`Controls.inputs`.

    Raises:
        QueryError: if one is empty.
    """
    settings: dict[str, float | str] = {}
    for name, value in zip(fields_of(spec).names, values, strict=True):
        if name is None:
            continue
        if value is None:
            raise QueryError(text.MISSING.format(name=title_of(name).lower()))
        if value != spec.hyperparameters[name][0]:
            settings[name] = value
    return settings


def title_of(name: str) -> str:
    """The label of a hyperparameter.

    >>> title_of("retain_weight")
    'Retain weight'
    """
    return name.replace("_", " ").capitalize()


@dataclass(frozen=True)
class Controls:
    """The components."""

    numbers: Sequence[gr.Number]
    words: Sequence[gr.Dropdown]
    common: Sequence[gr.Number]

    @property
    def inputs(self) -> list[Any]:
        """All components, in the order of :attr:`Fields.names` and :meth:`updates`."""
        return [*self.numbers, *self.words, *self.common]

    def updates(self, spec: "MethodSpec") -> list[Any]:
        """The components as a method needs them, at its defaults."""
        known: Mapping[str, tuple[Any, Any]] = spec.hyperparameters
        made: list[Any] = []
        for name, component in zip(fields_of(spec).names, self.inputs, strict=True):
            if name is None:
                made.append(type(component)(visible=False))
                continue
            default, allowed = known[name]
            words = allowed.words[:1].upper() + allowed.words[1:]
            shown = {"value": default, "label": title_of(name), "visible": True}
            if allowed.choices:
                shown |= {"info": words, "choices": list(allowed.choices)}
            else:
                whole = isinstance(default, int)
                shown |= {"info": f"{words} ({allowed})", "minimum": allowed.low, "maximum": allowed.high}
                shown |= {"precision": 0 if whole else None}
                shown |= {"step": 1 if whole else max(default, allowed.low) / 10 or 0.1}
            made.append(type(component)(**shown))
        return made


def own_controls() -> tuple[list[gr.Number], list[gr.Dropdown]]:
    """Build the components of a method's own hyperparameters into the current Blocks context."""
    with gr.Row(elem_classes="controls"):
        numbers = [gr.Number(visible=False, min_width=200) for _ in range(OWN_NUMBERS)]
        words = [gr.Dropdown([], visible=False, min_width=200) for _ in range(OWN_WORDS)]
    return numbers, words


def common_controls() -> list[gr.Number]:
    """Build the components of the hyperparameters that all methods share into the current Blocks context."""
    with gr.Accordion(text.TRAINING, open=False, elem_id="unlearn-training"), gr.Row(elem_classes="controls"):
        return [gr.Number(visible=False, min_width=200) for _ in range(COMMON_NUMBERS)]
