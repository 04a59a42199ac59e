"""The ways that people come for: an auditor from a value to a dossier, an author from a file to a table for a paper."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from salmu_demo.workbench.dossiers import verify
from tests.fixtures.tiny import PERSONAS, TWO_EMAILS
from tests.ui.axe import violations
from tests.ui.conftest import DESKTOP, PATIENCE_MS, PHONE, OpenPage, app_with_runs, unfold_settings
from tests.ui.test_app import sideways_scroll
from tests.ui.test_models import choose_file


@pytest.fixture(scope="module")
def app_url(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with app_with_runs(tmp_path_factory) as url:
        yield url


def download(page: Page, button: Locator, path: Path) -> Path:
    expect(button).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_download() as waiting:
        button.click()
    waiting.value.save_as(path)
    return path


def test_an_auditor_goes_from_a_value_to_a_dossier(open_page: OpenPage, tmp_path: Path):
    # A phone as far as the line-up, which a wide screen shows too.
    person = PERSONAS[TWO_EMAILS]
    page = open_page(size=PHONE)
    # The digits are enough.
    page.get_by_label("Find a persona").fill("".join(filter(str.isdigit, person["phone_number"])))
    rows = page.locator("#matrix tbody tr")
    expect(rows).to_have_count(1)
    rows.locator(".who").click()
    expect(page.locator("#persona h2")).to_have_text(person["name"])

    page.locator("#verdicts button[data-choice=phone_number]").first.click()
    expect(page.locator("#line-ups tr.true").first).to_contain_text(person["phone_number"])
    # A sheet from below, over the verdicts.
    frame = page.locator("#detail").bounding_box()
    assert frame is not None
    assert frame["y"] + frame["height"] == pytest.approx(PHONE[1], abs=1)
    # None of its parts is squeezed to make room for the others.
    expect(page.locator("#captions .results").first).to_be_visible()
    assert violations(page, "#detail") == []
    close = page.get_by_role("button", name="Close the line-up")
    close.click()
    expect(page.locator("#detail")).to_be_hidden()
    assert sideways_scroll(page) <= 0

    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    page.locator("#verdicts button[data-choice=phone_number]").first.click()
    expect(page.locator("#line-ups tr.true").first).to_contain_text(person["phone_number"])
    expect(close).to_be_hidden()
    assert sideways_scroll(page) <= 0

    expect(page.get_by_role("link", name="Dossier as JSON")).to_be_hidden()
    page.locator("#dossier-make").click()
    download(page, page.get_by_role("link", name="Dossier as JSON"), tmp_path / "dossier.json")
    assert {check.state for check in verify(tmp_path)} == {"agrees"}
    # Of somebody else there is none yet.
    page.get_by_label("Find a persona").fill("")
    page.locator("#people button[data-choice='00000001']").click()
    expect(page.get_by_role("link", name="Dossier as JSON")).to_be_hidden()
    expect(page.locator("#dossier-make")).to_be_visible()


def test_an_author_goes_from_a_file_to_a_table_for_a_paper(open_page: OpenPage, tiny_assets: Path, tmp_path: Path):
    # A phone as far as the results, which a wide screen shows too: one benchmark for both.
    page = open_page("models=mini-clean,mini-compromised", size=PHONE)
    unfold_settings(page)
    page.get_by_role("button", name="Add a model").click()
    mine = tmp_path / "my_method.safetensors"
    shutil.copyfile(tiny_assets / "models" / "mini-unlearned-finetune" / "open_clip_model.safetensors", mine)
    choose_file(page, mine)
    expect(page.locator("#models")).to_contain_text("upload:my_method-")
    expect(page.locator("#models input:checked")).to_have_count(3)

    # On a phone messages lie over the button for ten seconds.
    for kind in ("info", "warning"):
        page.locator(f".toast-close.{kind}").click()
    page.locator("#settings .toggle-button").click()
    page.get_by_role("tab", name="Benchmark").click()
    page.locator("#benchmark-run").click()
    expect(page.locator("#results-head article")).to_have_count(3, timeout=2 * PATIENCE_MS)
    expect(page.locator("#results-head")).to_contain_text("my_method")
    page.get_by_role("tab", name="Downloads").click()
    expect(page.get_by_role("link", name=".tex")).to_be_visible()
    assert sideways_scroll(page) <= 0
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    assert sideways_scroll(page) <= 0
    table = download(page, page.get_by_role("link", name=".tex"), tmp_path / "table.tex").read_text("utf-8")
    assert r"\toprule" in table
    assert r"my\_method" in table
    assert "@" in download(page, page.get_by_role("link", name=".bib"), tmp_path / "table.bib").read_text("utf-8")
