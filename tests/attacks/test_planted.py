"""Attacks on features against models in which a leak is planted, hidden or absent."""

from collections.abc import Iterable

import numpy as np
import pytest

from salmu_demo.attacks import AttackReading, find_attack
from salmu_demo.attacks.controls import Erased, Hidden
from salmu_demo.attacks.fitting import RETAIN, WITH_HOLDOUT, fitting_rows
from salmu_demo.attacks.recovery import Recovery, recovery
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from tests.fixtures import attacks as made


def found(attack: str, data: BenchmarkData, view: object, variant: str) -> dict[tuple[str, str], Recovery]:
    """What an attack recovers in a made model, by gallery and measure."""
    leak, clean = made.leaking(data), made.ignorant(data)

    def readings(model: object) -> dict[tuple[str, str, str], AttackReading]:
        return keyed(find_attack(attack).run(made.target_of(model, leak, clean)))

    model, control, ceiling = (readings(each) for each in (view, clean, leak))
    return {
        (gallery, measure): recovery(model[key], control[key], ceiling[key])
        for key in model
        for own, gallery, measure in [key]
        if own == variant
    }


def keyed(readings: Iterable[AttackReading]) -> dict[tuple[str, str, str], AttackReading]:
    return {reading.key: reading for reading in readings}


@pytest.mark.parametrize("attack", ["linear-map", "own-head"])
def test_a_planted_rotation_of_a_tower_is_undone(attack: str, data: BenchmarkData):
    # The made leak needs more rows than dimensions, which the retain rows of 6 people alone are not.
    results = found(attack, data, made.leaking(data, "turned", made.rotation()), WITH_HOLDOUT)
    for key, each in results.items():
        assert each.left is not None, key
        assert each.recovered is not None
        assert each.left < 0.3, key
        assert each.share == pytest.approx(1, abs=0.05), key
        assert each.recovered == pytest.approx(1 - each.left, abs=0.05), key


@pytest.mark.parametrize("attack", ["linear-map", "own-head"])
def test_a_model_that_is_clean_gives_nothing_back(attack: str, data: BenchmarkData):
    for key, each in found(attack, data, made.ignorant(data, "other"), WITH_HOLDOUT).items():
        assert each.share == pytest.approx(0, abs=0.12), key


@pytest.mark.parametrize("attack", ["linear-map", "own-head", "tower-swap"])
def test_a_fresh_copy_of_compromised_scores_1(attack: str, data: BenchmarkData):
    variant = "text tower of the original" if attack == "tower-swap" else WITH_HOLDOUT
    for each in found(attack, data, made.leaking(data, "copy"), variant).values():
        assert each.share == 1


def test_the_tower_that_was_turned_is_named(data: BenchmarkData):
    turned = made.leaking(data, "turned", made.rotation())
    image = found("tower-swap", data, turned, "image tower of the original")["mixed", "MRR"]
    text = found("tower-swap", data, turned, "text tower of the original")["mixed", "MRR"]
    assert image.share == pytest.approx(0, abs=0.1)
    assert text.share == 1


def test_controls_are_hidden_and_erased(data: BenchmarkData):
    leak, clean = made.leaking(data, pair=0.0), made.ignorant(data)
    attack = find_attack("linear-map")
    ceiling = keyed(attack.run(made.target_of(leak, leak, clean)))
    control = keyed(attack.run(made.target_of(clean, leak, clean)))
    key = (WITH_HOLDOUT, "mixed", "MRR")
    shares = []
    for edit in (Hidden(3), Erased()):
        edited = keyed(attack.run(made.target_of(leak, leak, clean).edited(edit)))
        assert edited[key].as_is is not None
        shares.append(recovery(edited[key], control[key], ceiling[key]).share)
    assert shares[0] == pytest.approx(1, abs=0.05)
    assert shares[1] == pytest.approx(0, abs=0.15)


def test_erasing_takes_what_tells_people_apart_and_nothing_else(data: BenchmarkData):
    split = data.split(layout.FORGET)
    features = np.random.default_rng(0).normal(size=(len(split), 4))
    erased = Erased().images(split, features)
    people = np.array(split.identities)
    for person in set(split.identities):
        own = people == person
        np.testing.assert_allclose(erased[own].mean(axis=0), features.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(
            erased[own] - erased[own].mean(axis=0), features[own] - features[own].mean(axis=0), atol=1e-12
        )
    other = data.split(layout.RETAIN_SYNTH)
    assert Erased().images(other, features[: len(other)]) is not None


def test_no_map_is_fitted_to_people_to_be_forgotten(data: BenchmarkData):
    forgotten = set(data.split(layout.FORGET).identities)
    rows = fitting_rows(data)
    assert list(rows) == [RETAIN, WITH_HOLDOUT]
    for splits in rows.values():
        assert not forgotten & {identity for split in splits for identity in split.identities if identity}
    # 24 retain rows of nobody and 2 of the persona who is in holdout_identity alone.
    assert [len(split) for split in rows[WITH_HOLDOUT]] == [26, 16]
    assert [len(split) for split in fitting_rows(data, most=10)[WITH_HOLDOUT]] == [10, 10]


def test_what_an_attack_saw_is_not_read(data: BenchmarkData):
    target = made.target_of(made.leaking(data), made.leaking(data))
    every = target.readings(target.features)
    some = target.readings(target.features, seen={"00000001", "00000003"})
    assert {len(reading.scores) for reading in every} == {len(target.pairs.rows)}
    assert {identity for reading in some for identity in reading.identities} == {"00000002", "00000004", "00000005"}
    kept = [identity not in ("00000001", "00000003") for identity in target.pairs.identities]
    for whole, part in zip(every, some, strict=True):
        np.testing.assert_array_equal(part.scores, whole.scores[kept])


def test_a_sample_is_of_whole_people_and_always_the_same(data: BenchmarkData):
    pairs = made.target_of(made.leaking(data), None).pairs
    whole = {person: pairs.identities.count(person) for person in set(pairs.identities)}
    assert pairs.sampled(10**6) is pairs
    some = pairs.sampled(30)
    assert len(some.rows) <= 30
    assert {person: some.identities.count(person) for person in set(some.identities)}.items() <= whole.items()
    np.testing.assert_array_equal(some.rows, pairs.sampled(30).rows)
