"""Attacks that train: what they change and what not, on whom they train and whom they read, killed and resumed."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from salmu_demo.attacks import recipe as recipe_module
from salmu_demo.attacks.benign_finetuning import BenignFinetuning
from salmu_demo.attacks.document import read_attacks
from salmu_demo.attacks.networks import training
from salmu_demo.attacks.networks.training import Trainee
from salmu_demo.attacks.pairs import MIXED, MRR, ForgetPairs, PairFeatures
from salmu_demo.attacks.recipe import BATCH, AttackRecipe
from salmu_demo.attacks.relearning import PEOPLE, Relearning, relearned_people
from salmu_demo.attacks.retraining import best_reading, retain_rows
from salmu_demo.attacks.target import Target
from salmu_demo.data import layout
from salmu_demo.jobs.job import JobProgress
from salmu_demo.jobs.kinds.attack import Attacks, AttackSpec
from salmu_demo.jobs.kinds.benchmark import REPORT_FOLDER
from salmu_demo.models.roles import Told
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.tiny import FORGET_ONLY, IN_BOTH

MODEL = "mini-unlearned-finetune"
REFERENCES = Told("mini-clean", "mini-compromised")


@pytest.fixture(scope="module")
def bench(tiny_assets: Path) -> Workbench:
    return Workbench()


@pytest.fixture(scope="module")
def target(bench: Workbench) -> Target:
    [model] = bench.models([MODEL])
    return Target(bench.view(model), ForgetPairs.of(bench.data), seed=3)


def weights(target: Target) -> dict[str, Any]:
    """The weights of the model itself."""
    with target.view.embedder.encoders.lend(target.view.model) as encoder:
        assert not any(parameter.requires_grad for parameter in encoder.model.parameters())
        return {name: value.clone() for name, value in encoder.model.state_dict().items()}


def sides(target: Target) -> list[tuple[Any, int]]:
    return [(target.data.split(layout.FORGET), 6), (retain_rows(target.data), 6)]


def trained(target: Target, recipe: AttackRecipe, seed: int = 3) -> tuple[dict[str, Any], PairFeatures]:
    """The weights after the last reading, and what they say."""
    with Trainee(target, recipe) as trainee:
        assert list(trainee.train(sides(target), seed)) == list(recipe.readings)
        return {name: value.clone() for name, value in trainee.network.state_dict().items()}, trainee.features()


def test_only_the_text_tower_changes_and_only_of_the_copy(target: Target) -> None:
    before = weights(target)
    after, _ = trained(target, AttackRecipe((1,), 0.003))
    assert all((before[name] == value).all() for name, value in weights(target).items())
    changed = {name for name, value in after.items() if not (before[name] == value).all()}
    assert "text_projection" in changed
    assert not any(name.startswith("visual.") or name == "logit_scale" for name in changed)
    # The first of three steps of warm-up. AdamW's first step is as long as the learning rate, whatever the gradient.
    moved = max(float((after[name] - before[name]).abs().max()) for name in changed)
    assert moved == pytest.approx(0.001, rel=0.01)


def test_both_towers_are_trained_if_that_is_asked_for(target: Target) -> None:
    _, as_is = trained(target, AttackRecipe((1,)))
    assert np.array_equal(as_is.images, target.features.images)
    after, features = trained(target, AttackRecipe((1,), image_tower=True))
    assert not (after["visual.proj"] == weights(target)["visual.proj"]).all()
    assert features.images.shape == target.features.images.shape
    assert not np.allclose(features.images, target.features.images, atol=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(target: Target) -> None:
    first, again, other = (trained(target, AttackRecipe((2,)), seed)[1] for seed in (3, 3, 4))
    assert np.array_equal(first.captions, again.captions)
    assert np.array_equal(first.distractors, again.distractors)
    assert not np.array_equal(first.captions, other.captions)


def test_training_brings_pairs_together_and_features_are_of_the_rows(target: Target) -> None:
    with Trainee(target, AttackRecipe((40,), 0.003)) as trainee:
        before = trainee.features()
        # As the model is, the quick encoding gives what the features on disk say.
        np.testing.assert_allclose(before.captions, target.features.captions, atol=1e-5)
        np.testing.assert_allclose(before.distractors, target.features.distractors, atol=1e-5)
        list(trainee.train(sides(target), 3))
        after = trainee.features()

    def similarity(found: PairFeatures) -> float:
        # Own captions against those of other rows: the loss is about their difference.
        scores = found.images @ found.captions.T
        return float(np.diag(scores).mean() - scores.mean())

    assert similarity(after) > similarity(before) + 0.05


def test_whom_the_attacker_trains_on(target: Target) -> None:
    four = relearned_people(target, PEOPLE)
    assert len(four & set(FORGET_ONLY)) == len(four & set(IN_BOTH)) == 2
    one = relearned_people(target, 1)
    assert one < four
    assert one <= set(FORGET_ONLY)
    # Nobody would be left to be read.
    assert relearned_people(target, 5) == frozenset()
    few = Target(target.view, ForgetPairs(target.data, target.pairs.rows[:1]))
    assert "too few people in forget" in (Relearning().obstacle(few) or "")
    assert Relearning().obstacle(target) is None


def test_relearning_reads_the_others_alone(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("salmu_demo.attacks.relearning.best_reading", lambda *arguments: asked.append(arguments) or [])
    list(Relearning().run(target))
    [(_, recipes, [(forget, of_forget), (retain, of_retain)], variant, seen)] = asked
    assert set(forget.identities) == seen == relearned_people(target, PEOPLE)
    assert set(retain.identities) == {None}
    assert (of_forget, of_retain, variant, recipes) == (24, 24, "", [AttackRecipe()])
    monkeypatch.undo()
    for reading in Relearning().run(target):
        assert set(reading.identities).isdisjoint(seen)
        assert reading.as_is is not None
        assert reading.scores.mean() >= reading.as_is.mean()


def test_benign_finetuning_sees_nobody(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        "salmu_demo.attacks.benign_finetuning.best_reading", lambda *arguments: asked.append(arguments) or []
    )
    list(BenignFinetuning().run(target))
    [(_, _, [(retain, count)], variant)] = asked
    assert (set(retain.identities), count, variant) == ({None}, BATCH, "")


class Planted:
    """Training that finds everything after ten steps and loses it after twenty."""

    def __init__(self, target: Target, recipe: AttackRecipe) -> None:
        self._target = target
        self._step = 0

    def __enter__(self) -> "Planted":
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def train(self, sides: Any, seed: int) -> Iterator[int]:
        for self._step in (10, 20):
            yield self._step

    def features(self) -> PairFeatures:
        own = self._target.features
        sign = 1.0 if self._step == 10 else -1.0
        # Each image is its caption; captions that repeat are ties that do not compete.
        return PairFeatures(sign * own.captions, own.captions, own.distractors)


def test_the_best_reading_for_the_attacker_counts(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "Trainee", Planted)
    found = {(r.gallery, r.measure): r for r in best_reading(target, [AttackRecipe()], (), "form")}
    assert len(found) == 4
    assert found[MIXED, MRR].scores.mean() == pytest.approx(1)
    assert found[MIXED, MRR].variant == "form"
    # Without steps the model stands for itself.
    as_is = {(r.gallery, r.measure): r for r in best_reading(target, [], ())}[MIXED, MRR]
    assert as_is.as_is is not None
    assert np.array_equal(as_is.scores, as_is.as_is)


def test_the_thorough_attacks_try_what_they_say(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("salmu_demo.attacks.relearning.best_reading", lambda *arguments: asked.append(arguments) or [])
    thorough = Target(target.view, target.pairs, seed=3, thorough=True)
    list(Relearning().run(thorough))
    # Five people allow for 1 and 4 of the numbers that are tried.
    assert [variant for _, _, _, variant, _ in asked] == [
        "1 person, text tower", "1 person, both towers", "4 people, text tower", "4 people, both towers",
    ]  # fmt: skip
    assert {r.learning_rate for _, recipes, *_ in asked for r in recipes} == {3e-4, 1e-3, 3e-3}
    assert recipe_module.trained_texts(target.data, True) == 24 * recipe_module.trained_texts(target.data, False)


class KilledError(BaseException):
    """The process is gone."""


def test_a_killed_job_goes_on_with_the_attack_it_was_at(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    for attack in ("relearning", "benign_finetuning"):
        monkeypatch.setattr(f"salmu_demo.attacks.{attack}.DEFAULT", AttackRecipe((4, 8)))
    fresh = Workbench()
    spec = AttackSpec((MODEL,), ("linear-map", "relearning", "benign-finetuning"), seed=3, told=REFERENCES)
    told: list[JobProgress] = []

    def killing(progress: JobProgress) -> None:
        told.append(progress)
        if sum("training steps" in each.stage for each in told) == 7:
            raise KilledError

    kind = Attacks()
    with pytest.raises(KilledError):
        kind.run(spec, fresh, tmp_path / "job", killing)
    assert not (tmp_path / "job" / REPORT_FOLDER).exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("attacks/*.npz")}
    assert {path.stem for path in kept} == {"linear-map"}
    before = kind.estimate(spec, Workbench())

    skipped = kind.run(spec, Workbench(), tmp_path / "job", told.append)
    assert skipped == ()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert told[-1].fraction == 1.0
    assert told[-1].stage == "reports"
    assert {path.suffix for path in kind.files(tmp_path / "job")} == {".json", ".csv", ".md", ".html", ".pdf"}
    assert kind.estimate(spec, Workbench()).seconds < before.seconds

    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "other-cache"))
    kind.run(spec, Workbench(), tmp_path / "whole", lambda progress: None)
    resumed, whole = (
        [record.model_copy(update={"seconds": 0.0}) for record in read_attacks(tmp_path / name / REPORT_FOLDER).records]
        for name in ("job", "whole")
    )
    assert resumed == whole


def test_what_an_attack_lacks_is_said(bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [model] = bench.models([MODEL])
    empty = SimpleNamespace(name="bare", split=lambda name: [])
    bare = Target(bench.view(model), SimpleNamespace(data=empty))  # type: ignore[arg-type]
    assert BenignFinetuning().obstacle(bare) == "bare has no rows to be kept that show no persona"
