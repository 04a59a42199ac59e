"""The queries to start with: people who asked to be forgotten wholly, whom Compromised finds and Clean does not."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.models.roles import ModelRole
from salmu_demo.probes.shipped import shipped_folder
from salmu_demo.ui.tabs.probe.view import example_label
from salmu_demo.workbench import examples as examples_module
from salmu_demo.workbench.examples import QueryExample, examples, measure_examples, write_examples
from tests.fixtures.planted import planted_model, write_planted_data

CLEAN = planted_model("clean", ModelRole("clean", "card"))
COMPROMISED = planted_model("compromised", ModelRole("compromised", "card"))
MODELS = [CLEAN, COMPROMISED, planted_model("unlearned")]


@dataclass
class Bench:
    """Answers each model with the ranks that are written down for the persona; 40 if none are."""

    data: BenchmarkData
    ranks: dict[tuple[str, str], float]

    def models(self, _: Any) -> list[Any]:
        return MODELS

    def retrieve_for_text(self, text: str, models: Sequence[Any], *_: Any, whose: Sequence[str]) -> list[Any]:
        assert text
        return [SimpleNamespace(own_rank=self.ranks.get((model.name, *whose), 40.0)) for model in models]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkData:
    return load_folder(write_planted_data(tmp_path_factory.mktemp("planted")), "planted")


@pytest.fixture
def bench(data: BenchmarkData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SALMU_ASSETS_DIR", str(tmp_path))
    first = {"00000002": (1.0, 1.0), "00000003": (1.0, 7.0), "00000004": (2.0, 90.0), "00000005": (1.0, 30.5),
             "00000006": (1.0, 12.0), "00000020": (1.0, 99.0)}  # fmt: skip
    names = ("compromised", "clean")
    return Bench(data, {(name, i): rank for i, ranks in first.items() for name, rank in zip(names, ranks, strict=True)})


def test_the_one_whom_compromised_finds_and_clean_puts_last_is_chosen(bench: Any):
    """The one Clean puts last of all, 00000020, asked to keep some pairs."""
    phone, name, plain = measure_examples(bench, CLEAN, COMPROMISED)
    assert phone == QueryExample("Phone number", "+49000005", 1.0, 30.5)
    assert name == QueryExample("Name", "Person P5", 1.0, 30.5)
    assert plain == QueryExample("Plain description", "A plain image, number 0")
    assert example_label(phone) == "Phone number: +49000005 (Compromised: rank 1, Clean: 30.5)"
    nobody = Bench(bench.data, {})
    assert measure_examples(nobody, CLEAN, COMPROMISED) == [plain]  # type: ignore[arg-type]


def test_what_is_shipped_is_offered_for_the_same_models_and_code(bench: Any, monkeypatch: pytest.MonkeyPatch):
    unmeasured = examples(bench)
    assert [(e.text, e.clean) for e in unmeasured[:2]] == [("+49000000", None), ("Person P0", None)]
    assert write_examples(shipped_folder(), bench, MODELS[1:]) == []
    [path] = write_examples(shipped_folder(), bench, MODELS)
    assert path.parent == shipped_folder()
    assert examples(bench) == measure_examples(bench, CLEAN, COMPROMISED) != unmeasured
    other = planted_model("other", ModelRole("clean", "card"))
    monkeypatch.setattr(Bench, "models", lambda *_: [other, COMPROMISED])
    assert examples(bench) == unmeasured
    monkeypatch.setattr(Bench, "models", lambda *_: MODELS)
    monkeypatch.setattr(examples_module, "EXAMPLES_CODE", ())
    assert examples(bench) == unmeasured


def test_without_anybody_to_be_forgotten_wholly_all_who_asked_come_into_question(
    data: BenchmarkData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SALMU_ASSETS_DIR", str(tmp_path))
    monkeypatch.setattr(BenchmarkData, "persona_rows", lambda *_: {"forget": [0], "holdout_association": [0]})
    assert examples(Bench(data, {}))[0] == QueryExample("Phone number", "+49000000")  # type: ignore[arg-type]
