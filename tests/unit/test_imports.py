"""What the command line and the library import before they know what is asked for."""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from salmu_demo.core.files import syntax_tree
from tests.fixtures.command_line import all_commands

ROOT = Path(__file__).parents[2]
LARGE = ("torch", "gradio", "sklearn", "scipy", "pandas", "matplotlib", "huggingface_hub")


def test_the_command_line_and_the_face_import_no_large_library_before_they_need_one():
    assert imported("from salmu_demo import *; import salmu_demo._face, salmu_demo.cli.main", LARGE) == "[]"


def test_help_and_lists_need_no_library_that_takes_seconds():
    """But the help of `report`, which is drawn by matplotlib, and that of `fetch`, which has the Hub's client."""
    commands = [name.split() for name, _ in all_commands() if name not in ("report", "fetch")]
    lines = [[*command, "--help"] for command in commands]
    lines += [["unlearn", "list"], ["jobs", "list"], ["models", "list"], ["cache", "list"]]
    what = f"from salmu_demo.cli.main import run; codes = [run(line) for line in {lines!r}]; print(set(codes))"
    assert imported(what, LARGE).splitlines()[-2:] == ["{0}", "[]"]


def test_the_package_itself_imports_next_to_nothing():
    assert imported("import salmu_demo; dir(salmu_demo)", (*LARGE, "numpy", "PIL", "pyarrow", "faiss")) == "[]"


def test_pure_tests_import_neither_torch_nor_gradio():
    assert imported("import tests.conftest, tests.fixtures.tiny, tests.fixtures.results", ("torch", "gradio")) == "[]"


def test_the_rooms_import_as_the_architecture_draws_them():
    # In a process of its own: importing the linter silences every logger there is.
    what = f"lint_imports(config_filename={str(ROOT / 'pyproject.toml')!r}, cache_dir=None, no_logo=True)"
    code = f"import sys; from importlinter.cli import lint_imports; sys.exit({what})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout


def test_no_two_classes_have_one_name():
    """Nor do a class and a private one that differ by an underscore."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "salmu_demo").rglob("*.py")):
        for node in ast.walk(syntax_tree(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert places
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def imported(what: str, names: tuple[str, ...]) -> str:
    """Those of some libraries that a statement imports in a fresh process."""
    code = f"import sys; {what}; print([name for name in {names} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
