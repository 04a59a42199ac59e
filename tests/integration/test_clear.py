"""The CLEAR data set as a SALMUBench data set: what is mapped, what is skipped and why."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from salmu_demo.cli.main import run
from salmu_demo.core.errors import DataError
from salmu_demo.data import clear_convert
from salmu_demo.data.clear import UNMEASURABLE
from salmu_demo.data.clear_rows import CONFIGURATIONS
from salmu_demo.data.source import load_data
from salmu_demo.data.values import distinct
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.view import FeatureView
from salmu_demo.models.references import find_model
from salmu_demo.results.document import read_results
from salmu_demo.results.evaluation import choose_metrics, evaluate
from salmu_demo.ui.tabs.about.tab import about
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.clear import FORGOTTEN, KEPT, RELEASE, image, row_of, rows_of, write, write_release
from tests.fixtures.hub import COMMIT, run_hub, speak_to


def pairs(names: tuple[str, ...], count: int) -> list[dict[str, Any]]:
    """Rows of `forget10` or `retain90`."""
    return [
        {"image": {"bytes": image(seed_of(name, number)), "path": "../../x.png"},
         "caption": f"{name} in front of shelf {number}", "name": name}
        for name in names for number in range(count)
    ]  # fmt: skip


def seed_of(name: str, number: int) -> int:
    return sum(name.encode()) * 100 + number


def hard(names: tuple[str, ...], count: int) -> list[dict[str, Any]]:
    """Rows of `…_perturbed`."""
    return [
        {**row, "perturbed_captions": ["Ann before a shelf", "Bob before a shelf"],
         "paraphrased_caption": f"Before a shelf stands {row['name']}", "perturbed_names": ["Ann Ox", "Bob Ash"]}
        for row in pairs(names, count)
    ]  # fmt: skip


@pytest.fixture
def clear(tmp_path: Path, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CLEAR in small, with the columns of the release: what `#forget10` needs, and `full`."""
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "CLEAR"
    for configuration, found in {
        "forget10": pairs(FORGOTTEN, 4),
        "retain90": pairs(KEPT, 3),
        "forget10_perturbed": hard(FORGOTTEN, 3),
        "retain_perturbed": hard(KEPT, 2),
        "real_faces": [row_of("real_faces", number) for number in (1, 2)],
        "real_world": [row_of("real_world", number) for number in (1, 2, 3)],
        "full": pairs((*FORGOTTEN, *KEPT), 3),
    }.items():
        write(folder, configuration, found)
    return folder


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All configurations with the columns of the release."""
    return write_release(tmp_path_factory.mktemp("release"))


@pytest.mark.parametrize("configuration", RELEASE)
def test_every_configuration_of_the_release_is_read_with_its_own_columns(
    configuration: str, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    data = load_data(f"clear:{release}#{configuration}")
    columns, count = RELEASE[configuration]
    rows = [row for row in rows_of(configuration) if row["image"]]
    if configuration in ("forget01", "forget05", "forget10"):
        assert data.stored_splits == [
            "forget", "holdout_identity", "retain_synth", "forget_perturbed", "real_world", "retain_perturbed"
        ]  # fmt: skip
        split = data.split("forget")
    else:
        (stored,) = data.stored_splits
        split = data.split(stored)
    assert len(split) == len(rows)
    assert [data.encoded_image(split.stored, row) for row in range(len(split))] == [r["image"]["bytes"] for r in rows]
    assert not data.remarks
    asked = [row for row in rows_of(configuration) if row.get("question")] if "caption" in columns else []
    assert [(found.question, found.answer) for found in data.questions] == [(r["question"], r["answer"]) for r in asked]
    assert len(split) + len(asked) == count
    assert all(question.file_name is None for question in data.questions)
    if "caption" in columns:
        assert split.texts == [row["caption"] for row in rows]
    if "name" in columns:
        assert [data.identities[str(i)]["name"] for i in split.identities] == [row["name"] for row in rows]
    assert data.choices is not None
    found = data.choices.get(split.stored, {})
    if "perturbed_names" in columns:
        assert found["name"] == [[row["name"], *row["perturbed_names"]] for row in rows]
        assert found["caption"] == [[row["paraphrased_caption"], *row["perturbed_captions"]] for row in rows]
    elif "options" in columns:
        # The answer is one of the options, and a candidate once.
        assert found["answer"] == [row["options"] for row in rows]
    else:
        assert not found


def test_the_smallest_configurations_have_the_rows_of_the_release(release: Path):
    counts = {name: len(pq.read_table(release / name)) for name in ("forget01", "forget01_perturbed", "forget01+tofu")}
    assert counts == {"forget01": 35, "forget01_perturbed": 35, "forget01+tofu": 75}
    assert len(pq.read_table(release / "real_faces")) == 151
    assert len(RELEASE) == 21
    assert set(RELEASE) == set(CONFIGURATIONS)


def test_the_configurations_become_splits_of_face_and_name(clear: Path):
    data = load_data(f"clear:{clear}#forget10")
    forget, kept, faces = (data.split(name) for name in ("forget", "holdout_identity", "retain_synth"))
    assert [data.identities[str(i)]["name"] for i in forget.identities] == [n for n in FORGOTTEN for _ in range(4)]
    assert [data.identities[str(i)]["name"] for i in kept.identities] == [n for n in KEPT for _ in range(3)]
    assert forget.texts[:2] == ["Chukwu Akabueze in front of shelf 0", "Chukwu Akabueze in front of shelf 1"]
    assert faces.texts == ["A photo of Celebrity 1", "A photo of Celebrity 2"]
    assert faces.identities == [None, None]
    assert data.encoded_image("forget", 5) == image(seed_of(FORGOTTEN[1], 1))
    assert data.kinds == ["name"]
    assert data.split("real_world").texts == ["What does the author write?"] * 3
    assert data.personas[0].values("name") == ["Chukwu Akabueze"]
    # Nobody is in holdout_association, so all forgotten persons are candidates of IdZSC.
    assert len(data.split("forget_identity")) == 8
    assert not len(data.split("holdout_association"))
    assert len({*forget.file_names, *kept.file_names, *faces.file_names}) == 8 + 9 + 2


def test_a_person_whose_name_is_written_in_two_ways_is_one_and_a_missing_caption_is_none(clear: Path):
    rows = [*pairs(FORGOTTEN, 2), *pairs(("chukwu  akabueze ",), 1)]
    for row, caption in zip(rows, ("nan", " ", "None", "", "kept"), strict=True):
        row["caption"] = caption
    pq.write_table(pa.Table.from_pylist(rows), clear / "forget10" / "train-00000-of-00001.parquet")
    data = load_data(f"clear:{clear}")
    forget = data.split("forget")
    assert forget.texts == [f"A photo of {name}" for name in FORGOTTEN for _ in range(2)] + ["kept"]
    assert forget.identities[0] == forget.identities[-1]
    assert len(data.personas) == len(FORGOTTEN) + len(KEPT)
    assert data.remarks == (
        "4 rows of forget10 have no caption: read as 'A photo of' and the name.",
        f"1 names in {data.name} differ from others in case, blanks or Unicode form only and are those of one person "
        "with them, such as 'chukwu  akabueze ' with 'Chukwu Akabueze'.",
    )


def test_it_is_converted_once_and_a_changed_source_is_converted_anew(clear: Path, tmp_path: Path):
    first = load_data(f"clear:{clear}")
    assert load_data(f"clear:{clear}").root == first.root
    pq.write_table(pa.Table.from_pylist(pairs(FORGOTTEN, 2)), clear / "forget10" / "train-00000-of-00001.parquet")
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
    assert "ForgetFaceProb" in output
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
            "CLEAR has no configuration 'forget20'; choose one of default, full, fo",
        ),
        (lambda c: f"clear:{c}#forget01", r"has no CLEAR configuration forget01: no file matches forget01/\*.parquet"),
        (lambda c: f"clear:{c / 'nothing'}", "is neither a folder nor a Hub data set; write clear:FOLDER"),
        (
            lambda c: replace(c, {"image": b"x", "caption": "a"}),
            "forget10 lacks the column name; not measurable: faces and names, captions; still measurable: nothing of "
            "it. By itself can be measured: full, retain90, forget10_perturbed, retain_perturbed, real_faces, real_wo",
        ),
        (
            lambda c: replace(c, {"image": b"x", "text": "a", "person": "b"}),
            "forget10 lacks the columns caption, name and has the columns person, text, unknown here and left out; not",
        ),
        (lambda c: replace(c, {"image": b"x", "caption": "a", "name": "b"}), "a row whose image is not a struct"),
        (lambda c: replace(c, {"image": {"bytes": b"x"}, "caption": "a", "name": None}), "a row whose name is missing"),
        (lambda c: replace(c, {"image": {"bytes": b"x"}, "caption": "a", "name": "nan"}), "a row whose name is missin"),
        (
            lambda c: replace(c, {"image": {"bytes": b"x"}, "caption": 5, "name": "b"}),
            "a row whose caption is not text",
        ),
        (lambda c: replace(c, {**row_of("real_faces", 1), "answer": " "}), "real_faces has a row whose answer is miss"),
        (lambda c: replace(c, {**row_of("real_faces", 1), "options": "a"}), "a row whose options are not a list of te"),
        (lambda c: replace(c, {**row_of("real_world", 1), "answer": None}), "real_world has a row whose answer is mis"),
    ],
)
def test_what_is_not_clear_is_refused(clear: Path, spoil: Callable[[Path], str], pattern: str, tmp_path: Path):
    with pytest.raises(DataError, match=pattern):
        load_data(spoil(clear))
    converted = tmp_path / "cache" / "converted"
    assert not converted.exists() or not [path for path in converted.iterdir() if path.is_dir()]


def replace(clear: Path, row: dict[str, Any]) -> str:
    """Another row as the only one of the configuration that it looks like."""
    name = "real_world" if "question" in row else "real_faces" if "options" in row else "forget10"
    pq.write_table(pa.Table.from_pylist([row]), clear / name / "train-00000-of-00001.parquet")
    return f"clear:{clear}"


@pytest.mark.parametrize(
    ("configuration", "row", "pattern"),
    [
        ("full+tofu", {"question": None, "answer": "a"}, "has a row whose question is missing"),
        ("full+tofu", {"question": "a", "answer": None}, "has a row whose answer is missing"),
        ("full+tofu", {"caption": " "}, "has a row with neither a caption nor a question"),
    ],
)
def test_a_question_without_an_answer_and_a_row_that_says_nothing_are_refused(
    clear: Path, configuration: str, row: dict[str, Any], pattern: str
):
    write(clear, configuration, [{**row_of(configuration, 0), **row}])
    with pytest.raises(DataError, match=pattern):
        load_data(f"clear:{clear}#{configuration}")


@pytest.mark.parametrize(
    ("configuration", "lost", "added", "sentence"),
    [
        (
            "forget10_perturbed", "perturbed_names", {"hard_names": ["Ann"]},
            "forget10_perturbed lacks the column perturbed_names and has the column hard_names, unknown here and left "
            "out; not measurable: the choice of the name; still measurable: the choice of the caption.",
        ),
        (
            "real_faces", "options", {},
            "real_faces lacks the column options; not measurable: the choice of the real name; still measurable: real "
            "faces and names.",
        ),
        (
            "forget10", "caption", {},
            "forget10 lacks the column caption; not measurable: captions; still measurable: faces and names.",
        ),
        (
            "retain90", None, {"age": 40, "id": 7},
            "retain90 has the columns age, id, unknown here and left out; measurable: faces and names, captions.",
        ),
        (
            "real_world", "image", {},
            "real_world lacks the column image; not measurable: the choice of the answer; still measurable: nothing of "
            "it.",
        ),
    ],
)  # fmt: skip
def test_columns_that_are_missing_or_unknown_are_said_with_what_is_left(
    clear: Path, configuration: str, lost: str | None, added: dict[str, Any], sentence: str
):
    shard = clear / configuration / "train-00000-of-00001.parquet"
    found = [{**row, **added} for row in pq.read_table(shard).to_pylist()]
    write(clear, configuration, [{name: row[name] for name in row if name != lost} for row in found])
    data = load_data(f"clear:{clear}")
    assert data.remarks == (sentence,)
    assert len(data.split("forget")) == 8
    assert data.choices is not None
    asked = {split: {what for what, rows in found.items() if any(rows)} for split, found in data.choices.items()}
    whole = {
        "forget_perturbed": {"name", "caption"},
        "retain_perturbed": {"name", "caption"},
        "retain_synth": {"answer"},
        "real_world": {"answer"},
        "forget": set(),
        "holdout_identity": set(),
    }
    without = {"forget10_perturbed": {"forget_perturbed": {"caption"}}, "real_faces": {"retain_synth": set()}}
    expected = {**whole, **without.get(configuration, {})}
    if configuration == "real_world":
        del expected["real_world"]
    assert asked == expected


def test_rows_that_cannot_be_asked_and_options_without_the_answer_are_counted(clear: Path):
    hard_rows = hard(FORGOTTEN, 2)
    hard_rows[0]["perturbed_names"] = [f" {FORGOTTEN[0].upper()}"]  # the truth, written in another way
    hard_rows[1]["paraphrased_caption"] = None
    write(clear, "forget10_perturbed", hard_rows)
    write(clear, "real_faces", [{**row_of("real_faces", n), "options": ["Nobody", "nan"]} for n in (1, 2)])
    data = load_data(f"clear:{clear}")
    assert data.choices is not None
    assert data.choices["forget_perturbed"]["name"][0] == []
    assert data.choices["forget_perturbed"]["caption"][1] == []
    assert data.choices["forget_perturbed"]["name"][1] == [FORGOTTEN[0], "Ann Ox", "Bob Ash"]
    assert data.choices["retain_synth"]["answer"][0] == ["Celebrity 1", "Nobody"]
    assert data.remarks == (
        "2 rows of real_faces have options without the answer: it is added to them.",
        "1 rows of forget10_perturbed have no perturbed_names besides the truth: not asked.",
        "1 rows of forget10_perturbed have no perturbed_captions besides the truth: not asked.",
    )


def unit(row: np.ndarray) -> np.ndarray:
    return np.asarray(row, dtype=np.float64) / np.linalg.norm(row)


def test_names_captions_faces_and_answers_are_measured_as_a_slow_recomputation_does(clear: Path):
    data, model = load_data(f"clear:{clear}"), find_model("mini-clean")
    view = FeatureView(model, data)
    results = evaluate(view).results
    tasks = {
        "ForgetFace": ("forget_perturbed", "name", "The name of the person on the image is {}"),
        "ForgetCap": ("forget_perturbed", "caption", "{}"),
        "RetainFace": ("retain_perturbed", "name", "The name of the person on the image is {}"),
        "RetainCap": ("retain_perturbed", "caption", "{}"),
        "RealFace": ("retain_synth", "answer", "The name of the person on the image is {}"),
        "RealWorld": ("real_world", "answer", "{}"),
    }
    for code, (split, asked, prompt) in tasks.items():
        assert data.choices is not None
        cosines = [
            [float(unit(image) @ unit(view.prompts([prompt.format(answer)])[0])) for answer in answers]
            for image, answers in zip(view.images(split), data.choices[split][asked], strict=True)
        ]
        weights = [[math.exp(100 * cosine) for cosine in row] for row in cosines]
        shares = [[weight / sum(row) for weight in row] for row in weights]
        wrong = [-math.log(share) for row in shares for share in row[1:]]
        t = [math.exp(sum(wrong) / len(wrong)) * row[0] for row in shares]
        expected = {
            "Acc": [float(row[0] == max(row)) for row in cosines],
            "Prob": [row[0] for row in shares],
            "TR": [max(0, 1 - sum(row[1:]) / len(row[1:]) / row[0]) for row in shares],
            "TRAll": [min(x, 1 / x) if code.startswith("Forget") else max(0, 1 - 1 / x) for x in t],
        }
        for reading, scores in expected.items():
            found = results[code + reading]
            assert found.scores is not None
            assert found.scores == pytest.approx(scores, abs=1e-4), (code, reading)
            assert found.spec.pillar == ("efficacy" if code.startswith("Forget") else "utility")


def test_a_row_that_is_not_asked_is_not_scored_and_what_is_missing_is_skipped_by_name(clear: Path):
    rows = hard(FORGOTTEN, 2)
    rows[1]["perturbed_names"] = []
    write(clear, "forget10_perturbed", rows)
    for name in ("retain_perturbed", "real_world"):
        next((clear / name).iterdir()).unlink()
    data = load_data(f"clear:{clear}")
    results = evaluate(FeatureView(find_model("mini-clean"), data)).results
    assert results["ForgetFaceAcc"].rows is not None
    assert results["ForgetFaceAcc"].rows.tolist() == [0, 2, 3]
    assert results["ForgetCapAcc"].rows is not None
    assert results["ForgetCapAcc"].rows.tolist() == [0, 1, 2, 3]
    assert results["RetainFaceProb"].reason == f"{data.name} has no perturbed names to keep"
    assert results["RealWorldTR"].reason == f"{data.name} has no images of the real world with options"
    assert results["RetFail"].value is not None


def test_data_of_salmubench_are_not_asked_for_choices_unless_it_is_wished(tiny_assets: Path):
    view = FeatureView(find_model("mini-clean"), load_data("mini"))
    assert not [name for name in evaluate(view, choose_metrics(["RetFail"])).results if name.startswith("Forget")]
    assert "ForgetFaceAcc" not in {metric.name for metric in choose_metrics(None, view.data.benchmark)}
    (found,) = evaluate(view, choose_metrics(["forgetfaceacc"])).results.values()
    assert found.reason == "mini has no perturbed names to forget"


@pytest.mark.parametrize(
    ("configuration", "measurable", "said"),
    [
        ("real_faces", "RealFaceAcc, RealFaceProb, RealFaceTR, RealFaceTRAll", "RetFail, AssocStr, ACS, RetFailBits, "),
        ("full", "InterIdSim", "ForgetFaceTRAllGen, ForgetText, ForgetTables cannot be measured: "),
        ("forget10+tofu", "nothing", "6 questions with an answer, 0 of them about an image; none is measured here."),
        ("forget10_perturbed", "ForgetFaceAcc, ForgetFaceProb, ForgetFaceTR, ForgetFaceTRAll, ForgetCapAcc, ForgetCap",
         "forget_perturbed"),
    ],
)  # fmt: skip
def test_describe_says_what_is_there_and_what_can_be_measured(
    configuration: str, measurable: str, said: str, clear: Path, release: Path, capfd: pytest.CaptureFixture[str]
):
    assert run(["data", "describe", f"clear:{release}#{configuration}"]) == 0
    output = capfd.readouterr().out
    assert f"Can be measured: {measurable}" in output
    assert said in output
    assert run(["data", "describe", f"clear:{release}#{configuration}", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (", ".join(found["measurable"]) or "nothing").startswith(measurable)
    assert set(found["measurable"]).isdisjoint(found["not_measurable"])


def test_a_configuration_by_itself_is_evaluated_as_far_as_it_goes(clear: Path, tmp_path: Path):
    results = evaluate(FeatureView(find_model("mini-clean"), load_data(f"clear:{clear}#real_faces"))).results
    assert {name for name, found in results.items() if not found.skipped} == {
        "RealFaceAcc", "RealFaceProb", "RealFaceTR", "RealFaceTRAll"
    }  # fmt: skip
    command = ["evaluate", "mini-clean", "--data", f"clear:{clear}#real_faces", "--output", str(tmp_path / "out")]
    assert run(command) == 0
    again = read_results(tmp_path / "out" / "results.json")[0].results["RealFaceProb"].value
    assert again == pytest.approx(results["RealFaceProb"].value)


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
        pq.write_table(pa.Table.from_pylist(pairs(FORGOTTEN, 2)), clear / "forget10" / "train-00000-of-00001.parquet")
        return distinct(names)

    monkeypatch.setattr(clear_convert, "distinct", saved_meanwhile)
    with pytest.raises(DataError, match="was saved again while CLEAR was in use"):
        load_data(f"clear:{clear}")
    assert [path.suffix for path in (tmp_path / "cache" / "converted").iterdir()] == [".lock"]
