"""`salmu-demo COMMAND ...`: exit code 0 when done, 2 for bad input with one sentence, 1 for a fault of ours."""

import sys
from collections.abc import Sequence

from salmu_demo.core.ending import end_on_signals
from salmu_demo.core.garbage import search_seldom


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, that of the process if none is given, and return its exit code."""
    # A tenth of a second to import, in which the program may be stopped.
    from salmu_demo.cli import root  # noqa: PLC0415

    return root.run(sys.argv[1:] if arguments is None else arguments)


def main() -> None:
    """Entry point of the command `salmu-demo`."""
    end_on_signals()
    search_seldom()
    sys.exit(run())
