"""Shared by training from scratch, unlearning and attacks: loss, fast caption encoding, optimiser, learning rate."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.nn import functional

from salmu_demo.models.text_tower import encode_to_ends


def contrastive_loss(
    images: torch.Tensor, texts: torch.Tensor, groups: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Symmetric InfoNCE (CLIP, arXiv 2103.00020, section 2.3), averaged over pairs and both directions.

    Args:
        images: normalised features, shape (B, D).
        texts: normalised features of the images' own captions, shape (B, D).
        groups: shape (B,); two pairs of one group are not negatives of each other.
        scale: what cosines are multiplied by.
    """
    return (softmax_loss(images, texts, groups, scale) + softmax_loss(texts, images, groups, scale)) / 2


def softmax_loss(
    queries: torch.Tensor, candidates: torch.Tensor, groups: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """One direction of `contrastive_loss`: cross-entropy of each query's own candidate among all."""
    same = (groups[:, None] == groups[None, :]) & ~torch.eye(len(groups), dtype=torch.bool, device=groups.device)
    logits = (scale * queries @ candidates.T).masked_fill(same, -torch.inf)
    return functional.cross_entropy(logits, torch.arange(len(groups), device=groups.device))


def encode_captions(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Normalised text features of a batch, equal to those of `model.encode_text` but in half the time.

    open_clip computes every position up to the context length. Where the feature is read off the end-of-text token of a
    causal tower, later positions never influence it, so captions are cut to their longest; the shorter and the longer
    half are cut apart.
    """
    if not ends_in_text(model):
        return model.encode_text(tokens, normalize=True)  # type: ignore[no-any-return]
    return encode_by_block(model, tokens, ())[-1]


def ends_in_text(model: Any) -> bool:
    """Whether the text tower is causal and its feature is read off the end-of-text token, as CLIP's is."""
    return getattr(model, "text_pool_type", None) == "argmax" and isinstance(model.text_projection, torch.Tensor)


def encode_by_block(model: Any, tokens: torch.Tensor, blocks: Sequence[torch.nn.Module]) -> list[torch.Tensor]:
    """What parts of a causal text tower give at the end-of-text token, and last the normalised features.

    Args:
        model: one of which `ends_in_text` is true.
        tokens: shape (N, context length).
        blocks: blocks of its transformer, or modules in them that give a state for every token.

    Returns:
        One (N, width) for each block, then (N, D).
    """
    order = tokens.argmax(dim=1).argsort(stable=True)
    halves = [_encode_cut(model, tokens[part], blocks) for part in order.chunk(2)]
    back = order.argsort()
    return [torch.cat(parts)[back] for parts in zip(*halves, strict=True)]


def _encode_cut(model: Any, tokens: torch.Tensor, blocks: Sequence[torch.nn.Module]) -> list[torch.Tensor]:
    length = int(tokens.argmax(dim=1).max()) + 1
    tokens = tokens[:, :length]
    rows, ends = torch.arange(len(tokens), device=tokens.device), tokens.argmax(dim=1)
    states: list[torch.Tensor] = []

    def keep(_block: Any, _inputs: Any, output: torch.Tensor) -> None:
        states.append(output[rows, ends] if model.transformer.batch_first else output[ends, rows])

    handles = [block.register_forward_hook(keep) for block in blocks]
    try:
        features = encode_to_ends(model, tokens, ends)
    finally:
        for handle in handles:
            handle.remove()
    return [*states, features]


def make_optimizer(
    parameters: Iterable[torch.nn.Parameter], learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """AdamW with CLIP's settings: weight decay for matrices, none for gains and biases."""
    trained = list(parameters)
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98))


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, steps: int, peak: float, warm_up: float) -> None:
    """Set the learning rate of a step, counted from 0: linear warm-up over a share of the steps, then cosine to 0."""
    warm = max(1, int(warm_up * steps))
    if step < warm:
        rate = peak * (step + 1) / warm
    else:
        rate = peak * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2
    for group in optimizer.param_groups:
        group["lr"] = rate
