"""Checkpoints that hold only what changed: LoRA adapters of PEFT, and partial state dicts, merged onto a base.

A LoRA pair adds `scale · B · A` to a weight of the base, where `scale` is `lora_alpha / r`, or `lora_alpha / sqrt(r)`
with `use_rslora` (LoRA, arXiv 2106.09685; rsLoRA, arXiv 2312.03732). Every other tensor replaces the tensor of that
name. The sum is computed in single precision, tensor by tensor. An adapter whose configuration asks for anything that
is not known to be this sum on an unchanged base is refused; the fields are those of PEFT 0.21.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, FiniteFloat, model_validator

from salmu_demo.core.documents import MismatchError, misfit, parse_model
from salmu_demo.core.errors import ModelError
from salmu_demo.models.header import FLOATS, Shape, shown
from salmu_demo.models.json_file import MAX_CONFIG_BYTES, read_bytes
from salmu_demo.models.weights import SafetensorsReader, TensorReader, check_whole

ADAPTER_FILE: Final = "adapter_model.safetensors"
ADAPTER_CONFIG_FILE: Final = "adapter_config.json"

_PEFT_PREFIX: Final = "base_model.model."
_PAIR: Final = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")
_WRAPPED: Final = re.compile(r"\.(?:base_layer|modules_to_save)(?:\.default)?(?=\.)")
"""Segments PEFT puts into the names of modules it wraps."""

_PLAIN_FIELDS: Final = frozenset(
    {
        # Which modules are adapted: the file's own matrices say so.
        "exclude_modules", "layers_to_transform", "layers_pattern",
        # Of the training, of its start, or of other methods' details, without which they are not used.
        "lora_dropout", "inference_mode", "loftq_config", "eva_config", "corda_config", "lora_ga_config",
        "qalora_group_size", "megatron_core", "runtime_config", "merge_weights",
        # About the adapter.
        "task_type", "auto_mapping", "base_model_name_or_path", "revision", "peft_version",
    }
)  # fmt: skip
"""Fields of an adapter's configuration that leave the sum as it is, whatever their value. Any other one that is set
(DoRA, ranks by pattern, replicated layers, and what later versions of PEFT will invent) is refused by its name."""

_STARTS: Final = ("gaussian", "eva", "orthogonal", "mica")
"""Values of `init_lora_weights`, besides true and false, that set the matrices and leave the base as it is. The others
(PiSSA, OLoRA, CorDA, LoRA-GA, LoftQ) subtract from the base what they put into the matrices, or quantise it."""

_CONVERTIBLE: Final = ("pissa", "olora", "corda", "lora_ga")
"""Starts that PEFT can subtract again when it saves the adapter."""

_MERGE: Final = "merge it with PEFT (merge_and_unload) and save the whole model"

T = TypeVar("T")


def _names(value: Any) -> tuple[str, ...]:
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()


def _start(start: Any) -> Any:
    """Refuse an adapter that was not trained on the base as it is."""
    if isinstance(start, bool) or start in _STARTS:
        return start
    named = shown(str(start))
    if isinstance(start, str) and start.lower().startswith(_CONVERTIBLE):
        raise misfit(
            f"is {named!r}, which changes the base itself; save the adapter again with PEFT's save_pretrained(..., "
            "path_initial_model_for_weight_conversion=...), or merge it with PEFT (merge_and_unload) and save the "
            "whole model"
        )
    raise misfit(f"is {named!r}, which is not known to leave the base as it is; {_MERGE}")


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


@dataclass(frozen=True)
class Delta:
    """The files of a delta: its tensors, and the adapter's configuration if there is one."""

    weights: Path
    config: Path | None


class _Adapter(BaseModel, extra="allow"):
    """An adapter's configuration, as far as it decides what is merged.

    Attributes:
        peft_type: LORA; the other kinds of PEFT are not such a sum.
        r: rank of every pair of matrices.
        lora_alpha: factor of their product, before the rank.
        use_rslora: whether the factor is divided by the root of the rank.
        init_lora_weights: how the matrices began, see `_start`.
        target_modules: ends of the names of the modules that have pairs; a pattern in their place is not followed.
        modules_to_save: ends of the names of the modules that are stored whole.
        bias: which biases were trained too.
    """

    peft_type: Literal["LORA"]
    r: Annotated[int, Field(ge=1)]
    lora_alpha: FiniteFloat
    use_rslora: bool | None = None
    init_lora_weights: Annotated[Any, AfterValidator(_start)] = True
    target_modules: Names = ()
    modules_to_save: Names = ()
    bias: str | None = "none"

    @property
    def scale(self) -> float:
        """Factor of the product of a pair."""
        return self.lora_alpha / (math.sqrt(self.r) if self.use_rslora else self.r)

    @model_validator(mode="after")
    def _sets_nothing_else(self) -> Self:
        others = (key for key, value in (self.model_extra or {}).items() if value and key not in _PLAIN_FIELDS)
        for other in others:
            raise misfit(f"it sets {shown(other)}, which cannot be merged here; {_MERGE}")
        return self


@dataclass(frozen=True)
class _LowRankPair:
    """The names of the two matrices that change one weight."""

    down: str
    up: str


class MergedReader:
    """A base with a delta on top, as if it were one checkpoint; see `weights.TensorReader`."""

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
        self._pairs: dict[str, _LowRankPair] = {}
        adapter = _read_adapter(delta, bool(pairs))
        if adapter is not None:
            self._scale = adapter.scale
            for module, pair in pairs.items():
                self._once(self._pairs, self._target(module, pair, adapter.r), pair, pair.down)
            self._check_complete(adapter, [_plain(module) for module in pairs])
        self.dtypes: Mapping[str, str] = {
            **base.dtypes,
            **{target: self._delta.dtypes[name] for target, name in self._replaced.items()},
            **dict.fromkeys(self._pairs, "F32"),
        }

    def read(self, name: str) -> NDArray[Any]:
        """See `weights.TensorReader`."""
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
        """See `weights.TensorReader`; a sum is stored in single precision."""
        if name in self._pairs:
            return self.read(name).tobytes()
        return self._delta.stored(self._replaced[name]) if name in self._replaced else self._base.stored(name)

    def _check_complete(self, adapter: _Adapter, adapted: list[str]) -> None:
        """The file holds what its configuration says was trained; `adapted` are the modules with pairs."""
        for module in adapter.target_modules:
            if not any(name == module or name.endswith(f".{module}") for name in adapted):
                raise ModelError(f"{self._what} has no matrices for {module}, a target of its {ADAPTER_CONFIG_FILE}.")
        for module in adapter.modules_to_save:
            if any(_is_of(name, module) for name in self.shapes) and not any(
                _is_of(name, module) for name in self._replaced
            ):
                raise ModelError(
                    f"{self._what} has no tensors of {module}, which its {ADAPTER_CONFIG_FILE} lists as saved."
                )
        if adapter.bias not in (None, "", "none") and not any(name.endswith("bias") for name in self._replaced):
            raise ModelError(f"{self._what} has no bias, but its {ADAPTER_CONFIG_FILE} says that they were trained.")

    def _once(self, found: dict[str, T], target: str, value: T, name: str) -> None:
        """Note what changes a tensor of the base; a second one would silently take the first one's place."""
        if target in found:
            raise ModelError(f"{self._what} cannot be merged: {shown(name)} is the second that changes {target}.")
        found[target] = value

    def _sort(self) -> tuple[dict[str, _LowRankPair], dict[str, str]]:
        """Module to LoRA pair, and tensor of the base to the tensor that replaces it."""
        sides: dict[str, dict[str, str]] = {}
        replaced: dict[str, str] = {}
        for name, shape in self._delta.shapes.items():
            found = _PAIR.fullmatch(name)
            if found:
                self._once(sides.setdefault(found["module"], {}), found["side"], name, name)
                continue
            target = _plain(name)
            if target not in self.shapes:
                raise ModelError(f"{self._what} cannot be merged: the base has no tensor for {shown(name)}.")
            if self.shapes[target] != shape:
                raise ModelError(
                    f"{self._what} cannot be merged: {shown(name)} has shape {shape}, not {self.shapes[target]}."
                )
            self._once(replaced, target, name, name)
        pairs = {}
        for module, names in sides.items():
            if len(names) != 2:
                [only] = names.values()
                raise ModelError(f"{self._what} cannot be merged: {shown(only)} lacks the other matrix of its pair.")
            pairs[module] = _LowRankPair(names["A"], names["B"])
        return pairs, replaced

    def _target(self, module: str, pair: _LowRankPair, rank: int) -> str:
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
        raise ModelError(f"{path} is not a delta; give a PEFT folder with {ADAPTER_FILE}, or a .safetensors file.")
    check_whole(weights)
    config = weights.with_name(ADAPTER_CONFIG_FILE)
    return Delta(weights, config if config.is_file() else None)


def _plain(name: str) -> str:
    """A name as open_clip has it.

    >>> _plain("base_model.model.visual.attn.base_layer.out_proj")
    'visual.attn.out_proj'
    """
    return _WRAPPED.sub("", name.removeprefix(_PEFT_PREFIX))


def _is_of(tensor: str, module: str) -> bool:
    """Whether a tensor belongs to a module that is named by the end of its name.

    >>> _is_of("visual.ln_post.weight", "ln_post"), _is_of("ln_final.weight", "final")
    (True, False)
    """
    return f".{module}." in f".{tensor}"


def _read_adapter(delta: Delta, has_pairs: bool) -> _Adapter | None:
    """What the configuration says, None without one that is needed; raises `ModelError`."""
    if not has_pairs and (delta.config is None or delta.weights.name != ADAPTER_FILE):
        return None
    if delta.config is None:
        raise ModelError(f"{delta.weights} holds LoRA matrices; it needs {ADAPTER_CONFIG_FILE} beside it.")
    try:
        return parse_model(read_bytes(delta.config, MAX_CONFIG_BYTES), _Adapter)
    except MismatchError as error:
        raise ModelError(f"{delta.config} cannot be used: {error}.") from error
