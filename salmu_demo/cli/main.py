"""`salmu-demo COMMAND …`: exit code 0 when done, 2 for bad input with one sentence, 1 for a fault of ours."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress

from salmu_demo import __version__
from salmu_demo.core.ending import end_on_signals


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    # Together they take half a second to import, in which the program may be stopped.
    from salmu_demo.cli import (  # noqa: PLC0415
        app,
        cache,
        data,
        evaluate,
        fetch,
        jobs,
        leaderboard,
        mini,
        models,
        probe,
        report,
        sweep,
        unlearn,
    )

    parser = argparse.ArgumentParser(
        prog="salmu-demo",
        description="Audit what CLIP models know about fictitious personas, before and after unlearning.",
    )
    parser.add_argument("--version", action="version", version=f"salmu-demo {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (
        app, fetch, evaluate, jobs, report, leaderboard, probe, unlearn, sweep, data, models, cache, mini,
    ):  # fmt: skip
        command.add_parser(commands)
    return parser


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    from salmu_demo.cli.output import plain, terminal  # noqa: PLC0415 - as above
    from salmu_demo.core.errors import SalmuError  # noqa: PLC0415
    from salmu_demo.core.runtime import quiet_libraries, use_one_blas_thread  # noqa: PLC0415

    quiet_libraries()
    try:
        with terminal():
            options = build_parser().parse_args(arguments)
            use_one_blas_thread()
            options.run(options)
    except SalmuError as error:
        with suppress(OSError):  # Standard error may be as unusable as standard output.
            print(f"salmu-demo: {plain(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output, for example `head`, has seen enough.
        return 0
    return 0


def main() -> None:
    """Entry point of the command `salmu-demo`."""
    end_on_signals()
    sys.exit(run())
