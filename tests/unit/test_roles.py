"""Who is Clean and who is Compromised: told, by name, by card, and never by a part of a name."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from salmu_demo.core.errors import ModelError, QueryError, ResultError
from salmu_demo.hub.reference import OFFICIAL_MODELS
from salmu_demo.leaderboard.board import read_board
from salmu_demo.leaderboard.freshness import Freshness
from salmu_demo.leaderboard.groups import group_rows
from salmu_demo.leaderboard.rows import RowSource, file_rows
from salmu_demo.mini.card import READINGS, model_card
from salmu_demo.models.card import card_role, role_in_card
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.names import distinct_names, distinct_slugs
from salmu_demo.models.references import find_model
from salmu_demo.models.roles import ModelRole, Told, assign_roles, check_told, role_by_name
from salmu_demo.reports.content import build_report
from salmu_demo.reports.figures import report_figures
from salmu_demo.reports.figures.canvas import FigureSheet
from salmu_demo.reports.report import ReportFigure, Table
from salmu_demo.reports.roles import role_styles
from salmu_demo.reports.tables import comparison_csv, comparison_text
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.document import RESULTS_FILE, read_results, write_results
from salmu_demo.results.merging import renamed
from salmu_demo.results.records import Evaluation, MeasuredModel
from salmu_demo.ui.tabs.benchmark.results import pair_choices
from tests.fixtures.results import NAMES, evaluation, evaluations

CLEAN, COMPROMISED = "local-dir:runs/clean", "local-dir:runs/compromised"
FOLDERS = (CLEAN, COMPROMISED, "local-dir:runs/mine")
TOLD = Told(CLEAN, COMPROMISED)


def measured(references: Sequence[str]) -> list[Evaluation]:
    """Evaluations with the numbers of the built-in models of the same place, under other names."""
    return [
        replace(made, model=replace(made.model, reference=reference, name=reference.rpartition("/")[2]))
        for made, reference in zip(evaluations(), references, strict=False)
    ]


def carded(reference: str, role: Any) -> MeasuredModel:
    return MeasuredModel(reference, reference, role=ModelRole(role, "card"))


@pytest.mark.parametrize(
    "reference",
    ["my-clean", "local-dir:my-clean", "local-dir:forgot-from-compromised", "hf-hub:org/clip-Compromised@v1", "clean",
     "local-dir:clean", "local-dir:x/mini-clean", "upload:mini-clean-0a1b", "delta:mini-compromised+mini-clean",
     "mini-clean@v1", "hf-hub:evil/clip-vit-b-16-salmu-clean", "mini-clean ", "MINI-CLEAN"],
)  # fmt: skip
def test_a_part_of_a_name_is_no_role(reference: str):
    assert role_by_name(reference) == ModelRole()


@pytest.mark.parametrize("role", ["clean", "compromised"])
def test_built_in_and_official_names_are_roles_at_every_revision(role: Any):
    repository = OFFICIAL_MODELS[f"official-{role}"]
    names = [f"mini-{role}", f"official-{role}", f"hf-hub:{repository}", f"hf-hub:{repository}@main"]
    # The official evaluator names files so, and such a file says nothing else of its model.
    names.append(f"hf-hub:{repository}".replace("/", "_").replace(":", "_"))
    assert {role_by_name(name) for name in names} == {ModelRole(role, "name")}


def test_a_users_model_called_clean_or_compromised_is_not_anybodys_target():
    analysis = analyse(measured(["local-dir:my-clean", "local-dir:forgot-from-compromised", "local-dir:mine"]))
    assert [role.name for role in analysis.roles] == ["other"] * 3
    assert all(row.target is None for row in analysis.comparison.rows)
    assert all(model.diagnosis is not None for model in analysis.models)
    styles = role_styles([model.reference for model in analysis.comparison.models], analysis.roles)
    assert {style.marker for style in styles} <= {"⬢", "⬟", "✦", "►"}
    assert len({style.marker for style in styles}) == 3


def test_a_model_that_is_renamed_keeps_its_mark():
    analysis = analyse(renamed(evaluations(NAMES), {NAMES[2]: "Ours"}))
    (finetuned,) = role_styles(NAMES[2:], [ModelRole()])
    measured_on_what = build_report(analysis).sections[-1].blocks[0]
    assert isinstance(measured_on_what, Table)
    assert measured_on_what.rows[2][0] == f"{finetuned.marker} Ours"
    assert FigureSheet(analysis.comparison.models, 1.0).styles[2] == finetuned
    assert pair_choices(analysis)[2] == (f"{finetuned.marker} Ours", 2)


def test_told_folders_give_the_numbers_of_built_in_names():
    told, named = analyse(measured(FOLDERS), TOLD), analyse(evaluations())
    assert [(role.name, role.origin) for role in told.roles] == [
        ("clean", "told"), ("compromised", "told"), ("other", None)
    ]  # fmt: skip
    assert [row.target for row in told.comparison.rows] == [row.target for row in named.comparison.rows]
    assert [row.cells for row in told.comparison.rows] == [row.cells for row in named.comparison.rows]
    assert [model.diagnosis for model in told.models] == [model.diagnosis for model in named.models]
    assert told.models[2].positions == named.models[2].positions
    # A name is enough where only one model has it.
    assert analyse(measured(FOLDERS), Told("clean", "compromised")).roles == told.roles


def test_what_is_told_beats_names_and_names_beat_cards_whatever_the_order():
    models = [carded("local-dir:c", "clean"), MeasuredModel("mini-clean", "mini-clean"), MeasuredModel("x", "x")]
    for order in itertools.permutations(models):
        assert order[assign_roles(order).number("clean")].reference == "mini-clean"  # type: ignore[index]
        told = assign_roles(order, Told("x"))
        assert order[told.number("clean")].reference == "x"  # type: ignore[index]
        assert told.number("compromised") is None
        assert len(told.remarks) == 2
    assert assign_roles(models).remarks == (
        "local-dir:c is Clean by its card, but here mini-clean is: it counts as any other model.",
    )
    assert assign_roles(models[:1]).roles == (ModelRole("clean", "card"),)
    # One that is told to be the other reference is not this one as well.
    assert assign_roles(models[1:], Told(None, "mini-clean")).number("clean") is None


def test_nobody_takes_the_place_of_a_told_model_that_could_not_be_measured():
    analysis = analyse(evaluations(), Told("local-dir:gone"))
    assert [role.name for role in analysis.roles] == ["other", "compromised", "other"]
    assert analysis.remarks == [
        "mini-clean is Clean by its name, but here local-dir:gone is: it counts as any other model."
    ]


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (Told("local-dir:gone"), '"local-dir:gone" is told to be Clean and is not among the models'),
        (Told(None, "b" * 5_000_000), "bbb.*is told to be Compromised and is not among"),
        (Told(CLEAN, "clean"), "is told to be both Clean and Compromised; name two different models"),
        (Told("model"), "2 models are called .model.; say which as local-dir:a/model or local-dir:b/model"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(told: Told, sentence: str):
    models = [made.model for made in measured(FOLDERS)]
    models += [MeasuredModel(f"local-dir:{run}/model", "model") for run in "ab"]
    with pytest.raises(QueryError, match=sentence) as refused:
        check_told(models, told)
    assert len(str(refused.value)) < 400
    check_told(models, TOLD)


def test_two_files_that_were_told_different_references_need_a_word():
    first, second = (analyse(measured([reference]), Told(reference)) for reference in (CLEAN, "local-dir:other"))
    both = [first.models[0].evaluation, second.models[0].evaluation]
    with pytest.raises(
        QueryError, match=r"clean and local-dir:other were each told to be Clean .* say which .* --clean"
    ):
        analyse(both)
    chosen = analyse(both, Told("local-dir:other"))
    assert [role.name for role in chosen.roles] == ["other", "clean"]
    assert "clean was told to be Clean when it was measured" in chosen.remarks[0]


# Cards


@pytest.mark.parametrize(
    ("card", "role"),
    [
        ("---\nsalmu_role: clean\n---\n", "clean"),
        ("---\r\nlicense: mit\r\nsalmu_role:   'compromised'  # mine\r\n---\r\n", "compromised"),
        ('\ufeff---\nsalmu_role: "unlearned"\n---', "unlearned"),
        ("# A model\nsalmu_role: clean\n", None),
        ("---\nlicense: mit\n---\nsalmu_role: clean\n", None),
        ("---\nother:\n  salmu_role: clean\n---\n", None),
        ("---\nsalmu_role: clean\n", None),
        ("", None),
    ],
)
def test_the_front_matter_of_a_card_names_a_role(card: str, role: str | None):
    assert role_in_card(card) == role


def test_a_card_is_read_within_its_folder_up_to_a_size_and_checked(tmp_path: Path):
    def written(content: bytes) -> Path:
        (tmp_path / "README.md").write_bytes(content)
        return tmp_path

    assert card_role(tmp_path) is None
    assert card_role(written(b"---\nsalmu_role: clean\n---\n\xff" + b"x" * 1_000_000)) == "clean"
    assert card_role(written(b"---\n" + b"x: y\n" * 100_000 + b"salmu_role: clean\n---\n")) is None
    with pytest.raises(ModelError, match=r"README\.md says salmu_role: 'cleen'; write one of clean, compromised"):
        card_role(written(b"---\nsalmu_role: cleen\n---\n"))
    with pytest.raises(ModelError) as refused:
        card_role(written(b"---\nsalmu_role: " + b"a" * 50_000 + b"\n---\n"))
    assert len(str(refused.value)) < 300
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "README.md").symlink_to(written(b"---\nsalmu_role: clean\n---\n") / "README.md")
    assert card_role(outside) is None


# What tables and files say


@pytest.fixture(scope="module")
def told() -> Analysis:
    return analyse(measured(FOLDERS), TOLD)


def test_the_heads_of_tables_say_who_is_who(told: Analysis):
    text = comparison_text(told.comparison).splitlines()
    assert text[1].split("  ")[-1] == "Compromised reference (as told)"
    assert "Clean reference (as told)" in text[1]
    report = build_report(told)
    headers = [block.header for section in report.sections for block in section.blocks if hasattr(block, "header")]
    assert any("clean · Clean reference (as told)" in header for header in headers)
    rows = [row for section in report.sections for block in section.blocks for row in getattr(block, "rows", ())]
    assert any("● clean · Clean reference (as told)" in row for row in rows)
    line = comparison_csv(told).splitlines()[1]
    assert ",clean,told," in line
    labels = {
        label.get_text()
        for figure in report_figures(told)
        if isinstance(figure, ReportFigure)
        for label in figure.draw().legends[0].get_texts()
    }
    assert {"clean, Clean reference (as told)", "mine"} <= labels


def test_results_record_roles_and_say_the_same_when_they_are_read_again(told: Analysis, tmp_path: Path):
    paths = write_results(told, tmp_path)
    roles = [entry["model"]["role"] for entry in json.loads(paths[0].read_text("utf-8"))["models"]]
    assert roles[0] == {"name": "clean", "origin": "told", "refused": None}
    again = analyse(read_results(tmp_path / RESULTS_FILE))
    assert again.roles == told.roles
    assert [row.target for row in again.comparison.rows] == [row.target for row in told.comparison.rows]
    [alone] = read_results(paths[1])
    assert alone.model.own_role == ModelRole("clean", "told")


def test_a_refused_role_is_recorded_and_remarked_when_read_again(tmp_path: Path):
    made = [*evaluations()[:2], *measured(["local-dir:better"])]
    analysis = analyse(made, Told("local-dir:better"))
    write_results(analysis, tmp_path)
    again = analyse(read_results(tmp_path / RESULTS_FILE))
    assert again.roles == analysis.roles
    assert again.roles[0] == ModelRole("other", "name", "clean")
    assert again.remarks == analysis.remarks
    assert "mini-clean is Clean by its name, but here local-dir:better is" in again.remarks[0]


def test_a_file_without_roles_falls_back_to_names(told: Analysis, tmp_path: Path):
    for references, expected in ((FOLDERS, ["other"] * 3), (("mini-clean", "my-compromised"), ["clean", "other"])):
        path = write_results(analyse(measured(references)), tmp_path)[0]
        document = json.loads(path.read_text("utf-8"))
        for entry in document["models"]:
            del entry["model"]["role"]
        path.write_text(json.dumps(document), "utf-8")
        assert [role.name for role in analyse(read_results(path)).roles] == expected


@pytest.mark.parametrize(
    ("role", "sentence"),
    [
        ("clean", 'model.role is "clean"; it must be an object'),
        (
            {"name": "boss"},
            "name is \"boss\"; it must be 'clean', 'compromised', 'gold', 'unlearned' or 'other'",
        ),
        ({"name": "clean", "origin": 1}, "model.role.origin is 1; it must be"),
        ({"name": "other", "refused": "other"}, 'model.role.refused is "other"; it must be'),
    ],
)
def test_recorded_roles_are_checked(told: Analysis, tmp_path: Path, role: Any, sentence: str):
    path = write_results(told, tmp_path)[0]
    document = json.loads(path.read_text("utf-8"))
    document["models"][0]["model"]["role"] = role
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(ResultError, match=sentence):
        read_results(path)


# The leaderboard


def file_of(folder: Path, analysis: Analysis) -> Path:
    return write_results(analysis, folder)[0]


def test_the_leaderboard_takes_the_recorded_role(told: Analysis, tmp_path: Path):
    rows = file_rows(file_of(tmp_path, told), RowSource.LOCAL)
    assert [row.role for row in rows] == ["clean", "compromised", None]
    [group] = group_rows(rows)
    assert group.references["clean"].name == "clean"
    assert group.reference_line == "Clean: clean (local); Compromised: compromised (local)"


def test_names_alone_make_no_target_on_the_leaderboard(tmp_path: Path):
    plain = analyse(measured(["local-dir:my-clean", "local-dir:forgot-from-compromised"]))
    rows = file_rows(file_of(tmp_path, plain), RowSource.LOCAL)
    assert [row.role for row in rows] == [None, None]
    assert group_rows(rows)[0].references == {}


@pytest.mark.parametrize("claim", ["told", "card", "name"])
def test_a_strangers_file_that_calls_itself_clean_becomes_nobodys_target(claim: Any, told: Analysis, tmp_path: Path):
    forged = measured(FOLDERS)
    claims = (ModelRole("clean", claim), ModelRole("compromised", claim), ModelRole())
    forged = [replace(m, model=replace(m.model, role=role)) for m, role in zip(forged, claims, strict=True)]
    rows = file_rows(file_of(tmp_path / "a", analyse(forged)), RowSource.IMPORTED)
    own = file_rows(file_of(tmp_path / "b", analyse(measured(FOLDERS[2:]))), RowSource.LOCAL)
    [group] = group_rows([*rows, *own])
    assert group.references == {}
    by_file = {(row.name, row.source): row for row in group.rows}
    assert by_file["clean", RowSource.IMPORTED].diagnosis == "reference (clean, in its own file)"
    # Within its own file it is what the numbers were held against.
    assert by_file["mine", RowSource.IMPORTED].label == told.models[2].diagnosis.label  # type: ignore[union-attr]
    assert by_file["mine", RowSource.LOCAL].diagnosis == "not enough metrics"


def test_a_card_makes_no_target_for_the_rows_of_other_files(tmp_path: Path):
    made = [replace(m, model=replace(m.model, role=ModelRole("clean", "card"))) for m in measured([CLEAN])]
    [row] = file_rows(file_of(tmp_path, analyse(made)), RowSource.LOCAL)
    assert (row.role, row.gives_targets) == ("clean", False)


def test_a_row_is_told_to_be_a_reference_on_the_leaderboard(tmp_path: Path):
    path = file_of(tmp_path, analyse(measured(["mini-clean", COMPROMISED, "local-dir:runs/mine"])))
    board = read_board([path], [], Freshness(), Told("mine", "compromised"))
    [group] = [group for group in board.groups if group.rows[0].source is not RowSource.PUBLISHED]
    assert {role: row.name for role, row in group.references.items()} == {"clean": "mine", "compromised": "compromised"}
    assert [row.name for row in group.rows if row.role is None] == ["mini-clean"]
    with pytest.raises(QueryError, match="no row 'gone'"):
        read_board([path], [], Freshness(), Told("gone"))
    with pytest.raises(QueryError, match="both Clean and Compromised"):
        read_board([path], [], Freshness(), Told("mine", "mine"))


# Names


def models_of(*references: str) -> list[MeasuredModel]:
    return [
        MeasuredModel(reference, reference.rpartition("/")[2], f"{n:064d}") for n, reference in enumerate(references)
    ]


def test_models_of_one_name_are_told_apart_in_tables_and_reports():
    names = ["local-dir:a/run/model", "local-dir:b/run/model", "local-dir:c/model", "local-dir:other"]
    shown = dict(zip(names, distinct_names(models_of(*names)), strict=True))
    assert list(shown.values()) == ["a/run/model", "b/run/model", "c/model", "local-dir:other"]
    for order in itertools.permutations(names):
        assert dict(zip(order, distinct_names(models_of(*order)), strict=True)) == shown
    saved_again = [MeasuredModel("local-dir:a/model", "model", digit * 64) for digit in "12"]
    assert distinct_names(saved_again) == ["model (11111111)", "model (22222222)"]
    # One that is built in keeps its name.
    assert distinct_names(models_of("mini-clean", "local-dir:x/mini-clean")) == ["mini-clean", "x/mini-clean"]
    analysis = analyse(measured(["local-dir:a/model", "local-dir:b/model"]))
    assert analysis.names == ["a/model", "b/model"]
    assert "a/model" in comparison_text(analysis.comparison).splitlines()[0]
    assert analyse([model.evaluation for model in analysis.models]).names == analysis.names


def test_models_that_agree_up_to_the_dot_get_result_files_of_their_own(tmp_path: Path):
    references = ["local-dir:runs/v1.0", "local-dir:runs/v1.1", "local-dir:runs/v2"]
    slugs = dict(zip(references, distinct_slugs(models_of(*references)), strict=True))
    assert len(set(slugs.values())) == 3
    assert slugs[references[2]] == "local-dir_runs_v2"
    assert all(slug.startswith("local-dir_runs_v1_") for slug in list(slugs.values())[:2])
    for order in itertools.permutations(references):
        assert dict(zip(order, distinct_slugs(models_of(*order)), strict=True)) == slugs
    paths = write_results(analyse(measured(references)), tmp_path)
    assert [path.name for path in paths[1:]] == [f"evaluation_{slug}.json" for slug in slugs.values()]
    assert [read_results(path)[0].model.reference for path in paths[1:]] == references


def test_long_names_are_cut_and_still_told_apart(tmp_path: Path):
    references = [f"local-dir:{'x' * 300}/{end}" for end in "ab"]
    paths = write_results(analyse(measured(references)), tmp_path)
    assert len({path.name for path in paths}) == 3
    [alone] = write_results(analyse([evaluation("y" * 300)]), tmp_path / "alone")[1:]
    assert alone.name == f"evaluation_{'y' * 180}.json"


@pytest.mark.usefixtures("shipped_assets")
def test_what_training_and_unlearning_write_says_what_it_is():
    log: dict[str, Any] = {"pairs": 4, "recipe": {}, "curve": [dict.fromkeys(READINGS, 0.5)]}
    holdouts = ["holdout_association", "holdout_identity"]
    for seen, role in (([], "clean"), (["forget", *holdouts], "compromised"), (holdouts, "gold")):
        assert role_in_card(model_card("any-name", {**log, "sensitive_pairs": 2, "sensitive_splits": seen})) == role
    for name in builtin_models():
        role = role_by_name(name).name
        assert find_model(name).card_role == (role if role != "other" else "unlearned")
