"""What is shipped of a model says what its features say, and counts only for what it was made of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from salmu_demo.core.files import portable_digest
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.models.roles import ModelRole
from salmu_demo.probes import shipped as shipped_module
from salmu_demo.probes.findings import Auditor
from salmu_demo.probes.matrix import matrices
from salmu_demo.probes.shipped import ShippedReadings, read_shipped, shipped_folder, write_shipped
from salmu_demo.probes.survey import survey
from salmu_demo.workbench.shipping import readings_of
from tests.fixtures.planted import KINDS, Kept, PlantedEmbedder, planted_model, write_planted_data

MODELS = [
    planted_model("clean", ModelRole("clean", "card")),
    planted_model("compromised", ModelRole("compromised", "card")),
    planted_model("unlearned"),
]
FORGET_ONLY, BOTH, KEPT_ONLY = "00000003", "00000020", "00000040"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkData:
    return load_folder(write_planted_data(tmp_path_factory.mktemp("planted")), "planted")


@pytest.fixture(scope="module")
def computed(data: BenchmarkData) -> Auditor:
    return Auditor(data, Kept())


@pytest.fixture(scope="module")
def views(data: BenchmarkData) -> list[Any]:
    known = {"compromised": {"city": 3.0, "email": 3.0}, "unlearned": {"city": -3.0}}
    embedder = PlantedEmbedder(data, known)
    return [embedder.view(model) for model in MODELS]


@pytest.fixture
def assets(computed: Auditor, views: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Assets with what is shipped of all three models."""
    monkeypatch.setenv("SALMU_ASSETS_DIR", str(tmp_path))
    for view in views:
        write_shipped(shipped_folder(), view.model.fingerprint, computed.people, readings_of(computed, view))
    return tmp_path


def read(auditor: Auditor, model: str = "unlearned") -> ShippedReadings | None:
    return read_shipped(shipped_folder(), model, auditor.people, auditor.never_taught)


class Nothing:
    """An embedder that has no features."""

    def images(self, *_: Any) -> Any:
        raise AssertionError("features are computed")

    captions = prompts = images


def test_a_reading_is_read_back_as_it_was(assets: Path, computed: Auditor, views: list[Any]):
    for view in views:
        made, found = readings_of(computed, view), read(computed, view.model.fingerprint)
        assert found is not None
        assert found.untaught == made.untaught
        assert list(found.deciding) == list(made.deciding)
        for fact, reading in made.deciding.items():
            again = found.deciding[fact]
            assert replace(again, scores=reading.scores) == reading
            assert np.abs(again.scores - reading.scores).max() <= 0.5e-4 + 1e-12
    sides = {identity: found.deciding[identity, "city"].side for identity in (FORGET_ONLY, BOTH, KEPT_ONLY)}
    assert sides == {FORGET_ONLY: "forget", BOTH: "forget", KEPT_ONLY: "kept"}


def test_verdicts_of_shipped_models_need_no_feature(
    assets: Path, data: BenchmarkData, computed: Auditor, views: list[Any]
):
    auditor = Auditor(data, Kept(), lambda model: read(computed, model.fingerprint))
    bare = [replace(view, embedder=Nothing()) for view in views]
    assert matrices(auditor, bare) == matrices(computed, views)
    persona = data.persona(BOTH)
    cells = auditor.audit(bare, persona, KINDS, None)
    expected = computed.audit(views, persona, KINDS, None)
    assert [(c.verdict, c.headline.reason, c.headline.control) for c in cells] == [
        (c.verdict, c.headline.reason, c.headline.control) for c in expected
    ]
    assert [len(cell.findings) for cell in cells] == [1] * len(cells)
    # The second side, and whatever else is read, is computed.
    with pytest.raises(AssertionError, match="features are computed"):
        auditor.audit(bare, persona, ["city"], [])


def test_a_survey_counts_the_same_with_what_is_shipped(
    assets: Path, data: BenchmarkData, computed: Auditor, views: list[Any]
):
    auditor = Auditor(data, Kept(), lambda model: read(computed, model.fingerprint))
    assert survey(auditor, views) == survey(computed, views)


def test_what_was_made_of_other_things_or_by_other_code_is_not_found(
    assets: Path, computed: Auditor, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    assert read(computed, "another") is None
    other = load_folder(write_planted_data(tmp_path_factory.mktemp("fewer"), people=12), "planted")
    assert read(Auditor(other, Kept())) is None
    assert read(computed) is not None
    monkeypatch.setattr(shipped_module, "shipped_key", lambda: "0" * 64)
    assert read(computed) is None


def test_a_damaged_file_is_told_and_passed_over(assets: Path, computed: Auditor, caplog: pytest.LogCaptureFixture):
    [path] = shipped_folder().glob("unlearned*")
    path.write_bytes(path.read_bytes()[:-100])
    assert read(computed) is None
    assert "is damaged" in caplog.text


def test_a_portable_digest_follows_what_code_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("salmu_demo.core.files.__file__", str(tmp_path / "core" / "files.py"))

    def digest(code: str) -> str:
        (tmp_path / "code.py").write_text(code, "utf-8")
        return portable_digest(["*.py"])

    code = 'def f(x: int = 1) -> str:\n    """One."""\n    return f"{x!r:>4}" + "é"\n'
    same = 'def f(x: int=1) -> str:\n    """Two."""\n    # Why.\n    return f"{x!r:>4}" + "é"\n'
    assert digest(code) == digest(same)
    others = [
        code.replace(*change) for change in (("= 1", "= 2"), ("= 1", "= None"), (">4", ">5"), ("é", "e"), ("f(", "g("))
    ]
    assert len({digest(each) for each in (code, *others)}) == 6
