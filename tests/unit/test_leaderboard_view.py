"""The markup of the leaderboard, and whose rows a visitor sees."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from markupsafe import escape

from salmu_demo.core.errors import ResultError
from salmu_demo.core.notices import MINI_NOTICE
from salmu_demo.leaderboard.groups import group_rows
from salmu_demo.leaderboard.ranking import RULE, ranked
from salmu_demo.leaderboard.rows import RowSource, Staleness, published_rows
from salmu_demo.models.roles import ModelRole
from salmu_demo.reports.roles import role_styles
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import write_results
from salmu_demo.results.official import official_result
from salmu_demo.results.records import MeasuredData, MeasuredModel
from salmu_demo.ui.tabs.leaderboard.tab import MAX_VISITOR_IMPORTS, Library
from salmu_demo.ui.tabs.leaderboard.view import board_html, group_choices, problems_html, row_choices
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.leaderboard import references, row
from tests.fixtures.results import evaluation, evaluations

EVIL = '<img src=x onerror="alert(1)">'


def test_all_text_of_files_is_escaped():
    data = MeasuredData(EVIL, "d" * 64, EVIL, sample=EVIL)
    hostile = row(
        EVIL, {"GenKnow": 0.5}, data=data, origin=EVIL, zero_shot=EVIL, date=EVIL, mark=Staleness("stale", EVIL)
    )
    [group] = group_rows([hostile, *references(data=data, zero_shot="x")])
    page = board_html(group, group.rows, "GenKnow") + problems_html([EVIL])
    assert "<img" not in page
    assert page.count("&lt;img") >= 5


def test_the_table_shows_values_targets_gaps_marks_and_the_rule():
    marked = row(
        "m", {"RetFail": 0.25, "GenKnow": 0.5}, mark=Staleness("stale", "It changed."), date="2026-01-02T00:00:00"
    )
    [group] = group_rows([marked, *references()])
    page = board_html(group, [r for r in group.rows if r.name == "m"], "RetFail")
    text = re.sub(r"<[^>]+>", " ", page)
    assert "1 of 3 rows" in text
    assert re.search(r"RetFail\s+target 0\.0000", text)
    assert re.search(r"GenKnow\s+target 0\.7000", text)
    assert re.search(r"0\.2500\s+\+0\.2500", text)
    assert "InterIdSim" in text
    assert "–" in text
    assert re.search(r"stale\s+It changed\.", text)
    assert "2026-01-02" in text
    assert "ineffective forgetting" in text
    assert page.count("aria-sort") == 1
    assert escape(RULE) in page


def test_a_row_has_the_colour_and_mark_that_its_model_has_on_every_tab():
    redirect = "mini-unlearned-redirect"
    (own,) = role_styles([redirect], [ModelRole()])
    built_in = replace(row("Redirect", {"RetFail": 0.1}), model=MeasuredModel(redirect, redirect))
    [group] = group_rows([built_in, row("method", {"RetFail": 0.2}), *references()])
    page = board_html(group, group.rows, "RetFail")
    found = re.findall(r'class="marker" aria-hidden="true">(.)</span>\s*<span>(.*?)</span>', page)
    marks = {name: mark for mark, name in found}
    assert marks["Redirect"] == own.marker
    # What is no built-in model has the mark of none.
    assert marks["method"] in "⬢⬟✦►"


def test_heads_sort_and_rows_say_their_place_distance_and_spread():
    rows = [
        row("b", {"RetFail": 0.1}, spread={"RetFail": 0.05}, copies=(Path(f"{EVIL}.json"),)),
        row("c", {"RetFail": 0.1}),
    ]
    [group] = group_rows([*rows, *references()])
    page = board_html(group, ranked(group, "RetFail"), "RetFail")
    assert re.findall(r'data-choice="(\w+)"', page) == ["name", "diagnosis", *(spec.name for spec in group.specs)]
    assert page.count(">1 =</span>") == 2
    assert "± 0.0500, +0.1000" in page
    assert "also in &lt;img" in page
    full = row("m", {"RetFail": 0.0, "GenKnow": 0.7, "InterIdSim": 0.5, "IntraIdSim": 0.5})
    [group] = group_rows([full, *references()])
    assert "distance 0.0000" in board_html(group, ranked(group), "diagnosis")


def test_a_row_says_what_was_assumed_of_its_model():
    model = MeasuredModel("m", "m", remarks=(f"Guessed. {EVIL}",))
    [group] = group_rows([row("m", {"RetFail": 0.25}, model=model), *references()])
    page = board_html(group, group.rows, "RetFail")
    assert page.count(">assumed</span> Guessed. &lt;img") == 1


def test_without_references_the_heads_say_which_way_is_better():
    [group] = group_rows([row("m", {"RetFail": 0.25, "GenKnow": 0.5})])
    text = re.sub(r"<[^>]+>", " ", board_html(group, group.rows, "name"))
    assert re.search(r"RetFail\s+lower", text)
    assert re.search(r"GenKnow\s+higher", text)
    assert "not enough metrics" in text


def test_data_that_are_not_identified_and_the_miniature_say_so():
    groups = group_rows(
        [row("a", {}, data=MeasuredData("x")), row("b", {}, data=MeasuredData("y", "d" * 64, None, MINI_NOTICE))]
    )
    pages = {group.identified: board_html(group, group.rows, "name") for group in groups}
    assert "ranked with no others" in pages[False]
    assert "ranked with no others" not in pages[True]
    assert "not the paper&#39;s" in pages[True]


def test_no_row_gives_a_hint_and_published_rows_are_no_choice_to_hand_in():
    [group] = group_rows(published_rows())
    assert "No row fits" in board_html(group, [], "name")
    assert row_choices(group.rows) == []
    assert row_choices([row("m", {}, id="7", source=RowSource.IMPORTED)]) == [("m, imported, id 7", "7")]
    assert group_choices([group]) == [(group.title, group.id)]


@pytest.fixture
def give_result(give: Callable[[str, bytes], Path]) -> Callable[[str], str]:
    """A function that uploads a result file of a model with the given name."""
    return lambda name: str(give(f"{name}.json", json.dumps(official_result(evaluation(name))).encode()))


@pytest.fixture
def library(tiny_assets: Path, tmp_path: Path, give: Callable[[str, bytes], Path]) -> Library:
    for seed, job in ((0, "job-of-one"), (10, "job-of-other")):
        write_results(analyse(evaluations(seed=seed)), tmp_path / "runs" / job / "report")
    return Library(Workbench(), tmp_path / "runs")


def seen(library: Library, jobs: object, session: str) -> list[str]:
    rows = [
        r for group in library.board(jobs, session).groups for r in group.rows if r.source is not RowSource.PUBLISHED
    ]
    return sorted(r.file.parent.parent.name if r.source is RowSource.LOCAL else r.name for r in rows)


def test_on_a_machine_of_ones_own_all_jobs_and_imports_are_shown(library: Library, tmp_path: Path, give_result):
    path = give_result("mine")
    copy, _ = library.take(path, "")
    assert not Path(path).exists()
    assert copy.is_relative_to(tmp_path / "leaderboard")
    assert seen(library, [], "") == sorted(["job-of-one"] * 3 + ["job-of-other"] * 3 + ["mine"])


def test_visitors_of_a_space_see_their_own_jobs_and_imports_only(
    library: Library, tmp_path: Path, give_result, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPACE_ID", "org/space")
    assert seen(library, [], "") == []
    assert seen(library, None, "") == []
    assert seen(library, "job-of-one", "") == []
    assert seen(library, ["job-of-one", 7, "*", "../runs/job-of-other"], "") == ["job-of-one"] * 3
    copy, mine = library.take(give_result("mine"), "")
    _, other = library.take(give_result("other"), "")
    assert not (tmp_path / "leaderboard").exists()
    assert seen(library, [], mine) == ["mine"]
    assert seen(library, [], other) == ["other"]
    library.forget(mine)
    library.forget("")
    assert not copy.exists()
    assert seen(library, [], mine) == []
    assert seen(library, [], other) == ["other"]


def test_a_visitor_of_a_space_imports_a_bounded_number_of_files(
    library: Library, tmp_path: Path, give_result, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPACE_ID", "org/space")
    session = ""
    for number in range(MAX_VISITOR_IMPORTS):
        _, session = library.take(give_result(f"m{number}"), session)
    path = give_result("one-more")
    with pytest.raises(ResultError, match=f"{MAX_VISITOR_IMPORTS} files are the most"):
        library.take(path, session)
    assert not Path(path).exists()
    assert len(seen(library, [], session)) == MAX_VISITOR_IMPORTS


def test_a_submission_file_holds_the_chosen_row(library: Library, tmp_path: Path, give_result):
    library.take(give_result("mine"), "")
    rows = [r for group in library.board([], "").groups for r in group.rows]
    path = Path(library.submission_file(next(r for r in rows if r.name == "mine")))
    assert path.name == "submission_mine.json"
    assert '"model": "mine"' in path.read_text()
    with pytest.raises(ResultError, match="published row"):
        library.submission_file(rows[0])
    shutil.rmtree(tmp_path / "leaderboard")
    with pytest.raises(ResultError, match="cannot be read"):
        library.submission_file(next(r for r in rows if r.name == "mine"))
