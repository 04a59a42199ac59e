"""Data sets and image folders.

`make(folder)` changes a copy of the tiny data set (or fills an empty folder, in the areas of ImageNet); `expected` is a
part of the sentence, or of what `data describe` says.
"""

import codecs
import json
import math
import shutil
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from salmu_demo.data import layout
from tests.accepted import Case

Change = Callable[[Path], None]


def first(folder: Path, split: str) -> Path:
    """The first shard of a split."""
    return sorted((folder / "data").glob(f"{split}-*.parquet"))[0]


def copied(split: str, name: str) -> Change:
    """A copy of the first shard of a split under another name."""
    return lambda folder: shutil.copy(first(folder, split), folder / "data" / name) and None


def split_in(split: str, names: list[str]) -> Change:
    """The rows of a split, written in shards of these names."""

    def change(folder: Path) -> None:
        shards = sorted((folder / "data").glob(f"{split}-*.parquet"))
        rows = pa.concat_tables([pq.read_table(shard) for shard in shards])
        for shard in shards:
            shard.unlink()
        for number, name in enumerate(names):
            start, stop = number * len(rows) // len(names), (number + 1) * len(rows) // len(names)
            pq.write_table(rows.slice(start, stop - start), folder / "data" / name)

    return change


def without(split: str) -> Change:
    """The first shard of a split is missing."""
    return lambda folder: first(folder, split).unlink()


def metadata(file: str, change: Callable[[Any], Any]) -> Change:
    """A metadata file with other content."""

    def write(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps(change(json.loads(path.read_text("utf-8")))), "utf-8")

    return write


def people(**values: Any) -> Change:
    """The first persona with other metadata."""
    return metadata(layout.IDENTITIES_FILE, lambda found: {**found, "00000001": {**found["00000001"], **values}})


def marked(folder: Path) -> None:
    """All metadata files with a byte order mark, as some editors write them."""
    for path in folder.glob("*.json"):
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())


def identities(split: str, kind: pa.DataType, change: Callable[[str | None], Any]) -> Change:
    """The column of personas as another program may have written it."""

    def write(folder: Path) -> None:
        for shard in (folder / "data").glob(f"{split}-*.parquet"):
            table = pq.read_table(shard)
            values = [change(value) for value in table.column(layout.IDENTITY).to_pylist()]
            number = table.column_names.index(layout.IDENTITY)
            pq.write_table(table.set_column(number, layout.IDENTITY, pa.array(values, kind)), shard)

    return write


def written_as(word: str) -> Change:
    """Missing personas as a word."""
    return identities(layout.RETAIN_SYNTH, pa.string(), lambda value: word if value is None else value)


def folders(names: list[str]) -> Change:
    """Class folders of three classes; the red value of the images tells the place in the list."""

    def change(folder: Path) -> None:
        for number, name in enumerate(names):
            (folder / name).mkdir(parents=True)
            Image.new("RGB", (8, 8), (number * 20, 0, 0)).save(folder / name / "a.png")

    return change


def tars(names: list[str], first_image: int = 0, step: int = 3, promise: str | None = None) -> Change:
    """Webdataset shards of three classes each."""

    def change(folder: Path) -> None:
        for place, name in enumerate(names):
            with tarfile.open(folder / name, "w") as archive:
                for number in range(3):
                    stream = BytesIO()
                    Image.new("RGB", (8, 8), (0, number, 0)).save(stream, "PNG")
                    key = first_image + place * step + number
                    for suffix, content in (("png", stream.getvalue()), ("cls", str(number).encode())):
                        entry = tarfile.TarInfo(f"s{key:07d}.{suffix}")
                        entry.size = len(content)
                        archive.addfile(entry, BytesIO(content))
        if promise is not None:
            (folder / "nshards.txt").write_text(promise)

    return change


BEFORE = "A caption that goes on and on before it comes to the point, " * 3


def captions(change: Callable[[str], str]) -> Change:
    """Other forget captions."""

    def write(folder: Path) -> None:
        for shard in (folder / "data").glob("forget-*.parquet"):
            table = pq.read_table(shard)
            texts = pa.array([change(text) for text in table.column("text").to_pylist()])
            pq.write_table(table.set_column(table.column_names.index("text"), "text", texts), shard)

    return write


CAPTIONS = "Data: captions"
VALUES = "Data: values"
SHARDS = "Data: shards"
IMAGENET = "ImageNet: names and shards"
CASES: list[Case] = [
    Case(SHARDS, "`forget-00000-of-00001.parquet`", "accepted", "a shard", lambda folder: None),
    Case(SHARDS, "the same with part of a hash appended (older `datasets`)", "accepted", "a shard",
         split_in("holdout_identity", ["holdout_identity-00000-of-00001-0123456789abcdef.parquet"])),
    Case(SHARDS, "numbers without leading zeros, 0 to 11", "accepted", "in the order of the numbers",
         split_in("forget", [f"forget-{number}-of-12.parquet" for number in range(12)])),
    Case(SHARDS, "hidden files (`._forget-00000-of-00001.parquet`)", "accepted", "not read",
         copied("retain_synth", "._forget-00000-of-00001.parquet")),
    Case(SHARDS, "a further split, such as `forget-extra`", "accepted", "a split of its own, which no metric reads",
         copied("forget", "forget-extra-00000-of-00001.parquet")),
    Case(SHARDS, "a shard that the names promise is missing", "refused",
         "`lacks the shard of forget with the number 0, of 2`",
         without("forget"), "lacks the shard of forget with the number 0, of 2; fetch or copy it"),
    Case(SHARDS, "the same of a further split", "assumed", "the split is left out, as `data describe` says",
         copied("forget", "extra-00001-of-00002.parquet"), "The split extra is left out"),
    Case(SHARDS, "shards of two versions side by side", "refused", "`holds shards of forget from two versions`",
         copied("forget", "forget-00000-of-00001.parquet"), "holds shards of forget from two versions"),
    Case(SHARDS, "a shard twice", "refused", "`holds more shards of forget than the 2`",
         copied("forget", "forget-00000-of-00002-0123456789abcdef.parquet"), "holds more shards of forget than the 2"),
    Case(SHARDS, "a number beyond the promised count", "refused", "the same",
         copied("forget", "forget-00002-of-00002.parquet"), "holds more shards of forget than the 2"),
    Case(SHARDS, "a copy (`forget-00000-of-00002 (1).parquet`)", "refused",
         "`is not named <split>-<shard>-of-<shards>`",
         copied("forget", "forget-00000-of-00002 (1).parquet"), "is not named <split>-<shard>-of-<shards>.parquet"),
    Case(SHARDS, "any other name (`forget.parquet`)", "refused", "the same", copied("forget", "forget.parquet"),
         "is not named <split>-<shard>-of-<shards>.parquet"),
    Case(VALUES, "metadata with a byte order mark", "accepted", "as without one", marked),
    Case(VALUES, "a persona without a value: no key, null, NaN, blank, `None`, `nan`, `null`", "accepted",
         "no value: not a candidate and never true; `data describe` says so", people(city=None),
         "1 of 6 personas have no value of city"),
    Case(VALUES, "the same as NaN", "accepted", "the same", people(city=math.nan),
         "1 of 6 personas have no value of city"),
    Case(VALUES, "the same as a text", "accepted", "the same", people(city="None"),
         "1 of 6 personas have no value of city"),
    Case(VALUES, "the same within a list", "accepted", "the others count", people(emails=["a@post.example", None, ""])),
    Case(VALUES, "a city called Nan, a number as a value", "accepted", "as they are", people(city="Nan", passport=12)),
    Case(VALUES, "values that differ only in case", "assumed", "one candidate, true for everyone who has it",
         people(city="DAKAR"), "1 values of city in"),
    Case(VALUES, "values that differ only in whitespace", "assumed", "the same", people(city=" Dakar  "),
         "1 values of city in"),
    Case(VALUES, "values that differ only in Unicode form", "assumed", "the same", people(city="Malmo\u0308"),
         "1 values of city in"),
    Case(VALUES, "a value that is an object, a list in a list, or a Boolean", "refused",
         "`is neither a text nor a number`", people(city={"name": "Ulm"}),
         "a city that is neither a text nor a number"),
    Case(VALUES, "two personas with the same name", "accepted", "as they are; `data describe` says so",
         people(name="amara  diallo"),
         "2 personas share their name with another"),
    Case(VALUES, "a persona whose name is null, NaN or blank", "accepted", "no name: metrics that need one refuse",
         people(name=math.nan), "1 personas have no metadata with a name"),
    Case(VALUES, "rows without a persona as null", "accepted", "none", lambda folder: None),
    Case(VALUES, "the same as an empty text", "assumed", "none, as results say", written_as(""),
         "as '' (24): read as none"),
    Case(VALUES, "the same as `None`", "assumed", "the same", written_as("None"), "as 'None' (24): read as none"),
    Case(VALUES, "the same as `nan`", "assumed", "the same", written_as("nan"), "as 'nan' (24): read as none"),
    Case(VALUES, "the same as -1", "assumed", "the same", written_as("-1"), "as '-1' (24): read as none"),
    Case(VALUES, "captions that are blank, `None` or `nan`", "assumed", "measured as they are, as results say",
         captions(lambda text: "nan"), "Captions of forget in"),
    Case(VALUES, "a generic caption or an attribute kind of null, NaN, blank or `None`", "accepted", "none",
         metadata(layout.GENERIC_CAPTIONS_FILE, lambda found: {**found, min(found): math.nan}),
         "1 sensitive images have no generic caption"),
    Case(VALUES, "a generic caption that is not a text", "refused", "it is named",
         metadata(layout.GENERIC_CAPTIONS_FILE, lambda found: {**found, min(found): 5}), "is 5; it must be a string"),
    Case(VALUES, "two zero-shot classes that differ only in case", "refused", "`has a class twice`",
         metadata(layout.GENKNOW_FILE, lambda found: {**found, "classes": [*found["classes"], "Red  Square"]}),
         "has a class twice"),
    Case(CAPTIONS, "captions up to the context length of the model", "accepted", "read whole",
         captions(lambda text: text[:30])),
    Case(CAPTIONS, "longer captions, whose ends are cut off", "assumed", "results and `data describe` count them",
         captions(lambda text: text + BEFORE), "56 of 56 captions of forget are longer and cut off, so"),
    Case(CAPTIONS, "the same, with the information at the end", "assumed", "and they count how many read the same",
         captions(lambda text: BEFORE + text),
         "56 of 56 captions of forget are longer and cut off (56 different ones read as 1)"),
    Case(IMAGENET, "1,000 folders named by synset", "accepted", "in the order of the synsets",
         folders(["n00000001", "n00000002", "n00000010"])),
    Case(IMAGENET, "1,000 folders named 0 to 999, as in ImageNet-V2", "accepted", "in the order of the numbers",
         folders([str(number) for number in range(12)])),
    Case(IMAGENET, "the same with leading zeros (`000`)", "accepted", "the same", folders(["000", "001", "002"])),
    Case(IMAGENET, "numbers from 1 to 1000", "refused", "`do not say their classes`", folders(["1", "2", "3"]),
         "do not say their classes, such as '1'"),
    Case(IMAGENET, "names of classes, or synsets among numbers", "refused", "the same", folders(["0", "1",
         "n00000001"]),
         "do not say their classes, such as '0'"),
    Case(IMAGENET, "webdataset shards, `nshards.txt` beside them", "accepted", "all shards",
         tars(["0.tar", "1.tar"], promise="2\n")),
    Case(IMAGENET, "more or fewer shards than `nshards.txt` says", "refused", "`promises 3 shards, but there are 2`",
         tars(["0.tar", "1.tar"], promise="3"), "promises 3 shards, but there are 2"),
    Case(IMAGENET, "a shard that the names promise is missing", "refused", "`lacks the shard`",
         tars(["val-00000-of-00003.tar", "val-00002-of-00003.tar"]), "lacks the shard of val with the number 1, of 3"),
    Case(IMAGENET, "a copy of a shard (`0 (1).tar`)", "refused", "`is a copy of`", tars(["0.tar", "0 (1).tar"], step=0),
         "is a copy of"),
]  # fmt: skip
