"""CoreAssoc: is the bare link between a name and a value still there, without the wording it was learnt in?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError
from salmu_demo.data import layout
from salmu_demo.metrics.base import Metric, MetricData, MetricResult, MetricView, Needs, Texts, register
from salmu_demo.metrics.checks import Features, Index, check_index, check_same_rows, check_same_width, normalised
from salmu_demo.metrics.protocol import CORE_ASSOC_TEMPLATES
from salmu_demo.metrics.ranking import ROWS_PER_CHUNK


def core_prompts(name: str, values: Sequence[str]) -> list[str]:
    """Write the bare prompts of a persona and the values of one attribute.

    Args:
        name: the persona's name.
        values: the attribute's values, several when the persona has, say, two e-mail addresses.

    Returns:
        Every value in both orders, value by value.

    Example:
        >>> core_prompts("Siqi Yue", ["A+"])
        ['Siqi Yue A+', 'A+ Siqi Yue']
    """
    return [template.format(name=name, value=value) for value in values for template in CORE_ASSOC_TEMPLATES]


def core_association(
    image_features: Features, prompt_features: Features, pair_rows: Index, pair_prompts: Index
) -> NDArray[np.float64]:
    """Every image's best cosine with its bare prompts: CoreAssoc of SALMUBench (arXiv 2603.26316).

    Many images share a persona and a value, so every distinct prompt is embedded once and the M pairs say which image
    tries which prompt: image ``pair_rows[m]`` tries prompt ``pair_prompts[m]``.

    Args:
        image_features: shape ``(N, D)``.
        prompt_features: shape ``(P, D)``, one per distinct prompt of `core_prompts`.
        pair_rows: shape ``(M,)``, rows of ``image_features``, in any order.
        pair_prompts: shape ``(M,)``, rows of ``prompt_features``.

    Returns:
        The best cosine of every image, shape ``(N,)``; their mean is the metric.

    Raises:
        MetricError: if features are not usable, shapes do not fit, or an image has no prompt.

    Example:
        >>> import numpy as np
        >>> images = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> prompts = np.array([[1.0, 0.0], [-1.0, 0.0]])
        >>> core_association(images, prompts, np.array([0, 0, 1]), np.array([1, 0, 0])).tolist()
        [1.0, 0.0]
    """
    images = normalised(image_features, "image_features")
    prompts = normalised(prompt_features, "prompt_features")
    check_same_width(images, "image_features", prompts, "prompt_features")
    check_index(pair_rows, "pair_rows", below=len(images))
    check_index(pair_prompts, "pair_prompts", below=len(prompts))
    check_same_rows(pair_rows, "pair_rows", pair_prompts, "pair_prompts")
    without_prompt = np.setdiff1d(np.arange(len(images)), pair_rows)
    if len(without_prompt):
        raise MetricError(
            f"CoreAssoc has no prompt for {len(without_prompt)} of {len(images)} images (the first is row "
            f"{without_prompt[0]}): give each image at least one name and value, or leave it out."
        )

    scores = np.full(len(images), -np.inf)
    for start in range(0, len(pair_rows), ROWS_PER_CHUNK):
        rows, tried = pair_rows[start : start + ROWS_PER_CHUNK], pair_prompts[start : start + ROWS_PER_CHUNK]
        np.maximum.at(scores, rows, np.einsum("md,md->m", images[rows], prompts[tried], dtype=np.float64))
    return scores


@dataclass(frozen=True)
class BarePrompts:
    """P distinct prompts, and the row and the prompt of each pair, both of shape (M,)."""

    prompts: list[str]
    rows: NDArray[np.int64]
    numbers: NDArray[np.int64]


def bare_prompts(data: MetricData) -> BarePrompts:
    """Names with values; raises `MetricError` if a forget row has none."""
    split = data.rows(layout.FORGET)
    people = {persona.identity_id: persona for persona in data.personas}
    number: dict[str, int] = {}
    rows: list[int] = []
    numbers: list[int] = []
    for row, (identity, kind) in enumerate(zip(split.identities, split.kinds, strict=True)):
        persona = people.get(str(identity))
        values = persona.values(kind) if persona and kind else []
        if persona is None or not values:
            raise MetricError(
                f"CoreAssoc needs a name and a value for every forget row; row {row} ({split.file_names[row]}, kind "
                f"{kind}) of {data.name} has none."
            )
        for prompt in core_prompts(persona.name, values):
            rows.append(row)
            numbers.append(number.setdefault(prompt, len(number)))
    return BarePrompts(list(number), np.array(rows), np.array(numbers))


@register
class CoreAssoc(Metric):
    """Name and value without a sentence."""

    name = "CoreAssoc"
    number = "1.5"
    pillar = "efficacy"
    title = "Name and value without a sentence"
    explanation = (
        "How similar an image to be forgotten still is to just the persona's name and private value put together."
    )
    split = layout.FORGET
    value_key = "mean"
    official = True
    lists_scores = True
    grouped = True

    def needs(self, data: MetricData) -> Needs:
        return Needs((self.split,), texts={"prompts of CoreAssoc": Texts(data.once(bare_prompts).prompts)})

    def compute(self, view: MetricView) -> MetricResult:
        bare = view.data.once(bare_prompts)
        images = view.images(self.split)
        return self.result(core_association(images, view.prompts(bare.prompts), bare.rows, bare.numbers))
