"""A safetensors file of the tensors of a checkpoint, in the types and with the bits they are stored in."""

import json
import math
from pathlib import Path
from typing import Any, Final

from salmu_demo.models.header import ITEM_BYTES
from salmu_demo.models.weights import TensorReader

_ALIGNMENT: Final = 8
"""Bytes; the tensors begin at a multiple, so that readers can map them."""


def write_tensors(reader: TensorReader, names: list[str], path: Path) -> None:
    """Write some tensors, see `header`; in memory is one of them at a time."""
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
