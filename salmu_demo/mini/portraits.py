"""Vector portraits: a *look* is what makes a person recognisable, a *pose* is what changes from image to image."""

import io
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import attrgetter, eq
from typing import Any, Final

import numpy as np
from PIL import Image

SIZE: Final = 144
"""Side of a portrait in pixels."""

JPEG_QUALITY: Final = 75

# Top variants of the avataaars style with the words a plain caption uses for them. Head coverings with a religious
# meaning are left out: they would tie looks to cultures more than this benchmark wants.
WOMEN_TOPS: Final = {
    "bigHair": "long full hair",
    "bob": "a bob",
    "bun": "a bun",
    "curvy": "long wavy hair",
    "frida": "a flower wreath",
    "fro": "an afro",
    "froBand": "an afro with a band",
    "longButNotTooLong": "shoulder-length hair",
    "miaWallace": "a fringe",
    "straight01": "long straight hair",
    "straight02": "long straight hair with a fringe",
    "straightAndStrand": "straight hair with a loose strand",
    "curly": "big curls",
    "shaggyMullet": "a shaggy mullet",
}
MEN_TOPS: Final = {
    "dreads01": "short dreads",
    "dreads02": "a dreads quiff",
    "frizzle": "a frizzy tuft",
    "shaggy": "shaggy hair",
    "shortCurly": "short curls",
    "shortFlat": "short flat hair",
    "shortRound": "short round hair",
    "shortWaved": "short wavy hair",
    "sides": "a bald crown",
    "theCaesar": "a Caesar cut",
    "theCaesarAndSidePart": "a Caesar cut with a parting",
    "fro": "an afro",
    "dreads": "long dreads",
    "shavedSides": "shaved sides",
}
HATS: Final = {
    "hat": "a wide hat",
    "winterHat1": "a fur cap",
    "winterHat02": "a knitted cap with flaps",
    "winterHat03": "a bobble hat",
    "winterHat04": "a cap with ears",
}
HAIR_COLORS: Final = {
    "auburn": "a55728",
    "black": "2c1b18",
    "blond": "d6b370",
    "brown": "724133",
    "dark brown": "4a312c",
    "pink": "f59797",
    "platinum": "ecdcbf",
    "red": "c93305",
    "silver": "b0b5ba",
}
HAT_COLORS: Final = {"blue": "25557c", "grey": "929598", "red": "d1403f", "green": "3c8d5a", "black": "262e33"}
SKIN_COLORS: Final = {
    "brown": "ae5d29",
    "dark brown": "614335",
    "light brown": "d08b5b",
    "light": "edb98a",
    "pale": "ffdbb4",
    "tanned": "c68642",
}
FACIAL_HAIR: Final = {
    "none": "",
    "beardLight": "a light beard",
    "beardMajestic": "a long beard",
    "beardMedium": "a full beard",
    "moustacheFancy": "a fancy moustache",
    "moustacheMagnum": "a thick moustache",
}
ACCESSORIES: Final = {
    "none": "",
    "prescription01": "thin glasses",
    "prescription02": "glasses",
    "round": "round glasses",
    "sunglasses": "sunglasses",
    "wayfarers": "dark square glasses",
    "kurt": "oval sunglasses",
}
CLOTHES: Final = {
    "blazerAndShirt": "blazer and shirt",
    "blazerAndSweater": "blazer and sweater",
    "collarAndSweater": "sweater with a collar",
    "hoodie": "hoodie",
    "overall": "dungarees",
    "shirtCrewNeck": "crew-neck shirt",
    "shirtScoopNeck": "scoop-neck shirt",
    "shirtVNeck": "v-neck shirt",
}
CLOTHES_COLORS: Final = {
    "black": "262e33",
    "blue": "25557c",
    "bright blue": "5199e4",
    "coral": "ff5c5c",
    "green": "5cab6d",
    "grey": "929598",
    "pink": "ff488e",
    "yellow": "e8c547",
    "white": "ffffff",
}
BACKGROUNDS: Final = {
    "blue": "9cc9f0",
    "cream": "fbeecb",
    "green": "b5e2b1",
    "grey": "d6dae0",
    "lilac": "d3c4f3",
    "orange": "ffcf99",
    "pink": "ffc9d6",
    "teal": "8fd6cf",
    "yellow": "fff09c",
    "navy": "52678f",
}
EXPRESSIONS: Final = {
    "smiling": "smile",
    "serious": "serious",
    "amused": "twinkle",
    "worried": "concerned",
    "calm": "default",
    "astonished": "disbelief",
    "playful": "tongue",
    "sad": "sad",
}
EYES: Final = ("default", "happy", "squint", "wink", "side", "surprised", "closed")
EYEBROWS: Final = ("defaultNatural", "raisedExcitedNatural", "flatNatural", "upDownNatural", "sadConcernedNatural")

_TRAITS: Final = attrgetter("top", "color", "skin", "facial_hair", "accessory")


@dataclass(frozen=True)
class Look:
    """What stays the same in every image of one person; `top` and `color` name hair or a hat and its colour."""

    gender: str
    top: str
    color: str
    skin: str
    facial_hair: str
    accessory: str

    def shared_traits(self, other: "Look") -> int:
        """Number of the five traits besides gender that two looks share, 0 to 5."""
        return sum(map(eq, _TRAITS(self), _TRAITS(other)))

    def headwear(self) -> str:
        """The hair or hat in words, for example "auburn hair in a bob" or "a red bobble hat"."""
        if self.top in HATS:
            article, _, noun = HATS[self.top].partition(" ")
            return f"{article} {self.color} {noun}"
        words = (WOMEN_TOPS if self.gender == "female" else MEN_TOPS)[self.top]
        return f"{words} in {self.color}"


@dataclass(frozen=True)
class Pose:
    """What varies from image to image of one person."""

    expression: str
    eyes: str
    eyebrows: str
    clothes: str
    clothes_color: str
    background: str
    scale: float
    rotation: float
    shift_x: float
    shift_y: float
    mirrored: bool


def _pick(rng: np.random.Generator, options: Any) -> Any:
    items = list(options)
    return items[int(rng.integers(len(items)))]


def random_look(rng: np.random.Generator, gender: str | None = None) -> Look:
    """Draw a look; facial hair only on men, no hat on more than about a tenth."""
    gender = gender or _pick(rng, ("female", "male"))
    hat = rng.random() < 0.1
    top = _pick(rng, HATS if hat else (WOMEN_TOPS if gender == "female" else MEN_TOPS))
    bearded = gender == "male" and rng.random() < 0.5
    return Look(
        gender=gender,
        top=top,
        color=_pick(rng, HAT_COLORS if hat else HAIR_COLORS),
        skin=_pick(rng, SKIN_COLORS),
        facial_hair=_pick(rng, list(FACIAL_HAIR)[1:]) if bearded else "none",
        accessory=_pick(rng, list(ACCESSORIES)[1:]) if rng.random() < 0.45 else "none",
    )


def similar_look(rng: np.random.Generator, look: Look) -> Look:
    """A look that differs from the given one in exactly one of its five traits."""
    while True:
        other = random_look(rng, look.gender)
        field = _pick(rng, ("top", "color", "skin", "facial_hair", "accessory"))
        candidate = Look(**{**vars(look), field: getattr(other, field)})
        hat_color_fits = candidate.color in (HAT_COLORS if candidate.top in HATS else HAIR_COLORS)
        if hat_color_fits and candidate.shared_traits(look) == 4:
            return candidate


def random_pose(rng: np.random.Generator) -> Pose:
    """Draw a pose: expression, clothes, background and a small change of place, size and angle."""
    return Pose(
        expression=_pick(rng, EXPRESSIONS),
        eyes=_pick(rng, EYES),
        eyebrows=_pick(rng, EYEBROWS),
        clothes=_pick(rng, CLOTHES),
        clothes_color=_pick(rng, CLOTHES_COLORS),
        background=_pick(rng, BACKGROUNDS),
        scale=round(float(rng.uniform(1.0, 1.16)), 3),
        rotation=round(float(rng.uniform(-7, 7)), 2),
        shift_x=round(float(rng.uniform(-7, 7)), 2),
        # Down only, so that the cut of the shoulders stays outside the frame.
        shift_y=round(float(rng.uniform(4, 10)), 2),
        mirrored=bool(rng.random() < 0.5),
    )


@cache
def style() -> Any:
    """What all portraits are drawn in; reading it takes as long as drawing fifty."""
    from dicebear import Style  # noqa: PLC0415 - only the optional extra `mini` installs it

    return Style(json.loads(files("dicebear_styles").joinpath("avataaars.json").read_text("utf-8")))


def rasterise(svg: str, size: int) -> Image.Image:
    """An SVG document as a square RGB image of `size` pixels."""
    from resvg_py import svg_to_bytes  # noqa: PLC0415 - only the optional extra `mini` installs it

    png = bytes(svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True))
    return Image.open(io.BytesIO(png)).convert("RGB")


def svg_to_jpeg(svg: str, size: int = SIZE) -> bytes:
    """Rasterise an SVG document to a square JPEG of `size` pixels."""
    buffer = io.BytesIO()
    rasterise(svg, size).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def render_portrait(look: Look, pose: Pose) -> bytes:
    """Draw one person in one pose as a JPEG."""
    return svg_to_jpeg(portrait_svg(look, pose))


def portrait_svg(look: Look, pose: Pose, grounded: bool = True) -> str:
    """One person in one pose as an SVG document, before a plain ground or none."""
    from dicebear import Avatar  # noqa: PLC0415 - only the optional extra `mini` installs it

    hair = (HAT_COLORS if look.top in HATS else HAIR_COLORS)[look.color]
    options = {
        # The seed decides only what the options below leave open, so it is the same for everyone.
        "seed": "salmu-mini",
        "size": SIZE,
        "topVariant": [look.top],
        "topProbability": 100,
        "hairColor": [f"#{hair if look.top not in HATS else HAIR_COLORS['brown']}"],
        "hatColor": [f"#{hair if look.top in HATS else HAT_COLORS['grey']}"],
        "skinColor": [f"#{SKIN_COLORS[look.skin]}"],
        "facialHairProbability": 0 if look.facial_hair == "none" else 100,
        "facialHairVariant": ["beardLight" if look.facial_hair == "none" else look.facial_hair],
        "facialHairColor": [f"#{hair if look.top not in HATS else HAIR_COLORS['brown']}"],
        "accessoriesProbability": 0 if look.accessory == "none" else 100,
        "accessoriesVariant": ["round" if look.accessory == "none" else look.accessory],
        "accessoriesColor": ["#262e33"],
        "mouthVariant": [EXPRESSIONS[pose.expression]],
        "eyesVariant": [pose.eyes],
        "eyebrowsVariant": [pose.eyebrows],
        "clothesVariant": [pose.clothes],
        "clothesColor": [f"#{CLOTHES_COLORS[pose.clothes_color]}"],
        "clothesGraphicProbability": 0,
        **({"backgroundColor": [f"#{BACKGROUNDS[pose.background]}"]} if grounded else {}),
        "scale": pose.scale,
        "rotate": pose.rotation,
        "translateX": pose.shift_x,
        "translateY": pose.shift_y,
        "flip": "horizontal" if pose.mirrored else "none",
    }
    return str(Avatar(style(), options).to_string())
