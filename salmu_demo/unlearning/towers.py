"""The model in training and its frozen original."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any

import torch

from salmu_demo.core.errors import ModelError
from salmu_demo.models.captioner import Captioner, Seen
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.optimisation import encode_by_block, encode_captions, ends_in_text
from salmu_demo.models.source import ModelSource
from salmu_demo.unlearning import LoRA, Towers
from salmu_demo.unlearning.adapter import adapt

State = dict[str, torch.Tensor]


class TrainedModel:
    """A copy of the base model in which some towers may change; the logit scale never does.

    Freezing the scale matters: gradient ascent could fake forgetting by shrinking it.

    Attributes:
        encoder: owns the model, and turns images and texts into its inputs.
        towers: which towers may change.
        lora: the low-rank changes that are trained in place of the weights, or None.
        adapted: names of the layers that have such changes.
        start: the trainable tensors before the first step.
    """

    def __init__(self, source: ModelSource, towers: Towers, lora: LoRA | None = None) -> None:
        """Load the model; raises `ModelError`."""
        self.encoder = Encoder(source)
        self.towers = towers
        self._source = source
        self._frozen: Encoder | None = None
        self.lora = lora
        self.adapted = adapt(self.module, towers, lora) if lora else []
        for name, parameter in self.module.named_parameters() if lora is None else ():
            # `logit_bias` accompanies the scale in models trained with a sigmoid loss.
            is_scale = name in ("logit_scale", "logit_bias")
            parameter.requires_grad_(not is_scale and towers in (Towers.BOTH, Towers.of(name)))
        self.start: State = {name: value.detach().clone() for name, value in self.trained()}

    @property
    def module(self) -> Any:
        """The open_clip model."""
        return self.encoder.model

    @property
    def frozen(self) -> Any:
        """The open_clip model before the first step, loaded on first access."""
        if self._frozen is None:
            self._frozen = Encoder(self._source)
        return self._frozen.model

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.encoder.device

    @property
    def scale(self) -> torch.Tensor:
        """Logit scale: the factor of cosines."""
        scale: torch.Tensor = self.module.logit_scale.detach().exp()
        return scale

    def trained(self) -> list[tuple[str, torch.nn.Parameter]]:
        """Names and parameters that may change."""
        return [(name, p) for name, p in self.module.named_parameters() if p.requires_grad]

    def parameters(self) -> list[torch.nn.Parameter]:
        """The parameters that may change."""
        return [parameter for _, parameter in self.trained()]

    def matrices(self) -> list[tuple[str, torch.Tensor]]:
        """Names and values of the tensors that training changes, with low-rank changes added to theirs."""
        if self.lora is None:
            return [(name, parameter) for name, parameter in self.trained()]
        return [(name, self.module.get_submodule(name).weight) for name in self.adapted]

    def images(self, inputs: torch.Tensor) -> torch.Tensor:
        """Normalised features of image inputs, shape (N, D)."""
        with self._autocast():
            features: torch.Tensor = self.module.encode_image(inputs, normalize=True)
        return features.float()

    def texts(self, tokens: torch.Tensor) -> torch.Tensor:
        """Normalised features of tokens, shape (N, D)."""
        with self._autocast():
            features = encode_captions(self.module, tokens.to(self.device))
        return features.float()

    def texts_by_block(
        self, tokens: torch.Tensor, frozen: bool = False, of: Sequence[torch.nn.Module] | None = None
    ) -> list[torch.Tensor]:
        """States after each block of the text tower, and its features, see `encode_by_block`.

        Args:
            tokens: shape (N, context length).
            frozen: whether those of the frozen original are wanted.
            of: parts of the model in training whose states are wanted; the blocks if None.
        """
        tokens = tokens.to(self.device)
        if frozen:
            with torch.no_grad():
                return encode_by_block(self.frozen, tokens, self.blocks(Towers.TEXT, frozen=True))
        with self._autocast():
            layers = encode_by_block(self.module, tokens, of or self.blocks(Towers.TEXT))
        return [layer.float() for layer in layers]

    def check_text_blocks(self) -> None:
        """Refuse a text tower that `texts_by_block` cannot read; raises `ModelError`."""
        if not ends_in_text(self.module):
            raise ModelError(
                f"The text tower of {self._source.reference} is not read off an end-of-text token as CLIP's is, which "
                "this method needs; choose another base model or method."
            )

    @cached_property
    def captioner(self) -> Captioner:
        """The model as one that writes about images; raises `ModelError` if it cannot."""
        with torch.no_grad():
            return Captioner(self.encoder)

    def look(self, inputs: torch.Tensor, frozen: bool = False) -> Seen:
        """What the decoder reads of image inputs, (N, 3, H, W), under the model in training or the original."""
        with self._reading(frozen):
            found = (self.frozen if frozen else self.module)(inputs)
        return Seen(found["image_features"], found["image_embs"])

    def write(self, seen: Seen, tokens: torch.Tensor, frozen: bool = False) -> torch.Tensor:
        """Logits of the token after each but the last, shape (N, length - 1, vocabulary).

        Args:
            seen: N images under the same model.
            tokens: shape (N, length).
            frozen: whether it is the original.
        """
        with self._reading(frozen):
            found = (self.frozen if frozen else self.module)(
                image=None,
                text=tokens[:, :-1].to(self.device),
                image_latent=seen.features,
                image_embs=seen.tokens,
                output_labels=False,
            )
        logits: torch.Tensor = found["logits"].float()
        return logits

    @contextmanager
    def _reading(self, frozen: bool) -> Iterator[None]:
        with torch.no_grad() if frozen else nullcontext(), nullcontext() if frozen else self._autocast():
            yield

    def _autocast(self) -> AbstractContextManager[Any]:
        # On a GPU, activations are bfloat16 and weights single precision: pure bfloat16 weights would lose the
        # small updates of an edit. On a CPU bfloat16 saves nothing.
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()

    def state(self) -> State:
        """Copies of the tensors that may change."""
        return {name: value.detach().clone() for name, value in self.trained()}

    @torch.no_grad()
    def load(self, state: State) -> None:
        """Replace the tensors that may change."""
        for name, value in self.trained():
            value.copy_(state[name])

    @contextmanager
    def holding(self, state: State) -> Iterator[None]:
        """Use other tensors within a `with` block."""
        own = self.state()
        self.load(state)
        try:
            yield
        finally:
            self.load(own)

    def blocks(self, tower: Towers, frozen: bool = False) -> Any:
        """Transformer blocks of a tower, of the model in training or its frozen original.

        Raises:
            ModelError: if the tower is not a transformer.
        """
        module = self.frozen if frozen else self.module
        # Some model families have the text tower in a submodule.
        holder = module.visual if tower is Towers.IMAGE else getattr(module, "text", module)
        blocks = getattr(getattr(holder, "transformer", None), "resblocks", None)
        if not blocks:
            raise ModelError(
                f"{self._source.reference} has no transformer as its {tower} tower, which this method needs; choose "
                "another base model or method."
            )
        return blocks

    def decoder_layers(self, frozen: bool = False) -> Any:
        """Layers of the text decoder where it looks at the image, of the model in training or its frozen original."""
        return (self.frozen if frozen else self.module).text_decoder.cross_attn

    def projection(self) -> torch.nn.Parameter:
        """Final projection of the image tower, shape (width, D).

        Raises:
            ModelError: if it has none.
        """
        projection = getattr(self.module.visual, "proj", None)
        if not isinstance(projection, torch.nn.Parameter):
            raise ModelError(
                f"The image tower of {self._source.reference} ends in no projection matrix, which this method needs; "
                "choose another base model or method."
            )
        return projection
