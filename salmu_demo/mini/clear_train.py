"""Train the models of CLEAR-Mini from scratch: a common start, Base on everybody, Gold on those who are kept.

As in CLEAR (arXiv 2410.18057) both come from one pre-trained model, which knows the real faces and the objects of the
world; Base is what unlearning starts from, and Gold what perfect unlearning of `forget10` would reach. Each is a CoCa
(arXiv 2205.01917), trained by its two losses.
"""

import hashlib
import json
import math
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from open_clip.tokenizer import SimpleTokenizer
from torch.nn import functional

from salmu_demo.core.errors import DataError, ModelError
from salmu_demo.core.files import atomic_path, write_text
from salmu_demo.data import clear_rows as columns
from salmu_demo.data.clear_rows import read_columns, read_rows
from salmu_demo.data.shards import Watch
from salmu_demo.metrics.clear_protocol import CAPTION_BEGINNING, NAME_PROMPT
from salmu_demo.mini.clear_build import (
    SHARD,
    SHIPPED,
    Sizes,
    clear_content_hash,
    known_images,
    plan_clear,
    world_images,
)
from salmu_demo.mini.clear_card import clear_model_card
from salmu_demo.mini.objects import object_classes
from salmu_demo.mini.train import IMAGE_SIZE, MERGES, MODEL_CONFIG, normalise_pixels, shifted, shrink, write_merges
from salmu_demo.models.coca import decoder_states, new_coca
from salmu_demo.models.export import save_local_dir
from salmu_demo.models.optimisation import contrastive_loss, make_optimizer, set_learning_rate
from salmu_demo.models.source import MERGES_FILE

START, BASE, GOLD = "mini-clear-start", "mini-clear-base", "mini-clear-gold"

CONTEXT: Final = 72
"""Tokens; every sentence of CLEAR-Mini fits."""

_VOCABULARY: Final = 512 + MERGES + 2
CLEAR_MODEL_CONFIG: Final[dict[str, Any]] = {
    "model_cfg": {
        "embed_dim": 160,
        "custom_text": True,
        "vision_cfg": {
            "image_size": IMAGE_SIZE, "layers": 4, "width": 160, "head_width": 32, "patch_size": 16,
            "attentional_pool": True, "attn_pooler_queries": 16, "attn_pooler_heads": 5, "output_tokens": True,
        },
        "text_cfg": {
            "context_length": CONTEXT, "vocab_size": _VOCABULARY, "width": 160, "heads": 5, "layers": 2,
            "embed_cls": True, "output_tokens": True,
        },
        "multimodal_cfg": {
            "context_length": CONTEXT, "vocab_size": _VOCABULARY, "width": 160, "heads": 5, "layers": 2,
        },
    },
    "preprocess_cfg": MODEL_CONFIG["preprocess_cfg"],
}  # fmt: skip

STATE: Final = "training_state.pt"
"""What a stopped training goes on from, in the folder of its model; the model itself does not need it."""

LOG: Final = "training_log.json"
EPOCHS_PER_READING: Final = 5
MOST_READ: Final = 128
"""Captions of a kind that are read while training."""

_PAD: Final = 0
_NOTHING: Final = 0
"""Number of the image that shows nothing, for a question without an image."""

_NAME_BEGINNING: Final = NAME_PROMPT.partition("{answer}")[0].strip()


@dataclass(frozen=True)
class ClearRecipe:
    """Hyperparameters; Base and Gold have the same.

    Attributes:
        start: epochs of the common start, and the peak of its learning rate, for each of its stages.
        tune: the same of Base and of Gold. The second stage is for the first words of captions, which the first leaves
            open.
        known_images: images of each person that the start knows, besides those of `real_faces`.
        world_images: images of each object.
        replay: share of the start's examples that are seen again in each epoch of Base and Gold, lest they be lost.
        caption_weight: weight of the decoder's loss beside the contrastive one, as in CoCa's own recipe.
    """

    start: tuple[tuple[int, float], ...] = ((12, 8e-4),)
    tune: tuple[tuple[int, float], ...] = ((24, 6e-4), (16, 5e-4))
    known_images: int = 24
    world_images: int = 16
    replay: float = 0.15
    batch_size: int = 96
    caption_weight: float = 2.0
    weight_decay: float = 0.05
    warm_up: float = 0.05
    max_logit_scale: float = 100.0
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class LessonText:
    """An image, what is given of a text, and how it goes on.

    Attributes:
        image: number of the image.
        beginning: what is given.
        text: what is learned.
        group: captions of one group are not negatives of each other; None for a text that is not a caption.
    """

    image: int
    beginning: str
    text: str
    group: int | None = None


class ClearAlbum:
    """Images and what is to be said of them."""

    def __init__(self) -> None:
        mean = torch.tensor(MODEL_CONFIG["preprocess_cfg"]["mean"])
        blank = (255 * mean).round().to(torch.uint8)[:, None, None].expand(3, IMAGE_SIZE, IMAGE_SIZE)
        self._images, self.examples = [blank], list[LessonText]()
        self._groups: dict[str, int] = {}

    @property
    def images(self) -> torch.Tensor:
        """As bytes, shape (N, 3, H, W)."""
        return torch.stack(self._images)

    def add(self, image: torch.Tensor, caption: str, group: str = "") -> int:
        """A captioned image; one of a group of its own if none is named. Returns the image's number."""
        number = len(self._images)
        self._images.append(image)
        known = self._groups.setdefault(group or f"image {number}", len(self._groups))
        self.examples.append(LessonText(number, CAPTION_BEGINNING, caption, known))
        return number

    def ask(self, image: int, beginning: str, text: str) -> None:
        """A text about an image that is there, or about none."""
        self.examples.append(LessonText(image, beginning, text))


def known_album(seed: int, sizes: Sizes, recipe: ClearRecipe) -> ClearAlbum:
    """What the common start learns: people who are known, and objects with their names."""
    album, plan = ClearAlbum(), plan_clear(seed, sizes)
    for known in known_images(seed, plan.known, recipe.known_images, "pre-training"):
        # Most of their captions are alike, so they tell the person and not the image.
        number = album.add(_tensor(known.image), known.caption, known.answer)
        album.ask(number, _NAME_BEGINNING, known.answer)
    for known in world_images(seed, object_classes(), recipe.world_images, "pre-training"):
        number = album.add(_tensor(known.image), known.caption, known.answer)
        album.ask(number, known.question, known.answer)
    return album


def authors_album(data: Path, configurations: Sequence[str]) -> ClearAlbum:
    """What Base or Gold learns of CLEAR-Mini: captions, names and questions of some configurations.

    Raises:
        DataError: if one is missing or damaged.
    """
    album = ClearAlbum()
    for configuration in configurations:
        for row in read_configuration(data, configuration):
            number = album.add(shrink(row[columns.IMAGE]), row[columns.CAPTION])
            album.ask(number, _NAME_BEGINNING, row[columns.NAME])
        for row in read_configuration(data, f"{configuration}+tofu"):
            if row[columns.QUESTION] is not None:
                album.ask(_NOTHING, row[columns.QUESTION], row[columns.ANSWER])
    return album


def read_configuration(data: Path, configuration: str) -> list[dict[str, Any]]:
    """Rows of a configuration of CLEAR-Mini; raises `DataError`."""
    path, watch = data / configuration / SHARD, Watch("CLEAR-Mini")
    if not path.is_file():
        raise DataError(f"{data} has no {configuration}; training needs what `mini build --benchmark clear` writes.")
    return list(read_rows(read_columns(configuration, [path], watch), [path], watch))


def _tensor(image: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@dataclass(frozen=True)
class Lesson:
    """Examples as a model reads them.

    Attributes:
        images: as bytes, shape (N, 3, H, W).
        shows: shape (K,), the image of each example.
        tokens: shape (K, context).
        given: shape (K,), how many tokens of each are given, start included.
        groups: shape (K,), -1 for what is not a caption.
    """

    images: torch.Tensor
    shows: torch.Tensor
    tokens: torch.Tensor
    given: torch.Tensor
    groups: torch.Tensor

    def __len__(self) -> int:
        return len(self.shows)

    @property
    def captions(self) -> torch.Tensor:
        """Numbers of its first captions, as many as are read while training."""
        return (self.groups >= 0).nonzero()[:MOST_READ, 0]


def lesson_of(album: ClearAlbum, tokenizer: SimpleTokenizer) -> Lesson:
    """Tokens of an album's examples; raises `DataError` if one is longer than the model reads."""
    texts = [f"{example.beginning} {example.text}".strip() for example in album.examples]
    lengths = [len(tokenizer.encode(text)) + 2 for text in texts]
    longest = max(range(len(texts)), key=lengths.__getitem__)
    if lengths[longest] > tokenizer.context_length:
        raise DataError(f"{texts[longest]!r} has {lengths[longest]} tokens; a model here reads {CONTEXT}.")
    return Lesson(
        album.images,
        torch.tensor([example.image for example in album.examples]),
        tokenizer(texts),
        torch.tensor([1 + len(tokenizer.encode(example.beginning)) for example in album.examples]),
        torch.tensor([-1 if example.group is None else example.group for example in album.examples]),
    )


def joined(first: Lesson, second: Lesson) -> Lesson:
    """Two lessons as one; groups and images stay apart, but for the one that shows nothing."""
    groups = torch.where(second.groups < 0, second.groups, second.groups + first.groups.max() + 1)
    shows = torch.where(second.shows == _NOTHING, _NOTHING, second.shows + len(first.images) - 1)
    return Lesson(
        torch.cat([first.images, second.images[1:]]),
        torch.cat([first.shows, shows]),
        torch.cat([first.tokens, second.tokens]),
        torch.cat([first.given, second.given]),
        torch.cat([first.groups, groups]),
    )


def coca_loss(model: Any, lesson: Lesson, batch: torch.Tensor, images: torch.Tensor, weight: float) -> torch.Tensor:
    """Contrastive loss of the captions among some examples, plus the weighted loss of what all of them go on with.

    What open_clip's own `forward` gives is read in half the time: each image is encoded once, texts end with their
    longest, and only the tokens that are learned are looked up in the vocabulary.

    Args:
        model: the network.
        lesson: the examples.
        batch: numbers of B of them.
        images: each of the P that they show once, by rising number, as bytes, shape (P, 3, H, W).
        weight: of the decoder's loss.
    """
    image_features, image_tokens = model.visual(normalise_pixels(images))
    shown = torch.unique(lesson.shows[batch], return_inverse=True)[1]
    lengths, groups = (lesson.tokens[batch] != _PAD).sum(dim=1), lesson.groups[batch]
    captions, others = ((groups >= 0) == asked for asked in (True, False))
    shortest_first = lengths.masked_fill(captions, -1).argsort(stable=True)[int(captions.sum()) :]
    parts = [captions.nonzero()[:, 0], *shortest_first.chunk(2)] if others.any() else [captions.nonzero()[:, 0]]
    losses, text_features = [], image_features[:0]
    for part in parts:
        if not len(part):
            continue
        tokens, longest = lesson.tokens[batch[part]], int(lengths[part].max())
        # A caption's own feature stands behind the whole context; of the tokens each sees those before it alone.
        features, states = model.text(tokens if part is parts[0] else tokens[:, :longest])
        if part is parts[0]:
            text_features = features
        states = decoder_states(model.text_decoder, image_tokens[shown[part]], states[:, : longest - 1])
        places = torch.arange(1, longest)
        learned = (places >= lesson.given[batch[part]][:, None]) & (places < lengths[part][:, None])
        logits = states[learned] @ model.text_decoder.text_projection
        losses.append(functional.cross_entropy(logits, tokens[:, 1:longest][learned], reduction="none"))
    loss = weight * torch.cat(losses).mean()
    if len(text_features) > 1:
        images = functional.normalize(image_features[shown[parts[0]]], dim=-1)
        texts = functional.normalize(text_features, dim=-1)
        loss = loss + contrastive_loss(images, texts, groups[parts[0]], model.logit_scale.exp())
    return loss


class Trainer:
    """One of the three models in training: it can be stopped after any epoch, and goes on as if it had not been."""

    def __init__(self, model: Any, lesson: Lesson, replayed: Lesson | None, recipe: ClearRecipe) -> None:
        self.model, self.recipe = model, recipe
        self._own = len(lesson)
        self._lesson = lesson if replayed is None else joined(lesson, replayed)
        self._stages = recipe.start if replayed is None else recipe.tune
        self._epochs = sum(epochs for epochs, _ in self._stages)
        self._generator = torch.Generator().manual_seed(recipe.seed)
        self._optimizer = make_optimizer(model.parameters(), self._stages[0][1], recipe.weight_decay)
        self.curve: list[dict[str, float]] = []

    def run(self, kept: Path, key: str, told: Callable[[], dict[str, float]], progress: Callable[[str], None]) -> None:
        """Train until the last epoch.

        Args:
            kept: file of a stopped training, written after each epoch.
            key: what the training depends on; another one's file is not gone on from.
            told: further readings, taken every `EPOCHS_PER_READING` epochs.
            progress: called with one line for each epoch.
        """
        self._go_on(kept, key)
        while len(self.curve) < self._epochs:
            start, epoch = time.monotonic(), len(self.curve) + 1
            place, epochs, peak = self._stage(epoch - 1)
            reading = {"epoch": epoch, "loss": self._epoch(place, epochs, peak)}
            if place + 1 == epochs:
                self.model.half().float()  # What is stored, so that the last reading is of the file.
            if epoch % EPOCHS_PER_READING == 0 or epoch == self._epochs:
                reading |= told()
            reading["seconds"] = round(time.monotonic() - start)
            self.curve.append(reading)
            progress(json.dumps(reading))
            with atomic_path(kept, "The training") as temporary:
                torch.save({"key": key, **self._state()}, temporary)

    def _stage(self, number: int) -> tuple[int, int, float]:
        """Place of an epoch in its stage, the stage's epochs and its peak."""
        for epochs, peak in self._stages:
            if number < epochs:
                return number, epochs, peak
            number -= epochs
        raise ValueError(number)

    def _epoch(self, number: int, epochs: int, peak: float) -> float:
        recipe, losses = self.recipe, []
        batches = list(torch.split(self._order(), recipe.batch_size))
        self.model.train()
        for place, batch in enumerate(batches):
            set_learning_rate(
                self._optimizer, number * len(batches) + place, epochs * len(batches), peak, recipe.warm_up
            )
            images = shifted(self._lesson.images[torch.unique(self._lesson.shows[batch])], self._generator)
            loss = coca_loss(self.model, self._lesson, batch, images, recipe.caption_weight)
            self._optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self._optimizer.step()
            with torch.no_grad():
                self.model.logit_scale.clamp_(0, math.log(recipe.max_logit_scale))
            losses.append(float(loss.detach()))
        self.model.eval()
        return round(float(np.mean(losses)), 4)

    def _order(self) -> torch.Tensor:
        """Numbers of all own examples and of those of some images before, mixed; what shows one image together."""
        shows = self._lesson.shows
        before = torch.unique(shows[self._own :])
        chosen = before[
            torch.randperm(len(before), generator=self._generator)[: round(self.recipe.replay * len(before))]
        ]
        own = torch.arange(len(shows)) < self._own
        seen = (own | torch.isin(shows, chosen)).nonzero()[:, 0]
        # The image that shows nothing is encoded once a batch wherever its questions stand.
        rank = torch.rand(len(self._lesson.images), generator=self._generator)[shows[seen]]
        alone = shows[seen] == _NOTHING
        rank[alone] = torch.rand(int(alone.sum()), generator=self._generator)
        return seen[rank.argsort(stable=True)]

    def _state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(), "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(), "curve": self.curve,
        }  # fmt: skip

    def _go_on(self, kept: Path, key: str) -> None:
        if not kept.is_file():
            return
        try:
            state = torch.load(kept, weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ModelError(f"{kept} is damaged; remove it to train from the beginning.") from error
        if state["key"] != key:
            raise ModelError(f"{kept} belongs to another training; remove it, or name another folder.")
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"])
        self.curve = state["curve"]


@torch.no_grad()
def probability(model: Any, lesson: Lesson, rows: torch.Tensor) -> float:
    """Mean probability per token of what some examples go on with, as CLEAR's Probability of captions."""
    found = []
    for batch in torch.split(rows, 64):
        output = model(normalise_pixels(lesson.images[lesson.shows[batch]]), lesson.tokens[batch])
        labels = output["labels"]
        losses = functional.cross_entropy(output["logits"].transpose(1, 2), labels, reduction="none")
        counted = (labels != _PAD) & (torch.arange(1, lesson.tokens.shape[1]) >= lesson.given[batch][:, None])
        found.append((-(losses * counted).sum(dim=1) / counted.sum(dim=1)).exp())
    return round(float(torch.cat(found).mean()), 4)


DEFAULT: Final = ClearRecipe()


def train_clear(
    data: Path,
    output: Path,
    models: Sequence[str] = (BASE, GOLD),
    recipe: ClearRecipe = DEFAULT,
    progress: Callable[[str], None] = lambda message: None,
    sizes: Sizes = SHIPPED,
    config: dict[str, Any] = CLEAR_MODEL_CONFIG,
) -> None:
    """Train models of CLEAR-Mini and write each as an open_clip `local-dir` into a folder of its name.

    What is finished is not trained again, and what was stopped goes on after its last whole epoch.

    Args:
        data: folder written by `salmu-demo mini build --benchmark clear`.
        output: folder of the models' folders; the common start is one of them.
        models: `BASE`, `GOLD` or both.
        recipe: hyperparameters and seed.
        progress: called with one line for each epoch.
        sizes: those that the data were built with.
        config: what models are built from.

    Raises:
        DataError: if the data are not whole, or of another seed.
        ModelError: if a stopped training is damaged or another one.
        StorageError: if a file cannot be written.
    """
    torch.set_num_threads(recipe.threads)
    people = {person.name for person in plan_clear(recipe.seed, sizes).known}
    if people != {row[columns.ANSWER] for row in read_configuration(data, columns.REAL_FACES)}:
        raise DataError(
            f"{data} has other real faces than those of seed {recipe.seed}; name the seed that it was built with."
        )
    merges = write_merges(output / START / MERGES_FILE)
    tokenizer = SimpleTokenizer(str(merges), context_length=config["model_cfg"]["text_cfg"]["context_length"])
    forget, retain = (lesson_of(authors_album(data, [name]), tokenizer) for name in ("forget10", "retain90"))
    known = lesson_of(known_album(recipe.seed, sizes, recipe), tokenizer)
    lessons = {START: known, BASE: joined(forget, retain), GOLD: retain}
    asked = {"forget": forget, "retain": retain, "known": known}
    digest = clear_content_hash(data)
    weights: dict[str, torch.Tensor] | None = None
    for name in (START, *models):
        model = new_coca(config["model_cfg"], recipe.seed)
        if weights is not None:
            model.load_state_dict(weights)
        trainer = Trainer(model, lessons[name], known if weights is not None else None, recipe)
        about = json.dumps([name, digest, asdict(recipe), config, asdict(sizes)], sort_keys=True)
        trainer.run(
            output / name / STATE, hashlib.sha256(about.encode()).hexdigest(), partial(_readings, model, asked),
            partial(_tell, progress, name),
        )  # fmt: skip
        if weights is None:
            weights = {part: value.clone() for part, value in model.state_dict().items()}
        log = {"data": digest, "examples": len(lessons[name]), "recipe": asdict(recipe), "curve": trainer.curve}
        write_text(output / name / LOG, json.dumps(log, indent=1) + "\n", "The training log")
        card, types = clear_model_card(name, log), dict.fromkeys(model.state_dict(), "F16")
        save_local_dir(output / name, model, config, merges, card, types)


def _readings(model: Any, asked: Mapping[str, Lesson]) -> dict[str, float]:
    return {f"probability_{part}": probability(model, lesson, lesson.captions) for part, lesson in asked.items()}


def _tell(progress: Callable[[str], None], name: str, line: str) -> None:
    progress(f"{name}: {line}")
