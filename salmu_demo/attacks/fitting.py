"""The rows that an attacker may fit to: what was to be kept, never a pair or a person to be forgotten."""

from collections.abc import Callable
from typing import Final

import numpy as np

from salmu_demo.attacks.pairs import Floats
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.metrics.protocol import SEED

MOST_ROWS: Final = 6000
"""Rows of each split that a map is fitted to; of a larger split, as many are drawn."""

RETAIN: Final = "retain rows"
WITH_HOLDOUT: Final = "retain rows and holdout_identity"


def fitting_rows(data: BenchmarkData, most: int = MOST_ROWS) -> dict[str, list[Split]]:
    """What is fitted to, by the name of the variant: retain rows alone, and holdout_identity besides.

    Retain rows of people to be forgotten are left out, so that an attack is read on people that it did not see.

    Args:
        data: the data set.
        most: rows of each split; of more, as many are drawn.
    """
    forgotten = {identity for identity in data.split(layout.FORGET).identities if identity is not None}
    chosen = []
    for name in (layout.RETAIN_SYNTH, layout.HOLDOUT_IDENTITY):
        split = data.split(name)
        rows = [row for row, identity in enumerate(split.identities) if identity not in forgotten]
        if len(rows) > most:
            rows = sorted(np.random.default_rng(SEED).choice(rows, most, replace=False).tolist())
        chosen.append(split.take(name, rows))
    retain, holdout = chosen
    return {RETAIN: [retain], **({WITH_HOLDOUT: [retain, holdout]} if len(holdout) else {})}


def stacked(of: Callable[[Split], Floats], splits: list[Split]) -> Floats:
    """Features of the rows of several splits, one below the other."""
    return np.concatenate([of(split) for split in splits])
