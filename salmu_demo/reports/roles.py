"""The fixed look of each model: a colour and a marker for its role, never a colour alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from salmu_demo.models.roles import ModelRole, RoleName


@dataclass(frozen=True)
class RoleStyle:
    """How a model is shown.

    Attributes:
        role: what the model is to the comparison; unlearned and other models look alike.
        label: the role in words.
        marker: a character that tells models apart without colour.
        colour: people with colour blindness can tell them apart; all but that of Gold are Okabe-Ito colours.
        css: class of the style sheet with that colour.
    """

    role: RoleName
    label: str
    marker: str
    colour: str
    css: str


CLEAN: Final = RoleStyle("clean", "Clean: never saw a persona", "●", "#0072B2", "role-clean")
COMPROMISED: Final = RoleStyle("compromised", "Compromised: trained on the facts", "■", "#D55E00", "role-compromised")
GOLD: Final = RoleStyle("gold", "Gold: retrained without the forgotten pairs", "✚", "#8A6D00", "role-gold")
_UNLEARNED: Final = "Unlearned or other"
UNLEARNED: Final = (
    RoleStyle("unlearned", _UNLEARNED, "▲", "#009E73", "role-unlearned-1"),
    RoleStyle("unlearned", _UNLEARNED, "◆", "#CC79A7", "role-unlearned-2"),
    RoleStyle("unlearned", _UNLEARNED, "▼", "#E69F00", "role-unlearned-3"),
    RoleStyle("unlearned", _UNLEARNED, "★", "#56B4E9", "role-unlearned-4"),
)


def role_styles(roles: Sequence[ModelRole]) -> list[RoleStyle]:
    """A style for each of the models that are shown together; those that are not references differ from one another.

    >>> [style.marker for style in role_styles([ModelRole("clean"), ModelRole(), ModelRole("compromised")])]
    ['●', '▲', '■']
    """
    styles = []
    others = 0
    for role in roles:
        found = {"clean": CLEAN, "compromised": COMPROMISED, "gold": GOLD}.get(role.name)
        styles.append(found or UNLEARNED[others % len(UNLEARNED)])
        others += found is None
    return styles
