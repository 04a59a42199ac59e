"""What the Audit tab shows of an author of CLEAR, as markup; tested without a browser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from salmu_demo.core.markup import render
from salmu_demo.data.dataset import Persona
from salmu_demo.models.roles import NOTHING_TOLD, Told, assign_roles
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.author_findings import LINES, AuthorFinding, AuthorReading, EvidenceLine, LineName
from salmu_demo.probes.authors import Authors, find_name, says_name
from salmu_demo.probes.findings import Fulfilment
from salmu_demo.reports.text import capital
from salmu_demo.ui.tabs.authors import text
from salmu_demo.ui.widgets.images import Image
from salmu_demo.ui.widgets.markup import ModelHead, empty_state, model_heads, notice

MAX_ROWS: Final = 100
"""Authors shown at once: everybody in the miniature."""


@dataclass(frozen=True)
class Piece:
    """A piece of a text: whether it is the author's whole name (`name`), a part of it (`part`), or nothing of it."""

    words: str
    kind: str = ""


def marked(words: str, name: str) -> list[Piece]:
    """A text in pieces, those that give a name away marked.

    >>> marked("meet rita thomassen!", "Rita Thomassen")
    [Piece(words='meet ', kind=''), Piece(words='rita thomassen', kind='name'), Piece(words='!', kind='')]
    """
    pieces, end = [], 0
    for span in find_name(words, name):
        pieces += [
            Piece(words[end : span.start]),
            Piece(words[span.start : span.end], "name" if span.whole else "part"),
        ]
        end = span.end
    return [piece for piece in [*pieces, Piece(words[end:])] if piece.words]


@dataclass(frozen=True)
class _AuthorStanding:
    """An author among the others of the overview."""

    persona: Persona


@dataclass(frozen=True)
class _Beside:
    """Who stands before and after an author in the overview."""

    before: _AuthorStanding | None
    after: _AuthorStanding | None
    place: int
    of: int


def author_card(authors: Authors, persona: Persona, images: Sequence[Image], order: Sequence[str]) -> Markup:
    """Images, name and group of an author, and the ways to others: those of the overview in its order."""
    group, sentence = text.GROUPS[authors.side(persona.identity_id)]
    return render(
        "ui/templates/audit.html#persona_card",
        persona=persona,
        place="",
        group=group,
        sentence=sentence,
        images=images,
        beside=_beside(authors, persona.identity_id, order),
    )


def _beside(authors: Authors, identity: str, order: Sequence[str]) -> _Beside:
    if identity not in order:
        return _Beside(None, None, 0, len(order))
    place = list(order).index(identity)

    def at(number: int) -> _AuthorStanding | None:
        return _AuthorStanding(authors.people[order[number]]) if 0 <= number < len(order) else None

    return _Beside(at(place - 1), at(place + 1), place + 1, len(order))


@dataclass(frozen=True)
class _OverviewRow:
    """An author and, for each model, how many captions have the name; `leaks` if that was not asked for."""

    address: str
    name: str
    words: str
    cells: Sequence[tuple[str, bool]]


def order_of(authors: Authors, found: Sequence[Persona]) -> list[str]:
    """Ids of some people as the overview lists them: those to be forgotten first."""
    ids = [persona.identity_id for persona in found]
    return sorted(ids, key=lambda identity: authors.side(identity) != "forget")


def overview(
    authors: Authors,
    order: Sequence[str],
    models: Sequence[ModelSource],
    captions: Sequence[Mapping[str, tuple[str, ...]]],
    told: Told = NOTHING_TOLD,
) -> Markup:
    """Everybody, with how many of each model's captions have the name.

    Args:
        authors: the people.
        order: whom to list.
        models: those that write.
        captions: theirs, by person.
        told: which models the user says are the references.
    """
    if not models:
        return empty_state(text.START_TITLE, text.NO_WRITER)
    saying = [
        {
            identity: sum(says_name(words, authors.people[identity].name) for words in texts)
            for identity, texts in of.items()
        }
        for of in captions
    ]
    rows = [_overview_row(authors, identity, saying) for identity in order[:MAX_ROWS]]
    heads = model_heads(models, assign_roles(models, told).roles)
    return render(
        "ui/templates/authors.html#overview",
        title=text.OVERVIEW_TITLE,
        counts=[_count(authors, head.name, of) for head, of in zip(heads, saying, strict=True)],
        words=(text.START, text.REFERENCES),
        models=heads,
        rows=rows,
        shown=""
        if len(rows) == len(authors.people)
        else text.OVERVIEW_SHOWN.format(shown=len(rows), total=len(authors.people)),
        caption=text.OVERVIEW_CAPTION,
    )


def _count(authors: Authors, model: str, saying: Mapping[str, int]) -> str:
    """Of how many people a model writes the name at all, as a sentence."""
    said = {}
    for side in text.ASKED:
        on_side = [count for identity, count in saying.items() if authors.side(identity) == side]
        said[side] = text.OF_AUTHORS.format(count=sum(count > 0 for count in on_side), total=len(on_side))
    return text.OVERVIEW_COUNT.format(model=model, **said)


def _overview_row(authors: Authors, identity: str, saying: Sequence[Mapping[str, int]]) -> _OverviewRow:
    side, total = authors.side(identity), len(authors.images(identity))
    cells = [
        (text.OF_AUTHORS.format(count=of[identity], total=total), side == "forget" and of[identity] > 0)
        for of in saying
    ]
    return _OverviewRow(identity, authors.people[identity].name, text.ASKED[side], cells)


@dataclass(frozen=True)
class _EvidenceCell:
    """What a model shows on one line of evidence: `lacks` says why it shows nothing."""

    met: Fulfilment | None
    value: str
    others: str
    reason: str
    lacks: str = ""


@dataclass(frozen=True)
class _LineRow:
    """A line of evidence: a cell for each model."""

    title: str
    words: str
    cells: Sequence[_EvidenceCell]


def verdicts(findings: Sequence[AuthorFinding], told: Told = NOTHING_TOLD) -> Markup:
    """The verdicts: a row for each line of evidence, a column for each model."""
    models = [finding.model for finding in findings]
    roles = assign_roles(models, told)
    return render(
        "ui/templates/authors.html#verdicts",
        models=model_heads(models, roles.roles),
        sums=[_sum(finding) for finding in findings],
        rows=[_LineRow(*text.LINES[name], [_cell(finding, name) for finding in findings]) for name in LINES],
        caption=text.TABLE_CAPTION,
        rule=text.RULE,
        remarks=roles.remarks,
    )


def _sum(finding: AuthorFinding) -> str:
    """How much was not done as asked."""
    if all(line.fulfilment.answer == "never taught" for line in finding.lines):
        return "never taught"
    failed = sum(line.fulfilment.as_asked is False for line in finding.lines)
    return f"{failed} of {len(finding.lines)} not as asked"


def _cell(finding: AuthorFinding, name: LineName) -> _EvidenceCell:
    line = finding.line(name)
    if line is None:
        return _EvidenceCell(None, "", "", "", text.NOT_READ.format(reason=finding.reading.lacks[name]))
    value, others = _numbers(finding.reading, line)
    return _EvidenceCell(line.fulfilment, value, others, capital(line.reason))


def _numbers(reading: AuthorReading, line: EvidenceLine) -> tuple[str, str]:
    """The value of a line, and what it is of others, in words."""
    own, others = line.measure.own, float(line.measure.others.mean()) if len(line.measure.others) else 0.0
    if line.name == "captions":
        count = len(reading.captions or ())
        return f"{round(own * count)} of {count} captions", f"others: {others:.1%}"
    if line.name == "name":
        # A model that knows the name finds it likely whomever it sees: what an image adds is in the last digits.
        return f"{own:.4f}", f"others: {others:.4f}, by chance: {1 / len(reading.names):.2f}"
    right = sum(answer.right for answer in reading.answers)
    value = sum(answer.probability for answer in reading.answers) / len(reading.answers)
    rise = own - others
    return (
        f"{right} of {len(reading.answers)} right, {value:.2f}",
        f"log-probability {'+' if rise >= 0 else '−'}{abs(rise):.2f} a token over other names",
    )


@dataclass(frozen=True)
class _CaptionedImage:
    """An image, its true caption, and what a model writes about it."""

    image: Image
    alt: str
    truth: str
    pieces: Sequence[Piece]


@dataclass(frozen=True)
class _Name:
    """A candidate with its probability; the bar is as long as `percent`."""

    name: str
    probability: str
    percent: str
    true: bool


@dataclass(frozen=True)
class _AnswerRow:
    """A question with the true answer and a model's own."""

    question: str
    truth: str
    pieces: Sequence[Piece]
    probability: str
    right: bool


@dataclass(frozen=True)
class _Card:
    """What one model says."""

    model: ModelHead
    images: Sequence[_CaptionedImage]
    names: Sequence[_Name]
    answers: Sequence[_AnswerRow]
    lacks: Sequence[str]


def evidence(
    authors: Authors,
    persona: Persona,
    findings: Sequence[AuthorFinding],
    images: Sequence[Image],
    told: Told = NOTHING_TOLD,
) -> Markup:
    """What the verdicts rest on, a card for each model: captions, names and answers."""
    models = [finding.model for finding in findings]
    heads = model_heads(models, assign_roles(models, told).roles)
    truths = [authors.caption(shown) for shown in authors.images(persona.identity_id)]
    return render(
        "ui/templates/authors.html#evidence",
        titles=(text.CAPTIONS, text.NAMES, text.ANSWERS),
        cards=[
            _card(finding.reading, head, persona.name, truths, images)
            for finding, head in zip(findings, heads, strict=True)
        ],
    )


def _card(reading: AuthorReading, head: ModelHead, name: str, truths: Sequence[str], images: Sequence[Image]) -> _Card:
    captioned = [
        _CaptionedImage(
            image, f"{name}, image {number}", text.TRUE_CAPTION.format(caption=truth), marked(caption, name)
        )
        for number, (caption, truth, image) in enumerate(
            zip(reading.captions or (), truths, images, strict=reading.captions is not None), start=1
        )
    ]
    order = [] if "name" in reading.lacks else sorted(range(len(reading.names)), key=lambda n: -reading.shares[n])
    names = [
        _Name(reading.names[n], f"{reading.shares[n]:.3f}", f"{100 * reading.shares[n]:.0f}", n == 0) for n in order
    ]
    answers = [
        _AnswerRow(a.question, a.truth, marked(a.written, name), f"{a.probability:.2f}", a.right)
        for a in reading.answers
    ]
    return _Card(
        head, captioned, names, answers, [text.NOT_READ.format(reason=r) for r in dict.fromkeys(reading.lacks.values())]
    )


def following() -> Markup:
    """A line where what models say is being asked."""
    return notice(text.FOLLOWING, "quiet")
