"""A visitor makes a dossier of the persona on the page and takes it away."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from salmu_demo.core.errors import QueryError
from salmu_demo.core.progress import Progress, ignore_progress
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.shell.visitor_files import VisitorFiles, open_visitor_files
from salmu_demo.ui.tabs.audit import text
from salmu_demo.ui.tabs.audit.dossiers import Dossiers
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.warmup import WarmUp
from tests.fixtures.tiny import MODELS, TWO_EMAILS
from tests.ui.conftest import PATIENCE_MS


@pytest.fixture
def served(tmp_path: Path) -> Iterator[VisitorFiles]:
    files = open_visitor_files(tmp_path)
    yield files
    files.close()


@pytest.fixture(scope="module")
def bench(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """With a cache of its own: what another test has encoded or asked would not be told of again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALMU_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield Workbench()


def test_the_same_dossier_is_made_once_while_it_is_there(bench: Workbench, served: VisitorFiles):
    dossiers = Dossiers(bench, WarmUp(bench))
    view = View(TWO_EMAILS)
    first = dossiers.files(view, MODELS[:1], ignore_progress)
    assert [Path(file).suffix for file in first] == [".pdf", ".html", ".json"]
    assert all(Path(file).is_relative_to(served.served) for file in first)
    assert json.loads(Path(first[2]).read_text("utf-8"))["person"]["identity_id"] == TWO_EMAILS
    modified = Path(first[0]).stat().st_mtime_ns
    assert dossiers.files(view, MODELS[:1], ignore_progress) == first
    assert Path(first[0]).stat().st_mtime_ns == modified
    Path(first[0]).unlink()
    assert Path(dossiers.files(view, MODELS[:1], ignore_progress)[0]).exists()
    assert dossiers.files(View("00000001"), MODELS[:1], ignore_progress) != first


def test_a_dossier_that_is_there_does_not_wait_for_one_that_is_being_made(bench: Workbench, served: VisitorFiles):
    dossiers, begun, go_on = Dossiers(bench, WarmUp(bench)), threading.Event(), threading.Event()
    first = dossiers.files(View(TWO_EMAILS), MODELS[:1], ignore_progress)
    made: list[list[str]] = []

    def held(progress: Progress) -> None:
        begun.set()
        assert go_on.wait(PATIENCE_MS / 1000)

    # Another model has something to encode, or to search, and tells of it.
    maker = threading.Thread(target=lambda: made.append(dossiers.files(View(TWO_EMAILS), MODELS[1:2], held)))
    maker.start()
    try:
        assert begun.wait(PATIENCE_MS / 1000)
        assert dossiers.files(View(TWO_EMAILS), MODELS[:1], ignore_progress) == first
        assert not made
    finally:
        go_on.set()
        maker.join()
    assert made != [first]


def test_without_a_persona_or_a_model_there_is_nothing_to_report(bench: Workbench):
    dossiers = Dossiers(bench, WarmUp(bench))
    for view, models in ((View(), MODELS), (View(TWO_EMAILS), ())):
        with pytest.raises(QueryError, match=text.NOTHING_TO_REPORT):
            dossiers.files(view, models, ignore_progress)
