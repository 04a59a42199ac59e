"""`salmu-demo app`: start the app."""

import argparse
import os
from typing import Any

from salmu_demo.cli.parsing import add_command


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "app", "Start the app in a local browser.", "  salmu-demo app --port 8000")
    parser.add_argument("--port", type=int, help="port to listen on (default: PORT, or the first free one from 7860)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if options.port is not None:
        os.environ["PORT"] = str(options.port)
    # gradio takes seconds to import, and no other command needs it.
    from salmu_demo.ui.app import main  # noqa: PLC0415

    main()
