"""Can one tell which pairs were trained on, by how well the model still matches them?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.attacks.base import Attack, AttackReading, register
from salmu_demo.attacks.pairs import Floats
from salmu_demo.attacks.schema import HOLDOUTS, MEMBERSHIP_ATTACK, TPR, TPR_BELOW
from salmu_demo.attacks.target import Target
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.data.wordings import NAMELESS, fill
from salmu_demo.metrics.checks import normalised
from salmu_demo.metrics.separation import auc_parts, detected, resampled_rates

UNSEEN: Final = "unseen images"
"""Non-members: other images of the same people with the same values in other words, which no model was trained on."""
AUC: Final = "AUC"


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs of the same people.

    Attributes:
        members: rows to be forgotten.
        others: images of pairs that are not members.
        texts: their captions; None for those of their rows.
    """

    members: Split
    others: Split
    texts: tuple[str, ...] | None = None


@register
class Membership(Attack):
    """A threshold on how much better a pair matches than captions of other people."""

    name = MEMBERSHIP_ATTACK
    title = "Membership"
    attacker = (
        "Has the features of any image and text, and pairs of people of whose pairs some were to be forgotten; calls "
        "those that match best the members; or those that match worst, in case they were pushed away."
    )
    source = "Carlini et al., arXiv 2112.03570; PrivLeak of MUSE, arXiv 2407.06460"

    def obstacle(self, target: Target) -> str | None:
        """Whether there are pairs to compare with."""
        if labelled_pairs(target.data, target.seed):
            return None
        return (
            f"{target.data.name} has neither people with pairs in both {layout.FORGET} and "
            f"{layout.HOLDOUT_ASSOCIATION} nor unseen images"
        )

    def omissions(self, target: Target) -> Sequence[str]:
        """See `Attack`."""
        there = labelled_pairs(target.data, target.seed)
        return [f"{target.data.name} has no {name} to compare with" for name in (HOLDOUTS, UNSEEN) if name not in there]

    def run(self, target: Target) -> Iterable[AttackReading]:
        """See `Attack`."""
        for gallery, pairs in labelled_pairs(target.data, target.seed).items():
            members, others = match_scores(target, pairs)
            parts = np.concatenate(auc_parts(members, others))
            both = (*pairs.members.identities, *pairs.others.identities)
            yield AttackReading("", gallery, AUC, parts, None, both)
            of_members = tuple(pairs.members.identities)
            for measure, sign in ((TPR, 1), (TPR_BELOW, -1)):
                told, drawn = (
                    detected(sign * members, sign * others),
                    resampled_rates(sign * members, sign * others, both),
                )
                yield AttackReading("", gallery, measure, told, None, of_members, drawn)


def labelled_pairs(data: BenchmarkData, seed: int) -> dict[str, LabelledPairs]:
    """By gallery: the kept pairs of people with pairs on both sides, and unseen images of everybody with captions.

    Such a caption says the same as a member's, with a name if that has one, in one of the trained wordings.
    """
    forget, kept = data.split(layout.FORGET), data.split(layout.HOLDOUT_ASSOCIATION)
    found: dict[str, LabelledPairs] = {}
    both = set(forget.identities) & set(kept.identities) - {None}
    if both:
        found[HOLDOUTS] = LabelledPairs(_of_people(forget, both), _of_people(kept, both))
    unseen = _unseen_pairs(data, forget, seed)
    if unseen:
        found[UNSEEN] = unseen
    return found


def _of_people(split: Split, people: set[str | None]) -> Split:
    return split.take(split.name, [row for row, identity in enumerate(split.identities) if identity in people])


def _unseen_pairs(data: BenchmarkData, forget: Split, seed: int) -> LabelledPairs | None:
    """For each pair to be forgotten one of the person with an unseen image; None if there is none."""
    if layout.UNSEEN_IMAGES not in data.stored_splits:
        return None
    unseen = data.split(layout.UNSEEN_IMAGES)
    images: dict[str, list[int]] = {}
    for row, identity in enumerate(unseen.identities):
        if identity is not None:
            images.setdefault(identity, []).append(row)
    people = {persona.identity_id: persona for persona in data.personas}
    generator = np.random.default_rng(seed)
    members, others, texts = [], [], []
    for row, (identity, text, file_name) in enumerate(
        zip(forget.identities, forget.texts, forget.file_names, strict=True)
    ):
        kind = data.kind(file_name)
        person = people.get(identity or "")
        wordings = data.probe_wordings.get(kind or "")
        if person is None or identity not in images or kind is None or wordings is None:
            continue
        value = next((value for value in person.values(kind) if value in text), None)
        if value is None:
            continue
        who = person.name if person.name in text else NAMELESS
        members.append(row)
        others.append(images[identity][int(generator.integers(len(images[identity])))])
        texts.append(fill(wordings.trained[int(generator.integers(len(wordings.trained)))], who, value))
    if not members:
        return None
    return LabelledPairs(forget.take(forget.name, members), unseen.take(unseen.name, others), tuple(texts))


def match_scores(target: Target, pairs: LabelledPairs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How well members and others match, see `standardised_matches`; shapes (N,) and (M,)."""
    data, members, others = target.data, pairs.members, pairs.others
    kinds = [data.kind(name) or "" for name in members.file_names]
    if pairs.texts is None:
        other_texts = target.captions(others)
        other_kinds = [data.kind(name) or "" for name in others.file_names]
    else:
        other_texts, other_kinds = target.prompts(pairs.texts), kinds
    forget = data.split(layout.FORGET)
    bank = Bank(target.captions(forget), [data.kind(name) or "" for name in forget.file_names], forget.identities)
    return (
        bank.matches(target.images(members), target.captions(members), kinds, members.identities),
        bank.matches(target.images(others), other_texts, other_kinds, others.identities),
    )


class Bank:
    """Captions that a pair's own is compared with, so that no kind of caption and no image outweighs the others."""

    def __init__(self, captions: Floats, kinds: Sequence[str], identities: Sequence[str | None]) -> None:
        """Take the captions, shape (K, D), with their kinds and people."""
        self._captions = normalised(captions, "caption_features").astype(np.float64)
        self._kinds = np.array(kinds)
        self._people = np.array([identity or "" for identity in identities])

    def matches(
        self, images: Floats, captions: Floats, kinds: Sequence[str], identities: Sequence[str | None]
    ) -> NDArray[np.float64]:
        """How far each pair's cosine lies above those of the image with other people's captions of the kind.

        Args:
            images: shape (N, D).
            captions: shape (N, D).
            kinds: N kinds of attribute.
            identities: N personas.

        Returns:
            Shape (N,), in standard deviations; 0 where there is nothing to compare with.
        """
        images = normalised(images, "image_features").astype(np.float64)
        own = np.einsum("nd,nd->n", images, normalised(captions, "caption_features").astype(np.float64))
        scores = np.zeros(len(images))
        who = np.array([identity or "" for identity in identities])
        kind_of = np.array(kinds)
        for kind in dict.fromkeys(kinds):
            of_kind = self._kinds == kind
            for person in dict.fromkeys(who[kind_of == kind].tolist()):
                rows = np.flatnonzero((kind_of == kind) & (who == person))
                rivals = images[rows] @ self._captions[of_kind & (self._people != person)].T
                if rivals.shape[1]:
                    spread = rivals.std(axis=1)
                    lead = own[rows] - rivals.mean(axis=1)
                    scores[rows] = np.divide(lead, spread, out=np.zeros_like(lead), where=spread > 0)
        return scores
