"""What the Models tab shows, as markup: facts about each model, and what changed in one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from salmu_demo.core.errors import SalmuError
from salmu_demo.core.markup import breakable, render
from salmu_demo.models.difference import GroupChange
from salmu_demo.models.profile import ModelProfile
from salmu_demo.models.roles import OTHER, ModelRole
from salmu_demo.probes.model_change import ModelChange
from salmu_demo.results.records import MeasuredModel
from salmu_demo.ui.shell.text import NO_MODELS, NO_MODELS_TITLE
from salmu_demo.ui.widgets.markup import ModelHead, empty_state, model_heads
from salmu_demo.workbench.bench import Workbench

_FINGERPRINT_DIGITS: Final = 16
_TOWERS: Final = {"image": "Image tower", "text": "Text tower", "shared": "Temperature"}
CHANGE_CAPTION: Final = "Relative change of the weights: norm of the difference over the norm before."
CKA_CAPTION: Final = (
    "Linear CKA of the features of {rows:,} rows of {split}: 1 if both models see them alike, 0 if unrelated."
)


@dataclass(frozen=True)
class ModelCard:
    """A chosen model: facts about it and remarks, or why there are none; and what it is to the others."""

    reference: str
    facts: ModelProfile | None
    remarks: Sequence[str]
    role: ModelRole = OTHER


def model_card(workbench: Workbench, reference: str, shown: Sequence[str], role: ModelRole = OTHER) -> ModelCard:
    """Facts and remarks about one of the models shown together, or the sentence that says why there are none."""
    try:
        [model] = workbench.models([reference])
        facts = workbench.profile(model)
    except SalmuError as error:
        return ModelCard(reference, None, [str(error)], role)
    return ModelCard(reference, facts, [*facts.warnings, *workbench.twin_remarks(model, shown)], role)


@dataclass(frozen=True)
class _ShownCard:
    """A card in words: some facts hold markup."""

    model: ModelHead
    facts: Mapping[str, str]
    remarks: Sequence[str]


def cards_html(cards: Sequence[ModelCard]) -> Markup:
    """The chosen models side by side."""
    if not cards:
        return empty_state(NO_MODELS_TITLE, NO_MODELS)
    models = [MeasuredModel(card.reference, card.facts.name if card.facts else card.reference) for card in cards]
    shown = [
        _ShownCard(head, _facts(card.facts) if card.facts else {}, card.remarks)
        for card, head in zip(cards, model_heads(models, [card.role for card in cards]), strict=True)
    ]
    return render("ui/templates/models.html#cards", cards=shown)


def _facts(facts: ModelProfile) -> dict[str, str]:
    return {
        "Architecture": breakable(facts.architecture),
        "Parameters": f"{facts.parameters:,}",
        "Stored as": f"{', '.join(facts.dtypes)}, {facts.bytes / 1e6:,.1f} MB",
        **{setting.name.capitalize(): f"{setting.value} ({setting.origin})" for setting in facts.settings},
        "From": facts.origin,
        "Revision": _digest(facts.revision) if facts.revision else "none",
        "Fingerprint": _digest(facts.fingerprint, whole=True),
    }


def _digest(value: str, whole: bool = False) -> Markup:
    return render("ui/templates/models.html#digest", value=value, start=value[:_FINGERPRINT_DIGITS], whole=whole)


@dataclass(frozen=True)
class _Bar:
    """A number and a bar as long as it is large."""

    title: str
    value: str
    percent: str


@dataclass(frozen=True)
class _Bars:
    """A table of bars."""

    caption: str
    heads: tuple[str, str]
    bars: Sequence[_Bar]


def change_html(change: ModelChange) -> Markup:
    """What changed in a model: the sentence, both towers, how alike the features are, and every layer."""
    sources = (change.model, change.against)
    model, against = model_heads(sources, [source.own_role for source in sources])
    most = max((group.relative for group in change.weights.layers if math.isfinite(group.relative)), default=0.0)
    towers = [_change_bar(_TOWERS[group.tower], group, most) for group in change.weights.towers]
    alike = [("Images", change.cka_images), ("Captions", change.cka_captions)]
    layers = [
        _Bars(
            f"{title}, layer by layer",
            ("Layer", "Relative change"),
            [_change_bar(group.layer, group, most) for group in members],
        )
        for tower, title in _TOWERS.items()
        if tower != "shared" and (members := [group for group in change.weights.layers if group.tower == tower])
    ]
    return render(
        "ui/templates/models.html#change",
        model=model,
        against=against,
        verdict=change.weights.verdict,
        towers=_Bars(CHANGE_CAPTION, ("Tower", "Relative change"), towers),
        alike=_Bars(
            CKA_CAPTION.format(rows=change.rows, split=change.split),
            ("Features", "CKA"),
            [_Bar(title, f"{value:.4f}", f"{100 * value:.1f}") for title, value in alike],
        ),
        layers=layers,
    )


def _change_bar(title: str, group: GroupChange, most: float) -> _Bar:
    share = 0.0 if not most else min(1.0, group.relative / most)
    return _Bar(title, f"{group.relative:.3%}" if math.isfinite(group.relative) else "from zero", f"{100 * share:.1f}")
