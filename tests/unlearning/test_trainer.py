"""Runs: what they may read, that they repeat and resume bit for bit, when they stop, and what they leave behind."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from salmu_demo.core import files as files_module
from salmu_demo.core.errors import DataError, QueryError, StorageError, TrainingError
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.sampler import Sampler
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.view import FeatureView
from salmu_demo.models.references import find_model
from salmu_demo.models.source import ModelSource
from salmu_demo.unlearning import UNRELATED, Towers, output, trainer, training_probe
from salmu_demo.unlearning import plan as plans
from salmu_demo.unlearning.batches import BatchSource
from salmu_demo.unlearning.methods import find_method
from salmu_demo.unlearning.plan import StopRules, UnlearningPlan
from salmu_demo.unlearning.rows import Part, unlearning_rows
from salmu_demo.unlearning.step import Steps
from salmu_demo.unlearning.synthetic_captions import SyntheticCaptions, wording_of
from salmu_demo.unlearning.towers import TrainedModel
from salmu_demo.unlearning.trainer import keep_model_so_far, unlearn
from salmu_demo.unlearning.training_metrics import TrainingMetrics
from salmu_demo.unlearning.training_probe import TrainingProbe


def _plan(name: str = "shuffled-captions", **settings: Any) -> UnlearningPlan:
    # This method draws at random in every step, so a generator that is not resumed would show.
    method = find_method(name).configure({"batch_size": 8, "learning_rate": 1e-3, **settings})
    return UnlearningPlan(method, budget=48, checkpoints=3)


class _Killed(Exception):  # noqa: N818 - not an error
    pass


def test_only_forget_and_retain_rows_reach_a_method(data: BenchmarkData) -> None:
    rows = unlearning_rows(data)
    held = {t for s in (layout.HOLDOUT_ASSOCIATION, layout.HOLDOUT_IDENTITY) for t in data.split(s).file_names}
    measured = {t for s in (layout.RETAIN_JOINT, layout.FRAGILE_SET) for t in data.split(s).file_names}
    given = {name for part in (*rows.forget, *rows.retain) for name in part.split.file_names}
    assert not given & (held | measured)
    assert len(given) == rows.forget_count + sum(len(part.split) for part in rows.retain)
    for split in (layout.HOLDOUT_ASSOCIATION, layout.HOLDOUT_IDENTITY):
        stranger = replace(rows.forget[0], split=data.split(split))
        with pytest.raises(DataError, match=f"may not read rows of {split}"):
            replace(rows, forget=(stranger,))
        with pytest.raises(DataError, match=f"may not read rows of {split}"):
            replace(rows, retain=(*rows.retain, stranger))


def test_a_run_never_decodes_or_encodes_a_holdout_row(
    data: BenchmarkData, base: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An empty cache, so that everything a run reads is read now.
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    fresh = load_data("mini")
    splits: set[str] = set()
    image, encode = BenchmarkData.encoded_image, Embedder.captions

    def spy(self: BenchmarkData, split: str, row: int) -> bytes:
        splits.add(split)
        return image(self, split, row)

    def caption_spy(self: Embedder, model: Any, of: Any, split: Any, *rest: Any) -> Any:
        splits.add(split.stored)
        return encode(self, model, of, split, *rest)

    monkeypatch.setattr(BenchmarkData, "encoded_image", spy)
    monkeypatch.setattr(Embedder, "captions", caption_spy)
    unlearn(FeatureView(base, fresh), _plan("cliperase"), tmp_path / "model")
    assert splits == {layout.FORGET, layout.RETAIN_SYNTH}


def test_every_row_comes_once_before_any_comes_again() -> None:
    personas = [number % 6 for number in range(30)]
    sampler = Sampler(personas, 6, 3, "forget")
    epochs = [[sampler.batch(step).tolist() for step in range(5 * epoch, 5 * epoch + 5)] for epoch in range(2)]
    for batches in epochs:
        assert sorted(row for batch in batches for row in batch) == list(range(30))
        assert all(len({personas[row] for row in batch}) == 6 for batch in batches)
    assert epochs[0] != epochs[1]
    # Any step can be asked for at once: a resumed run draws what it would have drawn.
    assert Sampler(personas, 6, 3, "forget").batch(7).tolist() == epochs[1][2]
    assert Sampler(personas, 6, 4, "forget").batch(7).tolist() != epochs[1][2]


def test_the_same_seed_gives_the_same_files_and_another_does_not(
    data: BenchmarkData, base: ModelSource, tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        unlearn(FeatureView(base, data), replace(_plan(), seed=seed), tmp_path / name / "model")
    files = {name: sorted((tmp_path / name / "model").iterdir()) for name in "abc"}
    assert [file.name for file in files["a"]] == [file.name for file in files["b"]]
    for first, second in zip(files["a"], files["b"], strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name
    prints = [find_model(f"local-dir:{tmp_path / name / 'model'}").fingerprint for name in "abc"]
    assert prints[0] != prints[2]


def test_a_killed_run_ends_as_if_undisturbed(data: BenchmarkData, base: ModelSource, tmp_path: Path) -> None:
    plan = _plan(retain_weight=1.0)
    unlearn(FeatureView(base, data), plan, tmp_path / "whole" / "model")

    def kill(progress: Progress) -> None:
        if progress.unit is Unit.STEPS and progress.done == 5:
            raise _Killed

    with pytest.raises(_Killed):
        unlearn(FeatureView(base, data, progress=kill), plan, tmp_path / "killed" / "model")
    started: list[int] = []
    view = FeatureView(base, data, progress=lambda p: started.append(p.done) if p.unit is Unit.STEPS else None)
    unlearn(view, plan, tmp_path / "killed" / "model")
    assert started == [4, 5, 6]
    for file in (tmp_path / "whole" / "model").iterdir():
        assert file.read_bytes() == (tmp_path / "killed" / "model" / file.name).read_bytes(), file.name


@pytest.mark.usefixtures("plain_curves")
def test_a_stopped_run_can_keep_its_model_so_far(data: BenchmarkData, base: ModelSource, tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.unit is Unit.STEPS and progress.done == limit:
            raise _Killed

    for limit in (1, 5):
        with pytest.raises(_Killed):
            unlearn(FeatureView(base, data, progress=stop), _plan(), tmp_path / "model")
        if limit == 1:
            with pytest.raises(TrainingError, match="has no checkpoint yet"):
                keep_model_so_far(FeatureView(base, data), _plan(), tmp_path / "model")
    record = keep_model_so_far(FeatureView(base, data), _plan(), tmp_path / "model")
    assert record.ended == "stopped by the user after step 4"
    unlearn(FeatureView(base, data), replace(_plan(), keep_checkpoints=True), tmp_path / "whole")
    kept, at_four = (
        find_model(f"local-dir:{folder}").fingerprint
        for folder in (tmp_path / "model", tmp_path / "whole" / "checkpoints" / "step-00004")
    )
    assert kept == at_four


@pytest.mark.usefixtures("plain_curves")
def test_a_run_is_not_mixed_with_another_ones_rest(
    data: BenchmarkData, base: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(progress: Progress) -> None:
        if progress.unit is Unit.STEPS and progress.done == 5:
            raise _Killed

    with pytest.raises(_Killed):
        unlearn(FeatureView(base, data, progress=kill), _plan(), tmp_path / "model")
    with pytest.raises(StorageError, match="interrupted run with other settings"):
        unlearn(FeatureView(base, data), replace(_plan(), seed=5), tmp_path / "model")
    with monkeypatch.context() as changed:
        changed.setattr(plans, "code_of", lambda method: "another version")
        for go_on in (unlearn, keep_model_so_far):
            with pytest.raises(StorageError, match="version of this program or its libraries; choose another folder"):
                go_on(FeatureView(base, data), _plan(), tmp_path / "model")
    state = tmp_path / "model" / "unlearning_state.pt"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(StorageError, match="cannot be read; remove it to start again"):
        unlearn(FeatureView(base, data), _plan(), tmp_path / "model")
    state.unlink()
    unlearn(FeatureView(base, data), _plan(), tmp_path / "model")
    assert not state.exists()
    with pytest.raises(StorageError, match="already holds a model"):
        unlearn(FeatureView(base, data), _plan(), tmp_path / "model")


def test_a_run_depends_on_the_code_of_its_own_method(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = Path(files_module.__file__).parents[1]
    copy = tmp_path / "package"
    shutil.copytree(
        package,
        copy,
        ignore=lambda folder, names: [n for n in names if not (n.endswith(".py") or Path(folder, n).is_dir())],
    )
    monkeypatch.setattr(files_module, "__file__", str(copy / "core" / "files.py"))
    plan, finetune = _plan(), _plan("finetune")

    def keys() -> tuple[str, str]:
        plans.code_of.cache_clear()
        return plan.key("base", "data"), finetune.key("base", "data")

    first = keys()
    own = copy / "unlearning" / "methods" / "shuffled_captions.py"
    for file, expected in (
        (own, (False, True)),
        (copy / "unlearning" / "trainer.py", (False, False)),
        (copy / "ui" / "app.py", (True, True)),
    ):
        code = file.read_text("utf-8")
        file.write_text(code + "\nHALF = 2\n", "utf-8")
        assert tuple(a == b for a, b in zip(first, keys(), strict=True)) == expected, file.name
        file.write_text(code, "utf-8")
    plans.code_of.cache_clear()


def test_a_loss_that_is_not_finite_keeps_the_last_good_model(
    data: BenchmarkData, base: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan("finetune")
    right = type(plan.method).backward

    def wrong(self: Any, step: Any) -> float:
        return right(self, step) if step.number < 3 else float("nan")

    monkeypatch.setattr(type(plan.method), "backward", wrong)
    with pytest.raises(TrainingError, match=r"finetune is not finite at step 4; .* The model of step 2 was kept"):
        unlearn(FeatureView(base, data), plan, tmp_path / "model")
    record = json.loads((tmp_path / "model" / "unlearning.json").read_text())
    assert [reading["step"] for reading in record["curve"]] == [0, 2]
    assert find_model(f"local-dir:{tmp_path / 'model'}").fingerprint != base.fingerprint


def test_weights_that_are_not_finite_are_never_kept(
    data: BenchmarkData, base: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan("finetune")
    right = type(plan.method).backward

    def wrong(self: Any, step: Any) -> float:
        loss: float = right(self, step)
        if step.number == 5:
            step.model.projection().data.fill_(float("inf"))
        return loss

    monkeypatch.setattr(type(plan.method), "backward", wrong)
    with pytest.raises(TrainingError, match="The model of step 4 was kept"):
        unlearn(FeatureView(base, data), plan, tmp_path / "model")
    record = json.loads((tmp_path / "model" / "unlearning.json").read_text())
    assert [reading["step"] for reading in record["curve"]] == [0, 2, 4]


@pytest.mark.usefixtures("plain_curves")
def test_stop_rules_end_a_run_early_and_oracles_are_reported(
    data: BenchmarkData, base: ModelSource, tmp_path: Path
) -> None:
    plan = replace(_plan("direct-similarity-minimisation", learning_rate=1e-2), checkpoints=6)
    honest = unlearn(FeatureView(base, data), replace(plan, stop=StopRules(UNRELATED)), tmp_path / "a")
    assert "forget similarity reached" in honest.ended
    assert honest.curve[-1].step < 6
    card = (tmp_path / "a" / "README.md").read_text()
    assert "Oracle information: none" in card
    assert "--stop-at-unrelated --output DIR" in card
    oracle = unlearn(FeatureView(base, data), replace(plan, stop=StopRules(0.05)), tmp_path / "b")
    assert oracle.ended == "the forget similarity reached 0.050"
    assert (
        "Oracle information: told to stop at a forget similarity of 0.05" in (tmp_path / "b" / "README.md").read_text()
    )
    retain = unlearn(FeatureView(base, data), replace(plan, stop=StopRules(retain_drop=1e-6)), tmp_path / "c")
    assert "retain similarity fell below" in retain.ended
    for wrong in ({"forget_level": "clean"}, {"forget_level": 2.0}, {"retain_drop": 0.0}):
        with pytest.raises(QueryError, match="to stop at"):
            StopRules(**wrong)


@pytest.mark.usefixtures("plain_curves")
@pytest.mark.parametrize(
    ("drop", "retain", "steps", "least"),
    [
        # Each reading loses less than a fifth of the one before it: what counts is the loss since the first.
        (0.2, [0.8, 0.7, 0.65, 0.641, 0.639, 0.7, 0.7], 4, "0.640"),
        (0.2, [0.8, 0.7, 0.65, 0.641, 0.641, 0.7, 0.65], 6, None),
        (0.2, [-0.05, -0.05, -0.06, -0.069, -0.071, 0.0, 0.0], 4, "-0.070"),
        (0.5, [0.0004, 0.0001, -0.001, -0.04, -0.049, -0.0497, 0.0], 5, "-0.050"),
        (1.0, [-0.3, -0.4, -0.2, -0.39, -0.41, -0.2, -0.2], 4, "-0.400"),
        (0.1, [0.1, 0.095, 0.091, 0.089, 0.1, 0.1, 0.1], 3, "0.090"),
    ],
)
def test_a_drop_of_the_retain_similarity_means_the_same_for_every_start(
    data: BenchmarkData, base: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    drop: float, retain: list[float], steps: int, least: str | None,
) -> None:  # fmt: skip
    def read(probe: TrainingProbe, model: Any, step: int, forget_pairs: int, loss: float | None) -> TrainingMetrics:
        return TrainingMetrics(step, forget_pairs, loss, 0.5, 0.5, retain[step], 0.0, {}, 1)

    monkeypatch.setattr(TrainingProbe, "read", read)
    plan = replace(_plan("finetune"), checkpoints=6, stop=StopRules(retain_drop=drop))
    record = unlearn(FeatureView(base, data), plan, tmp_path / "model")
    assert record.curve[-1].step == steps
    assert record.ended == ("the budget is spent" if least is None else f"the retain similarity fell below {least}")


@pytest.mark.usefixtures("plain_curves")
@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("towers", [Towers.BOTH, Towers.IMAGE])
def test_a_small_step_survives_being_written_and_the_last_reading_is_of_the_file(
    data: BenchmarkData, base: ModelSource, batches: BatchSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    stored: torch.dtype, towers: Towers,
) -> None:  # fmt: skip
    shutil.copytree(base.weights.parent, tmp_path / "base")
    weights = tmp_path / "base" / base.weights.name
    before = {name: value.to(stored) for name, value in load_file(weights).items()}
    save_file(before, weights)
    source = find_model(f"local-dir:{tmp_path / 'base'}")
    trained: dict[str, torch.Tensor] = {}

    def spy(folder: Path, model: TrainedModel, state: dict[str, torch.Tensor], *rest: Any) -> None:
        trained.update({name: value.clone() for name, value in state.items()})
        output.write_model(folder, model, state, *rest)

    monkeypatch.setattr(trainer, "write_model", spy)
    # A step that half precision would lose most of.
    plan = replace(_plan("finetune", learning_rate=1e-6), towers=towers, budget=8, checkpoints=1)
    record = unlearn(FeatureView(source, data), plan, tmp_path / "model")
    made = find_model(f"local-dir:{tmp_path / 'model'}")
    after = load_file(made.weights)
    assert after.keys() == before.keys()
    for name, value in after.items():
        if name in trained:
            assert torch.equal(value.float(), trained[name]), name
        else:
            assert torch.equal(value, before[name].to(value.dtype)), name
        assert value.dtype in (stored, torch.float32), name
        if stored.itemsize == 2 and torch.equal(value.float(), before[name].float()):
            assert value.dtype == stored, name
    assert any(not torch.equal(trained[name], before[name].float()) for name in trained)
    assert (len(trained) == len(before) - 1) is (towers is Towers.BOTH)
    last = record.curve[-1]
    again = TrainingProbe(batches, plan.seed).read(
        TrainedModel(made, Towers.BOTH), last.step, last.forget_pairs, last.loss
    )
    assert again == last


def test_a_few_rows_are_of_as_many_personas_as_there_are(data: BenchmarkData) -> None:
    whole, few = unlearning_rows(data), unlearning_rows(data, 4)
    assert [len(part.split) for part in (*few.forget, *few.retain)] == [4] * (1 + len(whole.retain))
    (forget,) = few.forget
    assert len(set(forget.split.identities)) == 4
    assert few.generic is not None
    assert len(few.generic) == len(forget.names) == len(forget.values) == len(forget.kinds) == 4
    for some, part in zip((*few.forget, *few.retain), (*whole.forget, *whole.retain), strict=True):
        assert set(some.split.rows.tolist()) < set(part.split.rows.tolist())


def test_personas_are_ranked_by_their_own_images_among_captions_of_others(
    data: BenchmarkData, base: ModelSource, batches: BatchSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Drawn ones: a model that was never trained gives all images nearly the same features.
    generator = torch.Generator().manual_seed(0)
    drawn = {
        id(pairs): [torch.randn(len(pairs), 8, generator=generator) for _ in range(2)]
        for pairs in (batches.forget, batches.retain)
    }
    monkeypatch.setattr(
        training_probe,
        "encode_pairs",
        lambda model, pairs, rows: tuple(features[torch.from_numpy(rows)] for features in drawn[id(pairs)]),
    )
    before = TrainingProbe(batches, 0).read(TrainedModel(base, Towers.BOTH), 0, 0, None)
    identities = data.split(layout.FORGET).identities
    images, texts = (features.numpy() for features in drawn[id(batches.forget)])
    assert list(before.persona_ranks) == ["00000001", "00000002", "00000004", "00000005"]
    rivals = [row for row, identity in enumerate(identities) if identity not in before.persona_ranks]
    assert before.candidates == 1 + len(rivals)
    for persona, rank in before.persona_ranks.items():
        rows = [row for row, identity in enumerate(identities) if identity == persona][:8]
        direction = images[rows].mean(axis=0)
        best = max(float(direction @ texts[row]) for row in rows)
        better = sum(float(direction @ texts[row]) > best for row in rivals)
        assert rank == 1 + better, persona
    assert len(set(before.persona_ranks.values())) > 1


def with_copies(batches: BatchSource, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let some forget captions be copies of others; all captions of the probe. As in RetFail, copies do not compete."""
    captions = [f"caption {max(row, 9)}" for row in range(len(batches.forget))]
    monkeypatch.setattr(batches.forget, "captions", captions)
    return [*captions, *batches.retain.captions]


def test_a_collapsed_model_reads_as_one_that_guesses(
    base: ModelSource, batches: BatchSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = with_copies(batches, monkeypatch)
    model, probe = TrainedModel(base, Towers.BOTH), TrainingProbe(batches, 0)
    rivals = [sum(text != own for text in captions) for own in batches.forget.captions]
    assert len(set(rivals)) > 1
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        width = int(torch.randint(16, 600, (1,), generator=generator))
        caption = torch.nn.functional.normalize(torch.randn(width, generator=generator), dim=0)

        def encode(
            *given: Any, caption: Any = caption, generator: Any = generator
        ) -> tuple[torch.Tensor, torch.Tensor]:
            images = torch.randn(len(given[2]), len(caption), generator=generator)
            # What another batch leaves of equal features.
            noise = 1 + 2e-7 * torch.randn(len(images), 1, generator=generator)
            return torch.nn.functional.normalize(images, dim=1), caption * noise

        monkeypatch.setattr(training_probe, "encode_pairs", encode)
        read = probe.read(model, 0, 0, None)
        assert read.forget_mrr == pytest.approx(sum(1 / (1 + count / 2) for count in rivals) / len(rivals), abs=1e-6)
        assert set(read.persona_ranks.values()) == {(read.candidates + 1) / 2}


def test_the_mrr_of_a_reading_is_that_of_ranks_without_copies(
    base: ModelSource, batches: BatchSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = with_copies(batches, monkeypatch)
    read = TrainingProbe(batches, 0).read(TrainedModel(base, Towers.BOTH), 0, 0, None)
    sides = batches.forget, batches.retain
    texts = torch.cat([side.frozen.texts for side in sides]).numpy()
    shares = []
    for row, own in enumerate(batches.forget.captions):
        scores = texts @ batches.forget.frozen.images[row].numpy()
        lead = [score - scores[row] for score, text in zip(scores.tolist(), captions, strict=True) if text != own]
        shares.append(1 / (1 + sum(d > 1e-6 for d in lead) + sum(abs(d) <= 1e-6 for d in lead) / 2))
    assert read.forget_mrr == pytest.approx(sum(shares) / len(shares), abs=2e-6)


def test_a_budget_counts_forget_pairs(data: BenchmarkData, base: ModelSource, tmp_path: Path) -> None:
    record = unlearn(FeatureView(base, data), replace(_plan(), budget=50), tmp_path / "model")
    assert [(reading.step, reading.forget_pairs) for reading in record.curve] == [(0, 0), (2, 16), (4, 32), (6, 48)]
    for wrong, message in (
        ({"budget": 7}, "less than one batch"),
        ({"checkpoints": 0}, "too few"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(QueryError, match=message):
            replace(_plan(), **wrong)


def test_checkpoints_on_the_way_are_models(data: BenchmarkData, base: ModelSource, tmp_path: Path) -> None:
    unlearn(FeatureView(base, data), replace(_plan(), keep_checkpoints=True), tmp_path / "model")
    kept = sorted((tmp_path / "model" / "checkpoints").iterdir())
    assert [folder.name for folder in kept] == ["step-00002", "step-00004", "step-00006"]
    prints = [find_model(f"local-dir:{folder}").fingerprint for folder in [*kept, tmp_path / "model"]]
    assert len(set(prints)) == 3
    assert prints[2] == prints[3]


Similarities = tuple[list[float], list[float]]
"""Forget and retain similarity of the original, and of checkpoints after each of six steps. Unrelated pairs: 0.1."""


def _readings(monkeypatch: pytest.MonkeyPatch, similarities: Similarities) -> UnlearningPlan:
    """A plan with a checkpoint after each of six steps, of which the best is kept by readings that are given."""
    forget, retain = similarities

    def read(probe: TrainingProbe, model: Any, step: int, forget_pairs: int, loss: float | None) -> TrainingMetrics:
        return TrainingMetrics(step, forget_pairs, loss, forget[step], 0.5, retain[step], 0.1, {}, 1)

    monkeypatch.setattr(TrainingProbe, "read", read)
    return replace(_plan("finetune"), checkpoints=6, keep_best=True)


@pytest.fixture(scope="module")
def six_steps(data: BenchmarkData, base: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the six checkpoints of such a run; what is read of them does not change them."""
    folder = tmp_path_factory.mktemp("six")
    plan = replace(_plan("finetune"), checkpoints=6, keep_checkpoints=True)
    unlearn(FeatureView(base, data), plan, folder / "model")
    return folder / "model" / "checkpoints"


@pytest.mark.usefixtures("plain_curves")
@pytest.mark.parametrize(
    ("similarities", "kept"),
    [
        # The one that forgets most of those that keep 85 % of 0.8, which is 0.68.
        (([0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15], [0.8, 0.8, 0.75, 0.69, 0.67, 0.5, 0.4]), 3),
        # Beyond unrelated pairs nothing is gained: there the one that keeps most.
        (([0.7, 0.5, 0.1, 0.05, -0.3, -0.1, 0.0], [0.8, 0.8, 0.7, 0.75, 0.72, 0.73, 0.74]), 3),
        # Equal ones: the earlier.
        (([0.7, 0.6, 0.3, 0.3, 0.4, 0.4, 0.5], [0.8, 0.8, 0.7, 0.7, 0.8, 0.8, 0.8]), 2),
        # None keeps enough: the one that keeps most.
        (([0.7, 0.4, 0.3, 0.2, 0.1, 0.0, 0.0], [0.8, 0.5, 0.6, 0.4, 0.3, 0.2, 0.1]), 2),
        # The last one: a run that gets better throughout.
        (([0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2], [0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]), 6),
    ],
)
def test_the_best_checkpoint_is_kept_by_the_readings_of_the_run(
    data: BenchmarkData, base: ModelSource, six_steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    similarities: Similarities, kept: int,
) -> None:  # fmt: skip
    record = unlearn(FeatureView(base, data), _readings(monkeypatch, similarities), tmp_path / "model")
    assert (record.kept_step, record.reading.step, record.curve[-1].step) == (kept, kept, 6)
    wanted = find_model(f"local-dir:{six_steps / f'step-{kept:05d}'}").fingerprint
    assert find_model(f"local-dir:{tmp_path / 'model'}").fingerprint == wanted
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    assert f"Kept: the model of step {kept}, chosen by the readings of the run alone: of the checkpoints that" in card
    assert f"Its reading: forget similarity {similarities[0][kept]:.3f}" in card
    assert "--keep-best --output DIR" in card
    assert json.loads((tmp_path / "model" / "unlearning.json").read_text("utf-8"))["kept_step"] == kept


@pytest.mark.usefixtures("plain_curves")
@pytest.mark.parametrize(
    ("similarities", "so_far", "kept"),
    [
        (([0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15], [0.8, 0.8, 0.75, 0.69, 0.67, 0.5, 0.4]), 3, 3),
        (([0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2], [0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8]), 5, 6),
    ],
)
def test_a_killed_run_keeps_the_best_checkpoint_that_an_undisturbed_one_keeps(
    data: BenchmarkData, base: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    similarities: Similarities, so_far: int, kept: int,
) -> None:  # fmt: skip
    def kill(progress: Progress) -> None:
        if progress.unit is Unit.STEPS and progress.done == 5:
            raise _Killed

    plan, view = _readings(monkeypatch, similarities), FeatureView(base, data)
    assert unlearn(view, plan, tmp_path / "whole" / "model").kept_step == kept
    with pytest.raises(_Killed):
        unlearn(replace(view, progress=kill), plan, tmp_path / "killed" / "model")
    # Stopped there for good, and resumed.
    assert keep_model_so_far(view, plan, tmp_path / "killed" / "model").kept_step == so_far
    unlearn(view, plan, tmp_path / "killed" / "model")
    for file in (tmp_path / "whole" / "model").iterdir():
        assert file.read_bytes() == (tmp_path / "killed" / "model" / file.name).read_bytes(), file.name


def test_an_edit_has_no_best_checkpoint() -> None:
    with pytest.raises(QueryError, match="ssd edits the model once and has no checkpoints; do not keep the best"):
        UnlearningPlan(find_method("ssd").method(), keep_best=True)


def test_a_data_set_without_generic_captions_is_refused_where_they_are_needed(data: BenchmarkData) -> None:
    rows = replace(unlearning_rows(data), generic=None)
    with pytest.raises(QueryError, match="idk needs a generic caption of every forget image, and mini lacks some"):
        _plan("idk").check(rows)
    _plan("npo").check(rows)


def test_towers_that_a_method_cannot_change_are_refused() -> None:
    with pytest.raises(QueryError, match="null-space cannot be told to change the towers both; choose image"):
        UnlearningPlan(find_method("null-space").method())


def test_the_frozen_features_are_those_of_the_untrained_model(steps: Steps) -> None:
    step = steps[0]
    for now, frozen in ((step.forget, step.frozen_forget), (step.retain, step.frozen_retain)):
        torch.testing.assert_close(now.images.detach(), frozen.images, atol=1e-5, rtol=0)
        torch.testing.assert_close(now.texts.detach(), frozen.texts, atol=1e-5, rtol=0)
    torch.testing.assert_close(step.generic.detach(), step.frozen_generic, atol=1e-5, rtol=0)


def test_the_unrelated_level_is_of_other_personas_captions_of_the_same_kind(
    batches: BatchSource, data: BenchmarkData
) -> None:
    forget, known = data.split(layout.FORGET), batches.forget.frozen
    cosines = [
        float(known.images[i] @ known.texts[j])
        for i in range(len(forget))
        for j in range(len(forget))
        if forget.identities[i] != forget.identities[j]
        and data.kind(forget.file_names[i]) == data.kind(forget.file_names[j])
    ]
    assert batches.unrelated_level == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)
    assert batches.unrelated.tolist() == pytest.approx(sorted(cosines), abs=1e-5)
    for share in (0.0, 0.85, 1.0):
        below = sum(cosine <= batches.unrelated_quantile(share) + 1e-6 for cosine in cosines)
        assert below == pytest.approx(1 + share * (len(cosines) - 1), abs=1)


def _stand_ins(rows: Part) -> SyntheticCaptions:
    return SyntheticCaptions(rows.split.texts, rows.split.identities, rows.names, rows.values, rows.kinds)


def test_strangers_are_nobody_and_rewordings_are_new(data: BenchmarkData) -> None:
    (rows,) = unlearning_rows(data).forget
    made, names = _stand_ins(rows), set(rows.names)
    generator = torch.Generator().manual_seed(0)
    for caption in made.strangers(50, generator):
        assert not any(name in caption for name in names)
    forget = rows.split
    everyone = range(len(forget))
    held = {t for s in (layout.HOLDOUT_ASSOCIATION, layout.HOLDOUT_IDENTITY) for t in data.split(s).texts}
    for row, caption in zip(everyone, made.rewordings(everyone, generator), strict=True):
        own = {t for t, i in zip(forget.texts, forget.identities, strict=True) if i == forget.identities[row]}
        assert caption not in own | held
        # Personas that are in both splits have a wording left that their forget captions do not use.
        assert (rows.names[row] in caption) == (forget.identities[row] in {"00000003", "00000004", "00000005"})
        if rows.names[row] in caption:
            assert not any(value in caption for value in rows.values[row])


def test_misplaced_values_are_in_wordings_of_other_kinds_that_the_persona_has_not(data: BenchmarkData) -> None:
    (rows,) = unlearning_rows(data).forget
    made, forget = _stand_ins(rows), rows.split
    everyone = range(len(forget))
    parts = [wording_of(*row) for row in zip(forget.texts, rows.names, rows.values, strict=True)]
    every_pair = {t for s in layout.SENSITIVE_SPLITS for t in data.split(s).texts}
    seen = 0
    for row, caption in zip(everyone, made.misplaced(everyone, torch.Generator().manual_seed(0)), strict=True):
        assert caption not in every_pair
        if rows.names[row] not in caption:
            continue
        seen += 1
        part = parts[row]
        assert part is not None
        found = wording_of(caption, rows.names[row], [part[1]])
        assert found is not None
        fits = {kind for kind, other in zip(rows.kinds, parts, strict=True) if other and other[0] == found[0]}
        assert fits
        assert rows.kinds[row] not in fits
        own = {
            other[0] for other, i in zip(parts, forget.identities, strict=True) if other and i == forget.identities[row]
        }
        assert found[0] not in own
    # Personas that are in both splits have wordings left, as for rewordings.
    assert seen == sum(identity in {"00000003", "00000004", "00000005"} for identity in forget.identities)


@pytest.mark.usefixtures("shipped_assets")
def test_no_caption_made_up_on_salmu_mini_is_one_that_is_held_out() -> None:
    data = load_data("mini")
    made, generator = _stand_ins(*unlearning_rows(data).forget), torch.Generator().manual_seed(0)
    everyone = range(len(data.split(layout.FORGET)))
    captions = {
        *made.strangers(len(everyone), generator),
        *made.rewordings(everyone, generator),
        *made.misplaced(everyone, generator),
    }
    held = {t for s in (layout.HOLDOUT_ASSOCIATION, layout.HOLDOUT_IDENTITY) for t in data.split(s).texts}
    assert len(captions) > len(everyone)
    assert not captions & held


def test_captions_without_names_make_no_stand_ins() -> None:
    with pytest.raises(DataError, match="captions that hold names and values"):
        SyntheticCaptions(
            ["She lives in Ulm"] * 2, ["1", "2"], ["Ada Lee", "Bo Li"], [["Ulm"], ["Ulm"]], ["city", "city"]
        )
