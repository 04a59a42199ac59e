"""What a model was unlearned from, as the record beside its weights says."""

from typing import Annotated, Final

from pydantic import BaseModel, Field

from salmu_demo.core.documents import read_cached
from salmu_demo.models.source import WEIGHTS_FILES, ModelSource

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


class _Record(BaseModel):
    base: Base


def base_of(model: ModelSource) -> Base | None:
    """What a model was unlearned from; None without a record beside its weights, or if more is merged onto them."""
    record = model.weights.parent / RECORD_FILE
    if model.deltas or model.weights.name not in WEIGHTS_FILES or not record.is_file():
        return None
    if record.stat().st_size > _MOST_BYTES:
        return None
    found = read_cached(record, _Record)
    return None if found is None else found.base
