"""The rows an unlearning method may read, those of `forget` and the retain splits, and the order it reads them in.

SALMUBench's rule (arXiv 2603.26316): a method starts from Compromised and never trains on a holdout row. The type here
cannot hold one, and nothing behind it keeps the data set they come from within a method's reach.
"""

import zlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from salmu_demo.core.errors import DataError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.features.pixels import ImageSet
from salmu_demo.features.rows import Rows

RETAIN_SPLITS: Final = (layout.RETAIN_SYNTH, layout.RETAIN_GENERAL)


@dataclass(frozen=True)
class Part:
    """Rows of one stored split.

    Attributes:
        split: the rows.
        images: the images of the stored split, by row.
    """

    split: Split
    images: ImageSet


@dataclass(frozen=True)
class UnlearningRows:
    """The rows an unlearning method works on; made by `unlearning_rows`.

    Attributes:
        data: name of the data set.
        fingerprint: its fingerprint.
        forget: the N rows to forget.
        retain: the rows to retain.
        kinds: attribute kind of each forget row, or None if unknown.
        names: name of each forget row's persona, empty if unknown.
        values: the persona's values of that kind according to the metadata, for each forget row.
        generic: generic caption of each forget row's image; None if the data set lacks any.
    """

    data: str
    fingerprint: str
    forget: Part
    retain: tuple[Part, ...]
    kinds: list[str | None]
    names: list[str]
    values: list[list[str]]
    generic: list[str] | None

    def __post_init__(self) -> None:
        """Reject rows of any other split; raises `DataError`."""
        allowed = [(self.forget, (layout.FORGET,)), *((part, RETAIN_SPLITS) for part in self.retain)]
        for part, names in allowed:
            if part.split.stored not in names or part.images.name != part.split.stored:
                raise DataError(
                    f"Unlearning may not read rows of {part.split.stored}; give rows of {' or '.join(names)} there."
                )


def unlearning_rows(data: BenchmarkData, most: int | None = None) -> UnlearningRows:
    """Select the rows of a data set that an unlearning method may read.

    Retained are the rows of `retain_disjoint` outside the fragile set, and `retain_general` where the data set has it:
    no row that VisIdInt or FragSim is measured on, and no image of a persona.

    Args:
        data: the data set.
        most: at most this many rows of each split, from as many personas as possible; None takes all.

    Raises:
        DataError: if there are no rows to retain.
    """
    forget = _some(data.split(layout.FORGET), most)
    disjoint = data.split(layout.RETAIN_DISJOINT)
    fragile = set(data.split(layout.FRAGILE_SET).rows.tolist())
    kept = [position for position, row in enumerate(disjoint.rows.tolist()) if row not in fragile]
    retain = [disjoint.take(layout.RETAIN_DISJOINT, kept)] if kept else []
    if layout.RETAIN_GENERAL in data.stored_splits:
        retain.append(data.split(layout.RETAIN_GENERAL))
    if not retain:
        raise DataError(f"{data.name} has no rows to retain: all of retain_synth show personas or are fragile.")
    retain = [_some(split, most) for split in retain]
    kinds = [data.kind(name) for name in forget.file_names]
    people = {persona.identity_id: persona for persona in data.personas}
    shown = [people.get(str(identity)) for identity in forget.identities]
    generic = [text for name in forget.file_names if (text := data.generic_caption(name))]
    return UnlearningRows(
        data.name,
        data.fingerprint,
        _part(data, forget),
        tuple(_part(data, split) for split in retain),
        kinds,
        [persona.name if persona else "" for persona in shown],
        [persona.values(kind) if persona and kind else [] for persona, kind in zip(shown, kinds, strict=True)],
        generic if len(generic) == len(forget) else None,
    )


def _some(split: Split, most: int | None) -> Split:
    if most is None:
        return split
    return split.take(split.name, Sampler(split.identities, most, 0, split.name).batch(0).tolist())


def _part(data: BenchmarkData, split: Split) -> Part:
    stored = split.stored
    return Part(split, ImageSet(data.fingerprint, stored, len(data.split(stored)), lambda row: data.image(stored, row)))


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
        self._order: Rows = np.empty(0, dtype=np.int64)

    def batch(self, step: int) -> Rows:
        """Rows of a step, counted from 0."""
        epoch, position = divmod(step, self._per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._deal(epoch)
        return self._order[position * self.size : (position + 1) * self.size]

    def _deal(self, epoch: int) -> Rows:
        generator = np.random.default_rng([*self._seed, epoch])
        shuffled = generator.permutation(len(self._groups))
        # Round of each row: the number of rows of its group before it.
        seen: dict[int, int] = {}
        rounds = np.empty(len(shuffled), dtype=np.int64)
        for place, group in enumerate(self._groups[shuffled].tolist()):
            rounds[place] = seen[group] = seen.get(group, -1) + 1
        order: Rows = shuffled[np.lexsort((generator.random(len(shuffled)), rounds))]
        return order
