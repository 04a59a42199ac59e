"""The ways a checkpoint lies on disk: a folder, a repository of the Hub, a bare weight file; none of it is loaded.

One exception: a pickle, which only torch reads, is opened to tell its architecture and whether it holds other weights.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.errors import ArchitectureError, ModelError
from salmu_demo.core.files import leads_outside
from salmu_demo.core.settings import assets_dir
from salmu_demo.hub.reference import HubReference, pin
from salmu_demo.models.architecture import guess_architecture, is_alike
from salmu_demo.models.card import CARD_FILE, LARGEST_CARD, card_role
from salmu_demo.models.configuration import (
    CONFIG_FILE,
    architecture_configuration,
    open_clip_architectures,
    read_configuration,
)
from salmu_demo.models.delta import find_delta
from salmu_demo.models.header import shown
from salmu_demo.models.made import WEIGHTS_FILE
from salmu_demo.models.preprocessing import AGREED, DEFAULTS, Preprocessing, completed, missing_parts
from salmu_demo.models.source import (
    MERGES_FILE,
    PICKLE_FILE,
    PICKLES,
    TOKENIZER_FILE,
    WEIGHTS_FILES,
    ModelSource,
    open_weights,
)
from salmu_demo.models.weights import check_whole

DELTA_FILE: Final = "delta.safetensors"
"""What a built-in model without weights of its own changes in `COMPROMISED`."""
PICKLE_PUBLISHERS: Final = frozenset({"cvc-mmu"})
"""Who may publish a pickle on the Hub that is loaded: the authors of SALMUBench, whose Compromised model is one."""
COMPROMISED: Final = "mini-compromised"
"""The built-in model that others of the mini architecture start from."""

_OTHERS_NAMED: Final = 3
"""Files a remark names."""


def builtin_models() -> list[str]:
    """Names of the models shipped in `assets/models`, the references first.

    A folder there holds the model's weights, or what they differ in from `COMPROMISED`.
    """
    first = ["mini-clean", COMPROMISED, "mini-gold"]
    folder = assets_dir() / "models"
    files = (WEIGHTS_FILE, DELTA_FILE) if (folder / COMPROMISED / WEIGHTS_FILE).is_file() else (WEIGHTS_FILE,)
    found = sorted({path.parent.name for file in files for path in folder.glob(f"*/{file}")})
    return [name for name in first if name in found] + [name for name in found if name not in first]


def builtin(name: str) -> ModelSource:
    """A built-in model; raises `ModelError`."""
    folder = assets_dir() / "models" / name
    if (folder / WEIGHTS_FILE).is_file():
        return from_folder(name, folder, None, False)
    base = builtin(COMPROMISED)
    return replace(base, reference=name, deltas=(find_delta(folder / DELTA_FILE),), card_role=card_role(folder))


def from_folder(reference: str, folder: Path, architecture: str | None, trust_pickle: bool) -> ModelSource:
    """A folder with weights, and usually a configuration, a tokenizer and a card.

    Raises:
        ArchitectureError: if it has a configuration, and another architecture is named.
        ModelError: if it lacks its weights, a file is a link that leads out of it, or its architecture cannot be told.
    """
    if not folder.is_dir():
        raise ModelError(f"The model folder {folder} does not exist.")
    names = (*WEIGHTS_FILES, PICKLE_FILE) if trust_pickle else WEIGHTS_FILES
    weights = next((folder / name for name in names if (folder / name).is_file()), None)
    if weights is None:
        if (folder / PICKLE_FILE).is_file():
            raise ModelError(_untrusted(folder / PICKLE_FILE))
        for file in _weight_files(folder):
            check_whole(file)
        raise ModelError(f"The model folder {folder} has no {WEIGHTS_FILES[0]}; save the weights as safetensors.")
    config = folder / CONFIG_FILE
    tokenizer = next((folder / name for name in (MERGES_FILE, TOKENIZER_FILE) if (folder / name).is_file()), None)
    for path in (weights, config, tokenizer):
        if path is not None:
            check_inside(folder, path)
    if not config.exists():
        model = bare(reference, weights, architecture)
        model = model if tokenizer is None else replace(model, merges=tokenizer)
    else:
        model = _configured(reference, weights, config, tokenizer, architecture)
    others = [path.name for path in _weight_files(folder) if path != weights]
    return replace(_taken(model, weights.name, others, "beside it"), card_role=card_role(folder))


def _weight_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", *PICKLES))
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror or error}.") from error


def _taken(model: ModelSource, name: str, others: Sequence[str], where: str) -> ModelSource:
    """The model, with a remark on which of several weights are its own."""
    if not others:
        return model
    listed = ", ".join(shown(other) for other in others[:_OTHERS_NAMED])
    more = f" and {len(others) - _OTHERS_NAMED} more" if len(others) > _OTHERS_NAMED else ""
    remark = f"{model.reference} takes its weights from {name}; not read: {listed}{more} {where}."
    return replace(model, remarks=(*model.remarks, remark))


def _configured(
    reference: str,
    weights: Path,
    config_file: Path,
    tokenizer: Path | None,
    architecture: str | None,
    revision: str | None = None,
) -> ModelSource:
    """Weights with a configuration of their own."""
    content, digest = read_configuration(config_file)
    known = _published_preprocessing(content["model_cfg"]) if missing_parts(content, reference) else []
    config, remarks = completed(content, known, reference)
    source = ModelSource(
        reference,
        weights,
        config,
        tokenizer,
        revision=revision,
        remarks=remarks,
        config_file=(config_file, digest),
    )
    return keeping_its_own(_of_its_pickle(source), architecture)


def _of_its_pickle(model: ModelSource) -> ModelSource:
    """The model, with a remark if its file holds averaged weights beside the raw ones."""
    if model.weights.suffix not in PICKLES:
        return model
    from salmu_demo.models.pickled import STATE_DICT, PickleReader  # noqa: PLC0415 - as in `open_weights`

    return _taken(model, f"`{STATE_DICT}`", PickleReader(model.weights).not_read, "in the same file")


def _published_preprocessing(model: dict[str, Any]) -> list[Preprocessing]:
    """What open_clip's checkpoints say of the architectures that a `model_cfg` may be; our own are known, too."""
    own = assets_dir() / "models" / COMPROMISED / CONFIG_FILE
    if own.is_file():
        built_in, _ = read_configuration(own)
        if built_in["model_cfg"] == model:
            said = built_in.get("preprocess_cfg", {}).items()
            return [{**DEFAULTS, **{part: tuple(value) if isinstance(value, list) else value for part, value in said}}]
    known = {name: config for name, config in open_clip_architectures().items() if name in AGREED}
    same = [name for name, config in known.items() if config == model] or [
        name for name, config in known.items() if is_alike(config, model)
    ]
    return [AGREED[name] for name in same]


def keeping_its_own(source: ModelSource, architecture: str | None) -> ModelSource:
    """A model with a configuration of its own, which an architecture that is named must not contradict."""
    if architecture is not None and configuration_of(architecture)["model_cfg"] != source.config["model_cfg"]:
        raise ArchitectureError(
            f"{source.reference} has a configuration of its own, which is not that of {architecture}; leave the "
            "architecture out (--arch), which is for weights without a configuration."
        )
    return source


def configuration_of(architecture: str) -> dict[str, Any]:
    """The configuration of a built-in model or an architecture of open_clip; raises `ModelError`."""
    if architecture in builtin_models():
        return builtin(architecture).config
    return architecture_configuration(architecture)


def check_inside(folder: Path, path: Path) -> None:
    """Refuse a link that leads out of a model's folder: whoever packed the folder may have aimed it at any file."""
    if leads_outside(path, folder):
        raise ModelError(f"{path} is a link that leads out of its folder; put the file itself there.")


def from_hub(target: HubReference, architecture: str | None) -> ModelSource:
    """A repository of the Hub, fetched unless it is here; raises as `from_folder` does."""
    # The Hub's client takes a quarter of a second to import, which local models do not need.
    from salmu_demo.hub.fetch import download_file  # noqa: PLC0415

    reference, repository, wanted = target.label, target.repository, target.revision
    config_file = download_file(repository, CONFIG_FILE, wanted, ModelError)
    trusted = repository.partition("/")[0] in PICKLE_PUBLISHERS
    for name in (*WEIGHTS_FILES, PICKLE_FILE) if trusted else WEIGHTS_FILES:
        weights = download_file(repository, name, wanted, ModelError)
        if weights is not None:
            break
    else:
        raise ModelError(f"{repository} has no {WEIGHTS_FILES[0]}; only safetensors are loaded from the Hub.")
    # The parent of a cached Hub file is its snapshot, named by the commit.
    commit = weights.parent.name
    pin(target, commit)
    card = download_file(repository, CARD_FILE, wanted, ModelError, LARGEST_CARD)
    role = None if card is None else card_role(card.parent)
    if config_file is None:
        return replace(bare(reference, weights, architecture, commit), card_role=role)
    tokenizer = download_file(repository, MERGES_FILE, wanted, ModelError)
    tokenizer = tokenizer or download_file(repository, TOKENIZER_FILE, wanted, ModelError)
    model = _configured(reference, weights, config_file, tokenizer, architecture, commit)
    return replace(model, card_role=role)


def from_file(reference: str, path: Path, architecture: str | None, trust_pickle: bool) -> ModelSource:
    """A weight file alone; raises `ModelError`."""
    if path.suffix in PICKLES and not trust_pickle:
        raise ModelError(_untrusted(path))
    if path.suffix not in (".safetensors", *PICKLES):
        raise ModelError(f"{path} is not a safetensors file; convert it with safetensors.torch.save_file.")
    check_whole(path)
    return bare(reference, path, architecture)


def _untrusted(path: Path) -> str:
    return (
        f"{path} is a pickle, which can hold a program; if you made it yourself, allow it on the command line with "
        "--trust-pickle, or save its state dict as safetensors."
    )


def bare(reference: str, weights: Path, architecture: str | None, revision: str | None = None) -> ModelSource:
    """Weights without a configuration, of the architecture that was given or that their tensors tell."""
    remarks: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    if architecture is None:
        own = [COMPROMISED] if COMPROMISED in builtin_models() else []
        configs = {name: builtin(name).config["model_cfg"] for name in own}
        guess = guess_architecture(open_weights(weights).shapes, configs, str(weights))
        architecture, alike = guess.name, guess.twins
        if guess.twins:
            remarks = (
                f"{reference} has the tensors of {guess.name}, but also those of {', '.join(guess.twins)}, which "
                f"compute otherwise; {guess.name} is taken unless another architecture is named (--arch).",
            )
    if architecture in builtin_models():
        model = replace(
            builtin(architecture),
            reference=reference,
            weights=weights,
            architecture=architecture,
            revision=revision,
            deltas=(),
            remarks=remarks,
            card_role=None,
        )
        return _of_its_pickle(model)
    known = [AGREED[name] for name in (architecture, *alike) if name in AGREED]
    config, assumed = completed(architecture_configuration(architecture), known, reference)
    model = ModelSource(reference, weights, config, None, architecture, revision, remarks=remarks + assumed)
    return _of_its_pickle(model)
