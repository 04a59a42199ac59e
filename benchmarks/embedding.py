"""Embedding throughput against the bare encoder forward on the same preloaded batches, in one run.

    python -m benchmarks.embedding [--rounds 3] [--split forget]
    python -m benchmarks.embedding --arch ViT-B-16 [--rows 256]
    python -m benchmarks.embedding --texts [--arch ViT-B-16] [--rows 256]

Three figures a round, in images a second: `bare` (the encoder on batches that are already decoded, in memory), `first`
(a model on an empty cache: read parquet, decode, resize, encode, store) and `following` (another model on the same
data, which finds the pixels). The ratio to `bare` is what the project's own work costs; that of CPU times, which counts
all threads, is the same on a busy machine, and counts work as a cost even where it hides behind the encoder. The models
are two built-in ones, which are tiny, on SALMU-Mini; or with `--arch` two of that architecture with random weights, on
images of 512 x 512 as the official data has them.

With `--texts`: a model of random weights and as many distinct captions of the split, and texts of 32 and 40 tokens.
`bare` is the encoder on tokens that are already in memory, all of them up to the context length; ours also finds the
tokens and stores the features.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.large_data import write_data
from benchmarks.random_model import write_random_model
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import TEXTS, Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.models.encoder import IMAGE_BATCH, TEXT_BATCH, Encoder
from salmu_demo.models.references import find_models
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.models.source import ModelSource

Rates = tuple[float, float]
"""Pieces a second, and a second of CPU time."""

LENGTHS = (32, 40)
DIGITS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--split", default="forget")
    parser.add_argument("--texts", action="store_true")
    parser.add_argument("--arch")
    parser.add_argument("--rows", type=int, default=TEXTS)
    options = parser.parse_args()
    if options.texts:
        captions = list(dict.fromkeys(load_data("mini").split(options.split).texts))[: options.rows]
        measure_texts(options.arch or "ViT-B-16", f"captions of {options.split}", captions, options.rounds)
    elif options.arch is None:
        measure_images(
            find_models(["mini-compromised", "mini-clean"]), load_data("mini"), options.split, options.rounds
        )
    else:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            write_data(folder / "data", options.rows)
            models = [write_random_model(folder / f"{options.arch}-{name}", options.arch) for name in ("first", "next")]
            measure_images(models, load_folder(folder / "data"), layout.FORGET, options.rounds)


def measure_images(models: list[ModelSource], data: BenchmarkData, name: str, rounds: int) -> None:
    """Print the table of the images of a split."""
    first, following = models
    split = data.split(name)
    encoders = EncoderRegistry()
    with encoders.lend(following), encoders.lend(first) as encoder:
        pixels = np.stack([encoder.pixels(data.image(split.stored, int(row))) for row in split.rows])
        batches = [pixels[start : start + IMAGE_BATCH] for start in range(0, len(pixels), IMAGE_BATCH)]
        encoder.encode_pixels(batches[0])  # Warm up: the first call allocates.

        def rate(work: Callable[[], object]) -> Rates:
            return timed(work, len(split))

        def one_round() -> tuple[Rates, ...]:
            with tempfile.TemporaryDirectory() as folder:
                embedder = Embedder(ArrayStore(Path(folder)), encoders)
                return (
                    rate(lambda: [encoder.encode_pixels(batch) for batch in batches]),
                    rate(lambda: embedder.images(first, data, split)),
                    rate(lambda: embedder.images(following, data, split)),
                )

        rows = [one_round() for _ in range(rounds)]
        print(f"{first.name}, {len(split)} images, {rounds} rounds, medians; device {encoder.device}\n")
        print("| | images/s | ratio to bare | ratio of CPU times |\n|---|---|---|---|")
        for column, words in enumerate(("bare", "first model", "following model")):
            speed = statistics.median(row[column][0] for row in rows)
            ratios = [statistics.median(row[column][of] / row[0][of] for row in rows) for of in (0, 1)]
            print(f"| {words} | {speed:{'.0f' if speed >= 100 else '.1f'}} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def measure_texts(architecture: str, name: str, captions: list[str], rounds: int) -> None:
    """Print the table of texts: these captions, and as many texts of fixed lengths."""
    encoders = EncoderRegistry()
    with tempfile.TemporaryDirectory() as scratch:
        model = write_random_model(Path(scratch) / "model", architecture)
        with encoders.lend(model) as encoder:
            lists = {name: captions}
            for length in LENGTHS:
                # A word, a number of four digits, and two tokens around: the numbers make the texts distinct.
                lists[f"{length} tokens"] = [
                    " ".join([*["a"] * (length - 2 - DIGITS), str(10**DIGITS // 10 + number)])
                    for number in range(len(captions))
                ]
            print(f"{architecture}, {len(captions)} texts, {rounds} rounds, medians; device {encoder.device}\n")
            print("| texts | mean tokens | bare texts/s | texts/s | ratio of CPU times | ratio to bare |")
            print("|---|---|---|---|---|---|")
            for words, texts in lists.items():
                tokens = encoder.tokens(texts)
                mean = float(tokens.argmax(dim=1).float().mean()) + 1
                rates = [_text_rates(encoders, model, encoder, texts, tokens) for _ in range(rounds)]
                bare, ours = (statistics.median(each[of][0] for each in rates) for of in (0, 1))
                ratio, used = (statistics.median(each[1][of] / each[0][of] for each in rates) for of in (0, 1))
                print(f"| {words} | {mean:.1f} | {bare:.1f} | {ours:.1f} | {used:.2f} | {ratio:.2f} |", flush=True)


def _text_rates(
    encoders: EncoderRegistry, model: ModelSource, encoder: Encoder, texts: list[str], tokens: torch.Tensor
) -> tuple[Rates, Rates]:
    """Those of the bare encoder, and ours on an empty cache."""

    def bare() -> None:
        for batch in torch.split(tokens, TEXT_BATCH):
            encoder.model.encode_text(batch.to(encoder.device), normalize=True).cpu()

    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        embedder = Embedder(ArrayStore(Path(folder)), encoders)
        return timed(bare, len(texts)), timed(lambda: embedder.prompts(model, texts), len(texts))


def timed(work: Callable[[], object], pieces: int) -> Rates:
    """How many pieces a second some work takes on, and a second of CPU time."""
    start, used = time.perf_counter(), time.process_time()
    work()
    return pieces / (time.perf_counter() - start), pieces / (time.process_time() - used)


if __name__ == "__main__":
    main()
