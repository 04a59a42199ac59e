"""What axe finds wrong in a page, in each theme and on screens of each size."""

from typing import Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.ui.conftest import DESKTOP, PHONE

LOOKS: Final = (("light", DESKTOP), ("dark", PHONE))
"""Themes and sizes that differ in as much as they can."""

DRESS: Final = """
(theme) => {
  document.body.classList.toggle('dark', theme === 'dark');
  for (const change of document.getAnimations()) if (change instanceof CSSTransition) change.finish();
}
"""
"""What Gradio does for a theme that the address names; no colour is on its way from one theme to the other."""

# Of what axe finds right, it describes one place of each rule instead of thousands, and none of it leaves the page.
FIND: Final = """
async (within) => {
  const dress = (element) => [element.tagName, element.className, element.role, element.style.cssText];
  const kind = (element) => [element, ...element.querySelectorAll('*')].map(dress).join();
  for (const parent of document.querySelectorAll(`${within} *`)) {
    const seen = {};
    for (const child of parent.children.length > 2 ? parent.children : []) {
      const alike = kind(child);
      child.toggleAttribute('data-alike', (seen[alike] = (seen[alike] ?? 0) + 1) > 2);
    }
  }
  const context = {include: [[within]], exclude: [['[data-alike]']]};
  const {violations} = await axe.run(context, {resultTypes: ['violations']});
  return violations.flatMap(({id, nodes}) => nodes
    .filter(({html}) => !html.startsWith('<div class="toast-'))
    .map(({html, failureSummary}) => `${id}: ${html.slice(0, 200)} ${failureSummary.slice(0, 300)}`));
}
"""
"""Of neighbours that differ in their words only, such as rows of a table, two are looked at. Messages of Gradio's that
happen to be shown are left out.
"""


def show_as(page: Page, theme: str, size: tuple[int, int]) -> None:
    """Show an open page in a theme and on a screen of a size."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.evaluate(DRESS, theme)


def violations(page: Page, within: str = "html") -> list[str]:
    """What axe finds wrong in the page, or in a part of it."""
    if page.evaluate("window.axe === undefined"):
        page.evaluate(Axe().axe_script)
    found: list[str] = page.evaluate(FIND, within)
    return found


def violations_in_both_themes(page: Page, within: str = "html") -> list[str]:
    """What axe finds wrong in a page that is light now, or in a part of it, in light and in dark."""
    found = violations(page, within)
    page.evaluate(DRESS, "dark")
    found += violations(page, within)
    page.evaluate(DRESS, "light")
    return found
