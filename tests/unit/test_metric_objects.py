"""What the registered metrics make of a view: which features they ask for, and which rows their scores belong to."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from salmu_demo.core.errors import MetricError, PluginError
from salmu_demo.data import layout
from salmu_demo.metrics import (
    Metric,
    MetricData,
    MetricResult,
    MetricView,
    Needs,
    Rows,
    Texts,
    ZeroShotSet,
    all_metrics,
    association_classification,
    find_metric,
    register,
    retrieval_failure,
)
from salmu_demo.metrics import base as base_module
from salmu_demo.metrics.core_association import bare_prompts, core_prompts
from salmu_demo.metrics.identity_zero_shot import candidate_names

ALL_SPLITS = {*layout.REQUIRED_SPLITS, *layout.DERIVED_SPLITS, layout.GENKNOW_SPLIT, layout.UNSEEN_IMAGES}
WIDTH = 8


@dataclass(frozen=True)
class Person:
    identity_id: str
    name: str

    def values(self, kind: str) -> list[str]:
        assert kind, "asked for the values of no kind"
        return [f"{kind} of {self.name}", f"another {kind} of {self.name}"] if kind == "city" else []


@dataclass(frozen=True)
class Wordings:
    trained: tuple[str, ...] = ("{person} lives in {value}", "{value} is the home of {person}")
    unseen: tuple[str, ...] = ("{person}'s address is in {value}",)


@dataclass
class Data:
    """Four forget rows of two personas, of which a sample measures rows 1 to 3."""

    name: str = "invented"
    personas: tuple[Person, ...] = (Person("p1", "Ana"), Person("p2", "Ben"), Person("p3", "nobody here"))
    zero_shot: ZeroShotSet | None = None
    generic: bool = True
    kind: str | None = "city"
    made: dict[Any, Any] = field(default_factory=dict)
    probe_wordings: dict[str, Wordings] = field(default_factory=lambda: {"city": Wordings()})

    def has(self, split: str) -> bool:
        return split in ALL_SPLITS

    def all_rows(self, split: str) -> Rows:
        assert split in ALL_SPLITS
        count = {"forget": 4, "retain_disjoint": 3}.get(split, 4)
        people = [None] * count if split == "retain_disjoint" else [f"p{1 + row % 2}" for row in range(count)]
        return Rows(
            [f"{split}_{row}.jpg" for row in range(count)], people, [self.kind] * count,
            [f"caption {row} of {split}" for row in range(count)],
        )  # fmt: skip

    def rows(self, split: str) -> Rows:
        whole = self.all_rows(split)
        return Rows(whole.file_names[1:], whole.identities[1:], whole.kinds[1:], whole.texts[1:])

    def generic_caption(self, file_name: str) -> str | None:
        return f"plain {file_name}" if self.generic or file_name != "forget_2.jpg" else None

    def once(self, make: Callable[[MetricData], Any]) -> Any:
        if make not in self.made:
            self.made[make] = make(self)
        return self.made[make]


def feature(text: str) -> np.ndarray:
    seed = sum(ord(letter) * 31**place for place, letter in enumerate(text)) % 2**32
    return np.random.RandomState(seed).normal(size=WIDTH).astype(np.float32)


def features(texts: list[str]) -> np.ndarray:
    rows = np.stack([feature(text) for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class View:
    """Features that depend on nothing but the file name or text, and a note of what was asked for."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.asked: dict[str, set[str]] = {"images": set(), "captions": set(), "prompts": set()}

    def images(self, split: str) -> np.ndarray:
        self.asked["images"].add(split)
        return features(list(self.data.rows(split).file_names))

    def captions(self, split: str) -> np.ndarray:
        self.asked["captions"].add(split)
        return features(list(self.data.rows(split).texts))

    def prompts(self, texts: list[str]) -> np.ndarray:
        self.asked["prompts"] |= set(texts)
        return features(list(texts))

    def texts(self, texts: Texts) -> np.ndarray:
        captions = [self.data.all_rows(split).texts[row] for split, rows in texts.captions.items() for row in rows]
        return (
            features(captions)
            if not texts.prompts
            else np.concatenate([features(captions), self.prompts(list(texts.prompts))])
        )


CLASSES = ZeroShotSet("invented set", ["hen", "kite"], ["a hen", "the hen", "a kite", "the kite"], np.array([0, 1, 1]))


@pytest.mark.parametrize("metric", all_metrics(), ids=lambda metric: metric.name)
def test_a_metric_asks_for_what_it_needs_and_scores_the_measured_rows(metric: Metric):
    data = Data(zero_shot=CLASSES)
    view = View(data)
    needs, result = metric.needs(data), metric.compute(view)
    assert needs is not None
    assert result.spec is metric
    assert view.asked["images"] == set(needs.images) == {getattr(metric, "images", metric.split)}
    assert view.asked["captions"] == set(needs.captions)
    assert view.asked["prompts"] == {prompt for texts in needs.texts.values() for prompt in texts.prompts}
    assert result.scores is not None
    assert result.rows is not None
    assert result.value == float(result.scores.mean())
    assert set(result.rows.tolist()) <= {0, 1, 2}
    assert result.measured_on == ("invented set" if metric.on_zero_shot_set else None)


def test_retfail_gives_ranks_candidates_and_the_share_of_first_places():
    data = Data()
    view = View(data)
    result = find_metric("RetFail").compute(view)
    texts = [*data.all_rows("forget").texts, *data.all_rows("retain_disjoint").texts]
    ranks, candidates = retrieval_failure(
        view.images("forget"), view.captions("forget"), data.rows("forget").texts, features(texts), texts
    )
    assert result.ranks.tolist() == ranks.tolist()
    assert result.candidates.tolist() == candidates.tolist() == [7, 7, 7]
    assert result.scores.tolist() == (1 / ranks).tolist()
    assert result.r_at_1 == ranks.tolist().count(1.0) / 3


def test_acs_scores_belong_to_the_rows_it_was_tested_on():
    view = View(Data())
    result = find_metric("ACS").compute(view)
    rows, correct = association_classification(view.images("forget"), view.captions("forget"))
    assert result.scores.tolist() == correct.tolist()
    assert result.rows.tolist() == rows.tolist()


def test_retfail_counts_first_places():
    class Told(View):
        """Images that are their captions, but for the last, which is another's."""

        def images(self, split: str) -> np.ndarray:
            return self.captions(split)[[0, 1, 0]]

    result = find_metric("RetFail").compute(Told(Data()))
    assert result.ranks[:2].tolist() == [1, 1]
    assert result.ranks[2] > 1
    assert result.r_at_1 == 2 / 3


def test_names_are_those_of_the_personas_shown_and_the_truth_is_of_the_measured_rows():
    names = candidate_names(Data())
    assert names.prompts == ["a photo of Ana", "a photo of Ben"]
    assert names.truth.tolist() == [1, 0, 1]


def test_bare_prompts_are_each_persons_name_with_its_values():
    bare = bare_prompts(Data())
    expected = [
        (row, prompt)
        for row, name in enumerate(("Ben", "Ana", "Ben"))
        for prompt in core_prompts(name, [f"city of {name}", f"another city of {name}"])
    ]
    assert len(set(bare.prompts)) == len(bare.prompts)
    assert [(row, bare.prompts[n]) for row, n in zip(bare.rows, bare.numbers, strict=True)] == expected


ANA, BEN = Data().personas[:2]


@pytest.mark.parametrize(
    ("make", "data", "sentence"),
    [
        (candidate_names, Data(personas=(ANA,)), "forget_identity; invented has none for p2"),
        (candidate_names, Data(personas=()), "forget_identity; invented has none for p1"),
        (bare_prompts, Data(personas=(BEN,)), r"row 1 \(forget_2.jpg, kind city\) of invented has none"),
        (bare_prompts, Data(kind="job"), r"row 0 \(forget_1.jpg, kind job\) of invented has none"),
        (bare_prompts, Data(kind=None), r"row 0 \(forget_1.jpg, kind None\) of invented has none"),
    ],
)
def test_rows_without_a_name_or_value_are_refused(make: Callable[[MetricData], Any], data: Data, sentence: str):
    with pytest.raises(MetricError, match=sentence):
        make(data)


def test_a_further_measure_is_skipped_where_the_data_hold_nothing_for_it():
    data = Data(generic=False)
    assert find_metric("GenKnow").needs(data) is None
    assert find_metric("LeakRate").needs(data) is None


def test_a_copy_of_a_metric_is_the_metric():
    metric = find_metric("ACS")
    assert copy.deepcopy(metric) is metric
    assert pickle.loads(pickle.dumps(metric)) is metric


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Metric]:
    """A copy of the registry, so that what a test registers is gone after it."""
    copied = dict(base_module.REGISTRY)
    monkeypatch.setattr(base_module, "REGISTRY", copied)
    return copied


class Share(Metric):
    name = "Share"
    pillar = "utility"
    title = "A title"
    explanation = "One sentence."
    split = "forget"

    def compute(self, view: MetricView) -> MetricResult:
        return self.result(np.array([0.0, 1.0, 1.0]))


def test_a_registered_metric_stands_behind_the_others_and_is_found(registry: dict[str, Metric]):
    before = all_metrics()
    register(Share)
    share = find_metric("share")
    assert all_metrics() == (*before, share)
    assert (share.official, share.number, share.reference, share.json_key) == (False, "+", "compromised", "+_Share")
    assert share.needs(Data()) == Needs(("forget",), ("forget",))
    assert share.compute(View(Data())).value == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "RETFAIL"}, "There is already a metric called RETFAIL"),
        ({"pillar": "speed"}, "The pillar of Share is 'speed'; it must be"),
        ({"official": True}, "Share is not one of the benchmark's ten"),
        ({"name": "a/b"}, "A metric cannot be called 'a/b'"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(registry: dict[str, Metric], changes: dict[str, Any], sentence: str):
    before = dict(registry)
    with pytest.raises(PluginError, match=sentence):
        register(type("Share", (Share,), changes))
    assert registry == before


def test_a_metric_without_a_fact_is_refused(registry: dict[str, Metric]):
    class Untitled(Metric):
        name = "Untitled"
        pillar = "utility"
        explanation = "One sentence."
        split = "forget"

        def compute(self, view: MetricView) -> MetricResult:
            raise AssertionError("A metric that is refused is never asked.")

    with pytest.raises(PluginError, match="The metric Untitled has no title"):
        register(Untitled)


def test_an_unknown_name_is_refused_with_all_names(registry: dict[str, Metric]):
    register(Share)
    with pytest.raises(MetricError, match=r"choose one of RetFail, .*LeakRate, .*Share\."):
        find_metric("nonesuch")
