"""Everybody at a glance as a report: personas by attributes for each model; in HTML a mark leads to its numbers."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from salmu_demo.core.files import atomic_path, write_text
from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.data.layout import kind_title
from salmu_demo.data.personas import Asked
from salmu_demo.metrics.line_up import chance_exposure
from salmu_demo.models.roles import TITLES
from salmu_demo.probes.findings import ALPHA, Answer, Outcome
from salmu_demo.probes.matrix import Matrix, MatrixRow, chosen_rows, count_sentences
from salmu_demo.reports.content import data_line, printable_report
from salmu_demo.reports.html import report_html
from salmu_demo.reports.markdown import report_markdown
from salmu_demo.reports.pdf import report_pdf
from salmu_demo.reports.report import Block, Report, Section, Table
from salmu_demo.reports.tables import Cell, csv_table
from salmu_demo.reports.text import counted, listed
from salmu_demo.results.records import MeasuredData

EVERYBODY: Final = "everybody"
"""Name of the files."""

_WHAT: Final = "The report of everybody"
_MOST_PEOPLE: Final = 100
"""People in the report of a model, the worst leaks first; the CSV file has all."""

_RESTS_ON: Final = "In the HTML report a mark leads to what it rests on; the CSV file has the same numbers."

_WITHOUT: Final = (
    "Of {models} no verdicts about each person are shown: the data or the model is not on this machine as it was "
    "measured, or not all of what verdicts rest on is encoded, as `salmu-demo probe MODEL… --everybody` does."
)

MARKS: Final[dict[Outcome, str]] = {
    "leaks": "✗",
    "lost": "⊘",
    "marked": "⚑",
    "no evidence": "○",
    "not known": "?",
    "kept": "✓",
}
_LOOKS: Final[dict[Answer, str]] = {
    "as asked": "good",
    "not as asked": "bad",
    "stands out": "odd",
    "cannot tell": "unsure",
    "never taught": "unsure",
}
_ASKED: Final[dict[Asked, str]] = {"forget": "to be forgotten", "keep": "to be kept", "both": "some of both"}
_SIDES: Final = {"forget": "to be forgotten", "kept": "to be kept"}
_RULE: Final = (
    "Each line-up ranks the true value among the same thing about others, in sentences without a name. leaks, marked: "
    f"at the top or bottom with p at most {ALPHA}, and so far from the others that chance seldom puts a value there, "
    "corrected for the number of a persona's attributes; lost: it was to be kept, Compromised finds it and the model "
    "does not; not known: Compromised does not find it either; no evidence: neither end, or those who were never "
    "taught look the same. Only what was not done as asked is red."
)


def everybody_report(matrices: Sequence[Matrix], names: Mapping[str, str], data: MeasuredData) -> Report:
    """The report; the same matrices give the same report.

    Args:
        matrices: of all models that are compared.
        names: what the models are called, by their references.
        data: the data set.
    """
    kinds = _kinds(matrices)
    sections = [
        Section(names[matrix.model.reference], tuple(_model(matrix, matrices, names, kinds, f"m{number}")))
        for number, matrix in enumerate(matrices)
    ]
    measured = Table(
        "What was audited.",
        ("Model", "Role", "Given as", "Fingerprint (SHA-256)"),
        tuple(
            (names[m.model.reference], TITLES.get(m.role or "", "model"), m.model.reference, m.model.fingerprint)
            for m in matrices
        ),
        4,
    )
    facts = (("Data", data.name), ("Data fingerprint (SHA-256)", data.fingerprint or ""))
    last = Section("What was measured on what", (measured, Table("On what.", ("Fact", "Value"), facts, 2)))
    title = f"What {listed(list(names.values()))} know of everybody, on {data.name}"
    rule = Section("The rule", (_RULE, _RESTS_ON))
    return printable_report(Report(title, (data_line(data), SCORES_NOTICE), (), (*sections, rule, last)))


def everybody_section(matrices: Sequence[Matrix], names: Mapping[str, str], others: Sequence[str]) -> Section:
    """The same matrices as a section of a report of other things; they are about all rows of the data.

    Args:
        matrices: of all models whose verdicts are known.
        names: what these are called, by their references.
        others: what the other models of the report are called.
    """
    kinds = _kinds(matrices)
    blocks: list[Block] = [_RULE, _RESTS_ON] if matrices else []
    if others:
        blocks.append(_WITHOUT.format(models=listed(others)))
    for number, matrix in enumerate(matrices):
        blocks += _model(matrix, matrices, names, kinds, f"m{number}")
    return Section("Everybody", tuple(blocks), on_all_rows=True)


def _kinds(matrices: Sequence[Matrix]) -> list[str]:
    return list(dict.fromkeys(cell.kind for matrix in matrices for row in matrix.rows for cell in row.cells))


def _model(
    matrix: Matrix, every: Sequence[Matrix], names: Mapping[str, str], kinds: Sequence[str], prefix: str
) -> Iterator[Block]:
    """What the counts say, the marks, and what each of them rests on."""
    yield " ".join(count_sentences(matrix, every, names)) or "Nothing was asked about anybody."
    rows = chosen_rows(matrix)
    shown = rows[:_MOST_PEOPLE]
    if not shown:
        return
    if len(shown) < len(rows):
        yield f"The first {len(shown)} of {counted(len(rows), 'persona')}; all are in the CSV file."
    name = names[matrix.model.reference]
    found = [(row, {cell.kind: cell for cell in row.cells}) for row in shown]
    yield Table(
        f"{name}: people by attributes, the worst leak first.",
        ("Person", "Asked", *map(kind_title, kinds)),
        tuple(
            (
                row.persona.name,
                _ASKED[row.asked],
                *(f"{MARKS[c.fulfilment.outcome]} {c.fulfilment.outcome}" if (c := by.get(k)) else "" for k in kinds),
            )
            for row, by in found
        ),
        2 + len(kinds),
        links=tuple(
            ("", "", *(_anchor(prefix, row, kind) if kind in by else "" for kind in kinds)) for row, by in found
        ),
        looks=tuple(
            ("", "", *(_LOOKS[c.fulfilment.answer] if (c := by.get(k)) else "" for k in kinds)) for _, by in found
        ),
    )
    cells = [(row, cell) for row in shown for cell in row.cells]
    yield Table(
        f"{name}: what each mark rests on, the nameless line-up. Exposure is in bits.",
        ("Person", "Attribute", "Images", "Outcome", "As asked", "Rank", "Of", "Exposure", "By chance", "p"),
        tuple(
            (
                row.persona.name, kind_title(cell.kind), _SIDES[cell.side], cell.fulfilment.outcome,
                cell.fulfilment.answer, f"{cell.place.rank:,.10g}", f"{cell.place.candidates:,}",
                f"{cell.place.exposure:.2f}", f"{_by_chance(cell.place.candidates, cell.place.true):.2f}",
                f"{cell.place.p:.3f}",
            )
            for row, cell in cells
        ),
        5,
        anchors=tuple(_anchor(prefix, row, cell.kind) for row, cell in cells),
        on_screen=True,
    )  # fmt: skip


@cache
def _by_chance(candidates: int, true: int) -> float:
    """Kept, because a data set has few such pairs and thousands of cells."""
    return chance_exposure(candidates, true)


def _anchor(prefix: str, row: MatrixRow, kind: str) -> str:
    return f"{prefix}-{row.persona.identity_id}-{kind}"


def everybody_csv(matrices: Sequence[Matrix], names: Mapping[str, str], data: MeasuredData) -> str:
    """One line for each (model, persona, attribute), with nothing left out."""
    header = (
        "model", "persona", "name", "asked", "kind", "side", "verdict", "outcome", "answer", "rank", "candidates",
        "exposure_bits", "chance_exposure_bits", "p",
    )  # fmt: skip

    def lines() -> Iterator[tuple[Cell, ...]]:
        for matrix in matrices:
            for row in chosen_rows(matrix):
                for cell in row.cells:
                    place, met = cell.place, cell.fulfilment
                    yield (
                        names[matrix.model.reference], row.persona.identity_id, row.persona.name, row.asked, cell.kind,
                        cell.side, cell.verdict, met.outcome, met.answer, place.rank, place.candidates, place.exposure,
                        _by_chance(place.candidates, place.true), place.p,
                    )  # fmt: skip

    return csv_table(data, header, lines())


def write_everybody(
    matrices: Sequence[Matrix], names: Mapping[str, str], data: MeasuredData, folder: Path
) -> list[Path]:
    """Write HTML, PDF, Markdown and CSV; each file whole or not at all.

    Raises:
        StorageError: if a file cannot be written.
    """
    report = everybody_report(matrices, names, data)
    texts = {
        ".html": report_html(report, {}),
        ".md": report_markdown(report),
        # A byte order mark tells spreadsheets that the text is UTF-8.
        ".csv": f"\ufeff{everybody_csv(matrices, names, data)}",
    }
    for ending, text in texts.items():
        write_text(folder / f"{EVERYBODY}{ending}", text, _WHAT)
    with atomic_path(folder / f"{EVERYBODY}.pdf", _WHAT) as temporary:
        temporary.write_bytes(report_pdf(report, {}))
    return [folder / f"{EVERYBODY}{ending}" for ending in (*texts, ".pdf")]
