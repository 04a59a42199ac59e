"""The fixed look of each model: a colour and a marker for its role, never a colour alone."""

import zlib
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
        colour: people with colour blindness can tell those of references and built-in models apart; all but that of
            Gold are Okabe-Ito colours. There are no more of these: the rest differ by their markers too.
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
    RoleStyle("unlearned", _UNLEARNED, "⬢", "#AA3377", "role-unlearned-5"),
    RoleStyle("unlearned", _UNLEARNED, "⬟", "#6655CC", "role-unlearned-6"),
    RoleStyle("unlearned", _UNLEARNED, "✦", "#999999", "role-unlearned-7"),
    RoleStyle("unlearned", _UNLEARNED, "►", "#333333", "role-unlearned-8"),
)

_OWN_PLACES: Final = {
    f"mini-unlearned-{method}": place
    for place, method in enumerate(("finetune", "pinpoint", "negative-gradient", "redirect"))
}
"""Built-in unlearned models and the numbers of their styles."""


def role_styles(references: Sequence[str], roles: Sequence[ModelRole]) -> list[RoleStyle]:
    """A style for each of the models that are shown together; up to eight that are not references differ in it.

    Built-in models have a style of their own wherever they are shown and whatever they are called. What another one has
    depends on its reference, and on who is shown with it, but not on the order; it has one of a built-in model only if
    there are no others.

    >>> roles = [ModelRole("clean"), ModelRole(), ModelRole("compromised"), ModelRole()]
    >>> [style.marker for style in role_styles(["a", "mini-unlearned-pinpoint", "b", "mini-unlearned-finetune"], roles)]
    ['●', '◆', '■', '▲']
    """
    fixed = {"clean": CLEAN, "compromised": COMPROMISED, "gold": GOLD}
    # By number: a result file and a later one may be of a model that was saved again under its reference.
    others = sorted(
        (reference not in _OWN_PLACES, reference, number)
        for number, (reference, role) in enumerate(zip(references, roles, strict=True))
        if role.name not in fixed
    )
    free = list(range(len(UNLEARNED)))
    places = {}
    for _, reference, number in others:
        places[number] = next(place for place in _wanted(reference) if place in free)
        free.remove(places[number])
        free = free or list(range(len(UNLEARNED)))
    return [fixed.get(role.name) or UNLEARNED[places[number]] for number, role in enumerate(roles)]


def _wanted(reference: str) -> list[int]:
    """Numbers of the styles that a model takes, the first that is free."""
    if reference in _OWN_PLACES:
        return [_OWN_PLACES[reference], *range(len(UNLEARNED))]
    own = len(_OWN_PLACES)
    first = zlib.crc32(reference.encode()) % (len(UNLEARNED) - own)
    return [*range(own + first, len(UNLEARNED)), *range(own, own + first), *range(own)]
