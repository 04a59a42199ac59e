"""Looking for what of the Hub is on this machine, without asking the Hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def asking_nobody() -> Iterator[None]:
    """Inside the block data and models of the Hub are found if they are on this machine; nothing is downloaded."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


def asks_nobody() -> bool:
    """Whether the Hub must not be asked."""
    return _ALONE.get()
