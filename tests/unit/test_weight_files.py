"""Reading tensors one by one, the digest of all of them, and what changed between two checkpoints."""

from pathlib import Path

import numpy as np
import pytest

from salmu_demo.core.errors import ModelError
from salmu_demo.models.difference import weight_difference
from salmu_demo.models.weights import SafetensorsReader, parameter_count, summarise
from tests.fixtures.checkpoints import Arrays, entry, random_tensors, write_raw, write_tensors

SHAPES = {
    "positional_embedding": (4, 3),
    "transformer.resblocks.0.mlp.c_fc.weight": (5, 3),
    "transformer.resblocks.10.mlp.c_fc.weight": (5, 3),
    "transformer.resblocks.2.mlp.c_fc.weight": (5, 3),
    "text_projection": (3, 2),
    "visual.conv1.weight": (2, 3, 2, 2),
    "visual.transformer.resblocks.0.attn.in_proj_weight": (6, 2),
    "visual.proj": (2, 2),
    "logit_scale": (),
}


def test_a_tensor_reads_as_it_was_written_whatever_type_it_was_stored_in(tmp_path: Path):
    values = np.array([[0.5, -2.0, 65504.0], [1.0, 0.0, -0.25]])
    stored = {"half": values.astype("f2"), "single": values.astype("f4"), "double": values, "count": np.array([7])}
    reader = SafetensorsReader(write_tensors(tmp_path / "a.safetensors", stored))
    assert dict(reader.dtypes) == {"half": "F16", "single": "F32", "double": "F64", "count": "I64"}
    for name in ("half", "single", "double"):
        assert reader.read(name).dtype == np.float32
        np.testing.assert_array_equal(reader.read(name), values.astype("f4"))
    assert reader.read("count").dtype == np.int64
    assert parameter_count(reader) == 18


def test_bfloat16_is_the_upper_half_of_a_float(tmp_path: Path):
    numbers = np.array([1.0, -3.140625, 2.0**100], np.float32)
    data = (numbers.view(np.uint32) >> 16).astype("<u2").tobytes()
    reader = SafetensorsReader(write_raw(tmp_path / "b.safetensors", {"x": entry([3], 0, 6, "BF16")}, data))
    np.testing.assert_array_equal(reader.read("x"), numbers)


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model."])
def test_what_training_code_puts_before_all_names_is_dropped(tmp_path: Path, prefix: str):
    tensors = random_tensors(SHAPES)
    path = write_tensors(tmp_path / "c.safetensors", {prefix + name: value for name, value in tensors.items()})
    reader = SafetensorsReader(path)
    assert set(reader.shapes) == set(SHAPES)
    np.testing.assert_array_equal(reader.read("visual.proj"), tensors["visual.proj"])


def test_the_digest_depends_on_names_shapes_and_values_and_not_on_the_file(tmp_path: Path):
    tensors = random_tensors(SHAPES)
    digest = summarise(Arrays(tensors)).digest
    backwards = {f"module.{name}": tensors[name] for name in reversed(tensors)}
    assert summarise(SafetensorsReader(write_tensors(tmp_path / "d.safetensors", backwards))).digest == digest
    moved = {**tensors, "visual.proj": tensors["visual.proj"] + np.float32(1e-6)}
    turned = {**tensors, "text_projection": tensors["text_projection"].reshape(2, 3)}
    renamed = {("text_proj" if name == "text_projection" else name): value for name, value in tensors.items()}
    assert digest not in {summarise(Arrays(other)).digest for other in (moved, turned, renamed)}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_tensor_that_is_not_finite_is_named(value: float):
    tensors = random_tensors(SHAPES)
    assert summarise(Arrays(tensors)).not_finite is None
    tensors["visual.proj"][1, 1] = value
    tensors["text_projection"][0, 0] = value
    assert summarise(Arrays(tensors)).not_finite == "text_projection"


# What changed


def test_changes_are_norms_over_all_values_of_a_layer_and_of_a_tower():
    base, model = random_tensors(SHAPES), random_tensors(SHAPES, seed=1)
    found = weight_difference(Arrays(model), Arrays(base))
    towers = {group.tower: group.relative for group in found.towers}
    for tower, names in {
        "image": [name for name in SHAPES if name.startswith("visual.")],
        "text": [name for name in SHAPES if not name.startswith(("visual.", "logit"))],
        "shared": ["logit_scale"],
    }.items():
        before = np.concatenate([base[name].ravel() for name in names])
        after = np.concatenate([model[name].ravel() for name in names])
        assert towers[tower] == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before), rel=1e-6)
    assert [(group.tower, group.layer) for group in found.layers] == [
        ("image", "input"), ("image", "block 0"), ("image", "output"),
        ("text", "input"), ("text", "block 0"), ("text", "block 2"), ("text", "block 10"), ("text", "output"),
        ("shared", "temperature"),
    ]  # fmt: skip
    one = next(group for group in found.layers if group.layer == "block 10")
    name = "transformer.resblocks.10.mlp.c_fc.weight"
    assert one.relative == pytest.approx(
        np.linalg.norm(model[name] - base[name]) / np.linalg.norm(base[name]), rel=1e-6
    )


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({}, "No weight differs."),
        ({"logit_scale": 1.5}, "Only the temperature differs"),
        ({"visual.proj": 1.5}, "The edit lies only in the image tower: its weights changed by "),
        ({"text_projection": 1.5}, "The edit lies only in the text tower"),
        ({"text_projection": 1.5, "visual.proj": 1.001}, "The edit lies mainly in the text tower"),
        ({"text_projection": 1.5, "visual.proj": 1.5, "visual.conv1.weight": 1.5}, "Both towers were edited"),
        ({"text_projection": 1.0001, "visual.proj": 1.0001}, "Neither tower changed by more than 0.05%"),
    ],
)
def test_a_sentence_says_which_tower_was_edited(edit: dict[str, float], words: str):
    base = random_tensors(SHAPES)
    model = {name: value * np.float32(edit.get(name, 1.0)) for name, value in base.items()}
    assert weight_difference(Arrays(model), Arrays(base)).verdict.startswith(words)


def test_zeros_that_became_something_else_have_no_relative_change():
    base = {"visual.proj": np.zeros((2, 2), np.float32), "text_projection": np.ones((2, 2), np.float32)}
    model = {**base, "visual.proj": np.ones((2, 2), np.float32)}
    found = weight_difference(Arrays(model), Arrays(base))
    assert [group.relative for group in found.layers] == [float("inf"), 0.0]
    assert "only in the image tower" in found.verdict


def test_checkpoints_of_different_architectures_are_not_compared():
    base = random_tensors(SHAPES)
    other = {**base, "visual.proj": np.ones((3, 2), np.float32)}
    with pytest.raises(ModelError, match=r"different architectures.*visual\.proj has shape \(3, 2\).*\(2, 2\)"):
        weight_difference(Arrays(other), Arrays(base))
    with pytest.raises(ModelError, match=r"extra has shape \(1,\) in one and none in the other"):
        weight_difference(Arrays({**base, "extra": np.ones(1, np.float32)}), Arrays(base))
