"""Finished metrics on disk: the same bits again, or not at all."""

import ast
import json
import shutil
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from salmu_demo.core import files as files_module
from salmu_demo.core.files import syntax_tree
from salmu_demo.features.store import ENCODING_CODE, encoding_key
from salmu_demo.metrics import MetricResult, all_metrics
from salmu_demo.models.source import ModelSource
from salmu_demo.results import kept as kept_module
from salmu_demo.results.kept import MEASURING_CODE, KeptMetrics, measuring_key
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


@pytest.mark.parametrize("spec", all_metrics(), ids=lambda spec: spec.name)
def test_a_kept_metric_is_read_back_to_the_last_bit(kept: KeptMetrics, model: ModelSource, spec):
    found = kept.load(model, DATA, spec)
    assert found is not None
    assert bits(found) == bits(RESULTS[spec.name])


def test_a_skipped_metric_is_kept_as_skipped(kept: KeptMetrics, model: ModelSource):
    spec = RESULTS["GenKnow"].spec
    kept.save(model, DATA, MetricResult(spec, None))
    found = kept.load(model, DATA, spec)
    assert found is not None
    assert found.skipped
    assert found.scores is None


def test_what_was_measured_on_other_data_rows_or_weights_is_not_found(
    kept: KeptMetrics, model: ModelSource, tmp_path: Path
):
    spec = all_metrics()[0]
    assert kept.load(model, replace(DATA, name="another name"), spec) is not None  # the same content
    assert kept.load(model, replace(DATA, fingerprint="e" * 64), spec) is None
    assert kept.load(model, replace(DATA, sample="sampled: 4 of 9 forget rows, seed 1"), spec) is None
    (tmp_path / "other").write_bytes(b"other weights")
    assert kept.load(ModelSource("model", tmp_path / "other", {}), DATA, spec) is None


def test_what_was_measured_on_other_images_is_not_found(kept: KeptMetrics, model: ModelSource):
    spec = RESULTS["GenKnow"].spec
    assert kept.load(model, DATA, spec, "a folder of ImageNet") is None
    kept.save(model, DATA, RESULTS["GenKnow"], "a folder of ImageNet")
    assert kept.load(model, DATA, spec, "a folder of ImageNet") is not None
    assert kept.load(model, DATA, spec) is None


def test_what_other_code_or_libraries_measured_is_not_found(
    kept: KeptMetrics, model: ModelSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    package = Path(files_module.__file__).parents[1]
    copy = tmp_path / "package"
    for source in (path for pattern in MEASURING_CODE for path in package.glob(pattern)):
        target = copy / source.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    monkeypatch.setattr(files_module, "__file__", str(copy / "core" / "files.py"))
    # encoding_key is kept from the real package.
    encoding_key()

    def found() -> bool:
        measuring_key.cache_clear()
        return kept.load(model, DATA, all_metrics()[0]) is not None

    assert found()
    formula = copy / "metrics" / "retrieval_failure.py"
    code = formula.read_text("utf-8")
    for changed, expected in ((f"# A comment.\n{code}", True), (f"{code}\nHALF = 2\n", False), (code, True)):
        formula.write_text(changed, "utf-8")
        assert found() is expected
    constants = copy / "metrics" / "protocol.py"
    text = constants.read_text("utf-8")
    constants.write_text(text.replace("TIE_SHARE = 0.5", "TIE_SHARE = 0.0"), "utf-8")
    assert constants.read_text("utf-8") != text
    assert not found()
    constants.write_text(text, "utf-8")
    monkeypatch.setattr(files_module, "version", lambda name: "0.0.0")
    assert not found()
    monkeypatch.undo()
    measuring_key.cache_clear()
    assert found()
    monkeypatch.setattr(kept_module, "encoding_key", lambda: "0" * 64)
    assert not found()
    measuring_key.cache_clear()


def test_the_code_that_decides_a_metric_is_all_the_code_it_uses():
    """Whatever the evaluation imports, directly or by way of others, is part of the key or cannot change a number."""
    package = Path(files_module.__file__).parents[1]
    known = {path for pattern in (*MEASURING_CODE, *ENCODING_CODE) for path in package.glob(pattern)}
    for pattern in (*MEASURING_CODE, *ENCODING_CODE):
        assert list(package.glob(pattern)), pattern
    harmless = {
        # What finds, fetches, keeps and checks; the fingerprints of model and data cover what it finds.
        "__init__", "core/__init__", "core/documents", "core/settings", "core/errors", "core/files", "core/memory",
        "core/notices", "core/progress", "hub/__init__", "hub/client", "hub/fetch", "hub/reference",
        "core/plugins", "features/__init__", "features/rows", "features/store", "features/texts", "models/__init__",
        "models/architecture", "models/configuration", "models/made", "models/preprocessing", "models/registry",
        "models/checkpoint", "models/references", "models/said", "models/source", "models/uploads",
        "results/__init__",
        # The fingerprints of those that are computed in half precision cover what does so.
        "models/half",
        # Where a model is computed.
        "models/lent", "models/zero_gpu",
        # What a model is called, and what it is to others.
        "models/card", "models/names", "models/roles", "models/settings",
        # What the documents of whole evaluations hold besides the metrics.
        "attacks/base", "attacks/membership", "attacks/pairs", "attacks/recovery", "attacks/schema", "attacks/target",
        "results/analysis", "results/breakdown", "results/comparison", "results/cuts",
        "results/diagnosis", "results/evidence", "results/expectations", "results/official", "results/published",
        "results/questions",
    }  # fmt: skip
    # The library's face imports everything, and nothing that decides a number imports it for more than the version.
    seen: set[Path] = {package / "_face.py"}
    waiting = [package / "results" / "evaluation.py", package / "models" / "encoder.py"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(syntax_tree(path)):
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
                if isinstance(node, ast.ImportFrom) and node.module
                else [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            )  # fmt: skip
            for name in names:
                first, *rest = name.split(".")
                if first == "salmu_demo":
                    base = package.joinpath(*rest)
                    waiting += [file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()]
    unknown = {path.relative_to(package).with_suffix("").as_posix() for path in seen - known} - harmless - {"_face"}
    assert unknown == set(), "add them to MEASURING_CODE or ENCODING_CODE, or above if they cannot change a number"


def test_a_damaged_file_counts_as_absent_and_is_replaced(
    kept: KeptMetrics, model: ModelSource, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    spec = all_metrics()[0]
    (path,) = (tmp_path / "kept").rglob(f"{spec.name}.json")
    whole = path.read_text("utf-8")
    document = json.loads(whole)
    without_value = {**document, "result": {k: v for k, v in document["result"].items() if k != "value"}}
    for content in (b"", b"\xff\xfe", whole[: len(whole) // 2].encode(), b"[]", b"{}", b"null",
                    json.dumps(without_value).encode()):  # fmt: skip
        path.write_bytes(content)
        assert kept.load(model, DATA, spec) is None, content[:20]
    for place in [*np.random.default_rng(4).integers(0, len(whole), 60).tolist(), whole.index("checksum")]:
        changed = bytearray(whole.encode())
        changed[place] ^= 1
        with suppress(ValueError):
            if json.loads(changed) == document:
                continue  # The last digit of a number may say nothing about it.
        caplog.clear()
        path.write_bytes(changed)
        assert kept.load(model, DATA, spec) is None, changed
        assert [f"{path} is damaged" in message for message in caplog.messages] == [True]
    kept.save(model, DATA, RESULTS[spec.name])
    assert kept.load(model, DATA, spec) is not None


def test_nothing_is_found_before_it_is_kept(model: ModelSource, tmp_path: Path):
    assert KeptMetrics(tmp_path / "empty").load(model, DATA, all_metrics()[0]) is None
