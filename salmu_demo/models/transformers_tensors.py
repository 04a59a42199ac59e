"""The tensors of `CLIPModel` and `SiglipModel` of transformers by open_clip's names, and the other way round.

One table says which tensors hold the same numbers. transformers keeps the query, key and value matrices of a layer
apart, open_clip one upon the other; projections are transposed; SigLIP's image tower is timm's. Tensors are joined, cut
and transposed, and no value changes in either direction.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import ModelError
from salmu_demo.models.header import FLOATS, ITEM_BYTES, Shape, shown
from salmu_demo.models.weights import TensorReader, check_prefix

Family = Literal["clip", "siglip"]
CLASSES: Final[Mapping[Family, str]] = {"clip": "CLIPModel", "siglip": "SiglipModel"}
"""What transformers calls the two."""

_Change = Literal["none", "transposed", "axis added", "axis removed"]
_BACK: Final[Mapping[_Change, _Change]] = {
    "none": "none", "transposed": "transposed", "axis added": "axis removed", "axis removed": "axis added",
}  # fmt: skip
_POSITIONS: Final = ".embeddings.position_ids"
"""End of the names of tensors that older versions stored: the numbers 0, 1, 2, …"""

_PARTS: Final = ("weight", "bias")
_RESIDUAL_BLOCK: Final = {
    "ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2",
}  # fmt: skip
_TIMM_BLOCK: Final = {
    "norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.out_proj", "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}  # fmt: skip


@dataclass(frozen=True)
class _TensorRow:
    """Tensors of open_clip and of transformers that hold the same numbers, one upon the other.

    Attributes:
        ours: names in open_clip, and how many parts of equal size each holds; `{n}` stands for the layer.
        theirs: the same in transformers.
        change: what makes theirs ours.
    """

    ours: tuple[tuple[str, int], ...]
    theirs: tuple[tuple[str, int], ...]
    change: _Change = "none"


def _one(ours: str, theirs: str, change: _Change = "none") -> _TensorRow:
    return _TensorRow(((ours, 1),), ((theirs, 1),), change)


def _both(ours: str, theirs: str) -> Iterator[_TensorRow]:
    for part in _PARTS:
        yield _one(f"{ours}.{part}", f"{theirs}.{part}")


def _layers(ours: str, theirs: str, block: Mapping[str, str], joined: str) -> Iterator[_TensorRow]:
    for own, their in block.items():
        yield from _both(f"{ours}.{{n}}.{own}", f"{theirs}.encoder.layers.{{n}}.{their}")
    for part in _PARTS:
        split = tuple((f"{theirs}.encoder.layers.{{n}}.self_attn.{kind}_proj.{part}", 1) for kind in "qkv")
        yield _TensorRow(((f"{ours}.{{n}}.{joined}{part}", 3),), split)


def _text(prefix: str) -> Iterator[_TensorRow]:
    yield _one(f"{prefix}token_embedding.weight", "text_model.embeddings.token_embedding.weight")
    yield _one(f"{prefix}positional_embedding", "text_model.embeddings.position_embedding.weight")
    yield from _layers(f"{prefix}transformer.resblocks", "text_model", _RESIDUAL_BLOCK, "attn.in_proj_")
    yield from _both(f"{prefix}ln_final", "text_model.final_layer_norm")


def _clip() -> Iterator[_TensorRow]:
    yield _one("logit_scale", "logit_scale")
    yield from _text("")
    yield _one("text_projection", "text_projection.weight", "transposed")
    yield _one("visual.class_embedding", "vision_model.embeddings.class_embedding")
    yield _one("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight")
    yield _one("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight")
    yield from _both("visual.ln_pre", "vision_model.pre_layrnorm")  # so spelt in transformers
    yield from _layers("visual.transformer.resblocks", "vision_model", _RESIDUAL_BLOCK, "attn.in_proj_")
    yield from _both("visual.ln_post", "vision_model.post_layernorm")
    yield _one("visual.proj", "visual_projection.weight", "transposed")


def _siglip() -> Iterator[_TensorRow]:
    yield _one("logit_scale", "logit_scale", "axis removed")
    yield _one("logit_bias", "logit_bias", "axis removed")
    yield from _text("text.")
    yield from _both("text.text_projection", "text_model.head")
    yield from _both("visual.trunk.patch_embed.proj", "vision_model.embeddings.patch_embedding")
    yield _one("visual.trunk.pos_embed", "vision_model.embeddings.position_embedding.weight", "axis added")
    yield from _layers("visual.trunk.blocks", "vision_model", _TIMM_BLOCK, "attn.qkv.")
    yield from _both("visual.trunk.norm", "vision_model.post_layernorm")
    pool, head = "visual.trunk.attn_pool", "vision_model.head"
    yield _one(f"{pool}.latent", f"{head}.probe")
    for part in _PARTS:
        yield _TensorRow(
            ((f"{pool}.q.{part}", 1), (f"{pool}.kv.{part}", 2)), ((f"{head}.attention.in_proj_{part}", 3),)
        )
    yield from _both(f"{pool}.proj", f"{head}.attention.out_proj")
    yield from _both(f"{pool}.norm", f"{head}.layernorm")
    yield from _both(f"{pool}.mlp.fc1", f"{head}.mlp.fc1")
    yield from _both(f"{pool}.mlp.fc2", f"{head}.mlp.fc2")


_TABLE: Final[Mapping[Family, tuple[_TensorRow, ...]]] = {"clip": tuple(_clip()), "siglip": tuple(_siglip())}


@dataclass(frozen=True)
class _TensorPiece:
    """A tensor as a part of others: parts `first` to `last` of the `of` that they hold together, then changed."""

    names: tuple[str, ...]
    first: int
    last: int
    of: int
    change: _Change

    def cut(self, value: Any) -> Any:
        """This part of what the tensors hold together."""
        if self.last - self.first != self.of:
            size = len(value) // self.of
            value = value[self.first * size : self.last * size]
        if self.change == "transposed":
            return value.T
        if self.change == "axis added":
            return value[None]
        return value[0] if self.change == "axis removed" else value

    def shape(self, shapes: list[Shape]) -> Shape | None:
        """Its shape, or None if the tensors cannot be joined and cut so."""
        first, *rest = shapes
        if rest or self.of > 1 or self.change == "transposed":
            if any(not shape or shape[1:] != first[1:] for shape in shapes):
                return None
            total = sum(shape[0] for shape in shapes)
            if total % self.of:
                return None
            first = (total // self.of * (self.last - self.first), *first[1:])
        if self.change == "transposed":
            return first[::-1] if len(first) == 2 else None
        if self.change == "axis added":
            return (1, *first)
        if self.change == "axis removed":
            return first[1:] if first[:1] == (1,) else None
        return first


class ConvertedReader:
    """A checkpoint by other names; see `weights.TensorReader`."""

    def __init__(self, reader: TensorReader, pieces: Mapping[str, _TensorPiece], what: str) -> None:
        """Compute all shapes; raises `ModelError` if tensors that belong together do not fit each other."""
        self._reader = reader
        self._pieces = pieces
        shapes: dict[str, Shape] = {}
        dtypes: dict[str, str] = {}
        for name, piece in pieces.items():
            found = [reader.shapes[source] for source in piece.names]
            shape = piece.shape(found)
            if shape is None:
                raise ModelError(f"{what}: {shown(piece.names[0])} has shape {found[0]}, which cannot be converted.")
            shapes[name] = shape
            kinds = {reader.dtypes[source] for source in piece.names}
            if len(kinds) > 1 and not kinds <= set(FLOATS):
                raise ModelError(f"{what}: {shown(piece.names[0])} and those it is joined with hold different kinds.")
            dtypes[name] = kinds.pop() if len(kinds) == 1 else "F32"
        self.shapes: Mapping[str, Shape] = shapes
        self.dtypes: Mapping[str, str] = dtypes

    def read(self, name: str) -> NDArray[Any]:
        """See `weights.TensorReader`."""
        return self._joined(name, self._reader.read)

    def stored(self, name: str) -> bytes:
        """See `weights.TensorReader`; tensors of several types are joined in single precision."""
        piece = self._pieces[name]
        if len({self._reader.dtypes[source] for source in piece.names}) > 1:
            return self.read(name).tobytes()
        return self._joined(name, self._raw).tobytes()

    def _raw(self, name: str) -> NDArray[Any]:
        """The stored bytes of a tensor, as whole numbers of its width."""
        width = ITEM_BYTES[self._reader.dtypes[name]]
        return np.frombuffer(self._reader.stored(name), f"u{width}").reshape(self._reader.shapes[name])

    def _joined(self, name: str, read: Any) -> NDArray[Any]:
        piece = self._pieces[name]
        parts = [read(source) for source in piece.names]
        joined: NDArray[Any] = piece.cut(parts[0] if len(parts) == 1 else np.concatenate(parts))
        return np.ascontiguousarray(joined).reshape(self.shapes[name])


def named_by_transformers(names: Iterable[str]) -> bool:
    """Whether tensors have transformers' names.

    >>> named_by_transformers(["base_model.model.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight"])
    True
    >>> named_by_transformers(["visual.proj", "logit_scale"])
    False
    """
    return any("text_model." in name or "vision_model." in name for name in names)


def from_transformers(reader: TensorReader, family: Family, what: str) -> ConvertedReader:
    """The tensors of a model of transformers by open_clip's names.

    Args:
        reader: of the tensors as transformers names them.
        family: which of its classes.
        what: the checkpoint, for the message.

    Raises:
        ModelError: if a tensor is missing, unknown or of another shape; the sentence has transformers' name.
    """
    return _converted(reader, [(row.theirs, row.ours, row.change) for row in _TABLE[family]], CLASSES[family], what)


def to_transformers(reader: TensorReader, family: Family, what: str) -> ConvertedReader:
    """The tensors of a model by transformers' names; see `from_transformers`."""
    rows = [(row.ours, row.theirs, _BACK[row.change]) for row in _TABLE[family]]
    return _converted(reader, rows, "network of open_clip", what)


_Names = tuple[tuple[str, int], ...]


def _converted(
    reader: TensorReader, rows: list[tuple[_Names, _Names, _Change]], kind: str, what: str
) -> ConvertedReader:
    misfit = f"{what} does not fit a {kind}"
    pieces: dict[str, _TensorPiece] = {}
    for given, wanted, change in rows:
        for layer in _layers_of(given[0][0], reader.shapes):
            sources = tuple(name.replace("{n}", layer) for name, _ in given)
            missing = next((name for name in sources if name not in reader.shapes), None)
            if missing is not None:
                check_prefix(reader.shapes, what)
                raise ModelError(f"{misfit}: it lacks the tensor {missing}.")
            first, of = 0, sum(parts for _, parts in given)
            for name, parts in wanted:
                pieces[name.replace("{n}", layer)] = _TensorPiece(sources, first, first + parts, of, change)
                first += parts
    used = {source for piece in pieces.values() for source in piece.names}
    extra = next((name for name in reader.shapes if name not in used and not name.endswith(_POSITIONS)), None)
    if extra is not None:
        raise ModelError(f"{misfit}: it has the unknown tensor {shown(extra)}.")
    return ConvertedReader(reader, pieces, misfit)


def _layers_of(template: str, names: Iterable[str]) -> list[str]:
    """The numbers of the layers that a row is about; one empty one for a row about no layer."""
    stem, layered, _ = template.partition("{n}")
    if not layered:
        return [""]
    numbered = re.compile(rf"{re.escape(stem)}(\d+)\.")
    return sorted({found[1] for name in names if (found := numbered.match(name))}, key=int)
