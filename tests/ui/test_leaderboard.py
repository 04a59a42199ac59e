"""The leaderboard in a browser: published rows, an import, the order, the search, and files to take away."""

import csv
import io
import json
from pathlib import Path

from playwright.sync_api import Page, expect

from salmu_demo.results.official import official_result
from tests.fixtures.results import DATA, evaluation
from tests.ui.axe import violations
from tests.ui.conftest import PHONE, OpenPage


def upload(page: Page, **files: bytes) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Import result files").click()
    chooser.value.set_files(
        [{"name": f"{name}.json", "mimeType": "application/json", "buffer": content} for name, content in files.items()]
    )


def download(page: Page, locator) -> str:
    with page.expect_download() as waiting:
        locator.click()
    return Path(waiting.value.path()).read_text("utf-8-sig")


def test_from_published_rows_to_a_submission(open_page: OpenPage):
    page = open_page("tab=leaderboard")
    rows = page.locator("#board-table tbody tr")
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("Clean")
    expect(rows.nth(2)).to_contain_text("over-generalised forgetting")
    page.locator("#board-table").get_by_role("button", name="RetFail").click()
    expect(page.get_by_label("Sort by")).to_have_value("1.1 RetFail")
    expect(rows.nth(1)).to_contain_text("CLIPErase")

    page.get_by_label("Sort by").click()
    page.get_by_role("option", name="2.1 GenKnow").click()
    expect(rows.first).to_contain_text("Compromised")
    page.get_by_label("Search by name").fill("cap")
    expect(rows).to_have_count(2)
    expect(rows).to_contain_text(["Shuffled Captions", "Generic Captions"])
    table = list(csv.DictReader(io.StringIO(download(page, page.locator("#board-table").get_by_text("Download CSV")))))
    assert [line["model"] for line in table] == ["Shuffled Captions", "Generic Captions"]
    assert {line["source"] for line in table} == {"published"}
    page.get_by_label("Search by name").fill("")
    expect(rows).to_have_count(10)

    contents = {}
    for number, name in enumerate(("<img src=x onerror=alert(1)>", "mini-compromised", "mini-clean")):
        contents[f"file{number}"] = json.dumps(official_result(evaluation(name, seed=number))).encode()
    upload(page, broken=b'{"efficacy": 5}', **contents)
    expect(page.get_by_text("broken.json")).to_be_visible()
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("mini-compromised")
    expect(page.locator("#board-table")).to_contain_text("<img src=x")
    assert page.locator("#board-table img").count() == 0
    expect(page.locator("#board-table caption")).to_contain_text(f"content {DATA.fingerprint[:8]}")

    expect(page.locator("#board-submission")).to_be_disabled()
    page.get_by_label("Result to hand in").click()
    page.get_by_role("option", name="mini-compromised").click()
    expect(page.locator("#board-submission")).to_be_enabled()
    document = json.loads(download(page, page.locator("#board-submission")))
    assert document["submission"]["model"] == "mini-compromised"

    again = open_page("tab=leaderboard", size=PHONE, theme="dark")
    expect(again.locator("#board-table tbody tr")).to_have_count(10)
    again.get_by_label("Imported").check()
    expect(again.get_by_text("No row fits")).to_be_visible()
    again.get_by_label("Data", exact=True).click()
    again.get_by_role("option", name=f"content {DATA.fingerprint[:8]}").click()
    expect(again.locator("#board-table tbody tr")).to_have_count(3)
    assert again.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert violations(again) == []
