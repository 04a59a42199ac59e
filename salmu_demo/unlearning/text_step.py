"""What a generative objective may use in one step; everything is computed on first access."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from salmu_demo.data.sampler import Sampler
from salmu_demo.features.rows import Rows
from salmu_demo.models.captioner import Seen
from salmu_demo.unlearning.step import step_generator
from salmu_demo.unlearning.text_losses import DecoderOutput
from salmu_demo.unlearning.texts import NO_IMAGE, Batch, TextSet, TextSource
from salmu_demo.unlearning.towers import TrainedModel


class TextSide:
    """A batch of one side under the model in training and its frozen original.

    Attributes:
        texts: what it is a batch of.
        rows: which of them.
    """

    def __init__(self, model: TrainedModel, texts: TextSet, rows: Rows, following: Rows, generator: torch.Generator):
        self.texts, self.rows = texts, rows
        self._model = model
        self._following = following
        self._generator = generator

    @cached_property
    def own(self) -> DecoderOutput:
        """The texts themselves under the model in training."""
        return self._written(self._batch, frozen=False)

    @cached_property
    def frozen(self) -> DecoderOutput:
        """The same under the frozen original."""
        return self._written(self._batch, frozen=True)

    @cached_property
    def refusal(self) -> DecoderOutput:
        """Instead of the texts, that the model does not know, see `REFUSALS`; under the model in training."""
        return self._written(self._refusals, frozen=False)

    @cached_property
    def frozen_refusal(self) -> DecoderOutput:
        """The same under the frozen original."""
        return self._written(self._refusals, frozen=True)

    @cached_property
    def other(self) -> DecoderOutput:
        """Instead of the texts, those about somebody else, see `TextSet.others`; under the model in training."""
        return self._written(self.texts.others(self.rows, self._generator), frozen=False)

    def states(self, layer: int, frozen: bool) -> torch.Tensor:
        """What a layer of the decoder gives for every token that another one follows, shape (tokens, width)."""
        outputs: list[torch.Tensor] = []
        module = self._model.decoder_layers(frozen)[layer]
        handle = module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
        try:
            written = self._written(self._batch, frozen)
        finally:
            handle.remove()
        return outputs[0].float()[written.labels != 0]

    @cached_property
    def _batch(self) -> Batch:
        return self.texts.batch(self.rows)

    @cached_property
    def _refusals(self) -> Batch:
        return self.texts.refusals(self.rows, self._generator)

    @cached_property
    def _shown(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs for the distinct images of the batch, and which of them each text is about."""
        distinct, place = np.unique(self._batch.images, return_inverse=True)
        following = np.setdiff1d(self.texts.images(self._following), [NO_IMAGE, *distinct])
        pixels = self.texts.pixels(distinct, following)
        return self._model.encoder.inputs(pixels), torch.from_numpy(place.reshape(-1)).to(self._model.device)

    @cached_property
    def _seen(self) -> Seen:
        return self._look(frozen=False)

    @cached_property
    def _frozen_seen(self) -> Seen:
        return self._look(frozen=True)

    def _look(self, frozen: bool) -> Seen:
        inputs, place = self._shown
        seen = self._model.look(inputs, frozen)
        return Seen(seen.features[place], seen.tokens[place])

    def _written(self, batch: Batch, frozen: bool) -> DecoderOutput:
        device = self._model.device
        seen = self._frozen_seen if frozen else self._seen
        logits = self._model.write(seen, batch.tokens, frozen)
        return DecoderOutput(logits, batch.labels.to(device), batch.counted.to(device))


class TextStep:
    """One step: texts to forget and texts to retain, equally many if there are enough.

    Attributes:
        model: the model in training and its frozen original.
        number: number of the step, from 0.
        total: number of steps.
    """

    def __init__(
        self, model: TrainedModel, source: TextSource, samplers: tuple[Sampler, ...], number: int, total: int, seed: int
    ) -> None:
        self.model, self.number, self.total = model, number, total
        self._source = source
        self._forget, self._retain = samplers
        self._seed = seed

    def run_generator(self, purpose: str) -> torch.Generator:
        """A random generator that is the same in every step of a run."""
        return step_generator(self._seed, 0, purpose)

    @cached_property
    def forget(self) -> TextSide:
        """The texts to forget."""
        return self._side(self._source.forget, self._forget, "forget")

    @cached_property
    def retain(self) -> TextSide:
        """The texts to retain."""
        return self._side(self._source.retain, self._retain, "retain")

    def _side(self, texts: TextSet, sampler: Sampler, purpose: str) -> TextSide:
        rows, following = sampler.batch(self.number), sampler.batch(self.number + 1)
        return TextSide(self.model, texts, rows, following, step_generator(self._seed, self.number, purpose))


class TextSteps(Sequence[TextStep]):
    """The steps of a run; each access makes a new one, so that none keeps logits in memory."""

    def __init__(self, model: TrainedModel, source: TextSource, batch_size: int, total: int, seed: int) -> None:
        self._model, self._source = model, source
        # Texts are not negatives of each other, so each is a group of its own.
        self._samplers = tuple(
            Sampler(range(len(texts)), batch_size, seed, name)
            for name, texts in (("forget", source.forget), ("retain", source.retain))
        )
        self._total = total
        self._seed = seed

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, number: int) -> TextStep:  # type: ignore[override] # a step at a time, no slices
        if not 0 <= number < self._total:
            raise IndexError(number)
        return TextStep(self._model, self._source, self._samplers, number, self._total, self._seed)
