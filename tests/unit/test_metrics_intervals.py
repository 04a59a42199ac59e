"""Bootstrap intervals over personas against a plain redrawing of rows."""

from collections.abc import Iterator

import numpy as np
import pytest

from salmu_demo.metrics import intervals
from salmu_demo.metrics.intervals import Difference, Interval, cluster_numbers, interval, resampled_means

PERSONAS = ["b", "a", None, "b", "c", "a", "b", None, "d", "c", "b"]


def scores(models: int = 3, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).random((models, len(PERSONAS)))


def plain_means(values: np.ndarray, resamples: int, seed: int) -> list[list[float]]:
    """Draw personas and gather the rows of each one drawn, as often as it was drawn."""
    members: list[list[int]] = []
    for row, persona in enumerate(PERSONAS):
        earlier = PERSONAS.index(persona) if persona is not None else row
        group = next((g for g in members if earlier in g), None)
        if group is None:
            members.append([row])
        else:
            group.append(row)
    assert [len(group) for group in members] == [4, 2, 1, 2, 1, 1]
    means = []
    for drawn in np.random.default_rng(seed).integers(0, len(members), (resamples, len(members))).tolist():
        rows = [row for persona in drawn for row in members[persona]]
        means.append([sum(float(model[row]) for row in rows) / len(rows) for model in values])
    return means


@pytest.mark.parametrize("seed", [0, 42])
def test_resampled_means_equal_a_plain_redrawing_of_personas(seed: int):
    means = resampled_means(scores(), cluster_numbers(PERSONAS), resamples=50, seed=seed)
    np.testing.assert_allclose(means, plain_means(scores(), 50, seed), rtol=1e-13)


@pytest.mark.parametrize("kept", [0, 6])
def test_few_resamples_at_a_time_are_the_same_draws(kept: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(intervals, "CHUNK_BYTES", 8 * 6 * 7)
    monkeypatch.setattr(intervals, "KEPT_CLUSTERS", kept)
    intervals.kept_draws.cache_clear()
    means = resampled_means(scores(), cluster_numbers(PERSONAS), resamples=50)
    np.testing.assert_allclose(means, plain_means(scores(), 50, 42), rtol=1e-13)


def test_what_was_drawn_for_few_clusters_is_remembered(monkeypatch: pytest.MonkeyPatch):
    drawn = intervals.draws
    calls: list[int] = []

    def counted(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
        calls.append(count)
        return drawn(count, resamples, seed)

    monkeypatch.setattr(intervals, "draws", counted)
    intervals.kept_draws.cache_clear()
    for clusters in (2000, 2000, 2001, 2001):
        intervals.resampled_sums(np.ones((clusters, 1)), np.ones(clusters), resamples=1)
    assert calls == [2000, 2001, 2001]


def test_the_same_seed_draws_the_same_and_another_one_others():
    clusters = cluster_numbers(PERSONAS)
    first, again, other = (resampled_means(scores(), clusters, resamples=20, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_models_are_resampled_in_pairs():
    """A model that is better by the same amount in every row is surely better, however much rows differ."""
    base = scores(1)[0]
    means = resampled_means(np.stack([base, base + 0.01]), cluster_numbers(PERSONAS), resamples=200)
    assert means is not None
    difference = Difference(0.01, interval(means[:, 1] - means[:, 0]))
    assert difference.interval.low == pytest.approx(0.01, abs=1e-12)
    assert difference.interval.high == pytest.approx(0.01, abs=1e-12)
    assert difference.significant
    assert interval(means[:, 0]).high > interval(means[:, 1]).low


def test_rows_of_one_persona_widen_the_interval():
    """Copies of a persona's rows bring no new persona, so they must not make the mean look surer."""
    rng = np.random.default_rng(0)
    once = rng.random(30)
    copies = np.repeat(once, 20)[None]
    personas = [str(n) for n in range(30)]
    alone = resampled_means(once[None], cluster_numbers(personas))
    repeated = resampled_means(copies, cluster_numbers([p for p in personas for _ in range(20)]))
    as_if_apart = resampled_means(copies, cluster_numbers([None] * 600))
    assert alone is not None
    assert repeated is not None
    assert as_if_apart is not None
    np.testing.assert_allclose(alone, repeated)
    assert np.std(as_if_apart) < np.std(repeated) / 3


def test_two_personas_are_enough():
    """The mean is that of the first, of the second or of both, about one in four, four and two times."""
    means = resampled_means(np.array([[0.0, 1.0]]), cluster_numbers(["a", "b"]))
    assert means is not None
    assert means.shape == (1000, 1)
    found, counts = np.unique(means, return_counts=True)
    assert found.tolist() == [0.0, 0.5, 1.0]
    assert counts.tolist() == pytest.approx([250, 500, 250], abs=60)


def test_personas_are_numbered_as_they_appear_and_rows_of_nobody_count_apart():
    assert cluster_numbers(PERSONAS).tolist() == [0, 1, 2, 0, 3, 1, 0, 4, 5, 3, 0]
    assert cluster_numbers([]).dtype == np.int64


@pytest.mark.parametrize("personas", [[], ["a"], ["a", "a", "a"], [None]])
def test_fewer_than_two_personas_give_no_interval(personas: list[str | None]):
    assert resampled_means(np.ones((1, len(personas))), cluster_numbers(personas)) is None


def test_an_interval_leaves_out_a_fortieth_on_either_side():
    values = np.random.default_rng(5).permutation(np.arange(401.0)) ** 2
    found = interval(values)
    assert found.low == pytest.approx(100.0)  # the 10th of 400 steps, squared
    assert found.high == pytest.approx(390.0**2)


@pytest.mark.parametrize(
    ("low", "high", "significant"),
    [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False), (0.0, 0.1, False), (-0.1, 0.0, False)],
)
def test_a_difference_is_significant_if_its_interval_leaves_out_0(low: float, high: float, significant: bool):
    assert Difference(0.0, Interval(low, high)).significant is significant
