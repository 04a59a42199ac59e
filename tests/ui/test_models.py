"""The Models tab in a browser: facts, what changed, and a checkpoint handed in."""

import shutil
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.ui.axe import LOOKS, show_as, violations
from tests.ui.conftest import OpenPage, unfold_settings
from tests.ui.test_app import sideways_scroll


def choose_file(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator("#upload-model").click()
    chooser.value.set_files(path)


def test_the_tab_shows_facts_and_what_changed(open_page: OpenPage):
    page = open_page("tab=models")
    expect(page.locator("#model-cards .card")).to_have_count(3)
    page.get_by_role("button", name="Show what changed").click()
    expect(page.locator(".change-of .verdict-line")).to_contain_text("Both towers were edited")
    expect(page.locator(".change-of h3")).to_contain_text("mini-unlearned-finetune against")
    assert page.locator(".change-of tbody tr").count() == 2 + 3 + 2 * 4
    for look in LOOKS:
        show_as(page, *look)
        assert sideways_scroll(page) <= 0, look
        assert violations(page, "#change-result") == [], look


def test_a_checkpoint_is_uploaded_and_a_pickle_is_not(open_page: OpenPage, tiny_assets: Path, tmp_path: Path):
    page = open_page("tab=models&models=mini-clean")
    unfold_settings(page)
    page.get_by_role("button", name="Add a model").click()
    evil = tmp_path / "evil.safetensors"
    evil.write_bytes(b"cos\nsystem\n(S'touch canary'\ntR.")
    choose_file(page, evil)
    expect(page.locator(".toast-body")).to_contain_text("The upload is not a whole safetensors file")
    page.locator(".toast-close").click()
    mine = tmp_path / "mine.safetensors"
    shutil.copyfile(tiny_assets / "models" / "mini-clean" / "open_clip_model.safetensors", mine)
    choose_file(page, mine)
    expect(page.locator("#models")).to_contain_text("upload:mine-")
    expect(page.get_by_text("has the same weights as mini-clean")).to_be_visible()
    expect(page.locator("#model-cards .card")).to_have_count(2)
    expect(page.locator("#model-cards")).to_contain_text("that of mini-compromised")


def test_a_message_shows_markup_as_text(open_page: OpenPage):
    page = open_page("tab=models")
    unfold_settings(page)
    page.get_by_role("button", name="Add a model").click()
    name = '<a href="https://example.org">x</a><img src="x"> [y](https://example.org)'
    page.get_by_placeholder("hf-hub:organisation/name").fill(name)
    page.get_by_role("button", name="Add", exact=True).click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text(f"There is no weight file {name}; check the path.")
    expect(toast.locator("a, img")).to_have_count(0)
