"""The workbench on real models: searches and audits, what it shares, and what it keeps in memory."""

import gc
import math
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from salmu_demo.core.errors import QueryError
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import Embedder, ModelFacts
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.view import FeatureView
from salmu_demo.models import encoder as encoder_module
from salmu_demo.models.made import WEIGHTS_FILE
from salmu_demo.models.references import find_model
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.attacks import HEADLINE, PersonaReading, find_attack
from salmu_demo.probes.attacks.base import PersonaAttack
from salmu_demo.probes.findings import AuditCell
from salmu_demo.probes.gallery import GALLERIES, SearchableGallery
from salmu_demo.probes.people import People, persona_features
from salmu_demo.results.workload import Workload
from salmu_demo.workbench import bench as workbench_module
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.checkpoints import write_tensors
from tests.fixtures.loops import plain_search
from tests.fixtures.tiny import IN_BOTH, PERSONAS, TWO_EMAILS

Array = NDArray[np.float32]


@pytest.fixture
def data(tiny_assets: Path) -> BenchmarkData:
    return load_data("mini")


@pytest.fixture(scope="module")
def embedder(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    return Embedder(ArrayStore(tmp_path_factory.mktemp("cache")), EncoderRegistry())


@pytest.fixture
def bench(embedder: Embedder) -> Workbench:
    return Workbench("mini", embedder)


@pytest.fixture
def models(tiny_assets: Path) -> list[ModelSource]:
    return [find_model("mini-compromised"), find_model("mini-clean")]


@pytest.mark.parametrize("k", [0, -1, 1001, 10_000])
def test_a_number_of_results_out_of_range_is_refused_before_anything_is_computed(
    bench: Workbench, models: list[ModelSource], monkeypatch: pytest.MonkeyPatch, k: int
):
    monkeypatch.setattr(bench, "embedder", None)
    for ask in (
        lambda: bench.retrieve_for_persona(IN_BOTH[0], models, "all", k),
        lambda: bench.retrieve_for_text("a text", models, "all", k),
        lambda: bench.retrieve_for_image(bench.data.image("forget", 0), models, "all", k),
    ):
        with pytest.raises(QueryError, match=f"k is {k}; choose a number of results between 1 and 1000"):
            ask()


def test_more_results_than_items_gives_all_items(bench: Workbench, models: list[ModelSource]):
    (retrieval,) = bench.retrieve_for_text("a text", models[:1], "forget", 1000)
    assert len(retrieval.results) == retrieval.gallery_size == len(bench.gallery("forget", "faces"))
    scores = [r.score for r in retrieval.results]
    assert scores == sorted(scores, reverse=True)


def test_a_retrieval_equals_a_plain_search(bench: Workbench, models: list[ModelSource], embedder: Embedder):
    retrievals = bench.retrieve_for_text("lives in Dakar", models, "all", 7, "captions")
    gallery = bench.gallery("all", "captions")
    for model, retrieval in zip(models, retrievals, strict=True):
        features = gallery.features(FeatureView(model, bench.data, embedder))
        scores, items = plain_search(features, embedder.query_text(model, "lives in Dakar")[0], 7)
        assert retrieval.model is model
        assert [r.item for r in retrieval.results] == [gallery.items[i] for i in items]
        assert [r.rank for r in retrieval.results] == [1, 2, 3, 4, 5, 6, 7]
        np.testing.assert_allclose([r.score for r in retrieval.results], scores, atol=1e-6)
        assert retrieval.own_rank is None
        assert not any(r.hit for r in retrieval.results)


@pytest.mark.parametrize("content", ["captions", "faces"])
def test_the_own_rank_of_a_persona_equals_a_loop(
    bench: Workbench, models: list[ModelSource], embedder: Embedder, content: Any
):
    for identity in PERSONAS:
        retrievals = bench.retrieve_for_persona(identity, models, "all", 5, content)
        gallery = bench.gallery("all", content)
        for model, retrieval in zip(models, retrievals, strict=True):
            faces = persona_features(FeatureView(model, bench.data, embedder), identity).astype(np.float64)
            direction = sum(faces) / len(faces)
            query = direction / math.sqrt(sum(x * x for x in direction))
            _, order = plain_search(gallery.features(FeatureView(model, bench.data, embedder)), query, len(gallery))
            places = [place for place, i in enumerate(order, 1) if gallery.items[i].identity == identity]
            assert retrieval.own_rank == places[0]
            assert [r.hit for r in retrieval.results] == [place in places for place in range(1, 6)]


def test_a_persona_without_items_in_the_gallery_has_no_own_rank(bench: Workbench, models: list[ModelSource]):
    (retrieval,) = bench.retrieve_for_persona("00000006", models[:1], "forget", 3)
    assert retrieval.own_rank is None
    assert not any(r.hit for r in retrieval.results)


def test_the_change_of_clean_itself_is_nothing(bench: Workbench, models: list[ModelSource]):
    compromised, clean = bench.retrieve_for_text("a text", models, "all", 20)
    assert max(abs(r.change or 0) for r in clean.results) < 1e-6
    assert max(abs(r.change or 0) for r in compromised.results) > 1e-3


def test_an_audit_covers_every_kind_with_every_model(bench: Workbench, models: list[ModelSource]):
    cells = bench.audit(TWO_EMAILS, models)
    assert [(c.kind, c.model) for c in cells] == [(kind, model) for kind in bench.data.kinds for model in models]
    assert len(cells) == 16
    for cell in cells:
        view, attack = FeatureView(cell.model, bench.data, bench.embedder), find_attack(HEADLINE)
        persona = bench.data.persona(TWO_EMAILS)
        alone = attack.read(view, People(bench.data), persona, cell.kind, attack.variants[0])
        assert isinstance(alone, PersonaReading)
        assert (cell.headline.reading.place, cell.headline.reading.values) == (alone.place, alone.values)
    emails = {c.headline.reading.true_values for c in cells if c.kind == "email"}
    assert emails == {tuple(PERSONAS[TWO_EMAILS]["emails"])}


def test_an_audit_leaves_out_what_a_persona_does_not_have(bench: Workbench, models: list[ModelSource]):
    persona = bench.data.persona(TWO_EMAILS)
    without = {k: v for k, v in persona.metadata.items() if k not in ("iban", "job")}
    bench.data.personas[bench.data.personas.index(persona)] = replace(persona, metadata=without)
    kinds = {cell.kind for cell in bench.audit(TWO_EMAILS, models[:1])}
    assert kinds == set(bench.data.kinds) - {"iban", "job"}


def test_a_warm_workbench_computes_only_queries(
    tiny_assets: Path, embedder: Embedder, models: list[ModelSource], monkeypatch: pytest.MonkeyPatch
):
    Workbench("mini", embedder).warm(models)
    bench = Workbench("mini", Embedder(embedder.store, EncoderRegistry()))
    monkeypatch.setattr(EncoderRegistry, "lend", lambda self, source: pytest.fail("a model was loaded"))
    assert len(bench.audit("00000001", models)) == 16
    for gallery in GALLERIES:
        for content in ("captions", "faces"):
            bench.retrieve_for_persona("00000001", models, gallery, 3, content)  # type: ignore[arg-type]


def test_what_verdicts_lack_is_counted_until_they_are_known(tiny_assets: Path, tmp_path: Path):
    bench = Workbench("mini", Embedder(ArrayStore(tmp_path / "cache")))
    [model] = bench.models(["mini-clean"])
    before = bench.missing_for_verdicts(model)
    assert before.images > 0 < before.texts
    bench.matrices([model])
    assert bench.missing_for_verdicts(model) == Workload(0, 0)


def test_a_question_that_failed_can_be_asked_again(
    bench: Workbench, models: list[ModelSource], monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setattr(PersonaAttack, "read", lambda *_: (_ for _ in ()).throw(QueryError("not now")))
        with pytest.raises(QueryError, match="not now"):
            bench.audit("00000001", models[:1], ["city"])
    (cell,) = bench.audit("00000001", models[:1], ["city"])
    assert cell.headline.reading.place.candidates == 5


class DrawnEmbedder(Embedder):
    """Features drawn from a model's fingerprint: enough to have many models in a moment."""

    def _drawn(self, model: ModelSource, name: str, texts: Sequence[str]) -> Array:
        with self.encoders.lend(model):
            number = {text: place for place, text in enumerate(dict.fromkeys(texts))}
            rng = np.random.default_rng(list(f"{model.fingerprint}{name}".encode()))
            drawn = rng.normal(size=(len(number), 16)).astype(np.float32)
            return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True))[[number[text] for text in texts]]

    def images(self, model: ModelSource, data: BenchmarkData, split: Split, progress: Any = None) -> Array:
        return self._drawn(model, split.name, split.file_names)

    def captions(self, model: ModelSource, data: BenchmarkData, split: Split, progress: Any = None) -> Array:
        return self._drawn(model, split.name, split.texts)

    def prompts(self, model: ModelSource, texts: Sequence[str], progress: Any = None) -> Array:
        return self._drawn(model, "", texts)

    def query_text(self, model: ModelSource, text: str) -> Array:
        return self._drawn(model, "", [text])

    def facts(self, model: ModelSource) -> ModelFacts:
        return ModelFacts(16, 100, 10.0, "cpu", model.fingerprint)


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[ModelSource]:
    """Forty models that load at once."""
    monkeypatch.setattr(encoder_module, "Encoder", lambda source: np.zeros(400, dtype=np.uint8))
    return [
        ModelSource(f"m{number}", write_tensors(tmp_path / f"m{number}", {"x": np.full(100, number, np.float32)}), {})
        for number in range(40)
    ]


def alive(kind: type[Any]) -> list[Any]:
    gc.collect()
    return [thing for thing in gc.get_objects() if type(thing) is kind]


@pytest.mark.usefixtures("tiny_assets")
def test_forty_models_stay_within_the_budget_and_their_answers_right(many: list[ModelSource], tmp_path: Path):
    before = len(alive(SearchableGallery))
    budget = 100_000
    embedder = DrawnEmbedder(ArrayStore(tmp_path), EncoderRegistry(budget))
    bench = Workbench("mini", embedder)
    one = len(bench.gallery("all", "faces")) * 16 * 4
    assert 40 * one > 3 * budget
    first: dict[str, Any] = {}
    for again in (False, True):
        for model in many:
            (found,) = bench.retrieve_for_text("a text", [model], "all", 5)
            (cell,) = bench.audit("00000001", [model], ["city"])
            features = bench.gallery("all", "faces").features(FeatureView(model, bench.data, embedder))
            scores, items = plain_search(features, embedder.query_text(model, "a text")[0], 5)
            assert [r.item for r in found.results] == [bench.gallery("all", "faces").items[i] for i in items]
            np.testing.assert_allclose([r.score for r in found.results], scores, atol=1e-6)
            answer = [(r.item, r.score) for r in found.results], cell.headline.reading.place
            assert first.setdefault(model.reference, answer) == answer
            assert embedder.encoders.memory.taken() <= budget, again
    kept = alive(SearchableGallery)
    # What audits keep is in the same budget, and came last.
    assert len(kept) - before <= budget // one
    # What is used all the time stays, whoever else comes.
    favourite = bench.retrieve_for_text("a text", many[:1], "all", 5)
    (searchable,) = [g for g in alive(SearchableGallery) if g not in kept]
    for model in many[1:]:
        bench.retrieve_for_text("a text", [model, many[0]], "all", 5)
    assert searchable in alive(SearchableGallery)
    assert bench.retrieve_for_text("a text", many[:1], "all", 5)[0].results == favourite[0].results


def test_visitors_who_ask_at_once_share_one_answer(
    many: list[ModelSource], tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bench = Workbench("mini", DrawnEmbedder(ArrayStore(tmp_path), EncoderRegistry()))
    start, made = threading.Barrier(4), []
    run = PersonaAttack.read

    def slow(*arguments: Any) -> Any:
        made.append(run(*arguments))
        time.sleep(0.1)
        return made[-1]

    monkeypatch.setattr(PersonaAttack, "read", slow)

    def ask(_: int) -> AuditCell:
        start.wait(timeout=10)
        return bench.audit("00000001", many[:1], ["city"])[0]

    with ThreadPoolExecutor(4) as pool:
        cells = list(pool.map(ask, range(4)))
    # Its correction takes the headline of every attribute, each once.
    assert len(made) == len(bench.data.kinds)
    assert all(cell.headline.reading is cells[0].headline.reading for cell in cells)
    assert ask_again(bench, many) is cells[0].headline.reading
    # Another data set has answers of its own, even with the same personas.
    assert ask_again(Workbench("mini", bench.embedder), many) is not cells[0].headline.reading


def ask_again(bench: Workbench, models: list[ModelSource]) -> PersonaReading:
    return bench.audit("00000001", models[:1], ["city"])[0].headline.reading


def test_what_was_told_about_models_is_remembered_of_the_last_ones_only(
    tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(workbench_module, "MOST_MODELS", 2)
    bench = Workbench("mini", DrawnEmbedder(ArrayStore(tmp_path), EncoderRegistry()))
    weights = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for path in weights:
        shutil.copy(tiny_assets / "models" / "mini-clean" / WEIGHTS_FILE, path)
    made = []
    for path in weights:
        (model,) = bench.models([str(path)], "mini-clean")
        assert bench.models([str(path)])[0] is model
        made.append(model)
    # The twins are those that are remembered.
    assert bench.twin_remarks(model) == []
    embedder = Embedder(ArrayStore(tmp_path), EncoderRegistry())
    bench.embedder = embedder
    embedder.facts(model)
    assert bench.twin_remarks(model) == [f"{weights[2]} has the same weights as {weights[1]}."]
    assert bench.models([str(weights[1])])[0] is made[1]
    assert bench.models([str(weights[0])])[0] is not made[0]
