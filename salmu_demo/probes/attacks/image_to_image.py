"""A picture against the other pictures of every persona."""

from collections.abc import Collection
from typing import Final

import numpy as np

from salmu_demo.data.dataset import Persona
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.checks import normalised
from salmu_demo.probes.attacks.base import Candidates, PersonaAttack, Variant, register
from salmu_demo.probes.people import SIDES, People, Pool, ShownImage, Side, faces

MOST_PICTURES: Final = 8
"""Pictures of each persona that stand for it: those of other kinds, the first of them."""


@register
class ImageToImage(PersonaAttack):
    """Whether the image tower tells the person from others: a new picture is matched with those already known.

    A model that was never taught the person does so too, as far as looks go: only what exceeds Clean counts.
    """

    name = "image-to-image"
    title = "Image to image"
    gives = "face to face"
    access = "features of images of the attacker's choice"
    knowledge = "a picture of the person, and further pictures of all who come into question"
    cost = "one comparison for each picture and person"

    def candidates(
        self, view: FeatureView, people: People, kind: str, variant: Variant, persona: Persona | None = None
    ) -> Candidates:
        pictures = _others(people, kind)
        pool = faces(view, pictures, list(pictures))
        number = {identity: place for place, identity in enumerate(pictures)}
        owners = np.array([number[owner] for owner in pool.owners], dtype=np.int64)
        unit = normalised(pool.features, "image_features")
        means = np.zeros((len(pictures), unit.shape[1]), dtype=np.float32)
        np.add.at(means, owners, unit)
        names = tuple(people.personas[identity].name for identity in pictures)
        return Candidates(names, {identity: (place,) for identity, place in number.items()}, means[None])

    def queries(
        self, view: FeatureView, people: People, kind: str, variant: Variant, side: Side, whose: Collection[str]
    ) -> Pool:
        pictures = people.pictures(kind, side, "own")
        if people.never_taught:
            pictures = {identity: shown[: len(shown) // 2] for identity, shown in pictures.items()}
        return faces(view, pictures, whose)


def _others(people: People, kind: str) -> dict[str, list[ShownImage]]:
    """The pictures that stand for each persona: of other kinds, or the second half of those of the never-taught."""
    found: dict[str, list[ShownImage]] = {}
    if people.never_taught:
        for identity, shown in people.pictures(kind, "forget", "own").items():
            found[identity] = shown[len(shown) // 2 :]
        return found
    for other in people.data.kinds:
        if other != kind:
            for side in SIDES:
                for identity, shown in people.pictures(other, side, "own").items():
                    found.setdefault(identity, []).extend(shown)
    return {
        identity: sorted(shown, key=lambda s: (s.split, s.row))[:MOST_PICTURES] for identity, shown in found.items()
    }
