"""From a face to names, and from these to values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salmu_demo.data.dataset import Persona
from salmu_demo.data.wordings import NAMELESS, fill
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.line_up import image_scores
from salmu_demo.probes.attacks.base import Candidates, PersonaAttack, Variant, register
from salmu_demo.probes.attacks.sentences import filled, name_texts, nameless, wordings
from salmu_demo.probes.people import People


@dataclass(frozen=True)
class _Linked(Candidates):
    """Candidates with the way to them.

    Attributes:
        names: every sentence with every name, shape (T, P, D).
        links: standardised score of each value for each name, shape (P, C).
    """

    names: NDArray[np.float32] | None = None
    links: NDArray[np.float64] | None = None


@register
class TwoSteps(PersonaAttack):
    """Whether a value is found by way of the name: the values of each name, weighted by how well it fits the face.

    The weights are a softmax of the standardised scores of the names, so that they do not depend on the temperature of
    a model.
    """

    name = "two-steps"
    title = "Two steps"
    gives = "face to name to value"
    knowledge = "an image of the person, and the names and values that come into question"
    cost = "one comparison for each image and name, and for each name and value"

    def texts(self, people: People, kind: str, variant: Variant, persona: Persona | None = None) -> list[str]:
        values = people.values(kind)[0]
        return [fill(wording, NAMELESS, value) for wording in wordings(people.data, kind, variant) for value in values]

    def candidates(
        self, view: FeatureView, people: People, kind: str, variant: Variant, persona: Persona | None = None
    ) -> Candidates:
        values, true = people.values(kind)
        names = filled(view, name_texts(people.names[0]), len(people.names[0]))
        features = filled(view, self.texts(people, kind, variant), len(values))
        links = np.mean([image_scores(sentence, features) for sentence in names], axis=0)
        sentences = nameless(people.data, kind, variant)
        return _Linked(values, true, features, sentences, names, links)

    def scores(self, queries: NDArray[np.float32], candidates: Candidates) -> NDArray[np.float64]:
        assert isinstance(candidates, _Linked)
        assert candidates.names is not None
        assert candidates.links is not None
        fits = np.exp(image_scores(queries, candidates.names))
        found: NDArray[np.float64] = (fits / fits.sum(axis=1, keepdims=True)) @ candidates.links
        return found
