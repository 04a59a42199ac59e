"""Everything a client can send, forged: every event of the page answers with a sentence or as if nothing had happened.

The events and their inputs are read from the page itself, so that a new one is covered when it is added.
"""

import asyncio
import json
import os
import shutil
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import gradio as gr
import pytest
from gradio.blocks import BlockFunction
from gradio.helpers import EventData
from gradio.route_utils import Request
from gradio.state_holder import SessionState
from PIL import Image
from starlette.requests import Request as WebRequest

from benchmarks.forgery import EVENT_DATA, VALUES
from salmu_demo.core.errors import JobError
from salmu_demo.jobs.store import JobStore
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.ui.app import build_app
from salmu_demo.ui.shell.server import launch_options
from salmu_demo.ui.shell.values import said
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.loop import Loop, running_loop

PATIENCE = 20.0
LONGEST_MESSAGE = 2_000
WATCHED = {"open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.rmdir", "os.chmod", "os.utime", "os.link"}


@dataclass
class Canaries:
    """Files of the machine outside the upload folder, and what was done to them."""

    folder: Path
    touched: list[str] = field(default_factory=list)
    watching: bool = True

    def __post_init__(self) -> None:
        self.folder.mkdir()
        Image.new("RGB", (40, 40), "red").save(self.image)
        self.text.write_text("{}")
        (self.folder / "folder").mkdir()
        os.mkfifo(self.folder / "pipe")
        sys.addaudithook(self._see)

    @property
    def image(self) -> Path:
        return self.folder / "image.png"

    @property
    def text(self) -> Path:
        return self.folder / "results.json"

    @property
    def paths(self) -> list[Path]:
        return [self.image, self.text, self.folder / "folder", self.folder / "pipe", self.folder / "nothing"]

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watching and event in WATCHED and str(self.folder) in str(arguments[0]):
            self.touched.append(f"{event} {arguments[0]}")


@dataclass
class Served:
    """The page in this process, and where it listens."""

    app: gr.Blocks
    url: str
    canaries: Canaries
    runner: Loop

    def session(self) -> SessionState:
        """A visitor who has just opened the page."""
        return SessionState(self.app)

    async def send(self, event: BlockFunction, values: list[Any], session: SessionState, data: Any = None) -> Any:
        """What an event answers: its error, or None if there was none; anything but an answer in time raises."""
        scope = {"type": "http", "headers": [], "query_string": b"", "client": ("192.0.2.1", 1), "path": "/"}
        arguments = {
            "state": session,
            "request": Request(WebRequest(scope)),
            "event_data": EventData(None, data),
        }
        try:
            await asyncio.wait_for(self.app.process_api(event, values, **arguments), PATIENCE)
        except Exception as error:
            return error
        return None

    def honest(self, event: BlockFunction, session: SessionState) -> list[Any]:
        """What the page's own script would send for an event at first."""
        return [
            None if component.stateful else getattr(session[component._id], "value", None) for component in event.inputs
        ]


@pytest.fixture(scope="module")
def served(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page on tiny data whose features are all there; no job is started, though everything before it happens."""

    def full(_: JobStore, job_id: str) -> Any:
        raise JobError("The queue is full; try again later.")

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPACE_ID", raising=False)
        patch.setattr(JobStore, "acquire", full)
        workbench = Workbench()
        workbench.warm(workbench.models(builtin_models()))
        app = build_app(workbench)
        _, url, _ = app.launch(server_name="127.0.0.1", prevent_thread_lock=True, inbrowser=False, **launch_options())
        canaries = Canaries(tmp_path_factory.mktemp("machine") / "canaries")
        with running_loop() as runner:
            yield Served(app, url, canaries, runner)
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            assert answer.status == 200
        canaries.watching = False
        app.close()


@pytest.fixture(autouse=True)
def _unharmed(served: Served, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """After each test: no traceback was logged, no file was touched, and the server answers."""
    served.canaries.touched.clear()
    yield
    written = capfd.readouterr()
    assert "Traceback" not in written.err + written.out
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert served.canaries.touched == []
    assert [path.exists() for path in served.canaries.paths] == [True] * 4 + [False]
    with urllib.request.urlopen(f"{served.url}gradio_api/app_id", timeout=PATIENCE) as answer:
        assert json.loads(answer.read())["app_id"] == served.app.app_id


def events(served: Served) -> list[BlockFunction]:
    found = [event for event in served.app.fns.values() if event.fn is not None]
    assert len(found) > 50
    return found


def fault_of(error: Exception | None) -> str:
    """What is wrong with an answer, or nothing: a refusal is one short sentence, escaped and not in the log."""
    if error is None:
        return ""
    if not isinstance(error, gr.Error):
        return repr(error)[:200]
    message = error.message
    is_sentence = 10 < len(message) < LONGEST_MESSAGE and "<" not in message and message.endswith((".", "…", ". "))
    return "" if is_sentence and not error.print_exception else f"not a sentence: {message[:200]}"


def test_a_forged_value_of_any_input_is_answered_with_a_sentence(served: Served):
    refused, faults = set(), []

    async def send_all() -> None:
        session = served.session()
        for event in events(served):
            honest = served.honest(event, session)
            for place, component in enumerate(event.inputs):
                if component.stateful:
                    continue
                for kind, value in VALUES.items():
                    values = [*honest]
                    values[place] = value
                    before = dict(session.state_data)  # Those that have been asked for, each made when it is first.
                    error = await served.send(event, values, session)
                    where = f"{event.name}, {type(component).__name__} {component.elem_id or component.label}, {kind}"
                    if fault := fault_of(error):
                        faults.append(f"{where}: {fault}")
                    if error is not None:
                        refused.add(kind)
                        if any(session.state_data[key] != value for key, value in before.items()):
                            faults.append(f"{where}: changed the state")

    served.runner.run(send_all())
    assert faults == []
    assert refused == set(VALUES)


def test_forged_event_data_and_numbers_of_values_are_answered_with_a_sentence(served: Served):
    faults = []
    heard = {kind: data for kind, data in EVENT_DATA.items() if said(data)}

    async def send_all() -> None:
        session, tried = served.session(), False
        for event in events(served):
            honest = served.honest(event, session)
            # Most handlers are told nothing of it, and the others of few kinds, so that one stands for all the rest.
            is_told = gr.EventData in get_type_hints(event.fn).values()
            kinds = EVENT_DATA if is_told and not tried else heard if is_told else {}
            tried |= is_told
            for kind, data in {"5 MB": VALUES["5 MB"], **kinds}.items():
                if fault := fault_of(await served.send(event, honest, session, data)):
                    faults.append(f"{event.name}, {kind}: {fault}")
            for values in ([None] * (len(honest) + 1), honest[:-1]):
                error = await served.send(event, values, session)
                if fault := fault_of(error) or ("" if error or values == honest else "was answered"):
                    faults.append(f"{event.name}, {len(values)} values: {fault}")

    served.runner.run(send_all())
    assert faults == []


HUGE = "x" * 5_000_000
REQUESTS = {
    "an unknown event": {"data": [], "fn_index": 10**6, "session_hash": "forged"},
    "an event before the first": {"data": [], "fn_index": -1, "session_hash": "forged"},
    "an event of another kind": {"data": [], "fn_index": HUGE, "session_hash": "forged"},
    "no event": {"data": [], "session_hash": "forged"},
    "a session of 5 MB": {"data": [], "fn_index": 6, "session_hash": HUGE},
    "a session of another kind": {"data": [], "fn_index": 6, "session_hash": [HUGE]},
    "half a surrogate pair for a session": {"data": [], "fn_index": 6, "session_hash": "\ud800"},
    "an unknown trigger": {"data": [], "fn_index": 6, "session_hash": "forged", "trigger_id": 10**9},
    "a trigger of another kind": {"data": [], "fn_index": 6, "session_hash": "forged", "trigger_id": HUGE},
    "a batch": {"data": [], "fn_index": 6, "session_hash": "forged", "batched": True},
    "no data": {"fn_index": 6, "session_hash": "forged"},
    "data of another kind": {"data": HUGE, "fn_index": 6, "session_hash": "forged"},
    "a list": [HUGE],
    "a text": HUGE,
    "10 MB": {"data": [HUGE, HUGE], "fn_index": 6, "session_hash": "forged"},
    "20 MB": {"data": [HUGE] * 4, "fn_index": 6, "session_hash": "forged"},
}


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("path", ["queue/join", "run/predict", "run/poll"])
def test_a_forged_request_is_answered_briefly(served: Served, path: str, kind: str):
    sessions = len(served.app.state_holder.session_data)
    body = json.dumps(REQUESTS[kind]).encode()
    request = urllib.request.Request(f"{served.url}gradio_api/{path}", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            status, content = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, content = error.code, error.read()
    assert status in (200, 400, 404, 413, 422, 500)
    assert (status == 413) == (kind in ("10 MB", "20 MB"))
    # Gradio's own answer to a refusal is 500 with the sentence in it.
    assert status != 500 or json.loads(content)["error"]
    assert len(content) < LONGEST_MESSAGE
    assert len(served.app.state_holder.session_data) <= sessions + 1
    assert all(len(name) < LONGEST_MESSAGE for name in served.app.state_holder.session_data)


def test_a_visitor_is_told_of_nobody_elses_models(served: Served, tiny_assets: Path, tmp_path: Path):
    secret = shutil.copytree(tiny_assets / "models" / "mini-clean", tmp_path / "secret-model")
    workbench = Workbench()
    app = build_app(workbench, answers=threading.Event())  # What is added waits to be prepared.

    def answers(visitor: SessionState, address: str, names: set[str], *values: Any, query: str = "") -> str:
        scope = {"type": "http", "headers": [], "query_string": query.encode(), "client": (address, 1), "path": "/"}
        told = ""
        for event in app.fns.values():
            if event.name not in names:
                continue
            given = [None if block.stateful else getattr(visitor[block._id], "value", None) for block in event.inputs]
            given[: len(values)] = values
            with suppress(gr.Error):
                request = Request(WebRequest(scope))
                data = EventData(None, None)
                answer = served.runner.run(app.process_api(event, given, visitor, request, event_data=data))
                told += json.dumps(answer["data"], default=str)
        return told

    owner, other = SessionState(app), SessionState(app)
    every = {event.name for event in app.fns.values() if event.fn is not None} - {"open_link", "add", "upload"}
    assert "secret-model" in answers(owner, "192.0.2.1", {"add"}, f"local-dir:{secret}")
    assert "secret-model" in answers(owner, "192.0.2.1", {"poll"})
    link = f"models=mini-clean,local-dir:{secret}"
    assert "secret-model" in answers(SessionState(app), "192.0.2.1", {"open_link"}, query=link)
    assert "secret-model" not in answers(SessionState(app), "192.0.2.2", {"open_link"}, query=link)
    assert "secret-model" not in answers(other, "192.0.2.2", {"open_link"})
    assert "secret-model" not in answers(other, "192.0.2.2", every)
