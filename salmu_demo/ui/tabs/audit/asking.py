"""Where a visitor asks, for the person on the page, to be forgotten; the Unlearn tab takes what was asked."""

from collections.abc import Sequence
from typing import Any, Final

import gradio as gr

from salmu_demo.core.errors import QueryError
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.forget_requests import find_requests, request_words
from salmu_demo.data.layout import kind_title
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.audit import text
from salmu_demo.ui.tabs.context import Context
from salmu_demo.ui.widgets.components import QUEUED, markup
from salmu_demo.ui.widgets.markup import notice

MOST_REQUESTS: Final = 100
"""Requests that are collected for one run: each is a line of the form."""


def asked_with(data: BenchmarkData, asked: Sequence[str], view: View, one_attribute: bool) -> list[str]:
    """The requests after one more, for the persona of a view or for the open attribute alone.

    Raises:
        QueryError: if none is open, the persona has no pair of the attribute, or there are enough requests.
    """
    if view.persona is None or (one_attribute and view.kind is None):
        raise QueryError(text.NOTHING_TO_FORGET)
    more = f"{view.persona}:{view.kind}" if one_attribute else view.persona
    found = [str(request) for request in find_requests(data, [*asked, more])]
    if len(found) > MOST_REQUESTS:
        raise QueryError(text.ASKED_ENOUGH.format(most=MOST_REQUESTS))
    return found


def asked_words(data: BenchmarkData, asked: Sequence[str]) -> str:
    """What was asked for, in words; empty if nothing was."""
    if not asked:
        return ""
    words = "; ".join(request_words(data, request) for request in find_requests(data, asked))
    return text.ASKED_FOR.format(words=words)


def asking_area(context: Context) -> None:
    """Build the buttons into the current Blocks context, and connect them."""
    data = context.workbench.data
    with gr.Column(visible=False, elem_id="asking") as column:
        with gr.Row():
            person = gr.Button(text.FORGET_PERSON, size="sm", elem_id="forget-person")
            attribute = gr.Button(text.FORGET_ATTRIBUTE, size="sm", visible=False, elem_id="forget-attribute")
        note = markup(notice(text.ASK_INFO, "quiet"), elem_id="asked-note")

    def offer(view: View) -> list[Any]:
        kind = "" if view.kind is None else kind_title(view.kind)
        label = text.FORGET_KIND.format(kind=kind) if kind else text.FORGET_ATTRIBUTE
        return [gr.Column(visible=view.persona is not None), gr.Button(label, visible=bool(kind))]

    def tell(asked: list[str]) -> str:
        return notice(asked_words(data, asked) or text.ASK_INFO, "quiet")

    @shows_errors
    def ask_for_person(view: View, asked: list[str]) -> list[str]:
        return asked_with(data, asked, view, one_attribute=False)

    @shows_errors
    def ask_for_attribute(view: View, asked: list[str]) -> list[str]:
        return asked_with(data, asked, view, one_attribute=True)

    context.view.change(offer, context.view, [column, attribute], **QUEUED)
    context.requests.change(tell, context.requests, note, **QUEUED)
    for button, ask in ((person, ask_for_person), (attribute, ask_for_attribute)):
        button.click(ask, [context.view, context.requests], context.requests, **QUEUED)
