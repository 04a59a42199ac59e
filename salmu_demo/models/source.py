"""From what the user typed to a checkpoint on disk, without loading it (and without importing torch)."""

import hashlib
import importlib.util
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from salmu_demo.config import assets_dir
from salmu_demo.errors import ModelError
from salmu_demo.files import file_digest
from salmu_demo.hub_reference import HF_HUB, OFFICIAL_MODELS, HubReference, model_on_hub, pin

LOCAL_DIR: Final = "local-dir:"
CONFIG_FILE: Final = "open_clip_config.json"
WEIGHTS_FILES: Final = ("open_clip_model.safetensors", "model.safetensors")
MERGES_FILE: Final = "bpe_merges.txt.gz"
"""Byte-pair merges of a model with a vocabulary of its own; the loader hands its path to open_clip's tokenizer."""

DEFAULT_ARCHITECTURE: Final = "ViT-B-16"
"""Architecture of the released SALMUBench models, used for Hub models that come without an open_clip configuration."""


@dataclass(frozen=True)
class ModelSource:
    """A checkpoint that was found, and how to build the model it belongs to.

    Attributes:
        reference: what the user typed.
        weights: safetensors file.
        config: content of `open_clip_config.json`: `model_cfg` and `preprocess_cfg`.
        merges: merges file of the tokenizer, for models with a vocabulary of their own.
        architecture: open_clip architecture name, for weights without a configuration of their own.
        revision: Hub revision, or None.
    """

    reference: str
    weights: Path
    config: dict[str, Any]
    merges: Path | None = None
    architecture: str | None = None
    revision: str | None = None

    @property
    def name(self) -> str:
        """Short name for tables: a built-in name, the last part of a path or the Hub id."""
        if self.reference.startswith(HF_HUB):
            return self.reference.removeprefix(HF_HUB)
        return Path(self.reference.removeprefix(LOCAL_DIR)).name

    @property
    def slug(self) -> str:
        """Name in result files, see :func:`slug_of`."""
        return slug_of(self.reference)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over configuration, tokenizer merges and weights; it keys everything computed from the model."""
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        try:
            for path in (self.merges, self.weights):
                digest.update(file_digest(path).encode() if path else b"none")
        except OSError as error:
            raise ModelError(f"{error.filename} cannot be read: {error.strerror or error}.") from error
        return digest.hexdigest()


def slug_of(reference: str) -> str:
    """A model's name in result files, by the official rule: `/` and `:` become `_`, then the stem.

    >>> slug_of("local-dir:out/model.v2")
    'local-dir_out_model'
    """
    return Path(reference.replace("/", "_").replace(":", "_")).stem


def builtin_models() -> list[str]:
    """Names of the models shipped in `assets/models`, the two references first."""
    first = ["mini-clean", "mini-compromised"]
    found = sorted(path.parent.name for path in (assets_dir() / "models").glob(f"*/{WEIGHTS_FILES[0]}"))
    return [name for name in first if name in found] + [name for name in found if name not in first]


def find_model(reference: str, architecture: str | None = None) -> ModelSource:
    """Find the checkpoint a user named.

    Args:
        reference: a built-in name, `official-clean`, `official-compromised`, `local-dir:FOLDER`,
            `hf-hub:ORG/NAME[@REVISION]`, or a safetensors file.
        architecture: open_clip architecture, required for a bare weight file.

    Raises:
        ModelError: if there is none, or it lacks its configuration or weights.
    """
    if reference in builtin_models():
        return _from_folder(reference, assets_dir() / "models" / reference)
    target = model_on_hub(reference)
    if target is not None:
        return _from_hub(target, architecture)
    try:
        path = Path(reference.removeprefix(LOCAL_DIR)).expanduser()
        is_file, is_folder = path.is_file(), path.is_dir()
    except (OSError, RuntimeError) as error:  # a name too long, a home folder that does not exist
        raise ModelError(f"{reference!r} is not a usable path: {getattr(error, 'strerror', error)}.") from error
    if reference.startswith(LOCAL_DIR):
        return _from_folder(reference, path)
    if is_file:
        return _from_file(reference, path, architecture)
    if is_folder and reference:
        raise ModelError(f"{reference} is a folder; write {LOCAL_DIR}{reference} to load it.")
    if path.suffix or os.sep in reference:
        raise ModelError(f"There is no weight file {reference}; check the path.")
    known = ", ".join(builtin_models()) or "none"
    raise ModelError(
        f"There is no model {reference!r}. Built in: {known}. Others: {', '.join(OFFICIAL_MODELS)}, "
        f"{LOCAL_DIR}FOLDER, {HF_HUB}ORG/NAME, or a safetensors file with --arch."
    )


def find_models(references: Sequence[str], architecture: str | None = None) -> list[ModelSource]:
    """Find several checkpoints; a reference given twice is found once."""
    return [find_model(reference, architecture) for reference in dict.fromkeys(references)]


def _from_folder(reference: str, folder: Path, revision: str | None = None) -> ModelSource:
    if not folder.is_dir():
        raise ModelError(f"The model folder {folder} does not exist.")
    config = _read_config(folder / CONFIG_FILE)
    weights = next((folder / name for name in WEIGHTS_FILES if (folder / name).is_file()), None)
    if weights is None:
        raise ModelError(f"The model folder {folder} has no {WEIGHTS_FILES[0]}; save the weights as safetensors.")
    merges = folder / MERGES_FILE
    return ModelSource(reference, weights, config, merges if merges.is_file() else None, revision=revision)


def _from_hub(target: HubReference, architecture: str | None) -> ModelSource:
    # The Hub's client takes a quarter of a second to import, which local models do not need.
    from salmu_demo.hub_fetch import download_file  # noqa: PLC0415

    reference, repository, wanted = target.label, target.repository, target.revision
    config_file = download_file(repository, CONFIG_FILE, wanted, ModelError)
    for name in WEIGHTS_FILES:
        weights = download_file(repository, name, wanted, ModelError)
        if weights is not None:
            break
    else:
        raise ModelError(f"{repository} has no {WEIGHTS_FILES[0]}; only safetensors are loaded from the Hub.")
    # The parent of a cached Hub file is its snapshot, named by the commit.
    commit = weights.parent.name
    pin(target, commit)
    merges = download_file(repository, MERGES_FILE, wanted, ModelError) if config_file else None
    if config_file is not None:
        return ModelSource(reference, weights, _read_config(config_file), merges, revision=commit)
    architecture = architecture or DEFAULT_ARCHITECTURE
    return ModelSource(
        reference, weights, _architecture_config(architecture), architecture=architecture, revision=commit
    )


def _from_file(reference: str, path: Path, architecture: str | None) -> ModelSource:
    if path.suffix != ".safetensors":
        raise ModelError(f"{path} is not a safetensors file; convert it with safetensors.torch.save_file.")
    if architecture is None:
        raise ModelError(f"{path} needs its architecture: add --arch, for example --arch {DEFAULT_ARCHITECTURE}.")
    return ModelSource(reference, path, _architecture_config(architecture), architecture=architecture)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"The model folder {path.parent} has no {CONFIG_FILE}.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not readable JSON.") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_cfg"), dict):
        raise ModelError(f"{path} lacks `model_cfg`; it must be an open_clip configuration.")
    return _check_text_tower(config, str(path))


def _check_text_tower(config: dict[str, Any], what: str) -> dict[str, Any]:
    text = config["model_cfg"].get("text_cfg")
    if not isinstance(text, dict):
        raise ModelError(f"{what} lacks `text_cfg`; it must be an open_clip configuration.")
    if text.get("hf_model_name") or text.get("hf_tokenizer_name"):
        raise ModelError(f"{what} names a transformers text tower or tokenizer, which is not supported.")
    return config


def _architecture_config(architecture: str) -> dict[str, Any]:
    """The configuration of an open_clip architecture, read from the package's files without importing it."""
    spec = importlib.util.find_spec("open_clip")
    folders = (spec.submodule_search_locations if spec else None) or []
    known = {path.stem: path for folder in folders for path in Path(folder).glob("model_configs/*.json")}
    if architecture not in known:
        near = [name for name in sorted(known) if name.lower().startswith(architecture[:4].lower())][:5]
        hint = f"did you mean {', '.join(near)}" if near else "for example ViT-B-16 or ViT-L-14"
        raise ModelError(f"open_clip has no architecture {architecture!r}; {hint}?")
    config = {"model_cfg": json.loads(known[architecture].read_text("utf-8")), "preprocess_cfg": {}}
    return _check_text_tower(config, f"The architecture {architecture}")
