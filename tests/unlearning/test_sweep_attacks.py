"""Sweeps that attack their results: once, also afterwards, and as a column of the table."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from salmu_demo.attacks.kept import attacking_key
from salmu_demo.attacks.schema import (
    AttackedModel,
    AttackRecord,
    AttacksDocument,
    RecoveredShare,
    ReferenceModels,
)
from salmu_demo.core.errors import MetricError, QueryError
from salmu_demo.data.record import DataRecord
from salmu_demo.models.source import ModelSource
from salmu_demo.results.evidence import Evidence
from salmu_demo.results.records import RecordedAttack
from salmu_demo.sweeps import run as run_module
from salmu_demo.sweeps.config import EqualForgetting, SweepJob, read_sweep
from salmu_demo.sweeps.measured import Measured
from salmu_demo.sweeps.run import RunResult, do_run, run_sweep
from salmu_demo.sweeps.table import sweep_table, table_csv, table_markdown

SWEEP = """
attacks = ["Own-Head", "linear-map"]
budgets = [16]

[[runs]]
method = "direct-similarity-minimisation"
set.batch_size = 8
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP, "utf-8")
    return path


def plain(config: Path) -> Path:
    """The same sweep without attacks."""
    path = config.with_name("plain.toml")
    path.write_text("\n".join(SWEEP.splitlines()[2:]), "utf-8")
    return path


def attacked_model(model: ModelSource) -> AttackedModel:
    return AttackedModel(name=model.name, reference=model.reference, fingerprint=model.fingerprint)


def share(attack: str, value: float, model: str, counts: bool = True) -> AttackRecord:
    return AttackRecord(
        model=model, attack=attack, variant="", gallery="mixed", measure="MRR", value=0.1, as_is=0.1, clean=0.0,
        compromised=1.0, share=value, left=0.0, recovered=RecoveredShare(value=value), reason=None,
        counts=counts, pairs=1, personas=1, seed=42, seconds=1.0,
    )  # fmt: skip


class Attacking:
    """Attacks whose answer is known: .25 of the leak comes back, and .9 in an attack that does not count."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []

    def __call__(self, models: Any, view: Any, attacks: Any, references: Any) -> AttacksDocument:
        [model] = models
        names = [attack.name for attack in attacks]
        self.asked.append((references.clean.name, names))
        return AttacksDocument(
            data=DataRecord(name="mini", fingerprint="d" * 64, revision=None, notice=""),
            models=[attacked_model(model)],
            references=ReferenceModels(
                clean=attacked_model(references.clean), compromised=attacked_model(references.compromised), gold=None
            ),
            attacks=[
                {"name": name, "title": name, "attacker": "", "needs": [], "counts": True} for name in names
            ],
            seed=42, thorough=False,
            records=[share("linear-map", 0.25, model.name), share("own-head", 0.9, model.name, counts=False)],
            skipped=[], controls=[], date="", attacked_by=attacking_key(),
        )  # fmt: skip


class Here:
    """An executor of this process that says what it did."""

    def __init__(self) -> None:
        self.done = 0

    def run(self, work: Any, jobs: Any) -> Any:
        for job in jobs:
            self.done += 1
            yield work(job)


@pytest.mark.usefixtures("tiny_assets")
def test_results_are_attacked_once_and_kept_ones_afterwards(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, attacking = tmp_path / "out", Attacking()
    monkeypatch.setattr(run_module.attack_runner, "run_attacks", attacking)
    [before] = run_sweep(read_sweep(plain(config)), out, Here(), lambda result: None)
    assert before.attacks == ()
    assert attacking.asked == []

    def fail(*arguments: Any) -> None:
        raise AssertionError("the run is there already")

    # The model is there: it is neither trained nor measured again.
    monkeypatch.setattr("salmu_demo.unlearning.trainer.unlearn", fail)
    monkeypatch.setattr(run_module, "evaluate", fail)
    [result] = run_sweep(read_sweep(config), out, Here(), lambda result: None)
    assert attacking.asked == [("mini-clean", ["linear-map", "own-head"])]
    assert [(r.attack, r.recovered and r.recovered.value, r.counts) for r in result.attacks] == [
        ("linear-map", 0.25, True), ("own-head", 0.9, False)
    ]  # fmt: skip
    assert result.problem == ""
    assert (result.final, result.job.key) == (before.final, before.job.key)
    again = Here()
    assert run_sweep(read_sweep(config), out, again, lambda result: None) == [result]
    assert again.done == 0
    # Other attacks are another question; so are other references.
    config.write_text(SWEEP.replace('"Own-Head", ', ""), "utf-8")
    run_sweep(read_sweep(config), out, Here(), lambda result: None)
    assert attacking.asked[1:] == [("mini-clean", ["linear-map"])]
    config.write_text(f"clean = 'mini-unlearned-finetune'\n{config.read_text('utf-8')}", "utf-8")
    run_sweep(read_sweep(config), out, Here(), lambda result: None)
    assert attacking.asked[2:] == [("mini-unlearned-finetune", ["linear-map"])]


@pytest.mark.usefixtures("tiny_assets")
def test_a_result_that_cannot_be_attacked_is_a_row_too(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise MetricError("All features are NaN.")

    monkeypatch.setattr(run_module.attack_runner, "run_attacks", fail)
    result = do_run(read_sweep(config).jobs[0], tmp_path)
    assert (result.problem, result.attacks) == ("All features are NaN.", ())
    assert result.final


def test_an_unknown_attack_gets_one_sentence(config: Path) -> None:
    config.write_text(SWEEP.replace("Own-Head", "magic"), "utf-8")
    with pytest.raises(QueryError, match="There is no attack called 'magic'"):
        read_sweep(config)


def result(seed: int, recovered: float | None, attacks: tuple[str, ...] = ("linear-map",)) -> RunResult:
    """Of a run at whose result one attack that counts brings a share back, or cannot tell, and one that does not .9."""
    job = SweepJob("m", "d", "npo", {}, "both", 640, seed, 4, EqualForgetting("RetFail", 0.5), attacks, "c")
    found, level = Measured({"RetFail": 0.1}), Measured({"RetFail": 0.4})
    half = None if recovered is None else recovered / 2
    return RunResult(
        job, 10, 2.0, found, level, 320, "", *(told(share) if attacks else () for share in (recovered, half))
    )


def told(share: float | None) -> tuple[RecordedAttack, ...]:
    recovered = None if share is None else RecoveredShare(value=share)
    counted = RecordedAttack("m", "linear-map", "mixed", "MRR", True, recovered=recovered)
    return counted, RecordedAttack("m", "tower-swap", "mixed", "MRR", False, recovered=RecoveredShare(value=0.9))


def test_the_column_says_mean_and_spread_and_is_there_only_if_something_was_attacked() -> None:
    references = {"clean": Evidence({"RetFail": 0.0}), "compromised": Evidence({"RetFail": 0.6})}
    rows = sweep_table([result(0, 0.1), result(1, 0.3), result(2, None)], references)
    assert "| 0.200 ± 0.141 |" in table_markdown(rows)
    assert "| 0.100 ± 0.071 |" in table_markdown(rows).partition("## At equal forgetting")[2]
    head, *lines = table_csv(rows).splitlines()
    place = head.split(",").index("recovered")
    assert [line.split(",")[place] for line in lines] == ["", "", "0.200000", "0.100000"]
    none = sweep_table([result(0, None)], references)
    assert "| recovered |" in table_markdown(none)
    without = sweep_table([result(0, None, ())], references)
    assert "recovered" not in table_markdown(without)
    assert "recovered" not in table_csv(without)


def test_what_attacks_bring_back_decides_the_label() -> None:
    values = {"RetFail": 0.0, "GenKnow": 0.9, "InterIdSim": 0.8, "IntraIdSim": 0.8}
    references = {
        "clean": Evidence({**values, "InterIdSim": 0.0, "IntraIdSim": 0.0}),
        "compromised": Evidence({**values, "RetFail": 0.6}),
    }
    labels = []
    for share in (0.05, 0.3):
        found = replace(result(0, share), final=Measured(dict(values)))
        labels += sweep_table([found], references)[2].diagnoses
    assert labels == ["clean pass", "hidden, not erased"]


@pytest.mark.usefixtures("tiny_assets")
def test_kept_results_that_do_not_say_what_they_were_made_from_are_taken_as_they_are(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(run_module.attack_runner, "run_attacks", Attacking())
    [before] = run_sweep(read_sweep(config), out, Here(), lambda result: None)
    folder = out / "runs" / before.job.key
    (folder / "made_from.json").unlink()
    shutil.rmtree(folder / "model")
    again = Here()
    assert run_sweep(read_sweep(config), out, again, lambda result: None) == [before]
    assert again.done == 0


def test_attacks_do_not_make_another_run_of_it() -> None:
    job = result(0, None).job
    assert replace(job, attacks=(), clean="").key == job.key
