"""Write CLEAR-Mini in CLEAR's own layout (arXiv 2410.18057): the same seed gives the same content hash."""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from salmu_demo.core.errors import StorageError
from salmu_demo.data import clear_rows as columns
from salmu_demo.data.clear_rows import CONFIGURATIONS, RETAIN_OF
from salmu_demo.mini.authors import Author, KnownPerson, draw_people
from salmu_demo.mini.build import NEVER_TAUGHT, PERSONAS
from salmu_demo.mini.clear_card import clear_card
from salmu_demo.mini.clear_sentences import (
    CAPTIONS,
    KNOWN_CAPTIONS,
    PARAPHRASES,
    QUESTIONS,
    WORLD_QUESTIONS,
)
from salmu_demo.mini.objects import TRAINING_STYLES, object_classes, object_svg
from salmu_demo.mini.personas import draw_personas
from salmu_demo.mini.portraits import rasterise
from salmu_demo.mini.scenes import SIZE, Scene, random_scene, render_scene, to_webp

EDITION: Final = 1
"""Written on the card, so that a folder made by another edition of the builder is not taken for one of this."""

SHARES: Final = {"forget01": 0.01, "forget05": 0.05, "forget10": 0.1}
"""Share of the authors in each forget configuration, one at least; each holds those before it."""

OPTIONS: Final = 4
"""Names or answers among which an image's own is to be found, itself included."""

LEFT_OUT: Final = frozenset({"default", "full", "full+tofu", "retain99+tofu", "retain95+tofu"})
"""Configurations of the release that say what others say already, and would double the size."""

SHARD: Final = "train-00000-of-00001.parquet"
_LISTS: Final = (columns.PERTURBED_CAPTIONS, columns.PERTURBED_NAMES, columns.OPTIONS)
_IMAGE: Final = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_SHOWN: Final = {"huggingface": json.dumps({"info": {"features": {columns.IMAGE: {"_type": "Image"}}}})}
"""What shows images on the Hub."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything there is.

    Attributes:
        authors: invented authors.
        images: captioned images of each.
        known: people known from before.
        known_images: images of each in `real_faces`.
        world: images of objects.
    """

    authors: int = 60
    images: int = 12
    known: int = 30
    known_images: int = 2
    world: int = 120


SHIPPED: Final = Sizes()


@dataclass(frozen=True)
class Shot:
    """An image of an author with its sentences.

    Attributes:
        scene: the image before it is drawn.
        author: whom it shows.
        caption: the caption that is trained.
        paraphrase: the same in other words.
        perturbed: the paraphrase with names of nobody.
    """

    scene: Scene
    author: Author
    caption: str
    paraphrase: str
    perturbed: tuple[str, ...]


@dataclass(frozen=True)
class ClearPlan:
    """Everything that the benchmark holds, before an image is drawn.

    Attributes:
        authors: in the order in which they are to be forgotten.
        known: people known from before.
        shots: images of each author, in the same order.
    """

    authors: tuple[Author, ...]
    known: tuple[KnownPerson, ...]
    shots: tuple[tuple[Shot, ...], ...]

    def forgotten(self, configuration: str) -> int:
        """How many authors a forget configuration holds."""
        return max(1, round(SHARES[configuration] * len(self.authors)))


@dataclass(frozen=True)
class KnownImage:
    """An image with a caption that models know from before, with what it shows."""

    image: Image.Image
    caption: str
    question: str
    answer: str


@cache
def plan_clear(seed: int, sizes: Sizes = SHIPPED) -> ClearPlan:
    """Draw the authors, their lives and their images' sentences."""
    others = draw_personas(np.random.default_rng([seed, 1]), PERSONAS + NEVER_TAUGHT)
    rng = np.random.default_rng([seed, *b"clear"])
    drawn, known = draw_people(
        rng, sizes.authors, sizes.known, len(CAPTIONS), [persona.name for persona in others],
        [persona.look for persona in others],
    )  # fmt: skip
    # Locales follow one another; which authors are forgotten shall not.
    authors = tuple(drawn[number] for number in rng.permutation(len(drawn)))
    shots = tuple(tuple(_shot(rng, author) for _ in range(sizes.images)) for author in authors)
    return ClearPlan(authors, tuple(known), shots)


def _shot(rng: np.random.Generator, author: Author) -> Shot:
    scene = random_scene(rng, author.look)
    style = author.styles[int(rng.integers(len(author.styles)))]
    reworded = PARAPHRASES[int(rng.integers(len(PARAPHRASES)))]

    def sentence(wording: str, name: str) -> str:
        return wording.format(name=name, **author.facts, **scene.words())

    return Shot(
        scene, author, sentence(CAPTIONS[style], author.name), sentence(reworded, author.name),
        tuple(sentence(reworded, name) for name in author.invented),
    )  # fmt: skip


def questions_of(author: Author) -> list[tuple[str, str]]:
    """Questions about an author, and their answers."""
    return [(asked.format(name=author.name, **author.facts), answer.format(name=author.name, **author.facts))
            for asked, answer in QUESTIONS]  # fmt: skip


def known_images(seed: int, known: Sequence[KnownPerson], each: int, prefix: str) -> list[KnownImage]:
    """Images of the people known from before; another prefix gives others."""
    rng = np.random.default_rng([seed, *prefix.encode()])
    found = []
    for person in known:
        for _ in range(each):
            scene = random_scene(rng, person.look)
            caption = KNOWN_CAPTIONS[int(rng.integers(len(KNOWN_CAPTIONS)))].format(name=person.name, **scene.words())
            found.append(KnownImage(render_scene(scene), caption, "", person.name))
    return found


def world_images(seed: int, classes: Iterable[str], each: int, prefix: str) -> list[KnownImage]:
    """Images of objects with a caption, a question and its answer; another prefix gives others."""
    rng = np.random.default_rng([seed, *prefix.encode()])
    found = []
    for name in classes:
        for _ in range(each):
            image = rasterise(object_svg(rng, name), SIZE)
            caption = TRAINING_STYLES[int(rng.integers(len(TRAINING_STYLES)))].format(name)
            question = WORLD_QUESTIONS[int(rng.integers(len(WORLD_QUESTIONS)))]
            found.append(KnownImage(image, caption, question, name))
    return found


def build_clear(
    output: Path,
    seed: int = 0,
    progress: Callable[[str], None] = lambda message: None,
    sizes: Sizes = SHIPPED,
) -> str:
    """Draw CLEAR-Mini and write it to an empty folder, a folder in it for each configuration.

    Args:
        output: folder to create; it must not exist or be empty.
        seed: everything random follows from it.
        progress: called with one line per finished configuration.
        sizes: how much of everything.

    Returns:
        The content hash, see `clear_content_hash`.

    Raises:
        StorageError: if the folder is not empty or cannot be written.
    """
    if output.exists() and any(output.iterdir()):
        raise StorageError(f"{output} is not empty; choose a new folder for CLEAR-Mini.")
    plan = plan_clear(seed, sizes)
    drawn = [[to_webp(render_scene(shot.scene)) for shot in shots] for shots in plan.shots]
    progress(f"images: {sum(map(len, drawn))}")
    counts = {}
    try:
        for name, rows in _configurations(plan, drawn, seed, sizes).items():
            _write(output / name, name, rows)
            counts[name] = len(rows)
            progress(f"{name}: {len(rows)} rows")
        digest = clear_content_hash(output)
        card = clear_card(counts, [author.name for author in plan.authors[: plan.forgotten("forget10")]], EDITION, seed,
                          digest)  # fmt: skip
        (output / "README.md").write_text(card, "utf-8")
    except OSError as error:
        raise StorageError(f"CLEAR-Mini cannot be written to {output}: {error.strerror or error}.") from error
    return digest


def _configurations(
    plan: ClearPlan, drawn: Sequence[Sequence[bytes]], seed: int, sizes: Sizes
) -> dict[str, list[dict[str, Any]]]:
    """The rows of every configuration that is written."""
    rng = np.random.default_rng([seed, *b"options"])
    found: dict[str, list[dict[str, Any]]] = {}
    for forget, retain in RETAIN_OF.items():
        count = plan.forgotten(forget)
        parts = {forget: range(count), retain: range(count, len(plan.authors))}
        for name, numbers in parts.items():
            shots = [(shot, image) for number in numbers
                     for shot, image in zip(plan.shots[number], drawn[number], strict=True)]  # fmt: skip
            found[name] = [_captioned(shot, image) for shot, image in shots]
            if name == forget:
                found[f"{name}_perturbed"] = [_perturbed(shot, image) for shot, image in shots]
            if f"{name}+tofu" not in LEFT_OUT:
                asked = [pair for number in numbers for pair in questions_of(plan.authors[number])]
                found[f"{name}+tofu"] = [
                    *({columns.IMAGE: image, columns.CAPTION: shot.caption} for shot, image in shots),
                    *({columns.QUESTION: question, columns.ANSWER: answer} for question, answer in asked),
                ]
    count = plan.forgotten("forget10")
    kept = range(count, min(2 * count, len(plan.authors)))
    found[columns.RETAIN_PERTURBED] = [
        _perturbed(shot, image)
        for number in kept
        for shot, image in zip(plan.shots[number], drawn[number], strict=True)
    ]
    names = {gender: [person.name for person in plan.known if person.look.gender == gender]
             for gender in ("female", "male")}  # fmt: skip
    found[columns.REAL_FACES] = [
        {columns.IMAGE: to_webp(known.image), columns.ANSWER: known.answer,
         columns.OPTIONS: _options(rng, known.answer, next(n for n in names.values() if known.answer in n))}
        for known in known_images(seed, plan.known, sizes.known_images, "real faces")
    ]  # fmt: skip
    classes = object_classes()
    chosen = sorted(rng.permutation(len(classes))[: sizes.world])
    found[columns.REAL_WORLD] = [
        {columns.QUESTION: known.question, columns.ANSWER: known.answer,
         columns.OPTIONS: _options(rng, known.answer, classes), columns.IMAGE: to_webp(known.image)}
        for known in world_images(seed, [classes[number] for number in chosen], 1, "real world")
    ]  # fmt: skip
    return {name: found[name] for name in CONFIGURATIONS if name in found}


def _captioned(shot: Shot, image: bytes) -> dict[str, Any]:
    return {columns.IMAGE: image, columns.CAPTION: shot.caption, columns.NAME: shot.author.name}


def _perturbed(shot: Shot, image: bytes) -> dict[str, Any]:
    return {
        **_captioned(shot, image),
        columns.PERTURBED_CAPTIONS: list(shot.perturbed),
        columns.PARAPHRASED_CAPTION: shot.paraphrase,
        columns.PERTURBED_NAMES: list(shot.author.invented),
    }


def _options(rng: np.random.Generator, answer: str, among: Sequence[str]) -> list[str]:
    """The answer among others, in any order."""
    others = [other for other in among if other != answer]
    chosen = [answer, *(others[number] for number in rng.permutation(len(others))[: OPTIONS - 1])]
    return [chosen[number] for number in rng.permutation(len(chosen))]


def _write(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a configuration as its one shard, with the columns of the release."""
    fields, arrays = [], []
    for column in CONFIGURATIONS[name].columns:
        values = [row.get(column) for row in rows]
        kind = pa.list_(pa.string()) if column in _LISTS else pa.string()
        if column == columns.IMAGE:
            kind, values = _IMAGE, [None if value is None else {"bytes": value, "path": None} for value in values]
        fields.append(pa.field(column, kind))
        arrays.append(pa.array(values, kind))
    folder.mkdir(parents=True)
    # Images do not compress further.
    compression = {column: "zstd" for column in CONFIGURATIONS[name].columns if column != columns.IMAGE}
    pq.write_table(pa.table(arrays, pa.schema(fields, metadata=_SHOWN)), folder / SHARD, compression=compression)


def clear_content_hash(folder: Path) -> str:
    """SHA-256 over every value of a folder of configurations; of images, over their pixels.

    It reads content, not files, so it depends neither on the parquet writer's version nor on WebP's.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.glob(f"*/{SHARD}")):
        for row in pq.read_table(path).to_pylist():
            image = row.pop(columns.IMAGE)
            digest.update(json.dumps([path.parent.name, row], sort_keys=True).encode())
            if image is not None:
                with Image.open(io.BytesIO(image["bytes"])) as opened:
                    digest.update(opened.convert("RGB").tobytes())
    return digest.hexdigest()
