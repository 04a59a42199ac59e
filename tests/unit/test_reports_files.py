"""All files of a report: what is written, found again, packed, replaced and equal for equal results."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
from pypdf import PdfReader

from salmu_demo.attacks.document import read_attacks, write_attacks
from salmu_demo.attacks.schema import AttackedModel
from salmu_demo.cli.main import run
from salmu_demo.core.errors import ResultError, StorageError
from salmu_demo.reports.figures import canvas
from salmu_demo.reports.files import ReportFiles, find_reports, write_formats, write_reports
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.document import distinct, read_results, result_files, write_results
from salmu_demo.results.records import MeasuredData
from tests.fixtures.results import NAMES, evaluation, evaluations, only, valued
from tests.unit.test_reports_attacks import document as attacks_document
from tests.unit.test_reports_attacks import record

SAMPLED = MeasuredData("mini", "d" * 64, sample="sampled: 48 of 96 forget rows (50 %), seed 1")


def measured() -> Analysis:
    """Metrics of every kind, which have every figure and every table."""
    names = ("RetFail", "AssocStr", "IdZSC", "GenKnow", "InterIdSim", "IntraIdSim", "LeakRate")
    return analyse([only(evaluation, *names) for evaluation in evaluations()])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    return write_reports(measured(), tmp_path_factory.mktemp("report"))


def small(folder: Path, data: MeasuredData = SAMPLED) -> ReportFiles:
    """A report of one value, which is quick to draw."""
    return write_reports(analyse([valued("model", {"AssocStr": 0.25}, data)]), folder)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_format_is_written_and_found_again(written: ReportFiles):
    folder = written.results.parent
    assert find_reports(folder) == written
    assert [path.name for path in written.official] == [f"evaluation_{name}.json" for name in NAMES]
    assert (len(written.tables), len(written.figures)) == (7, 6)
    assert [path.name for path in written.landscape] == [f"{path.stem}-landscape.pdf" for path in written.figures]
    assert written.pdf.read_bytes().startswith(b"%PDF-")
    assert written.html.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written.figures)


def test_tables_open_as_utf_8_in_a_spreadsheet(written: ReportFiles):
    for path in written.tables:
        raw = path.read_bytes()
        assert raw.startswith(b"\xef\xbb\xbf")
        rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
        assert rows
        assert {row["data"] for row in rows} == {"mini"}


def test_markdown_shows_the_figures_that_lie_beside_it(written: ReportFiles):
    text = written.markdown.read_text("utf-8")
    assert all(f"](figures/{path.name})" in text for path in written.figures)


def test_the_archive_holds_all_files_and_the_figures_twice(written: ReportFiles):
    folder = written.results.parent
    with zipfile.ZipFile(written.archive) as archive:
        names = set(archive.namelist())
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert all(archive.read(name) == (folder / name).read_bytes() for name in names if not name.endswith(".svg"))
        assert b"<svg" in archive.read("figures/metrics.svg")
    on_disk = set(content(folder)) - {written.archive.name}
    assert names == on_disk | {f"figures/{path.stem}.svg" for path in written.figures}


def test_results_read_again_give_the_same_bytes_in_every_format(written: ReportFiles, tmp_path: Path):
    write_reports(analyse(read_results(written.results)), tmp_path)
    assert content(tmp_path) == content(written.results.parent)


def test_formats_without_figures_draw_none(written: ReportFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(canvas, "Figure", lambda *_, **__: pytest.fail("drawn"))
    some = write_formats(measured(), tmp_path, ["csv", "latex"])
    assert {path.suffix for path in some} == {".csv", ".tex", ".bib"}
    assert all(path.read_bytes() == (written.results.parent / path.name).read_bytes() for path in some)


def test_a_sampled_report_says_so_in_every_file_name_but_the_fixed_one(tmp_path: Path):
    files = small(tmp_path)
    assert find_reports(tmp_path) == files
    assert {name for name in content(tmp_path) if "-sampled" not in name} == {"results.json"}
    assert json.loads(files.results.read_text("utf-8"))["data"]["sample"].startswith("sampled")


def test_a_later_report_replaces_an_earlier_one_and_leaves_other_files(tmp_path: Path):
    small(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    files = small(tmp_path, MeasuredData("mini", "d" * 64))
    assert find_reports(tmp_path) == files
    assert not [name for name in content(tmp_path) if "sampled" in name]
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_what_attacks_found_is_in_every_format_and_in_files_of_its_own(tmp_path: Path):
    found = attacks_document(record("linear-map", 0.4, model=NAMES[2]))
    found.models = [AttackedModel(name=NAMES[2], reference=NAMES[2], fingerprint=f"{2:064d}")]
    (tmp_path / "measured").mkdir()
    write_results(analyse([only(evaluation, "AssocStr") for evaluation in evaluations()]), tmp_path / "measured")
    write_attacks(found, tmp_path / "measured")
    folder = tmp_path / "report"
    assert (
        run(["report", str(tmp_path / "measured"), "--attacks", str(tmp_path / "measured"), "--output", str(folder)])
        == 0
    )
    files = find_reports(folder)
    assert files is not None
    assert files.attacks is not None
    assert read_attacks(files.attacks) == found
    assert [path.name for path in files.official] == [f"evaluation_{name}.json" for name in NAMES]
    assert "attacks.csv" in [path.name for path in files.tables]
    with zipfile.ZipFile(files.archive) as archive:
        assert {"attacks.json", "attacks.csv"} <= set(archive.namelist())
    pdf = "".join(page.extract_text() for page in PdfReader(files.pdf).pages)
    for text in (files.markdown.read_text("utf-8"), files.html.read_text("utf-8"), " ".join(pdf.split())):
        assert "The most that any attack that counts brings back" in text
        assert "40.0 % of the leak comes back by linear-map (mixed, MRR)" in text
    again = read_results(files.results)[2].attacks
    assert [(found.attack, found.recovered and found.recovered.value) for found in again] == [("linear-map", 0.4)]
    # A later report without them takes them away.
    small(folder)
    assert not (folder / "attacks.json").exists()


def test_attacks_on_all_rows_are_not_marked_as_sampled(tmp_path: Path):
    found = attacks_document(record("linear-map", 0.4))
    files = write_reports(analyse([valued("model", {"AssocStr": 0.25}, SAMPLED)]), tmp_path, found)
    text = files.markdown.read_text("utf-8")
    assert "The most that any attack that counts brings back." in text
    assert "On what, and how (sampled)." in text


def test_an_incomplete_damaged_or_foreign_report_is_none(tmp_path: Path):
    assert find_reports(tmp_path / "nowhere") is None
    files = small(tmp_path)
    files.pdf.unlink()
    assert find_reports(tmp_path) is None
    files = small(tmp_path)
    with zipfile.ZipFile(files.archive, "a") as archive:
        (tmp_path.parent / "secret.csv").write_text("secret")
        archive.writestr("../secret.csv", "")
    assert find_reports(tmp_path) is None
    files.archive.write_bytes(b"no archive")
    assert find_reports(tmp_path) is None


def test_a_full_disk_is_one_sentence_and_leaves_no_half_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match=r"The report cannot be written to .*: No space left on device"):
        small(tmp_path)
    assert find_reports(tmp_path) is None
    assert not [name for name in content(tmp_path) if name.startswith(".")]


def test_names_that_no_file_can_have_are_replaced(tmp_path: Path):
    write_results(analyse([valued(f"a\x00\n{'ü' * 300}", {"AssocStr": 0.5})]), tmp_path)
    (official,) = tmp_path.glob("evaluation_*")
    assert official.name.startswith("evaluation_a__üü")


def test_a_folder_stands_for_its_results_or_its_official_files(written: ReportFiles, tmp_path: Path):
    assert result_files(written.results.parent) == [written.results]
    (tmp_path / "evaluation_b.json").touch()
    (tmp_path / "evaluation_a.json").touch()
    assert [path.name for path in result_files(tmp_path)] == ["evaluation_a.json", "evaluation_b.json"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResultError, match="empty holds neither"):
        result_files(tmp_path / "empty")


def test_a_model_given_twice_is_shown_once_with_its_rows():
    full = evaluation("mini-clean")
    bare = valued("mini-clean", {"AssocStr": 0.5})
    official = type(full)(full.model, full.data, full.results)
    assert distinct([official, full, full]) == [full]
    assert distinct([full, bare]) == [full, bare]


def test_the_command_merges_files_and_writes_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("clean", "other"):
        write_results(analyse([valued(f"mini-{name}", {"AssocStr": 0.5}, SAMPLED)]), tmp_path / name)
    folders = [str(tmp_path / name) for name in ("clean", "other", "clean")]
    assert run(["report", *folders, "--output", str(tmp_path / "out")]) == 0
    files = find_reports(tmp_path / "out")
    assert files is not None
    assert [e.model.name for e in read_results(files.results)] == ["mini-clean", "mini-other"]
    assert str(files.pdf) in capsys.readouterr().out


def test_the_command_takes_jobs_of_the_same_data_along_and_calls_models_as_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "runs"))
    everything = MeasuredData("mini", "d" * 64)
    for place, name, data in (
        ("mine", "mine", SAMPLED), ("runs/a/report", "theirs", SAMPLED), ("runs/b/report", "full", everything),
    ):  # fmt: skip
        write_results(analyse([valued(name, {"AssocStr": 0.5}, data)]), tmp_path / place)
    damaged = tmp_path / "runs" / "c" / "report" / "results.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    command = ["report", str(tmp_path / "mine"), "--output", str(tmp_path / "out"), "--jobs", "--name"]
    assert run([*command, "theirs=Theirs et al."]) == 0
    assert "A job was left out." in capsys.readouterr().err
    files = find_reports(tmp_path / "out")
    assert [e.model.name for e in read_results(files.results)] == ["mine", "Theirs et al."]
    assert [path.name for path in files.paper] == ["tables-sampled.tex", "references-sampled.bib"]
    assert "Theirs et al. & 0.500" in files.paper[0].read_text("utf-8")
    assert run([*command, "theirs="]) == 2
    assert "write it as MODEL=NAME" in capsys.readouterr().err


def test_results_of_different_rows_are_refused_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name, data in (("one", SAMPLED), ("two", MeasuredData("mini", "d" * 64))):
        write_results(analyse([valued(name, {"AssocStr": 0.5}, data)]), tmp_path / name)
    command = ["report", str(tmp_path / "one"), str(tmp_path / "two"), "--output", str(tmp_path / "out")]
    assert run(command) == 2
    assert "different data sets or samples" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
