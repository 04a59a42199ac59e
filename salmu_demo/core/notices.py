"""Sentences that every view, file and report must carry."""

from collections.abc import Iterable
from typing import Final

from salmu_demo.core.errors import quoted

MINI_NOTICE: Final = (
    "SALMU-Mini is this project's own miniature of the benchmark, with invented people drawn as vector portraits; its "
    "numbers are not the paper's."
)
CLEAR_MINI_NOTICE: Final = (
    "CLEAR-Mini is this project's own miniature of CLEAR, with invented people drawn as vector portraits; its numbers "
    "are not the paper's."
)
SCORES_NOTICE: Final = "Scores describe what a model does. They are not facts about people."

_MOST_NAMED: Final = 3


def left_out_metrics(names: Iterable[str]) -> list[str]:
    """One sentence on metrics of result files that are left out because nothing here defines them, or none.

    >>> left_out_metrics(["Mine", "Other", "Mine"])[0].partition(";")[0]
    'These metrics of the result files are unknown here and left out: "Mine", "Other"'
    >>> left_out_metrics([])
    []
    """
    found = [quoted(name) for name in dict.fromkeys(names)]
    if not found:
        return []
    named = ", ".join(found[:_MOST_NAMED]) + (" and more" if len(found) > _MOST_NAMED else "")
    return [
        f"These metrics of the result files are unknown here and left out: {named}; load the plug-ins that define them "
        "(--plugin, SALMU_PLUGINS)."
    ]
