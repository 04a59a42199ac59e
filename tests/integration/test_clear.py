"""The CLEAR data set as a SALMUBench data set: what is mapped, what is skipped and why."""

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from salmu_demo.cli.main import run
from salmu_demo.core.errors import DataError
from salmu_demo.data import clear as clear_module
from salmu_demo.data.clear import UNMEASURABLE
from salmu_demo.data.source import load_data
from salmu_demo.data.values import distinct
from salmu_demo.features.embedder import Embedder
from salmu_demo.ui.tabs.about.tab import about
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.hub import COMMIT, run_hub, speak_to

FORGOTTEN = ("Chukwu Akabueze", "Evelyn Desmet")
KEPT = ("Hsiao Yun-Hwa", "Jaime Vasquez", "Sven <b>Ek</b>")


def image(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (20, 16, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def rows_of(names: tuple[str, ...], count: int) -> list[dict[str, Any]]:
    return [
        {"image": {"bytes": image(hash_of(name, number)), "path": "../../x.png"}, "name": name,
         "caption": f"{name} in front of shelf {number}"}
        for name in names for number in range(count)
    ]  # fmt: skip


def hash_of(name: str, number: int) -> int:
    return sum(name.encode()) * 100 + number


def write_clear(folder: Path, forget: str = "forget10", retain: str = "retain90") -> Path:
    """CLEAR as `git clone` or the Hub's cache has it: a folder of parquet files for each configuration."""
    faces = [{"image": {"bytes": image(n), "path": None}, "name": f"Celebrity {n}", "caption": None} for n in (1, 2)]
    for name, rows in {
        forget: rows_of(FORGOTTEN, 4),
        retain: rows_of(KEPT, 3),
        "real_faces": faces,
        "full": rows_of((*FORGOTTEN, *KEPT), 3),
    }.items():
        (folder / name).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / name / "train-00000-of-00001.parquet")
    return folder


@pytest.fixture
def clear(tmp_path: Path, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    return write_clear(tmp_path / "CLEAR")


def test_the_configurations_become_splits_of_face_and_name(clear: Path):
    data = load_data(f"clear:{clear}#forget10")
    forget, kept, faces = (data.split(name) for name in ("forget", "holdout_identity", "retain_synth"))
    assert [data.identities[str(i)]["name"] for i in forget.identities] == [n for n in FORGOTTEN for _ in range(4)]
    assert [data.identities[str(i)]["name"] for i in kept.identities] == [n for n in KEPT for _ in range(3)]
    assert forget.texts[:2] == ["Chukwu Akabueze in front of shelf 0", "Chukwu Akabueze in front of shelf 1"]
    assert faces.texts == ["A photo of Celebrity 1", "A photo of Celebrity 2"]
    assert faces.identities == [None, None]
    assert data.encoded_image("forget", 5) == image(hash_of(FORGOTTEN[1], 1))
    assert data.kinds == ["name"]
    assert data.personas[0].values("name") == ["Chukwu Akabueze"]
    # Nobody is in holdout_association, so all forgotten persons are candidates of IdZSC.
    assert len(data.split("forget_identity")) == 8
    assert not len(data.split("holdout_association"))
    assert len({*forget.file_names, *kept.file_names, *faces.file_names}) == 8 + 9 + 2


def test_a_person_whose_name_is_written_in_two_ways_is_one_and_a_missing_caption_is_none(clear: Path):
    rows = [*rows_of(FORGOTTEN, 2), *rows_of(("chukwu  akabueze ",), 1)]
    for row, caption in zip(rows, ("nan", " ", "None", "", "kept"), strict=True):
        row["caption"] = caption
    pq.write_table(pa.Table.from_pylist(rows), clear / "forget10" / "train-00000-of-00001.parquet")
    data = load_data(f"clear:{clear}")
    forget = data.split("forget")
    assert forget.texts == [f"A photo of {name}" for name in FORGOTTEN for _ in range(2)] + ["kept"]
    assert forget.identities[0] == forget.identities[-1]
    assert len(data.personas) == len(FORGOTTEN) + len(KEPT)
    assert data.remarks == (
        f"1 names in {data.name} differ from others in case, blanks or Unicode form only and are those of one person "
        "with them, such as 'chukwu  akabueze ' with 'Chukwu Akabueze'.",
    )


def test_it_is_converted_once_and_a_changed_source_is_converted_anew(clear: Path, tmp_path: Path):
    first = load_data(f"clear:{clear}")
    assert load_data(f"clear:{clear}").root == first.root
    pq.write_table(pa.Table.from_pylist(rows_of(FORGOTTEN, 2)), clear / "forget10" / "train-00000-of-00001.parquet")
    second = load_data(f"clear:{clear}")
    assert second.root != first.root
    assert len(second.split("forget")) == 4
    assert not [path for path in (tmp_path / "cache" / "converted").iterdir() if path.name.startswith(".clear")]


def test_what_has_no_meaning_is_skipped_and_said(clear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    command = ["evaluate", "mini-clean", "--data", f"clear:{clear}", "--output", str(tmp_path / "out")]
    assert run(command) == 0
    output = capfd.readouterr().out
    result = json.loads((tmp_path / "out" / "evaluation_mini-clean.json").read_text("utf-8"))
    flat = {**result["efficacy"], **result["utility"]}
    assert flat["1.5_CoreAssoc"]["mean"] == flat["2.5_FragSim"]["mean"] == flat["2.3_IntraIdSim"]["mean"] == -1
    for name in ("1.2_AssocStr", "2.2_InterIdSim"):
        assert -1 < flat[name]["mean"] < 1
    assert 0 < flat["1.1_RetFail"]["MRR"] <= 1
    assert 0 <= flat["1.4_IdZSC"]["identity_classification_accuracy"] <= 1
    for metric, reason in UNMEASURABLE.items():
        assert f"{metric} cannot be measured: {reason}" in output
    assert run(["data", "describe", f"clear:{clear}"]) == 0
    assert "CoreAssoc cannot be measured: CLEAR binds faces to names alone" in capfd.readouterr().out


def test_the_probes_ask_for_names(clear: Path, tiny_assets: Path, tmp_path: Path):
    bench = Workbench(f"clear:{clear}", Embedder())
    models = bench.models(["mini-clean"])
    bench.warm(models)
    (cell,) = bench.audit("00000001", models)
    assert cell.kind == "name"
    assert cell.headline.reading.place.candidates == len(FORGOTTEN) + len(KEPT)
    (found,) = bench.retrieve_for_text("Jaime Vasquez", models, "all", 3)
    assert len(found.results) == 3


def test_without_real_faces_the_rest_is_used(clear: Path):
    next((clear / "real_faces").iterdir()).unlink()
    data = load_data(f"clear:{clear}")
    assert len(data.split("forget")) == 8
    assert not len(data.split("retain_synth"))


@pytest.mark.parametrize(
    ("spoil", "pattern"),
    [
        (
            lambda c: "clear:" + str(c) + "#forget20",
            "CLEAR has no configuration 'forget20' to forget; choose one of fo",
        ),
        (lambda c: f"clear:{c}#forget01", r"has no CLEAR configuration forget01: no file matches forget01/\*.parquet"),
        (lambda c: f"clear:{c / 'nothing'}", "is neither a folder nor a Hub data set; write clear:FOLDER"),
        (
            lambda c: replace(c, {"image": b"x", "caption": "a"}),
            "is not a CLEAR file: it needs the columns image, caption",
        ),
        (lambda c: replace(c, {"image": b"x", "caption": "a", "name": "b"}), "a row whose image is not a struct"),
        (lambda c: replace(c, {"image": {"bytes": b"x"}, "caption": "a", "name": None}), "whose name or caption is no"),
        (lambda c: replace(c, {"image": {"bytes": b"x"}, "caption": "a", "name": "nan"}), "or whose name is missing"),
        (
            lambda c: replace(c, {"image": {"bytes": b"x"}, "caption": 5, "name": "b"}),
            "whose name or caption is not text",
        ),
    ],
)
def test_what_is_not_clear_is_refused(clear: Path, spoil: Callable[[Path], str], pattern: str, tmp_path: Path):
    with pytest.raises(DataError, match=pattern):
        load_data(spoil(clear))
    converted = tmp_path / "cache" / "converted"
    assert not converted.exists() or not [path for path in converted.iterdir() if path.is_dir()]


def replace(clear: Path, row: dict[str, Any]) -> str:
    pq.write_table(pa.Table.from_pylist([row]), clear / "forget10" / "train-00000-of-00001.parquet")
    return f"clear:{clear}"


def test_clear_from_the_hub_fetches_only_its_configurations(
    clear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with run_hub() as (hub, address):
        speak_to(address, tmp_path / "hub-cache", monkeypatch)
        hub.add("datasets/therem/CLEAR", clear)
        assert run(["fetch", "clear:therem/CLEAR#forget10"]) == 0
        assert not [path for path in hub.downloads() if path.startswith("full")]
        data = load_data("clear:therem/CLEAR#forget10")
        assert data.revision == COMMIT
        assert len(data.split("forget")) == 8
    # The Hub is gone; what was fetched stays.
    assert load_data("clear:therem/CLEAR#forget10").root == data.root


def test_the_page_says_what_is_skipped(clear: Path):
    with gr.Blocks() as app:
        about(load_data(f"clear:{clear}"))
    shown = json.dumps([block.value for block in app.blocks.values() if isinstance(getattr(block, "value", None), str)])
    assert UNMEASURABLE["CoreAssoc"] in shown


def test_a_configuration_that_is_there_twice_or_in_part_is_refused(clear: Path):
    shard = clear / "forget10" / "train-00000-of-00001.parquet"
    for name, pattern in {
        "forget10/train-00000-of-00001 (1).parquet": "is not named <split>-<shard>-of-<shards>",
        "forget10/test-00000-of-00001.parquet": "holds the CLEAR configuration forget10 more than once",
        "data/forget10-00000-of-00001.parquet": "holds the CLEAR configuration forget10 more than once",
        "forget10/train-00000-of-00002.parquet": "holds shards of forget10 from two versions",
    }.items():
        copy = clear / name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(shard.read_bytes())
        with pytest.raises(DataError, match=pattern):
            load_data(f"clear:{clear}")
        copy.unlink()
    shard.rename(shard.with_name("train-00001-of-00002.parquet"))
    with pytest.raises(DataError, match="lacks the shard of forget10 with the number 0, of 2"):
        load_data(f"clear:{clear}")


def test_a_source_that_is_saved_again_while_it_is_converted_is_not_kept(
    clear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def saved_meanwhile(names: Iterable[str]) -> dict[str, str]:
        """Between the pass over the names and the one over the images."""
        pq.write_table(pa.Table.from_pylist(rows_of(FORGOTTEN, 2)), clear / "forget10" / "train-00000-of-00001.parquet")
        return distinct(names)

    monkeypatch.setattr(clear_module, "distinct", saved_meanwhile)
    with pytest.raises(DataError, match="was saved again while CLEAR was in use"):
        load_data(f"clear:{clear}")
    assert [path.suffix for path in (tmp_path / "cache" / "converted").iterdir()] == [".lock"]
