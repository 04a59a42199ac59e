"""The GPU that a Space of the kind ZeroGPU lends for the length of a call.

There the package `spaces` is installed, which has to be imported before torch. Only a function that it decorates sees
the GPU, in a process of its own that is forked for it: what is given and returned passes by pickle, so a model is found
by its source and loaded there, once.
"""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from salmu_demo.models.source import ModelSource

if TYPE_CHECKING:
    from salmu_demo.models.encoder import Encoder

Features = NDArray[np.float32]
What = Literal["encode_pixels", "encode_texts"]

VARIABLE: Final = "SPACES_ZERO_GPU"
"""Is set on such a Space."""

SECONDS: Final = 20
"""For how long the GPU is asked for: loading a large model and encoding a batch take less."""

_lent: list[Callable[[ModelSource, What, NDArray[np.uint8] | Sequence[str]], Features]] = []
_loaded: dict[str, "Encoder"] = {}
"""The last model, in the process that has the GPU."""


def prepare() -> None:
    """Have what needs the GPU decorated, if this is such a Space; to be called before torch is imported."""
    if os.environ.get(VARIABLE, "").lower() in ("1", "t", "true") and find_spec("spaces") and not _lent:
        _lent.append(import_module("spaces").GPU(duration=SECONDS)(encode_there))


def leave() -> None:
    """Ask for no GPU any more."""
    _lent.clear()


def announce() -> None:
    """Tell the Space that the app answers, which `spaces` does by itself only where Gradio's own server starts."""
    if _lent:
        import_module("spaces.zero").startup()


def is_lent() -> bool:
    """Whether this process may ask for the GPU; jobs, which have processes of their own, may not."""
    return bool(_lent)


def encode(source: ModelSource, what: What, given: NDArray[np.uint8] | Sequence[str]) -> Features:
    """Features of whole batches, computed on the GPU that is lent for it."""
    return _lent[0](source, what, given)


def load_encoder(source: ModelSource) -> "Encoder":
    """A model on the best device that this process sees, in the precision of its source; raises `ModelError`."""
    # torch and open_clip take seconds to import: whoever finds every feature on disk never pays for them.
    from salmu_demo.models.encoder import Encoder  # noqa: PLC0415
    from salmu_demo.models.half import HalfEncoder  # noqa: PLC0415

    return Encoder(source) if source.precision is None else HalfEncoder(source)


def encode_there(source: ModelSource, what: What, given: NDArray[np.uint8] | Sequence[str]) -> Features:
    """The same in the process that has the GPU."""
    if source.fingerprint not in _loaded:
        _loaded.clear()
        _loaded[source.fingerprint] = load_encoder(source)
    features: Features = getattr(_loaded[source.fingerprint], what)(given)
    return features
