"""Quick readings while a method works, on its own rows; not the benchmark."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch

from salmu_demo.features.rows import Rows
from salmu_demo.metrics.ranking import tied_ranks
from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.batches import BatchSource, PairSet
from salmu_demo.unlearning.step import step_generator
from salmu_demo.unlearning.text_losses import DecoderOutput, probability
from salmu_demo.unlearning.text_step import TextSide
from salmu_demo.unlearning.texts import TextSet, TextSource
from salmu_demo.unlearning.towers import TrainedModel
from salmu_demo.unlearning.training_metrics import TextMetrics, TrainingMetrics

PROBE_ROWS: Final = 128
"""Pairs read of each side."""

WATCHED: Final = 4
"""Personas that are followed one by one."""

IMAGES: Final = 8
"""Most forget pairs read of such a persona."""

READ_PAIRS: Final = 2 * PROBE_ROWS + WATCHED * IMAGES
"""Most pairs of one reading."""

READ_TEXTS: Final = 3 * PROBE_ROWS
"""Most texts of one reading."""

TEXT_BATCH: Final = 32
"""Texts read at a time."""


class TrainingProbe:
    """A fixed sample of the rows that a method may read; with requests, captions of their neighbours are strangers'."""

    def __init__(self, batches: BatchSource, seed: int) -> None:
        self._batches = batches
        generator = np.random.default_rng(seed)
        self._forget, self._retain = (
            np.sort(generator.permutation(len(pairs))[:PROBE_ROWS]) for pairs in (batches.forget, batches.retain)
        )
        sides = ((batches.forget, self._forget), (batches.retain, self._retain))
        captions = np.array([pairs.captions[row] for pairs, rows in sides for row in rows], dtype=object)
        # As in RetFail, a copy of the own caption does not compete with it.
        self._competes = captions[: len(self._forget), None] != captions
        identities = batches.identities
        self._watched = {
            persona: np.array([row for row, own in enumerate(identities) if own == persona][:IMAGES])
            for persona in _spread(sorted({identity for identity in identities if identity is not None}), WATCHED)
        }
        # All of them have the same rivals, so that their ranks are comparable.
        rivals = [place for place, row in enumerate(self._forget) if identities[row] not in self._watched]
        self._rivals = np.array(rivals, dtype=np.int64)
        drawn = np.sort(generator.permutation(len(batches.neighbours))[:PROBE_ROWS])
        self._neighbours, self._neighbour_groups = batches.neighbours[drawn], batches.neighbour_groups[drawn]
        numbers = batches.forget.frozen.groups
        watched = {int(numbers[rows[0]]) for rows in self._watched.values()}
        beside = [place for place, group in enumerate(self._neighbour_groups.tolist()) if group not in watched]
        self._beside = np.array(beside, dtype=np.int64)

    @torch.no_grad()
    def read(self, model: TrainedModel, step: int, forget_pairs: int, loss: float | None) -> TrainingMetrics:
        """Take a reading of a model."""
        images, texts = encode_pairs(model, self._batches.forget, self._forget)
        retain_images, retain_texts = encode_pairs(model, self._batches.retain, self._retain)
        scores = images @ torch.cat([texts, retain_texts]).T
        own = scores.diagonal()
        ranks = tied_ranks(own.numpy(force=True), scores.numpy(force=True), self._competes)
        near = self._neighbours
        beside = encode_texts(model, self._batches.retain, near) if len(near) else texts[:0]
        groups = self._batches.forget.frozen.groups[self._forget]
        strangers = (groups[:, None] != torch.cat([groups, self._neighbour_groups])[None, :]).to(scores.device)
        others = torch.cat([scores[:, : len(own)], images @ beside.T], dim=1)
        return TrainingMetrics(
            step,
            forget_pairs,
            None if loss is None else round(loss, 6),
            _rounded(own),
            round(float((1 / ranks).mean()), 6),
            _rounded((retain_images * retain_texts).sum(dim=1)),
            _rounded(others[strangers]) if strangers.any() else 0.0,
            self._ranks(model, texts, beside),
            1 + len(self._rivals) + len(self._beside),
        )

    def _ranks(self, model: TrainedModel, texts: torch.Tensor, beside: torch.Tensor) -> dict[str, float]:
        """Ranks of the followed personas' best own captions among the rivals', by cosine to the mean of their images.

        Args:
            model: the model.
            texts: features of the captions of the forget sample.
            beside: those of its neighbours.
        """
        if not self._watched:
            return {}
        rows = list(self._watched.values())
        images, captions = encode_pairs(model, self._batches.forget, np.concatenate(rows))
        parts = (torch.split(features, [len(own) for own in rows]) for features in (images, captions))
        rivals = torch.cat([texts[torch.from_numpy(self._rivals)], beside[torch.from_numpy(self._beside)]])
        ranks = {}
        for persona, seen, said in zip(self._watched, *parts, strict=True):
            direction = seen.mean(dim=0)
            best, others = float((said @ direction).max()), (rivals @ direction).numpy(force=True)
            ranks[persona] = float(tied_ranks(best, others))
        return ranks


class TextProbe:
    """A fixed sample of the texts that a generative method may read."""

    def __init__(self, source: TextSource, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self._sides = [
            (texts, np.sort(generator.permutation(len(texts))[:PROBE_ROWS])) for texts in (source.forget, source.retain)
        ]
        self._seed = seed

    @torch.no_grad()
    def read(self, model: TrainedModel, step: int, forget_pairs: int, loss: float | None) -> TextMetrics:
        """Take a reading of a model."""
        (forget, to_forget), (retain, to_retain) = self._sides
        read = (
            read_texts(model, forget, to_forget, self._seed, lambda side: side.own),
            read_texts(model, retain, to_retain, self._seed, lambda side: side.own),
            # The same other texts in every reading.
            read_texts(model, forget, to_forget, self._seed, lambda side: side.other),
        )
        return TextMetrics(step, forget_pairs, None if loss is None else round(loss, 6), *map(_rounded, read))


def read_texts(
    model: TrainedModel, texts: TextSet, rows: Rows, seed: int, chosen: Callable[[TextSide], DecoderOutput]
) -> torch.Tensor:
    """Probability of some texts under the model in training, or of what else is chosen in their place, (n,)."""
    found = []
    for number, start in enumerate(range(0, len(rows), TEXT_BATCH)):
        generator = step_generator(seed, number, "reading")
        side = TextSide(model, texts, rows[start : start + TEXT_BATCH], rows[:0], generator)
        found.append(probability(chosen(side)))
    return torch.cat(found)


def encode_pairs(model: TrainedModel, pairs: PairSet, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (n, D) of images and captions of some rows under the model in training."""
    # A frozen tower gives the features that are known already.
    known = pairs.frozen
    images = (
        known.images[rows].to(model.device)
        if model.towers is Towers.TEXT
        else model.images(model.encoder.inputs(pairs.pixels(rows)))
    )
    return images, encode_texts(model, pairs, rows)


def encode_texts(model: TrainedModel, pairs: PairSet, rows: Rows) -> torch.Tensor:
    """Features (n, D) of captions of some rows under the model in training."""
    if model.towers is Towers.IMAGE:
        return pairs.frozen.texts[rows].to(model.device)
    return model.texts(pairs.tokens[rows])


def _rounded(values: torch.Tensor) -> float:
    return round(float(values.float().mean()), 6)


def _spread(values: Sequence[str], count: int) -> list[str]:
    """Some of the values, evenly spaced."""
    return [values[round(place)] for place in np.linspace(0, len(values) - 1, min(count, len(values)))]
