"""The folder of what visitors upload: which paths count, who has a file, and when it goes."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from salmu_demo.core.errors import StorageError, UploadError
from salmu_demo.ui.shell import visitor_files as module
from salmu_demo.ui.shell.visitor_files import (
    FULL,
    GONE,
    MADE_SECONDS,
    NOT_UPLOADED,
    UPLOAD_SECONDS,
    VisitorFiles,
    open_visitor_files,
    visitor_files,
)


def outside(kind: str, folder: Path) -> str:
    """A path that is not that of an upload."""
    victim = folder / "victim.png"
    victim.write_bytes(b"of the machine")
    upload = visitor_files().new_upload() / "0" / "face.png"
    upload.parent.mkdir()
    match kind:
        case "file":
            return str(victim)
        case "relative":
            return os.path.relpath(victim)
        case "climbs":
            return f"{upload.parent}/../../../../../../{victim.name}"
        case "home":
            return "~/victim.png"
        case "link":
            upload.symlink_to(victim)
        case "fifo":
            os.mkfifo(upload)
        case "folder":
            upload.mkdir()
        case "linked folder":
            upload.parent.rmdir()
            upload.parent.symlink_to(folder)
            return str(upload.parent / victim.name)
        case "upload's folder":
            return str(upload.parent)
        case "uploads":
            return str(visitor_files().uploads)
        case "made for a visitor":
            made = visitor_files().served / "report.pdf"
            made.write_bytes(b"x")
            return str(made)
        case "address":
            return "http://127.0.0.1/face.png"
        case "long":
            return f"{upload.parent}/{'x' * 5000}"
        case "null":
            return f"{upload.parent}/\0"
        case "lone surrogate":
            return f"{upload.parent}/\ud800"
        case "empty":
            return ""
    return str(upload)


KINDS = (
    "file", "relative", "climbs", "home", "link", "fifo", "folder", "linked folder", "upload's folder", "uploads",
    "made for a visitor", "address", "long", "null", "lone surrogate", "empty",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_plain_file_that_was_uploaded_counts(give, tmp_path: Path, kind: str):
    path = outside(kind, tmp_path)
    with pytest.raises(UploadError, match=NOT_UPLOADED), visitor_files().claimed(path):
        pass
    assert (tmp_path / "victim.png").read_bytes() == b"of the machine"


@pytest.mark.parametrize("value", [None, 7, ["x"], {"path": "x"}, b"x"])
def test_what_is_not_even_a_path_is_refused(give, value: object):
    with pytest.raises(UploadError, match=NOT_UPLOADED):
        visitor_files().checked(value)


def test_a_claimed_file_is_no_longer_handed_out_and_gone_afterwards(give):
    path = give("face.png", b"content")
    with visitor_files().claimed(str(path)) as file:
        assert (file.name, file.read_bytes()) == ("face.png", b"content")
        assert not file.is_relative_to(visitor_files().served)
        assert not path.exists()
    assert leftovers() == []
    with pytest.raises(UploadError, match=GONE), visitor_files().claimed(str(path)):
        pass


def test_a_file_whose_use_fails_is_gone_too(give):
    path = give("face.png", b"content")
    with pytest.raises(ZeroDivisionError), visitor_files().claimed(str(path)):
        raise ZeroDivisionError
    assert leftovers() == []


def test_one_of_many_who_claim_the_same_file_gets_it(give):
    path = give("face.png", b"content")
    start = threading.Barrier(8)

    def claim(_: int) -> bytes | None:
        start.wait()
        try:
            with visitor_files().claimed(str(path)) as file:
                return file.read_bytes()
        except UploadError:
            return None

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(claim, range(8)))
    assert (found.count(b"content"), found.count(None)) == (1, 7)


def leftovers() -> list[str]:
    return [path.name for path in visitor_files().root.rglob("*") if path.is_file()]


def test_everything_goes_after_a_while_and_nothing_before(give):
    files = visitor_files()
    upload = give("face.png", b"content")
    part = files.new_upload() / "tmp123"
    part.write_bytes(b"half an upload")
    made = files.served / "0123" / "report.pdf"
    made.parent.mkdir()
    made.write_bytes(b"report")
    imported = files.private_folder("leaderboard", 100) / "visitor" / "digest" / "result.json"
    imported.parent.mkdir(parents=True)
    imported.write_bytes(b"{}")
    # A copy has the time of its original, which may be years old.
    for path in (upload, made, imported):
        os.utime(path, (0, 0))
    now = time.time()
    files.sweep(now)
    assert all(path.exists() for path in (upload, part, made, imported))
    files.sweep(now + 101)
    assert (imported.exists(), upload.exists(), made.exists()) == (False, True, True)
    files.sweep(now + UPLOAD_SECONDS + 1)
    assert (upload.exists(), part.exists(), made.exists()) == (False, False, True)
    files.sweep(now + MADE_SECONDS + 1)
    assert leftovers() == []
    assert files.new_upload().is_dir()


def test_uploads_stay_within_their_budget_and_idle_ones_make_room(give, monkeypatch):
    monkeypatch.setattr(module, "LEAST_BUDGET", 1_000_000)
    monkeypatch.setenv("SALMU_UPLOAD_GB", "0")
    path = give("face.png", bytes(900_000))
    visitor_files().make_room()
    give("other.png", bytes(900_000))
    with pytest.raises(UploadError, match=FULL):
        visitor_files().make_room()
    assert path.exists()
    monkeypatch.setattr(module, "PRESSED_SECONDS", -1)
    visitor_files().make_room()
    assert not path.exists()


def test_what_another_visitor_takes_meanwhile_is_no_trouble(give, monkeypatch):
    path = give("face.png", b"content")
    listed = os.scandir

    def late(folder: object = ".") -> object:
        if Path(str(folder)) == path.parent:
            shutil.rmtree(folder)  # Between its parent's list and its own.
        return listed(folder)

    monkeypatch.setattr(os, "scandir", late)
    visitor_files().make_room()
    visitor_files().sweep(time.time())


def test_the_folder_is_private_and_gradios(give):
    root = visitor_files().root
    assert {path.stat().st_mode & 0o777 for path in (root, *root.rglob("*")) if path.is_dir()} == {0o700}
    assert os.environ["GRADIO_TEMP_DIR"] == str(visitor_files().served)


def test_closing_removes_everything_and_can_be_done_twice(tmp_path: Path):
    before = os.environ.get("GRADIO_TEMP_DIR")
    files = open_visitor_files(tmp_path / "process")
    (files.new_upload() / "face.png").write_bytes(b"content")
    files.close()
    files.close()
    assert list((tmp_path / "process").iterdir()) == []
    assert os.environ.get("GRADIO_TEMP_DIR") == before


CRASH = """
import os, signal, sys, pathlib
from salmu_demo.core.ending import end_on_signals
from salmu_demo.ui.shell.visitor_files import open_visitor_files
end_on_signals()
files = open_visitor_files(pathlib.Path(sys.argv[1]))
(files.new_upload() / "face.png").write_bytes(b"content")
print(files.root, flush=True)
if sys.argv[2] == "crash":
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""


def start(parent: Path, how: str) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", CRASH, str(parent), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_the_next_start_removes_what_a_crash_left_and_nothing_of_a_living_process(tmp_path: Path):
    parent = tmp_path / "process"
    (parent / "0123abcd").mkdir(parents=True)
    (parent / "0123abcd" / "face.png").write_bytes(b"of an earlier version")
    crashed, dead = start(parent, "crash")
    crashed.wait()
    running, living = start(parent, "wait")
    assert living.exists()
    assert not dead.exists()
    files = VisitorFiles(parent)
    assert sorted(path.name for path in parent.iterdir() if path.is_dir()) == sorted([living.name, files.root.name])
    assert list(living.rglob("face.png")) != []
    assert crashed.returncode == -signal.SIGKILL
    running.communicate("")
    assert not living.exists(), "An ordinary end removes it at once."
    files.close()
    assert list(parent.iterdir()) == []


def test_sigterm_removes_what_visitors_gave(tmp_path: Path):
    running, folder = start(tmp_path / "process", "wait")
    assert list(folder.rglob("face.png")) != []
    running.terminate()
    assert running.wait() == 128 + signal.SIGTERM
    running.communicate()
    assert list((tmp_path / "process").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/process for uploads cannot be written: Not a directory; free it"):
        open_visitor_files(tmp_path / "file" / "process")
