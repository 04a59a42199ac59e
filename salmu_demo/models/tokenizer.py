"""The tokenizer of a model: open_clip's own, with its merges, or a transformers one for the SigLIP family."""

import gzip
import importlib.util
from collections.abc import Sequence
from typing import Any, Final

from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

from salmu_demo.core.errors import ModelError
from salmu_demo.models.source import DEFAULT_CONTEXT, ModelSource

_START_AND_END: Final = 2
"""Tokens that CLIP puts around a text."""

MAX_MERGES_BYTES: Final = 10_000_000
"""Three times the merges of CLIP; open_clip unpacks them in memory, and a small file can unpack to any size."""


def make_tokenizer(source: ModelSource) -> Any:
    """A function from texts to token numbers.

    Raises:
        ModelError: if the tokenizer's file is damaged, is another model's, or cannot be had without a network.
    """
    if (own := source.own_encoder()) is not None:
        return own.tokenizer
    text = source.config["model_cfg"]["text_cfg"]
    if text.get("hf_tokenizer_name"):
        return _transformers_tokenizer(source, text)
    context = _context(source, text)
    if source.merges is None:
        return SimpleTokenizer(context_length=context, **text.get("tokenizer_kwargs", {}))
    try:
        with gzip.open(source.merges) as stream:
            if len(stream.read(MAX_MERGES_BYTES + 1)) > MAX_MERGES_BYTES:
                raise ModelError(f"{source.merges} unpacks to more than any list of merges; fetch it again.")
        tokenizer = SimpleTokenizer(str(source.merges), context_length=context)
    except (OSError, EOFError, ValueError) as error:
        raise ModelError(f"{source.merges} is not a whole gzip file of byte-pair merges; fetch it again.") from error
    wanted = text.get("vocab_size", tokenizer.vocab_size)
    if tokenizer.vocab_size != wanted:
        # Other merges give other numbers to the same words: the model would run and mean nothing.
        raise ModelError(f"{source.merges} makes {tokenizer.vocab_size} tokens, but the model has {wanted}.")
    return tokenizer


def cut_texts(tokenizer: Any, texts: Sequence[str]) -> dict[str, bytes]:
    """The texts that are longer than the context length, which open_clip cuts off silently, and the tokens it keeps.

    Args:
        tokenizer: of `make_tokenizer`.
        texts: distinct texts.
    """
    if isinstance(tokenizer, HFTokenizer):
        whole = tokenizer.tokenizer([tokenizer.clean_fn(text) for text in texts]).input_ids if texts else []
        lengths = [len(tokens) for tokens in whole]
    else:
        lengths = [len(tokenizer.encode(text)) + _START_AND_END for text in texts]
    cut = [text for text, length in zip(texts, lengths, strict=True) if length > tokenizer.context_length]
    return {text: tokens.numpy().tobytes() for text, tokens in zip(cut, tokenizer(cut) if cut else [], strict=True)}


def _transformers_tokenizer(source: ModelSource, text: dict[str, Any]) -> Any:
    """open_clip's wrapper around a tokenizer of transformers, which may neither fetch nor run anything."""
    name = text["hf_tokenizer_name"]
    if importlib.util.find_spec("transformers") is None:
        raise ModelError(
            f"{source.reference} needs the tokenizer {name}, and that the package transformers: pip install "
            "transformers sentencepiece."
        )
    place = str(source.merges.parent) if source.merges is not None else name
    try:
        return HFTokenizer(
            place,
            context_length=_context(source, text),
            local_files_only=True,
            trust_remote_code=False,
            **text.get("tokenizer_kwargs", {}),
        )
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{source.reference} needs the tokenizer {name}, which is not on this machine: put its tokenizer.json "
            f"beside the weights, or fetch it with `hf download {name}`."
        ) from error


def _context(source: ModelSource, text: dict[str, Any]) -> int:
    value = text.get("context_length", DEFAULT_CONTEXT)
    if type(value) is not int or value < 1:
        raise ModelError(f"The configuration of {source.reference} does not build a model: its context_length is not "
                         "a whole number.")  # fmt: skip
    return value
