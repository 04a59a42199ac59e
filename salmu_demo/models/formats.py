"""Write any model as a folder of open_clip's or of transformers' kind."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from salmu_demo.core.errors import ModelError, StorageError
from salmu_demo.core.files import passing, write_text
from salmu_demo.models.card import CARD_FILE
from salmu_demo.models.configuration import CONFIG_FILE
from salmu_demo.models.made import WEIGHTS_FILE
from salmu_demo.models.source import ModelSource
from salmu_demo.models.tensor_file import write_tensors
from salmu_demo.models.tokenizer_export import copy_tokenizer, write_clip_tokenizer, write_open_clip_tokenizer
from salmu_demo.models.transformers_config import PREPROCESSOR_FILE, TRANSFORMERS_CONFIG
from salmu_demo.models.transformers_document import document_of_network, document_of_preprocessing, family_of_network
from salmu_demo.models.transformers_tensors import CLASSES, to_transformers
from salmu_demo.models.vocabulary import Vocabulary

Format = Literal["open_clip", "transformers"]
_WHAT: Final = "The model"


def export_model(source: ModelSource, kind: Format, folder: Path) -> None:
    """Write a model, every weight in the type and with the bits it is stored in; deltas are merged.

    Args:
        source: the model.
        kind: `open_clip`, read by `open_clip.create_model("local-dir:…")`, or `transformers`, read by
            `CLIPModel.from_pretrained` or `SiglipModel.from_pretrained`. Both are read here.
        folder: a new or empty folder.

    Raises:
        ModelError: if the model is not one of transformers' kinds, or a file is damaged.
        StorageError: if the folder is not empty or cannot be written; then nothing is.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(f"{folder} is not an empty folder; name a new one for the model.")
    with _whole(folder) as temporary, source.unchanged():
        if kind == "transformers":
            _write_transformers(source, temporary)
        else:
            _write_open_clip(source, temporary)


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder that takes its place when it is complete, and vanishes otherwise."""
    temporary = folder.with_name(f".{folder.name}.unfinished")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        with passing(temporary):
            yield temporary
            if folder.exists():
                folder.rmdir()
            temporary.replace(folder)
    except OSError as error:
        raise StorageError(f"{_WHAT} cannot be written to {folder}: {error.strerror or error}.") from error


def _write_open_clip(source: ModelSource, folder: Path) -> None:
    _write_json(folder / CONFIG_FILE, source.config)
    if source.merges is not None:
        write_open_clip_tokenizer(folder, source.merges)
    reader = source.reader()
    write_tensors(reader, list(reader.shapes), folder / WEIGHTS_FILE)
    _write_card(source, folder, "open_clip")


def _write_transformers(source: ModelSource, folder: Path) -> None:
    model = source.config["model_cfg"]
    reader = source.reader()
    end: int | None = None
    family = family_of_network(model, source.reference)
    if family == "clip":
        vocabulary, end = _vocabulary(source)
        write_clip_tokenizer(folder, vocabulary, source.context_length)
    else:
        if source.merges is None:
            raise ModelError(
                f"{source.reference} has no tokenizer.json of its own, without which no folder is complete."
            )
        copy_tokenizer(folder, source.merges)
    converted = to_transformers(reader, family, str(source.weights))
    _write_json(folder / TRANSFORMERS_CONFIG, document_of_network(model, reader.shapes, end, source.reference))
    preprocessing = source.config.get("preprocess_cfg") or {}
    size = model["vision_cfg"].get("image_size", 224)
    _write_json(folder / PREPROCESSOR_FILE, document_of_preprocessing(preprocessing, size, source.reference))
    write_tensors(converted, list(converted.shapes), folder / "model.safetensors")
    _write_card(source, folder, f"transformers ({CLASSES[family]})")


def _vocabulary(source: ModelSource) -> tuple[Vocabulary, int]:
    """CLIP's byte pairs and the number of the token at the end of a text."""
    # torch takes seconds to import, and only this needs it.
    from salmu_demo.models.tokenizer import clip_tokens, make_tokenizer  # noqa: PLC0415

    tokenizer = make_tokenizer(source)
    pairs = tuple((first, second) for first, second in tokenizer.bpe_ranks)
    return Vocabulary(pairs, clip_tokens(tokenizer)), int(tokenizer.eot_token_id)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n", _WHAT)


def _write_card(source: ModelSource, folder: Path, kind: str) -> None:
    role = f"---\nsalmu_role: {source.own_role.name}\n---\n" if source.card_role else ""
    words = f"{role}# {source.name}\n\nWritten by salmu-demo for {kind}, from the model {source.fingerprint[:16]}.\n"
    write_text(folder / CARD_FILE, words, _WHAT)
