"""`salmu-demo report`: tables, figures and reports of results that were measured earlier."""

from pathlib import Path
from typing import Annotated

from salmu_demo.attacks.document import read_attacks
from salmu_demo.cli.analysis import print_analysis
from salmu_demo.cli.options import Clean, Commands, Compromised, Gold, argument, option, told_references
from salmu_demo.core.files import check_writable
from salmu_demo.reports.attacks import attack_section
from salmu_demo.reports.files import write_reports
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import distinct, read_results, result_files

commands = Commands()


@commands.add("""\
  salmu-demo report results --output report
  salmu-demo report clean/results.json evaluation_my-model.json --output report
  salmu-demo report results --attacks attacks --output report""")
def _run(
    results: Annotated[
        list[Path],
        argument(
            "RESULTS...",
            "results.json, official result file, or a folder that holds one of them; all of the same data",
            Path,
        ),
    ],
    output: Annotated[Path, option("--output", "folder of the reports", "DIR", Path)],
    clean: Clean = None,
    compromised: Compromised = None,
    gold: Gold = None,
    found_by: Annotated[
        Path | None,
        option("--attacks", "attacks.json, or its folder, for a section on it", "FILE", Path),
    ] = None,
) -> None:
    attacked = [attack_section(read_attacks(found_by))] if found_by else []
    found = distinct(e for path in results for file in result_files(path) for e in read_results(file))
    analysis = analyse(found, told_references(clean, compromised, gold, [evaluation.model for evaluation in found]))
    check_writable(output, "The report")
    files = write_reports(analysis, output, attacked)
    print_analysis(analysis)
    print(f"\nWritten: {files.pdf}, {files.html}, {files.markdown}, {files.archive}")
