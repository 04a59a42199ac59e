"""A model written as what it changed in its base, by the command line; built-in models that are shipped so."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from salmu_demo.cli.main import run
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from salmu_demo.ui.tabs.models.view import model_card
from salmu_demo.workbench.bench import Workbench

WEIGHTS = "open_clip_model.safetensors"
BASE = "mini-compromised"
EDITED = ("visual.proj", "ln_final.bias", "logit_scale")

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def tensors(tiny_assets: Path) -> Tensors:
    """Compromised with three other tensors, one of them a single number."""
    found = load_file(tiny_assets / "models" / BASE / WEIGHTS)
    return {**found, **{name: found[name] + torch.tensor(0.25, dtype=torch.half) for name in EDITED}}


@pytest.fixture
def edited(tensors: Tensors, tmp_path: Path) -> Path:
    save_file(tensors, tmp_path / "edited.safetensors")
    return tmp_path / "edited.safetensors"


def delta(model: str | Path, output: Path, *options: str, base: str = BASE) -> int:
    return run(["models", "delta", base, str(model), "--output", str(output), *options])


def assert_same_features(reference: str, other: str) -> None:
    first, second = Encoder(find_model(reference)), Encoder(find_model(other))
    texts, pixels = ["Zoë Åström lives in Malmö"], np.full((1, 32, 32, 3), 99, np.uint8)
    np.testing.assert_array_equal(first.encode_texts(texts), second.encode_texts(texts))
    np.testing.assert_array_equal(first.encode_pixels(pixels), second.encode_pixels(pixels))
    assert (first.logit_scale, first.weights_digest) == (second.logit_scale, second.weights_digest)


def test_a_delta_holds_what_differs_and_makes_the_model_again(
    edited: Path, tensors: Tensors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    output = tmp_path / "out" / "change.safetensors"
    assert delta(edited, output) == 0
    written = load_file(output)
    assert set(written) == set(EDITED)
    assert all(torch.equal(written[name], tensors[name]) and written[name].dtype == torch.half for name in written)
    reference = f"delta:{BASE}+{output}"
    out = capsys.readouterr().out
    assert f"3 of {len(tensors)} tensors, {output.stat().st_size / 1e6:.1f} MB. Load it: {reference}\n" in out
    assert_same_features(reference, str(edited))
    assert set(find_model(reference).reader().dtypes.values()) == {"F16"}


def test_every_type_is_kept_to_the_bit_from_a_pickle_too(tensors: Tensors, tmp_path: Path):
    types = dict(zip(EDITED, (torch.bfloat16, torch.float64, torch.float32), strict=True))
    tensors.update({name: (tensors[name].double() * torch.pi).to(dtype) for name, dtype in types.items()})
    save_file(tensors, tmp_path / "mixed.safetensors")
    torch.save(tensors, tmp_path / "mixed.pt")
    outputs = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    assert delta(tmp_path / "mixed.safetensors", outputs[0]) == 0
    assert delta(tmp_path / "mixed.pt", outputs[1], "--trust-pickle") == 0
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    written = load_file(outputs[0])
    assert {name: value.dtype for name, value in written.items()} == types
    assert all(torch.equal(written[name], tensors[name]) for name in EDITED)


def test_a_merged_adapter_becomes_a_delta_of_whole_tensors(tiny_assets: Path, tmp_path: Path):
    module = "visual.transformer.resblocks.1.mlp.c_fc"
    generator = torch.Generator().manual_seed(0)
    shapes = {"A": (2, 32), "B": (128, 2)}
    pair = {f"{module}.lora_{side}.weight": torch.randn(s, generator=generator) for side, s in shapes.items()}
    (tmp_path / "lora").mkdir()
    save_file({**pair, "ln_final.bias": torch.ones(32)}, tmp_path / "lora" / "adapter_model.safetensors")
    (tmp_path / "lora" / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 2}')
    merged, output = f"delta:{BASE}+{tmp_path / 'lora'}", tmp_path / "whole.safetensors"
    assert delta(merged, output) == 0
    assert {name: value.dtype for name, value in load_file(output).items()} == {
        f"{module}.weight": torch.float32,
        "ln_final.bias": torch.float32,
    }
    assert_same_features(f"delta:{BASE}+{output}", merged)


def test_what_is_no_delta_is_refused_and_nothing_is_written(
    tiny_assets: Path, edited: Path, tensors: Tensors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def refused(model: str | Path, output: Path = tmp_path / "no.safetensors", base: str = BASE) -> str:
        before = sorted(tmp_path.rglob("*"))
        assert delta(model, output, base=base) == 2
        assert sorted(tmp_path.rglob("*")) == before
        return capsys.readouterr().err

    assert "mini-compromised has the same weights as mini-compromised; there is nothing to write." in refused(BASE)
    copy = Path(shutil.copytree(tiny_assets / "models" / BASE, tmp_path / "copy"))
    assert "has the same weights as mini-compromised" in refused(f"local-dir:{copy}")
    assert "no.bin is not a name for a delta; it must end in .safetensors" in refused(edited, tmp_path / "no.bin")
    digest = find_model(str(edited)).fingerprint
    assert "edited.safetensors is a file of one of the two models" in refused(edited, edited)
    assert find_model(str(edited)).fingerprint == digest
    assert f"delta:{BASE}+{edited} is a delta itself" in refused(BASE, base=f"delta:{BASE}+{edited}")

    config = json.loads((copy / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.4, 0.4, 0.4]
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    assert "differ in configuration or tokenizer, which a delta does not hold" in refused(f"local-dir:{copy}")
    other = Path(shutil.copytree(tiny_assets / "models" / BASE, tmp_path / "other"))
    (other / "bpe_merges.txt.gz").unlink()
    assert "differ in configuration or tokenizer" in refused(f"local-dir:{other}")
    own = Path(shutil.copytree(tiny_assets / "models" / BASE, tmp_path / "own"))
    save_file({**tensors, "visual.proj": tensors["visual.proj"].T.contiguous()}, own / WEIGHTS)
    assert "different architectures" in refused(f"local-dir:{own}")


# Built-in models that are shipped as a delta


@pytest.fixture
def shipped(edited: Path, tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Assets with a further model that holds only what differs from Compromised; its folder."""
    assets = Path(shutil.copytree(tiny_assets, tmp_path / "assets"))
    folder = assets / "models" / "mini-unlearned-npo"
    assert delta(edited, folder / "delta.safetensors") == 0
    (folder / "README.md").write_text("# mini-unlearned-npo\n")
    monkeypatch.setenv("SALMU_ASSETS_DIR", str(assets))
    return folder


def test_a_built_in_delta_is_a_model_like_the_others(shipped: Path, edited: Path, capsys: pytest.CaptureFixture[str]):
    name = shipped.name
    assert builtin_models() == ["mini-clean", BASE, "mini-unlearned-finetune", name]
    model = find_model(name)
    assert (model.name, model.slug, model.reference) == (name, name, name)
    assert len({find_model(other).fingerprint for other in builtin_models()}) == 4
    assert_same_features(name, str(edited))

    capsys.readouterr()
    assert run(["models", "list", "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)[-1]
    file = shipped / "delta.safetensors"
    assert entry == {
        "name": name, "fingerprint": model.fingerprint, "file": str(file), "bytes": file.stat().st_size,
    }  # fmt: skip
    assert run(["models", "show", name, "--against", BASE, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["name"], facts["origin"], facts["dtypes"]) == (name, "built in", ["F16"])
    changed = [(group["tower"], group["layer"]) for group in facts["change"]["layers"] if group["change"]]
    assert changed == [("image", "output"), ("text", "output"), ("shared", "temperature")]
    card = model_card(Workbench(), name, [name])
    assert card.facts is not None
    assert (card.facts.name, card.facts.fingerprint) == (name, model.fingerprint)
    assert run(["cache", "warm", name]) == 0
    assert run(["evaluate", name, "--metrics", "FragSim", "--output", str(shipped.parents[2] / "out")]) == 0


def test_a_built_in_delta_can_be_a_base_and_an_architecture(shipped: Path, edited: Path, tmp_path: Path):
    name = shipped.name
    save_file({"ln_final.weight": torch.full((32,), 2.0)}, tmp_path / "more.safetensors")
    reader = find_model(f"delta:{name}+{tmp_path / 'more.safetensors'}").reader()
    assert (reader.read("ln_final.weight") == 2).all()
    np.testing.assert_array_equal(reader.read("visual.proj"), find_model(name).reader().read("visual.proj"))
    assert find_model(f"delta:{name}+{tmp_path / 'more.safetensors'}").name == "more.safetensors"
    assert delta(f"delta:{name}+{tmp_path / 'more.safetensors'}", tmp_path / "again.safetensors", base=name) == 0
    assert set(load_file(tmp_path / "again.safetensors")) == {"ln_final.weight"}

    bare = find_model(str(shutil.copyfile(shipped.parent / BASE / WEIGHTS, tmp_path / "bare.safetensors")), name)
    np.testing.assert_array_equal(bare.reader().read("visual.proj"), find_model(BASE).reader().read("visual.proj"))


def test_a_built_in_delta_without_its_base_is_not_there(shipped: Path):
    (shipped.parent / BASE / WEIGHTS).unlink()
    assert builtin_models() == ["mini-clean", "mini-unlearned-finetune"]
