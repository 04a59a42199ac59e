"""What the card of a model, its README.md, says about its role."""

import re
from pathlib import Path
from typing import Final

from salmu_demo.core.errors import ModelError
from salmu_demo.core.files import leads_outside
from salmu_demo.models.roles import REFERENCES, UNLEARNED, RoleName

CARD_FILE: Final = "README.md"
LARGEST_CARD: Final = 1_000_000
"""Bytes of the largest card that is fetched; of any card the first `_READ` are read."""

CARD_KEY: Final = "salmu_role"
"""Key in the front matter of a model's card, with one of `CARD_ROLES`."""

CARD_ROLES: Final[tuple[RoleName, ...]] = (*REFERENCES, UNLEARNED)

_READ: Final = 64_000
_FRONT_MATTER: Final = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_CARD_LINE: Final = re.compile(rf"^{CARD_KEY}[ \t]*:(.*)$", re.MULTILINE)


def card_role(folder: Path) -> RoleName | None:
    """The role that the card in a model's folder names; None without a card, or if it is a link out of the folder.

    Raises:
        ModelError: if there is no such role, or the card cannot be read.
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


def role_in_card(card: str) -> RoleName | None:
    """The role that the front matter of a model's card names; None without it.

    Raises:
        ValueError: with the start of its value, if that is none of `CARD_ROLES`.

    >>> role_in_card("---\\nlicense: mit\\nsalmu_role: clean\\n---\\n# Mine"), role_in_card("salmu_role: clean")
    ('clean', None)
    """
    front = _FRONT_MATTER.match(card)
    line = front and _CARD_LINE.search(front[1])
    if not line:
        return None
    value = line[1].partition(" #")[0].strip().strip("\"'")
    for role in CARD_ROLES:
        if value == role:
            return role
    raise ValueError(value[:40])
