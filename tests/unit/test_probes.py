"""Search and retrieval against plain loops, on features drawn by chance instead of a model's."""

import logging
import math
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import faiss
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError, QueryError
from salmu_demo.data.dataset import BenchmarkData, Split, load_folder
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.checks import normalised
from salmu_demo.metrics.representation import linear_cka
from salmu_demo.models.difference import weight_difference
from salmu_demo.models.source import ModelSource
from salmu_demo.probes import index as index_module
from salmu_demo.probes import torch_index as torch_index_module
from salmu_demo.probes.gallery import Gallery, Hits, SearchableGallery
from salmu_demo.probes.index import MAX_K, ExactIndex, FaissIndex, check_k, gpu_resources
from salmu_demo.probes.large_index import RECALL_GOAL, LargeIndex, exact_items
from salmu_demo.probes.model_change import measure_change
from salmu_demo.probes.open_retrieval import compare_retrieval, mean_query
from salmu_demo.probes.people import persona_features
from salmu_demo.probes.torch_index import TorchIndex, exact_index
from tests.fixtures.checkpoints import Arrays, write_tensors
from tests.fixtures.loops import plain_search
from tests.fixtures.tiny import IN_BOTH, write_tiny_data

Array = NDArray[np.float32]


class DrawnEmbedder:
    """Features drawn from a model's name and what they are of: the same ones again, at no cost."""

    def images(self, model: Any, data: BenchmarkData, split: Split, progress: Any = None) -> Array:
        return self.prompts(model, [f"{split.stored}/{row}" for row in split.rows])

    def captions(self, model: Any, data: BenchmarkData, split: Split, progress: Any = None) -> Array:
        return self.prompts(model, split.texts)

    def prompts(self, model: Any, texts: Sequence[str], progress: Any = None) -> Array:
        seeds = [crc32(f"{model.fingerprint} {text}".encode()) for text in texts]
        drawn = np.stack([np.random.default_rng(seed).normal(size=16) for seed in seeds])
        return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)

    def facts(self, model: Any) -> Any:
        return SimpleNamespace(logit_scale=10.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkData:
    return load_folder(write_tiny_data(tmp_path_factory.mktemp("tiny")), "mini")


@pytest.fixture(scope="module")
def embedder() -> Any:
    return DrawnEmbedder()


@pytest.fixture(scope="module")
def models() -> list[Any]:
    return [SimpleNamespace(fingerprint="compromised"), SimpleNamespace(fingerprint="clean")]


# Index


def random_features(rng: np.random.Generator, rows: int, width: int) -> Array:
    return rng.normal(size=(rows, width)).astype(np.float32)


def tied_features(rng: np.random.Generator, rows: int, width: int) -> Array:
    """Quarters: products are exact in any order of summing, so equal scores are equal to the last bit."""
    return (rng.integers(-1, 2, (rows, width)) / 4).astype(np.float32)


@pytest.mark.parametrize("make", [random_features, tied_features])
@pytest.mark.parametrize("index", [FaissIndex, ExactIndex, partial(TorchIndex, device="cpu")])
@pytest.mark.parametrize("queries", [1, 30])  # FAISS counts differently from 20 queries on
def test_search_equals_a_plain_loop(index: Any, make: Callable[..., Array], queries: int):
    rng = np.random.default_rng(3)
    for rows, width in [(1, 4), (7, 2), (60, 3), (300, 16)]:
        features, asked = make(rng, rows, width), make(rng, queries, width)
        for k in {1, 2, rows // 2 + 1, rows, rows + 5}:
            scores, items = index(features).search(asked, k)
            assert scores.shape == items.shape == (queries, min(k, rows))
            for number in range(queries):
                plain_scores, plain_items = plain_search(features, asked[number], k)
                assert items[number].tolist() == plain_items
                np.testing.assert_allclose(scores[number], plain_scores, atol=1e-5)


def test_the_number_of_results_is_bounded_by_the_gallery_and_the_most():
    assert (check_k(1, 5), check_k(MAX_K, 5), check_k(MAX_K, 2 * MAX_K)) == (1, 5, MAX_K)
    for k in (0, MAX_K + 1):
        with pytest.raises(QueryError, match=f"k is {k}"):
            check_k(k, 5)


def test_a_collapsed_gallery_is_returned_in_order():
    features = np.full((500, 8), 0.5, dtype=np.float32)
    _, items = FaissIndex(features).search(features[:1], 10)
    assert items.tolist() == [list(range(10))]


def clustered(rng: np.random.Generator, rows: int, width: int = 16) -> Array:
    """Unit vectors around 40 centres."""
    drawn = rng.normal(size=(40, width))[rng.integers(0, 40, rows)] + 0.3 * rng.normal(size=(rows, width))
    return normalised(drawn.astype(np.float32), "features")


def test_a_large_index_says_what_it_misses():
    rng = np.random.default_rng(5)
    features = clustered(rng, 3000)
    trials = normalised(features[:50] + 0.1 * rng.normal(size=(50, 16)).astype(np.float32), "queries")
    index = LargeIndex(features, trials)
    scores, items = index.search(trials, 10)
    truth = [plain_search(features, query, 10)[1] for query in trials]
    found = sum(len(set(mine) & set(best)) for mine, best in zip(items.tolist(), truth, strict=True))
    assert index.recall == pytest.approx(found / 500)
    assert index.recall >= RECALL_GOAL
    # What it finds is scored exactly, best first.
    np.testing.assert_allclose(scores, np.take_along_axis(trials @ features.T, items, axis=1), atol=1e-6)
    assert (np.diff(scores, axis=1) <= 0).all()
    # As many as are asked for, even if they are not in the nearest lists.
    assert sorted(index.search(trials[:1], 3000)[1][0].tolist()) == list(range(3000))
    assert index.search(trials[:2], 4000)[0].shape == (2, 3000)


def test_where_nothing_is_near_every_list_is_visited():
    rng = np.random.default_rng(6)
    features, trials = (normalised(random_features(rng, rows, 64), "features") for rows in (2000, 20))
    assert LargeIndex(features, trials).recall >= RECALL_GOAL


def test_what_is_large_is_said_by_a_number(monkeypatch: pytest.MonkeyPatch):
    assert exact_items() == 1_000_000
    monkeypatch.setenv("SALMU_EXACT_ITEMS", "250")
    assert exact_items() == 250
    for wrong in ("0", "-1", "many", "1.5", ""):
        monkeypatch.setenv("SALMU_EXACT_ITEMS", wrong)
        with pytest.raises(QueryError, match=r"SALMU_EXACT_ITEMS is '.*'; it must be a positive number of items"):
            exact_items()


class BrokenGpu:
    """What FAISS offers of a GPU that fails when it is used."""

    def __init__(self, *_: Any) -> None: ...

    def add(self, _: Any) -> None:
        raise RuntimeError("CUDA driver version is insufficient")


def test_a_gpu_that_fails_its_trial_is_left_alone_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", BrokenGpu, raising=False)
    monkeypatch.setattr(faiss, "GpuIndexFlatIP", BrokenGpu, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", lambda *_: pytest.fail("moved to a broken GPU"), raising=False)
    with caplog.at_level(logging.WARNING, index_module.__name__):
        _, items = FaissIndex(np.eye(3, dtype=np.float32)).search(np.eye(3, dtype=np.float32)[1:2], 1)
    assert items.tolist() == [[1]]
    assert [r.getMessage() for r in caplog.records] == [
        "FAISS searches on the CPU, because its GPU failed a trial: CUDA driver version is insufficient"
    ]


def test_torch_searches_on_a_gpu_that_faiss_does_not_find(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """The device of torch is the CPU here, which it is told to be a GPU."""
    features = np.eye(3, dtype=np.float32)
    assert exact_index(features)[1] == "FAISS on the CPU"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch_index_module, "TorchIndex", partial(TorchIndex, device="cpu"))
    index, what = exact_index(features)
    assert what == "torch on the GPU, where FAISS finds none"
    assert index.search(features[1:2], 2)[1].tolist() == [[1, 0]]

    def full(_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch_index_module, "TorchIndex", full)
    with caplog.at_level(logging.WARNING, torch_index_module.__name__):
        assert exact_index(features)[1] == "FAISS on the CPU"
    assert "the features do not fit on the GPU: CUDA out of memory" in caplog.text
    monkeypatch.setattr(torch_index_module, "gpu_resources", lambda: "one")
    assert exact_index(features)[1] == "FAISS on the GPU"


def test_faiss_without_gpu_support_or_without_a_gpu_searches_on_the_cpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    assert gpu_resources() is None
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: pytest.fail("a build without GPU support was asked for GPUs"))
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    assert gpu_resources() is None


def test_a_gpu_that_works_is_used_by_one_search_at_a_time(monkeypatch: pytest.MonkeyPatch):
    under_way: list[Any] = []

    class Resources:
        pass

    class Trial:
        def __init__(self, resources: Any, width: int) -> None:
            self.index = faiss.IndexFlatIP(width)

        def add(self, rows: Array) -> None:
            self.index.add(rows)

        def search(self, queries: Array, k: int) -> Any:
            assert not under_way, "two searches at once"
            under_way.append(self)
            time.sleep(0.01)
            under_way.remove(self)
            return self.index.search(queries, k)

        @property
        def ntotal(self) -> int:
            return int(self.index.ntotal)

    def to_gpu(resources: Any, device: int, cpu: Any) -> Trial:
        assert isinstance(resources, Resources)
        moved = Trial(resources, cpu.d)
        moved.index = cpu
        return moved

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", Resources, raising=False)
    monkeypatch.setattr(faiss, "GpuIndexFlatIP", Trial, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", to_gpu, raising=False)
    features = np.eye(4, dtype=np.float32)
    index = FaissIndex(features)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda row: index.search(features[row : row + 1], 2)[1].tolist(), range(4)))
    assert found == [[[0, 1]], [[1, 0]], [[2, 0]], [[3, 0]]]


# Galleries


@pytest.mark.parametrize(("name", "splits"), [
    ("forget", ["forget"]),
    ("holdouts", ["holdout_association", "holdout_identity"]),
    ("retain", ["retain_synth"]),
    ("all", ["forget", "holdout_association", "holdout_identity", "retain_synth"]),
])  # fmt: skip
def test_a_gallery_holds_every_caption_once_and_every_face(
    data: BenchmarkData, embedder: Any, models: list[Any], name: str, splits: list[str]
):
    rows = [(split, row, data.split(split).texts[row]) for split in splits for row in range(len(data.split(split)))]
    first: dict[str, tuple[str, int, str]] = {}
    for entry in rows:
        first.setdefault(entry[2], entry)
    captions, faces = Gallery(data, name, "captions"), Gallery(data, name, "faces")
    assert [(i.split, i.row, i.text) for i in captions.items] == list(first.values())
    assert [(i.split, i.row, i.text) for i in faces.items] == rows
    if "retain_synth" in splits:
        assert len(captions) < len(faces)
    for item, feature in zip(faces.items, faces.features(FeatureView(models[0], data, embedder)), strict=True):
        split = data.split(item.split)
        assert (item.identity, item.file_name) == (split.identities[item.row], split.file_names[item.row])
        assert feature.tobytes() == np.asarray(embedder.images(models[0], data, split)[item.row]).tobytes()
    for item, feature in zip(captions.items, captions.features(FeatureView(models[0], data, embedder)), strict=True):
        assert (
            feature.tobytes()
            == np.asarray(embedder.captions(models[0], data, data.split(item.split))[item.row]).tobytes()
        )


def test_the_items_of_a_persona_are_its_own(data: BenchmarkData):
    gallery = Gallery(data, "all", "faces")
    own = gallery.of_persona(IN_BOTH[0])
    assert own.tolist() == [item.identity == IN_BOTH[0] for item in gallery.items]
    assert own.sum() == 18  # 8 kinds times 2 images, and 2 plain ones
    assert not gallery.of_persona("no such persona").any()


# Open retrieval


def test_the_images_of_a_persona_are_all_its_sensitive_ones(data: BenchmarkData, embedder: Any, models: list[Any]):
    features = persona_features(FeatureView(models[0], data, embedder), IN_BOTH[0])
    rows = [
        np.asarray(embedder.images(models[0], data, data.split(name))[row])
        for name in ("forget", "holdout_association", "holdout_identity")
        for row, identity in enumerate(data.split(name).identities)
        if identity == IN_BOTH[0]
    ]
    assert len(rows) == 16
    assert features.tobytes() == np.stack(rows).tobytes()


def hand_made(data: BenchmarkData, scores: dict[str, list[float]], k: int, **options: Any) -> list[Any]:
    """A comparison over the first items of a gallery whose cosines with the query are given by model."""
    gallery = Gallery(data, "forget", "faces")
    size = len(next(iter(scores.values())))
    gallery.items = gallery.items[:size]
    galleries: list[Any] = []
    for name, values in scores.items():
        features = np.zeros((size, 2), dtype=np.float32)
        features[:, 0] = values
        galleries.append((SimpleNamespace(fingerprint=name), SearchableGallery(gallery, features)))
    query = np.array([[1.0, 0.0]], dtype=np.float32)
    return compare_retrieval(galleries, dict.fromkeys(scores, query), k, **options)


def test_changes_shared_items_and_own_rank_by_hand(data: BenchmarkData):
    scores = {
        "compromised": [0.75, 0.5, 0.25, 0.125, 0.5],
        "clean": [0.25, 0.5, 0.125, 0.75, 0.0],
    }
    own = np.array([False, False, True, False, True])
    compromised, clean = hand_made(data, scores, 3, own=own, clean="clean")
    items = Gallery(data, "forget", "faces").items
    assert [(r.rank, r.item, r.score) for r in compromised.results] == [
        (1, items[0], 0.75), (2, items[1], 0.5), (3, items[4], 0.5)
    ]  # fmt: skip
    assert [r.change for r in compromised.results] == [0.5, 0.0, 0.5]
    assert [r.hit for r in compromised.results] == [False, False, True]
    assert [r.shared for r in compromised.results] == [True, True, False]
    assert [(r.item, r.score, r.change) for r in clean.results] == [
        (items[3], 0.75, 0.0), (items[1], 0.5, 0.0), (items[0], 0.25, 0.0)
    ]  # fmt: skip
    assert [r.shared for r in clean.results] == [False, True, True]
    # The best own item of each: 0 is better than item 4 and 1 ties under Compromised, three are better than 2 in Clean.
    assert (compromised.own_rank, clean.own_rank) == (2.5, 4)
    assert (compromised.gallery_size, clean.gallery_size) == (5, 5)


def test_the_own_rank_counts_half_of_the_items_of_others_that_tie(data: BenchmarkData):
    own = np.array([False, True, True, False, False, False, False])
    noise = 1e-7
    scores = [0.9, 0.5, 0.5 - noise, 0.5 + noise, 0.5, 0.5 - noise, 0.1]
    (answer,) = hand_made(data, {"any": scores}, 3, own=own)
    # One is better and three tie; the persona's other item does not count against it.
    assert answer.own_rank == 1 + 1 + 3 / 2


def collapsed(rng: np.random.Generator, count: int, width: int) -> Array:
    """Equal directions of unequal length, whose cosines with anything come out unequal in the last bits."""
    return (rng.normal(size=width) * rng.uniform(0.5, 2, (count, 1))).astype(np.float32)


def test_the_own_rank_of_a_collapsed_model_is_in_the_middle(data: BenchmarkData):
    gallery = Gallery(data, "all", "captions")
    own = gallery.of_persona(IN_BOTH[0])
    rng = np.random.default_rng(2)
    unequal = 0
    for width in rng.integers(2, 600, 20).tolist():
        features = normalised(collapsed(rng, len(gallery), width), "features")
        searchable = SearchableGallery(gallery, features)
        query = mean_query(rng.normal(size=(3, width)).astype(np.float32))
        unequal += len(set(searchable.scores(query).tolist())) > 1
        (answer,) = compare_retrieval([(SimpleNamespace(fingerprint="x"), searchable)], {"x": query}, 3, own)  # type: ignore[list-item]
        assert answer.own_rank == 1 + (~own).sum() / 2
    assert unequal > 10


def test_a_large_gallery_is_searched_by_lists_and_its_ranks_are_exact(
    data: BenchmarkData, embedder: Any, models: list[Any], monkeypatch: pytest.MonkeyPatch
):
    gallery = Gallery(data, "forget", "captions")
    views = {model.fingerprint: FeatureView(model, data, embedder) for model in models}
    queries = {name: gallery.trials(view)[:1] for name, view in views.items()}

    def compared(own: Any = None) -> list[Any]:
        galleries = [
            (model, SearchableGallery(gallery, gallery.features(view), partial(gallery.trials, view)))
            for model, view in zip(models, views.values(), strict=True)
        ]
        return compare_retrieval(galleries, queries, 10, own, clean="clean")

    own = gallery.of_persona(IN_BOTH[0])
    exact, exact_of_persona = compared(), compared(own)
    assert [answer.recall for answer in exact] == [None, None]
    monkeypatch.setenv("SALMU_EXACT_ITEMS", str(len(gallery) - 1))
    for answer, plain in zip([*compared(), *compared(own)], [*exact, *exact_of_persona], strict=True):
        assert answer.recall is not None
        assert answer.recall >= RECALL_GOAL
        assert answer.own_rank == plain.own_rank
        there = {result.item: result for result in plain.results}
        shared = [(result, there[result.item]) for result in answer.results if result.item in there]
        assert len(shared) >= 9
        for mine, his in shared:
            assert (mine.score, mine.change) == pytest.approx((his.score, his.change), abs=1e-6)
            assert mine.hit == his.hit
    monkeypatch.setenv("SALMU_EXACT_ITEMS", str(len(gallery)))
    assert compared() == exact


def test_the_change_of_clean_is_nothing_however_its_cosines_are_rounded():
    class OneItem:
        items = ("item",)

        def __len__(self) -> int:
            return 1

    def rounded(score: float) -> Any:
        searched = Hits(np.array([0]), np.array([score], np.float32))
        return SimpleNamespace(
            gallery=OneItem(), scores=lambda _: np.array([0.5], np.float32), search=lambda *_: searched, recall=None
        )

    models = [SimpleNamespace(fingerprint=name) for name in ("clean", "other")]
    galleries: list[Any] = list(zip(models, (rounded(0.5000001), rounded(0.75)), strict=True))
    clean, other = compare_retrieval(galleries, {"clean": np.ones(1), "other": np.ones(1)}, 1, clean="clean")
    assert clean.model is models[0]
    assert clean.results[0].change == 0.0
    assert other.results[0].change == 0.25
    assert compare_retrieval([], {}, 1) == []


def test_without_clean_there_is_no_change_and_a_single_model_shares_all(data: BenchmarkData):
    (answer,) = hand_made(data, {"compromised": [0.1, 0.3, 0.2]}, 2)
    assert [(r.change, r.shared, r.hit) for r in answer.results] == [(None, True, False)] * 2
    assert answer.own_rank is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(data: BenchmarkData, bad: float, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(MetricError, match="features of the gallery forget has NaN or infinite numbers in 1 of 3 rows"):
        hand_made(data, {"broken": [0.1, bad, 0.2]}, 2)
    gallery = Gallery(data, "forget", "faces")
    monkeypatch.setenv("SALMU_EXACT_ITEMS", "1")
    features = np.eye(len(gallery), 2, dtype=np.float32)
    with pytest.raises(MetricError, match="features that the recall of the gallery forget is measured with has NaN"):
        SearchableGallery(gallery, features, lambda: np.array([[1, bad]], dtype=np.float32))
    searchable = SearchableGallery(gallery, np.ones((len(gallery), 2), dtype=np.float32))
    with pytest.raises(MetricError, match="The feature of the query has NaN or infinite numbers"):
        searchable.search(np.array([[bad, 0]], dtype=np.float32), 1)


def test_the_mean_query_has_length_one():
    query = mean_query(np.array([[2.0, 0.0], [0.0, 2.0]], dtype=np.float32))
    np.testing.assert_allclose(query, [[math.sqrt(0.5), math.sqrt(0.5)]], atol=1e-7)


# Changes


def test_a_change_is_of_the_weights_and_of_the_features_of_one_split(
    data: BenchmarkData, embedder: Any, tmp_path: Path
):
    before = {"visual.proj": np.eye(2, dtype=np.float32), "text_projection": np.ones((2, 2), np.float32)}
    after = {**before, "visual.proj": np.full((2, 2), 3, np.float32)}
    model, against = (
        ModelSource(name, write_tensors(tmp_path / name, tensors), {})
        for name, tensors in (("after", after), ("before", before))
    )
    change = measure_change(FeatureView(model, data, embedder), against, "holdout_identity")
    split = data.split("holdout_identity")
    assert (change.model, change.against, change.split) == (model, against, "holdout_identity")
    assert change.rows == len(split) > 2
    assert change.weights == weight_difference(Arrays(after), Arrays(before))
    assert change.weights != weight_difference(Arrays(before), Arrays(after))
    for found, column in ((change.cka_images, embedder.images), (change.cka_captions, embedder.captions)):
        assert found == pytest.approx(linear_cka(*(column(source, data, split) for source in (model, against))))
    assert change.cka_images != change.cka_captions


def test_a_gallery_has_one_copy_in_memory(data: BenchmarkData):
    gallery = Gallery(data, "forget", "faces")
    features = np.random.default_rng(3).normal(size=(len(gallery), 8)).astype(np.float32)
    given, expected = weakref.ref(features), features @ features[0]
    searchable, query = SearchableGallery(gallery, features), features[:1].copy()
    del features
    assert given() is None
    np.testing.assert_array_equal(searchable.scores(query), expected)
    assert searchable.nbytes == len(gallery) * 8 * 4
