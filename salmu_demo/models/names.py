"""Names that tell models of one comparison from each other, whatever their order, and names that a user gives them."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePath
from typing import Final, Protocol

from salmu_demo.core.errors import QueryError, quoted
from salmu_demo.models.said import split_said

LONGEST_NAME: Final = 80
"""Characters of a name that fits the head of a column."""

_DIGITS: Final = 8
_LONGEST_SLUG: Final = 180
"""Bytes; file systems allow 255 for a name, and a file that is being written has a longer one."""


class Referred(Protocol):
    """A model with a reference."""

    @property
    def reference(self) -> str:
        """What the user typed."""

    @property
    def name(self) -> str:
        """Short name for tables."""

    @property
    def slug(self) -> str:
        """Name in result files."""

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of its content, or None if a result file does not say."""


def distinct_names(models: Sequence[Referred]) -> list[str]:
    """The short names; those of equal name get more of their paths, or else the start of their fingerprints."""
    count = Counter(model.name for model in models)
    return [
        model.name if count[model.name] == 1 else _longer_name(model, [m for m in models if m.name == model.name])
        for model in models
    ]


def check_names(names: Mapping[str, str], known: Collection[str]) -> None:
    """Refuse names of models that are not there, and names that no table can show; raises `QueryError`."""
    for model, name in names.items():
        if model not in known:
            raise QueryError(f"No model here is called {quoted(model)}; name one of those that are shown.")
        if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
            raise QueryError(
                f"{quoted(model)} cannot be called {quoted(name)}; give it a name of 1 to {LONGEST_NAME} printable "
                "characters."
            )


def known_as(models: Sequence[Referred]) -> list[str]:
    """Everything that models may be called by whoever gives them names."""
    return [name for model, own in zip(models, distinct_names(models), strict=True) for name in _names_of(model, own)]


def _names_of(model: Referred, own: str) -> tuple[str, ...]:
    """The most telling first; what is said behind a reference need not be repeated."""
    return model.reference, own, split_said(model.reference)[0], model.name


def display_names(models: Sequence[Referred], names: Mapping[str, str]) -> list[str]:
    """What tables, figures and documents call models: as the user wants, or else their distinct names.

    Args:
        models: the models of one comparison.
        names: what some are to be called, by their references, short or distinct names.

    Raises:
        QueryError: if a model is not among them, a name cannot be shown, or two models would be called the same.
    """
    check_names(names, known_as(models))
    found = [
        next((names[known] for known in _names_of(model, own) if known in names), own)
        for model, own in zip(models, distinct_names(models), strict=True)
    ]
    twice = next((name for name in names.values() if found.count(name) > 1), None)
    if twice is not None:
        raise QueryError(f"Two models would be called {quoted(twice)}; give each a name of its own.")
    return found


def distinct_slugs(models: Sequence[Referred]) -> list[str]:
    """The official names of result files; where the official rule gives several models one name, each gets a mark.

    The mark is of the model's reference, and of its fingerprint if only that is another. A model of an imported file
    may be called anything: what no file name can hold is replaced or cut.
    """
    slugs = [_file_part(model.slug) for model in models]
    count, references = Counter(slugs), Counter(model.reference for model in models)
    marked = []
    for model, slug in zip(models, slugs, strict=True):
        mark = model.reference if references[model.reference] == 1 else f"{model.reference}\0{model.fingerprint}"
        marked.append(slug if count[slug] == 1 else f"{slug}_{_digest(mark)}")
    return marked


def _file_part(text: str) -> str:
    printable = "".join(character if character.isprintable() else "_" for character in text)
    return printable.encode()[:_LONGEST_SLUG].decode(errors="ignore")


def _longer_name(model: Referred, equal: Sequence[Referred]) -> str:
    paths = {other.reference: PurePath(other.reference.partition(":")[2] or other.reference).parts for other in equal}
    own, name = paths[model.reference], model.name
    if len(paths) > 1:
        lengths = range(1, max(map(len, paths.values())) + 1)
        telling = (n for n in lengths if sum(path[-n:] == own[-n:] for path in paths.values()) == 1)
        length = next(telling, None)
        name = model.reference if length is None else str(PurePath(*own[-length:]))
    alike = sum(other.reference == model.reference for other in equal)
    return name if alike == 1 else f"{name} ({(model.fingerprint or 'unknown')[:_DIGITS]})"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:_DIGITS]
