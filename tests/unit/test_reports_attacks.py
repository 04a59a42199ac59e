"""What is said of attacks: the most that came back, lines with intervals and controls, and files to take away."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from salmu_demo.attacks.document import read_attacks
from salmu_demo.attacks.schema import (
    AttackedModel,
    AttackFacts,
    AttackRecord,
    AttacksDocument,
    ControlRecord,
    RecoveredShare,
    ReferenceModels,
    SkippedAttack,
)
from salmu_demo.attacks.summary import attackers_choice, most_recovered
from salmu_demo.data.record import DataRecord
from salmu_demo.reports.attacks import (
    attack_report,
    attack_section,
    attacks_csv,
    recovered_cells,
    under_names,
    write_attack_reports,
)
from salmu_demo.reports.report import Table


def record(attack: str, share: float | None, **changed: Any) -> AttackRecord:
    """A record of the model `m`, of which the attack recovers a share, or None if it cannot tell."""
    fields: dict[str, Any] = {
        "model": "m", "attack": attack, "variant": "", "gallery": "mixed", "measure": "MRR", "value": 0.3,
        "as_is": 0.1, "clean": 0.0, "compromised": 0.6, "share": None, "left": None,
        "recovered": None if share is None else RecoveredShare(value=share, low=share - 0.05, high=share + 0.05),
        "reason": None if share is not None else "Cannot tell here.", "counts": True, "pairs": 9, "personas": 3,
        "seed": 42, "seconds": 1.5,
    }  # fmt: skip
    return AttackRecord(**{**fields, **changed})


def document(*records: AttackRecord) -> AttacksDocument:
    models = [AttackedModel(name=name, reference=name, fingerprint="f" * 64) for name in ("m", "=1+1|n")]
    clean = AttackedModel(name="mini-clean", reference="mini-clean", fingerprint="c" * 64)
    return AttacksDocument(
        data=DataRecord(name="mini", fingerprint="d" * 64, revision=None, notice="A miniature."),
        models=models,
        references=ReferenceModels(clean=clean, compromised=None, gold=None),
        attacks=[AttackFacts(name="a", title="An attack", attacker="Has it.", needs=["the weights"], counts=True)],
        seed=42,
        thorough=False,
        records=list(records),
        skipped=[SkippedAttack(model="m", attack="b", reason="b is skipped: it needs more.")],
        controls=[ControlRecord(attack="a", variant="", control="hidden", expected=1.0, share=0.98)],
        date="2026-01-01T00:00:00+00:00",
        attacked_by="key",
    )


FOUND = document(
    record("linear-map", 0.2, variant="retain rows"),
    record("linear-map", 0.4, variant="with holdout"),
    record("own-head", None),
    record("tower-swap", 0.9, counts=False),
    record("membership", 0.1, gallery="kept pairs", measure="AUC", value=0.75, as_is=None, clean=0.5),
    record(
        "membership",
        None,
        gallery="unseen images",
        measure="TPR at 1% FPR, from below",
        value=0.05,
        low=0.02,
        high=0.09,
    ),
    record("relearning", 0.3, model="=1+1|n"),
)


def tables() -> dict[str, Table]:
    blocks = attack_section(FOUND).blocks
    return {block.caption.split(":")[0].split(" brings")[0]: block for block in blocks if isinstance(block, Table)}


def test_attacked_models_are_called_as_in_the_tables_beside_them():
    models = [model.model_copy(update={"fingerprint": f"{n}" * 64}) for n, model in enumerate(FOUND.models)]
    shown = under_names(FOUND.model_copy(update={"models": models}), {"0" * 64: "Ours", "9" * 64: "Nobody's"})
    assert [model.name for model in shown.models] == ["Ours", "=1+1|n"]
    assert [found.model for found in shown.records] == [found.model.replace("m", "Ours") for found in FOUND.records]
    assert [skipped.model for skipped in shown.skipped] == ["Ours"]
    assert FOUND.models[0].name == "m"


def test_the_attacker_chooses_the_form_that_recovers_most():
    chosen = attackers_choice([found for found in FOUND.records if found.model == "m"])
    assert [(found.attack, found.variant) for found in chosen] == [
        ("linear-map", "with holdout"), ("own-head", ""), ("tower-swap", ""), ("membership", ""), ("membership", ""),
    ]  # fmt: skip
    # A form that can tell stands before one that cannot, whichever comes first.
    cannot, can = record("a", None, variant="x"), record("a", -0.2, variant="y")
    assert attackers_choice([cannot, can]) == attackers_choice([can, cannot]) == [can]


def test_the_most_that_counts():
    most = most_recovered(FOUND, "m")
    assert most is not None
    assert (most.attack, most.variant) == ("linear-map", "with holdout")
    assert most_recovered(FOUND, "another") is None
    assert most_recovered(document(record("own-head", None), record("tower-swap", 0.9, counts=False)), "m") is None


def test_shares_are_shown_with_their_intervals_or_with_why_not():
    assert recovered_cells(record("a", 0.25)) == ("25.0 %", "20.0 % to 30.0 %")
    single = record("a", 0.25, recovered=RecoveredShare(value=0.25))
    assert recovered_cells(single) == ("25.0 %", "–")
    assert recovered_cells(record("a", None)) == ("cannot tell here", "–")
    assert recovered_cells(record("a", None, clean=None)) == ("–", "–")


def test_the_section_says_what_came_back_beside_the_controls():
    found = tables()
    most = found["The most that any attack that counts"]
    assert most.rows[0] == ("m", "linear-map · with holdout", "mixed, MRR", "40.0 %", "35.0 % to 45.0 %")
    of_model = found["m"].rows
    assert of_model[0] == (
        "linear-map", "with holdout", "mixed, MRR", "0.1000", "0.3000", "0.0000", "0.6000", "40.0 %", "35.0 % to 45.0 %"
    )  # fmt: skip
    assert [row[0] for row in of_model] == [
        "linear-map", "own-head", "tower-swap (not counted)", "membership", "membership",
    ]  # fmt: skip
    texts = [block for block in attack_section(FOUND).blocks if isinstance(block, str)]
    assert found["Who was to be forgotten"].rows == (
        # AUC .75 against Clean's .5: (.5 - .75) / (1 - .5).
        ("m", "kept pairs", "−50.0 %", "–", "–", "–", "–"),
        ("m", "unseen images", "–", "–", "–", "5.0 %", "2.0 % to 9.0 %"),
    )
    assert "m: b is skipped: it needs more." in texts
    controls = found["The attacks where the answer is known"]
    assert controls.rows == (("a", "", "hidden", "0.9800", "1"),)


def test_a_model_that_no_attack_can_tell_about_is_said_to_be_so():
    blocks = attack_section(document(record("own-head", None))).blocks
    most = next(block for block in blocks if isinstance(block, Table))
    assert most.rows[0][1] == "cannot tell here"


def test_every_record_is_a_line_of_the_csv_and_no_cell_starts_a_formula():
    lines = list(csv.DictReader(io.StringIO(attacks_csv(FOUND))))
    assert len(lines) == len(FOUND.records)
    assert (lines[1]["variant"], lines[1]["recovered"], lines[1]["interval_low"]) == (
        "with holdout", "0.400000", "0.350000"
    )  # fmt: skip
    assert (lines[2]["recovered"], lines[2]["reason"], lines[3]["counts"]) == ("", "Cannot tell here.", "no")
    assert not lines[5]["model"].startswith("=")
    assert {line["notice"] for line in lines} == {"A miniature."}


def test_the_files_say_the_same_and_are_the_same_again(tmp_path: Path):
    first, again = (write_attack_reports(FOUND, tmp_path / name) for name in ("first", "again"))
    assert [path.name for path in first] == [
        "attacks.json", "attacks.csv", "attacks.md", "attacks.html", "attacks.pdf",
    ]  # fmt: skip
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert read_attacks(tmp_path / "first") == FOUND
    markdown, html = (first[place].read_text("utf-8") for place in (2, 3))
    assert "A miniature." in html
    assert "40.0 %" in html
    assert "=1+1\\|n" in markdown
    assert attack_report(FOUND).title.startswith("What attacks bring back of what m and =1+1|n forgot")


@pytest.mark.parametrize("missing", ["attacks.json"])
def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path, missing: str):
    with pytest.raises(Exception, match=rf"The file of attacks .*{missing} cannot be read"):
        read_attacks(tmp_path)
