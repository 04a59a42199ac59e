"""The results of a free search as rows and as HTML; everything from data, models or visitors is escaped here."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Final

from salmu_demo.core.notices import MINI_NOTICE, SCORES_NOTICE
from salmu_demo.models.roles import CLEAN
from salmu_demo.reports.roles import RoleStyle, role_styles
from salmu_demo.ui.widgets.markup import model_label
from salmu_demo.ui.widgets.thumbnails import data_address
from salmu_demo.workbench.search import Answer, Column, answer_csv, answer_json

GALLERY_WORDS: Final = {
    "all": "Everything",
    "forget": "Pairs that were to be forgotten",
    "holdouts": "Personal pairs that were to stay",
    "retain": "Plain pairs without private data",
}
CONTENT_WORDS: Final = {"faces": "Faces", "captions": "Captions"}
SPLIT_WORDS: Final = {
    "forget": "to be forgotten",
    "holdout_association": "to stay: other pair",
    "holdout_identity": "to stay: other persona",
    "retain_synth": "plain",
}
NAMED: Final = "✔ named in your query"
DIFFERS: Final = "≠ not in every list"

Thumbnail = Callable[[str, int], str | None]


@dataclass(frozen=True)
class RowView:
    """One result, in words."""

    rank: str
    score: str
    change: str
    text: str
    persona: str
    split: str
    marks: tuple[str, ...]
    thumbnail: str | None


@dataclass(frozen=True)
class ColumnView:
    """The results of one model, in words.

    Attributes:
        name: the model.
        style: its look by role; None if it did not answer.
        role: what it is to the others.
        summary: one sentence about the whole list.
        rows: the results to show, best first.
        empty: what to say instead, if there are none.
    """

    name: str
    style: RoleStyle | None
    role: str
    summary: str
    rows: tuple[RowView, ...]
    empty: str


def signed(number: float | None) -> str:
    """A difference with its sign and four decimals.

    >>> signed(0.12345), signed(-0.00001), signed(None)
    ('+0.1235', '0.0000', '–')
    """
    if number is None:
        return "–"
    return "0.0000" if abs(number) < 0.00005 else f"{number:+.4f}".replace("-", "−")


def plain(number: float | None) -> str:
    """A score with four decimals.

    >>> plain(0.25), plain(-0.5), plain(-0.00001)
    ('0.2500', '−0.5000', '0.0000')
    """
    if number is None:
        return "–"
    return "0.0000" if abs(number) < 0.00005 else f"{number:.4f}".replace("-", "−")


def column_views(answer: Answer, differs_only: bool, thumbnail: Thumbnail | None = None) -> list[ColumnView]:
    """The answer in words, one entry for each model.

    Args:
        answer: what the models answered.
        differs_only: whether results that every model returned are left out.
        thumbnail: gives the address of a row's image; None for captions.
    """
    styles = iter(role_styles([column.role for column in answer.columns if column.retrieval is not None]))
    people = {persona.identity_id: persona.name for persona in answer.data.personas}
    named = {persona.identity_id for persona in answer.named}
    several = len(answer.models) > 1
    views = []
    for column in answer.columns:
        if column.retrieval is None:
            views.append(ColumnView(column.name, None, "No answer", "", (), column.error))
            continue
        results = column.retrieval.results
        is_clean = column.role.name == CLEAN
        rows = tuple(
            RowView(
                rank=str(result.rank),
                score=plain(result.score),
                change="–" if is_clean else signed(result.change),
                text=result.item.text,
                persona=people.get(result.item.identity or "", "no persona"),
                split=SPLIT_WORDS.get(result.item.split, result.item.split),
                marks=(
                    *((NAMED,) if result.item.identity in named else ()),
                    *((DIFFERS,) if several and not result.shared else ()),
                ),
                thumbnail=thumbnail(result.item.split, result.item.row) if thumbnail else None,
            )
            for result in results
            if not (differs_only and several and result.shared)
        )
        empty = "" if rows else "Every result of this model is in the other lists too."
        style = next(styles)
        role = column.role.title or style.label
        views.append(ColumnView(column.name, style, role, _summary(answer, column), rows, empty))
    return views


def _summary(answer: Answer, column: Column) -> str:
    if column.retrieval is None:
        return ""
    results, size = column.retrieval.results, column.retrieval.gallery_size
    start = f"Best {len(results):,} of {size:,} {answer.settings.content}."
    if not answer.named:
        return start
    wanted = {persona.identity_id for persona in answer.named}
    name = answer.named[0].name if len(answer.named) == 1 else "A persona named in your query"
    first = next((result.rank for result in results if result.item.identity in wanted), None)
    return f"{start} {name} is {'not among them' if first is None else f'first at rank {first}'}."


def answer_html(answer: Answer, differs_only: bool, thumbnail: Thumbnail) -> str:
    """The whole answer: what was asked, a column for each model, and downloads."""
    faces = answer.settings.content == "faces"
    views = column_views(answer, differs_only, thumbnail if faces else None)
    settings = answer.settings
    heading = (
        f"{CONTENT_WORDS[settings.content]} for {escape(answer.query.title)} in "
        f"<em>{escape(GALLERY_WORDS[settings.gallery])}</em>"
    )
    notes = ["Score: cosine of query and result, exact. To Clean: score minus the Clean model's for the same item."]
    if not any(column.role.name == CLEAN for column in answer.columns):
        notes = ["Score: cosine of query and result, exact. Choose a Clean model too to see changes against it."]
    if differs_only and len(answer.models) < 2:
        notes.append("With one model there is nothing to differ from, so all results are shown.")
    if answer.data.is_mini:
        notes.append(MINI_NOTICE)
    notes.append(SCORES_NOTICE)
    return (
        f'<section class="probe" aria-label="Search results"><header><h2>{heading}</h2>{_downloads(answer)}</header>'
        f'<div class="columns">{"".join(_column_html(view, faces) for view in views)}</div>'
        f'<p class="notes">{escape(" ".join(notes))}</p></section>'
    )


def own_image_html(address: str) -> str:
    """The visitor's image and what becomes of it."""
    return (
        f'<figure class="own"><img src="{escape(address)}" alt="Your image"><figcaption><b>Your image</b><br>Not '
        "kept: the uploaded file is deleted already; for an hour at most the memory holds a copy at the models' input "
        "size, to search with it again.</figcaption></figure>"
    )


EMPTY_HTML: Final = (
    '<section class="probe nothing"><p class="big">Nothing searched yet</p><p>Type a text and press Enter, choose an '
    "example, or give an image of your own. Each model at the top of the page then gets a column here, and you see "
    "where they differ.</p></section>"
)


def _downloads(answer: Answer) -> str:
    # Addresses that hold the file itself: one click saves it, and no query is ever written to the server's disk.
    files = (
        ("JSON", "probe.json", "application/json", answer_json(answer)),
        ("CSV", "probe.csv", "text/csv", "\ufeff" + answer_csv(answer)),
    )
    links = "".join(
        f'<a class="save" download="{name}" href="{data_address(text.encode(), kind)}">Download {label}</a>'
        for label, name, kind, text in files
    )
    return f'<nav aria-label="Downloads">{links}</nav>'


def _column_html(view: ColumnView, faces: bool) -> str:
    name = model_label(view.name, view.style) if view.style else escape(view.name)
    heading = f'<h3>{name}</h3><p class="role">{escape(view.role)}</p><p class="summary">{escape(view.summary)}</p>'
    if not view.rows:
        return f'<article class="column">{heading}<p class="none">{escape(view.empty)}</p></article>'
    images = f'<ol class="faces">{"".join(map(_face_html, view.rows))}</ol>' if faces else ""
    last = "Face and its caption" if faces else "Caption"
    heads = "".join(f'<th scope="col">{title}</th>' for title in ("#", "Score", "To Clean", last))
    # The roles keep it a table for screen readers when narrow screens lay its rows out as blocks.
    table = (
        f'<table role="table" aria-label="Results of {escape(view.name)}"><thead><tr role="row">{heads}</tr></thead>'
        f"<tbody>{''.join(map(_row_html, view.rows))}</tbody></table>"
    )
    return f'<article class="column">{heading}{images}{table}</article>'


def _face_html(row: RowView) -> str:
    alt = escape(f"Result {row.rank}: {row.persona}")
    image = f'<img src="{escape(row.thumbnail)}" alt="{alt}">' if row.thumbnail else "<i>damaged</i>"
    named = ' class="named"' if NAMED in row.marks else ""
    return f"<li{named}>{image}<span>#{row.rank} {row.score}</span></li>"


def _row_html(row: RowView) -> str:
    named = ' class="named"' if NAMED in row.marks else ""
    about = escape(" · ".join((row.persona, row.split, *row.marks)))
    return (
        f'<tr role="row"{named}><td role="cell" class="rank">{row.rank}</td>'
        f'<td role="cell" class="number">{row.score}</td><td role="cell" class="number to-clean">{row.change}</td>'
        f'<td role="cell" class="what">'
        f'<span class="text">{escape(row.text)}</span><span class="whose">{about}</span></td></tr>'
    )


CSS: Final = """
.probe { color: var(--body-text-color); }
.probe header { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; justify-content: space-between;
  margin-bottom: 12px; }
.probe h2 { margin: 8px 0; font-size: 1.1rem; font-weight: 600; overflow-wrap: anywhere; }
.probe h2 em { font-style: normal; color: var(--body-text-color-subdued); }
.probe nav { display: flex; gap: 8px; }
.probe .columns { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(265px, 100%), 1fr)); }
.probe .column { container-type: inline-size; min-width: 0; padding: 14px; border-radius: 12px;
  border: 1px solid var(--border-color-primary); background: var(--background-fill-primary); }
.probe h3 { margin: 0; font-size: 1rem; font-weight: 600; overflow-wrap: anywhere; }
.probe .role, .probe .summary { margin: 2px 0 0; font-size: 0.85rem; color: var(--body-text-color-subdued); }
.probe .summary { margin-bottom: 10px; color: var(--body-text-color); }
.probe .none { margin: 0; padding: 12px; border-radius: 8px; background: var(--background-fill-secondary);
  overflow-wrap: anywhere; }
.probe .faces { display: grid; grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)); gap: 8px; margin: 0 0 12px;
  padding: 0; list-style: none; }
.probe .faces li { margin: 0; text-align: center; font-size: 0.75rem; font-variant-numeric: tabular-nums; }
.probe .faces img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 8px; margin: 0; }
.probe .faces .named img { outline: 3px solid var(--color-accent); outline-offset: -1px; }
.probe table { width: 100%; margin: 0; padding: 0; border: 0; border-collapse: collapse; font-size: 0.875rem; }
.probe th { padding: 4px 6px; border: 0; border-bottom: 1px solid var(--border-color-primary); text-align: left;
  font-size: 0.75rem; font-weight: 600; white-space: nowrap; color: var(--body-text-color-subdued); }
.probe td { padding: 6px; border: 0; border-bottom: 1px solid var(--border-color-primary); vertical-align: top; }
.probe tr { border: 0; }
.probe tr:last-child td { border-bottom: 0; }
.probe tr.named td { background: var(--color-accent-soft); }
.probe .number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.probe .text { display: block; overflow-wrap: anywhere; }
.probe .whose { display: block; font-size: 0.78rem; color: var(--body-text-color-subdued); overflow-wrap: anywhere; }
.probe tr.named .whose { color: var(--body-text-color); }
.probe .notes { margin: 10px 0 0; font-size: 0.8rem; color: var(--body-text-color-subdued); }
.probe tr.named .rank { box-shadow: inset 3px 0 var(--color-accent); font-weight: 700; }
.probe.nothing { padding: 36px 16px; border: 1px dashed var(--border-color-primary); border-radius: 12px;
  text-align: center; color: var(--body-text-color-subdued); }
.probe.nothing .big { margin-bottom: 4px; font-size: 1.1rem; font-weight: 600; color: var(--body-text-color); }
.probe.nothing p { max-width: 46em; margin: 0 auto; }
@container (max-width: 400px) {
  .probe table, .probe tbody { display: block; }
  .probe thead { display: none; }
  .probe tr { display: flex; flex-wrap: wrap; gap: 0 14px; margin: 0; padding: 7px 6px; background: none;
    border: 0; border-bottom: 1px solid var(--border-color-primary); }
  .probe tr:last-child { border-bottom: 0; }
  .probe tr.named { background: var(--color-accent-soft); box-shadow: inset 3px 0 var(--color-accent); }
  .probe td, .probe tr.named td { padding: 0; border: 0; background: none; }
  .probe tr.named .rank { box-shadow: none; }
  .probe .rank { font-weight: 700; }
  .probe .rank::before { content: "#"; }
  .probe .to-clean::before { content: "to Clean "; color: var(--body-text-color-subdued); }
  .probe tr.named .to-clean::before { color: inherit; }
  .probe .what { flex: 1 0 100%; }
}
.own { display: flex; gap: 12px; align-items: center; margin: 0; }
.own img { width: 72px; height: 72px; object-fit: cover; border-radius: 8px; margin: 0; }
.own figcaption { font-size: 0.85rem; color: var(--body-text-color); }
"""
