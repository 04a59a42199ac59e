"""Embedding throughput against the bare encoder forward on the same preloaded batches, in one run.

    python -m benchmarks.embedding [--rounds 3] [--split forget]

Three figures a round, in images a second: `bare` (the encoder on batches that are already decoded, in memory),
`first` (a model on an empty cache: read parquet, decode, resize, encode, store) and `following` (another model on the
same data, which finds the pixels). The ratio to `bare` is what the project's own work costs.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.models.encoder import IMAGE_BATCH
from salmu_demo.models.references import find_models
from salmu_demo.models.registry import EncoderRegistry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--split", default="forget")
    options = parser.parse_args()
    data = load_data("mini")
    split = data.split(options.split)
    first, following = find_models(["mini-compromised", "mini-clean"])
    encoders = EncoderRegistry()
    with encoders.lend(following), encoders.lend(first) as encoder:
        pixels = np.stack([encoder.pixels(data.image(split.stored, int(row))) for row in split.rows])
        batches = [pixels[start : start + IMAGE_BATCH] for start in range(0, len(pixels), IMAGE_BATCH)]
        encoder.encode_pixels(batches[0])  # Warm up: the first call allocates.

        def rate(work: Callable[[], object]) -> float:
            start = time.perf_counter()
            work()
            return len(split) / (time.perf_counter() - start)

        def one_round() -> tuple[float, float, float]:
            with tempfile.TemporaryDirectory() as folder:
                embedder = Embedder(ArrayStore(Path(folder)), encoders)
                return (
                    rate(lambda: [encoder.encode_pixels(batch) for batch in batches]),
                    rate(lambda: embedder.images(first, data, split)),
                    rate(lambda: embedder.images(following, data, split)),
                )

        rows = [one_round() for _ in range(options.rounds)]
        print(f"{len(split)} images of {options.split}, {options.rounds} rounds, medians; device {encoder.device}\n")
        print("| | images/s | ratio to bare |\n|---|---|---|")
        for column, name in enumerate(("bare", "first model", "following model")):
            speed = statistics.median(row[column] for row in rows)
            ratio = statistics.median(row[column] / row[0] for row in rows)
            print(f"| {name} | {speed:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
