"""Gradio components with a small piece of script of their own, and handlers that the page chains to its events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from salmu_demo.ui.widgets.markup import Download

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

# Many buttons are one tab stop: the one where the focus was last.
_ONE_STOP: Final = """
element.addEventListener('focusin', (event) => {
  if (!event.target.matches('button[data-choice]')) return;
  for (const other of element.querySelectorAll('button[tabindex="0"]')) other.tabIndex = -1;
  event.target.tabIndex = 0;
});
"""

# The arrow keys go from button to button of a table.
_GRID: Final = """
element.addEventListener('keydown', (event) => {
  const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
  const from = event.target.closest('tbody :is(th, td)');
  if (!step || !from || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  const rows = [...from.closest('tbody').rows];
  let [row, column] = [rows.indexOf(from.parentElement), from.cellIndex];
  let next = null;
  do {
    row += step[0];
    column += step[1];
    next = rows[row]?.cells[column]?.querySelector('button[data-choice]');
  } while (!next && rows[row]?.cells[column]);
  next?.focus();
});
"""

# The same for buttons that fill line after line.
_LINES: Final = """
element.addEventListener('keydown', (event) => {
  const buttons = [...element.querySelectorAll('button[data-choice]')];
  const from = buttons.indexOf(event.target);
  if (from < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
  const left = (button) => Math.round(button.getBoundingClientRect().left);
  const above = buttons.filter((button) => left(button) === left(event.target));
  const place = above.indexOf(event.target);
  const next = {
    ArrowLeft: buttons[from - 1], ArrowRight: buttons[from + 1], Home: buttons[0], End: buttons.at(-1),
    ArrowUp: above[place - 1], ArrowDown: above[place + 1],
  };
  if (!(event.key in next)) return;
  event.preventDefault();
  next[event.key]?.focus();
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
FOCUS_HEADING: Final = """
() => {{
  const heading = document.querySelector('{headings}');
  if (!heading) return;
  heading.focus({{preventScroll: true}});
  const top = heading.getBoundingClientRect().top;
  if (top < 0 || top > window.innerHeight * 0.7) heading.scrollIntoView({{block: 'start'}});
}}
"""
WIDE: Final = "window.innerWidth >= 768"
TURNS: Final = count(1)
"""Values of states whose change asks for what follows: another one each time, so that it is asked for again."""

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


def choice_grid(**options: Any) -> gr.HTML:
    """The same for a table full of buttons, which is one tab stop: the arrow keys go from button to button."""
    return markup(js_on_load=_ON_LOAD + _ONE_STOP + _GRID, **options)


def choice_list(**options: Any) -> gr.HTML:
    """The same for buttons that fill line after line."""
    return markup(js_on_load=_ON_LOAD + _ONE_STOP + _LINES, **options)


def chosen(event: gr.EventData) -> str:
    """What the button that was clicked chooses; empty if the event does not say."""
    value = getattr(event, "choice", "")
    return value if isinstance(value, str) else ""


def scroll_to(target: str, unless: str) -> str:
    """Script that scrolls an element into view, unless a condition holds."""
    return SCROLL_INTO_VIEW.format(target=target, condition=unless)


def focus_heading(*parts: str) -> str:
    """Script that goes to the heading of the first part that has one, for whoever chose what is then gone."""
    return FOCUS_HEADING.format(headings=", ".join(f"{part} h2" for part in parts))


def served(path: Path) -> str:
    """A copy of a file that Gradio serves, under an address with the file's digest that nobody can guess.

    So no folder of jobs has to be opened to visitors, whose files lie under names that are easy to guess.
    """
    return str(save_file_to_cache(path, get_upload_folder()))


def link_to(copy: str, label: str = "") -> Download:
    """A link that saves what `served` laid out, under its own name, which is the text of the link if none is given."""
    file = Path(copy)
    # Relative to the page, whose address ends in a slash: it holds below any path and behind any proxy.
    return Download(file.name, label or file.name, f"gradio_api/file={quote(copy)}", file.stat().st_size)
