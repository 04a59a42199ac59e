"""Whatever looks as if it could be clicked does something: every tab's first screen, as a newcomer meets it."""

import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from salmu_demo.core.progress import Progress
from salmu_demo.jobs.execution import Execution
from salmu_demo.jobs.job import Job, JobProgress, JobProgressCallback
from salmu_demo.jobs.manager import JobManager
from salmu_demo.ui.shell.view import TABS
from tests.fixtures import tiny
from tests.ui.conftest import DESKTOP, PATIENCE_MS, OpenPage, app_with_runs, profile

EFFECT_SECONDS: Final = 15.0
"""How long an effect is waited for; nearly all come at once, and on a busy machine the others take a while."""

QUIET_MS: Final = 100
"""How long a page changes nothing before it is taken to have settled."""

ALIKE: Final = 2
"""Of elements that differ in their words only, so many are clicked."""

FIND: Final = """
([whole, alike]) => {
  const native = 'button, a[href], summary, input, textarea, select, [role=button], [role=tab], [role=option]';
  const panels = [...document.querySelectorAll('[role=tabpanel]')].filter((panel) => panel.checkVisibility());
  const usable = (element) => {
    const box = element.getBoundingClientRect();
    return element.checkVisibility({visibilityProperty: true}) && box.width > 1 && box.height > 1 &&
      !element.matches(':disabled, [aria-disabled=true], [aria-selected=true], input[type=radio]:checked');
  };
  const pointer = (element) => getComputedStyle(element).cursor === 'pointer';
  const all = [...(whole ? document.body : panels[0]).querySelectorAll('*')].filter(usable);
  const found = all.filter((element) => element.matches(native) && !element.parentElement.closest('button, a[href]'));
  for (const element of all) {
    const topmost = pointer(element) && !pointer(element.parentElement);
    const apart = !element.closest(native) && !element.querySelector(native) && !element.closest('label');
    if (topmost && apart) found.push(element);
  }
  const seen = {};
  const kind = (element) => [element, element.parentElement, element.closest('[id]')].map(
    (one) => `${one?.tagName} ${one?.className}`).join() + element.closest('.block, .tabs, main, body')?.id;
  const chosen = found.filter((element) => (seen[kind(element)] = (seen[kind(element)] ?? 0) + 1) <= alike);
  return chosen.map((element, number) => {
    element.dataset.clickTest = number;
    const words = element.getAttribute('aria-label') || element.innerText || element.placeholder || element.value;
    return `${element.tagName.toLowerCase()}: ${words.trim().replaceAll('\\n', ' ')}`;
  });
}
"""
"""What looks clickable in the page, or in its open tab only: elements get a number, their descriptions are returned."""

COUNT: Final = """
() => {
  window.requests = window.events = 0;
  const fetch = window.fetch;
  const count = async (stream) => {
    let text = '';
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      const messages = (text + part).split('\\n\\n');
      text = messages.pop();
      window.events -= messages.filter((message) => message.includes('process_completed"')).length;
    }
  };
  window.fetch = async (...request) => {
    const address = String(request[0].url ?? request[0]);
    if (address.includes('/heartbeat/')) return fetch(...request);
    if (address.includes('/queue/data')) {
      const answer = await fetch(...request);
      // Gradio hangs up as soon as every event has ended, and the last message may be lost to others.
      count(answer.clone().body).catch(() => {}).finally(() => { window.events = 0; });
      return answer;
    }
    window.requests += 1;
    window.events += address.includes('/queue/join');
    return fetch(...request).finally(() => { window.requests -= 1; });
  };
}
"""
"""Count what the page waits for: an answer, or the end of an event that it has put into Gradio's queue."""

WATCH: Final = """
() => {
  window.effects = 0;
  const count = (changes) => { window.effects += changes.length; };
  const all = {subtree: true, childList: true, attributes: true, characterData: true};
  new MutationObserver(count).observe(document, all);
  for (const name of ['input', 'change', 'toggle', 'select']) {
    document.addEventListener(name, () => { window.effects += 1; }, true);
  }
}
"""


SETTLE: Final = """
([quiet, patience]) => new Promise((resolve, reject) => {
  const end = performance.now() + patience;
  const look = (before) => {
    const now = window.requests || window.events > 0 ? null : window.effects;
    if (now !== null && now === before) return resolve();
    if (performance.now() > end) return reject(new Error('the page does not come to rest'));
    setTimeout(look, quiet, now);
  };
  look(null);
})
"""
"""Wait until the page waits for nothing and has changed nothing for a moment."""


class FirstScreen:
    """A tab as it opens, over and over, and whatever happens to it."""

    def __init__(self, context: BrowserContext, address: str, tab: str) -> None:
        self._context = context
        self._address = f"{address}?__theme=light&tab={tab}"
        self._place = TABS.index(tab)
        self._happened = 0
        self.names = self.open()

    def open(self) -> list[str]:
        """Load the page, which afterwards does nothing by itself; returns what looks clickable."""
        self._page = self._context.new_page()
        self._page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        self._page.add_init_script(f"({COUNT})()")
        for event in ("request", "popup", "download", "filechooser"):
            self._page.on(event, self._note)  # type: ignore[call-overload]
        self._page.goto(self._address)
        self._page.locator("#people .portrait").first.wait_for(state="attached")
        expect(self._page.locator("#status p")).to_have_count(0)
        self._page.evaluate(WATCH)
        self._settle()
        return self._found()

    def does_something(self, number: int) -> bool:
        """Click an element, and see whether anything becomes of it but that it has the focus."""
        # The click before may have opened a list, and left a focus whose loss has effects of its own.
        self._page.keyboard.press("Escape")
        self._page.evaluate("document.activeElement?.blur()")
        self._settle()  # What became of the click before.
        element = f"[data-click-test='{number}']"
        if not self._page.locator(element).is_visible() and not self._is_back():
            # A newcomer again: the page would remember a job that was started.
            self._page.evaluate("localStorage.clear()")
            self._page.close()
            self.open()
            end = time.monotonic() + PATIENCE_MS / 1000
            while (found := self._found()) != self.names:
                assert time.monotonic() < end, (found, self.names)
                self._page.wait_for_timeout(QUIET_MS)
        target = self._page.locator(element)
        target.hover(force=True)
        self._settle()  # What the pointer's coming does.
        before = self._state()
        target.click(force=True)
        # What is typed into waits for the keyboard, and the list that a `select` unfolds is the browser's own.
        typed = "input:not([type=radio], [type=checkbox]), textarea, select"
        if self._page.evaluate("typed => document.activeElement.matches(typed)", typed):
            return True
        end = time.monotonic() + EFFECT_SECONDS
        while time.monotonic() < end:
            if self._state() != before:
                return True
            self._page.wait_for_timeout(20)
        return False

    def _is_back(self) -> bool:
        """Whether what was clicked before led to another tab or a persona only, from which a click leads back."""
        self._page.get_by_role("tablist").first.get_by_role("tab").nth(self._place).click()
        if (overview := self._page.get_by_role("button", name="All people")).is_visible():
            overview.click()
        self._settle()
        return self._found() == self.names

    def _found(self) -> list[str]:
        names: list[str] = self._page.evaluate(FIND, [self._place == 0, ALIKE])
        return names

    def _settle(self) -> None:
        self._page.evaluate(SETTLE, [QUIET_MS, PATIENCE_MS])

    def _state(self) -> tuple[int, str, int | None]:
        return self._happened, self._page.url, self._page.evaluate("window.effects")

    def _note(self, _: Any) -> None:
        self._happened += 1


@pytest.fixture(scope="module")
def app_url(tiny_assets, tmp_path_factory) -> Iterator[str]:
    with app_with_runs(tmp_path_factory) as url:
        yield url


@pytest.fixture(scope="module", autouse=True)
def _no_work() -> Iterator[None]:
    """A job that was started is under way until it is cancelled, and does nothing."""

    def hold(self: Execution, work: Any) -> Job:
        def wait(report: JobProgressCallback) -> tuple[str, ...]:
            while True:
                report(JobProgress.of(Progress("held", 0, 1), 0.0))
                time.sleep(0.05)

        return run(self, wait)

    run = Execution.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Execution, "run", hold)
        yield


@pytest.fixture(autouse=True)
def _no_jobs_left(app_url: str) -> Iterator[None]:
    """What a test has started does not go on beside the next."""
    yield
    manager = JobManager()
    for job in manager.jobs():
        manager.cancel(job.id)


@pytest.mark.parametrize("tab", TABS)
def test_what_looks_clickable_does_something(app_url: str, browser: Browser, visitors: list[BrowserContext], tab: str):
    with profile(app_url, browser, visitors) as context:
        screen = FirstScreen(context, app_url, tab)
        assert screen.names
        assert [name for number, name in enumerate(screen.names) if not screen.does_something(number)] == []


def test_the_cards_of_the_first_screen_choose_their_persona(open_page: OpenPage):
    page = open_page()
    cards = page.locator("#persona .portrait")
    expect(cards).to_have_count(3)
    name = cards.nth(1).locator(".portrait-name").inner_text()
    cards.nth(1).click()
    expect(page.locator("#persona h2")).to_have_text(name)
    expect(page.locator("#verdicts table")).to_be_visible()
    expect(page.locator("#people [aria-pressed=true]")).to_contain_text(name)
    assert name in {persona["name"] for persona in tiny.PERSONAS.values()}
