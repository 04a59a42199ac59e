"""Latency of the live probes while a job encodes, against the same probes without a job.

    python -m benchmarks.jobs [--personas 60]

The features that probes need are on disk; the job has a cache of its own, which is empty, so that it decodes and
encodes all the time, in the same process and with the same loaded models. Every second persona is asked about without
a job and the others during it, because a repeated audit would be remembered. p50 and p95 in milliseconds; the aim is a
ratio of at most 2 between the p95.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import MODELS
from benchmarks.probes import live_probes
from salmu_demo.core.progress import Unit
from salmu_demo.core.runtime import use_one_blas_thread
from salmu_demo.data.dataset import Persona
from salmu_demo.data.layout import FORGET
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.jobs.kinds.benchmark import BenchmarkSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.metrics import all_metrics
from salmu_demo.workbench.bench import Workbench

TIMEOUT = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--personas", type=int, default=60)
    options = parser.parse_args()
    use_one_blas_thread()
    bench = Workbench()
    models = bench.models(MODELS)
    bench.warm(models)
    personas = bench.data.personas[: options.personas]
    probes = live_probes(bench, models)
    for probe in probes.values():
        probe(bench.data.personas[-1])  # The first answer builds the index and loads the models.

    idle = {name: _times(probe, personas[::2]) for name, probe in probes.items()}
    with tempfile.TemporaryDirectory() as folder:
        fresh = Workbench(embedder=Embedder(ArrayStore(Path(folder, "cache")), bench.embedder.encoders))
        manager = JobManager(Path(folder, "runs"), lambda data: fresh)
        # A sample: of all rows the results are shipped, and nothing would be encoded.
        metrics = tuple(spec.name for spec in all_metrics())
        job = manager.submit(BenchmarkSpec(MODELS, metrics, sample=len(bench.data.split(FORGET)) - 1)).id
        end = time.monotonic() + TIMEOUT
        while (progress := manager.job(job).progress) is None or progress.unit is not Unit.IMAGES:
            if time.monotonic() > end:
                raise TimeoutError(f"The job did not encode within {TIMEOUT:.0f} s.")
            time.sleep(0.01)
        busy = {name: _times(probe, personas[1::2]) for name, probe in probes.items()}
        after = manager.job(job)
        if after.state.over:
            raise TimeoutError("The job was over before the probes were; give fewer --personas.")
        manager.cancel(job)
        manager.wait(job)
        manager.close()

    print(f"{len(personas)} personas, {len(models)} models at once; milliseconds\n")
    print("| probe | idle p50 | idle p95 | job p50 | job p95 | ratio of p95 |\n|---|---|---|---|---|---|")
    for name in probes:
        without, during = (np.percentile(times, [50, 95]) for times in (idle[name], busy[name]))
        print(
            f"| {name} | {without[0]:.0f} | {without[1]:.0f} | {during[0]:.0f} | {during[1]:.0f} | "
            f"{during[1] / without[1]:.1f} |"
        )
    assert after.progress is not None
    print(f"\nThe job was at {after.progress.fraction:.0%} when the last probe was answered.")


def _times(probe: Callable[[Persona], object], personas: Sequence[Persona]) -> list[float]:
    """Milliseconds of every answer."""
    times = []
    for persona in personas:
        start = time.perf_counter()
        probe(persona)
        times.append((time.perf_counter() - start) * 1000)
    return times


if __name__ == "__main__":
    main()
