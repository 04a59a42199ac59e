"""Low-rank changes of linear layers (LoRA), trained in place of the weights and written as a folder that PEFT reads.

A layer computes with W + (alpha / rank) B A, where A has the shape (rank, inputs) and B (outputs, rank); B begins at 0,
so that a run begins with the original (LoRA, arXiv 2106.09685). Attention is left as it is: `nn.MultiheadAttention`
calls none of its layers, so PEFT has to treat it as a whole, which its versions do in different ways.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from open_clip.modified_resnet import AttentionPool2d
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch.nn.utils import parametrize

from salmu_demo.core.errors import ModelError
from salmu_demo.core.files import atomic_path, write_text
from salmu_demo.models.card import CARD_FILE
from salmu_demo.models.delta import ADAPTER_CONFIG_FILE, ADAPTER_FILE
from salmu_demo.models.said import split_said
from salmu_demo.models.source import LOCAL_DIR, ModelSource
from salmu_demo.unlearning import LORA_A, LORA_B, LoRA, Towers

_PEFT: Final = "base_model.model."
"""What PEFT puts before the name of every layer."""


class _LowRank(torch.nn.Module):
    """What is added to one weight."""

    def __init__(self, weight: torch.Tensor, lora: LoRA, generator: torch.Generator) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        bound = 1 / math.sqrt(inputs)  # As PEFT and a linear layer begin.
        start = torch.empty(lora.rank, inputs).uniform_(-bound, bound, generator=generator)
        self._scale = lora.scale
        self.lora_A = torch.nn.Parameter(start.to(weight))
        self.lora_B = torch.nn.Parameter(weight.new_zeros(outputs, lora.rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.lora_B @ self.lora_A
        return weight + self._scale * change


def adapt(model: torch.nn.Module, towers: Towers, lora: LoRA) -> list[str]:
    """Freeze a model but for low-rank changes of the linear layers in some towers, and return these layers' names.

    Raises:
        ModelError: if there are none.
    """
    model.requires_grad_(False)
    layers = _layers(model, towers)
    if not layers:
        raise ModelError(
            f"The model has no linear layers outside attention in what may change ({towers}), so there is nothing that "
            "LoRA could adapt; leave lora_rank out."
        )
    generator = torch.Generator().manual_seed(lora.seed)
    for layer in layers.values():
        parametrize.register_parametrization(layer, "weight", _LowRank(layer.weight, lora, generator))
    return list(layers)


def _layers(model: torch.nn.Module, towers: Towers) -> dict[str, torch.nn.Linear]:
    # Attention reads the weights of its layers without calling them, and PEFT changes what a call does.
    uncalled = {
        child
        for module in model.modules()
        if isinstance(module, torch.nn.MultiheadAttention | AttentionPool2d)
        for child in module.modules()
    }
    return {
        name: layer
        for name, layer in model.named_modules()
        if type(layer) is torch.nn.Linear and layer not in uncalled and towers in (Towers.BOTH, Towers.of(name))
    }


def save_adapter(
    folder: Path, model: torch.nn.Module, layers: list[str], base: ModelSource, lora: LoRA, card: str
) -> None:
    """Write the low-rank changes of a model as PEFT does; raises `StorageError`.

    Args:
        folder: folder to write; existing files of the same names are replaced.
        model: what `adapt` was called with.
        layers: what it returned.
        base: the model it was; `base_model_name_or_path` is its reference.
        lora: rank and scale.
        card: text of the model card.
    """
    state = model.state_dict()
    tensors = {
        f"{_PEFT}{layer}.{side}.weight": state[f"{layer}.parametrizations.weight.0.{side}"].contiguous().cpu()
        for layer in layers
        for side in (LORA_A, LORA_B)
    }
    config = _config(layers, base, lora)
    write_text(folder / ADAPTER_CONFIG_FILE, json.dumps(config, indent=2) + "\n", "The adapter")
    with atomic_path(folder / ADAPTER_FILE, "The adapter") as temporary:
        try:
            save_file(tensors, temporary, metadata={"format": "pt"})
        except SafetensorError as error:
            raise OSError(str(error)) from error
    write_text(folder / CARD_FILE, card, "The adapter")


def _config(layers: list[str], base: ModelSource, lora: LoRA) -> Mapping[str, Any]:
    """The content of PEFT's `adapter_config.json`."""
    place, said = split_said(base.reference)
    if place.startswith(LOCAL_DIR):
        # The adapter is found from any working folder.
        place = f"{LOCAL_DIR}{Path(place.removeprefix(LOCAL_DIR)).expanduser().resolve()}"
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": f"{place}{said}",
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "use_rslora": False,
        "inference_mode": True,
        # A pattern is matched with whole names; of a list also longer names that end so would be adapted.
        "target_modules": "|".join(re.escape(layer) for layer in layers),
        "modules_to_save": None,
    }
