"""The models of CLEAR-Mini are built in as soon as their folders are there, and belong to pages of CLEAR alone."""

import json
import shutil
from pathlib import Path

import pytest

from salmu_demo.cli.main import run
from salmu_demo.models.checkpoint import CLEAR_BASE, builtin_models
from salmu_demo.models.references import find_model
from salmu_demo.models.roles import assign_roles
from salmu_demo.models.source import LOCAL_DIR
from salmu_demo.ui.shell.shelf import ModelShelf
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.tiny import COCA_CONFIG, write_model

OF_SALMU = ["mini-clean", "mini-compromised", "mini-unlearned-finetune"]
GOLD, UNLEARNED = "mini-clear-gold", "mini-clear-unlearned-dpo"


@pytest.fixture
def folder(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models of assets with Base, Gold, and what an unlearned model changes in Base."""
    assets = Path(shutil.copytree(tiny_assets, tmp_path / "assets"))
    models = assets / "models"
    for seed, name in enumerate((CLEAR_BASE, GOLD)):
        write_model(models / name, COCA_CONFIG, seed)
    other = models / GOLD
    delta = models / UNLEARNED / "delta.safetensors"
    monkeypatch.setenv("SALMU_ASSETS_DIR", str(assets))
    assert run(["models", "delta", CLEAR_BASE, f"{LOCAL_DIR}{other}", "--output", str(delta)]) == 0
    return models


def test_they_are_known_by_name_role_and_benchmark(folder: Path, capsys: pytest.CaptureFixture[str]):
    of_clear = [CLEAR_BASE, GOLD, UNLEARNED]
    assert builtin_models() == [*OF_SALMU, *of_clear]
    assert (builtin_models("SALMUBench"), builtin_models("CLEAR")) == (OF_SALMU, of_clear)
    models = [find_model(name) for name in of_clear]
    assert all(model.has_decoder for model in models)
    assert [role.title for role in assign_roles(models).roles] == ["Compromised reference", "Gold reference", ""]
    assert models[2].reader().read("logit_scale") == models[1].reader().read("logit_scale")
    capsys.readouterr()
    assert run(["models", "list", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == builtin_models()


def test_a_page_lists_those_of_its_own_data(folder: Path):
    shelf = ModelShelf(Workbench())
    assert (shelf.offered("CLEAR"), shelf.default("CLEAR")) == ((CLEAR_BASE, GOLD, UNLEARNED), (CLEAR_BASE, GOLD))
    assert (shelf.offered("SALMUBench"), shelf.default("SALMUBench")) == (tuple(OF_SALMU), tuple(OF_SALMU))
    assert all(shelf.opens(name, "anybody") for name in (*OF_SALMU, CLEAR_BASE))


def test_a_change_without_its_base_is_not_there(folder: Path):
    shutil.rmtree(folder / CLEAR_BASE)
    assert builtin_models("CLEAR") == [GOLD]
