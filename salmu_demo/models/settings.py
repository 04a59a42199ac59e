"""How a model computes its inputs, and who says so: its folder, open_clip's table, or nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from salmu_demo.models.preprocessing import DEFAULTS, Preprocessing, agreed, missing_parts, words

FOLDER: Final = "its configuration"
TABLE: Final = "open_clip's table"
ASSUMED: Final = "assumed"
USER: Final = "the user"
"""Who decided it on the command line or behind the reference."""
DEFAULT: Final = "the default"

HALVES: Final[Mapping[str, str]] = {"bf16": "bfloat16", "fp16": "float16"}
"""Precisions of two bytes that a user can decide on, and torch's names of them."""


@dataclass(frozen=True)
class ModelSetting:
    """One thing that decides what a model computes from an input.

    Attributes:
        name: `activation`, `preprocessing`, `tokenizer` or `precision`.
        value: what is computed with, in words.
        origin: who says so: the model's configuration or a file of its folder, open_clip's table, the user who decided
            it, `assumed`, or `the default` of a precision.
    """

    name: str
    value: str
    origin: str


@dataclass(frozen=True)
class Origins:
    """Who says which activation and which preprocessing a model has."""

    activation: str = FOLDER
    preprocessing: str = FOLDER


FROM_FOLDER: Final = Origins()


def settings_of(
    config: Mapping[str, Any], tokenizer: Path | None, origins: Origins, precision: str | None = None
) -> tuple[ModelSetting, ...]:
    """The settings of a model with this configuration, this tokenizer's file, and a precision of `HALVES` or None."""
    model, text = config["model_cfg"], config["model_cfg"]["text_cfg"]
    given = config.get("preprocess_cfg") or {}
    prepared = ", ".join(
        f"{part} {words(tuple(value) if isinstance(value, list) else value)}"
        for part, value in ((part, given.get(part) or default) for part, default in DEFAULTS.items())
    )
    named = text.get("hf_tokenizer_name")
    if tokenizer is not None:
        read, said = tokenizer.name, "its folder"
    elif named:
        read, said = str(named), FOLDER if origins.activation == FOLDER else TABLE
    else:
        read, said = "CLIP's own", ASSUMED if origins.activation == ASSUMED else TABLE
    return (
        ModelSetting("activation", "QuickGELU" if model.get("quick_gelu") else "GELU", origins.activation),
        ModelSetting("preprocessing", prepared, origins.preprocessing),
        ModelSetting("tokenizer", read, said),
        ModelSetting("precision", "float32", DEFAULT)
        if precision is None
        else ModelSetting("precision", HALVES[precision], USER),
    )


def preprocessing_origin(config: dict[str, Any], known: Sequence[Preprocessing], what: str) -> str:
    """Who says the parts of a preprocessing, in words; parts are named where it is not one.

    Args:
        config: content of an `open_clip_config.json`, before it is completed.
        known: what is known of the architectures it may be.
        what: the checkpoint, for the message.

    Raises:
        ModelError: as `salmu_demo.models.preprocessing.missing_parts` does.
    """
    missing = missing_parts(config, what)
    said: dict[str, list[str]] = {FOLDER: [], TABLE: [], ASSUMED: []}
    for part in DEFAULTS:
        who = FOLDER if part not in missing else ASSUMED if agreed(part, known) is None else TABLE
        said[who].append(part)
    parts = {who: names for who, names in said.items() if names}
    return next(iter(parts)) if len(parts) == 1 else ", ".join(f"{who} ({', '.join(n)})" for who, n in parts.items())
