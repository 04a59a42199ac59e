"""The documentation builds without a warning, needs nothing from outside, and names only what exists."""

import os
import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

import salmu_demo
from salmu_demo.reports.glossary import GLOSSARY

ROOT: Final = Path(__file__).parents[2]
LOADS: Final = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "object": ("data",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "use": ("href",),
}
"""Attributes by tag that make a browser load something."""

NAMES_NO_FILE: Final = {"canonical", "prev", "next"}
"""Kinds of `link` that a browser does not load."""

GLOSSARY_PAGE: Final = ROOT / "docs" / "glossary.md"
PAGES: Final = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS: Final = {"attacked/", "metrics/", "model/", "report/", "results/"}
"""Folders that a page names and that are a user's own."""

ROOMS: Final = [path.name for path in (ROOT / "salmu_demo").iterdir() if path.is_dir()]
TREE: Final = {
    str(path.relative_to(ROOT))
    for top in ("assets", "benchmarks", "docs", "examples", "salmu_demo", "scripts", "tests")
    for path in [ROOT / top, *(ROOT / top).rglob("*")]
}
NAMES_OF_TESTS: Final = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in [path.stem, *re.findall(r"\btest_\w+", path.read_text("utf-8"))]
}


class _Page(HTMLParser):
    """What a page loads, and the ids it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        if values.get("rel") not in NAMES_NO_FILE:
            self.loaded += [values[name] for name in LOADS.get(tag, ()) if name in values]
        self.loaded += re.findall(r"url\(['\"]?([^)'\"]+)", values.get("style", ""))


def from_outside(address: str) -> bool:
    """Whether an address leads to another host."""
    return re.match(r"(?i)\s*([a-z][a-z0-9+.-]*:)?//", address) is not None


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built strictly: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_outside(site: Path) -> None:
    pages = {path: _Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > 20
    assert [address for page in pages.values() for address in page.loaded if from_outside(address)] == []
    assert all(any(address.endswith(".css") for address in page.loaded) for page in pages.values())
    styles = [path.read_text("utf-8") for path in site.rglob("*.css")]
    loaded = [address for style in styles for address in re.findall(r"(?:url\(|@import )['\"]?([^)'\"]+)", style)]
    assert [address for address in loaded if from_outside(address)] == []


def test_what_leads_outside_is_seen() -> None:
    page = _Page('<script src="//cdn.example/a.js"></script><link rel="stylesheet" href="https://fonts.example/b">')
    assert [from_outside(address) for address in page.loaded] == [True, True]
    assert not from_outside("../assets/main.css")


def test_the_reference_describes_every_name_of_the_library(site: Path) -> None:
    page = _Page((site / "api" / "library" / "index.html").read_text("utf-8"))
    described = {name.removeprefix("salmu_demo.") for name in page.ids if name.startswith("salmu_demo.")}
    assert set(salmu_demo.__all__) - described == {"__version__"}


def exists(name: str) -> bool:
    """Whether a file or folder of the repository is called so, or ends so."""
    return any(f"/{path}".endswith(f"/{name.rstrip('/')}") for path in TREE)


def defines(module: str, name: str) -> bool:
    """Whether a module of the package, named from its room on, has a function, class or constant."""
    file = ROOT / "salmu_demo" / f"{module.replace('.', '/')}.py"
    return file.is_file() and bool(re.search(rf"^(?:def |class )?{name}\b", file.read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_a_page_names_exists(path: Path) -> None:
    text = path.read_text("utf-8")
    files = re.findall(r"`([\w/]+\.py|[\w/]+/)`", text)
    objects = re.findall(rf"`((?:{'|'.join(ROOMS)})(?:\.\w+)+)\.(\w+)`", text)
    tests = set(re.findall(r"\btest_\w+", text))
    assert [name for name in files if not exists(name) and name not in OTHERS] == []
    assert [each for each in objects if not defines(*each)] == []
    assert sorted(tests - NAMES_OF_TESTS) == []


def test_docstrings_hold_no_roles_which_pages_would_show_as_they_are() -> None:
    role = re.compile(r":(?:func|class|meth|attr|data|mod|exc):`")
    assert [path for path in (ROOT / "salmu_demo").rglob("*.py") if role.search(path.read_text("utf-8"))] == []


def test_the_architecture_is_drawn_as_the_import_rules_have_it() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [rule] = [each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    drawing = (ROOT / "ARCHITECTURE.md").read_text("utf-8").split("```")[1].strip("\n")
    # Rooms stand in the left part of a line, and what they are for behind them, after more blanks.
    rows = [set(re.findall(r"(?<!\S)[a-z_]+", line[:52])) for line in drawing.splitlines()]
    assert rows == [set(layer.split(" | ")) for layer in rule["layers"] if layer != "__main__"]


def test_the_page_of_words_says_what_the_app_says():
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", GLOSSARY_PAGE.read_text("utf-8"), re.MULTILINE)
    assert dict(rows[1:]) == GLOSSARY
