"""Features of texts that belong to no column of the data, such as prompts: each distinct text is kept once."""

import hashlib
import logging
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import StorageError

_WAIT_SECONDS: Final = 60.0
"""How long a write of another process may take."""
_KEYS_AT_A_TIME: Final = 1000
_NOT_OF_THE_FILE: Final = (
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
)  # fmt: skip
"""Errors that the disk or its rights cause; every other one means that the file is damaged."""

_log = logging.getLogger(__name__)


class TextTable:
    """One model's texts and their features in a SQLite file; a text is kept as a digest, so nobody can read it there.

    Whoever opens the file first in a process compares it with its checksums, says what is damaged and removes that, so
    that it is computed again. Writers take turns, see `ArrayStore.turn`, so that they share the work.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._checked = 0

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The distinct texts that have no feature yet, in order; raises `StorageError`."""
        known: set[bytes] = set()
        with self._open() as table:
            if table is not None:
                known = {key for (key,) in table.execute("SELECT key FROM texts")}
        return [text for text in dict.fromkeys(texts) if _key(text) not in known]

    def read(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Features of shape ``(N, D)`` if every text has one, else None; raises `StorageError`."""
        keys = [_key(text) for text in texts]
        wanted = list(dict.fromkeys(keys))
        found: dict[bytes, bytes] = {}
        with self._open() as table:
            for start in range(0, len(wanted), _KEYS_AT_A_TIME):
                if table is None:
                    return None
                some = wanted[start : start + _KEYS_AT_A_TIME]
                marks = ",".join("?" * len(some))
                found.update(table.execute(f"SELECT key, feature FROM texts WHERE key IN ({marks})", some))
        if not keys or len(found) < len(wanted):
            return None
        # What lies in bytes is read-only.
        return np.frombuffer(b"".join(map(found.__getitem__, keys)), "<f4").reshape(len(keys), -1)

    def append(self, texts: Sequence[str], features: NDArray[np.float32]) -> None:
        """Add texts with features of shape ``(N, D)``.

        Raises:
            StorageError: if the disk is full or the folder cannot be written.
        """
        rows = [
            (key := _key(text), content := feature.astype("<f4").tobytes(), _checksum(key, content))
            for text, feature in zip(texts, features, strict=True)
        ]
        with self._open(to_write=True) as table:
            if table is not None:
                table.execute("BEGIN IMMEDIATE")
                table.execute("CREATE TABLE IF NOT EXISTS texts (key BLOB UNIQUE, feature BLOB, checksum INTEGER)")
                table.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", rows)
                table.execute("COMMIT")

    @contextmanager
    def _open(self, to_write: bool = False) -> Iterator[sqlite3.Connection | None]:
        """The table, compared with its checksums; None without a file to read."""
        try:
            self._verify()
            if to_write:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            if to_write or self._file():
                with closing(self._connect("rwc" if to_write else "rw")) as table:
                    yield table
            else:
                yield None
        except sqlite3.Error as error:
            self._remove_damaged(error)
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error

    def _connect(self, mode: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(address, _WAIT_SECONDS, isolation_level=None, uri=True)

    def _verify(self) -> None:
        """Compare the file with its checksums if it is another one than before, and remove what is damaged."""
        with self._lock:
            file = self._file()
            if file in (0, self._checked):
                return
            try:
                with closing(self._connect("rw")) as table:
                    if table.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                        raise sqlite3.DatabaseError("its pages contradict each other")
                    rows = table.execute("SELECT rowid, key, feature, checksum FROM texts")
                    states = [(row, _checksum(key, feature) == checksum) for row, key, feature, checksum in rows]
                    damaged = [(row,) for row, intact in states if not intact]
                    if damaged:
                        lost = f"{len(damaged):,} of its {len(states):,} texts"
                        _log.warning("The cache file %s is damaged (%s); they are computed again.", self.path, lost)
                        table.executemany("DELETE FROM texts WHERE rowid = ?", damaged)
                self._checked = file
            except (sqlite3.Error, TypeError, ValueError) as error:  # a column may hold a value of any type
                self._remove_damaged(error)

    def _file(self) -> int:
        """What tells the file from another one of its name; 0 if there is none, or an empty one."""
        try:
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return 0
        return status.st_ino if status.st_size else 0

    def _remove_damaged(self, error: Exception) -> None:
        """Remove the file, unless the disk or its rights are the reason."""
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_OF_THE_FILE:
            raise self._unusable(str(error)) from error
        _log.warning("The cache file %s is damaged (it cannot be read); it is computed again.", self.path)
        try:
            for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
                path.unlink(missing_ok=True)
        except OSError as reason:
            raise self._unusable(f"damaged and cannot be removed: {reason.strerror or reason}") from error

    def _unusable(self, reason: str) -> StorageError:
        return StorageError(
            f"The cache file {self.path} cannot be used: {reason}; free that disk or set SALMU_CACHE_DIR."
        )


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _checksum(key: bytes, feature: bytes) -> int:
    return zlib.crc32(feature, zlib.crc32(key))
