"""The fixed look of each model: a colour and a marker for its role, never a colour alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["clean", "compromised", "unlearned"]


@dataclass(frozen=True)
class RoleStyle:
    """How a model is shown.

    Attributes:
        role: what the model is to the comparison.
        label: the role in words.
        marker: a character that tells models apart without colour.
        colour: one of the Okabe-Ito colours, which people with colour blindness can tell apart.
        css: class of the style sheet with that colour.
    """

    role: Role
    label: str
    marker: str
    colour: str
    css: str


CLEAN: Final = RoleStyle("clean", "Clean: never saw a persona", "●", "#0072B2", "role-clean")
COMPROMISED: Final = RoleStyle("compromised", "Compromised: trained on the facts", "■", "#D55E00", "role-compromised")
_UNLEARNED: Final = "Unlearned or other"
UNLEARNED: Final = (
    RoleStyle("unlearned", _UNLEARNED, "▲", "#009E73", "role-unlearned-1"),
    RoleStyle("unlearned", _UNLEARNED, "◆", "#CC79A7", "role-unlearned-2"),
    RoleStyle("unlearned", _UNLEARNED, "▼", "#E69F00", "role-unlearned-3"),
    RoleStyle("unlearned", _UNLEARNED, "★", "#56B4E9", "role-unlearned-4"),
)


def role_of(name: str) -> Role:
    """The role a model's name tells, as the built-in and the official models are named.

    >>> role_of("mini-clean"), role_of("org/clip-Compromised"), role_of("mini-unlearned-finetune")
    ('clean', 'compromised', 'unlearned')
    """
    lower = name.lower()
    if lower.endswith("-clean"):
        return "clean"
    return "compromised" if lower.endswith("-compromised") else "unlearned"


def role_styles(names: Sequence[str]) -> list[RoleStyle]:
    """A style for each of the models that are shown together; unlearned ones differ from one another.

    >>> [style.marker for style in role_styles(["a-clean", "b", "a-compromised", "c"])]
    ['●', '▲', '■', '◆']
    """
    styles = []
    unlearned = 0
    for name in names:
        role = role_of(name)
        if role == "unlearned":
            styles.append(UNLEARNED[unlearned % len(UNLEARNED)])
            unlearned += 1
        else:
            styles.append(CLEAN if role == "clean" else COMPROMISED)
    return styles
