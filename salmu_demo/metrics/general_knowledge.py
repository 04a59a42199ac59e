"""GenKnow: does the model still recognise ordinary things?"""

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError
from salmu_demo.data import layout
from salmu_demo.metrics.base import Metric, MetricData, MetricResult, MetricView, Needs, Texts, register
from salmu_demo.metrics.checks import Features, Index, normalised
from salmu_demo.metrics.ranking import top1_credit


def class_weights(template_features: Features) -> NDArray[np.float32]:
    """Average a class's prompt embeddings into one feature, as ``open_clip.build_zero_shot_classifier`` does.

    Every prompt is normalised before the average, and the average once more.

    Args:
        template_features: shape ``(C, T, D)``, the T prompts of each of the C classes.

    Returns:
        Array of shape ``(C, D)``, float32, every row of length 1.

    Raises:
        MetricError: if ``template_features`` is not 3-D, is empty, has a prompt that is not finite or is zero, or if
            the prompts of a class cancel out.

    Example:
        >>> import numpy as np
        >>> class_weights(np.array([[[9.0, 0.0], [0.0, 1.0]]])).round(3).tolist()
        [[0.7070000171661377, 0.7070000171661377]]
    """
    if template_features.ndim != 3 or template_features.shape[1] == 0:
        raise MetricError(
            "template_features must have shape (classes, templates, dimensions) with at least one template, "
            f"but it has shape {template_features.shape}."
        )
    classes, templates, width = template_features.shape
    prompts = normalised(template_features.reshape(classes * templates, width), "template_features")
    return normalised(prompts.reshape(classes, templates, width).mean(axis=1), "the mean of template_features")


def general_knowledge(image_features: Features, labels: Index, class_features: Features) -> NDArray[np.float64]:
    """Zero-shot top-1 accuracy: GenKnow of SALMUBench (arXiv 2603.26316), there on ImageNet-1k validation.

    Where the right class ties for the highest cosine with others, the row counts as one divided by the number of
    classes that tie, so a collapsed model scores at chance.

    Args:
        image_features: shape ``(N, D)``.
        labels: shape ``(N,)``, row of ``class_features`` that holds the image's true class.
        class_features: shape ``(C, D)``, usually from `class_weights`.

    Returns:
        What every image earns, shape ``(N,)``, from 0 to 1; the mean is the accuracy.

    Raises:
        MetricError: if features are not usable, differ in width, or ``labels`` does not fit them.

    Example:
        >>> import numpy as np
        >>> general_knowledge(np.array([[1.0, 0.1], [1.0, 0.2]]), np.array([0, 1]), np.eye(2)).tolist()
        [1.0, 0.0]
    """
    return top1_credit(image_features, class_features, labels, "class_features", "labels")[0]


@register
class GenKnow(Metric):
    """General knowledge."""

    name = "GenKnow"
    number = "2.1"
    pillar = "utility"
    title = "General knowledge"
    explanation = "How often the model still names the object in an ordinary ImageNet image, without training."
    split = layout.GENKNOW_SPLIT
    value_key = "ImageNet1k_Accuracy"
    official = True

    def needs(self, data: MetricData) -> Needs | None:
        if data.zero_shot is None:
            return None
        return Needs((self.split,), texts={"prompts of GenKnow": Texts(data.zero_shot.prompts)})

    def compute(self, view: MetricView) -> MetricResult:
        zero_shot = view.data.zero_shot
        assert zero_shot is not None
        images, prompts = view.images(self.split), view.prompts(zero_shot.prompts)
        weights = class_weights(np.asarray(prompts).reshape(len(zero_shot.classes), -1, prompts.shape[1]))
        return self.result(general_knowledge(images, zero_shot.labels, weights), measured_on=zero_shot.name)
