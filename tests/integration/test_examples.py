"""The examples and the Python in the documentation run as they stand, on tiny data and models."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import nbformat
import pytest
from nbclient import NotebookClient

import salmu_demo
from tests.fixtures.tiny import TWO_EMAILS

pytestmark = pytest.mark.usefixtures("encoded", "plain_figures")
ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
TESTED: Final = {
    "audit_persona.py",
    "compare_models.ipynb",
    "evaluate_in_training_loop.py",
    "method_plugin.py",
    "metric_plugin.py",
}
TINY: Final = {
    "00000024": TWO_EMAILS,
    "mini-unlearned-pinpoint": "mini-unlearned-finetune",
    "sample=400": "sample=20",
    "budget=640": "budget=64",
}
"""What pages say of SALMU-Mini, and its counterpart in the tiny data."""


def python_of(page: Path) -> str:
    """The Python on a page; examples that it includes are marked up in another way."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE))


GUIDE: Final = {page.stem: code for page in sorted((ROOT / "docs/guide").glob("*.md")) if (code := python_of(page))}


def example(name: str) -> Any:
    """The `main` of an example."""
    return runpy.run_path(str(EXAMPLES / name))["main"]


def test_every_example_is_tested_and_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == TESTED
    assert all(f"(examples/{name})" in readme for name in TESTED)


def test_a_training_loop_measures_its_network_after_every_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    results = example("evaluate_in_training_loop.py")(["--epochs", "2", "--pairs", "16", "--sample", "20"])
    frame = results.to_frame()
    similarity = frame[frame["metric"] == "AssocStr"].set_index("model")["value"]
    assert list(similarity.index[:2]) == ["mini-clean", "mini-compromised"]
    # Before the first epoch it is Compromised, and each epoch makes another model of it.
    assert similarity.iloc[2] == similarity["mini-compromised"]
    assert similarity.iloc[2:].nunique() == 3
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["epoch 1", "epoch 2"]
    assert not list(tmp_path.iterdir())


def test_a_persona_is_audited(capsys: pytest.CaptureFixture[str]) -> None:
    audit = example("audit_persona.py")(["mini-clean", "mini-compromised", "--persona", TWO_EMAILS])
    frame = audit.to_frame()
    leaks = int((frame["verdict"] == "leaks").sum())
    assert f"{leaks} of {len(frame)} attributes leak." in capsys.readouterr().out


def script(name: str, folder: Path, *arguments: str) -> str:
    """What an example prints in a process of its own: what a plug-in registers stays registered."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_metric_from_outside_is_measured(tmp_path: Path) -> None:
    printed = script("metric_plugin.py", tmp_path, "mini-clean", "mini-compromised")
    assert re.search(r"^\+ NameSim +\d\.\d{4} clean", printed, re.MULTILINE)


def test_a_method_from_outside_makes_a_model(tmp_path: Path) -> None:
    printed = script("method_plugin.py", tmp_path, "made", "--budget", "64", "--cap", "0.1")
    assert "mini-compromised" in printed
    card = (tmp_path / "made" / "README.md").read_text("utf-8")
    assert "**Capped similarity**" in card
    assert "cap=0.1" in card


def test_the_notebook_runs_and_is_kept_without_outputs(tmp_path: Path) -> None:
    notebook = nbformat.read(EXAMPLES / "compare_models.ipynb", nbformat.NO_CONVERT)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    # What its process would need torch for, beside what is encoded.
    salmu_demo.evaluate(["mini-clean", "mini-compromised", "mini-unlearned-finetune"], "mini", ["RetFail"], sample=20)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = {cell.id: cell.outputs for cell in code}
    assert "RetFail" in outputs["evaluate"][-1].text
    assert "mini-unlearned-finetune" in outputs["diagnose"][0].data["text/plain"]
    assert all("image/png" in outputs[figure][-1].data for figure in ("intervals", "exposure"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("page", GUIDE)
def test_the_python_of_the_guide_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = GUIDE[page]
    for ours, tiny in TINY.items():
        code = code.replace(ours, tiny)
    exec(compile(code, f"{page}.md", "exec"), {})


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = python_of(ROOT / "README.md")
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert list(names["frame"].columns) == re.findall(r"# (.*)", code)[0].split(", ")
    assert {path.suffix for path in (tmp_path / "report").iterdir()} == {".html", ".pdf"}
    assert len(names["audit"])
    assert len(names["found"])
    assert "RetFail" in capsys.readouterr().out
