"""Who asks: enough to give everybody one turn, without keeping who it was."""

import hashlib
import os
import secrets
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

import gradio as gr
from starlette.requests import HTTPConnection

from salmu_demo.core.errors import SalmuError
from salmu_demo.core.settings import on_space

PROXIES_VARIABLE: Final = "SALMU_TRUSTED_PROXIES"
MOST_PROXIES: Final = 10

_SALT: Final = secrets.token_bytes(16)
"""Of this process: what is stored of a visitor cannot be traced back to an address by trying all of them."""

_OWN_BITS: Final = 64
"""Of an IPv6 address: whoever has one has all that begin with them."""


def trusted_proxies() -> int:
    """How many proxies stand before this app: `SALMU_TRUSTED_PROXIES`; without it one on a Space, and none elsewhere.

    Raises:
        SalmuError: if the variable is not such a number.
    """
    value = os.environ.get(PROXIES_VARIABLE, "")
    if not value:
        return 1 if on_space() else 0
    if not value.isdecimal() or int(value) > MOST_PROXIES:
        raise SalmuError(f"{PROXIES_VARIABLE} is {value!r}; it must be a number of proxies from 0 to {MOST_PROXIES}.")
    return int(value)


def address_of(request: gr.Request | HTTPConnection) -> str:
    """The address of a visitor.

    Each proxy adds at the right of `X-Forwarded-For` the address that it was asked from. Whatever stands further left
    than the entry of the outermost trusted one can be invented, and so can all of it where fewer stand there than
    there are proxies: then the visitor is whoever asks this app.
    """
    proxies = trusted_proxies()
    entries = [entry.strip() for line in request.headers.getlist("x-forwarded-for") for entry in line.split(",")]
    connected = request.client.host if request.client else ""
    return _network(entries[-proxies] if 0 < proxies <= len(entries) else connected)


def owner_of(request: gr.Request | HTTPConnection) -> str:
    """A hash that is the same for all tabs of a visitor."""
    return hashlib.sha256(_SALT + address_of(request).encode()).hexdigest()


def _network(entry: str) -> str:
    """An address without its port; of IPv6 the part that a visitor cannot change at will."""
    bare = entry.partition("]")[0].removeprefix("[")
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    with suppress(ValueError):
        address = ip_address(bare)
        if isinstance(address, IPv6Address):
            return str(address.ipv4_mapped or ip_network((int(address), _OWN_BITS), strict=False))
        return str(address)
    return entry
