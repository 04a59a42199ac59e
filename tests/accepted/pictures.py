"""Pictures: modes, formats and limits."""

from tests.accepted import Case

CASES: list[Case] = []
