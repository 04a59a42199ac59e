"""Gradio components with a small piece of script of their own."""

from typing import Any, Final

import gradio as gr

from salmu_demo.ui.widgets.markup import CHOICE

# One listener on the component's root: it outlives every new value, and a keyboard activates buttons by itself.
# The chosen button is marked at once; the server's answer, which marks it too, may take a moment.
_ON_LOAD: Final = f"""
element.addEventListener('click', (event) => {{
  const button = event.target.closest('button[{CHOICE}]');
  if (!button) return;
  for (const other of element.querySelectorAll('button[aria-pressed]')) {{
    other.setAttribute('aria-pressed', String(other === button));
  }}
  trigger('click', {{choice: button.getAttribute('{CHOICE}')}});
}});
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


def markup(value: str = "", **options: Any) -> gr.HTML:
    """Markup that only our style sheet touches; Gradio's own rules for prose draw frames around every table."""
    return gr.HTML(value, **{"apply_default_css": False, "js_on_load": None, **options})


def choices(value: str = "", **options: Any) -> gr.HTML:
    """Markup whose `data-choice` buttons raise a click event; :func:`chosen` reads which one it was."""
    return markup(value, js_on_load=_ON_LOAD, **options)


def chosen(event: gr.EventData) -> str:
    """What the button that was clicked chooses; empty if the event does not say."""
    value = getattr(event, "choice", "")
    return value if isinstance(value, str) else ""


def scroll_to(target: str, unless: str) -> str:
    """Script that scrolls an element into view, unless a condition holds."""
    return SCROLL_INTO_VIEW.format(target=target, condition=unless)
