"""`salmu-demo leaderboard`: published, local and imported results, a table for each data set."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from salmu_demo.cli.grammar import SEVERAL
from salmu_demo.cli.options import Commands, Json, Names, argument, option, read_names, reference, told_once
from salmu_demo.cli.output import print_json, print_table
from salmu_demo.core.errors import QueryError
from salmu_demo.core.files import write_text
from salmu_demo.core.settings import leaderboard_dir, runs_dir
from salmu_demo.core.text import plain
from salmu_demo.leaderboard.board import Board, called, find_row, read_board, with_names
from salmu_demo.leaderboard.export import board_csv, submission
from salmu_demo.leaderboard.files import given_results, import_result, imported_results, job_results
from salmu_demo.leaderboard.freshness import Freshness
from salmu_demo.leaderboard.groups import DataGroup
from salmu_demo.leaderboard.ranking import DEFAULT_ORDER, RULE, Choice, check_order, placed, ranked
from salmu_demo.leaderboard.rows import Row, RowSource, file_rows
from salmu_demo.leaderboard.sweeps import embedded_sweeps, sweep_rows
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD

Tables = list[tuple[DataGroup, list[Row]]]

commands = Commands()


def _reference(role: str) -> Any:
    return reference(role, "row (name or id)", "that of a built-in or official model, or of a job that was told")


@commands.add("""\
  salmu-demo leaderboard
  salmu-demo leaderboard results --data mini --sort GenKnow
  salmu-demo leaderboard --import evaluation_my-model.json --csv leaderboard.csv
  salmu-demo leaderboard results --submission my-model --output submissions""")
def _run(
    results: Annotated[
        list[Path] | None,
        argument("[RESULTS...]", "result file, or folder with a results.json, beside those of finished jobs", Path),
    ] = None,
    data: Annotated[str, option("--data", "only this data set: name or start of its content", "NAME")] = "",
    revision: Annotated[str, option("--revision", "only data of this revision, or one starting so", "R")] = "",
    rows: Annotated[
        Literal["full", "sampled"] | None, typer.Option(help="only runs over all rows, or only samples")
    ] = None,
    source: Annotated[RowSource | None, typer.Option(help="only rows of this source")] = None,
    search: Annotated[str, option("--search", "only models with this in their name", "TEXT")] = "",
    sort: Annotated[str, option("--sort", "diagnosis, metric, name or date", "ORDER")] = DEFAULT_ORDER,
    clean: Annotated[list[str] | None, _reference(CLEAN)] = None,
    compromised: Annotated[list[str] | None, _reference(COMPROMISED)] = None,
    gold: Annotated[list[str] | None, _reference(GOLD)] = None,
    imports: Annotated[
        list[Path] | None, option("--import", "keep copies of result files", f"FILE{SEVERAL}", Path)
    ] = None,
    sweeps: Annotated[
        list[Path] | None, option("--sweep", "and the methods of a sweep, from its folder", f"DIR{SEVERAL}", Path)
    ] = None,
    names: Names = None,
    csv: Annotated[Path | None, option("--csv", "write what is shown as CSV", "FILE", Path)] = None,
    chosen: Annotated[
        str | None, option("--submission", "write the row with this name or id as a file to submit", "MODEL")
    ] = None,
    output: Annotated[Path | None, option("--output", "folder of the file to submit", "DIR", Path)] = None,
    json: Json = False,
) -> None:
    if (chosen is None) != (output is None):
        raise QueryError("A submission needs both --submission MODEL and --output DIR.")
    order = check_order(sort)
    given = given_results(results or [])
    for path in given:
        file_rows(path, RowSource.LOCAL)  # What the user named must be readable; other files are left out.
    kept = leaderboard_dir(runs_dir())
    for path in imports or []:
        import_result(path, kept)
    # The user may name the file of a job.
    local = dict.fromkeys(path.resolve() for path in (*given, *job_results(runs_dir())))
    for folder in sweeps or []:
        sweep_rows(folder)  # The same of the folder of a sweep.
    told = told_once(clean, compromised, gold)
    board = read_board(local, imported_results(kept), Freshness(), told, [*embedded_sweeps(), *(sweeps or [])])
    listed = [row for group in board.groups for row in group.rows]
    named = with_names(board, read_names(names or (), called(listed)))
    tables = _tables(named, order, Choice(data, revision, rows, source, search))
    written = []
    if chosen is not None and output is not None:
        shown = {row.id for _, found in tables for row in found}
        # A submission has the name that its file gives the model.
        file = submission(find_row(chosen, [row for row in listed if row.id in shown]))
        written.append(output / file.name)
        write_text(written[-1], file.text, "The submission")
    if csv is not None:
        written.append(csv)
        write_text(csv, board_csv(tables), "The table")
    for problem in board.problems:
        print(f"salmu-demo: {plain(problem)}", file=sys.stderr)
    if json:
        groups = [_document(group, found, order) for group, found in tables]
        print_json({"order": order, "groups": groups, "written": [str(path) for path in written]})
        return
    for group, found in tables:
        _print(group, found, order)
    print(RULE)
    for path in written:
        print(f"Written: {path}")


def _tables(board: Board, order: str, choice: Choice) -> Tables:
    tables = [(group, ranked(group, order, choice)) for group in board.groups]
    shown = [(group, rows) for group, rows in tables if rows]
    if not shown:
        raise QueryError("No row of the leaderboard matches; change --data, --revision, --rows, --source or --search.")
    return shown


def _print(group: DataGroup, rows: list[Row], order: str) -> None:
    print(f"{group.title}\n{'=' * len(group.title)}")
    if group.notice:
        print(group.notice)
    if group.reference_line:
        print(plain(group.reference_line))
    metrics = [spec.name for spec in group.specs]
    # On CLEAR there is no diagnosis.
    diagnosed = ["diagnosis", "distance"] if group.benchmark == "SALMUBench" else []
    print_table(
        ["place", "model", "source", "date", *metrics, *diagnosed, "id"],
        [
            [
                "-" if each.place is None else f"{each.place}{' =' if each.is_shared else ''}",
                row.name,
                row.source,
                row.date[:10] or "-",
                *(_number(row, name) for name in metrics),
                *[row.diagnosis, "-" if row.distance is None else f"{row.distance:.4f}"][: len(diagnosed)],
                row.id,
            ]
            for each in placed(group, rows, order)
            for row in [each.row]
        ],
    )
    for row in rows:
        if row.mark:
            print(f"{row.name} ({row.id}) {row.marked}")
        if row.copies:
            print(f"{row.name} ({row.id}) is also in {', '.join(map(str, row.copies))}")
    print()


def _number(row: Row, metric: str) -> str:
    value = row.values.get(metric)
    spread = f" ± {row.spread[metric]:.4f}" if metric in row.spread else ""
    return "-" if value is None else f"{value:.4f}{spread}"


def _document(group: DataGroup, rows: list[Row], order: str) -> dict[str, Any]:
    return {
        "title": group.title,
        "identified": group.identified,
        "notice": group.notice,
        "references": {role: row.id for role, row in group.references.items()},
        "targets": {spec.name: group.target(spec) for spec in group.specs},
        "rows": [
            {
                "id": row.id,
                "place": each.place,
                "is_shared": each.is_shared,
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
                "spread": dict(row.spread),
                "distance": row.distance,
                "genknow_measured_on": row.zero_shot,
                "diagnosis": row.diagnosis,
                "reason": row.reason,
                "mark": row.marked,
                "copies": [str(path) for path in row.copies],
            }
            for each in placed(group, rows, order)
            for row in [each.row]
        ],
    }
