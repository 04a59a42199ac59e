"""Python's search for garbage, at the pace of a program whose libraries make a million objects that stay."""

import atexit
import gc
from functools import cache

OBJECTS_BETWEEN_SEARCHES = 20_000
"""New objects until the next search; Python's 700 have it go through what has just been imported, over and over."""


@cache
def search_seldom() -> None:
    """Search less often, and not at the end of the process; to be called before anything large is imported."""
    gc.set_threshold(OBJECTS_BETWEEN_SEARCHES)
    # The system takes back all memory at once. Python would first take every module, class and function apart, which
    # takes a second once torch is imported. What must not stay behind is not left to destructors (`core.ending`).
    atexit.register(gc.freeze)
