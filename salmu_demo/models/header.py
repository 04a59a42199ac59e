"""The header of a safetensors file, checked before any tensor is read: names, types, shapes, places and sizes.

Format: eight bytes with the header's length, the header as JSON, then the tensors without gaps
(https://huggingface.co/docs/safetensors). Nothing here allocates more than the header's own size.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from safetensors import SafetensorError, safe_open

from salmu_demo.core.errors import ModelError

MAX_HEADER_BYTES: Final = 16_000_000
"""A hundred times the header of the largest open_clip model."""

MAX_TENSOR_BYTES: Final = 40_000_000_000
"""More than the largest open_clip architecture takes in single precision."""

MAX_TENSORS: Final = 20_000
MAX_DIMENSIONS: Final = 8

ITEM_BYTES: Final[Mapping[str, int]] = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Types a checkpoint may hold. The eight-bit floats are missing: without their scales they mean nothing."""

FLOATS: Final = ("F64", "F32", "F16", "BF16")

Shape = tuple[int, ...]
_LENGTH_BYTES: Final = 8


@dataclass(frozen=True)
class TensorPlace:
    """One tensor of a file: its type, its shape, and where its bytes lie, counted from the start of the file."""

    dtype: str
    shape: Shape
    start: int
    end: int


def read_header(path: Path) -> dict[str, TensorPlace]:
    """The tensors of a safetensors file, in the file's order.

    Raises:
        ModelError: if the file is not a whole safetensors file, is larger than the caps above, or its header
            contradicts itself or the file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            if size < _LENGTH_BYTES or length > size - _LENGTH_BYTES:
                _refuse(path, "it ends before its header does")
            if length > MAX_HEADER_BYTES:
                _refuse(path, f"its header says it is {length:,} bytes long, more than {MAX_HEADER_BYTES:,}")
            tensors = _parse(path, stream.read(length))
        first = _LENGTH_BYTES + length
        if size - first > MAX_TENSOR_BYTES:
            raise ModelError(
                f"{path} holds {size - first:,} bytes of tensors, more than the {MAX_TENSOR_BYTES:,} allowed."
            )
        # Shapes and sizes, overlaps and gaps: the library checks that the header and the file agree.
        with safe_open(path, "numpy"):
            pass
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    except SafetensorError as error:
        _refuse(path, shown(str(error).removeprefix("Error while deserializing header: ")))
    for name, entry in tensors.items():
        if entry["dtype"] not in ITEM_BYTES:
            _refuse(path, f"the tensor {shown(name)} has the type {entry['dtype']}, which no CLIP model has")
        if len(entry["shape"]) > MAX_DIMENSIONS:
            _refuse(path, f"the tensor {shown(name)} has {len(entry['shape']):,} dimensions")
    return {
        name: TensorPlace(entry["dtype"], tuple(entry["shape"]), *(first + end for end in entry["data_offsets"]))
        for name, entry in tensors.items()
    }


def shown(name: str) -> str:
    """A tensor's name as messages show it: on one line and not endless.

    >>> shown("visual.proj"), len(shown("x" * 500)), shown("a\\nb")
    ('visual.proj', 81, 'a b')
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return plain if len(plain) <= 80 else f"{plain[:80]}…"


def _parse(path: Path, raw: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            _refuse(path, "its header holds a name twice")
        return found

    try:
        header = json.loads(raw, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not a whole safetensors file: its header is not readable JSON.") from error
    if not isinstance(header, dict):
        _refuse(path, "its header is not a list of tensors")
    header.pop("__metadata__", None)
    if not header:
        _refuse(path, "it holds no tensor")
    if len(header) > MAX_TENSORS:
        _refuse(path, f"it holds {len(header):,} tensors, more than {MAX_TENSORS:,}")
    return header


def _refuse(path: Path, reason: str) -> NoReturn:
    raise ModelError(f"{path} is not a whole safetensors file: {reason}; fetch or save it again.")
