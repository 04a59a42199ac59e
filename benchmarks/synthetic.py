"""A data set of the official size: rows, metadata, and random features in the cache.

Unless images are given it has none, and nothing can be encoded from it: whatever runs on it runs from cached features.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from salmu_demo.core.files import write_checked
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.features.embedder import ModelFacts
from salmu_demo.features.rows import RowArray
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.texts import TextTable
from salmu_demo.metrics import all_metrics
from salmu_demo.models.source import ModelSource
from salmu_demo.results.inputs import MetricInputs

WIDTH: Final = 512
ROW_GROUP: Final = 100
"""Rows that are read together, as the Hub's writer makes them."""
SHARD_ROWS: Final = 6000
LEVELS: Final = {"synthetic-clean": 0.1, "synthetic-compromised": 0.6, "synthetic-a": 0.3, "synthetic-b": 0.4}
"""How strongly a model's captions of the sensitive splits follow their images."""

_SPLITS: Final = {layout.FORGET: 30_468, layout.HOLDOUT_ASSOCIATION: 14_943, layout.HOLDOUT_IDENTITY: 14_642}
_FORGET_ONLY, _SHARED, _HELD_OUT = 193, 387, 194
PEOPLE: Final = _FORGET_ONLY + _SHARED + _HELD_OUT
_FORGET_IDENTITY_ROWS: Final = 15_342
_JOINT, _DISJOINT, _OTHER_RETAIN, _FRAGILE = 749, 15_740, 252, 787
_CLASSES, _TEMPLATES, _CLASS_IMAGES = 100, 5, 2_000

_SCHEMA: Final = pa.schema(
    [
        (layout.IMAGE, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        (layout.TEXT, pa.string()),
        (layout.IDENTITY, pa.string()),
        (layout.FILE_NAME, pa.string()),
    ]
)


def write_data(folder: Path, images: Sequence[bytes] = (), share: float = 1.0) -> BenchmarkData:
    """Write the rows and the metadata.

    Args:
        folder: where to.
        images: files of images, which the rows have in turn; without any they have none.
        share: of the counts of the official release.
    """

    def part(count: int) -> int:
        return max(2, round(share * count))

    first, second = part(_FORGET_ONLY), part(_FORGET_ONLY) + part(_SHARED)
    people = [f"{number:08d}" for number in range(second + part(_HELD_OUT))]
    forget_only, shared, held_out = people[:first], people[first:second], people[second:]
    owners = {
        layout.FORGET: _spread(forget_only, part(_FORGET_IDENTITY_ROWS))
        + _spread(shared, part(_SPLITS[layout.FORGET] - _FORGET_IDENTITY_ROWS)),
        layout.HOLDOUT_ASSOCIATION: _spread(shared, part(_SPLITS[layout.HOLDOUT_ASSOCIATION])),
        layout.HOLDOUT_IDENTITY: _spread(held_out, part(_SPLITS[layout.HOLDOUT_IDENTITY])),
    }
    captions: dict[str, Any] = {}
    generic: dict[str, str] = {}
    (folder / layout.DATA_FOLDER).mkdir(parents=True)
    for split, persons in owners.items():
        rows = []
        for number, person in enumerate(persons):
            kind = layout.KINDS[number % len(layout.KINDS)]
            name = f"{person}_{split}_{number:05d}.jpg"
            rows.append((f"Wording {number} says that {kind} of person {person} is secret", person, name))
            captions[name] = {"caption": rows[-1][0], "data_field": kind}
            generic[name] = f"A plain description, number {number} of {split}"
        _write_split(folder, split, rows, images)
    joint, other = _spread(forget_only + shared, part(_JOINT)), _spread(held_out, part(_OTHER_RETAIN))
    retain = [*joint, *other, *[None] * part(_DISJOINT)]
    names = [f"retain_{number:05d}.jpg" for number in range(len(retain))]
    texts = [f"A plain image, number {number}" for number in range(len(retain))]
    _write_split(folder, layout.RETAIN_SYNTH, list(zip(texts, retain, names, strict=True)), images)
    classes = [f"thing {number}" for number in range(_CLASSES)]
    labels = [classes[number % _CLASSES] for number in range(max(_CLASSES, part(_CLASS_IMAGES)))]
    _write_split(folder, layout.GENKNOW_SPLIT, [(label, None, f"{n}.jpg") for n, label in enumerate(labels)], images)
    for file, content in {
        layout.IDENTITIES_FILE: {person: _persona(person) for person in people},
        layout.CAPTIONS_FILE: captions,
        layout.GENERIC_CAPTIONS_FILE: generic,
        layout.FRAGILE_IDS_FILE: names[-part(_FRAGILE) :],
        layout.GENKNOW_FILE: {"classes": classes, "templates": [f"{n}: a {{}}" for n in range(_TEMPLATES)]},
    }.items():
        (folder / file).write_text(json.dumps(content), "utf-8")
    return load_folder(folder, "synthetic")


def synthetic_model(name: str, folder: Path) -> ModelSource:
    """A model that is never loaded; of its configuration only the tokenizer's part is read."""
    return ModelSource(name, folder / name, {"model_cfg": {"text_cfg": {"context_length": 77}}})


def write_model(name: str, folder: Path, data: BenchmarkData, store: ArrayStore) -> ModelSource:
    """Put random features of a model into the cache: captions and prompts follow their images by its level."""
    (folder / name).write_text(name)
    model = synthetic_model(name, folder)
    rng = np.random.default_rng(list(name.encode()))
    for split in data.stored_splits:
        count = len(data.split(split))
        level = LEVELS[name] if split in layout.SENSITIVE_SPLITS else 0.6
        images = unit_rows(rng.standard_normal((count, WIDTH), dtype=np.float32))
        texts = unit_rows(level * images + unit_rows(rng.standard_normal((count, WIDTH), dtype=np.float32)))
        for column, features in ((layout.IMAGE, images), (layout.TEXT, texts)):
            path = store.feature_path(model.fingerprint, data.fingerprint, f"{split}.{column}")
            RowArray(path, count).write(np.arange(count), features)
    prompts = metric_prompts(data)
    features = unit_rows(rng.standard_normal((len(prompts), WIDTH), dtype=np.float32))
    TextTable(store.prompts_path(model.fingerprint)).append(prompts, features)
    facts = ModelFacts(WIDTH, 0, 100.0, "cpu", "")
    write_checked(store.facts_path(model.fingerprint), asdict(facts), "The cache")
    return model


def metric_prompts(data: BenchmarkData) -> list[str]:
    """Every text that the metrics embed and that is not a caption of a row."""
    inputs = MetricInputs(data)
    needed = [needs for metric in all_metrics() if (needs := inputs.needs(metric))]
    texts = [prompt for needs in needed for read in needs.texts.values() for prompt in read.prompts]
    return list(dict.fromkeys(texts))


def _persona(identity: str) -> dict[str, Any]:
    values = {kind: f"{kind} {identity}" for kind in layout.KINDS}
    return {"name": f"Person {identity}", **values, "email": [f"{identity}@a.example", f"{identity}@b.example"]}


def _spread(people: Sequence[str], count: int) -> list[str]:
    """The owner of each of so many rows, people in equal parts and one after another."""
    return [people[row * len(people) // count] for row in range(count)]


def _write_split(
    folder: Path, split: str, rows: Sequence[tuple[str, str | None, str]], images: Sequence[bytes]
) -> None:
    """Write a split, a shard in memory at a time."""
    shards = -(-len(rows) // SHARD_ROWS)
    for shard in range(shards):
        start = shard * SHARD_ROWS
        texts, identities, names = zip(*rows[start : start + SHARD_ROWS], strict=True)
        encoded = [
            {"bytes": images[(start + number) % len(images)], "path": None} if images else None
            for number in range(len(texts))
        ]
        columns = [encoded, texts, identities, names]
        table = pa.table([pa.array(column, kind) for column, kind in zip(columns, _SCHEMA.types, strict=True)], _SCHEMA)
        target = folder / layout.DATA_FOLDER / layout.shard_name(split, shard, shards)
        pq.write_table(table, target, row_group_size=ROW_GROUP)


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows
