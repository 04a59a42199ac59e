"""What is kept of measurements that take long: Gold under every attack, and trials of methods in the docs."""

from pathlib import Path

import pytest

from salmu_demo.attacks.base import all_attacks
from salmu_demo.attacks.document import read_attacks
from salmu_demo.core.documents import read_model
from salmu_demo.core.errors import SweepError
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD
from salmu_demo.results.attacked import records_of
from salmu_demo.results.diagnosis import diagnose
from salmu_demo.results.questions import Answer, Label
from salmu_demo.sweeps.run import REFERENCES_FILE, RESULT_FILE, RunResult, SweepReferences
from salmu_demo.sweeps.table import sweep_table

ROOT = Path(__file__).parents[2]
SWEEPS = ROOT / "benchmarks" / "sweeps"
TRIALS = SWEEPS / "mini-trials"


@pytest.fixture(scope="module")
def references() -> SweepReferences:
    return read_model(TRIALS / REFERENCES_FILE, SweepReferences, SweepError, "The references")


def kept(sweep: Path) -> list[RunResult]:
    return [
        read_model(path, RunResult, SweepError, "The result") for path in sorted(sweep.glob(f"runs/*/{RESULT_FILE}"))
    ]


def test_gold_passes_all_five_questions_under_every_attack_that_counts(references: SweepReferences) -> None:
    found = read_attacks(ROOT / "benchmarks" / "attacks" / "mini-gold")
    assert {attack.name for attack in found.attacks} == {attack.name for attack in all_attacks() if attack.counts}
    gold = references.measured[GOLD].evidence(records_of(found))
    known = references.evidence
    diagnosis = diagnose(gold, known[CLEAN], known[COMPROMISED], gold)
    assert diagnosis.label is Label.PASS
    assert [question.answer for question in diagnosis.questions] == [Answer.YES] * 5
    # Each answer has its interval, and none of those that count is missing for want of an attack.
    assert all(criterion.interval for question in diagnosis.questions for criterion in question.measured)
    assert len(diagnosis.questions[3].measured) > 60
    assert {c.measure for c in diagnosis.questions[4].measured if c.measure.startswith("membership")} == {
        "membership (kept pairs, TPR at 1% FPR)", "membership (unseen images, TPR at 1% FPR)",
        "membership (unseen images, TPR at 1% FPR, from below)",
    }  # fmt: skip


def test_the_table_of_trials_in_the_docs_is_that_of_what_is_kept(references: SweepReferences) -> None:
    results = kept(TRIALS)
    page = (ROOT / "docs" / "unlearning.md").read_text("utf-8")
    rows = [row for row in sweep_table(results, references.evidence) if row.compared_at == "budget"]
    assert len(rows) == len(results) > 1
    for row in rows:
        metrics = [f"{row.metrics[name].mean:.3f}" for name in ("RetFail", "GenKnow")]
        shares = [f"{share:.1%}".replace("%", " %").replace("-", "\N{MINUS SIGN}") for share in row.criteria]
        assert row.recovered is not None
        cells = [row.variant, *metrics, *shares, f"{row.recovered.mean:.3f}", row.diagnosis]
        assert f"| {' | '.join(cells)} |" in page


def test_what_the_docs_say_of_the_best_method_with_other_seeds_is_what_is_kept(references: SweepReferences) -> None:
    results = kept(SWEEPS / "mini-best")
    [row] = [row for row in sweep_table(results, references.evidence) if row.compared_at == "budget"]
    assert row.seeds == (len(results), len(results))
    measured = [f"{one.mean:.3f} ± {one.deviation:.3f}" for one in (row.metrics["RetFail"], row.metrics["GenKnow"])]
    shares = [f"{share:.1%}".replace("%", " %") for share in row.criteria]
    assert row.recovered is not None
    recovered = f"{row.recovered.mean:.3f} ± {row.recovered.deviation:.3f}"
    cells = ["redirect, 25,600 pairs", str(len(results)), *measured, *shares, recovered, row.diagnosis]
    assert f"| {' | '.join(cells)} |" in (ROOT / "docs" / "unlearning.md").read_text("utf-8")
