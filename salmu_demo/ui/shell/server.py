"""Serving the page: its look, where it listens, and what of the machine it hands out."""

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import gradio as gr
import uvicorn
from fastapi import FastAPI
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from salmu_demo.core.ending import also_at_end
from salmu_demo.core.errors import SalmuError
from salmu_demo.core.markup import render
from salmu_demo.core.settings import assets_dir, cache_dir, leaderboard_dir, on_space, runs_dir
from salmu_demo.data.images import MAX_BYTES
from salmu_demo.models.uploads import upload_limit
from salmu_demo.ui.shell.data_shelf import FOLDER
from salmu_demo.ui.shell.incoming import IncomingBodies, incoming_errors, incoming_routes
from salmu_demo.ui.shell.prefix import OF_DATA, UnderForwardedPrefix, UnderPrefix, chosen_proxies, chosen_root_path
from salmu_demo.ui.shell.preview import LinkPreview, preview_route
from salmu_demo.ui.shell.text import DESCRIPTION

STYLE_SHEET: Final = Path(__file__).with_name("style.css")
ANSWERS: Final = Path(__file__).with_name("stream.js")
ICON: Final = Path(__file__).with_name("icon.svg")

DEFAULT_PORT: Final = 7860
_PORTS: Final = 100
"""Ports that are tried when none is asked for."""

STOP_SECONDS: Final = 1.0
"""How long what is being answered when the app is stopped may take."""


def theme() -> gr.themes.Base:
    """The theme. System fonts, so that nothing is fetched; darker text than the stock theme, which is too pale."""
    return gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_text_color_subdued="*neutral_600",
        block_info_text_color="*neutral_600",
        input_placeholder_color="*neutral_500",
        block_label_text_color="*neutral_800",
        block_title_text_color="*neutral_800",
        link_text_color="*primary_700",
        link_text_color_hover="*primary_800",
        link_text_color_active="*primary_700",
        link_text_color_visited="*primary_700",
        link_text_color_dark="*primary_300",
        link_text_color_hover_dark="*primary_200",
        link_text_color_active_dark="*primary_300",
        link_text_color_visited_dark="*primary_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_text_color="white",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color_dark="white",
        button_cancel_background_fill="*neutral_100",
        button_cancel_text_color="#b91c1c",
        button_cancel_background_fill_dark="#450a0a",
        button_cancel_text_color_dark="#fecaca",
    )


def launch_options() -> dict[str, Any]:
    """Settings of a public page: nothing is kept of what visitors do, and no file of the machine can be fetched."""
    max_file_size = max(upload_limit(), MAX_BYTES)
    return {
        "theme": theme(),
        "css_paths": STYLE_SHEET,
        "head": render(
            "ui/templates/shell.html#head",
            description=DESCRIPTION,
            script=Markup(ANSWERS.read_text("utf-8")),
        ),
        "favicon_path": str(ICON),
        "footer_links": ["settings"],
        "show_error": False,
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": max_file_size,
        # No description of the addresses behind the page.
        "app_kwargs": {
            "routes": [preview_route(), *incoming_routes(max_file_size)],
            "middleware": [Middleware(IncomingBodies), Middleware(LinkPreview)],
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


class Pages:
    """The ASGI app of all pages: the first, and one for each other data set, which is built when it is first asked for.

    Gradio takes no second page into an app that runs, so each has an app of its own.
    """

    def __init__(self, first: gr.Blocks, build: Callable[[str], gr.Blocks] | None = None) -> None:
        """Take the page at the root, and what builds that of a data set by its name and raises `SalmuError`."""
        self._first = _mounted(first, "/")
        self._build = build
        self._built: dict[str, FastAPI] = {}
        self._building = asyncio.Lock()
        self._started = AsyncExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        named = OF_DATA.match(path) if self._build else None
        app: ASGIApp = self._first
        if named:
            try:
                app = await self._page(named["name"])
            except SalmuError as error:
                app = PlainTextResponse(str(error), 404)
        await app(scope, receive, send)

    async def _page(self, name: str) -> FastAPI:
        # One after another: what Gradio builds is known to the whole process.
        async with self._building:
            if name not in self._built:
                assert self._build is not None
                blocks = await run_in_threadpool(self._build, name)
                page = await run_in_threadpool(_mounted, blocks, f"/{FOLDER}/{name}")
                # Nobody tells this app that it starts, nor that it ends with the process.
                await self._started.enter_async_context(page.router.lifespan_context(page))
                self._built[name] = page
        return self._built[name]


def _mounted(app: gr.Blocks, path: str) -> FastAPI:
    options, root = launch_options(), chosen_root_path()
    icon = options.pop("favicon_path")
    page: FastAPI = gr.mount_gradio_app(
        FastAPI(openapi_url=None), app, path=path, root_path=root and f"{root}{path.rstrip('/')}", **options
    )
    app.favicon_path = icon  # Gradio takes it as an option at the root only.
    app.has_launched = True  # Otherwise Gradio does not check the paths of files.
    return page


class Server(uvicorn.Server):
    """Serves the pages in a thread, so that the main thread can be stopped at any moment.

    Gradio's own `launch` ends the program on a busy machine, because it asks its own address and waits three seconds.
    """

    def __init__(self, pages: Pages, listener: socket.socket) -> None:
        """Start; `listener` is closed at the end."""
        root, proxies = chosen_root_path(), chosen_proxies()
        page: ASGIApp = UnderPrefix(pages, root) if root else UnderForwardedPrefix(pages, proxies) if proxies else pages
        # Who asks is told by `visitors`, which knows the proxies.
        super().__init__(uvicorn.Config(page, log_level="warning", timeout_graceful_shutdown=1, proxy_headers=False))
        host, port = listener.getsockname()
        self.url = f"http://{'localhost' if host == '0.0.0.0' else host}:{port}{root or ''}/"
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
        # What is cut off now is not a fault.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self.should_exit = self.force_exit = True
        self._thread.join(STOP_SECONDS)


@contextmanager
def serving(
    app: gr.Blocks, listener: socket.socket, build: Callable[[str], gr.Blocks] | None = None
) -> Iterator[Server]:
    """Serve `Pages` within the block, which begins when they answer; `listener` is a socket that listens."""
    server = Server(Pages(app, build), listener)
    with also_at_end(server.stop):
        server.wait_until_it_answers()
        yield server


def chosen_host() -> str:
    """The address to listen on: `GRADIO_SERVER_NAME`, or every one on a Space, and this machine alone elsewhere."""
    return os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_space() else "127.0.0.1")


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
