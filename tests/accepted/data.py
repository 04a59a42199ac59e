"""Data sets and image folders."""

from tests.accepted import Case

CASES: list[Case] = []
