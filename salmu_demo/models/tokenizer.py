"""The tokenizer of a model: open_clip's own, with the merges of the model, or that of a SigLIP's `tokenizer.json`.

For CLIP's byte pairs it is always open_clip's, which cleans texts as OpenAI did (ftfy, HTML entities); transformers
cleans them a little less, so curly quotes and the like may get other tokens there.
"""

import gzip
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer, get_clean_fn
from tokenizers import Tokenizer

from salmu_demo.core.errors import ModelError
from salmu_demo.models.header import shown
from salmu_demo.models.json_file import MAX_TOKENIZER_BYTES, read_object
from salmu_demo.models.source import DEFAULT_CONTEXT, TOKENIZER_COMPANIONS, TOKENIZER_CONFIG, ModelSource
from salmu_demo.models.tokenizer_export import merges_archive
from salmu_demo.models.vocabulary import (
    CLIP_VOCABULARY,
    END,
    START,
    Vocabulary,
    clip_vocabulary,
    read_tokenizer,
)

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
    context = _context(source, text)
    if source.merges is not None and source.merges.name in TOKENIZER_COMPANIONS:
        vocabulary = clip_vocabulary(source.merges)
        if vocabulary is not None:
            return _of_vocabulary(source, vocabulary, context, text.get("vocab_size", CLIP_VOCABULARY))
        return LibraryTokenizer(source.merges, context, **text.get("tokenizer_kwargs", {}))
    if text.get("hf_tokenizer_name"):
        return _transformers_tokenizer(source, text)
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


class LibraryTokenizer:
    """A `tokenizer.json` of transformers, read by the library `tokenizers`, for a text tower of fixed length.

    As transformers does it with `padding="max_length"` and `truncation=True`: what the file puts around a text stays,
    and the padding that `tokenizer_config.json` names fills the rest.

    Attributes:
        context_length: tokens of every text.
    """

    def __init__(
        self, path: Path, context_length: int, clean: str = "whitespace", strip_sep_token: bool = False
    ) -> None:
        """Read the file; raises `ModelError` if it is damaged, or names no padding."""
        self.context_length = context_length
        self._clean = get_clean_fn(clean)
        if strip_sep_token:
            raise ModelError(f"{path} belongs to a model whose separators are taken out, which is not done here.")
        try:
            self._tokenizer = Tokenizer.from_str(read_tokenizer(path))
        except BaseException as error:
            # A plain Exception, or the end of a thread of Rust, which is none.
            if isinstance(error, ModelError | KeyboardInterrupt | SystemExit):
                raise
            raise ModelError(f"{path} cannot be read as a tokenizer: {shown(str(error))}.") from error
        said, token = _padding(path)
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise ModelError(f"{path} does not know {token!r:.60}, which {TOKENIZER_CONFIG} names for padding.")
        self._tokenizer.enable_truncation(context_length)
        self._tokenizer.enable_padding(direction=said, pad_id=number, pad_token=token, length=context_length)

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Token numbers, shape (N, context length)."""
        # One by one: a batch starts threads, which a later fork of the process would not survive.
        rows = [self._tokenizer.encode(self._clean(text)).ids for text in texts]
        return torch.tensor(rows, dtype=torch.long).reshape(len(rows), self.context_length)

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of whole texts; of one that is cut off, more than the context length."""
        found = [self._tokenizer.encode(self._clean(text)) for text in texts]
        return [sum(one.attention_mask) + bool(one.overflowing) * self.context_length for one in found]


def _padding(path: Path) -> tuple[str, str]:
    """Side and token of the padding, by `tokenizer_config.json` or the tokenizer itself; raises `ModelError`."""
    config = path.with_name(TOKENIZER_CONFIG)
    said = read_object(config)[0] if config.is_file() else {}
    own = read_object(path, MAX_TOKENIZER_BYTES)[0].get("padding") or {}
    token = said.get("pad_token") or own.get("pad_token")
    token = token.get("content") if isinstance(token, dict) else token
    if not isinstance(token, str):
        raise ModelError(f"{path} does not say how texts are padded; put its {TOKENIZER_CONFIG} beside it.")
    side = said.get("padding_side") or str(own.get("direction", "right")).lower()
    return ("left" if side == "left" else "right"), token


def _of_vocabulary(source: ModelSource, vocabulary: Vocabulary, context: int, wanted: int) -> SimpleTokenizer:
    """open_clip's tokenizer with the byte pairs of a folder of transformers, if it numbers all tokens alike."""
    tokenizer = SimpleTokenizer(io.BytesIO(merges_archive(vocabulary)), context_length=context)
    numbers = clip_tokens(tokenizer).items()
    other = next((token for token, number in numbers if vocabulary.tokens.get(token) != number), None)
    if other is not None:
        raise ModelError(f"{source.merges} numbers the token {shown(other)} otherwise than CLIP's tokenizer does.")
    if tokenizer.vocab_size > wanted:
        raise ModelError(f"{source.merges} makes {tokenizer.vocab_size} tokens, but the model has {wanted}.")
    return tokenizer


def clip_tokens(tokenizer: SimpleTokenizer) -> dict[str, int]:
    """The tokens of open_clip's tokenizer as transformers spells them, and their numbers."""
    marks = {"<start_of_text>": START, "<end_of_text>": END}
    return {marks.get(token, token): number for token, number in tokenizer.encoder.items()}


def cut_texts(tokenizer: Any, texts: Sequence[str]) -> dict[str, bytes]:
    """The texts that are longer than the context length, which open_clip cuts off silently, and the tokens it keeps.

    Args:
        tokenizer: of `make_tokenizer`.
        texts: distinct texts.
    """
    if isinstance(tokenizer, LibraryTokenizer):
        lengths = tokenizer.lengths(texts)
    elif isinstance(tokenizer, HFTokenizer):
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
            f"{source.reference} needs the tokenizer {name}, which needs the package transformers: pip install "
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
