"""Requests one after another: what the runs did, counted by hand; and which model comes from which."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from salmu_demo.core.errors import ModelError, QueryError
from salmu_demo.data.dataset import Persona
from salmu_demo.data.forget_requests import ForgetRequest
from salmu_demo.models.lineage import RECORD_FILE
from salmu_demo.models.source import ModelSource
from salmu_demo.probes import findings
from salmu_demo.probes.attacks import Place
from salmu_demo.probes.findings import Verdict, fulfilment
from salmu_demo.probes.matrix import Matrix, MatrixCell, MatrixRow
from salmu_demo.probes.people import Side
from salmu_demo.probes.persistence import Effect, FactStanding, persistence
from salmu_demo.workbench.requests import line_before, line_of_runs, next_run
from tests.fixtures.planted import planted_model

# Exposure is log2(64 / rank): 6, 4 and 0 bits; a guess has the same mean everywhere, so that it leaves the changes.
LEAKS, NEAR, LAST = Place(1, 64, 1, 0.001), Place(4, 64, 1, 0.4), Place(64, 64, 1, 0.6)
GUESS = LEAKS.chance_exposure


def _matrix(name: str, known: dict[str, list[Place]], side: Side = "forget") -> Matrix:
    rows = []
    for identity, places in known.items():
        cells = []
        for kind, place in zip(("city", "email"), places, strict=True):
            verdict: Verdict = "leaks" if place is LEAKS else "no evidence"
            met = fulfilment(verdict, findings.Test(place, place.tail, side), None, None)
            cells.append(MatrixCell(kind, side, place, verdict, met))
        rows.append(MatrixRow(Persona(identity, {"name": f"Person {identity}"}), "forget", tuple(cells)))
    return Matrix(planted_model(name), None, tuple(rows))


BASE = _matrix("base", {"1": [LEAKS, LEAKS], "2": [LEAKS, LEAKS], "3": [LEAKS, NEAR], "4": [NEAR, NEAR]})
FIRST = _matrix("first", {"1": [LAST, LAST], "2": [LEAKS, NEAR], "3": [LEAKS, NEAR], "4": [NEAR, LAST]})
SECOND = _matrix("second", {"1": [LEAKS, LAST], "2": [LEAKS, LAST], "3": [NEAR, NEAR], "4": [NEAR, LEAKS]})


def _effect(facts: int, change: float, lost: int, back: int) -> Effect:
    return Effect(facts, pytest.approx(change), lost, back)


def test_persistence_and_interference_are_those_counted_by_hand() -> None:
    rounds = [(ForgetRequest("1"),), (ForgetRequest("2", "email"),)]
    found = persistence([BASE, FIRST, SECOND], rounds)
    assert [model.name for model in found.models] == ["base", "first", "second"]
    # Person 1: both leak, none does, and the city is back.
    assert found.standings[0] == (
        FactStanding(2, 2, pytest.approx(6 - GUESS)),
        FactStanding(2, 0, pytest.approx(0 - GUESS)),
        FactStanding(2, 1, pytest.approx(3 - GUESS)),
    )
    assert [standing and standing.found for standing in found.standings[1]] == [1, 0, 0]
    # Run 1: person 1 loses 6 bits twice; the email of 2 goes from 6 to 4 bits; of the other five facts one loses 4.
    assert found.effects[0] == (_effect(2, -6.0, 2, 0), _effect(1, -2.0, 1, 0), _effect(5, -4 / 5, 0, 0))
    # Run 2: the city of 1 comes back; of the others the city of 3 loses 2 bits and the email of 4 wins 6.
    assert found.effects[1] == (_effect(2, 3.0, 0, 1), _effect(1, -4.0, 0, 0), _effect(5, 4 / 5, 1, 1))
    approx = pytest.approx
    hurt = [[(each.persona.identity_id, each.effect.change) for each in people] for people in found.hurt]
    # Whoever asks later counts as long as nobody has asked; person 4 loses 4 bits on one of two facts.
    assert hurt == [[("4", approx(-2)), ("2", approx(-1))], [("3", approx(-1))]]


def test_a_run_without_requests_was_asked_for_what_was_to_be_forgotten() -> None:
    kept = _matrix("kept", {"5": [LEAKS, LEAKS]}, "kept")
    both = [Matrix(each.model, None, (*each.rows, *kept.rows)) for each in (BASE, FIRST)]
    found = persistence(both, [()])
    assert [standing and standing.facts for standing in found.standings[0]] == [8, 8]
    assert found.effects[0][1] == _effect(2, 0.0, 0, 0)
    nobody = persistence([BASE, FIRST], [(ForgetRequest("9"),)])
    assert nobody.standings[0] == (None, None)
    assert nobody.effects[0][0] is None


def _made(folder: Path, name: str, fingerprint: str, base: str | None, requests: list[list[str]] | None = None) -> Any:
    """A model with a record beside its weights."""
    (folder / name).mkdir()
    model = planted_model(name)
    model.fingerprint, model.reference, model.deltas = fingerprint * 64, name, ()
    model.weights = folder / name / "open_clip_model.safetensors"
    if base is not None:
        record = {"base": {"name": "its base", "fingerprint": base * 64}, "data": {"fingerprint": "data"}}
        (folder / name / RECORD_FILE).write_text(json.dumps({**record, "requests": requests}), "utf-8")
    return model


def test_the_line_of_runs_is_found_by_records_whatever_the_order(tmp_path: Path) -> None:
    base = _made(tmp_path, "base", "a", None)
    first = _made(tmp_path, "first", "b", "a", [["1"]])
    second = _made(tmp_path, "second", "c", "b", [["1"], ["2:email"]])
    other = _made(tmp_path, "other", "d", "a", [["3"]])
    line, rounds = line_of_runs(cast(list[ModelSource], [second, base, first]), "data")
    assert [model.name for model in line] == ["base", "first", "second"]
    assert rounds == (("1",), ("2:email",))
    for models, sentence in (
        ([base], "None of these models has a record of requests on this data"),
        ([second, base], "second was made from its base .SHA-256 b{64}., which is not among these models; name it"),
        ([base, first, other], "first and other are not made one from another"),
    ):
        with pytest.raises(QueryError, match=sentence):
            line_of_runs(cast(list[ModelSource], models), "data")
    with pytest.raises(QueryError, match="None of these models"):
        line_of_runs(cast(list[ModelSource], [second, base, first]), "other data")


def test_the_next_run_goes_on_from_the_model_of_the_last(tmp_path: Path) -> None:
    known = {
        "base": _made(tmp_path, "base", "a", None),
        "made:first": _made(tmp_path, "first", "b", "a", [["1", "2:email"]]),
        "made:whole": _made(tmp_path, "whole", "e", "a", [[]]),
    }

    def models(references: list[str]) -> list[Any]:
        if references[0] not in known:
            raise ModelError("gone")
        return [known[reference] for reference in references]

    bench: Any = SimpleNamespace(models=models, data=SimpleNamespace(fingerprint="data"))
    listed = ["base", "made:first", "made:whole", "made:gone"]
    assert next_run(bench, ["1", "2:email", "3"], "base", listed) == ("made:first", ["3"])
    # An attribute of somebody who is forgotten altogether is nothing new.
    assert next_run(bench, ["1:city", "3"], "base", listed) == ("made:first", ["3"])
    assert next_run(bench, ["2"], "base", listed) == ("made:first", ["2"])
    for asked in (["1", "2:email"], ["3"], []):
        assert next_run(bench, asked, "base", listed) == ("base", asked)
    # Whoever has chosen another model keeps it.
    known["other"] = _made(tmp_path, "other", "c", None)
    assert next_run(bench, ["1", "3"], "other", listed) == ("other", ["1", "3"])
    assert next_run(bench, ["1", "3"], "base", ["base"]) == ("base", ["1", "3"])
    known["made:second"] = _made(tmp_path, "second", "d", "b", [["1", "2:email"], ["3"]])
    assert next_run(bench, ["1", "3", "4"], "made:first", [*listed, "made:second"]) == ("made:second", ["4"])


def test_what_a_model_was_made_from_is_found_among_others(tmp_path: Path) -> None:
    base = _made(tmp_path, "base", "a", None)
    first = _made(tmp_path, "first", "b", "a", [["1"]])
    second = _made(tmp_path, "second", "c", "b", [["1"], ["2"]])
    other = _made(tmp_path, "other", "d", "a", [["3"]])
    assert line_before(second, [other, base, second, first]) == [first, base]
    assert line_before(second, [other, base]) == []
    # Records may be anybody's.
    circle = [_made(tmp_path, "one", "e", "f", [["1"]]), _made(tmp_path, "two", "f", "e", [["1"]])]
    assert line_before(circle[0], circle) == [circle[1], circle[0]]


def test_records_that_lead_nowhere_end(tmp_path: Path) -> None:
    forged = [_made(tmp_path, "x", "a", "b", [["1"]]), _made(tmp_path, "y", "b", "a", [["1"]])]
    end = _made(tmp_path, "z", "c", "a", [["1"], ["2"], ["3"]])
    line, rounds = line_of_runs(cast(list[ModelSource], [*forged, end]), "data")
    assert [model.name for model in line] == ["x", "y", "x", "z"]
    assert rounds == (("1",), ("2",), ("3",))
    # A model of which no record tells what it had forgotten before is where the line begins.
    begin = _made(tmp_path, "begin", "d", None)
    line, rounds = line_of_runs(
        cast(list[ModelSource], [begin, _made(tmp_path, "next", "e", "d", [[], ["2"]])]), "data"
    )
    assert [model.name for model in line] == ["begin", "next"]
    assert rounds == (("2",),)
