"""axe finds nothing wrong with any tab, in light and dark, but for three rules that Gradio's own parts break."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.ui.conftest import OpenPage

# Inside Gradio's Gallery, Plot and File; all else must pass.
GRADIO_RULES = {"label-content-name-mismatch", "aria-prohibited-attr", "image-redundant-alt"}


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
