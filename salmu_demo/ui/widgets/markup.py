"""From values to markup: every function escapes what it is given and is tested without a browser."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from salmu_demo.models.roles import ModelRole
from salmu_demo.probes.lineup import Verdict
from salmu_demo.reports.roles import RoleStyle
from salmu_demo.results.diagnosis import Label

CHOICE: Final = "data-choice"
"""Attribute of a button that says what it chooses, see :func:`salmu_demo.ui.widgets.components.choices`."""

_VERDICT_ICONS: Final[dict[Verdict, str]] = {"leaks": "✗", "partly": "◐", "forgotten": "✓"}


_DIAGNOSES: Final = {
    Label.PASS: ("✓", "forgotten"),
    Label.OVER_GENERALISED: ("◐", "partly"),
    Label.CATASTROPHIC: ("⚠", "leaks"),
    Label.INEFFECTIVE: ("✗", "leaks"),
    Label.UNKNOWN: ("?", "unknown"),
}
"""Icon and colour of each diagnosis."""


@dataclass(frozen=True)
class PortraitButton:
    """One persona of the image list."""

    identity_id: str
    name: str
    place: str
    address: str | None


def model_label(name: str, style: RoleStyle) -> str:
    """A model's name with the colour and marker of its role; long names may break after a hyphen or slash."""
    return (
        f'<span class="model {style.css}" title="{escape(style.label)}">'
        f'<span class="marker" aria-hidden="true">{style.marker}</span> <span>{breakable(name)}</span></span>'
    )


def model_head(name: str, style: RoleStyle, role: ModelRole) -> str:
    """A model at the head of a table or card: its name, and under it what it is to the others."""
    title = f'<span class="role-title">{escape(role.title)}</span>' if role.title else ""
    return model_label(name, style) + title


def verdict_badge(verdict: Verdict) -> str:
    """A verdict as word, icon and colour.

    >>> verdict_badge("forgotten")
    '<span class="verdict verdict-forgotten"><span aria-hidden="true">✓</span> forgotten</span>'
    """
    icon = _VERDICT_ICONS[verdict]
    return f'<span class="verdict verdict-{verdict}"><span aria-hidden="true">{icon}</span> {verdict}</span>'


def diagnosis_badge(label: Label) -> str:
    """A diagnosis as word, icon and colour.

    >>> diagnosis_badge(Label.PASS)
    '<span class="verdict verdict-forgotten"><span aria-hidden="true">✓</span> clean pass</span>'
    """
    icon, css = _DIAGNOSES[label]
    return f'<span class="verdict verdict-{css}"><span aria-hidden="true">{icon}</span> {label}</span>'


def rank_text(rank: float, candidates: int) -> str:
    """A rank among candidates; ties count half.

    >>> rank_text(3.0, 96), rank_text(100_000.5, 200_000)
    ('3 of 96', '100,000.5 of 200,000')
    """
    return f"{rank:,.10g} of {candidates:,}"


def breakable(value: str) -> str:
    """An escaped value that may break after a sign instead of within a word.

    >>> breakable("a.b@c")
    'a.<wbr>b@<wbr>c'
    """
    words = escape(value)
    for sign in ("@", ".", "-", "_", "/"):
        words = words.replace(sign, f"{sign}<wbr>")
    return words


def notice(text: str, css: str = "notice") -> str:
    """A short remark in a box of its own."""
    return f'<p class="{css}">{escape(text)}</p>'


def empty_state(title: str, text: str, more: str = "") -> str:
    """What a panel says while it has nothing to show: what to do, and markup that helps with it."""
    return f'<div class="empty"><p class="empty-title">{escape(title)}</p><p>{escape(text)}</p>{more}</div>'


def portrait_list(buttons: Sequence[PortraitButton], total: int, chosen: str | None) -> str:
    """The image list: a button for each persona, and how many of all personas these are."""
    if not buttons:
        return empty_state("Nobody found", "Try a shorter name, an id, a city or a country code.")
    count = f"{len(buttons):,} persona{'s' if len(buttons) > 1 else ''}"
    if len(buttons) < total:
        count = f"Showing {len(buttons):,} of {total:,}; search to narrow the list"
    return f'<p class="count" role="status">{count}</p>{portrait_row(buttons, "Personas", chosen)}'


def portrait_row(buttons: Sequence[PortraitButton], label: str, chosen: str | None = None) -> str:
    """Buttons for some personas; `label` says to a screen reader what they are."""
    items = "".join(_portrait(button, button.identity_id == chosen) for button in buttons)
    return f'<ul class="portraits" aria-label="{escape(label)}">{items}</ul>'


def image(address: str | None, alt: str, side: int) -> str:
    """A square image, or an empty frame in its place if it is damaged."""
    if address is None:
        return f'<span class="no-image" role="img" aria-label="{escape(alt)} (damaged)"></span>'
    return f'<img src="{escape(address)}" alt="{escape(alt)}" width="{side}" height="{side}">'


def _portrait(button: PortraitButton, chosen: bool) -> str:
    return (
        f'<li><button type="button" class="portrait" {CHOICE}="{escape(button.identity_id)}" '
        f'aria-pressed="{str(chosen).lower()}">'
        f"{image(button.address, '', 64)}"
        f'<span class="portrait-name">{escape(button.name)}</span>'
        f'<span class="portrait-place">{escape(button.place)}</span></button></li>'
    )


def definition_table(rows: Iterable[Sequence[str]], header: Sequence[str], caption: str) -> str:
    """A plain table of texts; the first column heads the rows. On narrow screens every row becomes a block."""
    heads = "".join(f'<th scope="col">{escape(title)}</th>' for title in header)
    body = ""
    for row in rows:
        cells = "".join(
            f'<td role="cell" data-label="{escape(title)}">{breakable(cell)}</td>'
            for title, cell in zip(header[1:], row[1:], strict=True)
        )
        body += f'<tr role="row"><th scope="row" role="rowheader">{escape(row[0])}</th>{cells}</tr>'
    return (
        f'<table class="plain stacked" role="table"><caption>{escape(caption)}</caption>'
        f'<thead><tr role="row">{heads}</tr></thead><tbody>{body}</tbody></table>'
    )
