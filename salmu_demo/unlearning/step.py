"""What an objective may use in one step; everything is computed on first access."""

import zlib
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch

from salmu_demo.core.errors import DataError
from salmu_demo.data.sampler import Sampler
from salmu_demo.features.rows import Rows
from salmu_demo.models.optimisation import encode_captions
from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.batches import BatchSource, Encoded, PairSet
from salmu_demo.unlearning.stand_ins import StandIns
from salmu_demo.unlearning.towers import TrainedModel


class Step:
    """One step: a forget batch and a retain batch, of equal size if there are enough rows.

    Attributes:
        model: the model in training and its frozen original.
        number: number of the step, from 0.
        total: number of steps.
    """

    def __init__(
        self,
        model: TrainedModel,
        batches: BatchSource,
        samplers: tuple[Sampler, ...],
        number: int,
        total: int,
        seed: int,
    ) -> None:
        self.model = model
        self.number = number
        self.total = total
        self._batches = batches
        self._forget, self._retain = samplers
        self._seed = seed

    @cached_property
    def forget_rows(self) -> Rows:
        """Rows of the forget batch among the forget pairs."""
        return self._forget.batch(self.number)

    @cached_property
    def retain_rows(self) -> Rows:
        """Rows of the retain batch among the retain pairs."""
        return self._retain.batch(self.number)

    @property
    def scale(self) -> torch.Tensor:
        """Logit scale: the base model's, which never changes."""
        return self.model.scale

    def generator(self, purpose: str) -> torch.Generator:
        """A random generator for this step; it depends only on seed, step and purpose."""
        return step_generator(self._seed, self.number, purpose)

    def run_generator(self, purpose: str) -> torch.Generator:
        """A random generator that is the same in every step of a run."""
        return step_generator(self._seed, 0, purpose)

    @cached_property
    def forget(self) -> Encoded:
        """The forget batch under the model in training."""
        return self._encode(self.frozen_forget, lambda: self.forget_inputs, lambda: self.forget_tokens)

    @cached_property
    def retain(self) -> Encoded:
        """The retain batch under the model in training."""
        return self._encode(self.frozen_retain, lambda: self.retain_inputs, lambda: self.retain_tokens)

    @cached_property
    def frozen_forget(self) -> Encoded:
        """The forget batch under the frozen original."""
        return self._frozen(self._batches.forget, self.forget_rows)

    @cached_property
    def frozen_retain(self) -> Encoded:
        """The retain batch under the frozen original."""
        return self._frozen(self._batches.retain, self.retain_rows)

    @cached_property
    def generic(self) -> torch.Tensor:
        """Features of the forget images' generic captions under the model in training, shape (B, D)."""
        if self.model.towers is Towers.IMAGE:
            return self.frozen_generic
        return self.model.texts(_present(self._batches.generic_tokens)[self.forget_rows])

    @cached_property
    def frozen_generic(self) -> torch.Tensor:
        """The same under the frozen original."""
        return _present(self._batches.frozen_generic)[self.forget_rows].to(self.model.device)

    def stranger_captions(self) -> list[str]:
        """A caption about an invented person for each forget pair, see `SyntheticCaptions`."""
        return self._batches.synthetic_captions.strangers(len(self.forget_rows), self.generator("strangers"))

    def reworded_captions(self) -> list[str]:
        """Each forget pair's name in a caption of another persona, see `SyntheticCaptions`."""
        return self._batches.synthetic_captions.rewordings(self.forget_rows.tolist(), self.generator("rewordings"))

    def misplaced_captions(self) -> list[str]:
        """Each forget pair's name and value in a wording of another kind, see `SyntheticCaptions`."""
        return self._batches.synthetic_captions.misplaced(self.forget_rows.tolist(), self.generator("misplaced"))

    @property
    def stand_ins(self) -> StandIns:
        """Invented counterparts of the facts to forget."""
        return self._batches.stand_ins

    @property
    def retain_captions(self) -> list[str]:
        """Captions of the retain batch."""
        return [self._batches.retain.captions[row] for row in self.retain_rows]

    def encode_captions(self, captions: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of captions under the model in training and the frozen original, shape (N, D) each."""
        return self.model.texts(self.model.encoder.tokens(captions)), self.frozen_captions(captions)

    @torch.no_grad()
    def frozen_captions(self, captions: Sequence[str]) -> torch.Tensor:
        """Features of captions under the frozen original, shape (N, D)."""
        return encode_captions(self.model.frozen, self.model.encoder.tokens(captions).to(self.model.device))

    @cached_property
    def same_generic(self) -> torch.Tensor:
        """Mask of forget images with equal generic captions, shape (B, B)."""
        tokens = _present(self._batches.generic_tokens)[self.forget_rows]
        return (tokens[:, None] == tokens[None, :]).all(dim=2).to(self.model.device)

    @property
    def unrelated_level(self) -> float:
        """Mean cosine, under the original, of forget images with other personas' captions of the same kind."""
        return self._batches.unrelated_level

    def unrelated_quantile(self, share: float) -> float:
        """The cosine that this share of those pairs does not exceed."""
        return self._batches.unrelated_quantile(share)

    @cached_property
    def same_kind(self) -> torch.Tensor:
        """Mask of forget pairs with the same attribute kind, shape (B, B)."""
        kinds = torch.from_numpy(self._batches.kinds[self.forget_rows]).to(self.model.device)
        return kinds[:, None] == kinds[None, :]

    @cached_property
    def forget_inputs(self) -> torch.Tensor:
        """Inputs of the image tower for the forget images, shape (B, 3, H, W)."""
        return self._inputs(self._batches.forget, self.forget_rows, self._forget.batch(self.number + 1))

    @cached_property
    def retain_inputs(self) -> torch.Tensor:
        """Inputs of the image tower for the retain images, shape (B, 3, H, W)."""
        return self._inputs(self._batches.retain, self.retain_rows, self._retain.batch(self.number + 1))

    @cached_property
    def forget_tokens(self) -> torch.Tensor:
        """Tokens of the forget captions, shape (B, context length)."""
        return self._batches.forget.tokens[self.forget_rows].to(self.model.device)

    @cached_property
    def retain_tokens(self) -> torch.Tensor:
        """Tokens of the retain captions, shape (B, context length)."""
        return self._batches.retain.tokens[self.retain_rows].to(self.model.device)

    def _encode(
        self, frozen: Encoded, inputs: Callable[[], torch.Tensor], tokens: Callable[[], torch.Tensor]
    ) -> Encoded:
        # A frozen tower gives the features that are known already.
        towers = self.model.towers
        images = frozen.images if towers is Towers.TEXT else self.model.images(inputs())
        texts = frozen.texts if towers is Towers.IMAGE else self.model.texts(tokens())
        return Encoded(images, texts, frozen.groups)

    def _frozen(self, pairs: PairSet, rows: Rows) -> Encoded:
        device, known = self.model.device, pairs.frozen
        return Encoded(known.images[rows].to(device), known.texts[rows].to(device), known.groups[rows].to(device))

    def _inputs(self, pairs: PairSet, rows: Rows, following: Rows) -> torch.Tensor:
        # At the end of an epoch the next batch may repeat rows of this one; reading them ahead would be wasted.
        return self.model.encoder.inputs(pairs.pixels(rows, np.setdiff1d(following, rows)))


class Steps(Sequence[Step]):
    """The steps of a run; each access makes a new one, so that none keeps features in memory."""

    def __init__(self, model: TrainedModel, batches: BatchSource, batch_size: int, total: int, seed: int) -> None:
        self._model = model
        self._batches = batches
        self._samplers = tuple(
            Sampler(pairs.frozen.groups.tolist(), batch_size, seed, name)
            for name, pairs in (("forget", batches.forget), ("retain", batches.retain))
        )
        self._total = total
        self._seed = seed

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, number: int) -> Step:  # type: ignore[override] # a step at a time, no slices
        if not 0 <= number < self._total:
            raise IndexError(number)
        return Step(self._model, self._batches, self._samplers, number, self._total, self._seed)


def step_generator(seed: int, step: int, purpose: str) -> torch.Generator:
    """A random generator for one purpose in one step."""
    state = np.random.SeedSequence([seed, step, zlib.crc32(purpose.encode())]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]) >> 1)


def _present(tensor: torch.Tensor | None) -> torch.Tensor:
    if tensor is None:
        raise DataError("This method needs a generic caption of every forget image, and the data set lacks some.")
    return tensor
