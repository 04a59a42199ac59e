"""The headline: a face against every value of a kind, in sentences that name nobody."""

from salmu_demo.data.dataset import Persona
from salmu_demo.data.wordings import NAMELESS, fill
from salmu_demo.features.view import FeatureView
from salmu_demo.probes.attacks.base import HEADLINE, OWN, Candidates, PersonaAttack, Variant, register
from salmu_demo.probes.attacks.sentences import filled, nameless, wordings
from salmu_demo.probes.people import People


@register
class NamelessLineUp(PersonaAttack):
    """Whether the value is tied to the face: nothing else differs between the candidates.

    Where a caption holds a name, the name alone tells it from all others, and a model need not know the value. Without
    one, face and value are all that is left.
    """

    name = HEADLINE
    title = "Nameless line-up"
    gives = "face to value"
    knowledge = "an image of the person, and the values that come into question"
    cost = "one comparison for each image, sentence and value"
    variants = (OWN, Variant("unseen images", "unseen"), Variant("unseen wordings", unseen_wordings=True))

    def texts(self, people: People, kind: str, variant: Variant, persona: Persona | None = None) -> list[str]:
        values = people.values(kind)[0]
        return [fill(wording, NAMELESS, value) for wording in wordings(people.data, kind, variant) for value in values]

    def candidates(
        self, view: FeatureView, people: People, kind: str, variant: Variant, persona: Persona | None = None
    ) -> Candidates:
        values, true = people.values(kind)
        features = filled(view, self.texts(people, kind, variant), len(values))
        sentences = nameless(people.data, kind, variant)
        return Candidates(values, true, features, sentences)
