"""A CoCa in training: a network with random weights, and what its decoder makes of a text."""

import json
from collections.abc import Mapping
from typing import Any

import open_clip
import torch


def new_coca(model_cfg: Mapping[str, Any], seed: int) -> Any:
    """A CoCa with random weights; the same seed gives the same.

    Args:
        model_cfg: `embed_dim`, `vision_cfg`, `text_cfg` and `multimodal_cfg` of open_clip.
        seed: of the weights.
    """
    torch.manual_seed(seed)
    parts = {name: part for name, part in model_cfg.items() if name != "custom_text"}
    model = open_clip.CoCa(**json.loads(json.dumps(parts)))
    # open_clip leaves it as the memory happens to be.
    projection = model.text_decoder.text_projection
    torch.nn.init.normal_(projection, std=projection.shape[0] ** -0.5)
    return model


def decoder_states(decoder: Any, image_tokens: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """States of a CoCa's decoder before its vocabulary, shape (N, L, width).

    Args:
        decoder: the `text_decoder` of the network.
        image_tokens: shape (N, Q, width).
        states: what its text tower makes of the texts, shape (N, L, width).
    """
    mask = decoder.attn_mask[: states.shape[1], : states.shape[1]]
    for own, cross in zip(decoder.resblocks, decoder.cross_attn, strict=True):
        states = cross(own(states, attn_mask=mask), k_x=image_tokens, v_x=image_tokens)
    return decoder.ln_final(states)  # type: ignore[no-any-return]
