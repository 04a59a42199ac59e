"""Evaluations and attacks on a Ray cluster of two workers: what they find is what one process finds, to the bit."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from salmu_demo.cli.main import run
from salmu_demo.core.errors import ModelError, SalmuError, SweepError
from salmu_demo.core.executor import RayCluster
from salmu_demo.core.progress import Progress
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.metrics import metrics_of
from salmu_demo.results import spread as spreading
from salmu_demo.results.inputs import MetricInputs
from salmu_demo.results.records import Evaluation
from salmu_demo.results.workload import Workload, workload
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.ray_work import die, encode_and_die_once
from tests.fixtures.work import double

ray = pytest.importorskip("ray")
MODELS = ("mini-clean", "mini-compromised")


@pytest.fixture(scope="module")
def cluster(tiny_assets: Path) -> Iterator[RayCluster]:
    yield RayCluster(2, 1)
    ray.shutdown()


@pytest.fixture(scope="module")
def alone(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Evaluation], dict[str, Any]]:
    """What one process measures, and the features that it computes."""
    cache = tmp_path_factory.mktemp("alone")
    bench = _bench(cache)
    return [bench.evaluate(model) for model in bench.models(MODELS)], _features(cache)


def _bench(cache: Path) -> Workbench:
    return Workbench("mini", Embedder(ArrayStore(cache)))


def _features(cache: Path) -> dict[str, Any]:
    """Every array of a cache, by its path within it."""
    return {str(path.relative_to(cache)): np.load(path) for path in sorted((cache / "features").rglob("*.npy"))}


def _spread(cache: Path, cluster: RayCluster, told: list[Progress]) -> None:
    bench = _bench(cache)
    bench.spread(bench.models(MODELS), metrics_of("SALMUBench"), cluster, progress=told.append)


def test_two_workers_give_every_result_and_raise_what_was_raised(cluster: RayCluster) -> None:
    assert sorted(cluster.run(double, [1, 2, 5])) == [2, 4, 10]
    with pytest.raises(SalmuError, match="three"):
        list(cluster.run(double, [3]))


def test_two_workers_encode_what_one_process_does_to_the_bit(
    cluster: RayCluster, alone: tuple[list[Evaluation], dict[str, Any]], tmp_path: Path
) -> None:
    evaluations, one = alone
    told: list[Progress] = []
    _spread(tmp_path, cluster, told)
    assert (told[0].done, told[-1].done) == (0, told[-1].total)
    there = _bench(tmp_path)
    inputs = MetricInputs(there.data)
    for model in there.models(MODELS):
        assert workload(there.view(model), inputs, metrics_of("SALMUBench")) == Workload(0, 0)
    other = _features(tmp_path)
    assert one.keys() == other.keys() != set()
    for name, array in one.items():
        assert array.tobytes() == other[name].tobytes(), name
    for model, evaluation in zip(there.models(MODELS), evaluations, strict=True):
        for name, result in there.evaluate(model).results.items():
            assert result.value == evaluation.results[name].value, name


def test_the_rows_of_a_worker_that_is_killed_are_done_again(
    cluster: RayCluster,
    alone: tuple[list[Evaluation], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spreading, "encode", encode_and_die_once)
    monkeypatch.setattr(spreading, "IMAGES_OF_A_TASK", 8)
    _spread(tmp_path, cluster, [])
    assert (tmp_path / "killed").exists()
    _, one = alone
    other = _features(tmp_path)
    assert one.keys() == other.keys()
    assert all(array.tobytes() == other[name].tobytes() for name, array in one.items())


def test_a_worker_that_finds_another_model_says_so(tiny_assets: Path, tmp_path: Path) -> None:
    bench = _bench(tmp_path)
    named = spreading.NamedModel.of(bench.models(["mini-clean"])[0])
    with pytest.raises(ModelError, match="A worker finds another model as mini-clean than was asked for"):
        spreading.NamedModel(named.reference, None, "0" * 64).found(False)


def test_the_command_line_computes_on_the_cluster_and_finds_the_same(
    cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for name, further in (("here", []), ("there", ["--ray", "--workers", "2"])):
        monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / name / "cache"))
        output = tmp_path / name / "out"
        assert run(["evaluate", *MODELS, "--metrics", "RetFail,CoreAssoc", "--output", str(output), *further]) == 0
        attack = ["attack", MODELS[1], "--attacks", "linear-map", "--output", str(output), *further]
        assert run(attack) == 0
        results = json.loads((output / "results.json").read_text("utf-8"))
        attacks = json.loads((output / "attacks.json").read_text("utf-8"))
        found[name] = (
            [[(metric, value["value"]) for metric, value in model["metrics"].items()] for model in results["models"]],
            [{key: value for key, value in record.items() if key != "seconds"} for record in attacks["records"]],
            attacks["controls"],
        )
    capsys.readouterr()
    assert found["here"] == found["there"]
    assert run(["evaluate", *MODELS, "--ray", "--workers", "0", "--output", str(tmp_path)]) == 2
    assert "--workers is 0; choose 1 or more" in capsys.readouterr().err


def test_a_worker_that_dies_for_good_gives_one_sentence(cluster: RayCluster) -> None:
    # The last test, because it kills those that have imported what the others need.
    with pytest.raises(SweepError, match=r"A worker of the Ray cluster was lost again and again \(\w+\); what was"):
        list(cluster.run(die, [1]))
