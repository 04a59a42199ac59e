"""`salmu-demo cache`: what has been computed and kept."""

import argparse
from datetime import datetime
from typing import Any

from salmu_demo.cli.output import TerminalProgress, print_json, print_table, size_text
from salmu_demo.cli.parsing import add_command, add_data, add_json, add_models, chosen_models
from salmu_demo.features.store import ArrayStore
from salmu_demo.models.source import builtin_models, find_models
from salmu_demo.workbench.bench import Workbench

_EXAMPLES = """\
  salmu-demo cache list
  salmu-demo cache warm mini-clean mini-compromised
  salmu-demo cache clear 1f0c
The folder is SALMU_CACHE_DIR, or salmu-demo in the user's cache folder."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "cache", "List, fill or clear the computed features.", _EXAMPLES)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = add_command(actions, "list", "What is kept, and how large it is.", "  salmu-demo cache list --json")
    add_json(listing)
    listing.set_defaults(run=_list)
    warm = add_command(
        actions, "warm", "Compute all that probes need, so that they answer at once.", "  salmu-demo cache warm"
    )
    add_models(warm, count="*")
    add_data(warm)
    warm.set_defaults(run=_warm)
    clear = add_command(actions, "clear", "Remove what is kept; it can be computed again.", "  salmu-demo cache clear")
    clear.add_argument("key", nargs="?", help="only entries whose key starts so (default: all)")
    clear.set_defaults(run=_clear)


def _list(options: argparse.Namespace) -> None:
    store = ArrayStore()
    names = {m.fingerprint[:32]: m.name for m in find_models(builtin_models())}
    entries = [{**vars(entry), "of": names.get(entry.key)} for entry in store.entries()]
    if options.json:
        print_json({"folder": str(store.root), "entries": entries})
        return
    print(f"{store.root}: {size_text(sum(entry['bytes'] for entry in entries))}")
    rows = [
        [e["kind"], e["key"], e["of"] or "", e["files"], size_text(e["bytes"]),
         datetime.fromtimestamp(e["last_used"]).strftime("%Y-%m-%d %H:%M")]
        for e in entries
    ]  # fmt: skip
    print_table(["kind", "key", "of", "files", "size", "last used"], rows)


def _warm(options: argparse.Namespace) -> None:
    bench = Workbench(options.data)
    progress = TerminalProgress()
    bench.warm(chosen_models(bench, options, options.models or builtin_models()), progress)
    progress.close()


def _clear(options: argparse.Namespace) -> None:
    print(f"Freed {size_text(ArrayStore().clear(options.key))}.")
