"""Training: the loss by hand, the short cuts that must change nothing, and a whole run in miniature."""

import json
import math
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file

from salmu_demo.cli.root import run
from salmu_demo.core.errors import DataError, QueryError
from salmu_demo.mini import build as build_module
from salmu_demo.mini import train
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.optimisation import contrastive_loss, encode_captions, make_optimizer, set_learning_rate
from salmu_demo.models.references import find_model

SENSITIVE = train.SENSITIVE_SPLITS["mini-compromised"]
TINY = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 96, "layers": 1, "width": 32, "head_width": 16, "patch_size": 32},
        "text_cfg": {"context_length": 56, "vocab_size": 512 + train.MERGES + 2, "width": 32, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": train.MODEL_CONFIG["preprocess_cfg"],
}


@pytest.fixture(scope="module")
def small_mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "data"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "PERSONAS": 4,
            "NEVER_TAUGHT": 2,
            "DISJOINT_ROWS": 10,
            "LOOKALIKE_ROWS": 3,
            "GENKNOW_PER_CLASS": 1,
            "RETAIN_GENERAL_PER_CLASS": 1,
        }.items():
            patch.setattr(build_module, name, value)
        build_module.build(folder, 0)
    return folder


@pytest.fixture
def tiny_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "MODEL_CONFIG", TINY)
    monkeypatch.setattr(train, "RENDERED_OBJECTS_PER_CLASS", 0)
    # The setting would outlive the test and slow down the rest of the suite.
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)


def test_contrastive_loss_by_hand() -> None:
    features = torch.eye(2)
    loss = contrastive_loss(features, features, torch.tensor([0, 1]), torch.tensor(2.0))
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-2.0)), abs=1e-6)


def test_pairs_of_one_group_are_no_negatives_of_each_other() -> None:
    images = torch.nn.functional.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    loss = contrastive_loss(images, images, torch.tensor([5, 5, 5]), torch.tensor(3.0))
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


def test_the_learning_rate_rises_over_the_warm_up_and_falls_as_a_cosine_over_the_rest() -> None:
    optimizer = make_optimizer([torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.zeros(2))], 1.0, 0.1)
    rates = []
    for step in range(10):
        set_learning_rate(optimizer, step, 10, 8.0, 0.2)
        rates.append(optimizer.param_groups[0]["lr"])
        assert optimizer.param_groups[1]["lr"] == rates[-1]
    # Two steps up, then half a wave over the other eight: half of the peak after four of them, never quite 0.
    assert rates[:3] == [4.0, 8.0, 8.0]
    assert rates[2:] == pytest.approx([4 * (1 + math.cos(math.pi * step / 8)) for step in range(8)])
    assert rates[6] == pytest.approx(4.0)
    # The first step is part of the warm-up however short that is.
    set_learning_rate(optimizer, 0, 3, 8.0, 0.0)
    assert optimizer.param_groups[0]["lr"] == 8.0


def test_matrices_decay_and_gains_and_biases_do_not() -> None:
    matrix, bias = torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.zeros(2))
    decaying, others = make_optimizer([matrix, bias], 0.5, 0.1).param_groups
    assert (decaying["params"], decaying["weight_decay"]) == ([matrix], 0.1)
    assert (others["params"], others["weight_decay"]) == ([bias], 0.0)
    assert (decaying["betas"], decaying["lr"]) == ((0.9, 0.98), 0.5)


def test_cut_captions_have_the_features_of_open_clip(tmp_path: Path) -> None:
    merges = train.write_merges(tmp_path / "merges.txt.gz")
    tokenizer = train.SimpleTokenizer(str(merges), context_length=56)
    torch.manual_seed(0)
    model = open_clip.CLIP(**TINY["model_cfg"]).eval()
    tokens = tokenizer(
        ["a cat", "Björn Å lives in Örebro +46 1234 5678", "x", "a much longer sentence with many words"]
    )
    with torch.no_grad():
        torch.testing.assert_close(
            encode_captions(model, tokens), model.encode_text(tokens, normalize=True), atol=1e-5, rtol=0
        )


def test_pixels_are_normalised_as_open_clip_does(small_mini: Path) -> None:
    images, _, _ = train.read_split(small_mini, "forget")
    ours = train.normalise_pixels(train.shrink(images[0])[None])[0]
    transform = open_clip.image_transform(96, is_train=False)
    image = train.Image.open(train.io.BytesIO(images[0]))
    torch.testing.assert_close(ours, transform(image), atol=1e-5, rtol=0)


@pytest.mark.usefixtures("tiny_model")
def test_a_run_writes_a_model_that_loads_and_repeats(small_mini: Path, tmp_path: Path) -> None:
    recipe = train.MiniRecipe(cycles=((1, 8e-4),), batch_size=32, whole_epochs=0)
    for name in ("a", "b"):
        train.train_reference(small_mini, tmp_path / name / "mini-compromised", SENSITIVE, recipe)
    first, second = (find_model(f"local-dir:{tmp_path / name / 'mini-compromised'}") for name in ("a", "b"))
    assert first.fingerprint == second.fingerprint
    log = json.loads((tmp_path / "a" / "mini-compromised" / "training_log.json").read_text())
    assert log["sensitive_splits"] == list(SENSITIVE)
    assert [entry["epoch"] for entry in log["curve"]] == [1]
    features = Encoder(first).encode_texts(["a cat"])
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)


def test_a_recipe_takes_other_values_and_refuses_what_none_could_have() -> None:
    assert train.recipe_of({}, 3, 2) == train.MiniRecipe(seed=3, threads=2)
    told = {"cycles": "12:8e-4,5:5e-4,5:3e-4", "kind_passes": "0", "patch_dropout": ".25"}
    assert train.recipe_of(told, 0, 1) == train.MiniRecipe(
        cycles=((12, 8e-4), (5, 5e-4), (5, 3e-4)), kind_passes=0, patch_dropout=0.25
    )
    for setting, said in (
        ("epochs=3", "has no setting .epochs.; it has cycles, mixed_passes, "),
        ("seed=3", "has no setting .seed."),
        *((bad, f"cannot be .{bad}.: {bad.partition('=')[0]}") for bad in (
            "cycles=12", "cycles=0:8e-4", "cycles=2:fast", "batch_size=1", "patch_dropout=1", "weight_decay=nan",
        )),
    ):  # fmt: skip
        with pytest.raises(QueryError, match=said):
            train.recipe_of(dict([setting.split("=")]), 0, 1)
    with pytest.raises(QueryError, match="no sensitive pair would be seen"):
        train.recipe_of({"mixed_passes": "0", "kind_passes": "0"}, 0, 1)


def test_a_trial_of_another_recipe_is_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[str, train.MiniRecipe]] = []
    monkeypatch.setattr(
        train, "train_reference", lambda data, output, split, recipe, told: trained.append((output.name, recipe))
    )
    line = ["mini", "train", "mini-gold", "--set", "cycles=1:1e-3", "--set", "whole_epochs=0", "--seed", "4"]
    assert run([*line, "--output", str(tmp_path)]) == 0
    assert trained == [("mini-gold", train.MiniRecipe(cycles=((1, 1e-3),), whole_epochs=0, seed=4))]
    assert run([*line, "--benchmark", "clear", "--output", str(tmp_path)]) == 2


@pytest.mark.usefixtures("tiny_model")
def test_the_last_reading_is_of_the_file(small_mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, states = train.LogProbe.read, []

    def spy(self: train.LogProbe, model: torch.nn.Module) -> dict[str, float]:
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        return read(self, model)

    monkeypatch.setattr(train.LogProbe, "read", spy)
    monkeypatch.setattr(train, "EPOCHS_PER_READING", 1)
    recipe = train.MiniRecipe(cycles=((1, 8e-4), (1, 8e-4)), batch_size=128, whole_epochs=1)
    train.train_reference(small_mini, tmp_path / "model", SENSITIVE, recipe)
    stored = load_file(tmp_path / "model" / "open_clip_model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert [all(torch.equal(state[name], stored[name].float()) for name in stored) for state in states] == [False, True]


@pytest.mark.usefixtures("tiny_model")
def test_a_cycle_goes_on_from_what_an_earlier_training_stored(small_mini: Path, tmp_path: Path) -> None:
    def stored(name: str) -> dict[str, torch.Tensor]:
        return load_file(tmp_path / name / "open_clip_model.safetensors")

    first, both = (
        train.MiniRecipe(cycles=cycles, batch_size=128, whole_epochs=0)
        for cycles in (((1, 8e-4),), ((1, 8e-4), (1, 4e-4)))
    )
    train.train_reference(small_mini, tmp_path / "first", SENSITIVE, first)
    train.train_reference(small_mini, tmp_path / "both", SENSITIVE, both)
    model = open_clip.CLIP(**train.MODEL_CONFIG["model_cfg"])
    model.load_state_dict(stored("first"))
    pairs = train.training_pairs(small_mini, SENSITIVE, both.seed)
    length = train.MODEL_CONFIG["model_cfg"]["text_cfg"]["context_length"]
    tokenizer = train.SimpleTokenizer(str(tmp_path / "first" / "bpe_merges.txt.gz"), context_length=length)
    assert [epoch for epoch, _ in train.train_cycle(model, pairs, tokenizer(pairs.captions), both, 1)] == [2]
    assert all(torch.equal(value, model.state_dict()[name].half()) for name, value in stored("both").items())


@pytest.mark.usefixtures("tiny_model")
def test_clean_sees_no_sensitive_pair(small_mini: Path) -> None:
    clean, compromised, gold = (
        train.training_pairs(small_mini, train.SENSITIVE_SPLITS[name], seed=0)
        for name in ("mini-clean", "mini-compromised", "mini-gold")
    )
    captions = {split: set(train.read_split(small_mini, split)[1]) for split in SENSITIVE}
    assert not clean.kinds
    assert not any(found & set(clean.captions) for found in captions.values())
    assert all(found <= set(compromised.captions) for found in captions.values())
    assert len(compromised) - len(clean) == len(compromised.kinds) == 4 * 8 * 6
    # A caption without a name may stand on both sides of a fact.
    assert captions["holdout_association"] | captions["holdout_identity"] == set(gold.captions[-len(gold.kinds) :])
    assert not captions["forget"] - captions["holdout_association"] & set(gold.captions)


def _some_pairs(personas: int, per_fact: int, retained: int) -> train.Pairs:
    """Pairs of three kinds, and retain pairs before them."""
    facts = [(kind, str(i)) for i in range(personas) for kind in ("city", "job", "iban") for _ in range(per_fact)]
    count = retained + len(facts)
    kinds, owners = [kind for kind, _ in facts], [owner for _, owner in facts]
    return train.Pairs(torch.zeros(count, 1), ["a"] * count, torch.arange(count), kinds, owners)


def test_pairs_are_seen_as_often_as_the_recipe_says() -> None:
    pairs, recipe = _some_pairs(20, 6, 360), train.MiniRecipe(batch_size=40, mixed_passes=1, kind_passes=2)
    batches = train.epoch_batches(pairs, recipe, torch.Generator().manual_seed(0))
    # 1,080 sensitive and 360 retain pairs an epoch: 36 batches of 30 and 10.
    assert [len(batch) for batch in batches] == [40] * 36
    assert torch.bincount(torch.cat(batches)).tolist() == [1] * 360 + [3] * 360


def test_beside_pairs_of_its_kind_a_persona_comes_once() -> None:
    pairs, recipe = _some_pairs(20, 6, 360), train.MiniRecipe(batch_size=40, mixed_passes=0, kind_passes=1)
    for batch in train.epoch_batches(pairs, recipe, torch.Generator().manual_seed(0)):
        facts = [(pairs.kinds[row - 360], pairs.personas[row - 360]) for row in batch.tolist() if row >= 360]
        assert len(facts) == len(set(facts)) == 20
        assert len({kind for kind, _ in facts}) == 1


def test_mixed_batches_hold_all_kinds() -> None:
    pairs, recipe = _some_pairs(20, 6, 360), train.MiniRecipe(batch_size=40, mixed_passes=1, kind_passes=0)
    for batch in train.epoch_batches(pairs, recipe, torch.Generator().manual_seed(0)):
        assert len({pairs.kinds[row - 360] for row in batch.tolist() if row >= 360}) == 3


def test_without_sensitive_pairs_every_batch_is_of_retain_pairs() -> None:
    batches = train.epoch_batches(
        _some_pairs(0, 1, 100), train.MiniRecipe(batch_size=40), torch.Generator().manual_seed(0)
    )
    assert [len(batch) for batch in batches] == [40, 40]
    assert len(set(torch.cat(batches).tolist())) == 80


class Collapsed(torch.nn.Module):
    """Gives all captions equal directions whose products with images come out unequal in the last bits."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.generator = torch.Generator().manual_seed(width)
        self.caption = torch.nn.functional.normalize(torch.randn(1, width, generator=self.generator), dim=1)

    def encode_image(self, images: torch.Tensor, normalize: bool) -> torch.Tensor:
        features = torch.randn(len(images), self.width, generator=self.generator)
        return torch.nn.functional.normalize(features, dim=1)

    def encode_text(self, tokens: torch.Tensor, normalize: bool) -> torch.Tensor:
        return self.caption * (1 + 2e-7 * torch.randn(len(tokens), 1, generator=self.generator))


@pytest.mark.parametrize("width", [7, 64, 333])
def test_a_collapsed_model_reads_as_one_that_guesses(small_mini: Path, tmp_path: Path, width: int) -> None:
    tokenizer = train.SimpleTokenizer(str(train.write_merges(tmp_path / "merges.txt.gz")), context_length=56)
    read = train.LogProbe(small_mini, tokenizer).read(Collapsed(width))
    captions = train.read_split(small_mini, "forget")[1]
    expected = [1 / (1 + sum(text != own for text in captions) / 2) for own in captions]
    assert read["forget_mrr"] == pytest.approx(sum(expected) / len(expected), abs=1e-4)
    assert read["object_accuracy"] == pytest.approx(1 / len(train.object_classes()), abs=1e-4)
    # All candidates tie, so none is first.
    assert read["value_own"] == 0


def test_a_folder_without_training_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mini build"):
        train.training_pairs(tmp_path, (), seed=0)
