"""The app in this process on tiny data, and a browser."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.ui.app import build_app
from salmu_demo.ui.shell.server import listen, serving
from salmu_demo.ui.shell.visitor_files import open_visitor_files
from salmu_demo.workbench.bench import Workbench

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # No link leads out of this machine. A route for that would take part in each of the hundred requests of a page.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
DESKTOP = (1280, 900)
PHONE = (390, 844)
PATIENCE_MS = 60_000
"""Far more than anything takes, for a machine that is busy with other things."""

expect.set_options(timeout=PATIENCE_MS)

LEFT = "AbortError: signal is aborted"
"""What a request of Gradio's says that was under way when the page was left or loaded again."""

BROKEN_OFF = "Connection errored out"
"""What the events say whose requests these were."""

OWN_IMAGE = "own-face.png"
"""Name of the image that tests search with."""

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a browser test again if it fails, up to twice.

    On a busy machine Gradio's client loses an event that it sends just while the server closes the stream of answers
    after the last one: its answer comes only with the next event, for which a test waits in vain.
    """
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=2))


@contextmanager
def served_app(temporary: Path) -> Iterator[str]:
    """Address of the app; everything the probes need is computed before, so no test waits for it."""
    files = open_visitor_files(temporary)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPACE_ID", raising=False)
        workbench = Workbench()
        workbench.warm(workbench.models(builtin_models()))
        with serving(build_app(workbench), listen("127.0.0.1", None)) as server:
            yield server.url
    files.close()


@contextmanager
def app_with_runs(temporary: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an app with a folder of jobs of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALMU_RUNS_DIR", str(temporary.mktemp("runs")))
        with served_app(temporary.mktemp("gradio")) as url:
            yield url


@pytest.fixture(scope="session")
def app_url(tiny_assets, tmp_path_factory) -> Iterator[str]:
    """Address of the app, started once for all tests that leave no jobs behind."""
    with served_app(tmp_path_factory.mktemp("gradio")) as url:
        yield url


@pytest.fixture(scope="module", autouse=True)
def _plain_figures(plain_figures: None) -> None:
    """Hardly a test here opens the figures that jobs write."""


@pytest.fixture(scope="module", autouse=True)
def _eager_jobs(eager_jobs: None) -> None:
    """The page asks how a job gets on, again and again, until it has ended."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, named by the environment variable CHROMIUM or found on the path."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if program is None:
        pytest.fail("The browser tests need Chromium: install it, or set CHROMIUM to its program.", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def visitors(browser: Browser) -> list[BrowserContext]:
    """Profiles of visitors that no test uses now. Each has what the page is made of in its cache, and nothing else."""
    return []


def unfold_settings(page: Page) -> None:
    """Unfold the choice of data and models, which is beside the page."""
    page.get_by_role("button", name="Data and models").click()
    expect(page.locator("#models input").first).to_be_visible()


def faults(logged: list[str]) -> list[str]:
    """What tells of something broken: not what requests say that were under way when the page was left."""
    left = any(LEFT in text for text in logged)
    return [text for text in logged if not (left and (LEFT in text or BROKEN_OFF in text))]


def forget_visitor(context: BrowserContext, address: str) -> None:
    """Close a visitor's windows and delete what the page kept in them; what the browser cached of it stays."""
    last = context.new_page()
    for page in context.pages:
        if page is not last:
            page.close()
    session = context.new_cdp_session(last)
    kept = "cookies,local_storage,indexeddb,service_workers,cache_storage"
    session.send("Storage.clearDataForOrigin", {"origin": address.rstrip("/"), "storageTypes": kept})
    last.close()


@contextmanager
def profile(app_url: str, browser: Browser, visitors: list[BrowserContext]) -> Iterator[BrowserContext]:
    """The profile of a visitor who was never here.

    Args:
        app_url: Where the app answers.
        browser: The browser.
        visitors: Profiles that may be used, and to which this one is added when it is not used any more: whoever
            comes again loads the page in half the time.
    """
    context = visitors.pop() if visitors else browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    forget_visitor(context, app_url)
    visitors.append(context)


@contextmanager
def windows(app_url: str, browser: Browser, visitors: list[BrowserContext]) -> Iterator[OpenPage]:
    """A function that opens the app with a `profile` of its own; at the end no window may have logged an error."""
    errors: list[str] = []
    profiles = ExitStack()

    def open_(query: str = "", size: tuple[int, int] = DESKTOP, theme: str = "light", path: str = "") -> Page:
        page = profiles.enter_context(profile(app_url, browser, visitors)).new_page()
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{app_url}{path}?__theme={theme}{'&' + query if query else ''}")
        page.locator("#people .portrait").first.wait_for(state="attached")
        return page

    with profiles:
        yield open_
    assert faults(errors) == []


@pytest.fixture
def open_page(app_url: str, browser: Browser, visitors: list[BrowserContext]) -> Iterator[OpenPage]:
    """A function that opens the app as a visitor who was never here, see `windows`."""
    with windows(app_url, browser, visitors) as open_:
        yield open_
