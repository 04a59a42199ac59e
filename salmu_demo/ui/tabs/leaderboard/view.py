"""What the leaderboard tab shows, as choices and as HTML; everything from files is escaped here."""

from collections.abc import Sequence
from html import escape
from typing import Final

from salmu_demo.leaderboard.export import board_csv
from salmu_demo.leaderboard.groups import Group
from salmu_demo.leaderboard.ranking import BY_DATE, BY_NAME, RULE
from salmu_demo.leaderboard.rows import Row, Source
from salmu_demo.metrics import Metric, all_metrics
from salmu_demo.reports.roles import CLEAN, COMPROMISED, UNLEARNED, RoleStyle
from salmu_demo.reports.text import signed, unsigned
from salmu_demo.ui.widgets.markup import diagnosis_badge, empty_state, model_label, notice
from salmu_demo.ui.widgets.thumbnails import data_address

SOURCES: Final = [("All", ""), *((source.capitalize(), source.value) for source in Source)]
"""Label and value of each choice of sources."""

_REFERENCE_STYLES: Final[dict[str | None, RoleStyle]] = {"clean": CLEAN, "compromised": COMPROMISED, None: UNLEARNED[0]}


def orders() -> list[tuple[str, str]]:
    """Label and value of each order."""
    metrics = [(f"{spec.number} {spec.name}", spec.name) for spec in all_metrics()]
    return [*metrics, ("Name", BY_NAME), ("Date, newest first", BY_DATE)]


def group_choices(groups: Sequence[Group]) -> list[tuple[str, str]]:
    """Label and id of each data set."""
    return [(group.title, group.id) for group in groups]


def row_choices(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Label and id of each row that may be handed in."""
    return [
        (", ".join(filter(None, (row.name, row.source, row.date[:10], f"id {row.id}"))), row.id)
        for row in rows
        if row.source is not Source.PUBLISHED
    ]


def board_html(group: Group, rows: Sequence[Row], order: str) -> str:
    """The table of one data set, in an order that was made already."""
    if not rows:
        return empty_state("No row fits", "Clear the search, or choose another source or data set.")
    heads = "".join(_head(group, spec, order) for spec in group.specs)
    body = "".join(_row(group, row, order) for row in rows)
    parts = (group.title, f"{len(rows)} of {len(group.rows)} rows", group.reference_line)
    caption = f"{'. '.join(filter(None, parts))}."
    remark = notice(group.notice) if group.notice else ""
    unknown = "" if group.identified else notice(UNKNOWN_DATA)
    return (
        f"{remark}{unknown}"
        f'<div class="wide" role="region" aria-label="Leaderboard" tabindex="0">'
        f'<table class="plain stacked board" role="table"><caption>{escape(caption)}</caption>'
        f'<thead><tr role="row"><th scope="col">Model</th><th scope="col">Diagnosis</th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{notice(RULE, 'quiet')}"
        f'<nav aria-label="Downloads"><a class="save" download="leaderboard.csv" href="{_csv_address(group, rows)}">'
        "Download CSV</a></nav>"
    )


UNKNOWN_DATA: Final = (
    "The file does not say by content or revision on which data it was measured, so its rows are ranked with no others."
)


def problems_html(problems: Sequence[str]) -> str:
    """The files that were left out, or nothing."""
    return "".join(notice(problem, "quiet") for problem in problems)


def _csv_address(group: Group, rows: Sequence[Row]) -> str:
    # The mark at the start tells spreadsheets that it is UTF-8.
    return data_address(("\ufeff" + board_csv([(group, rows)])).encode(), "text/csv")


def _head(group: Group, spec: Metric, order: str) -> str:
    target = group.target(spec)
    aim = f"target {unsigned(target)}" if target is not None else ("lower" if spec.pillar == "efficacy" else "higher")
    sort = ' aria-sort="other"' if spec.name == order else ""
    return f'<th scope="col"{sort} title="{escape(spec.explanation)}">{spec.name}<span class="aim">{aim}</span></th>'


def _row(group: Group, row: Row, order: str) -> str:
    cells = "".join(_cell(group, row, spec, order) for spec in group.specs)
    date = f' · <time datetime="{escape(row.date)}">{escape(row.date[:10])}</time>' if row.date else ""
    mark = _doubt(row.mark.kind, row.mark.sentence) if row.mark else ""
    mark += "".join(_doubt("assumed", remark) for remark in row.remarks)
    return (
        f'<tr role="row"><th scope="row" role="rowheader">{model_label(row.name, _REFERENCE_STYLES[row.role])}'
        f'<span class="origin" title="{escape(row.origin)}">{row.source}{date}</span>{mark}</th>'
        f'<td role="cell" data-label="Diagnosis">{_diagnosis(row)}</td>{cells}</tr>'
    )


def _doubt(kind: str, sentence: str) -> str:
    return f'<span class="doubt"><span class="verdict verdict-partly">{kind}</span> {escape(sentence)}</span>'


def _diagnosis(row: Row) -> str:
    label = diagnosis_badge(row.label) if row.label else escape(row.diagnosis)
    return f'{label}<span class="origin">{escape(row.reason)}</span>' if row.reason else label


def _cell(group: Group, row: Row, spec: Metric, order: str) -> str:
    value, target = row.values.get(spec.name), group.target(spec)
    if value is None:
        return f'<td role="cell" class="number missing" data-label="{spec.name}">–</td>'
    gap = ""
    if group.comparable(row, spec) is None:
        gap = f'<span class="aim">on {escape(row.zero_shot or "an unknown set")}</span>'
    elif spec.name == order and target is not None:
        gap = f'<span class="aim">{signed(value - target, 4)}</span>'
    sorted_by = " sorted" if spec.name == order else ""
    return f'<td role="cell" class="number{sorted_by}" data-label="{spec.name}">{unsigned(value)}{gap}</td>'
