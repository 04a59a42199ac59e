"""`salmu-demo sweep`: many unlearning runs, measured, in one table."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from salmu_demo.cli.output import plain, print_notes
from salmu_demo.cli.parsing import add_command, add_json
from salmu_demo.core.errors import QueryError
from salmu_demo.core.files import check_writable, write_text
from salmu_demo.models.roles import REFERENCES, TITLES

if TYPE_CHECKING:
    from salmu_demo.sweeps.run import RunResult

_EXAMPLES = """\
  salmu-demo sweep benchmarks/sweeps/mini.toml --output sweep
  salmu-demo sweep benchmarks/sweeps/mini.toml --output sweep --workers 2

A call with the same folder goes on where the last one stopped."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "sweep", "Run and measure methods, seeds, hyperparameters and budgets.", _EXAMPLES)
    parser.add_argument("config", metavar="CONFIG", type=Path, help="TOML file")
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="runs at once (default 1)")
    parser.add_argument("--ray", action="store_true", help="run on a Ray cluster (needs the extra `ray`)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each run (default 1)")
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    # torch takes seconds to import, which other commands do not need.
    from salmu_demo.sweeps.config import read_sweep  # noqa: PLC0415
    from salmu_demo.sweeps.executor import Executor, LocalProcesses, RayCluster  # noqa: PLC0415
    from salmu_demo.sweeps.run import measure_references, run_sweep  # noqa: PLC0415
    from salmu_demo.sweeps.table import sweep_table, table_csv, table_json, table_markdown  # noqa: PLC0415

    for name in ("workers", "threads"):
        if getattr(options, name) < 1:
            raise QueryError(f"--{name} is {getattr(options, name)}; choose 1 or more.")
    sweep = read_sweep(options.config)
    # Workers of a cluster do not share this process's working folder.
    options.output = options.output.resolve()
    check_writable(options.output, "The table")
    executor: Executor = (RayCluster if options.ray else LocalProcesses)(options.workers, options.threads)
    results = run_sweep(sweep, options.output, executor, _report)
    references = measure_references(sweep, options.output)
    rows = sweep_table(results, references.values)
    said = [plain(f"{TITLES[role]}: {references.models[role]}") for role in REFERENCES]
    said += [plain(remark) for remark in references.remarks]
    texts = {"csv": table_csv(rows), "json": table_json(rows), "md": table_markdown(rows, said)}
    for suffix, text in texts.items():
        write_text(options.output / f"sweep.{suffix}", text, "The table")
    if options.json:
        print_notes(said)
    print(texts["json" if options.json else "md"], end="")


def _report(result: "RunResult") -> None:
    outcome = result.problem or f"{result.steps} steps in {result.seconds:.0f} s"
    print(
        f"{result.job.variant}, budget {result.job.budget}, seed {result.job.seed}: {outcome}",
        file=sys.stderr,
        flush=True,
    )
