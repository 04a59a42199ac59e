"""The way through the page: search, choose a persona, read the verdicts, open a line-up, share the link."""

import re
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from salmu_demo.ui.shell.view import TABS
from salmu_demo.ui.tabs.context import tab_module
from tests.fixtures import tiny
from tests.ui.conftest import DESKTOP, PHONE, OpenPage, unfold_settings, windows

NAME = tiny.PERSONAS[tiny.TWO_EMAILS]["name"]


@pytest.fixture(scope="module")
def audit(app_url: str, browser: Browser, visitors: list[BrowserContext]) -> Iterator[Page]:
    """The tab in one window with an attribute open, for tests that leave the models.

    Each chooses a persona of its own: what was chosen before is shown at once, while the answer is still to come.
    """
    with windows(app_url, browser, visitors) as open_:
        page = open_("persona=00000001&kind=passport")
        expect(page.locator("#line-ups tr.true").first).to_be_visible()
        yield page


def choose(page: Page, name: str) -> None:
    page.locator("#people").get_by_role("button", name=name).click()
    expect(page.locator("#persona h2")).to_have_text(name)


def cells(page: Page, kind: str):
    return page.locator(f"#verdicts button[data-choice={kind}]")


def sideways_scroll(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def sideways_scroll_of_any(page: Page) -> int:
    """The most that the page scrolls sideways on a screen of any size, the last of which stays."""
    scrolls = []
    for width, height in (PHONE, DESKTOP):
        page.set_viewport_size({"width": width, "height": height})
        scrolls.append(sideways_scroll(page))
    return max(scrolls)


def empty_parts(page: Page) -> int:
    """Parts that take room, if only a gap, although they hold nothing."""
    return page.evaluate(
        "() => [...document.querySelectorAll('.html-container > :empty')]"
        ".filter((part) => getComputedStyle(part.closest('.block')).display !== 'none').length"
    )


def test_from_search_to_line_up(open_page: OpenPage):
    page = open_page()
    expect(page.get_by_text("Choose a persona")).to_be_visible()
    for notice in ("its numbers are not the paper's", "They are not facts about people"):
        expect(page.get_by_text(notice).first).to_be_visible()
    expect(page.locator("#people .portrait")).to_have_count(len(tiny.PERSONAS))
    assert sideways_scroll_of_any(page) <= 0

    page.get_by_label("Find a persona").fill("malmo")
    expect(page.locator("#people .portrait")).to_have_count(2)
    choose(page, tiny.PERSONAS["00000005"]["name"])
    expect(page.locator("#verdicts tbody tr")).to_have_count(8)
    expect(page.locator("#verdicts button.cell")).to_have_count(8 * len(tiny.MODELS))
    expect(cells(page, "iban").first).to_contain_text(re.compile("leaks|marked|no evidence|not known"))
    expect(cells(page, "iban").first).to_contain_text(re.compile(r"\d of 6"))
    expect(page.locator("#detail")).to_be_hidden()

    cells(page, "iban").nth(1).click()
    expect(page.locator("#line-ups article")).to_have_count(len(tiny.MODELS))
    expect(page.locator("#line-ups tr.true")).to_have_count(len(tiny.MODELS))
    expect(page.locator("#line-ups tr.true").first).to_contain_text(tiny.PERSONAS["00000005"]["iban"])
    expect(page.locator("#captions article")).to_have_count(len(tiny.MODELS))
    expect(page.locator("#captions li")).to_have_count(10 * len(tiny.MODELS))
    assert sideways_scroll_of_any(page) <= 0
    page.locator("#line-ups").get_by_role("button", name="Credit card").click()
    expect(page.locator("#line-ups h3")).to_contain_text("Credit card")
    expect(page).to_have_url(re.compile("kind=credit_card"))


def test_a_cell_opens_by_keyboard_and_keeps_the_focus(open_page: OpenPage):
    page = open_page()
    stops = page.locator("#people .portrait:not([tabindex='-1'])")
    expect(stops).to_have_count(1)
    page.get_by_label("Find a persona").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(stops).to_contain_text(tiny.PERSONAS["00000002"]["name"])
    page.keyboard.press("Enter")
    expect(page.locator("#persona h2")).to_have_text(tiny.PERSONAS["00000002"]["name"])
    expect(stops).to_have_count(1)
    # The first stop of the page leads past everything.
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(cells(page, "city").first).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("#line-ups h3")).to_contain_text("City")
    expect(cells(page, "city").nth(1)).to_be_focused()
    expect(cells(page, "city").nth(1)).to_have_attribute("aria-expanded", "true")
    expect(cells(page, "job").first).to_have_attribute("aria-expanded", "false")


def test_from_the_overview_to_a_cell_the_next_person_and_back_on_a_phone(open_page: OpenPage):
    page = open_page(size=PHONE)
    matrix = page.locator("#matrix")
    expect(matrix.locator("tbody tr")).to_have_count(len(tiny.PERSONAS))
    assert sideways_scroll(page) <= 0
    matrix.locator(".who").first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(matrix.locator("tbody tr").nth(1).locator(".mark").nth(1)).to_be_focused()
    expect(matrix.locator("[tabindex='0']")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#persona h2")).to_have_text(tiny.PERSONAS[tiny.MARKUP]["name"])
    expect(page.locator("#persona h2")).to_be_focused()
    expect(page.locator("#line-ups h3")).to_contain_text("Job")
    expect(page).to_have_url(re.compile(f"persona={tiny.MARKUP}&kind=job"))
    expect(matrix).to_be_hidden()
    page.locator("#persona").get_by_role("button", name="Next").click()
    expect(page.locator("#persona h2")).to_have_text(NAME)
    expect(page.locator("#line-ups h3")).to_contain_text("Job")
    page.locator("#persona").get_by_role("button", name="All people").click()
    expect(matrix.locator("tbody tr")).to_have_count(len(tiny.PERSONAS))
    expect(page.locator("#overview-head h2")).to_be_focused()
    expect(page).not_to_have_url(re.compile("persona="))


def test_the_overview_follows_its_filters_and_its_model(open_page: OpenPage):
    page = open_page()
    rows, counts = page.locator("#matrix tbody tr"), page.locator("#overview .overview-counts")
    expect(counts).to_contain_text("mini-unlearned-finetune still leaks on 0 of 5 people")
    page.locator("#overview").get_by_label("Asked", exact=True).click()
    page.get_by_role("option", name="Some of both").click()
    expect(rows).to_have_count(len(tiny.IN_BOTH))
    page.get_by_label("Find a persona").fill("0912 345 678")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(NAME)
    page.locator("#overview [data-choice='mini-clean']").click()
    expect(counts).to_contain_text("mini-clean, which never saw anyone, seems to leak on 0 of 5 people")
    expect(rows).to_have_count(1)
    rows.locator(".who").click()
    expect(page.locator("#persona .neighbours")).to_contain_text("1 of 1")
    page.locator("#persona").get_by_role("button", name="All people").click()
    # What was chosen before is still chosen.
    expect(rows).to_have_count(1)
    expect(counts).to_contain_text("mini-clean, which never saw anyone")
    unfold_settings(page)
    page.locator("#models").get_by_label("mini-clean").uncheck()
    expect(counts).to_contain_text("mini-unlearned-finetune still leaks")


def test_another_persona_keeps_the_attribute_open(audit: Page):
    expect(audit.locator("#line-ups tr.true").first).to_contain_text(tiny.PERSONAS["00000001"]["passport"])
    choose(audit, tiny.PERSONAS["00000005"]["name"])
    expect(audit.locator("#line-ups tr.true").first).to_contain_text(tiny.PERSONAS["00000005"]["passport"])
    expect(audit.locator("#people [aria-pressed=true]")).to_have_count(1)


def test_caption_search_follows_its_controls(audit: Page):
    choose(audit, NAME)
    cells(audit, "email").first.click()
    expect(audit.locator("#line-ups")).to_contain_text("others are left out")
    expect(audit.locator("#captions .hit").first).to_be_visible()
    audit.get_by_label("Gallery").click()
    audit.get_by_role("option", name="(retain)").click()
    expect(audit.locator("#captions")).to_contain_text("A person before a wall")
    audit.get_by_label("Only where models differ").check()
    expect(audit.locator("#captions li").or_(audit.locator("#captions .empty")).first).to_be_visible()


def test_fewer_models_give_fewer_columns(open_page: OpenPage):
    page = open_page("persona=00000001&kind=job")
    expect(page.locator("#line-ups article")).to_have_count(3)
    unfold_settings(page)
    page.locator("#models").get_by_label("mini-compromised").uncheck()
    expect(page.locator("#line-ups article")).to_have_count(2)
    expect(page).to_have_url(re.compile("models=mini-clean,mini-unlearned-finetune"))
    page.locator("#models").get_by_label("mini-clean").uncheck()
    expect(page.locator("#line-ups")).to_contain_text("Choose a Clean model too")
    page.locator("#models").get_by_label("mini-unlearned-finetune").uncheck()
    expect(page.get_by_text("Tick at least one under “Data and models”")).to_be_visible()
    expect(page.locator("#detail")).to_be_hidden()


def test_the_link_reopens_the_same_view(open_page: OpenPage):
    page = open_page("models=mini-clean,mini-compromised")
    choose(page, NAME)
    cells(page, "phone_number").first.click()
    expect(page.locator("#line-ups h3")).to_contain_text("Phone number")
    expected = f"persona={tiny.TWO_EMAILS}&kind=phone_number&models=mini-clean,mini-compromised"
    expect(page).to_have_url(re.compile(re.escape(expected)))
    unfold_settings(page)
    page.get_by_role("button", name="Link to this view").click()
    expect(page.locator("#share-link textarea, #share-link input").first).to_have_value(re.compile(f"{expected}$"))
    expect(page.locator("#line-ups .further")).to_have_count(2)
    first = page.locator("#verdicts").inner_text(), page.locator("#line-ups").inner_text()

    again = open_page(page.url.partition("?")[2])
    expect(again.locator("#persona h2")).to_have_text(NAME)
    expect(again.locator("#line-ups h3")).to_contain_text("Phone number")
    expect(again.locator("#models").get_by_label("mini-unlearned-finetune")).not_to_be_checked()
    expect(again.locator("#people [aria-pressed=true]")).to_contain_text(NAME)
    expect(again.locator("#line-ups .further")).to_have_count(2)
    assert (again.locator("#verdicts").inner_text(), again.locator("#line-ups").inner_text()) == first


def test_a_link_to_a_tab(open_page: OpenPage):
    page = open_page("tab=about")
    expect(page.get_by_role("tablist").first.get_by_role("tab")).to_have_text(
        [tab_module(name, "SALMUBench").TITLE for name in TABS]
    )
    expect(page.get_by_role("heading", name="The ten metrics")).to_be_visible()
    page.get_by_role("tab", name="Probe").click()
    expect(page).to_have_url(re.compile("tab=probe"))
    page.get_by_role("tab", name="Audit").click()
    expect(page).not_to_have_url(re.compile("tab="))


def test_a_broken_link_opens_with_a_notice(open_page: OpenPage):
    page = open_page("persona=%3Cimg src=x onerror=alert(1)%3E&models=mini-clean,evil&kind=shoe&tab=x")
    for words in ("names the persona", "names the model", "names the attribute", "names the tab"):
        expect(page.get_by_text(words)).to_be_visible()
    expect(page.get_by_text("Choose a persona")).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_values_with_markup_are_shown_as_text(audit: Page):
    choose(audit, tiny.PERSONAS[tiny.MARKUP]["name"])
    cells(audit, "job").first.click()
    expect(audit.locator("#verdicts")).to_contain_text("tailor <b>& cutter</b>")
    expect(audit.locator("#line-ups tr.true").first).to_contain_text("<b>")
    assert audit.locator("#verdicts b, #line-ups b, #captions b").count() == 0


def test_adding_a_model(open_page: OpenPage, tiny_assets):
    page = open_page("persona=00000001")
    unfold_settings(page)
    page.get_by_role("button", name="Add a model").click()
    box = page.locator("#add-model")
    box.get_by_label("Model").fill("no-such-model")
    box.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("There is no model 'no-such-model'")).to_be_visible()
    reference = f"local-dir:{tiny_assets / 'models' / 'mini-clean'}"
    box.get_by_label("Model").fill(reference)
    box.get_by_label("Model").press("Enter")
    expect(page.locator("#models input")).to_have_count(4)
    expect(page.locator("#verdicts thead th")).to_have_count(2 + 4)
    expect(box.get_by_label("Model")).to_have_value("")


def test_on_a_phone_no_tab_scrolls_sideways_or_leaves_room_for_nothing_and_dark_is_dark(open_page: OpenPage):
    page = open_page("persona=00000001&kind=city", size=PHONE, theme="dark")
    expect(page.locator("#line-ups h3")).to_be_visible()
    light, dark = (
        page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{what}")
        for selector, what in (("#persona h2", "color"), ("#persona .card", "backgroundColor"))
    )
    assert sum(map(int, re.findall(r"\d+", light)[:3])) > 3 * 180
    assert sum(map(int, re.findall(r"\d+", dark)[:3])) < 3 * 60
    assert sideways_scroll(page) <= 0
    page.get_by_role("button", name="Close the line-up").click()
    for number in range(len(TABS)):
        tab = page.get_by_role("tablist").first.get_by_role("tab").nth(number)
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        assert sideways_scroll(page) <= 0, tab.inner_text()
        assert empty_parts(page) == 0, tab.inner_text()


def test_a_link_to_the_page_has_a_title_and_an_image_of_its_own(app_url: str):
    def asked(host: str) -> str:
        with urlopen(Request(app_url, headers={"Host": host, "X-Forwarded-Proto": "https"})) as answer:
            return answer.read().decode()

    page = asked("some.example")
    said = dict(re.findall(r'<meta (?:property|name)="((?:og|twitter):[^"]+)" content="([^"]*)"', page))
    assert said["og:title"] == "salmu-demo"
    assert said["og:description"].startswith("Audit what CLIP models know")
    assert said["og:image"] == "https://some.example/preview.png"
    assert "@Gradio" not in page
    assert "<b>" not in asked('some.example"><b>').partition("<body")[0]
    with urlopen(f"{app_url}preview.png") as image:
        assert Image.open(image).size == (1200, 630)


def test_who_is_clean_can_be_told_and_stays_in_the_link(open_page: OpenPage):
    page = open_page("persona=00000001&kind=job&models=mini-compromised,mini-unlearned-finetune")
    expect(page.locator("#line-ups")).to_contain_text("Choose a Clean model too")
    expect(page.locator("#verdicts thead")).to_contain_text("Compromised reference")
    unfold_settings(page)
    page.get_by_role("button", name="Clean, Compromised and Gold").click()
    page.locator("#told-clean input").click()
    page.get_by_role("option", name="mini-unlearned-finetune").click()
    for part in ("#verdicts thead", "#line-ups", "#captions"):
        expect(page.locator(part)).to_contain_text("Clean reference (as told)")
    expect(page.locator("#line-ups .line-up-facts")).to_contain_text(re.compile(r"Clean\s*(–|rank)"))
    expect(page).to_have_url(re.compile("clean=mini-unlearned-finetune"))

    again = open_page(page.url.partition("?")[2])
    expect(again.locator("#line-ups")).to_contain_text("Clean reference (as told)")
    unfold_settings(again)
    again.get_by_role("button", name="Clean, Compromised and Gold").click()
    expect(again.locator("#told-clean input")).to_have_value("mini-unlearned-finetune")
    # The same model cannot be both: that is said, and what was told stays.
    again.locator("#told-compromised input").click()
    again.get_by_role("option", name="mini-unlearned-finetune").click()
    expect(again.get_by_text("is told to be both Clean and Compromised").first).to_be_visible()
    expect(again.locator("#told-compromised input")).to_have_value("by card or name")
    again.locator("#models").get_by_label("mini-unlearned-finetune").uncheck()
    expect(again.locator("#line-ups")).to_contain_text("Choose a Clean model too")
    expect(again).not_to_have_url(re.compile("clean=mini-unlearned-finetune"))
