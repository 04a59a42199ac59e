"""`salmu-demo report`: tables, figures and reports of results that were measured earlier."""

import argparse
from pathlib import Path
from typing import Any

from salmu_demo.cli.output import print_analysis
from salmu_demo.cli.parsing import add_command, add_references, told_references
from salmu_demo.core.files import check_writable
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import distinct, read_results, result_files

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
