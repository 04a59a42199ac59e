"""From what the user typed to a checkpoint on disk, without loading it (and without importing torch).

One exception: a pickle, which only torch reads, is opened to tell its architecture and whether it holds other weights.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from salmu_demo.core.errors import ArchitectureError, ModelError
from salmu_demo.core.files import file_digest, leads_outside
from salmu_demo.core.settings import assets_dir
from salmu_demo.hub.reference import HF_HUB, OFFICIAL_MODELS, HubReference, model_on_hub, pin
from salmu_demo.models.architecture import guess_architecture, is_alike
from salmu_demo.models.card import CARD_FILE, LARGEST_CARD, card_role
from salmu_demo.models.configuration import (
    CONFIG_FILE,
    architecture_configuration,
    open_clip_architectures,
    read_configuration,
)
from salmu_demo.models.delta import Delta, MergedReader, find_delta
from salmu_demo.models.header import shown
from salmu_demo.models.made import MADE, WEIGHTS_FILE, made_folder
from salmu_demo.models.preprocessing import AGREED, DEFAULTS, Preprocessing, completed, missing_parts
from salmu_demo.models.roles import ModelRole, RoleName, role_by_name
from salmu_demo.models.uploads import UPLOAD, uploaded_file
from salmu_demo.models.weights import SafetensorsReader, TensorReader, check_whole

if TYPE_CHECKING:
    from salmu_demo.models.encoder import Encoder

LOCAL_DIR: Final = "local-dir:"
MEMORY: Final = "memory:"
"""How the reference of a model that was given in memory begins; it cannot be found by it."""
DELTA: Final = "delta:"
WEIGHTS_FILES: Final = (WEIGHTS_FILE, "model.safetensors")
PICKLE_FILE: Final = "open_clip_pytorch_model.bin"
PICKLES: Final = (".pt", ".pth", ".bin")
MERGES_FILE: Final = "bpe_merges.txt.gz"
"""Byte-pair merges of a model with a vocabulary of its own; the loader hands its path to open_clip's tokenizer."""
DELTA_FILE: Final = "delta.safetensors"
"""What a built-in model without weights of its own changes in :data:`COMPROMISED`."""
DEFAULT_CONTEXT: Final = 77
"""Tokens that a CLIP model reads of a text, start and end included, if its configuration does not say."""
TOKENIZER_FILE: Final = "tokenizer.json"
"""Tokenizer of a model of the SigLIP family, as its folder holds it."""
_TOKENIZER_COMPANIONS: Final = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")

PICKLE_PUBLISHERS: Final = frozenset({"cvc-mmu"})
"""Who may publish a pickle on the Hub that is loaded: the authors of SALMUBench, whose Compromised model is one."""

_OTHERS_NAMED: Final = 3
"""Files a remark names."""

COMPROMISED: Final = "mini-compromised"
"""The built-in model that others of the mini architecture start from."""


@dataclass(frozen=True)
class ModelSource:
    """A checkpoint that was found, and how to build the model it belongs to.

    Attributes:
        reference: what the user typed.
        weights: safetensors file, or a pickle that was allowed.
        config: content of `open_clip_config.json`: `model_cfg` and `preprocess_cfg`.
        merges: the tokenizer's file, for models with a tokenizer of their own.
        architecture: name of the architecture, for weights without a configuration of their own.
        revision: Hub revision, or None.
        deltas: what is merged onto the weights, one after another.
        remarks: sentences the user should read, for example how the architecture was chosen.
        config_file: where the configuration was read, and the SHA-256 of what was read; None if it is not a file's.
        card_role: the role that its card names, or None.
    """

    reference: str
    weights: Path
    config: dict[str, Any]
    merges: Path | None = None
    architecture: str | None = None
    revision: str | None = None
    deltas: tuple[Delta, ...] = ()
    remarks: tuple[str, ...] = ()
    config_file: tuple[Path, str] | None = None
    card_role: RoleName | None = None

    @property
    def name(self) -> str:
        """Short name for tables, see :func:`name_of`."""
        return name_of(self.reference)

    @property
    def own_role(self) -> ModelRole:
        """Its role by its card, or else by its name; see :mod:`salmu_demo.models.roles`."""
        named = role_by_name(self.reference)
        return named if self.card_role in (None, named.name) else ModelRole(self.card_role, "card")

    @property
    def slug(self) -> str:
        """Name in result files, see :func:`slug_of`."""
        return slug_of(self.reference)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files the model is made of; the last holds the tensors that are its own."""
        return tuple(path for path in self._parts if path is not None)

    @property
    def context_length(self) -> int:
        """Tokens it reads of a text, start and end included."""
        return int(self.config["model_cfg"]["text_cfg"].get("context_length", DEFAULT_CONTEXT))

    @property
    def _parts(self) -> tuple[Path | None, ...]:
        added = (part for delta in self.deltas for part in (delta.config, delta.weights))
        return (self.merges, *self._beside_tokenizer, self.weights, *added)

    @property
    def _beside_tokenizer(self) -> tuple[Path, ...]:
        """Files that transformers reads beside a tokenizer of its own."""
        if self.merges is None or self.merges.name != TOKENIZER_FILE:
            return ()
        return tuple(path for name in _TOKENIZER_COMPANIONS if (path := self.merges.with_name(name)).is_file())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over configuration, tokenizer and weights; it keys everything computed from the model.

        What is read to compute something is compared with it, see :meth:`unchanged`.
        """
        return self._hash()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """A block that reads the model's files: they hold what the fingerprint was taken of before, until it ends.

        The content is hashed after it was read, because whoever saves a checkpoint may be at it meanwhile.

        Raises:
            ModelError: if a file was saved again; what was read must not be used.
        """
        wanted = self.fingerprint
        yield
        config, read = self.config_file or (None, None)
        if self._hash() != wanted or (config is not None and _digest(config) != read):
            raise ModelError(
                f"{self.reference} was saved again while it was in use: what was read is not what its fingerprint was "
                "taken of, so nothing was computed from it; wait until it is written and start again."
            )

    def _hash(self) -> str:
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for path in self._parts:
            digest.update(_digest(path).encode() if path else b"none")
        return digest.hexdigest()

    def own_encoder(self) -> "Encoder | None":
        """The loaded model of a source that is no checkpoint, see :mod:`salmu_demo.models.in_memory`; else None."""
        return None

    def reader(self) -> TensorReader:
        """The tensors, one by one; raises :class:`ModelError` if a header does not hold what it should."""
        reader = _open_weights(self.weights)
        for delta in self.deltas:
            reader = MergedReader(reader, delta)
        return reader


FindModel = Callable[[str, str | None], ModelSource]


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error


def name_of(reference: str) -> str:
    """A model's short name: a built-in name, the last part of a path or the Hub id.

    >>> name_of("local-dir:out/mine"), name_of("hf-hub:org/name@v1"), name_of("delta:mini-clean+my/adapter")
    ('mine', 'org/name@v1', 'adapter')
    """
    if reference.startswith(HF_HUB):
        return reference.removeprefix(HF_HUB)
    if reference.startswith(DELTA):
        return Path(_split_delta(reference)[1]).name
    return Path(reference.removeprefix(LOCAL_DIR).removeprefix(UPLOAD).removeprefix(MADE).removeprefix(MEMORY)).name


def slug_of(reference: str) -> str:
    """A model's name in result files, by the official rule: `/` and `:` become `_`, then the stem.

    >>> slug_of("local-dir:out/model.v2")
    'local-dir_out_model'
    """
    return Path(reference.replace("/", "_").replace(":", "_")).stem


def builtin_models() -> list[str]:
    """Names of the models shipped in `assets/models`, the two references first.

    A folder there holds the model's weights, or what they differ in from :data:`COMPROMISED`.
    """
    first = ["mini-clean", COMPROMISED]
    folder = assets_dir() / "models"
    files = (WEIGHTS_FILE, DELTA_FILE) if (folder / COMPROMISED / WEIGHTS_FILE).is_file() else (WEIGHTS_FILE,)
    found = sorted({path.parent.name for file in files for path in folder.glob(f"*/{file}")})
    return [name for name in first if name in found] + [name for name in found if name not in first]


def find_model(reference: str, architecture: str | None = None, trust_pickle: bool = False) -> ModelSource:
    """Find the checkpoint a user named.

    Args:
        reference: a built-in name, `official-clean`, `official-compromised`, `local-dir:FOLDER`,
            `hf-hub:ORG/NAME[@REVISION]`, a weight file, an upload, a model that a job made, or `delta:BASE+PATH`, where
            BASE is one of these and PATH a PEFT folder or a safetensors file to merge onto it.
        architecture: open_clip architecture or built-in model, for weights without a configuration; None to tell it
            from the tensors. A model with a configuration of its own must have the one that is named.
        trust_pickle: whether the user has said that pickles of this machine may be read.

    Raises:
        ArchitectureError: if it has a configuration of its own, and another architecture is named.
        ModelError: if there is none, it lacks its weights, or its architecture cannot be told.
    """
    if architecture is not None:
        _configuration_of(architecture)  # A misspelt name is refused whatever it is named for.
    if reference in builtin_models():
        return _keeping_its_own(_builtin(reference), architecture)
    if reference.startswith(DELTA):
        return _from_delta(reference, architecture, trust_pickle)
    if reference.startswith(MADE):
        return _from_folder(reference, made_folder(reference), architecture, False)
    target = model_on_hub(reference)
    if target is not None:
        return _from_hub(target, architecture)
    if reference.startswith(UPLOAD):
        return _bare(reference, uploaded_file(reference), architecture)
    try:
        path = Path(reference.removeprefix(LOCAL_DIR)).expanduser()
        is_file, is_folder = path.is_file(), path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # too long, a home that does not exist, a zero byte
        raise ModelError(f"{reference!r} is not a usable path: {getattr(error, 'strerror', None) or error}.") from error
    if reference.startswith(LOCAL_DIR):
        return _from_folder(reference, path, architecture, trust_pickle)
    if is_file:
        return _from_file(reference, path, architecture, trust_pickle)
    if is_folder and reference:
        raise ModelError(f"{reference} is a folder; write {LOCAL_DIR}{reference} to load it.")
    if path.suffix or os.sep in reference:
        raise ModelError(f"There is no weight file {reference:.200}; check the path.")
    known = ", ".join(builtin_models()) or "none"
    raise ModelError(
        f"There is no model {reference!r:.200}. Built in: {known}. Others: {', '.join(OFFICIAL_MODELS)}, "
        f"{LOCAL_DIR}FOLDER, {HF_HUB}ORG/NAME, {DELTA}BASE+PATH, or a safetensors file."
    )


def find_models(
    references: Sequence[str], architecture: str | None = None, find: FindModel = find_model
) -> list[ModelSource]:
    """Find several checkpoints; a reference given twice is found once.

    Of several models, those with a configuration of their own keep it, and the architecture is that of the others.

    Args:
        references: what the user typed.
        architecture: as for :func:`find_model`.
        find: finds one of them.

    Raises:
        ArchitectureError: if all have configurations of their own that say otherwise.
        ModelError: as :func:`find_model` does.
    """
    found: list[ModelSource] = []
    refusals: list[ArchitectureError] = []
    for reference in dict.fromkeys(references):
        try:
            found.append(find(reference, architecture))
        except ArchitectureError as error:
            refusals.append(error)
            found.append(find(reference, None))
    if refusals and len(refusals) == len(found):
        raise refusals[0]
    return found


def _builtin(name: str) -> ModelSource:
    folder = assets_dir() / "models" / name
    if (folder / WEIGHTS_FILE).is_file():
        return _from_folder(name, folder, None, False)
    base = _builtin(COMPROMISED)
    return replace(base, reference=name, deltas=(find_delta(folder / DELTA_FILE),), card_role=card_role(folder))


def _from_folder(reference: str, folder: Path, architecture: str | None, trust_pickle: bool) -> ModelSource:
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
        model = _bare(reference, weights, architecture)
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
    return _keeping_its_own(_of_its_pickle(source), architecture)


def _of_its_pickle(model: ModelSource) -> ModelSource:
    """The model, with a remark if its file holds averaged weights beside the raw ones."""
    if model.weights.suffix not in PICKLES:
        return model
    from salmu_demo.models.pickled import STATE_DICT, PickleReader  # noqa: PLC0415 - as in `_open_weights`

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


def _keeping_its_own(source: ModelSource, architecture: str | None) -> ModelSource:
    """A model with a configuration of its own, which an architecture that is named must not contradict."""
    if architecture is not None and _configuration_of(architecture)["model_cfg"] != source.config["model_cfg"]:
        raise ArchitectureError(
            f"{source.reference} has a configuration of its own, which is not that of {architecture}; leave the "
            "architecture out (--arch), which is for weights without a configuration."
        )
    return source


def _configuration_of(architecture: str) -> dict[str, Any]:
    """The configuration of a built-in model or an architecture of open_clip; raises :class:`ModelError`."""
    if architecture in builtin_models():
        return _builtin(architecture).config
    return architecture_configuration(architecture)


def check_inside(folder: Path, path: Path) -> None:
    """Refuse a link that leads out of a model's folder: whoever packed the folder may have aimed it at any file."""
    if leads_outside(path, folder):
        raise ModelError(f"{path} is a link that leads out of its folder; put the file itself there.")


def _from_hub(target: HubReference, architecture: str | None) -> ModelSource:
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
        return replace(_bare(reference, weights, architecture, commit), card_role=role)
    tokenizer = download_file(repository, MERGES_FILE, wanted, ModelError)
    tokenizer = tokenizer or download_file(repository, TOKENIZER_FILE, wanted, ModelError)
    model = _configured(reference, weights, config_file, tokenizer, architecture, commit)
    return replace(model, card_role=role)


def _from_file(reference: str, path: Path, architecture: str | None, trust_pickle: bool) -> ModelSource:
    if path.suffix in PICKLES and not trust_pickle:
        raise ModelError(_untrusted(path))
    if path.suffix not in (".safetensors", *PICKLES):
        raise ModelError(f"{path} is not a safetensors file; convert it with safetensors.torch.save_file.")
    check_whole(path)
    return _bare(reference, path, architecture)


def _untrusted(path: Path) -> str:
    return (
        f"{path} is a pickle, which can hold a program; if you made it yourself, allow it on the command line with "
        "--trust-pickle, or save its state dict as safetensors."
    )


def _from_delta(reference: str, architecture: str | None, trust_pickle: bool) -> ModelSource:
    base_reference, path = _split_delta(reference)
    if base_reference.startswith(DELTA):
        raise ModelError(f"{reference} names a delta as its base; merge that one first.")
    base = find_model(base_reference, architecture, trust_pickle)
    try:
        delta = find_delta(Path(path).expanduser())
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{path!r} is not a usable path: {getattr(error, 'strerror', None) or error}.") from error
    for file in filter(None, (delta.weights, delta.config)):
        check_inside(file.parent, file)
    return replace(
        base, reference=reference, deltas=(*base.deltas, delta), card_role=card_role(Path(path).expanduser())
    )


def _split_delta(reference: str) -> tuple[str, str]:
    base, plus, path = reference.removeprefix(DELTA).partition("+")
    if not (base and plus and path):
        raise ModelError(f"{reference} is not a delta; it looks like {DELTA}BASE+PATH, for example {DELTA}"
                         f"{COMPROMISED}+my-adapter.")  # fmt: skip
    return base, path


def _bare(reference: str, weights: Path, architecture: str | None, revision: str | None = None) -> ModelSource:
    """Weights without a configuration, of the architecture that was given or that their tensors tell."""
    remarks: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    if architecture is None:
        own = [COMPROMISED] if COMPROMISED in builtin_models() else []
        configs = {name: find_model(name).config["model_cfg"] for name in own}
        guess = guess_architecture(_open_weights(weights).shapes, configs, str(weights))
        architecture, alike = guess.name, guess.twins
        if guess.twins:
            remarks = (
                f"{reference} has the tensors of {guess.name}, but also those of {', '.join(guess.twins)}, which "
                f"compute otherwise; {guess.name} is taken unless another architecture is named (--arch).",
            )
    if architecture in builtin_models():
        model = replace(
            find_model(architecture),
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


def _open_weights(path: Path) -> TensorReader:
    if path.suffix not in PICKLES:
        return SafetensorsReader(path)
    # torch takes seconds to import, and only a pickle needs it here.
    from salmu_demo.models.pickled import PickleReader  # noqa: PLC0415

    return PickleReader(path)
