"""What the Audit tab shows of a persona, as markup; tested without a browser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from markupsafe import Markup

from salmu_demo.core.markup import render
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.data.layout import kind_title
from salmu_demo.data.personas import Request, place_of
from salmu_demo.models.roles import CLEAN, NOTHING_TOLD, TITLES, Told, assign_roles
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.attacks import PersonaReading, find_attack
from salmu_demo.probes.findings import OUTCOMES, AuditCell, Finding, Fulfilment, Test, fulfilment
from salmu_demo.probes.open_retrieval import Retrieval, Retrieved
from salmu_demo.reports.text import NOTHING, counted, signed, unsigned
from salmu_demo.results.questions import Label
from salmu_demo.ui.shell.text import WHY_THEY_DIFFER, WHY_THEY_DIFFER_TITLE
from salmu_demo.ui.tabs.audit import text
from salmu_demo.ui.tabs.audit.overview import Neighbours
from salmu_demo.ui.widgets.images import Image, Portraits
from salmu_demo.ui.widgets.markup import ModelHead, empty_state, model_heads, notice, rank_text, terms

MAX_PORTRAITS: Final = 96
"""Personas listed at once: enough for the miniature, and a page of the official data."""

TOP_CANDIDATES: Final = 8

_NEVER_TAUGHT: Final = "Never taught"
_TERMS: Final = ("Rank", "Exposure", "p", *TITLES.values(), _NEVER_TAUGHT)
"""Rows of the table of an attribute's numbers, in their order."""


@dataclass(frozen=True)
class PortraitButton:
    """One persona of the image list."""

    identity_id: str
    name: str
    place: str
    address: str | None
    title: str = ""


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


def start(data: BenchmarkData, portraits: Portraits, worth: Sequence[tuple[Persona, str, str]] = ()) -> Markup:
    """What the tab shows before a persona is chosen: what to do, and a few to begin with.

    Args:
        data: the data set.
        portraits: its personas' thumbnails.
        worth: personas worth opening, each with a title and a reason; one of each group if no verdict is known yet.
    """
    if worth:
        chosen = [
            PortraitButton(p.identity_id, p.name, words, portraits.portrait(p.identity_id), title)
            for p, title, words in worth
        ]
        return render(
            "ui/templates/audit.html#start",
            title=text.START_TITLE,
            words=text.START,
            buttons=chosen,
            label=text.WORTH_OPENING,
        )
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


def persona_card(
    data: BenchmarkData, persona: Persona, images: Sequence[Image], beside: Neighbours | None = None
) -> Markup:
    """Images, name and group of a persona, and the ways to others."""
    group, sentence = group_words(data, persona)
    return render(
        "ui/templates/audit.html#persona_card",
        persona=persona,
        place=place_of(persona),
        group=group,
        sentence=sentence,
        images=images,
        beside=beside,
    )


@dataclass(frozen=True)
class _VerdictCell:
    """What the button of one attribute and model says; `label` says it all to a screen reader."""

    kind: str
    met: Fulfilment
    answer: str
    rank: str
    exposure: str
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
    heads = model_heads(models, roles.roles)
    by_kind: dict[str, list[AuditCell]] = {}
    for cell in cells:
        by_kind.setdefault(cell.kind, []).append(cell)
    return render(
        "ui/templates/audit.html#attribute_table",
        models=heads,
        sums=[_sum([row[number].fulfilment for row in by_kind.values()]) for number in range(len(models))],
        rows=[_attribute_row(kind, row, heads, asked.get(kind), kind == chosen) for kind, row in by_kind.items()],
        caption=text.TABLE_CAPTION,
        words=terms("verdicts", *OUTCOMES, "as asked", "rank", "exposure", "by chance"),
        remarks=roles.remarks,
    )


def _sum(met: Sequence[Fulfilment]) -> str:
    """How much was not done as asked, over all attributes of a persona with one model."""
    if all(each.answer == "never taught" for each in met):
        return "never taught"
    failed = sum(each.as_asked is False for each in met)
    return f"{failed} of {len(met)} not as asked"


def _attribute_row(
    kind: str, row: Sequence[AuditCell], models: Sequence[ModelHead], asked: Request | None, chosen: bool
) -> _AttributeRow:
    title, first = kind_title(kind), row[0].headline.reading
    return _AttributeRow(
        title=title,
        true=" · ".join(first.true_values),
        request=asked.words if asked else "",
        cells=[_verdict_cell(title, cell, model.name) for cell, model in zip(row, models, strict=True)],
        chance_rank=f"{(first.place.candidates + 1) / 2:g}",
        chance_exposure=f"{first.place.chance_exposure:.1f} bits",
        chosen=chosen,
    )


def _verdict_cell(title: str, cell: AuditCell, model: str) -> _VerdictCell:
    place = cell.headline.reading.place
    rank, bits = rank_text(place.rank, place.candidates), f"{place.exposure:.1f} bits"
    met = cell.fulfilment
    # Whatever is not known, nobody can tell.
    answer = "" if met.outcome == "not known" else met.answer
    words = ", ".join(filter(None, [met.outcome, answer, f"rank {rank}", bits]))
    return _VerdictCell(cell.kind, met, answer, rank, bits, f"{title}, {model}: {words}. Show the line-up.")


def diagnoses(models: Sequence[ModelSource], labels: Mapping[str, Label], told: Told = NOTHING_TOLD) -> Markup:
    """What the benchmark says of the models, by reference, and why that can differ; nothing if it says nothing."""
    if not labels:
        return Markup()
    heads = model_heads(models, assign_roles(models, told).roles)
    return render(
        "ui/templates/audit.html#diagnoses",
        title=text.DIAGNOSES,
        models=[(head, labels[m.reference]) for m, head in zip(models, heads, strict=True) if m.reference in labels],
        why=WHY_THEY_DIFFER_TITLE,
        words=WHY_THEY_DIFFER,
    )


def still_preparing(references: Sequence[str]) -> Markup:
    """A line about models that are not shown yet."""
    return notice(text.STILL_PREPARING.format(models=", ".join(references)), "quiet") if references else Markup()


def following() -> Markup:
    """A line where more is being computed."""
    return notice(text.FOLLOWING, "quiet")


@dataclass(frozen=True)
class _CardNumber:
    """A number of a card."""

    term: str
    value: str


@dataclass(frozen=True)
class WhatWasUsed:
    """What line-ups rest on beside their sentences: images that were used, and who has which value, by name."""

    images: Sequence[Image] = ()
    owners: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _RankedValue:
    """A candidate of a line-up and whose it is; the bar is as long as `percent`."""

    place: int
    value: str
    owner: str
    score: str
    percent: str
    true: bool
    after_gap: bool


@dataclass(frozen=True)
class _AttackRow:
    """A further attack: what it gives, where the truth stands, and where it stands in the controls.

    Of an attack that says nothing about the value, `met` is None.
    """

    title: str
    gives: str
    rank: str
    exposure: str
    p: str
    met: Fulfilment | None
    words: str
    controls: Sequence[_CardNumber]


NOTHING_USED: Final = WhatWasUsed()


@dataclass(frozen=True)
class _LineUpCard:
    """What one model makes of an attribute."""

    model: ModelHead
    met: Fulfilment
    reason: str
    facts: Mapping[str, str]
    candidates: Sequence[_RankedValue]
    attacks: Sequence[_AttackRow]
    remarks: Sequence[str]


def line_ups(
    persona: Persona,
    cells: Sequence[AuditCell],
    told: Told = NOTHING_TOLD,
    kinds: Sequence[str] = (),
    evidence: WhatWasUsed = NOTHING_USED,
) -> Markup:
    """The line-ups of one attribute: what they rest on, and a card for each model with the list that decided.

    Args:
        persona: whose attribute it is.
        cells: the attribute's, one for each model.
        told: which models the user says are the references.
        kinds: all attributes of the persona, among which the heading goes on and back; it goes from the last to the
            first.
        evidence: what they rest on.
    """
    place = kinds.index(cells[0].kind) if cells[0].kind in kinds else 0
    others = [kinds[place - 1], kinds[(place + 1) % len(kinds)]] if len(kinds) > 1 else []
    models = [cell.model for cell in cells]
    roles = assign_roles(models, told)
    first = cells[0].headline.reading
    images = text.IMAGES[first.side]
    words = [text.LINE_UP.format(true=" and ".join(first.true_values), images=images, count=first.place.candidates)]
    if len(first.true_values) > 1:
        words.append(text.SEVERAL_VALUES)
    if roles.number(CLEAN) is None:
        words.append(text.NO_CLEAN)
    words += [f"{find_attack(s.attack).title}, {s.variant}: skipped. {s.reason}" for s in cells[0].skipped]
    owners = {value: _owner(names, persona.name) for value, names in evidence.owners.items()}
    cards = [_card(cell, head, owners) for cell, head in zip(cells, model_heads(models, roles.roles), strict=True)]
    used = text.USED.format(
        images=counted(len(first.shown), "image"), sentences=counted(len(first.sentences), "sentence")
    )
    if len(evidence.images) < len(first.shown):
        used += text.SOME_IMAGES.format(shown=len(evidence.images))
    return render(
        "ui/templates/audit.html#line_ups",
        title=f"{kind_title(cells[0].kind)} of {persona.name}: the line-up",
        others=[(kind, kind_title(kind)) for kind in others],
        words=" ".join(words),
        used=used,
        images=evidence.images,
        sentences=[sentence.replace("{value}", "…") for sentence in first.sentences],
        further=text.FURTHER,
        rows=[
            (term, [card.facts.get(term, NOTHING) for card in cards])
            for term in _TERMS
            if any(term in card.facts for card in cards)
        ],
        explained={entry.name: entry for entry in terms("line-up", "rank", "exposure", "p", "never taught")},
        cards=cards,
    )


def _owner(names: Sequence[str], persona: str) -> str:
    """Whose a value is: the persona itself, if it is among them, and how many others."""
    first = persona if persona in names else names[0]
    return first if len(names) == 1 else f"{first} and {counted(len(names) - 1, 'other')}"


def _card(cell: AuditCell, head: ModelHead, owners: Mapping[str, str]) -> _LineUpCard:
    finding = cell.headline
    place, interval = finding.reading.place, finding.reading.interval
    bits = f"{place.exposure:.2f} bits"
    facts = {
        "Rank": rank_text(place.rank, place.candidates),
        "Exposure": bits if interval is None else f"{bits} ({interval[0]:.2f} to {interval[1]:.2f})",
        "p": f"{place.p:.3f}, corrected {finding.adjusted:.3f}",
        **{fact.term: fact.value for fact in _controls(finding)},
    }
    rows = [_attack_row(other, cell.role) for other in cell.findings[1:]]
    candidates = _candidates(finding.reading, owners)
    return _LineUpCard(head, cell.fulfilment, finding.reason, facts, candidates, rows, cell.remarks)


def _controls(finding: Finding) -> list[_CardNumber]:
    """Where the truth stands in the references, and what the attack finds of never-taught people."""
    found = [
        _CardNumber(TITLES[role], f"rank {rank_text(r.place.rank, r.place.candidates)}, {r.place.exposure:.2f} bits")
        for role, r in finding.references.items()
    ]
    control = finding.control
    if control is not None:
        words = f"first for {control.first} of {control.people}, {control.exposure:.2f} bits"
        found.append(_CardNumber(_NEVER_TAUGHT, words))
    return found


def _attack_row(finding: Finding, role: str | None) -> _AttackRow:
    reading = finding.reading
    attack, place = find_attack(reading.attack), reading.place
    named = [part for part in (reading.variant, text.SIDES[reading.side]) if part and part != "own images"]
    placebo = reading.placebo
    words = finding.reason if placebo is None else text.PLACEBO.format(true=placebo.true, wrong=placebo.wrong)
    # Whether something was lost, only the line-up that decides can say.
    test = Test(place, finding.adjusted, reading.side)
    met = None if finding.verdict is None else fulfilment(finding.verdict, test, role, None)
    return _AttackRow(
        title=", ".join([attack.title, *named]),
        gives=attack.gives,
        rank=rank_text(place.rank, place.candidates),
        exposure=f"{place.exposure:.2f} bits",
        p=f"{place.p:.3f}",
        met=met,
        words=words,
        controls=_controls(finding),
    )


def _candidates(reading: PersonaReading, owners: Mapping[str, str]) -> list[_RankedValue]:
    """The best candidates, and the true value even if it is far down."""
    best, lowest = float(reading.scores[0]), float(reading.scores[-1])
    spread = best - lowest or 1.0
    true = next(place for place, value in enumerate(reading.values) if value in reading.true_values)
    best_places = list(range(min(TOP_CANDIDATES, len(reading.values))))
    return [
        _RankedValue(
            place=place + 1,
            value=reading.values[place],
            owner=owners.get(reading.values[place], ""),
            score=unsigned(float(reading.scores[place])),
            percent=f"{100 * (float(reading.scores[place]) - lowest) / spread:.0f}",
            true=place == true,
            after_gap=place not in best_places,
        )
        for place in [*best_places, *([true] if true not in best_places else [])]
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
        for retrieval, head, role in zip(found, model_heads(models, roles), roles, strict=True)
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
