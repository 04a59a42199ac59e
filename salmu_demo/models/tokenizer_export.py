"""Write a model's tokenizer into a folder of open_clip's or of transformers' kind."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.files import atomic_path, write_text
from salmu_demo.models.source import MERGES_FILE, TOKENIZER_COMPANIONS, TOKENIZER_CONFIG
from salmu_demo.models.vocabulary import END, MERGES_TEXT, START, VOCABULARY_FILE, Vocabulary, clip_vocabulary

_WHAT: Final = "The tokenizer"
_HEADER: Final = "#version: 0.2"


def merges_archive(vocabulary: Vocabulary) -> bytes:
    """Byte pairs as open_clip's tokenizer reads them."""
    lines = [_HEADER, *(" ".join(pair) for pair in vocabulary.merges)]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def write_open_clip_tokenizer(folder: Path, tokenizer: Path) -> None:
    """Write a tokenizer beside weights of open_clip: CLIP's byte pairs as `bpe_merges.txt.gz`, others as they are.

    Raises:
        ModelError: if it is damaged.
        StorageError: if it cannot be written.
    """
    if tokenizer.name not in TOKENIZER_COMPANIONS:
        # Files of the Hub's cache may have any name.
        _copy(tokenizer, folder / MERGES_FILE)
        return
    vocabulary = clip_vocabulary(tokenizer)
    if vocabulary is None:
        copy_tokenizer(folder, tokenizer)
        return
    with atomic_path(folder / MERGES_FILE, _WHAT) as temporary:
        temporary.write_bytes(merges_archive(vocabulary))


def write_clip_tokenizer(folder: Path, vocabulary: Vocabulary, context_length: int) -> None:
    """Write CLIP's byte pairs as transformers reads them; raises `StorageError`."""
    marks = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    lines = [_HEADER, *(" ".join(pair) for pair in vocabulary.merges)]
    write_text(folder / MERGES_TEXT, "\n".join(lines) + "\n", _WHAT)
    write_text(folder / VOCABULARY_FILE, json.dumps(dict(vocabulary.tokens), ensure_ascii=False), _WHAT)
    config: dict[str, Any] = {**marks, "model_max_length": context_length, "tokenizer_class": "CLIPTokenizer"}
    write_text(folder / TOKENIZER_CONFIG, json.dumps(config, indent=2) + "\n", _WHAT)
    write_text(folder / "special_tokens_map.json", json.dumps(marks, indent=2) + "\n", _WHAT)


def copy_tokenizer(folder: Path, tokenizer: Path) -> None:
    """Copy a tokenizer's file of transformers and those that belong to it; raises `StorageError`."""
    for name in (tokenizer.name, *TOKENIZER_COMPANIONS[tokenizer.name]):
        if (path := tokenizer.with_name(name)).is_file():
            _copy(path, folder / name)


def _copy(path: Path, target: Path) -> None:
    if path.resolve() != target.resolve():
        with atomic_path(target, _WHAT) as temporary:
            shutil.copyfile(path, temporary)
