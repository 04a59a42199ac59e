"""The metrics from cached features, and what they say together, at the size of the official data.

    python -m benchmarks.metrics [--rows 500]

The data set is synthetic: the official numbers of rows, personas and kinds, random features of 512 dimensions in the
cache, no images. Every measurement runs in a process of its own, so that its peak memory is its own, with numpy on
one thread as in the program. The straightforward implementation compares one image with one text at a time, is timed
on a few rows and scaled to all of them. ACS has no such twin: its solver is prescribed and takes all rows at once.
Seconds of CPU are compared, because both run on one thread and other work on the machine then matters less.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic import LEVELS, synthetic_model, write_data, write_model
from salmu_demo.core.runtime import use_one_blas_thread
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import all_metrics
from salmu_demo.metrics.core_association import bare_prompts
from salmu_demo.metrics.identity_zero_shot import candidate_names
from salmu_demo.metrics.intervals import RESAMPLES
from salmu_demo.metrics.leakage import generic_captions
from salmu_demo.metrics.protocol import TIE_TOLERANCE
from salmu_demo.metrics.retrieval_failure import distractors_of
from salmu_demo.models.roles import Told
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import write_results
from salmu_demo.results.evaluation import evaluate
from salmu_demo.results.inputs import MetricInputs

T = TypeVar("T")
Features = NDArray[np.float32]
Row = Callable[[int], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500, help="rows the straightforward implementation is timed on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = write_data(folder / "data")
        for model in LEVELS:
            write_model(model, folder, data, ArrayStore(folder / "cache"))
        print(f"{len(data.split(layout.FORGET)):,} forget rows, {len(data.personas)} personas, one model\n")
        cpu_seconds, seconds, peak = _apart(_metrics_stage, folder)
        per_row = _apart(_row_by_row, folder, options.rows)
        print(f"| metric | seconds of CPU | row by row, from {options.rows} rows | ratio |\n|---|---|---|---|")
        for metric, taken in cpu_seconds.items():
            slow = per_row.get(metric)
            print(
                f"| {metric} | {taken:.2f} | " + ("- | - |" if slow is None else f"{slow:.1f} | {slow / taken:.0f} |")
            )
        all_slow, all_fast = sum(per_row.values()), sum(cpu_seconds[metric] for metric in per_row)
        print(f"| all but ACS | {all_fast:.2f} | {all_slow:.1f} | {all_slow / all_fast:.0f} |")
        print(f"\nmetrics stage: {seconds:.1f} s, {sum(cpu_seconds.values()):.1f} of CPU (aim 15 s)")
        print(f"its peak memory: {peak:.2f} GiB (aim 2 GiB)")
        analysis, cpu, writing, size, peak = _apart(_analysis_stage, folder)
        print(
            f"analysis of {len(LEVELS)} models, {RESAMPLES:,} resamples: {analysis:.1f} s, {cpu:.1f} of CPU (aim 60 s)"
        )
        print(f"their result files: {writing:.1f} s, {size / 1e6:.0f} MB")
        print(f"peak memory of all this: {peak:.2f} GiB")


def _apart(work: Callable[..., T], *arguments: object) -> T:
    """Run a function in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=use_one_blas_thread) as pool:
        return pool.submit(work, *arguments).result()


def _peak() -> float:
    """Largest resident memory of this process so far, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def _found(folder: Path) -> tuple[BenchmarkData, Embedder]:
    return load_folder(folder / "data", "synthetic"), Embedder(ArrayStore(folder / "cache"))


def _metrics_stage(folder: Path) -> tuple[dict[str, float], float, float]:
    """Seconds of CPU of each metric, seconds of all by the clock, and the peak memory."""
    data, embedder = _found(folder)
    marks: list[tuple[str, float]] = []
    start = time.perf_counter()
    evaluate(
        FeatureView(
            synthetic_model("synthetic-a", folder),
            data,
            embedder,
            progress=lambda report: marks.append((report.stage, time.process_time())),
        )
    )
    marks[-1] = ("rows and provenance", marks[-1][1])
    marks.append(("", time.process_time()))
    cpu = {stage: after - before for (stage, before), (_, after) in pairwise(marks)}
    return cpu, time.perf_counter() - start, _peak()


def _analysis_stage(folder: Path) -> tuple[float, float, float, int, float]:
    data, embedder = _found(folder)
    evaluations = [evaluate(FeatureView(synthetic_model(name, folder), data, embedder)) for name in LEVELS]
    start, cpu = time.perf_counter(), time.process_time()
    analysis = analyse(evaluations, Told("synthetic-clean", "synthetic-compromised"))
    analysed, cpu = time.perf_counter(), time.process_time() - cpu
    files = write_results(analysis, folder / "results")
    written = time.perf_counter()
    return analysed - start, cpu, written - analysed, sum(file.stat().st_size for file in files), _peak()


def _row_by_row(folder: Path, count: int) -> dict[str, float]:
    """Seconds of CPU that a straightforward implementation of each metric would take for all rows."""
    data, embedder = _found(folder)
    view = FeatureView(synthetic_model("synthetic-a", folder), data, embedder)
    inputs = MetricInputs(data)

    def seconds(split: str, row: Row) -> float:
        total = len(data.split(split))
        rows = np.random.default_rng(0).choice(total, min(count, total), replace=False).tolist()
        start = time.process_time()
        for number in rows:
            row(number)
        return (time.process_time() - start) * total / len(rows)

    def pairs(split: str) -> tuple[Features, Features]:
        return view.images(split), view.captions(split)

    images, captions = pairs(layout.FORGET)
    texts = data.split(layout.FORGET).texts
    drawn = distractors_of(inputs)
    own_texts = len(drawn.forget_rows)
    features = np.concatenate([captions[drawn.forget_rows], view.prompts(drawn.texts[own_texts:])])
    distractors = [(text, _unit(feature)) for text, feature in zip(drawn.texts, features, strict=True)]

    def rank(row: int) -> float:
        image = _unit(images[row])
        own = float(image @ _unit(captions[row]))
        found = 1.0
        for text, feature in distractors:
            lead = float(image @ feature) - own
            if text != texts[row]:
                found += (lead > TIE_TOLERANCE) + 0.5 * (abs(lead) <= TIE_TOLERANCE)
        return found

    def best(features: Features, prompts: Features) -> Row:
        return lambda row: max(range(len(prompts)), key=lambda n: float(_unit(features[row]) @ prompts[n]))

    def cosine(first: Features, second: Features) -> Row:
        return lambda row: float(_unit(first[row]) @ _unit(second[row]))

    pairs_tried = bare_prompts(inputs)
    bare = view.prompts(pairs_tried.prompts)
    tried: dict[int, list[int]] = {}
    for row, prompt in zip(pairs_tried.rows.tolist(), pairs_tried.numbers.tolist(), strict=True):
        tried.setdefault(row, []).append(prompt)
    generic = view.prompts(generic_captions(inputs) or [])
    names = view.prompts(candidate_names(inputs).prompts)
    found = {
        "RetFail": seconds(layout.FORGET, rank),
        "IdZSC": seconds(layout.FORGET_IDENTITY, best(view.images(layout.FORGET_IDENTITY), names)),
        "CoreAssoc": seconds(
            layout.FORGET, lambda row: max(float(_unit(images[row]) @ _unit(bare[prompt])) for prompt in tried[row])
        ),
        "LeakRate": seconds(
            layout.FORGET,
            lambda row: float(_unit(images[row]) @ (_unit(captions[row]) - _unit(generic[row]))) > TIE_TOLERANCE,
        ),
    }
    if inputs.zero_shot is not None:
        classes = view.prompts(inputs.zero_shot.prompts)
        weights = classes.reshape(len(inputs.zero_shot.classes), -1, classes.shape[1]).mean(axis=1)
        images = view.images(layout.GENKNOW_SPLIT)
        found["GenKnow"] = seconds(layout.GENKNOW_SPLIT, best(images, weights))
    for spec in all_metrics():
        if spec.value_key == "mean" and spec.name not in found:
            found[spec.name] = seconds(spec.split, cosine(*pairs(spec.split)))
    return found


def _unit(feature: Features) -> Features:
    return feature / np.linalg.norm(feature)


if __name__ == "__main__":
    main()
