"""What a process keeps in memory because it is asked for again: made once, shared by all threads, within one budget."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from sys import getsizeof
from typing import Any, Final

import numpy as np

from salmu_demo.core.errors import ModelError

BUDGET_VARIABLE: Final = "SALMU_MODEL_MEMORY_GB"
SHARE_OF_MEMORY: Final = 0.4
"""Part of the machine's memory that is taken by default; what is computed with needs the rest."""

PATIENCE_SECONDS: Final = 600.0
"""How long a caller waits for memory that models in use take; a benchmark lets go of a model within minutes."""

OVERHEAD_BYTES: Final = 1_000
"""Counted for everything that is kept, on top of its own size, so that a million small things are not free."""

_REFERENCE: Final = 8
_PLAIN: Final = frozenset((str, int, float))
CONTAINER_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


@dataclass
class _MemoryEntry:
    """A thing that is kept, or being made for whoever waits for it."""

    size: int = 0
    users: int = 0
    thing: Future[Any] = field(default_factory=Future)


def memory_budget() -> int:
    """Bytes that models and galleries may take: `SALMU_MODEL_MEMORY_GB`, or a share of the machine's memory.

    Raises:
        ModelError: if the variable is not a positive number.
    """
    value = os.environ.get(BUDGET_VARIABLE)
    if value is None:
        return int(_machine_memory() * SHARE_OF_MEMORY)
    try:
        budget = int(float(value) * 1e9)
    except (ValueError, OverflowError):
        budget = 0
    if budget <= 0:
        raise ModelError(f"{BUDGET_VARIABLE} is {value!r}; it must be a positive number of gigabytes.")
    return budget


class Memory:
    """Makes each thing once and keeps it; two callers that ask for the same one at once share one making.

    All things together stay within the budget. To make room, the one unused for longest goes first, and never one that
    is in use. A failure is told to everybody who waited for it, takes no room, and is tried again when it is next asked
    for. Things are made outside the lock: a maker may ask for other things, but not for its own.
    """

    def __init__(self, budget: int | None = None) -> None:
        """Take a budget in bytes; None reads it from the environment when it is first needed."""
        self._budget = budget
        self._places: OrderedDict[Hashable, _MemoryEntry] = OrderedDict()
        # The sizes of all places: thousands of small things are kept, and room is made for each.
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def lend(self, key: Hashable, what: str, size: Callable[[], int], make: Callable[[], Any]) -> Iterator[Any]:
        """A large thing, which stays within the block; whoever needs memory that others use waits for it.

        Args:
            key: what tells it from others.
            what: its name, for messages.
            size: returns its bytes before it is made.
            make: makes it.

        Raises:
            ModelError: if it is larger than the budget, or things in use leave no room for long.
        """
        place, mine = self._place(key)
        try:
            if mine:
                self._fill(key, place, lambda: self._make_in_room(place, what, size(), make))
            yield place.thing.result()
        finally:
            self._leave(place)

    def once(self, key: Hashable, make: Callable[[], Any], size: Callable[[Any], int]) -> Any:
        """A thing whose size is known once it is made; it is kept if it fits beside what is in use."""
        place, mine = self._place(key)
        try:
            if mine:
                self._fill(key, place, make)
                self._keep(key, place, size)
            return place.thing.result()
        finally:
            self._leave(place)

    def taken(self) -> int:
        """Bytes of everything that is kept."""
        with self._changed:
            return self._taken

    def _place(self, key: Hashable) -> tuple[_MemoryEntry, bool]:
        """The place of a thing, marked as used, and whether the caller has to make it."""
        with self._changed:
            mine = key not in self._places
            if mine:
                self._places[key] = _MemoryEntry()
            place = self._places[key]
            place.users += 1
            self._places.move_to_end(key)
            return place, mine

    def _leave(self, place: _MemoryEntry) -> None:
        with self._changed:
            place.users -= 1
            self._changed.notify_all()

    def _fill(self, key: Hashable, place: _MemoryEntry, make: Callable[[], Any]) -> None:
        try:
            place.thing.set_result(make())
        except BaseException as error:
            with self._changed:
                self._drop(key)
            place.thing.set_exception(error)

    def _make_in_room(self, place: _MemoryEntry, what: str, size: int, make: Callable[[], Any]) -> Any:
        with self._changed:
            budget = self._bytes()
            if size > budget:
                raise ModelError(
                    f"{what} takes {size / 1e9:.2f} GB, more than the {budget / 1e9:.2f} GB that models may take; "
                    f"raise {BUDGET_VARIABLE}."
                )
            if not self._changed.wait_for(lambda: self._make_room(size), PATIENCE_SECONDS):
                raise ModelError(
                    f"{what} has to wait too long for memory that other models use; try again later or raise "
                    f"{BUDGET_VARIABLE}."
                )
            self._take(place, size)
        return make()

    def _keep(self, key: Hashable, place: _MemoryEntry, size: Callable[[Any], int]) -> None:
        if place.thing.exception() is not None:
            return
        taken = OVERHEAD_BYTES + size(place.thing.result())
        with self._changed:
            if self._make_room(taken):
                self._take(place, taken)
            else:
                self._drop(key)

    def _make_room(self, size: int) -> bool:
        """Drop idle things until one of `size` bytes fits; False, and nothing dropped, if that takes one in use."""
        excess = size - self._bytes() + self._taken
        dropped = []
        for key, place in self._places.items():
            if excess <= 0:
                break
            if not place.users:
                dropped.append(key)
                excess -= place.size
        if excess > 0:
            return False
        for key in dropped:
            self._drop(key)
        return True

    def _take(self, place: _MemoryEntry, size: int) -> None:
        place.size = size
        self._taken += size

    def _drop(self, key: Hashable) -> None:
        self._taken -= self._places.pop(key).size

    def _bytes(self) -> int:
        self._budget = memory_budget() if self._budget is None else self._budget
        return self._budget


def size_of(thing: object) -> int:
    """About how many bytes something made of arrays, texts and records takes; what it shares with others counts too."""
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if isinstance(thing, (list, tuple)):
        return _sizes(thing)
    if isinstance(thing, dict):
        return _sizes(thing) + _sizes(thing.values()) - _REFERENCE * len(thing)
    if is_dataclass(thing):
        kind: Any = type(thing)
        return _sizes([getattr(thing, name) for name in _field_names(kind)])
    return getsizeof(thing)


def _sizes(things: Collection[object]) -> int:
    """References to some things, and these.

    An audit keeps hundreds of readings with hundreds of texts: to ask about each by itself takes a fifth of its time.
    """
    if _PLAIN.issuperset(map(type, things)):
        return _REFERENCE * len(things) + sum(map(getsizeof, things))
    return sum(_REFERENCE + (getsizeof(each) if type(each) in _PLAIN else size_of(each)) for each in things)


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(entry.name for entry in fields(kind))


def _machine_memory() -> int:
    """Bytes of memory this process may use: the machine's, or less if its container has a limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int(CONTAINER_LIMIT.read_text("ascii")))
    except (OSError, ValueError):  # no container, or the word "max"
        return total
