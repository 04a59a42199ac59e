"""Unlearning: methods, the trainer they share, and sweeps over them."""

from typing import Final

DEFAULT_BUDGET: Final = 1920
"""Forget pairs that go forward through the model."""

UNRELATED: Final = "unrelated"
"""In the place of a level to stop at: the one that unrelated pairs have in the original."""
