"""Python's search for garbage, at the pace of a program whose libraries make a million objects that stay."""

import gc

OBJECTS_BETWEEN_SEARCHES = 20_000
"""New objects until the next search; Python's 700 have it go through what has just been imported, over and over."""


def search_seldom() -> None:
    """Search less often; to be called before anything large is imported."""
    gc.set_threshold(OBJECTS_BETWEEN_SEARCHES)
