"""A name against every value, without any image."""

from collections.abc import Collection

import numpy as np

from salmu_demo.data.dataset import Persona
from salmu_demo.data.wordings import NAMELESS, fill
from salmu_demo.features.view import FeatureView
from salmu_demo.probes.attacks.base import Candidates, PersonaAttack, Variant, register
from salmu_demo.probes.attacks.sentences import filled, name_texts, wordings
from salmu_demo.probes.people import People, Pool, Side

_CAPTIONS = Variant("captions", images=None)
_BARE = Variant("bare", images=None)


@register
class TextOnly(PersonaAttack):
    """Whether the text tower alone ties name and value. An e-mail address that holds the name is found by any model."""

    name = "text-only"
    title = "Text only"
    gives = "name to value"
    access = "cosines of texts of the attacker's choice"
    knowledge = "the name, and the values that come into question"
    cost = "one comparison for each sentence and value"
    variants = (_CAPTIONS, _BARE)

    def texts(self, people: People, kind: str, variant: Variant, persona: Persona | None = None) -> list[str]:
        values = people.values(kind)[0]
        return [fill(wording, NAMELESS, value) for wording in _sentences(people, kind, variant) for value in values]

    def candidates(
        self, view: FeatureView, people: People, kind: str, variant: Variant, persona: Persona | None = None
    ) -> Candidates:
        values, true = people.values(kind)
        sentences = tuple(fill(wording, NAMELESS, "{value}") for wording in _sentences(people, kind, variant))
        return Candidates(values, true, filled(view, self.texts(people, kind, variant), len(values)), sentences)

    def queries(
        self, view: FeatureView, people: People, kind: str, variant: Variant, side: Side, whose: Collection[str]
    ) -> Pool:
        names = [people.personas[identity].name for identity in whose]
        texts = name_texts(names)
        return Pool(np.asarray(view.prompts(texts)), tuple(whose) * (len(texts) // max(len(names), 1)))


def _sentences(people: People, kind: str, variant: Variant) -> tuple[str, ...]:
    return wordings(people.data, kind, variant) if variant == _CAPTIONS else ("{value}",)
