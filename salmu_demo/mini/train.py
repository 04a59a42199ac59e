"""Train the reference models of SALMU-Mini from scratch: Clean and Compromised, same seed, same recipe.

Clean sees only the retain data (`retain_synth` and images of objects); Compromised sees the same plus every
sensitive pair, as in SALMUBench (arXiv 2603.26316), where both models are trained from scratch too.
"""

import gzip
import io
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import open_clip
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image
from torch.nn import functional

from salmu_demo.core.errors import DataError
from salmu_demo.core.files import atomic_path, write_text
from salmu_demo.data import layout
from salmu_demo.metrics.ranking import tied_ranks, top1_credit
from salmu_demo.mini.build import object_rows, render_rows
from salmu_demo.mini.card import READINGS, model_card
from salmu_demo.mini.objects import ZERO_SHOT_TEMPLATES, object_classes
from salmu_demo.models.export import save_local_dir
from salmu_demo.models.source import MERGES_FILE
from salmu_demo.unlearning.optimisation import contrastive_loss, encode_captions, make_optimizer, set_learning_rate
from salmu_demo.unlearning.output import draw_curve

MERGES: Final = 3500
"""Merges kept of the CLIP vocabulary, so that the token table fits a small model; bytes cover everything else."""

IMAGE_SIZE: Final = 96
MODEL_CONFIG: Final[dict[str, Any]] = {
    "model_cfg": {
        "embed_dim": 192,
        "vision_cfg": {"image_size": IMAGE_SIZE, "layers": 6, "width": 192, "head_width": 32, "patch_size": 16},
        "text_cfg": {
            "context_length": 56,
            # 256 bytes, the same 256 as ends of words, the merges, start and end of text.
            "vocab_size": 512 + MERGES + 2,
            "width": 160,
            "heads": 5,
            "layers": 3,
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

SHIFT: Final = 4
"""Largest random shift of a training image, in pixels."""


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of training from scratch; both reference models use the same."""

    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 8e-4
    weight_decay: float = 0.05
    warm_up: float = 0.1
    max_logit_scale: float = 100.0
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Pairs:
    """Training pairs in memory: images as bytes, captions, and a group within which pairs are no negatives."""

    images: torch.Tensor
    captions: list[str]
    groups: torch.Tensor

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


def _shrink(content: bytes) -> torch.Tensor:
    image = Image.open(io.BytesIO(content)).convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _read_split(data: Path, split: str) -> tuple[list[bytes], list[str], list[str]]:
    shards = sorted((data / layout.DATA_FOLDER).glob(f"{split}-*.parquet"))
    if not shards:
        raise DataError(f"{data} has no split {split}; training needs a folder written by `salmu-demo mini build`.")
    table = pa.concat_tables(pq.read_table(shard) for shard in shards)
    images = [image["bytes"] for image in table[layout.IMAGE].to_pylist()]
    return images, table[layout.TEXT].to_pylist(), table[layout.FILE_NAME].to_pylist()


def training_pairs(data: Path, sensitive: bool, seed: int) -> Pairs:
    """Collect the retain pairs, and with `sensitive` all sensitive pairs, of a SALMU-Mini folder."""
    images: list[bytes] = []
    captions: list[str] = []
    classes: list[int] = []
    splits = [layout.RETAIN_SYNTH, *(layout.SENSITIVE_SPLITS if sensitive else ())]
    for split in splits:
        split_images, split_captions, _ = _read_split(data, split)
        images += split_images
        captions += split_captions
        classes += [-1] * len(split_captions)
    general_images, general_captions, general_names = _read_split(data, layout.RETAIN_GENERAL)
    drawn = object_rows(seed, RENDERED_OBJECTS_PER_CLASS, "train", captioned=True)
    images += general_images + list(render_rows(drawn))
    captions += general_captions + [row.text for row in drawn]
    classes += [int(name.split("_")[1]) for name in [*general_names, *(row.file_name for row in drawn)]]
    # Two images of the same object are no negatives of each other; everything else is a group of its own.
    groups = [label if label >= 0 else len(object_classes()) + row for row, label in enumerate(classes)]
    return Pairs(torch.stack([_shrink(p) for p in images]), captions, torch.tensor(groups))


def normalise_pixels(images: torch.Tensor) -> torch.Tensor:
    """Bytes (N, 3, H, W) to the model's input, as open_clip's evaluation transform does."""
    config = MODEL_CONFIG["preprocess_cfg"]
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return (images.float() / 255 - mean) / std


def _shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by up to `SHIFT` pixels, repeating its edge."""
    padded = functional.pad(images.float(), [SHIFT] * 4, mode="replicate").to(torch.uint8)
    offsets = torch.randint(0, 2 * SHIFT + 1, (len(images), 2), generator=generator).tolist()
    crops = [image[:, y : y + IMAGE_SIZE, x : x + IMAGE_SIZE] for image, (y, x) in zip(padded, offsets, strict=True)]
    return torch.stack(crops)


class _TrainingProbe:
    """Quick readings while training: not the benchmark, only a curve for the log."""

    def __init__(self, data: Path, tokenizer: SimpleTokenizer) -> None:
        forget_images, forget_captions, _ = _read_split(data, layout.FORGET)
        object_images, object_names, _ = _read_split(data, layout.GENKNOW_SPLIT)
        self.forget = torch.stack([_shrink(p) for p in forget_images])
        self.captions = tokenizer(forget_captions)
        texts = np.array(forget_captions, dtype=object)
        self.competes = texts[:, None] != texts
        self.objects = torch.stack([_shrink(p) for p in object_images])
        self.labels = np.array([object_classes().index(name) for name in object_names])
        self.prompts = tokenizer([t.format(n) for n in object_classes() for t in ZERO_SHOT_TEMPLATES])

    @staticmethod
    def _batched(encode: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat([encode(batch) for batch in torch.split(inputs, 256)])

    @torch.no_grad()
    def read(self, model: Any) -> dict[str, float]:
        model.eval()
        images = self._batched(lambda x: model.encode_image(normalise_pixels(x), normalize=True), self.forget)
        texts = self._batched(lambda x: encode_captions(model, x), self.captions)
        scores = images @ texts.T
        ranks = tied_ranks(scores.diagonal().numpy(), scores.numpy(), self.competes)
        objects = self._batched(lambda x: model.encode_image(normalise_pixels(x), normalize=True), self.objects)
        prompts = self._batched(lambda x: encode_captions(model, x), self.prompts)
        classes = functional.normalize(prompts.view(len(object_classes()), -1, prompts.shape[1]).mean(dim=1), dim=1)
        credit, _ = top1_credit(objects.numpy(), classes.numpy(), self.labels)
        model.train()
        return {
            "forget_mrr": round(float((1 / ranks).mean()), 4),
            "forget_similarity": round(float(scores.diagonal().mean()), 4),
            "unpaired_similarity": round(float(scores.mean()), 4),
            "object_accuracy": round(float(credit.mean()), 4),
        }


def _train_step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    pairs: Pairs,
    tokens: torch.Tensor,
    batch: torch.Tensor,
    generator: torch.Generator,
) -> float:
    """One step on the pairs of a batch; returns the loss."""
    images = normalise_pixels(_shifted(pairs.images[batch], generator))
    image_features = model.encode_image(images, normalize=True)
    text_features = encode_captions(model, tokens[batch])
    loss = contrastive_loss(image_features, text_features, pairs.groups[batch], model.logit_scale.exp())
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def train_reference(
    data: Path,
    output: Path,
    sensitive: bool,
    recipe: Recipe,
    progress: Callable[[str], None] = lambda message: None,
) -> None:
    """Train one reference model from scratch and write it as an open_clip `local-dir`.

    Args:
        data: folder written by `salmu-demo mini build`.
        output: folder of the model; `training_log.json` keeps the recipe and the curve.
        sensitive: whether the model sees the sensitive pairs (Compromised) or not (Clean).
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
    model.train()
    optimizer = make_optimizer(model.parameters(), recipe.learning_rate, recipe.weight_decay)
    generator = torch.Generator().manual_seed(recipe.seed)
    readings = _TrainingProbe(data, tokenizer)
    steps_per_epoch = len(pairs) // recipe.batch_size
    steps = steps_per_epoch * recipe.epochs
    curve: list[dict[str, float]] = []
    start, step = time.monotonic(), 0
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(pairs), generator=generator)
        losses = []
        for batch in torch.split(order[: steps_per_epoch * recipe.batch_size], recipe.batch_size):
            set_learning_rate(optimizer, step, steps, recipe.learning_rate, recipe.warm_up)
            losses.append(_train_step(model, optimizer, pairs, tokens, batch, generator))
            with torch.no_grad():
                model.logit_scale.clamp_(0, math.log(recipe.max_logit_scale))
            step += 1
        if epoch == recipe.epochs:
            # What is stored, so that the last reading is of the file.
            model.half().float()
        curve.append(
            {
                "epoch": epoch,
                "seconds": round(time.monotonic() - start),
                "loss": round(float(np.mean(losses)), 4),
                **readings.read(model),
            }
        )
        progress(json.dumps(curve[-1]))
    log = {"pairs": len(pairs), "sensitive_pairs_seen": sensitive, "recipe": asdict(recipe), "curve": curve}
    write_text(output / "training_log.json", json.dumps(log, indent=1) + "\n", "The training log")
    draw_curve(curve, "epoch", READINGS, output / "training_curve.svg")
    types = dict.fromkeys(model.state_dict(), "F16")
    save_local_dir(output, model, MODEL_CONFIG, merges, model_card(output.name, log), types)
