"""A loaded CLIP model: images and texts in, L2-normalised features out."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torchvision.transforms import Compose, Normalize

from salmu_demo.core.errors import ModelError
from salmu_demo.models.header import FLOATS, shown
from salmu_demo.models.network import CONFIG_ERRORS, ExpectedTensor, build_network, expected_tensors, in_words
from salmu_demo.models.source import MERGES_FILE, ModelSource
from salmu_demo.models.text_tower import CausalTower, causal_tower, encode_to_ends
from salmu_demo.models.tokenizer import make_tokenizer
from salmu_demo.models.weights import TensorReader, check_finite_weights, check_prefix, summarise

IMAGE_BATCH: Final = 64
TEXT_BATCH: Final = 128
"""Fixed batch sizes: the order in which a matrix product is summed depends on the batch's size, but not on the place of
a row in it nor on the other rows. A smaller batch is filled up, so that a row has the same bits in any company."""

LENGTH_STEP: Final = 8
"""Texts are cut to the next multiple of so many tokens: what a text is cut to depends on nothing but the text."""

CUT_BATCH: Final = 32
"""Batch size of texts that are cut: those of each length fill batches of their own, the last of them only in part."""

_TRIAL: Final = ("a", "A portrait of a person, whose phone number is +46 70 111 22 33.")
"""Texts of two lengths that a model is tried with when it is loaded."""


def best_device() -> torch.device:
    """CUDA if torch can use it, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Encoder:
    """A CLIP model on a device, in single precision.

    Half precision would move scores in the fourth decimal, so it is not used; on CUDA the TF32 shortcut is off too.

    Attributes:
        source: the checkpoint it was loaded from.
        device: where it computes.
        dim: width of the features.
        tokenizer: turns texts into token numbers.
        logit_scale: the factor the model was trained to multiply cosines by.
        weights_digest: SHA-256 over names and values of all tensors, whatever file they lie in.
        preprocessing: key of the geometric part of its preprocessing; equal keys give equal pixels.
    """

    def __init__(self, source: ModelSource, device: torch.device | None = None, loaded: "Loaded | None" = None) -> None:
        """Load the checkpoint, or take what is loaded already and belongs to this encoder from now on.

        Raises:
            ModelError: if it does not load, or fails a trial.
        """
        self.source = source
        self.device = device or best_device()
        torch.backends.cudnn.allow_tf32 = False
        if loaded is None:
            expected = expected_tensors(source.config, source.reference)
            # Also before the files are hashed, which takes minutes for one that claims any size.
            _check_fit(source, source.reader(), expected)
            with source.unchanged():
                loaded = _load(source, expected)
        self.tokenizer = loaded.tokenizer
        self.weights_digest = loaded.digest
        self._model = loaded.network.to(self.device).eval().requires_grad_(False)
        transform = loaded.transform or evaluation_transform(self._model, source.reference)
        # The last two steps (to tensor, normalise) work on numbers and are done per batch; the rest on images.
        self._geometry = Compose(transform.transforms[:-2])
        self._normalize: Normalize = transform.transforms[-1]
        size = self._model.visual.image_size
        self.image_size: tuple[int, int] = (size, size) if isinstance(size, int) else tuple(size)
        shape: Any = loaded.geometry
        if shape is None:
            shape = {k: v for k, v in self._model.visual.preprocess_cfg.items() if k not in ("mean", "std")}
        self.preprocessing = hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]
        self.logit_scale = float(self._model.logit_scale.exp())
        self._tower: CausalTower | None = None
        try:
            with torch.inference_mode():
                self._tower = causal_tower(self._model, self.tokens(_TRIAL).to(self.device))
            self.dim = int(self.encode_texts(_TRIAL[:1], fill=False).shape[1])
            self.encode_pixels(np.zeros((1, *self.image_size, 3), dtype=np.uint8), fill=False)
        except CONFIG_ERRORS as error:
            # Most often a model with a vocabulary of its own whose merges are missing: token numbers out of range.
            raise ModelError(
                f"{source.reference} loads but fails a trial: {in_words(error)}; its configuration or {MERGES_FILE} is "
                "not the one it was trained with."
            ) from error

    @property
    def model(self) -> Any:
        """The open_clip model, without gradients; whoever trains it must own this encoder."""
        return self._model

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """Token numbers of texts, shape (N, context length), on the CPU."""
        tokens: torch.Tensor = self.tokenizer(list(texts))
        return tokens

    def inputs(self, pixels: torch.Tensor) -> torch.Tensor:
        """The model's input from preprocessed images: (N, H, W, 3) bytes to (N, 3, H, W) on the device."""
        inputs: torch.Tensor = self._normalize(pixels.to(self.device).permute(0, 3, 1, 2).float().div(255))
        return inputs

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize and crop one RGB image as open_clip's evaluation transform does; shape (H, W, 3)."""
        return np.asarray(self._geometry(image), dtype=np.uint8)

    @torch.inference_mode()
    def encode_pixels(self, pixels: NDArray[np.uint8], fill: bool = True) -> NDArray[np.float32]:
        """Features of preprocessed images: (N, H, W, 3) bytes to (N, D), each of length 1.

        Without `fill` a batch is as small as it is, which is quicker for a single query.
        """
        batches = []
        for start in range(0, len(pixels), IMAGE_BATCH):
            # A copy: the pixels may be a read-only map of the cache, which torch does not accept.
            batch = torch.from_numpy(np.array(pixels[start : start + IMAGE_BATCH]))
            inputs = self.inputs(_filled(batch, IMAGE_BATCH) if fill else batch)
            features = self._model.encode_image(inputs, normalize=True)
            batches.append(features[: len(batch)].float().cpu().numpy())
        return np.concatenate(batches)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str], fill: bool = True) -> NDArray[np.float32]:
        """Features of texts: N strings to (N, D), each of length 1; texts beyond the context length are cut off.

        Without `fill` a batch is as small as it is, which is quicker for a single query.
        """
        tokens = self.tokens(texts)
        size = TEXT_BATCH if self._tower is None else CUT_BATCH
        batches, order = [], []
        for rows, length in self._by_length(tokens):
            for start in range(0, len(rows), size):
                batch = tokens[rows[start : start + size], :length]
                inputs = (_filled(batch, size) if fill else batch).to(self.device)
                batches.append(self._encode_tokens(inputs)[: len(batch)].float().cpu().numpy())
            order.append(rows)
        features = np.concatenate(batches)
        return features[np.argsort(np.concatenate(order))]

    def _by_length(self, tokens: torch.Tensor) -> Iterator[tuple[NDArray[np.int64], int]]:
        """The rows whose texts are cut to the same number of tokens, and that number."""
        whole = tokens.shape[1]
        if self._tower is None:
            yield np.arange(len(tokens)), whole
            return
        lengths = self._tower.ends(tokens).numpy() + 1
        cut = np.minimum(-(-lengths // LENGTH_STEP) * LENGTH_STEP, whole)
        for length in np.unique(cut):
            yield np.flatnonzero(cut == length), int(length)

    def _encode_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        if self._tower is None:
            features: torch.Tensor = self._model.encode_text(tokens, normalize=True)
            return features
        return encode_to_ends(self._tower.module, tokens, self._tower.ends(tokens))

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self._model.parameters())


def _filled(batch: torch.Tensor, size: int) -> torch.Tensor:
    """The batch with its first row repeated until it has the size."""
    return torch.cat([batch, batch[:1].expand(size - len(batch), *batch.shape[1:])])


@dataclass(frozen=True)
class Loaded:
    """What an encoder works with.

    Attributes:
        network: the open_clip model with its weights.
        tokenizer: its tokenizer.
        digest: see `WeightSummary.digest`.
        transform: how images are prepared, down to a tensor and its normalisation; None for what the network says.
        geometry: what tells the other steps from those that the network names; None if they are those.
    """

    network: Any
    tokenizer: Any
    digest: str
    transform: Compose | None = None
    geometry: list[str] | None = None


def evaluation_transform(network: Any, what: str) -> Compose:
    """How images are prepared for a network, as its `preprocess_cfg` says; raises `ModelError`."""
    try:
        transform: Compose = image_transform_v2(PreprocessCfg(**network.visual.preprocess_cfg), is_train=False)
    except CONFIG_ERRORS as error:
        raise ModelError(f"The `preprocess_cfg` of {what} cannot be used: {in_words(error)}.") from error
    return transform


def _load(source: ModelSource, expected: Mapping[str, ExpectedTensor]) -> Loaded:
    """Build the network and load its weights, all of them or none."""
    tokenizer = make_tokenizer(source)
    reader = source.reader()
    _check_fit(source, reader, expected)
    summary = summarise(reader)
    check_finite_weights(summary, source.reference)
    network = build_network(source.config, source.reference)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(torch.from_numpy(reader.read(name)))
    return Loaded(network, tokenizer, summary.digest)


def _check_fit(source: ModelSource, reader: TensorReader, expected: Mapping[str, ExpectedTensor]) -> None:
    """Compare the header with the architecture, before a tensor is read or memory is taken for the network."""
    what = f"{source.weights} does not fit its architecture"
    for name, wanted in expected.items():
        shape = reader.shapes.get(name)
        if shape is None:
            check_prefix(reader.shapes, str(source.weights))
            raise ModelError(f"{what}: it lacks the tensor {name}.")
        if shape != wanted.shape:
            raise ModelError(f"{what}: {name} has shape {shape}, not {wanted.shape}.")
        if (reader.dtypes[name] in FLOATS) is not wanted.floating:
            kind = "floating point numbers" if wanted.floating else "whole numbers"
            raise ModelError(f"{what}: {name} has the type {reader.dtypes[name]}, but must hold {kind}.")
    extra = next((name for name in sorted(reader.shapes) if name not in expected), None)
    if extra is not None:
        raise ModelError(f"{what}: it has the unknown tensor {shown(extra)}.")
