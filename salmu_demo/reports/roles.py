"""One colour, marker and word for each model by its role, the same in every figure and table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from salmu_demo.models.source import ModelSource
from salmu_demo.results.comparison import find_reference


@dataclass(frozen=True)
class RoleStyle:
    """How a model is drawn.

    Attributes:
        role: the role in words.
        colour: from the palette of Okabe and Ito, which colour-blind readers can tell apart.
        marker: matplotlib marker, so that colour is never the only difference.
        glyph: the same marker as a character.
    """

    role: str
    colour: str
    marker: str
    glyph: str


COMPROMISED: Final = RoleStyle("Compromised: trained on the personas", "#D55E00", "s", "■")
CLEAN: Final = RoleStyle("Clean: never saw the personas", "#0072B2", "o", "●")
_OTHER: Final = "Under test"
OTHERS: Final = (
    RoleStyle(_OTHER, "#009E73", "^", "▲"),
    RoleStyle(_OTHER, "#CC79A7", "D", "◆"),
    RoleStyle(_OTHER, "#E69F00", "v", "▼"),
    RoleStyle(_OTHER, "#56B4E9", "p", "⬟"),
    RoleStyle(_OTHER, "#000000", "P", "✚"),
)
"""For the models that are neither reference, in order; with more than these the styles repeat."""


def role_styles(models: Sequence[ModelSource]) -> list[RoleStyle]:
    """The style of each model, in order."""
    references = {"clean": CLEAN, "compromised": COMPROMISED}
    fixed = {id(model): style for role, style in references.items() if (model := find_reference(models, role))}
    styles = []
    others = 0
    for model in models:
        style = fixed.get(id(model))
        if style is None:
            style = OTHERS[others % len(OTHERS)]
            others += 1
        styles.append(style)
    return styles
