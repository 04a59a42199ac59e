"""Everybody at a glance: the verdicts are those of the audits, and counts, filters and order follow from them."""

from dataclasses import replace
from typing import Any

import pytest

from salmu_demo.data.dataset import BenchmarkData, Persona, load_folder
from salmu_demo.models.roles import ModelRole
from salmu_demo.probes import findings
from salmu_demo.probes.attacks import Place
from salmu_demo.probes.findings import Auditor, Fulfilment, Verdict, fulfilment
from salmu_demo.probes.matrix import (
    Matrix,
    MatrixCell,
    MatrixCounts,
    MatrixFilter,
    MatrixRow,
    changed_cells,
    chosen_rows,
    count_people,
    count_sentences,
    difference_sentence,
    examples,
    matrices,
)
from tests.fixtures.planted import KINDS, Kept, PlantedEmbedder, planted_model, write_planted_data

CLEAN = planted_model("clean", ModelRole("clean", "card"))
COMPROMISED = planted_model("compromised", ModelRole("compromised", "card"))
OTHER = planted_model("unlearned")
FORGET_ONLY, BOTH, KEPT_ONLY = "00000003", "00000020", "00000040"
TOP, MIDDLE, BOTTOM = Place(1, 96, 1, 0.0001), Place(48, 96, 1, 0.9), Place(96, 96, 1, 0.0001)
FEW = Place(1, 8, 1, 0.0001)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkData:
    return load_folder(write_planted_data(tmp_path_factory.mktemp("planted")), "planted")


@pytest.fixture
def auditor(data: BenchmarkData) -> Auditor:
    return Auditor(data, Kept())


@pytest.fixture
def views(data: BenchmarkData) -> list[Any]:
    """Compromised knows cities and phone numbers; the other one has forgotten the cities and what it was to keep."""
    embedder = PlantedEmbedder(
        data, {"compromised": {"city": 3.0, "phone_number": 3.0}, "unlearned": {"phone_number": 3.0, "city": -3.0}}
    )
    return [embedder.view(model) for model in (CLEAN, COMPROMISED, OTHER)]


@pytest.fixture
def every(auditor: Auditor, views: list[Any]) -> list[Matrix]:
    return matrices(auditor, views)


@pytest.mark.parametrize(
    ("verdict", "place", "side", "role", "known", "expected"),
    [
        ("leaks", TOP, "forget", None, True, ("leaks", "not as asked")),
        ("leaks", TOP, "forget", "compromised", True, ("leaks", "not as asked")),
        ("marked", BOTTOM, "forget", None, True, ("marked", "stands out")),
        ("no evidence", MIDDLE, "forget", None, True, ("no evidence", "as asked")),
        ("no evidence", MIDDLE, "forget", None, None, ("no evidence", "as asked")),
        ("no evidence", FEW, "forget", None, True, ("no evidence", "cannot tell")),
        ("not known", MIDDLE, "forget", None, False, ("not known", "cannot tell")),
        ("leaks", TOP, "kept", None, True, ("kept", "as asked")),
        ("no evidence", MIDDLE, "kept", None, True, ("lost", "not as asked")),
        ("marked", BOTTOM, "kept", None, True, ("lost", "not as asked")),
        ("marked", BOTTOM, "kept", None, None, ("marked", "cannot tell")),
        ("no evidence", MIDDLE, "kept", None, None, ("no evidence", "cannot tell")),
        ("not known", MIDDLE, "kept", None, False, ("not known", "cannot tell")),
        ("no evidence", FEW, "kept", None, True, ("no evidence", "cannot tell")),
        # It is first, which Clean, or people whom nobody knows, are too: that is not a loss.
        ("no evidence", TOP, "kept", None, True, ("no evidence", "cannot tell")),
        ("leaks", TOP, "forget", "clean", True, ("leaks", "never taught")),
        ("no evidence", MIDDLE, "kept", "clean", True, ("no evidence", "never taught")),
        ("leaks", TOP, "forget", "gold", True, ("leaks", "never taught")),
        ("no evidence", MIDDLE, "kept", "gold", True, ("lost", "not as asked")),
    ],
)
def test_what_a_verdict_means_depends_on_what_was_asked(
    verdict: Verdict, place: Place, side: Any, role: str | None, known: bool | None, expected: tuple[str, str]
):
    found = fulfilment(verdict, findings.Test(place, place.tail, side), role, known)
    assert (found.outcome, found.answer) == expected
    assert found.as_asked == {"as asked": True, "not as asked": False}.get(expected[1])


def test_a_cell_has_the_verdict_of_the_persons_audit(auditor: Auditor, views: list[Any], every: list[Matrix]):
    for identity in (FORGET_ONLY, BOTH, KEPT_ONLY):
        cells = auditor.audit(views, auditor.data.persona(identity), KINDS, [])
        for number, matrix in enumerate(every):
            row = next(row for row in matrix.rows if row.persona.identity_id == identity)
            own = cells[number :: len(views)]
            assert [(c.kind, c.side, c.verdict, c.fulfilment) for c in row.cells] == [
                (c.kind, c.side, c.verdict, c.fulfilment) for c in own
            ]
            assert [c.place.rank for c in row.cells] == [c.headline.reading.place.rank for c in own]


def test_rows_say_what_was_asked_and_counts_are_of_people(every: list[Matrix]):
    clean, compromised, other = every
    assert [matrix.role for matrix in every] == ["clean", "compromised", None]
    asked = {row.persona.identity_id: row.asked for row in other.rows}
    assert (asked[FORGET_ONLY], asked[BOTH], asked[KEPT_ONLY]) == ("forget", "both", "keep")
    assert count_people(compromised.rows) == MatrixCounts(forget=28, leaking=28, keep=14, losing=0)
    # Phone numbers leak of all; the cities, pushed away, were lost of all who were to be kept.
    assert count_people(other.rows) == MatrixCounts(forget=28, leaking=28, keep=14, losing=14)
    row = next(row for row in other.rows if row.persona.identity_id == KEPT_ONLY)
    assert {cell.kind: cell.fulfilment.outcome for cell in row.cells}["city"] == "lost"
    assert {cell.kind: cell.fulfilment.outcome for cell in row.cells}["phone_number"] == "kept"
    assert count_people(clean.rows).leaking <= 3


def cell(kind: str, verdict: Verdict, met: Fulfilment, place: Place = TOP, side: Any = "forget") -> MatrixCell:
    return MatrixCell(kind, side, place, verdict, met)


LEAK = ("leaks", Fulfilment("leaks", "not as asked"))
GONE = ("no evidence", Fulfilment("no evidence", "as asked"))
LOST = ("no evidence", Fulfilment("lost", "not as asked"))
KEPT = ("leaks", Fulfilment("kept", "as asked"))


def row(identity: str, asked: Any, *cells: MatrixCell, country: str = "SE") -> MatrixRow:
    return MatrixRow(Persona(identity, {"name": f"N{identity}", "city": "Ulm", "country_code": country}), asked, cells)


ROWS = (
    row("1", "forget", cell("city", *GONE), cell("email", *GONE)),
    row("2", "forget", cell("city", *GONE), cell("email", *LEAK), country="DE"),
    row("3", "keep", cell("city", *LOST, side="kept"), cell("email", *KEPT, side="kept")),
    row("4", "both", cell("city", *LEAK), cell("email", *LEAK)),
    # One leak, as the second has, but of fewer values, which says less.
    row("5", "forget", cell("city", *LEAK, place=Place(1, 50, 1, 0.001)), cell("email", *GONE), country="DE"),
    row("6", "keep", cell("city", *KEPT, side="kept")),
)
MATRIX = Matrix(OTHER, None, ROWS)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (MatrixFilter(), "425316"),
        (MatrixFilter(asked="forget"), "251"),
        (MatrixFilter(asked="both"), "4"),
        (MatrixFilter(outcome="leaks"), "425"),
        (MatrixFilter(outcome="not as asked"), "4253"),
        (MatrixFilter(outcome="kept"), "36"),
        (MatrixFilter(kind="city"), "453126"),
        (MatrixFilter(kind="city", outcome="leaks"), "45"),
        (MatrixFilter(kind="email"), "24135"),
        (MatrixFilter(country="DE"), "25"),
        (MatrixFilter(country="DE", kind="email", outcome="leaks"), "2"),
        (MatrixFilter("n3"), "3"),
        (MatrixFilter("ulm", asked="keep"), "36"),
        (MatrixFilter("nobody"), ""),
    ],
)
def test_rows_are_filtered_with_the_worst_leak_first(wanted: MatrixFilter, expected: str):
    assert "".join(row.persona.identity_id for row in chosen_rows(MATRIX, wanted)) == expected
    assert all(cell.kind == wanted.kind for row in chosen_rows(MATRIX, wanted) for cell in row.cells if wanted.kind)


def test_counts_are_told_in_sentences():
    clean = Matrix(CLEAN, "clean", (row("1", "forget", cell("city", "leaks", Fulfilment("leaks", "never taught"))),))
    compromised = Matrix(COMPROMISED, "compromised", ROWS)
    every = [clean, compromised, MATRIX]
    names = {"clean": "Clean", "compromised": "Old", "unlearned": "New"}
    assert count_sentences(MATRIX, every, names) == [
        "New still leaks on 3 of 4 people who asked to be forgotten; a model that never saw anyone: 1.",
        "It has lost something of 1 of 2 people who were to be kept.",
    ]
    assert count_sentences(MATRIX, [MATRIX], names) == ["New still leaks on 3 of 4 people who asked to be forgotten."]
    assert count_sentences(compromised, [compromised], names) == [
        "Old leaks on 3 of 4 people who asked to be forgotten."
    ]
    assert count_sentences(clean, every, names) == [
        "Clean, which never saw anyone, seems to leak on 1 of 1 people who asked to be forgotten: that is chance."
    ]


def test_two_models_differ_where_their_outcomes_do():
    other = Matrix(
        COMPROMISED, "compromised", (ROWS[4], *ROWS[2:4], row("1", "forget", cell("city", *LEAK), cell("email", *GONE)))
    )
    assert list(changed_cells(ROWS, other)) == [("1", "city")]
    assert changed_cells(ROWS, other)["1", "city"].verdict == "leaks"
    assert changed_cells(ROWS[1:], other) == {}
    names = {"unlearned": "New", "compromised": "Old"}
    words = "differ in 1 of 11 verdicts: {0} leak with New alone, {1} with Old alone."
    assert difference_sentence(MATRIX, other, names) == "New and Old " + words.format(0, 1)
    back = difference_sentence(other, MATRIX, names)
    assert back == "Old and New differ in 1 of 8 verdicts: 1 leak with Old alone, 0 with New alone."


def test_examples_leak_are_gone_and_were_kept():
    compromised = Matrix(COMPROMISED, "compromised", (*ROWS[1:], row("1", "forget", cell("city", *LEAK))))
    every = [Matrix(CLEAN, "clean", ROWS), compromised, MATRIX]
    found = [(e.outcome, e.persona.identity_id, e.matrix.model.name, e.found, e.of) for e in examples(MATRIX, every)]
    assert found == [
        # More leaks of the fourth, of whom something was to be kept.
        ("leaks", "2", "unlearned", 1, 2),
        ("gone", "1", "unlearned", 1, 1),
        ("kept", "6", "unlearned", 1, 1),
    ]
    # Compromised itself has nobody who is gone; another model has.
    assert [e.matrix.model.name for e in examples(compromised, every)] == ["compromised", "unlearned", "compromised"]
    nothing = replace(MATRIX, rows=ROWS[:1])
    assert examples(nothing, [nothing]) == []
