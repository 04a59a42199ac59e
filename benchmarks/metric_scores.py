"""How good the metrics of forgetting are: do they tell who knows from who does not, and do they stay what they say?

    python -m benchmarks.metric_scores [MODEL …] [--data mini] [--output FOLDER]

Two scores of each metric that is to come down (after OpenUnlearning, arXiv 2506.12618, section 4, which has many models
of either kind where we have one; so people take the place of models):

* faithfulness: how often the metric is higher for a person under Compromised than for a person under the model that was
  retrained without the forgotten pairs, an area under the curve over all pairs of people; 1 is best, 0.5 is a guess.
* stability: with s = (m - m_Clean) / (m_Compromised - m_Clean), 1 - the mean over the unlearned models of what s moves
  by, at most 1, when all models are fine-tuned for twenty steps on pairs that were to be kept, or rounded to INT4.
  Neither teaches anything about a person: what a metric then finds it should have found before.

Results lie in the folder, one file for each model and each change to it, and what is there is not measured again:
without arguments the kept ones, of the built-in models, are printed. A measurement takes about a minute of a core.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.metrics import roc_auc_score

from salmu_demo import evaluate, load_data, load_model
from salmu_demo.attacks.pairs import ForgetPairs
from salmu_demo.attacks.recipe import BATCH, DEFAULT
from salmu_demo.attacks.retraining import retain_rows
from salmu_demo.attacks.target import Target
from salmu_demo.cli.output import print_table
from salmu_demo.core.files import read_checked, write_checked
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import all_metrics
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.references import find_model
from salmu_demo.models.source import ModelSource
from salmu_demo.results.evidence import Evidence

if TYPE_CHECKING:
    from salmu_demo.models.in_memory import InMemoryModel

KEPT: Final = Path(__file__).parent / "metric_scores"
REFERENCES: Final = ("mini-clean", "mini-compromised", "mini-gold")
BITS: Final = 4
DIGITS: Final = 6
"""Decimals that are kept."""


@dataclass(frozen=True)
class Scores:
    """What is kept of a model.

    Attributes:
        values: by metric; None where one was not measured.
        people: by metric, the mean of each person; nothing of a metric that is of no single person.
    """

    values: dict[str, float | None]
    people: dict[str, list[float]]


def fine_tuned(view: FeatureView) -> "InMemoryModel":
    """The model after the steps of the attack by benign fine-tuning."""
    # torch takes seconds to import, and only what is measured anew needs it.
    from salmu_demo.attacks.networks.training import Trainee  # noqa: PLC0415

    with Trainee(Target(view, ForgetPairs.of(view.data)), DEFAULT) as trainee:
        for _ in trainee.train(((retain_rows(view.data), BATCH),), SEED):
            pass
        return wrapped(view, trainee.network)


def rounded(view: FeatureView) -> "InMemoryModel":
    """The model with four bits a weight."""
    from salmu_demo.attacks.networks.network import Network  # noqa: PLC0415 - see above

    network = Network(view)
    network.quantise(BITS)
    return wrapped(view, network.module)


def wrapped(view: FeatureView, network: Any) -> "InMemoryModel":
    with view.embedder.encoders.lend(view.model) as encoder:
        return load_model(network, tokenizer=encoder.tokenizer, name=view.model.name)


def untouched(view: FeatureView) -> ModelSource:
    return view.model


@dataclass(frozen=True)
class Change:
    """What is done to a model before it is measured.

    Attributes:
        title: in tables and names of files.
        make: gives the model, from its features.
        settings: what decides it.
    """

    title: str
    make: Callable[[FeatureView], "InMemoryModel | ModelSource"]
    settings: dict[str, Any]


AS_IS: Final = Change("as-is", untouched, {})
CHANGES: Final = (
    Change("fine-tuned", fine_tuned, {**asdict(DEFAULT), "batch": BATCH, "seed": SEED}),
    Change("INT4", rounded, {"bits": BITS}),
)


def metric_names() -> list[str]:
    """The metrics that are to come down."""
    return [spec.name for spec in all_metrics() if spec.pillar == "efficacy"]


def scores_of(name: str, data: BenchmarkData, change: Change, folder: Path) -> Scores:
    """What a changed model is measured with, from the folder or by measuring it."""
    model = find_model(name)
    path = folder / f"{model.name}-{change.title}.json"
    key = json.dumps([model.fingerprint, data.fingerprint, change.settings])
    kept = read_checked(path)
    if kept is not None and kept["key"] == key:
        return Scores(kept["values"], kept["people"])
    made = change.make(FeatureView(model, data))
    evidence = Evidence.of(evaluate(made, data, metric_names()).analysis.models[0].evaluation)
    people = {metric: (found.sums / found.sizes).round(DIGITS).tolist() for metric, found in evidence.clusters.items()}
    found = Scores(
        {metric: None if value is None else round(value, DIGITS) for metric, value in evidence.values.items()},
        people if change is AS_IS else {},
    )
    write_checked(path, {"key": key, **asdict(found)}, "The scores")
    return found


def table(models: Sequence[str], data: BenchmarkData, folder: Path = KEPT) -> list[list[str]]:
    """A row for each metric: its name, its faithfulness and its stability under each change; "-" where there is none.

    Args:
        models: unlearned models.
        data: the data set.
        folder: of the results.
    """
    chosen = (*REFERENCES, *models)
    plain, *changed = ({name: scores_of(name, data, change, folder) for name in chosen} for change in (AS_IS, *CHANGES))
    rows = []
    for metric in metric_names():
        before = _shares(plain, metric)
        moved = [
            np.abs(after - before).clip(max=1) if len(after := _shares(found, metric)) == len(before) else []
            for found in changed
        ]
        cells = [f"{1 - np.mean(part):.3f}" if len(part) else "-" for part in moved]
        rows.append([metric, _faithfulness(plain, metric), *cells])
    return rows


def _faithfulness(plain: Mapping[str, Scores], metric: str) -> str:
    knows, gold = (plain[name].people.get(metric, []) for name in REFERENCES[1:])
    if not knows or not gold:
        return "-"
    return f"{roc_auc_score(np.repeat([1, 0], [len(knows), len(gold)]), [*knows, *gold]):.3f}"


def _shares(found: Mapping[str, Scores], metric: str) -> Any:
    """Of each unlearned model the share of what Compromised has beyond Clean; empty where there is none."""
    clean, compromised, _, *others = (scores.values.get(metric) for scores in found.values())
    if clean is None or compromised is None or None in others or clean == compromised:
        return np.empty(0)
    return (np.array(others, dtype=float) - clean) / (compromised - clean)


HEADER: Final = ("metric", "faithfulness", *(f"stability, {change.title}" for change in CHANGES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="unlearned models (default: the built-in ones)")
    parser.add_argument("--data", default="mini")
    parser.add_argument("--output", type=Path, default=KEPT, help="folder of the results")
    options = parser.parse_args()
    models = options.models or [name for name in builtin_models("SALMUBench") if name not in REFERENCES]
    print_table(HEADER, table(models, load_data(options.data), options.output))


if __name__ == "__main__":
    main()
