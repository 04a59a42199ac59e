"""A board that scores: whose models it takes, that a submission becomes a row for everybody, and what its row says."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from salmu_demo.core.errors import JobError, ModelError, QueryError
from salmu_demo.jobs.job import JobState
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.roles import NOTHING_TOLD, Told
from salmu_demo.ui.shell.shelf import ModelShelf
from salmu_demo.ui.shell.visitor_files import open_visitor_files
from salmu_demo.ui.tabs.leaderboard.scoring import Scale, Scoring, check_scale, chosen_scale
from salmu_demo.ui.tabs.leaderboard.tab import Library
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.hub import COMMIT, Repository, StandInHub, run_hub, speak_to

PATIENCE = 600.0
"""Seconds that an evaluation with its reports may take on a machine that is busy with other things."""

SCALE = Scale(("mini-clean", "mini-compromised"), NOTHING_TOLD)


@pytest.fixture
def hub(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    with run_hub() as (hub, address):
        speak_to(address, tmp_path / "hub", monkeypatch)
        folder = tiny_assets / "models" / "mini-unlearned-finetune"
        names = ("open_clip_config.json", "open_clip_model.safetensors", "bpe_merges.txt.gz")
        files = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
        hub.repositories["models/org/mine"] = Repository(files)
        hub.repositories["models/org/private"] = Repository(files, gated=True, hidden=True)
        yield hub


@pytest.fixture
def scoring(hub: StandInHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Scoring, JobManager]]:
    monkeypatch.setenv("SPACE_ID", "owner/space")
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "runs"))
    files = open_visitor_files(tmp_path / "gradio")
    bench = Workbench()
    manager = JobManager(tmp_path / "runs", workbench_for=lambda data: bench, one_per_owner=True)
    yield Scoring(bench, manager, ModelShelf(bench), SCALE), manager
    manager.close()
    files.close()


def test_a_submitted_model_becomes_a_row_that_everybody_sees(
    scoring: tuple[Scoring, JobManager], tmp_path: Path
) -> None:
    board, manager = scoring
    job = board.submit(" org/mine ", "somebody")
    assert job.spec.models == (*SCALE.models, f"hf-hub:org/mine@{COMMIT}")
    assert "org/mine@" in board.html()
    assert job.id not in board.html()
    with pytest.raises(QueryError, match=f'"org/mine@{COMMIT}" is in the queue already'):
        board.submit("org/mine", "somebody else")
    done = manager.wait(job.id, PATIENCE)
    assert done.state is JobState.DONE, done.error
    assert (board.scored(), board.html()) == ([job.id], "")
    with pytest.raises(QueryError, match="is on the board already"):
        board.submit(f"hf-hub:org/mine@{COMMIT}", "somebody else")
    # A stranger, who has no job of their own, and a page whose board does not score.
    seen = Library(Workbench(), tmp_path / "runs", board).board([], "")
    [row] = [row for group in seen.groups for row in group.rows if row.name.startswith("org/mine")]
    assert (row.source, row.origin) == ("scored", "submitted, and scored by this page")
    assert row.diagnosis != "not enough metrics"
    assert row.data.name == "mini"
    unscored = Library(Workbench(), tmp_path / "runs").board([], "")
    assert not [row for group in unscored.groups for row in group.rows if row.name.startswith("org/mine")]


def test_only_public_models_of_the_hub_are_taken_one_at_a_time(scoring: tuple[Scoring, JobManager]) -> None:
    board, manager = scoring
    for wrong in ("", "mini-clean", "/etc/passwd", "local-dir:/etc", "org/private", "org/nowhere"):
        with pytest.raises(ModelError):
            board.submit(wrong, "somebody")
    assert manager.jobs() == []
    board.submit("org/mine", "somebody")
    with pytest.raises((JobError, QueryError)):
        board.submit("org/mine", "somebody")


def test_the_owner_says_what_submissions_are_measured_beside(
    tiny_assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SALMU_BOARD", raising=False)
    assert chosen_scale() is None
    monkeypatch.setenv("SALMU_BOARD", "mini-clean, mini-compromised")
    assert chosen_scale() == SCALE
    monkeypatch.setenv("SALMU_BOARD", "clean=hf-hub:a/b,compromised=c#quickgelu=yes,d#quickgelu=no")
    assert chosen_scale() == Scale(
        ("hf-hub:a/b", "c#quickgelu=yes", "d#quickgelu=no"), Told("hf-hub:a/b", "c#quickgelu=yes")
    )
    for wrong in ("clean=", "clean=a,clean=b"):
        monkeypatch.setenv("SALMU_BOARD", wrong)
        with pytest.raises(QueryError, match="write models that submissions are measured beside"):
            chosen_scale()
    monkeypatch.setenv("SALMU_BOARD", "nowhere")
    with pytest.raises(QueryError, match="SALMU_BOARD names a model that cannot be used"):
        check_scale(Workbench())
