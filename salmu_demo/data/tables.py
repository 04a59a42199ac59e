"""Tables with images as people hold them: csv, jsonl, parquet, image folders with metadata, webdataset shards."""

import csv
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from salmu_demo.core.errors import DataError, quoted
from salmu_demo.core.files import leads_outside
from salmu_demo.data import layout
from salmu_demo.data.dataset import check_inside
from salmu_demo.data.images import MAX_BYTES
from salmu_demo.data.shards import Watch, check_whole, parse_shard, shards_by_split
from salmu_demo.data.tar_shards import Member, members

KEY: Final = "__key__"
"""Column of a webdataset sample's key."""
MEMBER: Final = "image"
"""Column of a webdataset sample's image."""

_METADATA: Final = "metadata"
"""Name of the table of an image folder, as `datasets` has it."""
_IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
_TEXT_SUFFIXES: Final = (".txt", ".json")
_MAX_TEXT_BYTES: Final = 1_000_000
"""Largest text member of a shard, line of a file or header that is read."""
_BATCH_ROWS: Final = 16
_MAX_BATCH_BYTES: Final = 2 * _BATCH_ROWS * MAX_BYTES
_DELIMITERS: Final = (",", ";", "\t")
_DRIVE_OR_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image and what its source calls it, which may be nothing."""

    content: bytes
    name: str


@dataclass(frozen=True)
class TableFile(ABC):
    """A file of rows.

    Attributes:
        path: the file.
        folder: what names of images are relative to.
        root: nothing outside this folder is read.
        part: the split that its name or folder says, or an empty string.
        watch: makes sure that the file stays what it was.
    """

    path: Path
    folder: Path
    root: Path
    part: str
    watch: Watch

    @abstractmethod
    def columns(self) -> list[str]:
        """Names of the columns in their order; raises `DataError`."""

    @abstractmethod
    def rows(self, columns: Collection[str]) -> Iterator[dict[str, Any]]:
        """The cells of each row, at least those of the given columns that it has; raises `DataError`."""

    def images(self) -> list[str]:
        """Columns that hold images themselves; raises `DataError`."""
        return []

    def where(self, number: int) -> str:
        """A row for sentences, counted from 1; a header is none."""
        return f"Row {number} of {self.path}"

    def image(self, cell: Any, where: str) -> EncodedImage | None:
        """The image that a cell holds or names; None if it does neither.

        Args:
            cell: bytes, the name of a file, or a struct of `bytes` and `path`, of which `bytes` comes first.
            where: the row.

        Raises:
            DataError: if the file is missing, not in the folder, too large or unreadable.
        """
        name = ""
        if isinstance(cell, dict):
            path = cell.get("path")
            name = path if isinstance(path, str) else ""
            cell = cell.get("bytes") or name
        if isinstance(cell, Member):
            return EncodedImage(cell.read(self.watch), cell.name)
        if isinstance(cell, bytes):
            return EncodedImage(cell, name) if cell else None
        if isinstance(cell, str) and cell.strip():
            return EncodedImage(self._read(cell.strip(), where), cell.strip())
        return None

    def _read(self, name: str, where: str) -> bytes:
        place = PurePosixPath(name.replace("\\", "/"))
        says = f"{where} names the image {quoted(name)}"
        if place.is_absolute() or ".." in place.parts or _DRIVE_OR_ADDRESS.match(name):
            raise DataError(f"{says}, which is not a path within {self.folder}; write it relative to that folder.")
        path = self.folder / place
        try:
            if leads_outside(path, self.root):
                raise DataError(f"{says}, a link that leads out of {self.root}; copy the file itself there.")
            if not path.is_file():
                raise DataError(f"{says}, and {self.folder} has no such file.")
            if path.stat().st_size > MAX_BYTES:
                raise DataError(f"{says}, which has more than {MAX_BYTES:,} bytes; make it smaller.")
            return path.read_bytes()
        except (OSError, RuntimeError, ValueError) as error:  # no right to read, a loop of links, a null character
            raise DataError(f"{says}, which cannot be read: {getattr(error, 'strerror', error)}.") from error


class _Csv(TableFile):
    """Columns divided by commas, semicolons or tabs, whichever the header has most of."""

    def columns(self) -> list[str]:
        with self._lines() as lines:
            return self._header(lines)

    def rows(self, columns: Collection[str]) -> Iterator[dict[str, Any]]:
        with self._lines() as lines:
            header = self._header(lines)
            for number, cells in enumerate(filter(None, lines), start=1):
                if len(cells) != len(header):
                    raise DataError(f"{self.where(number)} has {len(cells)} cells, but the header has {len(header)}.")
                yield dict(zip(header, cells, strict=True))

    def _header(self, lines: Iterator[list[str]]) -> list[str]:
        header = [name.strip() for name in next(lines, [])]
        named = [name for name in header if name]  # pandas gives its index no name
        if not named:
            raise DataError(f"{self.path} is empty; its first line must name the columns.")
        if len(set(named)) < len(named):
            twice = next(name for name in named if named.count(name) > 1)
            raise DataError(f"{self.path} has the column {quoted(twice)} twice; rename one of them.")
        return header

    @contextmanager
    def _lines(self) -> Iterator[Iterator[list[str]]]:
        try:
            with self.watch.reading(self.path), self.path.open(encoding="utf-8-sig", newline="") as stream:
                first = stream.readline(_MAX_TEXT_BYTES)
                stream.seek(0)
                lines = csv.reader(stream, delimiter=max(_DELIMITERS, key=first.count), strict=True)
                try:
                    yield lines
                except csv.Error as error:
                    raise DataError(f"Line {lines.line_num} of {self.path} cannot be read: {error}.") from error
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path} is not a readable csv file ({error}); save it again as UTF-8.") from error


class _Jsonl(TableFile):
    """A JSON object on each line."""

    def columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows(()) for name in row))

    def rows(self, columns: Collection[str]) -> Iterator[dict[str, Any]]:
        number = 0
        try:
            with self.watch.reading(self.path), self.path.open("rb") as stream:
                for line in iter(lambda: stream.readline(_MAX_TEXT_BYTES), b""):
                    if not line.strip():
                        continue
                    number += 1
                    yield _json_object(line, self.where(number))
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}.") from error


class _Parquet(TableFile):
    """Any common writer's: images as bytes, as the struct of `datasets`, or as names of files."""

    def columns(self) -> list[str]:
        return [str(name) for name in self._schema.names]

    def images(self) -> list[str]:
        return [field.name for field in self._schema if _holds_images(field.type)]

    def rows(self, columns: Collection[str]) -> Iterator[dict[str, Any]]:
        chosen = [name for name in self.columns() if name in columns]
        with self._reading(), pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=chosen):
                if batch.nbytes > _MAX_BATCH_BYTES:
                    raise DataError(f"{self.path} unpacks to rows of more than {MAX_BYTES:,} bytes.")
                yield from batch.to_pylist()

    @cached_property
    def _schema(self) -> Any:
        with self._reading():
            return pq.read_schema(self.path)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self.watch.reading(self.path):
                yield
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.path} is not a readable parquet file; fetch or write it again.") from error


class _Webdataset(TableFile):
    """Samples of an image, its caption as `.txt` and further columns as `.json`."""

    def columns(self) -> list[str]:
        return list(dict.fromkeys(name for sample in self._samples.values() for name in sample))

    def images(self) -> list[str]:
        return [MEMBER]

    def rows(self, columns: Collection[str]) -> Iterator[dict[str, Any]]:
        yield from self._samples.values()

    def where(self, number: int) -> str:
        return f"{super().where(number)} ({quoted(list(self._samples)[number - 1])})"

    @cached_property
    def _samples(self) -> dict[str, dict[str, Any]]:
        limits = dict.fromkeys(_IMAGE_SUFFIXES, MAX_BYTES) | dict.fromkeys(_TEXT_SUFFIXES, _MAX_TEXT_BYTES)
        samples: dict[str, dict[str, Any]] = {}
        for found in members(self.path, self.watch, limits, _TEXT_SUFFIXES):
            name = f"The member {quoted(found.member.name)} of {self.path}"
            place = PurePosixPath(found.member.name)
            if place.is_absolute() or ".." in place.parts:
                raise DataError(f"{name} lies outside its folder; pack the shard again.")
            if found.content is None:
                cells: dict[str, Any] = {MEMBER: found.member}
            elif found.suffix == ".json":
                cells = {key: cell for key, cell in _json_object(found.content, name).items() if key != MEMBER}
            else:
                cells = {found.suffix[1:]: _decoded(found.content, name)}
            sample = samples.setdefault(found.key, {KEY: found.key})
            if MEMBER in cells and MEMBER in sample:
                raise DataError(f"{name} is a second image of its sample; a row has one.")
            sample.update(cells)
        return samples


_READERS: Final[dict[str, type[TableFile]]] = {
    ".csv": _Csv,
    ".tsv": _Csv,
    ".jsonl": _Jsonl,
    ".parquet": _Parquet,
    ".tar": _Webdataset,
}


def find_tables(source: Path, images: Path | None = None) -> list[TableFile]:
    """The tables of a file or folder, in the order of their rows.

    Args:
        source: a `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.tar` file; or a folder with `metadata.csv`, `.jsonl` or
            `.parquet` in it or in each of its subfolders (`imagefolder`), with one csv or jsonl file, with parquet
            shards in it or in its subfolder `data`, or with tar shards.
        images: what names of images are relative to; None for the folder of each table.

    Raises:
        DataError: if there is nothing of the kind, or more than one, or shards are missing.
    """
    watch = Watch(f"the table {source}")
    if source.is_file():
        files, root = [(source, "")], source.parent
        if source.suffix.lower() not in _READERS:
            raise DataError(f"{source} is not a table; give a {', '.join(_READERS)} file or a folder that has some.")
    elif source.is_dir():
        if (source / layout.IDENTITIES_FILE).exists():
            raise DataError(f"{source} has the official layout already; use it as it is (--data {source}).")
        files, root = _files_of(source), source
    else:
        raise DataError(f"{source} is neither a file nor a folder.")
    return [
        _READERS[path.suffix.lower()](check_inside(path, root), images or path.parent, images or root, part, watch)
        for path, part in files
    ]


def _files_of(folder: Path) -> list[tuple[Path, str]]:
    """The tables in a folder, each with the split that its name or folder says."""
    names = [f"{_METADATA}{suffix}" for suffix in (".csv", ".jsonl", ".parquet")]
    kinds = {
        "metadata files": [(path, "") for path in sorted(folder / name for name in names) if path.is_file()],
        "metadata files in subfolders": [
            (path, path.parent.name) for path in sorted(folder.glob(f"*/{_METADATA}.*")) if path.name in names
        ],
        "tar shards": _shards(folder.glob("*.tar")),
        # Of each of its shards img2dataset writes the texts once more.
        "parquet files": _shards(
            path
            for pattern in ("*.parquet", f"{layout.DATA_FOLDER}/*.parquet")
            for path in folder.glob(pattern)
            if not path.with_suffix(".tar").exists()
        ),
        "tables": [
            (path, "") for path in sorted(folder.iterdir()) if path.suffix.lower() in (".csv", ".tsv", ".jsonl")
        ],
    }
    if kinds["metadata files"]:  # which are tables themselves, or parquet files
        kinds = {"metadata files": kinds["metadata files"]}
    found = {kind: files for kind, files in kinds.items() if files}
    if not found:
        raise DataError(f"{folder} has no table: no metadata.csv, and no csv, jsonl, parquet or tar file.")
    if len(found) > 1:
        first, second, *_ = found.values()
        raise DataError(
            f"{folder} has more than one table, such as {first[0][0]} and {second[0][0]}; name one of them."
        )
    ((kind, files),) = found.items()
    if len(files) > 1 and kind in ("metadata files", "tables"):
        raise DataError(f"{folder} has more than one table, such as {files[0][0]} and {files[1][0]}; name one of them.")
    return files


def _shards(paths: Iterable[Path]) -> list[tuple[Path, str]]:
    """Files in the order of their numbers, and complete, if their names have numbers; otherwise of their names."""
    seen = sorted(path for path in paths if not path.name.startswith("."))
    if not all(parse_shard(path.name) for path in seen):
        return [(path, "") for path in seen]
    found = shards_by_split(seen)
    for split, shards in found.items():
        check_whole(split, shards)
    return [(path, split) for split, shards in found.items() for path in shards]


def _holds_images(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _holds_images(kind.field(place).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _json_object(content: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DataError(f"{where} is not a JSON object.")
    return found


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8; save it again.") from error
