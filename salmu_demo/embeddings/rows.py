"""An array on disk that is filled a few rows at a time: what is finished survives a kill, a full disk or a sample."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from salmu_demo.errors import StorageError
from salmu_demo.files import atomic_path

Rows = NDArray[np.int64]


class RowArray:
    """An array of N rows, each of which is either finished or not.

    While rows are missing there are two files: `NAME.part.npy` with room for all rows, and `NAME.done` with a byte for
    each row, which is set after the row itself has reached the disk. The last row turns them into `NAME.npy`. Writers
    take turns, see :meth:`ArrayStore.turn`; readers need not.
    """

    def __init__(self, path: Path, count: int) -> None:
        """Look at the array of `count` rows at `path`, whether or not it has been begun.

        Raises:
            StorageError: if a file cannot be read, or is damaged and cannot be removed.
        """
        self._path = path
        self._count = count
        self._part = path.with_suffix(".part.npy")
        self._flags = path.with_suffix(".done")

    def read(self, rows: Rows | None = None) -> NDArray[Any] | None:
        """The rows (all for None) if every one of them is finished, else None.

        The whole array is mapped from disk, a part of it copied; both are read-only.
        """
        whole = self._load(self._path)
        if whole is not None:
            return whole if rows is None else _frozen(whole[rows])
        if rows is None or not self._done()[rows].all():
            return None
        part = self._load(self._part)
        if part is None:
            # Finished and renamed by someone else since we looked for the whole, or damaged.
            whole = self._load(self._path)
            return None if whole is None else _frozen(whole[rows])
        return _frozen(part[rows])

    def missing(self, rows: Rows) -> Rows:
        """Those of the rows that are not finished, in their order."""
        if self._load(self._path) is not None:
            return rows[:0]
        done = self._done()
        return rows[~done[rows]]

    def write(self, rows: Rows, values: NDArray[Any]) -> None:
        """Write rows, values of shape ``(n, ...)``; the first call decides the shape of all further ones.

        Raises:
            StorageError: if the disk is full or the folder cannot be written.
        """
        try:
            done = self._done()
            if not self._part.exists():
                self._begin(values)
            with self._part.open("r+b") as stream:
                start = _data_offset(stream)
                size = values[0].nbytes
                for first, stop in _runs(rows):
                    stream.seek(start + int(rows[first]) * size)
                    # Plain writes, not a writable map: a full disk is then an error and not a crash.
                    stream.write(np.ascontiguousarray(values[first:stop]).tobytes())
                stream.flush()
                os.fsync(stream.fileno())
            done[rows] = True
            if done.all():
                self._part.replace(self._path)
                self._flags.unlink(missing_ok=True)
            else:
                with atomic_path(self._flags, "The cache") as temporary:
                    temporary.write_bytes(done.tobytes())
        except OSError as error:
            reason = error.strerror or str(error)
            raise StorageError(
                f"The cache cannot be written to {self._path}: {reason}; set SALMU_CACHE_DIR."
            ) from error

    def _begin(self, values: NDArray[Any]) -> None:
        """Make room for all rows; the file has holes, so it takes the room of the rows that are written."""
        self._flags.unlink(missing_ok=True)
        shape = (self._count, *values.shape[1:])
        with atomic_path(self._part, "The cache") as temporary, temporary.open("wb") as stream:
            npy.write_array_header_2_0(stream, {"descr": values.dtype.str, "fortran_order": False, "shape": shape})
            stream.truncate(stream.tell() + self._count * values[0].nbytes)

    def _done(self) -> NDArray[np.bool_]:
        try:
            flags = self._flags.read_bytes() if self._part.exists() else b""
        except FileNotFoundError:
            flags = b""
        if len(flags) != self._count:
            return np.zeros(self._count, dtype=bool)
        return np.frombuffer(flags, dtype=np.uint8).astype(bool)

    def _load(self, path: Path) -> NDArray[Any] | None:
        """Map a file of all rows, or None if it is not there; a damaged one is removed and counts as absent."""
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
        if array.shape[:1] == (self._count,):
            return array
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"The cache file {path} is damaged and cannot be removed: {error.strerror or error}; "
                "set SALMU_CACHE_DIR."
            ) from error
        return None


def _data_offset(stream: Any) -> int:
    """Where the rows begin in an open `.npy` file."""
    npy.read_magic(stream)
    npy.read_array_header_2_0(stream)
    return int(stream.tell())


def _runs(rows: Rows) -> Iterator[tuple[int, int]]:
    """Stretches of consecutive rows, as positions from and to.

    >>> list(_runs(np.array([3, 4, 5, 9])))
    [(0, 3), (3, 4)]
    """
    ends = np.flatnonzero(np.diff(rows) != 1) + 1
    bounds = [0, *ends.tolist(), len(rows)]
    return itertools.pairwise(bounds)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    copy = np.array(array)
    copy.flags.writeable = False
    return copy
