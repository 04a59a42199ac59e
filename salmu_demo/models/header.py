"""The header of a safetensors file, checked before any tensor is read: names, types, shapes, places and sizes.

Format: eight bytes with the header's length, the header as JSON, then the tensors without gaps
(https://huggingface.co/docs/safetensors). Nothing here allocates more than the header's own size.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

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
            contradicts itself or the file; the sentence names the first tensor that does not fit.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            if size < _LENGTH_BYTES or length > size - _LENGTH_BYTES:
                _refuse(path, "it ends before its header does")
            if length > MAX_HEADER_BYTES:
                _refuse(path, f"its header says it is {length:,} bytes long, more than {MAX_HEADER_BYTES:,}")
            raw = stream.read(length)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    tensors = _parse(path, raw)
    first = _LENGTH_BYTES + length
    if size - first > MAX_TENSOR_BYTES:
        raise ModelError(f"{path} holds {size - first:,} bytes of tensors, more than the {MAX_TENSOR_BYTES:,} allowed.")
    places = {name: _place(path, name, value, first) for name, value in tensors.items()}
    end = first
    for name, place in sorted(places.items(), key=lambda item: (item[1].start, item[1].end)):
        if place.start < end:
            _refuse(path, f"the tensor {shown(name)} overlaps another one")
        if place.start > end:
            _refuse(path, f"there is a gap before the tensor {shown(name)}")
        if place.end > size:
            _refuse(path, f"it ends before the tensor {shown(name)} does")
        end = place.end
    if end != size:
        _refuse(path, f"{size - end:,} bytes follow its last tensor")
    return places


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


def _place(path: Path, name: str, value: Any, first: int) -> TensorPlace:
    """One entry of the header; `first` is where the tensors begin in the file."""
    fields: dict[str, Any] = value if isinstance(value, dict) else {}
    dtype: Any = fields.get("dtype")
    shape: Any = fields.get("shape")
    offsets: Any = fields.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        _refuse(path, f"the tensor {shown(name)} has the type {shown(str(dtype))}, which no CLIP model has")
    if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS:
        _refuse(path, f"the tensor {shown(name)} has no readable shape")
    if not _are_counts(offsets) or len(offsets) != 2:
        _refuse(path, f"the tensor {shown(name)} has no readable place")
    start, end = offsets
    if end - start != math.prod(shape) * ITEM_BYTES[dtype]:
        _refuse(path, f"the tensor {shown(name)} has another size than its shape and type say")
    return TensorPlace(dtype, tuple(shape), first + start, first + end)


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _refuse(path: Path, reason: str) -> NoReturn:
    raise ModelError(f"{path} is not a whole safetensors file: {reason}; fetch or save it again.")
