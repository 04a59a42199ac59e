"""Write what a model changed in its base as a safetensors file, which `delta.MergedReader` merges again."""

from dataclasses import dataclass
from pathlib import Path

from salmu_demo.core.errors import ModelError
from salmu_demo.core.files import atomic_path, file_digest
from salmu_demo.models.difference import check_same_shapes
from salmu_demo.models.source import DELTA, ModelSource
from salmu_demo.models.tensor_file import write_tensors


@dataclass(frozen=True)
class WrittenDelta:
    """What was written: number of tensors, of how many the model has, and the size of the file."""

    tensors: int
    of: int
    bytes: int


def write_delta(base: ModelSource, model: ModelSource, output: Path) -> WrittenDelta:
    """Write the tensors of a model that read otherwise in its base, in the type and with the bits they are stored in.

    Raises:
        ModelError: if the two differ in more than values (configuration, tokenizer, tensors) or do not differ, or the
            output is not named like a delta or is one of their files, or the base is a `delta:` itself.
        StorageError: if the file cannot be written.
    """
    if output.suffix != ".safetensors":
        raise ModelError(f"{output} is not a name for a delta; it must end in .safetensors.")
    if base.reference.startswith(DELTA):
        raise ModelError(f"{base.reference} is a delta itself, which no other is merged onto; name a whole model.")
    if output.resolve() in {path.resolve() for path in (*base.files, *model.files)}:
        raise ModelError(f"{output} is a file of one of the two models; choose another name.")
    if base.config != model.config or _tokenizer(base) != _tokenizer(model):
        raise ModelError(
            f"{model.reference} and {base.reference} differ in configuration or tokenizer, which a delta does not "
            "hold; keep the whole model."
        )
    before, after = base.reader(), model.reader()
    check_same_shapes(after, before)
    changed = [name for name in after.shapes if after.read(name).tobytes() != before.read(name).tobytes()]
    if not changed:
        raise ModelError(f"{model.reference} has the same weights as {base.reference}; there is nothing to write.")
    with atomic_path(output, "The delta") as temporary:
        write_tensors(after, changed, temporary)
    return WrittenDelta(len(changed), len(after.shapes), output.stat().st_size)


def _tokenizer(model: ModelSource) -> str | None:
    return None if model.merges is None else file_digest(model.merges)
