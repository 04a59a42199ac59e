"""A text tower on no more tokens than its texts have: what stands behind the end of a text is not computed.

A causal tower whose feature is read off the end of a text never looks at what follows there, and open_clip computes it
all the same, up to the context length.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional

MOST_DIFFERENCE: Final = 1e-5
"""Of a feature's parts between the two ways on a trial: ten times what the order of a sum changes, and less than any
printed digit."""

FindEnds = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class CausalTower:
    """A text tower that a trial has shown to read a text up to its end and no further.

    Attributes:
        module: what holds its layers.
        ends: places of the tokens that features are read off, shape (N,), in tokens of shape (N, context length).
    """

    module: Any
    ends: FindEnds


def causal_tower(network: Any, tokens: torch.Tensor) -> CausalTower | None:
    """The text tower of a network if it can be given texts of their own length, else None.

    Args:
        network: an open_clip network in evaluation mode.
        tokens: of a few texts, shape (N, context length), which are encoded both ways.
    """
    tower = getattr(network, "text", network)
    ends = _ends_of(tower)
    if ends is None or not _is_causal(tower):
        return None
    wanted = network.encode_text(tokens, normalize=True)
    places = ends(tokens)
    cut = encode_to_ends(tower, tokens[:, : int(places.max()) + 1], places)
    same = cut.shape == wanted.shape and torch.allclose(cut, wanted, rtol=0, atol=MOST_DIFFERENCE)
    return CausalTower(tower, ends) if same else None


def encode_to_ends(tower: Any, tokens: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Normalised features of a causal tower, shape (N, D).

    Args:
        tower: what holds the layers of a text tower that is causal.
        tokens: shape (N, L), where L may be less than the context length.
        ends: places of the tokens that features are read off, shape (N,), each below L.
    """
    length = tokens.shape[1]
    hidden = tower.token_embedding(tokens) + tower.positional_embedding[:length]
    hidden = tower.ln_final(tower.transformer(hidden, attn_mask=tower.attn_mask[:length, :length]))
    pooled = hidden[torch.arange(len(tokens), device=tokens.device), ends]
    projection = tower.text_projection
    if isinstance(projection, nn.Linear):
        pooled = projection(pooled)
    elif projection is not None:
        pooled = pooled @ projection
    return functional.normalize(pooled, dim=1)


def _ends_of(tower: Any) -> FindEnds | None:
    """How the tower finds the ends of texts; None if it reads its features off something else."""
    match getattr(tower, "text_pool_type", getattr(tower, "pool_type", None)):
        case "argmax":
            return lambda tokens: tokens.argmax(dim=1)
        case "eos":
            number: Any = getattr(tower, "text_eos_id", getattr(tower, "eos_id", None))
            return lambda tokens: torch.eq(tokens, number).int().argmax(dim=1)
    return None


def _is_causal(tower: Any) -> bool:
    mask, positions = getattr(tower, "attn_mask", None), getattr(tower, "positional_embedding", None)
    if not (isinstance(mask, torch.Tensor) and isinstance(positions, torch.Tensor)):
        return False
    # One more position than tokens is that of a token which the tower adds itself.
    if mask.shape != (len(positions),) * 2 or len(positions) != getattr(tower, "context_length", None):
        return False
    return torch.equal(mask, torch.full_like(mask, -torch.inf).triu(1))
