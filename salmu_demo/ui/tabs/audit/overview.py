"""The overview of the Audit tab, personas by attributes, as markup; tested without a browser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from markupsafe import Markup

from salmu_demo.core.errors import QueryError, quoted
from salmu_demo.core.markup import render
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.layout import kind_title
from salmu_demo.data.personas import country_of
from salmu_demo.probes.findings import OUTCOMES, Fulfilment
from salmu_demo.probes.matrix import (
    Matrix,
    MatrixCell,
    MatrixRow,
    PersonaExample,
    changed_cells,
    count_sentences,
    difference_sentence,
)
from salmu_demo.reports.text import counted
from salmu_demo.ui.shell.view import View, format_link
from salmu_demo.ui.tabs.audit import text
from salmu_demo.ui.widgets.markup import ModelHead, rank_text

AGAINST: Final = "against:"
"""What a button chooses that compares with a model begins with, which the model's reference follows, or nothing."""

MAX_ROWS: Final = 100
"""Rows shown at once: everybody in the miniature, a page of the official data."""

ASKED_CHOICES: Final[list[tuple[str, str]]] = [
    ("Everybody", ""),
    *((words.capitalize(), asked) for asked, words in text.ASKED.items()),
]
OUTCOME_CHOICES: Final[list[tuple[str, str]]] = [
    ("Any", ""),
    ("Not as asked", "not as asked"),
    *((outcome.capitalize(), outcome) for outcome in OUTCOMES),
]


def kind_choices(data: BenchmarkData) -> list[tuple[str, str]]:
    """Labels and values of the attributes that the overview can be narrowed to."""
    return [("All", ""), *((kind_title(kind), kind) for kind in data.kinds)]


def country_choices(data: BenchmarkData) -> list[tuple[str, str]]:
    """The same of countries; only `All` if the data set names none."""
    countries = sorted({country_of(persona) for persona in data.personas} - {""})
    return [("All", ""), *((country, country) for country in countries)]


def cell_address(identity: str, kind: str | None = None) -> str:
    """What a button of the overview chooses: a persona, or one of its attributes.

    >>> cell_address("00000025", "city")
    'persona=00000025&kind=city'
    """
    return format_link(View(identity, kind), (), ())


def opened_view(choice: str, data: BenchmarkData, view: View) -> View:
    """The view that a button of the overview opens; raises `QueryError` if there is no such persona or attribute.

    An attribute that is open stays open if the button names none.
    """
    named = dict(parse_qsl(choice, max_num_fields=2)) if choice.count("&") < 2 else {}
    persona = data.persona(named.get("persona", choice))
    kind = named.get("kind", view.kind)
    if kind is not None and kind not in data.kinds:
        raise QueryError(f"There is no attribute {quoted(kind)}; choose one that the page shows.")
    return replace(view, persona=persona.identity_id, kind=kind)


@dataclass(frozen=True)
class _ModelButton:
    """A button that chooses a model: its reference and its head."""

    reference: str
    model: ModelHead


def head(
    matrices: Sequence[Matrix],
    heads: Sequence[ModelHead],
    shown: Matrix,
    against: Matrix | None = None,
    pending: Sequence[str] = (),
) -> Markup:
    """Above the table: which model's it is, with whose it is compared, and what the counts say."""
    names = {matrix.model.reference: head.name for matrix, head in zip(matrices, heads, strict=True)}
    sentences = count_sentences(shown, matrices, names)
    choices = [_ModelButton(m.model.reference, head) for m, head in zip(matrices, heads, strict=True)]
    return render(
        "ui/templates/audit.html#overview_head",
        title=text.OVERVIEW_TITLE,
        choices=choices,
        chosen=shown.model.reference,
        others=[choice for choice in choices if choice.reference != shown.model.reference],
        compared=text.COMPARED_WITH,
        prefix=AGAINST,
        against="" if against is None else against.model.reference,
        sentences=sentences if against is None else [difference_sentence(shown, against, names)],
        pending=text.STILL_PREPARING.format(models=", ".join(pending)) if pending else "",
    )


@dataclass(frozen=True)
class _MatrixButton:
    """A cell: what it chooses, how it is marked, and what it says to a screen reader and where the pointer rests.

    Where models are compared, `before` is the outcome with the other one, or empty if it is the same.
    """

    address: str
    met: Fulfilment
    label: str
    before: str


@dataclass(frozen=True)
class _PersonRow:
    """A persona: the button that opens it, what was asked, and its cells by attribute."""

    address: str
    name: str
    asked: str
    words: str
    cells: Mapping[str, _MatrixButton]


def table(rows: Sequence[MatrixRow], kinds: Sequence[str], against: tuple[Matrix, str] | None = None) -> Markup:
    """The matrix: a row for each persona, a column for each attribute, each cell a button that opens it.

    Args:
        rows: in their order.
        kinds: the attributes of the data set.
        against: the matrix of the model that is compared with and its name; who differs most is then first.
    """
    changed = {} if against is None else changed_cells(rows, against[0])
    if against is not None:
        rows = sorted(rows, key=lambda row: -sum((row.persona.identity_id, c.kind) in changed for c in row.cells))
    count = counted(len(rows), "persona")
    if len(rows) > MAX_ROWS:
        count = f"Showing {MAX_ROWS:,} of {len(rows):,}; filter or search to see others"
    shown = [_person_row(row, changed, "" if against is None else against[1]) for row in rows[:MAX_ROWS]]
    present = [kind for kind in kinds if any(kind in row.cells for row in shown)]
    return render(
        "ui/templates/audit.html#overview_table",
        rows=shown,
        kinds=[(kind, kind_title(kind)) for kind in present],
        count=count,
        caption=text.OVERVIEW_CAPTION if against is None else text.DIFFERENCE_CAPTION.format(other=against[1]),
        compares=against is not None,
        legend=text.OVERVIEW_LEGEND,
    )


def _person_row(row: MatrixRow, changed: Mapping[tuple[str, str], MatrixCell], other: str) -> _PersonRow:
    identity, name = row.persona.identity_id, row.persona.name
    cells = {cell.kind: _button(identity, name, cell, changed.get((identity, cell.kind)), other) for cell in row.cells}
    return _PersonRow(cell_address(identity), name, row.asked, text.ASKED[row.asked], cells)


def _button(identity: str, name: str, cell: MatrixCell, before: MatrixCell | None, other: str) -> _MatrixButton:
    met, rank = cell.fulfilment, rank_text(cell.place.rank, cell.place.candidates)
    label = f"{kind_title(cell.kind)} of {name}: {met.outcome}, {met.answer}, rank {rank}"
    if before is not None:
        label += f"; with {other}: {before.fulfilment.outcome}"
    return _MatrixButton(
        cell_address(identity, cell.kind), met, label, "" if before is None else before.fulfilment.outcome
    )


def example_words(example: PersonaExample, names: Mapping[str, str]) -> str:
    """Why a persona is worth opening."""
    name = names[example.matrix.model.reference]
    return text.EXAMPLE_WORDS[example.outcome].format(model=name, found=example.found, of=example.of)


@dataclass(frozen=True)
class Neighbours:
    """Who stands before and after a persona in the filtered matrix, and its place of how many; 0 if it is not there."""

    before: MatrixRow | None
    after: MatrixRow | None
    place: int
    of: int


def neighbours(rows: Sequence[MatrixRow], identity: str) -> Neighbours:
    """The neighbours of a persona; of one who is not in the rows, only the first to go on with."""
    ids = [row.persona.identity_id for row in rows]
    if identity not in ids:
        return Neighbours(None, rows[0] if rows else None, 0, len(rows))
    place = ids.index(identity)
    before = rows[place - 1] if place else None
    after = rows[place + 1] if place + 1 < len(rows) else None
    return Neighbours(before, after, place + 1, len(rows))
