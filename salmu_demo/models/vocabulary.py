"""CLIP's vocabulary in the files of transformers: `tokenizer.json`, or `merges.txt` and `vocab.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.errors import ModelError
from salmu_demo.models.json_file import MAX_TOKENIZER_BYTES, read_bytes, read_object

TOKENIZER_FILE: Final = "tokenizer.json"
MERGES_TEXT: Final = "merges.txt"
VOCABULARY_FILE: Final = "vocab.json"
WORD_END: Final = "</w>"
"""What CLIP's byte pairs end a word with, which tells them from those of other models."""
START: Final = "<|startoftext|>"
END: Final = "<|endoftext|>"
CLIP_VOCABULARY: Final = 49408
"""Tokens of CLIP's own tokenizer."""


@dataclass(frozen=True)
class Vocabulary:
    """Byte pairs in the order they are merged, and the number of every token."""

    merges: tuple[tuple[str, str], ...]
    tokens: Mapping[str, int]


def clip_vocabulary(path: Path) -> Vocabulary | None:
    """CLIP's byte pairs of a `tokenizer.json`, or a `merges.txt` with `vocab.json` beside it.

    Returns:
        None for a `tokenizer.json` of another kind.

    Raises:
        ModelError: if a file is missing or damaged, or the tokenizer has no vocabulary.
    """
    if path.name == MERGES_TEXT:
        beside = path.with_name(VOCABULARY_FILE)
        if not beside.is_file():
            raise ModelError(f"{path} is a tokenizer without its vocabulary; put {VOCABULARY_FILE} beside it.")
        lines = read_tokenizer(path).strip().split("\n")
        lines = lines[1:] if lines[0].startswith("#") else lines
        tokens, _ = read_object(beside, MAX_TOKENIZER_BYTES)
        return _checked(path, [line.split() for line in lines], tokens)
    content, _ = read_object(path, MAX_TOKENIZER_BYTES)
    model = content.get("model")
    if not isinstance(model, dict) or not model.get("vocab"):
        raise ModelError(f"{path} is a tokenizer without vocabulary; fetch it again.")
    if model.get("end_of_word_suffix") != WORD_END:
        return None
    merges = model.get("merges")
    pairs = [pair.split() if isinstance(pair, str) else pair for pair in merges] if isinstance(merges, list) else []
    return _checked(path, pairs, model["vocab"])


def _checked(path: Path, pairs: list[Any], tokens: Any) -> Vocabulary:
    if not isinstance(tokens, dict) or not {START, END} <= tokens.keys():
        raise ModelError(f"{path} is a tokenizer whose vocabulary lacks {START} or {END}; fetch it again.")
    if any(not isinstance(number, int) for number in tokens.values()):
        raise ModelError(f"{path} is a tokenizer whose vocabulary has tokens without a number; fetch it again.")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise ModelError(f"{path} holds byte pairs that are not pairs; fetch it again.")
    return Vocabulary(tuple((first, second) for first, second in pairs), tokens)


def read_tokenizer(path: Path) -> str:
    """The text of a tokenizer's file; raises `ModelError` if it cannot be read or is larger than any."""
    try:
        return read_bytes(path, MAX_TOKENIZER_BYTES).decode()
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not readable text.") from error
