"""For tests of attacks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import load_data


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
