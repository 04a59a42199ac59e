"""A text decoder on the image tokens of one model, and what it writes about those of another."""

import hashlib
import json
import logging
import pickle
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import nn
from torch.nn import functional

from salmu_demo.attacks.kept import attacking_key
from salmu_demo.attacks.networks.network import IMAGE, Network
from salmu_demo.attacks.recipe import DecoderRecipe
from salmu_demo.attacks.target import Target
from salmu_demo.core.errors import ModelError
from salmu_demo.core.files import atomic_path
from salmu_demo.data.dataset import Split
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.view import FeatureView
from salmu_demo.models.captioner import Captioner, Seen
from salmu_demo.models.coca import decoder_states, new_coca
from salmu_demo.models.encoder import Encoder, Loaded
from salmu_demo.models.optimisation import make_optimizer, set_learning_rate

WEIGHT_DECAY: Final = 0.05
_log = logging.getLogger(__name__)


class _NoTower(nn.Module):
    """Stands in the place of the captioner's image tower: this one is given tokens, and never an image."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.image_size, self.preprocess_cfg = 1, {"size": 1}
        self._shape = count, width

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A feature and tokens of N images, all 0."""
        tokens = images.new_zeros(len(images), *self._shape)
        return tokens[:, 0], tokens


class Decoder:
    """CoCa's text decoder, trained on the frozen image tokens of the original: once, and kept beside its features."""

    def __init__(self, target: Target, recipe: DecoderRecipe, taught: Sequence[Split]) -> None:
        """Train it, or go on where an earlier run was stopped.

        Args:
            target: names the original, and the store.
            recipe: how it is built and trained.
            taught: rows whose captions it learns.

        Raises:
            ModelError: if the original's image tower is not a transformer, or its tokenizer is not CLIP's byte pairs.
            StorageError: if the decoder cannot be kept.
        """
        assert target.original is not None
        self._target, self._recipe, self._taught = target, recipe, taught
        original, seed = target.original, target.seed
        network = Network(original)
        tokenizer = network.encoder.tokenizer
        if not isinstance(tokenizer, SimpleTokenizer):
            raise ModelError(
                f"{original.model.reference} has another tokenizer than CLIP's byte pairs, with which no captioner is "
                "built here"
            )
        height, width = network.encoder.image_size
        blank = torch.zeros(1, 3, height, width, device=network.encoder.device)
        count, self._width = network.hidden(IMAGE, blank)[-1].shape[1:]
        text = {"vocab_size": tokenizer.vocab_size, "context_length": tokenizer.context_length}
        both = {**text, "width": recipe.width, "heads": recipe.heads}
        config = {
            "embed_dim": recipe.width,
            # Replaced at once.
            "vision_cfg": {"image_size": 16, "patch_size": 16, "layers": 1, "width": 64},
            "text_cfg": {**both, "layers": recipe.text_layers, "embed_cls": True, "output_tokens": True},
            "multimodal_cfg": {**both, "layers": recipe.layers},
        }
        with torch.random.fork_rng(devices=[]):  # Other threads may draw.
            self._model = new_coca(config, seed)
            for block in self._model.text_decoder.cross_attn:
                block.ln_1_kv = nn.Sequential(nn.LayerNorm(self._width), nn.Linear(self._width, recipe.width))
        self._model.visual = _NoTower(count, self._width)
        loaded = Loaded(self._model, tokenizer, network.encoder.weights_digest)
        self._captioner = Captioner(Encoder(original.model, network.encoder.device, loaded))
        self._trained = list(self._model.parameters())
        about = json.dumps([attacking_key(), asdict(recipe), [split.file_names for split in taught], seed])
        self._key = hashlib.sha256(about.encode()).hexdigest()
        path = original.embedder.store.feature_path(
            original.model.fingerprint, target.data.fingerprint, f"attacks/decoder-{seed}"
        )
        self._train(network, path.with_suffix(".pt"))

    def write(self, view: FeatureView, split: Split) -> list[str]:
        """What it writes about the images of some rows, seen through the image tower of a model.

        Raises:
            ModelError: if that tower gives other tokens than the original's.
        """
        tokens = self._look(Network(view), split)
        return self._captioner.write(Seen(tokens[:, 0], tokens))

    def _look(self, network: Network, split: Split) -> torch.Tensor:
        """What the last block of an image tower gives for some rows, shape (N, Q, width)."""
        found, done = [], 0
        for batch in network.images(split):
            found.append(network.hidden(IMAGE, batch)[-1])
            done += len(batch)
            self._target.tell("image tokens", done, len(split))
        tokens = torch.cat(found)
        if tokens.shape[2] != self._width:
            raise ModelError(
                f"the image tokens of {self._target.name} have {tokens.shape[2]} numbers, and the captioner was built "
                f"on {self._width}"
            )
        return tokens

    def _train(self, network: Network, path: Path) -> None:
        """Take the epochs that are missing; whoever else trains the same decoder takes some of them."""
        lesson: tuple[torch.Tensor, torch.Tensor] | None = None
        while True:
            with ArrayStore.turn(path):
                state = self._kept(path)
                done = int(state["epochs"])
                if done == self._recipe.epochs:
                    self._model.load_state_dict(state["model"])
                    self._model.requires_grad_(False)
                    return
                lesson = lesson or self._lesson(network)
                state = self.epoch(state, *lesson)
                with atomic_path(path, "The captioner") as temporary:
                    torch.save(state, temporary)
            self._target.tell("epochs of the captioner", done + 1, self._recipe.epochs)

    def _lesson(self, network: Network) -> tuple[torch.Tensor, torch.Tensor]:
        """Image tokens, shape (N, Q, width), and tokens of the captions, (N, context), of all rows that are taught."""
        texts = [text for split in self._taught for text in split.texts]
        images = torch.cat([self._look(network, split) for split in self._taught])
        return images, self._captioner.encoder.tokens(texts).to(images.device)

    def _kept(self, path: Path) -> dict[str, Any]:
        try:
            state = torch.load(path, map_location=self._captioner.encoder.device, weights_only=True)
            if state["key"] == self._key:
                return dict(state)
        except FileNotFoundError:
            pass
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError):
            _log.warning("The file %s is damaged; the captioner is trained again.", path)
        return {"key": self._key, "epochs": 0}

    def epoch(self, state: dict[str, Any], images: torch.Tensor, texts: torch.Tensor) -> dict[str, Any]:
        """The state after one more pass over the captions."""
        recipe, number = self._recipe, int(state["epochs"])
        optimizer = make_optimizer(self._trained, recipe.learning_rate, WEIGHT_DECAY)
        if number:
            self._model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
        self._model.requires_grad_(True)
        generator = torch.Generator().manual_seed(self._target.seed + number)
        batches = torch.split(torch.randperm(len(texts), generator=generator), recipe.batch_size)
        for place, batch in enumerate(batches):
            step, steps = number * len(batches) + place, recipe.epochs * len(batches)
            set_learning_rate(optimizer, step, steps, recipe.learning_rate, recipe.warm_up)
            loss = self._loss(images[batch], texts[batch])
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(self._trained, 1.0)
            optimizer.step()
            self._target.tell("steps of the captioner", step + 1, steps)
        found = {"key": self._key, "epochs": number + 1, "model": self._model.state_dict()}
        # Only who goes on needs it.
        return found if number + 1 == recipe.epochs else {**found, "optimizer": optimizer.state_dict()}

    def _loss(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of each token of the texts given those before it and the image, averaged over tokens."""
        lengths = texts.argmax(dim=1) + 1  # The end has the highest number.
        longest = int(lengths.max())
        _, states = self._model.text(texts[:, :longest])
        states = decoder_states(self._model.text_decoder, images, states[:, : longest - 1])
        learned = torch.arange(1, longest, device=texts.device) < lengths[:, None]
        logits = states[learned] @ self._model.text_decoder.text_projection
        return functional.cross_entropy(logits, texts[:, 1:longest][learned])
