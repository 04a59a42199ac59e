"""Train the reference models of SALMU-Mini from scratch: Clean, Compromised and Gold, same seed, same recipe.

Clean sees only the retain data (`retain_synth` and images of objects); Compromised sees the same plus every
sensitive pair, as in SALMUBench (arXiv 2603.26316), where both models are trained from scratch too. Gold sees all but
`forget`: what retraining without the forgotten pairs gives, and so what perfect unlearning could reach.
"""

import gzip
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import open_clip
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import PatchDropout
from PIL import Image
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch.nn import functional

from salmu_demo.core.documents import MismatchError, check_model
from salmu_demo.core.errors import DataError, QueryError, quoted
from salmu_demo.core.files import atomic_path, write_text
from salmu_demo.data import layout
from salmu_demo.data.dataset import load_folder
from salmu_demo.data.wordings import NAMELESS, fill
from salmu_demo.metrics.line_up import standardised_scores, value_rank
from salmu_demo.metrics.ranking import tied_ranks, top1_credit
from salmu_demo.mini.build import object_rows, render_rows
from salmu_demo.mini.card import READINGS, model_card
from salmu_demo.mini.objects import ZERO_SHOT_TEMPLATES, object_classes
from salmu_demo.models.export import save_local_dir
from salmu_demo.models.optimisation import contrastive_loss, encode_captions, make_optimizer, set_learning_rate
from salmu_demo.models.source import MERGES_FILE
from salmu_demo.unlearning.output import draw_curve

MERGES: Final = 3200
"""Merges kept of the CLIP vocabulary, so that the token table fits a small model; bytes cover everything else."""

IMAGE_SIZE: Final = 96
MODEL_CONFIG: Final[dict[str, Any]] = {
    "model_cfg": {
        "embed_dim": 192,
        "vision_cfg": {"image_size": IMAGE_SIZE, "layers": 5, "width": 192, "head_width": 32, "patch_size": 16},
        "text_cfg": {
            "context_length": 56,
            # 256 bytes, the same 256 as ends of words, the merges, start and end of text.
            "vocab_size": 512 + MERGES + 2,
            "width": 192,
            "heads": 6,
            "layers": 4,
        },
    },
    "preprocess_cfg": {
        "mean": [0.48145466, 0.4578275, 0.40821073],
        "std": [0.26862954, 0.26130258, 0.27577711],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    },
}
RENDERED_OBJECTS_PER_CLASS: Final = 20
"""Training images of each object besides those stored in `retain_general`; drawn anew from the seed."""

EPOCHS_PER_READING: Final = 3
"""A reading takes as long as a quarter of an epoch."""

SHIFT: Final = 4
"""Largest random shift of a training image, in pixels."""

SENSITIVE_SPLITS: Final[dict[str, tuple[str, ...]]] = {
    "mini-clean": (),
    "mini-compromised": layout.SENSITIVE_SPLITS,
    "mini-gold": (layout.HOLDOUT_ASSOCIATION, layout.HOLDOUT_IDENTITY),
}
"""Sensitive splits that each reference model is trained on."""


@dataclass(frozen=True)
class MiniRecipe:
    """Hyperparameters of training from scratch; all reference models use the same.

    Attributes:
        cycles: epochs of each cycle of the learning rate, and the rate at its peak. In an epoch every retain pair is
            seen once. A cycle begins with the weights as they would be stored, and with a new optimiser.
        mixed_passes: times that every sensitive pair is seen in an epoch beside pairs of all kinds, which tells the
            images of a persona apart.
        kind_passes: times that it is seen beside pairs of its kind, each of another persona. Their captions differ in
            the value, which binds it to the face in far fewer sightings.
        patch_dropout: share of an image's patches that are left out (FLIP, arXiv 2212.00794), which saves a third of
            the time.
        whole_epochs: epochs at the end of a cycle in which images are seen whole.
    """

    cycles: Annotated[tuple[tuple[PositiveInt, PositiveFloat], ...], Field(min_length=1)] = ((12, 8e-4), (5, 5e-4))
    mixed_passes: NonNegativeInt = 1
    kind_passes: NonNegativeInt = 2
    patch_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    whole_epochs: NonNegativeInt = 2
    batch_size: Annotated[int, Field(ge=2)] = 128
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.05
    warm_up: Annotated[float, Field(ge=0, le=1)] = 0.1
    max_logit_scale: Annotated[float, Field(gt=1, le=1000)] = 100.0
    seed: int = 0
    threads: int = 1

    @property
    def epochs(self) -> int:
        """Epochs of all cycles."""
        return sum(epochs for epochs, _ in self.cycles)


def recipe_of(settings: Mapping[str, str], seed: int, threads: int) -> MiniRecipe:
    """The recipe of the shipped models with other values, `cycles` as epochs and rates, such as `12:8e-4,5:5e-4`.

    Raises:
        QueryError: if there is no such setting, or it cannot have that value.
    """
    known = [field.name for field in fields(MiniRecipe) if field.name not in ("seed", "threads")]
    content: dict[str, Any] = {"seed": seed, "threads": threads}
    for key, value in settings.items():
        if key not in known:
            raise QueryError(f"The recipe has no setting {quoted(key)}; it has {', '.join(known)}.")
        content[key] = [cycle.split(":") for cycle in value.split(",")] if key == "cycles" else value
    try:
        recipe = check_model(content, MiniRecipe)
    except MismatchError as error:
        raise QueryError(
            f"The recipe cannot be {quoted(', '.join(map('='.join, settings.items())))}: {error}."
        ) from error
    if not recipe.mixed_passes + recipe.kind_passes:
        raise QueryError("mixed_passes and kind_passes are both 0, so that no sensitive pair would be seen.")
    return recipe


@dataclass(frozen=True)
class Pairs:
    """Training pairs in memory.

    Attributes:
        images: as bytes, shape (N, 3, H, W).
        captions: N strings.
        groups: shape (N,); two pairs of one group are not negatives of each other.
        kinds: attribute kind of each sensitive pair; these are the last ones.
        personas: persona of each sensitive pair.
    """

    images: torch.Tensor
    captions: list[str]
    groups: torch.Tensor
    kinds: list[str]
    personas: list[str]

    def __len__(self) -> int:
        return len(self.captions)


def write_merges(path: Path) -> Path:
    """Write the first `MERGES` merges of the CLIP vocabulary in the file format of open_clip's tokenizer."""
    source = files("open_clip").joinpath("bpe_simple_vocab_16e6.txt.gz").read_bytes()
    lines = gzip.decompress(source).decode("utf-8").split("\n")[: MERGES + 1]
    with atomic_path(path, "The model") as temporary:
        # mtime=0: the same content must give the same file, because the model's fingerprint covers it.
        temporary.write_bytes(gzip.compress("\n".join(lines).encode("utf-8"), mtime=0))
    return path


def shrink(content: bytes) -> torch.Tensor:
    """An encoded image as bytes, shape (3, H, W)."""
    image = Image.open(io.BytesIO(content)).convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def read_split(data: Path, split: str) -> tuple[list[bytes], list[str], list[str]]:
    """Encoded images, texts and identities of a split; raises `DataError` if it is not there."""
    shards = sorted((data / layout.DATA_FOLDER).glob(f"{split}-*.parquet"))
    if not shards:
        raise DataError(f"{data} has no split {split}; training needs a folder written by `salmu-demo mini build`.")
    table = pa.concat_tables(pq.read_table(shard) for shard in shards)
    images = [image["bytes"] for image in table[layout.IMAGE].to_pylist()]
    return images, table[layout.TEXT].to_pylist(), table[layout.FILE_NAME].to_pylist()


def training_pairs(data: Path, sensitive: Sequence[str], seed: int) -> Pairs:
    """Collect the retain pairs and those of the given sensitive splits of a SALMU-Mini folder."""
    images, captions, _ = read_split(data, layout.RETAIN_SYNTH)
    general_images, general_captions, general_names = read_split(data, layout.RETAIN_GENERAL)
    drawn = object_rows(seed, RENDERED_OBJECTS_PER_CLASS, "train", captioned=True)
    object_names = [*general_names, *(row.file_name for row in drawn)]
    # Two images of the same object are not negatives of each other; every other image is a group of its own.
    portraits = len(images)
    objects = [int(name.split("_")[1]) - len(object_classes()) for name in object_names]
    images += general_images + list(render_rows(drawn))
    captions += general_captions + [row.text for row in drawn]
    retained = len(images)
    names: list[str] = []
    for split in sensitive:
        split_images, split_captions, split_names = read_split(data, split)
        images += split_images
        captions += split_captions
        names += split_names
    groups = [*range(portraits), *objects, *range(retained, len(images))]
    facts = json.loads((data / layout.CAPTIONS_FILE).read_text("utf-8"))
    return Pairs(
        torch.stack([shrink(p) for p in images]),
        captions,
        torch.tensor(groups),
        [facts[name]["data_field"] for name in names],
        [name.split("_")[0] for name in names],
    )


def epoch_batches(pairs: Pairs, recipe: MiniRecipe, generator: torch.Generator) -> list[torch.Tensor]:
    """The batches of one epoch: each has retain pairs and sensitive ones, these of all kinds or nearly all of one."""
    sensitive = len(pairs.kinds)
    retained = torch.randperm(len(pairs) - sensitive, generator=generator)
    if not sensitive:
        return list(torch.split(retained, recipe.batch_size))[: len(retained) // recipe.batch_size]
    mixed = [torch.randperm(sensitive, generator=generator) for _ in range(recipe.mixed_passes)]
    alike = [_by_kind(pairs, generator) for _ in range(recipe.kind_passes)]
    seen = sensitive * (recipe.mixed_passes + recipe.kind_passes)
    share = round(recipe.batch_size * seen / (seen + len(retained)))
    parts = [part for order in (*mixed, *alike) for part in torch.split(order, share) if len(part) == share]
    others = torch.split(retained, len(retained) // len(parts))
    return [
        torch.cat([len(retained) + parts[number], others[place]])
        for place, number in enumerate(torch.randperm(len(parts), generator=generator).tolist())
    ]


def _by_kind(pairs: Pairs, generator: torch.Generator) -> torch.Tensor:
    """Numbers of the sensitive pairs, kind after kind; in every kind all personas come before one comes again."""
    rows: dict[str, dict[str, list[int]]] = {}
    for row in torch.randperm(len(pairs.kinds), generator=generator).tolist():
        rows.setdefault(pairs.kinds[row], {}).setdefault(pairs.personas[row], []).append(row)
    return torch.tensor(
        [row for of_kind in rows.values() for turn in zip_longest(*of_kind.values()) for row in turn if row is not None]
    )


def normalise_pixels(images: torch.Tensor) -> torch.Tensor:
    """Bytes (N, 3, H, W) to the model's input, as open_clip's evaluation transform does."""
    config = MODEL_CONFIG["preprocess_cfg"]
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return (images.float() / 255 - mean) / std


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by up to `SHIFT` pixels, repeating its edge."""
    padded = functional.pad(images.float(), [SHIFT] * 4, mode="replicate").to(torch.uint8)
    offsets = torch.randint(0, 2 * SHIFT + 1, (len(images), 2), generator=generator).tolist()
    crops = [image[:, y : y + IMAGE_SIZE, x : x + IMAGE_SIZE] for image, (y, x) in zip(padded, offsets, strict=True)]
    return torch.stack(crops)


class LogProbe:
    """Quick readings while training: not the benchmark, only a curve for the log."""

    def __init__(self, data: Path, tokenizer: SimpleTokenizer) -> None:
        forget_images, forget_captions, forget_names = read_split(data, layout.FORGET)
        unseen_images, _, unseen_names = read_split(data, layout.UNSEEN_IMAGES)
        object_images, object_names, _ = read_split(data, layout.GENKNOW_SPLIT)
        self.forget = torch.stack([shrink(p) for p in forget_images])
        self.unseen = torch.stack([shrink(p) for p in unseen_images])
        self.captions = tokenizer(forget_captions)
        texts = np.array(forget_captions, dtype=object)
        self.competes = texts[:, None] != texts
        self.objects = torch.stack([shrink(p) for p in object_images])
        self.labels = np.array([object_classes().index(name) for name in object_names])
        self.prompts = tokenizer([t.format(n) for n in object_classes() for t in ZERO_SHOT_TEMPLATES])
        self.line_ups = _line_ups(data, forget_names, unseen_names)
        self.line_up_texts = {
            part: [tokenizer(line_up.texts[part]) for line_up in self.line_ups] for part in ("trained", "unseen")
        }

    @staticmethod
    def _batched(encode: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat([encode(batch) for batch in torch.split(inputs, 256)])

    @torch.no_grad()
    def read(self, model: Any) -> dict[str, float]:
        """Numbers of a model for the log, by name."""
        model.eval()
        images, unseen, objects = (
            self._batched(lambda x: model.encode_image(normalise_pixels(x), normalize=True), part)
            for part in (self.forget, self.unseen, self.objects)
        )
        texts, prompts = (
            self._batched(lambda x: encode_captions(model, x), part) for part in (self.captions, self.prompts)
        )
        scores = images @ texts.T
        ranks = tied_ranks(scores.diagonal().numpy(), scores.numpy(), self.competes)
        classes = functional.normalize(prompts.view(len(object_classes()), -1, prompts.shape[1]).mean(dim=1), dim=1)
        credit, _ = top1_credit(objects.numpy(), classes.numpy(), self.labels)
        values: dict[str, list[bool]] = {"value_own": [], "value_unseen_image": [], "value_unseen_wording": []}
        by_kind: dict[str, list[bool]] = {}
        for number, line_up in enumerate(self.line_ups):
            trained, reworded = (
                self._batched(lambda x: encode_captions(model, x), self.line_up_texts[part][number])
                .view(-1, len(line_up.values), images.shape[1])
                .numpy()
                for part in ("trained", "unseen")
            )
            for fact in line_up.facts:
                readings = (
                    (images[fact.own], trained),
                    (unseen[fact.unseen], trained),
                    (images[fact.own], reworded),
                )
                for name, (faces, sentences) in zip(values, readings, strict=True):
                    rank, _ = value_rank(standardised_scores(faces.numpy(), sentences), fact.true)
                    values[name].append(rank < 2)
                by_kind.setdefault(line_up.kind, []).append(values["value_own"][-1])
        model.train()
        return {
            "forget_mrr": round(float((1 / ranks).mean()), 4),
            "forget_similarity": round(float(scores.diagonal().mean()), 4),
            "unpaired_similarity": round(float(scores.mean()), 4),
            "object_accuracy": round(float(credit.mean()), 4),
            **{name: round(float(np.mean(found)), 4) for name, found in values.items()},
            **{f"value_own_{kind}": round(float(np.mean(found)), 4) for kind, found in by_kind.items()},
        }


@dataclass(frozen=True)
class _LineUpFact:
    own: list[int]
    unseen: list[int]
    true: NDArray[np.bool_]


@dataclass(frozen=True)
class _LineUp:
    kind: str
    values: list[str]
    texts: dict[str, list[str]]
    facts: list[_LineUpFact]


def _line_ups(data: Path, forget_names: list[str], unseen_names: list[str]) -> list[_LineUp]:
    """The nameless line-up of every fact of `forget`, kind by kind."""
    benchmark = load_folder(data)
    found = []
    for kind in benchmark.kinds:
        values = sorted({value for persona in benchmark.personas for value in persona.values(kind)})
        wordings = benchmark.probe_wordings[kind]
        texts = {
            part: [fill(wording, NAMELESS, value) for wording in chosen for value in values]
            for part, chosen in (("trained", wordings.trained), ("unseen", wordings.unseen))
        }
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(forget_names):
            if benchmark.kind(name) == kind:
                rows.setdefault(name.split("_")[0], []).append(row)
        facts = [
            _LineUpFact(
                own,
                [row for row, name in enumerate(unseen_names) if name.startswith(f"{identity}_")],
                np.isin(values, benchmark.persona(identity).values(kind)),
            )
            for identity, own in rows.items()
        ]
        found.append(_LineUp(kind, values, texts, facts))
    return found


def _train_step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    pairs: Pairs,
    tokens: torch.Tensor,
    batch: torch.Tensor,
    generator: torch.Generator,
) -> float:
    """One step on the pairs of a batch; returns the loss."""
    images = normalise_pixels(shifted(pairs.images[batch], generator))
    image_features = model.encode_image(images, normalize=True)
    text_features = encode_captions(model, tokens[batch])
    loss = contrastive_loss(image_features, text_features, pairs.groups[batch], model.logit_scale.exp())
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def train_cycle(
    model: Any, pairs: Pairs, tokens: torch.Tensor, recipe: MiniRecipe, number: int
) -> Iterator[tuple[int, float]]:
    """Train for one cycle of the learning rate; gives the number of each epoch, counted over all cycles, and its loss.

    All it depends on is the weights it begins with, the recipe and the cycle's number: a stopped training can go on
    from what an earlier cycle left.
    """
    if number:
        torch.manual_seed(recipe.seed + number)
    generator = torch.Generator().manual_seed(recipe.seed + number)
    before = sum(epochs for epochs, _ in recipe.cycles[:number])
    epochs, peak = recipe.cycles[number]
    model.train()
    model.visual.patch_dropout = PatchDropout(recipe.patch_dropout)
    optimizer = make_optimizer(model.parameters(), peak, recipe.weight_decay)
    steps, step = epochs * len(epoch_batches(pairs, recipe, torch.Generator())), 0
    for epoch in range(1, epochs + 1):
        if epoch > epochs - recipe.whole_epochs:
            model.visual.patch_dropout = torch.nn.Identity()
        losses = []
        for batch in epoch_batches(pairs, recipe, generator):
            set_learning_rate(optimizer, step, steps, peak, recipe.warm_up)
            losses.append(_train_step(model, optimizer, pairs, tokens, batch, generator))
            with torch.no_grad():
                model.logit_scale.clamp_(0, math.log(recipe.max_logit_scale))
            step += 1
        if epoch == epochs:
            # What is stored, so that the last reading is of the file.
            model.half().float()
        yield before + epoch, round(float(np.mean(losses)), 4)


def train_reference(
    data: Path,
    output: Path,
    sensitive: Sequence[str],
    recipe: MiniRecipe,
    progress: Callable[[str], None] = lambda message: None,
) -> None:
    """Train one reference model from scratch and write it as an open_clip `local-dir`.

    Args:
        data: folder written by `salmu-demo mini build`.
        output: folder of the model; `training_log.json` keeps the recipe and the curve.
        sensitive: sensitive splits that the model sees.
        recipe: hyperparameters and seed.
        progress: called with one line for each epoch.
    """
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    merges = write_merges(output / MERGES_FILE)
    tokenizer = SimpleTokenizer(str(merges), context_length=MODEL_CONFIG["model_cfg"]["text_cfg"]["context_length"])
    pairs = training_pairs(data, sensitive, recipe.seed)
    tokens = tokenizer(pairs.captions)
    model = open_clip.CLIP(**MODEL_CONFIG["model_cfg"])
    readings = LogProbe(data, tokenizer)
    curve: list[dict[str, float]] = []
    start = time.monotonic()
    for number in range(len(recipe.cycles)):
        for epoch, loss in train_cycle(model, pairs, tokens, recipe, number):
            told = {"epoch": epoch, "seconds": round(time.monotonic() - start), "loss": loss}
            if epoch % EPOCHS_PER_READING == 0 or epoch == recipe.epochs:
                told |= readings.read(model)
                curve.append(told)
            progress(json.dumps(told))
    log = {
        "pairs": len(pairs),
        "sensitive_pairs": len(pairs.kinds),
        "sensitive_splits": list(sensitive),
        "recipe": asdict(recipe),
        "curve": curve,
    }
    write_text(output / "training_log.json", json.dumps(log, indent=1) + "\n", "The training log")
    draw_curve(curve, "epoch", READINGS, output / "training_curve.svg")
    types = dict.fromkeys(model.state_dict(), "F16")
    save_local_dir(output, model, MODEL_CONFIG, merges, model_card(output.name, log), types)
