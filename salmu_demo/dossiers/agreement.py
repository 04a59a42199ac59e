"""Whether two dossiers of the same person, models and data say the same."""

import math
from collections.abc import Iterator
from typing import Any, Final

from salmu_demo.dossiers.document import content_of
from salmu_demo.dossiers.schema import DossierDocument

RELATIVE: Final = 1e-6
"""Other processors add in another order, which moves the last digits of a score."""

ABSOLUTE: Final = 1e-9

_OWN: Final = ("digest", "made", "declared")
"""What belongs to the making of a dossier, and follows from no model or data."""


def disagreements(given: DossierDocument, again: DossierDocument) -> Iterator[str]:
    """A clause for each value of a dossier that is another one when it is made again."""
    yield from _differences("", _checked(given), _checked(again))


def count_values(dossier: DossierDocument) -> int:
    """How many values are compared."""
    return _count(_checked(dossier))


def _checked(dossier: DossierDocument) -> dict[str, Any]:
    return {key: value for key, value in content_of(dossier).items() if key not in _OWN}


def _count(value: Any) -> int:
    if isinstance(value, dict | list):
        return sum(map(_count, value.values() if isinstance(value, dict) else value))
    return 1


def _differences(path: str, given: Any, again: Any) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(again, dict):
        for key in again:  # Both have the fields of the schema.
            yield from _differences(f"{path}.{key}".removeprefix("."), given[key], again[key])
    elif isinstance(given, list) and isinstance(again, list):
        if len(given) != len(again):
            yield f"{path} has {len(given)} entries and {len(again)} when made again"
        for number, (one, other) in enumerate(zip(given, again, strict=False)):
            yield from _differences(f"{path}[{number}]", one, other)
    elif not _alike(given, again):
        yield f"{path} is {_shown(given)} and {_shown(again)} when made again"


def _alike(given: Any, again: Any) -> bool:
    if isinstance(given, float) or isinstance(again, float):
        numbers = isinstance(given, int | float) and isinstance(again, int | float)
        return numbers and math.isclose(given, again, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(given == again)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "null" if value is None else f"{value!r:.80}"
