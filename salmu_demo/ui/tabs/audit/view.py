"""What the Audit tab shows of a persona, as markup; tested without a browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from salmu_demo.core.markup import render
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.data.layout import kind_title
from salmu_demo.data.personas import Request, place_of
from salmu_demo.models.names import distinct_names
from salmu_demo.models.roles import CLEAN, NOTHING_TOLD, Told, assign_roles
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.audit import AuditCell
from salmu_demo.probes.lineup import LineUp, Verdict
from salmu_demo.probes.open_retrieval import Retrieval, Retrieved
from salmu_demo.reports.text import counted, signed, unsigned
from salmu_demo.ui.tabs.audit import text
from salmu_demo.ui.widgets.images import Image, Portraits
from salmu_demo.ui.widgets.markup import ModelHead, empty_state, model_heads, notice, rank_text

MAX_PORTRAITS: Final = 96
"""Personas listed at once: enough for the miniature, and a page of the official data."""

TOP_CANDIDATES: Final = 8


@dataclass(frozen=True)
class PortraitButton:
    """One persona of the image list."""

    identity_id: str
    name: str
    place: str
    address: str | None


def portrait_list(buttons: Sequence[PortraitButton], total: int, chosen: str | None) -> Markup:
    """The image list: a button for each persona, and how many of all personas these are."""
    count = counted(len(buttons), "persona")
    if len(buttons) < total:
        count = f"Showing {len(buttons):,} of {total:,}; search to narrow the list"
    return render("ui/templates/audit.html#portrait_list", buttons=buttons, count=count, chosen=chosen)


def portrait_button(persona: Persona, address: str | None) -> PortraitButton:
    """The button that chooses a persona."""
    return PortraitButton(persona.identity_id, persona.name, place_of(persona), address)


def group_words(data: BenchmarkData, persona: Persona) -> tuple[str, str]:
    """The group a persona belongs to, as a title and a sentence."""
    splits = tuple(data.persona_rows(persona.identity_id))
    return text.GROUPS.get(splits, (" + ".join(splits), text.UNUSUAL_GROUP))


def start(data: BenchmarkData, portraits: Portraits) -> Markup:
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
    return render(
        "ui/templates/audit.html#start", title=text.START_TITLE, words=text.START, buttons=buttons, label=text.EXAMPLES
    )


def persona_card(data: BenchmarkData, persona: Persona, images: Sequence[Image]) -> Markup:
    """Images, name and group of a persona."""
    group, sentence = group_words(data, persona)
    return render(
        "ui/templates/audit.html#persona_card",
        persona=persona,
        place=place_of(persona),
        group=group,
        sentence=sentence,
        images=images,
    )


@dataclass(frozen=True)
class _Attack:
    """What one attack finds, in words."""

    name: str
    rank: str
    exposure: str


@dataclass(frozen=True)
class _VerdictCell:
    """What the button of one attribute and model says; `label` says it all to a screen reader."""

    kind: str
    verdict: Verdict
    attacks: Sequence[_Attack]
    label: str


@dataclass(frozen=True)
class _AttributeRow:
    """One attribute: its true values, what was asked about it, a cell for each model, and what a guess reaches."""

    title: str
    true: str
    request: str
    cells: Sequence[_VerdictCell]
    chance_rank: str
    chance_exposure: str
    chosen: bool


def attribute_table(
    cells: Sequence[AuditCell],
    models: Sequence[ModelSource],
    asked: dict[str, Request],
    chosen: str | None,
    told: Told = NOTHING_TOLD,
) -> Markup:
    """The verdicts: a row for each attribute, a column for each model, each cell a button that opens the line-up."""
    roles = assign_roles(models, told)
    heads = model_heads(distinct_names(models), roles.roles)
    by_kind: dict[str, list[AuditCell]] = {}
    for cell in cells:
        by_kind.setdefault(cell.kind, []).append(cell)
    return render(
        "ui/templates/audit.html#attribute_table",
        models=heads,
        leaks=[sum(row[number].verdict == "leaks" for row in by_kind.values()) for number in range(len(models))],
        rows=[_attribute_row(kind, row, heads, asked.get(kind), kind == chosen) for kind, row in by_kind.items()],
        caption=text.TABLE_CAPTION,
        rule=text.VERDICT_RULE,
        remarks=roles.remarks,
    )


def _attribute_row(
    kind: str, row: Sequence[AuditCell], models: Sequence[ModelHead], asked: Request | None, chosen: bool
) -> _AttributeRow:
    title, first = kind_title(kind), row[0].line_up
    return _AttributeRow(
        title=title,
        true=" · ".join(first.true_values),
        request=asked.words if asked else "",
        cells=[_verdict_cell(title, cell, model.name) for cell, model in zip(row, models, strict=True)],
        chance_rank=f"{(first.candidates + 1) / 2:g}",
        chance_exposure=f"{first.chance_exposure:.1f} bits",
        chosen=chosen,
    )


def _verdict_cell(title: str, cell: AuditCell, model: str) -> _VerdictCell:
    found = {"value": cell.line_up, **({"caption": cell.caption_match} if cell.caption_match else {})}
    attacks = [_Attack(name, rank_text(a.rank, a.candidates), f"{a.exposure:.1f} bits") for name, a in found.items()]
    spoken = ", ".join(f"{attack.name} rank {attack.rank}, {attack.exposure}" for attack in attacks)
    return _VerdictCell(
        cell.kind, cell.verdict, attacks, f"{title}, {model}: {cell.verdict}, {spoken}. Show the line-up."
    )


def still_preparing(references: Sequence[str]) -> Markup:
    """A line about models that are not shown yet."""
    return notice(text.STILL_PREPARING.format(models=", ".join(references)), "quiet") if references else Markup()


@dataclass(frozen=True)
class _Fact:
    """A number of a card, and its change against Clean, if there is one."""

    term: str
    value: str
    change: str = ""


@dataclass(frozen=True)
class _Candidate:
    """A candidate of a line-up; the bar is as long as `percent`."""

    place: int
    value: str
    score: str
    percent: str
    true: bool
    after_gap: bool


@dataclass(frozen=True)
class _LineUpCard:
    """What one model makes of an attribute."""

    model: ModelHead
    verdict: Verdict
    facts: Sequence[_Fact]
    candidates: Sequence[_Candidate]


def line_ups(persona: Persona, cells: Sequence[AuditCell], told: Told = NOTHING_TOLD) -> Markup:
    """The line-ups of one attribute, one card for each model; `cells` are those of the attribute."""
    models = [cell.model for cell in cells]
    roles = assign_roles(models, told)
    number = roles.number(CLEAN)
    clean = None if number is None else cells[number]
    first = cells[0].line_up
    words = [text.LINE_UP.format(true=" and ".join(first.true_values), count=first.candidates)]
    if len(first.true_values) > 1:
        words.append(text.SEVERAL_VALUES)
    if clean is None:
        words.append(text.NO_CLEAN)
    cards = [
        _LineUpCard(head, cell.verdict, _facts(cell, None if cell is clean else clean), _candidates(cell.line_up))
        for cell, head in zip(cells, model_heads(distinct_names(models), roles.roles), strict=True)
    ]
    return render(
        "ui/templates/audit.html#line_ups",
        title=f"{kind_title(cells[0].kind)} of {persona.name}: the line-up",
        words=" ".join(words),
        cards=cards,
    )


def _candidates(line_up: LineUp) -> list[_Candidate]:
    """The best candidates, and the true value even if it is far down."""
    best, lowest = float(line_up.scores[0]), float(line_up.scores[-1])
    spread = best - lowest or 1.0
    true = next(place for place, value in enumerate(line_up.values) if value in line_up.true_values)
    best_places = list(range(min(TOP_CANDIDATES, len(line_up.values))))
    return [
        _Candidate(
            place=place + 1,
            value=line_up.values[place],
            score=unsigned(float(line_up.scores[place])),
            percent=f"{100 * (float(line_up.scores[place]) - lowest) / spread:.0f}",
            true=place == true,
            after_gap=place not in best_places,
        )
        for place in [*best_places, *([true] if true not in best_places else [])]
    ]


def _facts(cell: AuditCell, clean: AuditCell | None) -> list[_Fact]:
    facts = _attack_facts("Value", cell.line_up, clean.line_up if clean else None)
    if cell.caption_match is not None:
        facts += _attack_facts("Caption", cell.caption_match, clean.caption_match if clean else None)
    return facts


def _attack_facts(name: str, attack: LineUp, clean: LineUp | None) -> list[_Fact]:
    changes = ("", "", "")
    if clean is not None:
        changes = (
            signed(attack.rank - clean.rank, 1).removesuffix(".0"),
            f"{signed(attack.exposure - clean.exposure, 2)} bits",
            f"{signed(100 * (attack.probability - clean.probability), 2)} points",
        )
    return [
        _Fact(f"{name} rank", rank_text(attack.rank, attack.candidates), changes[0]),
        _Fact("Exposure", f"{attack.exposure:.2f} bits", changes[1]),
        _Fact("Probability", f"{attack.probability:.2%}", changes[2]),
    ]


@dataclass(frozen=True)
class _Caption:
    """A caption that a model finds; `own` names the attribute it gives away, if it is the persona's."""

    rank: int
    own: str
    text: str
    score: str
    change: str


@dataclass(frozen=True)
class _RetrievalCard:
    """The captions of one model, and a sentence about all of them."""

    model: ModelHead
    words: str
    results: Sequence[_Caption]


def retrievals(
    found: Sequence[Retrieval], data: BenchmarkData, differs_only: bool, told: Told = NOTHING_TOLD
) -> Markup:
    """The captions each model finds for a persona's images, side by side."""
    if differs_only and all(result.shared for retrieval in found for result in retrieval.results):
        return empty_state("No difference", text.SAME_RESULTS)
    models = [retrieval.model for retrieval in found]
    roles = assign_roles(models, told).roles
    cards = [
        # Clean's change to itself is nothing but rounding.
        _retrieval_card(retrieval, head, role.name != CLEAN, data, differs_only)
        for retrieval, head, role in zip(found, model_heads(distinct_names(models), roles), roles, strict=True)
    ]
    return render("ui/templates/audit.html#retrievals", cards=cards)


def _retrieval_card(
    retrieval: Retrieval, model: ModelHead, changes: bool, data: BenchmarkData, differs_only: bool
) -> _RetrievalCard:
    own = text.NO_OWN_CAPTION
    if retrieval.own_rank is not None:
        own = text.OWN_RANK.format(rank=rank_text(retrieval.own_rank, retrieval.gallery_size))
    hits = sum(result.hit for result in retrieval.results)
    return _RetrievalCard(
        model,
        f"{own} {hits} of the first {len(retrieval.results)} are its own.",
        [
            _caption(result, data, result.change if changes else None)
            for result in retrieval.results
            if not (differs_only and result.shared)
        ],
    )


def _caption(result: Retrieved, data: BenchmarkData, change: float | None) -> _Caption:
    kind = data.kind(result.item.file_name) if result.hit else None
    own = f"own · {kind_title(kind)}" if kind else "own"
    return _Caption(
        rank=result.rank,
        own=own if result.hit else "",
        text=result.item.text,
        score=unsigned(result.score),
        change="" if change is None else signed(change, 4),
    )
