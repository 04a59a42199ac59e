"""What a model was unlearned from and what it was asked to forget, as the record beside its weights says."""

from pathlib import Path
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, Field

from salmu_demo.core.documents import read_cached
from salmu_demo.models.delta import ADAPTER_FILE
from salmu_demo.models.source import DELTA, WEIGHTS_FILES, ModelSource

RECORD_FILE: Final = "unlearning.json"
"""Written beside the weights of an unlearned model."""

_MOST_BYTES: Final = 20_000_000
"""Largest record that is read: a folder may come from anybody."""


class Base(BaseModel):
    """The model that another one was unlearned from.

    Attributes:
        name: its short name.
        fingerprint: SHA-256 over its configuration, tokenizer and weights.
    """

    name: Annotated[str, Field(max_length=500)]
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


Rounds = tuple[tuple[str, ...], ...]
"""What the runs were asked to forget that a model is the product of, the first run first: requests as they are written.

A run without requests was asked for the whole split `forget`.
"""


class _Data(BaseModel):
    fingerprint: str


class _Origin(BaseModel):
    base: Base


class _RequestsRecord(BaseModel):
    data: _Data
    requests: list[list[str]] | None = None


_Part = TypeVar("_Part", _Origin, _RequestsRecord)


def base_of(model: ModelSource) -> Base | None:
    """What a model was unlearned from; None without a record beside its weights, or if `delta:` merges onto them."""
    record = _record_of(model, _Origin)
    return None if record is None else record.base


def rounds_of(model: ModelSource, data: str) -> Rounds | None:
    """What a model was asked to forget of a data set, run by run.

    Args:
        model: the model.
        data: fingerprint of the data set.

    Returns:
        None without a record beside its weights, or if `delta:` merges onto them; nothing if it is about other data.
    """
    record = _record_of(model, _RequestsRecord)
    if record is None:
        return None
    if record.data.fingerprint != data:
        return ()
    return ((),) if record.requests is None else tuple(tuple(asked) for asked in record.requests)


def _record_of(model: ModelSource, part: type[_Part]) -> _Part | None:
    """A part of the record beside a model's weights, or beside the adapter that it was found by."""
    weights = model.deltas[-1].weights if model.deltas else model.weights
    # What `delta:` names together need not belong together; the base that an adapter names itself was compared.
    own = (ADAPTER_FILE,) if model.deltas else WEIGHTS_FILES
    return None if model.reference.startswith(DELTA) or weights.name not in own else _record_in(weights.parent, part)


def base_in(folder: Path) -> Base | None:
    """What the model in a folder was unlearned from; None without a record."""
    record = _record_in(folder, _Origin)
    return None if record is None else record.base


def _record_in(folder: Path, part: type[_Part]) -> _Part | None:
    """A part of the record in a folder; None if there is none, or it says nothing of this."""
    path = folder / RECORD_FILE
    return read_cached(path, part) if path.is_file() and path.stat().st_size <= _MOST_BYTES else None
