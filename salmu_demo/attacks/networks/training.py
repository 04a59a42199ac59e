"""Training as an attacker does it: a few steps from a model's weights, and what the model then says of pairs."""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from salmu_demo.attacks.pairs import PairFeatures
from salmu_demo.attacks.recipe import AttackRecipe
from salmu_demo.attacks.target import Target
from salmu_demo.data.dataset import Split
from salmu_demo.data.sampler import Sampler
from salmu_demo.features.pixels import ImageSet, PixelReader
from salmu_demo.models.encoder import IMAGE_BATCH, TEXT_BATCH
from salmu_demo.models.optimisation import contrastive_loss, encode_captions, make_optimizer

CLIP_NORM: Final = 1.0
WARM_UP: Final = 3
"""Steps until the learning rate is reached."""

Rows = NDArray[np.int64]


class Trainee:
    """A copy of a model that an attacker trains; the logit scale stays as it is.

    A context manager, because reading images uses threads.

    Attributes:
        network: the copy, an open_clip network.
    """

    def __init__(self, target: Target, recipe: AttackRecipe) -> None:
        """Copy the model; raises `ModelError`."""
        self._target = target
        self._recipe = recipe
        with target.view.embedder.encoders.lend(target.view.model) as encoder:
            self._encoder = encoder
            self.network: Any = copy.deepcopy(encoder.model)
        self._trained: list[torch.nn.Parameter] = []
        for name, parameter in self.network.named_parameters():
            # `logit_bias` accompanies the scale in models trained with a sigmoid loss.
            is_scale = name in ("logit_scale", "logit_bias")
            if not is_scale and (recipe.image_tower or not name.startswith("visual.")):
                self._trained.append(parameter.requires_grad_(True))
        self._opened = ExitStack()
        self._readers: dict[str, PixelReader] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self._opened.close()

    def train(self, sides: Sequence[tuple[Split, int]], seed: int) -> Iterator[int]:
        """Take the steps of the recipe, and stop at each reading to give the number of steps taken.

        The loss is CLIP's over the pairs of all sides together; equal captions are not negatives of each other. It ends
        early where the loss is not finite.

        Args:
            sides: rows, and how many of them are in a batch.
            seed: of the draws; the same seed gives the same weights to the last bit.
        """
        numbers: dict[str, int] = {}
        prepared = [_StepRows(split, size, seed, numbers) for split, size in sides]
        known = [self._known(split) for split, _ in sides]
        tokens = [self._tokens(split.texts) for split, _ in sides]
        optimizer = make_optimizer(self._trained, self._recipe.learning_rate, 0.0)
        scale, last = self.network.logit_scale.detach().exp(), self._recipe.readings[-1]
        for step in range(last):
            for group in optimizer.param_groups:
                group["lr"] = self._recipe.learning_rate * min(1.0, (step + 1) / WARM_UP)
            rows = [side.sampler.batch(step) for side in prepared]
            images = torch.cat(
                [
                    self._encoded(side.split, chosen) if features is None else features[chosen]
                    for side, features, chosen in zip(prepared, known, rows, strict=True)
                ]
            )
            texts = torch.cat([each[chosen] for each, chosen in zip(tokens, rows, strict=True)])
            groups = torch.cat([side.groups[chosen] for side, chosen in zip(prepared, rows, strict=True)])
            loss = contrastive_loss(images, encode_captions(self.network, texts), groups.to(images.device), scale)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(self._trained, CLIP_NORM)
            if not (math.isfinite(float(loss.detach())) and bool(norm.isfinite())):
                return
            optimizer.step()
            self._target.tell("training steps of the attacker", step + 1, last)
            if step + 1 in self._recipe.readings:
                yield step + 1

    @torch.no_grad()
    def features(self) -> PairFeatures:
        """What the model says of the target's pairs as it is now."""
        pairs = self._target.pairs
        split, distractors = pairs.split, pairs.distractors.texts
        texts = list(dict.fromkeys([*split.texts, *distractors]))
        encoded: dict[str, NDArray[np.float32]] = {}
        for start in range(0, len(texts), TEXT_BATCH):
            batch = texts[start : start + TEXT_BATCH]
            features = encode_captions(self.network, self._tokens(batch)).float().cpu().numpy()
            encoded.update(zip(batch, features, strict=True))
            self._target.tell("captions after the attack", start + len(batch), len(texts))
        images = self._target.features.images
        if self._recipe.image_tower:
            parts = np.array_split(np.arange(len(split)), math.ceil(len(split) / IMAGE_BATCH))
            images = np.concatenate([self._encoded(split, part).float().cpu().numpy() for part in parts])
        return PairFeatures(
            images, np.stack([encoded[text] for text in split.texts]), np.stack([encoded[t] for t in distractors])
        )

    def _known(self, split: Split) -> torch.Tensor | None:
        """Features of all images of some rows, shape (N, D); None if the image tower is trained."""
        if self._recipe.image_tower:
            return None
        return torch.from_numpy(np.array(self._target.images(split), dtype=np.float32)).to(self._encoder.device)

    def _tokens(self, texts: Sequence[str]) -> torch.Tensor:
        return self._encoder.tokens(texts).to(self._encoder.device)

    def _encoded(self, split: Split, rows: Rows) -> torch.Tensor:
        """Features of the images of some rows as the image tower is now, shape (n, D)."""
        stored, data = split.stored, self._target.data
        if stored not in self._readers:
            images = ImageSet(data.fingerprint, stored, len(data.split(stored)), lambda row: data.image(stored, row))
            reader = PixelReader(self._target.view.embedder.store, images, self._encoder)
            self._readers[stored] = self._opened.enter_context(reader)
        pixels = self._readers[stored].read(split.rows[rows], np.empty(0, dtype=np.int64))
        inputs = self._encoder.inputs(torch.from_numpy(np.array(pixels)))
        features: torch.Tensor = self.network.encode_image(inputs, normalize=True)
        return features


class _StepRows:
    """Rows of which each step takes some."""

    def __init__(self, split: Split, size: int, seed: int, numbers: dict[str, int]) -> None:
        """Prepare; `numbers` tells captions apart across all sides."""
        self.split = split
        self.groups = torch.tensor([numbers.setdefault(caption, len(numbers)) for caption in split.texts])
        self.sampler = Sampler(split.texts, size, seed, split.name)
