"""Text as every terminal shows it."""

import re
from collections.abc import Sequence
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def plain(text: str) -> str:
    r"""Text without the control characters that a terminal would obey; data and errors may hold them.

    >>> plain("Ulm\x1b[2J")
    'Ulm�[2J'
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of equally many cells as columns, aligned with spaces."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def size_text(count: int) -> str:
    """Bytes in words.

    >>> size_text(9_051_234)
    '9.1 MB'
    """
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def csv_text(value: str) -> str:
    """Text that a spreadsheet shows instead of running it as a formula.

    >>> csv_text("=1+1"), csv_text("+49 1234"), csv_text("Ulm")
    ("'=1+1", "'+49 1234", 'Ulm')
    """
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
