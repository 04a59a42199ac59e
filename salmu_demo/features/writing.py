"""What a model with a text decoder writes about images, and how likely it finds texts: computed once, kept on disk."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from salmu_demo.core.files import code_digest, read_checked, write_checked
from salmu_demo.core.progress import Progress, ProgressCallback, Unit
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.pixels import BATCH, ImageSet, PixelReader
from salmu_demo.models.source import ModelSource

if TYPE_CHECKING:
    from salmu_demo.models.captioner import Captioner, Seen

WRITING_CODE: Final = ("models/captioner.py", "features/writing.py")
"""Our code that decides what is written, besides that of features."""


class Likelihood(NamedTuple):
    """Logarithms of the probabilities of a text's tokens: their sum, their number, and that of the end after them."""

    total: float
    tokens: int
    end: float


@dataclass(frozen=True)
class Prompts:
    """N images of a split, and the N texts that are given."""

    rows: Split
    beginnings: Sequence[str]


class _Ask(NamedTuple):
    """An image, what is given, and the text that may follow; without one, it is to be written."""

    row: int
    beginning: str
    text: str | None = None

    @property
    def key(self) -> str:
        said = "\0".join(part for part in (str(self.row), self.beginning, self.text) if part is not None)
        return hashlib.sha256(said.encode()).hexdigest()[:32]


def written(
    embedder: Embedder, model: ModelSource, data: BenchmarkData, prompts: Prompts, progress: ProgressCallback
) -> list[str]:
    """What a model writes about N images after their beginnings, see `Captioner.write`.

    Raises:
        ModelError: if it cannot write.
        QueryError: if a beginning leaves no room.
    """
    asks = [_Ask(row, text) for row, text in zip(prompts.rows.rows.tolist(), prompts.beginnings, strict=True)]

    def compute(captioner: "Captioner", seen: "Seen", some: list[_Ask]) -> list[Any]:
        return captioner.write(seen, [ask.beginning for ask in some])

    found = _found(embedder, model, data, prompts.rows.stored, asks, compute, progress)
    return [str(found[ask.key]) for ask in asks]


def likelihoods(
    embedder: Embedder, model: ModelSource, data: BenchmarkData, prompts: Prompts, texts: Sequence[Sequence[str]],
    progress: ProgressCallback,
) -> list[list[Likelihood]]:  # fmt: skip
    """How likely a model finds N lists of texts about N images, see `Captioner.log_likelihoods`.

    Raises:
        ModelError: if it has no text decoder.
        QueryError: if a text is empty, or longer than it reads.
    """
    asks = [
        [_Ask(row, beginning, text) for text in of_row]
        for row, beginning, of_row in zip(prompts.rows.rows.tolist(), prompts.beginnings, texts, strict=True)
    ]

    def compute(captioner: "Captioner", seen: "Seen", some: list[_Ask]) -> list[Any]:
        each = captioner.log_likelihoods(seen, [ask.text or "" for ask in some], [ask.beginning for ask in some])
        return [[float(row[:-1].sum()), len(row) - 1, float(row[-1])] for row in each]

    flat = [ask for of_row in asks for ask in of_row]
    found = _found(embedder, model, data, prompts.rows.stored, flat, compute, progress)
    return [[Likelihood(*found[ask.key]) for ask in of_row] for of_row in asks]


def _found(
    embedder: Embedder, model: ModelSource, data: BenchmarkData, stored: str, asks: Sequence[_Ask],
    compute: Callable[["Captioner", "Seen", list[_Ask]], list[Any]], progress: ProgressCallback,
) -> dict[str, Any]:  # fmt: skip
    """By key, what was asked; what is not on disk is computed and kept, some images at a time."""
    path = embedder.store.feature_path(model.fingerprint, data.fingerprint, f"{stored}.writing").with_suffix(".json")
    known = _read(path)
    missing = list({ask.key: ask for ask in asks if ask.key not in known}.values())
    if not missing:
        return known
    # torch takes seconds to import, and what is on disk needs none.
    from salmu_demo.models.captioner import Captioner  # noqa: PLC0415

    images = ImageSet(data.fingerprint, stored, len(data.split(stored)), lambda row: data.image(stored, row))
    done, nothing = 0, np.array([], dtype=np.int64)
    with embedder.encoders.lend(model) as encoder, PixelReader(embedder.store, images, encoder) as reader:
        captioner = Captioner(encoder)
        for rows, some in _by_images(missing):
            progress(Progress(f"texts about {stored}", done, len(missing), unit=Unit.TEXTS, model=model.name))
            seen = captioner.look(reader.read(np.array(rows), nothing))
            place = {row: number for number, row in enumerate(rows)}
            values = compute(captioner, seen.take([place[ask.row] for ask in some]), some)
            found = {ask.key: value for ask, value in zip(some, values, strict=True)}
            with embedder.store.turn(path):
                known = {**known, **_read(path), **found}
                write_checked(path, {"by": _key(), "found": known}, "The cache")
            done += len(some)
    progress(Progress(f"texts about {stored}", done, done, unit=Unit.TEXTS, model=model.name))
    return known


def _by_images(asks: Sequence[_Ask]) -> Iterator[tuple[list[int], list[_Ask]]]:
    """A batch of images at a time, and what is asked about them."""
    about: dict[int, list[_Ask]] = {}
    for ask in asks:
        about.setdefault(ask.row, []).append(ask)
    rows = sorted(about)
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        yield some, [ask for row in some for ask in about[row]]


def _read(path: Path) -> dict[str, Any]:
    known = read_checked(path)
    found: dict[str, Any] = known["found"] if known is not None and known["by"] == _key() else {}
    return found


@cache
def _key() -> str:
    return code_digest(WRITING_CODE, ())
