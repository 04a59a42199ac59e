"""Face encoders for CLEAR's visual protocol in miniature: trained on half of the people, made to forget some of them.

The paper (arXiv 2410.18057, appendix G) tunes a ResNet-18 that knows faces from before on 100 of 200 identities; here
it is a residual network of 0.2 million parameters on images of 32 pixels. Losses are those of the paper and its
public code, with the weights that its code sets where it sets any.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

SIDE: Final = 32
"""Side of an image in pixels."""

WIDTHS: Final = (24, 48, 96)
EMBEDDING: Final = 64
SCALE: Final = 16.0
"""Of the cosines that tell the identities of the training apart."""

SHIFT: Final = 2

TRAINING_EPOCHS: Final = 20
BATCH: Final = 32
"""The paper has 256 of about 1,800 images; half of the people here have 360."""

L1_WEIGHT: Final = 2e-3
"""Of Sparsity. The public code's 1e-4 changes nothing in an encoder of this size."""

LEARNING_RATE: Final = 0.1
WEIGHT_DECAY: Final = 5e-5


class _Block(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.first_norm, self.second_norm = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.shortcut = nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        states = functional.relu(self.first_norm(self.first(inputs)))
        return functional.relu(self.second_norm(self.second(states)) + self.shortcut(inputs))


class FaceEncoder(nn.Module):
    """A residual network, and a direction for each identity of its training."""

    def __init__(self, identities: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], 3, 2, 1, bias=False)
        self.blocks = nn.Sequential(
            *(_Block(before, width, stride) for before, width, stride in
              zip((WIDTHS[0], *WIDTHS), WIDTHS, (1, 2, 2), strict=False))
        )  # fmt: skip
        self.embed = nn.Linear(WIDTHS[-1], EMBEDDING)
        self.directions = nn.Parameter(torch.randn(identities, EMBEDDING))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings of images as bytes, shape (N, 3, SIDE, SIDE), as (N, EMBEDDING); not normalised."""
        states = self.blocks(functional.relu(self.stem(images.float() / 127.5 - 1)))
        return self.embed(states.mean(dim=(2, 3)))  # type: ignore[no-any-return]

    def identities(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Logits over the identities of the training, shape (N, identities)."""
        return SCALE * functional.normalize(embeddings, dim=1) @ functional.normalize(self.directions, dim=1).T


@dataclass(frozen=True)
class Faces:
    """Images of people.

    Attributes:
        images: as bytes, shape (N, 3, SIDE, SIDE).
        people: number of each one's person among those of the encoder's training, shape (N,).
    """

    images: torch.Tensor
    people: torch.Tensor

    def batch(self, size: int, generator: torch.Generator) -> "Faces":
        """Some of them, each shifted by a few pixels."""
        rows = torch.randperm(len(self.people), generator=generator)[:size]
        return Faces(_shifted(self.images[rows], generator), self.people[rows])


def _shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    y, x = torch.randint(-SHIFT, SHIFT + 1, (2,), generator=generator).tolist()
    return torch.roll(images, (y, x), dims=(2, 3))


def train(faces: Faces, identities: int, seed: int, start: FaceEncoder | None = None) -> FaceEncoder:
    """An encoder that tells people apart.

    Args:
        faces: whom it learns.
        identities: number of people among them.
        seed: seed of everything random.
        start: an encoder that knows faces from before; its weights are taken over, but for its people.
    """
    torch.manual_seed(seed)
    encoder = FaceEncoder(identities)
    if start is not None:
        known = {name: value for name, value in start.state_dict().items() if name != "directions"}
        encoder.load_state_dict(known, strict=False)
    steps = TRAINING_EPOCHS * -(-len(faces.people) // BATCH)

    def loss(_step: int, generator: torch.Generator) -> torch.Tensor:
        return _told_apart(encoder, faces.batch(BATCH, generator))

    _descend(encoder, loss, steps, LEARNING_RATE, seed)
    return encoder


def _descend(
    encoder: FaceEncoder, loss: Callable[[int, torch.Generator], torch.Tensor], steps: int, rate: float, seed: int
) -> None:
    """Stochastic gradient descent; the rate falls to 0 along a cosine."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(encoder.parameters(), rate, momentum=0.9, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    encoder.train()
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss(step, generator))
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    encoder.eval()


def _told_apart(encoder: FaceEncoder, faces: Faces) -> torch.Tensor:
    return functional.cross_entropy(encoder.identities(encoder(faces.images)), faces.people)


@dataclass(frozen=True)
class Round:
    """A step of unlearning.

    Attributes:
        encoder: the one that forgets.
        frozen: what it was.
        forget, retain: a batch of each.
        done: share of the steps before this one.
        generator: of everything random in this step.
    """

    encoder: FaceEncoder
    frozen: FaceEncoder
    forget: Faces
    retain: Faces
    done: float
    generator: torch.Generator

    def drift(self, faces: Faces) -> torch.Tensor:
        """KL divergence of what the encoder says about identities from what it said, mean over images."""
        now = self.encoder.identities(self.encoder(faces.images)).log_softmax(dim=1)
        return functional.kl_div(now, self.before(faces).log_softmax(dim=1), reduction="batchmean", log_target=True)

    def before(self, faces: Faces) -> torch.Tensor:
        """What the encoder said about identities."""
        with torch.no_grad():
            return self.frozen.identities(self.frozen(faces.images))

    def embedded_before(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings before, shape (N, EMBEDDING)."""
        with torch.no_grad():
            return self.frozen(images)  # type: ignore[no-any-return]

    def strangers(self) -> torch.Tensor:
        """Another person for each image to forget, among those that are kept."""
        kept: torch.Tensor = torch.unique(self.retain.people)
        return kept[torch.randint(len(kept), (len(self.forget.people),), generator=self.generator)]


def finetune_loss(now: Round) -> torch.Tensor:
    """Retain FT: tell apart who is kept."""
    return _told_apart(now.encoder, now.retain)


def scrub_loss(now: Round) -> torch.Tensor:
    """SCRUB: as before on who is kept; in the first half away from before on who is forgotten, by at most 2 nats."""
    kept = now.drift(now.retain) + _told_apart(now.encoder, now.retain)
    return kept - now.drift(now.forget).clamp(max=2.0) if now.done < 0.5 else kept


def llmu_loss(now: Round) -> torch.Tensor:
    """LLMU: a little away from the truth and towards somebody else, and as before on who is kept."""
    said = now.encoder.identities(now.encoder(now.forget.images))
    away = -functional.cross_entropy(said, now.forget.people)
    return 0.02 * away + 0.01 * functional.cross_entropy(said, now.strangers()) + now.drift(now.retain)


def rmu_loss(now: Round) -> torch.Tensor:
    """RMU: who is forgotten looks one random way, who is kept as before."""
    direction = torch.rand(EMBEDDING, generator=torch.Generator().manual_seed(0))
    before = now.embedded_before(now.forget.images)
    goal = before.norm(dim=1).mean() * functional.normalize(direction, dim=0)
    return _squared(now.encoder(now.forget.images), goal.expand_as(before)) + _held(now)


def dpo_loss(now: Round) -> torch.Tensor:
    """DPO: prefer somebody else to the truth by more than before, and tell apart who is kept."""
    said = now.encoder.identities(now.encoder(now.forget.images))
    margins = [
        logits.gather(1, now.forget.people[:, None]) - logits.gather(1, others[:, None])
        for others in [now.strangers()]
        for logits in (said, now.before(now.forget))
    ]
    return -functional.logsigmoid(-0.5 * (margins[0] - margins[1])).mean() + finetune_loss(now)


def scrub_bio_loss(now: Round) -> torch.Tensor:
    """SCRUB_bio: at a right angle to before on who is forgotten, in line with it on who is kept."""
    turned = functional.cosine_similarity(now.encoder(now.forget.images), now.embedded_before(now.forget.images))
    kept = functional.cosine_similarity(now.encoder(now.retain.images), now.embedded_before(now.retain.images))
    return turned.clamp(min=0).mean() + (1 - kept).mean()


def sparsity_loss(now: Round) -> torch.Tensor:
    """Sparsity: Retain FT with small weights."""
    weights = [weight.abs().sum() for weight in now.encoder.parameters() if weight.ndim > 1]
    return finetune_loss(now) + L1_WEIGHT * torch.stack(weights).sum()


def twins_loss(now: Round) -> torch.Tensor:
    """Twins: who is forgotten looks as the original saw a mirrored image of patches; who is kept as before."""
    patches = functional.interpolate(now.forget.images.float(), size=(4, 4), mode="area").round()
    twins = functional.interpolate(patches, size=(SIDE, SIDE), mode="nearest").to(torch.uint8).flip(3)
    return _squared(now.encoder(now.forget.images), now.embedded_before(twins)) + _held(now)


def _held(now: Round) -> torch.Tensor:
    return _squared(now.encoder(now.retain.images), now.embedded_before(now.retain.images))


def _squared(found: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    return (found - goal).pow(2).sum(dim=1).mean()


@dataclass(frozen=True)
class VisualMethod:
    """A way to forget people.

    Attributes:
        title: the paper's name.
        loss: what a step descends.
        rate: peak of the learning rate.
    """

    title: str
    loss: Callable[[Round], torch.Tensor]
    rate: float


METHODS: Final[Mapping[str, VisualMethod]] = MappingProxyType({
    "finetune": VisualMethod("Retain FT", finetune_loss, 0.01),
    "scrub": VisualMethod("SCRUB", scrub_loss, 0.01),
    "llmu": VisualMethod("LLMU", llmu_loss, 0.01),
    "rmu": VisualMethod("RMU", rmu_loss, 0.01),
    "dpo": VisualMethod("DPO", dpo_loss, 0.01),
    "scrub-bio": VisualMethod("SCRUB_bio", scrub_bio_loss, 0.02),
    "sparsity": VisualMethod("Sparsity", sparsity_loss, 0.01),
    "twins": VisualMethod("Twins", twins_loss, 0.01),
})  # fmt: skip
"""Rates are a tenth of the public code's where its are above 0.02: with momentum, on fewer images, they diverge."""

UNLEARNING_EPOCHS: Final = 5


def unlearn(encoder: FaceEncoder, method: VisualMethod, forget: Faces, retain: Faces, seed: int) -> FaceEncoder:
    """A copy of an encoder that was made to forget; it is shown half a batch of each kind in a step.

    Args:
        encoder: the original, which stays as it is.
        method: how.
        forget: images to forget.
        retain: images of who is kept.
        seed: seed of everything random.
    """
    current, frozen = copy.deepcopy(encoder), copy.deepcopy(encoder)
    half = BATCH // 2
    steps = UNLEARNING_EPOCHS * -(-len(retain.people) // half)

    def loss(step: int, generator: torch.Generator) -> torch.Tensor:
        shown = Round(
            current, frozen, forget.batch(half, generator), retain.batch(half, generator), step / steps, generator
        )
        return method.loss(shown)

    _descend(current, loss, steps, method.rate, seed)
    return current


@torch.no_grad()
def embed(encoder: FaceEncoder, images: torch.Tensor) -> NDArray[np.float64]:
    """Embeddings of images as bytes, shape (N, 3, SIDE, SIDE), as (N, EMBEDDING)."""
    found: Any = torch.cat([encoder(batch) for batch in torch.split(images, 256)])
    return np.asarray(found.numpy(), dtype=np.float64)
