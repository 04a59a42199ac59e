"""How good the metrics of forgetting are: do they tell who knows from who does not, and do they stay what they say?

    python -m benchmarks.metric_scores mini-unlearned-pinpoint mini-unlearned-redirect [--data mini]

Two scores of each metric that is to come down (after OpenUnlearning, arXiv 2506.12618, section 4, which has many models
of either kind where we have one; so people take the place of models):

* faithfulness: how often the metric is higher for a person under Compromised than for a person under the model that was
  retrained without the forgotten pairs, an area under the curve over all pairs of people; 1 is best, 0.5 is a guess.
* stability: with s = (m - m_Clean) / (m_Compromised - m_Clean), 1 - the mean over the unlearned models of what s moves
  by, at most 1, when all models are fine-tuned for twenty steps on pairs that were to be kept, or rounded to INT4.
  Neither teaches anything about a person: what a metric then finds it should have found before.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from salmu_demo import evaluate, load_data, load_model
from salmu_demo.attacks.networks.network import Network
from salmu_demo.attacks.networks.training import Trainee
from salmu_demo.attacks.pairs import ForgetPairs
from salmu_demo.attacks.recipe import BATCH, DEFAULT
from salmu_demo.attacks.retraining import retain_rows
from salmu_demo.attacks.target import Target
from salmu_demo.cli.output import print_table
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import all_metrics
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.in_memory import InMemoryModel
from salmu_demo.models.references import find_model
from salmu_demo.results.evidence import Evidence

REFERENCES = ("mini-clean", "mini-compromised", "mini-gold")


def fine_tuned(view: FeatureView, data: BenchmarkData) -> InMemoryModel:
    """The model after the steps of the attack by benign fine-tuning."""
    with Trainee(Target(view, ForgetPairs.of(data)), DEFAULT) as trainee:
        for _ in trainee.train(((retain_rows(data), BATCH),), SEED):
            pass
        return wrapped(view, trainee.network)


def rounded(view: FeatureView, data: BenchmarkData) -> InMemoryModel:
    """The model with four bits a weight."""
    network = Network(view)
    network.quantise(4)
    return wrapped(view, network.module)


def wrapped(view: FeatureView, network: Any) -> InMemoryModel:
    with view.embedder.encoders.lend(view.model) as encoder:
        return load_model(network, tokenizer=encoder.tokenizer, name=view.model.name)


def of_people(evidence: Evidence, metric: str) -> NDArray[np.float64]:
    """The metric of each person, shape (P,); empty where the metric is of no single person."""
    clusters = evidence.clusters.get(metric)
    return np.empty(0) if clusters is None else clusters.sums / clusters.sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="unlearned models")
    parser.add_argument("--data", default="mini")
    options = parser.parse_args()
    data = load_data(options.data)
    names = [spec.name for spec in all_metrics() if spec.pillar == "efficacy"]
    chosen = [*REFERENCES, *options.models]

    def measured(models: list[Any]) -> list[Evidence]:
        return [Evidence.of(model.evaluation) for model in evaluate(models, data, names).analysis.models]

    plain = measured(chosen)
    changes: dict[str, Callable[[FeatureView, BenchmarkData], InMemoryModel]] = {
        "fine-tuned": fine_tuned,
        "INT4": rounded,
    }
    views = [FeatureView(find_model(name), data) for name in chosen]
    changed = {name: measured([change(view, data) for view in views]) for name, change in changes.items()}

    def shares(found: list[Evidence], metric: str) -> NDArray[np.float64]:
        clean, compromised, _, *others = (evidence.values.get(metric) for evidence in found)
        if clean is None or compromised is None or None in others or clean == compromised:
            return np.empty(0)
        return (np.array(others, dtype=float) - clean) / (compromised - clean)

    rows = []
    for name in names:
        _, knows, gold, *_ = (of_people(evidence, name) for evidence in plain)
        told = np.repeat([1, 0], [len(knows), len(gold)])
        faithful = f"{roc_auc_score(told, np.concatenate([knows, gold])):.3f}" if len(knows) and len(gold) else "-"
        before = shares(plain, name)
        after = [shares(found, name) for found in changed.values()]
        moved = [np.abs(part - before).clip(max=1) if len(part) == len(before) else part[:0] for part in after]
        rows.append([name, faithful, *(f"{1 - part.mean():.3f}" if len(part) else "-" for part in moved)])
    print_table(["metric", "faithfulness", *(f"stability, {name}" for name in changes)], rows)


if __name__ == "__main__":
    main()
