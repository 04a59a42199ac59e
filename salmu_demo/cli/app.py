"""`salmu-demo app`: start the app."""

import argparse
import os
from typing import Any

from salmu_demo.cli.parsing import add_command


def add_parser(commands: Any) -> None:
    """Add the command."""
    examples = "  salmu-demo app --port 8000\n  salmu-demo app --data official"
    parser = add_command(commands, "app", "Start the app in a local browser.", examples)
    parser.add_argument("--port", type=int, help="port to listen on (default: PORT, or the first free one from 7860)")
    parser.add_argument(
        "--data", metavar="DATA", help="mini, official, a folder, or a Hub data set id (default: SALMU_DATA, or mini)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if options.port is not None:
        os.environ["PORT"] = str(options.port)
    # gradio takes seconds to import, and no other command needs it.
    from salmu_demo.ui.app import main  # noqa: PLC0415

    main(options.data)
