"""What the command line imports before it knows which command is asked for."""

import subprocess
import sys

LARGE = ("torch", "gradio", "sklearn", "scipy", "pandas", "matplotlib", "huggingface_hub")


def test_the_command_line_imports_no_large_library_before_it_needs_one():
    code = f"import sys, salmu_demo.cli.main; print([name for name in {LARGE} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
