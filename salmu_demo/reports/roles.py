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


_BUILT_IN: Final = ("finetune", "pinpoint", "negative-gradient", "redirect")
"""Methods of the built-in unlearned models, each in the style of its place."""


def role_styles(names: Sequence[str], roles: Sequence[ModelRole]) -> list[RoleStyle]:
    """A style for each of the models that are shown together; those that are not references differ from one another.

    Built-in models have a style of their own wherever they are shown. What another one has depends on its name, and on
    who is shown with it, but not on the order.

    >>> roles = [ModelRole("clean"), ModelRole(), ModelRole("compromised"), ModelRole()]
    >>> [style.marker for style in role_styles(["a", "mini-unlearned-pinpoint", "b", "mini-unlearned-finetune"], roles)]
    ['●', '◆', '■', '▲']
    """
    references = {"clean": CLEAN, "compromised": COMPROMISED, "gold": GOLD}
    others = sorted(
        (_place(name), name) for name, role in zip(names, roles, strict=True) if role.name not in references
    )
    free = list(range(len(UNLEARNED)))
    places = {}
    for (_, wanted), name in others:
        places[name] = min(free, key=lambda place: (place - wanted) % len(UNLEARNED))
        free.remove(places[name])
        free = free or list(range(len(UNLEARNED)))
    return [references.get(role.name) or UNLEARNED[places[name]] for name, role in zip(names, roles, strict=True)]


def _place(name: str) -> tuple[bool, int]:
    """Whether a model comes after those that are built in, and the number of the style that it takes if it is free."""
    method = name.removeprefix("mini-unlearned-")
    if method != name and method in _BUILT_IN:
        return False, _BUILT_IN.index(method)
    return True, zlib.crc32(name.encode()) % len(UNLEARNED)
