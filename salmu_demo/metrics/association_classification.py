"""ACS: can a probe tell true pairs from shuffled ones?"""

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError
from salmu_demo.data import layout
from salmu_demo.metrics.base import Metric, MetricResult, MetricView, register
from salmu_demo.metrics.checks import Features, check_same_rows, check_same_width, normalised
from salmu_demo.metrics.protocol import ACS_C, ACS_MAX_ITER, ACS_PAIR_FEATURES, ACS_TEST_SIZE, SEED


def association_classification(
    image_features: Features, text_features: Features, seed: int = SEED
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Answers of a logistic probe on true and shuffled pairs: ACS of SALMUBench (arXiv 2603.26316).

    The N true pairs are stacked before N pairs whose captions are permuted, each as the element-wise product of its
    normalised embeddings. The probe is trained on a stratified half and scored on the other. The generator starts
    anew on every call, so that equal features give equal numbers.

    Args:
        image_features: shape ``(N, D)``.
        text_features: shape ``(N, D)``, the feature of every image's own caption.
        seed: seed of the permutation and of the split.

    Returns:
        Image row of every pair of the test half, shape ``(T,)``, int64, where an image is scored twice if both its true
        and its shuffled pair fall into it; and 1 where the probe is right about the pair, else 0, shape ``(T,)``. The
        mean is the accuracy, where 0.5 is guessing.

    Raises:
        MetricError: if features are not usable, shapes do not fit, or there are fewer than 2 rows.

    Example:
        >>> import numpy as np
        >>> images = np.random.RandomState(0).normal(size=(200, 8))
        >>> _, correct = association_classification(images, images)
        >>> bool(correct.mean() > 0.9)
        True
    """
    images = normalised(image_features, "image_features")
    texts = normalised(text_features, "text_features")
    check_same_rows(images, "image_features", texts, "text_features")
    check_same_width(images, "image_features", texts, "text_features")
    if len(images) < 2:
        raise MetricError(
            f"ACS needs at least 2 rows, to train a probe on some and score it on others, but it got {len(images)}."
        )
    # scikit-learn takes most of a second to import, which nothing else here needs.
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.model_selection import train_test_split  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    shuffled = np.random.RandomState(seed).permutation(len(images))
    # In float64 the solver's answer does not depend on the order in which the machine sums.
    pairs = np.concatenate(
        [
            ACS_PAIR_FEATURES(images, texts, dtype=np.float64),
            ACS_PAIR_FEATURES(images, texts[shuffled], dtype=np.float64),
        ]
    )
    labels = np.repeat([1, 0], len(images))
    train, test = train_test_split(np.arange(len(labels)), test_size=ACS_TEST_SIZE, stratify=labels, random_state=seed)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=ACS_C, max_iter=ACS_MAX_ITER))
    probe.fit(pairs[train], labels[train])
    correct = (probe.predict(pairs[test]) == labels[test]).astype(np.float64)
    return test % len(images), correct


@register
class ACS(Metric):
    """Separability of true and shuffled pairs."""

    name = "ACS"
    number = "1.3"
    pillar = "efficacy"
    title = "Separability of true and shuffled pairs"
    explanation = (
        "How often a simple probe tells true image and caption pairs from shuffled ones, where 0.5 is guessing."
    )
    split = layout.FORGET
    value_key = "acs_accuracy"
    official = True

    def compute(self, view: MetricView) -> MetricResult:
        rows, correct = association_classification(view.images(self.split), view.captions(self.split))
        return self.result(correct, rows)
