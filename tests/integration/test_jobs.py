"""Benchmarks as jobs, with tiny models: killed and resumed, in the command line, with models that vanish."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from salmu_demo.cli.main import run
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.rates import Rates, rates_of
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.view import FeatureView
from salmu_demo.jobs.job import Job, JobProgress, JobProgressCallback, JobState
from salmu_demo.jobs.kinds.benchmark import BENCHMARK, Benchmark, BenchmarkSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.metrics import all_metrics
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.reports.files import find_reports
from salmu_demo.results.document import read_results
from salmu_demo.workbench.bench import Workbench

CLEAN, COMPROMISED = "mini-clean", "mini-compromised"
METRICS = tuple(spec.name for spec in all_metrics())
SPEC = BenchmarkSpec((CLEAN, COMPROMISED), METRICS)
TIMEOUT = 60

COMMAND = (
    "import salmu_demo.jobs.manager as manager; manager.NICENESS = 0; "
    "from salmu_demo.core.garbage import search_seldom; search_seldom(); from salmu_demo.cli.main import run; "
)
"""Start of a program that runs a command as the fixture `runs` lets this process run it."""


@pytest.fixture(autouse=True)
def runs(
    tiny_assets: Path, plain_figures: None, eager_jobs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The built-in names mean the tiny data and models, and jobs go to a folder of their own."""
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def encoders() -> EncoderRegistry:
    return EncoderRegistry()


def numbers(manager: JobManager, job: Job) -> list[Any]:
    """Everything a job has measured, without when and how fast."""
    return [
        (evaluation.model, evaluation.data, name, result.value, [None if a is None else a.tolist() for a in arrays])
        for evaluation in read_results(manager.folder(job.id) / "report" / "results.json")
        for name, result in evaluation.results.items()
        for arrays in [(result.scores, result.rows, result.ranks, result.candidates)]
    ]


def log(manager: JobManager, job: Job) -> list[str]:
    return [
        line.split(" ", 1)[1] for line in (manager.folder(job.id) / "log.txt").read_text("utf-8").splitlines() if line
    ]


def parsed(capsys: pytest.CaptureFixture[str], *command: str) -> Any:
    assert run([*command, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_killed_job_is_resumed_with_the_same_bits_and_nothing_finished_is_done_again(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoders: EncoderRegistry
):
    environment = {**os.environ, "SALMU_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", f"{COMMAND}run(['jobs', 'run', '{CLEAN}', '{COMPROMISED}'])"],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    job_id = process.stderr.readline().removeprefix("Job ").strip()
    wait_for(runs / job_id / "log.txt", f"{CLEAN}: CoreAssoc")
    process.send_signal(signal.SIGKILL)
    process.wait(TIMEOUT)

    def bench(cache: Path) -> Workbench:
        return Workbench("mini", Embedder(ArrayStore(cache), encoders))

    manager = JobManager(workbench_for=lambda data: bench(tmp_path / "cache"))
    killed = manager.job(job_id)
    assert killed.state is JobState.INTERRUPTED
    kept = {path: path.stat().st_mtime_ns for path in (runs / job_id / "metrics").rglob("*.json")}
    assert {"RetFail", "AssocStr", "ACS", "IdZSC"} <= {path.stem for path in kept}
    before = len(log(manager, killed))
    manager.resume(job_id)
    resumed = manager.wait(job_id, TIMEOUT)
    assert (resumed.state, resumed.failures) == (JobState.DONE, ())
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    stages = log(manager, resumed)[before:]
    # Features of the first model's finished metrics: neither read nor computed again.
    assert f"{CLEAN}: images of forget" not in stages
    assert f"{COMPROMISED}: images of forget" in stages
    assert len(list((runs / job_id / "metrics").rglob("*.json"))) == 2 * len(METRICS)

    undisturbed = JobManager(tmp_path / "other", lambda data: bench(tmp_path / "other-cache"))
    whole = undisturbed.wait(undisturbed.submit(SPEC).id, TIMEOUT)
    assert whole.state is JobState.DONE
    assert numbers(manager, resumed) == numbers(undisturbed, whole)
    # The verdicts about everybody go with all rows.
    assert "people by attributes" in (undisturbed.folder(whole.id) / "report" / "report.md").read_text("utf-8")


def wait_for(path: Path, text: str) -> None:
    end = time.monotonic() + TIMEOUT
    while not path.exists() or text not in path.read_text("utf-8"):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_job_of_the_command_line(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    # What other tests have encoded would give verdicts about everybody, which a sample does not wait for.
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    estimate = parsed(capsys, "jobs", "run", CLEAN, COMPROMISED, "--estimate")
    assert estimate.keys() == {"seconds", "images", "texts", "sampled"}
    assert not runs.exists()
    line = ["jobs", "run", CLEAN, COMPROMISED, "--metrics", "RetFail,ACS", "--sample", "20", "--seed", "3"]
    assert run(line) == 0
    out, err = capsys.readouterr()
    job_id = err.splitlines()[0].removeprefix("Job ")
    assert job_id in out
    assert "20 forget rows, seed 3" in out
    shown = parsed(capsys, "jobs", "show", job_id[:6])
    assert (shown["id"], shown["state"], shown["spec"]["sample"]) == (job_id, "done", 20)
    assert "owner" not in shown
    reports = find_reports(runs / job_id / "report")
    assert reports is not None
    assert {str(reports.results), str(reports.pdf), str(reports.archive)} <= set(shown["files"])
    assert "people by attributes" not in reports.markdown.read_text("utf-8")
    assert [entry["id"] for entry in parsed(capsys, "jobs", "list")] == [job_id]
    assert run(["jobs", "list"]) == 0
    assert f"{job_id}  done   100%  mini  {CLEAN}, {COMPROMISED}" in capsys.readouterr().out
    # What is over stays as it is.
    assert parsed(capsys, "jobs", "cancel", job_id)["state"] == "done"
    for command, sentence in (
        (["resume", job_id], "only one that was stopped can be resumed"),
        (["show", "zzz"], "No job has an id that begins with 'zzz'; see `salmu-demo jobs list`."),
        (["run", CLEAN, "--metrics", "retfale"], "retfale"),
        (["run", CLEAN, "--sample", "2"], "A sample of 2 forget rows cannot be taken from mini"),
    ):
        assert run(["jobs", *command]) == 2
        assert sentence in capsys.readouterr().err
    assert run(["jobs", "show", ""]) == 2
    assert "2 jobs have ids that begin with ''" in capsys.readouterr().err


def test_an_interrupt_leaves_the_job_interrupted_and_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("salmu_demo.cli.output.TerminalProgress.__call__", stop)
        with pytest.raises(KeyboardInterrupt):
            run(["jobs", "run", CLEAN, COMPROMISED])
    job_id, *_, hint = capsys.readouterr().err.splitlines()
    job_id = job_id.removeprefix("Job ")
    assert hint == f"Interrupted; go on with `salmu-demo jobs resume {job_id}`."
    assert parsed(capsys, "jobs", "show", job_id)["state"] == "interrupted"
    assert parsed(capsys, "jobs", "resume", job_id)["state"] == "done"


def test_models_that_cannot_be_measured_are_named_beside_the_others(tiny_assets: Path, tmp_path: Path):
    doomed = shutil.copytree(tiny_assets / "models" / COMPROMISED, tmp_path / "doomed")

    class Deleting(Benchmark):
        def run(
            self, spec: BenchmarkSpec, workbench: Workbench, folder: Path, report: JobProgressCallback
        ) -> tuple[str, ...]:
            def deleting(progress: JobProgress) -> None:
                if progress.text == f"{CLEAN}: ACS":
                    shutil.rmtree(doomed, ignore_errors=True)
                report(progress)

            return super().run(spec, workbench, folder, deleting)

    kinds = {BENCHMARK: Deleting()}
    references = (CLEAN, "local-dir:nowhere", f"local-dir:{doomed}")
    timing = Workbench("mini", Embedder(ArrayStore(tmp_path / "cache")))
    for model in timing.models([f"local-dir:{doomed}"]):
        rates_of(FeatureView(model, timing.data, timing.embedder))
    # With its rates known, a model is not loaded before its turn.
    manager = JobManager(
        workbench_for=lambda data: Workbench(data, Embedder(ArrayStore(tmp_path / "cache"))), kinds=kinds
    )
    job = manager.wait(manager.submit(BenchmarkSpec(references, ("RetFail", "ACS", "AssocStr"))).id, TIMEOUT)
    assert job.state is JobState.DONE
    absent, deleted = job.failures
    assert absent == "local-dir:nowhere: The model folder nowhere does not exist."
    assert deleted.startswith(f"local-dir:{doomed}: ")
    (measured,) = read_results(manager.folder(job.id) / "report" / "results.json")
    assert measured.model.name == CLEAN


def test_rates_are_timed_once_and_timed_again_if_their_file_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoders: EncoderRegistry
):
    embedder = Embedder(ArrayStore(tmp_path), encoders)
    bench = Workbench("mini", embedder)
    (model,) = bench.models([CLEAN])
    timed = rates_of(FeatureView(model, bench.data, embedder))
    assert timed.images > 0
    assert timed.texts > 0
    (path,) = (tmp_path / "features" / model.fingerprint[:32]).rglob("rates.json")
    (device,) = json.loads(path.read_text("utf-8"))
    for content, expected in (
        ({device: {"images": 3.0, "texts": 4.0}}, Rates(3.0, 4.0)),
        ({device: {"images": -3.0, "texts": 4.0}}, None),
        ({"another": {"images": 3.0, "texts": 4.0}}, None),
        ([], None),
    ):
        path.write_text(json.dumps(content), "utf-8")
        found = rates_of(FeatureView(model, bench.data, embedder))
        assert found == expected or (expected is None and found.images > 4 and found.texts > 4)
        assert json.loads(path.read_text("utf-8"))[device]["images"] == found.images


def test_estimates_count_what_is_not_encoded_yet_and_the_sample_in_its_place(tmp_path: Path, encoders: EncoderRegistry):
    embedder = Embedder(ArrayStore(tmp_path / "cache"), encoders)
    bench = Workbench("mini", embedder)
    manager = JobManager(workbench_for=lambda data: bench)
    spec = BenchmarkSpec((CLEAN,), ("AssocStr",))
    forget = bench.data.split("forget")
    full = manager.estimate(spec)
    assert (full.images, full.texts) == (len(forget), len(set(forget.texts)))
    assert full.sampled is not None
    assert full.sampled.rows == round(0.1 * len(forget))
    assert full.sampled.seconds < full.seconds
    sampled = manager.estimate(BenchmarkSpec((CLEAN,), ("AssocStr",), sample=20))
    assert (sampled.images, sampled.sampled) == (20, None)
    assert manager.wait(manager.submit(spec).id, TIMEOUT).state is JobState.DONE
    cached = manager.estimate(spec)
    assert (cached.cached, cached.sampled) == (True, None)
    assert cached.seconds < full.seconds


def test_a_job_that_finds_everything_on_disk_does_not_import_torch():
    # Of this metric one figure can be drawn, and not five.
    assert run(["jobs", "run", CLEAN, "--metrics", "GenKnow"]) == 0
    code = (
        f"{COMMAND}code = run(['jobs', 'run', '{CLEAN}', '--metrics', 'GenKnow']); "
        "import sys; sys.exit(code or ('torch' in sys.modules) * 3)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=TIMEOUT).returncode == 0
