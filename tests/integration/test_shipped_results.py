"""Evaluations that are shipped: the same as measured ones, used for the same model, data and code alone."""

from pathlib import Path
from typing import Final
from unittest.mock import ANY

import pytest

from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.jobs.kinds.benchmark import BenchmarkSpec, measured_rows, plan_model
from salmu_demo.metrics import metrics_of
from salmu_demo.models.source import ModelSource
from salmu_demo.probes import shipped_authors
from salmu_demo.results import shipped
from salmu_demo.results.document import metric_document
from salmu_demo.results.records import Evaluation
from salmu_demo.results.shipped import evaluation_file, read_evaluation, write_evaluation
from salmu_demo.results.workload import Workload
from salmu_demo.workbench import bench as workbench_module
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.shipping import ship
from tests.fixtures import clear
from tests.fixtures.tiny import write_model
from tests.fixtures.writing import writing_config

CLEAR_MODELS: Final = ("mini-clear-base", "mini-clear-gold")
CONFIGURATIONS: Final = ("forget10", "retain90", "real_faces", "forget10_perturbed", "retain_perturbed", "real_world",
                         "forget10+tofu", "retain90+tofu")  # fmt: skip


@pytest.fixture(scope="module")
def measured(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelSource, Evaluation]:
    bench = Workbench("mini", Embedder(ArrayStore(tmp_path_factory.mktemp("cache"))))
    [model] = bench.models(["mini-clean"])
    return model, bench.evaluate(model)


@pytest.fixture
def bench(measured: tuple[ModelSource, Evaluation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """A workbench with no features, and what is shipped of the model in `tmp_path`."""
    bench = Workbench("mini", Embedder(ArrayStore(tmp_path / "cache")))
    model, evaluation = measured
    write_evaluation(tmp_path, model, bench.data, evaluation)
    monkeypatch.setattr(workbench_module, "shipped_folder", lambda: tmp_path)
    return bench


def test_what_is_shipped_is_not_measured_again(
    bench: Workbench, measured: tuple[ModelSource, Evaluation], tmp_path: Path
):
    model, made = measured
    again = bench.evaluate(model)
    assert (again.model, again.data, again.rows, again.made) == (made.model, made.data, made.rows, made.made)
    assert list(again.results) == list(made.results)
    for name, result in made.results.items():
        assert metric_document(again.results[name]) == metric_document(result)
    some = bench.evaluate(model, ["LeakRate", "RetFail"])
    assert list(some.results) == ["RetFail", "LeakRate"]
    assert list(some.rows) == ["forget"]
    assert not (tmp_path / "cache").exists()


def test_a_benchmark_has_nothing_to_encode_of_what_is_shipped(bench: Workbench):
    for sample, nothing in ((None, True), (8, False)):
        spec = BenchmarkSpec(("mini-clean",), ("RetFail",), sample=sample)
        plan = plan_model(spec, bench, measured_rows(spec, bench.data), "mini-clean")
        assert (plan.workload == Workload(0, 0)) is nothing


def test_what_other_code_measured_or_is_damaged_is_not_found(
    bench: Workbench,
    measured: tuple[ModelSource, Evaluation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    model, _ = measured
    assert read_evaluation(tmp_path, model, bench.data) is not None
    [other] = bench.models(["mini-compromised"])
    assert read_evaluation(tmp_path, other, bench.data) is None
    path = tmp_path / evaluation_file(model.fingerprint, bench.data.fingerprint)
    path.write_bytes(path.read_bytes()[:-9])
    assert read_evaluation(tmp_path, model, bench.data) is None
    assert "is damaged" in caplog.text
    monkeypatch.setattr(shipped, "shipped_code", lambda: "0" * 64)
    write_evaluation(tmp_path, model, bench.data, measured[1])
    monkeypatch.undo()
    assert read_evaluation(tmp_path, model, bench.data) is None


def test_what_is_current_is_kept_and_what_is_of_nobody_goes(
    tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bench = Workbench("mini", Embedder(ArrayStore(tmp_path / "cache")))
    models = bench.models(["mini-clean", "mini-compromised"])
    folder = tmp_path / "shipped"
    first = ship({bench: models[:1]}, folder)
    assert {path.suffix for path in first} == {".npz", ".xz"}
    (folder / "left.npz").touch()
    before = {path: path.stat().st_mtime_ns for path in first}
    both = ship({bench: models}, folder)
    assert {path.suffix for path in both} == {".npz", ".xz", ".json"}
    assert sorted(folder.iterdir()) == sorted(both)
    assert {path: path.stat().st_mtime_ns for path in first} == before
    monkeypatch.setattr(workbench_module, "shipped_folder", lambda: folder)
    # What is shipped needs no features, and gives the verdicts that these give.
    empty = Workbench("mini", Embedder(ArrayStore(tmp_path / "empty")))
    assert all(empty.has_verdicts(model) for model in models)
    assert empty.matrices(models) == bench.matrices(models)
    assert not (tmp_path / "empty").exists()


# Of CLEAR


@pytest.fixture(scope="module")
def clear_folder(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Base and a Gold that write, and little data of CLEAR."""
    root = tmp_path_factory.mktemp("clear")
    for number, name in enumerate(CLEAR_MODELS):
        write_model(root / name, writing_config(), number)
    (root / CLEAR_MODELS[1] / "README.md").write_text("---\nsalmu_role: gold\n---\n# Gold\n")
    for name in CONFIGURATIONS:
        rows = clear.rows_of(name)
        clear.write(root / "CLEAR", name, rows if name.endswith("+tofu") else [rows[0], rows[1], rows[-2], rows[-1]])
    return root


def test_what_is_shipped_of_clear_needs_no_model_and_gives_the_same_bits(
    clear_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = f"clear:{clear_folder / 'CLEAR'}"
    bench = Workbench(data, Embedder(ArrayStore(tmp_path / "cache")))
    models = bench.models([f"local-dir:{clear_folder / name}" for name in CLEAR_MODELS])
    base, gold = models
    folder = tmp_path / "shipped"
    written = ship({bench: models}, folder)
    assert len(written) == 2 * len(models)
    before = {path: path.stat().st_mtime_ns for path in written}
    assert ship({bench: models}, folder) == written
    assert {path: path.stat().st_mtime_ns for path in written} == before
    measured = [bench.evaluate(model, gold=gold) for model in models]
    people = list(bench.authors.people)
    asked = [bench.author(identity, models) for identity in people]
    captions = bench.author_captions(base)

    monkeypatch.setattr(workbench_module, "shipped_folder", lambda: folder)
    empty = Workbench(data, Embedder(ArrayStore(tmp_path / "empty")))
    assert all(empty.has_verdicts(model) for model in models)
    assert empty.author_captions(base) == captions
    for identity, findings in zip(people, asked, strict=True):
        for again, finding in zip(empty.author(identity, models), findings, strict=True):
            assert again.reading.shares.tobytes() == finding.reading.shares.tobytes()
            assert again.reading.answers == finding.reading.answers
            assert again.reading.lacks == finding.reading.lacks
            assert [(line.name, line.verdict, line.adjusted) for line in again.lines] == [
                (line.name, line.verdict, line.adjusted) for line in finding.lines
            ]
    for model, evaluation in zip(models, measured, strict=True):
        again = empty.evaluate(model, gold=gold)
        assert list(again.results) == list(evaluation.results)
        for name, result in evaluation.results.items():
            assert metric_document(again.results[name]) == {**metric_document(result), "seconds": ANY}
    assert not (tmp_path / "empty").exists()
    # Compared with another Gold, or with none, it is measured.
    against = [metric for metric in metrics_of("CLEAR") if metric.against_gold]
    assert against
    assert empty.shipped_evaluation(base, against, gold) is not None
    assert empty.shipped_evaluation(base, against, base) is None
    assert empty.shipped_evaluation(base, against) is None
    # Made by other code, it is as if it were not there.
    monkeypatch.setattr(shipped_authors, "authors_key", lambda: "0" * 64)
    assert not Workbench(data, Embedder(ArrayStore(tmp_path / "empty"))).has_verdicts(base)
