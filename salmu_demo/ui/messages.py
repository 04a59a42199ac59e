"""Errors a user can cause become a message on the page; faults of ours stay in the log."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gradio as gr

from salmu_demo.errors import SalmuError

P = ParamSpec("P")
R = TypeVar("R")


def shows_errors(handler: Callable[P, R]) -> Callable[P, R]:
    """Wrap an event handler so that the sentence of a :class:`SalmuError` is shown to the visitor."""

    @functools.wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except SalmuError as error:
            raise gr.Error(str(error), title="That did not work", print_exception=False) from error

    return wrapped
