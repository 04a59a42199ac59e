"""Write docs/accepted.md from the tables: `python -m tests.accepted`."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tests.accepted import Case, data, images, imports, models

PAGE = Path(__file__).parents[2] / "docs" / "accepted.md"
INTRODUCTION = """# What is accepted, assumed and refused

Every row is a test case (`tests/accepted/`), and `python -m tests.accepted` generates this page from them. *Accepted*
input is used. *Assumed* input is used too, and every result says what was assumed. *Refused* input gives one sentence
and no number."""


def page() -> str:
    """The page as Markdown."""
    return "\n".join(_lines([*models.CASES, *data.CASES, *imports.CASES, *images.CASES])) + "\n"


def _lines(cases: list[Case]) -> Iterator[str]:
    yield INTRODUCTION
    for area, members in groupby(cases, key=lambda case: case.area):
        yield from ("", f"## {area}", "", "| what | outcome | what is done |", "|---|---|---|")
        yield from (f"| {case.what} | {case.outcome} | {case.says} |" for case in members)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
