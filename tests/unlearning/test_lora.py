"""LoRA as a way to train: what may change, what is written, that it is what was trained, and what cannot be so."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from salmu_demo.cli.main import run
from salmu_demo.core.errors import ModelError, QueryError
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.features.view import FeatureView
from salmu_demo.models.formats import export_model
from salmu_demo.models.lineage import base_of
from salmu_demo.models.made import MODEL_FOLDER, made_in
from salmu_demo.models.references import find_model
from salmu_demo.models.source import ModelSource
from salmu_demo.unlearning import LoRA, Towers
from salmu_demo.unlearning.batches import BatchSource
from salmu_demo.unlearning.methods import TrainedMethod, all_methods, find_method
from salmu_demo.unlearning.plan import UnlearningPlan
from salmu_demo.unlearning.towers import TrainedModel
from salmu_demo.unlearning.trainer import unlearn
from salmu_demo.unlearning.training_probe import TrainingProbe

pytestmark = pytest.mark.usefixtures("plain_curves")
ADAPTED = [
    spec.name for spec in all_methods() if issubclass(spec.method, TrainedMethod) and not spec.method.edits_weights
]
RANK = 2


def _plan(name: str = "finetune", towers: Towers | None = None, **settings: Any) -> UnlearningPlan:
    spec = find_method(name)
    method = spec.configure({"batch_size": 8, "learning_rate": 1e-2, "lora_rank": RANK, **settings})
    return UnlearningPlan(method, towers or spec.towers[0], budget=24, checkpoints=3)


@pytest.mark.parametrize("name", ADAPTED)
def test_every_method_that_trains_makes_an_adapter_that_is_the_model_it_read_last(
    name: str, data: BenchmarkData, base: ModelSource, batches: BatchSource, tmp_path: Path
) -> None:
    spec, folder = find_method(name), tmp_path / "adapter"
    record = unlearn(FeatureView(base, data), replace(_plan(name), checkpoints=1), folder)
    made = find_model(f"local-dir:{folder}")
    assert [delta.weights.name for delta in made.deltas] == ["adapter_model.safetensors"]
    assert made.weights == base.weights
    # The base is as it was; only layers of the towers that the method may change differ from it.
    before, after = base.reader(), made.reader()
    changed = {tensor for tensor in after.shapes if (after.read(tensor) != before.read(tensor)).any()}
    assert changed
    assert all(re.fullmatch(r".+\.mlp\.(c_fc|c_proj)\.weight", tensor) for tensor in changed)
    assert {Towers.of(tensor) for tensor in changed} <= {Towers.IMAGE, Towers.TEXT} & (
        {Towers.IMAGE, Towers.TEXT} if spec.towers[0] is Towers.BOTH else {spec.towers[0]}
    )
    last = record.curve[-1]
    again = TrainingProbe(batches, 0).read(TrainedModel(made, Towers.BOTH), last.step, last.forget_pairs, last.loss)
    for reading in ("forget_similarity", "retain_similarity", "unrelated_similarity"):
        assert getattr(again, reading) == pytest.approx(getattr(last, reading), abs=2e-6)


def test_a_run_begins_with_the_original_and_changes_nothing_else(base: ModelSource) -> None:
    for towers in Towers:
        model = TrainedModel(base, towers, LoRA(RANK, 16, 0))
        own = model.module.state_dict()
        plain = TrainedModel(base, towers).module.state_dict()
        for name, value in plain.items():
            layer, _, kind = name.rpartition(".")
            stored = own.get(name, own.get(f"{layer}.parametrizations.{kind}.original"))
            assert stored is not None
            assert torch.equal(stored, value)
        for name, value in model.matrices():
            assert torch.equal(value, plain[f"{name}.weight"])
            assert towers in (Towers.BOTH, Towers.of(name))
        assert {name.rpartition(".")[2] for name, _ in model.trained()} == {"lora_A", "lora_B"}
        # Attention calls none of its layers, so PEFT could not apply a change of one.
        assert not any(".attn." in name for name in model.adapted)
        assert len(model.adapted) == 2 * (2 * 2 if towers is Towers.BOTH else 2)


def test_the_folder_has_peft_s_names_and_fields(data: BenchmarkData, base: ModelSource, tmp_path: Path) -> None:
    folder = tmp_path / "job" / MODEL_FOLDER / "finetune-0123456789abcdef"
    unlearn(FeatureView(base, data), _plan(towers=Towers.TEXT, lora_alpha=6), folder)
    assert made_in(tmp_path / "job") == ["made:finetune-0123456789abcdef"]
    tensors, config = (
        load_file(folder / "adapter_model.safetensors"),
        json.loads((folder / "adapter_config.json").read_text()),
    )
    layers = [f"transformer.resblocks.{block}.mlp.{part}" for block in (0, 1) for part in ("c_fc", "c_proj")]
    assert sorted(tensors) == sorted(
        f"base_model.model.{layer}.lora_{side}.weight" for layer in layers for side in "AB"
    )
    assert (config["peft_type"], config["r"], config["lora_alpha"], config["bias"]) == ("LORA", RANK, 6.0, "none")
    assert config["base_model_name_or_path"] == "mini-compromised"
    names = [name for name, _ in TrainedModel(base, Towers.BOTH).module.named_modules()]
    assert [name for name in names if re.fullmatch(config["target_modules"], name)] == layers
    # W + (alpha / r) B A, from the file's own matrices.
    made, layer = find_model(f"local-dir:{folder}"), layers[0]
    up, down = (tensors[f"base_model.model.{layer}.lora_{side}.weight"] for side in "BA")
    wanted = torch.from_numpy(base.reader().read(f"{layer}.weight")) + 6 / RANK * up @ down
    assert torch.allclose(torch.from_numpy(made.reader().read(f"{layer}.weight")), wanted, atol=1e-7)
    card = (folder / "README.md").read_text("utf-8")
    assert "library_name: peft" in card
    assert "--set lora_rank=2" in card
    whole = tmp_path / "whole"
    export_model(made, "open_clip", whole)
    exported = find_model(f"local-dir:{whole}").reader()
    assert all((exported.read(name) == made.reader().read(name)).all() for name in exported.shapes)


def test_negation_walks_the_other_way(data: BenchmarkData, base: ModelSource, tmp_path: Path) -> None:
    unlearn(FeatureView(base, data), _plan("task-vector", strength=2.0), tmp_path / "back")
    # With no strength nothing is subtracted, so what was learnt is half of the way back, in the other direction.
    model = TrainedModel(base, Towers.BOTH, LoRA(RANK, 16, 0))
    start = model.state()
    trained = {name: value + 0.1 for name, value in start.items()}
    negated = find_method("task-vector").configure({"strength": 2.0}).deploy(start, trained)
    with model.holding(trained):
        learnt = {name: value.detach().clone() for name, value in model.matrices()}
    with model.holding(negated):
        for name, value in model.matrices():
            original = torch.from_numpy(base.reader().read(f"{name}.weight"))
            assert torch.allclose(value - original, -2 * (learnt[name] - original), atol=1e-5), name


def test_a_killed_run_ends_as_if_undisturbed(data: BenchmarkData, base: ModelSource, tmp_path: Path) -> None:
    class Killed(Exception):  # noqa: N818 - not an error
        pass

    def kill(progress: Progress) -> None:
        if progress.unit is Unit.STEPS and progress.done == 2:
            raise Killed

    view = FeatureView(base, data)
    unlearn(view, _plan(), tmp_path / "whole" / "model")
    with pytest.raises(Killed):
        unlearn(replace(view, progress=kill), _plan(), tmp_path / "killed" / "model")
    unlearn(view, _plan(), tmp_path / "killed" / "model")
    for file in (tmp_path / "whole" / "model").iterdir():
        assert file.read_bytes() == (tmp_path / "killed" / "model" / file.name).read_bytes(), file.name


def test_an_adapter_can_be_the_base_of_the_next_and_is_refused_on_another_base(
    data: BenchmarkData, base: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    shutil.copytree(base.weights.parent, own)
    monkeypatch.chdir(tmp_path)
    source = find_model("local-dir:own")
    unlearn(FeatureView(source, data), _plan(), tmp_path / "first")
    monkeypatch.chdir("/")
    first = find_model(f"local-dir:{tmp_path / 'first'}")
    unlearn(FeatureView(first, data), _plan("npo"), tmp_path / "second")
    second = find_model(f"local-dir:{tmp_path / 'second'}")
    assert len(second.deltas) == 2
    line = base_of(second)
    assert line is not None
    assert line.fingerprint == first.fingerprint
    # What `delta:` puts together need not belong together.
    assert base_of(find_model(f"delta:mini-compromised+{tmp_path / 'first'}")) is None
    shutil.copy(find_model("mini-clean").weights, own / base.weights.name)
    with pytest.raises(ModelError, match=r"is an adapter on another local-dir:.+ than the one that is there now"):
        find_model(f"local-dir:{tmp_path / 'first'}")
    shutil.rmtree(own)
    with pytest.raises(
        ModelError, match=r"The base of the adapter .+ cannot be used: The model folder .+ does not exist"
    ):
        find_model(f"local-dir:{tmp_path / 'first'}")


@pytest.fixture(scope="module")
def adapter(data: BenchmarkData, base: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an adapter, to be copied."""
    folder = tmp_path_factory.mktemp("made") / "adapter"
    unlearn(FeatureView(base, data), _plan(), folder)
    return folder


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (None, "is an adapter that names no base; give delta:BASE+"),
        (7, "is an adapter that names no base"),
        ("local-dir:{folder}", "is an adapter on itself"),
        ("delta:local-dir:{folder}+{folder}", "is an adapter on itself"),
        ("no such model", "cannot be used: There is no model 'no such model'"),
    ],
)
def test_a_base_that_cannot_be_is_refused(named: str | int | None, message: str, adapter: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = named.format(folder=folder) if isinstance(named, str) else named
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=re.escape(message)):
        find_model(f"local-dir:{folder}")


def test_what_lora_cannot_hold_is_refused(
    base: ModelSource, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("leace", "noise-distill"):
        with pytest.raises(QueryError, match=f"{name} changes whole weights besides training them"):
            find_method(name).configure({"lora_rank": 4})
    with pytest.raises(QueryError, match="ssd has no hyperparameter 'lora_rank'"):
        find_method("ssd").configure({"lora_rank": 4})
    command = ["unlearn", "npo", "--model", "mini-compromised", "--set", "lora_rank=4", "--push", "org/name"]
    assert run([*command, "--output", str(tmp_path / "model")]) == 2
    assert "--push takes whole models, and LoRA makes an adapter" in capsys.readouterr().err
