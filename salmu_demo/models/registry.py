"""Loaded models, shared by every tab, probe and evaluation of a process, within a budget of memory."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from salmu_demo.errors import ModelError
from salmu_demo.models.source import ModelSource
from salmu_demo.models.weights import parameter_count

if TYPE_CHECKING:
    from salmu_demo.models.encoder import Encoder

BUDGET_VARIABLE: Final = "SALMU_MODEL_MEMORY_GB"
SHARE_OF_MEMORY: Final = 0.4
"""Part of the machine's memory that models may take by default; pictures, features and galleries need the rest."""

PATIENCE_SECONDS: Final = 600.0
"""How long a caller waits for memory that models in use take; a benchmark lets go of a model within minutes."""

_BYTES_PER_PARAMETER: Final = 4
_CONTAINER_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


@dataclass
class _Place:
    """A model that is loaded, or being loaded for whoever waits for it."""

    size: int
    users: int = 0
    encoder: "Future[Encoder]" = field(default_factory=Future)


def memory_budget() -> int:
    """Bytes that loaded models may take: `SALMU_MODEL_MEMORY_GB`, or a share of the machine's memory.

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


class EncoderRegistry:
    """Loads each checkpoint once and lends it out; two callers that ask for the same one at once share one loading.

    The weights of all loaded models together stay within the budget. To make room, the model unused for longest goes
    first, and never one that is lent out: whoever needs that memory waits. A model that does not load takes no room
    and is tried again when it is next asked for.
    """

    def __init__(self, budget: int | None = None) -> None:
        """Take a budget in bytes; None reads it from the environment when it is first needed."""
        self._budget = budget
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._changed = threading.Condition()

    @contextmanager
    def lend(self, source: ModelSource) -> Iterator["Encoder"]:
        """The loaded model of a checkpoint, which stays loaded within the block; do not nest two of these.

        Raises:
            ModelError: if it cannot be loaded, is larger than the budget, or models in use leave no room for long.
        """
        place, mine = self._enter(source)
        try:
            if mine:
                self._load(source, place)
            yield place.encoder.result()
        finally:
            with self._changed:
                place.users -= 1
                self._changed.notify_all()

    def _enter(self, source: ModelSource) -> tuple[_Place, bool]:
        """The place of a model, marked as used, and whether the caller has to load it."""
        key = source.fingerprint
        with self._changed:
            if key in self._places:
                return self._use(key), False
        size = _BYTES_PER_PARAMETER * parameter_count(source.reader())
        with self._changed:
            # Another caller may have begun to load it meanwhile.
            if not self._changed.wait_for(
                lambda: key in self._places or self._make_room(source, size), PATIENCE_SECONDS
            ):
                raise ModelError(
                    f"{source.reference} has to wait too long for memory that other models use; try again later or "
                    f"raise {BUDGET_VARIABLE}."
                )
            mine = key not in self._places
            if mine:
                self._places[key] = _Place(size)
            return self._use(key), mine

    def _use(self, key: str) -> _Place:
        self._places.move_to_end(key)
        self._places[key].users += 1
        return self._places[key]

    def _make_room(self, source: ModelSource, size: int) -> bool:
        """Drop idle models until one of `size` bytes fits; False, and nothing dropped, if that takes one in use."""
        budget = self._budget = memory_budget() if self._budget is None else self._budget
        if size > budget:
            raise ModelError(
                f"{source.reference} takes {size / 1e9:.2f} GB, more than the {budget / 1e9:.2f} GB that models may "
                f"take; raise {BUDGET_VARIABLE}."
            )
        excess = size - budget + sum(place.size for place in self._places.values())
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
            del self._places[key]
        return True

    def _load(self, source: ModelSource, place: _Place) -> None:
        try:
            # torch and open_clip take seconds to import: whoever finds every feature on disk never pays for them.
            from salmu_demo.models.encoder import Encoder  # noqa: PLC0415

            place.encoder.set_result(Encoder(source))
        except BaseException as error:
            with self._changed:
                del self._places[source.fingerprint]
            place.encoder.set_exception(error)


def _machine_memory() -> int:
    """Bytes of memory this process may use: the machine's, or less if its container has a limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(total, int(_CONTAINER_LIMIT.read_text("ascii")))
    except (OSError, ValueError):  # no container, or the word "max"
        return total
