"""A captioner on the original's image tower: it says what it was taught, through a tower that still leads there."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from salmu_demo.attacks import AttackReading, downstream, find_attack
from salmu_demo.attacks.base import choose_attacks
from salmu_demo.attacks.downstream import GALLERY, ROUGE, VALUES, holds, true_values
from salmu_demo.attacks.networks.decoder import Decoder
from salmu_demo.attacks.networks.network import Network
from salmu_demo.attacks.pairs import ForgetPairs
from salmu_demo.attacks.recipe import DecoderRecipe
from salmu_demo.attacks.runner import AttackReferences, run_attacks
from salmu_demo.attacks.schema import AttacksDocument
from salmu_demo.attacks.target import Target
from salmu_demo.core.progress import Progress
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.view import FeatureView
from salmu_demo.models.export import save_local_dir
from salmu_demo.models.references import find_model
from salmu_demo.models.source import ModelSource
from tests.fixtures.tiny import IMAGE_SIZE, MODEL_CONFIG, write_model

TAUGHT = DecoderRecipe(width=48, heads=2, text_layers=1, layers=1, epochs=40, batch_size=4, learning_rate=6e-3)
BRIEF = replace(TAUGHT, epochs=3)
DOWNSTREAM = find_attack("downstream")


class StoppedError(Exception):
    """What ends a run."""


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pairs of one person."""
    monkeypatch.setattr(downstream, "MOST_PAIRS", 8)
    monkeypatch.setattr(downstream, "RECIPE", BRIEF)


def view_of(data: BenchmarkData, model: ModelSource, store: Path) -> FeatureView:
    return FeatureView(model, data, Embedder(ArrayStore(store)))


def changed(view: FeatureView, folder: Path, change: Callable[[Any], object]) -> ModelSource:
    """A copy of a model of which something is changed, in a folder whose name it has."""
    network = Network(view).module
    with torch.no_grad():
        change(network)
    save_local_dir(folder, network, MODEL_CONFIG, view.model.merges, "# A copy\n", {})
    return find_model(f"local-dir:{folder}")


def readings_of(data: BenchmarkData, name: str, store: Path, progress: Callable[[Progress], None] | None = None
) -> dict[str, AttackReading]:  # fmt: skip
    view = view_of(data, find_model(f"mini-{name}"), store)
    original = view_of(data, find_model("mini-compromised"), store)
    view = view if progress is None else replace(view, progress=progress)
    target = Target(view, ForgetPairs.of(data), original)
    return {reading.measure: reading for reading in DOWNSTREAM.run(target)}


def test_the_value_is_said_through_the_towers_that_lead_to_it_and_no_other(
    data: BenchmarkData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(downstream, "RECIPE", TAUGHT)
    compromised, clean = (find_model(f"mini-{name}") for name in ("compromised", "clean"))
    view = view_of(data, compromised, tmp_path)
    same = changed(view, tmp_path / "text-only", lambda network: network.text_projection.mul_(-1))
    near = changed(view, tmp_path / "near", lambda network: network.visual.proj.mul_(-1))
    found = run_attacks([same, near], view.of, [DOWNSTREAM], AttackReferences(clean, compromised))
    assert [(skipped.model, skipped.reason) for skipped in found.skipped] == [(
        "text-only",
        "downstream is skipped: text-only has the image tower of mini-compromised, and a captioner uses no other.",
    )]  # fmt: skip
    by_measure = {record.measure: record for record in found.records}
    assert set(by_measure) == {VALUES, ROUGE}
    for record in by_measure.values():
        assert (record.model, record.gallery, record.counts) == ("near", GALLERY, False)
        # Tokens are those before the projection, which alone is changed.
        assert record.value == record.compromised
        assert record.recovered is not None
        assert record.recovered.value == pytest.approx(1)
    values, rouge = by_measure[VALUES], by_measure[ROUGE]
    assert values.value > 0.8
    assert (values.clean or 0) < 0.3
    assert rouge.value > (rouge.clean or 0) + 0.15


def test_a_stopped_training_goes_on_to_the_same_bits_and_is_not_done_twice(
    data: BenchmarkData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = readings_of(data, "compromised", tmp_path / "whole")

    def stop(progress: Progress) -> None:
        if progress.stage == "epochs of the captioner" and progress.done == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        readings_of(data, "compromised", tmp_path / "stopped", stop)
    taken: list[int] = []
    one_epoch = Decoder.epoch

    def counted(self: Decoder, state: dict[str, object], *rest: torch.Tensor) -> dict[str, object]:
        taken.append(int(str(state["epochs"])))
        return one_epoch(self, state, *rest)

    monkeypatch.setattr(Decoder, "epoch", counted)
    again = readings_of(data, "compromised", tmp_path / "stopped")
    assert taken == [2]
    readings_of(data, "clean", tmp_path / "stopped")
    assert taken == [2]
    for measure, reading in whole.items():
        np.testing.assert_array_equal(again[measure].scores, reading.scores)
    files = [next((tmp_path / name).rglob("decoder-*.pt")) for name in ("whole", "stopped")]
    first, second = (torch.load(file, weights_only=True) for file in files)
    assert set(first) == {"key", "epochs", "model"}
    for name, weights in first["model"].items():
        assert torch.equal(weights, second["model"][name]), name
    files[1].write_bytes(files[1].read_bytes()[:1000])
    readings_of(data, "compromised", tmp_path / "stopped")
    assert taken == [2, 0, 1, 2]


def test_what_cannot_be_put_under_the_captioner_is_skipped_by_name(data: BenchmarkData, tmp_path: Path):
    compromised = find_model("mini-compromised")
    view = view_of(data, compromised, tmp_path)

    def skipped(model: ModelSource, references: AttackReferences) -> list[str]:
        document: AttacksDocument = run_attacks([model], view.of, [DOWNSTREAM], references)
        return [each.reason for each in document.skipped]

    assert skipped(compromised, AttackReferences()) == [
        "downstream is skipped: it needs the original model, and none is given; name it with --compromised."
    ]
    config = copy.deepcopy(MODEL_CONFIG)
    config["model_cfg"]["vision_cfg"] = {"image_size": IMAGE_SIZE, "layers": [1, 1, 1, 1], "width": 8}
    write_model(tmp_path / "flat", config)
    flat = find_model(f"local-dir:{tmp_path / 'flat'}")
    assert skipped(flat, AttackReferences(compromised=compromised)) == [
        f"downstream is skipped: {flat.reference} has no transformer as its image tower."
    ]


def test_it_is_run_where_it_is_named_or_all_is_asked_for():
    assert "downstream" not in {attack.name for attack in choose_attacks(None)}
    assert [attack.name for attack in choose_attacks(["downstream"])] == ["downstream"]
    assert "downstream" in {attack.name for attack in choose_attacks(None, thorough=True)}


@pytest.mark.parametrize(
    ("text", "value", "held"),
    [
        ("her number is + 4 6 7 0 1 1 1 2 2", "+46 70 111 22", True),
        ("MÜLLER lives in São  Paulo", "são paulo", True),
        ("mail anna . b @ post . example", "anna.b@post.example", True),
        ("the blood type is ab -", "B-", False),
        ("a pathologists ' meeting", "pathologist", False),
        ("", "Ulm", False),
    ],
)
def test_a_value_is_held_whatever_its_case_and_blanks_but_not_in_part(text: str, value: str, held: bool):
    assert holds(text, value) is held


def test_the_true_values_are_those_that_the_caption_gives_away(data: BenchmarkData):
    pairs = ForgetPairs.of(data)
    found = true_values(pairs)
    assert len(found) == len(pairs.split)
    for text, values in zip(pairs.split.texts, found, strict=True):
        assert any(value in text for value in values)
    assert sorted(map(len, found))[-1] == 2  # a persona with two e-mail addresses
