"""axe finds nothing wrong with any tab, in light and dark."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from salmu_demo.ui.shell.view import TABS
from tests.ui.axe import violations_in_both_themes
from tests.ui.conftest import OpenPage, unfold_settings, windows

WATCH = """
() => {
  // The first stop of the page: only what the keyboard leads to has a ring.
  document.querySelector('.skip').focus();
  const before = window.stops;
  window.stops = [];
  if (!before) document.addEventListener('focusin', ({target}) => {
    const frames = [target, target.parentElement, target.parentElement.parentElement,
      target.parentElement.parentElement.parentElement];
    const ringed = frames.map(getComputedStyle).some(
      (style) => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2);
    window.stops.push([ringed, `${target.tagName} ${target.id || target.ariaLabel || target.textContent}`]);
  });
}
"""
"""Go to the top of the page; note from there whether what gets the focus, or the frame around it, has a ring."""

SHOWN = {
    "persona": "#captions .results",
    "audit": "#matrix tbody tr",
    "probe": "#probe-text",
    "benchmark": "[role=tabpanel]:visible",
    "unlearn": "#unlearn-card .method",
    "leaderboard": "#board-table",
    "models": "#model-cards .card",
    "data": "[role=tabpanel]:visible",
    "about": ".about table",
}
"""What has come when a place has been opened."""

PLACES = ("persona", *TABS)
"""What is looked at: a persona's page in the audit, and each tab; of the audit the overview of all people."""


def open_place(page: Page, place: str) -> None:
    tab = TABS[0] if place == "persona" else place
    page.get_by_role("tablist").first.get_by_role("tab").nth(TABS.index(tab)).click()
    if place == "persona":
        page.locator("#people .portrait").nth(2).click()
        page.locator("#verdicts button[data-choice=email]").first.click()
    elif (overview := page.get_by_role("button", name="All people")).is_visible():
        overview.click()
    expect(page.locator(SHOWN[place]).first).to_be_visible()


@pytest.fixture(scope="module")
def window(app_url: str, browser: Browser, visitors: list[BrowserContext]) -> Iterator[Page]:
    """The page in one window; whatever tests do in it leaves every place as it was."""
    with windows(app_url, browser, visitors) as open_:
        yield open_()


@pytest.fixture(params=PLACES, scope="module")
def place(window: Page, request: pytest.FixtureRequest) -> str:
    """A place that is open in the window."""
    open_place(window, request.param)
    return str(request.param)


def test_axe_finds_nothing_beside_a_persona_and_the_settings(open_page: OpenPage):
    page = open_page("persona=00000003&kind=email")
    expect(page.locator("#captions .results").first).to_be_visible()
    unfold_settings(page)
    for folded in ("Add a model", "Clean, Compromised and Gold", "Link to this view"):
        page.get_by_role("button", name=folded).click()
    expect(page.locator("#share-link textarea, #share-link input").first).to_be_visible()
    assert violations_in_both_themes(page) == []


def test_axe_finds_nothing(window: Page, place: str):
    assert violations_in_both_themes(window, "[role=tabpanel]") == []


def test_whatever_has_the_focus_shows_it(window: Page, place: str):
    window.evaluate(WATCH)
    for _ in range(150):
        window.keyboard.press("Tab")
        if window.evaluate("document.activeElement === document.body"):
            break
    stops = window.evaluate("window.stops")
    assert [name for ringed, name in stops if not ringed] == []
    # The header's button, the tabs, and something in the tab.
    assert len(stops) > 1 + len(TABS)
