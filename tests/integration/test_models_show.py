"""`salmu-demo models show`: facts about a checkpoint, and what changed against another one."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from salmu_demo.cli.main import run
from salmu_demo.data.source import load_data
from salmu_demo.metrics.representation import linear_cka
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.ui.tabs.models.view import model_card
from salmu_demo.workbench.bench import Workbench

WEIGHTS = "open_clip_model.safetensors"


@pytest.fixture(autouse=True)
def _assets(tiny_assets: Path) -> None:
    """The built-in names mean the tiny data and models."""


@pytest.fixture
def edited(tiny_assets: Path, tmp_path: Path) -> Path:
    """Compromised with another projection of the image tower, as bare weights."""
    tensors = load_file(tiny_assets / "models" / "mini-compromised" / WEIGHTS)
    tensors["visual.proj"] = tensors["visual.proj"] * np.float16(1.25)
    save_file(tensors, tmp_path / "edited.safetensors")
    return tmp_path / "edited.safetensors"


def document(capsys: pytest.CaptureFixture[str], *command: str) -> Any:
    assert run(["models", "show", *command, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_facts_of_a_checkpoint_need_no_model(
    edited: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(EncoderRegistry, "lend", lambda self, source: pytest.fail("a model was loaded"))
    facts = document(capsys, str(edited))
    tensors = load_file(edited)
    assert facts["parameters"] == sum(value.size for value in tensors.values())
    assert facts["architecture"] == "that of mini-compromised"
    assert facts["dtypes"] == ["F16"]
    assert facts["fingerprint"] == find_model(str(edited)).fingerprint
    assert (facts["origin"], facts["revision"], facts["warnings"], facts["change"]) == ("this machine", None, [], None)
    assert run(["models", "show", str(edited)]) == 0
    out = capsys.readouterr().out
    assert f"{facts['parameters']:,}" in out
    assert facts["fingerprint"] in out


def test_what_changed_names_the_edited_layer_and_compares_features(edited: Path, capsys: pytest.CaptureFixture[str]):
    command = (str(edited), "--against", "mini-compromised", "--split", "holdout_association")
    change = document(capsys, *command)["change"]
    assert change["verdict"].startswith("The edit lies only in the image tower")
    changed = [(group["tower"], group["layer"]) for group in change["layers"] if group["change"]]
    assert changed == [("image", "output")]
    assert (change["against"], change["split"]) == ("mini-compromised", "holdout_association")
    # Scaling the projection does not turn a normalised feature; captions are encoded by the untouched text tower.
    assert change["cka_captions"] == pytest.approx(1.0)
    split = load_data("mini").split("holdout_association")
    assert change["rows"] == len(split)
    assert run(["models", "show", *command]) == 0
    out = capsys.readouterr().out
    assert change["verdict"] in out
    assert f"Linear CKA on {len(split)} rows of holdout_association: images {change['cka_pictures']:.4f}" in out


def test_cka_is_that_of_the_features(capsys: pytest.CaptureFixture[str]):
    change = document(capsys, "mini-clean", "--against", "mini-compromised", "--split", "holdout_identity")["change"]
    texts = load_data("mini").split("holdout_identity").texts
    features = [Encoder(find_model(name)).encode_texts(texts) for name in ("mini-clean", "mini-compromised")]
    assert change["cka_captions"] == pytest.approx(linear_cka(*features), abs=1e-6)
    assert change["cka_pictures"] < 1


def test_equal_weights_and_broken_ones_are_pointed_out(
    edited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    bench = Workbench()
    models = bench.models(["mini-compromised", str(edited)])
    tensors = load_file(edited)
    copy = tmp_path / "copy.safetensors"
    save_file({f"module.{name}": value.astype(np.float32) for name, value in tensors.items()}, copy)
    [same] = bench.models([str(copy)])
    assert same.fingerprint != models[1].fingerprint
    for model in (*models, same):
        bench.embedder.facts(model)
    assert bench.twin_remarks(same) == [f"{copy} has the same weights as {edited}."]
    assert bench.twin_remarks(models[0]) == []
    assert bench.twin_remarks(same, visible=[str(copy)]) == []
    tensors["ln_final.bias"][3] = np.inf
    save_file(tensors, edited)
    assert document(capsys, str(edited))["warnings"] == [
        "The tensor ln_final.bias holds NaN or infinite values, so the model cannot be used."
    ]
    command = ["evaluate", str(edited), "--metrics", "FragSim", "--output", str(tmp_path / "out")]
    assert run(command) == 2
    assert "NaN or infinite values in the tensor ln_final.bias" in capsys.readouterr().err


def test_evaluate_notes_equal_weights(tiny_assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    copy = tmp_path / "copy.safetensors"
    shutil.copyfile(tiny_assets / "models" / "mini-clean" / WEIGHTS, copy)
    command = ["evaluate", "mini-clean", str(copy), "--metrics", "FragSim", "--output", str(tmp_path / "out")]
    assert run(command) == 0
    assert f"Note: {copy} has the same weights as mini-clean." in capsys.readouterr().err


def test_models_that_cannot_be_compared_are_refused(edited: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert run(["models", "show", "mini-clean", "--against", "nothing"]) == 2
    assert run(["models", "show", "mini-clean", "--against", "mini-clean", "--split", "nothing"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert err[0].startswith("salmu-demo: There is no model 'nothing'")
    assert "nothing" in err[1]
    assert len(err) == 2


def test_a_card_of_a_model_that_is_gone_says_so(edited: Path):
    bench = Workbench()
    assert model_card(bench, str(edited), []).facts is not None
    edited.unlink()
    card = model_card(bench, str(edited), [])
    assert card.facts is None
    assert card.remarks == [f"There is no weight file {edited}; check the path."]
