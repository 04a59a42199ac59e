"""What the command line and the library import before they know what is asked for."""

import subprocess
import sys

import pytest

LARGE = ("torch", "gradio", "sklearn", "scipy", "pandas", "matplotlib", "huggingface_hub")


@pytest.mark.parametrize("what", ["import salmu_demo.cli.main", "from salmu_demo import *", "import salmu_demo._face"])
def test_the_command_line_and_the_face_import_no_large_library_before_they_need_one(what: str):
    assert imported(what, LARGE) == "[]"


def test_the_package_itself_imports_next_to_nothing():
    assert imported("import salmu_demo; dir(salmu_demo)", (*LARGE, "numpy", "PIL", "pyarrow", "faiss")) == "[]"


def imported(what: str, names: tuple[str, ...]) -> str:
    """Those of some libraries that a statement imports in a fresh process."""
    code = f"import sys; {what}; print([name for name in {names} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
