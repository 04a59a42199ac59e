"""Latency of the live probes, with all features on disk.

    python -m benchmarks.probes [--personas 40]

Each probe is asked for many personas, with three models; p50 and p95 in milliseconds, and the same of CPU times, which
say more on a busy machine. The first answer of each gallery, which builds its index, is shown apart.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks import MODELS
from salmu_demo.core.garbage import search_seldom
from salmu_demo.core.runtime import use_one_blas_thread
from salmu_demo.data.dataset import Persona
from salmu_demo.models.source import ModelSource
from salmu_demo.workbench.bench import Workbench


def live_probes(bench: Workbench, models: list[ModelSource]) -> dict[str, Callable[[Persona], object]]:
    """What a visitor can ask for, by name."""
    return {
        "audit: 8 attributes": lambda p: bench.audit(p.identity_id, models),
        "face to captions, gallery forget, k 10": lambda p: bench.retrieve_for_persona(
            p.identity_id, models, "forget", 10
        ),
        "face to captions, gallery all, k 10": lambda p: bench.retrieve_for_persona(p.identity_id, models, "all", 10),
        "text to faces, gallery all, k 10": lambda p: bench.retrieve_for_text(p.name, models, "all", 10),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--personas", type=int, default=40)
    options = parser.parse_args()
    # As the program does.
    search_seldom()
    use_one_blas_thread()
    bench = Workbench()
    models = bench.models(MODELS)
    bench.warm(models)
    personas = bench.data.personas[: options.personas]
    print(f"{len(personas)} personas, {len(models)} models at once; milliseconds\n")
    print("| probe | first | p50 | p95 | CPU p50 | CPU p95 |\n|---|---|---|---|---|---|")
    for name, probe in live_probes(bench, models).items():
        times, used = [], []
        for persona in personas:
            start, before = time.perf_counter(), time.process_time()
            probe(persona)
            times.append((time.perf_counter() - start) * 1000)
            used.append((time.process_time() - before) * 1000)
        shown = [f"{value:.0f}" for each in (times, used) for value in np.percentile(each[1:], [50, 95])]
        print(f"| {name} | {times[0]:.0f} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
