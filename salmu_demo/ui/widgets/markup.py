"""Pieces of markup that several tabs show, and what they are made from; tested without a browser."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from salmu_demo.core.markup import render
from salmu_demo.models.names import Referred, distinct_names
from salmu_demo.models.roles import ModelRole
from salmu_demo.reports.glossary import GLOSSARY
from salmu_demo.reports.roles import RoleStyle, role_styles


@dataclass(frozen=True)
class ModelHead:
    """A model at the head of a table or card: its name, its look, and what it is to the others."""

    name: str
    style: RoleStyle
    title: str


def model_heads(models: Sequence[Referred], roles: Sequence[ModelRole]) -> list[ModelHead]:
    """The heads of models that are shown together: those of equal name are told apart."""
    styles = role_styles([model.reference for model in models], roles)
    return [
        ModelHead(name, style, role.title)
        for name, style, role in zip(distinct_names(models), styles, roles, strict=True)
    ]


@dataclass(frozen=True)
class Download:
    """A file that one click saves: its name, the text of the link, its address, and its bytes if they are shown.

    The address is a `data:` address of what is in the page itself, or that of a file which the page serves.
    """

    name: str
    label: str
    address: str
    size: int | None = None


@dataclass(frozen=True)
class Action:
    """A button: what it chooses, what it says, and its class in the style sheet and its id, if it has one."""

    choice: str
    words: str
    css: str = ""
    id: str = ""


@dataclass(frozen=True)
class Term:
    """A word that explains itself where it stands: what it means, and the name of the element that says so."""

    name: str
    words: str
    id: str


def terms(place: str, *names: str) -> list[Term]:
    """Words of the glossary; each place of the page has elements of its own.

    >>> terms("line-up", "rank")[0].id
    'meaning-line-up-rank'
    """
    return [Term(name, GLOSSARY[name], f"meaning-{place}-{name.replace(' ', '-')}") for name in names]


def notice(words: str, css: str = "notice") -> Markup:
    """A short remark in a box of its own."""
    return render("ui/templates/parts.html#notice", words=words, css=css)


def actions(buttons: Iterable[Action]) -> Markup:
    """Buttons side by side; nothing without any."""
    shown = list(buttons)
    return render("ui/templates/parts.html#actions", actions=shown) if shown else Markup()


def downloads(files: Sequence[Download]) -> Markup:
    """Links, each of which saves a file."""
    return render("ui/templates/parts.html#downloads", files=files)


def empty_state(title: str, words: str) -> Markup:
    """What a panel says while it has nothing to show."""
    return render("ui/templates/parts.html#empty", title=title, words=words)


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> Markup:
    """A plain table of texts; the first column heads the rows. On narrow screens every row becomes a block."""
    return render("ui/templates/parts.html#text_table", header=header, rows=rows, caption=caption)


def rank_text(rank: float, candidates: int) -> str:
    """A rank among candidates; ties count half.

    >>> rank_text(3.0, 96), rank_text(100_000.5, 200_000)
    ('3 of 96', '100,000.5 of 200,000')
    """
    return f"{rank:,.10g} of {candidates:,}"
