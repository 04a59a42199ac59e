"""From what the user typed to a data set: `mini`, a folder, or a Hub data set id."""

import re
from pathlib import Path
from typing import Final

from salmu_demo.config import assets_dir
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.errors import DataError

MINI: Final = "mini"
_HUB_ID: Final = re.compile(r"^[\w.-]+/[\w.-]+(@[\w.-]+)?$")


def load_data(reference: str) -> BenchmarkData:
    """Load the data set a user named.

    Args:
        reference: `mini` (the embedded miniature), a folder in the official layout, or a Hub data set id, optionally
            with a revision (`org/name@revision`).

    Raises:
        DataError: if it cannot be found, fetched or read.
    """
    if reference == MINI:
        return load_folder(assets_dir() / "salmu-mini", MINI)
    try:
        folder = Path(reference).expanduser()
        exists = folder.exists()
    except (OSError, RuntimeError) as error:  # a name too long, a home folder that does not exist
        raise DataError(f"{reference!r} is not a usable path: {getattr(error, 'strerror', error)}.") from error
    if exists:
        return load_folder(folder, reference)
    if _HUB_ID.match(reference) and not reference.startswith("."):
        # The Hub's client takes a quarter of a second to import, which local data does not need.
        from salmu_demo.hub import download_snapshot  # noqa: PLC0415

        repository, _, revision = reference.partition("@")
        # The splits and metadata the protocol reads: nothing else of a repository is wanted here.
        patterns = [f"{layout.DATA_FOLDER}/*.parquet", "*.json", "README.md"]
        snapshot = download_snapshot(repository, "dataset", revision or None, patterns, DataError)
        return load_folder(snapshot, reference, revision=snapshot.name)
    raise DataError(f"{reference} is no folder; give `mini`, a folder in the SALMUBench layout or a Hub data set id.")
