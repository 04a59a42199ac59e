"""Write a model as an open_clip `local-dir`: configuration, safetensors, tokenizer merges, card."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from salmu_demo.core.files import atomic_path, write_text
from salmu_demo.models.configuration import CONFIG_FILE
from salmu_demo.models.source import WEIGHTS_FILES
from salmu_demo.models.tokenizer_export import write_open_clip_tokenizer

_HALVES: Final = {"F16": torch.float16, "BF16": torch.bfloat16}


def save_local_dir(
    folder: Path,
    model: torch.nn.Module,
    config: dict[str, Any],
    merges: Path | None,
    card: str,
    types: Mapping[str, str],
) -> None:
    """Write a model so that `open_clip.create_model("local-dir:...")` loads it, with every weight as it is.

    Args:
        folder: folder to write; existing files of the same names are replaced.
        model: the model, in single precision.
        config: content of `open_clip_config.json`: `model_cfg` and `preprocess_cfg`.
        merges: the tokenizer's file to write beside the weights, if the model has one of its own.
        card: text of the model card, `README.md`.
        types: type of each tensor, as safetensors spells it. One that a half-precision type does not hold to the last
            bit is stored in single precision instead: rounding could undo most of a small edit.

    Raises:
        ModelError: if the tokenizer's file is damaged.
        StorageError: if the folder cannot be written.
    """
    tensors = {name: _narrowed(value, types.get(name)).contiguous().cpu() for name, value in model.state_dict().items()}
    write_text(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n", "The model")
    if merges is not None:
        write_open_clip_tokenizer(folder, merges)
    with atomic_path(folder / WEIGHTS_FILES[0], "The model") as temporary:
        try:
            save_file(tensors, temporary, metadata={"format": "pt"})
        except SafetensorError as error:
            raise OSError(str(error)) from error
    write_text(folder / "README.md", card, "The model")


def _narrowed(value: torch.Tensor, wanted: str | None) -> torch.Tensor:
    """The tensor in the wanted half precision if that is lossless, else as it is."""
    if wanted not in _HALVES or not value.is_floating_point():
        return value
    narrow = value.to(_HALVES[wanted])
    return narrow if torch.equal(narrow.to(value.dtype), value) else value
