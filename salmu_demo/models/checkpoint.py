"""The ways a checkpoint lies on disk: a folder, a repository of the Hub, a bare weight file; none of it is loaded.

One exception: a pickle, which only torch reads, is opened to tell its architecture and whether it holds other weights.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

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
from salmu_demo.models.delta import ADAPTER_CONFIG_FILE, find_delta
from salmu_demo.models.header import MAX_HEADER_BYTES, shown
from salmu_demo.models.json_file import MAX_CONFIG_BYTES, MAX_TOKENIZER_BYTES, read_object
from salmu_demo.models.made import WEIGHTS_FILE
from salmu_demo.models.preprocessing import AGREED, DEFAULTS, Preprocessing, completed, missing_parts
from salmu_demo.models.said import NOTHING_WANTED, Said, Wanted
from salmu_demo.models.settings import ASSUMED, TABLE, Origins, preprocessing_origin
from salmu_demo.models.source import (
    DELTA,
    INDEX_FILE,
    LOCAL_DIR,
    MERGES_FILE,
    PICKLE_FILE,
    PICKLES,
    TOKENIZER_CONFIG,
    WEIGHTS_FILES,
    ModelSource,
    open_weights,
)
from salmu_demo.models.transformers_config import (
    PREPROCESSOR_FILE,
    TRANSFORMERS_CONFIG,
    family_of,
    is_of_transformers,
    network_of,
    preprocessing_of,
)
from salmu_demo.models.transformers_tensors import Family, named_by_transformers
from salmu_demo.models.vocabulary import (
    CLIP_VOCABULARY,
    MERGES_TEXT,
    TOKENIZER_FILE,
    VOCABULARY_FILE,
)
from salmu_demo.models.weights import check_prefix, check_whole, shard_names, shards_of

DELTA_FILE: Final = "delta.safetensors"
"""What a built-in model without weights of its own changes in the one that it was made from."""
PICKLE_PUBLISHERS: Final = frozenset({"cvc-mmu"})
"""Who may publish a pickle on the Hub that is loaded: the authors of SALMUBench, whose Compromised model is one."""
COMPROMISED: Final = "mini-compromised"
"""The built-in model that others of the mini architecture start from."""
CLEAR_BASE: Final = "mini-clear-base"
"""The same of those that were trained on CLEAR-Mini."""
_OF_CLEAR: Final = "mini-clear-"
"""How the names of the built-in models begin that were trained on CLEAR-Mini; all others were on SALMU-Mini."""

DECODER: Final = "text_decoder."
"""How the tensors of the part begin that a CoCa has beside its two encoders."""

TRANSFORMERS_WEIGHTS: Final = ("model.safetensors",)
TRANSFORMERS_PICKLE: Final = "pytorch_model.bin"
TRANSFORMERS_COMPANIONS: Final[dict[str, int]] = {
    PREPROCESSOR_FILE: MAX_CONFIG_BYTES,
    TOKENIZER_FILE: MAX_TOKENIZER_BYTES,
    MERGES_TEXT: MAX_TOKENIZER_BYTES,
    VOCABULARY_FILE: MAX_TOKENIZER_BYTES,
    TOKENIZER_CONFIG: MAX_CONFIG_BYTES,
    CARD_FILE: LARGEST_CARD,
}
"""What is fetched with a model of transformers if it is there, and the largest that is fetched, in bytes."""

_OTHERS_NAMED: Final = 3
"""Files a remark names."""


def builtin_models(benchmark: Literal["SALMUBench", "CLEAR"] | None = None) -> list[str]:
    """Names of the models shipped in `assets/models`: SALMU-Mini's, then CLEAR-Mini's, the references of each first.

    A folder there holds the model's weights, or what they differ in from those of the model it was made from.

    Args:
        benchmark: only models that were trained on its miniature; None for all.
    """
    first = ["mini-clean", COMPROMISED, "mini-gold", CLEAR_BASE, "mini-clear-gold"]
    folder = assets_dir() / "models"
    whole = {path.parent.name for path in folder.glob(f"*/{WEIGHTS_FILE}")}
    changed = {path.parent.name for path in folder.glob(f"*/{DELTA_FILE}")}
    found = sorted(whole | {name for name in changed if _made_from(name) in whole})
    ordered = [name for name in first if name in found] + [name for name in found if name not in first]
    of = {
        "SALMUBench": [name for name in ordered if not name.startswith(_OF_CLEAR)],
        "CLEAR": [name for name in ordered if name.startswith(_OF_CLEAR)],
    }
    return [*of["SALMUBench"], *of["CLEAR"]] if benchmark is None else of[benchmark]


def _made_from(name: str) -> str:
    """The built-in model that one without weights of its own was made from."""
    return CLEAR_BASE if name.startswith(_OF_CLEAR) else COMPROMISED


def builtin(name: str) -> ModelSource:
    """A built-in model; raises `ModelError`."""
    folder = assets_dir() / "models" / name
    if (folder / WEIGHTS_FILE).is_file():
        return from_folder(name, folder)
    base = builtin(_made_from(name))
    return replace(base, reference=name, deltas=(find_delta(folder / DELTA_FILE),), card_role=card_role(folder))


def from_folder(reference: str, folder: Path, wanted: Wanted = NOTHING_WANTED) -> ModelSource:
    """A folder with weights, and usually a configuration, a tokenizer and a card.

    Raises:
        ArchitectureError: if it has a configuration, and another architecture is named.
        ModelError: if it lacks its weights or those that are wanted, a file is a link that leads out of it, or its
            architecture cannot be told.
    """
    if not folder.is_dir():
        raise ModelError(f"The model folder {folder} does not exist.")
    config, theirs = folder / CONFIG_FILE, _config_of_transformers(folder)
    if theirs is not None and not config.exists():
        model = _of_transformers(reference, folder, theirs, wanted)
    else:
        weights, *more = _weights_of(folder, WEIGHTS_FILES, PICKLE_FILE, wanted)
        tokenizer = _tokenizer_of(folder, MERGES_FILE, TOKENIZER_FILE)
        for path in (weights, *more, config, tokenizer):
            if path is not None:
                check_inside(folder, path)
        if config.exists():
            model = _configured(reference, weights, config, tokenizer, wanted)
            if theirs is not None:
                model = _of_both_kinds(model, folder, theirs)
        else:
            model = bare(reference, weights, wanted)
            model = model if tokenizer is None else replace(model, merges=tokenizer)
        model = replace(model, more_weights=tuple(more))
        _check_decoder(model)
    own = {model.weights, *model.more_weights}
    others = [path.name for path in _weight_files(folder) if path not in own]
    return replace(_taken(model, model.weights.name, others, "beside it"), card_role=card_role(folder))


def _weights_of(folder: Path, names: Sequence[str], pickle: str, wanted: Wanted) -> tuple[Path, ...]:
    """The files of a folder that hold its weights together: those wanted, the first that is there, or an index's."""
    if wanted.said.weights is not None:
        return (_chosen_weights(folder, wanted.said.weights, wanted.trust_pickle),)
    for name in (*names, pickle) if wanted.trust_pickle else names:
        if (folder / name).is_file():
            return (folder / name,)
    index = folder / INDEX_FILE
    if index.is_file():
        check_inside(folder, index)
        return shards_of(index)
    if (folder / pickle).is_file():
        raise ModelError(_untrusted(folder / pickle))
    for file in _weight_files(folder):
        check_whole(file)
    raise ModelError(f"The model folder {folder} has no {names[0]}; save the weights as safetensors.")


def _chosen_weights(folder: Path, name: str, trust_pickle: bool) -> Path:
    path = folder / name
    there = [file.name for file in _weight_files(folder)]
    if name not in there:
        raise ModelError(f"The model folder {folder} has no weights {name}; it has {', '.join(there) or 'none'}.")
    if path.suffix in PICKLES and not trust_pickle:
        raise ModelError(_untrusted(path))
    return path


def _tokenizer_of(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _config_of_transformers(folder: Path) -> tuple[dict[str, Any], str] | None:
    """The `config.json` of a folder and its SHA-256, None if there is none of transformers; raises `ModelError`."""
    path = folder / TRANSFORMERS_CONFIG
    if not path.is_file():
        return None
    check_inside(folder, path)
    content, digest = read_object(path)
    return (content, digest) if is_of_transformers(content) else None


def _of_both_kinds(model: ModelSource, folder: Path, theirs: tuple[dict[str, Any], str]) -> ModelSource:
    """A folder that is configured for open_clip and for transformers: the first is read, if the other says the same."""
    try:
        other, _ = network_of(theirs[0], str(folder / TRANSFORMERS_CONFIG))
    except ModelError:
        return model  # Whatever else it is for, it is not read.
    if not is_alike(other, model.config["model_cfg"]):
        raise ModelError(
            f"{folder} holds two models, one of open_clip ({CONFIG_FILE}) and another of transformers "
            f"({TRANSFORMERS_CONFIG}); remove the files of one of them."
        )
    if named_by_transformers(model.reader().shapes):
        raise ModelError(
            f"{folder} has an {CONFIG_FILE}, but weights of transformers; remove it, and {TRANSFORMERS_CONFIG} is read."
        )
    remark = (
        f"{model.reference} holds its model twice, for open_clip and for transformers; the one for open_clip is read."
    )
    return replace(model, remarks=(*model.remarks, remark))


def _of_transformers(
    reference: str, folder: Path, theirs: tuple[dict[str, Any], str], wanted: Wanted, revision: str | None = None
) -> ModelSource:
    """A folder of transformers: its `CLIPModel` or `SiglipModel` by open_clip's names."""
    content, digest = theirs
    config_file, preprocessor = folder / TRANSFORMERS_CONFIG, folder / PREPROCESSOR_FILE
    family = family_of(content, str(config_file))
    weights, *more = _weights_of(folder, TRANSFORMERS_WEIGHTS, TRANSFORMERS_PICKLE, wanted)
    model, remarks = network_of(content, str(config_file))
    config: dict[str, Any] = {"model_cfg": model, "preprocess_cfg": {}}
    read = [(config_file, digest)]
    if preprocessor.is_file():
        check_inside(folder, preprocessor)
        said, digest = read_object(preprocessor)
        config["preprocess_cfg"] = preprocessing_of(said, model["vision_cfg"]["image_size"], str(preprocessor))
        read.append((preprocessor, digest))
    config = wanted.said.applied(config)
    known = _published_preprocessing(model)
    origins = wanted.said.origins(Origins(preprocessing=preprocessing_origin(config, known, reference)))
    config, assumed = completed(config, known, reference)
    tokenizer = _tokenizer_of(folder, TOKENIZER_FILE, MERGES_TEXT)
    for path in (weights, *more, tokenizer):
        if path is not None:
            check_inside(folder, path)
    if tokenizer is None:
        remarks = (*remarks, _without_tokenizer(folder, family, model))
    source = ModelSource(
        reference,
        weights,
        config,
        tokenizer,
        revision=revision,
        remarks=(*remarks, *assumed),
        config_files=tuple(read),
        more_weights=tuple(more),
        family=family,
        origins=origins,
    )
    for path in source.beside_tokenizer:
        check_inside(folder, path)
    return keeping_its_own(_of_its_pickle(source), wanted)


def _without_tokenizer(folder: Path, family: Family, model: dict[str, Any]) -> str:
    """The remark that CLIP's own tokenizer is assumed; raises `ModelError` if it cannot be the model's."""
    if family != "clip" or model["text_cfg"]["vocab_size"] != CLIP_VOCABULARY:
        raise ModelError(f"The model folder {folder} has no tokenizer; put its {TOKENIZER_FILE} beside the weights.")
    return f"{folder} has no tokenizer; CLIP's own is assumed, whose vocabulary is of the same size."


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
    wanted: Wanted,
    revision: str | None = None,
) -> ModelSource:
    """Weights with a configuration of their own."""
    content, digest = read_configuration(config_file)
    content = wanted.said.applied(content)
    known = _published_preprocessing(content["model_cfg"]) if missing_parts(content, reference) else []
    config, remarks = completed(content, known, reference)
    origins = wanted.said.origins(Origins(preprocessing=preprocessing_origin(content, known, reference)))
    source = ModelSource(
        reference,
        weights,
        config,
        tokenizer,
        revision=revision,
        remarks=remarks,
        config_files=((config_file, digest),),
        origins=origins,
    )
    return keeping_its_own(_of_its_pickle(source), wanted)


def _check_decoder(source: ModelSource) -> None:
    """Refuse the dual encoder of a CoCa alone: what its decoder would say is lost."""
    if "multimodal_cfg" not in source.config["model_cfg"]:
        return
    shapes = source.reader().shapes
    check_prefix(shapes, str(source.weights))
    if not any(name.startswith(DECODER) for name in shapes):
        raise ModelError(f"{source.weights} has no text decoder, which its configuration has; save the whole CoCa.")


def _of_its_pickle(model: ModelSource) -> ModelSource:
    """The model, with a remark if its file holds averaged weights beside the raw ones."""
    if model.weights.suffix not in PICKLES:
        return model
    from salmu_demo.models.pickled import PickleReader  # noqa: PLC0415 - as in `open_weights`

    reader = PickleReader(model.weights)
    return _taken(model, f"`{reader.taken}`", reader.not_read, "in the same file")


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


def keeping_its_own(source: ModelSource, wanted: Wanted) -> ModelSource:
    """A model with a configuration of its own, which an architecture that is named must not contradict."""
    named = wanted.architecture
    if named is not None:
        theirs = wanted.said.applied(configuration_of(named))["model_cfg"]
        if {**theirs, "quick_gelu": bool(theirs.get("quick_gelu"))} != {
            **source.config["model_cfg"],
            "quick_gelu": bool(source.config["model_cfg"].get("quick_gelu")),
        }:
            raise ArchitectureError(
                f"{source.reference} has a configuration of its own, which is not that of {named}; leave the "
                "architecture out (--arch), which is for weights without a configuration."
            )
    return source


def decided(source: ModelSource, wanted: Wanted) -> ModelSource:
    """A model with what was decided instead of its files; raises `ModelError`."""
    said = wanted.said
    return replace(source, config=said.applied(source.config), origins=said.origins(source.origins))


def configuration_of(architecture: str) -> dict[str, Any]:
    """The configuration of a built-in model or an architecture of open_clip; raises `ModelError`."""
    if architecture in builtin_models():
        return builtin(architecture).config
    return architecture_configuration(architecture)


def check_inside(folder: Path, path: Path) -> None:
    """Refuse a link that leads out of a model's folder: whoever packed the folder may have aimed it at any file."""
    if leads_outside(path, folder):
        raise ModelError(f"{path} is a link that leads out of its folder; put the file itself there.")


def from_hub(target: HubReference, wanted: Wanted) -> ModelSource:
    """A repository of the Hub, fetched unless it is here; raises as `from_folder` does."""
    # The Hub's client takes a quarter of a second to import, which local models do not need.
    from salmu_demo.hub.fetch import download_file  # noqa: PLC0415

    reference, repository, revision = target.label, target.repository, target.revision
    config_file = download_file(repository, CONFIG_FILE, revision, ModelError)
    if config_file is None:
        theirs = download_file(repository, TRANSFORMERS_CONFIG, revision, ModelError, MAX_CONFIG_BYTES)
        if theirs is not None and (content := _config_of_transformers(theirs.parent)) is not None:
            return _transformers_from_hub(target, content, wanted)
    trusted = repository.partition("/")[0] in PICKLE_PUBLISHERS
    for name in _names_on_hub((*WEIGHTS_FILES, PICKLE_FILE) if trusted else WEIGHTS_FILES, wanted, trusted):
        weights = download_file(repository, name, revision, ModelError)
        if weights is not None:
            break
    else:
        if download_file(repository, ADAPTER_CONFIG_FILE, revision, ModelError, MAX_CONFIG_BYTES) is not None:
            # Its base may be any file of this machine: that is for whoever sits here to say.
            raise ModelError(
                f"{repository} is an adapter, which is loaded from this machine alone: download it (`hf download "
                f"{repository} --local-dir DIR`) and give {LOCAL_DIR}DIR, or {DELTA}BASE+DIR to name its base."
            )
        name = wanted.said.weights or WEIGHTS_FILES[0]
        raise ModelError(f"{repository} has no {name}; only safetensors are loaded from the Hub.")
    # The parent of a cached Hub file is its snapshot, named by the commit.
    commit = weights.parent.name
    pin(target, commit)
    card = download_file(repository, CARD_FILE, revision, ModelError, LARGEST_CARD)
    role = None if card is None else card_role(card.parent)
    if config_file is None:
        return replace(bare(reference, weights, wanted, commit), card_role=role)
    tokenizer = download_file(repository, MERGES_FILE, revision, ModelError)
    tokenizer = tokenizer or download_file(repository, TOKENIZER_FILE, revision, ModelError)
    model = _configured(reference, weights, config_file, tokenizer, wanted, commit)
    _check_decoder(model)
    return replace(model, card_role=role)


def _names_on_hub(usual: Sequence[str], wanted: Wanted, trusted: bool) -> Sequence[str]:
    """The files that may hold the weights of a repository, the first that is there wins; raises `ModelError`."""
    name = wanted.said.weights
    if name is None:
        return usual
    if not name.endswith(".safetensors") and not (trusted and name.endswith(PICKLES)):
        raise ModelError(f"{name} is not a safetensors file, and only those are loaded from the Hub.")
    return (name,)


def _transformers_from_hub(target: HubReference, theirs: tuple[dict[str, Any], str], wanted: Wanted) -> ModelSource:
    """A repository of transformers' kind, fetched unless it is here; raises as `from_folder` does."""
    from salmu_demo.hub.fetch import download_file  # noqa: PLC0415 - as in `from_hub`

    repository, revision = target.repository, target.revision
    family_of(theirs[0], f"{TRANSFORMERS_CONFIG} of {repository}")  # Before anything large is fetched.

    def fetched(name: str, largest: int | None = None) -> Path | None:
        return download_file(repository, name, revision, ModelError, largest)

    names = _names_on_hub(TRANSFORMERS_WEIGHTS, wanted, False)
    weights = next((path for name in names if (path := fetched(name)) is not None), None)
    if weights is None and wanted.said.weights is not None:
        raise ModelError(f"{repository} has no {wanted.said.weights}; only safetensors are loaded from the Hub.")
    if weights is None:
        weights = fetched(INDEX_FILE, MAX_HEADER_BYTES)
        if weights is None:
            raise ModelError(
                f"{repository} has no {TRANSFORMERS_WEIGHTS[0]}; only safetensors are loaded from the Hub."
            )
        for name in shard_names(weights):
            if fetched(name) is None:
                raise ModelError(f"{repository} lacks {name}, one of the files that hold its weights.")
    for name, largest in TRANSFORMERS_COMPANIONS.items():
        fetched(name, largest)
    folder = weights.parent
    pin(target, folder.name)
    model = _of_transformers(target.label, folder, theirs, wanted, folder.name)
    return replace(model, card_role=card_role(folder))


def from_file(reference: str, path: Path, wanted: Wanted) -> ModelSource:
    """A weight file alone; raises `ModelError`."""
    wanted.only_one_file(reference)
    if path.suffix in PICKLES and not wanted.trust_pickle:
        raise ModelError(_untrusted(path))
    if path.suffix not in (".safetensors", *PICKLES):
        raise ModelError(f"{path} is not a safetensors file; convert it with safetensors.torch.save_file.")
    check_whole(path)
    return bare(reference, path, wanted)


def _untrusted(path: Path) -> str:
    return (
        f"{path} is a pickle, which can hold a program; if you made it yourself, allow it on the command line with "
        "--trust-pickle, or save its state dict as safetensors."
    )


def _own_architectures() -> dict[str, dict[str, Any]]:
    """The `model_cfg` of the built-in models, each by the name of the first that has it, before all `COMPROMISED`."""
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(builtin_models(), key=lambda name: name != COMPROMISED):
        config = builtin(name).config["model_cfg"]
        if config not in found.values():
            found[name] = config
    return found


def bare(reference: str, weights: Path, wanted: Wanted, revision: str | None = None) -> ModelSource:
    """Weights without a configuration, of the architecture that was given or that their tensors tell."""
    architecture = wanted.architecture
    remarks: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    if architecture is None:
        shapes = open_weights(weights).shapes
        check_prefix(shapes, str(weights))
        if named_by_transformers(shapes):
            raise ModelError(
                f"{weights} has the tensors of a model of transformers; give its folder ({LOCAL_DIR}FOLDER), whose "
                f"{TRANSFORMERS_CONFIG} says what they belong to."
            )
        guess = guess_architecture(shapes, _own_architectures(), str(weights))
        architecture, *others = _as_decided((guess.name, *guess.twins), wanted.said)
        alike = tuple(others)
        if alike:
            remarks = (
                f"{reference} has the tensors of {architecture}, but also those of {', '.join(alike)}, which "
                f"compute otherwise; {architecture} is taken unless another architecture is named (--arch).",
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
            origins=Origins(f"that of {architecture}", f"that of {architecture}"),
            card_role=None,
        )
        return decided(_of_its_pickle(model), wanted)
    known = [AGREED[name] for name in (architecture, *alike) if name in AGREED]
    given = wanted.said.applied(architecture_configuration(architecture))
    config, assumed = completed(given, known, reference)
    origins = wanted.said.origins(Origins(ASSUMED if alike else TABLE, preprocessing_origin(given, known, reference)))
    model = ModelSource(
        reference, weights, config, None, architecture, revision, remarks=remarks + assumed, origins=origins
    )
    return _of_its_pickle(model)


def _as_decided(architectures: Sequence[str], said: Said) -> Sequence[str]:
    """Those of some architectures whose activation is the one that was decided; all of them if none is."""
    if said.quickgelu is None:
        return architectures
    quick = [bool(configuration_of(name)["model_cfg"].get("quick_gelu")) for name in architectures]
    return [name for name, its in zip(architectures, quick, strict=True) if its is said.quickgelu] or architectures
