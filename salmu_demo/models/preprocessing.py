"""How images are prepared for a model whose configuration does not say so (and without importing torch).

The weights of a model mean nothing without the mean, deviation, interpolation and resizing it was trained with, and a
bare weight file names none of them. open_clip publishes them with each of its checkpoints ("tags"): where all tags of
an architecture agree, theirs are taken, part by part; otherwise open_clip's defaults are assumed, and a remark says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from salmu_demo.core.errors import ModelError

Preprocessing = Mapping[str, Any]

_OPENAI_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
_OPENAI_STD: Final = (0.26862954, 0.26130258, 0.27577711)
_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_STD: Final = (0.229, 0.224, 0.225)
_HALVES: Final = (0.5, 0.5, 0.5)

_PARTS: Final = ("mean", "std", "interpolation", "resize_mode")
DEFAULTS: Final[Preprocessing] = dict(zip(_PARTS, (_OPENAI_MEAN, _OPENAI_STD, "bicubic", "shortest"), strict=True))
"""What open_clip takes where nothing is said, which is what OpenAI's models were trained with."""

_TAGS: Final = (
    ((_OPENAI_MEAN, _OPENAI_STD, "bicubic", "shortest"), """
        EVA01-g-14 EVA01-g-14-plus EVA02-B-16 EVA02-E-14 EVA02-E-14-plus EVA02-L-14 EVA02-L-14-336
        MobileCLIP2-L-14 RN101 RN101-quickgelu RN50 RN50-quickgelu RN50x16 RN50x16-quickgelu RN50x4
        RN50x4-quickgelu RN50x64 RN50x64-quickgelu ViT-B-16 ViT-B-16-plus-240 ViT-B-16-quickgelu ViT-B-32
        ViT-B-32-256 ViT-B-32-quickgelu ViT-H-14-worldwide ViT-H-14-worldwide-quickgelu ViT-L-14-336
        ViT-L-14-336-quickgelu ViT-L-14-quickgelu ViT-bigG-14 ViT-bigG-14-quickgelu ViT-bigG-14-worldwide
        ViT-g-14 ViTamin-B ViTamin-B-LTT ViTamin-L ViTamin-L-256 ViTamin-L-336 ViTamin-L-384 ViTamin-L2
        ViTamin-L2-256 ViTamin-L2-336 ViTamin-L2-384 ViTamin-S ViTamin-S-LTT ViTamin-XL-256 ViTamin-XL-336
        ViTamin-XL-384 coca_ViT-B-32 coca_ViT-L-14 convnext_base convnext_base_w convnext_base_w_320
        convnext_large_d convnext_large_d_320 convnext_xxlarge nllb-clip-base nllb-clip-large roberta-ViT-B-32
        xlm-roberta-base-ViT-B-32 xlm-roberta-large-ViT-H-14"""),
    (((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear", "shortest"), """
        MobileCLIP-B MobileCLIP-S1 MobileCLIP-S2 MobileCLIP2-B MobileCLIP2-S0 MobileCLIP2-S2"""),
    ((_OPENAI_MEAN, _OPENAI_STD, "bilinear", "shortest"), "MobileCLIP2-S3 MobileCLIP2-S4"),
    ((_HALVES, _HALVES, "bilinear", "squash"), """
        PE-Core-B-16 PE-Core-L-14-336 PE-Core-S-16-384 PE-Core-T-16-384 PE-Core-bigG-14-448"""),
    ((_HALVES, _HALVES, "bicubic", "squash"), """
        ViT-B-16-SigLIP ViT-B-16-SigLIP-256 ViT-B-16-SigLIP-384 ViT-B-16-SigLIP-512 ViT-B-16-SigLIP-i18n-256
        ViT-B-16-SigLIP2 ViT-B-16-SigLIP2-256 ViT-B-16-SigLIP2-384 ViT-B-16-SigLIP2-512 ViT-B-32-SigLIP2-256
        ViT-L-16-SigLIP-256 ViT-L-16-SigLIP-384 ViT-L-16-SigLIP2-256 ViT-L-16-SigLIP2-384 ViT-L-16-SigLIP2-512
        ViT-SO400M-14-SigLIP ViT-SO400M-14-SigLIP-378 ViT-SO400M-14-SigLIP-384 ViT-SO400M-14-SigLIP2
        ViT-SO400M-14-SigLIP2-378 ViT-SO400M-16-SigLIP-i18n-256 ViT-SO400M-16-SigLIP2-256
        ViT-SO400M-16-SigLIP2-384 ViT-SO400M-16-SigLIP2-512 ViT-gopt-16-SigLIP2-256 ViT-gopt-16-SigLIP2-384
        nllb-clip-base-siglip nllb-clip-large-siglip"""),
    ((_OPENAI_MEAN, _OPENAI_STD, "bicubic", "squash"), """
        ViT-H-14-378 ViT-H-14-378-quickgelu ViT-H-14-worldwide-378 ViT-bigG-14-worldwide-378"""),
    ((_IMAGENET_MEAN, _IMAGENET_STD, "bilinear", "squash"), """
        ViT-H-14-CLIPA ViT-H-14-CLIPA-336 ViT-L-14-CLIPA ViT-L-14-CLIPA-336 ViT-bigG-14-CLIPA ViT-bigG-14-CLIPA-336"""),
    ((_OPENAI_MEAN, _OPENAI_STD, "bicubic", None), "ViT-H-14 ViT-H-14-quickgelu"),
    ((None, None, "bicubic", "shortest"), "ViT-L-14"),
)  # fmt: skip
"""What the tags of each architecture have in common, None for what they differ in; read from open_clip 3.3, whose own
table takes torch to import. A test holds it against the open_clip that is installed."""

AGREED: Final[Mapping[str, Preprocessing]] = {
    name: {part: value for part, value in zip(_PARTS, values, strict=True) if value is not None}
    for values, names in _TAGS
    for name in names.split()
}


def missing_parts(config: dict[str, Any], what: str) -> list[str]:
    """What the `preprocess_cfg` of a configuration does not say; raises `ModelError` if it is not an object."""
    given = config.get("preprocess_cfg") or {}
    if not isinstance(given, dict):
        raise ModelError(f"The `preprocess_cfg` of {what} is not an object; it holds mean, std and how to resize.")
    return [part for part in _PARTS if given.get(part) is None]


def completed(
    config: dict[str, Any], known: Sequence[Preprocessing], what: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A configuration with the preprocessing it lacks, and the remark on what was assumed.

    Args:
        config: content of an `open_clip_config.json`.
        known: what is known of the architectures it may be; what they agree in is taken.
        what: the checkpoint, for the message.

    Returns:
        The configuration, the same where open_clip's defaults are right, and no or one sentence.

    Raises:
        ModelError: if `preprocess_cfg` is not an object.
    """
    taken: dict[str, Any] = {}
    assumed = []
    for part in missing_parts(config, what):
        value = agreed(part, known)
        if value is None:
            assumed.append(part)
        elif value != DEFAULTS[part]:
            taken[part] = list(value) if isinstance(value, tuple) else value
    if taken:
        config = {**config, "preprocess_cfg": {**(config.get("preprocess_cfg") or {}), **taken}}
    if not assumed:
        return config, ()
    why = "open_clip's checkpoints of its architecture differ in that" if known else "nothing published says it"
    values = ", ".join(f"{part} {words(DEFAULTS[part])}" for part in assumed)
    return config, (
        f"{what} does not say how its images were prepared ({', '.join(assumed)}), and {why}: OpenAI's way is "
        f"assumed ({values}); if it was trained otherwise, put an open_clip_config.json with `preprocess_cfg` beside "
        "its weights.",
    )


def agreed(part: str, known: Sequence[Preprocessing]) -> Any:
    """What all that is known says about a part, or None."""
    found = {each.get(part) for each in known}
    return found.pop() if len(found) == 1 else None


def words(value: Any) -> str:
    """A value of a preprocessing as sentences show it."""
    return "/".join(f"{number:.3f}" for number in value) if isinstance(value, tuple) else str(value)
