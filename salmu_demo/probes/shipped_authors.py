"""What built-in models say about everybody in data of CLEAR, as a file that is shipped: no model has to write anew.

As with `salmu_demo.probes.shipped`, a file is found by the fingerprints of model and data and by the code that made it,
and versions of libraries do not count. Numbers are kept whole: the same bits come back.
"""

import json
import logging
import lzma
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from salmu_demo.core.files import atomic_path, portable_digest
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.features.store import ENCODING_CODE
from salmu_demo.probes.author_findings import AnsweredQuestion, AuthorReading, Measure

SHIPPED_CODE: Final = (
    *ENCODING_CODE,
    *(f"data/{name}.py" for name in ("clear", "clear_rows", "dataset", "layout", "values")),
    *(f"features/{name}.py" for name in ("embedder", "view", "writing")),
    *(f"metrics/{name}.py" for name in ("choices", "clear_protocol", "protocol", "rouge")),
    *(f"probes/{name}.py" for name in ("author_findings", "authors", "blank", "shipped_authors")),
    "models/captioner.py",
)
"""Our code that decides what is in such a file."""

_log = logging.getLogger(__name__)


@cache
def authors_key() -> str:
    """What such files depend on besides model and data: the code that asks and computes."""
    return portable_digest(SHIPPED_CODE)


def authors_file(model: str, data: str) -> str:
    """Name of the file about a model on a data set, by their fingerprints."""
    return f"{model[:16]}-{data[:16]}-authors.json.xz"


def read_authors(folder: Path, model: str, data: BenchmarkData) -> dict[str, AuthorReading] | None:
    """What a folder has of a model on a data set, by person, or None if it has nothing or other code made it.

    Args:
        folder: where the files are.
        model: fingerprint of the model.
        data: the data set.
    """
    path = folder / authors_file(model, data.fingerprint)
    if not path.is_file():
        return None
    try:
        document = json.loads(lzma.decompress(path.read_bytes()))
        if document["key"] != [model, data.fingerprint, authors_key()]:
            return None
        return {identity: _reading(found) for identity, found in document["authors"].items()}
    except (OSError, EOFError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        _log.warning("The file %s is damaged (%s); what it held is computed.", path, error)
        return None


def write_authors(folder: Path, model: str, data: BenchmarkData, readings: Mapping[str, AuthorReading]) -> Path:
    """Write the file about a model into a folder; raises `StorageError`."""
    document = {
        "key": [model, data.fingerprint, authors_key()],
        "authors": {identity: asdict(reading) for identity, reading in readings.items()},
    }
    path = folder / authors_file(model, data.fingerprint)
    with atomic_path(path, "What is shipped") as temporary:
        temporary.write_bytes(lzma.compress(json.dumps(document, default=np.ndarray.tolist).encode()))
    return path


def _reading(found: dict[str, Any]) -> AuthorReading:
    return AuthorReading(
        captions=None if found["captions"] is None else tuple(found["captions"]),
        names=tuple(found["names"]),
        shares=np.array(found["shares"]),
        answers=tuple(AnsweredQuestion(**answer) for answer in found["answers"]),
        measures={line: Measure(one["own"], np.array(one["others"])) for line, one in found["measures"].items()},
        lacks=found["lacks"],
    )
