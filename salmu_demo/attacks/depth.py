"""How deep in the network the facts are gone: the unlearning depth score by activation patching."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.attacks.base import Attack, AttackerNeed, AttackReading, register
from salmu_demo.attacks.pairs import MIXED, Floats, PairFeatures
from salmu_demo.attacks.target import Target
from salmu_demo.data.dataset import Split

if TYPE_CHECKING:
    from salmu_demo.attacks.networks.network import Network
    from salmu_demo.features.view import FeatureView

MOST_PAIRS: Final = 400
"""Pairs that are patched, of whole personas: each runs through a tower once for each of its blocks."""
THRESHOLD: Final = 0.05
"""Nats that a block of the retain model must cost to count as one that holds the fact (UDS, arXiv 2605.24614)."""


@register
class Depth(Attack):
    """The share of the knowledge in the blocks that an unlearned model still carries."""

    name = "depth"
    title = "Depth of unlearning by patching"
    attacker = (
        "Has the weights of the model and of the original, and puts what each block of the model gives in place of the "
        "same block of the original: where the original still finds the caption, the block still holds the fact."
    )
    source = "UDS (arXiv 2605.24614), with Compromised as the full model and gold, else Clean, as the retain model"
    needs = frozenset({AttackerNeed.ORIGINAL, AttackerNeed.WEIGHTS})

    def obstacle(self, target: Target) -> str | None:
        """See `Attack`."""
        retain = target.gold or target.clean
        if retain is None:
            return "it needs a model that never saw the pairs, and none is given; name it with --gold or --clean"
        for view in (target.view, retain):
            if target.original is not None and not same_architecture(view, target.original):
                return f"{view.model.name} has another architecture than the original {target.original.model.name}"
        return None

    def run(self, target: Target) -> Iterable[AttackReading]:
        """See `Attack`."""
        # torch takes seconds to import, which lists of attacks and finished ones do not need.
        from salmu_demo.attacks.networks.network import TOWERS, Network  # noqa: PLC0415

        retain = target.gold or target.clean
        assert target.original is not None
        assert retain is not None
        chosen = target.sampled(MOST_PAIRS)
        full = Network(target.original)
        ranked = _Ranked(chosen.of(target.original).features, chosen.pairs.split, chosen.pairs.distractors.texts, full)
        without, with_it = ([ranked.costs(Network(view), tower) for tower in TOWERS] for view in (retain, target.view))
        inner = [np.concatenate([cost[:-1] for cost in costs]) for costs in (without, with_it)]
        output = [np.stack([cost[-1] for cost in costs]) for costs in (without, with_it)]
        known, before = left_over(*inner), left_over(*output)
        # What the retain model knows as well, in every block or at the output, tells nothing; these pairs are the same
        # whichever model is attacked.
        tells = np.isfinite(known) & np.isfinite(before)
        people = tuple(identity for identity, told in zip(chosen.pairs.identities, tells, strict=True) if told)
        yield AttackReading("", MIXED, "depth", known[tells], before[tells], people)


def left_over(without: NDArray[np.float64], with_it: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - UDS of N pairs: the share of the knowledge that the model still holds, 1 for the original and 0 for gold.

    ``UDS = sum over blocks with S1 > THRESHOLD of S1 clip(S2 / S1, 0, 1) / sum of S1``, where S1 and S2 are the nats
    that a pair loses when a block of the retain model, or of the unlearned one, is patched into the full model.

    Args:
        without: S1, shape (blocks, N).
        with_it: S2, shape (blocks, N).

    Returns:
        Shape (N,), NaN for a pair that no block of the retain model lacks.

    Example:
        >>> left_over(np.array([[2.0], [0.01], [2.0]]), np.array([[1.0], [9.0], [3.0]])).tolist()
        [0.25]
    """
    counted = np.where(without > THRESHOLD, without, 0.0)
    lost = np.minimum(np.maximum(with_it, 0.0), counted)
    total = counted.sum(axis=0)
    share: NDArray[np.float64] = np.divide(lost.sum(axis=0), total, out=np.full(len(total), np.nan), where=total > 0)
    return 1 - share


def same_architecture(view: "FeatureView", other: "FeatureView") -> bool:
    """Whether two models are built alike, so that one's blocks and weights fit into the other."""
    mine, its = (each.model.config["model_cfg"] for each in (view, other))
    return bool(mine == its)


class _Ranked:
    """The full model, and how surely it finds the caption of each pair."""

    def __init__(self, features: PairFeatures, split: Split, texts: Sequence[str], full: "Network") -> None:
        self._features, self._split, self._full = features, split, full
        # The text itself among the distractors is not a rival.
        self._same = np.array(split.texts)[:, None] == np.array(texts)[None, :]
        self._start = self._log_probability(features.images, features.captions)

    def costs(self, source: "Network", tower: str) -> NDArray[np.float64]:
        """Nats that each pair loses with each block of a source, and last with the output of its tower.

        Shape (blocks + 1, N).
        """
        found = []
        for batch in self._full.inputs(tower, self._split):
            hidden = source.hidden(tower, batch)
            patched = [self._full.patched(tower, batch, block, state) for block, state in enumerate(hidden)]
            found.append([*patched, source.encode(tower, batch)])
        features = [np.concatenate(parts) for parts in zip(*found, strict=True)]
        own = self._features
        pairs = [(own.images, each) if tower == "text" else (each, own.captions) for each in features]
        return np.stack([self._start - self._log_probability(images, captions) for images, captions in pairs])

    def _log_probability(self, images: Floats, captions: Floats) -> NDArray[np.float64]:
        """Logarithm of the softmax of the own caption among the distractors, shape (N,)."""
        images, scale = images.astype(np.float64), self._full.logit_scale
        own = scale * np.einsum("nd,nd->n", images, captions)
        rivals = np.where(self._same, -np.inf, scale * (images @ self._features.distractors.T))
        found: NDArray[np.float64] = own - np.logaddexp(own, np.logaddexp.reduce(rivals, axis=1))
        return found
