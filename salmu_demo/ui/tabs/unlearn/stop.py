"""The part of the Unlearn form that says when a run stops before its budget is spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import gradio as gr

from salmu_demo.core.errors import QueryError
from salmu_demo.ui.tabs.unlearn import text
from salmu_demo.unlearning import UNRELATED

if TYPE_CHECKING:
    from salmu_demo.unlearning.methods import MethodSpec

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
    """

    row: gr.Row
    rule: gr.Radio
    level: gr.Number
    drop: gr.Number

    @property
    def inputs(self) -> list[Any]:
        """The components a visitor fills in, in the order of the values of :func:`stop_of`."""
        return [self.rule, self.level, self.drop]

    def update(self, spec: "MethodSpec") -> gr.Row:
        """The row, which a method without steps has no use for."""
        return gr.Row(visible=not spec.is_one_shot)


def stop_controls() -> StopControls:
    """Build the components into the current Blocks context."""
    with gr.Row(elem_classes="controls") as row:
        rule = gr.Radio(
            _RULES, value=_NEVER, label="Stop early", info=text.STOP, elem_id="unlearn-stop", min_width=240, scale=3
        )
        level = gr.Number(
            0.0, label="Cosine", info=text.STOP_LEVEL, minimum=-1, maximum=1, step=0.05, visible=False, min_width=200,
            elem_id="unlearn-stop-level",
        )  # fmt: skip
        drop = gr.Number(
            0.0, label="Most retain loss (%)", info=text.STOP_DROP, minimum=0, maximum=100, step=1, min_width=200,
            elem_id="unlearn-stop-drop",
        )  # fmt: skip

    def choose(chosen: str) -> gr.Number:
        return gr.Number(visible=chosen == _ORACLE)

    rule.input(choose, rule, level, api_visibility="private", show_progress="hidden")
    return StopControls(row, rule, level, drop)


def stop_of(spec: "MethodSpec", values: Sequence[Any]) -> tuple[str | float | None, float | None]:
    """The forget level and the retain drop of :class:`salmu_demo.unlearning.plan.StopRules`, from a form's values.

    A method without steps has none: what the hidden components hold was meant for another method.

    Raises:
        QueryError: if the chosen rule lacks its number.
    """
    if spec.is_one_shot:
        return None, None
    rule, level, drop = values
    if rule == _ORACLE and level is None:
        raise QueryError(text.MISSING.format(name="the cosine to stop at"))
    return {UNRELATED: UNRELATED, _ORACLE: level}.get(rule), drop / 100 if drop else None
