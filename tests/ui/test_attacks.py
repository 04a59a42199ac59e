"""Attacks from the Benchmark tab: chosen, run, read, and found again by their link."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from salmu_demo.attacks import all_attacks
from tests.ui.conftest import PATIENCE_MS, OpenPage, served_app

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def app_url(tiny_assets, tmp_path_factory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALMU_RUNS_DIR", str(tmp_path_factory.mktemp("runs")))
        with served_app(tmp_path_factory.mktemp("gradio")) as url:
            yield url


def test_attacks_are_started_read_and_found_again(open_page: OpenPage):
    page = open_page("tab=benchmark")
    page.get_by_text("Gone, or only hidden?").click()
    expect(page.locator("#attack-job")).to_contain_text("No attack yet")
    for attack in all_attacks():
        if attack.name != "own-head":
            page.locator("#attacks-chosen").get_by_label(attack.title, exact=True).uncheck()
    page.locator("#attacks-run").click()
    expect(page.locator("#attack-job")).to_contain_text("It took")
    expect(page.locator("#attacks-table")).to_contain_text("mini-unlearned-finetune: what each attack brings back")
    expect(page.locator("#job")).to_contain_text("No results yet")
    with page.expect_download() as waiting:
        page.locator("#attacks-download-json").click()
    document = json.loads(Path(waiting.value.path()).read_bytes())
    assert {record["attack"] for record in document["records"]} == {"own-head"}
    assert {model["name"] for model in document["models"]} == {"mini-unlearned-finetune"}

    expect(page).to_have_url(re.compile(r"job=[\w-]{22}"))
    link = page.url
    again = open_page(link.partition("?")[2])
    # The part of the tab is open, and the address still names the attacks.
    expect(again.locator("#attacks-table")).to_contain_text("what each attack brings back")
    expect(again).to_have_url(re.compile(re.escape(link.partition("job=")[2])))
