"""The rows an unlearning method may read: those of `forget` and the retain splits.

SALMUBench's rule (arXiv 2603.26316): a method starts from Compromised and never trains on a holdout row. The type here
cannot hold one, and nothing behind it keeps the data set they come from within a method's reach.
"""

from dataclasses import dataclass
from typing import Final

from salmu_demo.core.errors import DataError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.data.sampler import Sampler
from salmu_demo.features.pixels import ImageSet

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
        DataError: if there are no rows to forget or to retain.
    """
    if not len(data.split(layout.FORGET)):
        raise DataError(f"{data.name} has no rows to forget; name data that have the split {layout.FORGET}.")
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
