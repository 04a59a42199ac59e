"""What an attack is: its facts, what it needs, and one `run`; and the registry of all of them."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import PluginError, QueryError
from salmu_demo.core.plugins import ATTACKS, load_entry_points

if TYPE_CHECKING:
    from salmu_demo.attacks.target import Target

A = TypeVar("A", bound="type[Attack]")


class AttackerNeed(StrEnum):
    """What an attacker must have besides the features of any image and text."""

    ORIGINAL = "the original model"
    WEIGHTS = "the weights"
    GRADIENTS = "the weights to train"
    EXTENSION = "images or wordings that no model was trained on"


@dataclass(frozen=True)
class AttackReading:
    """How well an attacked model matches pairs to be forgotten, of people that the attack did not see.

    Attributes:
        variant: which form of the attack, such as `block 1 of the text tower`; empty if it has one only.
        gallery: what each caption was ranked among, or what else is read.
        measure: unit of the scores, such as `MRR`.
        scores: shape (N,); the value is their mean.
        as_is: shape (N,), the same of the model before the attack; None if the attack changes nothing, such as one that
            only looks.
        identities: N persona ids, or None for a row of no persona; intervals draw whole personas.
        drawn: shape (R,), the value when other personas are drawn; None if it is the mean of what these score.
    """

    variant: str
    gallery: str
    measure: str
    scores: NDArray[np.float64]
    as_is: NDArray[np.float64] | None
    identities: tuple[str | None, ...]
    drawn: NDArray[np.float64] | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells the readings of an attack apart."""
        return self.variant, self.gallery, self.measure


class Attack(ABC):
    """An attack: facts for tables and files, and how it is run. A registered subclass is all it takes.

    Attributes:
        name: as the user types it, such as `linear-map`.
        title: the attack in plain words.
        attacker: what the attacker has and does, in a sentence.
        source: where it comes from.
        needs: what it needs besides features.
        counts: whether what it recovers counts in the diagnosis; others are reported only.
        by_default: whether it is run where no attack is named; others take minutes, and are run if they are named or
            more than the defaults is asked for.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    attacker: ClassVar[str]
    source: ClassVar[str]
    needs: ClassVar[frozenset[AttackerNeed]] = frozenset()
    counts: ClassVar[bool] = True
    by_default: ClassVar[bool] = True

    @property
    def reads_features_only(self) -> bool:
        """Whether it can be run on features alone, without the model that they are of."""
        return self.needs <= {AttackerNeed.ORIGINAL}

    def obstacle(self, target: "Target") -> str | None:
        """Why it cannot be run on a model, as a clause such as "it has no transformer"; None if it can.

        What `needs` says is checked already.
        """
        return None

    def omissions(self, target: "Target") -> Sequence[str]:
        """Why some of its forms cannot be run on a model, a clause for each reason; the others run."""
        return ()

    @abstractmethod
    def run(self, target: "Target") -> Iterable[AttackReading]:
        """Attack one model; the same target gives the same bits.

        Raises:
            SalmuError: if the model or the data are not usable.
        """

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, in this process or another, is the registered attack itself."""
        return find_attack, (self.name,)


REGISTRY: Final[dict[str, Attack]] = {}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""It is typed in lists, and becomes a file name."""

_FACTS: Final = ("name", "title", "attacker", "source")
_ORDER: Final = (
    "linear-map", "own-head", "relearning", "benign-finetuning", "early-readout", "depth", "tower-swap", "quantisation",
    "membership", "update-leak", "downstream",
)  # fmt: skip
"""The order of tables: the cheapest knowledge first; those of plug-ins come last."""


def register(attack: A) -> A:
    """Class decorator that adds an attack to the registry.

    Raises:
        PluginError: if a fact is missing or wrong, or the name is taken.
    """
    missing = [fact for fact in _FACTS if not hasattr(attack, fact)]
    if missing:
        raise PluginError(f"The attack {attack.__name__} has no {missing[0]}; set it in the class.")
    if not _NAME.fullmatch(attack.name):
        raise PluginError(f"An attack cannot be called {attack.name!r:.40}; use lower-case letters, digits and -.")
    known = REGISTRY.get(attack.name)
    # A cell of a notebook may be run again.
    if known is not None and type(known).__module__ != attack.__module__:
        raise PluginError(f"There is already an attack called {attack.name}; choose another name.")
    REGISTRY[attack.name] = attack()
    return attack


def all_attacks() -> tuple[Attack, ...]:
    """Every attack, in the order of tables."""
    load_entry_points(ATTACKS)
    return tuple(sorted(REGISTRY.values(), key=lambda a: _ORDER.index(a.name) if a.name in _ORDER else len(_ORDER)))


def find_attack(name: str) -> Attack:
    """Look an attack up by its name, in any case.

    Raises:
        QueryError: if no attack has this name.

    Example:
        >>> find_attack("Linear-Map").name
        'linear-map'
    """
    load_entry_points(ATTACKS)
    found = REGISTRY.get(name.strip().casefold())
    if found is None:
        valid = ", ".join(attack.name for attack in all_attacks())
        raise QueryError(f"There is no attack called {name!r:.60}: choose one of {valid}.")
    return found


def choose_attacks(names: Iterable[str] | None, thorough: bool = False) -> list[Attack]:
    """The attacks of the given names in the order of tables; raises `QueryError`.

    Args:
        names: their names; None for those that are run by default.
        thorough: whether None is for all.
    """
    if names is None:
        return [attack for attack in all_attacks() if attack.by_default or thorough]
    wanted = {find_attack(name).name for name in names}
    if not wanted:
        raise QueryError("No attack is chosen; choose at least one.")
    return [attack for attack in all_attacks() if attack.name in wanted]
