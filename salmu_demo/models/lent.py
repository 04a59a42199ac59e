"""A model whose batches are encoded on a GPU that is lent for it, see `salmu_demo.models.zero_gpu`."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from salmu_demo.core.errors import ModelError
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.source import ModelSource
from salmu_demo.models.zero_gpu import What, encode

Features = NDArray[np.float32]


class LentEncoder(Encoder):
    """An `Encoder` on the CPU that has whole batches encoded elsewhere; a single query is answered sooner here."""

    def __init__(self, source: ModelSource) -> None:
        """Load the checkpoint; raises as `Encoder` does."""
        super().__init__(source, torch.device("cpu"))

    def encode_pixels(self, pixels: NDArray[np.uint8], fill: bool = True) -> Features:
        """See `Encoder`; raises `ModelError` if the GPU cannot be had."""
        return self._elsewhere("encode_pixels", np.array(pixels)) if fill else super().encode_pixels(pixels, fill)

    def encode_texts(self, texts: Sequence[str], fill: bool = True) -> Features:
        """See `Encoder`; raises `ModelError` if the GPU cannot be had."""
        return self._elsewhere("encode_texts", list(texts)) if fill else super().encode_texts(texts, fill)

    def _elsewhere(self, what: What, given: NDArray[np.uint8] | list[str]) -> Features:
        try:
            return encode(self.source, what, given)
        except Exception as error:  # What `spaces` raises is Gradio's, which this room does not know.
            raise ModelError(
                f"The Space's GPU could not encode with {self.source.name} ({error}); sign in, or try again later."
            ) from error
