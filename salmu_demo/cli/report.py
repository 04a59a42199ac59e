"""`salmu-demo report`: tables, figures and reports of results that were measured earlier."""

import argparse
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

from salmu_demo.cli.output import print_analysis
from salmu_demo.cli.parsing import add_command, add_references, told_references
from salmu_demo.errors import ResultError
from salmu_demo.files import check_writable
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import RESULTS_FILE, read_results
from salmu_demo.results.records import Evaluation

_EXAMPLES = """\
  salmu-demo report results --output report
  salmu-demo report clean/results.json evaluation_my-model.json --output report"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "report", "Write reports (PDF, HTML, Markdown, CSV, ZIP) of results.", _EXAMPLES)
    parser.add_argument(
        "results",
        metavar="RESULTS",
        nargs="+",
        type=Path,
        help="results.json, official result file, or a folder that holds one of them; all of the same data",
    )
    add_references(parser)
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder of the reports")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    found = distinct(e for path in options.results for file in result_files(path) for e in read_results(file))
    analysis = analyse(found, told_references(options, [evaluation.model for evaluation in found]))
    check_writable(options.output, "The report")
    # matplotlib takes half a second to import, which no other command needs.
    from salmu_demo.reports.files import write_reports  # noqa: PLC0415

    files = write_reports(analysis, options.output)
    print_analysis(analysis)
    print(f"\nWritten: {files.pdf}, {files.html}, {files.markdown}, {files.archive}")


def result_files(path: Path) -> list[Path]:
    """The result files a path stands for; of a folder `results.json`, or else its official files.

    Raises:
        ResultError: if a folder holds none.
    """
    if not path.is_dir():
        return [path]
    if (path / RESULTS_FILE).is_file():
        return [path / RESULTS_FILE]
    official = sorted(path.glob("evaluation_*.json"))
    if not official:
        raise ResultError(f"{path} holds neither {RESULTS_FILE} nor evaluation_*.json; give a folder of results.")
    return official


def distinct(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Each model on each data once, with its rows if any file has them: references are measured along every time."""
    found: dict[tuple[str, str | None, tuple[str, str]], Evaluation] = {}
    for evaluation in evaluations:
        model = evaluation.model
        # Beside a namesake it had a longer name.
        key = (PurePath(model.name).name, model.fingerprint, evaluation.data.key)
        if key not in found or (evaluation.rows and not found[key].rows):
            found[key] = evaluation
    return list(found.values())
