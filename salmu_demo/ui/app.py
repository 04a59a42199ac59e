"""The page: header, model choice, tabs; and the program that serves it."""

import atexit
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware

from salmu_demo.core.ending import also_at_end
from salmu_demo.core.errors import DataError, JobError, QueryError, SalmuError, StorageError, quoted
from salmu_demo.core.files import check_writable
from salmu_demo.core.runtime import use_one_blas_thread
from salmu_demo.core.settings import assets_dir, cache_dir, leaderboard_dir, on_space, runs_dir
from salmu_demo.data.images import MAX_BYTES
from salmu_demo.data.source import MINI, may_be_fetched
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.uploads import upload_limit
from salmu_demo.ui.jobs.area import own_jobs, visitor_jobs
from salmu_demo.ui.shell.bar import (
    SYNC_ADDRESS,
    ModelShelf,
    header,
    keep_told,
    pending_text,
    reference_updates,
    tell,
    top_bar,
)
from salmu_demo.ui.shell.incoming import IncomingBodies, Page, incoming_errors, incoming_routes
from salmu_demo.ui.shell.messages import shows_errors, warn
from salmu_demo.ui.shell.text import DATA_FAILED, TITLE
from salmu_demo.ui.shell.theme import HEAD, ICON, STYLE_SHEET, theme
from salmu_demo.ui.shell.view import JOB_TABS, MAX_MODELS, TABS, Known, View, format_link, parse_link
from salmu_demo.ui.shell.visitor_files import visitor_files
from salmu_demo.ui.shell.visitors import owner_of, trusted_proxies
from salmu_demo.ui.tabs.about.tab import about_tab
from salmu_demo.ui.tabs.audit.tab import audit_tab
from salmu_demo.ui.tabs.benchmark.tab import benchmark_tab
from salmu_demo.ui.tabs.leaderboard.tab import leaderboard_tab
from salmu_demo.ui.tabs.models.tab import model_tab
from salmu_demo.ui.tabs.probe.tab import probe_tab
from salmu_demo.ui.tabs.unlearn.tab import unlearn_tab
from salmu_demo.ui.widgets.components import markup
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.warmup import WarmUp

DEFAULT_PORT: Final = 7860
_PORTS: Final = 100
"""Ports that are tried when none is asked for."""

_STOP_SECONDS: Final = 1.0
"""How long what is being answered when the app is stopped may take."""

MOST_EVENTS: Final = 512
"""Events that may wait: what a few dozen visitors ask at once, each no more than a share."""

MAX_SESSIONS: Final = 1000
"""Pages whose states are held at once; anybody can open, or invent, any number, and the one unused for longest goes."""


def build_app(workbench: Workbench, problem: str = "", answers: threading.Event | None = None) -> gr.Blocks:
    """Build the page; nothing is computed until a visitor asks, except what the warm-up prepares in the background.

    Args:
        workbench: the data that is served, and its models.
        problem: why it is not the data that was asked for, see :func:`open_data`.
        answers: set once the page can be asked for, which the warm-up then waits for.
    """
    shelf = ModelShelf(workbench)
    warm_up = WarmUp(workbench, answers)
    manager = job_manager(workbench)
    known_personas = frozenset(persona.identity_id for persona in workbench.data.personas)

    visitor_files()  # Components remember where Gradio's folder is when they are made.
    app = Page(title=TITLE, analytics_enabled=False)
    app.state_session_capacity = MAX_SESSIONS
    with app:
        view = gr.State(View())
        markup(header(workbench.data, problem))
        bar = top_bar(shelf, warm_up)
        app.limit(bar.chosen, MAX_MODELS)
        own = own_jobs()
        visitor, unlearner = visitor_jobs(own), visitor_jobs(own, "unlearn-")
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            with gr.Tab("Audit a persona", id="audit"):
                audit = audit_tab(workbench, bar.chosen, view, warm_up)
            with gr.Tab("Probe", id="probe"):
                probe_tab(workbench, bar.chosen, view)
            with gr.Tab("Benchmark", id="benchmark"):
                benchmark = benchmark_tab(workbench, manager, bar.chosen, view, visitor)
            with gr.Tab("Unlearn", id="unlearn"):
                unlearn = unlearn_tab(workbench, manager, shelf, warm_up, bar, tabs, view, unlearner)
            with gr.Tab("Leaderboard", id="leaderboard") as leaderboard:
                board = leaderboard_tab(workbench, runs_dir(), own)
            with gr.Tab("Models", id="models"):
                models = model_tab(workbench, bar.chosen, view)
            with gr.Tab("About", id="about"):
                about_tab(workbench.data)

        @shows_errors
        def open_link(request: gr.Request) -> list[Any]:
            opened = shelf.opened_by(owner_of(request))
            known = Known(known_personas, workbench.data.kinds, opened, shelf.default)
            link = parse_link(dict(request.query_params), known)
            for notice in link.notices:
                warn(notice, "Part of the link was left out")
            listed = list(dict.fromkeys([*shelf.builtin, *link.models]))
            boxes = gr.CheckboxGroup(shelf.choices(listed), value=list(link.models))
            view = replace(link.view, tab=tab_of_job(manager, link.view))
            told = reference_updates(view.told, link.models)
            return [view, boxes, listed, *told, pending_text(warm_up, listed), gr.Tabs(selected=view.tab)]

        @shows_errors
        def note_tab(view: View, event: gr.EventData) -> View:
            return replace(view, tab=tab_at(getattr(event, "index", None)))

        def address(view: View, models: list[str]) -> str:
            return format_link(view, models, shelf.default)

        quietly: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        # A state tells of its change only when a queued event has changed it, so those that do are queued.
        queued = {**quietly, "queue": True, "concurrency_limit": None}
        opened = app.load(open_link, None, [view, bar.chosen, bar.listed, *bar.references, bar.pending, tabs], **queued)
        opened.then(audit.list_personas, audit.list_inputs, audit.list_outputs, **quietly)
        shown: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 4, "api_visibility": "private"}
        opened.then(audit.show, audit.show_inputs, audit.show_outputs, **shown)
        opened.then(models.show, models.inputs, models.outputs, **shown)
        bar.pending.change(audit.show, audit.show_inputs, audit.show_outputs, **shown)
        told = [view, *bar.references]
        bar.chosen.change(keep_told, [bar.chosen, view], told, **queued)
        # Not `change`, which a link that is opened would cause too.
        inputs = [component.input for component in bar.references]
        tells = gr.on(inputs, tell, [*bar.references, bar.chosen, view], told, **queued)
        tells.then(audit.show, audit.show_inputs, audit.show_outputs, **shown)
        tells.then(models.show, models.inputs, models.outputs, **shown)
        linked = opened.then(address, [view, bar.chosen], bar.query, **quietly)
        linked.then(None, bar.query, bar.link, js=SYNC_ADDRESS)
        made = opened.then(unlearn.list_own, unlearn.list_inputs, unlearn.list_outputs, **queued)
        for event in (made, tabs.select(note_tab, view, view, **queued), *unlearn.leaving):
            event.then(unlearn.filling.fill, unlearn.filling.inputs, unlearn.filling.outputs, **queued)
            for tab in (benchmark, unlearn.opening):
                event.then(tab.open, tab.inputs, tab.outputs, **queued)
        leaderboard.select(board.show, board.inputs, board.outputs, **shown)
        # Always the last: otherwise a change that comes while the one before is being answered would be lost.
        changes = [view.change, bar.chosen.change]
        gr.on(changes, address, [view, bar.chosen], bar.query, trigger_mode="always_last", **quietly)

    app.queue(api_open=False, max_size=MOST_EVENTS, default_concurrency_limit=1)
    warm_up.add(workbench.models(tuple(dict.fromkeys([*shelf.default, *shelf.builtin]))))
    atexit.register(warm_up.close, _STOP_SECONDS / 2)
    return app


def tab_at(index: object) -> str:
    """The tab at a place that a client says; raises :class:`QueryError` if there is none."""
    if not isinstance(index, int) or not 0 <= index < len(TABS):
        raise QueryError(f"There is no tab {quoted(index)}; the page has {len(TABS)}.")
    return TABS[index]


def tab_of_job(manager: JobManager, view: View) -> str:
    """The tab to open: that of the job's kind, if the view is of a job."""
    if view.job is None or view.tab not in JOB_TABS:
        return view.tab
    try:
        kind = manager.job(view.job).spec.kind
    except JobError:
        return view.tab
    return kind if kind in JOB_TABS else view.tab


def open_data(reference: str) -> tuple[Workbench, str]:
    """Open a data set to serve, or the embedded one if the Hub does not give it, with a sentence that says why.

    Raises:
        DataError: if the data is of this machine and cannot be opened.
    """
    try:
        return Workbench(reference), ""
    except DataError as error:
        if not may_be_fetched(reference):
            raise
        problem = DATA_FAILED.format(reference=reference, problem=error)
        print(f"salmu-demo: {problem}", file=sys.stderr)
        return Workbench(), problem


def job_manager(workbench: Workbench) -> JobManager:
    """The jobs of this process, on the page's own data and models where they are the same."""

    def workbench_for(data: str) -> Workbench:
        return workbench if data == workbench.data.name else Workbench(data, workbench.embedder)

    manager = JobManager(workbench_for=workbench_for, one_per_owner=on_space())
    atexit.register(manager.close)
    return manager


def launch_options() -> dict[str, Any]:
    """Settings of a public page: nothing is kept of what visitors do, and no file of the machine can be fetched."""
    max_file_size = max(upload_limit(), MAX_BYTES)
    return {
        "theme": theme(),
        "css_paths": STYLE_SHEET,
        "head": HEAD,
        "favicon_path": str(ICON),
        "footer_links": ["settings"],
        "show_error": False,
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": max_file_size,
        # No description of the addresses behind the page.
        "app_kwargs": {
            "routes": incoming_routes(max_file_size),
            "middleware": [Middleware(IncomingBodies)],
            "exception_handlers": incoming_errors(),
            "openapi_url": None,
        },
        "blocked_paths": [
            str(assets_dir() / "models"),
            str(assets_dir() / "salmu-mini"),
            str(cache_dir() / "features"),
            str(cache_dir() / "pixels"),
            str(runs_dir()),
            str(leaderboard_dir(runs_dir())),
            str(cache_dir() / "uploads"),
        ],
        "ssr_mode": False,
    }


def main(data: str | None = None) -> None:
    """Serve the app until it is interrupted.

    The data comes from the argument or `SALMU_DATA`, the port from `PORT` or `GRADIO_SERVER_PORT`. Data of the Hub that
    cannot be had is no reason not to start: the embedded data is served, and the page says why.
    """
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("salmu_demo").setLevel(logging.WARNING)
    # Its warnings hold the signed addresses of downloads.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    use_one_blas_thread()
    answers = threading.Event()
    try:
        trusted_proxies()
        check_writable(cache_dir(), "The cache", "free it or set SALMU_CACHE_DIR")
        listener = listen("0.0.0.0" if on_space() else "127.0.0.1", chosen_port())
        app = build_app(*open_data(data or os.environ.get("SALMU_DATA") or MINI), answers)
    except SalmuError as error:
        print(f"salmu-demo: {error}", file=sys.stderr)
        sys.exit(2)
    with serving(app, listener) as server:
        answers.set()
        with suppress(OSError, StorageError):  # Whoever threw this line away wants the app all the same.
            print(f"salmu-demo is running on {server.url} (stop it with Ctrl+C)", flush=True)
        server.wait()


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens on a port; without one, on the first free one from 7860 on.

    Raises:
        SalmuError: if the port, or each of those that are tried, is taken.
    """
    for number in (port,) if port else range(DEFAULT_PORT, DEFAULT_PORT + _PORTS):
        with suppress(OSError):
            return socket.create_server((host, number))
    tried = f"Port {port}" if port else f"Each port from {DEFAULT_PORT} to {DEFAULT_PORT + _PORTS - 1}"
    raise SalmuError(f"{tried} of {host} cannot be used; set PORT to a free one.")


class Server(uvicorn.Server):
    """Serves the page in a thread, so that the main thread can be stopped at any moment.

    Gradio's own `launch` ends the program on a busy machine, because it asks its own address and waits three seconds.
    """

    def __init__(self, app: gr.Blocks, listener: socket.socket) -> None:
        """Start; `listener` is closed at the end."""
        page = gr.mount_gradio_app(FastAPI(openapi_url=None), app, path="/", **launch_options())
        app.has_launched = True  # Otherwise Gradio does not check the paths of files.
        # Who asks is told by `visitors`, which knows the proxies.
        super().__init__(uvicorn.Config(page, log_level="warning", timeout_graceful_shutdown=1, proxy_headers=False))
        host, port = listener.getsockname()
        self.url = f"http://{'localhost' if host == '0.0.0.0' else host}:{port}/"
        self._thread = threading.Thread(target=self.run, args=([listener],), name="server", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def wait_until_it_answers(self) -> None:
        """On a slow machine that takes what it takes."""
        while not self.started:
            if not self.running:
                raise RuntimeError("The server could not be started.")
            time.sleep(0.01)

    def wait(self) -> None:
        """Wait until it ends."""
        self._thread.join()

    def stop(self) -> None:
        """Stop listening, and end what is being answered."""
        # What is cut off now is no fault.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self.should_exit = self.force_exit = True
        self._thread.join(_STOP_SECONDS)


@contextmanager
def serving(app: gr.Blocks, listener: socket.socket) -> Iterator[Server]:
    """Serve the page within the block, which begins when it answers; `listener` is a socket that listens."""
    server = Server(app, listener)
    with also_at_end(server.stop):
        server.wait_until_it_answers()
        yield server


def chosen_port() -> int | None:
    """The port the environment asks for, or None.

    Raises:
        SalmuError: if it is not a port number.
    """
    for name in ("PORT", "GRADIO_SERVER_PORT"):
        value = os.environ.get(name)
        if value:
            if not value.isdecimal() or not 0 < int(value) < 65536:
                raise SalmuError(f"{name} is {value!r}; it must be a number from 1 to 65535.")
            return int(value)
    return None
