"""A model with random weights: speed, memory and disk do not depend on what the weights are."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from salmu_demo.models.configuration import CONFIG_FILE, architecture_configuration
from salmu_demo.models.made import WEIGHTS_FILE
from salmu_demo.models.network import build_network
from salmu_demo.models.references import find_model
from salmu_demo.models.source import LOCAL_DIR, ModelSource


def write_random_model(folder: Path, architecture: str | dict[str, Any]) -> ModelSource:
    """Write a model of an open_clip architecture, or of a `model_cfg`, into a new folder."""
    if isinstance(architecture, str):
        config = architecture_configuration(architecture)
    else:
        config = {"model_cfg": architecture, "preprocess_cfg": {}}
    folder.mkdir()
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    save_file(build_network(config, str(folder)).state_dict(), folder / WEIGHTS_FILE)
    return find_model(f"{LOCAL_DIR}{folder}")
