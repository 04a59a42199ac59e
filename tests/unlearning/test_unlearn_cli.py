"""`salmu-demo unlearn` and `salmu-demo sweep`, as a user types them."""

import json
from pathlib import Path

import pytest

from salmu_demo.cli.main import run
from salmu_demo.models.references import find_model
from salmu_demo.unlearning.methods import Form, all_methods

pytestmark = pytest.mark.usefixtures("tiny_assets")


def test_the_list_tells_every_method_with_its_hyperparameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["unlearn", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    known = [(spec.name, form) for form in Form for spec in all_methods(form)]
    assert [(method["name"], method["form"]) for method in listed] == known
    npo = next(method for method in listed if method["name"] == "npo")
    assert npo["modalities"] == []
    assert npo["needs"] == ["forget pairs", "frozen original", "retain pairs"]
    assert npo["hyperparameters"]["beta"].keys() == {"default", "words", "low", "high"}
    assert run(["unlearn", "list"]) == 0
    printed = capsys.readouterr().out
    assert "arXiv 2404.05868" in printed
    assert "budget 1920; modality both, text, visual" in printed


def test_a_method_makes_a_model_from_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["--model", "mini-compromised", "--budget", "16", "--set", "batch_size=8", "--towers", "text"]
    arguments += ["--oracle-stop", "-1"]
    assert run(["unlearn", "npo", *arguments, "--set", "beta=0.3", "--output", str(tmp_path / "made")]) == 0
    printed = capsys.readouterr().out
    assert "NPO: 2 steps, the budget is spent." in printed
    assert find_model(f"local-dir:{tmp_path / 'made'}").name == "made"
    card = (tmp_path / "made" / "README.md").read_text("utf-8")
    again = card[card.index("`salmu-demo unlearn") + 1 :].partition("`")[0].split()[1:]
    assert again[-4:] == ["--oracle-stop", "-1.0", "--output", "DIR"]
    # The command on the card makes the same model.
    assert run([*again[:-1], str(tmp_path / "again"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ended"] == "the budget is spent"
    first, second = (find_model(f"local-dir:{tmp_path / name}").fingerprint for name in ("made", "again"))
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["magic", "--model", "mini-clean", "--output", "x"], "There is no unlearning method 'magic'"),
        (["npo", "--output", "x"], "Unlearning needs --model"),
        (["npo", "--model", "mini-clean"], "Unlearning needs --output"),
        (["npo", "--model", "mini-clean", "--output", "x", "--set", "beta"], "--set beta is not a setting"),
        (["npo", "--model", "mini-clean", "--output", "x", "--set", "gamma=1"], "npo has no hyperparameter 'gamma'"),
        (["npo", "--model", "mini-clean", "--output", "x", "--set", "beta=-1"], "beta of npo is -1.0; it must be"),
        (["npo", "--model", "mini-clean", "--output", "x", "--towers", "left"], "There are no towers 'left'"),
        (["npo", "--model", "mini-clean", "--output", "x", "--budget", "1"], "less than one batch"),
        (["npo", "--model", "mini-clean", "--output", "x", "--oracle-stop", "7"], "must be a cosine"),
        (["ssd", "--model", "mini-clean", "--output", "x", "--stop-at-unrelated"], "ssd edits the model once"),
        (["npo", "--model", "no-such", "--output", "x"], "There is no model 'no-such'"),
    ],
)
def test_wrong_arguments_get_one_sentence(
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["unlearn", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_sweep_that_cannot_be_read_gets_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["sweep", str(tmp_path / "none.toml"), "--output", str(tmp_path / "out")]) == 2
    assert "none.toml cannot be read" in capsys.readouterr().err
    (tmp_path / "empty.toml").write_text("seeds = [0]", "utf-8")
    assert run(["sweep", str(tmp_path / "empty.toml"), "--output", str(tmp_path / "out")]) == 2
    assert "has no runs" in capsys.readouterr().err
    assert run(["sweep", str(tmp_path / "empty.toml"), "--output", str(tmp_path / "out"), "--workers", "0"]) == 2
    assert "--workers is 0" in capsys.readouterr().err
