"""A loaded CLIP model that multiplies its matrices in half precision, where the user decided so and a GPU gains by it.

Weights stay in single precision, and so does what half precision would spoil, such as sums of squares: torch's autocast
decides it layer by layer. Features differ from those of single precision in the third decimal.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from salmu_demo.core.errors import ModelError
from salmu_demo.models.encoder import Encoder, best_device
from salmu_demo.models.settings import HALVES
from salmu_demo.models.source import ModelSource

Features = NDArray[np.float32]


class HalfEncoder(Encoder):
    """An `Encoder` in the precision of its source."""

    def __init__(self, source: ModelSource, device: torch.device | None = None) -> None:
        """Load the checkpoint.

        Raises:
            ModelError: if the device gains nothing by it, the checkpoint does not load, or it fails a trial.
        """
        device = device or best_device()
        self._half = half_precision(source, device)
        super().__init__(source, device)

    def encode_pixels(self, pixels: NDArray[np.uint8], fill: bool = True) -> Features:
        """See `Encoder`."""
        with torch.autocast(self.device.type, self._half):
            return _of_length_1(super().encode_pixels(pixels, fill))

    def encode_texts(self, texts: Sequence[str], fill: bool = True) -> Features:
        """See `Encoder`."""
        with torch.autocast(self.device.type, self._half):
            return _of_length_1(super().encode_texts(texts, fill))


def half_precision(source: ModelSource, device: torch.device) -> torch.dtype:
    """The type that a source wants its matrices multiplied in.

    Raises:
        ModelError: if the device gains nothing by it, as no CPU does: autocast takes longer there.
    """
    wanted = source.precision or ""
    if device.type != "cuda" or (wanted == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False)):
        raise ModelError(
            f"{source.reference}: this machine has no GPU that is faster in {wanted}; leave the precision out "
            "(--precision)."
        )
    half: torch.dtype = getattr(torch, HALVES[wanted])
    return half


def _of_length_1(features: Features) -> Features:
    """Rounded to half precision, lengths are 1 only to the third decimal."""
    whole: Features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return whole
