"""Sentences that every view, file and report must carry."""

from typing import Final

MINI_NOTICE: Final = (
    "SALMU-Mini is this project's own miniature of the benchmark, with invented people drawn as vector portraits; its "
    "numbers are not the paper's."
)
SCORES_NOTICE: Final = "Scores describe what a model does. They are not facts about people."
