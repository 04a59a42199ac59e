"""Texts are encoded to their own length: as exact as to the context length, with bits that depend on the text alone."""

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from salmu_demo.models.encoder import LENGTH_STEP, Encoder
from salmu_demo.models.references import find_model
from tests.fixtures.tiny import MODEL_CONFIG, write_model

CONTEXT, VOCABULARY = (MODEL_CONFIG["model_cfg"]["text_cfg"][name] for name in ("context_length", "vocab_size"))
SENTENCE = "who lives where and calls whom at night, says a letter of the old town to the new one"
WORDS = SENTENCE.split()
CUTS = [" ".join(WORDS[:count]) for count in range(len(WORDS))]
TEXTS = [*(cut + end for cut in CUTS for end in ("", ".", " 7")), f"{SENTENCE} {SENTENCE} {SENTENCE}"]
"""Of 1 token to more than the model reads."""


def encoder_of(folder: Path, **text: Any) -> Encoder:
    model = MODEL_CONFIG["model_cfg"]
    config = {**MODEL_CONFIG, "model_cfg": {**model, "text_cfg": {**model["text_cfg"], **text}}}
    return Encoder(find_model(f"local-dir:{write_model(folder, config)}"))


def whole(encoder: Encoder, texts: list[str]) -> np.ndarray:
    """As open_clip does it."""
    with torch.inference_mode():
        return encoder.model.encode_text(encoder.tokens(texts), normalize=True).numpy()


def lengths_given(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Will hold the tokens of every batch that goes through the text tower."""
    lengths: list[int] = []
    forward = encoder.model.transformer.forward

    def counted(hidden: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
        lengths.append(hidden.shape[1])
        return forward(hidden, attn_mask=attn_mask)

    monkeypatch.setattr(encoder.model.transformer, "forward", counted)
    return lengths


@pytest.mark.parametrize("text", [{}, {"pool_type": "eos", "eos_id": VOCABULARY - 1}])
def test_a_causal_tower_gives_the_same_for_fewer_tokens(
    tmp_path: Path, text: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    encoder = encoder_of(tmp_path, **text)
    wanted = whole(encoder, TEXTS)
    lengths = lengths_given(encoder, monkeypatch)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), wanted, rtol=0, atol=5e-7)
    ends = encoder.tokens(TEXTS).argmax(dim=1) + 1
    needed = {min(-(-int(end) // LENGTH_STEP) * LENGTH_STEP, CONTEXT) for end in ends}
    assert set(lengths) == needed
    assert len(needed) > 3


def test_a_text_has_the_same_bits_in_any_order_and_company(tmp_path: Path):
    encoder = encoder_of(tmp_path)
    alone = [encoder.encode_texts([text])[0].tobytes() for text in TEXTS]
    many = TEXTS * 4
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(many))
        features = encoder.encode_texts([many[place] for place in order])
        assert [feature.tobytes() for feature in features] == [alone[place % len(TEXTS)] for place in order]


@pytest.mark.parametrize("text", [{"no_causal_mask": True}, {"pool_type": "last"}, {"pool_type": "first"}])
def test_a_tower_that_reads_on_gets_all_tokens(tmp_path: Path, text: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    encoder = encoder_of(tmp_path, **text)
    wanted = whole(encoder, TEXTS)
    lengths = lengths_given(encoder, monkeypatch)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), wanted, rtol=0, atol=5e-7)
    assert set(lengths) == {CONTEXT}


def test_a_network_that_does_more_than_its_layers_say_is_asked_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    encode = open_clip.CLIP.encode_text

    def reversed_features(network: Any, tokens: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        return encode(network, tokens, normalize).flip(1)

    monkeypatch.setattr(open_clip.CLIP, "encode_text", reversed_features)
    encoder = encoder_of(tmp_path)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), whole(encoder, TEXTS), rtol=0, atol=5e-7)
