"""The same model on the same data through the published clip-benchmark package: equal numbers, and both timed.

    pip install 'salmu-demo[peer]'    # or, without what this does not use: pip install --no-deps clip-benchmark==1.6.2
    python -m benchmarks.peer_clip_benchmark [--model mini-compromised] [--pairs 1000]

Zero-shot classification of SALMU-Mini's objects (GenKnow) and retrieval in both directions among pairs of the split
forget with distinct captions. clip-benchmark loads the model through open_clip itself and encodes in batches of its
own. Exits with 1 if a pair of numbers differs by more than 1e-4.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer
from torch.utils.data import DataLoader

from salmu_demo.core.settings import assets_dir
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.metrics import class_weights, general_knowledge
from salmu_demo.models.references import find_model
from salmu_demo.models.source import MERGES_FILE, ModelSource
from salmu_demo.probes.index import FaissIndex

TOLERANCE = 1e-4
RECALL_AT = (1, 5)
BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini-compromised")
    parser.add_argument("--pairs", type=int, default=1000)
    options = parser.parse_args()
    data = load_data("mini")
    pairs = distinct_captions(data.split(layout.FORGET), options.pairs)
    peer, peer_seconds = timed(lambda: peer_numbers(options.model, data, pairs))
    with tempfile.TemporaryDirectory() as folder:
        embedder = Embedder(ArrayStore(Path(folder)))
        own, own_seconds = timed(lambda: own_numbers(find_model(options.model), data, pairs, embedder))
    classes = data.split(layout.GENKNOW_SPLIT)
    print(f"{options.model}: {len(classes)} images to classify, {len(pairs)} pairs to retrieve\n")
    print("| measure | clip-benchmark | salmu-demo | difference |\n|---|---|---|---|")
    for name, value in own.items():
        print(f"| {name} | {peer[name]:.6f} | {value:.6f} | {value - peer[name]:+.1e} |")
    print(f"| seconds, from files to numbers | {peer_seconds:.1f} | {own_seconds:.1f} | |")
    sys.exit(any(abs(own[name] - peer[name]) > TOLERANCE for name in own))


def distinct_captions(split: Split, count: int) -> Split:
    """The first rows of different captions: a caption that occurs twice has no one right image."""
    first = {text: row for row, text in reversed(list(enumerate(split.texts)))}
    return split.take(split.name, sorted(first.values())[:count])


def timed(work: Callable[[], dict[str, float]]) -> tuple[dict[str, float], float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def own_numbers(model: ModelSource, data: BenchmarkData, pairs: Split, embedder: Embedder) -> dict[str, float]:
    """This project's: features from an empty cache, its classifier and its search index."""
    zero_shot, split = data.zero_shot, data.split(layout.GENKNOW_SPLIT)
    assert zero_shot is not None
    prompts = [template.format(name) for name in zero_shot.classes for template in zero_shot.templates]
    weights = class_weights(
        embedder.prompts(model, prompts).reshape(len(zero_shot.classes), len(zero_shot.templates), -1)
    )
    labels = np.array([zero_shot.classes.index(text) for text in split.texts])
    found = {
        "classification acc1": float(general_knowledge(embedder.images(model, data, split), labels, weights).mean())
    }
    images, captions = np.array(embedder.images(model, data, pairs)), np.array(embedder.captions(model, data, pairs))
    for direction, queries, gallery in (("image", captions, images), ("text", images, captions)):
        _, items = FaissIndex(gallery).search(queries, max(RECALL_AT))
        for k in RECALL_AT:
            hits = (items[:, :k] == np.arange(len(queries))[:, None]).any(axis=1)
            found[f"{direction} retrieval recall@{k}"] = float(hits.mean())
    return found


def peer_numbers(reference: str, data: BenchmarkData, pairs: Split) -> dict[str, float]:
    """clip-benchmark's, with the model as open_clip alone loads it."""
    # An extra of its own, which nothing else needs.
    from clip_benchmark.metrics import zeroshot_classification, zeroshot_retrieval  # noqa: PLC0415

    folder = assets_dir() / "models" / reference
    network, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}", pretrained_text=False)
    context = network.context_length
    tokenizer = SimpleTokenizer(str(folder / MERGES_FILE), context_length=context)
    zero_shot, split = data.zero_shot, data.split(layout.GENKNOW_SPLIT)
    assert zero_shot is not None

    def loader(rows: Split, targets: list[Any], collate: Callable[[list[Any]], Any] | None = None) -> DataLoader[Any]:
        class Rows(torch.utils.data.Dataset[Any]):
            def __len__(self) -> int:
                return len(rows)

            def __getitem__(self, number: int) -> Any:
                return transform(data.image(rows.stored, int(rows.rows[number]))), targets[number]

        return DataLoader(Rows(), batch_size=BATCH, collate_fn=collate)

    network.eval()
    templates = [template.replace("{}", "{c}") for template in zero_shot.templates]
    classifier = zeroshot_classification.zero_shot_classifier(
        network, tokenizer, zero_shot.classes, templates, "cpu", amp=False
    )
    numbers = [zero_shot.classes.index(text) for text in split.texts]
    logits, truth = zeroshot_classification.run_classification(
        network, classifier, loader(split, numbers), "cpu", amp=False
    )
    # Its own `accuracy` turns an array of one number into a float, which numpy 2.4.6 no longer does.
    accuracy = float((logits.argmax(dim=1) == truth).float().mean())
    retrieved = zeroshot_retrieval.evaluate(
        network,
        loader(
            pairs,
            [[text] for text in pairs.texts],
            lambda rows: (torch.stack([r[0] for r in rows]), [r[1] for r in rows]),
        ),
        tokenizer,
        "cpu",
        amp=False,
        recall_k_list=list(RECALL_AT),
    )
    renamed = {name.replace("_", " "): value for name, value in retrieved.items()}
    return {"classification acc1": accuracy, **renamed}


if __name__ == "__main__":
    main()
