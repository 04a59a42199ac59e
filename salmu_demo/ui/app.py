"""The page: header, model choice, tabs; and the program that serves it."""

import atexit
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import gradio as gr

from salmu_demo.core.errors import DataError, JobError, ModelError, QueryError, SalmuError, StorageError, quoted
from salmu_demo.core.files import check_writable
from salmu_demo.core.runtime import use_one_blas_thread
from salmu_demo.core.settings import cache_dir, on_space
from salmu_demo.data.source import MINI, may_be_fetched
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models import zero_gpu
from salmu_demo.ui.jobs.area import own_jobs, visitor_jobs
from salmu_demo.ui.jobs.outcomes import Outcomes
from salmu_demo.ui.shell.bar import (
    ON_HEADER,
    SYNC_ADDRESS,
    header,
    keep_told,
    pending_text,
    provisos,
    reference_updates,
    tell,
    top_bar,
)
from salmu_demo.ui.shell.data_shelf import DataShelf
from salmu_demo.ui.shell.incoming import Page
from salmu_demo.ui.shell.messages import shows_errors, warn
from salmu_demo.ui.shell.prefix import chosen_proxies, chosen_root_path
from salmu_demo.ui.shell.server import STOP_SECONDS, chosen_host, chosen_port, listen, serving
from salmu_demo.ui.shell.shelf import ModelShelf
from salmu_demo.ui.shell.text import DATA_FAILED, TITLE
from salmu_demo.ui.shell.view import (
    JOB_PREFIXES,
    JOB_TABS,
    MAX_MODELS,
    TAB_OF_JOBS,
    TABS,
    LinkNames,
    View,
    format_link,
    parse_link,
)
from salmu_demo.ui.shell.visitor_files import visitor_files
from salmu_demo.ui.shell.visitors import owner_of, trusted_proxies
from salmu_demo.ui.tabs.context import Context, TabHandlers, tab_module
from salmu_demo.ui.tabs.leaderboard.scoring import check_scale
from salmu_demo.ui.widgets.components import QUEUED, QUIETLY, TURNS, Handler, markup
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.warmup import WarmUp

MOST_EVENTS: Final = 512
"""Events that may wait: what a few dozen visitors ask at once, each no more than a share."""

MAX_SESSIONS: Final = 1000
"""Pages whose states are held at once; anybody can open, or invent, any number, and the one unused for longest goes."""


@dataclass(frozen=True)
class Shared:
    """What the pages of all data sets have in common: the data sets, the models, and the jobs of this process."""

    datasets: DataShelf
    models: ModelShelf
    manager: JobManager

    @classmethod
    def of(cls, workbench: Workbench, references: Sequence[str] = ()) -> "Shared":
        """Begin with the first page's data set, and offer others by reference; raises `DataError`."""
        datasets = DataShelf(workbench, references)
        manager = JobManager(workbench_for=datasets.workbench_for, one_per_owner=on_space())
        atexit.register(manager.close)
        return cls(datasets, ModelShelf(workbench), manager)


def build_app(
    workbench: Workbench, problem: str = "", answers: threading.Event | None = None, shared: Shared | None = None
) -> gr.Blocks:
    """Build the page of a data set; nothing is computed until a visitor asks, but for what the warm-up prepares.

    Args:
        workbench: the data that is served, and its models.
        problem: why it is not the data that was asked for, see `open_data`.
        answers: set once the page can be asked for, which the warm-up then waits for.
        shared: what it has in common with other pages, or None if it is the first.
    """
    shared = shared or Shared.of(workbench)
    shelf, manager = shared.models, shared.manager
    warm_up = WarmUp(workbench, answers)
    offered, default = shelf.offered(workbench.data.benchmark), shelf.default(workbench.data.benchmark)
    known_personas = frozenset(persona.identity_id for persona in workbench.data.personas)

    visitor_files()  # Components remember where Gradio's folder is when they are made.
    app = Page(title=TITLE, analytics_enabled=False)
    app.state_session_capacity = MAX_SESSIONS
    with app:
        view = gr.State(View())
        markup(header(workbench.data, problem), js_on_load=ON_HEADER)
        bar = top_bar(shelf, warm_up, shared.datasets, workbench, view)
        app.limit(bar.chosen, MAX_MODELS)
        own = own_jobs()
        jobs = {name: visitor_jobs(own, prefix) for name, prefix in JOB_PREFIXES.items()}
        requests, viewed, led = gr.State([]), gr.State(0), gr.State(0)
        outcomes = Outcomes(workbench, manager)
        # It holds nothing but tabs: Gradio takes the place among all that it holds for the place of a tab.
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            context = Context(
                workbench,
                manager,
                shelf,
                shared.datasets,
                warm_up,
                bar,
                view,
                tabs,
                own,
                jobs,
                requests,
                viewed,
                led,
                outcomes,
            )
            parts = [_build_tab(name, context) for name in TABS]
        markup(provisos(workbench.data))

        @shows_errors
        def open_link(request: gr.Request) -> list[Any]:
            opened = shelf.opened_by(owner_of(request))
            known = LinkNames(known_personas, workbench.data.kinds, opened, default)
            link = parse_link(dict(request.query_params), known)
            for notice in link.notices:
                warn(notice, "Part of the link was left out")
            listed = list(dict.fromkeys([*offered, *link.models]))
            with suppress(ModelError):  # Whoever asks for one that is gone is told then.
                # They were added on the page of another data set.
                warm_up.add(workbench.models([name for name in link.models if not warm_up.was_asked(name)]))
            boxes = gr.CheckboxGroup(shelf.choices(listed), value=list(link.models))
            view = replace(link.view, tab=tab_of_job(manager, link.view))
            told = reference_updates(view.told, link.models)
            return [view, boxes, listed, *told, pending_text(warm_up, listed), gr.Tabs(selected=view.tab)]

        @shows_errors
        def note_tab(view: View, event: gr.EventData) -> list[Any]:
            return [replace(view, tab=tab_at(getattr(event, "index", None))), next(TURNS)]

        def address(view: View, models: list[str]) -> str:
            return format_link(view, models, default)

        opened = app.load(open_link, None, [view, bar.chosen, bar.listed, *bar.references, bar.pending, tabs], **QUEUED)
        told = [view, *bar.references]
        bar.chosen.change(keep_told, [bar.chosen, view], told, **QUEUED)
        # Not `change`, which a link that is opened would cause too.
        inputs = [component.input for component in bar.references]
        tells = gr.on(inputs, tell, [*bar.references, bar.chosen, view], told, **QUEUED)
        linked = opened.then(address, [view, bar.chosen], bar.query, **QUIETLY)
        linked.then(None, bar.query, bar.link, js=SYNC_ADDRESS)
        remembered = opened
        for _, part in parts:
            for handler in part.remembered:
                remembered = handler.on(remembered.then)
        tabs.select(note_tab, view, [view, viewed], **QUEUED)
        shown = partial(gr.on, [viewed.change, led.change])
        for tab, part in parts:
            _connect(part.opened, opened.then)
            _connect(part.told, tells.then)
            _connect(part.prepared, bar.pending.change)
            _connect(part.viewed, shown)
            _connect(part.selected, tab.select)
            _connect(part.led, led.change)
        # Always the last: otherwise a change that comes while the one before is being answered would be lost.
        changes = [view.change, bar.chosen.change]
        gr.on(changes, address, [view, bar.chosen], bar.query, trigger_mode="always_last", **QUIETLY)

    app.queue(api_open=False, max_size=MOST_EVENTS, default_concurrency_limit=1)
    warm_up.add(workbench.models(tuple(dict.fromkeys([*default, *offered]))))
    atexit.register(warm_up.close, STOP_SECONDS / 2)
    return app


def _build_tab(name: str, context: Context) -> tuple[gr.Tab, TabHandlers]:
    module = tab_module(name, context.workbench.data.benchmark)
    with gr.Tab(module.TITLE, id=name) as tab:
        return tab, module.build(context)


def _connect(handlers: Iterable[Handler], listener: Callable[..., Any]) -> None:
    for handler in handlers:
        handler.on(listener)


def tab_at(index: object) -> str:
    """The tab at a place that a client says; raises `QueryError` if there is none."""
    if not isinstance(index, int) or not 0 <= index < len(TABS):
        raise QueryError(f"There is no tab {quoted(index)}; the page has {len(TABS)}.")
    return TABS[index]


def tab_of_job(manager: JobManager, view: View) -> str:
    """The tab to open: the one that shows the job's kind, if the view is of a job."""
    if view.job is None or view.tab not in JOB_TABS:
        return view.tab
    try:
        kind = manager.job(view.job).spec.kind
    except JobError:
        return view.tab
    return TAB_OF_JOBS.get(kind, view.tab)


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


def main(data: Sequence[str] = ()) -> None:
    """Serve the app until it is interrupted.

    The data comes from the argument or `SALMU_DATA`, the port from `PORT` or `GRADIO_SERVER_PORT`. The first data set
    is that of the first page, and visitors can choose the others too. Data of the Hub that cannot be had is no reason
    not to start: the embedded data is served, and the page says why.
    """
    named = [*data] or [part.strip() for part in os.environ.get("SALMU_DATA", "").split(",") if part.strip()] or [MINI]
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("salmu_demo").setLevel(logging.WARNING)
    # Its warnings hold the signed addresses of downloads.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    use_one_blas_thread()
    answers = threading.Event()
    zero_gpu.prepare()
    try:
        trusted_proxies()
        check_writable(cache_dir(), "The cache", "free it or set SALMU_CACHE_DIR")
        chosen_root_path()
        chosen_proxies()
        listener = listen(chosen_host(), chosen_port())
        workbench, problem = open_data(named[0])
        check_scale(workbench)
        shared = Shared.of(workbench, named)
        app = build_app(workbench, problem, answers, shared)
    except SalmuError as error:
        print(f"salmu-demo: {error}", file=sys.stderr)
        sys.exit(2)

    def build(name: str) -> gr.Blocks:
        return build_app(shared.datasets.workbench(name), shared=shared)

    # What there is now stays. A search for garbage through all of it would stop every visitor for a third of a second.
    gc.freeze()
    with serving(app, listener, build) as server:
        answers.set()
        zero_gpu.announce()
        with suppress(OSError, StorageError):  # Whoever threw this line away wants the app all the same.
            print(f"salmu-demo is running on {server.url} (stop it with Ctrl+C)", flush=True)
        server.wait()
