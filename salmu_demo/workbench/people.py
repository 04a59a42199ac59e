"""Who the people of results are, and the verdicts about them, as far as their data set is on this machine."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from salmu_demo.core.errors import SalmuError
from salmu_demo.core.settings import assets_dir
from salmu_demo.data.dataset import BenchmarkData, Persona, load_folder
from salmu_demo.data.source import MINI
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.made import MADE
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD, Told
from salmu_demo.models.source import LOCAL_DIR, ModelSource
from salmu_demo.probes.matrix import Matrix
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.records import MeasuredData
from salmu_demo.results.workload import Workload
from salmu_demo.workbench.bench import Workbench


@dataclass(frozen=True)
class KnownPeople:
    """What is known of the people of results.

    Attributes:
        names: of personas, by their ids.
        everybody: the verdicts about all of them with those of the models of which nothing has to be encoded.
    """

    names: dict[str, str] = field(default_factory=dict)
    everybody: Sequence[Matrix] = ()


def persona_names(personas: Iterable[Persona]) -> dict[str, str]:
    """Names by ids; namesakes have their ids too."""
    personas = list(personas)
    count = Counter(persona.name for persona in personas)
    return {p.identity_id: p.name if count[p.name] == 1 else f"{p.name} ({p.identity_id})" for p in personas}


def people_of(analysis: Analysis) -> KnownPeople:
    """The people of results that were read; nothing if the very same data are not here. No model is downloaded."""
    data = _data_of(analysis.comparison.data)
    if data is None:
        return KnownPeople()
    bench = Workbench(data)
    return KnownPeople(persona_names(data.personas), verdicts_at_hand(bench, analysis, found_again(bench, analysis)))


def found_again(bench: Workbench, analysis: Analysis) -> list[ModelSource]:
    """The models of results that are built in, made by a job or in a folder here, as far as they are there."""
    own = builtin_models(bench.data.benchmark)
    found = []
    for measured in analysis.comparison.models:
        if measured.reference in own or measured.reference.startswith((LOCAL_DIR, MADE)):
            try:
                found += bench.models([measured.reference])
            except SalmuError:  # It is gone, or has to be trusted: the results stand without it.
                continue
    return found


def _nothing(_: ModelSource, missing: Workload) -> bool:
    return missing.images == missing.texts == 0


def verdicts_at_hand(
    bench: Workbench,
    analysis: Analysis,
    models: Iterable[ModelSource],
    affordable: Callable[[ModelSource, Workload], bool] = _nothing,
) -> list[Matrix]:
    """The verdicts about everybody with those of the models of results for which hardly anything is to be encoded.

    Args:
        bench: the data that were measured.
        analysis: the results; roles are those they say.
        models: found by the references of the results; one that is not the model that was measured is left out.
        affordable: whether what is missing of a model may be encoded; by default only if nothing is.
    """
    if bench.data.benchmark == "CLEAR":
        return []
    measured = {(model.reference, model.fingerprint): model.own_role.name for model in analysis.comparison.models}
    same = [model for model in models if (model.reference, model.fingerprint) in measured]
    chosen = [model for model in same if affordable(model, bench.missing_for_verdicts(model))]
    by_role = {measured[model.reference, model.fingerprint]: model.reference for model in chosen}
    return bench.matrices(chosen, Told(*(by_role.get(role) for role in (CLEAN, COMPROMISED, GOLD)))) if chosen else []


def _data_of(data: MeasuredData) -> BenchmarkData | None:
    root = assets_dir() / "salmu-mini" if data.name == MINI else Path(data.name)
    try:
        found = load_folder(root, data.name) if data.fingerprint and root.is_dir() else None
    except (SalmuError, OSError, ValueError):
        return None
    return found if found and found.fingerprint == data.fingerprint else None
