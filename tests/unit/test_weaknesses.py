"""What makes the numbers of a data set weak is found, with the number, and nothing is found where there is nothing."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from salmu_demo.data import layout
from salmu_demo.data.dataset import Limits, load_folder
from salmu_demo.data.weaknesses import weaknesses
from salmu_demo.probes.claims import small_galleries

Change = Callable[[list[dict[str, Any]]], None]


@pytest.fixture
def folder(tmp_path: Path, tiny_assets: Path) -> Path:
    return Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data set"))


def rows_of(folder: Path, split: str) -> list[dict[str, Any]]:
    return [row for path in sorted((folder / "data").glob(f"{split}-*")) for row in pq.read_table(path).to_pylist()]


def change(folder: Path, split: str, work: Change) -> None:
    """Write a split with other rows, in one shard."""
    rows, shards = rows_of(folder, split), sorted((folder / "data").glob(f"{split}-*"))
    schema = pq.read_schema(shards[0])
    for shard in shards:
        shard.unlink()
    work(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "data" / layout.shard_name(split))


def everywhere(column: str, cell: Any) -> Change:
    def work(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row[column] = cell

    return work


def test_data_without_a_weakness_has_none(folder: Path):
    assert weaknesses(load_folder(folder)) == []


def test_images_to_be_forgotten_and_to_be_kept_are_found(folder: Path):
    forget = rows_of(folder, "forget")

    def share(rows: list[dict[str, Any]]) -> None:
        rows[5]["image"], rows[3]["image"] = forget[2]["image"], forget[7]["image"]
        # One that is there twice counts once, and one without bytes is none.
        rows[6]["image"], rows[0]["image"] = forget[2]["image"], {"bytes": None, "path": "x"}

    change(folder, "retain_synth", share)
    change(folder, "holdout_identity", lambda rows: rows[1].update(image=forget[0]["image"]))
    found = weaknesses(load_folder(folder))
    assert [re.split(r": ", sentence)[0] for sentence in found] == [
        "1 images of holdout_identity are in forget too, such as row 1 (row 0 there)",
        "2 images of retain_synth are in forget too, such as row 3 (row 7 there)",
    ]


@pytest.mark.parametrize("split", layout.REQUIRED_SPLITS)
def test_a_split_that_was_not_fetched_is_no_weakness_and_hides_no_other(folder: Path, split: str):
    other = next(name for name in layout.REQUIRED_SPLITS if name != split)
    change(folder, other, everywhere("text", "X"))
    data = load_folder(folder, limits=Limits(absent={split: "Fetch it."}))
    rows = len(data.split(other).texts)
    assert f"All {rows} captions of {other} are the same: they tell no row from another." in weaknesses(data)
    assert small_galleries(data)


def test_captions_without_their_value_or_a_name_are_found(folder: Path):
    def spoil(rows: list[dict[str, Any]]) -> None:
        rows[3]["text"] = "Zoë Åström says nothing"
        # Case, blanks and Unicode form do not count.
        rows[4]["text"] = rows[4]["text"].upper()

    change(folder, "forget", spoil)
    change(
        folder, "holdout_identity", lambda rows: [row.update(text=row["text"].replace("Țepeș", "X")) for row in rows]
    )
    without, nameless = weaknesses(load_folder(folder))
    assert without.startswith("1 of 56 captions of forget lack the value of their kind, such as row 3:")
    assert nameless.startswith("0 of 16 captions of holdout_identity have the name of their persona:")


def test_columns_that_are_the_same_everywhere_are_found(folder: Path):
    image = rows_of(folder, "holdout_identity")[0]["image"]
    change(folder, "holdout_identity", everywhere("image", image))
    change(folder, "retain_synth", everywhere("text", "A person"))
    change(folder, "forget", everywhere("identity_id", "00000004"))
    path = folder / layout.IDENTITIES_FILE
    people = json.loads(path.read_text("utf-8"))
    for number, entry in enumerate(people.values()):
        entry["job"] = ("Baker", "baker ")[number % 2]
    path.write_text(json.dumps(people), "utf-8")
    found = weaknesses(load_folder(folder))
    for sentence in (
        "All 16 images of holdout_identity are the same file.",
        "All 36 captions of retain_synth are the same: they tell no row from another.",
        "All rows of forget are of one persona: intervals are drawn over personas, and there is one.",
        # The two who are only in forget no longer occur.
        "All 4 values of job are the same: there is nothing to tell apart.",
    ):
        assert sentence in found


def test_galleries_that_are_too_small_are_told_with_what_a_guess_reaches(folder: Path, monkeypatch: pytest.MonkeyPatch):
    found = small_galleries(load_folder(folder))
    # Two of six personas live in one city. Of five values a guess puts the true one first or last in two of five cases.
    assert found[0] == (
        "The line-up of city has 5 values: a guess is first or last in 40% of cases, so the audit cannot tell; that "
        "takes 40."
    )
    assert "The line-up of iban has 6 values: a guess is first or last in 33% of cases" in found[5]
    # Two personas are only in forget.
    assert found[8] == "IdZSC chooses among 2 names: a guess is right in 50% of cases."
    # 56 captions of forget, 24 of nobody, and its own: the sum of 1/1 to 1/81 is 4.978, divided by 81.
    assert found[9] == (
        "RetFail ranks a caption among at most 81, and the protocol among 2,001: a guess has a mean reciprocal rank of "
        "0.061."
    )
    assert len(found) == 10
    for name, enough in (("ENOUGH_VALUES", 6), ("ENOUGH_NAMES", 2), ("DISTRACTORS_PER_SOURCE", 24)):
        monkeypatch.setattr(f"salmu_demo.probes.claims.{name}", enough)
    # Kinds with as many values as it takes are left out; two kinds have five.
    assert [sentence[:21] for sentence in small_galleries(load_folder(folder))] == [
        "The line-up of city h", "The line-up of blood_"
    ]  # fmt: skip
