"""The head of the page: what sites show beside a link to it, and a script that has to be there before Gradio's own."""

import os
import re
from pathlib import Path
from typing import Final

from markupsafe import Markup
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from salmu_demo.core.markup import render
from salmu_demo.ui.shell.text import DESCRIPTION, TITLE

IMAGE: Final = Path(__file__).with_name("preview.png")
"""`scripts/screenshots.py` makes it."""

FRAMES: Final = Path(__file__).with_name("frames.js")

_OF_GRADIO: Final = re.compile(rb"""<meta\s+(property="og:|name="twitter:)[^>]*>\s*""")


def preview_route() -> Route:
    """Where the image is."""
    return Route(f"/{IMAGE.name}", _image)


async def _image(_: Request) -> Response:
    return FileResponse(IMAGE)


class LinkPreview:
    """Says in the head of the page what it is, in place of what Gradio says of itself, and puts a script there."""

    def __init__(self, app: ASGIApp) -> None:
        """Take what is served."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        parts: list[bytes] = []

        async def pass_on(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                if headers.get("content-type", "").startswith("text/html"):
                    start = message
                    return
            elif start is not None:
                parts.append(message.get("body", b""))
                if message.get("more_body"):
                    return
                page = with_preview(b"".join(parts), Request(scope))
                headers = MutableHeaders(raw=list(start["headers"]))
                headers["content-length"] = str(len(page))
                await send({**start, "headers": headers.raw})
                await send({"type": "http.response.body", "body": page})
                return
            await send(message)

        await self._app(scope, receive, pass_on)


def with_preview(page: bytes, request: Request) -> bytes:
    """A page whose head says what sites are to show beside a link to it, and begins with our script."""
    host = os.environ.get("SPACE_HOST", "")
    # Whoever claims another host or protocol misleads nobody else.
    said = request.headers.get("x-forwarded-proto", "")
    protocol = said if said in ("http", "https") else request.url.scheme
    origin = f"https://{host}" if host else f"{protocol}://{request.url.netloc}"
    image = f"{origin}{request.url.path.rstrip('/')}/{IMAGE.name}"
    ours = render(
        "ui/templates/shell.html#preview",
        title=TITLE,
        description=DESCRIPTION,
        image=image,
        script=Markup(FRAMES.read_text("utf-8")),
    )
    return _OF_GRADIO.sub(b"", page).replace(b"<head>", b"<head>" + ours.encode(), 1)
