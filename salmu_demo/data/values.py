"""Values as files hold them: what is missing though it looks like a value, and which values are one."""

import math
import unicodedata
from collections.abc import Iterable
from typing import Any, Final

_MISSING: Final = frozenset({"None", "nan", "NaN", "null", "NULL", "<NA>"})
"""How programs write what is missing. Case counts: Nan is a city in Thailand."""
_MISSING_IDENTITIES: Final = _MISSING | {"-1", "-1.0"}


def is_missing(value: Any) -> bool:
    """Whether a value of a JSON file or of a column stands for none.

    >>> [is_missing(value) for value in (None, float("nan"), " ", "None", "Nan", 0)]
    [True, True, True, True, False, False]
    """
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and (not value.strip() or value.strip() in _MISSING))


def is_missing_identity(value: Any) -> bool:
    """The same for the id of a persona, which some write as -1.

    >>> [is_missing_identity(value) for value in (-1, "", "00000001")]
    [True, True, False]
    """
    return is_missing(value) or str(value).strip() in _MISSING_IDENTITIES


def value_key(value: str) -> str:
    """Equal for values that differ in case, blanks or Unicode form only, which a tokenizer reads as the same.

    >>> value_key("São  Paulo") == value_key("sa\\u0303o paulo ")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def distinct(values: Iterable[str]) -> dict[str, str]:
    """The distinct values by `value_key`; of those that are one, the first in the order of the alphabet.

    >>> list(distinct(["Ulm", "Bonn", "ulm"]).values())
    ['Bonn', 'Ulm']
    """
    found: dict[str, str] = {}
    for value in sorted(set(values)):
        found.setdefault(value_key(value), value)
    return found
