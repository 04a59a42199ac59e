"""Configurations of models: read, and checked before anything is built from them (and without importing torch).

A configuration comes with a checkpoint and is as little to be trusted: it may ask for code or files from elsewhere, or
for a model of any size.
"""

import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.errors import ModelError
from salmu_demo.models.json_file import read_object

CONFIG_FILE: Final = "open_clip_config.json"
MAX_LAYERS: Final = 200
"""More than any open_clip model has; building takes time in proportion, whatever the weights hold."""

_PLAIN_NAME: Final = re.compile(r"[\w.-]+")
_HUB_NAME: Final = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_OLD_HUB_NAME: Final = "bert-base-uncased"
"""The one name of open_clip's own architectures (CLIPA) that has no organisation."""

_TOKENIZER_OPTIONS: Final = frozenset({"clean", "strip_sep_token"})
_LAYER_KEYS: Final = ("layers", "timm_layers")


def read_configuration(path: Path) -> tuple[dict[str, Any], str]:
    """The content of an `open_clip_config.json`, and the SHA-256 of its bytes; raises `ModelError`."""
    config, digest = read_object(path)
    if not isinstance(config.get("model_cfg"), dict):
        raise ModelError(f"{path} lacks `model_cfg`; it must be an open_clip configuration.")
    return checked(config, str(path)), digest


def checked(config: dict[str, Any], what: str) -> dict[str, Any]:
    """The configuration itself, if it describes a model of its own and asks for nothing from elsewhere.

    Args:
        config: content of an `open_clip_config.json`.
        what: where it is from, for the message.

    Raises:
        ModelError: if it does not.
    """
    model = config["model_cfg"]
    text, vision = model.get("text_cfg"), model.get("vision_cfg")
    if not isinstance(text, dict):
        raise ModelError(f"{what} lacks `text_cfg`; it must be an open_clip configuration.")
    if text.get("hf_model_name"):
        raise ModelError(f"{what} names a transformers text tower, which is not supported.")
    tokenizer = text.get("hf_tokenizer_name")
    if tokenizer and tokenizer != _OLD_HUB_NAME and not (isinstance(tokenizer, str) and _HUB_NAME.fullmatch(tokenizer)):
        raise ModelError(f"{what} names a tokenizer that is not a Hub id of the form organisation/name.")
    options = text.get("tokenizer_kwargs", {})
    if not isinstance(options, dict) or not options.keys() <= _TOKENIZER_OPTIONS:
        raise ModelError(f"{what} gives its tokenizer options other than {', '.join(sorted(_TOKENIZER_OPTIONS))}.")
    tower = vision.get("timm_model_name") if isinstance(vision, dict) else None
    if tower and not (isinstance(tower, str) and _PLAIN_NAME.fullmatch(tower)):
        # timm would fetch `hf-hub:` names and read `local-dir:` ones.
        raise ModelError(f"{what} names an image tower that is not one of timm's own.")
    for name, part in model.items():
        if isinstance(part, dict):
            _check_layers(part, f"{what}: `{name}`")
    return config


def _check_layers(part: dict[str, Any], what: str) -> None:
    for key in _LAYER_KEYS:
        value = part.get(key)
        for count in value if isinstance(value, list) else [value]:
            if isinstance(count, int | float) and count > MAX_LAYERS:
                raise ModelError(f"{what} asks for {count:,} layers, more than the {MAX_LAYERS} any model has.")


@cache
def open_clip_architectures() -> dict[str, dict[str, Any]]:
    """Name to `model_cfg` of every architecture of open_clip, read from the package's files without importing it."""
    spec = importlib.util.find_spec("open_clip")
    folders = (spec.submodule_search_locations if spec else None) or []
    files = sorted(path for folder in folders for path in Path(folder).glob("model_configs/*.json"))
    return {path.stem: json.loads(path.read_text("utf-8")) for path in files}


def architecture_configuration(architecture: str) -> dict[str, Any]:
    """The configuration of an open_clip architecture; raises `ModelError` if there is none or it is unusable."""
    known = open_clip_architectures()
    if architecture not in known:
        near = [name for name in sorted(known) if name.lower().startswith(architecture[:4].lower())][:5]
        hint = f"did you mean {', '.join(near)}" if near else "for example ViT-B-16 or ViT-L-14"
        raise ModelError(f"open_clip has no architecture {architecture!r}; {hint}?")
    # A copy by way of text: open_clip changes what it is given.
    config = {"model_cfg": json.loads(json.dumps(known[architecture])), "preprocess_cfg": {}}
    return checked(config, f"The architecture {architecture}")
