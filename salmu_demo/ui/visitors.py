"""Who asks: enough to give everybody one turn, without keeping who it was."""

import hashlib
import secrets
from typing import Final

import gradio as gr

from salmu_demo.config import on_space

_SALT: Final = secrets.token_bytes(16)
"""Of this process: what is stored of a visitor cannot be traced back to an address by trying all of them."""


def owner_of(request: gr.Request) -> str:
    """A hash that is the same for all tabs of a visitor."""
    address = request.client.host if request.client else ""
    if on_space():
        # The Space's proxy adds the visitor's address; elsewhere anyone could write this header.
        address = request.headers.get("x-forwarded-for", address).partition(",")[0].strip()
    return hashlib.sha256(_SALT + address.encode()).hexdigest()
