"""Results as files: what is written is read back bit for bit, and what strangers hand in is checked."""

import codecs
import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from salmu_demo.core.errors import ResultError
from salmu_demo.metrics import MetricResult
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import RESULTS_FILE, read_results, results_document, write_results
from salmu_demo.results.records import Evaluation
from tests.fixtures.results import NAMES, evaluation, evaluations

REMARK = "weights.safetensors has the tensors of two architectures."


def equal(first: MetricResult, second: MetricResult) -> bool:
    return all(
        np.array_equal(getattr(first, f.name), getattr(second, f.name)) if getattr(first, f.name) is not None
        else getattr(second, f.name) is None
        for f in fields(MetricResult)
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_results(analyse([with_remark(made) for made in evaluations()]), folder)
    return folder


def with_remark(made: Evaluation) -> Evaluation:
    return replace(made, model=replace(made.model, remarks=(REMARK,)))


def with_role(made: Evaluation) -> Evaluation:
    return replace(made, model=replace(made.model, role=made.model.own_role))


def test_what_is_written_is_read_back_to_the_last_bit(written: Path):
    for before, after in zip(evaluations(), read_results(written / RESULTS_FILE), strict=True):
        assert after.model == with_role(with_remark(before)).model
        assert after.data == before.data
        assert after.made == before.made
        assert list(after.results) == list(before.results)
        assert all(equal(after.results[name], before.results[name]) for name in before.results)
        assert {name: list(rows.identities) for name, rows in after.rows.items()} == {
            name: list(rows.identities) for name, rows in before.rows.items()
        }


def test_an_official_file_gives_values_and_the_outcomes_it_lists_but_no_rows(written: Path):
    (read,) = read_results(written / f"evaluation_{NAMES[1]}.json")
    wanted = evaluations()[1]
    assert read.model == with_role(with_remark(wanted)).model
    assert read.made == wanted.made
    assert {name: r.value for name, r in read.results.items()} == {
        name: r.value for name, r in wanted.results.items() if r.spec.official
    }
    assert np.array_equal(read.results["RetFail"].ranks, wanted.results["RetFail"].ranks)
    assert np.array_equal(read.results["AssocStr"].scores, wanted.results["AssocStr"].scores)
    assert read.identities("AssocStr") is None


def test_a_file_of_a_version_without_remarks_and_roles_is_read(written: Path, tmp_path: Path):
    document = json.loads((written / RESULTS_FILE).read_text("utf-8"))
    for entry in document["models"]:
        del entry["model"]["remarks"], entry["model"]["role"], entry["made"]["measured_by"]
    path = tmp_path / RESULTS_FILE
    path.write_text(json.dumps(document), "utf-8")
    assert [made.model for made in read_results(path)] == [made.model for made in evaluations()]
    assert {made.made.measured_by for made in read_results(path)} == {""}


def test_a_file_with_a_byte_order_mark_is_read(written: Path, tmp_path: Path):
    for path in written.glob("*.json"):
        marked = tmp_path / path.name
        marked.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
        assert [made.model for made in read_results(marked)] == [made.model for made in read_results(path)]


def test_an_official_file_of_another_program_takes_its_name_from_the_file(tmp_path: Path):
    path = tmp_path / "evaluation_org_model.json"
    path.write_text(json.dumps({"efficacy": {"1.2_AssocStr": {"mean": 0.25}}, "utility": {}}))
    (read,) = read_results(path)
    assert read.model.name == "org_model"
    assert read.model.fingerprint is None
    assert read.value("AssocStr") == 0.25


def test_two_models_with_one_official_name_get_files_of_their_own(tmp_path: Path):
    first = evaluation("mini-clean")
    second = replace(first, model=replace(first.model, fingerprint="other"))
    names = [path.name for path in write_results(analyse([first, second]), tmp_path)]
    assert len(set(names)) == 3
    # None of them is called as if it were the only one, whatever their order.
    assert "evaluation_mini-clean.json" not in names
    again = [path.name for path in write_results(analyse([second, first]), tmp_path)]
    assert again == [names[0], names[2], names[1]]


def _set(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_set("version", value=99), "version is 99; this program reads version 1"),
        (_set("models", value=[]), "holds no model"),
        (_set("models", 0, "model", "name", value=5), "models\\[0\\].model.name is 5; it must be a string"),
        (_set("models", 0, "model", "remarks", value="one"), 'model.remarks is "one"; it must be a list'),
        (_set("models", 0, "model", "remarks", value=["", 1]), r"model.remarks\[1\] is 1; it must be a string"),
        (
            _set("models", 0, "metrics", "ACS", "value", value=float("nan")),
            "ACS.value is nan; it must be a finite number",
        ),
        (_set("models", 0, "metrics", "ACS", "value", value=7), "ACS.value is 7; it must lie between -1 and 1"),
        (_set("models", 0, "metrics", "ACS", "scores", value="many"), 'ACS.scores is "many"; it must be a list'),
        (_set("models", 0, "metrics", "ACS", "scores", value=[0.5]), "ACS has lists of different lengths"),
        (_set("models", 0, "metrics", "ACS", "scores", 0, value=1e300), "ACS.scores has a number that does not lie"),
        (_set("models", 0, "metrics", "ACS", "rows", 0, value=10**6), "ACS.rows names rows that forget does not have"),
        (_set("models", 0, "metrics", "ACS", "rows", 0, value=-1), "ACS.rows names rows that forget does not have"),
        (_set("models", 0, "metrics", "RetFail", "ranks", 0, value=0), "RetFail.ranks has a rank below 1"),
        (_set("models", 0, "metrics", "RetFail", "candidates", 0, value=0), "rank above the number of candidates"),
        (_set("rows", "forget", "texts", value=["one"]), "rows.forget has columns of different lengths"),
        (_set("rows", "forget", "kinds", 0, value={}), r"rows.forget.kinds\[0\] is {}; it must be a string"),
        (_set("data", value=None), "data is None; it must be an object"),
    ],
)
def test_a_value_that_does_not_fit_is_named(
    written: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], sentence: str
):
    document = json.loads((written / RESULTS_FILE).read_text("utf-8"))
    change(document)
    path = tmp_path / RESULTS_FILE
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(ResultError, match=sentence) as refused:
        read_results(path)
    assert str(path) in str(refused.value)


UNKNOWN = "These metrics of the result files are unknown here and left out: {}; load the plug-ins that define them"


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ([["Mine"], [], []], '"Mine"'),
        ([["Mine"], ["Other", "Mine"], []], '"Mine", "Other"'),
        ([list("abc"), list("cba"), ["d"]], '"a", "b", "c" and more'),
        ([[f"{n:03d}" for n in range(200)], [], []], '"000", "001", "002" and more'),
    ],
)
def test_metrics_without_their_plug_in_are_left_out_and_that_is_said_once(
    written: Path, tmp_path: Path, others: list[list[str]], named: str
):
    document = json.loads((written / RESULTS_FILE).read_text("utf-8"))
    for part, names in zip(document["models"], others, strict=True):
        # What they hold is not looked at: a later version may write what this one does not know.
        part["metrics"] |= {name: {"value": 5, "rows": [-1], "more": {}} for name in names}
    path = tmp_path / RESULTS_FILE
    path.write_text(json.dumps(document), "utf-8")
    read = read_results(path)
    assert [list(made.results) for made in read] == [list(made.results) for made in evaluations()]
    assert [len(made.left_out) for made in read] == [min(len(names), 100) for names in others]
    remark, said = analyse(read).remarks
    assert remark == REMARK
    assert said.startswith(UNKNOWN.format(named))
    # A file that is written now holds them no more.
    write_results(analyse(read), tmp_path)
    assert analyse(read_results(path)).remarks == [REMARK]


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000, '"text"', '{"efficacy": [], "utility": {}}'])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "file.json"
    path.write_text(content)
    with pytest.raises(ResultError, match=r"file\.json"):
        read_results(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ResultError, match="cannot be read: No such file"):
        read_results(tmp_path / "nothing.json")


def test_a_full_folder_leaves_no_half_written_file(tmp_path: Path, written: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(written, tmp_path / "results")
    before = (tmp_path / "results" / RESULTS_FILE).read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    changed: list[Evaluation] = evaluations(seed=5)
    with pytest.raises(Exception, match="No space left on device"):
        write_results(analyse(changed), tmp_path / "results")
    assert (tmp_path / "results" / RESULTS_FILE).read_bytes() == before
    assert not [path for path in (tmp_path / "results").iterdir() if path.name.startswith(".")]


def test_half_of_a_surrogate_pair_is_refused_because_no_file_can_hold_it(tmp_path: Path, written: Path):
    document = json.loads((written / RESULTS_FILE).read_text("utf-8"))
    document["models"][0]["model"]["name"] = "\ud800"
    path = tmp_path / RESULTS_FILE
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(ResultError, match="is not JSON"):
        read_results(path)


OLD = Path(__file__).parents[1] / "fixtures" / "old_results"
"""Files as earlier versions wrote them, from before results recorded remarks, roles and by what they were measured."""


@pytest.mark.parametrize("path", sorted(OLD.glob("*.json")), ids=lambda path: path.stem)
def test_a_file_of_an_earlier_version_is_read_to_the_last_bit(path: Path):
    document = json.loads(path.read_text("utf-8"))
    skipped = {"GenKnow"} if "skipped" in path.stem else set()
    found = read_results(path)
    if "models" not in document:
        [read] = found
        sections = {**document["efficacy"], **document["utility"]}
        assert {r.spec.json_key for r in read.results.values()} == set(sections)
        for name, result in read.results.items():
            assert result.value == (None if name in skipped else sections[result.spec.json_key][result.spec.value_key])
        return
    assert [made.model.own_role.name for made in found] == ["clean", "compromised"]
    for read, entry in zip(found, document["models"], strict=True):
        assert list(read.model.remarks) == entry["model"].get("remarks", [])
        assert (read.made.date, read.made.seed) == (entry["made"]["date"], entry["made"]["seed"])
        assert set(read.results) == set(entry["metrics"])
        assert {name for name, result in read.results.items() if result.skipped} == skipped
        for name, result in read.results.items():
            written = entry["metrics"][name]
            assert result.value == (None if name in skipped else written["value"])
            assert (None if result.scores is None else result.scores.tolist()) == written.get("scores")
            assert (None if result.ranks is None else result.ranks.tolist()) == written.get("ranks")
    # What follows from it is what that version wrote of it.
    intervals = [model["intervals"] for model in results_document(analyse(found))["analysis"]["models"]]
    assert json.loads(json.dumps(intervals)) == [model["intervals"] for model in document["analysis"]["models"]]
