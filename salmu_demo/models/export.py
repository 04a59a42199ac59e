"""Write a model as an open_clip `local-dir`: configuration, half-precision safetensors, tokenizer merges, card."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from salmu_demo.errors import StorageError
from salmu_demo.files import atomic_path
from salmu_demo.models.configuration import CONFIG_FILE
from salmu_demo.models.source import MERGES_FILE, WEIGHTS_FILES


def save_local_dir(
    folder: Path, model: torch.nn.Module, config: dict[str, Any], merges: Path | None, card: str
) -> None:
    """Write a model so that `open_clip.create_model("local-dir:...")` loads it.

    Args:
        folder: folder to write; existing files of the same names are replaced.
        model: the model; its floating point tensors are stored in half precision.
        config: content of `open_clip_config.json`: `model_cfg` and `preprocess_cfg`.
        merges: merges file to copy beside the weights, if the model has a vocabulary of its own.
        card: text of the model card, `README.md`.

    Raises:
        StorageError: if the folder cannot be written.
    """
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in model.state_dict().items()
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        if merges is not None and merges.resolve() != (folder / MERGES_FILE).resolve():
            shutil.copyfile(merges, folder / MERGES_FILE)
        with atomic_path(folder / WEIGHTS_FILES[0], "The model") as temporary:
            save_file(tensors, temporary, metadata={"format": "pt"})
        (folder / "README.md").write_text(card, "utf-8")
    except OSError as error:
        raise StorageError(f"The model cannot be written to {folder}: {error.strerror or error}.") from error
