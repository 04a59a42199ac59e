"""`salmu-demo fetch`: download data and models from the Hub, for use without a network afterwards."""

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from salmu_demo.cli.output import TerminalProgress, print_json, print_table, size_text
from salmu_demo.cli.parsing import add_command, add_json
from salmu_demo.core.errors import DataError, ModelError, SalmuError
from salmu_demo.data.source import CLEAR
from salmu_demo.hub.reference import HF_HUB, OFFICIAL, OFFICIAL_MODELS, data_on_hub, model_on_hub

if TYPE_CHECKING:
    from salmu_demo.hub.fetch import FetchPlan

_ASK_FROM_BYTES: Final = 1_000_000_000

_EXAMPLES = f"""\
  salmu-demo fetch official --dry-run
  salmu-demo fetch official --model official-clean --model official-compromised
  salmu-demo fetch official --splits forget,retain_synth
  salmu-demo fetch clear:therem/CLEAR#forget10
  salmu-demo fetch --model hf-hub:ORG/NAME@REVISION
Everything goes to huggingface_hub's cache (HF_HOME moves it) and is found there from then on, also with
HF_HUB_OFFLINE=1. A download that was stopped goes on where it stopped. On a terminal you are asked before more than
{size_text(_ASK_FROM_BYTES)} are downloaded; a script is not."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "fetch", "Download data and models, checked and pinned to a commit.", _EXAMPLES)
    parser.add_argument(
        "data", metavar="DATA", nargs="?",
        help=f"{OFFICIAL}, a Hub data set id, or {CLEAR}ID#CONFIGURATION (default: {OFFICIAL}, without --model)",
    )  # fmt: skip
    parser.add_argument("--revision", help="branch, tag or commit of the data set")
    parser.add_argument("--splits", metavar="NAMES", help="comma-separated; only these splits and all metadata")
    parser.add_argument(
        "--model", metavar="MODEL", action="append", default=[],
        help=f"{', '.join(OFFICIAL_MODELS)} or {HF_HUB}ORG/NAME[@REVISION]; may be repeated",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say what would be downloaded, and stop")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    # The Hub's client takes a quarter of a second to import, which no other command should pay for.
    from salmu_demo.hub.fetch import check_space, fetch  # noqa: PLC0415

    plans = _plans(options)
    free = check_space(plans)
    missing = sum(plan.missing_bytes for plan in plans)
    if not options.json:
        rows = [
            [p.target.label, p.commit[:12], len(p.files), size_text(p.bytes), size_text(p.missing_bytes)] for p in plans
        ]
        print_table(["what", "commit", "files", "size", "to download"], rows)
        print(f"{size_text(missing)} to download, {size_text(free)} free.", flush=True)
    folders: list[str | None] = [None] * len(plans)
    if not options.dry_run:
        _ask(missing, options.yes)
        progress = TerminalProgress()
        folders = [str(fetch(plan, progress)) for plan in plans]
        progress.close()
    if options.json:
        print_json([_plan_json(plan, folder) for plan, folder in zip(plans, folders, strict=True)])
        return
    for plan, folder in zip(plans, folders, strict=True):
        if folder is not None:
            print(f"{plan.target.label} is here, whole and checked: {folder}")


def _plans(options: argparse.Namespace) -> "list[FetchPlan]":
    from salmu_demo.models.fetch import plan_model  # noqa: PLC0415 - imports the Hub's client

    plans = []
    if options.data is not None or not options.model:
        plans.append(_data_plan(options.data or OFFICIAL, options.revision, options.splits))
    elif options.revision or options.splits:
        raise DataError(f"--revision and --splits go with a data set; a model's revision is {HF_HUB}ORG/NAME@REVISION.")
    for reference in options.model:
        target = model_on_hub(reference)
        if target is None:
            raise ModelError(f"{reference} is not on the Hub; write {', '.join(OFFICIAL_MODELS)} or {HF_HUB}ORG/NAME.")
        plans.append(plan_model(target))
    return plans


def _data_plan(reference: str, revision: str | None, splits: str | None) -> "FetchPlan":
    # These import the Hub's client.
    from salmu_demo.data.clear import plan_clear  # noqa: PLC0415
    from salmu_demo.data.hub_data import plan_data  # noqa: PLC0415

    if reference.startswith(CLEAR):
        if revision or splits:
            raise DataError(f"{reference} names its revision (ID@REVISION) and configuration (#forget10) itself.")
        return plan_clear(reference.removeprefix(CLEAR))
    target = data_on_hub(reference)
    if target is None:
        raise DataError(f"{reference} is not on the Hub; write {OFFICIAL} or a Hub data set id like ORG/NAME.")
    if revision:
        target = replace(target, revision=revision, label=f"{target.repository}@{revision}")
    return plan_data(target, [name.strip() for name in splits.split(",")] if splits else None)


def _ask(missing: int, agreed: bool) -> None:
    """Ask before a large download, if somebody is there to answer."""
    if agreed or missing <= _ASK_FROM_BYTES or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    print(f"Download {size_text(missing)}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SalmuError("Nothing was downloaded.")


def _plan_json(plan: "FetchPlan", folder: str | None) -> dict[str, Any]:
    return {
        "reference": plan.target.label,
        "kind": plan.target.kind,
        "repository": plan.target.repository,
        "commit": plan.commit,
        "bytes": plan.bytes,
        "missing_bytes": plan.missing_bytes,
        "files": [file.path for file in plan.files],
        "folder": folder,
    }
