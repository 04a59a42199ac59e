"""Features of texts that belong to no column of the data, such as prompts: each distinct text is kept once."""

import hashlib
import logging
import os
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import StorageError
from salmu_demo.core.files import atomic_path

_MAGIC: Final = b"salmutx2"
_OLDER: Final = b"salmutx1"
_HEADER: Final = len(_MAGIC) + 8
_KEY: Final = 16

_log = logging.getLogger(__name__)


class TextTable:
    """One model's texts and their features, in one file that only grows.

    After a header with the width D come records of a 16 byte digest, D floats and a checksum. A record that was cut off
    by a kill is overwritten by the next writer; one that does not agree with its checksum counts as absent, and the
    next writer leaves it out. Writers take turns, see :meth:`ArrayStore.turn`; readers need not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = 0
        self._rows: dict[bytes, int] = {}
        self._features: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)
        self._damaged = False

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The distinct texts that have no feature yet, in order; raises :class:`StorageError`."""
        with self._lock:
            self._refresh()
            return [text for text in dict.fromkeys(texts) if _key(text) not in self._rows]

    def read(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Features of shape ``(N, D)`` if every text has one, else None; raises :class:`StorageError`."""
        with self._lock:
            keys = [_key(text) for text in texts]
            if any(key not in self._rows for key in keys):
                self._refresh()
            rows = [self._rows.get(key, -1) for key in keys]
            features = self._features
        if not rows or min(rows) < 0:
            return None
        found = np.array(features[rows])
        found.flags.writeable = False
        return found

    def append(self, texts: Sequence[str], features: NDArray[np.float32]) -> None:
        """Add texts with features of shape ``(N, D)``.

        Raises:
            StorageError: if the disk is full or the folder cannot be written.
        """
        records = np.empty(len(texts), dtype=_record(features.shape[1]))
        records["key"] = [np.void(_key(text)) for text in texts]
        records["feature"] = features
        records["sum"] = _sums(records)
        header = _header(features.shape[1])
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._leave_out_damaged(header)
            with self.path.open("r+b" if self.path.exists() else "w+b") as stream:
                size = stream.seek(0, os.SEEK_END)
                if size < _HEADER:
                    stream.seek(0)
                    stream.write(header)
                    size = _HEADER
                whole = (size - _HEADER) // records.itemsize
                stream.seek(_HEADER + whole * records.itemsize)
                stream.write(records.tobytes())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            reason = error.strerror or str(error)
            raise StorageError(
                f"The cache cannot be written to {self.path}: {reason}. Free that disk or set SALMU_CACHE_DIR."
            ) from error

    def _leave_out_damaged(self, header: bytes) -> None:
        """Write the file anew without the records that do not agree with their checksums, and say so.

        Only a writer can tell: to a reader, a record that is being written looks the same.
        """
        with self._lock:
            suspected, self._damaged = self._damaged, False
        if not suspected:
            return
        content = self.path.read_bytes()[_HEADER:]
        record = _record(_width(header))
        records = np.frombuffer(content, dtype=record, count=len(content) // record.itemsize)
        intact = records["sum"] == _sums(records)
        if intact.all():
            return
        lost = f"{len(records) - int(intact.sum()):,} of its {len(records):,} texts"
        _log.warning("The cache file %s is damaged (%s); what is lost is computed again.", self.path, lost)
        with atomic_path(self.path, "The cache") as temporary:
            temporary.write_bytes(header + records[intact].tobytes())

    def _refresh(self) -> None:
        """Take notice of records that were added since, perhaps by another process."""
        try:
            state = self.path.stat()
            with self.path.open("rb") as stream:
                header = stream.read(_HEADER)
        except (FileNotFoundError, NotADirectoryError):
            self._forget(0)
            return
        except OSError as error:
            raise StorageError(
                f"The cache file {self.path} cannot be read: {error.strerror or error}; set SALMU_CACHE_DIR."
            ) from error
        width = _width(header)
        if header == _header(width):
            count = (state.st_size - _HEADER) // _record(width).itemsize
            if state.st_ino != self._file or count < len(self._features):
                # Cleared and begun anew.
                self._forget(state.st_ino)
            if count > len(self._features):
                records = np.memmap(self.path, dtype=_record(width), mode="r", offset=_HEADER, shape=(count,))
                known = len(self._features)
                new = records[known:]
                intact = new["sum"] == _sums(new)
                self._damaged = self._damaged or not intact.all()
                rows = known + np.flatnonzero(intact)
                self._rows.update(
                    (key.tobytes(), row) for row, key in zip(rows.tolist(), new["key"][intact], strict=True)
                )
                self._features = records["feature"]
        elif header:
            if not header.startswith(_OLDER):
                _log.warning("The cache file %s is damaged (it cannot be read); it is computed again.", self.path)
            self._remove_damaged()

    def _forget(self, file: int) -> None:
        self._file = file
        self._rows = {}
        self._features = np.empty((0, 0), dtype=np.float32)
        self._damaged = False

    def _remove_damaged(self) -> None:
        self._forget(0)
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"The cache file {self.path} is damaged and cannot be removed: {error.strerror or error}; "
                "set SALMU_CACHE_DIR."
            ) from error


def _header(width: int) -> bytes:
    start = _MAGIC + width.to_bytes(4, "little")
    return start + zlib.crc32(start).to_bytes(4, "little")


def _width(header: bytes) -> int:
    return int.from_bytes(header[len(_MAGIC) : len(_MAGIC) + 4], "little")


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_KEY).digest()


def _record(width: int) -> np.dtype[np.void]:
    return np.dtype([("key", f"V{_KEY}"), ("feature", "<f4", (width,)), ("sum", "<u4")])


def _sums(records: NDArray[np.void]) -> NDArray[np.uint32]:
    """CRC-32 of each record but for its own."""
    size = records.dtype.itemsize
    data = np.ascontiguousarray(records).view(np.uint8).data
    found = [zlib.crc32(data[end - size : end - 4]) for end in range(size, len(data) + 1, size)]
    return np.array(found, dtype=np.uint32)
