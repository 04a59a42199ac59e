"""CLEAR's metrics by hand: of given texts and likelihoods, and of given cosines. No model is needed for it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from salmu_demo.data import layout
from salmu_demo.metrics import Metric, MetricData, Needs, Prompted, Rows, Texts, find_metric
from salmu_demo.metrics.clear import TASKS

NAMED = "The name of the person on the image is"
CHOICES = {
    (layout.FORGET_PERTURBED, "name"): [["Ana Berg", "Ben", "Cem"], []],
    (layout.FORGET_PERTURBED, "caption"): [
        ["by the sea is Ana", "by the sea is Ben"],
        ["snow and Ana", "snow and Ben"],
    ],
    (layout.RETAIN_PERTURBED, "name"): [["Dana", "Eve"]],
    (layout.RETAIN_PERTURBED, "caption"): [["at night, Dana", "at night, Eve"]],
    (layout.RETAIN_SYNTH, "answer"): [["Finn", "Gus"]],
    (layout.REAL_WORLD, "answer"): [["apple", "pear", "plum"], ["cat", "dog", "fox"]],
}
TEXTS = {
    layout.FORGET_PERTURBED: ["Ana by the sea", "Ana in snow"],
    layout.RETAIN_PERTURBED: ["Dana at night"],
    layout.RETAIN_SYNTH: ["A photo of Finn"],
    # The second row has no question: the data have its answer in that place.
    layout.REAL_WORLD: ["what is shown?", "cat"],
}
WRITTEN = {
    "Ana by the sea": "ana and the sea",  # 3 of 4 words
    "Ana in snow": "in the snow",  # 2 of 3
    "Ana Berg": "Ana",  # 1 of 2
    "Dana": "it is Dana",
    "Dana at night": "night",  # 1 of 3
    "Finn": "Finn",
    "apple": "apples",  # of one stem
    "cat": "a dog",
}


@dataclass
class Data:
    name: str = "invented"
    without: str = ""
    made: dict[Any, Any] = field(default_factory=dict)

    def choices(self, split: str, asked: str) -> list[list[str]] | None:
        return None if split == self.without else CHOICES.get((split, asked))

    def rows(self, split: str) -> Rows:
        texts = TEXTS[split]
        return Rows([f"{row}" for row in range(len(texts))], [None] * len(texts), [None] * len(texts), texts)

    def once(self, make: Callable[[MetricData], Any]) -> Any:
        return self.made.setdefault(make, make(self))  # type: ignore[arg-type]


class View:
    """Likelihoods: of the right text `right`, of the caption itself 0.3, of wrong ones 0.1, in the second row 0.2."""

    def __init__(self, right: float = 0.4, gold: "View | None" = None) -> None:
        self.data, self.gold, self.right = Data(), gold, right
        self.given: dict[str, list[str]] = {}

    def written(self, prompted: Prompted) -> Sequence[str]:
        self.given[prompted.split] = list(prompted.beginnings)
        captions = prompted.beginnings[0] == ""
        asked = "caption" if captions else "name" if "perturbed" in prompted.split else "answer"
        truths = [TEXTS[prompted.split][row] if captions else CHOICES[prompted.split, asked][row][0]
                  for row in prompted.rows.tolist()]  # fmt: skip
        return [WRITTEN[truth] for truth in truths]

    def log_likelihoods(self, prompted: Prompted, texts: Sequence[Sequence[str]]) -> np.ndarray:
        found = np.full((len(texts), max(map(len, texts))), -np.inf)
        for row, candidates in enumerate(texts):
            likely = [0.3] if len(candidates) == 1 else [self.right, *[0.1 * (row + 1)] * (len(candidates) - 1)]
            found[row, : len(candidates)] = np.log(likely)
        return found


class Seeing(View):
    """Cosines of which a softmax at temperature 100 makes those likelihoods; 0.9 for texts that are not candidates."""

    def images(self, split: str) -> np.ndarray:
        self.split = split
        return np.eye(len(TEXTS[split]), 3)

    def prompts(self, texts: Sequence[str]) -> np.ndarray:
        asked = {what: rows for (split, what), rows in CHOICES.items() if split == self.split}
        captions = not texts[0].startswith(NAMED) and "caption" in asked
        choices = asked["caption" if captions else "name" if "name" in asked else "answer"]
        features = np.zeros((len(texts), 3))
        for number, text in enumerate(texts):
            for row, candidates in enumerate(choices):
                said = text.removeprefix(f"{NAMED} ")
                likely = 0.1 * (row + 1) if said in candidates else 0.9
                features[number, row] = math.log(self.right if said in candidates[:1] else likely) / 100
            features[number, 2] = math.sqrt(1 - (features[number] ** 2).sum())
        return features


def value(name: str, view: Any) -> float:
    found = find_metric(name).compute(view).value
    assert found is not None
    return found


def harmonic(*values: float) -> float:
    return len(values) / sum(1 / value for value in values)


def test_a_decoder_is_given_the_sentence_before_a_name_nothing_before_a_caption_and_the_question():
    view = View()
    for task in ("ForgetFace", "ForgetCap", "RealFace", "RealWorld"):
        find_metric(f"{task}ROUGE").compute(view)  # type: ignore[arg-type]
        if task == "ForgetFace":
            assert view.given[layout.FORGET_PERTURBED] == [NAMED]  # the second row has nothing to choose from
    assert view.given[layout.FORGET_PERTURBED] == ["", ""]
    assert view.given[layout.RETAIN_SYNTH] == [NAMED]
    assert view.given[layout.REAL_WORLD] == ["what is shown?", ""]


KEPT = ("RetainCap", "RetainFace", "RealFace", "RealWorld")
READINGS = {
    "ForgetCapROUGE": (3 / 4 + 2 / 3) / 2,
    "ForgetFaceROUGE": 1 / 2,
    "RetainCapROUGE": 1 / 3,
    "RetainFaceROUGE": 1.0,
    "RealFaceROUGE": 1.0,
    "RealWorldROUGE": 1 / 2,
    "ForgetCapProbGen": 0.3,
    "ForgetFaceProbGen": 0.4 / 0.6,
    "RetainCapProbGen": 0.3,
    "RetainFaceProbGen": 0.4 / 0.5,
    "RealFaceProbGen": 0.4 / 0.5,
    "RealWorldProbGen": (0.4 / 0.6 + 0.4 / 0.8) / 2,
    # Of one row: wrong to right is 1/4.
    "ForgetFaceTRGen": 0.75,
    "RetainCapTRGen": 0.75,
    "RetainFaceTRGen": 0.75,
    "RealFaceTRGen": 0.75,
    "ForgetFaceTRAllGen": 0.25,
    "RetainCapTRAllGen": 0.75,
    "RetainFaceTRAllGen": 0.75,
    "RealFaceTRAllGen": 0.75,
    # Of two: 1/4 and 1/2, or each against the mean loss, that of the likelihood sqrt(0.1 * 0.2).
    "ForgetCapTRGen": (0.75 + 0.5) / 2,
    "RealWorldTRGen": (0.75 + 0.5) / 2,
    "ForgetCapTRAllGen": math.sqrt(0.02) / 0.4,
    "RealWorldTRAllGen": 1 - math.sqrt(0.02) / 0.4,
}


@pytest.mark.parametrize("name", READINGS)
def test_a_task_is_read_as_by_hand(name: str):
    assert value(name, View()) == pytest.approx(READINGS[name])


def of(*names: str) -> list[float]:
    return [READINGS[name] for name in names]


TEXT, TABLES, UTILITY = ("ROUGE", "ProbGen", "TRGen"), ("ProbGen", "TRAllGen"), ("ROUGE", "ProbGen", "TRAllGen")
AGGREGATES = {
    f"{what}{form}": harmonic(*of(*(task + reading for task in tasks for reading in readings)))
    for what, tasks in {
        "Real": ("RealFace", "RealWorld"),
        "Retain": ("RetainCap", "RetainFace"),
        "Forget": ("ForgetCap", "ForgetFace"),
    }.items()
    for form, readings in (("Text", TEXT), ("Tables", TABLES))
} | {"ModelUtility": harmonic(*of(*(task + r for task in KEPT for r in UTILITY)))}


@pytest.mark.parametrize("name", AGGREGATES)
def test_an_aggregate_is_the_harmonic_mean_of_its_numbers(name: str):
    found = find_metric(name).compute(View())  # type: ignore[arg-type]
    assert found.value == pytest.approx(AGGREGATES[name])
    assert found.scores is None


def test_forget_quality_is_1_where_gold_is_as_likely_and_0_where_nothing_is_shared():
    assert value("FQGen", View(gold=View())) == 1
    assert value("FQGen", View(0.9, gold=View(0.001))) == 0
    # A factor of all rows does not count where vectors over rows are compared.
    assert value("FQRowsGen", View(0.9, gold=View(0.001))) == pytest.approx(1)
    assert value("FQKSGen", View(0.9, gold=View(0.001))) == pytest.approx(1 / math.comb(4, 2) * 2)


def test_what_is_missing_is_named_by_the_first_task_that_lacks_it():
    data: Any = Data(without=layout.RETAIN_PERTURBED)
    lacking: dict[str, Metric] = {name: find_metric(name) for name in ("RetainFaceROUGE", "RetainText", "ModelUtility")}
    assert {name: metric.needs(data) for name, metric in lacking.items()} == dict.fromkeys(lacking)
    assert {metric.lacks(data) for metric in lacking.values()} == {"invented has no perturbed names to keep"}
    assert find_metric("ForgetText").needs(data) is not None


CHOSEN = {
    # The right one has 0.15, wrong ones 0.1 in the first row and 0.2 in the second.
    "ForgetFaceAcc": 1.0, "ForgetCapAcc": 1 / 2, "RetainFaceAcc": 1.0, "RealWorldAcc": 1 / 2,
    "ForgetFaceProb": 0.15 / 0.35, "ForgetCapProb": (0.15 / 0.25 + 0.15 / 0.35) / 2, "RetainFaceProb": 0.6,
    "RetainCapProb": 0.6, "RealFaceProb": 0.6, "RealWorldProb": (0.15 / 0.35 + 0.15 / 0.55) / 2,
    "ForgetFaceTR": 1 / 3, "ForgetCapTR": 1 / 6, "RetainCapTR": 1 / 3, "RealWorldTR": 1 / 6,
    # Right to wrong of all: of ForgetCap 0.6 and 0.15 / 0.35 to the mean of the logarithms of 0.4 and 0.2 / 0.35.
    "ForgetFaceTRAll": 2 / 3, "RetainFaceTRAll": 1 / 3,
    "ForgetCapTRAll": (math.sqrt(0.4 / 1.75) / 0.6 + 0.15 / 0.35 / math.sqrt(0.4 / 1.75)) / 2,
    "RealWorldTRAll": (1 - math.sqrt(0.1 * 0.2 / 0.35 / 0.55) / (0.15 / 0.35)) / 2,
}  # fmt: skip


@pytest.mark.parametrize("name", CHOSEN)
def test_a_choice_by_cosines_is_read_as_by_hand(name: str):
    found = find_metric(name).compute(Seeing(0.15))  # type: ignore[arg-type]
    assert found.value == pytest.approx(CHOSEN[name], rel=1e-4)
    assert found.spec is find_metric(name)
    assert found.rows is not None
    assert found.rows.tolist() == ([0, 1] if name.startswith(("ForgetCap", "RealWorld")) else [0])


def test_candidates_that_rows_share_are_one_text_and_rows_without_any_are_left_out():
    data: Any = Data()
    data.choices = lambda split, asked: [["Ana", "Ben", "Cem"], [], ["Cem", "Ana"]]
    panel = TASKS[0].panel(data)
    assert panel is not None
    assert panel.rows.tolist() == [0, 2]
    assert panel.texts == [f"{NAMED} {name}" for name in ("Ana", "Ben", "Cem")]
    assert panel.candidates.tolist() == [[0, 1, 2], [2, 0, -1]]
    data.choices = lambda split, asked: [[], []]
    assert TASKS[0].panel(data) is None


def test_what_a_choice_reads_is_its_images_and_candidates():
    data: Any = Data()
    needs = find_metric("RealWorldProb").needs(data)
    texts = Texts(["apple", "pear", "plum", "cat", "dog", "fox"])
    assert needs == Needs((layout.REAL_WORLD,), texts={"choices of RealWorld": texts})
    without: Any = Data(without=layout.REAL_WORLD)
    assert find_metric("RealWorldProb").needs(without) is None
    assert find_metric("RealWorldProb").lacks(without) == "invented has no images of the real world with options"
    captions = [text for row in CHOICES[layout.FORGET_PERTURBED, "caption"] for text in row]
    assert find_metric("FQ").needs(data) == Needs(
        (layout.FORGET_PERTURBED,), texts={"choices of ForgetCap": Texts(captions)}
    )
    assert find_metric("FQGen").needs(data) == find_metric("ForgetFaceROUGE").needs(data) == Needs()
    without = Data(without=layout.FORGET_PERTURBED)
    for name in ("FQ", "FQGen"):
        assert find_metric(name).needs(without) is None
        assert find_metric(name).lacks(without) == "invented has no perturbed captions to forget"


def test_forget_quality_by_cosines_is_that_of_the_ratios_of_shares():
    # 0.4 makes the shares 0.8 and 2/3, whose ratios lie in the bins 15 and 14 of 20; 0.3 those of the bins 14 and 13.
    view: Any = Seeing(0.4, gold=Seeing(0.3))
    assert value("FQ", view) == pytest.approx(1 - math.sqrt(0.5))
    assert value("FQ", Seeing(0.4, gold=Seeing(0.4))) == 1
    ours, golds = np.array([0.8, 2 / 3]), np.array([0.75, 0.6])
    assert value("FQRows", view) == pytest.approx(1 - jensenshannon(ours, golds), rel=1e-4)
    assert value("FQKS", Seeing(0.9, gold=Seeing(0.001))) == pytest.approx(1 / 3)
    for name in ("FQ", "RetainText", "ForgetCapROUGE"):
        assert find_metric(name).compute(view).spec is find_metric(name)
    assert find_metric("RetainText").compute(view).rows is None
    rows = find_metric("ForgetFaceROUGE").compute(view).rows
    assert rows is not None
    assert rows.tolist() == [0]
