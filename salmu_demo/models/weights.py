"""Tensors of a checkpoint one by one, whatever files they lie in, without building a model."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import ModelError
from salmu_demo.models.header import FLOATS, MAX_HEADER_BYTES, Shape, read_header, shown

WRAPPERS: Final = ("module.", "model.", "_orig_mod.", "_forward_module.", "_fsdp_wrapped_module.", "clip.",
                   "base_model.model.")  # fmt: skip
"""What training code puts before every name: DistributedDataParallel, a wrapper that calls the network `model`,
`torch.compile`, Lightning Fabric, FSDP, a wrapper that calls it `clip`, and PEFT."""

_INNER: Final = re.compile(r"(?<=\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What compiling, sharding and checkpointing single layers puts in the middle of names."""

_IN_EVERY_MODEL: Final = "logit_scale"

_NO_WEIGHTS: Final = ("input_resolution", "context_length", "vocab_size")
"""Sizes that the archives of OpenAI hold among their tensors."""

_FILE: Final = re.compile(r"[\w-][\w.-]*\.safetensors")
SHARD: Final = re.compile(r".+-\d{5}-of-(?P<count>\d{5})\.\w+")
"""Names of files that hold a checkpoint together."""

_NUMPY: Final = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U8": "u1", "BOOL": "?",
}  # fmt: skip


class TensorReader(Protocol):
    """Names, shapes and types of all tensors, and each tensor when it is asked for.

    Attributes:
        shapes: name to shape, names as open_clip calls them.
        dtypes: name to stored type, as safetensors spells it: `F16`, `F32`, …
    """

    @property
    def shapes(self) -> Mapping[str, Shape]: ...  # noqa: D102 - see the class

    @property
    def dtypes(self) -> Mapping[str, str]: ...  # noqa: D102 - see the class

    def read(self, name: str) -> NDArray[Any]:
        """A tensor: floating point ones as float32, others as they are stored."""

    def stored(self, name: str) -> bytes:
        """A tensor's values one after another, in its stored type."""


class SafetensorsReader:
    """The tensors of a safetensors file, whose header is checked at once."""

    def __init__(self, path: Path) -> None:
        """Read the header; raises `ModelError`."""
        self._path = path
        header = read_header(path)
        self._places = {name: header[stored] for name, stored in plain_names(header, path).items()}
        self.shapes: Mapping[str, Shape] = {name: place.shape for name, place in self._places.items()}
        self.dtypes: Mapping[str, str] = {name: place.dtype for name, place in self._places.items()}

    def read(self, name: str) -> NDArray[Any]:
        """See `TensorReader`; raises `ModelError` if the file has vanished or been cut off since."""
        place, stored = self._places[name], self._values(name)
        if place.dtype == "BF16":
            # The upper half of a float32.
            stored = (stored.astype(np.uint32) << 16).view(np.float32)
        shaped = stored.reshape(place.shape)
        return shaped.astype(np.float32, copy=False) if place.dtype in FLOATS else shaped

    def stored(self, name: str) -> bytes:
        """See `TensorReader`; raises as `read` does."""
        return self._values(name).tobytes()

    def _values(self, name: str) -> NDArray[Any]:
        place = self._places[name]
        count = math.prod(place.shape)
        try:
            with self._path.open("rb") as stream:
                stream.seek(place.start)
                values: NDArray[Any] = np.fromfile(stream, _NUMPY[place.dtype], count)
        except OSError as error:
            raise ModelError(f"{self._path} cannot be read: {error.strerror or error}.") from error
        if len(values) != count:
            raise ModelError(f"{self._path} was cut off while it was read; fetch or save it again.")
        return values


class ShardedReader:
    """The tensors of several safetensors files that hold a checkpoint together; see `TensorReader`."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read all headers; raises `ModelError`, also for a tensor that is in two of the files."""
        self._of: dict[str, SafetensorsReader] = {}
        for path in paths:
            reader = SafetensorsReader(path)
            for name in reader.shapes:
                if name in self._of:
                    raise ModelError(
                        f"{path} holds the tensor {shown(name)}, and so does another file of its checkpoint."
                    )
                self._of[name] = reader
        self.shapes: Mapping[str, Shape] = {name: reader.shapes[name] for name, reader in self._of.items()}
        self.dtypes: Mapping[str, str] = {name: reader.dtypes[name] for name, reader in self._of.items()}

    def read(self, name: str) -> NDArray[Any]:
        """See `TensorReader`."""
        return self._of[name].read(name)

    def stored(self, name: str) -> bytes:
        """See `TensorReader`."""
        return self._of[name].stored(name)


def shard_names(index: Path) -> list[str]:
    """The names of the files that an index (`model.safetensors.index.json`) lists, sorted.

    Raises:
        ModelError: if it is damaged, or names files elsewhere.
    """
    try:
        if index.stat().st_size > MAX_HEADER_BYTES:
            raise ModelError(f"{index} is larger than any index; fetch it again.")
        content = json.loads(index.read_text("utf-8"))
        named = content["weight_map"].values()
        files = sorted({name for name in named if isinstance(name, str) and _FILE.fullmatch(name)})
        if not files or any(name not in files for name in named):
            raise ModelError(f"{index} names files that are not safetensors files beside it; fetch it again.")
    except OSError as error:
        raise ModelError(f"{index} cannot be read: {error.strerror or error}.") from error
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"{index} is not an index of weights (`weight_map`); fetch it again.") from error
    return files


def shards_of(index: Path) -> tuple[Path, ...]:
    """The files that an index lists; raises `ModelError` as `shard_names` does, or if one is missing."""
    files = shard_names(index)
    for name in files:
        if not (index.parent / name).is_file():
            raise ModelError(f"{index.parent} lacks {name}, one of {len(files)} files that hold its weights; fetch it.")
    return tuple(index.parent / name for name in files)


@dataclass(frozen=True)
class WeightSummary:
    """What reading all tensors once tells.

    Attributes:
        digest: SHA-256 over names, shapes and values in single precision: equal for equal weights, however they lie in
            a file.
        not_finite: the first tensor with a NaN or an infinite value, or None.
    """

    digest: str
    not_finite: str | None


def summarise(reader: TensorReader) -> WeightSummary:
    """Read every tensor once, in the order of their names."""
    digest = hashlib.sha256()
    not_finite = None
    for name in sorted(reader.shapes):
        value = reader.read(name)
        if not_finite is None and not np.isfinite(value).all():
            not_finite = name
        digest.update(f"{name}\0{value.shape}\0{value.dtype.str}\0".encode())
        digest.update(np.ascontiguousarray(value).data)
    return WeightSummary(digest.hexdigest(), not_finite)


def check_finite_weights(summary: WeightSummary, what: str) -> None:
    """Refuse weights with a NaN; raises `ModelError`."""
    if summary.not_finite is not None:
        # Every score would be NaN, and a rank among NaNs looks as if all had been forgotten.
        raise ModelError(f"{what} holds NaN or infinite values in the tensor {summary.not_finite}; it cannot be used.")


def parameter_count(reader: TensorReader) -> int:
    """Number of values in all floating point tensors."""
    return sum(math.prod(shape) for name, shape in reader.shapes.items() if reader.dtypes[name] in FLOATS)


def check_whole(path: Path) -> None:
    """Refuse one file of several that hold a checkpoint together; raises `ModelError`."""
    found = SHARD.fullmatch(path.name)
    if found and int(found["count"]) > 1:
        raise ModelError(
            f"{path} is one of {int(found['count'])} files that hold a checkpoint together; join them into one, for "
            "example with safetensors.torch.save_file."
        )


def plain_names(names: Iterable[str], what: Path) -> dict[str, str]:
    """Names of the weights without the wrappers of training code, and how each is stored.

    Raises:
        ModelError: if two become one.
    """
    stored = list(names)
    prefix = common_prefix(stored)
    found: dict[str, str] = {}
    for name in stored:
        plain = _INNER.sub("", name.removeprefix(prefix))
        if plain in _NO_WEIGHTS:
            continue
        if plain in found:
            one, other = sorted([found[plain], name])
            raise ModelError(f"{what} holds the tensor {shown(plain)} twice, as {shown(one)} and {shown(other)}.")
        found[plain] = name
    return found


def check_prefix(names: Iterable[str], what: str) -> None:
    """Refuse a checkpoint whose names all begin with what no known wrapper puts there; raises `ModelError`."""
    listed = list(names)
    for name in listed:
        prefix = name.removesuffix(_IN_EVERY_MODEL)
        if prefix.endswith(".") and prefix != name and all(other.startswith(prefix) for other in listed):
            raise ModelError(
                f"The names of all tensors of {what} begin with the prefix {shown(prefix)}, which is not known; remove "
                "it from every name and save the weights again."
            )


def common_prefix(names: Iterable[str]) -> str:
    """The wrappers that stand before every name.

    >>> common_prefix(["module.model.logit_scale", "module.model.visual.proj"])
    'module.model.'
    >>> common_prefix(["base_model.model.clip.logit_scale", "base_model.model.clip.visual.proj"])
    'base_model.model.clip.'
    >>> common_prefix(["model.a", "b"])
    ''
    """
    rest, prefix = list(names), ""
    while found := next((w for w in WRAPPERS if rest and all(name.startswith(w) for name in rest)), None):
        prefix += found
        rest = [name.removeprefix(found) for name in rest]
    return prefix
