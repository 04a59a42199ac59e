"""Gradio components with a small piece of script of their own, and handlers that the page chains to its events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

# One listener on the component's root: it outlives every new value, and a keyboard activates buttons by itself.
# The chosen button is marked at once; the server's answer, which marks it too, may take a moment.
_ON_LOAD: Final = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-choice]');
  if (!button) return;
  for (const other of element.querySelectorAll('button[aria-pressed]')) {
    other.setAttribute('aria-pressed', String(other === button));
  }
  trigger('click', {choice: button.getAttribute('data-choice')});
});
"""

SCROLL_INTO_VIEW: Final = """
() => {{
  const target = document.getElementById('{target}');
  if (!target || {condition}) return;
  const calm = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
  target.scrollIntoView({{block: 'start', behavior: calm ? 'auto' : 'smooth'}});
}}
"""
WIDE: Final = "window.innerWidth >= 768"
IN_SIGHT: Final = "target.getBoundingClientRect().top < window.innerHeight * 0.7"

QUIETLY: Final[Mapping[str, Any]] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For an event whose answer is at hand."""

QUEUED: Final[Mapping[str, Any]] = {**QUIETLY, "queue": True, "concurrency_limit": None}
"""For one that changes a state, which tells of its change only when a queued event has changed it."""

SHOWN: Final[Mapping[str, Any]] = {"show_progress": "hidden", "concurrency_limit": 4, "api_visibility": "private"}
"""For one whose answer may take a moment, and which a few visitors may ask for at once."""


@dataclass(frozen=True)
class Handler:
    """What a tab does when the page tells it to, the components that this reads and changes, and how events run it."""

    run: Callable[..., Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def on(self, listener: Callable[..., Any], **options: Any) -> Any:
        """Connect it to an event, such as `timer.tick` or the `then` of another one, with its own options or others."""
        return listener(self.run, list(self.inputs), list(self.outputs), **(options or self.options))


def markup(value: str = "", **options: Any) -> gr.HTML:
    """Markup that only our style sheet touches; Gradio's own rules for prose draw frames around every table."""
    return gr.HTML(value, **{"apply_default_css": False, "js_on_load": None, **options})


def choices(value: str = "", **options: Any) -> gr.HTML:
    """Markup whose `data-choice` buttons raise a click event; `chosen` reads which one it was."""
    return markup(value, js_on_load=_ON_LOAD, **options)


def chosen(event: gr.EventData) -> str:
    """What the button that was clicked chooses; empty if the event does not say."""
    value = getattr(event, "choice", "")
    return value if isinstance(value, str) else ""


def scroll_to(target: str, unless: str) -> str:
    """Script that scrolls an element into view, unless a condition holds."""
    return SCROLL_INTO_VIEW.format(target=target, condition=unless)


def served(path: Path) -> str:
    """A copy of a file that Gradio serves, under an address with the file's digest that nobody can guess.

    So no folder of jobs has to be opened to visitors, whose files lie under names that are easy to guess.
    """
    return str(save_file_to_cache(path, get_upload_folder()))
