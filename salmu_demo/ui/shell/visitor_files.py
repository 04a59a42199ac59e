"""The folder of this process for what visitors upload and what is made for them; it ends with the process.

Layout of `cache/gradio/<name>`, beside which the living process holds the lock `<name>.lock`:

* `served/` is Gradio's own folder: the page hands out what lies in it to whoever knows the whole path;
* `served/uploads/<request>/<number>/<file>` are uploads, each request in a folder of its own, so that two visitors with
  the same file never share one;
* `private/` is never handed out: uploads while they are used, and what visitors of a Space keep for a while.
"""

import atexit
import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from salmu_demo.core.errors import StorageError, UploadError
from salmu_demo.core.files import entries_within
from salmu_demo.core.settings import cache_dir
from salmu_demo.models.uploads import KEPT_AT_MOST, upload_limit

TEMPORARY: Final = "GRADIO_TEMP_DIR"
"""Tells Gradio where its folder is; if it is set at the start, ours is made in it and not in the cache."""

UPLOAD_SECONDS: Final = 3600
"""How long an upload that nothing asks for stays; one that is still being written is not idle."""

MADE_SECONDS: Final = 24 * 3600
"""How long a page that stays open can download what was made for it."""

PRESSED_SECONDS: Final = 60
"""How long it stays when there is no room left."""

SWEEP_SECONDS: Final = 60
LEAST_BUDGET: Final = 1_000_000_000
MOST_UPLOADS: Final = 2000

NOT_UPLOADED: Final = "What was sent in place of a file was not uploaded here; upload the file again."
GONE: Final = "The upload is gone from the server; upload the file again."
FULL: Final = "The page holds as many uploads as it has room for; try again in a few minutes."


class VisitorFiles:
    """The folder, private to the app's user; see the module for its layout."""

    def __init__(self, parent: Path) -> None:
        """Make the folder, and remove those of processes that ended without doing so.

        Args:
            parent: a folder that holds nothing else.

        Raises:
            StorageError: if it cannot be made.
        """
        name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._parent = parent
        self._lock = _lock(parent, name)
        self.root = parent / name
        self.served = self.root / "served"
        self.uploads = self.served / "uploads"
        self.private = self.root / "private"
        self._claimed = self.private / "claimed"
        self._lives = {self.uploads: UPLOAD_SECONDS, self.served: MADE_SECONDS}
        self._end = threading.Event()
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_dead(parent)
            self._lock.acquire(blocking=False)
            for folder in (self.root, self.served, self.uploads, self.private, self._claimed):
                folder.mkdir(mode=0o700)
        except OSError as error:
            raise StorageError(
                f"The folder {parent} for uploads cannot be written: {error.strerror or error}; free it or set "
                "SALMU_CACHE_DIR to another place."
            ) from error
        threading.Thread(target=self._sweep_on, name="uploads", daemon=True).start()

    def new_upload(self) -> Path:
        """A folder for the files of one request."""
        folder = self.uploads / secrets.token_hex(16)
        folder.mkdir(mode=0o700)
        return folder

    def private_folder(self, name: str, seconds: int) -> Path:
        """A folder that is never handed out; each entry of it goes when it was not touched for so many seconds."""
        folder = self.private / name
        folder.mkdir(mode=0o700, exist_ok=True)
        self._lives[folder] = seconds
        return folder

    def checked(self, path: object) -> Path:
        """A path that a client sent, if it is that of a plain file which was uploaded here and is still there.

        Raises:
            UploadError: if it is anything else; nothing is opened.
        """
        try:
            file = Path(str(path))
            is_ours = isinstance(path, str) and file.parents[2] == self.uploads and ".." not in file.parts
            if not is_ours or file.parent.resolve(strict=True) != file.parent:
                raise UploadError(NOT_UPLOADED)
            if not stat.S_ISREG(file.lstat().st_mode):
                raise UploadError(NOT_UPLOADED)
        except FileNotFoundError as error:
            raise UploadError(GONE) from error
        except (OSError, ValueError, IndexError) as error:  # too long, or with characters that no path can have
            raise UploadError(NOT_UPLOADED) from error
        return file

    @contextmanager
    def claimed(self, path: object) -> Iterator[Path]:
        """Take an uploaded file away from the page for the length of a `with`; afterwards it is gone in any case.

        Nobody can be handed it meanwhile, and no two can claim the same one.

        Raises:
            UploadError: if it is not an upload, or somebody has claimed it.
        """
        file = self.checked(path)
        folder = self._claimed / secrets.token_hex(16)
        folder.mkdir(mode=0o700)
        try:
            try:
                own = file.rename(folder / file.name)
            except OSError as error:
                raise UploadError(GONE) from error
            with suppress(OSError):  # Another file of the same request is still there.
                file.parent.rmdir()
                file.parents[1].rmdir()
            yield own
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def make_room(self) -> None:
        """See that there is room for an upload: under pressure what is idle goes sooner.

        Raises:
            UploadError: if there is none.
        """
        if self._is_full():
            self._remove_idle(self.uploads, PRESSED_SECONDS, time.time())
            if self._is_full():
                raise UploadError(FULL)

    def sweep(self, now: float) -> None:
        """Remove what has not been touched for longer than it may stay; `now` is in seconds since the epoch."""
        for folder, seconds in list(self._lives.items()):
            self._remove_idle(folder, seconds, now)

    def close(self) -> None:
        """Remove the folder; can be called twice."""
        with _opening:
            if self in _open:
                _open.remove(self)
                _tell_gradio()
        self._end.set()
        shutil.rmtree(self.root, ignore_errors=True)
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def _is_full(self) -> bool:
        budget = max(LEAST_BUDGET, KEPT_AT_MOST * upload_limit())
        sizes = [status.st_size for folder in (self.uploads, self._claimed) for _, status in entries_within(folder)]
        return sum(sizes) > budget or len(_entries(self.uploads)) > MOST_UPLOADS

    def _remove_idle(self, folder: Path, seconds: float, now: float) -> None:
        for entry in _entries(folder):
            if entry not in self._lives and now - _last_change(entry) > seconds:
                _remove(entry)

    def _sweep_on(self) -> None:
        while not self._end.wait(SWEEP_SECONDS):
            self.sweep(time.time())


_open: Final[list[VisitorFiles]] = []
_opening: Final = threading.RLock()
_told: Final = os.environ.get(TEMPORARY)
"""What the user says."""


def open_visitor_files(parent: Path | None = None) -> VisitorFiles:
    """Make the folder of this process and have Gradio use it; it is closed at exit.

    Args:
        parent: where, instead of `GRADIO_TEMP_DIR` or the cache folder.

    Raises:
        StorageError: if it cannot be made.
    """
    with _opening:
        files = VisitorFiles(parent or (Path(_told) / "salmu-demo" if _told else cache_dir() / "gradio"))
        _open.append(files)
        _tell_gradio()
    return files


def visitor_files() -> VisitorFiles:
    """The folder of this process, made if there is none yet; raises `StorageError`."""
    with _opening:
        return _open[-1] if _open else open_visitor_files()


@atexit.register
def close_visitor_files() -> None:
    """Remove all that visitors gave this process and that was made for them; for any end, as often as one likes."""
    for files in list(_open):
        files.close()


def _tell_gradio() -> None:
    if _open:
        os.environ[TEMPORARY] = str(_open[-1].served)
    elif _told is None:
        os.environ.pop(TEMPORARY, None)
    else:
        os.environ[TEMPORARY] = _told


def _lock(parent: Path, name: str) -> FileLock:
    # Released by whichever thread ends the process.
    return FileLock(parent / f"{name}.lock", thread_local=False)


def _remove_dead(parent: Path) -> None:
    """Remove what no living process holds, that of earlier versions included."""
    for name in {entry.name.removesuffix(".lock") for entry in _entries(parent)}:
        lock = _lock(parent, name)
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):
            continue
        _remove(parent / name)
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # It may vanish at any time.
        return []


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        with suppress(OSError):
            entry.unlink()


def _last_change(entry: Path) -> float:
    """When an entry, or anything in it, was last written, renamed or touched; a copy keeps the time of its original."""
    changes = [status.st_ctime for _, status in entries_within(entry)]
    with suppress(OSError):
        changes.append(entry.lstat().st_ctime)
    return max(changes, default=0.0)
