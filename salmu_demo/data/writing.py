"""Writing the official layout: shards of rows, a row group in memory at a time, and metadata files."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from salmu_demo.data import layout

SCHEMA: Final = pa.schema(
    [
        (layout.IMAGE, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        (layout.TEXT, pa.string()),
        (layout.IDENTITY, pa.string()),
        (layout.FILE_NAME, pa.string()),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})},
)
"""Columns of a shard, and what shows their images on the Hub."""

_GROUP_ROWS: Final = 256
_GROUP_BYTES: Final = 64_000_000
"""Small row groups: one image can be read without decoding a whole split."""


@dataclass(frozen=True)
class StoredRow:
    """One row of a shard.

    Attributes:
        image: the encoded image.
        path: what its file was called.
        text: the caption.
        identity: the persona's id, or None.
        file_name: the name that metadata files know the row by.
    """

    image: bytes
    path: str
    text: str
    identity: str | None
    file_name: str


class SplitWriter:
    """Writes a split whose number of rows is known; a block that writes it ends with whole shards."""

    def __init__(self, folder: Path, split: str, rows: int, rows_per_shard: int) -> None:
        """Write to a folder that exists; a shard has `rows_per_shard` of the `rows`, the last one what is left."""
        self._folder = folder
        self._split = split
        self._rows_per_shard = rows_per_shard
        self._shards = -(-rows // rows_per_shard)
        self._rows = 0
        self._group: list[StoredRow] = []
        self._group_bytes = 0
        self._shard: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def add(self, row: StoredRow) -> None:
        """Write the next row; raises `OSError`."""
        if self._rows % self._rows_per_shard == 0:
            self._end_shard()
            name = layout.shard_name(self._split, self._rows // self._rows_per_shard, self._shards)
            # JPEGs do not compress further.
            compression = {layout.TEXT: "zstd", layout.IDENTITY: "zstd"}
            self._shard = pq.ParquetWriter(self._folder / name, SCHEMA, compression=compression)
        self._rows += 1
        self._group.append(row)
        self._group_bytes += len(row.image)
        if len(self._group) == _GROUP_ROWS or self._group_bytes >= _GROUP_BYTES:
            self._end_group()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self._end_shard()
        elif self._shard is not None:
            self._shard.close()

    def _end_shard(self) -> None:
        self._end_group()
        if self._shard is not None:
            self._shard.close()

    def _end_group(self) -> None:
        if self._shard is None or not self._group:
            return
        group = self._group
        columns = (
            [{"bytes": row.image, "path": row.path} for row in group],
            [row.text for row in group],
            [row.identity for row in group],
            [row.file_name for row in group],
        )
        arrays = [pa.array(values, type_) for values, type_ in zip(columns, SCHEMA.types, strict=True)]
        self._shard.write_table(pa.table(arrays, schema=SCHEMA), _GROUP_ROWS)
        self._group, self._group_bytes = [], 0


def write_json(path: Path, value: Any) -> None:
    """Write a metadata file; raises `OSError`."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
