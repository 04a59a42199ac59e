"""`salmu-demo leaderboard`: published, local and imported results, a table for each data set."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from salmu_demo.cli.output import plain, print_json, print_table
from salmu_demo.cli.parsing import add_command, add_json, add_references, told_once
from salmu_demo.core.errors import QueryError
from salmu_demo.core.files import write_text
from salmu_demo.core.settings import leaderboard_dir, runs_dir
from salmu_demo.leaderboard.board import Board, find_row, read_board
from salmu_demo.leaderboard.export import board_csv, submission
from salmu_demo.leaderboard.files import given_results, import_result, imported_results, job_results
from salmu_demo.leaderboard.freshness import Freshness
from salmu_demo.leaderboard.groups import Group
from salmu_demo.leaderboard.ranking import DEFAULT_ORDER, RULE, Choice, check_order, ranked
from salmu_demo.leaderboard.rows import Row, Source, file_rows

_EXAMPLES = """\
  salmu-demo leaderboard
  salmu-demo leaderboard results --data mini --sort GenKnow
  salmu-demo leaderboard --import evaluation_my-model.json --csv leaderboard.csv
  salmu-demo leaderboard results --submission my-model --output submissions"""

Tables = list[tuple[Group, list[Row]]]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "leaderboard", "Rank published, local and imported results.", _EXAMPLES)
    parser.add_argument(
        "results",
        metavar="RESULTS",
        type=Path,
        nargs="*",
        help="result file, or folder with a results.json, beside those of finished jobs",
    )
    parser.add_argument("--data", metavar="NAME", default="", help="only this data set: name or start of its content")
    parser.add_argument("--revision", metavar="R", default="", help="only data of this revision, or one starting so")
    parser.add_argument("--rows", choices=("full", "sampled"), help="only runs over all rows, or only samples")
    parser.add_argument("--source", choices=[source.value for source in Source], help="only rows of this source")
    parser.add_argument("--search", metavar="TEXT", default="", help="only models with this in their name")
    parser.add_argument(
        "--sort", metavar="METRIC", default=DEFAULT_ORDER, help=f"metric, name or date (default {DEFAULT_ORDER})"
    )
    add_references(parser, "row (name or id)", "that of a built-in or official model, or of a job that was told")
    parser.add_argument(
        "--import", metavar="FILE", type=Path, nargs="+", default=[], dest="imports", help="keep copies of result files"
    )
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write what is shown as CSV")
    parser.add_argument("--submission", metavar="MODEL", help="write the row with this name or id as a file to submit")
    parser.add_argument("--output", metavar="DIR", type=Path, help="folder of the file to submit")
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if (options.submission is None) != (options.output is None):
        raise QueryError("A submission needs both --submission MODEL and --output DIR.")
    order = check_order(options.sort)
    given = given_results(options.results)
    for path in given:
        file_rows(path, Source.LOCAL)  # What the user named must be readable; other files are left out.
    imports = leaderboard_dir(runs_dir())
    for path in options.imports:
        import_result(path, imports)
    # The user may name the file of a job.
    local = dict.fromkeys(path.resolve() for path in (*given, *job_results(runs_dir())))
    board = read_board(local, imported_results(imports), Freshness(), told_once(options))
    tables = _tables(board, order, options)
    written = _write(tables, options)
    for problem in board.problems:
        print(f"salmu-demo: {problem}", file=sys.stderr)
    if options.json:
        print_json({"order": order, "groups": [_document(group, rows) for group, rows in tables], "written": written})
        return
    for group, rows in tables:
        _print(group, rows)
    print(RULE)
    for path_text in written:
        print(f"Written: {path_text}")


def _tables(board: Board, order: str, options: argparse.Namespace) -> Tables:
    source = None if options.source is None else Source(options.source)
    choice = Choice(options.data, options.revision, options.rows, source, options.search)
    tables = [(group, ranked(group, order, choice)) for group in board.groups]
    shown = [(group, rows) for group, rows in tables if rows]
    if not shown:
        raise QueryError("No row of the leaderboard fits; change --data, --revision, --rows, --source or --search.")
    return shown


def _write(tables: Tables, options: argparse.Namespace) -> list[str]:
    """Write the files that were asked for and return their paths."""
    written = []
    if options.submission is not None:
        file = submission(find_row(options.submission, [row for _, rows in tables for row in rows]))
        written.append(options.output / file.name)
        write_text(written[-1], file.text, "The submission")
    if options.csv is not None:
        written.append(options.csv)
        write_text(options.csv, board_csv(tables), "The table")
    return [str(path) for path in written]


def _print(group: Group, rows: list[Row]) -> None:
    print(f"{group.title}\n{'=' * len(group.title)}")
    if group.notice:
        print(group.notice)
    if group.reference_line:
        print(plain(group.reference_line))
    metrics = [spec.name for spec in group.specs]
    print_table(
        ["model", "source", "date", *metrics, "diagnosis", "id"],
        [
            [
                row.name,
                row.source,
                row.date[:10] or "-",
                *(_number(row, name) for name in metrics),
                row.diagnosis,
                row.id,
            ]
            for row in rows
        ],
    )
    for row in rows:
        if row.mark:
            print(f"{row.name} ({row.id}) {row.marked}")
    print()


def _number(row: Row, metric: str) -> str:
    value = row.values.get(metric)
    return "-" if value is None else f"{value:.4f}"


def _document(group: Group, rows: list[Row]) -> dict[str, Any]:
    return {
        "title": group.title,
        "identified": group.identified,
        "notice": group.notice,
        "references": {role: row.id for role, row in group.references.items()},
        "targets": {spec.name: group.target(spec) for spec in group.specs},
        "rows": [
            {
                "id": row.id,
                "model": row.name,
                "source": row.source,
                "origin": row.origin,
                "file": None if row.file is None else str(row.file),
                "role": row.role,
                "role_from": row.role and row.role_from,
                "fingerprint": row.model and row.model.fingerprint,
                "data": asdict(row.data),
                "date": row.date,
                "values": dict(row.values),
                "genknow_measured_on": row.zero_shot,
                "diagnosis": row.diagnosis,
                "reason": row.reason,
                "mark": row.marked,
            }
            for row in rows
        ],
    }
