"""Checkpoints that hold only what changed: LoRA adapters of PEFT, and partial state dicts, merged onto a base.

A LoRA pair adds `scale · B · A` to a weight of the base, where `scale` is `lora_alpha / r`, or `lora_alpha / sqrt(r)`
with `use_rslora` (LoRA, arXiv 2106.09685; rsLoRA, arXiv 2312.03732). Every other tensor replaces the tensor of that
name. The sum is computed in single precision, tensor by tensor.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.errors import ModelError
from salmu_demo.models.configuration import MAX_CONFIG_BYTES
from salmu_demo.models.header import FLOATS, Shape, shown
from salmu_demo.models.weights import SafetensorsReader, TensorReader

ADAPTER_FILE: Final = "adapter_model.safetensors"
ADAPTER_CONFIG_FILE: Final = "adapter_config.json"

_PEFT_PREFIX: Final = "base_model.model."
_PAIR: Final = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")
_WRAPPED: Final = re.compile(r"\.(?:base_layer|modules_to_save)(?:\.default)?(?=\.)")
"""Segments PEFT puts into the names of modules it wraps."""

# Each of these computes the merged weight in another way than is done here.
_OTHER_METHODS: Final = ("use_dora", "fan_in_fan_out", "rank_pattern", "alpha_pattern", "layer_replication")


@dataclass(frozen=True)
class Delta:
    """The files of a delta: its tensors, and the adapter's configuration if there is one."""

    weights: Path
    config: Path | None


@dataclass(frozen=True)
class _Pair:
    """The names of the two matrices that change one weight."""

    down: str
    up: str


class MergedReader:
    """A base with a delta on top, as if it were one checkpoint; see :class:`.weights.TensorReader`."""

    def __init__(self, base: TensorReader, delta: Delta) -> None:
        """Find the weight that each tensor of the delta changes.

        Raises:
            ModelError: if one cannot be found or does not fit; its name is in the sentence.
        """
        self._base = base
        self._delta = SafetensorsReader(delta.weights)
        self._what = str(delta.weights)
        self.shapes: Mapping[str, Shape] = base.shapes
        pairs, self._replaced = self._sort()
        self._scale, rank, modules = _read_adapter(delta, bool(pairs))
        self._pairs = {self._target(module, pair, rank): pair for module, pair in pairs.items()}
        for module in modules:
            if not any(name == module or name.endswith(f".{module}") for name in map(_plain, pairs)):
                raise ModelError(f"{self._what} has no matrices for {module}, a target of its {ADAPTER_CONFIG_FILE}.")
        self.dtypes: Mapping[str, str] = {
            **base.dtypes,
            **{target: self._delta.dtypes[name] for target, name in self._replaced.items()},
            **dict.fromkeys(self._pairs, "F32"),
        }

    def read(self, name: str) -> NDArray[Any]:
        """See :class:`.weights.TensorReader`."""
        value = self._delta.read(self._replaced[name]) if name in self._replaced else self._base.read(name)
        pair = self._pairs.get(name)
        if pair is None:
            return value
        down, up = self._delta.read(pair.down), self._delta.read(pair.up)
        # A convolution's matrices have its kernel as further dimensions; the product is the same.
        product = up.reshape(len(up), -1) @ down.reshape(len(down), -1)
        merged: NDArray[Any] = value + np.float32(self._scale) * product.reshape(value.shape)
        return merged

    def stored(self, name: str) -> bytes:
        """See :class:`.weights.TensorReader`; a sum is stored in single precision."""
        if name in self._pairs:
            return self.read(name).tobytes()
        return self._delta.stored(self._replaced[name]) if name in self._replaced else self._base.stored(name)

    def _sort(self) -> tuple[dict[str, _Pair], dict[str, str]]:
        """Module to LoRA pair, and tensor of the base to the tensor that replaces it."""
        sides: dict[str, dict[str, str]] = {}
        replaced: dict[str, str] = {}
        for name, shape in self._delta.shapes.items():
            found = _PAIR.fullmatch(name)
            if found:
                sides.setdefault(found["module"], {})[found["side"]] = name
                continue
            target = _plain(name)
            if target not in self.shapes:
                raise ModelError(f"{self._what} cannot be merged: the base has no tensor for {shown(name)}.")
            if self.shapes[target] != shape:
                raise ModelError(
                    f"{self._what} cannot be merged: {shown(name)} has shape {shape}, not {self.shapes[target]}."
                )
            replaced[target] = name
        pairs = {}
        for module, names in sides.items():
            if len(names) != 2:
                [only] = names.values()
                raise ModelError(f"{self._what} cannot be merged: {shown(only)} lacks the other matrix of its pair.")
            pairs[module] = _Pair(names["A"], names["B"])
        return pairs, replaced

    def _target(self, module: str, pair: _Pair, rank: int) -> str:
        """The weight of the base that a pair changes."""
        plain = _plain(module)
        if f"{plain}.in_proj_weight" in self.shapes:
            # PEFT adds the output projection's part twice, in training as in merging, up to 0.21 at least
            # (huggingface/peft#3774): which sum its author has seen depends on the version.
            raise ModelError(
                f"{self._what} cannot be merged: {shown(pair.down)} adapts an attention, which versions of PEFT do in "
                "different ways; merge it with the one that trained it (merge_and_unload) and save the whole model."
            )
        target = f"{plain}.weight"
        if target not in self.shapes:
            raise ModelError(f"{self._what} cannot be merged: the base has no weight for {shown(pair.down)}.")
        down, up, wanted = self._delta.shapes[pair.down], self._delta.shapes[pair.up], self.shapes[target]
        fits = (
            len(wanted) > 1
            and self._base.dtypes[target] in FLOATS
            and down == (rank, *wanted[1:])
            and up == (wanted[0], rank, *(1 for _ in wanted[2:]))
        )
        if not fits:
            raise ModelError(
                f"{self._what} cannot be merged: {shown(pair.down)} and its pair of shapes {down} and {up} do not fit "
                f"{target} of shape {wanted} at rank {rank}."
            )
        return target


def find_delta(path: Path) -> Delta:
    """The files of a delta: a PEFT folder, or a safetensors file of LoRA matrices or whole tensors.

    Raises:
        ModelError: if there is none.
    """
    weights = path / ADAPTER_FILE if path.is_dir() else path
    if weights.suffix != ".safetensors" or not weights.is_file():
        raise ModelError(f"{path} is no delta; give a PEFT folder with {ADAPTER_FILE}, or a .safetensors file.")
    config = weights.with_name(ADAPTER_CONFIG_FILE)
    return Delta(weights, config if config.is_file() else None)


def _plain(name: str) -> str:
    """A name as open_clip has it.

    >>> _plain("base_model.model.visual.attn.base_layer.out_proj")
    'visual.attn.out_proj'
    """
    return _WRAPPED.sub("", name.removeprefix(_PEFT_PREFIX))


def _read_adapter(delta: Delta, has_pairs: bool) -> tuple[float, int, Iterable[str]]:
    """The factor, the rank and the target modules of an adapter."""
    if not has_pairs:
        return 1.0, 0, ()
    if delta.config is None:
        raise ModelError(f"{delta.weights} holds LoRA matrices; it needs {ADAPTER_CONFIG_FILE} beside it.")
    try:
        if delta.config.stat().st_size > MAX_CONFIG_BYTES:
            raise ModelError(f"{delta.config} is larger than any configuration; fetch it again.")
        config = json.loads(delta.config.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{delta.config} is not readable JSON.") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise ModelError(f"{delta.config} does not describe a LoRA adapter of PEFT; others cannot be merged.")
    other = next((key for key in _OTHER_METHODS if config.get(key)), None)
    if other is not None:
        raise ModelError(f"{delta.config} sets {other}, which cannot be merged here; merge it with PEFT and save it.")
    rank: Any = config.get("r")
    alpha: Any = config.get("lora_alpha")
    if type(rank) is not int or rank < 1 or type(alpha) not in (int, float) or not math.isfinite(alpha):
        raise ModelError(f"{delta.config} lacks a whole number `r` or a number `lora_alpha`.")
    modules = config.get("target_modules")
    named = [module for module in modules if isinstance(module, str)] if isinstance(modules, list) else []
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank), rank, named
