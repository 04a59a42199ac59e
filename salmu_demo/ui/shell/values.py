"""Values that a client sends for components, checked before any handler sees them.

The page's own script sends what its components hold. Anybody can send anything else, so a value counts only if the
component it is for could hold it: each that could not gets one sentence, and changes nothing.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import gradio as gr

from salmu_demo.core.errors import QueryError, quoted

MAX_TEXT: Final = 5_000
"""Characters of a text box: more than any query, and as many as the longest path."""

MAX_PARTS: Final = 10_000
MAX_CHARACTERS: Final = 1_000_000
"""Of all else that is sent for one component, for example the markup of a run's curves and images."""

MAX_WHOLE: Final = 2**53 - 1
"""Above it a browser's numbers are no longer exact."""


def checked(component: Any, value: Any) -> Any:
    """What a client sent for a component, in the form its handlers expect: no text is None and no list has doubles.

    Raises:
        QueryError: if the component could not hold it.
    """
    check = next((check for kind, check in _CHECKS.items() if isinstance(component, kind)), None)
    return _bounded(component, value) if check is None else check(component, value)


def said(data: Any) -> dict[str, str | int]:
    """What an event says of itself, of all that a client may send: which choice it made, and at which place.

    >>> said({"choice": "city", "index": 3, "path": "/"}), said({"index": True, "choice": []}), said("choice")
    ({'choice': 'city', 'index': 3}, {}, {})
    """
    found: dict[str, str | int] = {}
    if isinstance(data, dict):
        choice, index = data.get("choice"), data.get("index")
        if isinstance(choice, str) and len(choice) <= MAX_TEXT and _can_be_written(choice):
            found["choice"] = choice
        if type(index) is int and abs(index) <= MAX_WHOLE:
            found["index"] = index
    return found


def _text(component: Any, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise QueryError(f"{_name(component)} takes a text, not {quoted(value)}.")
    limit = component.max_length or MAX_TEXT
    if len(value) > limit:
        raise QueryError(f"{_name(component)} takes {limit:,} characters, and {quoted(value)} has {len(value):,}.")
    if not _can_be_written(value):
        raise QueryError(f"{_name(component)} takes a text, and {quoted(value)} holds characters that belong in none.")
    return value


def _can_be_written(value: str) -> bool:
    """Whether a text can be a file's name and be sent back: it holds neither NUL nor half of a surrogate pair."""
    try:
        return b"\x00" not in value.encode()
    except UnicodeEncodeError:
        return False


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # A whole number of hundreds of digits.
        return False


def number(component: Any, value: Any) -> float | int | None:
    """A number that a client sent for a component, or for whatever else has its label, bounds and precision.

    Raises:
        QueryError: if it could not hold it.
    """
    if value is None and not isinstance(component, gr.Slider):
        return None
    low = -math.inf if component.minimum is None else component.minimum
    high = math.inf if component.maximum is None else component.maximum
    whole = component.precision == 0 or (isinstance(component, gr.Slider) and component.step == 1)
    if not isinstance(value, int | float) or isinstance(value, bool) or not _is_finite(value):
        raise QueryError(f"{_name(component)} takes a number, not {quoted(value)}.")
    if not max(low, -MAX_WHOLE) <= value <= min(high, MAX_WHOLE):
        limits = " and ".join(f"{most} {bound:,g}" for most, bound in (("at least", low), ("at most", high))
                              if math.isfinite(bound))  # fmt: skip
        raise QueryError(f"{_name(component)} takes a number{f' of {limits}' if limits else ''}, not {quoted(value)}.")
    if not whole:
        return value
    if value != int(value):
        raise QueryError(f"{_name(component)} takes a whole number, not {quoted(value)}.")
    return int(value)


def _tick(component: Any, value: Any) -> bool:
    if not isinstance(value, bool):
        raise QueryError(f"{_name(component)} is ticked or not; {quoted(value)} is neither.")
    return value


def _choice(component: Any, value: Any) -> Any:
    # None is what a choice holds that was never made; one that the page has made cannot be unmade.
    if value is None and component.value is None:
        return None
    return one_of(component, value)


def _choices(component: Any, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise QueryError(f"{_name(component)} takes a list of choices, not {quoted(value)}.")
    # Before any is looked at: each can be chosen once, so a longer list is not the page's.
    distinct = list(dict.fromkeys(choice for choice in value if isinstance(choice, str | int)))
    if len(distinct) > len(component.choices):
        raise QueryError(f"{_name(component)} has {len(component.choices)} choices, not {len(distinct):,}.")
    wrong = next((choice for choice in value if not isinstance(choice, str | int)), None)
    return [one_of(component, choice) for choice in (distinct if wrong is None else [wrong])]


def one_of(component: Any, value: Any) -> Any:
    """One of the choices of a component, or of whatever else has a label and choices; raises `QueryError`."""
    if not any(type(value) is type(known) and value == known for _, known in component.choices):
        raise QueryError(
            f"{_name(component)} does not offer {quoted(value)}; choose something that it does, or reload the page."
        )
    return value


def _bounded(component: Any, value: Any) -> Any:
    """A value of any shape, as long as it is small, finite and can be written down."""
    waiting, parts, characters = [value], 0, 0
    while waiting:
        part = waiting.pop()
        parts += 1
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, str):
            characters += len(part)
        if parts + len(waiting) > MAX_PARTS or characters > MAX_CHARACTERS:
            raise QueryError(f"{_name(component)} was sent far more than it takes; reload the page.")
        if isinstance(part, float) and not math.isfinite(part):
            raise QueryError(f"{_name(component)} takes no number that is not finite; reload the page.")
        if isinstance(part, str) and not _can_be_written(part):
            raise QueryError(f"{_name(component)} was sent characters that belong in no text; reload the page.")
    return value


def _name(component: Any) -> str:
    """What a component is called where the visitor sees it."""
    return f"“{component.label}”" if getattr(component, "label", None) else "A part of the page"


_CHECKS: Final[dict[type, Callable[[Any, Any], Any]]] = {
    gr.Textbox: _text,
    gr.Number: number,
    gr.Slider: number,
    gr.Checkbox: _tick,
    gr.Dropdown: _choice,
    gr.Radio: _choice,
    gr.CheckboxGroup: _choices,
}
