"""What attacks recovered, beside what was measured: read, matched, kept in results.json and told by the diagnosis."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from salmu_demo.core.errors import ResultError
from salmu_demo.data import layout
from salmu_demo.results.analysis import analyse
from salmu_demo.results.attacked import read_attacks, with_attacks
from salmu_demo.results.document import read_results, write_results
from salmu_demo.results.evidence import Evidence, Side
from salmu_demo.results.questions import Answer
from salmu_demo.results.records import AttackRecord, Recovered
from tests.fixtures.results import NAMES, evaluations, with_some_kept

RECORD: dict[str, Any] = {
    "model": NAMES[2], "attack": "linear-map", "variant": "", "gallery": "mixed", "measure": "MRR", "value": 0.4,
    "as_is": 0.1, "clean": 0.01, "compromised": 0.7, "share": 0.57, "left": 0.13,
    "recovered": {"value": 0.44, "low": 0.4, "high": None}, "reason": None, "counts": True, "pairs": 9, "personas": 3,
    "seed": 1, "seconds": 2.5,
}  # fmt: skip


def written(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "attacks.json"
    path.write_text(json.dumps({"schema": "salmu-demo/attacks", "records": records}), "utf-8")
    return path


def test_records_are_read_with_what_a_diagnosis_needs(tmp_path: Path):
    (found,) = read_attacks(written(tmp_path, RECORD))
    assert found == AttackRecord(
        NAMES[2], "linear-map", "mixed", "MRR", True, "", 0.4, 0.1, 0.01, 0.7, Recovered(0.44, 0.4), None, 1, 2.5
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"attack": 3}, r"records\[0\].attack is 3"),
        ({"counts": "yes"}, r"records\[0\].counts"),
        ({"recovered": {"low": 0.1}}, r"records\[0\].recovered"),
    ],
)
def test_records_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, Any], sentence: str):
    with pytest.raises(ResultError, match=sentence):
        read_attacks(written(tmp_path, RECORD | change))


def test_records_go_to_their_model_and_those_of_no_model_are_refused(tmp_path: Path):
    records = read_attacks(written(tmp_path, RECORD))
    found = with_attacks(evaluations(), records)
    assert [evaluation.attacks for evaluation in found] == [(), (), tuple(records)]
    with pytest.raises(ResultError, match="about other models, such as elsewhere;"):
        with_attacks(evaluations(), [replace(records[0], model="elsewhere")])
    assert [evaluation.attacks for evaluation in with_attacks(evaluations(), [])] == [(), (), ()]


def test_attacks_are_kept_in_the_results_and_diagnosed_again(tmp_path: Path):
    records = read_attacks(written(tmp_path, RECORD))
    analysis = analyse(with_attacks(evaluations(), records))
    question = analysis.models[2].diagnosis.questions[3]
    assert (question.answer, question.deciding.value) == (Answer.NO, 0.44)
    write_results(analysis, tmp_path)
    again = analyse(read_results(tmp_path / "results.json"))
    assert again.models[2].diagnosis == analysis.models[2].diagnosis
    part = json.loads((tmp_path / "results.json").read_text("utf-8"))["analysis"]["models"][2]["diagnosis"]
    assert [q["answer"] for q in part["questions"]] == [q.answer for q in analysis.models[2].diagnosis.questions]
    assert part["questions"][3]["sentence"] == (
        "44.0 % of the leak comes back by linear-map (mixed, MRR) (less than 10 % wanted)."
    )


def test_the_forget_metrics_are_told_by_what_else_is_kept_of_a_person():
    analysis = analyse([with_some_kept(one) for one in evaluations()])
    model = analysis.models[2]
    people = np.array(model.evaluation.identities("AssocStr"))
    scores = model.evaluation.results["AssocStr"].scores
    alone = np.isin(people, ["00000001", "00000002"])
    sides = model.by_side["AssocStr"]
    assert (sides[Side.NOTHING_KEPT].people, sides[Side.BOTH].people) == (2, 4)
    assert sides[Side.NOTHING_KEPT].mean == pytest.approx(scores[alone].mean())
    assert sides[Side.BOTH].mean == pytest.approx(scores[~alone].mean())
    # Two people: resamples are either of them or both.
    ends = sorted(scores[people == person].mean() for person in ("00000001", "00000002"))
    assert (sides[Side.NOTHING_KEPT].interval.low, sides[Side.NOTHING_KEPT].interval.high) == pytest.approx(ends)
    assert "InterIdSim" not in model.by_side
    assert model.diagnosis.questions[0].criteria[0].measure == f"RetFail, {Side.NOTHING_KEPT}"


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
