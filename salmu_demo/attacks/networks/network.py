"""A model's own copy of its network, for attacks that read, patch or change what is inside."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from salmu_demo.core.errors import ModelError
from salmu_demo.data.dataset import Split
from salmu_demo.features.pixels import BATCH, ImageSet, PixelReader
from salmu_demo.features.view import FeatureView

IMAGE: Final = "image"
TEXT: Final = "text"
TOWERS: Final = (IMAGE, TEXT)

Floats = NDArray[np.float32]
Hook = Callable[[torch.Tensor], torch.Tensor | None]
"""Takes what a block gives, shape (B, L, W), and returns what is to stand in its place, or None to leave it."""


class Network:
    """A copy of a model's weights, which nobody else computes with.

    Attributes:
        module: the open_clip network.
        encoder: the loaded model that it is a copy of.
    """

    def __init__(self, view: FeatureView) -> None:
        """Load the model, or copy what is loaded; raises `ModelError`."""
        self._view = view
        with view.embedder.encoders.lend(view.model) as encoder:
            self.encoder = encoder
            self.module: Any = copy.deepcopy(encoder.model)
        self.logit_scale = encoder.logit_scale

    def images(self, split: Split) -> Iterator[torch.Tensor]:
        """Inputs of the images of some rows, in batches of shape (B, 3, H, W); raises `ImageError`."""
        data = self._view.data
        stored = split.stored
        images = ImageSet(data.fingerprint, stored, len(data.split(stored)), lambda row: data.image(stored, row))
        with PixelReader(self._view.embedder.store, images, self.encoder) as reader:
            for start in range(0, len(split), BATCH):
                rows, following = split.rows[start : start + BATCH], split.rows[start + BATCH : start + 3 * BATCH]
                # A copy: the pixels may be a read-only map of the cache, which torch does not accept.
                yield self.encoder.inputs(torch.from_numpy(np.array(reader.read(rows, following))))

    def texts(self, texts: Sequence[str]) -> Iterator[torch.Tensor]:
        """Tokens of texts, in batches of shape (B, context length)."""
        for start in range(0, len(texts), BATCH):
            yield self.encoder.tokens(texts[start : start + BATCH]).to(self.encoder.device)

    def inputs(self, tower: str, split: Split) -> Iterator[torch.Tensor]:
        """What a tower takes of some rows: their images or their captions, in batches."""
        return self.images(split) if tower == IMAGE else self.texts(split.texts)

    @torch.inference_mode()
    def encode(self, tower: str, batch: torch.Tensor) -> Floats:
        """Features of a batch, shape (B, D), each of length 1."""
        encode = self.module.encode_image if tower == IMAGE else self.module.encode_text
        features: Floats = encode(batch, normalize=True).float().cpu().numpy()
        return features

    def features(self, tower: str, split: Split) -> Floats:
        """Features of the images or captions of some rows, shape (N, D)."""
        return np.concatenate([self.encode(tower, batch) for batch in self.inputs(tower, split)])

    def blocks(self, tower: str) -> list[Any]:
        """Transformer blocks of a tower.

        Raises:
            ModelError: if it is not a transformer.
        """
        blocks = getattr(self._transformer(tower), "resblocks", None)
        if not blocks:
            raise ModelError(f"{self._view.model.reference} has no transformer as its {tower} tower")
        return list(blocks)

    @contextmanager
    def hooked(self, tower: str, hooks: Sequence[Hook]) -> Iterator[None]:
        """Call a hook with what each block of a tower gives, within a block; raises `ModelError`."""
        batch_first = getattr(self._transformer(tower), "batch_first", True)

        def called(hook: Hook) -> Callable[[Any, Any, torch.Tensor], torch.Tensor | None]:
            def call(_module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor | None:
                replaced = hook(output if batch_first else output.transpose(0, 1))
                return replaced if replaced is None or batch_first else replaced.transpose(0, 1)

            return call

        handles = [
            block.register_forward_hook(called(hook)) for block, hook in zip(self.blocks(tower), hooks, strict=True)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def hidden(self, tower: str, batch: torch.Tensor) -> list[torch.Tensor]:
        """What each block of a tower gives for a batch, of shape (B, L, W) each; raises `ModelError`."""
        found: list[torch.Tensor] = []
        with self.hooked(tower, [found.append] * len(self.blocks(tower))):
            self.encode(tower, batch)
        return found

    def patched(self, tower: str, batch: torch.Tensor, block: int, hidden: torch.Tensor) -> Floats:
        """Features of a batch, shape (B, D), with `hidden` in place of what a block gives; raises `ModelError`."""
        hooks: list[Hook] = [lambda _: None] * len(self.blocks(tower))
        hooks[block] = lambda _: hidden
        with self.hooked(tower, hooks):
            return self.encode(tower, batch)

    def states(self, tower: str, split: Split) -> list[Floats]:
        """What each block of a tower knows of some rows, of shape (N, 2 W) and length 1 each.

        The first half is the token that the feature is read off (the class token of an image, the last one of a text),
        the second half the mean of all tokens.

        Raises:
            ModelError: if the tower is not a transformer.
        """
        rows = [
            [_summary(hidden, batch if tower == TEXT else None) for hidden in self.hidden(tower, batch)]
            for batch in self.inputs(tower, split)
        ]
        return [np.concatenate(of_block) for of_block in zip(*rows, strict=True)]

    def _transformer(self, tower: str) -> Any:
        # Some model families have the text tower in a submodule.
        holder = self.module.visual if tower == IMAGE else getattr(self.module, "text", self.module)
        return getattr(holder, "transformer", None)

    @torch.no_grad()
    def quantise(self, bits: int) -> None:
        """Round every matrix to so many bits: symmetric, one scale for each output channel, to the nearest."""
        largest = 2 ** (bits - 1) - 1
        for weights in self._matrices():
            rows = weights.reshape(len(weights), -1)
            scale = rows.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny) / largest
            weights.copy_(((rows / scale).round() * scale).reshape(weights.shape))

    @torch.no_grad()
    def pull(self, original: "Network", share: float) -> None:
        """Move every weight this share of the way to those of a network of the same architecture."""
        others = dict(original.module.named_parameters())
        for name, weights in self.module.named_parameters():
            weights.lerp_(others[name], share)

    def _matrices(self) -> Iterator[torch.Tensor]:
        return (weights for weights in self.module.parameters() if weights.ndim > 1)


def _summary(hidden: torch.Tensor, tokens: torch.Tensor | None) -> Floats:
    """One row for each row of a batch: the token that is read off beside the mean of all, of length 1 together."""
    if tokens is None:
        read, mean = hidden[:, 0], hidden.mean(dim=1)
    else:
        hidden = hidden[:, : tokens.shape[1]]
        used = (tokens != 0).to(hidden.dtype)
        last = (used * torch.arange(1, tokens.shape[1] + 1, device=tokens.device)).argmax(dim=1)
        read = hidden[torch.arange(len(hidden), device=hidden.device), last]
        mean = (hidden * used[..., None]).sum(dim=1) / used.sum(dim=1, keepdim=True)
    both = torch.cat([torch.nn.functional.normalize(part, dim=1) for part in (read, mean)], dim=1)
    state: Floats = (both / 2**0.5).float().cpu().numpy()
    return state
