"""The headline image by image: how many images find the truth, and what changes from one model to another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salmu_demo.data.dataset import Persona
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.line_up import exposure, value_rank
from salmu_demo.probes.attacks import HEADLINE, find_attack
from salmu_demo.probes.attacks.base import percentiles, resampled_exposures
from salmu_demo.probes.findings import Auditor
from salmu_demo.probes.people import People, Side


@dataclass(frozen=True)
class ImageScores:
    """Scores of one person's images.

    Attributes:
        scores: shape (N, C), of each image with each candidate.
        true: numbers of the candidates that are true.
    """

    scores: NDArray[np.float64]
    true: tuple[int, ...]

    @property
    def first(self) -> float:
        """Share of the images with which alone the truth is first, or tied with one other."""
        return float(np.mean([value_rank(row, self._is_true)[0] < 2 for row in self.scores]))

    @property
    def exposure(self) -> float:
        """Exposure of all images together, in bits."""
        return exposure(*value_rank(self.scores.mean(axis=0), self._is_true))

    @property
    def _is_true(self) -> NDArray[np.bool_]:
        found = np.zeros(self.scores.shape[1], dtype=bool)
        found[list(self.true)] = True
        return found


def person_scores(auditor: Auditor, view: FeatureView, persona: Persona, kind: str, side: Side) -> ImageScores:
    """The scores of a person's own images of a kind and side, which there are."""
    return _scores(auditor, view, auditor.people, kind, side, [persona.identity_id])[persona.identity_id]


def control_shares(auditor: Auditor, view: FeatureView, kind: str) -> list[float]:
    """`ImageScores.first` of everybody whom no model was taught; empty if the data has nobody."""
    people, attack = auditor.never_taught, find_attack(HEADLINE)
    variant = attack.variants[0]
    if not people.personas or attack.lacks(people, variant):
        return []
    asked = attack.asked(people, kind, variant, "forget")
    return [found.first for found in _scores(auditor, view, people, kind, "forget", asked).values()]


def exposure_change(before: ImageScores, after: ImageScores) -> tuple[float, tuple[float, float] | None]:
    """How many bits of exposure a model has more than another on the same images, and its interval over images.

    The same images are drawn for both models; with fewer than 2 images there is no interval.
    """
    change = after.exposure - before.exposure
    if len(before.scores) < 2:
        return change, None
    drawn = [resampled_exposures(found.scores, found.true) for found in (before, after)]
    return change, percentiles(drawn[1] - drawn[0])


def _scores(
    auditor: Auditor, view: FeatureView, people: People, kind: str, side: Side, whose: list[str]
) -> dict[str, ImageScores]:
    attack = find_attack(HEADLINE)
    variant = attack.variants[0]
    if not whose:
        return {}
    candidates = auditor.setting(view, people, kind, attack, variant, side).candidates
    queries = attack.queries(view, people, kind, variant, side, whose)
    scores = attack.scores(queries.features, candidates)
    rows: dict[str, list[int]] = {}
    for row, owner in enumerate(queries.owners):
        rows.setdefault(owner, []).append(row)
    return {
        identity: ImageScores(scores[numbers], candidates.true[identity])
        for identity, numbers in rows.items()
        if identity in candidates.true
    }
