"""axe finds nothing wrong with any tab, in light and dark, but for three rules that Gradio's own parts break."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from salmu_demo.ui.shell.view import TABS
from tests.ui.conftest import OpenPage, unfold_settings

# Inside Gradio's Gallery, Plot and File; all else must pass.
GRADIO_RULES = {"label-content-name-mismatch", "aria-prohibited-attr"}

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


def violations(page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for violation in found
        if violation["id"] not in GRADIO_RULES
        for node in violation["nodes"]
        if not node["html"].startswith('<div class="toast-')  # a message of Gradio's that happens to be shown
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", "#people .portrait"),
        ("persona=00000003&kind=email", "#captions .results"),
        ("tab=probe", "#probe-text"),
        ("tab=benchmark", "[role=tabpanel]:visible"),
        ("tab=unlearn", "#unlearn-card .method"),
        ("tab=models", "#model-cards .card"),
        ("tab=about", ".about table"),
    ],
    ids=["start", "audit", "probe", "benchmark", "unlearn", "models", "about"],
)
def test_axe_finds_nothing(open_page: OpenPage, theme, query, shown):
    page = open_page(query, theme=theme)
    expect(page.locator(shown).first).to_be_visible()
    assert violations(page) == []


def test_axe_finds_nothing_where_data_and_models_are_chosen(open_page: OpenPage):
    for theme in ("light", "dark"):
        page = open_page(theme=theme)
        unfold_settings(page)
        for folded in ("Add a model", "Clean, Compromised and Gold", "Link to this view"):
            page.get_by_role("button", name=folded).click()
        expect(page.locator("#share-link textarea, #share-link input").first).to_be_visible()
        assert violations(page) == []


@pytest.mark.parametrize("tab", TABS)
def test_whatever_has_the_focus_shows_it(open_page: OpenPage, tab: str):
    page = open_page(f"tab={tab}&persona=00000003&kind=email" if tab == "audit" else f"tab={tab}")
    expect(page.locator("[role=tabpanel]:visible").first).to_be_visible()
    visited: list[str] = []
    for _ in range(150):
        page.keyboard.press("Tab")
        found = page.evaluate(NO_RING)
        if found is None:
            break
        ringed, name = found
        assert ringed, name
        visited.append(name)
    # The link past everything, the header's button, the tabs, and something in the tab.
    assert len(visited) > 2 + len(TABS)
