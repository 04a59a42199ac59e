"""Galleries that are too small for what is claimed from them, as a data set alone tells."""

import math
from collections.abc import Iterator
from typing import Final

from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.values import distinct
from salmu_demo.metrics.line_up import two_sided_p
from salmu_demo.metrics.protocol import DISTRACTORS_PER_SOURCE, IDZSC_CANDIDATE_SPLIT
from salmu_demo.probes.findings import ALPHA
from salmu_demo.probes.people import People

ENOUGH_NAMES: Final = math.ceil(1 / ALPHA)
"""With fewer, more than one guess in twenty is right."""
ENOUGH_VALUES: Final = math.ceil(2 / ALPHA)
"""With fewer, not even a first place is significant: both ends count."""


def small_galleries(data: BenchmarkData) -> list[str]:
    """One sentence for each gallery that is too small, with its size and what a guess reaches in it."""
    return [*_values(data), *_names(data), *_captions(data)]


def _values(data: BenchmarkData) -> Iterator[str]:
    people = People(data)
    for kind in data.kinds:
        values = len(people.values(kind)[0])
        if 1 < values < ENOUGH_VALUES:
            yield (
                f"The line-up of {kind} has {values} values: a guess is first or last in "
                f"{two_sided_p(1, values):.0%} of cases, so the audit cannot tell; that takes {ENOUGH_VALUES}."
            )


def _names(data: BenchmarkData) -> Iterator[str]:
    if data.limits.absent.keys() & set(layout.DERIVED_FROM[IDZSC_CANDIDATE_SPLIT]):
        return
    asked = set(data.split(IDZSC_CANDIDATE_SPLIT).identities)
    names = len(distinct(persona.name for persona in data.personas if persona.identity_id in asked))
    if 0 < names < ENOUGH_NAMES:
        yield f"IdZSC chooses among {names} names: a guess is right in {1 / names:.0%} of cases."


def _captions(data: BenchmarkData) -> Iterator[str]:
    sources = (layout.FORGET, layout.RETAIN_DISJOINT)
    if data.limits.absent.keys() & set(layout.REQUIRED_SPLITS):
        return
    counts = [min(len(data.split(name)), DISTRACTORS_PER_SOURCE) for name in sources]
    candidates, protocol = 1 + sum(counts), 1 + len(sources) * DISTRACTORS_PER_SOURCE
    if candidates < protocol and all(counts):
        guess = math.fsum(1 / rank for rank in range(1, candidates + 1)) / candidates
        yield (
            f"RetFail ranks a caption among at most {candidates:,}, and the protocol among {protocol:,}: a guess has a "
            f"mean reciprocal rank of {guess:.3f}."
        )
