"""What changed between two checkpoints of one architecture: relative changes of weights, by layer and tower.

The relative change of a group of tensors is the Frobenius norm of the difference over that of the second checkpoint's
values: `‖W - W₀‖ / ‖W₀‖`, with the norms taken over all values of the group at once. Tensors are read one by one, so
checkpoints of any size take the memory of two tensors.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from salmu_demo.core.errors import ModelError
from salmu_demo.models.header import FLOATS, shown
from salmu_demo.models.weights import TensorReader

Tower = Literal["image", "text", "shared"]
TOWERS: Final[tuple[Tower, ...]] = ("image", "text", "shared")

EDITED_SHARE: Final = 0.9
"""One tower holds the edit if at least this part of both towers' squared relative changes is its own."""

ROUNDING: Final = 5e-4
"""Relative change that storing weights in half precision can cause by itself."""

_BLOCK: Final = re.compile(r"(?:^|\.)(?:resblocks|blocks|layer|stages)\.?(\d+)\.(?:(\d+)\.)?")
_INPUT: Final = re.compile(r"(?:conv1|conv2|conv3|bn[123]|embedding|ln_pre|patch_embed|pos_embed|cls_token|stem)\b")


@dataclass(frozen=True)
class GroupChange:
    """The change of a group of tensors.

    Attributes:
        tower: the tower the group belongs to; `shared` is the temperature that joins both.
        layer: the layer in words, or an empty text for a whole tower.
        change: norm of the difference.
        base: norm of the second checkpoint's values.
    """

    tower: Tower
    layer: str
    change: float
    base: float

    @property
    def relative(self) -> float:
        """Change relative to the base; infinite if zeros became something else."""
        if self.base == 0:
            return math.inf if self.change else 0.0
        return self.change / self.base


@dataclass(frozen=True)
class WeightDifference:
    """Changes of all layers, in the order of the network, and of both towers."""

    layers: tuple[GroupChange, ...]
    towers: tuple[GroupChange, ...]

    @property
    def verdict(self) -> str:
        """Which tower was edited, in one sentence."""
        changes = {group.tower: group.relative for group in self.towers}
        image, text = changes.get("image", 0.0), changes.get("text", 0.0)
        if not any(changes.values()):
            return "No weight differs."
        if not image and not text:
            return "Only the temperature differs; both towers are equal."
        if max(image, text) < ROUNDING:
            return (
                f"Neither tower changed by more than {ROUNDING:.2%}, which storing in half precision can do by itself."
            )
        share = 1.0 if math.isinf(image) else image**2 / (image**2 + text**2)
        if share >= EDITED_SHARE:
            return _one_tower("image", image, "text", text)
        if share <= 1 - EDITED_SHARE:
            return _one_tower("text", text, "image", image)
        return f"Both towers were edited: the image tower's weights by {image:.2%}, the text tower's by {text:.2%}."


def _one_tower(edited: Tower, change: float, other: Tower, rest: float) -> str:
    where = "mainly" if rest else "only"
    return (
        f"The edit lies {where} in the {edited} tower: its weights changed by {change:.2%}, those of the {other} tower "
        f"by {rest:.2%}."
    )


def weight_difference(model: TensorReader, base: TensorReader) -> WeightDifference:
    """Compare two checkpoints tensor by tensor.

    Raises:
        ModelError: if a tensor is missing in one of the two or has another shape.
    """
    check_same_shapes(model, base)
    sums: dict[tuple[Tower, str], list[float]] = {}
    for name in _network_order(base.shapes):
        if base.dtypes[name] not in FLOATS:
            continue
        before = base.read(name).astype(np.float64)
        after = model.read(name).astype(np.float64)
        squares = sums.setdefault((tower_of(name), layer_of(name)), [0.0, 0.0])
        squares[0] += float(np.sum((after - before) ** 2))
        squares[1] += float(np.sum(before**2))
    layers = tuple(
        GroupChange(tower, layer, math.sqrt(change), math.sqrt(size)) for (tower, layer), (change, size) in sums.items()
    )
    towers = tuple(
        GroupChange(tower, "", math.hypot(*(g.change for g in groups)), math.hypot(*(g.base for g in groups)))
        for tower in TOWERS
        if (groups := [group for group in layers if group.tower == tower])
    )
    return WeightDifference(layers, towers)


def check_same_shapes(model: TensorReader, base: TensorReader) -> None:
    """Make sure that two checkpoints have the same tensors; raises `ModelError`."""
    for name in [*base.shapes, *model.shapes]:
        first, second = model.shapes.get(name), base.shapes.get(name)
        if first != second:
            raise ModelError(
                f"The two checkpoints have different architectures, so their weights cannot be compared: {shown(name)} "
                f"has shape {first or 'none'} in one and {second or 'none'} in the other."
            )


def tower_of(name: str) -> Tower:
    """The tower a tensor of an open_clip model belongs to.

    >>> tower_of("visual.proj"), tower_of("token_embedding.weight"), tower_of("logit_scale")
    ('image', 'text', 'shared')
    """
    if name.startswith("visual."):
        return "image"
    return "shared" if name.startswith("logit_") else "text"


def layer_of(name: str) -> str:
    """The layer a tensor belongs to, in words.

    >>> layer_of("visual.transformer.resblocks.3.attn.in_proj_weight"), layer_of("visual.layer2.0.conv1.weight")
    ('block 3', 'block 2.0')
    >>> layer_of("token_embedding.weight"), layer_of("ln_final.bias"), layer_of("logit_scale")
    ('input', 'output', 'temperature')
    """
    if name.startswith("logit_"):
        return "temperature"
    found = _BLOCK.search(name)
    if found:
        return "block " + ".".join(filter(None, found.groups()))
    return "input" if _INPUT.search(name) else "output"


def _network_order(names: Iterable[str]) -> list[str]:
    """Names by tower, and within one from the input through the blocks to the output."""

    def place(name: str) -> tuple[int, int, list[int], str]:
        layer = layer_of(name)
        step = {"input": 0, "output": 2}.get(layer, 1)
        return TOWERS.index(tower_of(name)), step, [int(digits) for digits in re.findall(r"\d+", layer)], name

    return sorted(names, key=place)
