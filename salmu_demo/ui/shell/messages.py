"""What the page says in messages; errors a user can cause become one, faults of ours stay in the log."""

import functools
import html
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

import gradio as gr

from salmu_demo.core.errors import SalmuError

P = ParamSpec("P")
R = TypeVar("R")

_LONGEST: Final = 1000
"""Characters of a message; a sentence that names a path or some tensors fits."""


def message_markup(sentence: str) -> str:
    """A sentence as Gradio's messages must be given it, which render markup; cut if it is far too long.

    >>> message_markup('<a href="//x">&</a>')
    '&lt;a href=&quot;//x&quot;&gt;&amp;&lt;/a&gt;'
    """
    start = sentence[:_LONGEST].encode("utf-8", "replace").decode("utf-8")
    return html.escape(f"{start}…" if len(sentence) > _LONGEST else start)


def failed(sentence: str) -> gr.Error:
    """The error that shows a sentence to the visitor and leaves nothing in the log."""
    return gr.Error(message_markup(sentence), title="That did not work", print_exception=False)


def warn(sentence: str, title: str) -> None:
    """Show a warning to the visitor whose event is being handled."""
    gr.Warning(message_markup(sentence), title=title)


def inform(sentence: str, title: str) -> None:
    """Show a remark to the visitor whose event is being handled."""
    gr.Info(message_markup(sentence), title=title)


def shows_errors(handler: Callable[P, R]) -> Callable[P, R]:
    """Wrap an event handler so that the sentence of a `SalmuError` is shown to the visitor."""

    @functools.wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except SalmuError as error:
            raise failed(str(error)) from error

    return wrapped
