"""An image against the other images of every persona."""

from collections.abc import Collection
from typing import Final

import numpy as np

from salmu_demo.data.dataset import Persona
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.checks import normalised
from salmu_demo.probes.attacks.base import Candidates, PersonaAttack, Variant, register
from salmu_demo.probes.people import SIDES, People, Pool, ShownImage, Side, faces

MOST_IMAGES: Final = 8
"""Images of each persona that stand for it: those of other kinds, the first of them."""


@register
class ImageToImage(PersonaAttack):
    """Whether the image tower tells the person from others: a new image is matched with those already known.

    A model that was never taught the person does so too, as far as looks go: only what exceeds Clean counts.
    """

    name = "image-to-image"
    title = "Image to image"
    gives = "face to face"
    access = "features of images of the attacker's choice"
    knowledge = "an image of the person, and further images of all who come into question"
    cost = "one comparison for each image and person"

    def candidates(
        self, view: FeatureView, people: People, kind: str, variant: Variant, persona: Persona | None = None
    ) -> Candidates:
        images = _others(people, kind)
        pool = faces(view, images, list(images))
        number = {identity: place for place, identity in enumerate(images)}
        owners = np.array([number[owner] for owner in pool.owners], dtype=np.int64)
        unit = normalised(pool.features, "image_features")
        means = np.zeros((len(images), unit.shape[1]), dtype=np.float32)
        np.add.at(means, owners, unit)
        names = tuple(people.personas[identity].name for identity in images)
        return Candidates(names, {identity: (place,) for identity, place in number.items()}, means[None])

    def queries(
        self, view: FeatureView, people: People, kind: str, variant: Variant, side: Side, whose: Collection[str]
    ) -> Pool:
        images = people.images(kind, side, "own")
        if people.never_taught:
            images = {identity: shown[: len(shown) // 2] for identity, shown in images.items()}
        return faces(view, images, whose)


def _others(people: People, kind: str) -> dict[str, list[ShownImage]]:
    """The images that stand for each persona: of other kinds, or the second half of those of the never-taught."""
    found: dict[str, list[ShownImage]] = {}
    if people.never_taught:
        for identity, shown in people.images(kind, "forget", "own").items():
            found[identity] = shown[len(shown) // 2 :]
        return found
    for other in people.data.kinds:
        if other != kind:
            for side in SIDES:
                for identity, shown in people.images(other, side, "own").items():
                    found.setdefault(identity, []).extend(shown)
    return {identity: sorted(shown, key=lambda s: (s.split, s.row))[:MOST_IMAGES] for identity, shown in found.items()}
