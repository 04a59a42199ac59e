"""`salmu-demo mini`: rebuild SALMU-Mini and its models."""

import importlib.util
from pathlib import Path
from typing import Annotated, Literal

import typer

from salmu_demo.cli.options import Commands, argument, option
from salmu_demo.cli.output import TerminalProgress
from salmu_demo.core.errors import SalmuError
from salmu_demo.core.settings import assets_dir
from salmu_demo.core.text import size_text
from salmu_demo.mini.build import build, content_hash
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.probes.shipped import shipped_folder
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.shipping import ship

commands = Commands("  salmu-demo mini build --seed 0 --output DIR\n  salmu-demo mini train mini-clean --output DIR")

Seed = Annotated[int, option("--seed", "seed of everything random", kind=int)]


@commands.add("  salmu-demo mini build --seed 0 --output my-mini", "build")
def _build(output: Annotated[Path, option("--output", "new or empty folder", "DIR", Path)], seed: Seed = 0) -> None:
    """Draw the benchmark; the same seed gives the same content hash."""
    _need_artwork()
    print(f"content hash {build(output, seed, print)}")


@commands.add("  salmu-demo mini hash assets/salmu-mini", "hash")
def _hash(folder: Annotated[Path, argument("DIR", "the folder", Path)]) -> None:
    """Print the content hash of a folder in the layout."""
    print(content_hash(folder))


@commands.add("  salmu-demo mini train mini-compromised --output models", "train")
def _train(
    model: Annotated[
        Literal["mini-clean", "mini-compromised", "mini-gold"],
        typer.Argument(metavar="mini-clean|mini-compromised|mini-gold", help="which of the three"),
    ],
    output: Annotated[Path, option("--output", "the model is written to DIR/MODEL", "DIR", Path)],
    data: Annotated[
        Path | None, option("--data", "folder of SALMU-Mini (default: the embedded one)", "DIR", Path)
    ] = None,
    seed: Seed = 0,
    threads: Annotated[int, option("--threads", "CPU threads; 1 for the shipped models", kind=int)] = 1,
) -> None:
    """Train a reference model from scratch (half an hour to an hour and a half on one core)."""
    _need_artwork()
    # torch takes seconds to import, which the other actions do not need.
    from salmu_demo.mini import train  # noqa: PLC0415

    recipe = train.Recipe(seed=seed, threads=threads)
    train.train_reference(
        data or assets_dir() / "salmu-mini", output / model, train.SENSITIVE_SPLITS[model], recipe, print
    )


@commands.add("  salmu-demo mini ship", "ship")
def _ship(
    output: Annotated[
        Path | None, option("--output", "the files' folder (default: that of the assets)", "DIR", Path)
    ] = None,
) -> None:
    """Make anew what is shipped with the built-in models: verdicts, results, examples (minutes without a cache)."""
    bench = Workbench()
    with TerminalProgress() as progress:
        for path in ship(bench, bench.models(builtin_models()), output or shipped_folder(), progress):
            print(f"{path}: {size_text(path.stat().st_size)}")


def _need_artwork() -> None:
    for module in ("dicebear", "dicebear_styles", "resvg_py", "faker"):
        if importlib.util.find_spec(module) is None:
            raise SalmuError(f"Drawing SALMU-Mini needs {module}; install the extra: pip install 'salmu-demo[mini]'.")
