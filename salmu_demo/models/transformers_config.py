"""What `config.json` and `preprocessor_config.json` of transformers mean for open_clip.

Sizes that a file leaves out are transformers' defaults (versions 4 and 5), which older versions did not write. Whatever
open_clip's networks cannot compute is refused by its name.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from salmu_demo.core.documents import MismatchError, parse_model
from salmu_demo.core.errors import ModelError
from salmu_demo.models.configuration import checked, open_clip_architectures
from salmu_demo.models.transformers_tensors import CLASSES, Family

TRANSFORMERS_CONFIG: Final = "config.json"
PREPROCESSOR_FILE: Final = "preprocessor_config.json"

_QUICK: Final = "quick_gelu"
_EXACT: Final = "gelu"
_TANH: Final = ("gelu_pytorch_tanh", "gelu_new")
_CLIP_EPS: Final = 1e-5
_SIGLIP_EPS: Final = 1e-6
_OLD_END: Final = 2
"""What configurations of the first versions say about the end of a text, whatever it is; the highest token is taken."""

_EXACT_TOWERS: Final = frozenset(
    f"vit_{name}"
    for name in (
        "base_patch16_siglip_224", "base_patch16_siglip_256", "base_patch16_siglip_384", "base_patch16_siglip_512",
        "large_patch16_siglip_256", "large_patch16_siglip_384", "so400m_patch14_siglip_224",
        "so400m_patch14_siglip_378", "so400m_patch14_siglip_384",
    )
)  # fmt: skip
"""Image towers that timm computes with the exact GELU; all others of SigLIP with its approximation by tanh."""

HEADS: Final[dict[int, int]] = {768: 12, 1024: 16, 1152: 16, 1536: 16}
"""Heads of timm's image towers of SigLIP by their width."""

RESAMPLINGS: Final[Mapping[str, int]] = {"bilinear": 2, "bicubic": 3}
"""Pillow's numbers of the interpolations that open_clip knows."""


class _Tower(BaseModel):
    hidden_size: Annotated[int, Field(ge=1)] = 768
    intermediate_size: Annotated[int, Field(ge=1)] = 3072
    num_hidden_layers: Annotated[int, Field(ge=1)] = 12
    num_attention_heads: Annotated[int, Field(ge=1)] = 12
    hidden_act: str = _QUICK
    layer_norm_eps: Annotated[float, Field(gt=0)] = _CLIP_EPS


class _TextConfig(_Tower):
    vocab_size: Annotated[int, Field(ge=2)] = 49408
    max_position_embeddings: Annotated[int, Field(ge=1)] = 77
    eos_token_id: int | None = None


class _ClipText(_TextConfig):
    hidden_size: Annotated[int, Field(ge=1)] = 512
    intermediate_size: Annotated[int, Field(ge=1)] = 2048
    num_attention_heads: Annotated[int, Field(ge=1)] = 8


class _SiglipText(_TextConfig):
    vocab_size: Annotated[int, Field(ge=2)] = 32000
    max_position_embeddings: Annotated[int, Field(ge=1)] = 64
    hidden_act: str = _TANH[0]
    layer_norm_eps: Annotated[float, Field(gt=0)] = _SIGLIP_EPS
    projection_size: int | None = None


class _Vision(_Tower):
    image_size: Annotated[int, Field(ge=1)] = 224
    patch_size: Annotated[int, Field(ge=1)] = 32
    num_channels: int = 3


class _SiglipVision(_Vision):
    patch_size: Annotated[int, Field(ge=1)] = 16
    hidden_act: str = _TANH[0]
    layer_norm_eps: Annotated[float, Field(gt=0)] = _SIGLIP_EPS
    vision_use_head: bool | None = True


def _with_older_half(document: Any) -> Any:
    """Parts of an older configuration that its `…_dict` overrides."""
    if not isinstance(document, dict):
        return document
    parts = {}
    for part in ("text_config", "vision_config"):
        given, override = document.get(part) or {}, document.get(f"{part}_dict") or {}
        parts[part] = {**given, **override} if isinstance(given, dict) and isinstance(override, dict) else given
    return {**document, **parts}


class _Clip(BaseModel):
    text_config: _ClipText
    vision_config: _Vision
    projection_dim: Annotated[int, Field(ge=1)] = 512

    @model_validator(mode="before")
    @classmethod
    def _older(cls, document: Any) -> Any:
        return _with_older_half(document)


class _Siglip(BaseModel):
    text_config: _SiglipText
    vision_config: _SiglipVision

    @model_validator(mode="before")
    @classmethod
    def _older(cls, document: Any) -> Any:
        return _with_older_half(document)


def _edge(value: Any) -> Any:
    """A size as an object: older versions wrote a number for the shorter edge."""
    return {"shortest_edge": value} if isinstance(value, int) else value


def _crop(value: Any) -> Any:
    return {"height": value, "width": value} if isinstance(value, int) else value


class _Size(BaseModel):
    shortest_edge: int | None = None
    height: int | None = None
    width: int | None = None


class _Preprocessor(BaseModel):
    """How images are prepared; a field that is left out is the model's own default, and not known here."""

    do_resize: bool | None = True
    do_center_crop: bool | None = None
    do_rescale: bool | None = True
    do_normalize: bool | None = True
    size: Annotated[_Size | None, BeforeValidator(_edge)] = None
    crop_size: Annotated[_Size | None, BeforeValidator(_crop)] = None
    resample: int | None = None
    rescale_factor: float | None = None
    image_mean: Annotated[list[float], Field(min_length=3, max_length=3)] | None = None
    image_std: Annotated[list[float], Field(min_length=3, max_length=3)] | None = None


def is_of_transformers(document: dict[str, Any]) -> bool:
    """Whether a `config.json` is one of transformers."""
    return "model_type" in document or "architectures" in document


def family_of(document: dict[str, Any], what: str) -> Family:
    """The family that a `config.json` names; raises `ModelError` if its models are not read here."""
    for family in CLASSES:
        if document.get("model_type") == family:
            return family
    named = document.get("model_type")
    kind = f"of the type {named!r:.60}" if named else "of no named type (`model_type`)"
    raise ModelError(
        f"{what} describes a model {kind}; of transformers' models only CLIPModel (clip) and SiglipModel (siglip) are "
        "read here."
    )


def network_of(document: dict[str, Any], what: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The `model_cfg` of open_clip for a `config.json`, and remarks on where the two compute otherwise.

    Raises:
        ModelError: if the document is of another model, or asks for what open_clip cannot compute.
    """
    family = family_of(document, what)
    model: dict[str, Any]
    remarks: tuple[str, ...] = ()
    if family == "clip":
        model = _clip_network(_parsed(document, _Clip, what), what)
    else:
        model, remarks = _siglip_network(_parsed(document, _Siglip, what), what)
    checked({"model_cfg": model}, what)
    return model, remarks


def image_activation(timm_name: str) -> str:
    """The activation of timm's image tower of a SigLIP."""
    return _EXACT if timm_name in _EXACT_TOWERS else _TANH[0]


def preprocessing_of(document: dict[str, Any], image_size: int, what: str) -> dict[str, Any]:
    """The `preprocess_cfg` of open_clip for a `preprocessor_config.json`; what that leaves out is left out.

    Raises:
        ModelError: if it prepares images in a way that open_clip cannot.
    """
    said = _parsed(document, _Preprocessor, what)
    for name in ("do_resize", "do_rescale"):
        if getattr(said, name) is False:
            raise ModelError(
                f"{what} leaves out a step (`{name}` is false) without which images cannot be encoded here."
            )
    if said.rescale_factor is not None and abs(said.rescale_factor * 255 - 1) > 1e-6:
        raise ModelError(f"{what} scales pixels by {said.rescale_factor:g}; only 1/255 is computed here.")
    found: dict[str, Any] = {}
    if said.do_normalize is False:
        found |= {"mean": [0.0] * 3, "std": [1.0] * 3}
    else:
        found |= {key: value for key, value in (("mean", said.image_mean), ("std", said.image_std)) if value}
    if said.resample is not None:
        kinds = [kind for kind, number in RESAMPLINGS.items() if number == said.resample]
        if not kinds:
            raise ModelError(
                f"{what} resizes with Pillow's filter {said.resample}; bilinear (2) and bicubic (3) are known."
            )
        found["interpolation"] = kinds[0]
    if said.size is not None:
        found["resize_mode"] = _resizing(said, image_size, what)
    return found


def _resizing(said: _Preprocessor, wanted: int, what: str) -> str:
    size, crop = said.size, said.crop_size
    assert size is not None
    cropped = said.do_center_crop is not False and (crop is not None or said.do_center_crop)
    if cropped and crop is not None and (crop.height, crop.width) != (wanted, wanted):
        raise ModelError(f"{what} crops images to {crop.height} × {crop.width} pixels, but the model sees {wanted}.")
    if size.shortest_edge == wanted and cropped:
        return "shortest"
    if size.shortest_edge is None and (size.height, size.width) == (wanted, wanted):
        return "squash"
    shown = size.shortest_edge or f"{size.height} × {size.width}"
    raise ModelError(
        f"{what} resizes images to {shown} pixels{'' if cropped else ' and does not crop them'}, but the model sees "
        f"{wanted}, and only images resized to that size are encoded here."
    )


def _parsed(document: dict[str, Any], kind: type[Any], what: str) -> Any:
    try:
        return parse_model(json.dumps(document).encode(), kind)
    except MismatchError as error:
        raise ModelError(f"{what} cannot be used: {error}.") from error


def _clip_network(said: _Clip, what: str) -> dict[str, Any]:
    text, vision = said.text_config, said.vision_config
    quick = {text.hidden_act == _QUICK, vision.hidden_act == _QUICK}
    if len(quick) > 1:
        raise ModelError(f"{what} computes QuickGELU in one tower only, which open_clip cannot do.")
    model: dict[str, Any] = {"embed_dim": said.projection_dim}
    if quick.pop():
        model["quick_gelu"] = True
    model["vision_cfg"] = {
        **_image_sizes(vision, what),
        "layers": vision.num_hidden_layers,
        "width": vision.hidden_size,
    }
    head = _head_width(vision, what)
    if head != 64:
        model["vision_cfg"]["head_width"] = head
    model["vision_cfg"] |= {"patch_size": vision.patch_size, **_details(vision, what)}
    model["text_cfg"] = {**_text_sizes(text, what), **_details(text, what)}
    end = text.eos_token_id
    if end not in (None, _OLD_END, text.vocab_size - 1):
        # open_clip pools at the highest token, which CLIP's end of text is in vocabularies of its own size.
        model["text_cfg"] |= {"pool_type": "eos", "eos_id": end}
    return model


def _siglip_network(said: _Siglip, what: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    text, vision = said.text_config, said.vision_config
    if vision.vision_use_head is False:
        raise ModelError(f"{what} leaves out the pooling head of its image tower, without which there are no features.")
    if text.projection_size not in (None, vision.hidden_size) or (text.projection_size or text.hidden_size) != (
        vision.hidden_size
    ):
        raise ModelError(f"{what} has towers of different widths, which open_clip's SigLIP does not have.")
    sizes = _image_sizes(vision, what)
    tower = next(
        (
            config["vision_cfg"]
            for config in open_clip_architectures().values()
            if "siglip" in config["vision_cfg"].get("timm_model_name", "")
            and f"patch{vision.patch_size}_" in config["vision_cfg"]["timm_model_name"]
            and config["vision_cfg"]["image_size"] == vision.image_size
            and config["embed_dim"] == vision.hidden_size
        ),
        None,
    )
    if tower is None:
        raise ModelError(
            f"{what} is a SigLIP model of a size that open_clip has no image tower for (width {vision.hidden_size}, "
            f"patches of {vision.patch_size}, images of {sizes['image_size']})."
        )
    tokenizer = next(
        (
            {key: config["text_cfg"][key] for key in ("hf_tokenizer_name", "tokenizer_kwargs")}
            for config in open_clip_architectures().values()
            if "siglip" in config["vision_cfg"].get("timm_model_name", "")
            and config["text_cfg"].get("vocab_size") == text.vocab_size
        ),
        {"hf_tokenizer_name": "timm/ViT-B-16-SigLIP", "tokenizer_kwargs": {"clean": "canonicalize"}},
    )
    model = {
        "embed_dim": vision.hidden_size,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": dict(tower),
        "text_cfg": {
            **_text_sizes(text, what),
            **tokenizer,
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
            **_details(text, what),
        },
    }
    name = tower["timm_model_name"]
    if (vision.layer_norm_eps, vision.num_attention_heads) != (_SIGLIP_EPS, HEADS.get(vision.hidden_size)):
        raise ModelError(f"{what} has other heads or another `layer_norm_eps` in its image tower than timm's {name}.")
    computed = image_activation(name)
    if vision.hidden_act in (computed, *(_TANH if computed in _TANH else ())):
        return model, ()
    return model, (
        f"{what} asks for {vision.hidden_act} in its image tower, but open_clip computes it with timm's {name}, which "
        f"uses {computed}; its features may differ from transformers' in the third decimal.",
    )


def _text_sizes(text: _TextConfig, what: str) -> dict[str, Any]:
    _head_width(text, what)
    return {
        "context_length": text.max_position_embeddings,
        "vocab_size": text.vocab_size,
        "width": text.hidden_size,
        "heads": text.num_attention_heads,
        "layers": text.num_hidden_layers,
    }


def _image_sizes(vision: _Vision, what: str) -> dict[str, Any]:
    if vision.num_channels != 3:
        raise ModelError(f"{what} takes images of {vision.num_channels} channels; only colour images are encoded here.")
    if vision.image_size < vision.patch_size:
        raise ModelError(f"{what} has patches that are larger than its images.")
    return {"image_size": vision.image_size}


def _head_width(tower: _Tower, what: str) -> int:
    if tower.hidden_size % tower.num_attention_heads:
        raise ModelError(
            f"{what} has a width of {tower.hidden_size} that its {tower.num_attention_heads} heads do not divide."
        )
    return tower.hidden_size // tower.num_attention_heads


def _details(tower: _Tower, what: str) -> dict[str, Any]:
    """What differs from open_clip's defaults."""
    details: dict[str, Any] = {}
    if tower.intermediate_size != 4 * tower.hidden_size:
        details["mlp_ratio"] = _ratio(tower)
    if tower.hidden_act in _TANH:
        details["act_kwargs"] = {"approximate": "tanh"}
    elif tower.hidden_act not in (_QUICK, _EXACT):
        raise ModelError(
            f"{what} computes the activation {tower.hidden_act!r:.60}, which open_clip's networks do not know."
        )
    if tower.layer_norm_eps != _CLIP_EPS:
        details["norm_kwargs"] = {"eps": tower.layer_norm_eps}
    return details


def _ratio(tower: _Tower) -> float:
    """The ratio by which open_clip, which rounds down, gets this width; short where that is enough."""
    ratio = round(tower.intermediate_size / tower.hidden_size, 4)
    if int(tower.hidden_size * ratio) == tower.intermediate_size:
        return ratio
    return (tower.intermediate_size + 0.5) / tower.hidden_size
