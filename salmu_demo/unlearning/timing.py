"""How long training takes on this machine, from a few small batches."""

import time
from typing import Final

import numpy as np
import torch

from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.models.source import ModelSource
from salmu_demo.unlearning.rows import UnlearningRows
from salmu_demo.unlearning.towers import Towers, TrainedModel

BATCH: Final = 16
TRIALS: Final = 3


def seconds_per_pair(source: ModelSource, towers: Towers, data: BenchmarkData, rows: UnlearningRows) -> float:
    """Seconds that a pair takes forward and backward through the towers that change, the quickest of a few trials.

    Raises:
        SalmuError: of the kind that fits, if the model does not load or a picture is damaged.
    """
    model, split = TrainedModel(source, towers), rows.forget.split
    chosen = split.rows[:BATCH]
    pixels = np.stack([model.encoder.pixels(data.image(split.stored, int(row))) for row in chosen])
    inputs = model.encoder.inputs(torch.from_numpy(pixels))
    tokens = model.encoder.tokens(split.texts[:BATCH])
    seconds = []
    for _ in range(TRIALS):
        start = time.perf_counter()
        features = [] if towers is Towers.TEXT else [model.images(inputs)]
        if towers is not Towers.IMAGE:
            features.append(model.texts(tokens))
        torch.autograd.backward(torch.stack(features).sum())
        seconds.append(time.perf_counter() - start)
    return min(seconds) / len(chosen)
