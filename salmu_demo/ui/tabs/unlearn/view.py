"""What the Unlearn tab shows of methods and of runs, as markup; everything is escaped here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Final

from salmu_demo.probes.lineup import verdict_of
from salmu_demo.results.diagnosis import MIN_REFERENCE_GAP
from salmu_demo.ui.tabs.unlearn import text
from salmu_demo.ui.tabs.unlearn.curve import curve_svg
from salmu_demo.ui.widgets.markup import definition_table, image, notice, rank_text, verdict_badge
from salmu_demo.ui.widgets.people import People
from salmu_demo.unlearning.training_metrics import TrainingMetrics, retain_shift

FORGETS_LITTLE: Final = 0.5
"""Below this share of the way from the original to unrelated pairs, a run forgets little."""

KEEPS_LITTLE: Final = 0.85
"""Below this share of the retain similarity a run damages what is to be kept."""

_SIDE: Final = 64


@dataclass(frozen=True)
class MethodFacts:
    """What is said about a method: its title, one-line idea, citation, and what it has to be given."""

    title: str
    idea: str
    citation: str
    needs: Sequence[str]


def method_card(facts: MethodFacts) -> str:
    """A method in a few lines."""
    return (
        f'<div class="card method"><p><b>{escape(facts.title)}</b> {escape(facts.idea)}</p>'
        f'<p class="quiet">{escape(facts.citation)}. Needs {escape(", ".join(facts.needs))}.</p></div>'
    )


@dataclass(frozen=True)
class Standing:
    """How far a run is.

    Attributes:
        forgotten: share of the way of the forget similarity from the original's to that of unrelated pairs; above 1 if
            it has gone beyond; None where the original does not tell the two apart.
        kept: share of the original's retain similarity that is left, see :func:`retain_shift`.
    """

    forgotten: float | None
    kept: float

    @classmethod
    def of(cls, first: TrainingMetrics, last: TrainingMetrics) -> "Standing":
        """From the first and the latest reading."""
        distance = first.forget_similarity - first.unrelated_similarity
        shift = retain_shift(first.retain_similarity)
        return cls(
            (first.forget_similarity - last.forget_similarity) / distance if distance >= MIN_REFERENCE_GAP else None,
            (last.retain_similarity + shift) / (first.retain_similarity + shift),
        )

    @property
    def badge(self) -> str:
        """The standing as icon, words and colour."""
        if self.kept < KEEPS_LITTLE:
            icon, words, css = "⚠", "damages what is to be kept", "leaks"
        elif self.forgotten is None or self.forgotten < FORGETS_LITTLE:
            icon, words, css = "✗", "forgets little", "partly"
        else:
            icon, words, css = "✓", "forgets, and keeps the rest", "forgotten"
        return f'<span class="verdict verdict-{css}"><span aria-hidden="true">{icon}</span> {words}</span>'


def live_view(
    readings: Sequence[TrainingMetrics], budget: int, people: People, portrait: Callable[[str], str | None] | None
) -> str:
    """What a run has found out so far; nothing before its first reading.

    Args:
        readings: in the order of their steps.
        budget: forget pairs of the whole run.
        people: names of the personas.
        portrait: address of a persona's image; None if the run is on other data than the page.
    """
    if not readings:
        return ""
    return (
        f'<div class="run"><section aria-label="Curves">{_standing(readings)}{_curves(readings, budget)}</section>'
        f'<section aria-label="Personas">{_personas(readings, people, portrait)}</section></div>'
    )


def _standing(readings: Sequence[TrainingMetrics]) -> str:
    standing = Standing.of(readings[0], readings[-1])
    shares = [
        (standing.forgotten, "of the way to unrelated pairs"),
        (standing.kept, "of the retain similarity kept"),
    ]
    words = "".join(f"<li><b>{share:.0%}</b> {what}</li>" for share, what in shares if share is not None)
    return f'<p class="standing">{standing.badge}</p><ul class="shares">{words}</ul>'


def _curves(readings: Sequence[TrainingMetrics], budget: int) -> str:
    first, last = readings[0], readings[-1]
    sentence = text.CURVE.format(
        forget_first=first.forget_similarity,
        forget_last=last.forget_similarity,
        retain_first=first.retain_similarity,
        retain_last=last.retain_similarity,
        unrelated=last.unrelated_similarity,
    )
    header = ("Forget pairs", "Forget similarity", "Retain similarity", "Unrelated similarity", "Forget MRR")
    rows = [
        [
            f"{reading.forget_pairs:,}",
            *(
                f"{value:.3f}"
                for value in (
                    reading.forget_similarity,
                    reading.retain_similarity,
                    reading.unrelated_similarity,
                    reading.forget_mrr,
                )
            ),
        ]
        for reading in readings
    ]
    return (
        f'<figure class="curves">{curve_svg(readings, budget, sentence)}<figcaption>{escape(sentence)}</figcaption>'
        f"<details><summary>The table behind it</summary>{definition_table(rows, header, 'Readings')}</details>"
        "</figure>"
        f"{notice(text.NO_DIAGNOSIS, 'quiet')}"
    )


def _personas(readings: Sequence[TrainingMetrics], people: People, portrait: Callable[[str], str | None] | None) -> str:
    last = readings[-1]
    items = "".join(
        f'<li class="card watched">{image(portrait(persona), "", _SIDE) if portrait else ""}<div>'
        f"<p>{people.link(persona)}</p>"
        f"<p>{verdict_badge(verdict_of(rank, last.candidates))} <b>{rank_text(rank, last.candidates)}</b></p>"
        f'<p class="quiet">{_way(readings, persona)}</p></div></li>'
        for persona, rank in last.persona_ranks.items()
    )
    return f'{notice(text.PERSONAS.format(candidates=last.candidates), "quiet")}<ul class="watched-list">{items}</ul>'


def _way(readings: Sequence[TrainingMetrics], persona: str) -> str:
    """The ranks of a persona from reading to reading, each once as long as it stays."""
    ranks = [reading.persona_ranks[persona] for reading in readings if persona in reading.persona_ranks]
    changes = [f"{rank:g}" for rank, _ in groupby(ranks)]
    return f"Rank {changes[0]} at every reading" if len(changes) == 1 else f"Rank {' → '.join(changes)}"


def card_markdown(card: str) -> str:
    """A model card without its front matter, its title one of a section.

    >>> card_markdown("---\\nlicense: mit\\n---\\n\\n# npo-1\\n\\nText.\\n")
    '### npo-1\\n\\nText.\\n'
    """
    body = card.split("---\n", 2)[-1].lstrip() if card.startswith("---\n") else card
    return f"##{body}" if body.startswith("# ") else body
