"""Whom an attack lines up against each other: the personas of the data, or those that no model was taught."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.data.values import distinct, value_key
from salmu_demo.features.view import FeatureView

Side = Literal["forget", "kept"]
WhichImages = Literal["own", "unseen"]

Numbers: TypeAlias = dict[str, tuple[int, ...]]
"""Persona id to the numbers of the candidates that are true for it."""

SIDES: Final[dict[Side, tuple[str, ...]]] = {
    "forget": (layout.FORGET,),
    "kept": (layout.HOLDOUT_ASSOCIATION, layout.HOLDOUT_IDENTITY),
}
"""What was to be forgotten counts against a model; what was to be kept is told beside it."""


@dataclass(frozen=True)
class ShownImage:
    """An image that was used: a row of a split."""

    split: str
    row: int


@dataclass(frozen=True)
class Pool:
    """Rows of features and whose they are.

    Attributes:
        features: shape (N, D).
        owners: N persona ids.
        shown: the N images; empty if the rows are texts.
    """

    features: NDArray[np.float32]
    owners: tuple[str, ...]
    shown: tuple[ShownImage, ...] = ()


@dataclass(frozen=True)
class People:
    """Personas of one origin; values and names are compared within them alone, so that chance is the same for all.

    Attributes:
        data: the data set.
        never_taught: those of the split `never_taught`, instead of those of the sensitive splits.
    """

    data: BenchmarkData
    never_taught: bool = False
    _images: dict[tuple[str, Side, WhichImages], dict[str, list[ShownImage]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def personas(self) -> dict[str, Persona]:
        """By id, in its order."""
        found = self.data.never_taught if self.never_taught else self.data.personas
        return {persona.identity_id: persona for persona in found}

    def values(self, kind: str) -> tuple[tuple[str, ...], Numbers]:
        """The distinct values of a kind, sorted, and the numbers of each persona's own; values equal by key are one."""
        kept = distinct(value for persona in self.personas.values() for value in persona.values(kind))
        number = {key: place for place, key in enumerate(kept)}
        own = {
            identity: tuple(sorted({number[value_key(value)] for value in persona.values(kind)}))
            for identity, persona in self.personas.items()
        }
        return tuple(kept.values()), {identity: numbers for identity, numbers in own.items() if numbers}

    @cached_property
    def names(self) -> tuple[tuple[str, ...], Numbers]:
        """The distinct names, sorted, and the number of each persona's own."""
        kept = distinct(persona.name for persona in self.personas.values())
        number = {key: place for place, key in enumerate(kept)}
        own: Numbers = {identity: (number[value_key(persona.name)],) for identity, persona in self.personas.items()}
        return tuple(kept.values()), own

    def images(self, kind: str, side: Side, which: WhichImages) -> dict[str, list[ShownImage]]:
        """The images of each persona who has any: those of one kind and side, or those that no model trained on.

        They are kept, and not to be changed.
        """
        key = (kind, side, which)
        if key not in self._images:
            self._images[key] = self._find_images(kind, side, which)
        return self._images[key]

    def _find_images(self, kind: str, side: Side, which: WhichImages) -> dict[str, list[ShownImage]]:
        if self.never_taught or which == "unseen":
            splits: tuple[str, ...] = (layout.NEVER_TAUGHT if self.never_taught else layout.UNSEEN_IMAGES,)
        else:
            splits = SIDES[side]
        found: dict[str, list[ShownImage]] = {}
        for name in splits:
            split = self.data.split(name)
            rows: Iterable[int] = (
                self.data.kind_rows(name, kind) if name in layout.SENSITIVE_SPLITS else range(len(split))
            )
            for row in rows:
                identity = split.identities[row]
                if identity in self.personas:
                    found.setdefault(str(identity), []).append(ShownImage(name, row))
        return found


def faces(view: FeatureView, images: dict[str, list[ShownImage]], whose: Collection[str]) -> Pool:
    """Features of the images of some personas, each split read once; persona by persona."""
    shown = [(identity, image) for identity in whose for image in images.get(identity, ())]
    places: dict[str, list[int]] = {}
    for place, (_, image) in enumerate(shown):
        places.setdefault(image.split, []).append(place)
    features: NDArray[np.float32] | None = None
    for name, numbers in places.items():
        rows = view.images(view.data.split(name).take(name, [shown[place][1].row for place in numbers]))
        if features is None:
            features = np.empty((len(shown), rows.shape[1]), dtype=np.float32)
        features[numbers] = rows
    empty = np.empty((0, 0), dtype=np.float32)
    owners = tuple(identity for identity, _ in shown)
    return Pool(empty if features is None else features, owners, tuple(image for _, image in shown))


def persona_features(view: FeatureView, identity_id: str) -> NDArray[np.float32]:
    """Features of all of a persona's sensitive images, shape (M, D)."""
    rows = view.data.persona_rows(identity_id)
    images = {identity_id: [ShownImage(name, row) for name, numbers in rows.items() for row in numbers]}
    return faces(view, images, [identity_id]).features
