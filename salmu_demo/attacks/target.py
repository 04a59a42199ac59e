"""The model that is attacked, and what the attacker and the measure know."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from salmu_demo.attacks.base import AttackReading
from salmu_demo.attacks.pairs import GALLERIES, MEASURES, Floats, ForgetPairs, PairFeatures
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.protocol import SEED


@dataclass(frozen=True)
class Target:
    """One model under attack.

    Attributes:
        view: its features on the data set.
        pairs: the pairs to be forgotten.
        original: the model that it was unlearned from, if the attacker has it.
        clean: a model that never saw a persona, or None.
        gold: a model that saw everything but the pairs to be forgotten, or None.
        seed: seed of everything random.
        thorough: whether to try more than the defaults do.
    """

    view: FeatureView
    pairs: ForgetPairs
    original: FeatureView | None = None
    clean: FeatureView | None = None
    gold: FeatureView | None = None
    seed: int = SEED
    thorough: bool = False

    @property
    def data(self) -> BenchmarkData:
        """The data set."""
        return self.pairs.data

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.view.model.name

    def images(self, rows: str | Split) -> Floats:
        """Features of images, shape (N, D)."""
        return self.view.images(rows)

    def captions(self, rows: str | Split) -> Floats:
        """Features of captions, shape (N, D)."""
        return self.view.captions(rows)

    def prompts(self, texts: Sequence[str]) -> Floats:
        """Features of texts outside the data's columns, shape (K, D)."""
        return self.view.prompts(texts)

    def of(self, view: FeatureView) -> "Target":
        """The same attack on another model, which is not edited."""
        return Target(view, self.pairs, self.original, self.clean, self.gold, self.seed, self.thorough)

    def edited(self, edit: "Edit") -> "EditedTarget":
        """A control that is made of the model."""
        return EditedTarget(
            self.view, self.pairs, self.original, self.clean, self.gold, self.seed, self.thorough, edit=edit
        )

    def sampled(self, most: int) -> "Target":
        """The same with at most so many pairs, of whole personas."""
        return replace(self, pairs=self.pairs.sampled(most))

    def tell(self, stage: str, done: int, total: int) -> None:
        """Say how far an attack is; raises what stops it."""
        self.view.progress(Progress(stage, done, total, unit=Unit.STEPS, model=self.name))

    @cached_property
    def features(self) -> PairFeatures:
        """What the model says of the pairs as it is."""
        drawn = [self.captions(split) for split in self.pairs.distractor_splits]
        split = self.pairs.split
        return PairFeatures(self.images(split), self.captions(split), np.concatenate(drawn))

    @cached_property
    def _as_is(self) -> dict[tuple[str, str], NDArray[np.float64]]:
        return _scores(self.pairs, self.features)

    def readings(self, features: PairFeatures, variant: str = "", seen: Collection[str] = ()) -> list[AttackReading]:
        """Read pairs in both galleries and both measures, beside the same of the model as it is.

        Args:
            features: what the attack makes of the pairs.
            variant: see `AttackReading`.
            seen: personas that the attack saw, whose pairs are left out.
        """
        identities = self.pairs.identities
        unseen = np.array([identity is None or identity not in seen for identity in identities])
        people = tuple(identity for identity, chosen in zip(identities, unseen, strict=True) if chosen)
        return [
            AttackReading(variant, gallery, measure, scores[unseen], self._as_is[gallery, measure][unseen], people)
            for (gallery, measure), scores in _scores(self.pairs, features).items()
        ]


@dataclass(frozen=True)
class EditedTarget(Target):
    """A model whose features of some images or captions are replaced: what a control is made of.

    Attributes:
        edited: see `salmu_demo.attacks.controls`.
    """

    edit: "Edit" = field(kw_only=True)

    def images(self, rows: str | Split) -> Floats:
        """Features of images as the control has them, shape (N, D)."""
        return self.edit.images(self._split(rows), super().images(rows))

    def captions(self, rows: str | Split) -> Floats:
        """Features of captions as the control has them, shape (N, D)."""
        return self.edit.captions(self._split(rows), super().captions(rows))

    def _split(self, rows: str | Split) -> Split:
        return self.data.split(rows) if isinstance(rows, str) else rows


class Edit:
    """What a control does to features; this one leaves them alone."""

    def images(self, split: Split, features: Floats) -> Floats:
        """Features of the images of some rows, shape (N, D)."""
        return features

    def captions(self, split: Split, features: Floats) -> Floats:
        """Features of the captions of some rows, shape (N, D)."""
        return features


def _scores(pairs: ForgetPairs, features: PairFeatures) -> dict[tuple[str, str], NDArray[np.float64]]:
    ranked = {gallery: pairs.ranks(features, gallery) for gallery in GALLERIES}
    return {(gallery, measure): ranked[gallery].scores(measure) for gallery in GALLERIES for measure in MEASURES}
