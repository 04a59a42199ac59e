"""A face against the data set's own captions of one kind, the best one of each persona, with a placebo."""

from collections.abc import Collection
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from salmu_demo.data import layout
from salmu_demo.data.dataset import Persona
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.checks import normalised
from salmu_demo.metrics.line_up import two_sided_p, value_rank
from salmu_demo.probes.attacks.base import (
    Background,
    Candidates,
    PersonaAttack,
    PersonaReading,
    Place,
    Placebo,
    Setting,
    Skipped,
    Variant,
    check_value,
    exposure_interval,
    register,
)
from salmu_demo.probes.people import SIDES, People, Side

WRONG_VALUES: Final = 5
"""Wrong values put into each caption of a persona, drawn by persona and kind."""


@register
class CaptionMatch(PersonaAttack):
    """Whether a face finds its persona's own caption, and whether it would find it with a wrong value too.

    It would in most cases: a caption is known by its name and wording. So the match alone says nothing about a value;
    only the difference between the true value and wrong ones does.
    """

    name = "caption-match"
    title = "Caption match"
    gives = "face to caption"
    knowledge = "an image of the person, and the very captions of the data set"
    cost = "one comparison for each image and caption"
    about_value = False

    def lacks(self, people: People, variant: Variant) -> str | None:
        if people.never_taught:
            return f"{people.data.name} has no captions of never-taught people."
        return super().lacks(people, variant)

    def candidates(
        self, view: FeatureView, people: People, kind: str, variant: Variant, persona: Persona | None = None
    ) -> Candidates:
        """Every caption of the kind; `true` says whose each is."""
        texts: list[str] = []
        features = []
        owned: dict[str, list[int]] = {}
        for name in layout.SENSITIVE_SPLITS:
            split = people.data.split(name)
            rows = [row for row in people.data.kind_rows(name, kind) if split.identities[row] in people.personas]
            if rows:
                features.append(np.asarray(view.captions(split.take(name, rows))))
            for row in rows:
                owned.setdefault(str(split.identities[row]), []).append(len(texts))
                texts.append(split.texts[row])
        return Candidates(tuple(texts), {i: tuple(n) for i, n in owned.items()}, np.concatenate(features)[None])

    def setting(
        self,
        view: FeatureView,
        people: People,
        kind: str,
        variant: Variant,
        side: Side,
        persona: Persona | None = None,
    ) -> Setting:
        # No verdict is drawn from a caption match: its rank is told, and chance by it alone.
        return Setting(self.candidates(view, people, kind, variant), Background(np.empty(0)))

    def read(
        self,
        view: FeatureView,
        people: People,
        persona: Persona,
        kind: str,
        variant: Variant,
        side: Side = "forget",
        setting: Setting | None = None,
    ) -> PersonaReading | Skipped:
        check_value(people.data, persona, kind)
        if (reason := self.lacks(people, variant)) is not None:
            return Skipped(self.name, variant.name, side, reason)
        queries = self.queries(view, people, kind, variant, side, [persona.identity_id])
        own = _own_captions(people, persona, kind, side)
        if not queries.owners or not own:
            where = "to be forgotten" if side == "forget" else "to be kept"
            return Skipped(self.name, variant.name, side, f"{persona.name} has no such caption {where}.")
        setting = setting or self.setting(view, people, kind, variant, side)
        captions = setting.candidates
        images = normalised(queries.features, "image_features").astype(np.float64)
        cosines = images @ normalised(captions.features[0], "candidate_features").astype(np.float64).T
        # What was to be kept about the persona itself neither competes nor counts.
        ours = [number for number in captions.true[persona.identity_id] if captions.values[number] in own]
        groups = {**captions.true, persona.identity_id: tuple(ours)}
        means = cosines.mean(axis=0)
        best = {identity: max(numbers, key=lambda n: float(means[n])) for identity, numbers in groups.items()}
        order = sorted(best.values(), key=lambda number: -float(means[number]))
        mine = order.index(best[persona.identity_id])
        is_mine = np.arange(len(order)) == mine
        rank, candidates = value_rank(means[order], is_mine)
        rivals = [number for identity, n in captions.true.items() if identity != persona.identity_id for number in n]
        to_beat = cosines[:, rivals].max(axis=1) if rivals else np.full(len(images), -np.inf)
        return PersonaReading(
            self.name,
            variant.name,
            side,
            Place(rank, candidates, 1, two_sided_p(rank, candidates)),
            exposure_interval(cosines[:, order], (mine,)),
            true_values=(captions.values[order[mine]],),
            values=tuple(captions.values[number] for number in order),
            scores=means[order],
            shown=queries.shown,
            sentences=tuple(own),
            placebo=_placebo(view, people, persona, kind, images, own, to_beat),
        )


def _own_captions(people: People, persona: Persona, kind: str, side: Side) -> list[str]:
    """The distinct captions of a persona's kind and side."""
    found: dict[str, None] = {}
    for name, rows in people.data.persona_rows(persona.identity_id).items():
        if name in SIDES[side]:
            split = people.data.split(name)
            found.update((split.texts[row], None) for row in rows if people.data.kind(split.file_names[row]) == kind)
    return list(found)


def _placebo(
    view: FeatureView,
    people: People,
    persona: Persona,
    kind: str,
    images: NDArray[np.float64],
    captions: Collection[str],
    to_beat: NDArray[np.float64],
) -> Placebo | None:
    """Shares of the images whose best own caption beats all captions of others, with the true value and wrong."""
    values, true = people.values(kind)
    wrong = [value for number, value in enumerate(values) if number not in true[persona.identity_id]]
    pairs = [(caption, value) for caption in captions for value in persona.values(kind) if value in caption]
    if not wrong or not pairs:
        return None
    draw = np.random.default_rng(crc32(f"{persona.identity_id} {kind}".encode()))
    chosen = [wrong[number] for number in draw.permutation(len(wrong))[:WRONG_VALUES]]
    texts = [caption for caption, _ in pairs]
    texts += [caption.replace(value, other) for other in chosen for caption, value in pairs]
    features = normalised(np.asarray(view.prompts(texts)), "candidate_features").astype(np.float64)
    best = (images @ features.T).reshape(len(images), 1 + len(chosen), len(pairs)).max(axis=2)
    first = best > to_beat[:, None]
    return Placebo(float(first[:, 0].mean()), float(first[:, 1:].mean()))
