"""Words and numbers as reports show them: cleaned, cut and with true minus signs, before any markup is escaped."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from salmu_demo.metrics.intervals import Interval
from salmu_demo.results.analysis import Analysis

NOTHING: Final = "–"
"""Shown where there is no value."""

_LONGEST: Final = 500
_LONGEST_NAME: Final = 80

# Control characters, the signs that turn the direction of writing, and halves of surrogate pairs, which no file holds.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, longest: int = _LONGEST) -> str:
    """Text of strangers on one line, without characters that no page can show, its middle cut out if it is too long.

    >>> printable("a\\x00b\\nc"), printable("local-dir:a-clean", 10)
    ('a�b c', 'local…lean')
    """
    line = " ".join(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n")).split())
    return line if len(line) <= longest else f"{line[: longest // 2]}…{line[len(line) - (longest - 1) // 2 :]}"


def with_printable_names(analysis: Analysis) -> Analysis:
    """The same analysis with names of models that fit the head of a column; endings, which tell roles, are kept."""
    comparison = analysis.comparison
    models = tuple(replace(model, name=printable(model.name, _LONGEST_NAME)) for model in comparison.models)
    return replace(analysis, comparison=replace(comparison, models=models))


def listed(names: Sequence[str]) -> str:
    """Names in a row.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def capital(words: str) -> str:
    """Words as a sentence begins.

    >>> capital("not measured")
    'Not measured'
    """
    return words[:1].upper() + words[1:]


def counted(count: int, thing: str) -> str:
    """A number of things.

    >>> counted(1, "metric"), counted(2000, "row")
    ('1 metric', '2,000 rows')
    """
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def signed(value: float, digits: int) -> str:
    """A change with its sign; what rounds to nothing has none.

    >>> signed(-0.12345, 4), signed(0.5, 1), signed(-0.00001, 4)
    ('−0.1235', '+0.5', '±0.0000')
    """
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else f"±{abs(value):.{digits}f}"


def unsigned(score: float, digits: int = 4) -> str:
    """A score with four decimals, or as many as are wanted, and a true minus.

    >>> unsigned(0.25), unsigned(-0.5), unsigned(-0.00001), unsigned(0.5, 1)
    ('0.2500', '−0.5000', '0.0000', '0.5')
    """
    text = f"{score:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


def number_cell(value: float | None) -> str:
    """A score in a table.

    >>> number_cell(0.25), number_cell(None)
    ('0.2500', '–')
    """
    return NOTHING if value is None else unsigned(value)


def signed_cell(value: float | None) -> str:
    """A change in a table.

    >>> signed_cell(0.25), signed_cell(None)
    ('+0.2500', '–')
    """
    return NOTHING if value is None else signed(value, 4)


def interval_cell(found: Interval | None) -> str:
    """An interval in a table.

    >>> interval_cell(Interval(-0.1, 0.25)), interval_cell(None)
    ('−0.1000 to 0.2500', '–')
    """
    return NOTHING if found is None else f"{unsigned(found.low)} to {unsigned(found.high)}"


def percent(share: float) -> str:
    """A share in percent.

    >>> percent(0.266), percent(-0.004)
    ('26.6 %', '−0.4 %')
    """
    return f"{share * 100:.1f} %".replace("-", "−")
