"""What opening the page and its tabs costs: seconds until it is there, and of CPU in the browser and in the server.

The browser's are those of Chromium and of what drives it.

python -m benchmarks.page [--rounds 3]

Needs Chromium: the environment variable CHROMIUM, or one on the path.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.startup import free_port

TABS = ("Probe", "Benchmark", "Unlearn", "Leaderboard", "Models", "Your data", "About")
SETTLED_SECONDS = 1.5
"""How long whatever a visit or a click set off is waited for."""


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


def _visits(browser: Browser, url: str, server: int, rounds: int) -> dict[str, list[tuple[float, ...]]]:
    found: dict[str, list[tuple[float, ...]]] = {}
    # The first visit, which is not counted, has the server import and read what every later one finds.
    for number in range(rounds + 1):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        page = context.new_page()

        def load(page: Page = page) -> None:
            page.goto(url)
            page.locator("#matrix tbody tr").first.wait_for()

        acts: list[tuple[str, Callable[[], None]]] = [("the page", load)]
        for name in TABS:
            acts.append((f"tab {name}", page.get_by_role("tab", name=name, exact=True).click))
        for what, act in acts:
            measured = _measured(server, act)
            if number:
                found.setdefault(what, []).append(measured)
        context.close()
        time.sleep(SETTLED_SECONDS)  # Its process takes its seconds of CPU along.
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        sys.exit("No Chromium is on the path; set CHROMIUM to its program.")
    port = free_port()
    with tempfile.TemporaryDirectory() as cache, sync_playwright() as playwright:
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent.parent / "app.py")],
            env={**os.environ, "PORT": str(port), "SALMU_CACHE_DIR": cache, "PYTHONUNBUFFERED": "1"},
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
    print("| opened | seconds | CPU of the browser | CPU of the server |\n|---|---|---|---|")
    for what, measured in found.items():
        medians = [f"{statistics.median(column):.2f}" for column in zip(*measured, strict=True)]
        print(f"| {what} | {' | '.join(medians)} |")


if __name__ == "__main__":
    main()
