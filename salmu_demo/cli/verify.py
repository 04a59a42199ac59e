"""`salmu-demo verify`: does a dossier say what its models and data say?"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from salmu_demo.cli import options
from salmu_demo.cli.options import Commands, argument, option
from salmu_demo.cli.output import TerminalProgress, print_json, print_table
from salmu_demo.core.errors import ResultError
from salmu_demo.workbench.dossiers import unmet, verify

commands = Commands()


@commands.add("""\
  salmu-demo verify dossier
  salmu-demo verify dossier/dossier.json --model local-dir:mine --data folder

The exit code is 0 if everything was checked and agrees, and otherwise 2. Other code than the dossier's is told and does
not count. Nothing is fetched because a dossier names it: give it with --model and --data.""")
def _run(
    file: Annotated[Path, argument("FILE", "dossier.json, or its folder", Path)],
    models: Annotated[
        list[str] | None, option("--model", "a model of the dossier that is not built in or where it was", "MODEL")
    ] = None,
    data: Annotated[
        str | None, option("--data", f"its data set, if it is not where it was: {options.DATA_WORDS}")
    ] = None,
    json: options.Json = False,
) -> None:
    with TerminalProgress() as progress:
        checks = verify(file, models or (), data, progress)
    if json:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        print_table(["check", "state", "found"], [[check.what, check.state, check.detail] for check in checks])
    if sentences := list(unmet(checks)):
        raise ResultError(" ".join(sentences))
