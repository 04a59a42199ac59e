"""Checkpoints, adapters and configurations."""

from tests.accepted import Case

CASES: list[Case] = []
