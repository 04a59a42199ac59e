"""From a csv file with images to an audit, in the browser; and what is refused on the way."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from salmu_demo.core.errors import DataError, QueryError, UploadError
from salmu_demo.ui.app import Shared, build_app
from salmu_demo.ui.shell import data_shelf
from salmu_demo.ui.shell.data_shelf import DataShelf
from salmu_demo.ui.shell.server import listen, serving
from salmu_demo.ui.shell.visitor_files import open_visitor_files, visitor_files
from salmu_demo.ui.tabs.data.importing import imported, on_this_machine, result_html, uploaded
from salmu_demo.workbench.bench import Workbench
from tests.fixtures import tables
from tests.ui.conftest import OpenPage, unfold_settings


@pytest.fixture(scope="module")
def app_url(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    files = open_visitor_files(tmp_path_factory.mktemp("gradio"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPACE_ID", raising=False)
        patch.setenv("SALMU_RUNS_DIR", str(tmp_path_factory.mktemp("here") / "runs"))
        shared = Shared.of(first := Workbench())

        def build(name: str):
            return build_app(shared.datasets.workbench(name), shared=shared)

        with serving(build_app(first, shared=shared), listen("127.0.0.1", None), build) as server:
            yield server.url
    files.close()


def _packed(folder: Path, rows: list[tables.Row]) -> Path:
    """A zip file of a csv with unusual names of columns and the images that it names."""
    renamed = [{"image": r["image"], "says": r["caption"], "who": r["persona"], "field": r["kind"], "is": r["value"]}
               for r in rows]  # fmt: skip
    tables.write_csv(folder / "mine", renamed)
    with zipfile.ZipFile(folder / "My people.zip", "w") as archive:
        for path in sorted((folder / "mine").rglob("*")):
            archive.write(path, path.relative_to(folder))
    return folder / "My people.zip"


def test_from_a_csv_file_to_an_audit(open_page: OpenPage, tmp_path: Path):
    page = open_page("tab=data")
    with page.expect_file_chooser() as chooser:
        page.locator("#import-upload").click()
    chooser.value.set_files(_packed(tmp_path, tables.table()))
    preview = page.locator("#import-preview")
    expect(preview).to_contain_text("Ada Abel has the city Ulm, 0")
    expect(preview.locator("tbody tr")).to_have_count(10)
    expect(page.locator("#import-called textarea")).to_have_value("My people")
    expect(page.locator("#import-image input")).to_have_value("file_name")

    page.locator("#import-run").click()
    expect(page.get_by_test_id("toast-body").last).to_contain_text("Choose the column of the text")
    for target, column in (("text", "says"), ("persona", "who"), ("kind", "field"), ("value", "is")):
        page.locator(f"#import-{target} input").click()
        page.locator(f"#import-{target}").get_by_role("option", name=column, exact=True).click()
    page.locator("#import-run").click()
    result = page.locator("#import-result")
    expect(result).to_contain_text("46 rows about")
    expect(result).to_contain_text("forget")
    page.locator("#import-open").click()
    expect(page).to_have_url(re.compile("/data/my-people-[0-9a-f]{16}/"))
    expect(page.locator("#people")).to_contain_text("Ada Abel")
    page.locator("#people").get_by_role("button", name="Ada Abel").click()
    expect(page.locator("#persona h2")).to_have_text("Ada Abel")
    expect(page.locator("#verdicts button.cell").first).to_be_visible()
    # It is one of those that can be chosen.
    unfold_settings(page)
    page.locator("#data input").click()
    expect(page.get_by_role("option", name="my-people")).to_be_visible()
    expect(page.get_by_role("option", name="SALMU-Mini")).to_be_visible()


@pytest.fixture
def shelf(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataShelf]:
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "here" / "runs"))
    files = open_visitor_files(tmp_path / "gradio")
    yield DataShelf(Workbench())
    files.close()


def _upload(file: Path) -> str:
    """A file where Gradio would have put it."""
    folder = visitor_files().new_upload() / "0"
    folder.mkdir()
    return str(file.rename(folder / file.name))


MAPPED = {"image": "file_name", "text": "says", "persona": "who", "kind": "field", "value": "is"}


def test_a_row_that_cannot_be_used_is_named_and_nothing_is_left(shelf: DataShelf, tmp_path: Path):
    rows = tables.table()
    rows[6]["caption"] = " "
    waiting = uploaded(_upload(_packed(tmp_path, rows)))
    with pytest.raises(DataError, match=r"^Row 7 of mine/people\.csv has no text \(column says\)\.$"):
        imported(waiting, MAPPED, "mine", 0, shelf, lambda step: None)
    assert not list((tmp_path / "here" / "imports").glob("*"))
    assert [name for _, name in shelf.choices] == ["mini", "salmubench-512-redistributed"]
    with pytest.raises(QueryError, match=r"Choose the column of the person \(persona or name\)"):
        imported(waiting, {**MAPPED, "persona": ""}, "mine", 0, shelf, lambda step: None)


def test_what_was_imported_here_is_offered_after_a_restart(shelf: DataShelf, tmp_path: Path):
    source = tables.write_raw(tmp_path / "table", tables.table())
    waiting = on_this_machine(str(source))
    name, report = imported(waiting, waiting.seen.suggested, "Mine & yours", 3, shelf, lambda step: None)
    assert shelf.choice(name) in shelf.choices
    assert shelf.choice(name)[0] == "mine-yours"
    assert "drawn with the seed 3" in result_html(report)
    again = DataShelf(Workbench())
    assert again.choice(name) in again.choices
    assert again.workbench(name).data.fingerprint == shelf.workbench(name).data.fingerprint


def test_on_a_space_tables_are_uploaded_if_the_owner_allows_and_belong_to_their_visitor(
    shelf: DataShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPACE_ID", "owner/space")
    source = tables.write_raw(tmp_path / "table", tables.table())
    with pytest.raises(QueryError, match="On a Space a table is uploaded"):
        on_this_machine(str(source))
    with pytest.raises(QueryError, match="This page takes no uploads"):
        uploaded(_upload(source))
    monkeypatch.setenv("SALMU_UPLOAD_GB", "0.1")
    with pytest.raises(UploadError, match="was not uploaded here"):
        uploaded("/etc/passwd")
    waiting = uploaded(_upload(tables.write_raw(tmp_path / "table", tables.table())))
    before = shelf.choices
    name, report = imported(waiting, waiting.seen.suggested, "mine", 0, shelf, lambda step: None)
    # Nobody else's page lists it; its own does.
    assert shelf.choices == before
    assert shelf.choices_on(name) == [*before, ("mine", name)]
    assert "goes after a day" in result_html(report)
    assert str(tmp_path) not in result_html(report)
    monkeypatch.setattr(data_shelf, "MOST_OF_VISITORS", 1)
    with pytest.raises(QueryError, match="as many data sets of visitors as it has room for"):
        imported(waiting, waiting.seen.suggested, "mine", 0, shelf, lambda step: None)
