"""The search for garbage in a process of its own."""

import subprocess
import sys

import pytest

CYCLE = """
from salmu_demo.core.garbage import search_seldom

class Cycle:
    def __init__(self):
        self.itself = self
    def __del__(self):
        print("taken apart")

kept = Cycle()
"""


@pytest.mark.parametrize(("call", "said"), [("", "taken apart\n"), ("search_seldom()", "")])
def test_what_is_there_at_the_end_is_left_to_the_system(call: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", CYCLE + call], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
