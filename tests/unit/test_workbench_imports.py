"""A table before it is imported: its first rows, what its columns are taken for, and archives that are not unpacked."""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from salmu_demo.core.errors import DataError
from salmu_demo.data.importing import NAME, import_data
from salmu_demo.workbench.imports import PREVIEWED, preview, unpack
from tests.fixtures import tables

WRITERS: Sequence[Callable[..., Path]] = (
    tables.write_csv, tables.write_jsonl, tables.write_imagefolder, tables.write_struct, tables.write_raw,
    tables.write_paths, tables.write_webdataset,
)  # fmt: skip


@pytest.mark.parametrize("write", WRITERS)
def test_columns_are_suggested_as_the_import_takes_them(write: Callable[..., Path], tmp_path: Path) -> None:
    source = write(tmp_path / "table", tables.table())
    seen = preview(source)
    taken = import_data(source, tmp_path / "data").columns
    assert NAME not in taken  # Otherwise it would stand for the persona, too.
    assert seen.suggested == taken
    assert len(seen.rows) == PREVIEWED
    assert all(len(row) == len(seen.columns) for row in seen.rows)
    shown = dict(zip(seen.columns, seen.rows[0], strict=True))
    assert shown[seen.suggested["text"]] == "Ada Abel has the city Ulm, 0"
    assert "image of" in shown[seen.suggested["image"]] or shown[seen.suggested["image"]].endswith(".png")


def _zip(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_an_archive_is_unpacked_to_the_folder_that_holds_the_table(tmp_path: Path) -> None:
    packed = _zip(
        tmp_path / "a.zip", **{"mine/people.csv": "x", "mine/a/1.png": "y", "__MACOSX/mine/._people.csv": "z"}
    )
    found = unpack(packed, tmp_path / "out", 100)
    assert found == tmp_path / "out" / "mine"
    assert sorted(path.name for path in found.iterdir()) == ["a", "people.csv"]


def test_what_an_archive_must_not_do_is_refused(tmp_path: Path) -> None:
    for name in ("../out.csv", "/etc/people.csv", "a/../../b.csv", "..\\b.csv"):
        with pytest.raises(DataError, match="which leads out of it; pack it again"):
            unpack(_zip(tmp_path / "a.zip", **{name: "x"}), tmp_path / "out", 100)
    with pytest.raises(DataError, match=r"holds more than 200,000 files or 0.0 MB"):
        unpack(_zip(tmp_path / "a.zip", **{"people.csv": "x" * 101}), tmp_path / "out", 100)
    (tmp_path / "no.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"no\.zip cannot be unpacked: File is not a zip file"):
        unpack(tmp_path / "no.zip", tmp_path / "out", 100)
    damaged = _zip(tmp_path / "a.zip", **{"people.csv": "x" * 50})
    damaged.write_bytes(damaged.read_bytes().replace(b"x" * 50, b"y" * 50))
    with pytest.raises(DataError, match="Bad CRC-32"):
        unpack(damaged, tmp_path / "out", 100)
    with pytest.raises(DataError, match=r"a\.zip cannot be unpacked: File name too long\.$"):
        unpack(_zip(tmp_path / "a.zip", **{"x" * 300: "x"}), tmp_path / "out", 100)
    assert not list(tmp_path.glob("*.csv"))
