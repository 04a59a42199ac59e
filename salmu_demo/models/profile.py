"""What the files of a model tell about it, without building it."""

from dataclasses import dataclass

from salmu_demo.models.architecture import configuration_facts
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.configuration import open_clip_architectures
from salmu_demo.models.references import origin_of
from salmu_demo.models.settings import ModelSetting
from salmu_demo.models.source import ModelSource
from salmu_demo.models.weights import parameter_count, summarise


@dataclass(frozen=True)
class ModelProfile:
    """Facts about a checkpoint.

    Attributes:
        reference: how it is named here.
        name: short name.
        origin: where it is from, in words.
        architecture: name of the architecture, or its sizes.
        parameters: number of parameters.
        dtypes: types the tensors are stored in, the most frequent first.
        bytes: size of its files.
        fingerprint: SHA-256 over configuration, tokenizer and weights.
        weights_digest: SHA-256 over the values of all tensors, equal for equal weights in different files.
        revision: Hub revision, or None.
        settings: which activation, preprocessing and tokenizer it has, and who says so.
        warnings: sentences the user should read.
    """

    reference: str
    name: str
    origin: str
    architecture: str
    parameters: int
    dtypes: tuple[str, ...]
    bytes: int
    fingerprint: str
    weights_digest: str
    revision: str | None
    settings: tuple[ModelSetting, ...]
    warnings: tuple[str, ...]


def profile(source: ModelSource) -> ModelProfile:
    """Read all tensors of a checkpoint once; raises `ModelError`."""
    with source.unchanged():
        reader = source.reader()
        summary = summarise(reader)
    types = list(reader.dtypes.values())
    warnings = list(source.remarks)
    if summary.not_finite is not None:
        warnings.append(f"The tensor {summary.not_finite} holds NaN or infinite values, so the model cannot be used.")
    return ModelProfile(
        reference=source.reference,
        name=source.name,
        origin=origin_of(source.reference),
        architecture=_architecture(source),
        parameters=parameter_count(reader),
        dtypes=tuple(sorted(set(types), key=lambda name: (-types.count(name), name))),
        bytes=sum(path.stat().st_size for path in source.files),
        fingerprint=source.fingerprint,
        weights_digest=summary.digest,
        revision=source.revision,
        settings=source.settings,
        warnings=tuple(warnings),
    )


def _architecture(source: ModelSource) -> str:
    """The name if the configuration is open_clip's, else the sizes of both towers."""
    model = source.config["model_cfg"]
    if source.architecture is not None:
        return f"that of {source.architecture}" if source.architecture in builtin_models() else source.architecture
    known = next((name for name, config in open_clip_architectures().items() if config == model), None)
    if known is not None:
        return known
    facts = configuration_facts(model)
    sizes = {name.removeprefix("image "): facts.get(name) for name in ("image width", "image layers", "patch")}
    image = ", ".join(f"{name} {size}" for name, size in sizes.items() if size is not None)
    text = f"width {facts['text width']}, layers {facts['text layers']}, vocabulary {facts['vocabulary']}"
    return f"{facts['image tower']} ({image}); text ({text})"
