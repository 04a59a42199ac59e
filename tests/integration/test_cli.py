"""The command line, run in this process on tiny data and models: what it prints, writes and returns."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from salmu_demo import __version__
from salmu_demo.cli.main import run
from salmu_demo.core.notices import MINI_NOTICE, SCORES_NOTICE
from salmu_demo.data.source import load_data
from salmu_demo.features.store import ArrayStore
from salmu_demo.metrics import all_metrics, official_metrics
from salmu_demo.models.references import find_model
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.command_line import all_commands, read
from tests.fixtures.tiny import CLASSES, MODELS, PERSONAS, TWO_EMAILS


@pytest.fixture(autouse=True)
def _assets(tiny_assets: Path) -> None:
    """The built-in names mean the tiny data and models."""


def printed(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """Standard output of a command that succeeds."""
    assert run(command) == 0
    return capsys.readouterr().out


def parsed(capsys: pytest.CaptureFixture[str], *command: str) -> Any:
    """The one JSON document a command prints."""
    return json.loads(printed(capsys, *command, "--json"))


def table(text: str, first: str) -> list[list[str]]:
    """Lines of the table whose header starts with a word, header included, cut at two spaces or more."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(first))
    end = next((n for n, line in enumerate(lines[start:], start) if not line.strip()), len(lines))
    return [re.split(r"\s{2,}", line.strip()) for line in lines[start:end]]


# evaluate


def test_evaluate_writes_a_file_for_each_model_and_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = printed(capsys, "evaluate", *MODELS, "--output", str(tmp_path / "results"))
    files = {path.name: json.loads(path.read_text("utf-8")) for path in (tmp_path / "results").iterdir()}
    assert set(files) == {"results.json", *(f"evaluation_{name}.json" for name in MODELS)}
    assert out.startswith(MINI_NOTICE)
    header, titles, *rows = table(out, "metric")
    assert header == ["metric", "target", *MODELS]
    assert titles == ["Clean reference", "Compromised reference"]
    assert [row[0] for row in rows] == [f"{spec.number} {spec.name}" for spec in all_metrics()]
    values = {
        (spec.name, name): files[f"evaluation_{name}.json"][spec.pillar][spec.json_key][spec.value_key]
        for spec in official_metrics()
        for name in MODELS
    }
    # The last rows are not official metrics and stand in results.json only.
    for spec, row in zip(official_metrics(), rows[: len(official_metrics())], strict=True):
        reference = "mini-clean" if spec.pillar == "efficacy" else "mini-compromised"
        target = values[spec.name, reference]
        assert row[1] == f"{target:.4f} {spec.reference}"
        for name, cell in zip(MODELS, row[2:], strict=True):
            assert cell == f"{values[spec.name, name]:.4f} ({values[spec.name, name] - target:+.4f})"
    assert all(str(tmp_path / "results" / name) in out for name in files)


def test_evaluate_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ["evaluate", "mini-clean", "mini-compromised", "--metrics", "fragsim,RetFail", "--output", str(tmp_path)]
    document = parsed(capsys, *command)
    assert document["data"] == "mini"
    assert [Path(path).name for path in document["files"]] == [
        "results.json", "evaluation_mini-clean.json", "evaluation_mini-compromised.json"
    ]  # fmt: skip
    assert [row["metric"] for row in document["rows"]] == ["RetFail", "FragSim"]
    retrieval, fragile = document["rows"]
    assert retrieval["target"] == retrieval["values"]["mini-clean"]
    assert fragile["target"] == fragile["values"]["mini-compromised"]
    written = json.loads((tmp_path / "evaluation_mini-clean.json").read_text("utf-8"))
    assert written["utility"] == {"2.5_FragSim": {"mean": fragile["values"]["mini-clean"]}}


def test_evaluate_without_references_has_no_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ["evaluate", MODELS[2], "--metrics", "AssocStr", "--output", str(tmp_path)]
    _, row = table(printed(capsys, *command), "metric")
    assert row[1] == "-"
    assert re.fullmatch(r"-?0\.\d{4}", row[2])


def test_evaluating_again_writes_the_same_numbers_over_the_old_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "evaluation_mini-clean.json"
    path.write_text("an older result")
    documents = []
    for _ in range(2):
        printed(capsys, "evaluate", "mini-clean", "mini-clean", "--metrics", "AssocStr,ACS", "--output", str(tmp_path))
        documents.append(json.loads(path.read_text("utf-8")))
    assert documents[0]["efficacy"] == documents[1]["efficacy"]
    assert {p.name for p in tmp_path.iterdir()} == {path.name, "results.json"}


def test_data_without_a_zero_shot_set_shows_genknow_as_skipped(
    tiny_assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data"))
    for path in [*(data / "data").glob("genknow-*"), data / "genknow_classes.json", data / "README.md"]:
        path.unlink()
    command = ["evaluate", "mini-clean", "--data", str(data), "--metrics", "GenKnow", "--output", str(tmp_path / "out")]
    out = printed(capsys, *command)
    assert table(out, "metric")[2] == ["2.1 GenKnow", "-", "skipped"]
    assert MINI_NOTICE not in out
    result = json.loads((tmp_path / "out" / "evaluation_mini-clean.json").read_text("utf-8"))
    assert result["utility"] == {"2.1_GenKnow": {"ImageNet1k_Accuracy": -1.0}}


# probe


def test_probe_of_a_persona_agrees_with_the_library(capsys: pytest.CaptureFixture[str]):
    document = parsed(capsys, "probe", "mini-compromised", "mini-clean", "--persona", TWO_EMAILS, "-k", "4")
    bench = Workbench()
    models = [find_model("mini-compromised"), find_model("mini-clean")]
    cells = bench.audit(TWO_EMAILS, models)
    assert [(entry["kind"], entry["model"]) for entry in document["audit"]] == [(c.kind, c.model.name) for c in cells]
    for entry, cell in zip(document["audit"], cells, strict=True):
        assert (entry["verdict"], entry["reason"], entry["side"]) == (cell.verdict, cell.headline.reason, cell.side)
        reading = cell.headline.reading
        assert entry["true_values"] == list(reading.true_values)
        headline = entry["findings"][0]
        assert (headline["rank"], headline["candidates"]) == (reading.place.rank, reading.place.candidates)
        assert headline["exposure_bits"] == pytest.approx(reading.place.exposure)
        assert headline["best"][0]["value"] == reading.values[0]
        assert headline["references"]["clean"]["rank"] == cell.headline.references["clean"].place.rank
        assert headline["images"] == [{"split": shown.split, "row": shown.row} for shown in reading.shown]
        assert {skipped["variant"] for skipped in entry["skipped"]} == {"unseen images", "unseen wordings"}
    retrievals = bench.retrieve_for_persona(TWO_EMAILS, models, "all", 4)
    for entry, retrieval in zip(document["retrieval"], retrievals, strict=True):
        assert (entry["model"], entry["own_rank"]) == (retrieval.model.name, retrieval.own_rank)
        assert [r["text"] for r in entry["results"]] == [r.item.text for r in retrieval.results]
        assert [r["hit"] for r in entry["results"]] == [r.hit for r in retrieval.results]
        assert [r["rank"] for r in entry["results"]] == [1, 2, 3, 4]
    assert document["notice"] == SCORES_NOTICE
    assert document["data"]["notice"] == MINI_NOTICE
    assert [m["fingerprint"] for m in document["models"]] == [m.fingerprint for m in models]


def test_probe_of_a_persona_prints_every_kind_and_marks_its_own_captions(capsys: pytest.CaptureFixture[str]):
    out = printed(capsys, "probe", "mini-clean", "--persona", TWO_EMAILS, "--gallery", "forget", "-k", "40")
    header, *rows = table(out, "attribute")
    assert header[:3] == ["attribute", "model", "verdict"]
    titles = ["City", "Job", "Blood type", "Phone number", "E-mail", "IBAN", "Credit card", "Passport"]
    assert [row[0] for row in rows[:8]] == titles
    assert ", ".join(sorted(PERSONAS[TWO_EMAILS]["emails"])) in out
    results = [line for line in out.splitlines() if re.match(r"[* ]\s*\d+\s+-?0\.", line)]
    assert len(results) == 40
    name = PERSONAS[TWO_EMAILS]["name"]
    assert [line.startswith("*") for line in results] == [name in line for line in results]
    assert out.rstrip().endswith(SCORES_NOTICE)


def test_a_probe_of_a_large_gallery_says_what_its_search_misses(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SALMU_EXACT_ITEMS", "20")
    out = printed(capsys, "probe", "mini-clean", "--persona", TWO_EMAILS)
    assert re.search(r"The search is approximate: by measurement it finds (9[5-9]|100)\.\d% of the ten best\.", out)
    (entry,) = parsed(capsys, "probe", "mini-clean", "--persona", TWO_EMAILS)["retrieval"]
    monkeypatch.delenv("SALMU_EXACT_ITEMS")
    (exact,) = parsed(capsys, "probe", "mini-clean", "--persona", TWO_EMAILS)["retrieval"]
    assert entry["recall"] >= 0.95
    assert exact["recall"] is None
    assert entry["own_rank"] == exact["own_rank"]


@pytest.mark.parametrize("value", ["sun.meiling@work.example", "886 912-345", "孫 美玲"])
def test_probe_finds_a_persona_by_any_value(capsys: pytest.CaptureFixture[str], value: str):
    document = parsed(capsys, "probe", "mini-clean", "--persona", value, "--kind", "city")
    assert document["persona"] == {"identity_id": TWO_EMAILS, "name": PERSONAS[TWO_EMAILS]["name"]}


@pytest.mark.parametrize("kind", ["email", "emails", "phone", "city"])
def test_probe_takes_a_kind_in_any_official_spelling(capsys: pytest.CaptureFixture[str], kind: str):
    document = parsed(capsys, "probe", "mini-clean", "--persona", TWO_EMAILS, "--kind", kind)
    assert [entry["kind"] for entry in document["audit"]] == [
        {"emails": "email", "phone": "phone_number"}.get(kind, kind)
    ]


def test_everybody_is_surveyed_with_the_false_alarms_of_clean(capsys: pytest.CaptureFixture[str]):
    document = parsed(capsys, "probe", "mini-clean", "mini-compromised", "--everybody")
    clean, compromised = document["surveys"]
    assert [survey["model"] for survey in document["surveys"]] == ["mini-clean", "mini-compromised"]
    assert len(clean["facts"]) == 8 * len(PERSONAS)
    assert {fact["side"] for fact in clean["facts"]} == {"forget", "kept"}
    assert clean["false_alarms"]["untaught"]["people"] == len(PERSONAS)
    assert compromised["false_alarms"] == {"never_taught": None, "untaught": None}
    # Six values are too few to tell anything.
    assert {key: clean["people"][key] for key in ("forget", "leaking", "keep", "losing")} == {
        "forget": 5, "leaking": 0, "keep": 1, "losing": 0
    }  # fmt: skip
    assert len(compromised["people"]["cells"]) == 8 * len(PERSONAS)
    assert {cell["as_asked"] for cell in compromised["people"]["cells"]} == {None}
    out = printed(capsys, "probe", "mini-clean", "mini-compromised", "--everybody", "--name", "mini-clean=Never saw")
    assert "False alarms of Never saw, everybody, none taught: 0 of 6 people (expected at most 0.3)" in out
    assert "mini-compromised leaks on 0 of 5 people who asked to be forgotten; a model that never saw anyone: 0." in out


def test_probe_of_a_kind_carries_out_every_attack(capsys: pytest.CaptureFixture[str]):
    out = printed(capsys, "probe", "mini-clean", "--persona", TWO_EMAILS, "--kind", "city")
    for title in ("Named line-up", "Face to name", "Text only, bare", "Two steps", "Image to image", "Caption match"):
        assert title in out
    assert "Nameless line-up, unseen images, skipped: mini has no images of the personas" in out
    assert "cannot tell" not in out.split("Further attacks")[0] or "no evidence" in out


def test_probe_of_a_text_returns_faces(capsys: pytest.CaptureFixture[str]):
    command = ["probe", "mini-compromised", "mini-clean", "--text", "lives in 台北", "--gallery", "holdouts", "-k", "3"]
    document = parsed(capsys, *command)
    assert document["audit"] == []
    compromised, clean = document["retrieval"]
    assert compromised["own_rank"] is None
    assert len(compromised["results"]) == 3
    data = load_data("mini")
    for result in compromised["results"]:
        split = data.split(result["split"])
        assert result["split"] in ("holdout_association", "holdout_identity")
        assert split.identities[split.file_names.index(result["file_name"])] == result["identity_id"]
        assert result["hit"] is False
    assert all(abs(result["change_to_clean"]) < 1e-6 for result in clean["results"])
    out = printed(capsys, *command)
    assert "mini-compromised: best of" in out
    assert "3 results" not in out


def test_probe_of_an_image_returns_captions_and_stores_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = load_data("mini")
    image = tmp_path / "my face.png"
    data.image("forget", 5).save(image)
    printed(capsys, "probe", "mini-clean", "--image", str(image))
    before = [path for path in ArrayStore().root.rglob("*") if path.is_file()]
    document = parsed(capsys, "probe", "mini-clean", "--image", str(image), "-k", "2")
    assert [path for path in ArrayStore().root.rglob("*") if path.is_file()] == before
    bench = Workbench()
    (retrieval,) = bench.retrieve_for_image(data.image("forget", 5), [find_model("mini-clean")], "all", 2)
    assert [r["text"] for r in document["retrieval"][0]["results"]] == [r.item.text for r in retrieval.results]


# data


def test_describe_counts_what_the_files_hold(tiny_assets: Path, capsys: pytest.CaptureFixture[str]):
    document = parsed(capsys, "data", "describe", "mini", "--check-images")
    folder = tiny_assets / "salmu-mini"
    rows: dict[str, int] = {}
    for path in (folder / "data").glob("*.parquet"):
        name = path.name.split("-")[0]
        rows[name] = rows.get(name, 0) + pq.read_metadata(path).num_rows
    assert document["splits"] == rows
    # 2 forget-only personas of 16 rows and 3 more of 8; 10 plain rows of these 5; 24 of nobody, 6 of them fragile.
    assert document["derived"] == {
        "retain_joint": 10, "retain_disjoint": 24, "fragile_set": 6, "forget_identity": 32, "forget_association": 24
    }  # fmt: skip
    assert document["personas"] == len(PERSONAS)
    assert document["kinds"] == dict.fromkeys(
        ["city", "job", "blood_type", "phone_number", "email", "iban", "credit_card", "passport"], 12
    )
    assert document["fingerprint"] == load_data("mini").fingerprint
    assert document["zero_shot"] == f"mini genknow ({len(CLASSES)} classes)"
    assert document["problems"] == []
    assert [sentence.split(" ")[0] for sentence in document["weak"]] == ["The"] * len(document["kinds"]) + [
        "IdZSC", "RetFail"
    ]  # fmt: skip
    assert document["bytes"] == sum(p.stat().st_size for p in folder.rglob("*") if p.suffix in (".parquet", ".json"))


def test_describe_prints_text(capsys: pytest.CaptureFixture[str]):
    out = printed(capsys, "data", "describe", "mini")
    assert out.startswith(MINI_NOTICE)
    assert ["forget", "stored", "56"] in table(out, "split")
    assert ["fragile_set", "derived", "6"] in table(out, "split")
    assert ["city", "12"] in table(out, "attribute kind")
    assert "\nWeak: The line-up of city has 5 values" in out
    assert out.rstrip().endswith("No problems.")


@pytest.fixture
def odd_data(tiny_assets: Path, tmp_path: Path) -> Path:
    """A copy of the data with one of each oddity that makes nothing unusable."""
    folder = Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "odd"))

    def rewrite(name: str, change: Any) -> None:
        content = json.loads((folder / name).read_text("utf-8"))
        change(content)
        (folder / name).write_text(json.dumps(content), "utf-8")

    (path,) = (folder / "data").glob("holdout_identity-*")
    rows = pq.read_table(path).to_pylist()
    rows[0]["identity_id"] = "00000001"
    rows[1]["file_name"] = rows[2]["file_name"]
    rows[4]["image"] = {"bytes": b"no image", "path": "x"}
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(path)), path)
    names = [row["file_name"] for row in rows]

    def kinds(content: dict[str, Any]) -> None:
        content[names[5]]["data_field"] = "shoe_size"
        del content[names[6]]

    rewrite("sensitive_set_captions_metadata.json", kinds)
    rewrite("sensitive_set_generic_captions.json", lambda content: content.pop(names[7]))
    rewrite("identities_metadata.json", lambda content: content.pop("00000006"))
    rewrite("fragile_set_ids.json", lambda content: content.clear())
    pq.write_table(pa.table({"a": [1]}), folder / "data" / "forget_target-00000-of-00001.parquet")
    return folder


def test_describe_finds_what_is_odd(odd_data: Path, capsys: pytest.CaptureFixture[str]):
    document = parsed(capsys, "data", "describe", str(odd_data), "--check-pictures")
    problems = document["problems"]
    patterns = [
        r"^The split forget_target is left out: .*lacks the column image",
        r"^1 file names occur in more than one sensitive row, for example 00000006_",
        r"^1 sensitive images have no attribute kind, for example 00000006_",
        r"^Attribute kinds outside the official eight: shoe_size\.$",
        r"^1 sensitive images have no generic caption\.$",
        r"^1 personas have no metadata with a name, for example 00000006\.$",
        r"^1 personas are in both forget and holdout_identity, which must be disjoint\.$",
        r"^Empty derived splits, whose metrics cannot be measured: fragile_set\.$",
        r"^Row 4 of holdout_identity in .* is not an image that can be read",
    ]
    for pattern in patterns:
        assert len([problem for problem in problems if re.search(pattern, problem)]) == 1, pattern
    assert len(problems) == len(patterns)
    assert document["kinds"]["shoe_size"] == 1
    assert document["kinds"]["unknown"] == 1
    assert document["personas"] == 5
    out = printed(capsys, "data", "describe", str(odd_data))
    assert out.count("\nProblem: ") == len(patterns) - 1  # without the images
    assert "No problems" not in out


def test_odd_data_is_still_usable(odd_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = [
        "evaluate",
        "mini-clean",
        "--data",
        str(odd_data),
        "--metrics",
        "RetFail,ACS,CoreAssoc,IntraIdSim,VisIdInt",
    ]
    printed(capsys, *command, "--output", str(tmp_path / "out"))
    printed(capsys, "probe", "mini-clean", "--persona", "00000003", "--data", str(odd_data), "--gallery", "forget")


# models


def test_models_list(tiny_assets: Path, capsys: pytest.CaptureFixture[str]):
    document = parsed(capsys, "models", "list")
    assert [entry["name"] for entry in document] == list(MODELS)
    for entry in document:
        assert Path(entry["file"]) == tiny_assets / "models" / entry["name"] / "open_clip_model.safetensors"
        assert entry["bytes"] == Path(entry["file"]).stat().st_size
        assert entry["fingerprint"] == find_model(entry["name"]).fingerprint
    assert len({entry["fingerprint"] for entry in document}) == len(MODELS)
    rows = table(printed(capsys, "models", "list"), "name")
    assert [row[0] for row in rows[1:]] == list(MODELS)


def test_without_models_the_list_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SALMU_ASSETS_DIR", str(tmp_path))
    assert parsed(capsys, "models", "list") == []


# cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_cache_is_warmed_listed_and_cleared(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert parsed(capsys, "cache", "list") == {"folder": str(cache), "entries": []}
    printed(capsys, "cache", "warm", "mini-clean", "mini-compromised")
    document = parsed(capsys, "cache", "list")
    prints = {find_model(name).fingerprint[:32]: name for name in MODELS[:2]}
    pixels = load_data("mini").fingerprint[:32]
    entries = {(entry["kind"], entry["key"]): entry for entry in document["entries"]}
    assert set(entries) == {*(("features", key) for key in prints), ("pixels", pixels)}
    assert {entry["of"] for entry in document["entries"]} == {"mini-clean", "mini-compromised", None}
    # Images and captions of four splits and one table of sentences; pixels of four splits.
    assert [entries[key]["files"] for key in entries] == [9, 9, 4]

    with monkeypatch.context() as patch:
        patch.setattr(EncoderRegistry, "lend", lambda self, source: pytest.fail("a model was loaded"))
        printed(capsys, "probe", "mini-clean", "mini-compromised", "--persona", TWO_EMAILS)
        printed(capsys, "cache", "warm", "mini-clean")

    out = printed(capsys, "cache", "list")
    assert out.startswith(f"{cache}: ")
    assert {row[0] for row in table(out, "kind")[1:]} == {"features", "pixels"}

    freed = entries["pixels", pixels]["bytes"]
    assert printed(capsys, "cache", "clear", pixels[:10]) == f"Freed {freed / 1e6:.1f} MB.\n"
    assert {entry["kind"] for entry in parsed(capsys, "cache", "list")["entries"]} == {"features"}
    assert printed(capsys, "cache", "clear").startswith("Freed ")
    assert parsed(capsys, "cache", "list")["entries"] == []
    assert not list(cache.rglob("*.npy"))


def test_cache_warm_takes_all_built_in_models_by_default(cache: Path, capsys: pytest.CaptureFixture[str]):
    printed(capsys, "cache", "warm")
    assert {entry["of"] for entry in parsed(capsys, "cache", "list")["entries"]} == {*MODELS, None}


def test_progress_goes_to_standard_error_only(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["evaluate", "mini-clean", "--metrics", "AssocStr", "--output", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    json.loads(out)
    assert "mini-clean: images of forget: 56 of 56" in err.splitlines()
    assert "mini-clean: all metrics: 1 of 1" in err.splitlines()


# help and version


@pytest.mark.parametrize("command", [name.split() for name, _ in all_commands()], ids=" ".join)
def test_help_shows_examples_that_parse(command: list[str], capsys: pytest.CaptureFixture[str]):
    assert run([*command, "--help"]) == 0
    examples = re.findall(r"^  salmu-demo (.+)$", capsys.readouterr().out.partition("examples:")[2], re.MULTILINE)
    assert examples
    for example in examples:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', example)]
        assert words[: len(command)] == command
        read(words)


def test_the_commands_are_those_of_the_documentation():
    assert [name for name, _ in all_commands()] == [
        "app", "fetch", "evaluate", "attack", "jobs", "jobs run", "jobs list", "jobs show", "jobs resume",
        "jobs cancel", "report", "leaderboard", "probe", "dossier", "verify", "unlearn", "requests", "sweep", "data",
        "data describe", "data import", "models", "models list", "models show", "models delta", "models export",
        "models push", "cache", "cache list", "cache warm", "cache clear", "mini", "mini build", "mini hash",
        "mini train", "mini shadows", "mini ship",
    ]  # fmt: skip


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "salmu_demo", "--version"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"salmu-demo {__version__}\n", "")


def test_a_reader_who_has_seen_enough_is_no_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    class Gone:
        def write(self, _: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None: ...

        def isatty(self) -> bool:
            return False

        def fileno(self) -> int:
            raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Gone())
        assert run(["models", "list"]) == 0
    assert capsys.readouterr().err == ""


COMMANDS = (
    ["--help"],
    ["evaluate", "--help"],
    ["models", "list"],
    ["models", "list", "--json"],
    ["models", "show", "mini-clean"],
    ["data", "describe", "mini"],
    ["unlearn", "list"],
    ["leaderboard"],
    ["jobs", "list"],
    ["cache", "list"],
    ["probe", "mini-clean", "--text", "lives in Malmö"],
    ["evaluate", "mini-clean", "--metrics", "RetFail", "--output", "out"],
)
"""Of each kind one that is quick and prints."""


@pytest.mark.parametrize("unbuffered", [False, True], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_output_that_is_full_is_told_in_one_sentence(
    tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, command: list[str], unbuffered: bool
):
    monkeypatch.chdir(tmp_path)
    with open(os.open("/dev/full", os.O_WRONLY), "w", encoding="utf-8") as full:
        full.reconfigure(write_through=unbuffered)
        monkeypatch.setattr(sys, "stdout", full)
        assert run(command) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last == "salmu-demo: The output cannot be written: No space left on device; send it somewhere else."


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_messages_that_nobody_can_be_told_stop_no_work(
    tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, command: list[str]
):
    monkeypatch.chdir(tmp_path)
    full = open(os.open("/dev/full", os.O_WRONLY), "w", encoding="utf-8", buffering=1)  # noqa: SIM115 - cannot be closed
    monkeypatch.setattr(sys, "stderr", full)
    assert run(command) == 0
    assert run(["models", "show", "no-such-model"]) == 2
    with suppress(OSError):
        full.close()
    assert capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_terminal_that_lacks_characters_is_shown_escapes(
    tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, command: list[str]
):
    monkeypatch.chdir(tmp_path)
    with open(tmp_path / "shown", "w", encoding="ascii") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        assert run(command) == 0
    shown = (tmp_path / "shown").read_text("ascii")
    assert ("encoding ascii lacks are escaped" in capsys.readouterr().err) == (r"\x" in shown or r"\u" in shown)
    if "--json" in command:
        json.loads(shown)


def test_a_value_that_a_terminal_lacks_is_told(tiny_assets: Path, capsys, monkeypatch: pytest.MonkeyPatch, tmp_path):
    command = ["probe", "mini-clean", "--persona", "00000005"]
    assert run(command) == 0
    whole = capsys.readouterr().out
    assert not whole.isascii()
    with open(tmp_path / "shown", "w", encoding="ascii") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        assert run(command) == 0
    assert (tmp_path / "shown").read_text("ascii") == whole.encode("ascii", "backslashreplace").decode("ascii")
    assert capsys.readouterr().err.endswith(
        "Note: Characters that the output's encoding ascii lacks are escaped; set PYTHONUTF8=1.\n"
    )


def test_an_output_that_is_a_file_is_refused_before_any_work(tiny_assets, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(Workbench, "evaluate", lambda *_: pytest.fail("worked first"))
    assert run(["evaluate", "mini-clean", "--output", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("salmu-demo: The result file cannot be written")
    assert (tmp_path / "file").read_text() == "mine"
