"""From values to markup: every function escapes what it is given and is tested without a browser."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from salmu_demo.probes.lineup import Verdict
from salmu_demo.ui.roles import RoleStyle

CHOICE: Final = "data-choice"
"""Attribute of a button that says what it chooses, see :func:`salmu_demo.ui.widgets.choices`."""

_VERDICT_ICONS: Final[dict[Verdict, str]] = {"leaks": "✗", "partly": "◐", "forgotten": "✓"}


@dataclass(frozen=True)
class PortraitButton:
    """One persona of the picture list."""

    identity_id: str
    name: str
    place: str
    address: str


def model_label(name: str, style: RoleStyle) -> str:
    """A model's name with the colour and marker of its role; long names may break after a hyphen or slash."""
    words = escape(name).replace("-", "-<wbr>").replace("/", "/<wbr>").replace("_", "_<wbr>")
    return (
        f'<span class="model {style.css}" title="{escape(style.label)}">'
        f'<span class="marker" aria-hidden="true">{style.marker}</span> <span>{words}</span></span>'
    )


def verdict_badge(verdict: Verdict) -> str:
    """A verdict as word, icon and colour.

    >>> verdict_badge("forgotten")
    '<span class="verdict verdict-forgotten"><span aria-hidden="true">✓</span> forgotten</span>'
    """
    icon = _VERDICT_ICONS[verdict]
    return f'<span class="verdict verdict-{verdict}"><span aria-hidden="true">{icon}</span> {verdict}</span>'


def rank_text(rank: float, candidates: int) -> str:
    """A rank among candidates; ties count half.

    >>> rank_text(3.0, 96), rank_text(2.5, 96)
    ('3 of 96', '2.5 of 96')
    """
    return f"{rank:g} of {candidates:,}"


def signed(value: float, digits: int) -> str:
    """A change with its sign and a true minus.

    >>> signed(-0.12345, 4), signed(0.5, 1)
    ('−0.1234', '+0.5')
    """
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−")


def notice(text: str, css: str = "notice") -> str:
    """A short remark in a box of its own."""
    return f'<p class="{css}">{escape(text)}</p>'


def empty_state(title: str, text: str) -> str:
    """What a panel says while it has nothing to show: what to do."""
    return f'<div class="empty"><p class="empty-title">{escape(title)}</p><p>{escape(text)}</p></div>'


def portrait_list(buttons: Sequence[PortraitButton], total: int, chosen: str | None) -> str:
    """The picture list: a button for each persona, and how many of all personas these are."""
    if not buttons:
        return empty_state("Nobody found", "Try a shorter name, an id, a city or a country code.")
    items = "".join(_portrait(button, button.identity_id == chosen) for button in buttons)
    count = f"{len(buttons):,} personas"
    if len(buttons) < total:
        count = f"Showing {len(buttons):,} of {total:,}; search to narrow the list"
    return f'<p class="count" role="status">{count}</p><ul class="portraits" aria-label="Personas">{items}</ul>'


def _portrait(button: PortraitButton, chosen: bool) -> str:
    return (
        f'<li><button type="button" class="portrait" {CHOICE}="{escape(button.identity_id)}" '
        f'aria-pressed="{str(chosen).lower()}">'
        f'<img src="{escape(button.address)}" alt="" width="64" height="64">'
        f'<span class="portrait-name">{escape(button.name)}</span>'
        f'<span class="portrait-place">{escape(button.place)}</span></button></li>'
    )


def definition_table(rows: Iterable[Sequence[str]], header: Sequence[str], caption: str) -> str:
    """A plain table of texts; the first column heads the rows. On narrow screens every row becomes a block."""
    heads = "".join(f'<th scope="col">{escape(title)}</th>' for title in header)
    body = ""
    for row in rows:
        cells = "".join(
            f'<td role="cell" data-label="{escape(title)}">{escape(cell)}</td>'
            for title, cell in zip(header[1:], row[1:], strict=True)
        )
        body += f'<tr role="row"><th scope="row" role="rowheader">{escape(row[0])}</th>{cells}</tr>'
    return (
        f'<table class="plain stacked" role="table"><caption>{escape(caption)}</caption>'
        f'<thead><tr role="row">{heads}</tr></thead><tbody>{body}</tbody></table>'
    )
