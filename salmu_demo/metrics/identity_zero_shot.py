"""IdZSC: does the model still know who is in the image?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics.base import Metric, MetricData, MetricResult, MetricView, Needs, Texts, register
from salmu_demo.metrics.checks import Features, Index
from salmu_demo.metrics.protocol import IDZSC_CANDIDATE_SPLIT, IDZSC_PROMPT
from salmu_demo.metrics.ranking import top1_credit


def identity_zero_shot(image_features: Features, identity_index: Index, name_features: Features) -> NDArray[np.float64]:
    """Zero-shot classification of images into persona names: IdZSC of SALMUBench (arXiv 2603.26316).

    An image is given the name with the highest cosine. Where the right name ties for the highest with others, the row
    counts as one divided by the number of names that tie, so a collapsed model scores at chance. With a single
    candidate the accuracy is 1 by definition.

    Args:
        image_features: shape ``(N, D)``.
        identity_index: shape ``(N,)``, row of ``name_features`` that holds the image's true name.
        name_features: shape ``(C, D)``, one per candidate, embedded with ``IDZSC_PROMPT``.

    Returns:
        What every image earns, shape ``(N,)``, from 0 to 1; the mean is the accuracy.

    Raises:
        MetricError: if features are not usable, differ in width, or ``identity_index`` does not fit them.

    Example:
        >>> import numpy as np
        >>> names = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> identity_zero_shot(np.array([[3.0, 1.0], [2.0, 1.0]]), np.array([0, 1]), names).tolist()
        [1.0, 0.0]
    """
    return top1_credit(image_features, name_features, identity_index, "name_features", "identity_index")[0]


@dataclass(frozen=True)
class CandidateNames:
    """What IdZSC classifies into: C prompts, and the number of the one that each measured row shows, shape (N,)."""

    prompts: list[str]
    truth: NDArray[np.int64]


def candidate_names(data: MetricData) -> CandidateNames:
    """The personas IdZSC chooses from; raises `MetricError` if one has no name."""
    present = set(data.all_rows(IDZSC_CANDIDATE_SPLIT).identities)
    candidates = [persona for persona in data.personas if persona.identity_id in present]
    position = {persona.identity_id: number for number, persona in enumerate(candidates)}
    unknown = sorted(str(identity) for identity in present if identity not in position)
    if unknown or not candidates:
        raise MetricError(
            f"IdZSC needs the name of every persona in {IDZSC_CANDIDATE_SPLIT}; {data.name} has none for "
            f"{unknown[0] if unknown else 'any'}."
        )
    truth = [position[str(identity)] for identity in data.rows(IDZSC_CANDIDATE_SPLIT).identities]
    return CandidateNames([IDZSC_PROMPT.format(name=persona.name) for persona in candidates], np.array(truth))


@register
class IdZSC(Metric):
    """Naming the persona."""

    name = "IdZSC"
    number = "1.4"
    pillar = "efficacy"
    title = "Naming the persona"
    explanation = "How often the model picks the right name, out of all forgotten personas, for an image of one."
    split = IDZSC_CANDIDATE_SPLIT
    value_key = "identity_classification_accuracy"
    official = True

    def needs(self, data: MetricData) -> Needs:
        return Needs((self.split,), texts={"prompts of IdZSC": Texts(data.once(candidate_names).prompts)})

    def compute(self, view: MetricView) -> MetricResult:
        candidates = view.data.once(candidate_names)
        images = view.images(self.split)
        return self.result(identity_zero_shot(images, candidates.truth, view.prompts(candidates.prompts)))
