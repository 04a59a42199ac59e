"""Make the screenshots of the documents from the running app: `python scripts/screenshots.py`.

Needs the extra `dev`, and Chromium on the path or named by the environment variable CHROMIUM.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import ViewportSize, sync_playwright

ROOT = Path(__file__).parents[1]
SIZE: ViewportSize = {"width": 1280, "height": 1000}
LINK_SIZE: ViewportSize = {"width": 1200, "height": 630}
"""What sites that show an image beside a link have room for."""
PATIENCE_SECONDS = 600
"""A machine without kept features encodes a line-up before it shows its captions."""

_MODELS = "models=mini-clean,mini-compromised,mini-unlearned-pinpoint,mini-unlearned-redirect"
VIEWS = {
    ROOT / "docs" / "images" / "audit.png": (f"persona=00000024&{_MODELS}", SIZE),
    ROOT / "salmu_demo" / "ui" / "shell" / "preview.png": (f"persona=00000024&{_MODELS}", LINK_SIZE),
}
"""What each screenshot shows, as the query of a link, and its size."""


def take(address: str) -> None:
    """Take all screenshots of the app at an address."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        for path, (query, size) in VIEWS.items():
            page = browser.new_page(viewport=size, reduced_motion="reduce")
            page.set_default_timeout(1000 * PATIENCE_SECONDS)
            page.goto(f"{address}/?__theme=light&{query}")
            page.locator("#people .portrait").first.wait_for(state="attached")
            page.locator(".verdicts .cell").first.wait_for()
            page.screenshot(path=path)
        browser.close()


def wait_for(address: str) -> None:
    """Return when the app answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            urlopen(address, timeout=10).close()
        except (URLError, TimeoutError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


def main() -> None:
    """Serve the app at a free port and take the screenshots."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = subprocess.Popen([sys.executable, "-m", "salmu_demo", "app", "--port", str(port)])
    try:
        wait_for(f"http://127.0.0.1:{port}")
        take(f"http://127.0.0.1:{port}")
    finally:
        app.terminate()
        app.wait()


if __name__ == "__main__":
    main()
