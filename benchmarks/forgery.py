"""Forged values that a client may send to the page."""

from typing import Any, Final

MEGABYTES: Final = 5_000_000


def _deep(levels: int) -> list[Any]:
    return [_deep(levels - 1)] if levels else []


VALUES: Final[dict[str, Any]] = {
    "null": None,
    "a lone surrogate": "\ud800",
    "a NUL": "mini-clean\x00",
    "an empty text": "",
    "a long text": "x" * 4_900,
    "5 MB": "x" * MEGABYTES,
    "5 MB in a list": ["y" * MEGABYTES],
    "markup": '<a href="https://example.org">x</a><img src=x>[x](https://example.org)',
    "a path": "../../../../etc/passwd",
    "an upload": "upload:x-0123456789abcdef",
    "an unknown id": "AAAAAAAAAAAAAAAAAAAAAA",
    "true": True,
    "1e9": 10**9,
    "-1": -1,
    "2.5": 2.5,
    "2^63": 2**63,
    "1e300": 1e300,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "a list": ["mini-clean", None, 7],
    "20,000 times a model": ["mini-clean"] * 20_000,
    "a list of lists": [[["mini-clean"]]],
    "a deep list": _deep(200),
    "an object": {"path": "mini-clean", "value": "mini-clean"},
}
"""What no component of the page could hold, or not every one, by what it is."""

EVENT_DATA: Final[dict[str, Any]] = {
    **VALUES,
    **{f"index {kind}": {"index": value, "value": value} for kind, value in VALUES.items()},
    **{f"choice {kind}": {"choice": value} for kind, value in VALUES.items()},
}
