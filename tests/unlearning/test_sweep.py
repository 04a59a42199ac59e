"""Sweeps: what a file asks for, that results are kept, and the table by hand."""

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from salmu_demo.cli.main import run
from salmu_demo.core.documents import document_of, parse_model
from salmu_demo.core.errors import MetricError, QueryError, SalmuError, SweepError, TrainingError
from salmu_demo.core.executor import LocalProcesses, RayCluster
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import MetricResult, Rows, find_metric, official_metrics
from salmu_demo.results.diagnosis import diagnose
from salmu_demo.results.evidence import Evidence
from salmu_demo.results.questions import Criterion
from salmu_demo.results.records import Evaluation, MeasuredData, MeasuredModel
from salmu_demo.sweeps import run as run_module
from salmu_demo.sweeps.config import EqualForgetting, SweepJob, read_sweep
from salmu_demo.sweeps.measured import Measured
from salmu_demo.sweeps.run import RunResult, do_run, measure_references, run_sweep
from salmu_demo.sweeps.table import sweep_table, table_csv, table_json, table_markdown
from salmu_demo.unlearning import DEFAULT_BUDGET
from salmu_demo.unlearning.methods import all_methods, find_method
from salmu_demo.unlearning.training_metrics import TrainingMetrics
from tests.fixtures.work import double, sweep_of_sleepers, threads_of_torch

SWEEP = """
seeds = [0, 1]
budgets = [16]
checkpoints = 2

[equal_forgetting]
metric = "AssocStr"
level = 0.9

[[runs]]
method = "direct-similarity-minimisation"
set.batch_size = 8
set.learning_rate = [1e-3, 1e-2]

[[runs]]
method = "null-space"
budgets = [24]
set.batch_size = 8
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP, "utf-8")
    return path


class _Here:
    """An executor of this process."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def run(self, work: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Any]:
        for job in jobs:
            self.done.append(job.key)
            yield work(job)


def test_a_sweep_crosses_hyperparameters_budgets_and_seeds(config: Path) -> None:
    sweep = read_sweep(config)
    runs = [(job.method, job.settings.get("learning_rate"), job.budget, job.seed, job.towers) for job in sweep.jobs]
    assert runs == [
        ("direct-similarity-minimisation", 1e-3, 16, 0, "both"),
        ("direct-similarity-minimisation", 1e-3, 16, 1, "both"),
        ("direct-similarity-minimisation", 1e-2, 16, 0, "both"),
        ("direct-similarity-minimisation", 1e-2, 16, 1, "both"),
        ("null-space", None, 24, 0, "image"),
        ("null-space", None, 24, 1, "image"),
    ]
    assert len({job.key for job in sweep.jobs}) == 6
    assert sweep.jobs[0].variant == sweep.jobs[1].variant


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("method = \"null-space\"", "method = \"magic\""), "no unlearning method 'magic'"),
        (("set.learning_rate", "set.learning_rat"), "no hyperparameter 'learning_rat'"),
        (("learning_rate = [1e-3", "learning_rate = [9"), "learning_rate of direct-similarity-minimisation is 9"),
        (("seeds = [0, 1]", "seeds = 3"), "seeds is 3; it must be a list"),
        (("seeds", "seed"), "seed is not a known key"),
        (("seeds = [0, 1]", "seeds = [0, 1]\nclean = \"mini-compromised\""), "is both the base model and Clean"),
        (("seeds = [0, 1]", "seeds = [0, 1]\ngold = \"mini-clean\""), "is both Clean and Gold"),
        (("AssocStr", "GenKnow"), "equal_forgetting.metric is .GenKnow.; it must be 'AssocStr' or 'RetFail'"),
        (("level = 0.9", ""), "equal_forgetting.level is missing"),
        (("budgets = [24]", "towers = \"left\""), "towers is .left.; it must be 'both', 'image' or 'text'"),
        (("budgets = [24]", "towers = \"text\""), "null-space cannot be told to change the towers text"),
        (("seeds = [0, 1]", "seeds = ["), "is not readable TOML"),
    ],
)  # fmt: skip
def test_a_wrong_sweep_gets_one_sentence(config: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in SWEEP
    config.write_text(SWEEP.replace(*change), "utf-8")
    with pytest.raises((SweepError, QueryError), match=message):
        read_sweep(config)


@pytest.mark.usefixtures("tiny_assets")
def test_a_sweep_measures_every_run_once_and_goes_on_where_it_stopped(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(SWEEP.replace("seeds = [0, 1]", "seeds = [0]").replace("[1e-3, 1e-2]", "1e-2"), "utf-8")
    sweep, executor = read_sweep(config), _Here()
    results = run_sweep(sweep, tmp_path / "out", executor, lambda result: None)
    assert executor.done == [job.key for job in sweep.jobs]
    again = _Here()
    assert run_sweep(sweep, tmp_path / "out", again, lambda result: None) == results
    assert again.done == []
    (tmp_path / "out" / "runs" / sweep.jobs[1].key / "result.json").write_text("{", "utf-8")
    assert run_sweep(sweep, tmp_path / "out", again, lambda result: None)[1].final == results[1].final
    assert again.done == [sweep.jobs[1].key]
    for file in (tmp_path / "out").glob("runs/*/made_from.json"):
        made_from = json.loads(file.read_text("utf-8"))
        assert set(made_from) == {"data", "model", "code", "by"}
    # What was made by other formulas, or from another base, is made again; the result of an older version does not say.
    for name, changed in zip(("code", "model"), sweep.jobs, strict=True):
        file = tmp_path / "out" / "runs" / changed.key / "made_from.json"
        file.write_text(json.dumps({**made_from, name: "another"}), "utf-8")
        again = _Here()
        assert run_sweep(sweep, tmp_path / "out", again, lambda result: None)[0].final == results[0].final
        assert again.done == [changed.key], name
    file.unlink()
    again = _Here()
    assert len(run_sweep(sweep, tmp_path / "out", again, lambda result: None)) == 2
    assert again.done == []
    # A level above every cosine is reached at the first checkpoint; an edit without any at its end.
    assert [result.level_pairs for result in results] == [8, 24]
    for result in results:
        assert result.final is not None
        assert set(result.final.values) >= {spec.name for spec in official_metrics()}
    # The checkpoint that forgets enough is a model of its own; that of the edit is its result.
    assert [(tmp_path / "out" / "runs" / job.key / "level").is_dir() for job in sweep.jobs] == [True, False]
    assert not list((tmp_path / "out").rglob("step-*"))
    real = run_module.evaluate

    def evaluate(features: FeatureView, gold: FeatureView | None = None) -> Evaluation:
        found = real(features)
        return replace(found, model=replace(found.model, remarks=("Of both.", f"Of {features.model.name}.")))

    monkeypatch.setattr(run_module, "evaluate", evaluate)
    references = measure_references(sweep, tmp_path / "out")
    assert set(references.measured) == {"clean", "compromised"}
    assert references.models == {"clean": "mini-clean", "compromised": "mini-compromised"}
    assert references.remarks == ("Of both.", "Of mini-clean.", "Of mini-compromised.")
    kept = json.loads((tmp_path / "out" / "references.json").read_text("utf-8"))
    kept["measured"]["clean"]["values"]["RetFail"] = 0.125
    for measured_from in (kept["measured_from"], {}):
        told = {**kept, "measured_from": measured_from}
        (tmp_path / "out" / "references.json").write_text(json.dumps(told), "utf-8")
        assert measure_references(sweep, tmp_path / "out").measured["clean"].values["RetFail"] == 0.125
    kept_without = {name: part for name, part in kept.items() if name not in ("models", "remarks")}
    (tmp_path / "out" / "references.json").write_text(json.dumps(kept_without), "utf-8")
    assert measure_references(sweep, tmp_path / "out") == references
    for name in ("clean", "by"):
        changed = {**kept, "measured_from": {**kept["measured_from"], name: "another"}}
        (tmp_path / "out" / "references.json").write_text(json.dumps(changed), "utf-8")
        assert measure_references(sweep, tmp_path / "out") == references
    rows = sweep_table(results, references.evidence)
    assert [row.compared_at for row in rows] == ["reference"] * 2 + ["budget"] * 2 + ["forgetting"] * 2
    capsys.readouterr()
    assert run(["sweep", str(config), "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "out" / "sweep.md").read_text("utf-8")
    assert printed.startswith(
        "* Clean: mini-clean\n* Compromised: mini-compromised\n"
        "* Of both.\n* Of mini-clean.\n* Of mini-compromised.\n\n## "
    )
    assert run(["sweep", str(config), "--output", str(tmp_path / "out"), "--json"]) == 0
    assert "Note: Clean: mini-clean\n" in capsys.readouterr().err


@pytest.mark.usefixtures("tiny_assets")
def test_a_run_without_a_result_is_a_row_and_not_the_end(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise TrainingError("The loss is not finite.")

    monkeypatch.setattr("salmu_demo.unlearning.trainer.unlearn", fail)
    result = do_run(read_sweep(config).jobs[0], tmp_path)
    assert result.problem == "The loss is not finite."
    references = {"clean": Evidence({"RetFail": 0.1}), "compromised": Evidence({"RetFail": 0.5})}
    row = sweep_table([result], references)[2]
    assert row.seeds == (0, 1)
    assert row.problems == ("The loss is not finite.",)


@pytest.mark.usefixtures("tiny_assets")
def test_a_run_whose_model_cannot_be_measured_is_a_row_too(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise MetricError("All features are NaN.")

    monkeypatch.setattr(run_module, "evaluate", fail)
    result = do_run(read_sweep(config).jobs[0], tmp_path)
    assert (result.problem, result.final, result.steps > 0) == ("All features are NaN.", None, True)
    with pytest.raises(SweepError, match=r"mini-clean: All features are NaN\. mini-compromised: All features are NaN"):
        measure_references(read_sweep(config), tmp_path)


def _result(seed: int, retfail: float, level: float | None, method: str = "npo") -> RunResult:
    job = SweepJob("m", "d", method, {}, "both", 640, seed, 4, EqualForgetting("RetFail", 0.3))
    at_level = None if level is None else Measured({"RetFail": level, "GenKnow": 0.9})
    final = Measured({"RetFail": retfail, "GenKnow": 0.8})
    return RunResult(job, 10, 2.0 + seed, final, at_level, None if level is None else 320)


def test_the_table_by_hand() -> None:
    references = {
        "clean": Evidence({"RetFail": 0.0, "GenKnow": 0.9}),
        "compromised": Evidence({"RetFail": 0.6, "GenKnow": 0.9}),
    }
    results = [_result(0, 0.1, 0.3), _result(1, 0.2, None), _result(2, 0.6, 0.2)]
    rows = sweep_table(results, references)
    budget, forgetting = rows[2], rows[3]
    assert (budget.seeds, forgetting.seeds) == ((3, 3), (2, 3))
    assert budget.metrics["RetFail"].mean == pytest.approx(0.3)
    assert budget.metrics["RetFail"].deviation == pytest.approx(0.07**0.5)
    assert str(budget.metrics["RetFail"]) == "0.300 ± 0.265"
    assert str(budget.metrics["ACS"]) == "-"
    assert forgetting.metrics["RetFail"].mean == pytest.approx(0.25)
    assert (budget.pairs, forgetting.pairs, budget.seconds) == (640, 320, 3.0)
    # 1 - 0.3 / 0.6 of the leak is gone on average; 0.1 of 0.9 of the knowledge is lost; no run has a holdout metric.
    assert budget.criteria == (pytest.approx(0.5), pytest.approx(1 / 9), None)
    # All three keep more than a twentieth of the leak.
    assert budget.diagnoses == {"ineffective forgetting": 3}
    text = table_markdown(rows)
    assert text.index("## At equal budget") < text.index("## At equal forgetting")
    assert "| npo | 2 of 3 | 320 | 0.250 ± 0.071 |" in text
    lines = table_csv(rows).splitlines()
    assert lines[3].startswith("budget,npo,3,3,640.0,3.0,0.300000,0.264575,")
    assert json.loads(table_json(rows))[2]["metrics"]["RetFail"]["mean"] == pytest.approx(0.3)


def test_what_is_kept_of_a_model_gives_the_same_diagnosis() -> None:
    """Questions by role and their intervals need what single personas contribute."""
    rng = np.random.default_rng(1)

    def measured(level: float) -> Evaluation:
        scores, metric = rng.normal(level, 0.1, 60).clip(0, 1), find_metric("RetFail")
        result = MetricResult(metric, float(scores.mean()), scores=scores, rows=np.arange(60))
        rows = {metric.split: of_personas(6), "forget_identity": of_personas(2)}
        return Evaluation(MeasuredModel("m", "m"), MeasuredData("d"), {metric.name: result}, rows)

    found = [measured(level) for level in (0.2, 0.05, 0.7)]
    kept = [parse_model(json.dumps(document_of(Measured.of(one))), Measured).evidence() for one in found]
    whole = diagnose(*map(Evidence.of, found))
    assert [round_criterion(one) for one in diagnose(*kept).criteria] == [round_criterion(c) for c in whole.criteria]
    [question, *_] = whole.questions
    assert [criterion.measure for criterion in question.criteria if criterion.value is not None] == [
        "RetFail, people with nothing kept"
    ]
    assert whole.criteria[0].interval is not None


def of_personas(count: int) -> Rows:
    """Ten rows of each."""
    personas = [str(row // 10) for row in range(10 * count)]
    return Rows(personas, personas, personas, personas)


def round_criterion(criterion: Criterion) -> Any:
    ends = criterion.interval and (round(criterion.interval.low, 4), round(criterion.interval.high, 4))
    return criterion.measure, criterion.value and round(criterion.value, 4), ends, criterion.missing


def test_gold_is_diagnosed_as_a_result_is() -> None:
    references = {
        "clean": Evidence({"RetFail": 0.0, "GenKnow": 0.9}),
        "compromised": Evidence({"RetFail": 0.6, "GenKnow": 0.9}),
        "gold": Evidence({"RetFail": 0.006, "GenKnow": 0.9}),
    }
    clean, compromised, gold, row = sweep_table([_result(0, 0.1, 0.3)], references)[:4]
    assert (clean.criteria, compromised.diagnoses) == ((), {})
    assert gold.criteria[:2] == (pytest.approx(0.99), pytest.approx(0))
    assert gold.diagnoses == {"not enough metrics": 1}
    assert row.variant == "npo"


def test_a_sweep_on_ray_without_ray_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SweepError, match=r"pip install 'salmu-demo\[ray\]'"):
        RayCluster(2, 1)


def test_local_processes_give_every_result_and_raise_what_was_raised() -> None:
    assert sorted(LocalProcesses(2, 1).run(double, [1, 2])) == [2, 4]
    with pytest.raises(SalmuError, match="three"):
        list(LocalProcesses(1, 1).run(double, [3]))


def test_a_local_process_computes_on_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert list(LocalProcesses(1, 1).run(threads_of_torch, [None])) == [(1, 1)]


def test_a_run_made_with_other_defaults_is_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    job = SweepJob("m", "d", "npo", {}, "both", 640, 0, 4, None)
    before, real = job.key, find_method("npo")
    assert job.key == before
    changed = SimpleNamespace(configure=lambda settings: real.configure({"beta": 0.25, **settings}))
    monkeypatch.setattr("salmu_demo.sweeps.config.find_method", lambda name, modality: changed)
    assert job.key != before


def evaluation(value: float) -> Evaluation:
    metric = find_metric("RetFail")
    return Evaluation(MeasuredModel("m", "m"), MeasuredData("d"), {metric.name: MetricResult(metric, value)})


@pytest.mark.parametrize(
    ("values", "pairs"),
    [
        ([0.9, 0.5, 0.3, 0.2, 0.1], 30),
        ([0.3, 0.2, 0.1, 0.1, 0.1], 10),
        ([0.9, 0.3, 0.1, 0.1, 0.1], 20),
        ([0.9, 0.9, 0.9, 0.3, 0.1], 40),
        ([0.9, 0.9, 0.9, 0.9, 0.3], 50),
        ([0.9, 0.9, 0.9, 0.9, 0.31], None),
    ],
)
def test_the_first_checkpoint_that_forgets_enough_is_found_by_halving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[float], pairs: int | None
) -> None:
    for step in range(1, 6):
        checkpoint = tmp_path / "model" / "checkpoints" / f"step-{step:05d}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "value").write_text(str(values[step - 1]), "utf-8")
    monkeypatch.setattr(
        run_module, "find_model", lambda reference: SimpleNamespace(reference=reference, fingerprint="")
    )

    def value(view: Any, *rest: Any) -> Evaluation:
        return evaluation(float(Path(view.model.reference.removeprefix("local-dir:"), "value").read_text("utf-8")))

    monkeypatch.setattr(run_module, "evaluate", value)
    curve = [TrainingMetrics(step, 10 * step, None, 0.5, 0.5, 0.5, 0.5, {}, 1) for step in range(6)]
    store = SimpleNamespace(store=SimpleNamespace(clear=lambda key: None))
    features = SimpleNamespace(of=lambda model: SimpleNamespace(model=model, embedder=store))
    found, measured = run_module.first_at_level(
        tmp_path, EqualForgetting("RetFail", 0.3), cast(Any, features), Measured({"RetFail": values[-1]}), curve
    )
    assert found == pairs
    assert (measured and measured.values) == (None if pairs is None else {"RetFail": values[pairs // 10 - 1]})
    # The last checkpoint is the result.
    assert (tmp_path / "level").is_dir() == (pairs in (10, 20, 30, 40))


def test_workers_end_with_a_sweep_that_is_killed(tmp_path: Path) -> None:
    parent = multiprocessing.get_context("spawn").Process(target=sweep_of_sleepers, args=(tmp_path,))
    parent.start()
    workers: list[int] = []
    while len(workers) < 2:
        assert parent.is_alive()
        time.sleep(0.05)
        workers = [int(path.name) for path in tmp_path.iterdir()]
    parent.kill()
    parent.join()
    deadline = time.monotonic() + 10
    while any(map(_is_running, workers)):
        assert time.monotonic() < deadline, "a worker outlives its sweep"
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that nobody waits for any more has ended all the same.
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"


def test_the_documented_sweep_runs_every_method_three_times_at_its_defaults() -> None:
    sweep = read_sweep(Path(__file__).parents[2] / "benchmarks" / "sweeps" / "mini.toml")
    plain = [(job.method, job.seed) for job in sweep.jobs if not job.settings and job.budget == DEFAULT_BUDGET]
    assert sorted(plain) == sorted((spec.name, seed) for spec in all_methods() for seed in (0, 1, 2))


def test_a_method_with_several_budgets_has_a_row_for_each() -> None:
    results = [replace(_result(0, 0.1, None), job=replace(_result(0, 0.1, None).job, budget=b)) for b in (640, 1280)]
    references = {"clean": Evidence({"RetFail": 0.0}), "compromised": Evidence({"RetFail": 0.6})}
    names = [row.variant for row in sweep_table(results, references) if row.compared_at == "budget"]
    assert names == ["npo, budget 640", "npo, budget 1,280"]
