"""A soak at the official size: everything from an image to ten visitors, with what it takes of time, memory and disk.

    python -m benchmarks.official_size [--minutes 30] [--arch ViT-B-16] [--share 1] [--keep DIR]

Draws a data set with the official numbers (60,000 images of 512 x 512, 774 people, the official layout) and a model
with random weights, and gives them the places of the embedded data and of `mini-clean`, so that every command and the
app take them for their own. The model encodes for so many minutes, is killed half-way, and goes on; the table says what
the kill lost, and what the whole would take. Features that are missing then are drawn, and all else runs on the whole:
metrics, audits, search, reports, and the app with ten visitors. `--share` takes a part of the numbers, and
`--arch small` a model of two layers, to try it out. Every step is a process of its own.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.forgery import PATIENCE, Crowd, print_crowd, served
from benchmarks.large_data import IMAGES, SMALL, image
from benchmarks.synthetic import metric_prompts, write_data
from salmu_demo.data import layout
from salmu_demo.data.source import MINI, load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.rows import RowArray
from salmu_demo.features.texts import TextTable
from salmu_demo.models.references import find_model
from salmu_demo.probes.attacks import HEADLINE, find_attack
from salmu_demo.probes.people import People
from tests.ui.client import Visitor

MODEL = "mini-clean"
DATA_FOLDER = "salmu-mini"
VISITORS = 10
VISIT_MINUTES = 3.0
HERE = "from benchmarks.official_size import draw_data, draw_features, draw_model"


@dataclass(frozen=True)
class Step:
    """What a process took."""

    name: str
    seconds: float
    memory_mb: float
    remark: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--arch", default="ViT-B-16")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--keep", metavar="DIR", type=Path, help="where all of it stays, and is used again")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # The app is not to outlive this.
    with tempfile.TemporaryDirectory() as scratch:
        run(options.keep or Path(scratch), options.arch, options.share, options.minutes)


def run(folder: Path, architecture: str, share: float, minutes: float) -> None:
    """Take all steps and print the table."""
    assets, cache, results = folder / "assets", folder / "cache", folder / "results"
    os.environ |= {
        "SALMU_ASSETS_DIR": str(assets), "SALMU_CACHE_DIR": str(cache), "SALMU_RUNS_DIR": str(folder / "runs"),
    }  # fmt: skip
    steps = []
    if not (assets / DATA_FOLDER / layout.IDENTITIES_FILE).is_file():
        written = timed("write the data", "-c", f"{HERE}; draw_data({share!r})")
        steps.append(replace(written, remark=size_of(assets)))
    steps.append(timed("write the model", "-c", f"{HERE}; draw_model({architecture!r})"))
    steps += embed(minutes, cache)
    steps.append(timed("draw the features that are missing", "-c", f"{HERE}; draw_features()"))
    command = ("-m", "salmu_demo")
    person = load_data(MINI).personas[0]
    steps += [
        timed("evaluate, all metrics", *command, "evaluate", MODEL, "--output", str(results)),
        timed("evaluate again", *command, "evaluate", MODEL, "--output", str(results)),
        timed("audit one person", *command, "probe", MODEL, "--persona", person.identity_id),
        timed("audit everybody", *command, "probe", MODEL, "--everybody"),
        timed("search for a text", *command, "probe", MODEL, "--text", person.name),
        timed("reports", *command, "report", str(results), "--output", str(folder / "reports")),
    ]
    print(f"{architecture}, {share:g} of the official numbers; disk: {size_of(folder)}\n")
    print("| step | seconds | peak memory, MB | |\n|---|---|---|---|")
    for step in steps:
        print(f"| {step.name} | {step.seconds:.1f} | {step.memory_mb:.0f} | {step.remark} |")
    with served(cache) as app:
        visits = min(VISIT_MINUTES, minutes)
        crowd = Askers(app, VISITORS, 60 * visits)
        before = app.memory, app.disk
        crowd.run()
        print(f"\n{VISITORS} visitors at once for {visits:g} minutes\n")
        print_crowd(crowd, before, (app.memory, app.disk), app.tracebacks)


class Askers(Crowd):
    """Visitors who search and audit, and leave the machine to each other."""

    def _visit(self, number: int) -> None:
        chance = random.Random(number)
        visitor = Visitor(self.app.url, address=f"203.0.113.{number}", patience=PATIENCE)
        turn = 0
        while time.monotonic() < self.end:
            turn += 1
            self._ask("probe by text", self._by_text, visitor, f"{number}-{turn}")
            self._ask("audit", self._audit, visitor, chance.choice(self.personas))
            self._ask("probe by image", self._by_image, visitor, chance)


def timed(name: str, *arguments: str, stop_after: float | None = None) -> Step:
    """Run Python in a process of its own, killed after so many seconds; raises `RuntimeError` if it fails otherwise."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    end = None if stop_after is None else threading.Timer(stop_after, process.kill)
    if end is not None:
        end.start()
    # Not `process.wait`, which does not tell what the process took.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if end is not None:
        end.cancel()
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{name} failed with exit code {process.returncode}.")
    return Step(name, time.perf_counter() - start, usage.ru_maxrss / 1024)


def draw_data(share: float) -> None:
    """Write the data: in a process of its own, whose memory would count for every process that is started after it."""
    rng = np.random.default_rng(0)
    write_data(Path(os.environ["SALMU_ASSETS_DIR"]) / DATA_FOLDER, [image(rng) for _ in range(IMAGES)], share)


def draw_model(architecture: str) -> None:
    """Write the model with random weights, unless it is there."""
    # torch takes seconds to import, and only this needs it.
    from benchmarks.random_model import write_random_model  # noqa: PLC0415

    target = Path(os.environ["SALMU_ASSETS_DIR"]) / "models" / MODEL
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        write_random_model(target, SMALL if architecture == "small" else architecture)


def embed(minutes: float, cache: Path) -> list[Step]:
    """Encode for so long, killed once in between."""
    command = ("-m", "salmu_demo", "cache", "warm", MODEL)
    first = timed("encode until it is killed", *command, stop_after=30 * minutes)
    done = finished()
    second = timed("go on", *command, stop_after=30 * minutes)
    kept, total = finished(), len(columns())
    rows = sum(count for _, count in columns())
    rate = (kept - done) / second.seconds
    hours = (rows - kept) / rate / 3600 if rate else float("inf")
    used = size_of(cache)
    lost = f"{done:,} of {rows:,} rows of {total} columns were kept"
    return [
        Step(first.name, first.seconds, first.memory_mb, lost),
        Step(second.name, second.seconds, second.memory_mb, f"{rate:.1f} rows/s, {hours:.1f} more hours; {used}"),
    ]


def columns() -> list[tuple[Path, int]]:
    """Path and rows of every array of features."""
    data, model, embedder = load_data(MINI), find_model(MODEL), Embedder()
    return [
        (embedder.store.feature_path(model.fingerprint, data.fingerprint, f"{split}.{column}"), len(data.split(split)))
        for split in data.stored_splits
        for column in (layout.IMAGE, layout.TEXT)
    ]


def finished() -> int:
    """Rows of all arrays that are finished, and intact as far as their checksums say."""
    found = 0
    for path, count in columns():
        array, rows = RowArray(path, count), np.arange(count)
        array.drop_damaged(rows)
        found += count - len(array.missing(rows))
    return found


def draw_features() -> None:
    """Draw the features that are missing, of rows and of the texts that metrics and audits ask for."""
    data, model, embedder = load_data(MINI), find_model(MODEL), Embedder()
    width, rng = embedder.facts(model).dim, np.random.default_rng(1)

    def drawn(count: int) -> NDArray[np.float32]:
        rows = rng.standard_normal((count, width), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    for path, count in columns():
        array = RowArray(path, count)
        missing = array.missing(np.arange(count))
        if len(missing):
            path.parent.mkdir(parents=True, exist_ok=True)
            array.write(missing, drawn(len(missing)))
    people, headline = People(data), find_attack(HEADLINE)
    texts = metric_prompts(data)
    for kind in data.kinds:
        for variant in headline.variants:
            texts += headline.texts(people, kind, variant)
    table = TextTable(embedder.store.prompts_path(model.fingerprint))
    missing_texts = table.missing(texts)
    if missing_texts:
        table.append(missing_texts, drawn(len(missing_texts)))


def size_of(folder: Path) -> str:
    """What a folder takes on disk."""
    used = sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
    return f"{used / 1e9:.2f} GB"


if __name__ == "__main__":
    main()
