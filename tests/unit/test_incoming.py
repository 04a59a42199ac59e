"""Every value of every event is looked through before a component or a handler sees it."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.state_holder import SessionState
from starlette.requests import Request

from salmu_demo.ui.shell.incoming import MOST_WAITING, Page, gives_paths
from tests.fixtures.loop import running_loop
from tests.ui.client import file_payload


def made_page() -> Page:
    """A page whose one event takes a value of each kind of component, and gives the first one back."""
    with Page() as page:
        inputs = [gr.Textbox(), gr.Radio(["a"]), gr.Slider(0, 9), gr.CheckboxGroup(["a"]), gr.UploadButton()]
        gives_paths(inputs[-1])
        gr.Button().click(lambda *values: values[0], inputs, gr.Textbox())
    return page


@pytest.fixture(scope="module")
def one_page() -> Page:
    """For all tests: what is kept of a visitor is in a session, and making the page takes longer than an event."""
    return made_page()


@pytest.fixture
def page(one_page: Page, give) -> Page:
    return one_page


GOOD: list[Any] = ["text", "a", 3, ["a"], None]


def answer(page: Page, inputs: list[Any], state: SessionState | None = None) -> Any:
    with running_loop() as loop:
        return loop.run(page.process_api(0, inputs, state))["data"][0]


@pytest.mark.parametrize("place", range(len(GOOD)))
@pytest.mark.parametrize(
    "value",
    [
        file_payload("/etc/hostname"),
        file_payload("http://127.0.0.1:1/x"),
        {"path": "/etc/hostname"},
        {"url": "http://127.0.0.1:1/x"},
        [{"a": {"path": "x", "meta": "y"}}],
        {"meta": None},
    ],
)
def test_no_component_takes_a_file_that_was_not_uploaded(page: Page, place: int, value: Any):
    with pytest.raises(gr.Error, match=r"not uploaded here|does not ask for| takes a | does not offer "):
        answer(page, [*GOOD[:place], value, *GOOD[place + 1 :]])


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("inputs", [[], GOOD[:4], [*GOOD[:4], 7], [*GOOD[:4], ["x"]], [nested(9000), *GOOD[1:]]])
def test_values_that_break_gradio_are_a_message_without_a_traceback(page: Page, inputs: list[Any]):
    with pytest.raises(gr.Error, match=r"does not ask for| takes a text") as refused:
        answer(page, inputs)
    assert refused.value.print_exception is False


def test_an_event_that_makes_a_choice_may_come_twice_before_the_page_has_it():
    with Page() as page:
        choice = gr.Dropdown([])
        gr.Button().click(lambda chosen: gr.Dropdown(["a", "b"], value=chosen or "a"), choice, choice)
        gr.Button().click(lambda chosen: chosen, choice, gr.Textbox())
    state = SessionState(page)
    with running_loop() as loop:
        for sent, expected in ((None, "a"), (None, "a"), ("b", "b")):
            assert loop.run(page.process_api(0, [sent], state))["data"][0]["value"] == expected
        with pytest.raises(gr.Error, match="does not offer &quot;c&quot;"):
            loop.run(page.process_api(0, ["c"], state))
        # Another event is sent by a visitor, who sees the choice.
        with pytest.raises(gr.Error, match="does not offer None"):
            loop.run(page.process_api(1, [None], state))


def test_an_upload_is_taken_and_nothing_else_of_its_payload(page: Page, give):
    path = give("face.png", b"content")
    payload = file_payload(str(path), url="http://127.0.0.1:1/x", is_stream=True, orig_name="../x")
    assert answer(page, [*GOOD[:4], payload]) == "text"
    assert Path(path).read_bytes() == b"content"


def test_a_session_keeps_no_texts(page: Page):
    state = SessionState(page)
    assert answer(page, ["secret" * 500, *GOOD[1:]], state).startswith("secret")
    assert not any("secret" in str(config) for config in state.config_values.values())
    assert answer(page, GOOD, state) == "text"


def test_a_page_that_nobody_asks_hardly_looks_for_events(monkeypatch: pytest.MonkeyPatch):
    page = made_page()
    page.queue()
    looks, sleep = [], asyncio.sleep

    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    with running_loop() as loop:
        own = loop.run(running())

        async def idle(seconds: float) -> None:
            # Pages of other tests may look for events in this process too.
            if asyncio.get_running_loop() is own:
                looks.append(seconds)
                page._queue.stopped = True
            else:
                await sleep(seconds)

        monkeypatch.setattr("gradio.queueing.asyncio.sleep", idle)
        for looking in (page._queue.start_processing, page._queue.start_progress_updates):
            page._queue.stopped = False
            loop.run(looking())
        monkeypatch.undo()
    assert looks == [0.01, 0.1]


def test_one_visitor_cannot_fill_the_queue(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SALMU_TRUSTED_PROXIES", "1")
    page = made_page()
    page.queue(max_size=2 * MOST_WAITING)

    def asked_by(address: str) -> str:
        headers = [(b"x-forwarded-for", f"invented, {address}".encode())]
        request = Request({"type": "http", "headers": headers, "client": ("10.0.0.1", 1)})
        body = PredictBodyInternal(data=GOOD, fn_index=0, session_hash=uuid.uuid4().hex)
        with running_loop() as loop:
            return loop.run(page._queue.push(body, request, None))[2]

    assert [asked_by("192.0.2.1") for _ in range(MOST_WAITING)] == ["success"] * MOST_WAITING
    assert asked_by("192.0.2.1") == "queue_full"
    assert asked_by("192.0.2.2") == "success"


def test_no_statistics_are_made_of_events():
    with Page() as page:
        gr.State()
    queue = page.queue()._queue
    queue.events_recorded = 1
    event = {"time": 0.0, "status": "success", "process_time": 1.0, "function": "probe", "session_hash": "a"}
    assert queue.compute_analytics_summary([event]) == {"functions": {}}
