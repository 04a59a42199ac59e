"""axe finds nothing wrong with any tab, in light and dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from salmu_demo.ui.shell.view import TABS
from tests.ui.conftest import OpenPage, unfold_settings

NO_RING = """
() => {
  const focused = document.activeElement;
  if (!focused || focused === document.body) return null;
  const ringed = [focused, focused.parentElement, focused.parentElement.parentElement,
    focused.parentElement.parentElement.parentElement].some((one) => {
    const style = getComputedStyle(one);
    return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  });
  return [ringed, `${focused.tagName} ${focused.id || focused.getAttribute('aria-label') || focused.textContent}`];
}
"""
"""Whether what has the focus, or the frame around it, has a ring; and what it is."""


def violations(page: Page, within: str | None = None) -> list[str]:
    """What axe finds wrong in the page, or in a part of it."""
    # Of what it finds right, it describes one place of each rule instead of thousands.
    found = Axe().run(page, context=within, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for violation in found
        for node in violation["nodes"]
        if not node["html"].startswith('<div class="toast-')  # a message of Gradio's that happens to be shown
    ]


SHOWN = {
    "audit": "#matrix tbody tr",
    "probe": "#probe-text",
    "benchmark": "[role=tabpanel]:visible",
    "unlearn": "#unlearn-card .method",
    "leaderboard": "#board-table",
    "models": "#model-cards .card",
    "data": "[role=tabpanel]:visible",
    "about": ".about table",
}
"""What has come when a tab has been opened."""


def open_tab(page: Page, tab: str) -> None:
    page.get_by_role("tablist").first.get_by_role("tab").nth(TABS.index(tab)).click()
    expect(page.locator(SHOWN[tab]).first).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(open_page: OpenPage, theme: str):
    page = open_page("persona=00000003&kind=email", theme=theme)
    expect(page.locator("#captions .results").first).to_be_visible()
    found = {"a persona": violations(page)}
    page.locator("#persona").get_by_role("button", name="All people").click()
    expect(page.locator("#matrix tbody tr").first).to_be_visible()
    for tab in TABS:
        open_tab(page, tab)
        found[tab] = violations(page)
    unfold_settings(page)
    for folded in ("Add a model", "Clean, Compromised and Gold", "Link to this view"):
        page.get_by_role("button", name=folded).click()
    expect(page.locator("#share-link textarea, #share-link input").first).to_be_visible()
    found["data and models"] = violations(page)
    assert found == {place: [] for place in found}


def test_whatever_has_the_focus_shows_it(open_page: OpenPage):
    page = open_page("persona=00000003&kind=email")
    expect(page.locator("#captions .results").first).to_be_visible()
    for tab in TABS:
        if tab != "audit":
            open_tab(page, tab)
        # The first stop of the page.
        page.locator(".skip").focus()
        visited: list[str] = []
        for _ in range(150):
            page.keyboard.press("Tab")
            found = page.evaluate(NO_RING)
            if found is None:
                break
            ringed, name = found
            assert ringed, (tab, name)
            visited.append(name)
        # The header's button, the tabs, and something in the tab.
        assert len(visited) > 1 + len(TABS), tab
