"""Time from starting `app.py` to a page that answers, with the features of the built-in models on disk.

python -m benchmarks.startup [--rounds 3]
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT = 120.0


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _seconds_to_first_page() -> float:
    port = free_port()
    app = Path(__file__).parent.parent / "app.py"
    start = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, str(app)], env={**os.environ, "PORT": str(port)}, stdout=subprocess.DEVNULL
    )
    try:
        while time.perf_counter() - start < TIMEOUT:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=TIMEOUT) as response:
                    response.read()
                return time.perf_counter() - start
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise TimeoutError(f"No page within {TIMEOUT:.0f} s.")
    finally:
        server.terminate()
        server.wait(timeout=30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    times = [_seconds_to_first_page() for _ in range(options.rounds)]
    print(f"first page: median {statistics.median(times):.1f} s, worst {max(times):.1f} s of {options.rounds} starts")


if __name__ == "__main__":
    main()
