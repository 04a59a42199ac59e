"""`salmu-demo models list`: the built-in models."""

import argparse
from typing import Any

from salmu_demo.cli.output import print_json, print_table, size_text
from salmu_demo.cli.parsing import add_command, add_json
from salmu_demo.models.source import builtin_models, find_models


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "models", "Look at models.", "  salmu-demo models list --json")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = add_command(actions, "list", "The built-in models.", "  salmu-demo models list")
    add_json(action)
    action.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    models: list[dict[str, Any]] = [
        {"name": m.name, "fingerprint": m.fingerprint, "file": str(m.weights), "bytes": m.weights.stat().st_size}
        for m in find_models(builtin_models())
    ]
    if options.json:
        print_json(models)
        return
    print_table(["name", "size", "fingerprint"], [[m["name"], size_text(m["bytes"]), m["fingerprint"]] for m in models])
