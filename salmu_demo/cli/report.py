"""`salmu-demo report`: tables, figures and reports of results that were measured earlier."""

from pathlib import Path
from typing import Annotated

from salmu_demo.attacks.document import read_attacks
from salmu_demo.cli.analysis import print_analysis
from salmu_demo.cli.options import (
    Clean,
    Commands,
    Compromised,
    Gold,
    Names,
    argument,
    flag,
    option,
    read_names,
    told_references,
)
from salmu_demo.cli.output import print_notes
from salmu_demo.core.errors import ResultError
from salmu_demo.core.files import check_writable
from salmu_demo.core.settings import runs_dir
from salmu_demo.leaderboard.files import job_results
from salmu_demo.models.names import known_as
from salmu_demo.reports.files import write_reports
from salmu_demo.results.analysis import analyse
from salmu_demo.results.attacked import with_attacks
from salmu_demo.results.document import distinct, read_results, result_files
from salmu_demo.results.merging import renamed, with_others
from salmu_demo.results.records import Evaluation
from salmu_demo.workbench.people import people_of

commands = Commands()


@commands.add("""\
  salmu-demo report results --output report
  salmu-demo report clean/results.json evaluation_my-model.json --output report
  salmu-demo report results --jobs --name mini-unlearned-pinpoint=Pinpoint --output report
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
    jobs: Annotated[bool, flag("--jobs", "and what finished jobs of this machine measured on the same data")] = False,
    names: Names = None,
    found_by: Annotated[
        Path | None,
        option("--attacks", "attacks.json of these models, or its folder, for the diagnosis", "FILE", Path),
    ] = None,
) -> None:
    attacks = None if found_by is None else read_attacks(found_by)
    found = distinct(e for path in results for file in result_files(path) for e in read_results(file))
    if jobs:
        found = with_others(found, (e for path in job_results(runs_dir()) for e in _readable(path)))
    if attacks is not None:
        found = with_attacks(found, attacks)
    found = renamed(found, read_names(names or (), known_as([evaluation.model for evaluation in found])))
    analysis = analyse(found, told_references(clean, compromised, gold, [evaluation.model for evaluation in found]))
    check_writable(output, "The report")
    people = people_of(analysis)
    files = write_reports(analysis, output, attacks, people.names, people.everybody)
    print_analysis(analysis)
    written = (files.pdf, files.html, files.markdown, *files.paper, files.archive)
    print(f"\nWritten: {', '.join(map(str, written))}")


def _readable(path: Path) -> list[Evaluation]:
    """What a job measured; of one whose file is damaged nothing, which standard error says."""
    try:
        return read_results(path)
    except ResultError as error:
        print_notes([f"A job was left out. {error}"])
        return []
