"""How long one person's audit takes at the size of the official data, with all features on disk.

    python -m benchmarks.audits [--personas 20] [--share 1]

The data set is synthetic, as for `benchmarks.metrics`: the official numbers of rows, personas and kinds, and random
features of 512 dimensions for rows, values and sentences; Clean and Compromised are audited together. The first audit
puts all people's values beside each other, and the following ones find that in memory. Numpy has one thread, as in the
program.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.synthetic import WIDTH, unit_rows, write_data, write_model
from salmu_demo.core.memory import Memory, size_of
from salmu_demo.core.runtime import use_one_blas_thread
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.texts import TextTable
from salmu_demo.features.view import FeatureView
from salmu_demo.models.roles import Told
from salmu_demo.probes.attacks import HEADLINE, find_attack
from salmu_demo.probes.findings import Auditor
from salmu_demo.probes.people import People

MODELS = ("synthetic-clean", "synthetic-compromised")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--personas", type=int, default=20)
    parser.add_argument("--share", type=float, default=1.0, help="part of the official numbers")
    options = parser.parse_args()
    use_one_blas_thread()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, store = write_data(folder / "data", share=options.share), ArrayStore(folder / "cache")
        people, headline = People(data), find_attack(HEADLINE)
        texts = list(
            dict.fromkeys(text for kind in data.kinds for text in headline.texts(people, kind, headline.variants[0]))
        )
        views = []
        for model in (write_model(name, folder, data, store) for name in MODELS):
            rng = np.random.default_rng(0)
            features = unit_rows(rng.standard_normal((len(texts), WIDTH), dtype=np.float32))
            table = TextTable(store.prompts_path(model.fingerprint))
            missing = set(table.missing(texts))
            chosen = [row for row, text in enumerate(texts) if text in missing]
            table.append([texts[row] for row in chosen], features[chosen])
            views.append(FeatureView(model, data, Embedder(store)))
        memory = Memory()
        auditor = Auditor(data, lambda key, make: memory.once(key, make, size_of))
        seconds = []
        for persona in data.personas[: options.personas]:
            start = time.perf_counter(), time.process_time()
            auditor.audit(views, persona, auditor.kinds(persona), None, Told(*MODELS))
            seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        clock, cpu = np.array(seconds).T
        print(f"{len(data.personas)} people, {len(data.kinds)} kinds, {len(texts):,} sentences, {len(views)} models\n")
        print("| audit of one person | seconds | of CPU |\n|---|---|---|")
        print(f"| the first | {clock[0]:.2f} | {cpu[0]:.2f} |")
        print(f"| another, median of {len(clock) - 1} | {np.median(clock[1:]):.3f} | {np.median(cpu[1:]):.3f} |")


if __name__ == "__main__":
    main()
