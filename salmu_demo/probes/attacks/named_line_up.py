"""The line-up of values in sentences that name the person."""

from typing import Final

from salmu_demo.data.dataset import Persona
from salmu_demo.data.wordings import fill
from salmu_demo.features.view import FeatureView
from salmu_demo.probes.attacks.base import OWN, Candidates, PersonaAttack, Variant, register
from salmu_demo.probes.attacks.sentences import filled, wordings
from salmu_demo.probes.people import People

WORDINGS: Final = 2
"""Sentences used: each persona needs texts of its own, one for each sentence and value."""


@register
class NamedLineUp(PersonaAttack):
    """Whether face and name together find the value.

    It is blind where the name answers for the whole caption: all candidates hold it, so all of them fit.
    """

    name = "named-line-up"
    title = "Named line-up"
    gives = "name and face to value"
    knowledge = "an image of the person, the name, and the values that come into question"
    cost = "one comparison for each image, sentence and value; texts of its own for each person"
    variants = (OWN,)
    own_sentences = True
    controls = 4

    def texts(self, people: People, kind: str, variant: Variant, persona: Persona | None = None) -> list[str]:
        if persona is None:
            return []
        values = people.values(kind)[0]
        chosen = wordings(people.data, kind, variant)[:WORDINGS]
        return [fill(wording, persona.name, value) for wording in chosen for value in values]

    def candidates(
        self, view: FeatureView, people: People, kind: str, variant: Variant, persona: Persona | None = None
    ) -> Candidates:
        values, true = people.values(kind)
        features = filled(view, self.texts(people, kind, variant, persona), len(values))
        name = "" if persona is None else persona.name
        chosen = wordings(people.data, kind, variant)[:WORDINGS]
        return Candidates(values, true, features, tuple(fill(wording, name, "{value}") for wording in chosen))
