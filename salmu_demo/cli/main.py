"""`salmu-demo COMMAND …`: exit code 0 when done, 2 for bad input with one sentence, 1 for a fault of ours."""

import argparse
import sys
from collections.abc import Sequence

from salmu_demo import __version__
from salmu_demo.cli import (
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
from salmu_demo.cli.output import plain
from salmu_demo.errors import SalmuError
from salmu_demo.runtime import quiet_libraries, use_one_blas_thread

_COMMANDS = (app, fetch, evaluate, jobs, report, leaderboard, probe, unlearn, sweep, data, models, cache, mini)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="salmu-demo",
        description="Audit what CLIP models know about fictitious personas, before and after unlearning.",
    )
    parser.add_argument("--version", action="version", version=f"salmu-demo {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    quiet_libraries()
    options = build_parser().parse_args(arguments)
    use_one_blas_thread()
    try:
        options.run(options)
    except SalmuError as error:
        print(f"salmu-demo: {plain(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("salmu-demo: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output, for example `head`, has seen enough.
        sys.stderr.close()
        return 0
    return 0


def main() -> None:
    """Entry point of the command `salmu-demo`."""
    sys.exit(run())
