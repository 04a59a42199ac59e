"""Attacks as they are run: on several models, again after an end, without what they need, and by the command line."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import salmu_demo
from salmu_demo.attacks.base import Attack, AttackerNeed, AttackReading, choose_attacks
from salmu_demo.attacks.document import read_attacks
from salmu_demo.attacks.fitting import RETAIN
from salmu_demo.attacks.runner import AttackReferences, run_attacks
from salmu_demo.attacks.schema import TPR, AttacksDocument
from salmu_demo.attacks.target import Target
from salmu_demo.cli.root import run
from salmu_demo.core.errors import ResultError
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.models.references import find_model
from salmu_demo.workbench.bench import Workbench

UNLEARNED = "mini-unlearned-finetune"


class StoppedError(Exception):
    """What ends a run."""


class Counted(Attack):
    """An attack that counts its runs and reads what it is given."""

    name = "counted"
    title = "Counted"
    attacker = "Looks."
    source = "None"

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.stops_at: str | None = None

    def run(self, target: Target) -> Iterable[AttackReading]:
        if target.name == self.stops_at:
            raise StoppedError
        self.runs.append(target.name)
        return target.readings(target.features)


@pytest.fixture
def bench(tiny_assets: Path, tmp_path: Path) -> Workbench:
    """A workbench that remembers no finished attack."""
    return Workbench("mini", Embedder(ArrayStore(tmp_path / "cache")))


def attacked(bench: Workbench, *attacks: Attack, references: AttackReferences | None = None) -> AttacksDocument:
    models = [find_model(name) for name in (UNLEARNED, "mini-compromised")]
    if references is None:
        references = AttackReferences(find_model("mini-clean"), find_model("mini-compromised"))
    return run_attacks(models, bench.view, attacks, references)


def numbers(document: AttacksDocument) -> list[dict[str, Any]]:
    """All that a run found, but for the time it took."""
    return [record.model_dump(exclude={"seconds"}) for record in document.records]


def test_every_model_is_attacked_once_and_a_killed_run_goes_on(bench: Workbench):
    attack = Counted()
    attack.stops_at = "mini-compromised"
    with pytest.raises(StoppedError):
        attacked(bench, attack)
    assert attack.runs == [UNLEARNED, "mini-clean"]
    attack.stops_at = None
    first = attacked(bench, attack)
    # What was finished is not run again; of each model what others ask for is the same run.
    assert attack.runs[:3] == [UNLEARNED, "mini-clean", "mini-compromised"]
    again = attacked(bench, attack)
    assert numbers(again) == numbers(first)
    assert again.records == first.records
    assert {record.model for record in first.records} == {UNLEARNED, "mini-compromised"}
    fresh = Workbench("mini", Embedder(ArrayStore(bench.embedder.store.root / "other")))
    assert numbers(attacked(fresh, Counted())) == numbers(first)


def test_other_references_seeds_and_damage_make_it_run_again(bench: Workbench):
    attack = Counted()
    model, view = find_model(UNLEARNED), bench.view
    clean = AttackReferences(clean=find_model("mini-clean"))
    run_attacks([model], view, [attack], clean)
    assert attack.runs == [UNLEARNED, "mini-clean"]
    run_attacks([model], view, [attack], clean, seed=7)
    run_attacks([model], view, [attack], replace(clean, gold=find_model("mini-compromised")))
    assert attack.runs == [UNLEARNED, "mini-clean"] * 3
    (kept,) = (path for path in bench.embedder.store.root.rglob("counted.npz") if model.fingerprint[:32] in str(path))
    kept.write_bytes(kept.read_bytes()[:100])
    run_attacks([model], view, [attack], replace(clean, gold=find_model("mini-compromised")))
    assert attack.runs[6:] == [UNLEARNED]


def test_a_copy_of_compromised_has_a_share_of_1_wherever_the_controls_tell(bench: Workbench):
    found = attacked(bench, Counted())
    told = [record for record in found.records if record.model == "mini-compromised" and record.share is not None]
    assert [record.share for record in told] == [1.0] * len(told)
    assert all((record.recovered is None) is (record.reason is not None) for record in found.records)


def test_without_an_original_some_are_skipped_by_name_and_the_others_run(bench: Workbench):
    found = attacked(bench, *choose_attacks(["linear-map", "own-head", "depth"]), references=AttackReferences())
    assert [(skipped.model, skipped.attack) for skipped in found.skipped] == [
        (UNLEARNED, "linear-map"), (UNLEARNED, "depth"), ("mini-compromised", "linear-map"),
        ("mini-compromised", "depth"),
    ]  # fmt: skip
    assert found.skipped[0].reason == (
        "linear-map is skipped: it needs the original model, and none is given; name it with --compromised."
    )
    assert {record.attack for record in found.records} == {"own-head"}
    assert {record.reason for record in found.records} == {"No Clean and no Compromised to compare with."}
    assert found.controls == []


def test_without_a_retain_model_or_the_extension_the_reason_is_given(bench: Workbench):
    class Unseen(Counted):
        name = "unseen"
        needs = frozenset({AttackerNeed.EXTENSION})

    original = AttackReferences(compromised=find_model("mini-compromised"))
    found = attacked(bench, *choose_attacks(["depth"]), Unseen(), references=original)
    assert [skipped.reason for skipped in found.skipped[:2]] == [
        "depth is skipped: it needs a model that never saw the pairs, and none is given; name it with --gold or "
        "--clean.",
        "unseen is skipped: it needs images that no model was trained on, and mini has none.",
    ]


def test_what_an_attack_leaves_out_is_said_beside_what_it_found(bench: Workbench):
    found = attacked(bench, *choose_attacks(["membership"]))
    assert [skipped.reason for skipped in found.skipped] == [
        "membership is run in part: mini has no unseen images to compare with."
    ] * 2
    assert {record.gallery for record in found.records} == {"kept pairs"}


def test_the_rate_of_members_has_an_interval_which_is_kept_and_which_older_files_lack(bench: Workbench, tmp_path: Path):
    found = attacked(bench, *choose_attacks(["membership"]))
    rates = [record for record in found.records if record.measure == TPR]
    assert len(rates) == 2
    for record in rates:
        assert record.low is not None
        assert record.high is not None
        assert record.low <= record.value <= record.high
    assert attacked(bench, *choose_attacks(["membership"])).records == found.records
    older = json.loads(found.model_dump_json(by_alias=True))
    for entry in older["records"]:
        del entry["low"], entry["high"]
    (tmp_path / "attacks.json").write_text(json.dumps(older), "utf-8")
    read = read_attacks(tmp_path).records
    assert [(record.value, record.low, record.high) for record in read] == [
        (record.value, None, None) for record in found.records
    ]


def test_the_command_line_and_the_library_say_the_same(
    tiny_assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    line = ["attack", UNLEARNED, "--attacks", "own-head,linear-map", "--output", str(tmp_path)]
    assert run(line) == 0
    shown = capsys.readouterr().out
    assert f"{UNLEARNED}: recovered share of the leak" in shown
    assert f"Written: {tmp_path / 'attacks.json'}" in shown
    assert RETAIN in shown
    written = read_attacks(tmp_path)
    assert [attack.name for attack in written.attacks] == ["linear-map", "own-head"]
    assert written.references.clean is not None
    assert written.references.clean.name == "mini-clean"
    found = salmu_demo.attack(UNLEARNED, "mini", ["linear-map", "own-head"])
    assert numbers(found.document) == numbers(written)
    frame = found.to_frame()
    assert len(frame) == len(written.records)
    for column, field in (("value", "value"), ("value_low", "low"), ("value_high", "high")):
        assert frame[column].tolist() == [getattr(record, field) for record in written.records]
    assert found.save(tmp_path / "again") == tmp_path / "again" / "attacks.json"
    assert run([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["records"][0]["attack"] == "linear-map"


def test_wrong_names_and_files_are_refused_in_a_sentence(
    tiny_assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["attack", UNLEARNED, "--attacks", "linear-mop", "--output", str(tmp_path / "out")]) == 2
    assert "There is no attack called 'linear-mop': choose one of linear-map, " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "attacks.json").write_text('{"schema": "salmu-demo/attacks", "version": 2}', "utf-8")
    with pytest.raises(ResultError, match="version is 2; this program reads version 1"):
        read_attacks(tmp_path)
