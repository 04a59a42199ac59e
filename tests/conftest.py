"""Fixtures for all tests."""

import gc
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from salmu_demo.core.garbage import search_seldom
from tests.fixtures.tiny import write_tiny_data, write_tiny_models

collect_ignore = ["fixtures/plugin_package"]
"""What it registers would be there for all tests: it is for processes of their own."""

SLOWEST_FIRST = ("tests/ui/", "tests/unlearning/", "tests/mini/", "tests/integration/", "tests/unit/", "")

# Imports and collected tests leave millions of objects that stay. Looking through them for garbage, again and again,
# took a third of the time until the first test, and a good part of the time after it.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave what has been imported and collected out of all later searches for garbage."""
    gc.freeze()
    search_seldom()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let processes that share the tests begin with the longest files, so that none waits for another at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: next(n for n, room in enumerate(SLOWEST_FIRST) if item.nodeid.startswith(room)))


@pytest.fixture(scope="session")
def tiny_assets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An assets folder with tiny data and models under the built-in names, and cache and runs folders of its own.

    The built-in names `mini` and `mini-clean` then mean these: `SALMU_ASSETS_DIR`, `SALMU_CACHE_DIR` and
    `SALMU_RUNS_DIR` are set for the session.
    """
    root = tmp_path_factory.mktemp("tiny")
    write_tiny_data(root / "assets" / "salmu-mini")
    write_tiny_models(root / "assets" / "models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALMU_ASSETS_DIR", str(root / "assets"))
        patch.setenv("SALMU_CACHE_DIR", str(root / "cache"))
        patch.setenv("SALMU_RUNS_DIR", str(root / "runs"))
        yield root / "assets"


@pytest.fixture(scope="session")
def encoded(tiny_assets: Path) -> None:
    """What metrics, audits and searches read of the tiny models is in the cache, and the names of whom to forget.

    Programs that tests start then need not import torch, which takes them seconds.
    """
    # Few tests need it.
    from salmu_demo.models.checkpoint import builtin_models  # noqa: PLC0415
    from salmu_demo.results.cuts import count_cuts  # noqa: PLC0415
    from salmu_demo.workbench.bench import Workbench  # noqa: PLC0415

    bench = Workbench()
    models = bench.models(builtin_models())
    to_forget = set(bench.data.split("forget").identities)
    names = [persona.name for persona in bench.data.personas if persona.identity_id in to_forget]
    for model in models:
        bench.evaluate(model)
        # What the example of a metric reads.
        bench.view(model).prompts(names)
        count_cuts(bench.view(model), {"names": names})
    bench.warm(models)


@pytest.fixture
def shipped_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data and models that are shipped, whatever assets other tests of the session work with."""
    monkeypatch.delenv("SALMU_ASSETS_DIR", raising=False)


@pytest.fixture(scope="module")
def plain_figures() -> Iterator[None]:
    """The figures of reports as PNG and PDF are blank, for tests of all else: they take most of a report's time."""
    blank = BytesIO()
    Image.new("RGB", (12, 8), "white").save(blank, "PNG")
    drawn = {"figure_png": blank.getvalue(), "figure_pdf": b"%PDF-1.4\n%%EOF\n"}
    with pytest.MonkeyPatch.context() as patch:
        for name, content in drawn.items():
            patch.setattr(f"salmu_demo.reports.files.{name}", lambda figure, content=content, **more: content)
        yield


@pytest.fixture(scope="module")
def eager_jobs() -> Iterator[None]:
    """Jobs run at the priority of the tests that wait for them, and not after all other work of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("salmu_demo.jobs.manager.NICENESS", 0)
        yield


@pytest.fixture
def give(tmp_path: Path) -> Iterator[Callable[[str, bytes], Path]]:
    """A function that lays a file where the page puts what a visitor uploads, in a folder of the test's own."""
    # Gradio takes seconds to import, and few tests need it.
    from salmu_demo.ui.shell.visitor_files import open_visitor_files  # noqa: PLC0415

    files = open_visitor_files(tmp_path / "process")

    def lay(name: str, content: bytes) -> Path:
        path = files.new_upload() / "0" / name
        path.parent.mkdir()
        path.write_bytes(content)
        return path

    yield lay
    files.close()
