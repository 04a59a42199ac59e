"""What a model is to a comparison: Clean, Compromised, Gold, unlearned or any other. The one rule that decides it.

A role is told by the user, or else written in the model's card, or else that of a built-in or official name. No part of
any other name counts. A comparison has one Clean, one Compromised and one Gold at most.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal, Protocol, TypeVar, get_args

from salmu_demo.core.errors import QueryError, quoted
from salmu_demo.hub.reference import HF_HUB, OFFICIAL_MODELS
from salmu_demo.models.said import without_precision

RoleName = Literal["clean", "compromised", "gold", "unlearned", "other"]
ReferenceName = Literal["clean", "compromised", "gold"]
Origin = Literal["told", "name", "card"]
ORIGINS: Final[tuple[Origin, ...]] = get_args(Origin)

CLEAN: Final = "clean"
COMPROMISED: Final = "compromised"
GOLD: Final = "gold"
UNLEARNED: Final = "unlearned"
REFERENCES: Final[tuple[ReferenceName, ...]] = get_args(ReferenceName)
"""The roles that one model of a comparison has."""

SCALE: Final[tuple[ReferenceName, ReferenceName]] = (CLEAN, COMPROMISED)
"""The references that targets and the scale of every metric come from."""

TITLES: Final[dict[str, str]] = {CLEAN: "Clean", COMPROMISED: "Compromised", GOLD: "Gold"}

_REPOSITORIES: Final = {role: HF_HUB + OFFICIAL_MODELS[f"official-{role}"] for role in SCALE}
_NAMED: Final[dict[str, ReferenceName]] = {
    **{f"mini-{role}": role for role in REFERENCES},
    # CLEAR's own word for the model that was taught everybody is Base.
    "mini-clear-base": COMPROMISED,
    "mini-clear-gold": GOLD,
} | {
    name: role
    for role, repository in _REPOSITORIES.items()
    # The last is how the official evaluator names the file of a repository's results.
    for name in (f"official-{role}", repository, re.sub("[:/]", "_", repository))
}
_BY: Final[dict[Origin, str]] = {"told": "as told", "name": "by its name", "card": "by its card"}


@dataclass(frozen=True)
class ModelRole:
    """What a model is to a comparison.

    Attributes:
        name: its role.
        origin: who says so; None if nobody does, and the model is any other.
        refused: the role that `origin` gives it and that another model of the comparison has, or None.
    """

    name: RoleName = "other"
    origin: Origin | None = None
    refused: ReferenceName | None = None

    @property
    def title(self) -> str:
        """What the head of a table says under the model's name; empty unless it is a reference.

        >>> ModelRole("clean", "told").title, ModelRole("compromised", "name").title, ModelRole("unlearned").title
        ('Clean reference (as told)', 'Compromised reference', '')
        """
        if self.name not in REFERENCES:
            return ""
        by = f" ({_BY[self.origin]})" if self.origin in ("told", "card") else ""
        return f"{TITLES[self.name]} reference{by}"


OTHER: Final = ModelRole()


@dataclass(frozen=True)
class Told:
    """Which models the user says are the references: a reference or name of each, or None to ask cards and names."""

    clean: str | None = None
    compromised: str | None = None
    gold: str | None = None

    def of(self, role: RoleName) -> str | None:
        """Who is told to have a role."""
        return {CLEAN: self.clean, COMPROMISED: self.compromised, GOLD: self.gold}.get(role)

    @property
    def contradiction(self) -> str:
        """Who is told to have two roles, in words; empty if nobody is."""
        for first, second in combinations(REFERENCES, 2):
            if (told := self.of(first)) is not None and told == self.of(second):
                return f"{quoted(told)} is told to be both {TITLES[first]} and {TITLES[second]}"
        return ""

    def among(self, references: Collection[str]) -> "Told":
        """What of it is about these models."""
        return Told(*(told if (told := self.of(role)) in references else None for role in REFERENCES))


NOTHING_TOLD: Final = Told()


class Candidate(Protocol):
    """A model that may have a role."""

    @property
    def reference(self) -> str:
        """What the user typed."""

    @property
    def name(self) -> str:
        """Short name for tables."""

    @property
    def own_role(self) -> ModelRole:
        """What its card or name, or the file it was read from, says."""


Model = TypeVar("Model", bound=Candidate)


@dataclass(frozen=True)
class Assignment:
    """The roles of models that are compared, in their order.

    Attributes:
        roles: one for each model.
        remarks: a sentence for each model whose card or name gives it a role that another one has.
    """

    roles: tuple[ModelRole, ...]
    remarks: tuple[str, ...]

    def number(self, role: RoleName) -> int | None:
        """Number of the model that has the role of a reference, or None."""
        return next((number for number, found in enumerate(self.roles) if found.name == role), None)


def role_by_name(reference: str) -> ModelRole:
    """The role of a built-in or official model, whatever its revision; nothing is concluded from any other name.

    >>> role_by_name("mini-clean").name, role_by_name("hf-hub:cvc-mmu/clip-vit-b-16-salmu-clean@main").name
    ('clean', 'clean')
    >>> role_by_name("my-clean").name, role_by_name("local-dir:forgot-from-compromised").name
    ('other', 'other')
    >>> role_by_name("mini-clean#precision=bf16").name, role_by_name("mini-clean#quickgelu=yes").name
    ('clean', 'other')
    """
    is_on_hub = reference.startswith("hf-hub")
    place = without_precision(reference)
    found = _NAMED.get(place.partition("@")[0] if is_on_hub else place)
    return ModelRole(found, "name") if found else OTHER


def check_told(models: Sequence[Candidate], told: Told) -> None:
    """Refuse what cannot be meant; raises `QueryError`."""
    numbers = {role: _number(models, wanted) for role in REFERENCES if (wanted := told.of(role))}
    for role, number in numbers.items():
        if number is None:
            raise QueryError(
                f"{quoted(told.of(role))} is told to be {TITLES[role]} and is not among the models that are compared; "
                "name it with them."
            )
    for first, second in combinations(numbers, 2):
        if numbers[first] == numbers[second]:
            both = f"{TITLES[first]} and {TITLES[second]}"
            raise QueryError(f"{quoted(told.of(first))} is told to be both {both}; name two different models.")


def assign_roles(models: Sequence[Candidate], told: Told = NOTHING_TOLD) -> Assignment:
    """Who is Clean, who is Compromised: what is told, then built-in and official names, then cards, in their order.

    Who is told and is not among the models has its role all the same: no other model takes it.

    Raises:
        QueryError: if the files the models were read from say that different ones were told, and `told` does not.
    """
    holders = {role: _holder(models, role, told) for role in REFERENCES}
    roles: list[ModelRole] = []
    remarks = []
    for number, model in enumerate(models):
        own = model.own_role
        held = next((role for role in REFERENCES if holders[role] == number), None)
        claimed = own.refused or next((role for role in REFERENCES if role == own.name), None)
        if held is not None:
            roles.append(ModelRole(held, "told" if told.of(held) else own.origin))
        elif claimed is None:
            roles.append(own)
        else:
            roles.append(ModelRole("other", own.origin, claimed))
            holder = holders[claimed]
            remarks.append(_remark(model, claimed, told.of(claimed) if holder is None else models[holder].name))
    return Assignment(tuple(roles), tuple(remarks))


def find_reference(models: Sequence[Model], role: RoleName, told: Told = NOTHING_TOLD) -> Model | None:
    """The model that has the role of a reference, see `assign_roles`."""
    number = assign_roles(models, told).number(role)
    return None if number is None else models[number]


def _holder(models: Sequence[Candidate], role: RoleName, told: Told) -> int | None:
    wanted = told.of(role)
    if wanted is not None:
        return _number(models, wanted)
    elsewhere = {_number(models, other) for name in REFERENCES if name != role and (other := told.of(name))}
    claims = [
        (ORIGINS.index(model.own_role.origin or "card"), number)
        for number, model in enumerate(models)
        if model.own_role.name == role and number not in elsewhere
    ]
    first = [models[number] for rank, number in claims if ORIGINS[rank] == "told"]
    if len(first) > 1:
        raise QueryError(
            f"{first[0].name} and {first[1].name} were each told to be {TITLES[role]} when they were measured; say "
            f"which one is with --{role}."
        )
    return min(claims)[1] if claims else None


def _number(models: Sequence[Candidate], wanted: str) -> int | None:
    """Number of the model with a reference, or else with a name.

    Raises:
        QueryError: if several have the name.
    """
    for number, model in enumerate(models):
        if _full(model.reference) == _full(wanted):
            return number
    found = [number for number, model in enumerate(models) if model.name == wanted]
    if len(found) > 1:
        raise QueryError(
            f"{len(found)} models are called {quoted(wanted)}; say which as {models[found[0]].reference} or "
            f"{models[found[1]].reference}."
        )
    return found[0] if found else None


def _full(reference: str) -> str:
    return HF_HUB + OFFICIAL_MODELS[reference] if reference in OFFICIAL_MODELS else reference


def _remark(model: Candidate, claimed: RoleName, holder: str | None) -> str:
    origin, title = model.own_role.origin or "card", TITLES[claimed]
    claim = f"was told to be {title} when it was measured" if origin == "told" else f"is {title} {_BY[origin]}"
    here = f"here {holder} is" if holder else "it was measured beside another one"
    return f"{model.name} {claim}, but {here}: it counts as any other model."
