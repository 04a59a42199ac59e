"""What search takes as galleries grow: exact and approximate indices of FAISS, their memory and their recall.

    python -m benchmarks.galleries --items 100000 1000000

Features are drawn: unit vectors of a low-rank part, as text towers give them, and of noise; queries are items with the
noise of another modality added. Recall@10 is the share of the ten best items of the exact search that an index finds.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

K = 10
QUERIES = 200
RANK = 64
NOISE = 0.5
"""Share of the noise in an item's norm, and of the other modality's in a query's."""
CHUNK = 100_000
TRAINED_PER_LIST = 40
"""Items that the lists are trained on, as FAISS asks for."""
PROBES = (8, 32, 128)

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Kind:
    """A kind of index: its name, FAISS's description of it for so many items, and what to try of `nprobe`."""

    name: str
    factory: Callable[[int], str]
    probes: tuple[int, ...] = (0,)


def lists(items: int) -> int:
    """Inverted lists: about four times the root of the number of items, as FAISS advises, a power of two."""
    return 1 << round(math.log2(4 * math.sqrt(items)))


KINDS = (
    Kind("exact (IndexFlatIP)", lambda items: "Flat"),
    Kind("IVF, whole features", lambda items: f"IVF{lists(items)},Flat", PROBES),
    Kind("IVF, half precision", lambda items: f"IVF{lists(items)},SQfp16", PROBES),
    Kind("IVF, a byte a value", lambda items: f"IVF{lists(items)},SQ8", PROBES),
)


def drawn(items: int, dim: int, seed: int) -> Iterator[Features]:
    """Chunks of unit vectors, of all chunks `items`."""
    generator = np.random.default_rng(seed)
    basis = np.random.default_rng(0).normal(size=(RANK, dim)).astype(np.float32)
    for start in range(0, items, CHUNK):
        count = min(CHUNK, items - start)
        inner = generator.normal(size=(count, RANK)).astype(np.float32) @ basis
        yield mixed(inner, generator)


def mixed(inner: Features, generator: np.random.Generator) -> Features:
    """Unit vectors with noise added to them, as unit vectors."""
    noise = generator.normal(size=inner.shape).astype(np.float32)
    for part in (inner, noise):
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    found: Features = (1 - NOISE) * inner + NOISE * noise
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def measure(kind: Kind, items: int, dim: int, queries: Features, truth: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Print a line for each setting of an index; returns what the last one found."""
    start = time.process_time()
    index = faiss.index_factory(dim, kind.factory(items), faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        index.train(np.concatenate([*drawn(min(items, TRAINED_PER_LIST * lists(items)), dim, 1)]))
    for chunk in drawn(items, dim, 1):
        index.add(chunk)
    built = time.process_time() - start
    size = faiss.serialize_index(index).nbytes / items
    found = np.empty((0, K), dtype=np.int64)
    for probes in kind.probes:
        if probes:
            faiss.extract_index_ivf(index).nprobe = probes
        times = []
        parts = []
        for query in queries:
            start = time.process_time()
            parts.append(index.search(query[None], K)[1])
            times.append(1e3 * (time.process_time() - start))
        found = np.concatenate(parts)
        recall = 1.0 if truth is None else np.mean([len({*a} & {*b}) / K for a, b in zip(found, truth, strict=True)])
        setting = f"nprobe {probes} of {lists(items):,}" if probes else "-"
        cells = (f"{items:,}", kind.name, setting, f"{size:,.0f}", f"{built:.0f}", f"{np.median(times):.2f}")
        print(f"| {' | '.join(cells)} | {recall:.3f} |", flush=True)
    return found


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=512)
    options = parser.parse_args()
    # So that CPU time is what an idle core takes, however busy the machine is.
    faiss.omp_set_num_threads(1)
    print(f"{options.dim} dimensions, {QUERIES} queries one by one, one thread\n")
    print("| items | index | setting | bytes an item | build, CPU s | search, CPU ms | recall@10 |")
    print("|---|---|---|---|---|---|---|")
    for items in options.items:
        start = next(drawn(QUERIES, options.dim, 1))
        queries = mixed(start, np.random.default_rng(2))
        truth = None
        for kind in KINDS:
            found = measure(kind, items, options.dim, queries, truth)
            truth = found if truth is None else truth


if __name__ == "__main__":
    main()
