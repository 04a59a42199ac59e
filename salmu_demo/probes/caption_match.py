"""The caption match: a face against the data set's own captions of one kind, the best one of each persona.

The line-up asks whether the bare value is tied to the face. This asks what an attacker with a list of candidate
sentences would learn: a model can pair a face with a whole caption, name and value together, without having tied the
value alone.
"""

import numpy as np

from salmu_demo.data import layout
from salmu_demo.data.dataset import Persona
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.checks import normalised
from salmu_demo.probes.lineup import LineUp, persona_features, rank_candidates


def run_caption_match(features: FeatureView, persona: Persona, kind: str) -> LineUp | None:
    """Rank a persona's best caption of a kind among the best captions of all personas.

    Of each persona's captions of the kind, in all sensitive splits, the one with the highest mean cosine to the
    images takes part.

    Returns:
        The ranking, with captions as values; None if the persona has no caption of that kind.
    """
    faces = normalised(persona_features(features, persona.identity_id), "image_features")
    direction = faces.mean(axis=0)
    best: dict[str, tuple[float, str, np.ndarray]] = {}
    for name in layout.SENSITIVE_SPLITS:
        split = features.data.split(name)
        rows = [row for row in features.data.kind_rows(name, kind) if split.identities[row] is not None]
        if not rows:
            continue
        texts = features.captions(split.take(name, rows))
        for row, feature, score in zip(rows, texts, texts @ direction, strict=True):
            identity = str(split.identities[row])
            if identity not in best or score > best[identity][0]:
                best[identity] = (float(score), split.texts[row], feature)
    if persona.identity_id not in best:
        return None
    captions = [caption for _, caption, _ in best.values()]
    texts = np.stack([feature for _, _, feature in best.values()])
    own = best[persona.identity_id][1]
    return rank_candidates(faces, texts[None], captions, {own}, features.facts.logit_scale)
