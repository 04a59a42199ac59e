"""The `config.json` and `preprocessor_config.json` of transformers for a model of open_clip.

What is written is read back as `transformers_config` does and compared: a configuration that says more than what
transformers' classes compute is refused, whatever it is.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from salmu_demo.core.errors import ModelError
from salmu_demo.models.header import Shape
from salmu_demo.models.preprocessing import DEFAULTS
from salmu_demo.models.source import DEFAULT_CONTEXT
from salmu_demo.models.transformers_config import (
    HEADS,
    RESAMPLINGS,
    image_activation,
    network_of,
    preprocessing_of,
)
from salmu_demo.models.transformers_tensors import CLASSES, Family
from salmu_demo.models.vocabulary import CLIP_VOCABULARY

_OLD_END: Final = 2
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "model": {"quick_gelu": False, "custom_text": False, "init_logit_bias": None},
    "vision_cfg": {
        "image_size": 224, "layers": 12, "width": 768, "head_width": 64, "patch_size": 16, "mlp_ratio": 4.0,
        "timm_model_pretrained": False, "timm_pool": "avg", "timm_proj": "linear",
    },
    "text_cfg": {
        "context_length": DEFAULT_CONTEXT, "vocab_size": CLIP_VOCABULARY, "width": 512, "heads": 8, "layers": 12,
        "mlp_ratio": 4.0, "no_causal_mask": False, "proj_bias": False, "pool_type": "argmax",
    },
}  # fmt: skip
"""What open_clip 3 takes for what a configuration leaves out."""


def family_of_network(model: dict[str, Any], what: str) -> Family:
    """The class of transformers that a `model_cfg` is one of; raises `ModelError` if it is none."""
    vision = model["vision_cfg"]
    if "multimodal_cfg" in model:
        raise ModelError(f"{what} has a text decoder, which no class of transformers has; write it for open_clip.")
    if "siglip" in str(vision.get("timm_model_name", "")) and model.get("custom_text"):
        return "siglip"
    if not vision.get("timm_model_name") and isinstance(vision.get("layers", 12), int) and not model.get("custom_text"):
        return "clip"
    raise ModelError(f"{what} is neither a {' nor a '.join(CLASSES.values())}, and other models are not written.")


def document_of_network(
    model: dict[str, Any], shapes: Mapping[str, Shape], end_of_text: int | None, what: str
) -> dict[str, Any]:
    """The `config.json` of a `model_cfg`.

    Args:
        model: the configuration of the network.
        shapes: of all its tensors, by open_clip's names.
        end_of_text: number of CLIP's token at the end of a text; None for another tokenizer.
        what: the model, for the message.

    Raises:
        ModelError: if the network computes what transformers' class does not.
    """
    family = family_of_network(model, what)
    vision, text = _full(model, "vision_cfg"), _full(model, "text_cfg")
    image = _siglip_tower(vision, shapes) if family == "siglip" else _clip_tower(vision)
    texts = {
        "vocab_size": text["vocab_size"],
        "max_position_embeddings": text["context_length"],
        **_sizes(text, text["heads"], int(text["width"] * text["mlp_ratio"])),
    }
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    parts = [(texts, text, activation)]
    if family == "clip":
        parts.append((image, vision, activation))
        texts["eos_token_id"] = end_of_text if end_of_text == text["vocab_size"] - 1 else text.get("eos_id", _OLD_END)
        texts |= {"bos_token_id": text["vocab_size"] - 2, "pad_token_id": texts["eos_token_id"]}
    for part, given, usual in parts:
        part["hidden_act"] = "gelu_pytorch_tanh" if given.get("act_kwargs") else usual
        part["layer_norm_eps"] = (given.get("norm_kwargs") or {}).get("eps", 1e-5)
    width = model["embed_dim"]
    ends = {"projection_size": width} if family == "siglip" else {"projection_dim": width}
    document = {
        "architectures": [CLASSES[family]],
        "model_type": family,
        "text_config": {"model_type": f"{family}_text_model", **texts, **ends},
        "vision_config": {"model_type": f"{family}_vision_model", **image, **(ends if family == "clip" else {})},
        "torch_dtype": "float32",
        **({"projection_dim": width} if family == "clip" else {}),
    }
    again, _ = network_of(document, what)
    for name in ("model", "vision_cfg", "text_cfg"):
        wanted, written = _full(model, name), _full(again, name)
        differing = [key for key in sorted({*wanted, *written}) if wanted.get(key) != written.get(key)]
        if differing:
            raise ModelError(
                f"{what} cannot be written for transformers: its configuration sets {differing[0]} to "
                f"{json.dumps(wanted.get(differing[0]))[:60]}, which {CLASSES[family]} does not compute."
            )
    return document


def document_of_preprocessing(given: Mapping[str, Any], image_size: Any, what: str) -> dict[str, Any]:
    """The `preprocessor_config.json` of a `preprocess_cfg`; raises `ModelError` if transformers does it otherwise."""
    said = {part: given.get(part) or default for part, default in DEFAULTS.items()}
    square = {"height": image_size, "width": image_size}
    squashed = said["resize_mode"] == "squash"
    document = {
        "image_processor_type": "SiglipImageProcessor" if squashed else "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": square if squashed else {"shortest_edge": image_size},
        "resample": RESAMPLINGS.get(said["interpolation"], 0),
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(said["mean"]),
        "image_std": list(said["std"]),
        **({} if squashed else {"do_center_crop": True, "crop_size": square}),
    }
    again = preprocessing_of(document, image_size, what)
    for part, value in said.items():
        if again[part] != (list(value) if isinstance(value, tuple) else value):
            raise ModelError(f"{what} cannot be written for transformers: its images are prepared with {part} {value}.")
    return document


def _full(model: dict[str, Any], part: str) -> dict[str, Any]:
    """A part of a configuration with open_clip's defaults, and what is of no account for what it computes left out."""
    given = {key: value for key, value in model.items() if not key.endswith("_cfg")} if part == "model" else model[part]
    full = {**_DEFAULTS[part], **{key: value for key, value in given.items() if value is not None}}
    full.pop("init_logit_bias", None)
    if full.pop("hf_tokenizer_name", None):
        full.pop("tokenizer_kwargs", None)
    if "timm_model_name" not in full and "width" in full:
        full["mlp_ratio"] = int(full["width"] * full["mlp_ratio"]) / full["width"]
    return full


def _sizes(part: dict[str, Any], heads: int, inner: int) -> dict[str, Any]:
    return {
        "hidden_size": part["width"],
        "intermediate_size": inner,
        "num_hidden_layers": part["layers"],
        "num_attention_heads": heads,
    }


def _clip_tower(vision: dict[str, Any]) -> dict[str, Any]:
    return {
        "image_size": vision["image_size"],
        "patch_size": vision["patch_size"],
        **_sizes(vision, vision["width"] // vision["head_width"], int(vision["width"] * vision["mlp_ratio"])),
    }


def _siglip_tower(vision: dict[str, Any], shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """timm's name does not say its sizes, but the tensors do."""
    blocks = {name.split(".")[3] for name in shapes if name.startswith("visual.trunk.blocks.")}
    width, _, _, patch = shapes["visual.trunk.patch_embed.proj.weight"]
    return {
        "image_size": vision["image_size"],
        "patch_size": patch,
        "hidden_size": width,
        "intermediate_size": shapes["visual.trunk.blocks.0.mlp.fc1.weight"][0],
        "num_hidden_layers": len(blocks),
        "num_attention_heads": HEADS.get(width, 0),
        "hidden_act": image_activation(vision["timm_model_name"]),
        "layer_norm_eps": 1e-6,
    }
