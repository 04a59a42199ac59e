"""Checkpoints, adapters and configurations.

`make` writes a case into an empty folder and returns how it is named; `expected` is a part of the remark of a case that
is assumed, and of the sentence of one that is refused. The built-in models are those of `tests.fixtures.tiny`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safetensors.numpy import save_file

from tests.accepted import Case, Outcome
from tests.fixtures.checkpoints import random_tensors

BASE: Final = "mini-compromised"


@dataclass(frozen=True)
class Named:
    """How a model is given: its reference, `--arch` and `--trust-pickle`."""

    reference: str
    architecture: str | None = None
    trust_pickle: bool = False


Make = Callable[[Path], Named]

# Adapters

PEFT: Final = "base_model.model."
MODULE: Final = "visual.transformer.resblocks.1.mlp.c_fc"
RANK: Final = 2
PAIR: Final = {f"{PEFT}{MODULE}.lora_A.weight": (RANK, 32), f"{PEFT}{MODULE}.lora_B.weight": (128, RANK)}
ADAPTER: Final[dict[str, Any]] = {"peft_type": "LORA", "r": RANK, "lora_alpha": 6, "target_modules": ["c_fc"]}
SAVED_BY_PEFT: Final[dict[str, Any]] = {
    "alora_invocation_tokens": None, "alpha_pattern": {}, "arrow_config": None, "auto_mapping": None,
    "base_model_name_or_path": None, "bias": "none", "corda_config": None, "ensure_weight_tying": False,
    "eva_config": None, "exclude_modules": None, "fan_in_fan_out": False, "inference_mode": True,
    "init_lora_weights": True, "kasa_config": None, "layer_replication": None, "layers_pattern": None,
    "layers_to_transform": None, "loftq_config": {}, "lora_alpha": 6, "lora_bias": False, "lora_dropout": 0.1,
    "lora_ga_config": None, "megatron_config": None, "megatron_core": "megatron.core", "modules_to_save": None,
    "monteclora_config": None, "peft_type": "LORA", "peft_version": "0.21.2", "qalora_group_size": 16, "r": RANK,
    "rank_pattern": {}, "revision": None, "target_modules": ["c_fc"], "target_parameters": None, "task_type": None,
    "trainable_token_indices": None, "use_bdlora": None, "use_dora": False, "use_qalora": False, "use_rslora": False,
    "velora_config": None,
}  # fmt: skip
"""All fields that PEFT 0.21 writes for a plain adapter."""


def adapter(shapes: dict[str, tuple[int, ...]] | None = None, **fields: Any) -> Make:
    """A PEFT folder with random matrices."""

    def make(folder: Path) -> Named:
        save_file(random_tensors(PAIR if shapes is None else shapes), folder / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text(json.dumps({**ADAPTER, **fields}))
        return Named(f"delta:{BASE}+{folder}")

    return make


CONVERT: Final = (
    r"which changes the base itself; save the adapter again with PEFT's save_pretrained\(\.\.\., path_initial"
)
UNKNOWN_START: Final = "which is not known to leave the base as it is; merge it with PEFT"


def _adapters(what: str, outcome: Outcome, says: str, make: Make, expected: str = "") -> Case:
    return Case("Adapters", what, outcome, says, make, expected)


def _start(value: Any, expected: str) -> Case:
    advice = "convert it when saving, or merge it with PEFT" if expected is CONVERT else "merge it with PEFT"
    return _adapters(
        f"LoRA, `init_lora_weights` {json.dumps(value)}", "refused", f"it changes the base; {advice}",
        adapter(init_lora_weights=value), f"starts from init_lora_weights '{value}', {expected}",
    )  # fmt: skip


def _field(name: str, value: Any) -> Case:
    return _adapters(
        f"LoRA with `{name}`", "refused", "not a plain sum; merge it with PEFT", adapter(**{name: value}),
        f"sets {name}, which cannot be merged here; merge it with PEFT",
    )  # fmt: skip


CASES: list[Case] = [
    _adapters("LoRA as PEFT 0.21 saves it", "accepted", "merged", adapter(**SAVED_BY_PEFT)),
    _adapters("LoRA of an older PEFT, with few fields", "accepted", "merged", adapter(merge_weights=False)),
    _adapters("LoRA with `use_rslora`", "accepted", "merged with its factor", adapter(use_rslora=True)),
    *(
        _adapters(
            f"LoRA, `init_lora_weights` {json.dumps(value)}", "accepted", "it leaves the base as it is: merged",
            adapter(init_lora_weights=value),
        )
        for value in (True, False, "gaussian", "eva", "orthogonal", "mica")
    ),
    _adapters(
        "PiSSA, OLoRA, CorDA or LoRA-GA that PEFT has converted (`init_lora_weights` true)", "accepted", "merged",
        adapter(init_lora_weights=True, corda_config={"beta": 1}, lora_ga_config={"direction": "ArB2r"}),
    ),
    *(_start(value, CONVERT) for value in ("pissa", "pissa_niter_16", "olora", "OLoRA", "corda", "lora_ga")),
    *(_start(value, UNKNOWN_START) for value in ("loftq", "something_new", 1)),
    _field("use_dora", True),
    _field("fan_in_fan_out", True),
    _field("rank_pattern", {"c_fc": 4}),
    _field("alpha_pattern", {"c_fc": 4}),
    _field("layer_replication", [[0, 1]]),
    _field("lora_bias", True),
    _field("trainable_token_indices", [1]),
    _field("target_parameters", ["visual.proj"]),
    _field("kasa_config", {"beta": 1e-4}),
    _field("use_bdlora", {"nblocks": 2}),
    _field("arrow_config", {"top_k": 3}),
    _field("alora_invocation_tokens", [1, 2]),
    _field("use_qalora", True),
    _field("megatron_config", {"hidden_size": 8}),
    _field("monteclora_config", {"num_samples": 8}),
    _field("field_of_a_later_version", {"x": 1}),
    _adapters(
        "LoRA with `modules_to_save`", "accepted", "whole tensors replace those of the base",
        adapter({**PAIR, f"{PEFT}ln_final.weight": (32,), f"{PEFT}ln_final.bias": (32,)}, modules_to_save=["ln_final"]),
    ),
    _adapters(
        "the same without the tensors of such a module", "refused", "the module is named",
        adapter(modules_to_save=["ln_final"]), "has no tensors of ln_final, which its adapter_config.json lists",
    ),
    _adapters(
        "LoRA with trained biases", "accepted", "they replace those of the base",
        adapter({**PAIR, f"{PEFT}{MODULE}.base_layer.bias": (128,)}, bias="lora_only"),
    ),
    _adapters(
        "the same without a bias in the file", "refused", "they are missing",
        adapter(bias="all"), "has no bias, but its adapter_config.json says that they were trained",
    ),
    _adapters(
        "a target module without matrices", "refused", "the module is named",
        adapter(target_modules=["c_fc", "c_proj"]), "has no matrices for c_proj",
    ),
    _adapters(
        "whole tensors only, though the configuration names target modules", "refused", "the module is named",
        adapter({f"{PEFT}ln_final.weight": (32,)}), "has no matrices for c_fc",
    ),
    _adapters(
        "two changes of one tensor", "refused", "the second is named",
        adapter({**PAIR, f"{MODULE}.lora_A.weight": (RANK, 32), f"{MODULE}.lora_B.weight": (128, RANK)}),
        rf"cannot be merged: {MODULE}.lora_A.weight is the second that changes {MODULE}.weight",
    ),
    _adapters(
        "`use_rslora` that is no truth value", "refused", "the field is named", adapter(use_rslora="false"),
        "has a `use_rslora` that is neither true nor false",
    ),
    _adapters("IA3 and other methods of PEFT", "refused", "only LoRA is merged", adapter(peft_type="IA3"), "LoRA"),
]  # fmt: skip
