"""Which architecture a checkpoint has, told from the names and shapes of its tensors.

Both the tensors and a configuration are reduced to the same few facts: sizes of the text tower, of the image tower and
of what joins them. An architecture fits if no fact of the two differs. Image towers of timm are the exception: their
configurations only name them, so where several of those are left they are built without memory and compared in full.
Whatever is chosen here, every tensor is compared again before a model is loaded.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any, Final

from salmu_demo.core.errors import ModelError
from salmu_demo.models.configuration import open_clip_architectures
from salmu_demo.models.header import Shape

Facts = dict[str, Any]
_BLOCK: Final = re.compile(r"resblocks\.(\d+)\.")
_STAGE: Final = re.compile(r"visual\.layer(\d)\.(\d+)\.")
_DEFAULT_VOCABULARY: Final = 49408
_RESNET_STRIDE: Final = 32


@dataclass(frozen=True)
class Guess:
    """An architecture that fits, and others that fit as well: they have the same tensors and differ in other ways."""

    name: str
    twins: tuple[str, ...]


def guess_architecture(shapes: Mapping[str, Shape], own: Mapping[str, dict[str, Any]], what: str) -> Guess:
    """The architecture of a checkpoint.

    Args:
        shapes: name to shape of every tensor.
        own: name to `model_cfg` of architectures beyond those of open_clip; they come first.
        what: the checkpoint, for the message.

    Returns:
        The fitting architecture. Among several of equal shapes: one of `own`, then the shortest name, which is the one
        without variations such as QuickGELU.

    Raises:
        ModelError: if none fits.
    """
    facts = tensor_facts(shapes)
    configs = {**open_clip_architectures(), **own}
    fitting = [name for name, config in configs.items() if _agree(facts, configuration_facts(config))]
    if len(fitting) > 1 and any("timm_model_name" in configs[name]["vision_cfg"] for name in fitting):
        fitting = _equal_when_built(fitting, configs, shapes)
    if not fitting:
        raise ModelError(
            f"The tensors of {what} fit no architecture of open_clip ({_words(facts)}); "
            "put it into a folder with its open_clip_config.json."
        )
    first, *twins = sorted(fitting, key=lambda name: (name not in own, len(name), name))
    return Guess(first, tuple(twins))


def tensor_facts(shapes: Mapping[str, Shape]) -> Facts:
    """What names and shapes tell about the towers; whatever is missing is None.

    >>> facts = tensor_facts({"token_embedding.weight": (100, 8), "visual.conv1.weight": (16, 3, 4, 4)})
    >>> facts["vocabulary"], facts["text width"], facts["patch"], facts["text layers"]
    (100, 8, 4, 0)
    """
    prefix = "text." if "text.token_embedding.weight" in shapes else ""
    vocabulary, width = _sizes(shapes, f"{prefix}token_embedding.weight", 2)
    (context, _) = _sizes(shapes, f"{prefix}positional_embedding", 2)
    text_names = [name for name in shapes if name.startswith(f"{prefix}transformer.")]
    facts: Facts = {
        "custom text": bool(prefix),
        "decoder": any(name.startswith("text_decoder.") for name in shapes),
        "vocabulary": vocabulary,
        "context": context,
        "text width": width,
        "text layers": _count(_BLOCK, text_names),
        "joint width": _joint_width(shapes, prefix, width),
    }
    return facts | _image_facts(shapes)


def configuration_facts(model: dict[str, Any]) -> Facts:
    """The same facts of a `model_cfg`; None where it does not tell."""
    text, vision = model["text_cfg"], model["vision_cfg"]
    own_text = not text.get("hf_model_name")
    facts: Facts = {
        "custom text": bool(model.get("custom_text")) or not own_text,
        "decoder": "multimodal_cfg" in model,
        "vocabulary": text.get("vocab_size", _DEFAULT_VOCABULARY) if own_text else -1,
        "context": text.get("context_length", 77) + int(bool(text.get("embed_cls"))),
        "text width": text.get("width", 512),
        "text layers": text.get("layers", 12),
        "joint width": model["embed_dim"],
    }
    size = vision.get("image_size", 224)
    size = size[0] if isinstance(size, list) else size
    layers = vision.get("layers", 12)
    if "timm_model_name" in vision:
        return facts | {"image tower": "timm", "image": size}
    if isinstance(layers, list):
        grid = size // _RESNET_STRIDE
        sizes = {"image width": vision.get("width", 64), "image layers": tuple(layers), "grid": grid}
        return facts | {"image tower": "ResNet", **sizes}
    patch = vision.get("patch_size", 16)
    sizes = {"image width": vision.get("width", 768), "image layers": layers, "patch": patch, "grid": size // patch}
    return facts | {"image tower": "ViT", **sizes}


def is_alike(model: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two `model_cfg` have the same facts, so that they are one architecture but for details; the first is
    known to be sound.
    """
    try:
        facts = configuration_facts(other)
        tower = other["vision_cfg"].get("timm_model_name")
    except (ArithmeticError, AttributeError, LookupError, TypeError):
        return False  # What is wrong with it is said when it is built.
    return facts == configuration_facts(model) and tower == model["vision_cfg"].get("timm_model_name")


def _image_facts(shapes: Mapping[str, Shape]) -> Facts:
    if any(name.startswith("visual.trunk.") for name in shapes):
        *_, patch = _sizes(shapes, "visual.trunk.patch_embed.proj.weight", 4)
        _, tokens, _ = _sizes(shapes, "visual.trunk.pos_embed", 3)
        # With or without a class token; an image may be larger than its patches cover.
        image = isqrt(tokens) * patch if tokens and patch else None
        return {"image tower": "timm", "patch": patch, "image": image}
    width, _, _, patch = _sizes(shapes, "visual.conv1.weight", 4)
    if any(_STAGE.match(name) for name in shapes):
        tokens, _ = _sizes(shapes, "visual.attnpool.positional_embedding", 2)
        stages = [
            _count(_STAGE, (name for name in shapes if name.startswith(f"visual.layer{stage}.")), 2)
            for stage in range(1, 5)
        ]
        sizes = {"image width": width and width * 2, "image layers": tuple(stages), "grid": _grid(tokens)}
        return {"image tower": "ResNet", **sizes}
    tokens, _ = _sizes(shapes, "visual.positional_embedding", 2)
    blocks = _count(_BLOCK, (name for name in shapes if name.startswith("visual.transformer.")))
    return {"image tower": "ViT", "image width": width, "image layers": blocks, "patch": patch, "grid": _grid(tokens)}


def _grid(tokens: int | None) -> int | None:
    """Side of the grid of patches, without the class token."""
    return isqrt(tokens - 1) if tokens else None


def _sizes(shapes: Mapping[str, Shape], name: str, dimensions: int) -> tuple[int | None, ...]:
    shape = shapes.get(name, ())
    return shape if len(shape) == dimensions else (None,) * dimensions


def _count(pattern: re.Pattern[str], names: Iterable[str], group: int = 1) -> int:
    return len({found.group(group) for name in names if (found := pattern.search(name))})


def _joint_width(shapes: Mapping[str, Shape], prefix: str, width: int | None) -> int | None:
    """Width of the features: the projection is a matrix (width, joint) or a linear layer (joint, width)."""
    matrix = shapes.get(f"{prefix}text_projection", ())
    layer = shapes.get(f"{prefix}text_projection.weight", ())
    if len(matrix) == 2:
        return matrix[1]
    return layer[0] if len(layer) == 2 else width


def _agree(found: Facts, wanted: Facts) -> bool:
    for name, value in wanted.items():
        other = found.get(name)
        if name == "image" and other is not None:
            # 378 and 384 pixels have the same 27 patches of 14.
            if not other <= value < other + (found["patch"] or 1):
                return False
        elif other is not None and value is not None and other != value:
            return False
    # A checkpoint without a text tower of open_clip's kind fits nothing.
    return found["vocabulary"] is not None


def _equal_when_built(
    names: list[str], configs: Mapping[str, dict[str, Any]], shapes: Mapping[str, Shape]
) -> list[str]:
    # torch takes seconds to import, and only this rare case needs it.
    from salmu_demo.models.network import expected_tensors  # noqa: PLC0415

    built = {name: expected_tensors({"model_cfg": configs[name], "preprocess_cfg": {}}, name) for name in names}
    return [name for name in names if {key: tensor.shape for key, tensor in built[name].items()} == dict(shapes)]


def _words(facts: Facts) -> str:
    told = [f"{name} {value}" for name, value in facts.items() if value is not None and not isinstance(value, bool)]
    return ", ".join(told)
