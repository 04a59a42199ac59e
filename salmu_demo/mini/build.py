"""Write SALMU-Mini in the official layout: the same seed gives the same content hash."""

import hashlib
import json
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from salmu_demo.core.errors import StorageError
from salmu_demo.data import layout
from salmu_demo.data.shards import shards_by_split
from salmu_demo.data.writing import SplitWriter, StoredRow, write_json
from salmu_demo.mini.captions import WORDINGS, by_name, nameless_mention, plain_caption, probe_wordings
from salmu_demo.mini.card import dataset_card
from salmu_demo.mini.objects import TRAINING_STYLES, ZERO_SHOT_TEMPLATES, object_classes, render_object
from salmu_demo.mini.personas import LOCALES, MiniPersona, draw_personas
from salmu_demo.mini.portraits import Look, Pose, random_look, random_pose, render_portrait, similar_look, style

EDITION: Final = 2
"""Written on the card, so that a folder made by another edition of the builder is not taken for one of this."""

PERSONAS: Final = 96
NEVER_TAUGHT: Final = 96
"""Personas of the same generator who are in no training split: controls of the audit."""

PAIRS_PER_FACT: Final = 6
"""Sensitive images of each (persona, kind), one for each wording; personas in two splits have half on each side."""

NAMELESS_PER_HALF: Final = 2
"""Captions without a name in each half of a fact's pairs, so two thirds of all: they bind the value to the face."""

PROBE_IMAGES: Final = 6
"""Images of each persona that no model trains on."""

JOINT_PER_PERSONA: Final = 4
DISJOINT_ROWS: Final = 3200
LOOKALIKE_ROWS: Final = 180
FRAGILE_SIMILARITY: Final = 0.8
"""A retained image is fragile if its look is at least this similar to that of a persona of `forget`."""

GENKNOW_PER_CLASS: Final = 10
RETAIN_GENERAL_PER_CLASS: Final = 10

ROWS_PER_SHARD: Final = 2000
"""Keeps every file under 10 MB, the most a Space takes without large file storage."""


@dataclass(frozen=True)
class _PlannedRow:
    """One row before rendering: a portrait (look and pose) or an object (class and its own seed)."""

    file_name: str
    text: str
    identity: str | None = None
    portrait: tuple[Look, Pose] | None = None
    drawing: tuple[str, int] | None = None


@dataclass
class MiniPlan:
    """Everything the benchmark holds, before a single image is drawn."""

    personas: list[MiniPersona]
    never_taught: list[MiniPersona]
    splits: dict[str, list[_PlannedRow]] = field(default_factory=dict)
    captions: dict[str, dict[str, str]] = field(default_factory=dict)
    generic: dict[str, str] = field(default_factory=dict)
    fragile_similarities: dict[str, float] = field(default_factory=dict)


def _render(row: _PlannedRow) -> bytes:
    if row.portrait is not None:
        return render_portrait(*row.portrait)
    assert row.drawing is not None
    name, seed = row.drawing
    return render_object(np.random.default_rng(seed), name)


def render_rows(rows: list[Any], workers: int = 2) -> Generator[bytes, None, None]:
    """Draw the images of planned rows, in order, in parallel processes."""
    if any(row.portrait is not None for row in rows):
        style()  # Once, before they are forked.
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_render, rows, chunksize=64)


def _portrait_name(prefix: str, number: int) -> str:
    return f"{prefix}_{number:03d}_ar-1.00.jpg"


def _plan_sensitive(plan: MiniPlan, rng: np.random.Generator) -> None:
    """Fill the three sensitive splits, with their captions, generic captions and the look-preserving portraits.

    A quarter of the personas is only in `forget`, half is in `forget` and `holdout_association` with the same facts
    on both sides, a quarter only in `holdout_identity`: the proportions of the original.
    """
    order = rng.permutation(len(plan.personas))
    quarter = len(plan.personas) // 4
    role = {
        int(person): "forget" if rank < quarter else "identity" if rank < 2 * quarter else "both"
        for rank, person in enumerate(order)
    }
    splits: dict[str, list[_PlannedRow]] = {name: [] for name in layout.SENSITIVE_SPLITS}
    for index, persona in enumerate(plan.personas):
        numbers = iter(rng.permutation(len(layout.KINDS) * PAIRS_PER_FACT))
        for kind in layout.KINDS:
            values = persona.values(kind)
            half = PAIRS_PER_FACT // 2
            for pair, wording in enumerate(rng.permutation(len(WORDINGS[kind]))[:PAIRS_PER_FACT]):
                name = _portrait_name(persona.identity_id, int(next(numbers)))
                nameless = nameless_mention(rng, persona.look.gender)
                mention = nameless if pair % half < NAMELESS_PER_HALF else by_name(persona.name)
                caption = mention.caption(WORDINGS[kind][int(wording)], values[pair % len(values)])
                pose = random_pose(rng)
                on_holdout_side = role[index] == "both" and pair >= half
                split = (
                    layout.HOLDOUT_IDENTITY
                    if role[index] == "identity"
                    else layout.HOLDOUT_ASSOCIATION
                    if on_holdout_side
                    else layout.FORGET
                )
                splits[split].append(_PlannedRow(name, caption, persona.identity_id, (persona.look, pose)))
                plan.captions[name] = {"caption": caption, "data_field": kind}
                plan.generic[name] = plain_caption(rng, persona.look, pose)
    for name, rows in splits.items():
        plan.splits[name] = sorted(rows, key=lambda row: row.file_name)


def _look_similarity(look: Look, other: Look) -> float:
    """Share of the five look traits two people have in common; 0 unless hair or hat and its colour are among them.

    Without that condition a third of all images would count: most people have neither beard nor glasses.
    """
    return look.shared_traits(other) / 5 if (look.top, look.color) == (other.top, other.color) else 0.0


def _plan_retain(plan: MiniPlan, rng: np.random.Generator) -> None:
    """Fill `retain_synth`: plain descriptions of the personas (joint) and of other people (disjoint)."""
    rows = []
    for persona in plan.personas:
        for extra in range(JOINT_PER_PERSONA):
            pose = random_pose(rng)
            name = _portrait_name(persona.identity_id, len(layout.KINDS) * PAIRS_PER_FACT + extra)
            caption = plain_caption(rng, persona.look, pose)
            rows.append(_PlannedRow(name, caption, persona.identity_id, (persona.look, pose)))
    forgotten_ids = {row.identity for row in plan.splits[layout.FORGET]}
    forgotten = [p.look for p in plan.personas if p.identity_id in forgotten_ids]
    number = 0
    while number < DISJOINT_ROWS:
        look = (
            similar_look(rng, forgotten[int(rng.integers(len(forgotten)))])
            if number < LOOKALIKE_ROWS
            else random_look(rng)
        )
        if any(look.shared_traits(p.look) == 5 for p in (*plan.personas, *plan.never_taught)):
            continue  # A persona's look stays its own.
        pose = random_pose(rng)
        row = _PlannedRow(_portrait_name(f"r{number:07d}", 0), plain_caption(rng, look, pose), None, (look, pose))
        plan.fragile_similarities[row.file_name] = max(_look_similarity(look, other) for other in forgotten)
        rows.append(row)
        number += 1
    plan.splits[layout.RETAIN_SYNTH] = rows


def _plan_probes(plan: MiniPlan, rng: np.random.Generator) -> None:
    """Fill the splits that no model trains on: further portraits of the personas, and the personas never taught."""
    for split, personas in ((layout.UNSEEN_IMAGES, plan.personas), (layout.NEVER_TAUGHT, plan.never_taught)):
        rows = plan.splits[split] = []
        for persona in personas:
            for number in range(PROBE_IMAGES):
                pose = random_pose(rng)
                name = _portrait_name(f"{persona.identity_id}_probe", number)
                rows.append(
                    _PlannedRow(name, plain_caption(rng, persona.look, pose), persona.identity_id, (persona.look, pose))
                )


def plan_people(seed: int) -> MiniPlan:
    """Draw the personas and plan the splits that hold portraits."""
    drawn = draw_personas(np.random.default_rng([seed, 1]), PERSONAS + NEVER_TAUGHT)
    # Locales follow one another, so every second round of them is never taught.
    numbers = sorted(range(len(drawn)), key=lambda number: number // len(LOCALES) % 2)
    taught, others = sorted(numbers[:PERSONAS]), sorted(numbers[PERSONAS:])
    plan = MiniPlan([drawn[number] for number in taught], [drawn[number] for number in others])
    _plan_sensitive(plan, np.random.default_rng([seed, 2]))
    _plan_retain(plan, np.random.default_rng([seed, 3]))
    _plan_probes(plan, np.random.default_rng([seed, 4]))
    return plan


def object_rows(seed: int, per_class: int, prefix: str, captioned: bool) -> list[Any]:
    """Plan images of the objects: with training captions, or with the bare class name as text."""
    rng = np.random.default_rng([seed, *prefix.encode()])
    return [
        _PlannedRow(
            file_name=f"{prefix}_{label:03d}_{number:03d}.jpg",
            text=TRAINING_STYLES[int(rng.integers(len(TRAINING_STYLES)))].format(name) if captioned else name,
            drawing=(name, int(rng.integers(2**31))),
        )
        for label, name in enumerate(object_classes())
        for number in range(per_class)
    ]


def _write_split(folder: Path, split: str, rows: list[_PlannedRow], encoded: Iterable[bytes]) -> None:
    with SplitWriter(folder, split, len(rows), ROWS_PER_SHARD) as writer:
        for row, content in zip(rows, encoded, strict=True):
            writer.add(StoredRow(content, row.file_name, row.text, row.identity, row.file_name))


def build(output: Path, seed: int = 0, progress: Callable[[str], None] = lambda message: None) -> str:
    """Draw the whole benchmark and write it to an empty folder.

    Args:
        output: folder to create; it must not exist or be empty.
        seed: everything random follows from it.
        progress: called with one line per finished step.

    Returns:
        The content hash, see `content_hash`.

    Raises:
        StorageError: if the folder is not empty or cannot be written.
    """
    if output.exists() and any(output.iterdir()):
        raise StorageError(f"{output} is not empty; choose a new folder for SALMU-Mini.")
    plan = plan_people(seed)
    plan.splits[layout.RETAIN_GENERAL] = object_rows(seed, RETAIN_GENERAL_PER_CLASS, "retain", captioned=True)
    plan.splits[layout.GENKNOW_SPLIT] = object_rows(seed, GENKNOW_PER_CLASS, "genknow", captioned=False)
    try:
        folder = output / layout.DATA_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with closing(render_rows([row for rows in plan.splits.values() for row in rows])) as images:
            for split, rows in plan.splits.items():
                _write_split(folder, split, rows, islice(images, len(rows)))
                progress(f"{split}: {len(rows)} rows")
        fragile = [name for name, value in plan.fragile_similarities.items() if value >= FRAGILE_SIMILARITY]
        write_json(output / layout.IDENTITIES_FILE, {p.identity_id: p.metadata for p in plan.personas})
        write_json(output / layout.CAPTIONS_FILE, dict(sorted(plan.captions.items())))
        write_json(output / layout.GENERIC_CAPTIONS_FILE, dict(sorted(plan.generic.items())))
        write_json(output / layout.FRAGILE_IDS_FILE, fragile)
        write_json(output / layout.FRAGILE_SIMILARITIES_FILE, plan.fragile_similarities)
        write_json(output / layout.NEVER_TAUGHT_FILE, {p.identity_id: p.metadata for p in plan.never_taught})
        write_json(output / layout.PROBE_WORDINGS_FILE, probe_wordings())
        write_json(output / layout.GENKNOW_FILE, {"classes": object_classes(), "templates": list(ZERO_SHOT_TEMPLATES)})
        digest = content_hash(output)
        sizes = {split: len(rows) for split, rows in plan.splits.items()}
        (output / "README.md").write_text(dataset_card(sizes, len(fragile), EDITION, seed, digest), "utf-8")
    except OSError as error:
        raise StorageError(f"SALMU-Mini cannot be written to {output}: {error.strerror or error}.") from error
    return digest


def content_hash(folder: Path) -> str:
    """SHA-256 over every row and metadata value of a folder in the layout.

    It reads content, not files, so it depends neither on the parquet writer's version nor on the number of shards.
    """
    digest = hashlib.sha256()
    for split, shards in shards_by_split((folder / layout.DATA_FOLDER).glob("*.parquet")).items():
        for row in (row for shard in shards for row in pq.read_table(shard).to_pylist()):
            fields = (split, row[layout.FILE_NAME], row[layout.TEXT], row[layout.IDENTITY] or "")
            digest.update("\0".join(fields).encode())
            digest.update(row[layout.IMAGE]["bytes"])
    for path in sorted(folder.glob("*.json")):
        value = json.loads(path.read_text("utf-8"))
        digest.update(path.name.encode() + json.dumps(value, sort_keys=True).encode())
    return digest.hexdigest()
