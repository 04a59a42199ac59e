"""`salmu-demo data describe`: what a data set holds."""

import argparse
from typing import Any

from salmu_demo.cli.output import plain, print_json, print_table, size_text
from salmu_demo.cli.parsing import add_command, add_json
from salmu_demo.data.describe import describe
from salmu_demo.data.source import load_data
from salmu_demo.notices import MINI_NOTICE


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "data", "Look at a data set.", "  salmu-demo data describe mini --json")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = add_command(
        actions,
        "describe",
        "Splits, derived splits, personas, kinds, sizes and problems.",
        "  salmu-demo data describe mini\n  salmu-demo data describe my-folder --check-pictures",
    )
    action.add_argument("data", metavar="DATA", help="mini, official, a folder, or a Hub data set id")
    action.add_argument("--check-pictures", action="store_true", help="decode every picture (takes long)")
    add_json(action)
    action.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    data = load_data(options.data)
    description = describe(data, options.check_pictures)
    if options.json:
        print_json(description.as_dict())
        return
    if data.is_mini:
        print(f"{MINI_NOTICE}\n")
    print(f"{description.name}: {description.personas} personas, {size_text(description.bytes)}")
    print(f"fingerprint {description.fingerprint}, revision {description.revision or 'none'}")
    print(f"GenKnow is measured on: {description.zero_shot or 'nothing (give an ImageNet folder)'}\n")
    rows = [[name, "stored", rows] for name, rows in description.splits.items()]
    rows += [[name, "derived", rows] for name, rows in description.derived.items()]
    print_table(["split", "", "rows"], rows)
    print()
    print_table(["attribute kind", "sensitive rows"], list(description.kinds.items()))
    print("\n" + ("\n".join(f"Problem: {plain(p)}" for p in description.problems) or "No problems."))
