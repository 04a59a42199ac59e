"""What the tab does with a table: takes it, shows its start, imports it; no component is touched here."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markupsafe import Markup

from salmu_demo.core.errors import DataError, QueryError, SalmuError, UploadError, quoted
from salmu_demo.core.files import entries_within
from salmu_demo.core.progress import ProgressCallback
from salmu_demo.core.settings import imports_dir, on_space
from salmu_demo.data.importing import COLUMNS, IMAGE, NAME, PERSONA, TEXT, Imported, import_data
from salmu_demo.models.uploads import KEPT_AT_MOST, upload_limit
from salmu_demo.ui.shell.data_shelf import DataShelf, title
from salmu_demo.ui.shell.visitor_files import FULL, MADE_SECONDS, UPLOAD_SECONDS, visitor_files
from salmu_demo.ui.tabs.data import text
from salmu_demo.ui.widgets.markup import notice, text_table
from salmu_demo.workbench.imports import ARCHIVE, PREVIEWED, Preview, preview, unpack

_SLUG: Final = re.compile("[^a-z0-9]+")
_LONGEST_NAME: Final = 40


@dataclass(frozen=True)
class Waiting:
    """A table that was looked at and waits to be imported.

    Attributes:
        source: what `import_data` takes.
        shown: its folder, which sentences leave out where it is the page's own; or an empty string.
        name: what the visitor calls it.
        seen: its start.
    """

    source: Path
    shown: str
    name: str
    seen: Preview


def uploaded(path: str) -> Waiting:
    """A table that was uploaded; it is the visitor's alone, and goes after an hour.

    Raises:
        DataError: if it cannot be read.
        QueryError: if the page takes no uploads.
        UploadError: if it is not an upload, or there is no room.
    """
    limit = upload_limit()
    if not limit:
        raise QueryError(text.NO_UPLOADS)
    folder = _new_folder(limit)
    with visitor_files().claimed(path) as file:
        name, suffix = file.stem, file.suffix.lower()
        if file.stat().st_size > limit:
            raise DataError(f"The upload is larger than {limit / 1e9:g} GB.")
        source = unpack(file, folder, limit) if suffix == ARCHIVE else file.rename(folder / file.name)
    return _looked_at(source, str(folder), name)


def on_this_machine(place: str) -> Waiting:
    """A table of the machine, for whoever runs the page there.

    Raises:
        DataError: if it cannot be read.
        QueryError: if nothing is named, or the page is on a Space.
    """
    if on_space():
        raise QueryError(text.NO_PATHS)
    if not place.strip():
        raise QueryError(text.NO_TABLE)
    try:
        source = Path(place.strip()).expanduser()
        source.stat()
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"There is no table {quoted(place.strip())} here; name a file or folder that is there."
        ) from error
    if source.suffix.lower() != ARCHIVE:
        return _looked_at(source, "", source.stem)
    folder = _new_folder(upload_limit())
    return _looked_at(unpack(source, folder, upload_limit()), str(folder), source.stem)


def _new_folder(limit: int) -> Path:
    """A folder for a table; raises `UploadError` if those of other visitors take too much room."""
    parent = visitor_files().private_folder("tables", UPLOAD_SECONDS)
    _check_room(parent, limit)
    folder = parent / secrets.token_hex(16)
    folder.mkdir(mode=0o700)
    return folder


def _check_room(parent: Path, limit: int) -> None:
    if sum(status.st_size for _, status in entries_within(parent)) > KEPT_AT_MOST * limit:
        raise UploadError(FULL)


def _looked_at(source: Path, shown: str, name: str) -> Waiting:
    try:
        return Waiting(source, shown, name, preview(source))
    except SalmuError as error:
        raise DataError(_said(error, shown)) from error


def preview_html(seen: Preview) -> Markup:
    """The first rows as a table."""
    numbered = [[str(number), *row] for number, row in enumerate(seen.rows, 1)]
    return text_table(["row", *seen.columns], numbered, f"The first {min(PREVIEWED, len(seen.rows))} rows")


def imported(
    waiting: Waiting, columns: Mapping[str, str], name: str, seed: int, datasets: DataShelf, progress: ProgressCallback
) -> tuple[str, Imported]:
    """Import a table as a data set that the page offers; returns its name in addresses, and what became what.

    Args:
        waiting: the table.
        columns: what columns are, every target with a column or an empty string.
        name: what the data set is to be called.
        seed: of the splits.
        datasets: where it is offered.
        progress: told about every image.

    Raises:
        DataError, ImageError: as `import_data` does, with the row.
        QueryError: if a column that is needed is not chosen, or the page has no room.
    """
    for target, words in ((IMAGE, IMAGE), (TEXT, TEXT)):
        if not columns.get(target):
            raise QueryError(text.MISSING.format(what=words))
    if not (columns.get(PERSONA) or columns.get(NAME)):
        raise QueryError(text.MISSING.format(what=text.PERSON))
    # One that is not there and was not taken away is left to the names of shards.
    told = {target: columns.get(target, "") for target in COLUMNS}
    told = {target: column for target, column in told.items() if column or target in waiting.seen.suggested}
    parent = visitor_files().private_folder("imports", MADE_SECONDS) if on_space() else imports_dir()
    slug = _SLUG.sub("-", name.lower()).strip("-")[:_LONGEST_NAME] or "data"
    folder = parent / f"{slug}-{secrets.token_hex(8)}"
    datasets.check_room()
    if on_space():
        _check_room(parent, upload_limit())
    try:
        report = import_data(waiting.source, folder, told, seed=seed, progress=progress)
    except SalmuError as error:
        raise type(error)(_said(error, waiting.shown)) from error
    return datasets.add(folder), report


def result_html(report: Imported) -> Markup:
    """What became what."""
    done = text.DONE.format(rows=report.rows, personas=report.personas, name=title(str(report.folder)))
    kept = text.KEPT_ON_SPACE if on_space() else text.KEPT_HERE.format(folder=report.folder)
    became = [*report.columns.items(), *(("not read", column) for column in report.unread)]
    parts = [
        notice(f"{done} {kept}"),
        text_table(["what", "column"], became, text.BECAME),
        text_table(["split", "rows"], _counted(report.splits), text.SPLITS),
        text_table(["fact", "sensitive rows"], _counted(report.kinds), text.KINDS),
        *(notice(remark, "quiet") for remark in report.remarks),
    ]
    return Markup("").join(parts)


def _counted(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in counts.items()]


def _said(error: SalmuError, folder: str) -> str:
    """A sentence of the command line as the page says it."""
    said = str(error).replace("with --map split=", text.WITHOUT_SPLIT)
    return said.replace(f"{folder}/", "").replace(folder, "the upload") if folder else said
