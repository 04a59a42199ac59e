"""Peak memory and throughput of embedding a large data set: does memory depend on the number of images?

    python -m benchmarks.large_data [--rows 60000] [--arch NAME] [--limit-gb 4] [--keep DIR]

Writes a data set in the official layout (images of 512 x 512 pixels in row groups of 100, as the Hub's writer makes
them), then embeds its images and captions with random weights in a process that may not allocate more than the limit.
`small` is a model of two layers at 224 pixels, so that the data's share of the work is seen; any open_clip architecture
can be named instead, for example ViT-B-16. With `--keep` the data set stays and is used again.
"""

import argparse
import io
import json
import multiprocessing
import resource
import shutil
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.synthetic import ROW_GROUP, SHARD_ROWS
from salmu_demo.data import layout
from salmu_demo.data.dataset import load_folder
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore

SIDE = 512
IMAGES = 200
"""Distinct images; memory and speed do not depend on whether two rows show the same."""
OTHER_ROWS = 20
SMALL = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 224, "layers": 2, "width": 64, "head_width": 32, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--arch", default="small")
    parser.add_argument("--limit-gb", type=float, default=4.0)
    parser.add_argument("--keep", metavar="DIR", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch) / "data"
        if not (folder / layout.IDENTITIES_FILE).is_file():
            write_data(folder, options.rows)
        # A process of its own: the peak is that of embedding, and not of writing the data.
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=measure, args=(folder, options.arch, options.limit_gb, Path(scratch), sender))
        process.start()
        process.join()
        found = receiver.recv() if receiver.poll() else {"failed": f"exit code {process.exitcode}"}
        size = sum(path.stat().st_size for path in (folder / layout.DATA_FOLDER).iterdir())
        print(f"{options.rows:,} rows, {size / 1e9:.2f} GB, {options.arch}, limit {options.limit_gb:g} GiB\n")
        print("| measure | value |\n|---|---|")
        for name, value in found.items():
            print(f"| {name} | {value} |")


def write_data(folder: Path, rows: int) -> None:
    """A data set with `rows` forget rows and a few of each other split, a shard in memory at a time."""
    (folder / layout.DATA_FOLDER).mkdir(parents=True)
    rng = np.random.default_rng(0)
    images = [image(rng) for _ in range(IMAGES)]
    counts = {**dict.fromkeys(layout.REQUIRED_SPLITS, OTHER_ROWS), layout.FORGET: rows}
    captions = {}
    for split, count in counts.items():
        shards = -(-count // SHARD_ROWS)
        for shard in range(shards):
            numbers = range(shard * SHARD_ROWS, min(count, (shard + 1) * SHARD_ROWS))
            names = [f"{number % 500:08d}_{split}_{number:06d}.jpg" for number in numbers]
            texts = [f"Person {number % 500} has the number {number} in {split}" for number in numbers]
            identities = [None if split == layout.RETAIN_SYNTH else f"{number % 500:08d}" for number in numbers]
            captions.update(
                {name: {"caption": text, "data_field": "job"} for name, text in zip(names, texts, strict=True)}
            )
            table = pa.table(
                {
                    layout.IMAGE: [{"bytes": images[number % IMAGES], "path": None} for number in numbers],
                    layout.TEXT: texts,
                    layout.IDENTITY: pa.array(identities, pa.string()),
                    layout.FILE_NAME: names,
                }
            )
            target = folder / layout.DATA_FOLDER / layout.shard_name(split, shard, shards)
            pq.write_table(table, target, row_group_size=ROW_GROUP)
    people = {f"{number:08d}": {"name": f"Person {number}", "job": "tailor"} for number in range(500)}
    for file, content in (
        (layout.CAPTIONS_FILE, captions), (layout.GENERIC_CAPTIONS_FILE, {}), (layout.FRAGILE_IDS_FILE, []),
        (layout.IDENTITIES_FILE, people),
    ):  # fmt: skip
        (folder / file).write_text(json.dumps(content), "utf-8")


def image(rng: np.random.Generator) -> bytes:
    """A JPEG of about the size of the official ones: large patches with noise."""
    patches = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((SIDE, SIDE))
    noisy = np.asarray(patches, dtype=np.int16) + rng.integers(-12, 13, (SIDE, SIDE, 3), dtype=np.int16)
    stream = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def measure(folder: Path, architecture: str, limit_gb: float, scratch: Path, sender: Connection) -> None:
    """Embed the split forget under the limit and send what it took."""
    # torch takes seconds to import, and the parent process, which writes the data, does not need it.
    from benchmarks.random_model import write_random_model  # noqa: PLC0415

    limit = int(limit_gb * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    model = write_random_model(scratch / "model", SMALL if architecture == "small" else architecture)
    embedder = Embedder(ArrayStore(scratch / "cache"))
    embedder.facts(model)
    before = peak_mb()
    start = time.perf_counter()
    data = load_folder(folder)
    loaded = time.perf_counter()
    split = data.split(layout.FORGET)
    embedder.images(model, data, split)
    images = time.perf_counter()
    embedder.captions(model, data, split)
    captions = time.perf_counter()
    sender.send(
        {
            "peak with the model alone, MB": before,
            "peak when all is embedded, MB": peak_mb(),
            "seconds to load the rows": round(loaded - start, 1),
            "images a second": round(len(split) / (images - loaded)),
            "captions a second": round(len(split) / (captions - images)),
        }
    )
    shutil.rmtree(scratch / "cache", ignore_errors=True)


def peak_mb() -> int:
    """Largest resident size of this process so far; pages of mapped cache files count, though they can be dropped."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
