"""Tables that `salmu-demo data import` reads.

`make(folder)` writes a table to an empty folder and returns what is imported; `expected` is a part of the sentence of a
refusal or of a remark, and None of what is taken without one.
"""

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.accepted import Case
from tests.fixtures.tables import (
    Row,
    image_bytes,
    table,
    write_csv,
    write_imagefolder,
    write_images,
    write_jsonl,
    write_paths,
    write_raw,
    write_struct,
    write_tar,
    write_webdataset,
)

Make = Callable[[Path], Path]


def written(write: Callable[[Path, list[Row]], Path]) -> Make:
    """The table as one writer writes it."""
    return lambda folder: write(folder, table())


def changed(row: int, **cells: object) -> Make:
    """A csv file with other cells in one row, counted from 1."""

    def make(folder: Path) -> Path:
        rows = write_images(folder, table())
        rows[row - 1] |= cells
        pd.DataFrame(rows).to_csv(folder / "people.csv", index=False)
        return folder / "people.csv"

    return make


def column(name: str, cell: Callable[[int, Row], object]) -> Make:
    """A csv file with one more column."""

    def make(folder: Path) -> Path:
        rows = [{**row, name: cell(number, row)} for number, row in enumerate(write_images(folder, table()))]
        pd.DataFrame(rows).to_csv(folder / "people.csv", index=False)
        return folder / "people.csv"

    return make


def without(*names: str) -> Make:
    """A csv file without some columns."""

    def make(folder: Path) -> Path:
        pd.DataFrame(write_images(folder, table())).drop(columns=list(names)).to_csv(folder / "people.csv", index=False)
        return folder / "people.csv"

    return make


def text(content: str | bytes, name: str = "people.csv") -> Make:
    """A file that holds just this."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def semicolons(folder: Path) -> Path:
    """As a European spreadsheet writes it, with a byte order mark."""
    frame = pd.DataFrame(write_images(folder, table()))
    frame.to_csv(folder / "people.csv", index=False, sep=";", encoding="utf-8-sig")
    return folder / "people.csv"


def backslashes(folder: Path) -> Path:
    """Names as Windows writes them."""
    rows = [{**row, "file_name": row["file_name"].replace("/", "\\")} for row in write_images(folder, table())]
    pd.DataFrame(rows).to_csv(folder / "people.csv", index=False)
    return folder / "people.csv"


def split_folders(folder: Path) -> Path:
    """An image folder for each split."""
    rows = table()
    parts = {"forget": rows[:10], "holdout_association": rows[10:12], "holdout-identity": rows[20:24]}
    for name, part in {**parts, "retain": rows[40:]}.items():
        write_imagefolder(folder / name, part)
    return folder


def linked(folder: Path) -> Path:
    """A name that is a link to a file elsewhere."""
    outside = folder.parent / "outside.png"
    outside.write_bytes(image_bytes(1))
    source = changed(3, file_name="images/link.png")(folder)
    (folder / "images/link.png").symlink_to(outside)
    return source


def piped(folder: Path) -> Path:
    """A name that is a pipe, which nobody writes to."""
    source = changed(3, file_name="images/pipe.png")(folder)
    os.mkfifo(folder / "images/pipe.png")
    return source


def bomb(folder: Path) -> Path:
    """An image of far more pixels than bytes."""
    source = changed(3, file_name="images/bomb.png")(folder)
    png, side = image_bytes(1), (40_000).to_bytes(4, "big")
    header = png[12:16] + side + side + png[24:29]
    checksum = zlib.crc32(header).to_bytes(4, "big")
    (folder / "images/bomb.png").write_bytes(png[:12] + header + checksum + png[33:])
    return source


def shard_of(name: str) -> Make:
    """A tar shard with one more image under a name."""

    def make(folder: Path) -> Path:
        write_webdataset(folder, table())
        write_tar(folder / "00002.tar", [(name, image_bytes(1)), (f"{name[:-4]}.txt", b"A wall")])
        return folder

    return make


def two_images(folder: Path) -> Path:
    """A sample with an image in two formats."""
    return write_tar(folder / "a.tar", [("a.png", image_bytes(1)), ("a.jpg", image_bytes(2)), ("a.txt", b"A wall")])


def missing_shard(folder: Path) -> Path:
    """One of two parquet shards."""
    write_struct(folder, table())
    (folder / "data" / "train-00001-of-00002.parquet").unlink()
    return folder


def numbers(folder: Path) -> Path:
    """Personas as a column of numbers that pandas makes fractions of."""
    rows = write_images(folder, table())
    ids = {
        name: float(number) for number, name in enumerate(sorted({row["persona"] for row in rows if row["persona"]}), 7)
    }
    pd.DataFrame([{**row, "name": row["persona"], "persona": ids.get(row["persona"])} for row in rows]).to_csv(
        folder / "people.csv"
    )
    return folder / "people.csv"


def emails(folder: Path) -> Path:
    """A list as a value."""
    rows = [{**row, "value": [row["value"]] if row["value"] else None} for row in write_images(folder, table())]
    pq.write_table(pa.Table.from_pylist(rows), folder / "people.parquet")
    return folder / "people.parquet"


def json_line(line: str) -> Make:
    """A jsonl file with one more line."""

    def make(folder: Path) -> Path:
        path = write_jsonl(folder, table())
        path.write_text(path.read_text("utf-8") + line + "\n", "utf-8")
        return path

    return make


OFFICIAL = "holdout_association"
FILES = "Import: files"
ROWS = "Import: rows"
PATHS = "Import: names of images"
CASES: list[Case] = [
    Case(FILES, "parquet of `datasets`, images as a struct of bytes and path, in shards", "accepted", "all shards",
         written(write_struct)),
    Case(FILES, "parquet with images as bare bytes", "accepted", "the only such column", written(write_raw)),
    Case(FILES, "parquet with names of images", "accepted", "read from its folder", written(write_paths)),
    Case(FILES, "csv of pandas, with an index without a name", "accepted", "the index is not read", written(write_csv)),
    Case(FILES, "csv with semicolons and a byte order mark", "accepted", "as with commas", semicolons),
    Case(FILES, "jsonl, without the keys that a row has no value for", "accepted", "missing cells",
         written(write_jsonl)),
    Case(FILES, "a folder of images with `metadata.csv`", "accepted", "`file_name` names the images",
         written(write_imagefolder)),
    Case(FILES, "the same in a subfolder for each split", "accepted", "the folders say the splits", split_folders),
    Case(FILES, "webdataset shards with `.txt` and `.json`", "accepted", "a row for each key",
         written(write_webdataset)),
    Case(FILES, "a parquet shard that the names promise is missing", "refused", "`lacks the shard of train`",
         missing_shard, "lacks the shard of train with the number 1, of 2"),
    Case(FILES, "an image in two formats in a webdataset sample", "refused", "it is named", two_images,
         '"a.jpg" of'),
    Case(FILES, "a csv without a column that is known as the image", "refused", "its columns are listed; use `--map`",
         without("file_name"), "no column that is known as the image; it has caption, persona, kind, value"),
    Case(FILES, "a csv that is not UTF-8", "refused", "save it as UTF-8",
         text("file_name,text\na,é\n".encode("latin-1")), "save it again as UTF-8"),
    Case(FILES, "a csv with a column twice", "refused", "it is named", text("file_name,text,text\n"),
         'has the column "text" twice'),
    Case(FILES, "a file without rows", "refused", "it is named", text("file_name,caption,persona\n"), "has no rows"),
    Case(FILES, "a file of another kind", "refused", "the kinds are listed", text("x", "people.xlsx"),
         "is not a table"),
    Case(ROWS, "no column of splits", "assumed", "splits are drawn with `--seed`", written(write_csv),
         "No column says the split; splits were drawn with the seed 0."),
    Case(ROWS, "no rows without a persona", "assumed", "one persona in five becomes `retain_synth`, without its id",
         lambda folder: write_csv(folder, table(plain=0)), "of 1 personas all rows became retain_synth"),
    Case(ROWS, "no columns of kind and value", "assumed", "the kind is `name`", without("kind", "value"),
         "No column says the kind; what pairs of a persona give away is the name"),
    Case(ROWS, "a column of values and none of kinds", "assumed", "the kind is the name of the column",
         without("kind"), "No column says the kind; it is value"),
    Case(ROWS, "a persona without a kind", "assumed", "a plain row of the persona", written(write_csv),
         "8 rows have a persona but no kind."),
    Case(ROWS, "numbers of personas that are floats, beside their names", "accepted", "whole numbers", numbers),
    Case(ROWS, "a list of values", "accepted", "all are true", emails),
    Case(ROWS, "a column of numbers for the personas, and no names", "refused", "map `name`",
         column("persona", lambda _, row: None if row["persona"] is None else sum(row["persona"].encode())),
         "has numbers for the personas and no names"),
    Case(ROWS, "a row without an image", "refused", "the row is named", changed(3, file_name=None), "Row 3 of"),
    Case(ROWS, "a row without a caption", "refused", "the row is named", changed(3, caption=" "), "has no text"),
    Case(ROWS, "a row with a kind and no persona", "refused", "the row is named", changed(3, persona=None),
         'has the kind "job" but no persona'),
    Case(ROWS, "a row with a value and no kind", "refused", "the row is named", changed(3, kind=None),
         "has a value but no kind"),
    Case(ROWS, "a persona with two names", "refused", "the row is named",
         column("name", lambda number, row: row["persona"] and (row["persona"] if number else "Zoe Zorn")),
         "and an earlier row"),
    Case(ROWS, "a csv row with a cell too many", "refused", "the row is named",
         text("file_name,caption,persona\na,b,c,d\n"), "has 4 cells, but the header has 3"),
    Case(ROWS, "a csv with a quotation mark that does not end", "refused", "the line is named",
         text('file_name,caption,persona\na,"b,c\n'), "Line 2 of"),
    Case(ROWS, "a line that is not a JSON object", "refused", "the row is named", json_line("[1]"),
         "is not a JSON object"),
    Case(ROWS, "a text in jsonl with half of a character", "refused", "the row is named",
         json_line(json.dumps({"file_name": "images/1.png", "caption": "\ud800"})), "a lone surrogate"),
    Case(ROWS, "a column of splits with other words", "refused",
         "the words are listed; leave it out with `--map split=`",
         column("split", lambda *_: "train"), 'has the split "train"; write one of forget'),
    Case(ROWS, "a column of splits without one of the four", "refused", "it is named",
         column("split", lambda _, row: "forget" if row["kind"] else "retain"), f"has no row of {OFFICIAL}"),
    Case(ROWS, "a persona in `forget` and `holdout_identity`", "refused", "row and persona are named",
         column("split", lambda number, row: ("forget", OFFICIAL, "holdout_identity")[number % 3] if row["kind"]
                else "retain"), "these splits must share nobody"),
    Case(PATHS, "`images/1.png`, relative to the table or to `--images`", "accepted", "read", written(write_csv)),
    Case(PATHS, "`images\\1.png`", "accepted", "the same", backslashes),
    Case(PATHS, "a file that is not there", "refused", "the row is named", changed(3, file_name="images/no.png"),
         'Row 3 of'),
    Case(PATHS, "an absolute path", "refused", "the row is named", changed(3, file_name="/etc/hostname"),
         'names the image "/etc/hostname", which is not a path within'),
    Case(PATHS, "a path with a drive", "refused", "the row is named", changed(3, file_name="C:\\images\\1.png"),
         "which is not a path within"),
    Case(PATHS, "an address on the web", "refused", "the row is named", changed(3, file_name="https://a.example/1.png"),
         "which is not a path within"),
    Case(PATHS, "`../x.png`", "refused", "the row is named", changed(3, file_name="images/../../x.png"),
         "which is not a path within"),
    Case(PATHS, "a link that leads out of the folder", "refused", "the row is named", linked,
         "a link that leads out of"),
    Case(PATHS, "a pipe or a device", "refused", "the row is named", piped, "has no such file"),
    Case(PATHS, "a tar member `../x.png` or `/x.png`", "refused", "it is named", shard_of("../x.png"),
         "lies outside its folder"),
    Case(PATHS, "an image that is a decompression bomb", "refused", "the row is named", bomb,
         "(images/bomb.png) has more than the 50,000,000 pixels"),
    Case(PATHS, "a file that is not an image", "refused", "the row is named", changed(3, file_name="people.csv"),
         "(people.csv) is not an image that can be read"),
]  # fmt: skip
