"""What the page and what is done in it cost: seconds until it is there, and of CPU in the browser and in the server.

The browser's are those of Chromium and of what drives it.

    python -m benchmarks.page [--rounds 3] [--people 1500]

With `--people`, the data is drawn, with the numbers of the official data for so many people, and the page has one model
whose features are drawn, too. Needs Chromium: the environment variable CHROMIUM, or one on the path.
"""

import argparse
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.official_size import DATA_FOLDER, HERE, timed
from benchmarks.startup import free_port
from benchmarks.synthetic import PEOPLE, write_data

TABS = ("Probe", "Benchmark", "Unlearn", "Leaderboard", "Models", "Your data", "About")
SETTLED_SECONDS = 1.5
"""How long whatever a visit or a click set off is waited for."""
PATIENCE_MS = 120_000.0


def _cpu(process: int) -> float:
    """Seconds of CPU of a process and of those that it started, as Linux counts them."""
    folder = Path(f"/proc/{process}")
    try:
        # After the name in brackets, which may hold anything.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        children = [
            int(child) for task in (folder / "task").iterdir() for child in (task / "children").read_text().split()
        ]
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(map(_cpu, children))


def _measured(server: int, act: Callable[[], None]) -> tuple[float, float, float]:
    """Seconds that something takes, and seconds of CPU until all that it sets off has settled: browser's, server's."""
    before, start = (_cpu(os.getpid()), _cpu(server)), time.perf_counter()
    act()
    seconds = time.perf_counter() - start
    time.sleep(SETTLED_SECONDS)
    in_server = _cpu(server) - before[1]
    return seconds, _cpu(os.getpid()) - before[0] - in_server, in_server


def _acts(page: Page, url: str) -> list[tuple[str, Callable[[], None]]]:
    """What a visitor does, one thing after another; each takes until it is seen."""
    rows, name = page.locator("#matrix tbody tr"), page.locator("#persona h2")

    def load() -> None:
        page.goto(url)
        rows.first.wait_for()

    def search() -> None:
        some = rows.count()
        page.get_by_label("Find a persona").fill(rows.last.locator(".who").inner_text().splitlines()[0])
        expect(rows).not_to_have_count(some)

    def open_() -> None:
        rows.first.locator(".who").click()
        name.wait_for()

    def everybody() -> None:
        some = rows.count()
        page.locator("#persona").get_by_role("button", name="All people").click()
        page.get_by_label("Find a persona").fill("")
        expect(rows).not_to_have_count(some)

    def next_() -> None:
        rows.first.locator(".who").click()
        before = name.inner_text()
        page.locator("#persona").get_by_role("button", name="Next").click()
        expect(name).not_to_have_text(before)

    return [
        ("the page", load),
        ("a search", search),
        ("a person", open_),
        ("everybody again", everybody),
        ("a person, and the next", next_),
        *((f"tab {tab}", page.get_by_role("tab", name=tab, exact=True).click) for tab in TABS),
    ]


def _visits(browser: Browser, url: str, server: int, rounds: int) -> dict[str, list[tuple[float, ...]]]:
    found: dict[str, list[tuple[float, ...]]] = {}
    # The first visit, which is not counted, has the server import and read what every later one finds.
    for number in range(rounds + 1):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        for what, act in _acts(page, url):
            measured = _measured(server, act)
            if number:
                found.setdefault(what, []).append(measured)
        context.close()
        time.sleep(SETTLED_SECONDS)  # Its process takes its seconds of CPU along.
    return found


def _draw(folder: Path, people: int) -> None:
    """Draw data of so many people, a model and its features, which the app then takes for its own."""
    assets = folder / "assets"
    os.environ["SALMU_ASSETS_DIR"] = str(assets)
    plain = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(plain, "PNG")
    write_data(assets / DATA_FOLDER, [plain.getvalue()], people / PEOPLE)
    timed("drawing a model and its features", "-c", f"{HERE}; draw_model('small'); draw_features()")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--people", type=int, help="whose data is drawn, in place of the embedded data")
    options = parser.parse_args()
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        sys.exit("No Chromium is on the path; set CHROMIUM to its program.")
    port = free_port()
    expect.set_options(timeout=PATIENCE_MS)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.environ["SALMU_CACHE_DIR"] = str(Path(folder) / "cache")
        if options.people:
            _draw(Path(folder), options.people)
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent.parent / "app.py")],
            env={**os.environ, "PORT": str(port), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
        )
        try:
            assert server.stdout is not None
            server.stdout.readline()
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            found = _visits(browser, f"http://127.0.0.1:{port}/", server.pid, options.rounds)
            browser.close()
        finally:
            server.terminate()
            server.wait(timeout=30)
    print("| shown | seconds | CPU of the browser | CPU of the server |\n|---|---|---|---|")
    for what, measured in found.items():
        medians = [f"{statistics.median(column):.2f}" for column in zip(*measured, strict=True)]
        print(f"| {what} | {' | '.join(medians)} |")


if __name__ == "__main__":
    main()
