"""Loaded models, shared by every tab, probe and evaluation of a process."""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from salmu_demo.models.source import ModelSource

if TYPE_CHECKING:
    from salmu_demo.models.encoder import Encoder

MAX_LOADED: Final = 6
"""Models kept in memory; the one unused for longest goes first."""


class EncoderRegistry:
    """Loads each checkpoint once; two callers that ask for the same one at once wait for one loading."""

    def __init__(self, max_loaded: int = MAX_LOADED) -> None:
        self._max_loaded = max_loaded
        self._loaded: OrderedDict[str, Encoder] = OrderedDict()
        self._loading: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, source: ModelSource) -> "Encoder":
        """The loaded model of a checkpoint; raises :class:`ModelError` if it cannot be loaded."""
        with self._lock:
            one_at_a_time = self._loading.setdefault(source.fingerprint, threading.Lock())
        with one_at_a_time:
            with self._lock:
                encoder = self._loaded.get(source.fingerprint)
                if encoder is not None:
                    self._loaded.move_to_end(source.fingerprint)
                    return encoder
            # torch and open_clip take seconds to import: whoever finds every feature on disk never pays for them.
            from salmu_demo.models.encoder import Encoder  # noqa: PLC0415

            encoder = Encoder(source)
            with self._lock:
                self._loaded[source.fingerprint] = encoder
                if len(self._loaded) > self._max_loaded:
                    self._loaded.popitem(last=False)
            return encoder
