"""Features of texts that belong to no column of the data, such as prompts: each distinct text is kept once."""

import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.errors import StorageError

_MAGIC: Final = b"salmutx1"
_HEADER: Final = len(_MAGIC) + 8
_KEY: Final = 16


class TextTable:
    """One model's texts and their features, in one file that only grows.

    After a header with the width D come records of a 16 byte digest and D floats. A record that was cut off by a kill
    is overwritten by the next writer. Writers take turns, see :meth:`ArrayStore.turn`; readers need not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = 0
        self._rows: dict[bytes, int] = {}
        self._features: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)

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
        width = features.shape[1]
        records = np.empty(len(texts), dtype=_record(width))
        records["key"] = [np.void(_key(text)) for text in texts]
        records["feature"] = features
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("r+b" if self.path.exists() else "w+b") as stream:
                size = stream.seek(0, os.SEEK_END)
                if size < _HEADER:
                    stream.seek(0)
                    stream.write(_MAGIC + width.to_bytes(8, "little"))
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
        width = int.from_bytes(header[len(_MAGIC) :], "little")
        if header.startswith(_MAGIC) and width:
            count = (state.st_size - _HEADER) // _record(width).itemsize
            if state.st_ino != self._file or count < len(self._features):
                # Cleared and begun anew.
                self._forget(state.st_ino)
            if count > len(self._features):
                records = np.memmap(self.path, dtype=_record(width), mode="r", offset=_HEADER, shape=(count,))
                known = len(self._features)
                self._rows.update((key.tobytes(), row) for row, key in enumerate(records["key"][known:], start=known))
                self._features = records["feature"]
        elif header:
            self._remove_damaged()

    def _forget(self, file: int) -> None:
        self._file = file
        self._rows = {}
        self._features = np.empty((0, 0), dtype=np.float32)

    def _remove_damaged(self) -> None:
        self._forget(0)
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"The cache file {self.path} is damaged and cannot be removed: {error.strerror or error}; "
                "set SALMU_CACHE_DIR."
            ) from error


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_KEY).digest()


def _record(width: int) -> np.dtype[np.void]:
    return np.dtype([("key", f"V{_KEY}"), ("feature", "<f4", (width,))])
