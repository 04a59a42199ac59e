"""Places of the leaderboard: the order by diagnosis and distance, ties by paired intervals, measurements held twice."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from salmu_demo.core.errors import ResultError
from salmu_demo.leaderboard.board import Board, read_board
from salmu_demo.leaderboard.freshness import Freshness
from salmu_demo.leaderboard.groups import group_rows
from salmu_demo.leaderboard.ranking import BY_DIAGNOSIS, placed, ranked
from salmu_demo.leaderboard.rows import Row, RowSource
from salmu_demo.leaderboard.sweeps import sweep_rows
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import write_results
from salmu_demo.results.evidence import Evidence, cluster_sums
from salmu_demo.results.official import write_official
from salmu_demo.results.questions import Label
from tests.fixtures.leaderboard import references, row
from tests.fixtures.results import NAMES, evaluations

GOOD = {"RetFail": 0.0, "GenKnow": 0.70, "InterIdSim": 0.5, "IntraIdSim": 0.5}
PEOPLE = [f"p{n}" for n in range(30)]


def told(rows: Sequence[Row], order: str = BY_DIAGNOSIS) -> list[tuple[str, int | None, bool]]:
    [group] = group_rows(rows)
    return [(each.row.name, each.place, each.is_shared) for each in placed(group, ranked(group, order), order)]


def test_the_later_the_first_no_the_better_and_equal_labels_by_distance():
    rows = [
        row("nothing", {}),
        row("leaks", GOOD | {"RetFail": 0.4}),
        row("leaks-less", GOOD | {"RetFail": 0.2}),
        row("damaged", GOOD | {"GenKnow": 0.6}),
        row("narrow", GOOD | {"InterIdSim": 0.1}),
        row("good", GOOD | {"RetFail": 0.01}),
        row("best", GOOD),
        *references(),
    ]
    names = ["a-clean", "a-compromised", "best", "good", "narrow", "damaged", "leaks-less", "leaks", "nothing"]
    places = [None, None, 1, 2, 3, 4, 5, 6, None]
    assert told(rows) == [(name, place, False) for name, place in zip(names, places, strict=True)]


def test_the_distance_is_the_mean_of_what_is_left_and_lost():
    [group] = group_rows(
        [row("m", {"RetFail": 0.1, "GenKnow": 0.63, "InterIdSim": 0.4, "IntraIdSim": 0.3}), *references()]
    )
    found = next(r for r in group.rows if r.name == "m")
    # 0.1 of 0.5 is left; 0.07 of 0.70 lost; 0.2 of 0.4 kept of IntraIdSim, the worse of the two.
    assert found.distance == pytest.approx((0.2 + 0.1 + 0.5) / 3)
    assert next(r for r in group.rows if r.name == "a-clean").distance is None


def measured(name: str, shift: float, noise: int, values: dict[str, float]) -> Row:
    """A row whose RetFail is known person by person: a common part, a shift and some noise."""
    common = np.random.default_rng(0).random(len(PEOPLE))
    own = common + shift + np.random.default_rng(noise).normal(0, 0.01, len(PEOPLE))
    found = values | {"RetFail": float(own.mean())}
    return row(name, found, evidence=Evidence(found, {"RetFail": cluster_sums(own, PEOPLE)}))


def test_rows_share_a_place_where_paired_intervals_show_no_difference():
    rows = [measured(name, shift, n, {}) for n, (name, shift) in enumerate(
        [("a", 0.0), ("b", 0.0), ("c", 0.2), ("d", 0.2), ("e", 0.4)]
    )]  # fmt: skip
    places = {name: (place, shared) for name, place, shared in told(rows, "RetFail")}
    # Across people the values overlap by far; person by person they do not.
    assert places == {"a": (1, True), "b": (1, True), "c": (3, True), "d": (3, True), "e": (5, False)}


def test_without_rows_only_equal_values_share_a_place():
    rows = [row("a", {"RetFail": 0.1}), row("b", {"RetFail": 0.1}), row("c", {"RetFail": 0.1001}), row("d", {})]
    assert told(rows, "RetFail") == [("a", 1, True), ("b", 1, True), ("c", 3, False), ("d", None, False)]
    assert {place for _, place, _ in told(rows, "name")} == {None}


def test_equal_labels_share_a_place_if_none_of_four_metrics_differs():
    apart = GOOD | {"GenKnow": 0.699}
    rows = [row("a", GOOD), row("b", GOOD), row("c", apart), *references()]
    assert told(rows)[2:] == [("a", 1, True), ("b", 1, True), ("c", 3, False)]


def read(local: Sequence[Path], imported: Sequence[Path] = (), **more: object) -> Board:
    return read_board(local, imported, Freshness(), **more)


def mine(board: Board) -> list[Row]:
    return [r for group in board.groups for r in group.rows if r.source is not RowSource.PUBLISHED]


def test_a_measurement_in_several_files_is_one_row_that_names_them(tmp_path: Path):
    found = evaluations()
    for place, part in (("one", found[:2]), ("two", [*found[:1], *found[2:]])):
        write_results(analyse(part), tmp_path / place)
    official = write_official(found[2], tmp_path / "import")
    board = read([tmp_path / "one" / "results.json", tmp_path / "two" / "results.json"], [official])
    rows = {r.name: r for r in mine(board)}
    assert len(mine(board)) == 3
    assert rows[NAMES[0]].copies == (tmp_path / "two" / "results.json",)
    assert (rows[NAMES[2]].source, rows[NAMES[2]].copies) == (RowSource.LOCAL, (official,))
    # Its own file has no Compromised; that of its group serves, and Clean is that of both files.
    assert rows[NAMES[2]].label is Label.INEFFECTIVE


def test_what_differs_in_one_value_is_another_measurement(tmp_path: Path):
    [first] = evaluations(NAMES[:1])
    changed = replace(first.results["ACS"], value=first.results["ACS"].value + 1e-6, scores=None)
    other = replace(first, results=first.results | {"ACS": changed})
    for place, part in (("one", first), ("two", other)):
        write_results(analyse([part]), tmp_path / place)
    assert len(mine(read([tmp_path / place / "results.json" for place in ("one", "two")]))) == 2


def test_ones_own_data_come_first(tmp_path: Path):
    [path, *_] = write_results(analyse(evaluations()), tmp_path)
    assert read([path]).groups[0].rows[0].is_official
    assert not read([path], own="d" * 64).groups[0].rows[0].is_official


def sweep(folder: Path, **changes: object) -> Path:
    def line(compared_at: str, variant: str, value: float, **more: object) -> dict[str, object]:
        means = {
            name: {"mean": value, "deviation": None} for name in ("RetFail", "GenKnow", "InterIdSim", "IntraIdSim")
        }
        return {
            "compared_at": compared_at,
            "variant": variant,
            "seeds": [3, 3],
            "metrics": means,
            "diagnoses": {},
            **more,
        }

    spread = {"RetFail": {"mean": 0.25, "deviation": 0.125}, "Mine": {"mean": 1.0, "deviation": None},
              "ACS": {"mean": None, "deviation": None}}  # fmt: skip
    lines = [
        line("reference", "clean", 0.1),
        line("reference", "compromised", 0.5),
        line("budget", "npo (beta=0.1)", 0.3, metrics=spread, diagnoses={"clean pass": 1, "undecided": 2}),
        line("forgetting", "npo (beta=0.1)", 0.2),
    ]
    folder.mkdir()
    (folder / "sweep.json").write_text(json.dumps(changes.get("lines", lines)))
    (folder / "references.json").write_text(json.dumps({"measured_from": {"data": "d" * 64}}))
    return folder


def test_the_methods_of_a_sweep_are_rows_with_mean_and_spread(tmp_path: Path):
    rows = {r.name: r for r in sweep_rows(sweep(tmp_path / "mini"))}
    assert list(rows) == ["clean", "compromised", "npo (beta=0.1)"]
    found = rows["npo (beta=0.1)"]
    assert (found.values, found.spread) == ({"RetFail": 0.25}, {"RetFail": 0.125})
    assert (found.label, found.reason) == (Label.UNDECIDED, "Mean of 3 of 3 seeds: clean pass (1), undecided (2).")
    assert (found.source, found.data.fingerprint, found.origin) == (RowSource.SWEEP, "d" * 64, "mini")
    assert rows["clean"].role == "clean"


def test_references_of_a_sweep_have_their_names_and_gold_its_label(tmp_path: Path):
    folder = sweep(tmp_path / "mini")
    lines = json.loads((folder / "sweep.json").read_text())
    lines[2] = {**lines[2], "seeds": [1, 1], "diagnoses": {"clean pass": 1}}
    lines.append({**lines[0], "variant": "gold", "seeds": [1, 1], "diagnoses": {"clean pass": 1}})
    (folder / "sweep.json").write_text(json.dumps(lines))
    names = {"clean": "my-clean", "gold": "my-gold"}
    (folder / "references.json").write_text(json.dumps({"measured_from": {"data": "d" * 64}, "models": names}))
    rows = {row.name: row for row in sweep_rows(folder)}
    assert list(rows) == ["my-clean", "compromised", "npo (beta=0.1)", "my-gold"]
    # Of one seed there is no mean to speak of.
    for name in ("npo (beta=0.1)", "my-gold"):
        assert (rows[name].label, rows[name].reason) == (Label.PASS, "")
    assert rows["my-clean"].label is None


def test_a_sweep_on_clear_stands_among_clears_rows(tmp_path: Path):
    levels = {"compromised": 0.9, "gold": 0.2, "dpo (modality=both)": 0.4}
    lines = [
        {
            "compared_at": "budget" if "(" in variant else "reference",
            "variant": variant,
            "seeds": [1, 1],
            "metrics": {"ForgetTables": {"mean": level}, "RetainTables": {"mean": 0.5}, "RetFail": {"mean": None}},
            "diagnoses": {},
        }
        for variant, level in levels.items()
    ]
    board = read([], sweeps=[sweep(tmp_path / "clear", lines=lines)])
    (group,) = [group for group in board.groups if any(row.source is RowSource.SWEEP for row in group.rows)]
    assert group.benchmark == "CLEAR"
    assert [spec.name for spec in group.specs] == ["RetainTables", "ForgetTables"]
    assert {row.name: row.values["ForgetTables"] for row in group.rows} == levels


def test_a_sweep_joins_the_group_of_its_data_whose_own_references_stand(tmp_path: Path):
    [path, *_] = write_results(analyse(evaluations(NAMES[:2])), tmp_path / "own")
    board = read([path], sweeps=[sweep(tmp_path / "mini")])
    assert sorted(r.name for r in mine(board)) == [*NAMES[:2], "npo (beta=0.1)"]
    assert {r.name for r in mine(read([], sweeps=[tmp_path / "mini"]))} == {"clean", "compromised", "npo (beta=0.1)"}


def test_a_folder_without_a_sweep_is_refused_in_one_sentence(tmp_path: Path):
    with pytest.raises(ResultError, match=r"The table of a sweep .*sweep.json cannot be read"):
        sweep_rows(tmp_path)
    [problem] = read([], sweeps=[sweep(tmp_path / "broken", lines=[{"variant": 5}])]).problems
    assert problem.startswith("A sweep was left out. The table of a sweep")
