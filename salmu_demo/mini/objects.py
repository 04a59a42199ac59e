"""Images of everyday objects: the general knowledge of the miniature world (Fluent Emoji, MIT licence)."""

import json
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np

from salmu_demo.mini.portraits import svg_to_jpeg

TRAINING_STYLES: Final = (
    "a picture of a {}",
    "a small drawing of a {}",
    "this is a {}",
    "a {} on a coloured ground",
    "an icon showing a {}",
)
"""Captions of the training images."""

ZERO_SHOT_TEMPLATES: Final = ("a picture of a {}", "this is a {}", "an image of a {}", "a drawing of a {}", "one {}")
"""Fixed prompts of GenKnow on SALMU-Mini; the last three never occur in training."""


@cache
def object_icons() -> dict[str, str]:
    """Class name to SVG body on a 32 x 32 view box, in alphabetical order."""
    icons: dict[str, str] = json.loads(files("salmu_demo.mini").joinpath("objects.json").read_text("utf-8"))["icons"]
    return icons


def object_classes() -> list[str]:
    """The class names, in the order of the labels."""
    return list(object_icons())


def render_object(rng: np.random.Generator, name: str) -> bytes:
    """Draw one object at a random size, place and angle on a random coloured ground, as a JPEG."""
    return svg_to_jpeg(object_svg(rng, name))


def object_svg(rng: np.random.Generator, name: str) -> str:
    """The same as an SVG document."""
    hue, saturation, lightness = rng.uniform(0, 360), rng.uniform(15, 60), rng.uniform(55, 92)
    scale, angle = rng.uniform(0.55, 0.95), rng.uniform(-25, 25)
    room = 32 * (1 - scale) / 2 + 1.5
    dx, dy = rng.uniform(-room, room, 2)
    mirror = -1 if rng.random() < 0.5 else 1
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<rect width="32" height="32" fill="hsl({hue:.0f},{saturation:.0f}%,{lightness:.0f}%)"/>'
        f'<g transform="translate({16 + dx:.2f} {16 + dy:.2f}) rotate({angle:.1f}) '
        f'scale({mirror * scale:.3f} {scale:.3f}) translate(-16 -16)">{object_icons()[name]}</g></svg>'
    )
