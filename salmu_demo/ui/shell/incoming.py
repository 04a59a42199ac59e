"""What comes from clients, before any handler sees it: uploads, and values that stand for files."""

import json
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import gradio as gr
from fastapi.exceptions import RequestValidationError
from gradio.block_function import BlockFunction
from gradio.blocks import BlocksConfig
from gradio.data_classes import FileData, ImageData, ListFiles
from gradio.route_utils import FnIndexInferError, GradioMultiPartParser, GradioUploadFile
from gradio.routes import file_upload_statuses
from gradio.state_holder import SessionState
from gradio_client.utils import strip_invalid_filename_characters, traverse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from salmu_demo.core.errors import QueryError, SalmuError, UploadError
from salmu_demo.ui.shell.messages import failed
from salmu_demo.ui.shell.values import checked, said
from salmu_demo.ui.shell.visitor_files import visitor_files
from salmu_demo.ui.shell.visitors import address_of

MAX_FILES: Final = 10
"""Files of one upload; each takes an open file while it comes in."""

NOT_ASKED_FOR: Final = "A value that this page does not ask for was sent; load the page again."

TOO_MANY: Final = "{count} of your requests are waiting; try again when some have been answered."
MOST_WAITING: Final = 32
"""Events of one visitor that may wait; opening the page takes about ten."""

MAX_BODY: Final = 8_000_000
"""Bytes of a request that is not an upload."""

MAX_SESSION: Final = 100
"""Characters of the name that a client gives to its session, which is held as long as the session."""

_MOST_READ: Final = 200_000_000
"""Bytes of a request that are read only for its sender to hear why it is refused: who is cut off reads no answer."""

_SMALL_BODY: Final = 64_000
"""Bytes that are parsed at once; larger bodies must not hold up other requests."""

_STOPPING: Final = ("/cancel", "/reset")
"""Routes that stop an event. Gradio's page calls them for one that it has not been told the number of yet, too."""

_LOOK_SECONDS: Final = 0.01
"""Between two looks for a new event while there is none."""

_TELL_SECONDS: Final = 0.1
"""Between two messages of the progress of an event."""

_META: Final = {"_type": "gradio.FileData"}
_CHECK_BYTES: Final = 16_000_000


class _Parts(BlocksConfig):
    """The components and events of a page, of which sessions get a copy each.

    Gradio describes every component for a session, anew whenever it changes, and keeps what a visitor typed in these
    descriptions, to make links that this page does not use. A session's descriptions are empty here: they would take
    most of the time in which a session begins, and a good part of that of an event, texts of visitors would stay in
    them, and a megabyte for each session that somebody invents.
    """

    def __copy__(self) -> BlocksConfig:
        own: BlocksConfig = super().__copy__()  # type: ignore[no-untyped-call]
        own.config_for_block = _no_description  # type: ignore[method-assign, assignment]
        return own


def _no_description(*_: Any) -> dict[str, Any]:
    return {}


class Page(gr.Blocks):
    """Blocks whose events get values that their components could hold, and no path but those of uploads.

    Gradio checks a path only where a payload carries the right `meta`, fetches what has an address for a path, and lets
    each component make of the rest what it likes. Here every value of every event is looked through first, and
    sessions keep no more than their states.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.default_config = _Parts(self)
        self._limits: dict[int, int] = {}

    def __exit__(self, *failure: Any) -> None:
        """Close the page; an event whose progress is hidden says so of nothing.

        Gradio's client writes the state of every event to all components that events ever said it of, and searches the
        whole page for each of them: on a large page this is most of what an event costs the browser.
        """
        super().__exit__(*failure)
        for block_fn in self.fns.values():
            if block_fn.show_progress == "hidden":
                block_fn.show_progress_on = []

    def limit(self, component: gr.CheckboxGroup, count: int) -> None:
        """Give handlers the first choices of a component only, except those that take values as they come."""
        self._limits[component._id] = count

    def queue(self, *args: Any, **options: Any) -> "Page":
        """See `gradio.Blocks.queue`; here one visitor cannot fill it."""
        super().queue(*args, **options)
        # After each event Gradio makes a table of the last ten thousand, for a page of statistics that is not served:
        # more work than most of our answers take.
        self._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
        # It would look for events a thousand times a second, and for their progress a hundred times, also while nobody
        # asks for anything: a twentieth of a core for each page.
        self._queue.sleep_when_free = _LOOK_SECONDS
        self._queue.progress_update_sleep_when_free = _TELL_SECONDS
        push = self._queue.push

        async def fair(body: Any, request: Request, username: str | None) -> Any:
            if body.fn_index not in self.fns:
                return False, NOT_ASKED_FOR, "error"
            address = address_of(request)
            waiting = [event for line in self._queue.event_queue_per_concurrency_id.values() for event in line.queue]
            if sum(address_of(event.request) == address for event in waiting) >= MOST_WAITING:
                return False, TOO_MANY.format(count=MOST_WAITING), "queue_full"
            return await push(body, request, username)

        self._queue.push = fair  # type: ignore[method-assign]
        return self

    async def process_api(self, block_fn: Any, inputs: Any, *args: Any, **options: Any) -> dict[str, Any]:
        """See `gradio.Blocks.process_api`."""
        event: gr.EventData | None = options.get("event_data")
        if event is not None:
            event._data = said(event._data)
        request = options.get("request")
        if isinstance(request, list):
            # A client may call its event one of a batch, which none of the page's is.
            options["request"] = request[0]
        answer: dict[str, Any] = await super().process_api(block_fn, inputs, *args, **options)
        return answer

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: SessionState | None, explicit_call: bool = False
    ) -> list[Any]:
        """See `gradio.Blocks.preprocess_data`; a value that is refused becomes a message, not a traceback."""
        try:
            sound = traverse(self._sound(block_fn, inputs, state), _checked, _stands_for_a_file)
            values: list[Any] = await super().preprocess_data(block_fn, sound, state, explicit_call)
        except SalmuError as error:
            raise failed(str(error)) from error
        except gr.Error as error:
            raise failed(str(error.message)) from error
        except Exception as error:
            # Nothing but what the client sent is read here, and there are as many errors as there are components.
            raise failed(NOT_ASKED_FOR) from error
        return values

    def _sound(self, block_fn: BlockFunction, inputs: list[Any], state: SessionState | None) -> list[Any]:
        """The values, each in the form that its component has them; raises `QueryError`."""
        if len(inputs) != len(block_fn.inputs):
            raise QueryError(NOT_ASKED_FOR)
        values: list[Any] = []
        filled = {component._id for component in block_fn.outputs}
        for component, value in zip(block_fn.inputs, inputs, strict=True):
            if component.stateful:
                values.append(None)  # The server has its own.
                continue
            # A session's own component knows the choices that it was offered. What the event itself fills may have been
            # filled by the same event a moment ago, which the page had not read when it sent this one.
            is_known = state and component._id in state and not (value is None and component._id in filled)
            own = state[component._id] if state and is_known else component
            sound = checked(own, value)
            limit = self._limits.get(component._id)
            values.append(sound[:limit] if limit is not None and block_fn.preprocess else sound)
        return values


def gives_paths(component: gr.Image | gr.UploadButton) -> None:
    """Have a component hand on the paths of uploads, which `Page` has checked, and touch no file itself.

    Gradio's own would open an image before our limits on size and format apply, and leaves an empty file behind for
    each upload of a button.
    """
    component.preprocess = _paths  # type: ignore[method-assign]


def _paths(payload: FileData | ImageData | ListFiles | None) -> Any:
    if isinstance(payload, ListFiles):
        return [file.path for file in payload]
    return None if payload is None else payload.path


class IncomingBodies:
    """Refuses requests that are far larger than any of the page's own, before they are parsed or remembered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].endswith("/upload"):
            await self._app(scope, receive, send)
            return
        body, size, more = bytearray(), 0, True
        while more and size <= _MOST_READ:
            message = await receive()
            if message["type"] != "http.request":
                return
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= MAX_BODY:
                body += chunk
            more = message.get("more_body", False)
        if size > MAX_BODY:
            await PlainTextResponse(f"A request takes {MAX_BODY:,} bytes at most.", 413)(scope, receive, send)
            return
        large = len(body) > _SMALL_BODY
        if not (await run_in_threadpool(_has_a_session, body) if large else _has_a_session(body)):
            await PlainTextResponse(NOT_ASKED_FOR, 422)(scope, receive, send)
            return
        if scope["path"].endswith(_STOPPING) and len(body) <= _SMALL_BODY and _stops_nothing(body):
            await JSONResponse({"success": True})(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def again() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, again, send)


def _stops_nothing(body: bytes | bytearray) -> bool:
    """Whether a body names no event."""
    try:
        return bool(json.loads(body)["event_id"] is None)
    except (ValueError, RecursionError, KeyError, TypeError):
        return False


def _has_a_session(body: bytes | bytearray) -> bool:
    """Whether a body has a name of a session that can be held, or is too small for its name to matter."""
    try:
        name = json.loads(body).get("session_hash", "")
    except (ValueError, RecursionError, AttributeError):
        return len(body) <= _SMALL_BODY  # What it is instead is told by whoever reads it.
    return name is None or (isinstance(name, str) and len(name) <= MAX_SESSION and name.isascii())


def incoming_errors() -> dict[Any, Any]:
    """Answers to requests that Gradio's routes stumble over: by the kind of the exception."""

    async def unreadable(_: Request, __: Exception) -> Response:
        # The framework's own answer sends back what was sent.
        return JSONResponse({"detail": NOT_ASKED_FOR}, 422)

    async def unknown(request: Request, error: Exception) -> Response:
        if "/run/" not in request.url.path or not isinstance(error.args[0], int):
            raise error
        return JSONResponse({"detail": NOT_ASKED_FOR}, 404)

    return {RequestValidationError: unreadable, FnIndexInferError: unreadable, KeyError: unknown}


def incoming_routes(max_file_size: int) -> list[Route]:
    """Routes to put before Gradio's own: uploads, and what this page has no use for.

    The latter write to disk for anybody who asks (`deep_link`, `process_recording`, `component_server`), or fetch any
    address of the internet for them (`file=http…`).
    """

    async def upload(request: Request) -> Response:
        return await _upload(request, max_file_size)

    closed = ("deep_link", "process_recording", "component_server", "component_server/", "file=http{rest:path}")
    return [
        Route("/gradio_api/upload", upload, methods=["POST"]),
        *(Route(f"/gradio_api/{path}", _closed, methods=["GET", "POST"]) for path in closed),
    ]


async def _closed(_: Request) -> Response:
    return PlainTextResponse("This page does not offer that.", status_code=404)


async def _upload(request: Request, max_file_size: int) -> Response:
    """What Gradio's route does, but into a folder of this request's own, which goes at once if the upload fails."""
    files = visitor_files()
    upload_id = request.query_params.get("upload_id")
    folder = files.new_upload()
    try:
        parser = GradioMultiPartParser(
            request.headers,
            _with_room(request),
            max_files=MAX_FILES,
            max_fields=MAX_FILES,
            upload_dir=folder,
            upload_id=upload_id,
            upload_progress=file_upload_statuses if upload_id else None,
            max_file_size=max_file_size,
        )
        form = await parser.parse()
        paths = await run_in_threadpool(_placed, form, folder)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if not isinstance(error, Exception):
            raise
        await _read_on(request)
        return _refusal(error)
    finally:
        if upload_id:
            file_upload_statuses.set_done(upload_id)
    return JSONResponse(paths)


def _refusal(error: Exception) -> Response:
    if isinstance(error, UploadError):
        return PlainTextResponse(str(error), status_code=503)
    if isinstance(error, OSError):
        return PlainTextResponse(f"The upload cannot be kept: {error.strerror or error}.", status_code=507)
    if isinstance(error, MultiPartException):
        return PlainTextResponse(error.message, status_code=413 if "maximum allowed size" in error.message else 400)
    # The parser stumbles in many ways over what is not an upload.
    return PlainTextResponse("This is not an upload of this page.", status_code=400)


async def _read_on(request: Request) -> None:
    """Read what still comes of a refused request, within bounds."""
    size = 0
    with suppress(ClientDisconnect, RuntimeError):  # Nobody is left to hear it, or all has been read.
        async for chunk in request.stream():
            size += len(chunk)
            if size > _MOST_READ:
                return


async def _with_room(request: Request) -> AsyncGenerator[bytes, None]:
    """The body of a request, as long as there is room for it."""
    unchecked = _CHECK_BYTES
    async for chunk in request.stream():
        unchecked += len(chunk)
        if unchecked >= _CHECK_BYTES:
            await run_in_threadpool(visitor_files().make_room)
            unchecked = 0
        yield chunk


def _placed(form: FormData, folder: Path) -> list[str]:
    """Give the files of an upload their names, each in a folder of its own; what else came with them is removed."""
    paths = []
    for number, (field, value) in enumerate(form.multi_items()):
        if not isinstance(value, GradioUploadFile):
            continue
        written = Path(value.file.name)
        value.file.close()
        if field != "files":
            written.unlink()
            continue
        name = strip_invalid_filename_characters(Path(value.filename or "").name)
        target = folder / str(number) / (name if name.strip(".") else "file")
        target.parent.mkdir(mode=0o700)
        paths.append(str(written.rename(target)))
    return paths


def _stands_for_a_file(value: Any) -> bool:
    return isinstance(value, dict) and bool({"path", "url", "meta"} & value.keys())


def _checked(value: dict[str, Any]) -> dict[str, Any]:
    """A payload with the path of an upload and nothing else that anybody could follow."""
    if value.get("meta") != _META:
        raise UploadError(NOT_ASKED_FOR)
    path = visitor_files().checked(value.get("path"))
    return {"path": str(path), "orig_name": path.name, "meta": dict(_META)}
