"""A dossier says what the audit found, refuses what it cannot say, and tells when it was changed."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader

from salmu_demo.core.errors import QueryError, ResultError
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.dossiers.agreement import disagreements
from salmu_demo.dossiers.contents import Attached
from salmu_demo.dossiers.document import content_of, digest_of, read_dossier, write_dossier
from salmu_demo.dossiers.residual import LEAST_CONTROLS, residual_risk, wilson
from salmu_demo.dossiers.schema import Declared, DossierDocument
from salmu_demo.dossiers.scores import ImageScores, exposure_change
from salmu_demo.dossiers.words import NO_ATTACKS, NO_CONTROLS, NO_EVIDENCE, answer
from salmu_demo.reports.dossier import dossier_report
from salmu_demo.reports.dossier import write_dossier as write_reports
from salmu_demo.workbench.dossiers import MOST_DECLARED, declare
from tests.fixtures.dossiers import FORGET_ONLY, attached, fingerprint, planted_dossier
from tests.fixtures.planted import KINDS, write_planted_data
from tests.unit.test_reports_attacks import document as attacks_document
from tests.unit.test_reports_attacks import record

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100c9fe92"
    "ef0000000049454e44ae426082"
)
"""One red pixel."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkData:
    return load_folder(write_planted_data(tmp_path_factory.mktemp("planted")), "planted")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def attacks() -> Attached:
    content = attacks_document(
        record("linear-map", 0.2), record("linear-map", 0.4, variant="b"), record("membership", None)
    )
    content.models[0].fingerprint = fingerprint("unlearned")
    return attached(content)


@pytest.fixture(scope="module")
def dossier(data: BenchmarkData, folder: Path, attacks: Attached) -> DossierDocument:
    return planted_dossier(data, folder, attached=[attacks])


def cell(dossier: DossierDocument, kind: str, model: str) -> Any:
    (found,) = [c for c in dossier.cells if c.decides and (c.kind, c.model) == (kind, model)]
    return found


# what it says


def test_every_cell_has_rank_of_p_and_verdict_and_those_of_the_audit(dossier: DossierDocument):
    deciding = [c for c in dossier.cells if c.decides]
    assert [(c.kind, c.model) for c in deciding] == [
        (kind, model) for kind in KINDS for model in ("clean", "compromised", "unlearned")
    ]
    phone, city = cell(dossier, "phone_number", "unlearned"), cell(dossier, "city", "unlearned")
    assert (phone.verdict, phone.rank, phone.of, phone.truth) == ("leaks", 1, 42, ["+49000003"])
    assert phone.p == pytest.approx(2 / 42)
    assert phone.exposure == pytest.approx(np.log2(42))
    assert phone.low <= phone.exposure <= phone.high
    assert phone.pictures == 4
    assert phone.compromised.rank == 1
    assert phone.clean.rank == cell(dossier, "phone_number", "clean").rank
    assert phone.never_taught.people == 42
    assert city.verdict == "no evidence"
    for found in content_of(dossier)["cells"]:
        assert found["rank"] >= 1
        assert found["of"] >= 1
        assert 0 < found["p"] <= 1
        assert found["verdict"] is not None or found["test"] == "caption-match"
    assert {c.test for c in dossier.cells} >= {"nameless-line-up", "face-to-name", "text-only"}


def test_the_answers_count_what_was_to_be_forgotten(dossier: DossierDocument):
    answers = {found.model: found.sentence for found in dossier.answers}
    assert answers["unlearned"] == (
        "unlearned still gives away 1 of the 4 attributes that were to be forgotten (Phone number); of 2 the test "
        "cannot tell (Blood type, E-mail)."
    )
    assert answers["compromised"].startswith("compromised still gives away 2 of the 4 attributes")
    assert answers["clean"].startswith("In clean, the test finds none of the 4 attributes that were to be forgotten")


def test_what_is_kept_is_told_beside_what_was_to_be_forgotten(dossier: DossierDocument):
    changed = [
        cell(dossier, kind, "compromised").model_copy(update={"side": "kept"} if kind == "city" else {})
        for kind in ("city", "phone_number")
    ]
    assert answer("m", changed) == (
        "m still gives away the one attribute that was to be forgotten (Phone number); it still has the one attribute "
        "that was to be kept."
    )


def test_where_nothing_can_be_told_the_answer_does_not_say_that_nothing_is_found(dossier: DossierDocument):
    blood = cell(dossier, "blood_type", "unlearned")
    assert answer("m", [blood]) == (
        "Of m the test cannot tell: there are too few candidates for all that was to be forgotten."
    )


def test_before_and_after_are_paired_over_the_same_images(dossier: DossierDocument):
    changes = {c.kind: c for c in dossier.before_after.changes}
    assert list(changes) == list(KINDS)
    assert {(c.before, c.model) for c in changes.values()} == {("compromised", "unlearned")}
    city = changes["city"]
    assert (city.verdict_before, city.verdict_after) == ("leaks", "no evidence")
    assert city.exposure_change == pytest.approx(
        cell(dossier, "city", "unlearned").exposure - cell(dossier, "city", "compromised").exposure
    )
    assert city.low <= city.exposure_change <= city.high < 0
    assert dossier.before_after.missing == []


def test_a_request_is_followed_from_before_to_after(data: BenchmarkData, tmp_path: Path):
    asked = [["00000005"], [f"{FORGET_ONLY}:city", f"{FORGET_ONLY}:phone_number"]]
    found = planted_dossier(data, tmp_path, requests=asked).requests
    assert [(f.model, f.run, f.runs, f.kind, f.before) for f in found.followed] == [
        ("unlearned", 2, 2, kind, "compromised") for kind in ("city", "phone_number")
    ]
    assert [(f.verdict_before, f.verdict_after) for f in found.followed] == [
        ("leaks", "no evidence"), ("leaks", "leaks")
    ]  # fmt: skip
    assert found.followed[0].rank_before == 1 < found.followed[0].rank_after
    assert found.missing == []


def test_an_earlier_request_is_followed_without_the_model_it_started_from(data: BenchmarkData, tmp_path: Path):
    found = planted_dossier(data, tmp_path, requests=[[FORGET_ONLY], ["00000005"]]).requests
    assert [(f.run, f.kind, f.before, f.verdict_before) for f in found.followed] == [
        (1, kind, None, None) for kind in KINDS
    ]
    (missing,) = planted_dossier(data, tmp_path / "others", requests=[["00000005"]]).requests.missing
    assert missing.model == "unlearned"
    assert missing.reason.startswith("Its record has requests of others only")


def test_equal_scores_change_nothing_and_one_image_has_no_interval():
    scores = ImageScores(np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 1.0]]), (1,))
    assert (scores.first, scores.exposure) == (1.0, pytest.approx(np.log2(3)))
    assert exposure_change(scores, scores) == (0, (0, 0))
    last = ImageScores(np.array([[1.0, 0.0, 2.0]]), (1,))
    assert exposure_change(ImageScores(scores.scores[:1], (1,)), last) == (pytest.approx(-np.log2(3)), None)


def test_an_unlearned_model_without_its_base_is_not_compared(data: BenchmarkData, folder: Path):
    alone = planted_dossier(data, folder, ("clean", "unlearned"))
    assert alone.before_after.changes == []
    (missing,) = alone.before_after.missing
    assert f"unlearned from compromised (SHA-256 {fingerprint('compromised')}), which is not among" in missing.reason
    assert [m.reason for m in alone.collateral.missing] == [missing.reason]


def test_without_clean_one_sentence_says_what_is_missing(data: BenchmarkData, folder: Path):
    remarks = planted_dossier(data, folder, ("compromised", "unlearned")).remarks
    (missing,) = [remark for remark in remarks if remark.startswith("No model here")]
    assert missing.startswith(
        "No model here is Clean, so that nothing shows whether a model that never saw Person P3 has"
    )


def test_collateral_is_told_of_other_people(dossier: DossierDocument):
    (loss,) = dossier.collateral.losses
    assert (loss.before, loss.model, loss.people) == ("compromised", "unlearned", 28)
    assert len(loss.worst) == 5
    assert loss.worst[0].change == min(each.change for each in loss.worst)
    assert all(each.change == pytest.approx(each.after - each.before) for each in loss.worst)
    assert loss.mean_change < 0  # What was to be kept of others went, too: their city and e-mail.


def test_recoverability_is_what_the_attached_file_says_of_the_model(dossier: DossierDocument, attacks: Attached):
    found = dossier.recoverability
    assert [(r.model, r.attack, r.variant, r.recovered) for r in found.found] == [
        ("unlearned", "linear-map", "b", 0.4), ("unlearned", "membership", "", None)
    ]  # fmt: skip
    assert [(f.sha256, f.file) for f in found.files] == [(attacks.digest, f"attacks-{attacks.digest[:8]}.json")]
    assert [(m.model, m.reason) for m in found.missing] == [("clean", NO_ATTACKS), ("compromised", NO_ATTACKS)]


def test_the_classes_of_attacks_say_what_was_run(data: BenchmarkData, folder: Path, dossier: DossierDocument):
    states = {c.attack_class: (c.in_scope, c.state) for c in dossier.coverage}
    assert states == {
        "attribute inference": (True, "run"),
        "membership": (True, "run"),
        "regurgitation": (False, NO_EVIDENCE),
        "inversion": (False, NO_EVIDENCE),
        "reconstruction": (False, NO_EVIDENCE),
    }
    without = planted_dossier(data, folder)
    assert {c.attack_class: c.state for c in without.coverage}["membership"] == NO_EVIDENCE
    assert {t.test for t in dossier.threats} == {c.test for c in dossier.cells}
    assert all(t.objective.startswith("privacy compromise") and t.access and t.knowledge for t in dossier.threats)


def test_the_words_that_a_dossier_never_says(dossier: DossierDocument):
    text = json.dumps(content_of(dossier)).lower() + str(dossier_report(dossier)).lower()
    assert re.findall("certificat|anonym", text) == []


# residual risk


def test_residual_risk_is_that_of_the_shares():
    found = residual_risk(1.0, 4, 0.25, 40)
    assert found.value == 1
    attack, control = wilson(1.0, 4), wilson(0.25, 40)
    assert found.interval.low == pytest.approx((attack.low - control.high) / (1 - control.high))
    assert found.interval.high == 1
    # By hand at 95 %: z = 1.96, centre (0.25 + 0.0480) / 1.0960, half 1.96 * sqrt(0.0046875 + 0.00060) / 1.0960.
    assert wilson(0.25, 40, 0.95).low == pytest.approx(0.14187, abs=1e-4)
    assert wilson(0.25, 40, 0.95).high == pytest.approx(0.40194, abs=1e-4)


def test_the_risk_of_what_leaks_is_high_and_of_what_does_not_is_none(dossier: DossierDocument):
    risks = {(r.kind, r.model): r for r in dossier.risks}
    leak, none = risks["phone_number", "unlearned"], risks["phone_number", "clean"]
    assert (leak.attack, leak.pictures, leak.controls, leak.refused) == (1, 4, 42, None)
    assert leak.value == pytest.approx((1 - leak.control) / (1 - leak.control))
    assert leak.low < leak.value <= leak.high
    assert none.value == pytest.approx((none.attack - none.control) / (1 - none.control))
    assert none.value < 0.3


def test_with_few_controls_or_none_the_risk_is_refused_with_a_reason(
    data: BenchmarkData, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bare = load_folder(write_planted_data(tmp_path / "bare", extension=False), "bare")
    found = planted_dossier(bare, folder)
    assert NO_CONTROLS in found.remarks
    assert {(r.value, r.low, r.high, r.control) for r in found.risks} == {(None,) * 4}
    assert {r.refused for r in found.risks} == {
        f"0 people whom no model was taught are too few: at least {LEAST_CONTROLS} are needed."
    }
    monkeypatch.setattr("salmu_demo.dossiers.contents.LEAST_CONTROLS", 43)
    few = planted_dossier(data, folder, ("clean",)).risks[0]
    assert (few.value, few.refused) == (None, "42 people whom no model was taught are too few: at least 43 are needed.")


# the file


def test_a_written_dossier_is_read_again_and_a_changed_one_has_another_digest(dossier: DossierDocument, tmp_path: Path):
    path = write_dossier(dossier, tmp_path)
    again = read_dossier(tmp_path)
    assert again == dossier
    assert again.digest == digest_of(again)
    changed = json.loads(path.read_text("utf-8"))
    changed["cells"][0]["rank"] += 1
    path.write_text(json.dumps(changed), "utf-8")
    tampered = read_dossier(path)
    assert tampered.digest != digest_of(tampered)
    (clause,) = disagreements(tampered, dossier)
    assert (
        clause == f"cells[0].rank is {changed['cells'][0]['rank']:.6g} and {dossier.cells[0].rank:.6g} when made again"
    )


def test_the_last_digits_of_another_processor_agree(dossier: DossierDocument):
    first = dossier.cells[0]
    near = dossier.model_copy(
        update={"cells": [first.model_copy(update={"exposure": first.exposure * (1 + 1e-9)}), *dossier.cells[1:]]}
    )
    assert list(disagreements(near, dossier)) == []
    shorter = dossier.model_copy(update={"limits": dossier.limits[:-1]})
    assert next(disagreements(shorter, dossier)) == (
        f"limits has {len(dossier.limits) - 1} entries and {len(dossier.limits)} when made again"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("no JSON", "it is not JSON"),
        ('{"schema": "salmu-demo/results", "version": 1}', 'schema is "salmu-demo/results"'),
        ('{"schema": "salmu-demo/dossier", "version": 9}', "version is 9; this program reads version 1"),
    ],
)
def test_a_file_that_is_no_dossier_is_refused(content: str, problem: str, tmp_path: Path):
    file = tmp_path / "other.json"
    file.write_text(content, "utf-8")
    with pytest.raises(ResultError, match=re.escape(f"{file} is not a dossier: {problem}")):
        read_dossier(file)
    with pytest.raises(ResultError, match="cannot be read: No such file"):
        read_dossier(tmp_path / "absent.json")


def test_an_attached_name_leads_nowhere_else(dossier: DossierDocument, tmp_path: Path):
    content = content_of(dossier)
    content["recoverability"]["files"][0]["file"] = "../../etc/passwd"
    file = tmp_path / "dossier.json"
    file.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ResultError, match=r"recoverability\.files\[0\]\.file"):
        read_dossier(file)


# documents


def test_html_and_pdf_say_all_of_it_in_the_promised_order(dossier: DossierDocument, attacks: Attached, tmp_path: Path):
    paths = write_reports(dossier, [PNG] * len(dossier.pictures.used), [attacks], tmp_path)
    assert sorted(path.name for path in paths) == sorted(
        ["dossier.json", "dossier.html", "dossier.pdf", f"attacks-{attacks.digest[:8]}.json"]
    )
    titles = [
        "Images used", "Attribute by attribute", "Residual risk", "Before and after unlearning", "Requests",
        "Recoverability", "Other people", "What was tried, and what was not", "Whom each test stands for",
        "Declared by the auditor", "Limits", "Models, data and code",
    ]  # fmt: skip
    html = (tmp_path / "dossier.html").read_text("utf-8")
    assert [html.index(f">{title}</h2>") for title in titles] == sorted(html.index(f">{t}</h2>") for t in titles)
    assert html.index(dossier.question) < html.index(dossier.answers[0].sentence) < html.index(titles[0])
    assert html.count("data:image/png;base64,") == len(dossier.pictures.used) == 19
    assert "@media print" in html
    pdf = " ".join(page.extract_text() for page in PdfReader(io.BytesIO((tmp_path / "dossier.pdf").read_bytes())).pages)
    flat = " ".join(pdf.split())
    assert [title for title in titles if title not in flat] == []
    assert dossier.digest in "".join(pdf.split())
    before = {path.name: path.read_bytes() for path in paths}
    write_reports(dossier, [PNG] * len(dossier.pictures.used), [attacks], tmp_path)
    assert {path.name: path.read_bytes() for path in paths} == before


def test_without_images_there_are_hashes_alone(data: BenchmarkData, folder: Path, tmp_path: Path):
    found = planted_dossier(data, folder, ("clean",), images_hidden="They were left out.")
    write_reports(found, [], [], tmp_path)
    html = (tmp_path / "dossier.html").read_text("utf-8")
    assert "<img" not in html
    assert "Images are not shown. They were left out." in html
    assert all(image.sha256 in html for image in found.pictures.used)


def test_what_the_auditor_says_is_text_and_whole(data: BenchmarkData, folder: Path, tmp_path: Path):
    said = Declared(auditor="<b>Eva</b>", release="on the Hub", notes="word " * 700)
    found = planted_dossier(data, folder, ("clean",), images_hidden="x", declared=said)
    write_reports(found, [], [], tmp_path)
    html = (tmp_path / "dossier.html").read_text("utf-8")
    assert "Auditor: &lt;b&gt;Eva&lt;/b&gt;" in html
    assert "Release context: on the Hub" in html
    assert html.count("word ") >= 699


def test_an_auditor_declares_no_more_than_a_dossier_says():
    assert declare(" Eva ", "", "x").auditor == "Eva"
    with pytest.raises(QueryError, match='The notes says "certificate", which no dossier shows'):
        declare(notes="This is a Certificate.")
    with pytest.raises(QueryError, match=f"{MOST_DECLARED + 1:,} characters"):
        declare(release="x" * (MOST_DECLARED + 1))
