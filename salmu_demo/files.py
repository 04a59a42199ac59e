"""Whole files or none: atomic writes, and digests of what is on disk."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from salmu_demo.errors import StorageError


@contextmanager
def atomic_path(target: Path, what: str) -> Iterator[Path]:
    """Yield a temporary path beside `target` that replaces it when the block succeeds and vanishes when it does not.

    Args:
        target: the file to write; its folder is created.
        what: what is written, for the message, for example "The result file".

    Raises:
        StorageError: if the folder or file cannot be written, for example because the disk is full.
    """
    # Not from `tempfile`, whose files only their owner may read: the cache and results are shared.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{what} cannot be written to {target}: {reason}. Free or change that folder.") from error
    finally:
        # A read-only or vanished folder must not hide the error that is already on its way.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_writable(folder: Path, what: str) -> None:
    """Make sure that files can be written to a folder, before long work whose result goes there; leave nothing behind.

    Raises:
        StorageError: if that is not possible.
    """
    is_new = not folder.exists()
    trial = folder / ".writable"
    write_text(trial, "", what)
    with suppress(OSError):
        trial.unlink()
        if is_new:
            folder.rmdir()


def write_text(target: Path, text: str, what: str) -> None:
    """Write a text file atomically; raises :class:`StorageError`."""
    with atomic_path(target, what) as temporary:
        temporary.write_text(text, "utf-8")


def leads_outside(path: Path, folder: Path) -> bool:
    """Whether a link leads out of a folder; whoever packed the folder may have aimed it at any file.

    The snapshots of the Hub's cache consist of links to the blobs beside them, which belong to the repository.
    """
    target, root = path.resolve(), folder.resolve()
    blobs = root.parent.parent / "blobs" if root.parent.name == "snapshots" else root
    return not (target.is_relative_to(root) or target.is_relative_to(blobs))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
