"""What the Models tab shows, as HTML: facts about each model, and what changed in one; everything is escaped here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from salmu_demo.models.difference import GroupChange
from salmu_demo.models.names import distinct_names
from salmu_demo.models.profile import ModelProfile
from salmu_demo.models.roles import OTHER, ModelRole
from salmu_demo.probes.model_change import ModelChange
from salmu_demo.reports.roles import role_styles
from salmu_demo.ui.shell import text
from salmu_demo.ui.widgets.markup import breakable, empty_state, model_head, model_label, notice

_FINGERPRINT_DIGITS: Final = 16
_TOWERS: Final = {"image": "Image tower", "text": "Text tower", "shared": "Temperature"}


@dataclass(frozen=True)
class ModelCard:
    """A chosen model: facts about it and remarks, or why there are none; and what it is to the others."""

    reference: str
    facts: ModelProfile | None
    remarks: Sequence[str]
    role: ModelRole = OTHER


def cards_html(cards: Sequence[ModelCard]) -> str:
    """The chosen models side by side."""
    if not cards:
        return empty_state(text.NO_MODELS_TITLE, text.NO_MODELS)
    styles = role_styles([card.role for card in cards])
    parts = [
        f'<article class="card"><h2>'
        f"{model_head(card.facts.name if card.facts else card.reference, style, card.role)}</h2>"
        f"{_facts(card.facts) if card.facts else ''}{''.join(notice(remark) for remark in card.remarks)}</article>"
        for card, style in zip(cards, styles, strict=True)
    ]
    return f'<div class="columns">{"".join(parts)}</div>'


def change_html(change: ModelChange) -> str:
    """What changed in a model: the sentence, both towers, how alike the features are, and every layer."""
    sources = (change.model, change.against)
    styles = role_styles([source.own_role for source in sources])
    model, against = (model_label(name, style) for name, style in zip(distinct_names(sources), styles, strict=True))
    most = max((group.relative for group in change.weights.layers if math.isfinite(group.relative)), default=0.0)
    layers = "".join(
        f'<table class="plain changes"><caption>{title}, layer by layer</caption>{_head("Layer")}'
        f"<tbody>{''.join(_row(group.layer, group, most) for group in members)}</tbody></table>"
        for tower, title in _TOWERS.items()
        if tower != "shared" and (members := [group for group in change.weights.layers if group.tower == tower])
    )
    towers = "".join(_row(_TOWERS[group.tower], group, most) for group in change.weights.towers)
    return (
        f'<section class="change-of"><h3>{model} <span class="against">against</span> {against}</h3>'
        f'<p class="verdict-line">{escape(change.weights.verdict)}</p>'
        f'<div class="columns"><div class="card"><table class="plain changes"><caption>{escape(text.CHANGE_CAPTION)}'
        f"</caption>{_head('Tower')}<tbody>{towers}</tbody></table></div>"
        f'<div class="card"><table class="plain changes"><caption>'
        f"{escape(text.CKA_CAPTION.format(rows=change.rows, split=change.split))}</caption>{_head('Features', 'CKA')}"
        f"<tbody>{_cka('Images', change.cka_images)}{_cka('Captions', change.cka_captions)}</tbody></table></div>"
        f'</div><div class="columns layers">{layers}</div></section>'
    )


def _facts(facts: ModelProfile) -> str:
    rows = {
        "Architecture": breakable(facts.architecture),
        "Parameters": f"{facts.parameters:,}",
        "Stored as": escape(f"{', '.join(facts.dtypes)}, {facts.bytes / 1e6:,.1f} MB"),
        "From": escape(facts.origin),
        "Revision": f"<code>{escape(facts.revision[:_FINGERPRINT_DIGITS])}</code>" if facts.revision else "none",
        "Fingerprint": f'<code title="{facts.fingerprint}">{facts.fingerprint[:_FINGERPRINT_DIGITS]}</code>',
    }
    items = "".join(f"<div><dt>{title}</dt><dd>{value}</dd></div>" for title, value in rows.items())
    return f'<dl class="facts">{items}</dl>'


def _head(first: str, second: str = "Relative change") -> str:
    return f'<thead><tr><th scope="col">{first}</th><th scope="col">{second}</th></tr></thead>'


def _row(title: str, group: GroupChange, most: float) -> str:
    share = 0.0 if not most else min(1.0, group.relative / most)
    value = f"{group.relative:.3%}" if math.isfinite(group.relative) else "from zero"
    return _bar(title, value, share)


def _cka(title: str, value: float) -> str:
    return _bar(title, f"{value:.4f}", value)


def _bar(title: str, value: str, share: float) -> str:
    width = f"{100 * share:.1f}%"
    return (
        f'<tr><th scope="row">{escape(title)}</th><td><div class="measure"><span class="number">{value}</span>'
        f'<span class="bar" aria-hidden="true"><span style="width:{width}"></span></span></div></td></tr>'
    )
