"""A visitor makes a dossier of the persona on the page and takes it away."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from salmu_demo.attacks.document import write_attacks
from salmu_demo.attacks.schema import AttackedModel, AttackFacts
from salmu_demo.core.errors import JobError, QueryError
from salmu_demo.core.progress import Progress, ignore_progress
from salmu_demo.data.record import DataRecord
from salmu_demo.dossiers.contents import Attached
from salmu_demo.jobs.job import JobState
from salmu_demo.jobs.kinds.benchmark import REPORT_FOLDER
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.shell.visitor_files import VisitorFiles, open_visitor_files
from salmu_demo.ui.tabs.audit import text
from salmu_demo.ui.tabs.audit.dossiers import Additions, Dossiers, own_attacks
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.dossiers import declare
from salmu_demo.workbench.warmup import WarmUp
from tests.fixtures.dossiers import attached
from tests.fixtures.tiny import MODELS, TWO_EMAILS
from tests.ui.conftest import PATIENCE_MS
from tests.unit.test_reports_attacks import document, record


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VisitorFiles]:
    files = open_visitor_files(tmp_path_factory.mktemp("files"))
    yield files
    files.close()


@pytest.fixture(scope="module")
def bench(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """With a cache of its own: what another test has encoded or asked would not be told of again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALMU_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield Workbench()


@pytest.fixture(scope="module")
def dossiers(bench: Workbench, served: VisitorFiles) -> Dossiers:
    """Those of one page: what a test has had made is there for the next."""
    return Dossiers(bench, WarmUp(bench))


def test_the_same_dossier_is_made_once_while_it_is_there(dossiers: Dossiers, served: VisitorFiles):
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


def test_a_dossier_that_is_there_does_not_wait_for_one_that_is_being_made(dossiers: Dossiers):
    begun, go_on = threading.Event(), threading.Event()
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


def test_what_a_visitor_adds_makes_another_dossier(bench: Workbench, dossiers: Dossiers):
    (model,) = bench.models(MODELS[:1])
    attacks = attached_attacks(bench, model.fingerprint, "linear-map")
    added = Additions(declare("Ann", "on the Hub", "In a hurry."), False, (attacks,))
    *documents, beside = dossiers.files(View(TWO_EMAILS), MODELS[:1], ignore_progress, added)
    assert [Path(file).name for file in documents] == ["dossier.pdf", "dossier.html", "dossier.json"]
    said = json.loads(Path(documents[2]).read_text("utf-8"))
    assert said["declared"] == {"auditor": "Ann", "release": "on the Hub", "notes": "In a hurry."}
    assert said["pictures"]["shown"] is False
    assert [file["file"] for file in said["recoverability"]["files"]] == [Path(beside).name]
    assert {found["attack"] for found in said["recoverability"]["found"]} == {"linear-map"}
    plain = dossiers.files(View(TWO_EMAILS), MODELS[:1], ignore_progress)
    assert len(plain) == len(documents)
    assert json.loads(Path(plain[2]).read_text("utf-8"))["declared"]["auditor"] == ""


def attached_attacks(bench: Workbench, fingerprint: str, *attacks: str) -> Attached:
    """A file of attacks on a model of the tests."""
    model = AttackedModel(name=MODELS[0], reference=MODELS[0], fingerprint=fingerprint)
    facts = [AttackFacts(name=name, title=name, attacker="", needs=[], counts=True) for name in attacks]
    made = document(*(record(name, 0.5, model=MODELS[0]) for name in attacks)).model_copy(
        update={"data": DataRecord.of(bench.data), "models": [model], "attacks": facts, "skipped": []}
    )
    return attached(made)


def test_own_attacks_are_those_on_the_models_and_the_data(bench: Workbench, tmp_path: Path):
    """Jobs a to f, the newest first: b and c have nothing new, d is of others, e is another kind, f is running."""
    (model,) = bench.models(MODELS[:1])
    mine = attached_attacks(bench, model.fingerprint, "linear-map").document
    files = {
        "a": mine,
        "b": mine,
        "c": mine.model_copy(update={"data": mine.data.model_copy(update={"fingerprint": "d" * 64})}),
        "d": attached_attacks(bench, "e" * 64, "own-head").document,
        "e": attached_attacks(bench, model.fingerprint, "own-head").document,
        "f": attached_attacks(bench, model.fingerprint, "own-head").document,
        "g": attached_attacks(bench, model.fingerprint, "own-head", "linear-map").document,
    }
    for name, found in files.items():
        write_attacks(found, tmp_path / name / REPORT_FOLDER)

    def job(name: str) -> Any:
        if name not in files:
            raise JobError("There is no such job.")
        spec = SimpleNamespace(kind="benchmark" if name == "e" else "attack", data=bench.data.name)
        return SimpleNamespace(spec=spec, state=JobState.RUNNING if name == "f" else JobState.DONE)

    manager: Any = SimpleNamespace(job=job, folder=lambda name: tmp_path / name)
    found = own_attacks(manager, ["gone", *files], bench.data, [model])
    assert [each.document for each in found] == [files["a"], files["g"]]


def test_without_a_persona_or_a_model_there_is_nothing_to_report(dossiers: Dossiers):
    for view, models in ((View(), MODELS), (View(TWO_EMAILS), ())):
        with pytest.raises(QueryError, match=text.NOTHING_TO_REPORT):
            dossiers.files(view, models, ignore_progress)
