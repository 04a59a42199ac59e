"""What is kept of a measured model of a sweep: enough to diagnose it again, without its rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from salmu_demo.results.evidence import ClusterSums, Evidence
from salmu_demo.results.questions import LEAKS
from salmu_demo.results.records import Evaluation, RecordedAttack

DIAGNOSED: Final = (*LEAKS, "GenKnow", "InterIdSim", "IntraIdSim", "AssocStr", "Marked")
"""Metrics whose personas or classes the questions of a diagnosis need, for their intervals and by role."""

DIGITS: Final = 6
"""Decimals of a kept sum; a diagnosis rounds to four."""


@dataclass(frozen=True)
class Measured:
    """What a model was measured with.

    Attributes:
        values: metric values by name; None where one was not measured.
        sums: by metric, the sum of the scores of each persona or class, and the number of its rows.
        nothing_kept: personas all of whose sensitive rows are to be forgotten; None if the data do not say.
    """

    values: dict[str, float | None]
    sums: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    nothing_kept: tuple[str, ...] | None = None

    @classmethod
    def of(cls, evaluation: Evaluation) -> "Measured":
        """What is kept of an evaluation."""
        evidence = Evidence.of(evaluation)
        sums = {}
        for metric in DIAGNOSED:
            if (found := evidence.clusters.get(metric)) is not None:
                pairs = zip(found.sums.round(DIGITS).tolist(), found.sizes.tolist(), strict=True)
                sums[metric] = dict(zip(found.names, pairs, strict=True))
        alone = evidence.nothing_kept
        return cls(dict(evidence.values), sums, None if alone is None else tuple(sorted(alone)))

    def evidence(self, attacks: Sequence[RecordedAttack] = ()) -> Evidence:
        """What a diagnosis is made of, with what attacks recovered of the model."""
        clusters = {
            metric: ClusterSums(tuple(parts), *np.array(list(parts.values()), dtype=np.float64).T)
            for metric, parts in self.sums.items()
        }
        alone = None if self.nothing_kept is None else frozenset(self.nothing_kept)
        return Evidence(self.values, clusters, alone, attacks=tuple(attacks))
