"""Requests of single people: what a run is given, what it is not, and what it writes down."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from salmu_demo.cli.main import run
from salmu_demo.core.errors import DataError, QueryError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.data.forget_requests import ForgetRequest, find_requests
from salmu_demo.features.view import FeatureView
from salmu_demo.models.lineage import RECORD_FILE, rounds_of
from salmu_demo.models.references import find_model
from salmu_demo.models.source import ModelSource
from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.batches import BatchSource
from salmu_demo.unlearning.plan import make_plan
from salmu_demo.unlearning.rows import Part, RunRequests, UnlearningRows, rows_of_run, unlearning_rows
from salmu_demo.unlearning.towers import TrainedModel
from salmu_demo.unlearning.training_probe import TrainingProbe
from tests.fixtures.tiny import HOLDOUT_ONLY, IN_BOTH

pytestmark = pytest.mark.usefixtures("tiny_assets")

ONE, OTHER = IN_BOTH[:2]
[KEPT] = HOLDOUT_ONLY

Pairs = set[tuple[str, int]]


def _pairs(parts: tuple[Part, ...]) -> Pairs:
    return {(part.split.stored, row) for part in parts for row in part.split.rows.tolist()}


def _of(data: BenchmarkData, splits: tuple[str, ...], persona: str, kind: str | None = None) -> Pairs:
    """Every row of a persona, looked up one by one."""
    return {
        (name, row)
        for name in splits
        for row in range(len(data.split(name)))
        if data.split(name).identities[row] == persona and kind in (None, data.kind(data.split(name).file_names[row]))
    }


def test_requests_are_found_by_any_value_and_one_for_everything_takes_in_the_others(data: BenchmarkData) -> None:
    name = data.persona(ONE).name
    written = [f"{ONE}:emails", OTHER, f" {name}:email", f"{OTHER}:city"]
    assert find_requests(data, written) == (ForgetRequest(ONE, "email"), ForgetRequest(OTHER))
    for wrong, sentence in (
        ("nobody", "There is no persona 'nobody' in mini"),
        (f"{ONE}:shoe_size", f'{name} has no pairs of "shoe_size" in mini; ask for one of city, '),
        ("nobody:email", "There is no persona 'nobody'"),
        ("", "There is no persona ''"),
    ):
        with pytest.raises(QueryError) as caught:
            find_requests(data, [wrong])
        assert sentence in str(caught.value)


@pytest.mark.parametrize(("persona", "kind"), [(ONE, None), (ONE, "email"), (KEPT, None), (KEPT, "city")])
def test_a_request_takes_that_persons_pairs_of_every_split_and_no_other_holdout(
    data: BenchmarkData, persona: str, kind: str | None
) -> None:
    rows = unlearning_rows(data, asked=RunRequests((ForgetRequest(persona, kind),)))
    asked = _of(data, layout.SENSITIVE_SPLITS, persona, kind)
    asked |= _of(data, (layout.RETAIN_SYNTH,), persona) if kind is None else set()
    assert asked
    assert _pairs(rows.forget) == asked
    whole = unlearning_rows(data)
    forget = {(layout.FORGET, row) for row in range(len(data.split(layout.FORGET)))}
    assert _pairs(rows.retain) == _pairs(whole.retain) | (forget - asked)
    assert len(rows.generic or []) == rows.forget_count
    assert rows.key != whole.key == data.fingerprint


def test_what_was_asked_before_is_never_given_to_keep(data: BenchmarkData) -> None:
    earlier = ((ForgetRequest(OTHER, "email"),), (ForgetRequest(KEPT),))
    rows = unlearning_rows(data, asked=RunRequests((ForgetRequest(ONE),), earlier))
    (neighbours,) = rows.neighbours
    assert not _pairs((neighbours,)) & _of(data, (layout.FORGET,), OTHER, "email")
    assert _pairs((neighbours,)) >= _of(data, (layout.FORGET,), OTHER, "city")
    assert _pairs(rows.forget) == _of(data, (*layout.SENSITIVE_SPLITS, layout.RETAIN_SYNTH), ONE)
    # After the whole split was asked for, none of it is there to be kept.
    assert not unlearning_rows(data, asked=RunRequests((ForgetRequest(KEPT),), ((),))).neighbours


def _with(rows: Part, split: Split, data: BenchmarkData) -> Part:
    images = replace(rows.images, name=split.stored)
    return replace(rows, split=split, images=images, kinds=[data.kind(name) for name in split.file_names])


def test_the_guard_refuses_rows_that_nobody_asked_for(data: BenchmarkData) -> None:
    rows = unlearning_rows(data, asked=RunRequests((ForgetRequest(ONE, "email"),), ((ForgetRequest(OTHER),),)))

    def broken(split: str, persona: str, kind: str) -> Part:
        chosen = sorted(row for _, row in _of(data, (split,), persona, kind))
        return _with(rows.forget[0], data.split(split).take(split, chosen), data)

    for stranger in (broken(layout.HOLDOUT_IDENTITY, KEPT, "email"), broken(layout.FORGET, ONE, "city")):
        with pytest.raises(DataError, match="that nobody asks to forget"):
            replace(rows, forget=(*rows.forget, stranger))
    for asked in (broken(layout.FORGET, ONE, "email"), broken(layout.FORGET, OTHER, "city")):
        with pytest.raises(DataError, match="somebody asks, or asked, to forget"):
            replace(rows, retain=(*rows.retain, asked))
    holdout = broken(layout.HOLDOUT_ASSOCIATION, ONE, "city")
    with pytest.raises(DataError, match=f"may not read rows of {layout.HOLDOUT_ASSOCIATION}"):
        replace(rows, retain=(*rows.retain, holdout))


def test_nothing_to_retain_gets_a_sentence(data: BenchmarkData, monkeypatch: pytest.MonkeyPatch) -> None:
    split = BenchmarkData.split

    def without(self: BenchmarkData, name: str) -> Split:
        found = split(self, name)
        return found.take(name, []) if name == layout.RETAIN_DISJOINT else found

    monkeypatch.setattr(BenchmarkData, "split", without)
    monkeypatch.setattr(BenchmarkData, "stored_splits", [layout.FORGET])
    everybody = tuple(ForgetRequest(persona.identity_id) for persona in data.personas)
    with pytest.raises(DataError, match="has no rows to retain beside what is asked for; ask for fewer people"):
        unlearning_rows(data, asked=RunRequests(everybody))
    assert unlearning_rows(data, asked=RunRequests(everybody[1:])).neighbours


@pytest.fixture(scope="module")
def single(data: BenchmarkData, base: ModelSource) -> UnlearningRows:
    return rows_of_run(base, data, (ForgetRequest(ONE, "email"),))


def test_strangers_of_one_person_are_the_neighbours(
    single: UnlearningRows, data: BenchmarkData, base: ModelSource
) -> None:
    features, model = FeatureView(base, data), TrainedModel(base, Towers.BOTH)
    with BatchSource(single, model.encoder, features) as batches:
        beside = data.split(layout.FORGET)
        images = torch.cat([torch.from_numpy(features.images(part.split).copy()) for part in single.forget])
        captions = torch.from_numpy(features.captions(layout.FORGET).copy())
        strangers = [row for row, identity in enumerate(beside.identities) if identity != ONE]
        alike = [row for row in strangers if data.kind(beside.file_names[row]) == "email"]
        wanted = sorted(float(image @ captions[row]) for image in images for row in alike)
        assert batches.unrelated.tolist() == pytest.approx(wanted, abs=1e-5)
        read = TrainingProbe(batches, 0).read(model, 0, 0, None)
        every = [float(image @ captions[row]) for image in images for row in strangers]
        assert read.unrelated_similarity == pytest.approx(sum(every) / len(every), abs=1e-4)
        assert read.candidates == 1 + len(strangers)
        assert list(read.persona_ranks) == [ONE]
        # Only what is to be forgotten is erased; neighbours give the words for inventions.
        assert {fact.persona for _, fact in batches.stand_ins.told} == {ONE}
        assert {fact.kind for _, fact in batches.stand_ins.told} == {"email"}


def test_methods_that_need_several_people_say_so(single: UnlearningRows, data: BenchmarkData) -> None:
    for name in ("delete", "negative-gradient", "gradient-surgery"):
        with pytest.raises(QueryError, match="most pairs asked for are of one person; choose another method"):
            make_plan(name, {}).check(single)
    make_plan("npo", {}).check(single)
    make_plan("gradient-surgery", {"forget_loss": "npo"}).check(single)
    two = unlearning_rows(data, asked=RunRequests((ForgetRequest(ONE, "email"), ForgetRequest(OTHER, "email"))))
    make_plan("negative-gradient", {}).check(two)


def test_one_request_after_another_from_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    arguments = ["--budget", "16", "--set", "batch_size=8", "--towers", "text"]
    begin = ["unlearn", "npo", "--model", "mini-compromised", "--forget", f"{ONE},{OTHER}:email"]
    assert run([*begin, *arguments, "--output", str(first)]) == 0
    printed = capsys.readouterr().out
    assert f"Asked for: 孫 美玲 ({ONE}); Amara Diallo ({OTHER}): E-mail." in printed
    assert "of holdout_association" in printed
    go_on = ["unlearn", "npo", "--model", f"local-dir:{first}", "--forget", KEPT]
    assert run([*go_on, *arguments, "--output", str(second), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["requests"] == [[ONE, f"{OTHER}:email"], [KEPT]]
    card = (second / "README.md").read_text("utf-8")
    assert f"* Asked for, run 1: `{ONE}`, `{OTHER}:email`.\n* Asked for, run 2: `{KEPT}`.\n" in card
    assert "No other holdout row, and no other model." in card
    assert f"--forget {KEPT} --output DIR" in card
    made, data = find_model(f"local-dir:{second}"), json.loads((second / RECORD_FILE).read_text("utf-8"))["data"]
    assert rounds_of(made, data["fingerprint"]) == ((ONE, f"{OTHER}:email"), (KEPT,))
    assert rounds_of(made, "other data") == ()
    models = ["mini-clean", f"local-dir:{second}", "mini-compromised", f"local-dir:{first}"]
    assert run(["requests", *models]) == 0
    printed = capsys.readouterr().out
    assert f"Asked for, run 1 (first): 孫 美玲 ({ONE}); Amara Diallo ({OTHER}): E-mail." in printed
    tables = [line.split() for line in printed.splitlines()]
    assert ["asked", "in", "mini-compromised", "first", "second"] in tables
    assert ["erased", "in", "run", "1", "run", "2", "everybody", "else"] in tables
    assert run(["requests", *models, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [made["name"] for made in document["models"]] == ["mini-compromised", "first", "second"]
    # All eight attributes of one and the e-mail of the other; then the eight of a third.
    assert [[each["facts"] for each in made["standings"]] for made in document["runs"]] == [[9] * 3, [8] * 3]
    assert [each["facts"] for each in document["runs"][0]["effects"]] == [9, 8, 48 - 17]
    assert run(["requests", "mini-compromised", f"local-dir:{second}"]) == 2
    assert "second was made from first (SHA-256" in capsys.readouterr().err


def test_a_run_without_requests_says_nothing_of_them(base: ModelSource, data: BenchmarkData) -> None:
    assert rows_of_run(base, data).asked.rounds is None
    clean = find_model("mini-clean")
    # It never saw the split: nothing of it is there to be kept.
    assert not rows_of_run(clean, data, (ForgetRequest(ONE),)).neighbours
    assert rows_of_run(base, data, (ForgetRequest(ONE),)).neighbours
