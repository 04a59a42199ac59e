"""Making what is shipped with the built-in models, so that a fresh machine has it at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from salmu_demo.core.memory import Memory, size_of
from salmu_demo.core.plugins import outside_code
from salmu_demo.core.progress import ProgressCallback, ignore_progress
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import metrics_of
from salmu_demo.models.roles import GOLD, find_reference
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.attacks import HEADLINE, PersonaReading, find_attack
from salmu_demo.probes.author_findings import read_author
from salmu_demo.probes.findings import Auditor
from salmu_demo.probes.people import SIDES
from salmu_demo.probes.shipped import ShippedReadings, read_shipped, readings_file, write_shipped
from salmu_demo.probes.shipped_authors import authors_file, read_authors, write_authors
from salmu_demo.results.evaluation import evaluate
from salmu_demo.results.shipped import evaluation_file, of_metrics, read_evaluation, write_evaluation
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.examples import write_examples


def ship(
    models: Mapping[Workbench, Sequence[ModelSource]], folder: Path, progress: ProgressCallback = ignore_progress
) -> list[Path]:
    """Write what is shipped of some models; files of other models and data or made by other code are removed.

    What the folder has of the models is kept if the code that would make it is the same.

    Args:
        models: the models on each data set; Gold among them is what others are compared with.
        folder: the files are written there.
        progress: called often with a `Progress`.

    Returns:
        The files.

    Raises:
        SalmuError: if a model is unusable or a file cannot be written.
    """
    written: list[Path] = []
    for bench, subjects in models.items():
        verdicts = _write_authors if bench.data.benchmark == "CLEAR" else _write_readings
        written += [verdicts(bench, model, folder, progress) for model in subjects]
        written += [_write_evaluation(bench, model, find_reference(subjects, GOLD), folder, progress)
                    for model in subjects]  # fmt: skip
        if bench.data.benchmark == "SALMUBench":
            written += write_examples(folder, bench, subjects)
    for path in set(folder.iterdir()) - set(written):
        path.unlink()
    return written


def _write_readings(bench: Workbench, model: ModelSource, folder: Path, progress: ProgressCallback) -> Path:
    memory = Memory()
    auditor = Auditor(bench.data, lambda key, make: memory.once(key, make, size_of))
    if read_shipped(folder, model.fingerprint, auditor.people, auditor.never_taught) is not None:
        return folder / readings_file(model.fingerprint, bench.data.fingerprint)
    readings = readings_of(auditor, bench.view(model, progress))
    return write_shipped(folder, model.fingerprint, auditor.people, readings)


def _write_authors(bench: Workbench, model: ModelSource, folder: Path, progress: ProgressCallback) -> Path:
    if read_authors(folder, model.fingerprint, bench.data) is not None:
        return folder / authors_file(model.fingerprint, bench.data.fingerprint)
    view = bench.view(model, progress)
    readings = {identity: read_author(view, bench.authors, identity) for identity in bench.authors.people}
    return write_authors(folder, model.fingerprint, bench.data, readings)


def _write_evaluation(
    bench: Workbench, model: ModelSource, gold: ModelSource | None, folder: Path, progress: ProgressCallback
) -> Path:
    found = read_evaluation(folder, model, bench.data, gold)
    metrics = [metric for metric in metrics_of(bench.data.benchmark) if not outside_code(type(metric))]
    if found is not None and of_metrics(found, metrics) is not None:
        return folder / evaluation_file(model.fingerprint, bench.data.fingerprint)
    evaluation = evaluate(bench.view(model, progress), metrics, gold=gold)
    return write_evaluation(folder, model, bench.data, evaluation, gold)


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
