"""A table of somebody's own before it is imported: unpacked, its first rows, and what its columns seem to be."""

import zipfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Final

from salmu_demo.core.errors import DataError, quoted
from salmu_demo.core.text import size_text
from salmu_demo.data.importing import COLUMNS, IMAGE
from salmu_demo.data.tables import KEY, TableFile, find_tables
from salmu_demo.data.tar_shards import Member

PREVIEWED: Final = 10
"""Rows of a preview."""

ARCHIVE: Final = ".zip"
_MOST_MEMBERS: Final = 200_000
_LONGEST_CELL: Final = 120
_NO_PART: Final = ("__MACOSX", ".DS_Store")
"""What file managers put into archives."""


@dataclass(frozen=True)
class Preview:
    """The start of a table.

    Attributes:
        columns: names of its columns.
        suggested: what a column can be (`COLUMNS`) to the column that `import_data` would take for it.
        rows: cells of the first rows as text, in the order of the columns.
    """

    columns: list[str]
    suggested: dict[str, str]
    rows: list[list[str]]


def preview(source: Path) -> Preview:
    """Look at a table.

    Args:
        source: what `find_tables` takes.

    Raises:
        DataError: if it cannot be read.
    """
    tables = find_tables(source)
    columns = [
        name for name in dict.fromkeys(name for each in tables for name in each.columns()) if name and name != KEY
    ]
    rows = (row for each in tables for row in each.rows(set(columns)))
    cells = [[_words(row.get(name)) for name in columns] for row in islice(rows, PREVIEWED)]
    return Preview(columns, _suggested(tables, columns), cells)


def _suggested(tables: list[TableFile], columns: list[str]) -> dict[str, str]:
    """What `import_data` takes the columns for if nothing is said; a test compares the two."""
    by_name, found = {name.lower(): name for name in reversed(columns)}, dict[str, str]()
    for target, names in COLUMNS.items():
        known = [by_name[name] for name in names if name in by_name and by_name[name] not in found.values()]
        held = list(dict.fromkeys(name for each in tables for name in each.images())) if target == IMAGE else []
        if known or len(held) == 1:
            found[target] = held[0] if len(held) == 1 else known[0]
    return found


def _words(cell: Any) -> str:
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, Member):
        cell = cell.name
    if isinstance(cell, bytes):
        return f"an image of {size_text(len(cell))}"
    words = "" if cell is None else str(cell)
    return words if len(words) <= _LONGEST_CELL else f"{words[:_LONGEST_CELL]}…"


def unpack(archive: Path, folder: Path, limit: int) -> Path:
    """Unpack a zip file with a table and its images, and return the folder that holds the table.

    Args:
        archive: the file.
        folder: a new folder.
        limit: most bytes that may come out of it.

    Raises:
        DataError: if it is damaged, encrypted, or holds too much, or a path that leads out of it.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [each for each in opened.infolist() if not set(PurePosixPath(each.filename).parts) & {*_NO_PART}]
            if len(members) > _MOST_MEMBERS or sum(each.file_size for each in members) > limit:
                raise DataError(
                    f"{archive.name} holds more than {_MOST_MEMBERS:,} files or {size_text(limit)}; import it with "
                    "`salmu-demo data import` instead."
                )
            for each in members:
                place = PurePosixPath(each.filename.replace("\\", "/"))
                if place.is_absolute() or ".." in place.parts or "\0" in each.filename:
                    raise DataError(
                        f"{archive.name} holds {quoted(each.filename)}, which leads out of it; pack it again."
                    )
                opened.extract(each, folder)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise DataError(f"{archive.name} cannot be unpacked: {error}.") from error
    except OSError as error:
        # Without the path, which is the server's: a name in the archive is too long, or the disk is full.
        raise DataError(f"{archive.name} cannot be unpacked: {error.strerror}.") from error
    while len(inside := list(folder.iterdir())) == 1 and inside[0].is_dir():
        folder = inside[0]
    return folder
