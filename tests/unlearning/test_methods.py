"""Every method: it goes down its own objective, and what it makes loads."""

from pathlib import Path

import pytest
import torch

from salmu_demo.core.errors import ModelError, QueryError
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.features.view import FeatureView
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.optimisation import make_optimizer
from salmu_demo.models.references import find_model
from salmu_demo.models.source import ModelSource
from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.batches import BatchSource
from salmu_demo.unlearning.methods import Need, OneShotMethod, TrainedMethod, all_methods, find_method
from salmu_demo.unlearning.plan import UnlearningPlan
from salmu_demo.unlearning.step import Steps
from salmu_demo.unlearning.towers import TrainedModel
from salmu_demo.unlearning.trainer import unlearn

REQUIRED = {
    "finetune", "negative-gradient", "shuffled-captions", "generic-captions", "direct-similarity-minimisation",
    "cliperase", "cliperase-matrix", "delete", "delete-matrix", "vlunlearn", "ga", "gd", "kl", "idk", "dpo", "npo",
    "scrub", "llmu", "rmu", "twins", "scrub-bio", "sparsity", "sku", "task-vector", "ssd", "slug", "null-space",
    "gradient-surgery",
}  # fmt: skip
NAMES = [spec.name for spec in all_methods()]
TRAINED = [spec.name for spec in all_methods() if issubclass(spec.method, TrainedMethod)]


def test_all_methods_of_both_papers_are_registered() -> None:
    assert set(NAMES) >= REQUIRED


@pytest.mark.parametrize("name", TRAINED)
def test_a_method_goes_down_its_own_objective(name: str, base: ModelSource, batches: BatchSource) -> None:
    spec = find_method(name)
    method = spec.configure({"learning_rate": 2e-4})
    assert isinstance(method, TrainedMethod)
    model = TrainedModel(base, spec.towers[0])
    steps = Steps(model, batches, 12, 10, seed=0)
    optimizer = make_optimizer(model.parameters(), method.learning_rate, 0.0)
    values = []
    # Always the same batch, whose objective must then fall.
    for _ in range(6):
        optimizer.zero_grad()
        values.append(method.backward(steps[0]))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert values[-1] < values[0]


@pytest.mark.usefixtures("plain_curves")
@pytest.mark.parametrize("name", NAMES)
def test_a_method_makes_a_model_that_loads_and_differs(
    name: str, data: BenchmarkData, base: ModelSource, tmp_path: Path
) -> None:
    spec = find_method(name)
    plan = UnlearningPlan(spec.configure({"batch_size": 8}), spec.towers[0], budget=16, checkpoints=1)
    record = unlearn(FeatureView(base, data), plan, tmp_path / "model")
    made = find_model(f"local-dir:{tmp_path / 'model'}")
    assert made.fingerprint != base.fingerprint
    assert Encoder(made).encode_texts(["a cat"]).shape == (1, 16)
    assert [reading.step for reading in record.curve] == [0, 2]


def test_ssd_and_slug_lower_the_forget_similarity(base: ModelSource, batches: BatchSource) -> None:
    for name, settings in (("ssd", {"alpha": 1.0, "dampening": 0.1}), ("slug", {"level": 0.2})):
        model = TrainedModel(base, Towers.BOTH)
        steps = Steps(model, batches, 12, 4, seed=0)
        method = find_method(name).configure(settings)
        assert isinstance(method, OneShotMethod)
        method.edit(steps, model)
        before = torch.cat([step.frozen_forget.similarity for step in steps]).mean()
        after = torch.cat([step.forget.similarity for step in steps]).mean()
        assert float(after.detach()) < float(before)


def test_scrub_starts_with_a_retain_step(steps: Steps) -> None:
    scrub = find_method("scrub").method()
    assert isinstance(scrub, TrainedMethod)
    first, second, last = (scrub.losses(steps[number]) for number in (0, 1, 9))
    assert (first.forget, second.retain, last.forget) == (None, None, None)


def test_sparsity_lets_its_penalty_fade(steps: Steps) -> None:
    sparsity = find_method("sparsity").method()
    assert isinstance(sparsity, TrainedMethod)
    first, last = (sparsity.losses(steps[number]).forget for number in (0, 9))
    assert first is not None
    assert last is not None
    torch.testing.assert_close(last, first / 10)


def test_a_frozen_tower_stays_as_it_was(base: ModelSource, data: BenchmarkData, tmp_path: Path) -> None:
    method = find_method("npo").configure({"batch_size": 8, "learning_rate": 1e-2})
    start = Encoder(base).model.state_dict()
    for towers, moved in ((Towers.IMAGE, "visual."), (Towers.TEXT, "")):
        plan = UnlearningPlan(method, towers, budget=16, checkpoints=1)
        unlearn(FeatureView(base, data), plan, tmp_path / towers)
        now = Encoder(find_model(f"local-dir:{tmp_path / towers}")).model.state_dict()
        changed = {name for name, value in now.items() if not torch.equal(value, start[name])}
        assert changed
        assert all(name.startswith("visual.") == bool(moved) for name in changed)
        assert "logit_scale" not in changed


def test_hyperparameters_are_checked_by_name_type_and_range() -> None:
    npo = find_method("npo")
    assert npo.configure({"beta": "0.25", "batch_size": "16"}).batch_size == 16
    with pytest.raises(
        QueryError, match="npo has no hyperparameter 'gamma'; choose one of beta, retain_weight, learning_rate"
    ):
        npo.configure({"gamma": 1})
    with pytest.raises(QueryError, match=r"beta of npo is 'much'; it must be 0\.001 to 10"):
        npo.configure({"beta": "much"})
    for value in ("1e9", "nan"):
        with pytest.raises(QueryError, match=r"beta of npo is \S+; it must be 0.001 to 10"):
            npo.configure({"beta": value})
    with pytest.raises(QueryError, match=r"change of twins is nothing; it must be pixelate \| mirror"):
        find_method("twins").configure({"change": "nothing"})
    with pytest.raises(QueryError, match="There is no unlearning method 'magic'; choose one of cliperase,"):
        find_method("magic")


def test_defaults_lie_within_their_ranges_and_facts_are_told() -> None:
    for spec in all_methods():
        spec.method()
        assert spec.citation
        assert spec.idea.endswith(".")
        assert spec.needs <= set(Need)
        assert "\n" not in spec.idea


def test_a_base_of_another_architecture_is_refused_by_methods_that_need_a_transformer(base: ModelSource) -> None:
    model = TrainedModel(base, Towers.IMAGE)
    model.module.visual.transformer = torch.nn.Identity()
    with pytest.raises(ModelError, match="has no transformer as its image tower"):
        find_method("rmu").method().check(model)
    model.module.visual.proj = None
    with pytest.raises(ModelError, match="ends in no projection matrix"):
        find_method("null-space").method().check(model)
