"""The examples and the README's Python run as they stand, on tiny data and models."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.tiny import TWO_EMAILS

pytestmark = pytest.mark.usefixtures("tiny_assets")
ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
TESTED = {"evaluate_in_training_loop", "audit_persona"}


def example(name: str) -> Any:
    """The `main` of an example."""
    return runpy.run_path(str(ROOT / "examples" / f"{name}.py"))["main"]


def test_every_example_is_tested_and_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == TESTED
    assert all(f"(examples/{name}.py)" in readme for name in TESTED)


def test_a_training_loop_measures_its_network_after_every_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    results = example("evaluate_in_training_loop")(["--epochs", "2", "--pairs", "16", "--sample", "20"])
    frame = results.to_frame()
    similarity = frame[frame["metric"] == "AssocStr"].set_index("model")["value"]
    assert list(similarity.index[:2]) == ["mini-clean", "mini-compromised"]
    # Before the first epoch it is Compromised, and each epoch makes another model of it.
    assert similarity.iloc[2] == similarity["mini-compromised"]
    assert similarity.iloc[2:].nunique() == 3
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["epoch 1", "epoch 2"]
    assert not list(tmp_path.iterdir())


def test_a_persona_is_audited(capsys: pytest.CaptureFixture[str]) -> None:
    audit = example("audit_persona")(["mini-clean", "mini-compromised", "--persona", TWO_EMAILS])
    frame = audit.to_frame()
    leaks = int((frame["verdict"] == "leaks").sum())
    assert f"{leaks} of {len(frame)} attributes leak." in capsys.readouterr().out


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS) == 1
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[0], "README.md", "exec"), names)
    assert list(names["frame"].columns) == re.findall(r"# (.*)", BLOCKS[0])[0].split(", ")
    assert {path.suffix for path in (tmp_path / "report").iterdir()} == {".html", ".pdf"}
    assert len(names["audit"])
    assert len(names["found"])
    assert "RetFail" in capsys.readouterr().out
