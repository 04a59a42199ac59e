"""How often an interval of 95 % holds the truth: the percentile bootstrap over personas, on invented personas.

    python -m benchmarks.coverage [--trials 1000]

Personas are drawn from a population whose mean is known, each with a level of its own and rows around it. Each trial
makes the interval as the analysis does, over so many personas as the miniature and the official data have. Two shapes
stand for the metrics: cosines, and shares of right answers, of which few personas have most.
"""

import argparse
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.intervals import LEVEL, interval, resampled_sums

PERSONAS: Final = (24, 72, 193, 580)
ROWS: Final = (8, 49)
"""Fewest and most rows of a persona."""

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]
"""Levels of so many personas."""


def cosines(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Levels around 0.3, spread evenly to both sides."""
    return rng.normal(0.3, 0.1, count)


def shares(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Chances of a right answer, most of them small."""
    return rng.beta(0.5, 4.5, count)


SHAPES: Final[dict[str, tuple[Draw, float]]] = {
    "cosines": (cosines, 0.3),
    "shares": (shares, 0.1),
}
"""Shape to the levels of its personas, and their mean."""


def covered(levels: Draw, truth: float, personas: int, trials: int, seed: int) -> float:
    """Share of trials whose interval holds the truth."""
    rng = np.random.default_rng(seed)
    held = 0
    for _ in range(trials):
        sizes = rng.integers(ROWS[0], ROWS[1], personas).astype(np.float64)
        level = levels(rng, personas)
        # The mean of a persona's rows scatters around its level as that of so many yes or no.
        noise = rng.normal(0, np.sqrt(np.clip(level * (1 - level), 0, None) / sizes))
        sums = (sizes * (level + noise))[:, None]
        found = interval(resampled_sums(sums, sizes)[:, 0])
        held += found.low <= truth <= found.high
    return held / trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000, help="intervals made for each line")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"| shape | {' | '.join(f'{count} personas' for count in PERSONAS)} |")
    print(f"|---|{'---|' * len(PERSONAS)}")
    for name, (levels, truth) in SHAPES.items():
        found = [covered(levels, truth, count, options.trials, options.seed) for count in PERSONAS]
        print(f"| {name} | {' | '.join(f'{share * 100:.1f} %' for share in found)} |")
    print(f"\n{options.trials:,} intervals each; {LEVEL:.0%} is said.".replace("%", " %"))


if __name__ == "__main__":
    main()
