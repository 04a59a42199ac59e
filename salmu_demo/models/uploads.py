"""Checkpoints that visitors uploaded: safetensors only, checked, kept by content in a bounded private folder."""

import os
import re
import shutil
from pathlib import Path
from typing import Final

from salmu_demo.core.errors import ModelError, StorageError
from salmu_demo.core.files import atomic_path, entries_within, file_digest
from salmu_demo.core.settings import cache_dir, on_space
from salmu_demo.models.header import read_header

UPLOAD: Final = "upload:"
LIMIT_VARIABLE: Final = "SALMU_UPLOAD_GB"
DEFAULT_LIMIT_GB: Final = 2.0
KEPT_AT_MOST: Final = 4
"""All uploads together take at most this many times the limit of one; the oldest go first."""

_NAME: Final = re.compile(r"[\w-]{1,60}-[0-9a-f]{16}")
_DIGEST_DIGITS: Final = 16


def upload_limit() -> int:
    """Largest upload in bytes, 0 for none: `SALMU_UPLOAD_GB`; without it 2 GB, and none on a Space.

    Raises:
        StorageError: if the variable is not a number of gigabytes.
    """
    value = os.environ.get(LIMIT_VARIABLE, 0.0 if on_space() else DEFAULT_LIMIT_GB)
    try:
        limit = int(float(value) * 1e9)
    except (ValueError, OverflowError) as error:
        raise StorageError(f"{LIMIT_VARIABLE} is {value!r}; it must be a number of gigabytes.") from error
    return max(limit, 0)


def keep_upload(path: Path, original_name: str) -> str:
    """Check an uploaded file, move it into the private folder and return the reference of its model.

    The reference holds digits of the content's SHA-256: the same file is kept once, and only whoever knows it can name
    it.

    Args:
        path: the uploaded file; it is gone afterwards, also if it is refused.
        original_name: what the visitor calls it; only letters, digits and hyphens of it are used.

    Raises:
        ModelError: if it is too large or no safetensors file of a checkpoint.
        StorageError: if it cannot be kept.
    """
    try:
        limit = upload_limit()
        if not limit:
            raise ModelError(f"This page does not accept uploads; its owner can allow them with {LIMIT_VARIABLE}.")
        if path.stat().st_size > limit:
            raise ModelError(f"The upload is larger than {limit / 1e9:g} GB; put it on the Hub instead.")
        try:
            read_header(path)
        except ModelError as error:
            # The visitor's own name of the file, not the place it was put at.
            raise ModelError(str(error).replace(str(path), "The upload")) from error
        stem = re.sub(r"[^\w-]+", "-", Path(original_name).stem, flags=re.ASCII).strip("-")[:60] or "model"
        name = f"{stem}-{file_digest(path)[:_DIGEST_DIGITS]}"
        target = _folder() / f"{name}.safetensors"
        if not target.exists():
            _make_room(limit * KEPT_AT_MOST - path.stat().st_size)
            with atomic_path(target, "The upload") as temporary:
                shutil.move(path, temporary)
                temporary.chmod(0o600)
        target.touch()
    except OSError as error:
        raise StorageError(f"The upload cannot be kept: {error.strerror or error}.") from error
    finally:
        path.unlink(missing_ok=True)
    return UPLOAD + name


def uploaded_file(reference: str) -> Path:
    """The file of an upload; raises `ModelError` if there is none."""
    name = reference.removeprefix(UPLOAD)
    path = cache_dir() / "uploads" / f"{name}.safetensors"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise ModelError(
            f"There is no upload {name!r:.80}, or it has been replaced by later ones; upload the file again."
        )
    return path


def _folder() -> Path:
    folder = cache_dir() / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _make_room(budget: int) -> None:
    """Remove the oldest uploads until the rest takes at most `budget` bytes."""
    kept = [(path, status) for path, status in entries_within(_folder()) if path.suffix == ".safetensors"]
    for path, status in sorted(kept, key=lambda entry: entry[1].st_mtime, reverse=True):
        budget -= status.st_size
        if budget < 0:
            path.unlink(missing_ok=True)
