"""What is left of an attack's success beyond its success where there is nothing to find."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from salmu_demo.metrics.intervals import Interval

LEVEL: Final = 0.95
"""Share of the cases in which the interval holds the truth, at least."""

LEAST_CONTROLS: Final = 30
"""People whom no model was taught. Of fewer even none found leaves a control of 15 % possible, which hides what
matters."""


@dataclass(frozen=True)
class Residual:
    """A residual risk.

    Attributes:
        value: (attack − control) / (1 − control).
        interval: where it lies.
    """

    value: float
    interval: Interval


def residual_risk(attack: float, images: int, control: float, controls: int) -> Residual:
    """The share of what the attack could still win that it does win (Giomi et al. 2023, arXiv 2211.10459).

    The interval combines the ends of the two shares' intervals of Wilson, each at the level that keeps both together
    at `LEVEL` (Bonferroni): the risk grows with the attack's share and falls with the control's.

    Args:
        attack: share of the person's images with which the attack succeeds.
        images: how many images.
        control: the mean of the same share over people whom no model was taught; below 1.
        controls: how many people. Their images are alike, so that each person counts once.

    >>> found = residual_risk(0.5, 4, 0.2, 40)
    >>> round(found.value, 6), round(found.interval.low, 3), round(found.interval.high, 3)
    (0.375, -0.389, 0.86)
    """
    attacked, controlled = wilson(attack, images), wilson(control, controls)
    return Residual(
        _beyond(attack, control),
        Interval(_beyond(attacked.low, controlled.high), _beyond(attacked.high, controlled.low)),
    )


def wilson(share: float, count: int, level: float = (1 + LEVEL) / 2) -> Interval:
    """Wilson's interval of a share of `count` trials (Wilson 1927).

    >>> found = wilson(0.0, 10, 0.95)
    >>> round(found.low, 4), round(found.high, 4)
    (0.0, 0.2775)
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    weight = z * z / count
    centre = share + weight / 2
    half = z * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    return Interval(max(0.0, (centre - half) / (1 + weight)), min(1.0, (centre + half) / (1 + weight)))


def _beyond(attack: float, control: float) -> float:
    return (attack - control) / (1 - control)
