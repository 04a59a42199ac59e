"""Finished metrics on disk: the same bits again, or not at all."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from salmu_demo.metrics import MEASURES
from salmu_demo.models.source import ModelSource
from salmu_demo.results import kept as kept_module
from salmu_demo.results.kept import KeptMetrics
from salmu_demo.results.records import MetricResult
from tests.fixtures.results import DATA, evaluation

RESULTS = evaluation("mini-unlearned").results


@pytest.fixture
def model(tmp_path: Path) -> ModelSource:
    (tmp_path / "weights").write_bytes(b"weights")
    return ModelSource("model", tmp_path / "weights", {})


@pytest.fixture
def kept(tmp_path: Path, model: ModelSource) -> KeptMetrics:
    store = KeptMetrics(tmp_path / "kept")
    for result in RESULTS.values():
        store.save(model, DATA, result)
    return store


def bits(result: MetricResult) -> list[object]:
    values = (getattr(result, field.name) for field in fields(result))
    return [(v.dtype.str, v.tobytes()) if isinstance(v, np.ndarray) else v for v in values]


@pytest.mark.parametrize("spec", MEASURES, ids=lambda spec: spec.name)
def test_a_kept_metric_is_read_back_to_the_last_bit(kept: KeptMetrics, model: ModelSource, spec):
    found = kept.load(model, DATA, spec)
    assert found is not None
    assert bits(found) == bits(RESULTS[spec.name])


def test_a_skipped_metric_is_kept_as_skipped(kept: KeptMetrics, model: ModelSource):
    spec = RESULTS["GenKnow"].spec
    kept.save(model, DATA, MetricResult(spec, -1.0))
    found = kept.load(model, DATA, spec)
    assert found is not None
    assert found.skipped
    assert found.scores is None


def test_what_was_measured_on_other_data_rows_or_weights_is_not_found(
    kept: KeptMetrics, model: ModelSource, tmp_path: Path
):
    spec = MEASURES[0]
    assert kept.load(model, replace(DATA, name="another name"), spec) is not None  # the same content
    assert kept.load(model, replace(DATA, fingerprint="e" * 64), spec) is None
    assert kept.load(model, replace(DATA, sample="sampled: 4 of 9 forget rows, seed 1"), spec) is None
    (tmp_path / "other").write_bytes(b"other weights")
    assert kept.load(ModelSource("model", tmp_path / "other", {}), DATA, spec) is None


def test_what_another_version_measured_is_not_found(
    kept: KeptMetrics, model: ModelSource, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kept_module, "__version__", "0.0.0-other")
    assert kept.load(model, DATA, MEASURES[0]) is None


def test_a_damaged_file_counts_as_absent_and_is_replaced(kept: KeptMetrics, model: ModelSource, tmp_path: Path):
    spec = MEASURES[0]
    (path,) = (tmp_path / "kept").rglob(f"{spec.name}.json")
    whole = path.read_text("utf-8")
    document = json.loads(whole)
    without_value = {**document, "result": {k: v for k, v in document["result"].items() if k != "value"}}
    for content in (b"", b"\xff\xfe", whole[: len(whole) // 2].encode(), b"[]", b"{}", b"null",
                    json.dumps(without_value).encode()):  # fmt: skip
        path.write_bytes(content)
        assert kept.load(model, DATA, spec) is None, content[:20]
    kept.save(model, DATA, RESULTS[spec.name])
    assert kept.load(model, DATA, spec) is not None


def test_nothing_is_found_before_it_is_kept(model: ModelSource, tmp_path: Path):
    assert KeptMetrics(tmp_path / "empty").load(model, DATA, MEASURES[0]) is None
