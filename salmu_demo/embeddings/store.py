"""Arrays on disk: written once, atomically, and mapped into memory by everyone who needs them."""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from salmu_demo.config import cache_dir
from salmu_demo.errors import StorageError
from salmu_demo.files import atomic_path


@dataclass(frozen=True)
class CacheEntry:
    """One folder of the cache: the features of a model, or the pixels of a data set."""

    kind: str
    key: str
    files: int
    bytes: int
    last_used: float


def text_key(texts: Sequence[str]) -> str:
    """Key of a list of texts that belongs to no column of the data, by content."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:24]


class ArrayStore:
    """Arrays under the cache folder, one `.npy` file each.

    Layout: `features/<model fingerprint>/<data fingerprint>/<split>.<column>.npy`,
    `features/<model fingerprint>/prompts/<hash of the texts>.npy`, and `pixels/<data fingerprint>/<...>.npy`.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_dir()

    def feature_path(self, model: str, group: str, name: str) -> Path:
        """Path of a feature array; `group` is a data fingerprint or `prompts`."""
        return self.root / "features" / model[:32] / group[:32] / f"{name}.npy"

    def facts_path(self, model: str) -> Path:
        """Path of the facts kept about a model."""
        return self.root / "features" / model[:32] / "model.json"

    def pixel_path(self, data: str, name: str) -> Path:
        """Path of an array of preprocessed pictures."""
        return self.root / "pixels" / data[:32] / f"{name}.npy"

    def load(self, path: Path, rows: int) -> NDArray[Any] | None:
        """Map an array into memory, or None if it is not there; a damaged file is removed and counts as absent."""
        try:
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(
                f"The cache file {path} cannot be read: {error.strerror or error}; set SALMU_CACHE_DIR."
            ) from error
        except (ValueError, EOFError):
            array = np.empty(0)
        if array.shape[:1] == (rows,):
            return array
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"The cache file {path} is damaged and cannot be removed: {error.strerror or error}; "
                "set SALMU_CACHE_DIR."
            ) from error
        return None

    def load_or_make(self, path: Path, rows: int, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Map an array, making it first if it is absent.

        A lock file for each array makes sure that two threads or processes never make the same one twice.

        Raises:
            StorageError: if the cache cannot be written.
        """
        found = self.load(path, rows)
        if found is not None:
            return found
        with self.lock(path):
            found = self.load(path, rows)
            if found is not None:
                return found
            array = make()
            with atomic_path(path, "The cache") as temporary:
                np.save(temporary, array, allow_pickle=False)
        stored = self.load(path, rows)
        if stored is None:
            raise StorageError(f"The cache file {path} vanished or was damaged while it was written; try again.")
        return stored

    @staticmethod
    @contextmanager
    def lock(path: Path) -> Iterator[None]:
        """Hold the lock of an array; its folder is created. Raises :class:`StorageError`."""
        lock = FileLock(path.with_suffix(".lock"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise StorageError(
                f"The cache folder {path.parent} cannot be written: {error.strerror or error}; set SALMU_CACHE_DIR."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def entries(self) -> list[CacheEntry]:
        """What the cache holds, one entry for each model's features and each data set's pixels."""
        result = []
        for kind in ("features", "pixels"):
            for folder in sorted((self.root / kind).glob("*")):
                files = [path for path in folder.rglob("*.npy") if path.is_file()]
                sizes = [path.stat() for path in files]
                result.append(
                    CacheEntry(
                        kind=kind,
                        key=folder.name,
                        files=len(files),
                        bytes=sum(stat.st_size for stat in sizes),
                        last_used=max((stat.st_atime for stat in sizes), default=time.time()),
                    )
                )
        return result

    def clear(self, key: str | None = None) -> int:
        """Remove everything, or the entries whose key starts with `key`; returns the bytes that were freed.

        Raises:
            StorageError: if an entry cannot be removed.
        """
        freed = 0
        for entry in self.entries():
            if key is None or entry.key.startswith(key):
                folder = self.root / entry.kind / entry.key
                shutil.rmtree(folder, ignore_errors=True)
                if folder.exists():
                    raise StorageError(f"The cache folder {folder} cannot be removed; check who may write there.")
                freed += entry.bytes
        return freed
