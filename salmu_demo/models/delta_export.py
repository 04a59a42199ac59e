"""Write what a model changed in its base as a safetensors file, which `delta.MergedReader` merges again."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.errors import ModelError
from salmu_demo.core.files import atomic_path, file_digest
from salmu_demo.models.difference import check_same_shapes
from salmu_demo.models.header import ITEM_BYTES
from salmu_demo.models.source import DELTA, ModelSource
from salmu_demo.models.weights import TensorReader

_ALIGNMENT: Final = 8
"""Bytes; the tensors begin at a multiple, so that readers can map them."""


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
        _write(after, changed, temporary)
    return WrittenDelta(len(changed), len(after.shapes), output.stat().st_size)


def _tokenizer(model: ModelSource) -> str | None:
    return None if model.merges is None else file_digest(model.merges)


def _write(reader: TensorReader, names: list[str], path: Path) -> None:
    """A safetensors file of some tensors, see `header`; in memory is one of them at a time."""
    # The widest types first: each tensor then begins at a multiple of its own width.
    names = sorted(names, key=lambda name: (-ITEM_BYTES[reader.dtypes[name]], name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        dtype, shape, start = reader.dtypes[name], reader.shapes[name], end
        end += math.prod(shape) * ITEM_BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(_ALIGNMENT, "little") + text)
        for name in names:
            stream.write(reader.stored(name))
