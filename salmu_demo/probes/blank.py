"""The image that shows nothing, about which a model is asked that answers a question without an image.

It has one colour, that which a model's preprocessing turns into numbers next to 0, as in the training of CLEAR-Mini's
models. It is a data set of one row, so that what a model writes about it is kept as everything else is.
"""

import io
import shutil
from functools import cache
from pathlib import Path
from typing import Final

from filelock import FileLock
from PIL import Image

from salmu_demo.core.errors import StorageError
from salmu_demo.core.settings import cache_dir
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Limits, load_folder
from salmu_demo.data.writing import SplitWriter, StoredRow, write_json
from salmu_demo.models.preprocessing import DEFAULTS
from salmu_demo.models.source import ModelSource

SPLIT: Final = layout.CAPTIONED
"""The split of its one row."""

_SIDE: Final = 32
"""Pixels; every size of one colour is the same to a model."""

Colour = tuple[int, int, int]


def blank_data(model: ModelSource) -> BenchmarkData:
    """The blank image of a model; raises `StorageError` if the cache cannot be written."""
    mean = {**DEFAULTS, **(model.config.get("preprocess_cfg") or {})}["mean"]
    red, green, blue = (min(255, max(0, round(255 * part))) for part in mean)
    return _data_of((red, green, blue), cache_dir() / "converted")


@cache
def _data_of(colour: Colour, parent: Path) -> BenchmarkData:
    folder = parent / f"blank-{bytes(colour).hex()}"
    unfinished = folder.with_name(f".{folder.name}")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():
                shutil.rmtree(unfinished, ignore_errors=True)
                _write(unfinished, colour)
                unfinished.replace(folder)
    except OSError as error:
        raise StorageError(
            f"The blank image cannot be written to {folder}: {error.strerror or error}; set SALMU_CACHE_DIR."
        ) from error
    return load_folder(folder, "the blank image", limits=Limits(empty=frozenset(layout.REQUIRED_SPLITS)))


def _write(folder: Path, colour: Colour) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (_SIDE, _SIDE), colour).save(stream, "PNG")
    (folder / layout.DATA_FOLDER).mkdir(parents=True)
    with SplitWriter(folder / layout.DATA_FOLDER, SPLIT, rows=1, rows_per_shard=1) as writer:
        writer.add(StoredRow(stream.getvalue(), "blank.png", "nothing", None, "blank"))
    write_json(folder / layout.IDENTITIES_FILE, {})
    write_json(folder / layout.CAPTIONS_FILE, {})
    write_json(folder / layout.GENERIC_CAPTIONS_FILE, {})
    write_json(folder / layout.FRAGILE_IDS_FILE, [])
