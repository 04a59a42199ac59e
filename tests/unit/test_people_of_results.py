"""The people of results: who they are, and the verdicts about them, where that costs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from salmu_demo.core.errors import ModelError
from salmu_demo.hub.alone import asks_nobody
from salmu_demo.models.roles import Told
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.records import MeasuredData
from salmu_demo.results.workload import Workload
from salmu_demo.workbench.people import KnownPeople, found_again, people_of, verdicts_at_hand
from tests.fixtures.results import valued

NAMES = ("mini-clean", "local-dir:ours", "hf-hub:somebody/theirs", "local-dir:gone", "upload:mine")


@dataclass
class Bench:
    """A workbench that knows what is missing of each model, and notes whose verdicts it is asked for."""

    missing: dict[str, Workload]
    benchmark: str = "SALMUBench"
    asked: list[tuple[list[str], Told]] = field(default_factory=list)

    @property
    def data(self) -> Any:
        return SimpleNamespace(benchmark=self.benchmark)

    def models(self, references: Sequence[str]) -> list[Any]:
        (reference,) = references
        assert asks_nobody()
        if reference not in self.missing:
            raise ModelError("gone")
        return [SimpleNamespace(reference=reference, fingerprint=f"fingerprint of {reference}")]

    def missing_for_verdicts(self, model: Any) -> Workload:
        return self.missing[model.reference]

    def matrices(self, models: Sequence[Any], told: Told) -> str:
        self.asked.append(([model.reference for model in models], told))
        return "verdicts"


def analysis(fingerprint: str = "fingerprint of {}") -> Analysis:
    found = [valued(name, {"AssocStr": 0.25}) for name in NAMES]
    for each in found:
        object.__setattr__(each.model, "fingerprint", fingerprint.format(each.model.reference))
    return analyse(found)


def test_models_of_this_machine_are_found_again_without_asking_the_hub():
    bench = Bench({name: Workload(0, 0) for name in NAMES if name != "local-dir:gone"})
    found = found_again(bench, analysis())  # type: ignore[arg-type]
    assert [model.reference for model in found] == [name for name in NAMES if name != "local-dir:gone"]
    assert not asks_nobody()


def test_verdicts_are_those_of_the_measured_models_for_which_nothing_is_missing():
    bench = Bench({"mini-clean": Workload(0, 0), "local-dir:ours": Workload(0, 3)})
    models = found_again(bench, analysis())  # type: ignore[arg-type]
    assert verdicts_at_hand(bench, analysis(), models) == "verdicts"  # type: ignore[arg-type]
    verdicts_at_hand(bench, analysis(), models, lambda _, missing: missing.texts < 4)  # type: ignore[arg-type]
    told = Told(clean="mini-clean")
    assert bench.asked == [(["mini-clean"], told), (["mini-clean", "local-dir:ours"], told)]
    # A model that was saved again since is another one, and of nobody there is nothing to ask.
    assert verdicts_at_hand(bench, analysis("another"), models) == []  # type: ignore[arg-type]
    assert len(bench.asked) == 2


def test_authors_of_clear_have_no_attributes():
    bench = Bench({name: Workload(0, 0) for name in NAMES}, "CLEAR")
    models = found_again(bench, analysis())  # type: ignore[arg-type]
    assert len(models) == len(NAMES)
    assert verdicts_at_hand(bench, analysis(), models) == []  # type: ignore[arg-type]


def test_of_other_data_nothing_is_known():
    here = valued("model", {"AssocStr": 0.25}, MeasuredData("nowhere", "d" * 64))
    assert people_of(analyse([here])) == KnownPeople()
