"""What the card of a model, its README.md, says about its role."""

from pathlib import Path
from typing import Final

from salmu_demo.core.errors import ModelError
from salmu_demo.core.files import leads_outside
from salmu_demo.models.roles import CARD_KEY, CARD_ROLES, RoleName, role_in_card

CARD_FILE: Final = "README.md"
LARGEST_CARD: Final = 1_000_000
"""Bytes of the largest card that is fetched; of any card the first :data:`_READ` are read."""

_READ: Final = 64_000


def card_role(folder: Path) -> RoleName | None:
    """The role that the card in a model's folder names; None without a card, or if it is a link out of the folder.

    Raises:
        ModelError: if the role is none there is, or the card cannot be read.
    """
    path = folder / CARD_FILE
    try:
        if not path.is_file() or leads_outside(path, folder):
            return None
        with path.open("rb") as stream:
            text = stream.read(_READ).decode(errors="replace")
        return role_in_card(text)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise ModelError(
            f"{path} says {CARD_KEY}: {str(error)!r}; write one of {', '.join(CARD_ROLES)}, or leave it out."
        ) from error
