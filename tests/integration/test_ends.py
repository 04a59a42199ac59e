"""Ctrl+C and SIGTERM at any moment: the conventional exit code within seconds, one line, and nothing left behind."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from salmu_demo.core.ending import PATIENCE
from salmu_demo.core.errors import StorageError
from salmu_demo.jobs.job import JobState
from salmu_demo.models.export import save_local_dir
from salmu_demo.models.references import find_model
from salmu_demo.unlearning.checkpoint import Checkpoint, save_checkpoint
from salmu_demo.workbench.bench import Workbench

ROOT = Path(__file__).parents[2]
APP = (str(ROOT / "app.py"),)
COMMAND_LINE = ("-m", "salmu_demo")
SECONDS = 5.0
STARTED = 40.0

AT_IMPORT = """
import os, sys

class Moment:
    def find_spec(self, name, *_):
        if name == os.environ.get("MOMENT"):
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))

sys.meta_path.insert(0, Moment())
"""
"""A `sitecustomize` that stops a program just when it imports a module."""

IN_THE_MIDST = """
import os, pathlib, sys

def replace(self, target, replace=pathlib.Path.replace):
    if target.name == os.environ.get("MOMENT"):
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))
    return replace(self, target)

pathlib.Path.replace = replace
"""
"""The same, when a file of a name is whole but not yet where it belongs."""


class Ended:
    """A program that was stopped."""

    def __init__(self, process: subprocess.Popen[str], number: int) -> None:
        start = time.monotonic()
        try:
            self.output, self.errors = process.communicate(timeout=STARTED)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # Where it hangs.
            pytest.fail(process.communicate()[1])
        self.seconds = time.monotonic() - start
        self.code = process.returncode
        self.number = number

    def check(self) -> None:
        """It ended as it should."""
        assert self.code == 128 + self.number, self.errors
        assert self.errors.splitlines()[-1] == "salmu-demo: stopped."
        assert "Traceback" not in self.errors
        assert "leaked" not in self.errors


@pytest.fixture
def start(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that starts a program, whose folders are this test's own."""
    for name in ("PORT", "GRADIO_SERVER_PORT", "SPACE_ID", "GRADIO_TEMP_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, folder in (("SALMU_CACHE_DIR", "cache"), ("SALMU_RUNS_DIR", "runs"), ("TMPDIR", "temporary")):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(name, str(tmp_path / folder))
    (tmp_path / "hook").mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'hook'}:{ROOT}")

    def start_(
        program: Sequence[str], hook: str = "", moment: str = "", number: int = signal.SIGTERM
    ) -> subprocess.Popen[str]:
        (tmp_path / "hook" / "sitecustomize.py").write_text(hook)
        environment = {**os.environ, "PYTHONFAULTHANDLER": "1", "MOMENT": moment, "SIGNAL": str(int(number))}
        return subprocess.Popen(
            [sys.executable, *program], env=environment, cwd=tmp_path,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start_


def leftovers(folder: Path) -> list[str]:
    """What is unfinished, or was to be there for a while only."""
    passing = [*(folder / "temporary").rglob("*"), *(folder / "cache" / "gradio").rglob("*"), *folder.rglob("reserve")]
    # Gradio makes empty folders in the temporary one when it is imported.
    passing = [path for path in passing if not path.is_dir() or "gradio" not in path.parts]
    return sorted(str(path.relative_to(folder)) for path in (*folder.rglob(".*"), *passing) if path.suffix != ".lock")


@pytest.mark.parametrize(
    ("program", "moment", "number"),
    [
        (APP, "numpy", signal.SIGINT),
        (APP, "gradio", signal.SIGTERM),
        (APP, "salmu_demo.ui.tabs.unlearn.tab", signal.SIGTERM),
        ((*COMMAND_LINE, "app"), "gradio", signal.SIGINT),
        ((*COMMAND_LINE, "models", "list"), "numpy", signal.SIGTERM),
        ((*COMMAND_LINE, "unlearn", "npo", "--model", "mini-clean", "--output", "out"), "torch", signal.SIGINT),
    ],
)
def test_a_program_is_stopped_while_it_imports(start, tmp_path: Path, program: Sequence[str], moment: str, number):
    Ended(start(program, AT_IMPORT, moment, number), number).check()
    assert leftovers(tmp_path) == []


def test_code_that_keeps_python_from_running_for_seconds_changes_no_end(start, tmp_path: Path):
    # As a thread of low priority does that loads a large library on a busy machine, once the end has begun.
    seconds = int(PATIENCE) + 1
    held = f"import atexit, ctypes\natexit.register(ctypes.PyDLL(None).sleep, {seconds})\n{AT_IMPORT}"
    Ended(start((*COMMAND_LINE, "models", "list"), held, "numpy"), signal.SIGTERM).check()
    assert leftovers(tmp_path) == []


def test_the_app_is_stopped_while_it_runs(start, tmp_path: Path):
    """By Ctrl+C; how a container stops it is tested there."""
    process = start(APP)
    assert "salmu-demo is running on http://127.0.0.1:" in process.stdout.readline()
    assert len(list((tmp_path / "cache" / "gradio").iterdir())) > 1
    process.send_signal(signal.SIGINT)
    ended = Ended(process, signal.SIGINT)
    ended.check()
    assert ended.seconds < SECONDS
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("command", "moment"),
    [
        (("evaluate", "mini-clean", "--metrics", "RetFail", "--output", "out"), "evaluation_mini-clean.json"),
        (
            ("unlearn", "finetune", "--model", "mini-compromised", "--budget", "64", "--output", "out"),
            "unlearning.json",
        ),
        (("models", "delta", "mini-compromised", "mini-clean", "--output", "out.safetensors"), "out.safetensors"),
    ],
)
def test_a_command_that_is_stopped_writes_whole_files_or_none(start, tmp_path: Path, command, moment: str):
    # The program that evaluates finds the features, and need not import torch.
    Workbench().evaluate(find_model("mini-clean"), ["RetFail"])
    Ended(start((*COMMAND_LINE, *command), IN_THE_MIDST, moment), signal.SIGTERM).check()
    assert leftovers(tmp_path) == []
    assert not list(tmp_path.rglob(moment))


def test_a_job_that_is_stopped_is_interrupted_and_says_how_to_go_on(start, tmp_path: Path):
    command = ("jobs", "run", "mini-clean", "mini-compromised")
    ended = Ended(start((*COMMAND_LINE, *command), AT_IMPORT, "torch", signal.SIGINT), signal.SIGINT)
    ended.check()
    [status] = (tmp_path / "runs").glob("*/status.json")
    assert json.loads(status.read_text("utf-8"))["state"] == JobState.INTERRUPTED
    hint = f"Interrupted; go on with `salmu-demo jobs resume {status.parent.name}`."
    assert ended.errors.splitlines()[-2] == hint
    assert leftovers(tmp_path) == []


SWEEP = """
model = "mini-compromised"
clean = "mini-clean"
data = "mini"
seeds = [0, 1]
budgets = [64]

[[runs]]
method = "finetune"
"""


def test_a_sweep_that_is_stopped_ends_its_workers(start, tmp_path: Path):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    process = start((*COMMAND_LINE, "sweep", "sweep.toml", "--output", "out", "--workers", "2"))
    workers: list[int] = []
    while len(workers) < 2:
        assert process.poll() is None, process.communicate()
        found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        workers = [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    Ended(process, signal.SIGTERM).check()
    assert leftovers(tmp_path) == []
    end = time.monotonic() + SECONDS
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < end
        time.sleep(0.05)


# A full disk, in the files that libraries write


@contextmanager
def small_files() -> Iterator[None]:
    """Let no file of this process grow beyond a few kilobytes, which is what a full disk looks like to libraries."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_model_that_does_not_fit_on_the_disk_is_told(tmp_path: Path):
    with small_files(), pytest.raises(StorageError, match=r"The model cannot be written to .*File too large"):
        save_local_dir(tmp_path, torch.nn.Linear(100, 100), {}, None, "# card\n", {})
    assert [path.name for path in tmp_path.iterdir()] == ["open_clip_config.json"]


def test_a_checkpoint_that_does_not_fit_on_the_disk_is_told(tmp_path: Path):
    checkpoint = Checkpoint("key", 1, {"weight": torch.zeros(100, 100)}, {}, [])
    with small_files(), pytest.raises(StorageError, match=r"The checkpoint cannot be written to .*File too large"):
        save_checkpoint(tmp_path, checkpoint)
    assert list(tmp_path.iterdir()) == []
