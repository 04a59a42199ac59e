"""The order in which rows are drawn in training."""

import zlib
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray


class Sampler:
    """Draws batches without repetition: every row comes once before any comes again.

    Batches depend only on seed and step number, so a resumed run draws the same ones.

    Rows are dealt like cards: each round deals one row of every group that has some left, so a group occurs twice in a
    batch only where two rounds meet or there are fewer groups than places. Losses mask those few false negatives.
    """

    def __init__(self, groups: Sequence[Hashable], batch_size: int, seed: int, name: str) -> None:
        """Prepare the sampler.

        Args:
            groups: group of each of the N rows: the persona, or whatever must not meet itself in a batch.
            batch_size: rows of a batch; at most N are given.
            seed: seed of all draws.
            name: keeps the draws of two samplers of one run apart.
        """
        number: dict[Hashable, int] = {}
        self._groups = np.array([number.setdefault(group, len(number)) for group in groups])
        self.size = min(batch_size, len(self._groups))
        self._seed = [seed, zlib.crc32(name.encode())]
        self._per_epoch = len(self._groups) // self.size
        self._epoch = -1
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def batch(self, step: int) -> NDArray[np.int64]:
        """NDArray[np.int64] of a step, counted from 0."""
        epoch, position = divmod(step, self._per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._deal(epoch)
        return self._order[position * self.size : (position + 1) * self.size]

    def _deal(self, epoch: int) -> NDArray[np.int64]:
        generator = np.random.default_rng([*self._seed, epoch])
        shuffled = generator.permutation(len(self._groups))
        # Round of each row: the number of rows of its group before it.
        seen: dict[int, int] = {}
        rounds = np.empty(len(shuffled), dtype=np.int64)
        for place, group in enumerate(self._groups[shuffled].tolist()):
            rounds[place] = seen[group] = seen.get(group, -1) + 1
        order: NDArray[np.int64] = shuffled[np.lexsort((generator.random(len(shuffled)), rounds))]
        return order
