"""`salmu-demo fetch`: download data and models from the Hub, for use without a network afterwards."""

import sys
from typing import Annotated, Any, Final

from salmu_demo.cli.options import Commands, Json, argument, flag, option
from salmu_demo.cli.output import TerminalProgress, print_json, print_table
from salmu_demo.core.errors import DataError, ModelError, SalmuError
from salmu_demo.core.text import size_text
from salmu_demo.data.layout import CLEAR
from salmu_demo.data.source import plan_fetch_of
from salmu_demo.hub.fetch import FetchPlan, check_space, fetch
from salmu_demo.hub.reference import HF_HUB, OFFICIAL, OFFICIAL_DATASETS, OFFICIAL_MODELS, model_on_hub
from salmu_demo.models.hub import plan_model

_ASK_FROM_BYTES: Final = 1_000_000_000

commands = Commands()


@commands.add(f"""\
  salmu-demo fetch official --dry-run
  salmu-demo fetch official --model official-clean --model official-compromised
  salmu-demo fetch official --splits forget,retain_synth
  salmu-demo fetch clear:therem/CLEAR#forget10
  salmu-demo fetch --model hf-hub:ORG/NAME@REVISION
Everything goes to huggingface_hub's cache (HF_HOME moves it) and is found there from then on, also with
HF_HUB_OFFLINE=1. A download that was stopped goes on where it stopped. On a terminal you are asked before more than
{size_text(_ASK_FROM_BYTES)} are downloaded; a script is not.""")
def _run(
    data: Annotated[
        str | None,
        argument(
            "[DATA]",
            f"{', '.join(OFFICIAL_DATASETS)}, a Hub data set id, or {CLEAR}ID#CONFIGURATION (default: {OFFICIAL}, "
            "without --model)",
        ),
    ] = None,
    revision: Annotated[str | None, option("--revision", "branch, tag or commit of the data set")] = None,
    splits: Annotated[
        str | None, option("--splits", "comma-separated; only these splits and all metadata", "NAMES")
    ] = None,
    model: Annotated[
        list[str] | None,
        option("--model", f"{', '.join(OFFICIAL_MODELS)} or {HF_HUB}ORG/NAME[@REVISION]; may be given several times"),
    ] = None,
    dry_run: Annotated[bool, flag("--dry-run", "say what would be downloaded, and stop")] = False,
    yes: Annotated[bool, flag("--yes", "do not ask")] = False,
    json: Json = False,
) -> None:
    plans = _plans(data, revision, splits, model or [])
    free = check_space(plans)
    missing = sum(plan.missing_bytes for plan in plans)
    if not json:
        rows = [
            [p.target.label, p.commit[:12], len(p.files), size_text(p.bytes), size_text(p.missing_bytes)] for p in plans
        ]
        print_table(["what", "commit", "files", "size", "to download"], rows)
        print(f"{size_text(missing)} to download, {size_text(free)} free.", flush=True)
    folders: list[str | None] = [None] * len(plans)
    if not dry_run:
        _ask(missing, yes)
        with TerminalProgress() as progress:
            folders = [str(fetch(plan, progress)) for plan in plans]
    if json:
        print_json([_plan_json(plan, folder) for plan, folder in zip(plans, folders, strict=True)])
        return
    for plan, folder in zip(plans, folders, strict=True):
        if folder is not None:
            print(f"{plan.target.label} is here, whole and checked: {folder}")


def _plans(data: str | None, revision: str | None, splits: str | None, models: list[str]) -> list[FetchPlan]:
    plans = []
    if data is not None or not models:
        names = [name.strip() for name in splits.split(",")] if splits else None
        plans.append(plan_fetch_of(data or OFFICIAL, revision, names))
    elif revision or splits:
        raise DataError(f"--revision and --splits go with a data set; a model's revision is {HF_HUB}ORG/NAME@REVISION.")
    for reference in models:
        target = model_on_hub(reference)
        if target is None:
            raise ModelError(f"{reference} is not on the Hub; write {', '.join(OFFICIAL_MODELS)} or {HF_HUB}ORG/NAME.")
        plans.append(plan_model(target))
    return plans


def _ask(missing: int, agreed: bool) -> None:
    """Ask before a large download, if somebody is there to answer."""
    if agreed or missing <= _ASK_FROM_BYTES or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    print(f"Download {size_text(missing)}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SalmuError("Nothing was downloaded.")


def _plan_json(plan: FetchPlan, folder: str | None) -> dict[str, Any]:
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
