"""The curves of an unlearning run as inline SVG, in the page's own colours so that they follow light and dark mode."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from salmu_demo.unlearning.training_metrics import TrainingMetrics

LINES: Final = (
    ("forget_similarity", "Forget pairs", "●"),
    ("retain_similarity", "Retain pairs", "■"),
    ("unrelated_similarity", "Unrelated pairs", "▲"),
)
"""Reading, name and marker of each curve; the style sheet has its colour under the name of the reading."""

_WIDTH, _HEIGHT = 440, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 8, 34


def curve_svg(readings: Sequence[TrainingMetrics], budget: int, sentence: str) -> str:
    """The curves over the budget, with their legend; `sentence` is what a screen reader says instead."""
    values: list[float] = [getattr(reading, name) for reading in readings for name, _, _ in LINES]
    low, high = math.floor(10 * min(0.0, *values)) / 10, math.ceil(10 * max(0.1, *values)) / 10
    step = 0.1 if high - low <= 0.5 else 0.2

    def across(pairs: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, pairs / budget)

    def down(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low)

    ticks = [low + number * step for number in range(round((high - low) / step) + 1)]
    grid = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down(tick):.1f}" y2="{down(tick):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{down(tick) + 4:.1f}" text-anchor="end">{tick:.1f}</text>'
        for tick in ticks
    )
    places = "".join(
        f'<text x="{across(pairs):.1f}" y="{_HEIGHT - 18}" text-anchor="{anchor}">{pairs:,}</text>'
        for pairs, anchor in ((0, "middle"), (budget // 2, "middle"), (budget, "end"))
    )
    title = f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 3}" text-anchor="middle">forget pairs spent</text>'
    curves = ""
    for name, _, marker in LINES:
        points = [(across(reading.forget_pairs), down(getattr(reading, name))) for reading in readings]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        marks = "".join(f'<text class="mark" x="{x:.1f}" y="{y + 4:.1f}">{marker}</text>' for x, y in points)
        curves += f'<g class="{name}"><polyline points="{path}"/>{marks}</g>'
    legend = "".join(
        f'<li class="{name}"><span class="mark" aria-hidden="true">{marker}</span> {words}</li>'
        for name, words, marker in LINES
    )
    return (
        f'<ul class="legend" aria-hidden="true">{legend}</ul>'
        f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(sentence)}">'
        f"{grid}{places}{title}{curves}</svg>"
    )
