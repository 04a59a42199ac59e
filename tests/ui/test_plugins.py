"""Metrics and methods from outside: an installed package and files, in the command line, the library and the app."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import OpenPage

pytestmark = pytest.mark.usefixtures("encoded")
ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "tests" / "fixtures" / "plugin_package"
METRIC_FILE, METHOD_FILE = (ROOT / "examples" / f"{kind}_plugin.py" for kind in ("metric", "method"))
LIBRARY: Final = """
import salmu_demo
print(salmu_demo.evaluate("mini-clean", "mini", ["alwayshalf"]).to_frame().to_json(orient="records"))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the package as pip installs it, with its metadata."""
    folder = tmp_path_factory.mktemp("site-packages")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, "--target", str(folder), str(PACKAGE)], check=True
    )
    return folder


def environment(*folders: Path) -> dict[str, str]:
    """That of a process of its own, where these folders hold installed packages: what registers stays registered."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *folders])), "SALMU_PLUGINS": ""}


def told(line: list[str], variables: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """How `python …` ends."""
    command = [sys.executable, *line]
    return subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False)


def answer(line: list[str], variables: Mapping[str, str], folder: Path) -> str:
    """What `salmu-demo …` prints."""
    done = told(["-m", "salmu_demo", *line], variables, folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_is_there_without_a_plug_in(tmp_path: Path) -> None:
    methods = answer(["unlearn", "list"], environment(), tmp_path)
    assert "soft-finetune" not in methods
    assert "capped" not in methods
    line = ["-m", "salmu_demo", "evaluate", "mini-clean", "--metrics", "NameSim", "--output", "results"]
    done = told(line, environment(), tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("salmu-demo: There is no metric called 'NameSim'")


def test_an_installed_package_adds_a_metric_and_a_method(installed: Path, tmp_path: Path) -> None:
    variables = environment(installed)
    assert "soft-finetune: Soft finetuning" in answer(["unlearn", "list"], variables, tmp_path)
    assert "AlwaysHalf" in re.sub(r"\s", "", answer(["evaluate", "--help"], variables, tmp_path))
    line = ["evaluate", "mini-clean", "--metrics", "AlwaysHalf", "--output", "results", "--json"]
    [measured] = json.loads(answer(line, variables, tmp_path))["rows"]
    assert measured == {"metric": "AlwaysHalf", "target": None, "values": {"mini-clean": 0.5}}
    # The official file holds the official metrics alone.
    official = json.loads((tmp_path / "results" / "evaluation_mini-clean.json").read_text("utf-8"))
    assert "AlwaysHalf" not in json.dumps({part: official[part] for part in ("efficacy", "utility")})
    [row] = json.loads(told(["-c", LIBRARY], variables, tmp_path).stdout)
    assert (row["metric"], row["value"], row["low"], row["high"]) == ("AlwaysHalf", 0.5, 0.5, 0.5)


def test_files_add_a_metric_and_a_method(tmp_path: Path) -> None:
    methods = answer(["unlearn", "list", "--plugin", str(METHOD_FILE)], environment(), tmp_path)
    assert "capped: Capped similarity" in methods
    line = ["evaluate", "mini-clean", "mini-compromised", "--metrics", "namesim", "--output", "results"]
    printed = answer([f"--plugin={METRIC_FILE}", *line], environment(), tmp_path)
    assert re.search(r"^\+ NameSim +\d\.\d{4} clean", printed, re.MULTILINE)
    # Files may also be named in the environment. Without the plug-in its metric is left out.
    named = {**environment(), "SALMU_PLUGINS": os.pathsep.join(map(str, [METHOD_FILE, METRIC_FILE]))}
    assert "NameSim" in answer(["leaderboard", "results"], named, tmp_path)
    done = told(["-m", "salmu_demo", "leaderboard", "results"], environment(), tmp_path)
    assert "NameSim" not in done.stdout
    assert done.stderr.count("\n") == 1
    assert 'are unknown here and left out: "NameSim"; load the plug-ins' in done.stderr


def test_a_plug_in_that_cannot_be_loaded_is_told_in_one_sentence(tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.py"
    faulty.write_text("import missing_package\n", "utf-8")
    for file, sentence in (
        (tmp_path / "nowhere.py", "is not a file"),
        (faulty, "cannot be loaded: ModuleNotFoundError: No module named 'missing_package'."),
    ):
        done = told(["-m", "salmu_demo", "unlearn", "list", "--plugin", str(file)], environment(), tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"salmu-demo: The plug-in {file} ")
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.fixture
def app_url(installed: Path, tmp_path: Path) -> Iterator[str]:
    """Address of an app with the installed package and a file."""
    command = [sys.executable, "-u", "-m", "salmu_demo", "app", "--plugin", str(METHOD_FILE)]
    variables = {**environment(installed), "SALMU_RUNS_DIR": str(tmp_path / "runs")}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        yield app.stdout.readline().split()[4]
        app.terminate()


def test_the_app_offers_what_plug_ins_register(open_page: OpenPage) -> None:
    page: Page = open_page("tab=benchmark")
    page.get_by_text("Metrics (all, unless you choose)").click()
    expect(page.get_by_label("A constant (AlwaysHalf)")).to_be_checked()
    page.get_by_role("tab", name="Unlearn").click()
    for title, control in (("Soft finetuning", "Softness"), ("Capped similarity", "Cap")):
        page.locator("#unlearn-method input").click()
        page.get_by_role("option", name=re.compile(f"^{title} · ")).click()
        expect(page.locator("#unlearn-card b")).to_have_text(title)
        expect(page.get_by_label(control, exact=True)).to_be_visible()
