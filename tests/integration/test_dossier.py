"""A dossier from the command line to its check: numbers, hashes, what is missing, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import salmu_demo
from salmu_demo.cli.main import run
from salmu_demo.dossiers.document import read_dossier, sealed, write_dossier
from salmu_demo.dossiers.schema import DossierDocument
from salmu_demo.models.lineage import RECORD_FILE, base_of
from salmu_demo.models.references import find_model
from salmu_demo.workbench.dossiers import LEFT_OUT, NOT_INVENTED, verify
from tests.fixtures.tiny import FORGET_ONLY, MODELS, TWO_EMAILS
from tests.results_schema.__main__ import DOSSIER

pytestmark = pytest.mark.usefixtures("tiny_assets")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_assets: Path) -> Path:
    """The folder of a dossier."""
    folder = tmp_path_factory.mktemp("dossier")
    assert run(["dossier", TWO_EMAILS, *MODELS, "--auditor", "E. Vacek", "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Callable[[Callable[[Any], None]], Path]:
    """A function that changes a dossier, makes its digest again and returns its file."""

    def changed(change: Callable[[Any], None]) -> Path:
        content = json.loads((made / "dossier.json").read_text("utf-8"))
        change(content)
        return write_dossier(sealed(DossierDocument.model_validate(content)), tmp_path / "changed")

    return changed


def states(path: Path, *models: str, data: str | None = None) -> dict[str, str]:
    """State of each check, by what is checked."""
    return {check.what: check.state for check in verify(path, models, data)}


def test_the_json_fits_its_schema_and_every_cell_has_a_verdict(made: Path):
    content = json.loads((made / "dossier.json").read_text("utf-8"))
    jsonschema.validate(content, json.loads(DOSSIER.schema.read_text("utf-8")))
    assert {path.name for path in made.iterdir()} == {"dossier.json", "dossier.html", "dossier.pdf"}
    assert {(cell["kind"], cell["model"]) for cell in content["cells"] if cell["decides"]} >= {
        (kind, model) for kind in ("city", "email") for model in MODELS
    }
    assert all({"rank", "of", "p", "verdict"} <= cell.keys() for cell in content["cells"])
    assert all(cell["verdict"] for cell in content["cells"] if cell["test"] != "caption-match")
    assert content["declared"]["auditor"] == "E. Vacek"


def test_what_was_not_changed_agrees(made: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["verify", str(made), "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {check["state"] for check in checks} == {"agrees"}
    assert [check["what"] for check in checks][:2] == ["the digest of the file", "the data mini"]
    assert checks[-1]["what"].endswith(" values")


def test_a_changed_number_is_found_even_with_a_new_digest(
    copy: Callable[[Callable[[Any], None]], Path], capsys: pytest.CaptureFixture[str]
):
    def change(content: Any) -> None:
        content["cells"][0]["rank"] += 1

    assert run(["verify", str(copy(change))]) == 2
    output = capsys.readouterr()
    assert "cells[0].rank is " in output.out
    assert "1 of 8 checks differ from what is found here" in output.err


@pytest.mark.parametrize(
    ("where", "check"),
    [(("models", 0, "fingerprint"), "the model mini-clean"), (("pictures", "used", 0, "sha256"), "images")],
)
def test_a_changed_hash_is_found(where: tuple[Any, ...], check: str, copy: Callable[[Callable[[Any], None]], Path]):
    def change(content: Any) -> None:
        *path, last = where
        for key in path:
            content = content[key]
        content[last] = "0" * 64

    found = states(copy(change))
    assert [what for what, state in found.items() if state == "differs" and what.endswith(check)]
    assert [state for what, state in found.items() if what.endswith("values")] == ["not checked"]


def test_a_digest_that_was_not_made_again_differs(made: Path, tmp_path: Path):
    text = (made / "dossier.json").read_text("utf-8").replace("E. Vacek", "E. Other")
    (tmp_path / "dossier.json").write_text(text, "utf-8")
    found = states(tmp_path)
    assert [what for what, state in found.items() if state != "agrees"] == ["the digest of the file"]


def test_other_code_is_told_and_does_not_count(
    copy: Callable[[Callable[[Any], None]], Path], capsys: pytest.CaptureFixture[str]
):
    assert run(["verify", str(copy(lambda content: content["made"].update(code="0" * 64)))]) == 0
    assert "another version" in capsys.readouterr().out


def test_what_is_elsewhere_is_given_and_recognised(
    tmp_path: Path, tiny_assets: Path, capsys: pytest.CaptureFixture[str]
):
    models, data = tmp_path / "models", tmp_path / "data"
    shutil.copytree(tiny_assets / "models" / "mini-clean", models / "mine")
    shutil.copytree(tiny_assets / "salmu-mini", data)
    line = ["dossier", FORGET_ONLY[0], f"local-dir:{models / 'mine'}", "--data", str(data), "--output", str(tmp_path)]
    assert run([*line, "--name", "mine=Ours"]) == 0
    models.rename(tmp_path / "moved")
    data.rename(tmp_path / "elsewhere")
    capsys.readouterr()
    assert run(["verify", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "could not be checked: the data " in error
    assert "the model Ours" in error
    given = ("--model", f"local-dir:{tmp_path / 'moved' / 'mine'}", "--data", str(tmp_path / "elsewhere"))
    assert run(["verify", str(tmp_path), *given]) == 0


def test_nothing_is_fetched_because_a_dossier_names_it(copy: Callable[[Callable[[Any], None]], Path]):
    def change(content: Any) -> None:
        content["data"]["name"] = "org/name"
        content["models"][0]["reference"] = "hf-hub:org/name"

    found = states(copy(change))
    assert (found["the data org/name"], found["the model mini-clean"]) == ("not checked", "not checked")


def test_the_library_makes_the_same_dossier(made: Path, tmp_path: Path):
    found = salmu_demo.dossier("mei@home.example", MODELS, "mini", auditor="E. Vacek")
    own = read_dossier(made)
    assert found.document.model_copy(update={"made": own.made, "digest": own.digest}) == own
    frame = found.to_frame()
    assert len(frame) == len(own.cells)
    assert set(found.answers) == set(MODELS)
    found.save(tmp_path)
    assert (tmp_path / "dossier.html").read_text("utf-8").count("data:image/png") == len(own.pictures.used)


def test_images_are_shown_of_invented_people_only(
    tmp_path: Path, tiny_assets: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["dossier", TWO_EMAILS, "mini-clean", "--no-images", "--output", str(tmp_path / "without")]) == 0
    assert read_dossier(tmp_path / "without").pictures.reason == LEFT_OUT
    assert "data:image" not in (tmp_path / "without" / "dossier.html").read_text("utf-8")
    data = shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data")
    (data / "README.md").unlink()
    assert run(["dossier", TWO_EMAILS, "mini-clean", "--data", str(data), "--output", str(tmp_path / "real")]) == 0
    assert read_dossier(tmp_path / "real").pictures.reason == NOT_INVENTED


def test_without_clean_a_note_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["dossier", TWO_EMAILS, "mini-compromised", "--output", str(tmp_path)]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "No model here is Clean" in line]
    assert len(notes) == 1
    assert "No model here is Clean" in (tmp_path / "dossier.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("dossier 99 mini-clean --output out", "There is no persona '99' in mini; ids look like 00000001."),
        ("dossier 00000003 mini-clean --notes certificate --output out", 'The notes says "certificate"'),
        ("dossier 00000003 mini-clean --attacks absent.json --output out", "absent.json cannot be read: No such file"),
        ("verify absent.json", "The dossier absent.json cannot be read: No such file"),
        ("verify other.json", "other.json is not a dossier: it is not JSON"),
    ],
)
def test_bad_input_gets_one_sentence(
    line: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("other.json").write_text("no", "utf-8")
    assert run(line.split()) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("record", "known"),
    [
        ({"base": {"name": "mini-compromised", "fingerprint": "a" * 64}, "plan": {}}, True),
        ({"base": {"name": "mini-compromised", "fingerprint": "short"}}, False),
        ([], False),
        (None, False),
    ],
)
def test_a_record_says_what_a_model_was_unlearned_from(record: Any, known: bool, tmp_path: Path, tiny_assets: Path):
    folder = shutil.copytree(tiny_assets / "models" / "mini-clean", tmp_path / "m")
    if record is not None:
        (folder / RECORD_FILE).write_text(json.dumps(record), "utf-8")
    base = base_of(find_model(f"local-dir:{folder}"))
    assert (base is not None and base.name == "mini-compromised") is known
