"""Marked: are true values conspicuously last, so that reading from the end finds what was to be forgotten?"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.base import MetricResult, MetricView, register
from salmu_demo.metrics.line_up import chance_beyond
from salmu_demo.metrics.value_exposure import LineUpMetric

LAST_SHARE: Final = 0.1
"""The end of the line-up in which a value is conspicuous."""


def in_last_tenth(
    ranks: NDArray[np.float64], candidates: NDArray[np.int64], true: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Whether ranks of the best of k true values lie in the last tenth, minus the chance of it; all of shape ``(N,)``.

    Of C candidates that is a rank above 0.9 C, which a guess has as often as `chance_beyond` says.

    >>> in_last_tenth(np.array([19.0, 1.0, 8.0]), np.array([20, 20, 8]), np.ones(3, dtype=np.int64)).round(3).tolist()
    [0.9, -0.1, 0.875]
    """
    edges = (1 - LAST_SHARE) * candidates
    sizes = zip(np.floor(edges).tolist(), candidates.tolist(), true.tolist(), strict=True)
    chances = [chance_beyond(edge, count, known) for edge, count, known in sizes]
    found: NDArray[np.float64] = (ranks > edges) - np.array(chances)
    return found


@register
class Marked(LineUpMetric):
    """The line-up of ValExp, read from the end."""

    name = "Marked"
    title = "Values conspicuously last"
    explanation = (
        "How many more of the true values than by chance lie in the last tenth of the line-up of ValExp, as a share of "
        "the facts. Not one of the ten official metrics."
    )

    def compute(self, view: MetricView) -> MetricResult:
        found = self.ranks(view)
        from_end = found.candidates + 1 - found.ranks
        return self.result(
            in_last_tenth(found.ranks, found.candidates, found.true),
            found.rows,
            ranks=from_end,
            candidates=found.candidates,
            r_at_1=float((from_end == 1).mean()),
        )
