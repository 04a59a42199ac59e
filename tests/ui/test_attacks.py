"""Attacks from the Benchmark tab: chosen, run, read, and found again by their link."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from salmu_demo.attacks import all_attacks, find_attack
from salmu_demo.core.settings import runs_dir
from salmu_demo.jobs.job import JobState
from salmu_demo.jobs.kinds.benchmark import BenchmarkSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.tiny import MODELS
from tests.ui.conftest import OpenPage, app_with_runs


@pytest.fixture(scope="module")
def app_url(tiny_assets, tmp_path_factory) -> Iterator[str]:
    with app_with_runs(tmp_path_factory) as url:
        yield url


def choose_one_attack(page: Page, name: str) -> None:
    page.get_by_text("Gone, or only hidden?").click()
    chosen = page.locator("#attacks-chosen input")
    expect(chosen).to_have_count(len(all_attacks()))
    # Many small steps of a mouse would take longer than the attack.
    chosen.evaluate_all("boxes => boxes.filter((box) => box.checked).forEach((box) => box.click())")
    page.locator("#attacks-chosen").get_by_label(find_attack(name).title, exact=True).check()
    expect(page.locator("#attacks-chosen input:checked")).to_have_count(1)


def test_the_models_of_an_evaluation_are_attacked_and_it_tells_of_it(open_page: OpenPage):
    manager = JobManager(runs_dir(), lambda data: Workbench())
    job = manager.submit(BenchmarkSpec(MODELS, ("RetFail", "AssocStr")))
    assert manager.wait(job.id, 300).state is JobState.DONE
    manager.close()

    page = open_page(f"job={job.id}")
    head = page.locator("#results-head")
    expect(head).to_contain_text("no attack was run")
    choose_one_attack(page, "own-head")
    page.locator("#results-attack").click()
    expect(page.locator("#attack-job")).to_contain_text("It took")
    expect(head).not_to_contain_text("no attack was run")
    # Told once, in the place of the evaluation.
    expect(page.locator("#attacks-results")).to_be_hidden()
    page.locator("#results-tabs").get_by_role("tab", name="Attacks", exact=True).click()
    expect(page.locator("#results-attacks")).to_contain_text(f"{MODELS[2]}: what each attack brings back")
    page.locator("#results-tabs").get_by_role("tab", name="Downloads").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="All files (ZIP)").click()
    with zipfile.ZipFile(Path(waiting.value.path())) as archive:
        assert {"attacks.json", "results.json"} <= set(archive.namelist())

    # The link of the attacks, on another device, shows the evaluation too.
    expect(page).to_have_url(re.compile(r"job=(?!" + re.escape(job.id) + r")[\w-]{22}"))
    again = open_page(page.url.partition("?")[2])
    expect(again.locator("#results-head")).to_contain_text("Is it gone, not hidden?")
    expect(again.locator("#results-head")).not_to_contain_text("no attack was run")
    expect(again.locator("#attacks-results")).to_be_hidden()


def test_attacks_are_started_read_and_found_again(open_page: OpenPage):
    page = open_page("tab=benchmark")
    choose_one_attack(page, "own-head")
    expect(page.locator("#attack-job")).to_contain_text("No attack yet")
    page.locator("#attacks-run").click()
    expect(page.locator("#attack-job")).to_contain_text("It took")
    expect(page.locator("#attacks-results")).to_contain_text("mini-unlearned-finetune: what each attack brings back")
    expect(page.locator("#job")).to_contain_text("No results yet")
    with page.expect_download() as waiting:
        page.locator("#attacks-results").get_by_role("link", name="Everything as JSON").click()
    document = json.loads(Path(waiting.value.path()).read_bytes())
    assert {record["attack"] for record in document["records"]} == {"own-head"}
    assert {model["name"] for model in document["models"]} == {"mini-unlearned-finetune"}

    expect(page).to_have_url(re.compile(r"job=[\w-]{22}"))
    link = page.url
    again = open_page(link.partition("?")[2])
    # The part of the tab is open, and the address still names the attacks.
    expect(again.locator("#attacks-results")).to_contain_text("what each attack brings back")
    expect(again).to_have_url(re.compile(re.escape(link.partition("job=")[2])))
