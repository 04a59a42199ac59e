"""For tests that train."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import load_data
from salmu_demo.features.view import FeatureView
from salmu_demo.models.references import find_model
from salmu_demo.models.source import ModelSource
from salmu_demo.unlearning import Towers, output
from salmu_demo.unlearning.batches import BatchSource
from salmu_demo.unlearning.rows import unlearning_rows
from salmu_demo.unlearning.step import Steps
from salmu_demo.unlearning.towers import TrainedModel


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are not worth sharing between threads, and one thread always adds in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def data(tiny_assets: Path) -> BenchmarkData:
    return load_data("mini")


@pytest.fixture(scope="session")
def base(tiny_assets: Path) -> ModelSource:
    return find_model("mini-compromised")


@pytest.fixture(scope="session")
def batches(data: BenchmarkData, base: ModelSource) -> Iterator[BatchSource]:
    encoder = TrainedModel(base, Towers.BOTH).encoder
    with BatchSource(unlearning_rows(data), encoder, FeatureView(base, data)) as made:
        yield made


@pytest.fixture
def plain_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The curve of a run is left blank, for tests of all else: drawing it takes as long as a short run."""
    monkeypatch.setattr(output, "draw_curve", lambda entries, unit, readings, path: path.write_text("<svg/>", "utf-8"))


@pytest.fixture
def steps(base: ModelSource, batches: BatchSource) -> Steps:
    """Ten steps of 12 + 12 pairs of a fresh model, both towers free."""
    return Steps(TrainedModel(base, Towers.BOTH), batches, 12, 10, seed=0)
