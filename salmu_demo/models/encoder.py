"""A loaded CLIP model: pictures and texts in, L2-normalised features out."""

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torchvision.transforms import Compose, Normalize

from salmu_demo.errors import ModelError
from salmu_demo.models.source import CONFIG_FILE, MERGES_FILE, ModelSource

IMAGE_BATCH: Final = 64
TEXT_BATCH: Final = 128
"""Fixed batch sizes: the order in which a matrix product is summed depends on the batch's size, but not on the place of
a row in it nor on the other rows. A smaller batch is filled up, so that a row has the same bits in any company."""

# What open_clip raises for values it did not expect in a configuration.
_CONFIG_ERRORS: Final = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


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
        logit_scale: the factor the model was trained to multiply cosines by.
        preprocessing: key of the geometric part of its preprocessing; equal keys give equal pixels.
    """

    def __init__(self, source: ModelSource, device: torch.device | None = None) -> None:
        self.source = source
        self.device = device or best_device()
        torch.backends.cudnn.allow_tf32 = False
        self._model = _load(source).to(self.device).eval().requires_grad_(False)
        self._tokenizer = _tokenizer(source)
        try:
            transform = image_transform_v2(PreprocessCfg(**self._model.visual.preprocess_cfg), is_train=False)
        except _CONFIG_ERRORS as error:
            raise ModelError(f"The `preprocess_cfg` of {source.reference} cannot be used: {_words(error)}.") from error
        # The last two steps (to tensor, normalise) work on numbers and are done per batch; the rest on pictures.
        self._geometry = Compose(transform.transforms[:-2])
        self._normalize: Normalize = transform.transforms[-1]
        size = self._model.visual.image_size
        self.image_size: tuple[int, int] = (size, size) if isinstance(size, int) else tuple(size)
        shape = {k: v for k, v in self._model.visual.preprocess_cfg.items() if k not in ("mean", "std")}
        self.preprocessing = hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]
        self.logit_scale = float(self._model.logit_scale.exp())
        try:
            self.dim = int(self.encode_texts(["a"], fill=False).shape[1])
            self.encode_pixels(np.zeros((1, *self.image_size, 3), dtype=np.uint8), fill=False)
        except _CONFIG_ERRORS as error:
            # Most often a model with a vocabulary of its own whose merges are missing: token numbers out of range.
            raise ModelError(
                f"{source.reference} loads but fails a trial: {_words(error)}; its configuration or {MERGES_FILE} is "
                "not the one it was trained with."
            ) from error
        self._lock = threading.Lock()

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize and crop one RGB picture as open_clip's evaluation transform does; shape (H, W, 3)."""
        return np.asarray(self._geometry(image), dtype=np.uint8)

    @torch.inference_mode()
    def encode_pixels(self, pixels: NDArray[np.uint8], fill: bool = True) -> NDArray[np.float32]:
        """Features of preprocessed pictures: (N, H, W, 3) bytes to (N, D), each of length 1.

        Without `fill` a batch is as small as it is, which is quicker for a single query.
        """
        batches = []
        for start in range(0, len(pixels), IMAGE_BATCH):
            # A copy: the pixels may be a read-only map of the cache, which torch does not accept.
            batch = torch.from_numpy(np.array(pixels[start : start + IMAGE_BATCH]))
            inputs = _filled(batch, IMAGE_BATCH) if fill else batch
            inputs = self._normalize(inputs.to(self.device).permute(0, 3, 1, 2).float().div(255))
            features = self._model.encode_image(inputs, normalize=True)
            batches.append(features[: len(batch)].float().cpu().numpy())
        return np.concatenate(batches)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str], fill: bool = True) -> NDArray[np.float32]:
        """Features of texts: N strings to (N, D), each of length 1; texts beyond the context length are cut off.

        Without `fill` a batch is as small as it is, which is quicker for a single query.
        """
        batches = []
        for start in range(0, len(texts), TEXT_BATCH):
            batch = self._tokenizer(list(texts[start : start + TEXT_BATCH]))
            tokens = (_filled(batch, TEXT_BATCH) if fill else batch).to(self.device)
            features = self._model.encode_text(tokens, normalize=True)
            batches.append(features[: len(batch)].float().cpu().numpy())
        return np.concatenate(batches)

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self._model.parameters())


def _filled(batch: torch.Tensor, size: int) -> torch.Tensor:
    """The batch with its first row repeated until it has the size."""
    return torch.cat([batch, batch[:1].expand(size - len(batch), *batch.shape[1:])])


def _build(source: ModelSource) -> Any:
    """The model with random weights, built by open_clip from the source's configuration."""
    with TemporaryDirectory() as folder:
        (Path(folder) / CONFIG_FILE).write_text(json.dumps(source.config), "utf-8")
        try:
            return open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
        except _CONFIG_ERRORS as error:
            raise ModelError(
                f"The configuration of {source.reference} does not build a model: {_words(error)}."
            ) from error


def _load(source: ModelSource) -> Any:
    """Build the model and load its weights, all of them or none."""
    model = _build(source)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    try:
        with safe_open(source.weights, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{source.weights} is not a whole safetensors file; fetch or save it again.") from error
    for name, shape in expected.items():
        if name not in found:
            raise ModelError(f"{source.weights} does not fit its architecture: it lacks the tensor {name}.")
        if found[name] != shape:
            raise ModelError(
                f"{source.weights} does not fit its architecture: {name} has shape {found[name]}, not {shape}."
            )
    extra = sorted(set(found) - set(expected))
    if extra:
        raise ModelError(f"{source.weights} does not fit its architecture: it has the unknown tensor {extra[0]}.")
    model.load_state_dict(load_file(source.weights))
    return model


def _tokenizer(source: ModelSource) -> Any:
    text = source.config["model_cfg"]["text_cfg"]
    context = int(text.get("context_length", 77))
    if source.merges is None:
        return SimpleTokenizer(context_length=context, **text.get("tokenizer_kwargs", {}))
    try:
        tokenizer = SimpleTokenizer(str(source.merges), context_length=context)
    except (OSError, EOFError, ValueError) as error:
        raise ModelError(f"{source.merges} is not a whole gzip file of byte-pair merges; fetch it again.") from error
    wanted = text.get("vocab_size", tokenizer.vocab_size)
    if tokenizer.vocab_size != wanted:
        # Other merges give other numbers to the same words: the model would run and mean nothing.
        raise ModelError(f"{source.merges} makes {tokenizer.vocab_size} tokens, but the model has {wanted}.")
    return tokenizer


def _words(error: Exception) -> str:
    """What an exception says, in one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
