"""From what the user typed to a data set: `mini`, `official`, a folder, a Hub data set id, or a CLEAR data set."""

from pathlib import Path
from typing import Final

from salmu_demo.core.errors import DataError
from salmu_demo.core.settings import assets_dir
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.hub.reference import data_on_hub

MINI: Final = "mini"
_FORMS: Final = "give `mini`, `official`, a folder in the SALMUBench layout or a Hub data set id"


def load_data(reference: str) -> BenchmarkData:
    """Load the data set a user named.

    Args:
        reference: `mini` (the embedded miniature), `official` (the release, pinned), a folder in the official layout, a
            Hub data set id, optionally with a revision (`org/name@revision`), or `clear:` and what
            :func:`salmu_demo.data.clear.load_clear` takes.

    Raises:
        DataError: if it cannot be found, fetched or read.
    """
    if reference == MINI:
        return load_folder(assets_dir() / "salmu-mini", MINI)
    # The Hub's client takes a quarter of a second to import, which local data does not need.
    if reference.startswith(layout.CLEAR):
        from salmu_demo.data.clear import load_clear  # noqa: PLC0415

        return load_clear(reference.removeprefix(layout.CLEAR))
    folder = existing_path(reference)
    if folder is not None:
        return load_folder(folder, reference)
    target = data_on_hub(reference)
    if target is None:
        raise DataError(f"{reference} is no folder; {_FORMS}.")
    from salmu_demo.data.hub_data import load_from_hub  # noqa: PLC0415

    return load_from_hub(target)


def existing_path(reference: str) -> Path | None:
    """The file or folder of this machine that a reference names, or None; raises :class:`DataError`."""
    try:
        folder = Path(reference).expanduser()
        return folder if folder.exists() else None
    except (OSError, RuntimeError) as error:  # a name too long, a home folder that does not exist
        raise DataError(f"{reference!r} is not a usable path: {getattr(error, 'strerror', error)}.") from error
