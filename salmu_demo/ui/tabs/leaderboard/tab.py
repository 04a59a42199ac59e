"""The leaderboard: rows of one data set at a time, imports, and files to take away."""

import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import gradio as gr

from salmu_demo.core.errors import QueryError, ResultError, SalmuError
from salmu_demo.core.files import entries_within, write_text
from salmu_demo.core.settings import leaderboard_dir, on_space, runs_dir
from salmu_demo.leaderboard.board import Board, find_row, read_board
from salmu_demo.leaderboard.export import submission
from salmu_demo.leaderboard.files import import_result, imported_results, job_results
from salmu_demo.leaderboard.freshness import Freshness
from salmu_demo.leaderboard.groups import DataGroup
from salmu_demo.leaderboard.ranking import DEFAULT_ORDERS, Choice, check_order, ranked
from salmu_demo.leaderboard.rows import Row, RowSource
from salmu_demo.leaderboard.sweeps import embedded_sweeps
from salmu_demo.ui.shell.incoming import MAX_FILES, gives_paths
from salmu_demo.ui.shell.messages import inform, shows_errors, warn
from salmu_demo.ui.shell.visitor_files import visitor_files
from salmu_demo.ui.shell.visitors import owner_of
from salmu_demo.ui.tabs.context import Context, TabHandlers
from salmu_demo.ui.tabs.leaderboard.scoring import Scoring, chosen_scale
from salmu_demo.ui.tabs.leaderboard.view import (
    SOURCES,
    board_html,
    group_choices,
    orders,
    problems_html,
    row_choices,
)
from salmu_demo.ui.widgets.components import SHOWN, Handler, choices, chosen, markup, served
from salmu_demo.workbench.bench import Workbench

MAX_VISITOR_IMPORTS: Final = 10
"""Files a visitor of a Space can import; each is at most as large as an upload may be."""

MAX_IMPORTED_BYTES: Final = 500_000_000
"""What all visitors of a Space have imported, together."""

SESSION_SECONDS: Final = 4 * 3600
"""How long a visitor's imports are kept without being used."""

_NOBODY: Final = "nobody"
"""Stands for a visitor who has imported nothing; nothing is ever kept under it."""

INTRODUCTION: Final = (
    "Published, local and imported results, ranked within one data set and one sample, never across. Import takes the "
    "official result files (`evaluation_….json`) and `results.json`."
)
SUBMIT: Final = (
    "A public model of the Hub. The queue measures it on the data of this page, and its row is there for everybody."
)
NOT_SCORED: Final = "The board of this page does not score; its owner can have it do so with SALMU_BOARD."
SUBMITTED: Final = "{name} waits to be scored; its row appears when the queue has measured it."
KEPT_HERE: Final = "Imported files are copied to this machine's folder `{folder}`; delete a copy to remove its rows."
KEPT_BY_SESSION: Final = "On this page you see the published rows, your own runs, and what you import while it is open."


class Library:
    """The result files a visitor may see; on a Space those of the visitor's own jobs and imports only."""

    def __init__(self, workbench: Workbench, runs: Path, scoring: Scoring | None = None) -> None:
        self._runs, self._scoring = runs, scoring
        self._data, self._benchmark = workbench.data.fingerprint, workbench.data.benchmark
        self._freshness = Freshness(workbench.models, workbench.data)
        self._visitors = visitor_files().private_folder("leaderboard", SESSION_SECONDS)

    def board(self, own_jobs: Any, session: str) -> Board:
        """The leaderboard as a visitor sees it: rows of the benchmark that the page's data belong to."""
        own = own_jobs if isinstance(own_jobs, list) else []
        scored = job_results(self._runs, self._scoring.scored()) if self._scoring else []
        local = job_results(self._runs, [job for job in own if isinstance(job, str)] if on_space() else None)
        imported = imported_results(self._imports(session))
        local = [path for path in local if path not in scored]
        board = read_board(local, imported, self._freshness, sweeps=embedded_sweeps(), own=self._data, scored=scored)
        return replace(board, groups=tuple(group for group in board.groups if group.benchmark == self._benchmark))

    def take(self, upload: str, session: str) -> tuple[Path, str]:
        """Import an uploaded file, which is deleted; returns the copy, and the visitor's session.

        Raises:
            SalmuError: if it is not a result file, cannot be kept, or visitors have imported too much.
        """
        session = session or secrets.token_hex(16)
        with visitor_files().claimed(upload) as file:
            folder = self._imports(session)
            if on_space():
                self._check_room(file, folder)
            return import_result(file, folder), session

    def forget(self, session: str) -> None:
        """Delete what a visitor of a Space imported, when the page has been closed for a while."""
        if session:
            shutil.rmtree(self._visitor_folder(session), ignore_errors=True)

    @staticmethod
    def submission_file(row: Row) -> str:
        """A row as a file to hand in, which the page serves; raises `SalmuError`."""
        file = submission(row)
        with tempfile.TemporaryDirectory(dir=visitor_files().private) as folder:
            path = Path(folder) / file.name
            write_text(path, file.text, "The submission")
            return served(path)

    def _check_room(self, file: Path, folder: Path) -> None:
        if len(imported_results(folder)) >= MAX_VISITOR_IMPORTS:
            raise ResultError(f"{file.name} was not imported: {MAX_VISITOR_IMPORTS} files are the most here.")
        kept = sum(status.st_size for path, status in entries_within(self._visitors) if path.suffix == ".json")
        if kept + file.stat().st_size > MAX_IMPORTED_BYTES:
            raise ResultError(f"{file.name} was not imported: there is no room for more files; try again later.")

    def _imports(self, session: str) -> Path:
        """Folder of the imports: one for all on a machine of one's own, one for each visitor of a Space."""
        if not on_space():
            return leaderboard_dir(self._runs)
        folder = self._visitor_folder(session or _NOBODY)
        with suppress(FileNotFoundError):
            os.utime(folder)  # It is still in use.
        return folder

    def _visitor_folder(self, session: str) -> Path:
        return self._visitors / session


@dataclass(frozen=True)
class LeaderboardInputs:
    """What a visitor has and asks for: the values of the components, in their order."""

    jobs: Any
    session: str
    group: str | None
    order: str
    search: str
    source: str


TITLE: Final = "Leaderboard"


def build(context: Context) -> TabHandlers:
    """Build the tab into the current Blocks context; on a Space it shows the results of the visitor's own jobs only."""
    own_jobs = context.own_jobs
    runs_folder = runs_dir()
    gr.Markdown(f"{INTRODUCTION} {KEPT_BY_SESSION if on_space() else ''}")
    with gr.Row():
        group = gr.Dropdown([], label="Data", elem_id="board-group", scale=2, min_width=280)
        benchmark = context.workbench.data.benchmark
        first = DEFAULT_ORDERS[benchmark]
        order = gr.Dropdown(orders(benchmark), value=first, label="Sort by", elem_id="board-order", min_width=220)
    with gr.Row():
        search = gr.Textbox(
            label="Search by name", placeholder="Part of a name", max_length=200, elem_id="board-search", min_width=200
        )
        source = gr.Radio(SOURCES, value="", label="Source", elem_id="board-source", min_width=280)
    table = choices(elem_id="board-table")
    with gr.Row():
        upload = gr.UploadButton(
            "Import result files", file_types=[".json"], file_count="multiple", elem_id="board-import", min_width=180
        )
        gives_paths(upload)
        picked = gr.Dropdown([], label="Result to hand in", elem_id="board-row", scale=2, min_width=240)
        hand_in = gr.DownloadButton("Submission file", interactive=False, elem_id="board-submission", min_width=180)
    if not on_space():
        gr.Markdown(KEPT_HERE.format(folder=leaderboard_dir(runs_folder)), elem_classes="quiet")
    scale = chosen_scale()
    scoring = Scoring(context.workbench, context.manager, context.shelf, scale) if scale else None
    with gr.Row(visible=scale is not None, elem_classes="controls"):
        submitted = gr.Textbox(
            label="Submit a model", info=SUBMIT, placeholder="organisation/name", max_length=200, scale=3,
            elem_id="board-submit-model", min_width=280,
        )  # fmt: skip
        submit = gr.Button("Have it scored", variant="primary", elem_id="board-submit", min_width=180)
    queue = markup(elem_id="board-queue", visible=scale is not None)
    library = Library(context.workbench, runs_folder, scoring)
    session = gr.State("", time_to_live=SESSION_SECONDS, delete_callback=library.forget)

    def shown_group(board: Board, asked: LeaderboardInputs) -> DataGroup:
        return next((known for known in board.groups if known.id == asked.group), board.groups[0])

    def page(board: Board, asked: LeaderboardInputs) -> list[Any]:
        shown = shown_group(board, asked)
        choice = Choice(source=RowSource(asked.source) if asked.source else None, search=asked.search)
        rows = ranked(shown, asked.order, choice)
        return [
            board_html(shown, rows, asked.order) + problems_html(board.problems),
            gr.Dropdown(row_choices(rows), value=None),
            gr.DownloadButton(value=None, interactive=False),
        ]

    def with_groups(board: Board, asked: LeaderboardInputs) -> list[Any]:
        return [gr.Dropdown(group_choices(board.groups), value=shown_group(board, asked).id), *page(board, asked)]

    @shows_errors
    def show(*values: Any) -> list[Any]:
        asked = LeaderboardInputs(*values)
        return page(library.board(asked.jobs, asked.session), asked)

    @shows_errors
    def sort(event: gr.EventData, *values: Any) -> list[Any]:
        asked = LeaderboardInputs(*values)
        asked = replace(asked, order=check_order(chosen(event)))
        return [asked.order, *page(library.board(asked.jobs, asked.session), asked)]

    @shows_errors
    def open_tab(*values: Any) -> list[Any]:
        asked = LeaderboardInputs(*values)
        return with_groups(library.board(asked.jobs, asked.session), asked)

    @shows_errors
    def take(uploads: list[str] | None, *values: Any) -> list[Any]:
        asked, copies, uploads = LeaderboardInputs(*values), [], uploads or []
        for upload_path in dict.fromkeys(uploads[:MAX_FILES]):
            try:
                copy, own_session = library.take(upload_path, asked.session)
            except SalmuError as error:
                warn(str(error), "Not imported")
                continue
            asked = replace(asked, session=own_session)
            copies.append(copy)
        board = library.board(asked.jobs, asked.session)
        if copies:
            known = {path for group in board.groups for row in group.rows for path in row.copies}
            twice = sum(copy in known or copies.count(copy) > 1 for copy in copies)
            again = f" {twice} of them hold what was there already." if twice else ""
            inform(f"{len(copies)} of {len(uploads)} files are on the leaderboard.{again}", "Imported")
            # What was imported is what the visitor wants to see, whatever was chosen before.
            imported = (
                known.id for known in board.groups if any(copies[0] in (row.file, *row.copies) for row in known.rows)
            )
            asked = replace(asked, group=next(imported, asked.group))
        return [asked.session, *with_groups(board, asked)]

    @shows_errors
    def prepare(row_id: str | None, jobs: Any, visitor: str) -> Any:
        if not row_id:
            return gr.DownloadButton(value=None, interactive=False)
        rows = [row for known in library.board(jobs, visitor).groups for row in known.rows]
        return gr.DownloadButton(value=library.submission_file(find_row(row_id, rows)), interactive=True)

    @shows_errors
    def have_scored(typed: str, request: gr.Request) -> list[Any]:
        if scoring is None:
            raise QueryError(NOT_SCORED)
        job = scoring.submit(typed, owner_of(request))
        inform(SUBMITTED.format(name=job.spec.models[-1]), "Submitted")
        return ["", scoring.html()]

    inputs = [own_jobs, session, group, order, search, source]
    shown = [table, picked, hand_in]
    opening = Handler(open_tab, inputs, [group, *shown], SHOWN)
    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 4, "api_visibility": "private"}
    # A browser hands in what it knows of its jobs after the page has opened.
    opening.on(own_jobs.change, **quiet)
    table.click(sort, inputs, [order, *shown], **quiet)
    # The data sets to choose from are left alone: to replace them would undo a choice made meanwhile.
    changes = [group.input, order.input, source.input, search.change]
    gr.on(changes, show, inputs, shown, trigger_mode="always_last", **quiet)
    upload.upload(
        take,
        [upload, *inputs],
        [session, group, *shown],
        show_progress_on=table,
        api_visibility="private",
        concurrency_limit=2,
    )
    picked.input(prepare, [picked, own_jobs, session], hand_in, **quiet)
    gr.on(
        [submit.click, submitted.submit], have_scored, submitted, [submitted, queue], show_progress_on=submit,
        api_visibility="private", concurrency_limit=1,
    )  # fmt: skip
    if scoring is None:
        return TabHandlers(selected=[opening])
    return TabHandlers(selected=[opening, Handler(scoring.html, [], [queue], SHOWN)])
