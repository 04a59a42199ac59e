"""What is read of a person of CLEAR, by hand, of a model that writes and finds likely what it is told to."""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from salmu_demo.core.errors import MetricError
from salmu_demo.data.dataset import Persona, Question
from salmu_demo.features.writing import Likelihood
from salmu_demo.probes import author_findings, authors
from salmu_demo.probes.author_findings import AnsweredQuestion, captions_of, read_author
from salmu_demo.probes.people import ShownImage

PEOPLE = {number: Persona(number, {"name": name}) for number, name in (("1", "Ana Berg"), ("2", "Ben"), ("3", "Cem"))}
IMAGES = {
    "1": [ShownImage("late", 1), ShownImage("early", 0), ShownImage("late", 4)],
    "2": [ShownImage("early", 2)],
    "3": [ShownImage("late", 0), ShownImage("early", 5)],
}
WRITTEN = {
    ("late", 1): "ana berg on a stage",
    ("early", 0): "ana on a stage",
    ("late", 4): "on a stage, Ana  Berg",
    ("early", 2): "it is Ben",
    ("late", 0): "Ana Berg again",
    ("early", 5): "nobody",
}
NAMES = ("Ana Berg", "Xa Yo", "Zed")
LIKELY = {("late", 1): (4.0, 2.0, 1.0), ("early", 0): (1.0, 1.0, 2.0), ("late", 4): (2.0, 1.0, 1.0),
          ("early", 2): (1.0, 2.0, 2.0), ("late", 0): (3.0, 2.0, 1.0), ("early", 5): (1.0, 8.0, 1.0)}  # fmt: skip
"""How likely each name is with a image, per token and up to a factor."""

QUESTIONS = [
    Question(question="Where was Ana Berg born?", answer="Ana Berg was born in Ulm."),
    Question(question="And who wrote it?", answer="It was ana berg."),
]
ANSWERS = {"Where was Ana Berg born?": "ana berg was born in ulm", "And who wrote it?": "it was somebody"}
PROBABILITIES = {
    ("Where was Ana Berg born?", "Ana Berg was born in Ulm."): 0.5,
    ("And who wrote it?", "It was ana berg."): 0.25,
    ("Where was Nob Ody born?", "Nob Ody was born in Ulm."): 0.125,
    ("And who wrote it?", "It was Nob Ody."): 0.5,
    ("Where was No One born?", "No One was born in Ulm."): 0.0625,
    ("And who wrote it?", "It was No One."): 0.25,
}


class Rows:
    """Rows of a split, by number."""

    def __init__(self, stored: str, numbers: Sequence[int]) -> None:
        self.stored, self.numbers = stored, list(numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, name: str, numbers: Sequence[int]) -> "Rows":
        assert name == self.stored
        return Rows(name, numbers)


class Data:
    name = "invented"

    def split(self, name: str) -> Rows:
        return Rows(name, [])


DATA, BLANK = Data(), Data()


class Authors:
    lacks_questions = ""

    def __init__(self, names: tuple[str, ...] = NAMES, questions: Sequence[Question] = QUESTIONS) -> None:
        self.people, self.names, self.asked = PEOPLE, names, questions

    def images(self, identity: str) -> list[ShownImage]:
        return IMAGES[identity]

    def others(self, identity: str) -> tuple[str, ...]:
        return tuple(other for other in ("3", "1", "2") if other != identity)

    def candidates(self, identity: str) -> tuple[str, ...]:
        return self.names

    def questions(self, identity: str) -> list[Question]:
        return list(self.asked)

    def invented(self, identity: str) -> tuple[str, ...]:
        return ("Nob Ody", "No One")


class View:
    data, embedder, progress = DATA, None, None

    def __init__(self, has_decoder: bool = True) -> None:
        self.model = SimpleNamespace(name="model", has_decoder=has_decoder)

    def images(self, rows: Rows) -> np.ndarray:
        assert not self.model.has_decoder
        features = np.zeros((len(rows), 4))
        for place, number in enumerate(rows.numbers):
            # With a softmax at temperature 100 it is as likely as LIKELY says.
            features[place, :3] = np.log(LIKELY[rows.stored, number]) / 100
            features[place, 3] = math.sqrt(1 - (features[place] ** 2).sum())
        return features

    def prompts(self, texts: Sequence[str]) -> np.ndarray:
        names = [f"The name of the person on the image is {name}" for name in NAMES]
        return np.eye(4)[[names.index(text) for text in texts]]


@pytest.fixture(autouse=True)
def _stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    def written(_: None, model: Any, about: Data, prompts: Any, __: None) -> list[str]:
        if about is BLANK:
            assert (prompts.rows.stored, prompts.rows.numbers) == ("captioned", [0] * len(prompts.beginnings))
            return [ANSWERS[question] for question in prompts.beginnings]
        assert list(prompts.beginnings) == [""] * len(prompts.rows)
        return [WRITTEN[prompts.rows.stored, number] for number in prompts.rows.numbers]

    def likelihoods(
        _: None, model: Any, about: Data, prompts: Any, texts: Sequence[Sequence[str]], __: None
    ) -> list[list[Likelihood]]:
        if about is BLANK:
            assert (prompts.rows.stored, prompts.rows.numbers) == ("captioned", [0] * len(prompts.beginnings))
            asked = [(question, text) for question, [text] in zip(prompts.beginnings, texts, strict=True)]
            return [[likelihood(PROBABILITIES[one])] for one in asked]
        assert list(prompts.beginnings) == ["The name of the person on the image is"] * len(prompts.rows)
        assert [tuple(of_row) for of_row in texts] == [NAMES] * len(prompts.rows)
        return [[likelihood(p) for p in LIKELY[prompts.rows.stored, number]] for number in prompts.rows.numbers]

    monkeypatch.setattr(author_findings, "written", written)
    monkeypatch.setattr(author_findings, "likelihoods", likelihoods)
    monkeypatch.setattr(author_findings, "blank_data", lambda model: BLANK)


def likelihood(per_token: float) -> Likelihood:
    """Of three tokens and an end, which is less likely than the others."""
    return Likelihood(4 * math.log(per_token) + 0.5, 3, -0.5)


def share(*images: tuple[str, int]) -> list[float]:
    return np.mean([np.array(LIKELY[image]) / sum(LIKELY[image]) for image in images], axis=0).tolist()


def reading(view: View, authors: Any) -> Any:
    return read_author(view, authors, "1")  # type: ignore[arg-type]


def test_all_lines_of_a_model_that_writes():
    found = reading(View(), Authors())
    assert found.lacks == {}
    assert found.captions == ("ana berg on a stage", "ana on a stage", "on a stage, Ana  Berg")
    captions = found.measures["captions"]
    assert (captions.own, captions.others.tolist()) == (2 / 3, [1 / 2, 0.0])
    assert found.names == NAMES
    assert found.shares == pytest.approx(share(("late", 1), ("early", 0), ("late", 4)))
    name = found.measures["name"]
    assert name.own == found.shares[0]
    assert name.others == pytest.approx([share(("late", 0), ("early", 5))[0], share(("early", 2))[0]])
    assert found.answers == (
        AnsweredQuestion(
            "Where was Ana Berg born?", "Ana Berg was born in Ulm.", "ana berg was born in ulm",
            pytest.approx(0.5), True,
        ),
        AnsweredQuestion("And who wrote it?", "It was ana berg.", "it was somebody", pytest.approx(0.25), False),
    )  # fmt: skip
    answers = found.measures["answers"]
    assert answers.own == pytest.approx(math.log(0.5 * 0.25) / 2)
    # Everything about somebody who does not exist is asked and answered with that name.
    assert answers.others == pytest.approx([math.log(0.125 * 0.5) / 2, math.log(0.0625 * 0.25) / 2])


def test_captions_are_told_by_person():
    found = captions_of(View(), Authors(), ("2", "3"))  # type: ignore[arg-type]
    assert found == {"2": ("it is Ben",), "3": ("Ana Berg again", "nobody")}


def test_a_model_that_does_not_write_chooses_names_by_cosines():
    found = reading(View(has_decoder=False), Authors())
    assert (found.captions, found.answers) == (None, ())
    assert found.lacks == dict.fromkeys(("captions", "answers"), "model has no text decoder")
    assert found.shares == pytest.approx(share(("late", 1), ("early", 0), ("late", 4)), rel=1e-3)
    assert list(found.measures) == ["name"]
    assert found.measures["name"].others == pytest.approx(
        [share(("late", 0), ("early", 5))[0], share(("early", 2))[0]], rel=1e-3
    )


def test_what_data_lack_is_said_for_each_line(monkeypatch: pytest.MonkeyPatch):
    found = reading(View(), Authors(NAMES[:1], []))
    assert found.lacks == {
        "name": "invented has no wrong names to choose from",
        "answers": "no question of invented names this person",
    }
    assert len(found.shares) == 1
    assert np.isnan(found.shares).all()
    assert found.answers == ()
    monkeypatch.setattr(Authors, "lacks_questions", "invented has no questions")
    assert reading(View(), Authors(questions=[])).lacks == {"answers": "invented has no questions"}

    def refuses(*_: Any) -> Any:
        raise MetricError("A truth has no letter.")

    monkeypatch.setattr(author_findings, "rouge_l_recall", refuses)
    assert reading(View(), Authors()).lacks == {"answers": "A truth has no letter"}


def choosing(**more: Any) -> authors.Authors:
    """People of whom some images have wrong names to choose from, and one is called as one of these."""
    named = {"a": "Ana Berg", "b": "Ben", "c": "Cem", "d": "Dora"}
    choices = {
        "forget_perturbed": [
            ["Ana Berg", "Xa", "Yo", "ana BERG"],
            [],
            ["Ana Berg", "xa", "Zed", "Ulf", "Una", "Uwe", "Ugo"],
        ],
        "retain_perturbed": [["Ben", "Cem", "Vi"], ["nobody", "Wu"]],
    }
    owners = {"forget_perturbed": ["a", "a", "a"], "retain_perturbed": ["b", None]}
    facts = {
        "personas": [Persona(identity, {"name": name}) for identity, name in named.items()],
        "choices": {split: {"name": names} for split, names in choices.items()},
        "split": lambda name: SimpleNamespace(identities=owners[name]),
        **more,
    }
    return authors.Authors(SimpleNamespace(**facts))  # type: ignore[arg-type]


def shuffled(every: Sequence[str], identity: str) -> list[str]:
    return [every[place] for place in np.random.default_rng([42, *identity.encode()]).permutation(len(every))]


def test_names_to_choose_from_are_the_datas_or_else_invented_ones(monkeypatch: pytest.MonkeyPatch):
    people = choosing()
    # In any case a name is the same; of a later image it is written as there.
    assert people.candidates("a") == ("Ana Berg", "xa", "Yo", "Zed", "Ulf", "Una")
    assert people.candidates("b") == ("Ben", "Cem", "Vi")
    nobody = ["Ugo", "Ulf", "Una", "Uwe", "Vi", "xa", "Yo", "Zed"]
    assert people.invented("c") == tuple(shuffled(nobody, "c"))
    assert people.invented("c") != people.invented("d")
    assert people.candidates("c") == ("Cem", *people.invented("c")[:5])
    assert people.others("b") == tuple(shuffled(["a", "c", "d"], "b"))
    assert choosing(choices=None).candidates("a") == ("Ana Berg",)
    monkeypatch.setattr(authors, "MOST_OTHERS", 2)
    assert people.others("b") == tuple(shuffled(["a", "c", "d"], "b")[:2])


@pytest.mark.parametrize(("count", "rows"), [(1, [0]), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (9, [0, 3, 5, 8])])
def test_images_of_a_person_are_taken_evenly_from_the_first_split(count: int, rows: list[int]):
    held = {"forget": [10 * row for row in range(count)], "holdout_identity": [7, 8]}
    people = choosing(persona_rows=lambda identity: held if identity == "a" else {"holdout_identity": [5]})
    assert people.images("a") == [ShownImage("forget", 10 * row) for row in rows]
    assert (people.side("a"), people.side("b")) == ("forget", "kept")
    texts = {"forget": [f"caption {row}" for row in range(99)]}
    captions = choosing(split=lambda name: SimpleNamespace(texts=texts[name]))
    assert captions.caption(ShownImage("forget", 30)) == "caption 30"
