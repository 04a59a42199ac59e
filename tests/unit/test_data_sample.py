"""The stratified sample: shares of personas and kinds, seeds, and what is refused."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from salmu_demo.core.errors import DataError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.data.sample import Sample, stratified_rows
from tests.fixtures.random_data import write_random_data

PERSONAS = 30
ROWS = 1060


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkData:
    return load_folder(write_random_data(tmp_path_factory.mktemp("sample") / "data"), "invented")


def within_rounding(found: int, share: float, total: int) -> bool:
    return abs(found - share * total) < 1


@pytest.mark.parametrize("seed", range(20))
def test_every_group_gets_its_share_up_to_rounding(seed: int):
    draw = random.Random(seed)
    total = draw.randrange(1, 400)
    strata = [(draw.choice("abcde"), draw.choice([None, 1, 2, 3])) for _ in range(total)]
    count = draw.randrange(1, total + 1)
    rows = stratified_rows(strata, count, seed)
    assert len(rows) == count
    assert rows == sorted(set(rows))
    assert 0 <= rows[0] <= rows[-1] < total
    # Pairs, and whole groups of them, such as all kinds of a persona.
    for key in (lambda stratum: stratum, lambda stratum: stratum[0]):
        totals, found = Counter(map(key, strata)), Counter(key(strata[row]) for row in rows)
        assert all(within_rounding(found[group], count / total, totals[group]) for group in totals)


def test_all_rows_are_a_sample_of_their_number():
    assert stratified_rows([("a",), ("b",), ("a",)], 3, 0) == [0, 1, 2]


def test_each_row_of_a_stratum_is_as_likely_as_the_others():
    strata = [("a",)] * 4 + [("b",)] * 6
    counts = Counter(row for seed in range(2000) for row in stratified_rows(strata, 5, seed))
    # 1,000 expected each; 5 standard deviations are 112.
    assert all(abs(counts[row] - 1000) < 112 for row in range(10))


@pytest.mark.parametrize("split", layout.SENSITIVE_SPLITS)
def test_sensitive_splits_are_sampled_by_persona_and_kind(data: BenchmarkData, split: str):
    sample = Sample(size=265, seed=3)
    whole, taken = data.split(split), sample.split(data, split)
    share = len(taken) / len(whole)
    assert share == pytest.approx(0.25, abs=0.011)
    for key in (lambda row: (row[0], data.kind(row[1])), lambda row: row[0]):
        totals = Counter(map(key, zip(whole.identities, whole.file_names, strict=True)))
        found = Counter(map(key, zip(taken.identities, taken.file_names, strict=True)))
        assert all(within_rounding(found[group], share, totals[group]) for group in totals)


def test_the_sample_has_the_size_that_was_asked_for(data: BenchmarkData):
    for size in (PERSONAS, 31, 400, ROWS - 1):
        assert len(Sample(size).split(data, layout.FORGET)) == size


@pytest.mark.parametrize("split", [*layout.SENSITIVE_SPLITS, layout.RETAIN_SYNTH, *layout.DERIVED_SPLITS])
def test_a_sampled_split_is_a_part_of_the_whole_in_its_order(data: BenchmarkData, split: str):
    whole, taken = data.split(split), Sample(300).split(data, split)
    assert (taken.name, taken.stored) == (whole.name, whole.stored)
    assert 0 < len(taken) < len(whole)
    assert taken.rows.tolist() == sorted(set(taken.rows.tolist()))
    lines = list(zip(whole.rows.tolist(), whole.texts, whole.identities, whole.file_names, strict=True))
    assert set(zip(taken.rows.tolist(), taken.texts, taken.identities, taken.file_names, strict=True)) <= set(lines)


def test_a_derived_split_holds_the_sampled_rows_that_belong_to_it(data: BenchmarkData):
    sample = Sample(300)
    for name in layout.DERIVED_SPLITS:
        whole = data.split(name)
        stored = set(sample.split(data, whole.stored).rows.tolist())
        assert sample.split(data, name).rows.tolist() == [row for row in whole.rows.tolist() if row in stored]


def test_fragile_rows_get_their_share_of_the_retain_rows(data: BenchmarkData):
    sample = Sample(530)
    taken, whole = len(sample.split(data, layout.FRAGILE_SET)), len(data.split(layout.FRAGILE_SET))
    assert within_rounding(taken, 0.5, whole)


def test_the_seed_decides_and_nothing_else(data: BenchmarkData, tmp_path: Path):
    again = load_folder(write_random_data(tmp_path / "data"), "the same elsewhere")
    for split in (layout.FORGET, layout.RETAIN_SYNTH):
        first = Sample(300, seed=1).split(data, split).rows.tolist()
        assert Sample(300, seed=1).split(again, split).rows.tolist() == first
        assert Sample(300, seed=2).split(data, split).rows.tolist() != first


@pytest.mark.parametrize("size", [-1, 0, PERSONAS - 1, ROWS, ROWS + 1])
def test_a_size_that_is_no_sample_is_refused(data: BenchmarkData, size: int):
    sentence = r"from invented; choose 30 \(as many as personas\) to 1,059, or measure all rows"
    with pytest.raises(DataError, match=sentence):
        Sample(size).split(data, layout.FORGET)
    with pytest.raises(DataError, match=sentence):
        Sample(size).describe(data)


def test_a_negative_seed_is_refused(data: BenchmarkData):
    with pytest.raises(DataError, match="with the seed -1; choose 0 or more"):
        replace(Sample(300), seed=-1).check(data)


def test_the_description_names_size_share_and_seed(data: BenchmarkData):
    assert Sample(265, seed=7).describe(data) == "sampled: 265 of 1,060 forget rows (25 %), seed 7"
