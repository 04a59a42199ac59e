"""An array on disk that is filled a few rows at a time: what is finished survives a kill, a full disk or a sample."""

import io
import itertools
import logging
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from salmu_demo.core.errors import StorageError
from salmu_demo.core.files import atomic_path

Rows = NDArray[np.int64]
Sums = NDArray[np.uint32]

_MAGIC: Final = b"salmusm1"
_START: Final = len(_MAGIC) + 4
_SETTLED_NANOSECONDS: Final = 10**9
"""A file that was written less than this ago may be written again without a change of its time."""

_MOST_REMEMBERED: Final = 4096
_FileState = tuple[tuple[int, int, int], ...]
_intact: Final[dict[Path, _FileState]] = {}
"""Whole arrays whose rows this process has compared with their checksums, and the state of their files then."""

_MOST_MAPPED: Final = 64
_contents: "Final[dict[Path, tuple[_FileState, _Content]]]" = {}
"""Arrays of which rows were read, mapped; to find and map one takes longer than to read a few of its rows."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Content:
    """What lies on disk: the mapped rows, what their checksums start from, these, and whether they are as written."""

    array: NDArray[Any]
    seed: int
    sums: Sums
    sound: bool

    def damaged(self, rows: Rows) -> NDArray[np.bool_]:
        """Which of the rows do not agree with their checksums."""
        data = np.asarray(self.array).reshape(-1).view(np.uint8).data
        size = len(data) // len(self.array)
        found = [_checksum(data[row * size : (row + 1) * size], self.seed, row) for row in rows.tolist()]
        return np.not_equal(np.array(found, dtype=np.uint32), self.sums[rows])


class RowArray:
    """An array of N rows, each of which is either finished or not.

    `NAME.npy` has room for all rows, and `NAME.sums` holds a checksum for each of them, which is 0 until the row itself
    has reached the disk. A checksum covers the header, the row's number and its bytes; rows that do not agree with
    theirs are never given out but computed again. An array without checksums, as an older version wrote it, counts as
    not begun. Writers take turns, see `ArrayStore.turn`; readers need not.
    """

    def __init__(self, path: Path, count: int) -> None:
        """Look at the array of `count` rows at `path`, whether or not it has been begun."""
        self._path = path
        self._count = count
        self._sums_path = path.with_suffix(".sums")

    def read(self, rows: Rows | None = None) -> NDArray[Any] | None:
        """The rows (all for None) if every one of them is finished and intact, else None.

        The whole array is mapped from disk, a part of it copied; both are read-only. The whole array is compared with
        its checksums once in a process, for as long as its files do not change.

        Raises:
            StorageError: if a file cannot be read, or is damaged and cannot be removed.
        """
        state = self._state()
        content = self._known(state) or self._content()
        wanted = np.arange(self._count) if rows is None else rows
        if content is None or not content.sound or not content.sums[wanted].all():
            return None
        if _intact.get(self._path) != state:
            if content.damaged(wanted).any():
                return None
            if time.time_ns() - max(time_ns for *_, time_ns in state) > _SETTLED_NANOSECONDS:
                _remember(_contents, self._path, (state, content), _MOST_MAPPED)
                if rows is None:
                    _remember(_intact, self._path, state, _MOST_REMEMBERED)
        return content.array if rows is None else _frozen(content.array[rows])

    def _known(self, state: _FileState) -> _Content | None:
        """What was read of the files before, if they have not changed since."""
        known = _contents.get(self._path)
        return known[1] if known is not None and known[0] == state and len(known[1].sums) == self._count else None

    def missing(self, rows: Rows) -> Rows:
        """Those of the rows that are not finished, in their order; damaged ones count as finished."""
        missing: Rows = rows[self._sums()[0][rows] == 0]
        return missing

    def to_write(self, rows: Rows) -> Rows:
        """Those of the rows to compute next, in their order: the missing ones, and if there are none the damaged ones.

        The caller holds the turn. Rows that are found damaged are missing from then on, and the log says so.

        Raises:
            StorageError: if a file cannot be read or written.
        """
        sums, sound = self._sums()
        if not sound or sums[rows].all():
            self.drop_damaged(rows)
        return self.missing(rows)

    def drop_damaged(self, rows: Rows) -> None:
        """Make those of the rows missing that do not agree with their checksums, and say so; the caller holds the turn.

        Raises:
            StorageError: if a file cannot be read or written.
        """
        content = self._content()
        if content is None:
            return
        finished = rows[content.sums[rows] != 0]
        bad = finished[content.damaged(finished)]
        if len(bad) or not content.sound:
            what = f"{len(bad):,} of its {self._count:,} rows" if len(bad) else "its checksums"
            _log.warning("The cache file %s is damaged (%s); what is lost is computed again.", self._path, what)
            content.sums[bad] = 0
            self._write_sums(content.sums)

    def write(self, rows: Rows, values: NDArray[Any]) -> None:
        """Write rows, values of shape ``(n, ...)``; all calls give the same shape. The caller holds the turn.

        Raises:
            StorageError: if the disk is full or the folder cannot be written.
        """
        header = io.BytesIO()
        shape = (self._count, *values.shape[1:])
        npy.write_array_header_2_0(header, {"descr": values.dtype.str, "fortran_order": False, "shape": shape})
        start, size = len(header.getvalue()), values[0].nbytes
        data = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        try:
            if not self._begun(header.getvalue(), start + self._count * size):
                self._sums_path.unlink(missing_ok=True)
                with atomic_path(self._path, "The cache") as temporary, temporary.open("wb") as stream:
                    stream.write(header.getvalue())
                    # The file has holes, so it takes the room of the rows that are written.
                    stream.truncate(start + self._count * size)
            sums = self._sums()[0]
            with self._path.open("r+b") as stream:
                for first, stop in _runs(rows):
                    stream.seek(start + int(rows[first]) * size)
                    # Plain writes, not a writable map: a full disk is then an error and not a crash.
                    stream.write(data[first * size : stop * size])
                stream.flush()
                os.fsync(stream.fileno())
            seed = zlib.crc32(header.getvalue())
            for place, row in enumerate(rows.tolist()):
                sums[row] = _checksum(data[place * size : (place + 1) * size], seed, row)
            self._write_sums(sums)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StorageError(
                f"The cache cannot be written to {self._path}: {reason}; set SALMU_CACHE_DIR."
            ) from error

    def _begun(self, header: bytes, size: int) -> bool:
        """Whether the file of the rows is there and could hold them."""
        try:
            with self._path.open("rb") as stream:
                return stream.read(len(header)) == header and stream.seek(0, os.SEEK_END) == size
        except FileNotFoundError:
            return False

    def _state(self) -> _FileState:
        """What tells that the files were not changed since."""
        found = []
        for path in (self._path, self._sums_path):
            try:
                stat = path.stat()
            except OSError:
                continue
            found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(found)

    def _sums(self) -> tuple[Sums, bool]:
        """The checksums of all rows, 0 for those that are missing, and whether their file is as it was written."""
        none = np.zeros(self._count, dtype=np.uint32)
        if not self._path.exists():
            return none, True
        try:
            content = self._sums_path.read_bytes()
        except FileNotFoundError:
            return none, True
        except OSError as error:
            raise _unreadable(self._sums_path, error) from error
        start, sums = content[:_START], content[_START:]
        if len(sums) != none.nbytes or start[: len(_MAGIC)] != _MAGIC:
            return none, False
        return np.frombuffer(sums, dtype="<u4").astype(np.uint32), start == _start(sums)

    def _write_sums(self, sums: Sums) -> None:
        content = sums.astype("<u4").tobytes()
        with atomic_path(self._sums_path, "The cache") as temporary:
            temporary.write_bytes(_start(content) + content)

    def _content(self) -> _Content | None:
        """What is on disk, or None if nothing is; a file that holds no such array is removed, and the log says so."""
        try:
            array: NDArray[Any] = np.load(self._path, mmap_mode="r", allow_pickle=False)
            with self._path.open("rb") as stream:
                header = stream.read(array.offset) if isinstance(array, np.memmap) else b""
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unreadable(self._path, error) from error
        except Exception:  # numpy's parser raises whatever a damaged header makes it raise
            array = np.empty(0)
        if array.shape[:1] == (self._count,) and array.nbytes and array.flags.c_contiguous:
            return _Content(array, zlib.crc32(header), *self._sums())
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"The cache file {self._path} is damaged and cannot be removed: {error.strerror or error}; "
                "set SALMU_CACHE_DIR."
            ) from error
        _log.warning("The cache file %s is damaged (it cannot be read); it is computed again.", self._path)
        return None


def _remember(table: dict[Path, Any], path: Path, value: Any, most: int) -> None:
    if len(table) >= most:
        table.clear()
    table[path] = value


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"The cache file {path} cannot be read: {error.strerror or error}; set SALMU_CACHE_DIR.")


def _start(sums: bytes) -> bytes:
    """What a file of checksums begins with: by their own checksum, zeros are not taken for rows that are missing."""
    return _MAGIC + zlib.crc32(sums).to_bytes(4, "little")


def _checksum(data: Any, seed: int, row: int) -> int:
    """CRC-32 of a row's bytes that differs by row and header; never 0, which says that a row is missing."""
    return zlib.crc32(data, (seed + row) & 0xFFFFFFFF) or 1


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
