"""What attacks recovered, beside what was measured: matched, joined, kept in results.json and told by the diagnosis."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from salmu_demo.attacks.schema import (
    AttackedModel,
    AttackFacts,
    AttackRecord,
    AttacksDocument,
    ControlRecord,
    RecoveredShare,
    SkippedAttack,
)
from salmu_demo.core.errors import ResultError
from salmu_demo.data import layout
from salmu_demo.data.record import DataRecord
from salmu_demo.results.analysis import analyse
from salmu_demo.results.attacked import joined, with_attacks
from salmu_demo.results.document import read_results, write_results
from salmu_demo.results.evidence import Evidence, ForgetGroup
from salmu_demo.results.questions import Answer
from salmu_demo.results.records import MeasuredModel, RecordedAttack
from tests.fixtures.results import NAMES, evaluations, with_some_kept
from tests.unit.test_reports_attacks import document, record

FORGETFUL: Final = AttackedModel(name=NAMES[2], reference=NAMES[2], fingerprint=f"{2:064d}")


def found(*records: AttackRecord, models: Sequence[AttackedModel] = (FORGETFUL,), **changed: Any) -> AttacksDocument:
    """What attacks found in the third of the invented models."""
    return document(*records).model_copy(update={"models": list(models), **changed})


def share(attack: str, value: float | None, **changed: Any) -> AttackRecord:
    return record(attack, value, **{"model": NAMES[2], **changed})


def test_records_go_to_the_model_whose_fingerprint_they_name():
    other = replace(evaluations()[2], model=replace(evaluations()[2].model, fingerprint="9" * 64))
    evaluated = [*evaluations(), other]
    told = with_attacks(evaluated, found(share("linear-map", 0.25), share("own-head", 0.5, model="another")))
    assert [len(evaluation.attacks) for evaluation in told] == [0, 0, 1, 0]
    assert told[2].attacks[0] == RecordedAttack(
        NAMES[2], "linear-map", "mixed", "MRR", True, "", 0.3, 0.1, 0.0, 0.6,
        RecoveredShare(value=0.25, low=0.2, high=0.3), None, 42, 1.5,
    )  # fmt: skip


def test_a_model_without_a_fingerprint_is_recognised_by_its_name():
    foreign = replace(evaluations()[2], model=MeasuredModel(NAMES[2], NAMES[2]))
    (told,) = with_attacks([foreign], found(share("linear-map", 0.25)))
    assert len(told.attacks) == 1


def test_a_model_without_a_fingerprint_and_name_of_its_own_is_recognised_by_its_reference():
    foreign = replace(evaluations()[2], model=MeasuredModel(NAMES[2], "Ours"))
    other = replace(evaluations()[2], model=MeasuredModel("elsewhere", "Theirs"))
    told = with_attacks([foreign, other], found(share("linear-map", 0.25)))
    assert [len(evaluation.attacks) for evaluation in told] == [1, 0]


def test_a_later_file_takes_the_place_of_an_earlier_one_for_its_models_alone():
    first = AttackedModel(name=NAMES[0], reference=NAMES[0], fingerprint=f"{0:064d}")
    both = with_attacks(
        evaluations(), found(share("a", 0.1), share("b", 0.2, model=NAMES[0]), models=[FORGETFUL, first])
    )
    again = with_attacks(both, found(share("c", 0.3)))
    assert [[r.attack for r in evaluation.attacks] for evaluation in again] == [["b"], [], ["c"]]


def test_attacks_on_other_models_or_other_data_are_refused():
    elsewhere = AttackedModel(name="elsewhere", reference="elsewhere", fingerprint="e" * 64)
    with pytest.raises(ResultError, match="were run on elsewhere, and on none of the evaluated models"):
        with_attacks(evaluations(), found(models=[elsewhere]))
    other = DataRecord(name="other", fingerprint="0" * 64, revision=None, notice="")
    with pytest.raises(ResultError, match="were run on other and not on the data that was measured, mini"):
        with_attacks(evaluations(), found(share("a", 0.1), data=other))


def test_two_runs_stand_together_and_the_later_one_counts_of_the_same_attack():
    def of(*names: str) -> list[AttackFacts]:
        return [AttackFacts(name=name, title=name, attacker="", needs=[], counts=True) for name in names]

    def control(attack: str, value: float) -> ControlRecord:
        return ControlRecord(attack=attack, variant="", control="copy", expected=1.0, share=value)

    def skipped(attack: str) -> SkippedAttack:
        return SkippedAttack(model=NAMES[2], attack=attack, reason="why")

    earlier = found(
        share("a", 0.1), share("b", 0.2), attacks=of("a", "b"), skipped=[skipped("c")], controls=[control("a", 0.9),
        control("b", 0.8)],
    )  # fmt: skip
    later = found(share("b", 0.3), attacks=of("b", "c"), skipped=[skipped("c")], controls=[control("b", 1.0)], date="x")
    both = joined(earlier, later)
    assert [(r.attack, r.recovered and r.recovered.value) for r in both.records] == [("a", 0.1), ("b", 0.3)]
    assert [attack.name for attack in both.attacks] == ["a", "b", "c"]
    assert (both.skipped, both.models, both.date) == ([skipped("c")], [FORGETFUL], "x")
    assert [(c.attack, c.share) for c in both.controls] == [("a", 0.9), ("b", 1.0)]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 7}, {"thorough": True}, {"attacked_by": "other code"},
        {"models": [FORGETFUL.model_copy(update={"fingerprint": "9" * 64})]},
    ],
)  # fmt: skip
def test_runs_that_cannot_be_compared_do_not_stand_together(change: dict[str, Any]):
    later = found(share("b", 0.3))
    assert joined(found(share("a", 0.1), **change), later) is later


def test_attacks_are_kept_in_the_results_and_diagnosed_again(tmp_path: Path):
    analysis = analyse(with_attacks(evaluations(), found(share("linear-map", 0.44))))
    question = analysis.models[2].diagnosis.questions[3]
    assert (question.answer, question.deciding.value) == (Answer.NO, 0.44)
    write_results(analysis, tmp_path)
    again = analyse(read_results(tmp_path / "results.json"))
    assert again.models[2].diagnosis == analysis.models[2].diagnosis
    part = json.loads((tmp_path / "results.json").read_text("utf-8"))["analysis"]["models"][2]["diagnosis"]
    assert [q["answer"] for q in part["questions"]] == [q.answer for q in analysis.models[2].diagnosis.questions]
    assert part["questions"][3]["sentence"] == (
        "44.0 % of the leak comes back by linear-map (mixed, MRR) (interval 39.0 to 49.0 %, less than 10 % wanted)."
    )


def test_the_forget_metrics_are_told_by_what_else_is_kept_of_a_person():
    analysis = analyse([with_some_kept(one) for one in evaluations()])
    model = analysis.models[2]
    people = np.array(model.evaluation.identities("AssocStr"))
    scores = model.evaluation.results["AssocStr"].scores
    alone = np.isin(people, ["00000001", "00000002"])
    sides = model.by_side["AssocStr"]
    assert (sides[ForgetGroup.NOTHING_KEPT].people, sides[ForgetGroup.BOTH].people) == (2, 4)
    assert sides[ForgetGroup.NOTHING_KEPT].mean == pytest.approx(scores[alone].mean())
    assert sides[ForgetGroup.BOTH].mean == pytest.approx(scores[~alone].mean())
    # Two people: resamples are either of them or both.
    ends = sorted(scores[people == person].mean() for person in ("00000001", "00000002"))
    assert (
        sides[ForgetGroup.NOTHING_KEPT].interval.low,
        sides[ForgetGroup.NOTHING_KEPT].interval.high,
    ) == pytest.approx(ends)
    assert "InterIdSim" not in model.by_side
    assert model.diagnosis.questions[0].criteria[0].measure == f"RetFail, {ForgetGroup.NOTHING_KEPT}"


def test_images_of_a_class_are_drawn_together():
    one = evaluations()[0]
    rows = one.rows[layout.GENKNOW_SPLIT]
    texts = ["hen" if number % 2 else "kite" for number in range(len(rows))]
    one = replace(one, rows={**one.rows, layout.GENKNOW_SPLIT: replace(rows, texts=texts)})
    found = Evidence.of(one).clusters["GenKnow"]
    scores = one.results["GenKnow"].scores
    assert found.names == ("kite", "hen")
    assert found.sums == pytest.approx([scores[::2].sum(), scores[1::2].sum()])
    interval = analyse([one]).models[0].intervals["GenKnow"]
    assert (interval.low, interval.high) == pytest.approx(sorted((scores[::2].mean(), scores[1::2].mean())))
