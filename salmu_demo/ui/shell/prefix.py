"""The path below which another server offers the page: one that was chosen, or what a trusted proxy says."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from salmu_demo.core.errors import SalmuError
from salmu_demo.ui.shell.data_shelf import FOLDER

ROOT_PATH_VARIABLE: Final = "SALMU_ROOT_PATH"
PROXIES_VARIABLE: Final = "SALMU_FORWARDED_ALLOW_IPS"
HEADER: Final = "X-Forwarded-Prefix"

OF_DATA: Final = re.compile(rf"/{FOLDER}/(?P<name>[a-z0-9-]+)(/|$)")
"""The path of a data set's page."""

_PATH: Final = re.compile(r"(/\w[\w.~-]*)+", re.ASCII)
_LONGEST: Final = 200
_ADDRESS: Final = b"x-gradio-server"
"""Names the address of the page to Gradio, whose own server in front of it sends it."""
_ALL: Final = "*"


@dataclass(frozen=True)
class Proxies:
    """Servers whose word about the path is taken.

    Attributes:
        networks: their addresses; None for every one.
    """

    networks: Sequence[IPv4Network | IPv6Network] | None

    def __contains__(self, host: str) -> bool:
        """Whether who asks is one of them."""
        if self.networks is None:
            return True
        with suppress(ValueError):
            address = ip_address(host)
            own = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
            return any(own in network for network in self.networks)
        return False


class UnderPrefix:
    """Serves pages below a path, whether or not the server in front of them cuts the path off what it passes on."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        """Take what is served, and a path such as `/demo`."""
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] in ("http", "websocket"):
            scope = _below(scope, self._root_path)
        await self._app(scope, receive, send)


class UnderForwardedPrefix:
    """Serves pages below the path that a trusted proxy says in each request; of anybody else the header is ignored."""

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        """Take what is served, and whom to believe."""
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        client = scope.get("client")
        if scope["type"] in ("http", "websocket") and client and client[0] in self._proxies:
            try:
                prefix = forwarded_prefix(Headers(scope=scope), client[0])
            except SalmuError as error:
                await PlainTextResponse(str(error), 400)(scope, receive, send)
                return
            if prefix:
                scope = _announced(_below(scope, prefix))
        await self._app(scope, receive, send)


def forwarded_prefix(headers: Headers, proxy: str) -> str:
    """The path that a proxy says, empty if it offers the page at its root.

    A proxy adds its own at the right of what it was sent, as with `X-Forwarded-For`; the rest can be invented.

    Raises:
        SalmuError: if it says none, or it is not a path.
    """
    said = [entry.strip() for line in headers.getlist(HEADER) for entry in line.split(",")]
    if not said:
        raise SalmuError(
            f"The proxy {proxy} sends no {HEADER}, by which this app is told where its page is; have it send one, or "
            "start the app with --root-path."
        )
    prefix = said[-1].rstrip("/")
    if prefix and not (_PATH.fullmatch(prefix) and len(prefix) <= _LONGEST):
        raise SalmuError(f"{HEADER} of the proxy {proxy} is {said[-1]!r:.80}; it must be a path such as /demo.")
    return prefix


def _below(scope: Scope, root: str) -> Scope:
    """A request as one for a page below a path."""
    path = scope["path"]
    whole = path if f"{path}/".startswith(f"{root}/") else root + path
    return {**scope, "path": whole, "root_path": root}


def _announced(scope: Scope) -> Scope:
    """A request that tells Gradio the whole address of its page, which it would otherwise make up without the path."""
    headers, root = Headers(scope=scope), scope["root_path"]
    host = headers.get("x-forwarded-host", headers.get("host", "")).partition(",")[0].strip()
    of_data = OF_DATA.match(scope["path"].removeprefix(root))
    page = f"/{FOLDER}/{of_data['name']}" if of_data else ""
    address = f"{scope['scheme']}://{host}{root}{page}".encode("latin-1")
    others = [(name, value) for name, value in scope["headers"] if name not in (b"x-forwarded-host", _ADDRESS)]
    return {**scope, "headers": [*others, (_ADDRESS, address)]}


def chosen_root_path() -> str | None:
    """The path below which another server offers the page, as `SALMU_ROOT_PATH` says, or None.

    Raises:
        SalmuError: if it is not a path, or proxies are to say it too.
    """
    value = os.environ.get(ROOT_PATH_VARIABLE, "").rstrip("/")
    if not value:
        return None
    if not _PATH.fullmatch(value):
        raise SalmuError(f"{ROOT_PATH_VARIABLE} is {value!r:.80}; it must be a path such as /demo.")
    if chosen_proxies() is not None:
        raise SalmuError(
            f"{ROOT_PATH_VARIABLE} says where the page is, and {PROXIES_VARIABLE} has proxies say it; set one of them."
        )
    return value


def chosen_proxies() -> Proxies | None:
    """Whose `X-Forwarded-Prefix` is believed, as `SALMU_FORWARDED_ALLOW_IPS` says, or None for nobody's.

    Raises:
        SalmuError: if it does not list addresses or networks.
    """
    value = os.environ.get(PROXIES_VARIABLE, "").strip()
    if not value:
        return None
    if value == _ALL:
        return Proxies(None)
    try:
        return Proxies([ip_network(part.strip()) for part in value.split(",")])
    except ValueError as error:
        raise SalmuError(
            f"{PROXIES_VARIABLE} is {value!r:.80}; it must list addresses or networks such as 10.0.0.2,192.168.0.0/16, "
            f"or be {_ALL} for every address."
        ) from error
