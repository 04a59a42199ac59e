"""What a run is made of in the form of its method: where batches come from, its steps, and its readings."""

from typing import Protocol

from salmu_demo.features.view import FeatureView
from salmu_demo.unlearning.batches import BatchSource
from salmu_demo.unlearning.methods import Form
from salmu_demo.unlearning.plan import UnlearningPlan
from salmu_demo.unlearning.rows import UnlearningRows
from salmu_demo.unlearning.step import Steps
from salmu_demo.unlearning.text_step import TextSteps
from salmu_demo.unlearning.texts import TextSource
from salmu_demo.unlearning.towers import TrainedModel
from salmu_demo.unlearning.training_metrics import AnyReading
from salmu_demo.unlearning.training_probe import TextProbe, TrainingProbe


class Probe(Protocol):
    """Takes quick readings on the rows that a method may read; not the benchmark."""

    def read(self, model: TrainedModel, step: int, forget_pairs: int, loss: float | None) -> AnyReading:
        """Take a reading of a model."""


def open_source(
    plan: UnlearningPlan, rows: UnlearningRows, model: TrainedModel, features: FeatureView
) -> BatchSource | TextSource:
    """Prepare what a run reads, to be closed as a context manager.

    Args:
        plan: what to do.
        rows: what the method may read.
        model: the model in training.
        features: the frozen original's.

    Raises:
        SalmuError: of the kind that fits, if a text is longer than the model reads, or features cannot be computed.
    """
    if plan.method.spec.form is Form.GENERATIVE:
        return TextSource(rows, model.captioner, features)
    return BatchSource(rows, model.encoder, features)


def steps_of(
    source: BatchSource | TextSource, model: TrainedModel, batch_size: int, total: int, seed: int
) -> Steps | TextSteps:
    """The steps of a run."""
    if isinstance(source, TextSource):
        return TextSteps(model, source, batch_size, total, seed)
    return Steps(model, source, batch_size, total, seed)


def probe_of(source: BatchSource | TextSource, seed: int) -> Probe:
    """What takes the readings of a run."""
    return TextProbe(source, seed) if isinstance(source, TextSource) else TrainingProbe(source, seed)
