"""Whole files or none: atomic writes, digests of what is on disk, and of the code and libraries that made it."""

import ast
import atexit
import hashlib
import json
import logging
import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from salmu_demo.core.errors import StorageError

_CHECKSUM: Final = "checksum"
_log = logging.getLogger(__name__)

_passing: set[Path] = set()
_PARSING: Final = threading.Lock()


def entries_within(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """All that lies in a folder at any depth, and its status; what goes while it is looked at is left out.

    Links are not followed.
    """
    found = []
    for parent, folders, files in os.walk(folder):  # Which, unlike a path's `rglob`, is not ended by what goes.
        for name in (*folders, *files):
            path = Path(parent, name)
            with suppress(OSError):
                found.append((path, path.lstat()))
    return found


@contextmanager
def passing(path: Path) -> Iterator[Path]:
    """Yield a path; the file or folder there is removed when the block is left, or the process ends within it."""
    _passing.add(path)
    try:
        yield path
    finally:
        _remove(path)
        _passing.discard(path)


def _remove(path: Path) -> None:
    # A read-only or vanished folder must not hide the error that is already on its way.
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@atexit.register
def _remove_all() -> None:
    while _passing:
        _remove(_passing.pop())


@contextmanager
def atomic_path(target: Path, what: str) -> Iterator[Path]:
    """Yield a temporary path beside `target` that replaces it when the block succeeds and vanishes when it does not.

    It has reached the disk before it replaces the target: after a power loss the target is the old file or the new one.

    Args:
        target: the file to write; its folder is created.
        what: what is written, for the message, for example "The result file".

    Raises:
        StorageError: if the folder or file cannot be written, for example because the disk is full.
    """
    # Not from `tempfile`, whose files only their owner may read: the cache and results are shared.
    name = f".{target.name}.{secrets.token_hex(6)}{target.suffix}"
    with _refused(target, what):
        target.parent.mkdir(parents=True, exist_ok=True)
        with passing(target.with_name(name)) as temporary:
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(target)


@contextmanager
def _refused(target: Path, what: str) -> Iterator[None]:
    """Say what cannot be written where; raises `StorageError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{what} cannot be written to {target}: {reason}. Free or change that folder.") from error


@contextmanager
def atomic_folder(target: Path, what: str) -> Iterator[Path]:
    """Yield a temporary folder beside `target` that becomes it when the block succeeds, and otherwise vanishes.

    Args:
        target: the folder to write: new, or empty.
        what: what is written, for the message, for example "The data set".

    Raises:
        StorageError: if the target holds something already, is a file, or cannot be written.
    """
    target = target.resolve()
    with _refused(target, what):
        if target.exists() and any(target.iterdir()):
            raise StorageError(f"{what} needs a new or empty folder, and {target} is not empty.")
        target.parent.mkdir(parents=True, exist_ok=True)
        with passing(target.with_name(f".{target.name}.{secrets.token_hex(6)}")) as temporary:
            temporary.mkdir()
            yield temporary
            for path, _ in entries_within(temporary):
                if path.is_file():
                    with path.open("rb") as stream:
                        os.fsync(stream.fileno())
            temporary.replace(target)


def check_writable(folder: Path, what: str, remedy: str = "free or change that folder") -> None:
    """Make sure that files can be written to a folder, before long work whose result goes there; leave nothing behind.

    Args:
        folder: the folder.
        what: what is to be written, for the message.
        remedy: what to do if it cannot be, for the message.

    Raises:
        StorageError: if that is not possible.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as trial:
            # A full disk has room for an empty file.
            trial.write(bytes(4096))
        if is_new:
            folder.rmdir()
    except OSError as error:
        raise StorageError(f"{what} cannot be written to {folder}: {error.strerror or error}; {remedy}.") from error


def write_text(target: Path, text: str, what: str) -> None:
    """Write a text file atomically; raises `StorageError`."""
    with atomic_path(target, what) as temporary:
        temporary.write_text(text, "utf-8")


def write_checked(target: Path, document: dict[str, Any], what: str) -> None:
    """Write a JSON object with a checksum of its content, for `read_checked`; raises `StorageError`."""
    write_text(target, json.dumps({**document, _CHECKSUM: _content_digest(document)}), what)


def read_checked(path: Path) -> dict[str, Any] | None:
    """What `write_checked` wrote, or None if it has to be made anew; the log says so of a file without that."""
    try:
        document = json.loads(path.read_bytes())
        checksum = document.pop(_CHECKSUM)
        if checksum == _content_digest(document):
            return dict(document)
    except OSError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    _log.warning("The file %s is damaged or of an older version; what it held is computed again.", path)
    return None


def _content_digest(document: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(document).encode(), digest_size=8).hexdigest()


def code_digest(sources: Iterable[str], packages: Iterable[str]) -> str:
    """SHA-256 over what some of this package's code says and the versions of libraries; it keys what they compute.

    Args:
        sources: globs below the package, such as `metrics/*.py`. Comments and layout do not count.
        packages: names of distributions.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted({path for source in sources for path in root.glob(source)}):
        stat = path.stat()
        code = _dumped(path, stat.st_mtime_ns, stat.st_size)
        digest.update(f"{path.relative_to(root).as_posix()}\0{code}\0".encode())
    for package in packages:
        try:
            digest.update(f"{package}\0{version(package)}\0".encode())
        except PackageNotFoundError:
            digest.update(f"{package}\0none\0".encode())
    return digest.hexdigest()


@cache
def _dumped(path: Path, _modified: int, _size: int) -> str:
    """The syntax tree of a file as text: every key asks for much the same files, and parsing takes most of its time."""
    return ast.dump(syntax_tree(path))


def syntax_tree(path: Path) -> ast.Module:
    """The syntax tree of a file of code.

    One at a time: CPython 3.11 counts the depth of trees in one place for all threads, and fails with a `SystemError`
    where the garbage collector lets another thread parse in the midst of it (gh-106905).
    """
    with _PARSING:
        return ast.parse(path.read_bytes())


def portable_digest(sources: Iterable[str]) -> str:
    """SHA-256 over what some of this package's code does, equal for every version of Python and of every library.

    It keys what is computed on one machine and shipped to others.

    Args:
        sources: as for `code_digest`; docstrings do not count either.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted({path for source in sources for path in root.glob(source)}):
        code = ascii(_meaning(syntax_tree(path)))
        digest.update(f"{path.relative_to(root).as_posix()}\0{code}\0".encode())
    return digest.hexdigest()


def _meaning(node: Any) -> Any:
    """A syntax tree as tuples and lists, without docstrings and without the empty fields that come and go in `ast`."""
    if isinstance(node, list):
        return [_meaning(part) for part in node if not _is_docstring(part)]
    if not isinstance(node, ast.AST):
        return node
    fields = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
    return (type(node).__name__, *((name, _meaning(value)) for name, value in fields))


def _is_docstring(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


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
