"""`salmu-demo sweep`: many unlearning runs, measured, in one table."""

import sys
from pathlib import Path
from typing import Annotated

from salmu_demo.cli.options import Commands, Json, argument, flag, option
from salmu_demo.cli.output import print_notes
from salmu_demo.core.errors import QueryError
from salmu_demo.core.executor import Executor, LocalProcesses, RayCluster
from salmu_demo.core.files import check_writable, write_text
from salmu_demo.core.text import plain
from salmu_demo.data.source import benchmark_of
from salmu_demo.models.roles import TITLES
from salmu_demo.sweeps.config import read_sweep
from salmu_demo.sweeps.run import RunResult, measure_references, run_sweep
from salmu_demo.sweeps.table import sweep_table, table_csv, table_json, table_markdown

commands = Commands()


@commands.add("""\
  salmu-demo sweep benchmarks/sweeps/mini.toml --output sweep
  salmu-demo sweep benchmarks/sweeps/mini.toml --output sweep --workers 2

A call with the same folder goes on where the last one stopped.""")
def _run(
    config: Annotated[Path, argument("CONFIG", "TOML file", Path)],
    output: Annotated[Path, option("--output", "folder of the results", "DIR", Path)],
    workers: Annotated[int, option("--workers", "runs at once", kind=int)] = 1,
    ray: Annotated[bool, flag("--ray", "run on a Ray cluster (needs the extra `ray`)")] = False,
    threads: Annotated[int, option("--threads", "CPU threads of each run", kind=int)] = 1,
    json: Json = False,
) -> None:
    for name, count in (("workers", workers), ("threads", threads)):
        if count < 1:
            raise QueryError(f"--{name} is {count}; choose 1 or more.")
    sweep = read_sweep(config)
    # Workers of a cluster do not share this process's working folder.
    folder = output.resolve()
    check_writable(folder, "The table")
    executor: Executor = (RayCluster if ray else LocalProcesses)(workers, threads)
    results = run_sweep(sweep, folder, executor, _report)
    references = measure_references(sweep, folder)
    rows = sweep_table(results, references.evidence)
    said = [plain(f"{TITLES[role]}: {model}") for role, model in references.models.items()]
    said += [plain(remark) for remark in references.remarks]
    written = table_markdown(rows, said)
    if benchmark_of(sweep.data) == "CLEAR":
        # scipy takes half a second to import.
        from salmu_demo.sweeps.clear_tables import clear_tables  # noqa: PLC0415

        written += f"\n{clear_tables(results, references.evidence)}\n"
    texts = {"csv": table_csv(rows), "json": table_json(rows), "md": written}
    for suffix, text in texts.items():
        write_text(folder / f"sweep.{suffix}", text, "The table")
    if json:
        print_notes(said)
    print(texts["json" if json else "md"], end="")


def _report(result: RunResult) -> None:
    outcome = result.problem or f"{result.steps} steps in {result.seconds:.0f} s"
    print(
        f"{result.job.variant}, budget {result.job.budget}, seed {result.job.seed}: {outcome}",
        file=sys.stderr,
        flush=True,
    )
