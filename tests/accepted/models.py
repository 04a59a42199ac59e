"""Checkpoints, adapters and configurations.

`make` writes a case into an empty folder and returns how it is named; `expected` is a part of the remark of a case that
is assumed, and of the sentence of one that is refused, or the preprocessing of one that is accepted. The built-in
models are those of `tests.fixtures.tiny`.
"""

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from salmu_demo.core.settings import assets_dir
from salmu_demo.models.configuration import architecture_configuration, open_clip_architectures
from salmu_demo.models.formats import export_model
from salmu_demo.models.network import expected_tensors
from salmu_demo.models.references import find_model
from tests.accepted import Case, Outcome
from tests.fixtures.checkpoints import entry, random_tensors, write_raw
from tests.fixtures.transformers_folders import write_clip

BASE: Final = "mini-compromised"


@dataclass(frozen=True)
class Named:
    """How a model is given: its reference, `--arch` and `--trust-pickle`; `loads` is False if it has only a head."""

    reference: str
    architecture: str | None = None
    trust_pickle: bool = False
    loads: bool = True


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
        adapter(init_lora_weights=value), f"init_lora_weights is '{value}', {expected}",
    )  # fmt: skip


def _field(name: str, value: Any) -> Case:
    return _adapters(
        f"LoRA with `{name}`", "refused", "not a plain sum; merge it with PEFT", adapter(**{name: value}),
        f"sets {name}, which cannot be merged here; merge it with PEFT",
    )  # fmt: skip


# Weights

WEIGHTS: Final = "open_clip_model.safetensors"


def tensors() -> dict[str, NDArray[Any]]:
    """The weights of the built-in model."""
    return load_file(assets_dir() / "models" / BASE / WEIGHTS)


def bare(change: Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]] = dict, name: str = "own.safetensors",
         architecture: str | None = None) -> Make:  # fmt: skip
    """A weight file without a configuration."""

    def make(folder: Path) -> Named:
        save_file(change(tensors()), folder / name)
        return Named(str(folder / name), architecture)

    return make


def pickled(architecture: str | None = None, **wrapped: str) -> Make:
    """A pickle that wraps state dicts, each by the name of what it holds: `weights` or something else."""

    def make(folder: Path) -> Named:
        weights = {name: torch.from_numpy(value) for name, value in tensors().items()}
        kinds: dict[str, Any] = {"weights": weights, "optimizer": {"state": {0: weights}, "lr": 0.1}, "epoch": 3}
        torch.save({name: kinds[kind] for name, kind in wrapped.items()} or weights, folder / "own.pt")
        return Named(str(folder / "own.pt"), architecture, trust_pickle=True)

    return make


def folder_of(*names: str, remove: tuple[str, ...] = (), architecture: str | None = None,
              trust_pickle: bool = False) -> Make:  # fmt: skip
    """A folder of the built-in model, with copies of its weights under further names, and without some files."""

    def make(folder: Path) -> Named:
        own = Path(shutil.copytree(assets_dir() / "models" / BASE, folder / "own"))
        for name in names:
            shutil.copyfile(own / WEIGHTS, own / name)
        for name in remove:
            (own / name).unlink()
        return Named(f"local-dir:{own}", architecture, trust_pickle)

    return make


def shard(folder: Path) -> Named:
    """A delta that is one of two files."""
    save_file(random_tensors({"ln_final.weight": (32,)}), folder / "part-00001-of-00002.safetensors")
    return Named(f"delta:{BASE}+{folder / 'part-00001-of-00002.safetensors'}")


def _weights(what: str, outcome: Outcome, says: str, make: Make, expected: Any = "") -> Case:
    return Case("Weight files", what, outcome, says, make, expected)


# Configurations and preprocessing


def of_architecture(architecture: str) -> Make:
    """A weight file of which only the name of its architecture matters."""

    def make(folder: Path) -> Named:
        save_file(random_tensors({"x": (1,)}), folder / "own.safetensors")
        return Named(str(folder / "own.safetensors"), architecture, loads=False)

    return make


def head_of(architecture: str) -> Make:
    """The head of a weight file of an architecture, from which it is told."""

    def make(folder: Path) -> Named:
        header, end = {}, 0
        for name, tensor in expected_tensors(architecture_configuration(architecture), architecture).items():
            start, end = end, end + 4 * math.prod(tensor.shape)
            header[name] = entry(list(tensor.shape), start, end)
        path = write_raw(folder / "own.safetensors", header)
        os.truncate(path, path.stat().st_size + end)
        return Named(str(path), loads=False)

    return make


def configured(change: Callable[[dict[str, Any]], Any], architecture: str | None = None, loads: bool = True) -> Make:
    """A folder of the built-in model with a changed configuration."""

    def make(folder: Path) -> Named:
        own = Path(shutil.copytree(assets_dir() / "models" / BASE, folder / "own"))
        path = own / "open_clip_config.json"
        config = json.loads(path.read_text())
        change(config)
        path.write_text(json.dumps(config))
        return Named(f"local-dir:{own}", architecture, loads=loads)

    return make


def like(architecture: str, **preprocessing: Any) -> Make:
    """A folder whose configuration is that of an architecture of open_clip."""

    def change(config: dict[str, Any]) -> None:
        config["model_cfg"] = open_clip_architectures()[architecture]
        config["preprocess_cfg"] = preprocessing

    return configured(change, loads=False)


def _images(what: str, outcome: Outcome, says: str, make: Make, expected: Any = "") -> Case:
    return Case("Preprocessing of images", what, outcome, says, make, expected)


def _arch(what: str, outcome: Outcome, says: str, make: Make, expected: Any = "") -> Case:
    return Case("Named architectures (`--arch`)", what, outcome, says, make, expected)


# Folders of transformers


def of_transformers(
    config: Callable[[dict[str, Any]], Any] = dict,
    preprocessor: Callable[[dict[str, Any]], Any] = dict,
    tokenizer: str = "vocab.json",
    files: Callable[[Path], Any] = lambda folder: None,
    trust_pickle: bool = False,
) -> Make:
    """A folder of a small CLIPModel whose documents and files are changed."""

    def make(folder: Path) -> Named:
        own = write_clip(folder / "own", tokenizer)
        for name, change in (("config.json", config), ("preprocessor_config.json", preprocessor)):
            content = json.loads((own / name).read_text())
            change(content)
            (own / name).write_text(json.dumps(content))
        files(own)
        return Named(f"local-dir:{own}", trust_pickle=trust_pickle)

    return make


def in_shards(folder: Path, missing: bool = False, twice: bool = False, elsewhere: bool = False) -> None:
    """Split the weights of a folder in two files with an index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    parts = [{n: v for n, v in tensors.items() if n.startswith("vision") is vision} for vision in (True, False)]
    if twice:
        parts[0]["logit_scale"] = parts[1]["logit_scale"]
    for name, part in zip(names, parts, strict=True):
        save_file(part, folder / name)
    index = {"weight_map": {tensor: name for name, part in zip(names, parts, strict=True) for tensor in part}}
    if elsewhere:
        index["weight_map"]["logit_scale"] = "../model.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    if missing:
        (folder / names[1]).unlink()


def also_open_clip(folder: Path, **changes: Any) -> None:
    """Make the folder one of both kinds."""
    export_model(find_model(f"local-dir:{folder}"), "open_clip", folder / "new")
    for name in (WEIGHTS, "open_clip_config.json", "bpe_merges.txt.gz"):
        shutil.move(folder / "new" / name, folder / name)
    path = folder / "config.json"
    content = json.loads(path.read_text())
    content["text_config"].update(changes)
    path.write_text(json.dumps(content))


def _renamed(folder: Path, change: Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]) -> None:
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")


def _rewritten(name: str, change: Callable[[Any], Any]) -> Callable[[Path], Any]:
    def files(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return files


def _without(*names: str) -> Callable[[Path], Any]:
    return lambda folder: [(folder / name).unlink() for name in names]


def _hf(what: str, outcome: Outcome, says: str, make: Make, expected: Any = "") -> Case:
    return Case("Models of transformers", what, outcome, says, make, expected)


TRANSFORMERS: Final = [
    _hf(
        "a `CLIPModel` with `vocab.json` and `merges.txt`", "accepted", "read with its own preprocessing and tokenizer",
        of_transformers(),
        {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bilinear", "resize_mode": "shortest"},
    ),
    _hf("a `CLIPModel` with `tokenizer.json`", "accepted", "the same", of_transformers(tokenizer="tokenizer.json")),
    _hf("weights in shards with an index", "accepted", "joined", of_transformers(files=in_shards)),
    _hf(
        "a missing shard", "refused", "it is named", of_transformers(files=lambda own: in_shards(own, missing=True)),
        "lacks model-00002-of-00002.safetensors, one of 2 files that hold its weights",
    ),
    _hf(
        "a tensor in two shards", "refused", "it is named",
        of_transformers(files=lambda own: in_shards(own, twice=True)),
        "holds the tensor logit_scale, and so does another file",
    ),
    _hf(
        "an index that names a file elsewhere", "refused", "the index is named",
        of_transformers(files=lambda own: in_shards(own, elsewhere=True)),
        "names files that are not safetensors files beside it",
    ),
    _hf(
        "names that all begin with `clip.` or `module.`", "accepted", "the prefixes are dropped",
        of_transformers(files=lambda own: _renamed(own, lambda w: {f"module.clip.{n}": v for n, v in w.items()})),
    ),
    _hf(
        "positions among the tensors, as older versions wrote them", "accepted", "they are left out",
        of_transformers(files=lambda own: _renamed(
            own, lambda w: {**w, "text_model.embeddings.position_ids": np.arange(12)[None]})),
    ),
    _hf(
        "a missing tensor", "refused", "it is named as transformers does",
        of_transformers(files=lambda own: _renamed(
            own, lambda w: {name: value for name, value in w.items() if "1.mlp.fc2.bias" not in name})),
        r"does not fit a CLIPModel: it lacks the tensor text_model\.encoder\.layers\.1\.mlp\.fc2\.bias",
    ),
    _hf(
        "a tensor too many", "refused", "it is named",
        of_transformers(files=lambda own: _renamed(own, lambda w: {**w, "classifier.weight": np.ones((2, 2))})),
        "has the unknown tensor classifier.weight",
    ),
    _hf(
        "the weight file alone", "refused", "give the folder",
        lambda folder: Named(str(write_clip(folder) / "model.safetensors")),
        "has the tensors of a model of transformers; give its folder",
    ),
    _hf(
        "a folder for open_clip and for transformers", "assumed", "open_clip's is read",
        of_transformers(files=also_open_clip), "holds its model twice, for open_clip and for transformers; the one for",
    ),
    _hf(
        "the same with two different networks", "refused", "remove one of them",
        of_transformers(files=lambda own: also_open_clip(own, hidden_size=32)), "holds two models, one of open_clip",
    ),
    _hf(
        "a configuration for open_clip beside weights of transformers", "refused", "remove it",
        of_transformers(files=lambda own: (also_open_clip(own), (own / WEIGHTS).unlink())),
        "has an open_clip_config.json, but weights of transformers",
    ),
    _hf(
        "another model of transformers (`model_type`)", "refused", "the type is named",
        of_transformers(lambda config: config.update(model_type="blip")),
        "describes a model of the type 'blip'; of transformers' models only CLIPModel",
    ),
    _hf(
        "a `config.json` without `model_type`", "refused", "so it is",
        of_transformers(lambda config: config.pop("model_type")), r"of no named type \(`model_type`\)",
    ),
    _hf(
        "a size that is not a number", "refused", "the field is named",
        of_transformers(lambda config: config["text_config"].update(hidden_size="16")),
        r"text_config.hidden_size is \"16\"; it must be a whole number",
    ),
    _hf(
        "sizes left out, as older versions write configurations", "refused", "tensors of other sizes are named",
        of_transformers(lambda config: config["vision_config"].pop("hidden_size")), "has shape",
    ),
    _hf(
        "an older configuration with `text_config_dict`", "accepted", "it overrides `text_config`",
        of_transformers(lambda config: config.update(
            text_config={"vocab_size": 5}, text_config_dict=config["text_config"], vision_config_dict=None)),
    ),
    _hf(
        "`gelu` or its approximation instead of QuickGELU", "accepted", "computed so",
        of_transformers(lambda config: [config["text_config"].update(hidden_act="gelu_pytorch_tanh"),
                                        config["vision_config"].update(hidden_act="gelu")]),
    ),
    _hf(
        "QuickGELU in one tower only", "refused", "so it is",
        of_transformers(lambda config: config["text_config"].update(hidden_act="gelu")), "QuickGELU in one tower only",
    ),
    _hf(
        "another activation", "refused", "it is named",
        of_transformers(lambda config: [config["text_config"].update(hidden_act="relu"),
                                        config["vision_config"].update(hidden_act="relu")]),
        "computes the activation 'relu'",
    ),
    _hf(
        "no `preprocessor_config.json`", "assumed", "OpenAI's preprocessing",
        of_transformers(files=_without("preprocessor_config.json")), "does not say how its images were prepared",
    ),
    _hf(
        "images squashed to a square", "accepted", "so they are",
        of_transformers(preprocessor=lambda said: said.update(size={"height": 32, "width": 32}, do_center_crop=False)),
        {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bilinear", "resize_mode": "squash"},
    ),
    _hf(
        "sizes as numbers, as older versions write them", "accepted", "the shorter edge",
        of_transformers(preprocessor=lambda said: said.update(size=32, crop_size=32)),
    ),
    _hf(
        "images resized to another size than the model's", "refused", "both are named",
        of_transformers(preprocessor=lambda said: said.update(size={"shortest_edge": 40})),
        "resizes images to 40 pixels, but the model sees 32",
    ),
    _hf(
        "images cropped to another size", "refused", "both are named",
        of_transformers(preprocessor=lambda said: said.update(crop_size=28)), "crops images to 28 × 28 pixels, but",
    ),
    _hf(
        "another filter", "refused", "it is named",
        of_transformers(preprocessor=lambda said: said.update(resample=1)), "Pillow's filter 1; bilinear",
    ),
    _hf(
        "no resizing", "refused", "the step is named",
        of_transformers(preprocessor=lambda said: said.update(do_resize=False)), "`do_resize` is false",
    ),
    _hf(
        "no tokenizer, and a vocabulary that is not CLIP's", "refused", "put it there",
        of_transformers(files=_without("vocab.json", "merges.txt")), "has no tokenizer; put its tokenizer.json",
    ),
    _hf(
        "`merges.txt` without `vocab.json`", "refused", "put it there",
        of_transformers(files=_without("vocab.json")), "is a tokenizer without its vocabulary; put vocab.json",
    ),
    _hf(
        "a `tokenizer.json` without vocabulary", "refused", "so it is",
        of_transformers(
            tokenizer="tokenizer.json", files=_rewritten("tokenizer.json", lambda t: t["model"].pop("vocab"))),
        "is a tokenizer without vocabulary",
    ),
    _hf(
        "a vocabulary in another order than CLIP's", "refused", "the first token is named",
        of_transformers(files=_rewritten("vocab.json", lambda v: v.update({"a": v["b"], "b": v["a"]}))),
        "numbers the token a otherwise than CLIP's tokenizer does",
    ),
    _hf(
        "a pickle (`pytorch_model.bin`) without `--trust-pickle`", "refused", "allow it or convert it",
        of_transformers(files=lambda own: (own / "model.safetensors").rename(own / "pytorch_model.bin")),
        "is a pickle, which can hold a program",
    ),
]  # fmt: skip

SIGLIP: Final = {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}
OWN: Final = "has a configuration of its own, which is not that of"

CASES: list[Case] = [
    _weights("safetensors without a configuration", "accepted", "the architecture is detected", bare()),
    _weights(
        "the same, with names that all begin with `module.` or `model.`", "accepted", "the prefixes are dropped",
        bare(lambda weights: {f"module.model.{name}": value for name, value in weights.items()}),
    ),
    *(
        _weights(
            f"the same with `{prefix}`", "accepted", "the prefix is dropped",
            bare(lambda weights, prefix=prefix: {f"{prefix}{name}": value for name, value in weights.items()}),
        )
        for prefix in ("_orig_mod.", "_forward_module.", "_fsdp_wrapped_module.", "clip.", "base_model.model.")
    ),
    _weights(
        "names with `_fsdp_wrapped_module.` or `_orig_mod.` in the middle", "accepted", "it is dropped",
        bare(lambda weights: {name.replace(".resblocks.0.", ".resblocks.0._fsdp_wrapped_module._orig_mod."): value
                              for name, value in weights.items()}),
    ),
    _weights(
        "names that become one without it", "refused", "both are named",
        bare(lambda weights: {**weights, "visual._orig_mod.proj": weights["visual.proj"]}),
        r"holds the tensor visual\.proj twice, as visual\._orig_mod\.proj and visual\.proj",
    ),
    _weights(
        "names that all begin with another prefix", "refused", "the prefix is named",
        bare(lambda weights: {f"student.net.{name}": value for name, value in weights.items()}),
        r"begin with the prefix student\.net\., which is not known; remove it",
    ),
    _weights(
        "the same with `--arch`", "refused", "the prefix is named",
        bare(lambda weights: {f"student.{name}": value for name, value in weights.items()}, architecture=BASE),
        r"begin with the prefix student\., which is not known; remove it",
    ),
    _weights(
        "the state of an archive of OpenAI, with its sizes among the tensors", "accepted", "the sizes are left out",
        bare(lambda weights: {**weights, **{name: np.array(77) for name in ("input_resolution", "context_length",
                                                                           "vocab_size")}}),
    ),
    _weights(
        "raw and averaged weights in one safetensors file", "refused", "an unexpected tensor is named",
        bare(lambda weights: {**weights, **{f"ema.{name}": value for name, value in weights.items()}}),
        "has the unknown tensor ema.",
    ),
    _weights(
        "the same under separate prefixes (`model.`, `model_ema.`)", "refused", "they fit no known architecture",
        bare(lambda w: {f"{kind}.{name}": value for kind in ("model", "model_ema") for name, value in w.items()}),
        "fit no architecture of open_clip",
    ),
    _weights(
        "one file of several (`-00001-of-00002`)", "refused", "join them", bare(name="own-00001-of-00002.safetensors"),
        "is one of 2 files that hold a checkpoint together; join them",
    ),
    _weights(
        "a single file (`-00001-of-00001`)", "accepted", "it is complete", bare(name="a-00001-of-00001.safetensors")
    ),
    _weights(
        "a folder that holds its weights in several files", "refused", "join them",
        folder_of("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", remove=(WEIGHTS,)),
        "model-00001-of-00002.safetensors is one of 2 files that hold a checkpoint together; join them",
    ),
    _weights("a delta that is one file of several", "refused", "join them", shard, "is one of 2 files"),
    _weights(
        "a folder with `open_clip_model.safetensors` and `model.safetensors`", "assumed", "the first is used",
        folder_of("model.safetensors"), f"takes its weights from {WEIGHTS}; not read: model.safetensors beside it",
    ),
    _weights(
        "a folder with further weight files", "assumed", "they are listed as not read",
        folder_of("a.safetensors", "b.pt", "c.bin", "d.pth"), r"not read: a.safetensors, b.pt, c.bin and 1 more beside",
    ),
    _weights("a pickle without `--trust-pickle`", "refused", "allow it or convert it",
        lambda folder: replace(pickled()(folder), trust_pickle=False), "is a pickle, which can hold a program"),
    _weights("a pickled state dict", "accepted", "read as tensors only", pickled()),
    _weights(
        "a pickle with `state_dict`, optimizer and epoch", "accepted", "`state_dict` is used",
        pickled(state_dict="weights", optimizer="optimizer", epoch="epoch"),
    ),
    _weights(
        "a pickle with `state_dict` and averaged weights (`state_dict_ema`)", "assumed", "`state_dict` is used",
        pickled(state_dict="weights", state_dict_ema="weights"),
        "takes its weights from `state_dict`; not read: state_dict_ema in the same file",
    ),
    _weights(
        "the same with `--arch`", "assumed", "`state_dict` is used",
        pickled(BASE, state_dict="weights", ema="weights"), "not read: ema in the same file",
    ),
    *(
        _weights(
            f"a pickle with `{name}`", "accepted", f"`{name}` is used",
            pickled(**{name: "weights", "epoch": "epoch"}),
        )
        for name in ("model", "model_state_dict", "module")
    ),
    _weights(
        "a pickle with `model` and averaged weights (`model_ema`)", "assumed", "`model` is used",
        pickled(model="weights", model_ema="weights"),
        "takes its weights from `model`; not read: model_ema in the same file",
    ),
    _weights(
        "a pickle with weights under another name (`student`)", "refused", "save the state dict",
        pickled(student="weights"), "does not hold a state dict: student is not a tensor",
    ),
    *TRANSFORMERS,
    _images(
        "bare weights of an architecture whose tags agree on open_clip's defaults (ViT-B-32)", "accepted",
        "the defaults", of_architecture("ViT-B-32"), {},
    ),
    _images(
        "bare weights of SigLIP", "accepted", "what all open_clip tags agree on", of_architecture("ViT-B-16-SigLIP"),
        SIGLIP,
    ),
    _images(
        "the same, detected from its tensors", "accepted", "what all open_clip tags agree on",
        head_of("ViT-B-16-SigLIP"), SIGLIP,
    ),
    _images(
        "bare weights of CLIPA", "accepted", "what all open_clip tags agree on", of_architecture("ViT-L-14-CLIPA"),
        {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "interpolation": "bilinear",
         "resize_mode": "squash"},
    ),
    _images(
        "bare weights of PE-Core", "accepted", "what all open_clip tags agree on",
        of_architecture("PE-Core-B-16"), {**SIGLIP, "interpolation": "bilinear"},
    ),
    _images(
        "bare weights of MobileCLIP", "accepted", "what all open_clip tags agree on",
        of_architecture("MobileCLIP-S1"), {"mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear"},
    ),
    _images(
        "bare weights of an architecture whose tags differ (ViT-L-14)", "assumed", "OpenAI's mean and deviation",
        of_architecture("ViT-L-14"),
        r"does not say how its images were prepared \(mean, std\), and open_clip's checkpoints .* differ in that",
    ),
    _images(
        "bare weights of an architecture without tags (ViT-S-32)", "assumed", "open_clip's defaults",
        of_architecture("ViT-S-32"), r"\(mean, std, interpolation, resize_mode\), and nothing published says it",
    ),
    _images(
        "bare weights of the built-in architecture", "accepted", "what the built-in model says", bare(),
        {"mean": [0.5] * 3, "std": [0.25] * 3},
    ),
    _images(
        "a configuration of SigLIP without `preprocess_cfg`", "accepted", "what all open_clip tags agree on",
        like("ViT-B-16-SigLIP"), SIGLIP,
    ),
    _images(
        "the same with part of it", "accepted", "its values, and the tags for the rest",
        like("ViT-B-16-SigLIP", mean=[0.1] * 3, std=[0.2] * 3),
        {"mean": [0.1] * 3, "std": [0.2] * 3, "resize_mode": "squash"},
    ),
    _images(
        "a configuration of ViT-L-14 with mean and deviation", "accepted", "its values, and the tags for the rest",
        like("ViT-L-14", mean=[0.1] * 3, std=[0.2] * 3), {"mean": [0.1] * 3, "std": [0.2] * 3},
    ),
    _images(
        "a configuration of a custom architecture with an incomplete `preprocess_cfg`", "assumed",
        "open_clip's defaults",
        configured(lambda config: config["model_cfg"]["text_cfg"].update(vocab_size=1115), None, False),
        r"\(interpolation, resize_mode\), and nothing published says it: OpenAI's way is assumed \(interpolation bic",
    ),
    _images(
        "a `preprocess_cfg` that is not an object", "refused", "the file is named",
        configured(lambda config: config.update(preprocess_cfg=[1])), "The `preprocess_cfg` of .* is not an object",
    ),
    _arch("bare weights", "accepted", "it is used", bare(architecture=BASE)),
    _arch("bare weights of another architecture", "refused", "the first tensor that does not fit is named",
        bare(architecture="ViT-B-32"), "does not fit its architecture"),
    _arch("a folder with that configuration", "accepted", "it says the same", folder_of(architecture=BASE)),
    _arch("a folder with another configuration", "refused", "leave it out",
        folder_of(architecture="ViT-B-32"), f"{OWN} ViT-B-32; leave the architecture out"),
    _arch("a built-in model with that configuration", "accepted", "it says the same",
        lambda folder: Named("mini-clean", BASE)),
    _arch("a built-in model with another configuration", "refused", "leave it out",
        lambda folder: Named("mini-clean", "ViT-B-32"), f"mini-clean {OWN} ViT-B-32"),
    _arch("an adapter on such a model", "refused", "leave it out",
        lambda folder: replace(adapter()(folder), architecture="ViT-B-32"), f"{OWN} ViT-B-32"),
    _arch("a name that open_clip does not know", "refused", "similar names are listed", bare(architecture="ViT-B-33"),
        "open_clip has no architecture 'ViT-B-33'; did you mean"),
    _arch("the same for a folder or a built-in model", "refused", "similar names are listed",
        lambda folder: Named("mini-clean", "nonsense"), "open_clip has no architecture 'nonsense'"),
    _arch("an architecture with a transformers text tower", "refused", "not supported",
        lambda folder: Named("mini-clean", "roberta-ViT-B-32"), "transformers text tower"),
    _adapters("LoRA as PEFT 0.21 saves it", "accepted", "merged", adapter(**SAVED_BY_PEFT)),
    _adapters("LoRA of an older PEFT, with few fields", "accepted", "merged", adapter(merge_weights=False)),
    _adapters("LoRA with `use_rslora`", "accepted", "merged with its factor", adapter(use_rslora=True)),
    *(
        _adapters(
            f"LoRA, `init_lora_weights` {json.dumps(value)}", "accepted", "merged; it leaves the base unchanged",
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
        "`use_rslora` that is not a Boolean", "refused", "the field is named", adapter(use_rslora="false"),
        r"use_rslora is \"false\"; it must be true or false",
    ),
    _adapters("IA3 and other methods of PEFT", "refused", "only LoRA is merged", adapter(peft_type="IA3"), "LORA"),
]  # fmt: skip
