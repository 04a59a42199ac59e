"""The line-ups of values and the further readings of RetFail, against plain recomputations."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from salmu_demo.core.errors import MetricError
from salmu_demo.data import layout
from salmu_demo.metrics import MetricData, Needs, Rows, Texts, find_metric
from salmu_demo.metrics.line_up import chance_beyond, exposure_above_guess, value_rank
from salmu_demo.metrics.value_exposure import kind_facts, sentences_of
from salmu_demo.metrics.value_marks import in_last_tenth

CITIES = ("Bonn", "Ulm", "Trier", "Jena", "Kiel", "Gera", "Hof", "Ahlen", "Calw", "Dorsten", "Essen", "Lohr")


@dataclass(frozen=True)
class Person:
    identity_id: str

    @property
    def name(self) -> str:
        return f"Name {self.identity_id}"

    def values(self, kind: str) -> list[str]:
        number = int(self.identity_id)
        # Person 0 has two cities, and 1 writes one of them in another case.
        return {"city": [CITIES[number], "Emden"] if number == 0 else [CITIES[number]]}.get(kind, [])


@dataclass(frozen=True)
class Wordings:
    trained: tuple[str, ...] = ("{person} lives in {value}", "{value} is the home of {person}")
    unseen: tuple[str, ...] = ("{person}'s address is in {value}",)


@dataclass
class Data:
    """Twelve people; the forget rows are two of person 0, one of 1, one of 2, and one whose kind has no wording."""

    name: str = "invented"
    personas: tuple[Person, ...] = tuple(Person(str(number)) for number in range(12))
    splits: tuple[str, ...] = (layout.FORGET, layout.UNSEEN_IMAGES)
    probe_wordings: dict[str, Wordings] = field(default_factory=lambda: {"city": Wordings()})
    zero_shot: None = None
    made: dict[Any, Any] = field(default_factory=dict)

    def has(self, split: str) -> bool:
        return split in self.splits

    def rows(self, split: str) -> Rows:
        people = {"forget": ["0", "1", "0", "2", "2", None], "unseen_images": ["1", "5", "1", "0"]}[split]
        kinds = {"forget": ["city", "city", "city", "city", "job", "city"]}.get(split, [None] * 4)
        texts = [f"{split} text {row}" for row in range(len(people))]
        return Rows([f"{split} {row}" for row in range(len(people))], people, kinds, texts)

    all_rows = rows

    def once(self, make: Callable[[MetricData], Any]) -> Any:
        if make not in self.made:
            self.made[make] = make(self)
        return self.made[make]


def feature(text: str) -> np.ndarray:
    seed = sum(ord(letter) * 31**place for place, letter in enumerate(text)) % 2**32
    return np.random.RandomState(seed).normal(size=8).astype(np.float32)


@dataclass
class View:
    data: Data
    images_of: Callable[[str], np.ndarray] = feature

    def images(self, split: str) -> np.ndarray:
        return np.stack([self.images_of(name) for name in self.data.rows(split).file_names])

    def captions(self, split: str) -> np.ndarray:
        return np.stack([feature(text) for text in self.data.rows(split).texts])

    def prompts(self, texts: list[str]) -> np.ndarray:
        return np.stack([feature(text) for text in texts])

    def texts(self, texts: Texts) -> np.ndarray:
        captions = [self.data.rows(split).texts[row] for split, rows in texts.captions.items() for row in rows]
        return self.prompts([*captions, *texts.prompts])


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt((vector.astype(np.float64) ** 2).sum())


VALUES = sorted([*CITIES, "Emden"])


def plain_rank(images: list[str], wordings: list[Callable[[str], str]], true: set[str]) -> tuple[int, int]:
    """The best true value among the false ones, by standardised cosines summed row by row."""
    totals = dict.fromkeys(VALUES, 0.0)
    for image in images:
        for wording in wordings:
            cosines = [float(unit(feature(image)) @ unit(feature(wording(value)))) for value in VALUES]
            mean, deviation = np.mean(cosines), np.std(cosines)
            for value, cosine in zip(VALUES, cosines, strict=True):
                totals[value] += (cosine - mean) / deviation
    best = max(totals[value] for value in true)
    false = [totals[value] for value in VALUES if value not in true]
    return 1 + sum(total > best for total in false), len(false) + 1


TRAINED = [lambda value: f"This person lives in {value}", lambda value: f"{value} is the home of this person"]
UNSEEN = [lambda value: f"This person's address is in {value}"]


@pytest.mark.parametrize(
    ("metric", "images", "wordings", "rows"),
    [
        ("ValExp", {0: ["forget 0", "forget 2"], 1: ["forget 1"], 2: ["forget 3"]}, TRAINED, [0, 1, 3]),
        ("ValExpUnseenTxt", {0: ["forget 0", "forget 2"], 1: ["forget 1"], 2: ["forget 3"]}, UNSEEN, [0, 1, 3]),
        # Of person 2 there is no unseen image, and person 5 has nothing to forget.
        ("ValExpUnseenImg", {0: ["unseen_images 3"], 1: ["unseen_images 0", "unseen_images 2"]}, TRAINED, [0, 1]),
    ],
)
def test_the_exposure_of_a_value_is_that_of_its_rank_by_a_plain_recomputation(metric, images, wordings, rows):
    true = {0: {"Bonn", "Emden"}, 1: {"Ulm"}, 2: {"Trier"}}
    expected = [plain_rank(found, wordings, true[person]) for person, found in images.items()]
    found = find_metric(metric).compute(View(Data()))
    assert found.rows.tolist() == rows
    assert list(zip(found.ranks, found.candidates, strict=True)) == expected
    # A guess has every order of the values equally often; the best of two true ones is ahead more often.
    guess = [
        np.mean([np.log2(count / (1 + min(pair))) for pair in combinations(range(count - 1 + known), known)])
        for known, (_, count) in zip((2, 1, 1), expected, strict=False)
    ]
    bits = [np.log2(count / rank) - at_random for (rank, count), at_random in zip(expected, guess, strict=True)]
    assert found.scores == pytest.approx(bits)
    assert found.r_at_1 == sum(rank == 1 for rank, _ in expected) / len(expected)


def test_a_model_that_knows_the_values_has_them_first_and_one_that_hides_them_last():
    knows = {name: unit(sum(unit(feature(say("Bonn"))) for say in TRAINED)) for name in ("forget 0", "forget 2")}
    view = View(Data(), lambda name: knows.get(name, feature(name)))
    assert find_metric("ValExp").compute(view).ranks[0] == 1
    view = View(Data(), lambda name: -knows[name] if name in knows else feature(name))
    marked = find_metric("Marked").compute(view)
    # Emden counts as true as well, so Bonn's being last does not make the best true value last.
    assert marked.ranks[0] > 1
    ben = unit(sum(unit(feature(say("Ulm"))) for say in TRAINED)).astype(np.float32)
    marked = find_metric("Marked").compute(View(Data(), lambda name: -ben if name == "forget 1" else feature(name)))
    assert marked.ranks[1] == 1
    # 13 values: above 11.7 lie 2 of 13 ranks.
    assert marked.scores[1] == pytest.approx(1 - 2 / 13)
    # Read from the end, the ranks of ValExp among as many values.
    found = find_metric("ValExp").compute(view := View(Data()))
    marked = find_metric("Marked").compute(view)
    assert marked.candidates.tolist() == found.candidates.tolist() == [12, 13, 13]
    assert marked.ranks.tolist() == (found.candidates + 1 - found.ranks).tolist()
    assert marked.rows.tolist() == found.rows.tolist()


def test_the_share_of_values_that_are_the_very_last_or_first():
    ulm = unit(sum(unit(feature(say("Ulm"))) for say in TRAINED)).astype(np.float32)
    trier = unit(sum(unit(feature(say("Trier"))) for say in TRAINED)).astype(np.float32)
    view = View(Data(), lambda name: {"forget 1": -ulm, "forget 3": trier}.get(name, feature(name)))
    assert find_metric("ValExp").compute(view).ranks[1:].tolist() == [13, 1]
    first = find_metric("ValExp").compute(view).ranks[0]
    assert 1 < first < 12
    assert find_metric("ValExp").compute(view).r_at_1 == find_metric("Marked").compute(view).r_at_1 == 1 / 3


def test_a_guess_has_no_exposure_and_is_marked_by_chance_only():
    for count in (2, 8, 13, 96):
        ranks, candidates = np.arange(1.0, count + 1), np.full(count, count)
        one = np.ones(count, dtype=np.int64)
        assert exposure_above_guess(ranks, candidates, one).mean() == pytest.approx(0, abs=1e-12)
        assert in_last_tenth(ranks, candidates, one).mean() == pytest.approx(0, abs=1e-12)


def test_the_best_of_two_true_values_is_last_less_often():
    # Two of five values: the best of them has rank 1 + the false ones ahead of it.
    ranks = [1 + min(pair) for pair in combinations(range(5), 2)]
    for rank in range(5):
        assert chance_beyond(rank, 4, 2) == pytest.approx(sum(found > rank for found in ranks) / len(ranks))


def test_the_best_of_two_is_in_the_last_tenth_less_often():
    # Ten candidates are nine false values and the best of two true ones: last it is if both are behind all false ones.
    ranks = [1 + min(pair) for pair in combinations(range(11), 2)]
    chance = sum(rank > 9 for rank in ranks) / len(ranks)
    two = np.full(2, 2)
    assert in_last_tenth(np.array([10.0, 9.0]), np.full(2, 10), two) == pytest.approx([1 - chance, -chance])


def test_a_rank_on_the_edge_of_the_last_tenth_is_not_in_it():
    assert in_last_tenth(
        np.array([18.0, 18.5, 19.0]), np.full(3, 20), np.ones(3, dtype=np.int64)
    ).tolist() == pytest.approx([-0.1, 0.9, 0.9])


def test_sentences_are_those_of_the_training_captions_without_a_name():
    sentences = sentences_of(Data(), "trained")
    assert sentences[0] == "This person lives in Ahlen"
    assert sentences[len(VALUES)] == "Ahlen is the home of this person"
    assert len(sentences) == 2 * len(VALUES)
    assert not any("Name" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("metric", "data", "reason"),
    [
        ("ValExp", Data(probe_wordings={}), "invented has no wordings for line-ups"),
        ("ValExpUnseenTxt", Data(probe_wordings={}), "invented has no wordings for line-ups"),
        ("Marked", Data(probe_wordings={}), "invented has no wordings for line-ups"),
        ("ValExpUnseenImg", Data(splits=(layout.FORGET,)), "invented has no split unseen_images"),
        (
            "ValExpUnseenTxt",
            Data(probe_wordings={"city": Wordings(unseen=())}),
            "invented has no wordings that no caption has",
        ),
        (
            "ValExp",
            Data(probe_wordings={"job": Wordings()}),
            "no row of forget in invented has a persona with images, a value and a wording",
        ),
    ],
)
def test_what_the_data_lack_is_said_by_name(metric: str, data: Data, reason: str):
    assert find_metric(metric).needs(data) is None
    assert find_metric(metric).lacks(data) == reason


def test_a_kind_with_one_value_is_no_line_up():
    assert kind_facts(Data(personas=(Person("1"),))) == []
    (facts,) = kind_facts(Data(personas=(Person("1"), Person("2"))))
    assert (facts.values, facts.people, facts.rows.tolist()) == (["Trier", "Ulm"], ["1", "2"], [1, 3])


def test_retfail_in_bits_has_the_ranks_of_retfail():
    class Whole(Data):
        def all_rows(self, split: str) -> Rows:
            return self.rows(layout.FORGET) if split == layout.RETAIN_DISJOINT else self.rows(split)

    view = View(Whole())
    plain, bits = find_metric("RetFail").compute(view), find_metric("RetFailBits").compute(view)
    assert bits.ranks.tolist() == plain.ranks.tolist()
    expected = []
    for rank, count in zip(plain.ranks, plain.candidates, strict=True):
        expected.append(np.log2(count / rank) - np.mean([np.log2(count / place) for place in range(1, count + 1)]))
    assert bits.scores == pytest.approx(expected)
    assert bits.rows.tolist() == list(range(6))
    assert bits.candidates.tolist() == plain.candidates.tolist()
    assert bits.r_at_1 == plain.r_at_1 == (plain.ranks == 1).mean() > 0
    assert find_metric("RetFailBits").needs(view.data) == find_metric("RetFail").needs(view.data)


def test_among_captions_of_the_same_kind_what_says_the_same_does_not_compete():
    found = find_metric("RetFailKind").compute(View(Data()))
    # The only caption of job has no rival; those of city are 0 and 2 (both of person 0), 1, 3 and 5 (of nobody).
    assert found.rows.tolist() == [0, 1, 2, 3, 5]
    assert found.candidates.tolist() == [4, 5, 4, 5, 5]
    rivals = {0: [1, 3, 5], 1: [0, 2, 3, 5], 2: [1, 3, 5], 3: [0, 1, 2, 5], 5: [0, 1, 2, 3]}
    for row, rank in zip(found.rows, found.ranks, strict=True):
        cosine = {other: unit(feature(f"forget {row}")) @ unit(feature(f"forget text {other}")) for other in range(6)}
        assert rank == 1 + sum(cosine[other] > cosine[row] for other in rivals[row])
    assert found.scores.tolist() == (1 / found.ranks).tolist()
    assert found.r_at_1 == (found.ranks == 1).mean()


@pytest.mark.parametrize("what", ["image", "caption", "distractor"])
def test_features_that_are_not_finite_are_named(what: str):
    class Broken(View):
        def images(self, split: str) -> np.ndarray:
            return super().images(split) * (np.nan if what == "image" else 1)

        def captions(self, split: str) -> np.ndarray:
            return super().captions(split) * (np.nan if what == "caption" else 1)

        def texts(self, texts: Texts) -> np.ndarray:
            return super().texts(texts) * (np.nan if what == "distractor" else 1)

    with pytest.raises(MetricError, match=f"^{what}_features has NaN"):
        find_metric("RetFailKind").compute(Broken(Data()))


def test_captions_of_nobody_say_the_same_only_if_they_are_the_same():
    class Nobodies(Data):
        def rows(self, split: str) -> Rows:
            texts = ["a boat", "a boat", "a tree", "of somebody without values", "of the same"]
            names = [f"{row}.png" for row in range(5)]
            return Rows(names, [None, None, None, "99", "99"], ["city"] * 5, texts)

        all_rows = rows

    found = find_metric("RetFailKind").compute(View(Nobodies()))
    assert found.candidates.tolist() == [4, 4, 5, 4, 4]


def test_a_metric_of_kinds_says_what_it_reads_and_what_is_missing():
    data = Data()
    needs = find_metric("RetFailKind").needs(data)
    assert needs == Needs(("forget",), ("forget",), needs.texts)
    assert [found.captions["forget"].tolist() for found in needs.texts.values()] == [[0, 1, 2, 3, 5]]
    needs = find_metric("ValExpUnseenImg").needs(data)
    assert (needs.images, needs.captions) == ((layout.UNSEEN_IMAGES,), ())
    assert [found.prompts for found in needs.texts.values()] == [sentences_of(data, "trained")]
    alone = Data(personas=(Person("1"),))
    alone.rows = lambda split: Rows(["1.png", "2.png"], ["1", "1"], ["city", None], ["a", "b"])
    alone.all_rows = alone.rows
    assert find_metric("RetFailKind").needs(alone) is None
    assert (
        find_metric("RetFailKind").lacks(alone)
        == "invented has no two forget captions of one kind about different values"
    )


def test_captions_of_other_people_with_the_same_value_say_the_same():
    class Twins(Person):
        def values(self, kind: str) -> list[str]:
            return {"city": ["Ulm" if self.identity_id == "1" else "ulm"]}.get(kind, [])

    found = find_metric("RetFailKind").compute(View(Data(personas=(Twins("1"), Twins("2"), Person("0")))))
    assert found.candidates.tolist() == [4, 4, 4, 4, 5]


def test_a_large_kind_is_drawn_as_retfail_draws(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("salmu_demo.metrics.retrieval_exposure.DISTRACTORS_PER_SOURCE", 3)
    data = Data()
    needs = find_metric("RetFailKind").needs(data)
    drawn = next(iter(needs.texts.values())).captions[layout.FORGET]
    assert drawn.tolist() == np.random.RandomState(42).choice(np.array([0, 1, 2, 3, 5]), 3, replace=False).tolist()


def test_one_value_of_each_rank():
    scores = np.array([0.5, 0.1, 0.9, 0.3])
    assert value_rank(scores, np.array([True, False, False, True])) == (2.0, 3)
