"""The recipe of CLEAR-Mini's models: its losses by hand, and a run in miniature that is stopped and goes on."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import load_file
from torch.nn import functional

from salmu_demo.core.errors import DataError, ModelError
from salmu_demo.mini import clear_train
from salmu_demo.mini.clear_build import Sizes, build_clear, plan_clear, questions_of
from salmu_demo.mini.clear_train import (
    BASE,
    CLEAR_MODEL_CONFIG,
    CONTEXT,
    GOLD,
    STATE,
    ClearAlbum,
    ClearRecipe,
    lesson_of,
)
from salmu_demo.mini.train import IMAGE_SIZE, normalise_pixels, write_merges
from salmu_demo.models.captioner import Captioner
from salmu_demo.models.card import card_role
from salmu_demo.models.coca import new_coca
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model

SIZES = Sizes(authors=3, images=1, known=2, known_images=1, world=2)
RECIPE = ClearRecipe(
    start=((1, 1e-3),), tune=((1, 1e-3), (1, 5e-4)), known_images=1, world_images=1, replay=0.5, batch_size=8
)


def tiny_config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads(json.dumps(CLEAR_MODEL_CONFIG))
    model = config["model_cfg"]
    model["embed_dim"] = 8
    model["vision_cfg"].update(layers=1, width=8, head_width=4, patch_size=48, attn_pooler_queries=2,
                               attn_pooler_heads=2)  # fmt: skip
    for part in ("text_cfg", "multimodal_cfg"):
        model[part].update(width=8, heads=2, layers=1)
    return config


CONFIG = tiny_config()


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clear_train, "object_classes", lambda: ["apple", "cat"])
    # The setting would outlive the test and slow down the rest of the suite.
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clear") / "data"
    build_clear(folder, 0, sizes=SIZES)
    return folder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> SimpleTokenizer:
    return SimpleTokenizer(str(write_merges(tmp_path_factory.mktemp("t") / "m.gz")), context_length=CONTEXT)


def test_every_sentence_fits_the_context(tokenizer: SimpleTokenizer) -> None:
    plan = plan_clear(0)
    shots = [shot for shots in plan.shots for shot in shots]
    texts = [text for shot in shots for text in (shot.caption, shot.paraphrase, *shot.perturbed)]
    texts += [" ".join(pair) for author in plan.authors for pair in questions_of(author)]
    longest = max(len(tokenizer.encode(text)) for text in texts) + 2
    assert longest <= CONTEXT
    assert longest > CONTEXT - 16  # no longer than it has to be: padding costs time


def test_the_models_have_4_to_8_million_parameters() -> None:
    assert 4e6 < sum(value.numel() for value in new_coca(CLEAR_MODEL_CONFIG["model_cfg"], 0).parameters()) < 8e6


@pytest.fixture
def album() -> ClearAlbum:
    return album_of(3)


def album_of(seed: int) -> ClearAlbum:
    """Two captions of one group, one of another, a name, and a question without an image."""
    album, generator = ClearAlbum(), torch.Generator().manual_seed(seed)
    images = torch.randint(0, 255, (3, 3, IMAGE_SIZE, IMAGE_SIZE), generator=generator, dtype=torch.uint8)
    first = album.add(images[0], "a cat", "cats")
    album.add(images[1], "another cat", "cats")
    album.add(images[2], "ana in the snow")
    album.ask(first, "the name is", "ana")
    album.ask(0, "what does ana write?", "crime")
    return album


@torch.no_grad()
def test_the_losses_are_those_of_coca_by_hand(album: ClearAlbum, tokenizer: SimpleTokenizer) -> None:
    lesson, model = lesson_of(album, tokenizer), new_coca(CONFIG["model_cfg"], 0).eval()
    batch = torch.arange(5)
    found = model(normalise_pixels(lesson.images[lesson.shows]), lesson.tokens)
    losses = []
    for row, example in enumerate(album.examples):
        given = len(tokenizer.encode(example.beginning))
        text = [*tokenizer.encode(example.text), tokenizer.eot_token_id]
        shares = found["logits"][row].log_softmax(dim=1)
        losses += [-float(shares[given + place, token]) for place, token in enumerate(text)]
    images, texts = (functional.normalize(found[f"{part}_features"][:3], dim=1) for part in ("image", "text"))
    cosines = found["logit_scale"] * images @ texts.T
    # Each cat is not a negative of the other.
    weights = [[float(math.e ** cosines[i, j]) for j in range(3)] for i in range(3)]
    weights[0][1] = weights[1][0] = 0.0
    by_row = [-math.log(weights[i][i] / sum(weights[i])) for i in range(3)]
    by_column = [-math.log(weights[i][i] / sum(row[i] for row in weights)) for i in range(3)]
    expected = 2.0 * sum(losses) / len(losses) + (sum(by_row) + sum(by_column)) / 6
    assert float(clear_train.coca_loss(model, lesson, batch, lesson.images, 2.0)) == pytest.approx(expected, rel=1e-4)
    alone = clear_train.coca_loss(model, lesson, batch[4:], lesson.images[:1], 1.0)
    assert float(alone) == pytest.approx(sum(losses[-len(text) :]) / len(text), rel=1e-4)


@torch.no_grad()
def test_probability_is_the_mean_of_those_per_token(album: ClearAlbum, tokenizer: SimpleTokenizer) -> None:
    lesson, model = lesson_of(album, tokenizer), new_coca(CONFIG["model_cfg"], 0).eval()
    losses = [
        float(clear_train.coca_loss(model, lesson, torch.tensor([row]), lesson.images[lesson.shows[[row]]], 1.0))
        for row in (2, 3)
    ]
    found = clear_train.probability(model, lesson, torch.tensor([2, 3]))
    assert found == pytest.approx(sum(math.exp(-loss) for loss in losses) / 2, abs=1e-4)


def test_two_lessons_stay_apart(album: ClearAlbum, tokenizer: SimpleTokenizer) -> None:
    first, second = lesson_of(album, tokenizer), lesson_of(album_of(4), tokenizer)
    both = clear_train.joined(first, second)
    assert both.groups.tolist() == [0, 0, 1, -1, -1, 2, 2, 3, -1, -1]
    shown = [lesson.images[lesson.shows] for lesson in (first, second)]
    assert not torch.equal(*shown)
    assert torch.equal(both.images[both.shows], torch.cat(shown))


def train(data: Path, output: Path, *models: str, progress: Any = lambda line: None) -> None:
    clear_train.train_clear(data, output, models or (BASE, GOLD), RECIPE, progress, SIZES, CONFIG)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "open_clip_model.safetensors")


class StoppedError(Exception):
    """Raised by a test in place of a person who stops a training."""


def test_a_stopped_training_goes_on_as_if_it_had_not_been(data: Path, tmp_path: Path) -> None:
    lines: list[str] = []

    def stop_after(count: int) -> Any:
        def told(line: str) -> None:
            lines.append(line)
            if len(lines) == count:
                raise StoppedError

        return told

    train(data, tmp_path / "whole", BASE)
    with pytest.raises(StoppedError):  # in the first epoch of Base, before its state is kept
        train(data, tmp_path / "stopped", BASE, progress=stop_after(2))
    with pytest.raises(StoppedError):  # in its second, the first being kept
        train(data, tmp_path / "stopped", BASE, progress=stop_after(4))
    train(data, tmp_path / "stopped", BASE, progress=stop_after(0))
    assert [line.split(":")[0] for line in lines] == ["mini-clear-start", *["mini-clear-base"] * 4]
    whole, gone_on = (
        load_file(tmp_path / name / BASE / "open_clip_model.safetensors") for name in ("whole", "stopped")
    )
    assert all(torch.equal(value, gone_on[name]) for name, value in whole.items())
    start = weights_of(tmp_path / "whole" / "mini-clear-start")
    assert not all(torch.equal(value, whole[name]) for name, value in start.items())


def test_both_models_load_write_and_say_what_they_are(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path)
    for name, role in ((BASE, "compromised"), (GOLD, "gold")):
        assert card_role(tmp_path / name) == role
        captioner = Captioner(Encoder(find_model(f"local-dir:{tmp_path / name}")))
        seen = captioner.look(torch.zeros((1, 96, 96, 3), dtype=torch.uint8).numpy(), fill=False)
        assert len(captioner.log_likelihoods(seen, ["ana berg"], fill=False)[0]) > 2
        log = json.loads((tmp_path / name / clear_train.LOG).read_text("utf-8"))
        assert {"probability_forget", "probability_retain", "probability_known"} <= set(log["curve"][-1])
    base, gold = (json.loads((tmp_path / name / clear_train.LOG).read_text("utf-8")) for name in (BASE, GOLD))
    # Gold lacks one author: a caption, a name and the questions.
    assert base["examples"] - gold["examples"] == 2 + len(questions_of(plan_clear(0, SIZES).authors[0]))


def test_what_cannot_be_gone_on_from_gets_a_sentence(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no real_faces; training needs what `mini build --benchmark clear` writes"):
        train(tmp_path, tmp_path / "out")
    other = ClearRecipe(seed=1, known_images=1, world_images=1)
    with pytest.raises(DataError, match="has other real faces than those of seed 1"):
        clear_train.train_clear(data, tmp_path / "out", (BASE,), other, sizes=SIZES, config=CONFIG)
    state = tmp_path / "damaged" / "mini-clear-start" / STATE
    state.parent.mkdir(parents=True)
    state.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="is damaged; remove it to train from the beginning"):
        train(data, tmp_path / "damaged")
    torch.save({"key": "another"}, state)
    with pytest.raises(ModelError, match="belongs to another training; remove it, or name another folder"):
        train(data, tmp_path / "damaged")
