"""A model that cannot be measured is named, and the others are measured: everywhere, because one loop does it."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import salmu_demo
from salmu_demo.cli.main import run
from salmu_demo.core.errors import MetricError, ModelError, PluginError, StorageError
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import Metric, MetricData, MetricResult, MetricView, Needs, find_metric, register
from salmu_demo.metrics import base as base_module
from salmu_demo.models.references import find_model
from salmu_demo.results.evaluation import each_model, evaluate
from salmu_demo.results.kept import KeptMetrics

NAN = "has NaN or infinite numbers"


@pytest.fixture
def broken(tiny_assets: Path, tmp_path: Path) -> str:
    """A model whose weights are finite, and so large that all its features are NaN."""
    folder = tmp_path / "broken"
    shutil.copytree(tiny_assets / "models" / "mini-clean", folder)
    weights = folder / "open_clip_model.safetensors"
    tensors = load_file(weights)
    huge = {name: torch.full(tensor.shape, 3e38) for name, tensor in tensors.items() if "proj" in name}
    save_file({**tensors, **huge}, weights, {"format": "pt"})
    return f"local-dir:{folder}"


def test_each_model_goes_on_after_a_failure_and_stops_at_a_full_disk():
    models = [SimpleNamespace(reference=name) for name in "abcd"]

    def work(model: SimpleNamespace) -> str:
        if model.reference in "bd":
            raise ModelError(f"{model.reference} is odd.")
        return model.reference.upper()

    done, failures = each_model(models, work)
    assert done == ["A", "C"]
    assert [failure.sentence for failure in failures] == ["b: b is odd.", "d: d is odd."]
    seen: list[str] = []

    def full(model: SimpleNamespace) -> None:
        seen.append(model.reference)
        raise StorageError("The disk is full.")

    with pytest.raises(StorageError):
        each_model(models, full)
    assert seen == ["a"]
    with pytest.raises(ZeroDivisionError):  # A fault of ours is not a model's.
        each_model(models, lambda model: 1 / 0)


def test_the_command_line_writes_what_succeeded_names_what_failed_and_exits_with_2(
    broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    line = ["evaluate", "mini-clean", broken, "mini-compromised", "--metrics", "AssocStr", "--output", str(out)]
    assert run([*line, "--json"]) == 2
    printed = capsys.readouterr()
    (row,) = json.loads(printed.out)["rows"]
    assert set(row["values"]) == {"mini-clean", "mini-compromised"}
    assert f"salmu-demo: {broken}: image_features {NAN}" in printed.err
    names = {"evaluation_mini-clean.json", "evaluation_mini-compromised.json", "results.json"}
    assert {path.name for path in out.iterdir()} == names
    models = json.loads((out / "results.json").read_text("utf-8"))["models"]
    assert [model["model"]["name"] for model in models] == ["mini-clean", "mini-compromised"]


def test_a_namesake_that_failed_leaves_one_file_for_each_model(broken: str, tiny_assets: Path, tmp_path: Path):
    good = tmp_path / "elsewhere" / "broken"
    shutil.copytree(tiny_assets / "models" / "mini-clean", good)
    out = tmp_path / "out"
    line = ["evaluate", f"local-dir:{good}", broken, "--metrics", "AssocStr", "--output", str(out)]
    assert run(line) == 2
    assert len(list(out.glob("evaluation_*.json"))) == 1


def test_where_every_model_fails_nothing_is_written(broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    assert run(["evaluate", broken, "--metrics", "AssocStr", "--output", str(out)]) == 2
    assert NAN in capsys.readouterr().err
    assert not out.exists() or not list(out.iterdir())


def test_the_library_names_what_failed(broken: str):
    results = salmu_demo.evaluate(["mini-clean", broken], "mini", "AssocStr")
    assert set(results.to_frame()["model"]) == {"mini-clean"}
    (sentence,) = results.failures
    assert sentence.startswith(f"{broken}: image_features {NAN}")
    assert sentence in str(results)
    with pytest.raises(MetricError, match=NAN):
        salmu_demo.evaluate(broken, "mini", "AssocStr")


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> type[Metric]:
    monkeypatch.setattr(base_module, "REGISTRY", dict(base_module.REGISTRY))

    @register
    class Mine(Metric):
        name = "Mine"
        pillar = "utility"
        title = "A title"
        explanation = "One sentence."
        split = "forget"
        scores: list[float] | None = None
        measured = 0

        def compute(self, view: MetricView) -> MetricResult:
            Mine.measured += 1
            rows = len(view.images(self.split))
            return self.result(np.full(rows, 0.25) if self.scores is None else np.array(self.scores))

    return Mine


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [([], "failed|no score"), ([np.nan], "do not lie between -1 and 1"), ([0.5, 1.5], "do not lie between -1 and 1")],
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
def test_a_plug_in_whose_scores_no_file_can_hold_is_refused(
    tiny_assets: Path, plug_in: type[Metric], scores: list[float], sentence: str
):
    plug_in.scores = scores  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match=f"Mine .*({sentence})"):
        evaluate(FeatureView(find_model("mini-clean"), load_data("mini")), [find_metric("Mine")])


def test_a_plug_in_that_fails_is_a_sentence(tiny_assets: Path, plug_in: type[Metric]):
    plug_in.scores = "no scores"  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match=r"The plug-in metric Mine failed: \w+: .*\.$"):
        evaluate(FeatureView(find_model("mini-clean"), load_data("mini")), [find_metric("Mine")])


def test_what_the_data_lack_is_said_before_anything_is_encoded(
    tiny_assets: Path, plug_in: type[Metric], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def needs(metric: Metric, data: MetricData) -> Needs:
        return {}["nonesuch"]

    monkeypatch.setattr(plug_in, "needs", needs)
    view = FeatureView(find_model("mini-clean"), load_data("mini"), Embedder(ArrayStore(tmp_path)))
    with pytest.raises(PluginError, match="The plug-in metric Mine failed: KeyError: 'nonesuch'"):
        evaluate(view, [find_metric("AssocStr"), find_metric("Mine")])
    assert not list(tmp_path.rglob("*.npy"))


def test_a_plug_in_s_finished_metric_is_found_again_until_its_code_changes(
    tiny_assets: Path, plug_in: type[Metric], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    view, kept = FeatureView(find_model("mini-clean"), load_data("mini"), Embedder(ArrayStore())), KeptMetrics(tmp_path)
    for _ in range(2):
        found = evaluate(view, [find_metric("Mine")], kept=kept)
        assert found.value("Mine") == 0.25
    assert plug_in.measured == 1  # type: ignore[attr-defined]
    monkeypatch.setattr("salmu_demo.results.kept.outside_code", lambda kind: "other code")
    evaluate(view, [find_metric("Mine")], kept=kept)
    assert plug_in.measured == 2  # type: ignore[attr-defined]
