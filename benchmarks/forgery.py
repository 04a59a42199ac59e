"""What strangers can send, and how the app bears it: forged values, and many visitors at once.

    python -m benchmarks.forgery [--minutes 10] [--visitors 40] [--cache FOLDER] [--kinds 5]

The app is started with the shipped data, in a folder of its own that is removed at the end, as if a proxy stood before
it, so that each visitor here has an address of its own. First every input of every event of the page is sent every kind
of forged value. Then visitors ask, all at once, for probes by text and by image, audits, uploads and jobs, and each
checks that the answer is to the question that was asked. Prints the tables that docs/security.md keeps. `--cache` is a
folder of features to copy (`SALMU_CACHE_DIR` of an earlier run), without which they are computed first; `--kinds`
sends only so many kinds of forged values.
"""

import argparse
import base64
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.startup import free_port
from salmu_demo.core.settings import assets_dir
from salmu_demo.data.dataset import Persona
from salmu_demo.data.source import load_data
from tests.ui.client import Outcome, Visitor

MEGABYTES: Final = 5_000_000


def _deep(levels: int) -> list[Any]:
    return [_deep(levels - 1)] if levels else []


VALUES: Final[dict[str, Any]] = {
    "null": None,
    "a lone surrogate": "\ud800",
    "a NUL": "mini-clean\x00",
    "an empty text": "",
    "a long text": "x" * 4_900,
    "5 MB": "x" * MEGABYTES,
    "5 MB in a list": ["y" * MEGABYTES],
    "markup": '<a href="https://example.org">x</a><img src=x>[x](https://example.org)',
    "a path": "../../../../etc/passwd",
    "an upload": "upload:x-0123456789abcdef",
    "an unknown id": "AAAAAAAAAAAAAAAAAAAAAA",
    "true": True,
    "1e9": 10**9,
    "-1": -1,
    "2.5": 2.5,
    "2^63": 2**63,
    "1e300": 1e300,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "a list": ["mini-clean", None, 7],
    "20,000 times a model": ["mini-clean"] * 20_000,
    "a list of lists": [[["mini-clean"]]],
    "a deep list": _deep(200),
    "an object": {"path": "mini-clean", "value": "mini-clean"},
}
"""What no component of the page could hold, or not every one, by what it is."""

EVENT_DATA: Final[dict[str, Any]] = {
    **VALUES,
    **{f"index {kind}": {"index": value, "value": value} for kind, value in VALUES.items()},
    **{f"choice {kind}": {"choice": value} for kind, value in VALUES.items()},
}

START_SECONDS: Final = 120.0
READY_SECONDS: Final = 1800.0
PATIENCE: Final = 120.0
LONGEST_ANSWER: Final = 2_000
"""Characters of a refusal; longer ones send back what was sent."""

WALKERS: Final = 4
WEIGHTS: Final = "open_clip_model.safetensors"


@dataclass
class Served:
    """The app in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def log(self) -> str:
        """All that the process has written."""
        return (self.folder / "log.txt").read_text("utf-8", "replace")

    @property
    def tracebacks(self) -> int:
        """How many the log has."""
        return self.log.count("Traceback (most recent call last)")

    @property
    def memory(self) -> float:
        """Megabytes that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1e3

    @property
    def disk(self) -> float:
        """Megabytes of all that the app has written."""
        sizes = 0
        for path in self.folder.rglob("*"):
            try:
                sizes += path.lstat().st_size
            except OSError:  # It goes as quickly as it came.
                continue
        return sizes / 1e6


@contextmanager
def served(cache: Path | None) -> Iterator[Served]:
    """Start the app, and wait until the features of all models are there."""
    with tempfile.TemporaryDirectory(prefix="forgery-") as name:
        folder = Path(name)
        if cache is not None:
            shutil.copytree(cache / "features", folder / "cache" / "features")
        port = free_port()
        environment = {
            "PORT": str(port),
            "SALMU_CACHE_DIR": str(folder / "cache"),
            "SALMU_RUNS_DIR": str(folder / "runs"),
            "SALMU_TRUSTED_PROXIES": "1",
            "HF_HUB_OFFLINE": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
        }
        app = Path(__file__).parent.parent / "app.py"
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(app)], env={**os.environ, **environment}, stdout=log, stderr=log
            )
        try:
            found = Served(f"http://127.0.0.1:{port}/", process, folder)
            _wait(lambda: "is running on" in found.log, START_SECONDS, found)
            visitor = Visitor(found.url)
            poll = next(event for event in visitor.config["dependencies"] if _name(visitor, event) == "tick of a timer")
            _wait(lambda: _is_ready(visitor, poll), READY_SECONDS, found)
            yield found
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait(condition: Callable[[], bool], seconds: float, app: Served) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if app.process.poll() is not None or time.monotonic() > end:
            raise TimeoutError(f"The app did not get ready: {app.log[-2000:]}")
        time.sleep(0.2)


def _is_ready(visitor: Visitor, poll: dict[str, Any]) -> bool:
    _, pending, timer = visitor.ask(poll, ["", "x", None]).data
    return pending == "" and isinstance(timer, dict) and timer.get("active") is False


def _name(visitor: Visitor, event: dict[str, Any]) -> str:
    target, name = next(iter(event["targets"]))
    component = visitor.components.get(target, {})
    props = component.get("props", {})
    return f"{name} of {props.get('elem_id') or 'a ' + component.get('type', 'page')}"


# Forged values


@dataclass
class Answers:
    """How one kind of forged value was answered."""

    sent: int = 0
    answered: int = 0
    refused: int = 0
    faults: Counter[str] = field(default_factory=Counter)


def walk(app: Served, kinds: int) -> dict[str, Answers]:
    """Send every kind of forged value to every input of every event."""
    found: dict[str, Answers] = defaultdict(Answers)
    lock = threading.Lock()
    walkers = [Visitor(app.url, address=f"198.51.100.{number}", patience=PATIENCE) for number in range(WALKERS)]
    values = dict(list(VALUES.items())[:kinds])
    events = [event for event in walkers[0].config["dependencies"] if event["backend_fn"]]

    def send(visitor: Visitor, event: dict[str, Any], kind: str, data: list[Any], said: Any) -> None:
        try:
            fault, outcome = "", visitor.ask(event, data, said)
        except urllib.error.HTTPError as error:
            content = error.read()
            fault = "" if error.code < 500 and len(content) < LONGEST_ANSWER else f"status {error.code}"
            outcome = Outcome([], f"Refused with status {error.code}.")
        except (OSError, EOFError, ValueError) as error:
            fault, outcome = type(error).__name__, Outcome([], None)
        with lock:
            answers = found[kind]
            answers.sent += 1
            if not fault and outcome.data == [] and outcome.error is None:
                fault = "no sentence"
            if not fault and len(outcome.error or "") > LONGEST_ANSWER:
                fault = "sent back"
            if fault:
                answers.faults[f"{fault} ({_name(visitor, event)})"] += 1
            elif outcome.error is None:
                answers.answered += 1
            else:
                answers.refused += 1

    def go(number: int) -> None:
        visitor = walkers[number]
        for event in events[number::WALKERS]:
            honest = visitor.values(event)
            for kind, value in values.items():
                for place, component in enumerate(event["inputs"]):
                    if visitor.components[component]["type"] != "state":
                        send(visitor, event, kind, [*honest[:place], value, *honest[place + 1 :]], None)
                send(visitor, event, kind, honest, {"index": value, "choice": value, "value": value})

    with ThreadPoolExecutor(WALKERS) as pool:
        list(pool.map(go, range(WALKERS)))
    return found


# Visitors


@dataclass
class Wait:
    """How one kind of question was answered."""

    seconds: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    crossed: int = 0


class Crowd:
    """Visitors who ask at the same time, each for things of his own."""

    def __init__(self, app: Served, count: int, seconds: float) -> None:
        self.app = app
        self.count = count
        self.end = time.monotonic() + seconds
        self.waits: dict[str, Wait] = defaultdict(Wait)
        self.memory: list[float] = []
        self.personas = load_data("mini").personas
        self._lock = threading.Lock()

    def run(self) -> None:
        """Ask until the time is over, and note the app's memory every minute."""
        with ThreadPoolExecutor(self.count + 1) as pool:
            pool.submit(self._watch_memory)
            list(pool.map(self._visit, range(self.count)))

    def _watch_memory(self) -> None:
        while time.monotonic() < self.end:
            self.memory.append(self.app.memory)
            time.sleep(max(0.0, min(60.0, self.end - time.monotonic())))

    def _visit(self, number: int) -> None:
        chance = random.Random(number)
        visitor = Visitor(self.app.url, address=f"203.0.113.{number}", patience=PATIENCE)
        for turn in range(10**6):
            if time.monotonic() > self.end:
                return
            mark = f"{number}-{turn}"
            self._ask("probe by text", self._by_text, visitor, mark)
            self._ask("audit", self._audit, visitor, chance.choice(self.personas))
            self._ask("probe by image", self._by_image, visitor, chance)
            if turn % 5 == number % 5 and number % 4 == 0:
                self._ask("upload of a model", self._upload, visitor, mark)
            if turn % 5 == number % 5 and number % 4 == 1:
                self._ask("job", self._job, visitor)

    def _ask(self, kind: str, question: Callable[..., str], *about: Any) -> None:
        """Ask; the question returns nothing, or the sentence of its refusal, and says what is not its answer."""
        start = time.monotonic()
        refusal, lost, crossed = "", 0, 0
        try:
            refusal = question(*about)
        except urllib.error.HTTPError as error:
            refusal = f"status {error.code}"
        except _CrossedError:
            crossed = 1
        except (OSError, EOFError):
            lost = 1
        with self._lock:
            wait = self.waits[kind]
            if refusal:
                wait.refused[refusal[:80]] += 1
            elif not lost:
                wait.seconds.append(time.monotonic() - start)
            wait.lost += lost
            wait.crossed += crossed

    def _by_text(self, visitor: Visitor, mark: str) -> str:
        asked = visitor.send("probe-text", "submit", f"visitor {mark}")
        if asked.error is None and f"visitor {mark}”" not in asked.data[-1]:
            raise _CrossedError
        return asked.error or ""

    def _audit(self, visitor: Visitor, persona: Persona) -> str:
        asked = visitor.send("people", "click", said={"choice": persona.identity_id})
        if asked.error is None and f"Persona {persona.identity_id}" not in asked.data[1]:
            raise _CrossedError
        return asked.error or ""

    def _by_image(self, visitor: Visitor, chance: random.Random) -> str:
        colour = tuple(chance.randrange(256) for _ in range(3))
        stream = io.BytesIO()
        Image.new("RGB", (64, 64), colour).save(stream, "PNG")
        asked = visitor.send("probe-image", "upload", visitor.upload("mine.png", stream.getvalue()))
        if asked.error is not None:
            return asked.error
        shown = re.search(r"base64,([A-Za-z0-9+/=]+)", json.dumps(asked.data[1]))
        if shown is None:
            raise _CrossedError
        back = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown[1]))).convert("RGB"))
        if np.abs(back.mean(axis=(0, 1)) - colour).max() > 12:
            raise _CrossedError
        return ""

    def _upload(self, visitor: Visitor, mark: str) -> str:
        content = (assets_dir() / "models" / "mini-clean" / WEIGHTS).read_bytes()
        asked = visitor.send("upload-model", "upload", visitor.upload(f"of-{mark}.safetensors", content))
        if asked.error is None and f"upload:of-{mark}-" not in json.dumps(asked.data[0]):
            raise _CrossedError
        return asked.error or ""

    def _job(self, visitor: Visitor) -> str:
        asked = visitor.send("benchmark-run", "click")
        return asked.error or ""


class _CrossedError(Exception):
    """An answer that is to another question."""


def print_walk(found: dict[str, Answers], tracebacks: int) -> None:
    print("| forged value | sent | answered as if nothing had happened | refused in a sentence | faults |")
    print("|---|---|---|---|---|")
    for kind, answers in found.items():
        faults = ", ".join(f"{count} {fault}" for fault, count in answers.faults.most_common(3)) or "0"
        print(f"| {kind} | {answers.sent:,} | {answers.answered:,} | {answers.refused:,} | {faults} |")
    print(f"\nTracebacks in the log: {tracebacks}\n")


def print_crowd(crowd: Crowd, before: tuple[float, float], after: tuple[float, float], tracebacks: int) -> None:
    print("| question | answers | refused | lost | crossed | p50 s | p95 s |\n|---|---|---|---|---|---|---|")
    for kind, wait in crowd.waits.items():
        middle, late = np.percentile(wait.seconds or [np.nan], [50, 95])
        refused = ", ".join(f"{count} ({words})" for words, count in wait.refused.most_common(3)) or "0"
        row = (
            f"| {kind} | {len(wait.seconds):,} | {refused} | {wait.lost} | {wait.crossed} | {middle:.1f} | {late:.1f} |"
        )
        print(row)
    for what, old, new in zip(("Memory", "Disk"), before, after, strict=True):
        print(f"\n{what}: {old:,.0f} MB before, {new:,.0f} MB after")
    print(f"\nMemory every minute: {', '.join(f'{megabytes:,.0f}' for megabytes in crowd.memory)} MB")
    print(f"\nTracebacks in the log: {tracebacks}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--visitors", type=int, default=40)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--kinds", type=int, default=len(VALUES))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # The app is not to outlive this.
    with served(options.cache) as app:
        start = time.monotonic()
        found = walk(app, options.kinds)
        walked = app.tracebacks
        print(f"{sum(answers.sent for answers in found.values()):,} requests in {time.monotonic() - start:.0f} s\n")
        print_walk(found, walked)
        crowd = Crowd(app, options.visitors, 60 * options.minutes)
        before = app.memory, app.disk
        crowd.run()
        print(f"{options.visitors} visitors at once for {options.minutes:g} minutes\n")
        print_crowd(crowd, before, (app.memory, app.disk), app.tracebacks - walked)
        if app.tracebacks:
            print(app.log[-6000:], file=sys.stderr)


if __name__ == "__main__":
    main()
