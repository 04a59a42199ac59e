"""A data set of the official size without a single image: rows, metadata, and random features in the cache.

Nothing can be encoded from it, so whatever runs on it runs from cached features alone.
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
LEVELS: Final = {"synthetic-clean": 0.1, "synthetic-compromised": 0.6, "synthetic-a": 0.3, "synthetic-b": 0.4}
"""How strongly a model's captions of the sensitive splits follow their images."""

_SPLITS: Final = {layout.FORGET: 30_468, layout.HOLDOUT_ASSOCIATION: 14_943, layout.HOLDOUT_IDENTITY: 14_642}
_FORGET_ONLY, _SHARED, _HELD_OUT = 193, 387, 194
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


def write_data(folder: Path) -> BenchmarkData:
    """Write the rows and the metadata, with the counts of the official release."""
    people = [f"{number:08d}" for number in range(_FORGET_ONLY + _SHARED + _HELD_OUT)]
    forget_only, shared = people[:_FORGET_ONLY], people[_FORGET_ONLY : _FORGET_ONLY + _SHARED]
    held_out = people[_FORGET_ONLY + _SHARED :]
    owners = {
        layout.FORGET: _spread(forget_only, _FORGET_IDENTITY_ROWS)
        + _spread(shared, _SPLITS[layout.FORGET] - _FORGET_IDENTITY_ROWS),
        layout.HOLDOUT_ASSOCIATION: _spread(shared, _SPLITS[layout.HOLDOUT_ASSOCIATION]),
        layout.HOLDOUT_IDENTITY: _spread(held_out, _SPLITS[layout.HOLDOUT_IDENTITY]),
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
        _write_split(folder, split, rows)
    retain = [*_spread(forget_only + shared, _JOINT), *_spread(held_out, _OTHER_RETAIN), *[None] * _DISJOINT]
    names = [f"retain_{number:05d}.jpg" for number in range(len(retain))]
    texts = [f"A plain image, number {number}" for number in range(len(retain))]
    _write_split(folder, layout.RETAIN_SYNTH, list(zip(texts, retain, names, strict=True)))
    classes = [f"thing {number}" for number in range(_CLASSES)]
    labels = [classes[number % _CLASSES] for number in range(_CLASS_IMAGES)]
    _write_split(folder, layout.GENKNOW_SPLIT, [(label, None, f"{n}.jpg") for n, label in enumerate(labels)])
    for file, content in {
        layout.IDENTITIES_FILE: {person: _persona(person) for person in people},
        layout.CAPTIONS_FILE: captions,
        layout.GENERIC_CAPTIONS_FILE: generic,
        layout.FRAGILE_IDS_FILE: names[-_FRAGILE:],
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
        images = _unit(rng.standard_normal((count, WIDTH), dtype=np.float32))
        texts = _unit(level * images + _unit(rng.standard_normal((count, WIDTH), dtype=np.float32)))
        for column, features in ((layout.IMAGE, images), (layout.TEXT, texts)):
            path = store.feature_path(model.fingerprint, data.fingerprint, f"{split}.{column}")
            RowArray(path, count).write(np.arange(count), features)
    prompts = _prompts(data)
    features = _unit(rng.standard_normal((len(prompts), WIDTH), dtype=np.float32))
    TextTable(store.prompts_path(model.fingerprint)).append(prompts, features)
    facts = ModelFacts(WIDTH, 0, 100.0, "cpu", "")
    write_checked(store.facts_path(model.fingerprint), asdict(facts), "The cache")
    return model


def _prompts(data: BenchmarkData) -> list[str]:
    """Every text that the metrics embed and that is no caption of a row."""
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


def _write_split(folder: Path, split: str, rows: Sequence[tuple[str, str | None, str]]) -> None:
    texts, identities, names = zip(*rows, strict=True)
    columns = [[None] * len(rows), texts, identities, names]
    table = pa.table([pa.array(column, kind) for column, kind in zip(columns, _SCHEMA.types, strict=True)], _SCHEMA)
    pq.write_table(table, folder / layout.DATA_FOLDER / f"{split}-00000-of-00001.parquet")


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows
