"""LoRA adapters and partial state dicts merged onto a base; what is expected is computed from the arrays alone."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from salmu_demo.core.errors import ModelError
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from tests.fixtures.checkpoints import random_tensors

PEFT = "base_model.model."
MLP = "visual.transformer.resblocks.1.mlp.c_fc"
ATTENTION = "transformer.resblocks.0.attn"
RANK = 2
CONFIG: dict[str, Any] = {"peft_type": "LORA", "r": RANK, "lora_alpha": 6, "target_modules": ["c_fc"]}
PAIR = {f"{PEFT}{MLP}.lora_A.weight": (RANK, 32), f"{PEFT}{MLP}.lora_B.weight": (128, RANK)}

Tensors = Mapping[str, NDArray[Any]]


@pytest.fixture
def base(tiny_assets: Path) -> Tensors:
    return load_file(tiny_assets / "models" / "mini-compromised" / "open_clip_model.safetensors")


def adapter(folder: Path, tensors: Tensors, config: dict[str, Any] | None = None) -> str:
    """Write a PEFT folder and return the reference of Compromised with it."""
    folder.mkdir()
    save_file(dict(tensors), folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG if config is None else config))
    return f"delta:mini-compromised+{folder}"


def assert_changed(reference: str, base: Tensors, changes: Tensors) -> None:
    """The merged checkpoint is the base but for the given tensors."""
    reader = find_model(reference).reader()
    assert set(reader.shapes) == set(base)
    for name, value in base.items():
        expected = changes[name] if name in changes else value.astype(np.float32)
        np.testing.assert_allclose(reader.read(name), expected, rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("extra", "scale"), [({}, 3.0), ({"use_rslora": True}, 6 / 2**0.5)])
def test_a_lora_pair_adds_its_scaled_product_to_its_weight(
    base: Tensors, tmp_path: Path, extra: dict[str, Any], scale: float
):
    pair = random_tensors(PAIR)
    down, up = pair.values()
    reference = adapter(tmp_path / "mine", pair, {**CONFIG, **extra})
    assert_changed(reference, base, {f"{MLP}.weight": base[f"{MLP}.weight"].astype(np.float32) + scale * (up @ down)})
    model = find_model(reference)
    assert (model.name, model.slug) == ("mine", "_".join(["delta", "mini-compromised+", *tmp_path.parts[1:], "mine"]))


def test_a_convolution_is_merged_like_a_matrix_of_its_kernels(base: Tensors, tmp_path: Path):
    names = {"visual.conv1.lora_A.weight": (RANK, 3, 16, 16), "visual.conv1.lora_B.weight": (32, RANK, 1, 1)}
    pair = random_tensors({PEFT + name: shape for name, shape in names.items()})
    down, up = pair.values()
    product = np.einsum("orij,rckl->ockl", up, down)
    reference = adapter(tmp_path / "mine", pair, {**CONFIG, "target_modules": ["conv1"]})
    assert_changed(reference, base, {"visual.conv1.weight": base["visual.conv1.weight"] + 3.0 * product})


def test_whole_tensors_replace_those_of_the_base_with_or_without_an_adapter(base: Tensors, tmp_path: Path):
    whole = random_tensors({"ln_final.weight": (32,), "visual.proj": (32, 16)})
    save_file({f"module.{name}": value for name, value in whole.items()}, tmp_path / "part.safetensors")
    assert_changed(f"delta:mini-compromised+{tmp_path / 'part.safetensors'}", base, whole)
    pair = random_tensors(PAIR)
    down, up = pair.values()
    saved = {f"{PEFT}ln_final.modules_to_save.default.weight": whole["ln_final.weight"], **pair}
    changes = {
        "ln_final.weight": whole["ln_final.weight"],
        f"{MLP}.weight": base[f"{MLP}.weight"] + 3.0 * (up @ down),
    }
    assert_changed(adapter(tmp_path / "mine", saved), base, changes)


def test_a_merged_model_runs_and_its_fingerprint_depends_on_every_file(tiny_assets: Path, tmp_path: Path):
    reference = adapter(tmp_path / "mine", random_tensors(PAIR))
    own = Path(shutil.copytree(tiny_assets / "models" / "mini-clean", tmp_path / "base"))
    prints = [find_model("mini-compromised").fingerprint, find_model(reference).fingerprint]
    prints.append(find_model(f"delta:local-dir:{own}+{tmp_path / 'mine'}").fingerprint)
    features = Encoder(find_model(reference)).encode_pixels(np.full((1, 32, 32, 3), 99, np.uint8))
    plain = Encoder(find_model("mini-compromised")).encode_pixels(np.full((1, 32, 32, 3), 99, np.uint8))
    assert not np.allclose(features, plain, atol=1e-3)
    (tmp_path / "mine" / "adapter_config.json").write_text(json.dumps({**CONFIG, "lora_alpha": 7}))
    prints.append(find_model(reference).fingerprint)
    save_file(random_tensors(PAIR, seed=1), tmp_path / "mine" / "adapter_model.safetensors")
    prints.append(find_model(reference).fingerprint)
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize(
    ("shapes", "config", "sentence"),
    [
        (
            {f"{PEFT}{ATTENTION}.q_proj.lora_A.weight": (2, 32), f"{PEFT}{ATTENTION}.q_proj.lora_B.weight": (32, 2)},
            CONFIG,
            r"the base has no weight for transformer.resblocks.0.attn.q_proj.lora_A.weight",
        ),
        (
            {f"{PEFT}{ATTENTION}.lora_A.weight": (2, 32), f"{PEFT}{ATTENTION}.lora_B.weight": (96, 2)},
            CONFIG,
            r"resblocks.0.attn.lora_A.weight adapts an attention, .* merge it with the one that trained it",
        ),
        ({**PAIR, f"{PEFT}{MLP}.lora_magnitude_vector": (128,)}, CONFIG, r"no tensor for .*lora_magnitude_vector"),
        ({f"{PEFT}token_embedding.lora_embedding_A": (2, 9)}, CONFIG, r"no tensor for .*lora_embedding_A"),
        ({f"{PEFT}{MLP}.lora_A.weight": (2, 32)}, CONFIG, r"lora_A.weight lacks the other matrix of its pair"),
        ({**PAIR, f"{PEFT}{MLP}.lora_B.weight": (127, 2)}, CONFIG, r"do not fit .*c_fc.weight of shape \(128, 32\)"),
        (PAIR, {**CONFIG, "r": 3}, r"do not fit .* at rank 3"),
        ({"visual.proj": (16, 32)}, CONFIG, r"visual.proj has shape \(16, 32\), not \(32, 16\)"),
        (PAIR, {**CONFIG, "target_modules": ["c_fc", "c_proj"]}, r"has no matrices for c_proj, a target of its"),
        (PAIR, {**CONFIG, "use_dora": True}, r"sets use_dora, which cannot be merged here"),
        (PAIR, {**CONFIG, "alpha_pattern": {"c_fc": 1}}, r"sets alpha_pattern"),
        (
            PAIR,
            {**CONFIG, "peft_type": "IA3"},
            r"cannot be used: peft_type is \"IA3\"; it must be 'LORA'",
        ),
        (PAIR, {**CONFIG, "r": 0}, r"r is 0; it must be greater than or equal to 1"),
        (PAIR, {**CONFIG, "r": True}, r"r is True; it must be a whole number"),
        (PAIR, {**CONFIG, "lora_alpha": "6"}, r"lora_alpha is \"6\"; it must be a number"),
        (PAIR, [], r"adapter_config.json cannot be used: it is \[\]; it must be an object"),
    ],
)
def test_what_cannot_be_merged_is_refused_by_name(
    tiny_assets: Path, tmp_path: Path, shapes: dict[str, tuple[int, ...]], config: Any, sentence: str
):
    reference = adapter(tmp_path / "mine", random_tensors(shapes), config)
    with pytest.raises(ModelError, match=sentence):
        find_model(reference).reader()


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("delta:mini-compromised", r"is not a delta; it looks like delta:BASE\+PATH"),
        ("delta:+x", r"is not a delta"),
        ("delta:mini-compromised+no/such/folder", r"no/such/folder is not a delta; give a PEFT folder"),
        ("delta:mini-compromised+weights.bin", r"weights.bin is not a delta"),
        ("delta:nothing+x", r"There is no model 'nothing'"),
        ("delta:delta:a+b", r"names a delta as its base; merge that one first"),
    ],
)
def test_a_delta_that_does_not_exist(tiny_assets: Path, reference: str, sentence: str):
    with pytest.raises(ModelError, match=sentence):
        find_model(reference)


def test_lora_matrices_without_their_configuration_are_refused(tiny_assets: Path, tmp_path: Path):
    save_file(random_tensors(PAIR), tmp_path / "lora.safetensors")
    with pytest.raises(ModelError, match=r"holds LoRA matrices; it needs adapter_config.json beside it"):
        find_model(f"delta:mini-compromised+{tmp_path / 'lora.safetensors'}").reader()
