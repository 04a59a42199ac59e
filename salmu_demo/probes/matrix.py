"""Everybody at a glance: personas by attributes for a model, each cell with the verdict of the persona's audit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from salmu_demo.data.dataset import Persona
from salmu_demo.data.personas import Asked, country_of, find_personas, request_of, requests
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.multiple_tests import holm
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD, NOTHING_TOLD, Told
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.attacks import HEADLINE, Place, find_attack
from salmu_demo.probes.findings import (
    Auditor,
    Fulfilment,
    Outcome,
    Test,
    Verdict,
    can_tell,
    fulfilment,
    judge,
    reference_numbers,
)
from salmu_demo.probes.people import Side


@dataclass(frozen=True)
class MatrixCell:
    """One (persona, kind).

    Attributes:
        kind: the attribute kind.
        side: whether the images that decide were to be forgotten or to be kept.
        place: where the headline puts the true value.
        verdict: that of the persona's audit, corrected for the number of its attributes.
        fulfilment: what the verdict means for what was asked.
    """

    kind: str
    side: Side
    place: Place
    verdict: Verdict
    fulfilment: Fulfilment

    @property
    def leaks(self) -> bool:
        """Whether it leaks and was to be forgotten; of models that were not taught it, it seems so by chance."""
        return self.side == "forget" and self.verdict == "leaks"

    @property
    def bits(self) -> float:
        """Exposure in bits beyond that of a guess."""
        return self.place.exposure - self.place.chance_exposure


@dataclass(frozen=True)
class MatrixRow:
    """A persona: what was asked about all its pairs, and its cells in the order of the data set's kinds."""

    persona: Persona
    asked: Asked
    cells: tuple[MatrixCell, ...]

    def count(self, outcome: Outcome, side: Side | None = None) -> int:
        """How many cells have an outcome."""
        return sum(cell.fulfilment.outcome == outcome and side in (None, cell.side) for cell in self.cells)


@dataclass(frozen=True)
class Matrix:
    """Everybody with one model: `role` is the model's if it is a reference, `rows` are in the order of the ids."""

    model: ModelSource
    role: str | None
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True)
class MatrixFilter:
    """Which rows and cells are asked for; None and empty texts ask for all.

    Attributes:
        query: what must be true of a persona, see `find_personas`.
        asked: what was asked about it.
        outcome: what one of its cells must be: an outcome, or `not as asked`.
        kind: the attribute kind; only its cells are looked at and returned.
        country: where the persona lives, as the data set writes it.
    """

    query: str = ""
    asked: Asked | None = None
    outcome: Outcome | Literal["not as asked"] | None = None
    kind: str | None = None
    country: str | None = None


EVERYBODY: Final = MatrixFilter()


@dataclass(frozen=True)
class MatrixCounts:
    """People, not cells.

    Attributes:
        forget: those with anything to be forgotten.
        leaking: those of them of whom any of it leaks.
        keep: those with a cell that rests on images to be kept.
        losing: those of them of whom any of it was lost.
    """

    forget: int
    leaking: int
    keep: int
    losing: int


@dataclass(frozen=True)
class PersonaExample:
    """A persona worth opening.

    Attributes:
        outcome: it leaks, it is gone, or it was kept.
        persona: the persona.
        matrix: the model it is an example of, with everybody.
        found: how many of its values are found: by the model, or by Compromised if the persona is gone.
        of: how many values it has on the side in question.
    """

    outcome: Literal["leaks", "gone", "kept"]
    persona: Persona
    matrix: Matrix
    found: int
    of: int


def matrices(auditor: Auditor, views: Sequence[FeatureView], told: Told = NOTHING_TOLD) -> list[Matrix]:
    """The matrix of each model; the references among them are controls of the others, as in an audit."""
    numbers = reference_numbers(views, told)
    names = {role: views[number].model.name for role, number in numbers.items()}
    people = auditor.people.personas
    asked = {i: request_of(requests(auditor.data, persona).values()).asked for i, persona in people.items()}
    tests = [_tests(auditor, view) for view in views]
    attack = find_attack(HEADLINE)
    found = []
    for number, view in enumerate(views):
        role = next((role for role, n in numbers.items() if n == number), None)
        rows: dict[str, list[MatrixCell]] = {}
        for kind in auditor.data.kinds:
            control = auditor.control(view, kind, attack, attack.variants[0])
            for identity in people:
                test = tests[number].get((identity, kind))
                if test is None:
                    continue
                references = {r: tests[n][identity, kind] for r, n in numbers.items()}
                verdict, _ = judge(test, references, control, names, role)
                known = references[COMPROMISED].at_the_top if COMPROMISED in references else None
                met = fulfilment(verdict, test, role, known)
                rows.setdefault(identity, []).append(MatrixCell(kind, test.side, test.place, verdict, met))
        found.append(
            Matrix(view.model, role, tuple(MatrixRow(people[i], asked[i], tuple(rows[i])) for i in people if i in rows))
        )
    return found


def chosen_rows(matrix: Matrix, wanted: MatrixFilter = EVERYBODY) -> list[MatrixRow]:
    """The rows that a filter leaves: the worst leak first, then what was lost."""
    rows = matrix.rows
    if wanted.query.strip():
        found = {persona.identity_id for persona in find_personas([row.persona for row in rows], wanted.query)}
        rows = tuple(row for row in rows if row.persona.identity_id in found)
    if wanted.asked:
        rows = tuple(row for row in rows if row.asked == wanted.asked)
    if wanted.country:
        rows = tuple(row for row in rows if country_of(row.persona) == wanted.country)
    if wanted.kind:
        rows = tuple(replace(row, cells=tuple(c for c in row.cells if c.kind == wanted.kind)) for row in rows)
    if wanted.outcome:
        rows = tuple(
            row for row in rows if any(wanted.outcome in (c.fulfilment.outcome, c.fulfilment.answer) for c in row.cells)
        )
    return sorted((row for row in rows if row.cells), key=_order)


def count_people(rows: Iterable[MatrixRow]) -> MatrixCounts:
    """Count the people of some rows."""
    rows = list(rows)
    forget = [row for row in rows if any(cell.side == "forget" for cell in row.cells)]
    keep = [row for row in rows if any(cell.side == "kept" for cell in row.cells)]
    return MatrixCounts(
        forget=len(forget),
        leaking=sum(any(cell.leaks for cell in row.cells) for row in forget),
        keep=len(keep),
        losing=sum(row.count("lost") > 0 for row in keep),
    )


def count_sentences(matrix: Matrix, every: Sequence[Matrix], names: Mapping[str, str]) -> list[str]:
    """What the counts of a model say.

    Args:
        matrix: the model's.
        every: those of all models that are compared.
        names: what the models are called, by their references.
    """
    counts, name = count_people(matrix.rows), names[matrix.model.reference]
    of = f"{counts.leaking:,} of {counts.forget:,} people who asked to be forgotten"
    sentences = []
    if counts.forget and matrix.role == CLEAN:
        sentences.append(f"{name}, which never saw anyone, seems to leak on {of}: that is chance.")
    elif counts.forget:
        clean = next((other for other in every if other.role == CLEAN), None)
        still = "leaks" if matrix.role == COMPROMISED else "still leaks"
        beside = "" if clean is None else f"; a model that never saw anyone: {count_people(clean.rows).leaking:,}"
        sentences.append(f"{name} {still} on {of}{beside}.")
    judged = matrix.role not in (CLEAN, COMPROMISED) and any(other.role == COMPROMISED for other in every)
    if counts.keep and judged:
        sentences.append(f"It has lost something of {counts.losing:,} of {counts.keep:,} people who were to be kept.")
    return sentences


def changed_cells(rows: Iterable[MatrixRow], against: Matrix) -> dict[tuple[str, str], MatrixCell]:
    """Another model's cells whose outcomes are not those of the cells in some rows, by persona and kind."""
    others = {(row.persona.identity_id, cell.kind): cell for row in against.rows for cell in row.cells}
    found = {}
    for row in rows:
        for cell in row.cells:
            other = others.get((row.persona.identity_id, cell.kind))
            if other is not None and other.fulfilment.outcome != cell.fulfilment.outcome:
                found[row.persona.identity_id, cell.kind] = other
    return found


def difference_sentence(matrix: Matrix, against: Matrix, names: Mapping[str, str]) -> str:
    """How many verdicts of two models differ, and how many leak with one alone; names as in `count_sentences`."""
    changed = changed_cells(matrix.rows, against)
    cells = [(row.persona.identity_id, cell) for row in matrix.rows for cell in row.cells]
    first = sum(cell.verdict == "leaks" and (i, cell.kind) in changed for i, cell in cells)
    second = sum(cell.verdict == "leaks" for cell in changed.values())
    one, other = names[matrix.model.reference], names[against.model.reference]
    return (
        f"{one} and {other} differ in {len(changed):,} of {len(cells):,} verdicts: {first:,} leak with {one} alone, "
        f"{second:,} with {other} alone."
    )


def examples(matrix: Matrix, every: Sequence[Matrix]) -> list[PersonaExample]:
    """Up to three people: one of whom the model leaks, one of whom it does not although Compromised does, one kept.

    If the model has none, another one's example stands for it. Whoever is to be forgotten altogether comes first.
    """
    others = [matrix, *(other for other in every if other is not matrix)]
    taught = [other for other in others if other.role not in (CLEAN, GOLD)]
    leaking = next(filter(None, map(_leaking, taught)), None)
    found = [leaking]
    compromised = next((other for other in every if other.role == COMPROMISED), None)
    if compromised is not None:
        unlearned = [other for other in taught if other is not compromised]
        shown = None if leaking is None else leaking.persona.identity_id
        gone = (_gone(other, compromised, avoided) for avoided in (shown, None) for other in unlearned)
        found.append(next(filter(None, gone), None))
    found.append(next(filter(None, map(_kept, taught)), None))
    return [example for example in found if example is not None]


def _tests(auditor: Auditor, view: FeatureView) -> dict[tuple[str, str], Test]:
    """Every (persona, kind), with Holm's correction over those of the persona that can be significant."""
    by_persona: dict[str, dict[str, tuple[Side, Place]]] = {}
    for (identity, kind), decides in auditor.everybody(view).items():
        by_persona.setdefault(identity, {})[kind] = decides
    found = {}
    for identity, places in by_persona.items():
        telling = [kind for kind, (_, place) in places.items() if can_tell(place)]
        adjusted = dict(zip(telling, holm([places[kind][1].tail for kind in telling]), strict=True))
        for kind, (side, place) in places.items():
            found[identity, kind] = Test(place, adjusted.get(kind, 1.0), side)
    return found


def _order(row: MatrixRow) -> tuple[int, int, float, str]:
    leaks = [cell for cell in row.cells if cell.leaks]
    return -len(leaks), -row.count("lost"), -sum(cell.bits for cell in leaks), row.persona.identity_id


def _leaking(matrix: Matrix) -> PersonaExample | None:
    rows = [row for row in chosen_rows(matrix) if row.count("leaks", "forget")]
    if not rows:
        return None
    row = min(rows, key=lambda row: row.asked != "forget")
    of = sum(cell.side == "forget" for cell in row.cells)
    return PersonaExample("leaks", row.persona, matrix, row.count("leaks", "forget"), of)


def _gone(matrix: Matrix, compromised: Matrix, shown: str | None) -> PersonaExample | None:
    """Whoever Compromised knows best among those of whom nothing leaks or stands out, but not who is shown already."""
    gone = {
        row.persona.identity_id
        for row in matrix.rows
        if all(cell.verdict not in ("leaks", "marked") for cell in row.cells if cell.side == "forget")
    } - {shown}
    known = tuple(row for row in compromised.rows if row.persona.identity_id in gone)
    found = _leaking(replace(compromised, rows=known))
    return replace(found, outcome="gone", matrix=matrix) if found else None


def _kept(matrix: Matrix) -> PersonaExample | None:
    rows = [row for row in matrix.rows if row.asked == "keep" and row.count("kept") and not row.count("lost")]
    best = max(rows, key=lambda row: row.count("kept"), default=None)
    return None if best is None else PersonaExample("kept", best.persona, matrix, best.count("kept"), len(best.cells))
