"""Attacks on the models of a finished benchmark: their results are told by it, and it stays as it was."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from salmu_demo.attacks.document import read_attacks
from salmu_demo.attacks.schema import AttackedModel, AttackFacts, AttacksDocument
from salmu_demo.core.errors import JobError, ResultError
from salmu_demo.jobs.kinds import attack as attack_jobs
from salmu_demo.jobs.kinds.attack import Attacks, AttackSpec
from salmu_demo.jobs.kinds.benchmark import ATTACKED_FOLDER, REPORT_FOLDER, Benchmark, attach, report_folder
from salmu_demo.leaderboard.files import job_results
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import RESULTS_FILE, read_results, write_results
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.results import NAMES, evaluations, only
from tests.unit.test_reports_attacks import document, record

ID = "A" * 22
WORKBENCH = cast(
    Workbench, SimpleNamespace(data=SimpleNamespace(personas=(), benchmark="CLEAR"), models=lambda references: [])
)


def found(attack: str, share: float) -> AttacksDocument:
    made = document(record(attack, share, model=NAMES[2]))
    facts = AttackFacts(name=attack, title=attack, attacker="", needs=[], counts=True)
    model = AttackedModel(name=NAMES[2], reference=NAMES[2], fingerprint=f"{2:064d}")
    return made.model_copy(update={"models": [model], "attacks": [facts], "skipped": []})


@pytest.fixture
def benchmark(plain_figures: None, tmp_path: Path) -> Path:
    """Folder of a finished benchmark of one metric."""
    measure(tmp_path / ID, "AssocStr")
    return tmp_path / ID


def measure(folder: Path, *metrics: str) -> None:
    """Write the results of a benchmark of some metrics."""
    write_results(analyse([only(evaluation, *metrics) for evaluation in evaluations()]), folder / REPORT_FOLDER)


def known(folder: Path) -> list[str]:
    """The attacks that the results of a benchmark tell of."""
    return [found.attack for found in read_results(report_folder(folder) / RESULTS_FILE)[2].attacks]


def test_the_reports_of_a_benchmark_tell_of_one_run_after_another(benchmark: Path):
    # What the diagnosis below rests on.
    measure(benchmark, "RetFail", "ValExpUnseenTxt")
    before = (benchmark / REPORT_FOLDER / RESULTS_FILE).read_bytes()
    assert report_folder(benchmark) == benchmark / REPORT_FOLDER
    attach(found("linear-map", 0.4), benchmark, WORKBENCH)
    assert report_folder(benchmark) == benchmark / ATTACKED_FOLDER
    attach(found("own-head", 0.2), benchmark, WORKBENCH)
    assert known(benchmark) == ["linear-map", "own-head"]
    assert [attack.name for attack in read_attacks(report_folder(benchmark)).attacks] == ["linear-map", "own-head"]
    assert (benchmark / REPORT_FOLDER / RESULTS_FILE).read_bytes() == before
    assert benchmark / ATTACKED_FOLDER / "report.pdf" in Benchmark().files(benchmark)
    assert benchmark / REPORT_FOLDER / RESULTS_FILE not in Benchmark().files(benchmark)
    assert job_results(benchmark.parent, [ID]) == [benchmark / ATTACKED_FOLDER / RESULTS_FILE]
    (label,) = {model.diagnosis.label for model in analyse(read_results(job_results(benchmark.parent)[0])).models[2:]}
    assert label == "ineffective forgetting"


def test_a_damaged_earlier_file_is_replaced(benchmark: Path):
    attach(found("linear-map", 0.4), benchmark, WORKBENCH)
    (benchmark / ATTACKED_FOLDER / "attacks.json").write_text("{}", "utf-8")
    attach(found("own-head", 0.2), benchmark, WORKBENCH)
    assert known(benchmark) == ["own-head"]


def test_while_a_report_is_written_the_benchmark_has_its_own(benchmark: Path):
    attach(found("linear-map", 0.4), benchmark, WORKBENCH)
    next((benchmark / ATTACKED_FOLDER).glob("*.zip")).unlink()
    assert report_folder(benchmark) == benchmark / REPORT_FOLDER


def test_other_models_leave_no_trace(benchmark: Path):
    elsewhere = found("linear-map", 0.4)
    elsewhere.models[0].fingerprint = "e" * 64
    with pytest.raises(ResultError, match="on none of the evaluated models"):
        attach(elsewhere, benchmark, WORKBENCH)
    assert not (benchmark / ATTACKED_FOLDER).exists()


@pytest.fixture
def attacking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attacks whose answer is known."""
    monkeypatch.setattr(attack_jobs, "models_to_attack", lambda spec, workbench: ([], None))
    monkeypatch.setattr(attack_jobs, "attack", lambda *_: found("linear-map", 0.4))


def attacked(folder: Path, evaluation: str) -> tuple[str, ...]:
    shown: list[Any] = []
    spec = AttackSpec(NAMES[2:], ("linear-map",), evaluation=evaluation)
    Attacks().check(spec)
    return Attacks().run(spec, WORKBENCH, folder, shown.append)


@pytest.mark.usefixtures("attacking")
def test_a_job_of_attacks_adds_to_its_evaluation_and_lives_without_it(benchmark: Path):
    own = benchmark.parent / ("B" * 22)
    assert attacked(own, ID) == ()
    assert known(benchmark) == ["linear-map"]
    (failure,) = attacked(own, "C" * 22)
    assert failure.startswith("The evaluation does not tell of it: ")
    assert (own / REPORT_FOLDER / "attacks.pdf").exists()
    with pytest.raises(JobError, match="is not a job id"):
        attacked(own, f"../{ID}")
