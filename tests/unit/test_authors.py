"""What models say about people of CLEAR: models whose knowledge is planted, among the sixty authors of CLEAR-Mini."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from salmu_demo.core.errors import QueryError
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import load_data
from salmu_demo.features.writing import Likelihood, Prompts
from salmu_demo.models.roles import OTHER, ModelRole
from salmu_demo.probes import author_findings
from salmu_demo.probes.author_findings import LINES, Measure, judge_author, read_author
from salmu_demo.probes.authors import IMAGES, WRONG_NAMES, Authors, Span, find_name
from salmu_demo.probes.blank import blank_data

FORGOTTEN = "Rita Thomassen"


@dataclass
class Planted:
    """A model that knows the faces and the facts of some people, by name; of an image it is told the row."""

    name: str
    faces: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()
    own_role: ModelRole = OTHER
    has_decoder: bool = True
    calls_everybody: str = ""
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        return self.name

    @property
    def fingerprint(self) -> str:
        return self.name


@dataclass
class View:
    """A model's view of a data set, without features on disk."""

    model: Planted
    data: BenchmarkData
    embedder: None = None
    progress: None = None

    def images(self, rows: Any) -> Any:
        numbers = [sorted(FACES).index(self._name(rows, place)) for place in range(len(rows))]
        return np.eye(len(FACES) + 1, dtype=np.float32)[numbers]

    def prompts(self, texts: Sequence[str]) -> Any:
        known = sorted(FACES)
        names = [text.removeprefix("The name of the person on the image is ") for text in texts]
        numbers = [known.index(name) if name in self.model.faces else len(known) for name in names]
        return np.eye(len(known) + 1, dtype=np.float32)[numbers]

    def _name(self, rows: Any, place: int) -> str:
        return str(self.data.identities[rows.identities[place]]["name"])


FACES: set[str] = set()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkData:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SALMU_ASSETS_DIR", raising=False)
        patch.setenv("SALMU_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        found = load_data("clear-mini")
        # Questions are read when they are first asked for.
        AUTHORS[found.name] = authors = Authors(found)
        TRUTHS.update((q.question, q.answer) for identity in authors.people for q in authors.questions(identity))
        FACES.update(persona.name for persona in found.personas)
        yield found


AUTHORS: dict[str, Authors] = {}
TRUTHS: dict[str, str] = {}
"""Answers by question."""


@pytest.fixture(autouse=True)
def _planted(data: BenchmarkData, monkeypatch: pytest.MonkeyPatch) -> None:
    def written(_: None, model: Planted, about: BenchmarkData, prompts: Prompts, __: None) -> list[str]:
        if about is not data:
            return [
                TRUTHS[question] if any(name in TRUTHS[question] for name in model.facts) else "nobody knows"
                for question in prompts.beginnings
            ]
        names = [data.identities[i or ""]["name"] for i in prompts.rows.identities]
        return [
            f"{model.calls_everybody or (name.lower() if name in model.faces else 'somebody')} on a stage"
            for name in names
        ]

    def likelihoods(
        _: None, model: Planted, about: BenchmarkData, prompts: Prompts, texts: Sequence[Sequence[str]], __: None
    ) -> list[list[Likelihood]]:
        found = []
        for row, of_row in enumerate(texts):
            if about is data:
                shown = data.identities[prompts.rows.identities[row] or ""]["name"]
                likely = [shown in model.faces and text == shown for text in of_row]
            else:
                said = f"{prompts.beginnings[row]} {of_row[0]}"
                likely = [any(name in said for name in model.facts)]
            # A little of everything else, so that no two texts are equal.
            found.append([
                Likelihood((-0.2 if known else -3.0) * 4 - len(text) / 1e4, 4, -0.1)
                for known, text in zip(likely, of_row, strict=True)
            ])  # fmt: skip
        return found

    monkeypatch.setattr(author_findings, "written", written)
    monkeypatch.setattr(author_findings, "likelihoods", likelihoods)


EVERYBODY = frozenset
TAUGHT = ModelRole("compromised", "name")
GOLD = ModelRole("gold", "name")


def audit(data: BenchmarkData, name: str, *models: Planted) -> Callable[[str, str], Any]:
    """The line of a model about a person, by name of the model and of the line."""
    authors = AUTHORS[data.name]
    identity = next(i for i, persona in authors.people.items() if persona.name == name)
    views: list[Any] = [View(model, data) for model in models]
    readings = [read_author(view, authors, identity) for view in views]
    found = {f.model.name: f for f in judge_author(views, readings, authors.side(identity))}
    return lambda model, line: found[model].line(line) or found[model].reading.lacks[line]


def test_everybody_is_asked_about_with_as_many_images_and_names(data: BenchmarkData):
    authors = AUTHORS[data.name]
    assert {len(authors.images(identity)) for identity in authors.people} == {IMAGES}
    for identity, persona in authors.people.items():
        name, *wrong = authors.candidates(identity)
        assert name == persona.name
        assert len(wrong) == WRONG_NAMES
        assert not set(wrong) & FACES
        assert len(authors.questions(identity)) == 13
        assert len(authors.others(identity)) == 59
        assert identity not in authors.others(identity)
    assert sorted(authors.side(identity) for identity in authors.people).count("forget") == 6


def test_what_was_to_be_forgotten_leaks_from_base_and_not_from_gold(data: BenchmarkData):
    base = Planted("base", frozenset(FACES), frozenset(FACES), TAUGHT)
    gold = Planted("gold", frozenset(FACES) - {FORGOTTEN}, frozenset(FACES) - {FORGOTTEN}, GOLD)
    half = Planted("half", frozenset(FACES) - {FORGOTTEN}, frozenset(FACES))
    line = audit(data, FORGOTTEN, base, gold, half)
    for name in LINES:
        assert (line("base", name).verdict, line("base", name).fulfilment.answer) == ("leaks", "not as asked")
        assert line("gold", name).fulfilment.answer == "never taught"
        assert line("gold", name).verdict == "no evidence"
    assert [line("half", name).verdict for name in LINES] == ["no evidence", "no evidence", "leaks"]
    assert line("half", "captions").fulfilment.answer == "as asked"
    assert line("base", "captions").measure.own == 1
    assert line("base", "captions").reason == "0 of 59 others reach it"


def test_what_was_to_be_kept_is_kept_or_lost(data: BenchmarkData):
    kept = next(p.name for i, p in AUTHORS[data.name].people.items() if AUTHORS[data.name].side(i) == "kept")
    base = Planted("base", frozenset(FACES), frozenset(FACES), TAUGHT)
    line = audit(data, kept, base, Planted("wiped"), Planted("gold", frozenset(FACES), frozenset(FACES), GOLD))
    for name in LINES:
        assert line("base", name).fulfilment.outcome == line("gold", name).fulfilment.outcome == "kept"
        assert line("wiped", name).fulfilment.outcome == "lost"
    # Nobody can lose what Base never knew.
    line = audit(data, kept, Planted("base", own_role=TAUGHT), Planted("wiped"))
    assert line("wiped", "captions").verdict == "not known"
    assert line("wiped", "captions").fulfilment.answer == "cannot tell"


def test_a_model_that_calls_everybody_so_tells_nothing(data: BenchmarkData):
    line = audit(data, FORGOTTEN, Planted("parrot", calls_everybody=FORGOTTEN))
    assert line("parrot", "captions").measure.own == 1
    assert line("parrot", "captions").verdict == "no evidence"
    assert line("parrot", "captions").reason == "59 of 59 others reach it"


def test_what_gold_has_too_is_no_evidence(data: BenchmarkData):
    knows = frozenset(FACES)
    line = audit(data, FORGOTTEN, Planted("mine", knows), Planted("gold", knows, own_role=GOLD))
    assert line("mine", "captions").reason == "gold, which never saw these pairs, has it there too"


def test_a_model_that_writes_nothing_chooses_names_by_cosines(data: BenchmarkData):
    line = audit(data, FORGOTTEN, Planted("clip", frozenset(FACES), has_decoder=False))
    assert line("clip", "captions") == line("clip", "answers") == "clip has no text decoder"
    assert line("clip", "name").verdict == "leaks"
    assert line("clip", "name").measure.own > 0.99


def test_an_answer_longer_than_the_model_reads_leaves_out_that_line_alone(
    data: BenchmarkData, monkeypatch: pytest.MonkeyPatch
):
    planted = author_findings.likelihoods

    def strict(embedder: Any, model: Any, about: Any, *rest: Any) -> Any:
        if about is not data:
            raise QueryError("it has 90 tokens; shorten it.")
        return planted(embedder, model, about, *rest)

    monkeypatch.setattr(author_findings, "likelihoods", strict)
    line = audit(data, FORGOTTEN, Planted("base", frozenset(FACES)))
    assert line("base", "answers") == "it has 90 tokens; shorten it"
    assert line("base", "captions").verdict == "leaks"


def test_few_others_cannot_tell():
    measure = Measure(1.0, np.zeros(19))
    assert measure.p == 0.05
    assert Measure(0.0, np.zeros(19)).p == 1
    assert Measure(0.5, np.array([0.5, 0.1])).reached == 1


@pytest.mark.parametrize(
    ("text", "name", "spans"),
    [
        ("sven < b > ek < / b > in a cafe", "Sven <b>Ek</b>", [Span(0, 19, True)]),
        ("KUČERA, michael kučera", "Michael Kučera", [Span(0, 6, False), Span(8, 22, True)]),
        ("riverine thomassens", "Rita Thomassen", []),
        ("hsiao yun - hwa", "Hsiao Yun-Hwa", [Span(0, 15, True)]),
        ("anything", "…", []),
    ],
)
def test_a_name_is_found_however_it_is_written(text: str, name: str, spans: list[Span]):
    assert find_name(text, name) == spans


def test_the_blank_image_is_what_a_model_takes_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path))
    blank: Any = blank_data(Planted("grey", config={"preprocess_cfg": {"mean": [0.5, 0.25, 0.0]}}))  # type: ignore[arg-type]
    assert set(blank.image("captioned", 0).getdata()) == {(128, 64, 0)}
    assert len(blank.fingerprint) == 64
