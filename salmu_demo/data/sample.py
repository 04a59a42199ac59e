"""A seeded, stratified sample of a data set, for a first answer in minutes where all rows take hours."""

import zlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import DataError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split

SAMPLE_SEED: Final = 42


@dataclass(frozen=True)
class Sample:
    """Which rows of a data set are measured.

    The same share of every stored split is taken: by persona and attribute kind in the sensitive splits, by persona and
    fragility in `retain_synth`, by class in the zero-shot set. A derived split keeps the sampled rows that belong to
    it.

    Attributes:
        size: number of `forget` rows; the share is this by all of them.
        seed: seed of the choice.
    """

    size: int
    seed: int = SAMPLE_SEED

    def check(self, data: BenchmarkData) -> None:
        """Refuse a sample that cannot be taken.

        Raises:
            DataError: if it is not smaller than the data set, has fewer rows than there are personas, or a negative
                seed.
        """
        forget = data.split(layout.FORGET)
        least = len(set(forget.identities))
        if not least <= self.size < len(forget):
            raise DataError(
                f"A sample of {self.size:,} forget rows cannot be taken from {data.name}; choose {least:,} (as many as "
                f"personas) to {len(forget) - 1:,}, or measure all rows."
            )

        if self.seed < 0:
            raise DataError(f"A sample cannot be drawn with the seed {self.seed}; choose 0 or more.")

    def share(self, data: BenchmarkData) -> float:
        """Share of the rows that are taken."""
        return self.size / len(data.split(layout.FORGET))

    def split(self, data: BenchmarkData, name: str) -> Split:
        """The sampled rows of a stored or derived split, in its order; raises `DataError`."""
        self.check(data)
        whole = data.split(name)
        kept = set(self._stored_rows(data, whole.stored))
        return whole.take(name, [position for position, row in enumerate(whole.rows.tolist()) if row in kept])

    def describe(self, data: BenchmarkData) -> str:
        """The sample in words, as every table and file must name it; raises `DataError`."""
        self.check(data)
        total = len(data.split(layout.FORGET))
        return f"sampled: {self.size:,} of {total:,} forget rows ({self.share(data):.0%}), seed {self.seed}".replace(
            "%", " %"
        )

    def _stored_rows(self, data: BenchmarkData, name: str) -> list[int]:
        split = data.split(name)
        if not len(split):
            return []
        strata: list[tuple[Hashable, ...]]
        if name in layout.SENSITIVE_SPLITS:
            strata = list(zip(split.identities, map(data.kind, split.file_names), strict=True))
        elif name == layout.RETAIN_SYNTH:
            fragile = set(data.split(layout.FRAGILE_SET).rows.tolist())
            strata = [(identity, row in fragile) for row, identity in enumerate(split.identities)]
        else:
            strata = [(text,) for text in split.texts]
        count = self.size if name == layout.FORGET else max(1, round(self.share(data) * len(split)))
        # Each split draws for itself, whatever other splits there are.
        return stratified_rows(strata, count, [self.seed, zlib.crc32(name.encode())])


def stratified_rows(strata: Sequence[tuple[Hashable, ...]], count: int, seed: int | list[int]) -> list[int]:
    """Choose rows so that every stratum, and every group of strata, gets its share, rounded up or down.

    The rows are put in the order of their strata, shuffled within each, and every (N / count)-th is taken from a random
    start: systematic sampling (Cochran 1977, Sampling Techniques, chapter 8).

    Args:
        strata: stratum of each of the N rows, from the widest group to the narrowest, such as persona and kind.
        count: how many rows to choose, at most N.
        seed: seed of the shuffle and of the start.

    Returns:
        The chosen rows, sorted.

    >>> rows = stratified_rows([("a",)] * 6 + [("b",)] * 3, 3, seed=0)
    >>> [sum(row < 6 for row in rows), sum(row >= 6 for row in rows)]
    [2, 1]
    """
    generator = np.random.default_rng(seed)
    columns: list[NDArray[np.int64]] = []
    for groups in zip(*strata, strict=True):
        number = {group: n for n, group in enumerate(dict.fromkeys(groups))}
        columns.append(np.array([number[group] for group in groups]))
    # The last key is the first to sort by.
    order = np.lexsort([generator.random(len(strata)), *reversed(columns)])
    step = len(strata) / count
    places = np.floor(generator.random() * step + step * np.arange(count)).astype(np.int64)
    return sorted(order[np.minimum(places, len(strata) - 1)].tolist())
