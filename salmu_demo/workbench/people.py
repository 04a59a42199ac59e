"""Who the people of results are, and the verdicts about them, as far as their data set is on this machine."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from salmu_demo.core.errors import SalmuError
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.data.source import load_data
from salmu_demo.hub.alone import asking_nobody
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD, Told
from salmu_demo.models.source import ModelSource
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
    """The people of results that were read; nothing if the very same data are not here. Nothing is downloaded."""
    data = _data_of(analysis.comparison.data)
    if data is None:
        return KnownPeople()
    bench = Workbench(data)
    return KnownPeople(persona_names(data.personas), verdicts_at_hand(bench, analysis, found_again(bench, analysis)))


def found_again(bench: Workbench, analysis: Analysis) -> list[ModelSource]:
    """The models of results that are on this machine; the Hub is not asked for any."""
    found: list[ModelSource] = []
    with asking_nobody():
        for reference in dict.fromkeys(model.reference for model in analysis.comparison.models):
            with suppress(SalmuError):  # It is gone, or has to be trusted: the results stand without it.
                found += bench.models([reference])
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
    if data.fingerprint is None:
        return None
    try:
        with asking_nobody():
            found = load_data(data.name)
        is_same = found.fingerprint == data.fingerprint
    except (SalmuError, OSError, ValueError):
        return None
    return found if is_same else None
