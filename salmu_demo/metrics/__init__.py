"""The ten SALMUBench metrics as pure functions of arrays and texts.

One metric or one tight family per module. Nothing here loads a model, reads a file or knows a device: features come
in as arrays, numbers go out. Every choice the benchmark leaves open is a named constant in :mod:`.protocol`.
"""

from salmu_demo.metrics.association_classification import AssociationClassification, association_classification
from salmu_demo.metrics.core_association import CoreAssociation, core_association, core_prompts
from salmu_demo.metrics.general_knowledge import GeneralKnowledge, class_weights, general_knowledge
from salmu_demo.metrics.identity_zero_shot import IdentityZeroShot, identity_zero_shot
from salmu_demo.metrics.leakage import LeakageRate, leakage_rate
from salmu_demo.metrics.pair_similarity import PairSimilarity, pair_similarity
from salmu_demo.metrics.protocol import DECISIONS, LEAKAGE, MEASURES, METRICS, Decision, MetricSpec, metric_by_name
from salmu_demo.metrics.retrieval_failure import Distractors, RetrievalFailure, draw_distractors, retrieval_failure

__all__ = [
    "DECISIONS",
    "LEAKAGE",
    "MEASURES",
    "METRICS",
    "AssociationClassification",
    "CoreAssociation",
    "Decision",
    "Distractors",
    "GeneralKnowledge",
    "IdentityZeroShot",
    "LeakageRate",
    "MetricSpec",
    "PairSimilarity",
    "RetrievalFailure",
    "association_classification",
    "class_weights",
    "core_association",
    "core_prompts",
    "draw_distractors",
    "general_knowledge",
    "identity_zero_shot",
    "leakage_rate",
    "metric_by_name",
    "pair_similarity",
    "retrieval_failure",
]
