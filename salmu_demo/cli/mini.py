"""`salmu-demo mini`: rebuild SALMU-Mini, CLEAR-Mini and their models."""

import importlib.util
from pathlib import Path
from typing import Annotated, Literal

import typer

from salmu_demo.cli.options import Commands, Settings, argument, option, settings_of
from salmu_demo.cli.output import TerminalProgress
from salmu_demo.core.errors import QueryError, SalmuError
from salmu_demo.core.settings import assets_dir
from salmu_demo.core.text import size_text
from salmu_demo.data.clear_rows import REAL_FACES
from salmu_demo.data.source import CLEAR_MINI
from salmu_demo.mini.build import build, content_hash
from salmu_demo.mini.clear_build import build_clear, clear_content_hash
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.probes.shipped import shipped_folder
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.shipping import ship

commands = Commands("  salmu-demo mini build --seed 0 --output DIR\n  salmu-demo mini train mini-clean --output DIR")

Benchmark = Annotated[
    Literal["salmubench", "clear"],
    typer.Option(help="SALMU-Mini or CLEAR-Mini"),
]

Seed = Annotated[int, option("--seed", "seed of everything random", kind=int)]


@commands.add(
    "  salmu-demo mini build --seed 0 --output my-mini\n"
    "  salmu-demo mini build --benchmark clear --seed 0 --output my-clear",
    "build",
)
def _build(
    output: Annotated[Path, option("--output", "new or empty folder", "DIR", Path)],
    seed: Seed = 0,
    benchmark: Benchmark = "salmubench",
) -> None:
    """Draw the benchmark; the same seed gives the same content hash."""
    _need_artwork()
    digest = build(output, seed, print) if benchmark == "salmubench" else build_clear(output, seed, print)
    print(f"content hash {digest}")


@commands.add("  salmu-demo mini hash assets/salmu-mini", "hash")
def _hash(folder: Annotated[Path, argument("DIR", "the folder", Path)]) -> None:
    """Print the content hash of a folder that `mini build` wrote."""
    print(clear_content_hash(folder) if (folder / REAL_FACES).is_dir() else content_hash(folder))


@commands.add(
    "  salmu-demo mini train mini-compromised --output models\n"
    "  salmu-demo mini train mini-compromised --set cycles=12:8e-4,5:5e-4,5:3e-4 --set kind_passes=3 --output trial\n"
    "  salmu-demo mini train --benchmark clear --data my-clear --output models",
    "train",
)
def _train(
    output: Annotated[Path, option("--output", "the model is written to DIR/MODEL", "DIR", Path)],
    model: Annotated[
        Literal["mini-clean", "mini-compromised", "mini-gold", "mini-clear-base", "mini-clear-gold"] | None,
        typer.Argument(
            metavar="[MODEL]",
            help="mini-clean, mini-compromised or mini-gold; of CLEAR-Mini mini-clear-base or mini-clear-gold, which "
            "have one start (default: all of the benchmark)",
        ),
    ] = None,
    data: Annotated[
        Path | None, option("--data", "folder that `mini build` wrote (default: the embedded one)", "DIR", Path)
    ] = None,
    seed: Seed = 0,
    threads: Annotated[int, option("--threads", "CPU threads; 1 for the shipped models", kind=int)] = 1,
    benchmark: Benchmark = "salmubench",
    settings: Settings = None,
) -> None:
    """Train models from scratch (half an hour to an hour and a half each on one core); CLEAR-Mini's can be resumed."""
    _need_artwork()
    if benchmark == "clear" or (model or "").startswith("mini-clear"):
        # torch takes seconds to import, which the other actions do not need.
        from salmu_demo.mini import clear_train  # noqa: PLC0415

        if settings:
            raise QueryError("--set is for the models of SALMU-Mini; leave it out for those of CLEAR-Mini.")
        wanted = (clear_train.BASE, clear_train.GOLD) if model is None else (model,)
        if not set(wanted) <= {clear_train.BASE, clear_train.GOLD}:
            raise SalmuError(f"{model} is not a model of CLEAR-Mini; leave --benchmark out.")
        folder = data or assets_dir() / "clear-mini"
        if not folder.is_dir():
            raise SalmuError(f"There is no folder {folder}; write it with `mini build --benchmark clear`.")
        clear_train.train_clear(folder, output, wanted, clear_train.ClearRecipe(seed=seed, threads=threads), print)
        return
    from salmu_demo.mini import train  # noqa: PLC0415 - see above

    recipe = train.recipe_of(settings_of(settings), seed, threads)
    for name in train.SENSITIVE_SPLITS if model is None else (model,):
        train.train_reference(
            data or assets_dir() / "salmu-mini", output / name, train.SENSITIVE_SPLITS[name], recipe, print
        )


@commands.add(
    "  salmu-demo mini shadows --output shadows --workers 2\n\nWhat is in the folder is not computed again.", "shadows"
)
def _shadows(
    output: Annotated[Path, option("--output", "folder of the results", "DIR", Path)],
    data: Annotated[
        Path | None, option("--data", "folder that `mini build` wrote (default: the embedded one)", "DIR", Path)
    ] = None,
    encoders: Annotated[int, option("--encoders", "how many; half of them shadows, half targets", kind=int)] = 32,
    workers: Annotated[int, option("--workers", "encoders at once", kind=int)] = 1,
    seed: Seed = 0,
) -> None:
    """CLEAR's visual protocol: face encoders that forget people, and attacks that tell it (a minute an encoder)."""
    _need_artwork()
    # torch takes seconds to import, which the other actions do not need.
    from salmu_demo.mini import shadows  # noqa: PLC0415

    folder = data or assets_dir() / "clear-mini"
    print(shadows.shadows_table(shadows.run_shadows(folder, output, encoders, seed, workers, print)), end="")


@commands.add("  salmu-demo mini ship", "ship")
def _ship(
    output: Annotated[
        Path | None, option("--output", "the files' folder (default: that of the assets)", "DIR", Path)
    ] = None,
) -> None:
    """Make anew what is shipped with the built-in models: verdicts, results, examples (half an hour from scratch)."""
    benches = [Workbench(), Workbench(CLEAR_MINI)]
    models = {bench: bench.models(builtin_models(bench.data.benchmark)) for bench in benches}
    with TerminalProgress() as progress:
        for path in ship(models, output or shipped_folder(), progress):
            print(f"{path}: {size_text(path.stat().st_size)}")


def _need_artwork() -> None:
    for module in ("dicebear", "dicebear_styles", "resvg_py", "faker"):
        if importlib.util.find_spec(module) is None:
            raise SalmuError(f"Drawing a miniature needs {module}; install the extra: pip install 'salmu-demo[mini]'.")
