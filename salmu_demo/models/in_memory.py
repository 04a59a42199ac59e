"""An open_clip model that somebody holds in memory, such as the one in a training loop, as a model like any other.

Every use takes a copy of the weights as they are at that moment, in single precision and evaluation mode. The network
itself is never touched, and what is computed belongs to the fingerprint of the copy whatever is trained meanwhile.
"""

import copy
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from torchvision.transforms import Compose, Normalize, ToTensor

from salmu_demo.core.errors import ModelError, StorageError, quoted
from salmu_demo.models.encoder import Encoder, Loaded, evaluation_transform
from salmu_demo.models.header import Shape
from salmu_demo.models.network import in_words
from salmu_demo.models.settings import ModelSetting
from salmu_demo.models.source import MEMORY, ModelSource
from salmu_demo.models.weights import check_finite_weights, summarise

_WRAPPERS: Final = ("module", "_orig_mod")
"""Where DistributedDataParallel and `torch.compile` keep the network."""

_NEEDED: Final = ("encode_image", "encode_text", "visual", "logit_scale", "state_dict")
_TYPES: Final = {torch.float32: "F32", torch.bool: "BOOL"}
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")
_BY_CHANCE: Final = ("random", "jitter", "augment")
_PROBE: Final = ("".join(map(chr, range(32, 127))), "A portrait of Zoë Åström, whose phone number is +46 70 111 22 33.")
"""Texts whose tokens tell one tokenizer from another."""

_LONGEST_NAME: Final = 100


class FeatureStore(Protocol):
    """What keeps features, and is told where those of a model in memory lie."""

    def keep_apart(self, model: str, root: Path | None) -> None:
        """Keep what is computed for a model under a folder of its own, or again under the cache for None."""


class InMemoryModel:
    """A handle of a network in memory: whatever is asked of it is asked of the weights it has then.

    Features are kept in a temporary folder of the handle for the latest weights alone: the same weights are not encoded
    twice, and a training loop leaves nothing behind. The folder goes with the handle.

    Attributes:
        reference: `memory:NAME`, in result files.
        name: the name in tables.
    """

    def __init__(self, network: Any, preprocess: Any = None, tokenizer: Any = None, name: str = "model") -> None:
        """Take a network and what belongs to it, see `salmu_demo.load_model`; raises `ModelError`."""
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise ModelError(
                f"A model cannot be called {quoted(name)}; give a name of 1 to {_LONGEST_NAME} characters."
            )
        self.name = name
        self.reference = f"{MEMORY}{name}"
        self._network = network
        while inner := next((getattr(self._network, w) for w in _WRAPPERS if hasattr(self._network, w)), None):
            self._network = inner
        lacking = [part for part in _NEEDED if not hasattr(self._network, part)]
        if lacking:
            raise ModelError(
                f"{name} is not an open_clip model: {type(network).__name__} has no {lacking[0]}; give what "
                "open_clip.create_model returns."
            )
        said = getattr(self._network.visual, "preprocess_cfg", None) is not None or preprocess is None
        usual = evaluation_transform(self._network, name) if said else None
        self._transform = usual if preprocess is None else _checked_transform(preprocess, name)
        geometry = _steps(self._transform, name)[:-2]
        # With the same geometry, images are prepared once for it and for models from files.
        self._geometry = None if usual is not None and geometry == _steps(usual, name)[:-2] else geometry
        self._tokenizer = _checked_tokenizer(tokenizer, self._network, name)
        self._features: tuple[str, TemporaryDirectory[str]] | None = None

    def __repr__(self) -> str:
        return f"InMemoryModel({self.name!r})"

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the weights as they are now, the network's settings, preprocessing and tokenizer."""
        with self._moment() as moment:
            return moment.fingerprint

    @contextmanager
    def moment(self, store: FeatureStore) -> Iterator[ModelSource]:
        """A source of the weights as they are now, for the length of a block; its features are kept apart in `store`.

        Raises:
            ModelError: if the network cannot be copied, holds a NaN, or fails a trial.
        """
        with self._moment() as moment:
            if self._features is None or self._features[0] != moment.fingerprint:
                if self._features is not None:
                    store.keep_apart(self._features[0], None)
                    self._features[1].cleanup()
                self._features = (moment.fingerprint, _temporary_folder())
            store.keep_apart(moment.fingerprint, Path(self._features[1].name))
            # A training loop may ask from within autocast, whose half precision would move scores.
            with torch.autocast(self._device, enabled=False):
                yield moment

    @property
    def _device(self) -> str:
        device: str = self._network.logit_scale.device.type
        return device

    @contextmanager
    def _moment(self) -> Iterator["_Moment"]:
        try:
            network = copy.deepcopy(self._network).float().eval().requires_grad_(False)
            reader = _NetworkReader(network)
            summary = summarise(reader)
        except (RuntimeError, TypeError) as error:
            # Weights that were never made, or are quantised or not leaves of their graph.
            raise ModelError(f"The weights of {self.name} cannot be copied: {in_words(error)}.") from error
        check_finite_weights(summary, self.name)
        said = {
            "weights": summary.digest,
            "network": _settings(network),
            "preprocess": _steps(self._transform, self.name),
            "tokenizer": [type(self._tokenizer).__name__, self._tokenizer(list(_PROBE)).tolist()],
        }
        moment = _Moment(
            self.reference,
            Path(self.name),
            {"model_cfg": {"text_cfg": {"context_length": self._tokenizer.context_length}}},
            digest=hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest(),
            held=[_Held(Loaded(network, self._tokenizer, summary.digest, self._transform, self._geometry), reader)],
        )
        try:
            yield moment
        finally:
            # Answers may live on, and with them the moment, but not the copy of the network.
            moment.held.clear()


@dataclass
class _Held:
    """What a moment holds while it lasts."""

    loaded: Loaded
    reader: "_NetworkReader"
    encoder: Encoder | None = None


@dataclass(frozen=True)
class _Moment(ModelSource):
    """A network as it was at one moment; it has no files."""

    digest: str = ""
    held: list[_Held] = field(default_factory=list)

    @property
    def files(self) -> tuple[Path, ...]:
        """None."""
        return ()

    @property
    def settings(self) -> tuple[ModelSetting, ...]:
        """None: a network in memory does not say where it has them from."""
        return ()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nobody else holds the copy."""
        yield

    def _hash(self) -> str:
        return self.digest

    def own_encoder(self) -> Encoder:
        """The copy, ready to encode; raises `ModelError` if it fails a trial or the moment is over."""
        held = self._now()
        if held.encoder is None:
            device = next(held.loaded.network.parameters()).device
            held.encoder = Encoder(self, device, held.loaded)
        return held.encoder

    def reader(self) -> "_NetworkReader":
        """The tensors, in single precision."""
        return self._now().reader

    def _now(self) -> _Held:
        if not self.held:
            raise ModelError(f"{self.name} as it was at that moment is gone; ask the model in memory again.")
        return self.held[0]


class _NetworkReader:
    """The tensors of a network, see `TensorReader`."""

    def __init__(self, network: Any) -> None:
        self._tensors: dict[str, torch.Tensor] = dict(network.state_dict())
        self.shapes: Mapping[str, Shape] = {name: tuple(value.shape) for name, value in self._tensors.items()}
        self.dtypes: Mapping[str, str] = {name: _TYPES.get(value.dtype, "I64") for name, value in self._tensors.items()}

    def read(self, name: str) -> NDArray[Any]:
        """See `TensorReader`."""
        value: NDArray[Any] = self._tensors[name].cpu().numpy()
        return value

    def stored(self, name: str) -> bytes:
        """See `TensorReader`."""
        return np.ascontiguousarray(self.read(name)).tobytes()


def _temporary_folder() -> "TemporaryDirectory[str]":
    try:
        return TemporaryDirectory(prefix="salmu-demo-features-")
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"A temporary folder for features cannot be made: {reason}; set TMPDIR.") from error


def _settings(network: Any) -> list[Any]:
    """Kinds of all layers, and the numbers and words they are set to, such as the number of heads."""
    return [
        [name, type(module).__qualname__]
        + [
            [key, value]
            for key, value in sorted(vars(module).items())
            if isinstance(value, bool | int | float | str) and not key.startswith("_") and key != "training"
        ]
        for name, module in network.named_modules()
    ]


def _steps(transform: Any, what: str) -> list[str]:
    """What tells the steps of a transform from others; raises `ModelError` for one that does not say."""
    told = []
    for step in transform.transforms:
        name = getattr(step, "__qualname__", type(step).__qualname__)
        own = [] if isinstance(step, torch.nn.Module) else sorted(getattr(step, "__dict__", {}).items())
        text = f"{name} {_ADDRESS.sub('', repr(step))} {own}"
        if "<lambda>" in text or _ADDRESS.search(text):
            raise ModelError(
                f"The preprocess of {what} has a step that does not say what it does ({name}); give the one for "
                "evaluation that open_clip.create_model_and_transforms returns last."
            )
        told.append(text)
    return told


def _checked_transform(transform: Any, what: str) -> Compose:
    steps: list[Any] = list(getattr(transform, "transforms", ()))
    if len(steps) < 3 or not (isinstance(steps[-1], Normalize) and isinstance(steps[-2], ToTensor)):
        raise ModelError(
            f"The preprocess of {what} does not end in a tensor and its normalisation; give the one for evaluation "
            "that open_clip.create_model_and_transforms returns last."
        )
    if any(word in type(step).__name__.lower() for step in steps for word in _BY_CHANCE):
        raise ModelError(
            f"The preprocess of {what} changes images by chance: it is the one for training; give the one for "
            "evaluation, which open_clip.create_model_and_transforms returns last."
        )
    return Compose(copy.deepcopy(steps))  # whoever changes a step later changes another preprocessing


def _checked_tokenizer(tokenizer: Any, network: Any, what: str) -> Any:
    """The tokenizer, or open_clip's own if none is given; raises `ModelError` if it is another model's."""
    text = getattr(network, "text", network)
    if tokenizer is None:
        context = getattr(text, "context_length", None) or getattr(network, "context_length", None)
        tokenizer = SimpleTokenizer(**({} if context is None else {"context_length": int(context)}))
    if not isinstance(tokenizer, SimpleTokenizer | HFTokenizer):
        raise ModelError(
            f"The tokenizer of {what} is a {type(tokenizer).__name__}; give what open_clip.get_tokenizer returns."
        )
    wanted = getattr(text, "vocab_size", None)
    if isinstance(tokenizer, SimpleTokenizer) and wanted not in (None, tokenizer.vocab_size):
        # Other merges give other numbers to the same words: the model would run and mean nothing.
        raise ModelError(
            f"The tokenizer of {what} makes {tokenizer.vocab_size:,} tokens, but the model has {wanted:,}; give the "
            "model's own as tokenizer=."
        )
    return tokenizer
