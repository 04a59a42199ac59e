"""What decides about everybody with a built-in model, as a file that is shipped: nothing has to be encoded to show it.

The file holds the deciding reading of every (persona, kind), with its whole list, and the places of never-taught
people. It is found by the fingerprints of model and data and by the code that made it; what other code made is as if it
were not there. Versions of libraries do not count: they move the last digits, and a test makes a sample of it again.
"""

import logging
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.files import atomic_path, portable_digest
from salmu_demo.core.settings import assets_dir
from salmu_demo.features.store import ENCODING_CODE
from salmu_demo.probes.attacks import HEADLINE, PersonaReading, Place
from salmu_demo.probes.attacks.base import OWN
from salmu_demo.probes.attacks.sentences import nameless
from salmu_demo.probes.people import People, Side

SHIPPED_CODE: Final = (
    *ENCODING_CODE,
    *(f"data/{name}.py" for name in ("dataset", "layout", "values", "wordings")),
    *(f"features/{name}.py" for name in ("embedder", "view")),
    *(f"metrics/{name}.py" for name in ("checks", "line_up", "protocol", "ranking")),
    *(f"probes/attacks/{name}.py" for name in ("base", "nameless_line_up", "sentences")),
    "probes/people.py",
    "probes/shipped.py",
)
"""Our code that decides what is in such a file."""

DIGITS: Final = 4
"""Decimals of the scores in the file: as many as are shown."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShippedReadings:
    """The headline with one model on one data set.

    Attributes:
        deciding: the reading that decides about each (persona, kind), what was to be forgotten first.
        untaught: by kind, where the truth about each never-taught person stands.
    """

    deciding: Mapping[tuple[str, str], PersonaReading]
    untaught: Mapping[str, dict[str, Place]]


@cache
def shipped_key() -> str:
    """What such files depend on besides model and data: the code that encodes and reads line-ups."""
    return portable_digest(SHIPPED_CODE)


def shipped_folder() -> Path:
    """Folder of everything that was computed beforehand and is shipped."""
    return assets_dir() / "shipped"


def readings_file(model: str, data: str) -> str:
    """Name of the file about a model on a data set, by their fingerprints."""
    return f"{model[:16]}-{data[:16]}.npz"


def read_shipped(folder: Path, model: str, people: People, never_taught: People) -> ShippedReadings | None:
    """What a folder has of a model on the data set of some people, or None if it has nothing or other code made it.

    Args:
        folder: where the files are.
        model: fingerprint of the model.
        people: the personas of the data set.
        never_taught: those that no model was taught.
    """
    data = people.data
    path = folder / readings_file(model, data.fingerprint)
    if not path.is_file():
        return None
    try:
        with np.load(path) as arrays:
            if list(arrays["key"]) != [model, data.fingerprint, shipped_key()]:
                return None
            kinds = {kind: _Kind.of(kind, arrays) for kind in data.kinds if f"{kind}/people" in arrays}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _log.warning("The file %s is damaged (%s); what it held is computed.", path, error)
        return None
    sides: tuple[Side, ...] = ("forget", "kept")
    deciding = {
        (identity, kind): reading
        for side in sides
        for kind, found in kinds.items()
        for identity, reading in found.readings(people, kind, side)
    }
    return ShippedReadings(deciding, {kind: found.places(never_taught, kind) for kind, found in kinds.items()})


def write_shipped(folder: Path, model: str, people: People, shipped: ShippedReadings) -> Path:
    """Write the file about a model into a folder; raises `StorageError`."""
    fingerprint = people.data.fingerprint
    arrays: dict[str, NDArray[Any]] = {"key": np.array([model, fingerprint, shipped_key()])}
    for kind in people.data.kinds:
        readings = {i: reading for (i, own), reading in shipped.deciding.items() if own == kind}
        if readings:
            number = {value: place for place, value in enumerate(people.values(kind)[0])}
            arrays |= _Kind.made(readings, shipped.untaught.get(kind, {}), number).arrays(kind)
    path = folder / readings_file(model, fingerprint)
    with atomic_path(path, "What is shipped") as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
    return path


@dataclass(frozen=True)
class _Kind:
    """The arrays about one kind: P readings of C candidates at most, and N never-taught people.

    Attributes:
        people: ids, shape (P,).
        kept: whether the images were to be kept, shape (P,).
        ranks: shape (P,).
        tails: shape (P,).
        intervals: bits, NaN where there is none, shape (P, 2).
        order: numbers of the candidates, best first, padded with 0; shape (P, C).
        best: score of the first candidate in units of the last decimal, shape (P,).
        steps: how far the next candidate is below, in the same units, padded with 0; shape (P, C - 1).
        others: ids, shape (N,).
        other_ranks: shape (N,).
        other_tails: shape (N,).
    """

    people: NDArray[np.str_]
    kept: NDArray[np.bool_]
    ranks: NDArray[np.float64]
    tails: NDArray[np.float64]
    intervals: NDArray[np.float64]
    order: NDArray[np.unsignedinteger[Any]]
    best: NDArray[np.int32]
    steps: NDArray[np.unsignedinteger[Any]]
    others: NDArray[np.str_]
    other_ranks: NDArray[np.float64]
    other_tails: NDArray[np.float64]

    @classmethod
    def of(cls, kind: str, arrays: Mapping[str, NDArray[Any]]) -> "_Kind":
        """As they were written; raises `KeyError`."""
        return cls(**{name: arrays[f"{kind}/{name}"] for name in cls.__dataclass_fields__})

    @classmethod
    def made(
        cls, readings: Mapping[str, PersonaReading], places: Mapping[str, Place], number: Mapping[str, int]
    ) -> "_Kind":
        found = list(readings.values())
        widest = max(len(reading.values) for reading in found)
        order, scores = (np.zeros((len(found), widest), dtype=np.int64) for _ in range(2))
        for row, reading in enumerate(found):
            listed = len(reading.values)
            order[row, :listed] = [number[value] for value in reading.values]
            scores[row, :listed] = np.rint(reading.scores * 10**DIGITS)
            scores[row, listed:] = scores[row, listed - 1]
        steps = -np.diff(scores)
        return cls(
            people=np.array(list(readings)),
            kept=np.array([reading.side == "kept" for reading in found]),
            ranks=np.array([reading.place.rank for reading in found]),
            tails=np.array([reading.place.tail for reading in found]),
            intervals=np.array([reading.interval or (np.nan, np.nan) for reading in found]),
            order=order.astype(np.min_scalar_type(len(number))),
            best=scores[:, 0].astype(np.int32),
            steps=steps.astype(np.min_scalar_type(int(steps.max(initial=0)))),
            others=np.array(list(places), dtype=str),
            other_ranks=np.array([place.rank for place in places.values()]),
            other_tails=np.array([place.tail for place in places.values()]),
        )

    def arrays(self, kind: str) -> dict[str, NDArray[Any]]:
        """The same by their names in the file."""
        return {f"{kind}/{name}": array for name, array in vars(self).items()}

    def readings(self, people: People, kind: str, side: Side) -> list[tuple[str, PersonaReading]]:
        """The readings of one side, by persona."""
        values, true = people.values(kind)
        sentences = nameless(people.data, kind, OWN)
        images = people.images(kind, side, "own")
        falls = np.cumsum(self.steps, axis=1, dtype=np.int64)
        scores = np.column_stack([self.best, self.best[:, None] - falls]) / 10**DIGITS
        found = []
        for row in np.flatnonzero(self.kept == (side == "kept")):
            identity = str(self.people[row])
            own = true[identity]
            place = _place(self.ranks[row], self.tails[row], len(values), len(own))
            low, high = self.intervals[row].tolist()
            reading = PersonaReading(
                HEADLINE,
                OWN.name,
                side,
                place,
                None if np.isnan(low) else (low, high),
                true_values=tuple(values[number] for number in own),
                values=tuple(values[number] for number in self.order[row, : place.candidates]),
                scores=scores[row, : place.candidates],
                shown=tuple(images[identity]),
                sentences=sentences,
            )
            found.append((identity, reading))
        return found

    def places(self, people: People, kind: str) -> dict[str, Place]:
        """The places of never-taught people, by id."""
        values, true = people.values(kind)
        return {
            identity: _place(rank, tail, len(values), len(true[identity]))
            for identity, rank, tail in zip(self.others.tolist(), self.other_ranks, self.other_tails, strict=True)
        }


def _place(rank: float, tail: float, values: int, true: int) -> Place:
    """A place among all values of a kind: all but the best of the true ones take part."""
    return Place(float(rank), values - true + 1, true, float(tail))
