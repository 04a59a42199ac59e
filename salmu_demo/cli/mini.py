"""`salmu-demo mini`: rebuild SALMU-Mini and its models."""

import argparse
import importlib.util
from pathlib import Path
from typing import Any

from salmu_demo.cli.parsing import add_command
from salmu_demo.core.errors import SalmuError
from salmu_demo.core.settings import assets_dir

_MODELS = ("mini-clean", "mini-compromised")


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "mini",
        "Rebuild the embedded benchmark and its models.",
        "  salmu-demo mini build --seed 0 --output DIR\n  salmu-demo mini train mini-clean --output DIR",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = add_command(
        actions, "build", "Draw the benchmark; the same seed gives the same content hash.",
        "  salmu-demo mini build --seed 0 --output my-mini",
    )  # fmt: skip
    build.add_argument("--seed", type=int, default=0)
    build.add_argument("--output", metavar="DIR", type=Path, required=True, help="new or empty folder")
    build.set_defaults(run=_build)
    digest = add_command(
        actions, "hash", "Print the content hash of a folder in the layout.", "  salmu-demo mini hash assets/salmu-mini"
    )
    digest.add_argument("folder", metavar="DIR", type=Path)
    digest.set_defaults(run=_hash)
    train = add_command(
        actions, "train", "Train a reference model from scratch (about an hour on one core).",
        "  salmu-demo mini train mini-compromised --output models",
    )  # fmt: skip
    train.add_argument("model", choices=_MODELS)
    train.add_argument("--data", metavar="DIR", type=Path, help="folder of SALMU-Mini (default: the embedded one)")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--threads", type=int, default=1, help="CPU threads (default 1, as for the shipped models)")
    train.add_argument("--output", metavar="DIR", type=Path, required=True, help="the model is written to DIR/MODEL")
    train.set_defaults(run=_train)


def _need_artwork() -> None:
    for module in ("dicebear", "dicebear_styles", "resvg_py", "faker"):
        if importlib.util.find_spec(module) is None:
            raise SalmuError(f"Drawing SALMU-Mini needs {module}; install the extra: pip install 'salmu-demo[mini]'.")


def _build(options: argparse.Namespace) -> None:
    _need_artwork()
    from salmu_demo.mini.build import build  # noqa: PLC0415 - only this action needs the artwork

    print(f"content hash {build(options.output, options.seed, print)}")


def _hash(options: argparse.Namespace) -> None:
    from salmu_demo.mini.build import content_hash  # noqa: PLC0415 - only this action needs the artwork

    print(content_hash(options.folder))


def _train(options: argparse.Namespace) -> None:
    _need_artwork()
    # torch takes seconds to import, which the other actions do not need.
    from salmu_demo.mini import train  # noqa: PLC0415

    data = options.data or assets_dir() / "salmu-mini"
    recipe = train.Recipe(seed=options.seed, threads=options.threads)
    train.train_reference(data, options.output / options.model, options.model == "mini-compromised", recipe, print)
