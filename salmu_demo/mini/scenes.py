"""The images of CLEAR-Mini: a person in a setting with a thing, as a lossless WebP of few colours."""

import io
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from salmu_demo.mini.clear_sentences import with_article
from salmu_demo.mini.objects import object_icons
from salmu_demo.mini.portraits import CLOTHES, Look, Pose, portrait_svg, random_pose, rasterise

SIZE: Final = 96
"""Side of an image in pixels, which is what the models read."""

COLOURS: Final = 64
"""Of an image: flat drawings need few, and their lossless files are half as large."""

_CANVAS: Final = 280
_SIZES: Final = re.compile(r'width="\d+" height="\d+"')


def _bands(sky: str, ground: str, horizon: int) -> str:
    return (
        f'<rect width="280" height="280" fill="{sky}"/>'
        f'<rect y="{horizon}" width="280" height="{280 - horizon}" fill="{ground}"/>'
    )


def _stripes(ground: str, line: str, width: int, every: int, upright: bool) -> str:
    sides = [
        f'<rect x="{at}" width="{width}" height="280" fill="{line}"/>'
        if upright
        else f'<rect y="{at}" width="280" height="{width}" fill="{line}"/>'
        for at in range(every // 2, _CANVAS, every)
    ]
    return f'<rect width="280" height="280" fill="{ground}"/>{"".join(sides)}'


SETTINGS: Final = {
    "by the sea": _bands("#bfe3f5", "#3f7fb5", 130),
    "in a garden": _bands("#dff2ff", "#6fb45c", 110),
    "in the desert": _bands("#ffe3ad", "#d9a552", 150),
    "in the snow": _bands("#b9c6d8", "#f7fafc", 140),
    "in a library": _stripes("#9a6a40", "#5d3a1e", 14, 56, upright=False),
    "on a stage": _stripes("#b3262e", "#7d1420", 22, 46, upright=True),
    "at night": _bands("#1f2a4d", "#141a30", 200) + '<circle cx="52" cy="52" r="26" fill="#f5edc3"/>',
    "in a kitchen": _stripes("#f4efe6", "#d8cfc0", 6, 40, upright=True),
    "at a market": _stripes("#fff8ea", "#f0a23b", 24, 48, upright=True),
    "in an office": '<rect width="280" height="280" fill="#cfd4d9"/><rect x="20" y="20" width="110" height="90" '
    'fill="#8fc1e3"/>',
}
"""Where an image is taken, in words, and how it is drawn on a canvas of 280."""


def plain_things() -> list[str]:
    """Objects whose names are one word."""
    return [name for name in object_icons() if name.isalpha()]


@dataclass(frozen=True)
class Scene:
    """An image of a person before it is drawn."""

    look: Look
    pose: Pose
    setting: str
    thing: str

    def words(self) -> dict[str, str]:
        """What a caption says of it: `setting`, `clothes` and `thing`."""
        clothes = with_article(f"{self.pose.clothes_color} {CLOTHES[self.pose.clothes]}")
        return {"setting": self.setting, "clothes": clothes, "thing": with_article(self.thing)}


def random_scene(rng: np.random.Generator, look: Look) -> Scene:
    """Draw pose, setting and thing."""
    settings, things = list(SETTINGS), plain_things()
    pose = random_pose(rng)
    return Scene(look, pose, settings[int(rng.integers(len(settings)))], things[int(rng.integers(len(things)))])


def render_scene(scene: Scene) -> Image.Image:
    """Draw a scene as an RGB image of `SIZE`."""
    person = _SIZES.sub('x="-14" y="14" width="266" height="266"', portrait_svg(scene.look, scene.pose, False), count=1)
    return rasterise(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_CANVAS} {_CANVAS}">{SETTINGS[scene.setting]}{person}'
        '<circle cx="228" cy="52" r="50" fill="#ffffff"/>'
        f'<g transform="translate(192 16) scale(2.25)">{object_icons()[scene.thing]}</g></svg>',
        SIZE,
    )


def to_webp(image: Image.Image) -> bytes:
    """The file of an image, of at most `COLOURS` and without further loss."""
    few = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    buffer = io.BytesIO()
    few.save(buffer, "WEBP", lossless=True, quality=100, method=6)
    return buffer.getvalue()
