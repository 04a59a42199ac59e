"""The recovered share against numbers computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from salmu_demo.attacks.base import AttackReading
from salmu_demo.attacks.recovery import recovery

PEOPLE = ("a", "a", "b", "b", "c", "c")


def reading(scores: float | list[float], as_is: float | None = None) -> AttackReading:
    values = np.full(6, scores) if isinstance(scores, float) else np.array(scores)
    return AttackReading("", "mixed", "MRR", values, None if as_is is None else np.full(6, as_is), PEOPLE)


def test_the_share_is_counted_between_clean_and_compromised_and_what_is_left_is_taken_off():
    # (.5 - .1) / (.9 - .1) = .5 with the attack, (.2 - .0) / (1. - .0) = .2 before it.
    found = recovery(reading(0.5, 0.2), reading(0.1, 0.0), reading(0.9, 1.0))
    assert (found.value, found.as_is, found.clean, found.compromised) == pytest.approx((0.5, 0.2, 0.1, 0.9))
    assert (found.share, found.left, found.recovered) == pytest.approx((0.5, 0.2, 0.3))
    # All people alike: every resample says the same.
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((0.3, 0.3))
    assert found.reason == ""


def test_a_copy_of_compromised_scores_1_and_clean_0():
    clean, compromised = reading(0.1, 0.05), reading(0.7, 0.8)
    copy = recovery(compromised, clean, compromised)
    assert (copy.share, copy.left, copy.recovered) == (1, 1, 0)
    itself = recovery(clean, clean, compromised)
    assert (itself.share, itself.left, itself.recovered) == (0, 0, 0)


def test_what_was_pushed_below_clean_and_comes_up_to_clean_is_no_leak():
    found = recovery(reading(0.1, 0.0), reading(0.1, 0.1), reading(0.9, 0.9))
    assert (found.left, found.recovered) == (0, 0)


def test_an_attack_that_only_looks_leaves_nothing_to_take_off():
    found = recovery(reading(0.5), reading(0.1), reading(0.9))
    assert (found.share, found.left, found.recovered) == pytest.approx((0.5, 0, 0.5))


@pytest.mark.parametrize(
    ("clean", "compromised", "reason"),
    [
        # Ahead by 0.05 of 0.9, which is less than a tenth.
        (reading(0.4, 0.0), reading(0.45, 0.9), "Cannot tell here: under this attack Compromised is 0.050 ahead"),
        (reading(0.4, 0.5), reading(0.9, 0.5), "Cannot tell here: Compromised leaks no more than Clean."),
        (None, reading(0.9, 0.9), "No Clean to compare with."),
        (None, None, "No Clean and no Compromised to compare with."),
    ],
)
def test_without_controls_that_separate_nothing_is_said(
    clean: AttackReading | None, compromised: AttackReading | None, reason: str
):
    found = recovery(reading(0.5, 0.1), clean, compromised)
    assert (found.share, found.recovered, found.interval) == (None, None, None)
    assert found.reason.startswith(reason)


def test_a_lead_that_one_person_makes_does_not_tell():
    # Without the first persona Compromised is behind: the interval of the lead reaches below 0.
    lead = reading([1.0, 1.0, 0.0, 0.0, 0.0, 0.0], 0.9)
    assert recovery(reading(0.5, 0.1), reading(0.1, 0.0), lead).reason.startswith("Cannot tell here")


def test_intervals_draw_whole_people():
    # Of three people, one has all of the leak back: a resample has it 0 to 3 times.
    model = reading([1.0, 1.0, 0.0, 0.0, 0.0, 0.0], 0.0)
    found = recovery(model, reading(0.0, 0.0), reading(1.0, 1.0))
    assert found.recovered == pytest.approx(1 / 3)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((0, 1))


def test_the_value_has_an_interval_of_its_own_without_controls_too():
    found = recovery(reading([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), None, None)
    assert found.spread is not None
    assert (found.spread.low, found.spread.high) == pytest.approx((0, 1))
    alone = AttackReading("", "mixed", "MRR", np.ones(2), None, ("a", "a"))
    assert recovery(alone, None, None).spread is None


def test_what_other_people_would_give_is_taken_where_the_attack_says_it():
    drawn = [replace(reading(value), drawn=value + np.linspace(-0.1, 0.1, 1001)) for value in (0.5, 0.1, 0.9)]
    found = recovery(*drawn)
    assert (found.value, found.recovered) == pytest.approx((0.5, 0.5))
    assert found.spread is not None
    assert (found.spread.low, found.spread.high) == pytest.approx((0.405, 0.595))
    # All three move together, so that the share does not.
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((0.5, 0.5))
