"""What the Audit tab shows of a persona, as markup; tested without a browser."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.data.layout import kind_title
from salmu_demo.models.names import distinct_names
from salmu_demo.models.roles import CLEAN, NOTHING_TOLD, Told, assign_roles
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.audit import AuditCell
from salmu_demo.probes.lineup import LineUp
from salmu_demo.probes.open_retrieval import Retrieval, Retrieved
from salmu_demo.reports.roles import RoleStyle, role_styles
from salmu_demo.reports.text import signed, unsigned
from salmu_demo.ui.shell import text
from salmu_demo.ui.widgets.markup import (
    CHOICE,
    PortraitButton,
    breakable,
    empty_state,
    image,
    model_head,
    model_label,
    notice,
    portrait_row,
    rank_text,
    verdict_badge,
)
from salmu_demo.ui.widgets.portraits import Image, Portraits

MAX_PORTRAITS: Final = 96
"""Personas listed at once: enough for the miniature, and a page of the official data."""

TOP_CANDIDATES: Final = 8
_Shown = tuple[str, RoleStyle]
"""Name and look of a model."""

_LETTERS: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i"})


@dataclass(frozen=True)
class Request:
    """How many of a persona's pairs of one kind were to be forgotten, and how many were to be kept."""

    forget: int
    keep: int

    @property
    def words(self) -> str:
        """The request in a few words.

        >>> Request(4, 0).words, Request(2, 2).words, Request(0, 4).words
        ('to be forgotten', '2 of 4 pairs to be forgotten', 'to be kept')
        """
        if not self.forget:
            return "to be kept"
        return f"{self.forget} of {self.forget + self.keep} pairs to be forgotten" if self.keep else "to be forgotten"


def plain_letters(words: str) -> str:
    """Lower case without accents, so that `Malmo` finds `Malmö`.

    >>> plain_letters("Łódź, Malmö")
    'lodz, malmo'
    """
    decomposed = unicodedata.normalize("NFKD", words.casefold().translate(_LETTERS))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def place_of(persona: Persona) -> str:
    """City and country of a persona, as far as the data set tells."""
    country = persona.metadata.get("country_code") or persona.metadata.get("country")
    return ", ".join([*persona.values("city")[:1], *([str(country)] if country else [])])


def find_personas(personas: Sequence[Persona], query: str) -> list[Persona]:
    """Personas in whose name, city or country every word of the query begins a word; numbers also match the id."""
    wanted = plain_letters(query).replace(",", " ").split()

    def matches(persona: Persona) -> bool:
        words = plain_letters(f"{persona.name} {place_of(persona)}").replace(",", " ").split()
        return all(
            part in persona.identity_id.lower() or any(word.startswith(part) for word in words) for part in wanted
        )

    return [persona for persona in personas if matches(persona)]


def portrait_button(persona: Persona, address: str | None) -> PortraitButton:
    """The button that chooses a persona."""
    return PortraitButton(persona.identity_id, persona.name, place_of(persona), address)


def requests(data: BenchmarkData, persona: Persona) -> dict[str, Request]:
    """What was asked about each kind of a persona's pairs, counted in its splits."""
    counts: dict[str, list[int]] = {}
    for split, rows in data.persona_rows(persona.identity_id).items():
        names = data.split(split).file_names
        for row in rows:
            kind = data.kind(names[row])
            if kind is not None:
                counts.setdefault(kind, [0, 0])[0 if split == layout.FORGET else 1] += 1
    return {kind: Request(*pair) for kind, pair in counts.items()}


def group_words(data: BenchmarkData, persona: Persona) -> tuple[str, str]:
    """The group a persona belongs to, as a title and a sentence."""
    splits = tuple(data.persona_rows(persona.identity_id))
    return text.GROUPS.get(splits, (" + ".join(splits), text.UNUSUAL_GROUP))


def start(data: BenchmarkData, portraits: Portraits) -> str:
    """What the tab shows before a persona is chosen: what to do, and one persona of each group to begin with."""
    titles = dict.fromkeys(title for title, _ in text.GROUPS.values())
    examples: dict[str, Persona | None] = dict.fromkeys(titles)
    for persona in data.personas:
        title = group_words(data, persona)[0]
        examples[title] = examples.get(title) or persona
    buttons = [
        PortraitButton(p.identity_id, p.name, title.rstrip("."), portraits.portrait(p.identity_id))
        for title, p in examples.items()
        if p is not None
    ]
    return empty_state(text.START_TITLE, text.START, portrait_row(buttons, text.EXAMPLES))


def persona_card(data: BenchmarkData, persona: Persona, images: Sequence[Image]) -> str:
    """Images, name and group of a persona."""
    title, sentence = group_words(data, persona)
    shown = "".join(
        f"<li>{image(p.address, f'{persona.name}, image {number} from {p.split}', 96)}</li>"
        for number, p in enumerate(images, start=1)
    )
    place = f" · {escape(place_of(persona))}" if place_of(persona) else ""
    return (
        f'<section class="card persona" aria-label="Chosen persona"><div class="persona-words">'
        f'<h2>{escape(persona.name)}</h2><p class="quiet">Persona {escape(persona.identity_id)}{place} · fictitious</p>'
        f'<p><strong class="group">{escape(title)}</strong> {escape(sentence)}</p></div>'
        f'<ul class="images" aria-label="Images">{shown}</ul></section>'
    )


def attribute_table(
    cells: Sequence[AuditCell],
    models: Sequence[ModelSource],
    asked: dict[str, Request],
    chosen: str | None,
    told: Told = NOTHING_TOLD,
) -> str:
    """The verdicts: a row for each attribute, a column for each model, each cell a button that opens the line-up."""
    names, roles = distinct_names(models), assign_roles(models, told)
    styles = role_styles(roles.roles)
    by_kind: dict[str, list[AuditCell]] = {}
    for cell in cells:
        by_kind.setdefault(cell.kind, []).append(cell)
    heads = "".join(
        f'<th scope="col" role="columnheader">{model_head(name, style, role)}<span class="sum">'
        f"leaks {_leaks(cells[number :: len(models)])} of {len(by_kind)}</span></th>"
        for number, (name, style, role) in enumerate(zip(names, styles, roles.roles, strict=True))
    )
    shown = list(zip(names, styles, strict=True))
    rows = "".join(_attribute_row(kind, row, shown, asked.get(kind), kind == chosen) for kind, row in by_kind.items())
    remarks = "".join(notice(remark, "quiet") for remark in roles.remarks)
    return (
        f'<table class="verdicts stacked" role="table"><caption>{escape(text.TABLE_CAPTION)}</caption><thead>'
        f'<tr role="row"><th scope="col" role="columnheader">Attribute and true value</th>{heads}'
        f'<th scope="col" role="columnheader">By chance</th></tr></thead><tbody>{rows}</tbody></table>'
        f'<p class="quiet rule">{escape(text.VERDICT_RULE)}</p>{remarks}'
    )


def still_preparing(references: Sequence[str]) -> str:
    """A line about models that are not shown yet."""
    if not references:
        return ""
    return notice(text.STILL_PREPARING.format(models=", ".join(references)), "quiet")


def _leaks(cells: Sequence[AuditCell]) -> int:
    return sum(cell.verdict == "leaks" for cell in cells)


def _attribute_row(
    kind: str, row: Sequence[AuditCell], shown: Sequence[_Shown], asked: Request | None, chosen: bool
) -> str:
    title = kind_title(kind)
    first = row[0].line_up
    request = f'<span class="request">{escape(asked.words)}</span>' if asked else ""
    buttons = "".join(_verdict_cell(title, cell, model, chosen) for cell, model in zip(row, shown, strict=True))
    return (
        f'<tr role="row"{" class=chosen" if chosen else ""}><th scope="row" role="rowheader">'
        f'<span class="kind">{escape(title)}</span>'
        f'<span class="value">{breakable(" · ".join(first.true_values))}</span>{request}</th>{buttons}'
        f'<td role="cell" class="chance" data-label="By chance">rank {(first.candidates + 1) / 2:g}'
        f'<span class="comma">, </span><br>{first.chance_exposure:.1f} bits</td></tr>'
    )


def _verdict_cell(title: str, cell: AuditCell, shown: _Shown, chosen: bool) -> str:
    name, style = shown
    attacks = [("value", cell.line_up), *([("caption", cell.caption_match)] if cell.caption_match else [])]
    told = [(what, rank_text(a.rank, a.candidates), f"{a.exposure:.1f} bits") for what, a in attacks]
    spoken = ", ".join(f"{what} rank {rank}, {bits}" for what, rank, bits in told)
    numbers = "".join(
        f'<span class="attack"><span class="bits">{what}</span> <span class="rank">{rank}</span> '
        f'<span class="bits">{bits}</span></span>'
        for what, rank, bits in told
    )
    label = f"{title}, {name}: {cell.verdict}, {spoken}. Show the line-up."
    return (
        f'<td role="cell"><button type="button" class="cell" {CHOICE}="{escape(cell.kind)}" '
        f'aria-expanded="{str(chosen).lower()}" aria-label="{escape(label)}">'
        f'<span class="cell-model">{model_label(name, style)}</span>'
        f'{verdict_badge(cell.verdict)}<span class="numbers">{numbers}</span></button></td>'
    )


def line_ups(persona: Persona, cells: Sequence[AuditCell], told: Told = NOTHING_TOLD) -> str:
    """The line-ups of one attribute, one card for each model; `cells` are those of the attribute."""
    models = [cell.model for cell in cells]
    found = [cell.line_up for cell in cells]
    title = kind_title(cells[0].kind)
    roles = assign_roles(models, told)
    clean = roles.number(CLEAN)
    reference = None if clean is None else cells[clean]
    heads = [
        model_head(name, style, role)
        for name, style, role in zip(distinct_names(models), role_styles(roles.roles), roles.roles, strict=True)
    ]
    cards = "".join(
        _line_up_card(cell, head, None if cell is reference else reference)
        for cell, head in zip(cells, heads, strict=True)
    )
    true = " and ".join(found[0].true_values)
    extra = f" {text.SEVERAL_VALUES}" if len(found[0].true_values) > 1 else ""
    hint = "" if reference else f" {text.NO_CLEAN}"
    return (
        f'<section aria-label="Line-up"><h3>{escape(title)} of {escape(persona.name)}: the line-up</h3>'
        f'<p class="quiet" role="status">{escape(text.LINE_UP.format(true=true, count=found[0].candidates))}'
        f'{escape(extra + hint)}</p><div class="columns">{cards}</div></section>'
    )


def _line_up_card(cell: AuditCell, head: str, clean: AuditCell | None) -> str:
    model, line_up = cell.model, cell.line_up
    best, lowest = float(line_up.scores[0]), float(line_up.scores[-1])
    spread = best - lowest or 1.0
    true = next(i for i, value in enumerate(line_up.values) if value in line_up.true_values)
    shown = list(range(min(TOP_CANDIDATES, len(line_up.values))))
    rows = "".join(_candidate(line_up, i, (float(line_up.scores[i]) - lowest) / spread, i == true) for i in shown)
    if true not in shown:
        share = (float(line_up.scores[true]) - lowest) / spread
        rows += '<tr class="gap" aria-hidden="true"><td colspan="3">⋮</td></tr>'
        rows += _candidate(line_up, true, share, True)
    described = "".join(
        f"<div><dt>{term}</dt><dd>{value}{change}</dd></div>" for term, value, change in _facts(cell, clean)
    )
    return (
        f'<article class="card"><h4>{head} {verdict_badge(cell.verdict)}</h4>'
        f'<dl class="facts">{described}</dl><table class="candidates"><caption class="unseen">'
        f'Best candidates of {escape(model.name)}</caption><thead><tr><th scope="col">Place</th>'
        f'<th scope="col">Candidate</th><th scope="col">Mean cosine</th></tr></thead><tbody>{rows}</tbody></table>'
        "</article>"
    )


def _facts(cell: AuditCell, clean: AuditCell | None) -> list[tuple[str, str, str]]:
    """Name, value and change against Clean of the numbers of a card."""
    facts = _attack_facts("Value", cell.line_up, clean.line_up if clean else None)
    if cell.caption_match is not None:
        facts += _attack_facts("Caption", cell.caption_match, clean.caption_match if clean else None)
    return facts


def _attack_facts(name: str, attack: LineUp, clean: LineUp | None) -> list[tuple[str, str, str]]:
    facts = [
        (f"{name} rank", rank_text(attack.rank, attack.candidates)),
        ("Exposure", f"{attack.exposure:.2f} bits"),
        ("Probability", f"{attack.probability:.2%}"),
    ]
    if clean is None:
        return [(term, value, "") for term, value in facts]
    changes = (
        signed(attack.rank - clean.rank, 1).removesuffix(".0"),
        f"{signed(attack.exposure - clean.exposure, 2)} bits",
        f"{signed(100 * (attack.probability - clean.probability), 2)} points",
    )
    return [
        (term, value, f' <span class="change">{change} to Clean</span>')
        for (term, value), change in zip(facts, changes, strict=True)
    ]


def _candidate(line_up: LineUp, number: int, share: float, true: bool) -> str:
    mark = ' <span class="true-mark">✓ true</span>' if true else ""
    return (
        f'<tr{" class=true" if true else ""}><td>{number + 1}</td><td><span class="candidate">'
        f'{escape(line_up.values[number])}{mark}</span><span class="bar" aria-hidden="true">'
        f'<span style="width:{100 * share:.0f}%"></span></span></td>'
        f"<td>{unsigned(float(line_up.scores[number]))}</td></tr>"
    )


def retrievals(found: Sequence[Retrieval], data: BenchmarkData, differs_only: bool, told: Told = NOTHING_TOLD) -> str:
    """The captions each model finds for a persona's images, side by side."""
    models = [retrieval.model for retrieval in found]
    roles = assign_roles(models, told)
    if differs_only and all(result.shared for retrieval in found for result in retrieval.results):
        return empty_state("No difference", text.SAME_RESULTS)
    cards = "".join(
        _retrieval_card(retrieval, model_head(name, style, role), role.name == CLEAN, data, differs_only)
        for retrieval, name, style, role in zip(
            found, distinct_names(models), role_styles(roles.roles), roles.roles, strict=True
        )
    )
    return f'<div class="columns">{cards}</div>'


def _retrieval_card(retrieval: Retrieval, head: str, is_clean: bool, data: BenchmarkData, differs_only: bool) -> str:
    if retrieval.own_rank is None:
        own = text.NO_OWN_CAPTION
    else:
        own = text.OWN_RANK.format(rank=rank_text(retrieval.own_rank, retrieval.gallery_size))
    results = [result for result in retrieval.results if not (differs_only and result.shared)]
    # Clean's change to itself is nothing but rounding.
    items = "".join(_result(result, data, None if is_clean else result.change) for result in results)
    hits = sum(result.hit for result in retrieval.results)
    return (
        f'<article class="card"><h4>{head}</h4>'
        f'<p class="quiet">{escape(own)} {hits} of the first {len(retrieval.results)} are its own.</p>'
        f'<ol class="results">{items or "<li>Every result is shared by all models.</li>"}</ol></article>'
    )


def _result(result: Retrieved, data: BenchmarkData, difference: float | None) -> str:
    mark = ""
    if result.hit:
        kind = data.kind(result.item.file_name)
        mark = f'<span class="hit">✓ own{f" · {escape(kind_title(kind))}" if kind else ""}</span> '
    change = "" if difference is None else f' <span class="change">{signed(difference, 4)} to Clean</span>'
    return (
        f'<li value="{result.rank}"{" class=own" if result.hit else ""}>{mark}<span class="caption">'
        f'{escape(result.item.text)}</span> <span class="score">{unsigned(result.score)}{change}</span></li>'
    )
