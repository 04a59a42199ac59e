"""Loaded models, shared by every tab, probe and evaluation of a process, within the budget of its memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from salmu_demo.core.memory import Memory
from salmu_demo.models.source import ModelSource
from salmu_demo.models.weights import parameter_count
from salmu_demo.models.zero_gpu import is_lent, load_encoder

if TYPE_CHECKING:
    from salmu_demo.models.encoder import Encoder

_BYTES_PER_PARAMETER: Final = 4


class EncoderRegistry:
    """Loads each checkpoint once and lends it out; two callers that ask for the same one at once share one loading.

    The weights of all loaded models together stay within the budget, see `Memory`.

    Attributes:
        memory: where they are kept; whatever else a process keeps in memory belongs there too.
    """

    def __init__(self, budget: int | None = None) -> None:
        """Take a budget in bytes; None reads it from the environment when it is first needed."""
        self.memory = Memory(budget)

    @contextmanager
    def lend(self, source: ModelSource) -> Iterator["Encoder"]:
        """The loaded model of a checkpoint, which stays loaded within the block; do not nest two of these.

        Raises:
            ModelError: if it cannot be loaded, is larger than the budget, or models in use leave no room for long.
        """

        def size() -> int:
            return _BYTES_PER_PARAMETER * parameter_count(source.reader())

        def load() -> "Encoder":
            if is_lent():
                from salmu_demo.models.lent import LentEncoder  # noqa: PLC0415 - torch, as `load_encoder`

                return LentEncoder(source)
            return load_encoder(source)

        own = source.own_encoder()
        if own is not None:
            # It goes with the moment its source stands for, and is not kept beyond it.
            yield own
            return
        with self.memory.lend(source.fingerprint, source.reference, size, load) as encoder:
            yield encoder
