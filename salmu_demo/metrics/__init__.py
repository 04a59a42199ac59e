"""The SALMUBench metrics: pure functions of arrays and texts, and an object around each that says what it reads.

One metric or one tight family per module; a module put here registers its metrics by itself. Nothing here loads a
model, reads a file or knows a device: features come in as arrays, numbers go out. Every choice the benchmark leaves
open is a named constant in `protocol`.
"""

from importlib import import_module
from pkgutil import iter_modules

from salmu_demo.metrics.association_classification import association_classification
from salmu_demo.metrics.base import (
    Benchmark,
    Metric,
    MetricData,
    MetricResult,
    MetricView,
    Needs,
    Prompted,
    Rows,
    Texts,
    ZeroShotSet,
    all_metrics,
    find_metric,
    known_metrics,
    metrics_of,
    official_metrics,
    register,
)
from salmu_demo.metrics.core_association import core_association, core_prompts
from salmu_demo.metrics.general_knowledge import class_weights, general_knowledge
from salmu_demo.metrics.identity_zero_shot import identity_zero_shot
from salmu_demo.metrics.leakage import leakage_rate
from salmu_demo.metrics.pair_similarity import pair_similarity
from salmu_demo.metrics.protocol import DECISIONS, Decision
from salmu_demo.metrics.retrieval_failure import Distractors, draw_distractors, retrieval_failure

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "DECISIONS",
    "Benchmark",
    "Decision",
    "Distractors",
    "Metric",
    "MetricData",
    "MetricResult",
    "MetricView",
    "Needs",
    "Prompted",
    "Rows",
    "Texts",
    "ZeroShotSet",
    "all_metrics",
    "association_classification",
    "class_weights",
    "core_association",
    "core_prompts",
    "draw_distractors",
    "find_metric",
    "general_knowledge",
    "identity_zero_shot",
    "known_metrics",
    "leakage_rate",
    "metrics_of",
    "official_metrics",
    "pair_similarity",
    "register",
    "retrieval_failure",
]
