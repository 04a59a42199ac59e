"""Free search in a browser: what a visitor types, uploads and downloads."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.fixtures import tiny
from tests.ui.axe import LOOKS, show_as, violations
from tests.ui.conftest import DESKTOP, OWN_IMAGE, OpenPage, windows
from tests.ui.test_app import sideways_scroll

MODELS = len(tiny.MODELS)
PHONE_NUMBER = tiny.PERSONAS["00000004"]["phone_number"]


@pytest.fixture(scope="module")
def probe(app_url: str, browser: Browser, visitors: list[BrowserContext]) -> Iterator[Page]:
    """The tab in one window, for tests of a search that leave everything but the text and the gallery as it was."""
    with windows(app_url, browser, visitors) as open_:
        yield open_("tab=probe")


def search(page: Page, text: str) -> None:
    box = page.locator("#probe-text").get_by_role("textbox")
    box.fill(text)
    box.press("Enter")
    expect(page.locator("#probe-results h2")).to_contain_text(text)


def rows(page: Page):
    return page.locator("#probe-results tbody tr")


def upload(page: Page, name: str, content: bytes) -> None:
    page.locator("#probe-image input[type=file]").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": content}
    )


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (50, 70), "teal").save(stream, "PNG")
    return stream.getvalue()


def download(page: Page, locator) -> bytes:
    with page.expect_download() as waiting:
        locator.click()
    return Path(waiting.value.path()).read_bytes()


def test_a_text_gives_a_column_for_each_model_in_which_axe_finds_nothing(open_page: OpenPage):
    page = open_page("tab=probe")
    expect(page.get_by_text("Nothing searched yet")).to_be_visible()
    search(page, PHONE_NUMBER)
    expect(page.locator("#probe-results h3")).to_contain_text(list(tiny.MODELS))
    expect(rows(page)).to_have_count(10 * MODELS)
    expect(page.locator("#probe-results .faces img")).to_have_count(10 * MODELS)
    expect(page.locator("#probe-results .faces li").first).to_contain_text(re.compile(r"#1 −?\d\.\d{4}"))
    for theme, size in LOOKS:
        show_as(page, theme, size)
        boxes = [column.bounding_box() for column in page.locator("#probe-results .column").all()]
        beside = boxes[1]["x"] > boxes[0]["x"]
        assert beside is (size == DESKTOP)
        assert sideways_scroll(page) <= 0, theme
        assert violations(page) == [], theme


def test_the_named_persona_is_marked_in_captions(probe: Page):
    search(probe, f"Call {PHONE_NUMBER}")
    probe.get_by_label("Captions").first.check()
    expect(probe.locator("#probe-results h2")).to_contain_text("Captions for")
    expect(probe.locator("#probe-results .summary").first).to_contain_text("Amara Diallo is")


def test_number_of_results_gallery_and_only_differences(open_page: OpenPage):
    page = open_page("tab=probe")
    search(page, "a person before a wall")
    page.locator("#probe-k").get_by_role("spinbutton").fill("20")
    expect(rows(page)).to_have_count(20 * MODELS)
    differing = page.locator("#probe-results").get_by_text("≠ not in every list").count()
    page.get_by_label("Only where models differ").check()
    expect(rows(page)).to_have_count(differing)
    page.get_by_label("Only where models differ").uncheck()
    page.get_by_label("Plain pairs without private data").check()
    expect(page.locator("#probe-results h2")).to_contain_text("Plain pairs")


def test_markup_in_a_query_is_text_and_an_empty_one_is_refused(probe: Page):
    search(probe, "<img src=x onerror=alert(1)>")
    assert probe.locator("#probe-results img[src=x]").count() == 0
    probe.locator("#probe-text").get_by_role("textbox").fill("  ")
    probe.get_by_role("button", name="Search", exact=True).click()
    expect(probe.get_by_text("The query is empty")).to_be_visible()


def test_an_example_fills_the_box_and_searches(probe: Page):
    probe.get_by_role("button", name="Phone number:").click()
    first = tiny.PERSONAS["00000001"]["phone_number"]
    expect(probe.locator("#probe-text").get_by_role("textbox")).to_have_value(first)
    expect(rows(probe)).to_have_count(10 * MODELS)
    # The link keeps it, and searches again where it is opened.
    assert first == "+46 70 111 22 33"
    expect(probe).to_have_url(re.compile(r"tab=probe&q=%2B46(\+|%20)70"))
    probe.reload()
    expect(probe.locator("#probe-text").get_by_role("textbox")).to_have_value(first)
    expect(rows(probe)).to_have_count(10 * MODELS)


def test_search_results_download_as_json_and_csv(probe: Page):
    search(probe, PHONE_NUMBER)
    document = json.loads(download(probe, probe.get_by_role("link", name="Download JSON")))
    assert document["query"]["text"] == PHONE_NUMBER
    assert [len(model["results"]) for model in document["models"]] == [10] * MODELS
    table = download(probe, probe.get_by_role("link", name="Download CSV")).decode("utf-8-sig")
    assert len(list(csv.DictReader(io.StringIO(table)))) == 10 * MODELS


def test_a_file_that_is_no_image_is_refused_and_an_image_is_searched_with_and_not_kept(
    open_page: OpenPage, tmp_path_factory
):
    page = open_page("tab=probe")
    page.get_by_role("tab", name="By image").click()
    upload(page, "fake.png", b"not an image")
    expect(page.get_by_text("is not an image that can be read")).to_be_visible()
    expect(page.get_by_text("Drop an image here")).to_be_visible()
    upload(page, OWN_IMAGE, png())
    expect(page.locator("#probe-results h2")).to_contain_text("Captions for your image")
    expect(rows(page)).to_have_count(10 * MODELS)
    expect(page.locator("#probe-own-image")).to_contain_text("Not stored")
    assert list(tmp_path_factory.getbasetemp().rglob(f"*{OWN_IMAGE}")) == []
    page.get_by_label("Faces").last.check()
    expect(page.locator("#probe-results h2")).to_contain_text("Faces for your image")
    page.get_by_role("button", name="Forget the image").click()
    expect(page.get_by_text("Nothing searched yet")).to_be_visible()
