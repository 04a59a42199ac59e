"""Where computed arrays are kept, who may fill one, and what they take up in all."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from filelock import FileLock

from salmu_demo.core.errors import StorageError
from salmu_demo.core.files import code_digest
from salmu_demo.core.settings import cache_dir

ENCODING_CODE: Final = (
    "data/images.py",
    "features/pixels.py",
    *(
        f"models/{name}.py"
        for name in (
            "delta", "encoder", "header", "in_memory", "json_file", "network", "pickled", "text_tower", "tokenizer",
            "tokenizer_export", "transformers_tensors", "vocabulary", "weights",
        )
    ),
)  # fmt: skip
"""Our code that decides a feature of given images, texts and model files."""

ENCODING_PACKAGES: Final = (
    "torch", "torchvision", "open_clip_torch", "timm", "pillow", "ftfy", "regex", "tokenizers", "transformers",
)  # fmt: skip
"""Libraries that decide one."""

_POLL_SECONDS: Final = 0.005
_MOST_PATHS: Final = 4096
"""Paths that are remembered: an audit asks for the same few hundreds of times."""
_CONTENT: Final = (".npy", ".npz", ".pt", ".sqlite", ".texts")
"""Arrays, finished attacks, what attacks train, texts; the last is how earlier versions kept texts."""


@dataclass(frozen=True)
class CacheEntry:
    """One folder of the cache: the features of a model, or the pixels of a data set."""

    kind: str
    key: str
    files: int
    bytes: int
    last_used: float


def _model_path(root: Path, model: str, encoded_by: str) -> Path:
    return root / "features" / model / encoded_by


@lru_cache(maxsize=_MOST_PATHS)
def _array_path(root: Path, model: str, encoded_by: str, data: str, name: str) -> Path:
    return _model_path(root, model, encoded_by) / data / f"{name}.npy"


@cache
def encoding_key() -> str:
    """What features depend on besides model and data: code and libraries that decode, resize, load and encode."""
    return code_digest(ENCODING_CODE, ENCODING_PACKAGES)


class ArrayStore:
    """Arrays under the cache folder, one `.npy` file each.

    Layout: `features/<model fingerprint>/<encoding key>/<data fingerprint>/<split>.<column>.npy`,
    `features/<model fingerprint>/<encoding key>/prompts.sqlite`, and `pixels/<data fingerprint>/<encoding key>/….npy`;
    see `RowArray` and `TextTable` for what lies in them. What another version of this program or of its
    libraries encoded is not found, and goes with its model's or data set's entry.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_dir()
        self._apart: dict[str, Path] = {}

    def keep_apart(self, model: str, root: Path | None) -> None:
        """Keep what is computed for a model under a folder of its own, or again under the cache for None."""
        if root is None:
            self._apart.pop(model, None)
        else:
            self._apart[model] = root

    def feature_path(self, model: str, data: str, name: str) -> Path:
        """Path of a feature array."""
        return _array_path(self._apart.get(model, self.root), model[:32], encoding_key()[:16], data[:32], name)

    def prompts_path(self, model: str) -> Path:
        """Path of the features of a model's prompts."""
        return self._of_model(model) / "prompts.sqlite"

    def facts_path(self, model: str) -> Path:
        """Path of the facts kept about a model."""
        return self._of_model(model) / "model.json"

    def cuts_path(self, model: str) -> Path:
        """Path of what a model does not read of texts."""
        return self._of_model(model) / "cuts.json"

    def pixel_path(self, data: str, name: str) -> Path:
        """Path of an array of preprocessed images."""
        return self.root / "pixels" / data[:32] / encoding_key()[:16] / f"{name}.npy"

    def _of_model(self, model: str) -> Path:
        return _model_path(self._apart.get(model, self.root), model[:32], encoding_key()[:16])

    @staticmethod
    @contextmanager
    def turn(path: Path) -> Iterator[None]:
        """Hold the right to fill an array; its folder is created.

        It is held for a batch, or for about two seconds of small ones: threads and processes that fill the same array
        share the work, a probe that needs a few rows does not wait for a job that computes all of them, and whoever
        waits can still be stopped.

        Raises:
            StorageError: if the folder cannot be written.
        """
        lock = FileLock(path.with_suffix(".lock"), poll_interval=_POLL_SECONDS)
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
            # The lock goes to whoever asks first: without a pause that is nearly always the one who just had it.
            time.sleep(2 * _POLL_SECONDS)

    def entries(self) -> list[CacheEntry]:
        """What the cache holds, one entry for each model's features and each data set's pixels."""
        result = []
        for kind in ("features", "pixels"):
            for folder in sorted((self.root / kind).glob("*")):
                files = [path for path in folder.rglob("*") if path.suffix in _CONTENT and path.is_file()]
                sizes = [path.stat() for path in files]
                result.append(
                    CacheEntry(
                        kind=kind,
                        key=folder.name,
                        files=len(files),
                        # Blocks, not lengths: an unfinished array has holes.
                        bytes=sum(stat.st_blocks * 512 for stat in sizes),
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
