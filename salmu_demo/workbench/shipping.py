"""Making what is shipped with the built-in models, so that a fresh machine has it at once."""

from collections.abc import Sequence
from pathlib import Path

from salmu_demo.core.memory import Memory, size_of
from salmu_demo.core.progress import ProgressCallback, ignore_progress
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import metrics_of
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.attacks import HEADLINE, PersonaReading, find_attack
from salmu_demo.probes.findings import Auditor
from salmu_demo.probes.people import SIDES
from salmu_demo.probes.shipped import ShippedReadings, read_shipped, readings_file, write_shipped
from salmu_demo.results.evaluation import evaluate
from salmu_demo.results.shipped import evaluation_file, read_evaluation, write_evaluation
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.examples import write_examples


def ship(
    bench: Workbench, models: Sequence[ModelSource], folder: Path, progress: ProgressCallback = ignore_progress
) -> list[Path]:
    """Write what is shipped of some models on a data set; files of other models or made by other code are removed.

    What the folder has of the models is kept if the code that would make it is the same.

    Args:
        bench: the data set.
        models: the models.
        folder: the files are written there.
        progress: called often with a `Progress`.

    Returns:
        The files.

    Raises:
        SalmuError: if a model is unusable or a file cannot be written.
    """
    memory = Memory()
    auditor = Auditor(bench.data, lambda key, make: memory.once(key, make, size_of))
    written = []
    people = auditor.people
    for model in models:
        if read_shipped(folder, model.fingerprint, people, auditor.never_taught) is not None:
            written.append(folder / readings_file(model.fingerprint, bench.data.fingerprint))
        else:
            readings = readings_of(auditor, bench.view(model, progress))
            written.append(write_shipped(folder, model.fingerprint, people, readings))
        if read_evaluation(folder, model, bench.data) is not None:
            written.append(folder / evaluation_file(model.fingerprint, bench.data.fingerprint))
        else:
            evaluation = evaluate(bench.view(model, progress), metrics_of(bench.data.benchmark))
            written.append(write_evaluation(folder, model, bench.data, evaluation))
    written += write_examples(folder, bench, models)
    for path in set(folder.iterdir()) - set(written):
        path.unlink()
    return written


def readings_of(auditor: Auditor, view: FeatureView, kinds: Sequence[str] | None = None) -> ShippedReadings:
    """What decides about everybody with a model, of some kinds or of all."""
    headline = find_attack(HEADLINE)
    own = headline.variants[0]
    wanted = auditor.data.kinds if kinds is None else kinds
    deciding: dict[tuple[str, str], PersonaReading] = {}
    for side in SIDES:
        for kind in wanted:
            for identity in sorted(auditor.with_images(kind, side)):
                persona = auditor.people.personas[identity]
                if persona.values(kind) and (identity, kind) not in deciding:
                    reading = auditor.reading(view, persona, kind, headline, own, side)
                    assert isinstance(reading, PersonaReading)
                    deciding[identity, kind] = reading
    return ShippedReadings(deciding, {kind: auditor.untaught(view, kind, headline, own) for kind in wanted})
