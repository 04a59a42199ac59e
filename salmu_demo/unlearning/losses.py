"""Building blocks of objectives: pure functions of features, logits and similarities.

Notation: B pairs, D dimensions, `scale` what cosines are multiplied by. Every loss is a scalar.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from salmu_demo.models.optimisation import contrastive_loss
from salmu_demo.unlearning.batches import Encoded

MASKED = -1e10
"""Logit of a masked candidate; finite, so that 0 times it stays 0."""


def info_nce(pairs: Encoded, scale: torch.Tensor) -> torch.Tensor:
    """CLIP's own loss on a batch, see `contrastive_loss`."""
    return contrastive_loss(pairs.images, pairs.texts, pairs.groups, scale)


def false_negatives(groups: torch.Tensor) -> torch.Tensor:
    """Mask of off-diagonal pairs that share a group, shape (B, B)."""
    return (groups[:, None] == groups[None, :]) & ~torch.eye(len(groups), dtype=torch.bool, device=groups.device)


def similarities(pairs: Encoded) -> torch.Tensor:
    """Cosine of every image with every text, shape (B, B)."""
    return pairs.images @ pairs.texts.T


def kl(target: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """KL(softmax target || softmax logits), averaged over rows; both of shape (B, C)."""
    return functional.kl_div(logits.log_softmax(1), target.log_softmax(1), reduction="batchmean", log_target=True)


def symmetric_kl(frozen: Encoded, current: Encoded, scale: torch.Tensor) -> torch.Tensor:
    """KL(frozen || current) of a batch's predictions, averaged over image-to-text and text-to-image."""
    before, now = scale * similarities(frozen), scale * similarities(current)
    return (kl(before, now) + kl(before.T, now.T)) / 2


def squared_distance(current: torch.Tensor, frozen: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two tensors."""
    return functional.mse_loss(current, frozen)


def drift(current: torch.Tensor, frozen: torch.Tensor) -> torch.Tensor:
    """Mean cosine distance between current and frozen features."""
    return (1 - (current * frozen).sum(dim=1)).mean()


def unexplained(
    current: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor], scale: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Squared distance to what is wanted in units of `scale`, averaged over layers: 0 is equal, 1 as far as others.

    Args:
        current: one (N, W) for each layer.
        wanted: the same.
        scale: for each layer the variance of the rows of a batch, a scalar.
    """
    shares = [
        (now - aim).square().sum(dim=1).mean() / spread for now, aim, spread in zip(current, wanted, scale, strict=True)
    ]
    return torch.stack(shares).mean()


def variance(rows: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of rows (N, W) from their mean."""
    return (rows - rows.mean(dim=0)).square().sum(dim=1).mean()


def candidate_logits(
    images: torch.Tensor,
    own: torch.Tensor,
    generic: torch.Tensor | None,
    others: torch.Tensor,
    excluded: torch.Tensor,
    scale: torch.Tensor,
) -> torch.Tensor:
    """Logits of each image over its own list of captions: a dual encoder's counterpart of an answer's likelihood.

    Args:
        images: shape (B, D).
        own: the images' sensitive captions, shape (B, D): candidate 0.
        generic: the images' generic captions, shape (B, D): candidate 1; None to leave it out.
        others: captions that all images share, shape (K, D).
        excluded: shape (B, K), captions that are not negatives of an image: its own, or another of its persona.
        scale: what cosines are multiplied by.

    Returns:
        Shape (B, 1 + K) or (B, 2 + K).
    """
    first = [(images * own).sum(dim=1, keepdim=True)]
    if generic is not None:
        first.append((images * generic).sum(dim=1, keepdim=True))
    rest = (images @ others.T).masked_fill(excluded, MASKED / float(scale))
    return scale * torch.cat([*first, rest], dim=1)


def log_likelihood(logits: torch.Tensor, candidate: int) -> torch.Tensor:
    """Log probability of one candidate in each row, shape (B,)."""
    return logits.log_softmax(dim=1)[:, candidate]


def bank_logits(forget: Encoded, generic: torch.Tensor | None, retain: Encoded, scale: torch.Tensor) -> torch.Tensor:
    """`candidate_logits` of the forget images over the captions of the forget and the retain batch."""
    none = torch.zeros(len(forget.groups), len(retain.groups), dtype=torch.bool, device=forget.groups.device)
    own_persona = forget.groups[:, None] == forget.groups[None, :]
    return candidate_logits(
        forget.images,
        forget.texts,
        generic,
        torch.cat([forget.texts, retain.texts]),
        torch.cat([own_persona, none], dim=1),
        scale,
    )


def derangement(groups: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A permutation in which no pair keeps a caption of its own group, as far as the batch allows.

    The pairs are put in random order with groups together, and each takes the caption half the batch further on: it
    misses its own group unless that holds more than half of the batch.
    """
    order = torch.randperm(len(groups), generator=generator)
    order = order[groups.cpu()[order].argsort(stable=True)]
    permutation = torch.empty_like(order)
    permutation[order] = order.roll(-(len(order) // 2))
    return permutation.to(groups.device)
