"""A face against every name."""

from salmu_demo.data.dataset import Persona
from salmu_demo.features.view import FeatureView
from salmu_demo.probes.attacks.base import Candidates, PersonaAttack, Variant, register
from salmu_demo.probes.attacks.sentences import NAME_SENTENCES, filled, name_texts
from salmu_demo.probes.people import People


@register
class FaceToName(PersonaAttack):
    """Whether the model says who it is."""

    name = "face-to-name"
    title = "Face to name"
    gives = "face to name"
    knowledge = "an image of the person, and the names that come into question"
    cost = "one comparison for each image, sentence and name"

    def texts(self, people: People, kind: str, variant: Variant, persona: Persona | None = None) -> list[str]:
        return name_texts(people.names[0])

    def candidates(
        self, view: FeatureView, people: People, kind: str, variant: Variant, persona: Persona | None = None
    ) -> Candidates:
        names, true = people.names
        return Candidates(names, true, filled(view, self.texts(people, kind, variant), len(names)), NAME_SENTENCES)
