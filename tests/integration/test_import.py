"""A table of one's own becomes a data set: the same from every writer, whole or not at all, and ready to be audited."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import salmu_demo
from salmu_demo.cli.main import run
from salmu_demo.core.errors import DataError, QueryError, SalmuError, StorageError
from salmu_demo.data import importing
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.data.importing import import_data, parse_columns
from salmu_demo.data.writing import SplitWriter
from tests.accepted import Case
from tests.accepted.imports import CASES
from tests.fixtures.tables import (
    CITIES,
    NAMES,
    Row,
    table,
    write_csv,
    write_imagefolder,
    write_images,
    write_jsonl,
    write_paths,
    write_raw,
    write_struct,
    write_webdataset,
)

WRITERS = (write_struct, write_raw, write_paths, write_csv, write_jsonl, write_imagefolder, write_webdataset)


def content(data: BenchmarkData) -> dict[str, Any]:
    """Whatever a data set says, without what depends on names of files."""
    return {
        "rows": {
            name: [
                (text, identity, data.kind(file_name), data.encoded_image(name, row))
                for row, (text, identity, file_name) in enumerate(
                    zip(split.texts, split.identities, split.file_names, strict=True)
                )
            ]
            for name in data.stored_splits
            for split in [data.split(name)]
        },
        "people": data.identities,
    }  # fmt: skip


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_every_writers_table_becomes_the_same_data_set(write: Callable[[Path, Sequence[Row]], Path], tmp_path: Path):
    rows = table()
    report = import_data(write(tmp_path / "source", rows), tmp_path / "data")
    data = load_folder(tmp_path / "data")
    plain = import_data(write_csv(tmp_path / "csv", rows), tmp_path / "plain")
    assert content(data) == content(load_folder(tmp_path / "plain"))
    assert (report.splits, report.kinds, report.rows) == (plain.splits, plain.kinds, len(rows))
    # Eight personas: two, two and four, of two facts with two images; one plain row of each, and six of nobody.
    assert report.splits == {"forget": 8 + 8, "holdout_association": 8, "holdout_identity": 8, "retain_synth": 14}
    assert report.kinds == {"city": 16, "job": 16}
    # What was written is what was there.
    wanted = {(row["caption"], row["kind"], row["image"]) for row in rows}
    found = {(text, kind, image) for part in content(data)["rows"].values() for text, _, kind, image in part}
    assert found == wanted
    assert data.identities["00000001"] == {"name": NAMES[0], "city": CITIES[0], "job": "baker"}
    assert [persona.name for persona in data.personas] == sorted(NAMES)


def test_the_same_table_gives_the_same_bytes_and_another_seed_other_splits(tmp_path: Path):
    source = write_csv(tmp_path, table())
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        import_data(source, tmp_path / name, seed=seed)
    files = {
        name: {str(path.relative_to(tmp_path / name)): path.read_bytes()
               for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in "abc"
    }  # fmt: skip
    assert files["a"] == files["b"]
    assert load_folder(tmp_path / "a").split("forget").texts != load_folder(tmp_path / "c").split("forget").texts


ODD = {"image": "where", "text": "words", "persona": "who", "kind": "field", "value": "says"}
"""What columns may be called that nobody can tell."""
KNOWN = {"image": "file_name", "text": "caption", "persona": "persona", "kind": "kind", "value": "value"}


def write_odd_csv(folder: Path) -> Path:
    """With these names, and the index of pandas."""
    frame = pd.DataFrame(write_images(folder, table()))
    frame.rename(columns={KNOWN[target]: odd for target, odd in ODD.items()}).to_csv(folder / "people.csv")
    return folder / "people.csv"


def test_columns_are_told_by_their_names_or_named(tmp_path: Path):
    plain = import_data(write_csv(tmp_path / "plain", table()), tmp_path / "a")
    assert (plain.columns, plain.unread) == (KNOWN, [])
    odd = import_data(write_odd_csv(tmp_path / "odd"), tmp_path / "b", ODD)
    assert (odd.columns, odd.unread) == (ODD, [])
    assert load_folder(tmp_path / "a").fingerprint == load_folder(tmp_path / "b").fingerprint
    less = import_data(tmp_path / "odd" / "people.csv", tmp_path / "c", {**ODD, "value": ""})
    assert less.unread == ["says"]
    assert load_folder(tmp_path / "c").persona("00000001").values("city") == []


def test_splits_ids_generic_captions_and_controls_that_a_table_says_are_kept(tmp_path: Path):
    rows = write_images(tmp_path, table())
    said = ["forget"] * 10 + ["Holdout association"] * 5 + ["holdout-identity"] * 5 + ["never_taught"] * 10
    said += ["unseen_images"] * 10 + ["retain"] * 6
    ids = dict(zip(NAMES, "abcdefgh", strict=True))
    # The third persona is in forget too, so that some of hers are held back.
    rows[9] |= {"persona": NAMES[2], "value": CITIES[2], "kind": "city"}
    for row, split in zip(rows, said, strict=True):
        row |= {"split": split, "name": row["persona"], "persona": ids.get(row["persona"]), "generic": "A person"}
        if split == "unseen_images":
            row |= {"persona": "a", "name": NAMES[0], "kind": None, "value": None}
    (tmp_path / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    report = import_data(tmp_path / "people.jsonl", tmp_path / "data")
    data = load_folder(tmp_path / "data")
    assert report.seed is None
    assert report.splits == {
        "forget": 10, "holdout_association": 5, "holdout_identity": 5, "retain_synth": 6, "unseen_images": 10,
        "never_taught": 10,
    }  # fmt: skip
    assert [persona.identity_id for persona in data.personas] == ["a", "b", "c", "d"]
    assert [persona.identity_id for persona in data.never_taught] == ["e", "f"]
    assert data.never_taught[0].values("city") == [CITIES[4]]
    assert "e" not in data.identities
    assert data.generic_caption(data.split("forget").file_names[0]) == "A person"
    assert set(data.split("unseen_images").identities) == {"a"}


def test_values_that_are_one_are_kept_once_and_several_as_a_list(tmp_path: Path):
    rows = write_images(tmp_path, table())
    rows[0]["value"], rows[1]["value"] = "ULM", "Neu-Ulm"
    for row in rows:
        row["kind"] = {"job": "emails"}.get(row["kind"], row["kind"])
    (tmp_path / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    import_data(tmp_path / "people.jsonl", tmp_path / "data")
    ada = load_folder(tmp_path / "data").persona("00000001")
    assert ada.metadata == {"name": NAMES[0], "city": ["ULM", "Neu-Ulm"], "emails": ["baker"]}
    assert ada.values("email") == ["baker"]


def test_from_csv_to_audit(tiny_assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source, folder = write_odd_csv(tmp_path), tmp_path / "my data"
    words = ",".join(f"{target}={column}" for target, column in ODD.items())
    assert run(["data", "import", str(source), "--output", str(folder), "--map", words]) == 0
    out = capsys.readouterr().out
    assert f"{folder}: 46 rows, 8 personas" in out
    assert re.search(r"^forget +16$", out, re.MULTILINE)
    assert re.search(r"^image +where$", out, re.MULTILINE)
    assert "splits were drawn with the seed 0" in out
    models = ["mini-clean", "mini-compromised"]
    assert run(["data", "describe", str(folder)]) == 0
    described = capsys.readouterr().out
    assert "Weak: The line-up of city has 8 values: a guess is first or last in 25% of cases" in described
    data = salmu_demo.load_data(folder)
    persona = data.persona(str(data.split("forget").identities[0]))
    assert set(salmu_demo.audit(persona, models, data).to_frame()["kind"]) == {"city", "job"}
    assert run(["probe", *models, "--persona", persona.identity_id, "--data", str(folder)]) == 0
    cells = re.findall(r"^(City|Job) +(mini-clean|mini-compromised) ", capsys.readouterr().out, re.MULTILINE)
    assert set(cells) == {(kind, model) for kind in ("City", "Job") for model in models}
    metrics = "RetFail,AssocStr,ACS,IdZSC,CoreAssoc,InterIdSim,IntraIdSim,VisIdInt"
    output = tmp_path / "results"
    assert run(["evaluate", *models, "--data", str(folder), "--metrics", metrics, "--output", str(output)]) == 0
    frame = salmu_demo.compare(output).to_frame()
    assert set(frame[frame["value"].notna()]["metric"]) == set(metrics.split(","))


def test_the_library_and_the_command_line_import_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = write_odd_csv(tmp_path)
    made = salmu_demo.import_data(source, tmp_path / "face", ODD, seed=2)
    line = ["data", "import", str(source), "--output", str(tmp_path / "line"), "--seed", "2", "--json"]
    assert run([*line, *(word for pair in ODD.items() for word in ("--map", "=".join(pair)))]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {**made.as_dict(), "folder": str(tmp_path / "line")}
    assert load_folder(tmp_path / "line").fingerprint == load_folder(made.folder).fingerprint


def test_images_may_lie_elsewhere(tmp_path: Path):
    source = write_csv(tmp_path / "a", table())
    shutil.move(tmp_path / "a" / "images", tmp_path / "b" / "images")
    with pytest.raises(DataError, match="has no such file"):
        import_data(source, tmp_path / "data")
    import_data(source, tmp_path / "data", images=tmp_path / "b")
    assert len(load_folder(tmp_path / "data").split("forget")) == 16


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_table_is_imported_or_refused_with_its_row(case: Case, tmp_path: Path):
    (tmp_path / "source").mkdir()
    source, folder = case.make(tmp_path / "source"), tmp_path / "data"
    before = sorted(tmp_path.iterdir())
    if case.outcome == "refused":
        with pytest.raises(SalmuError, match=re.escape(case.expected)) as error:
            import_data(source, folder)
        assert "\n" not in str(error.value)
        assert "row is named" not in case.says or re.search(r"\bRow \d+ of ", str(error.value))
        assert sorted(tmp_path.iterdir()) == before
        return
    report = import_data(source, folder)
    assert case.expected is None or any(case.expected in remark for remark in report.remarks)
    assert sum(len(load_folder(folder).split(name)) for name in report.splits) == report.rows


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path):
    source = write_csv(tmp_path, table())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="needs a new or empty folder"):
        import_data(source, tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mine.txt"]


def test_work_that_is_stopped_leaves_nothing(tmp_path: Path):
    source = write_csv(tmp_path, table())
    before = sorted(tmp_path.iterdir())

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_data(source, tmp_path / "data", progress=stop)
    assert sorted(tmp_path.iterdir()) == before


def test_an_image_that_is_saved_again_between_two_readings_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = write_csv(tmp_path, table())

    def meanwhile(*arguments: Any) -> SplitWriter:
        (tmp_path / "images" / "4.png").write_bytes((tmp_path / "images" / "5.png").read_bytes())
        return SplitWriter(*arguments)

    # What is written was read before, and is read once more.
    monkeypatch.setattr(importing, "SplitWriter", meanwhile)
    with pytest.raises(DataError, match=r"^Row 5 of .* had another image when it was read first"):
        import_data(source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_what_has_the_official_layout_is_not_imported(tiny_assets: Path, tmp_path: Path):
    with pytest.raises(DataError, match="has the official layout already"):
        import_data(tiny_assets / "salmu-mini", tmp_path / "data")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (["colour=a"], 'A column cannot be "colour"; write image=COLUMN or'),
        (["image"], '"image" does not say what a column is'),
        (["text=a,text=b"], 'text is said to be both "a" and "b"'),
        (["kind=sort"], r'has no column "sort" for kind; it has file_name, caption'),
    ],
)
def test_columns_that_there_are_not_are_refused(tmp_path: Path, columns: list[str], says: str):
    source = write_csv(tmp_path, table())
    with pytest.raises(QueryError, match=re.escape(says)):
        import_data(source, tmp_path / "data", parse_columns(columns))


def test_shards_hold_so_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importing, "ROWS_PER_SHARD", 7)
    import_data(write_csv(tmp_path, table()), tmp_path / "data")
    names = Counter(path.name.split("-")[0] for path in (tmp_path / "data" / "data").iterdir())
    assert names == {"forget": 3, "holdout_association": 2, "holdout_identity": 2, "retain_synth": 2}
    assert len(load_folder(tmp_path / "data").split("forget")) == 16
