"""Time from starting `app.py` on a machine where nothing is cached to a page that answers, and to everybody's verdicts.

python -m benchmarks.startup [--rounds 3]
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.ui.client import Visitor

TIMEOUT = 120.0


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _seconds_to_page_and_verdicts(cache: str) -> tuple[float, float]:
    port = free_port()
    app = Path(__file__).parent.parent / "app.py"
    start = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, str(app)],
        env={**os.environ, "PORT": str(port), "SALMU_CACHE_DIR": cache},
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        while time.perf_counter() - start < TIMEOUT:
            try:
                with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
                    response.read()
                page = time.perf_counter() - start
                _check_verdicts(Visitor(url))
                return page, time.perf_counter() - start
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise TimeoutError(f"No page within {TIMEOUT:.0f} s.")
    finally:
        server.terminate()
        server.wait(timeout=30)


def _check_verdicts(visitor: Visitor) -> None:
    """Ask for the first screen, and see that it has the matrix of everybody."""
    matrix = next(i for i, each in visitor.components.items() if each["props"].get("elem_id") == "matrix")
    # Whatever opens a persona shows everybody as long as none is chosen.
    show = next(d for d in visitor.config["dependencies"] if matrix in d["outputs"] and len(d["outputs"]) > 2)
    answer = visitor.ask(show, visitor.values(show))
    if "<table" not in str(answer.data[show["outputs"].index(matrix)]):
        raise ValueError(f"The first screen has no verdicts: {answer.error or answer.data}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    times = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as cache:
            times.append(_seconds_to_page_and_verdicts(cache))
    for what, seconds in zip(("first page", "verdicts"), zip(*times, strict=True), strict=True):
        median, worst = statistics.median(seconds), max(seconds)
        print(f"{what}: median {median:.1f} s, worst {worst:.1f} s of {options.rounds} starts")


if __name__ == "__main__":
    main()
