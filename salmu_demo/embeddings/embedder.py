"""The one expensive step: features of pictures and texts, computed once for each (model, data) and kept on disk."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.embeddings.pixels import PictureSet, pixel_batches
from salmu_demo.embeddings.store import ArrayStore, text_key
from salmu_demo.errors import QueryError
from salmu_demo.files import write_text
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.models.source import ModelSource
from salmu_demo.progress import Progress, ProgressCallback, ignore_progress

Features = NDArray[np.float32]
_TEXTS_PER_STEP = 1024


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model that its files do not tell without loading it.

    Attributes:
        dim: width of the features.
        parameters: number of parameters.
        logit_scale: the factor the model multiplies cosines by before a softmax.
        device: where its features are computed.
        weights_digest: equal for models with the same weights, see :class:`salmu_demo.models.weights.WeightSummary`.
    """

    dim: int
    parameters: int
    logit_scale: float
    device: str
    weights_digest: str


class Embedder:
    """Features of a model, from disk if they are there, else computed and kept.

    All features are float32, L2-normalised and mapped read-only. Probes, metrics and plots share them.
    """

    def __init__(self, store: ArrayStore | None = None, encoders: EncoderRegistry | None = None) -> None:
        self.store = store or ArrayStore()
        self.encoders = encoders or EncoderRegistry()

    def images(
        self, model: ModelSource, data: BenchmarkData, split: Split, progress: ProgressCallback = ignore_progress
    ) -> Features:
        """Features of a split's pictures, shape (N, D)."""
        return self._column(model, data, split, layout.IMAGE, progress)

    def captions(
        self, model: ModelSource, data: BenchmarkData, split: Split, progress: ProgressCallback = ignore_progress
    ) -> Features:
        """Features of a split's captions, shape (N, D)."""
        return self._column(model, data, split, layout.TEXT, progress)

    def pictures(
        self, model: ModelSource, pictures: PictureSet, progress: ProgressCallback = ignore_progress
    ) -> Features:
        """Features of pictures, shape (N, D)."""
        path = self.store.feature_path(model.fingerprint, pictures.data, f"{pictures.name}.{layout.IMAGE}")
        return self.store.load_or_make(path, pictures.count, lambda: self._encode_pictures(model, pictures, progress))

    def prompts(
        self, model: ModelSource, texts: Sequence[str], progress: ProgressCallback = ignore_progress
    ) -> Features:
        """Features of texts that are no column of the data, shape (N, D); kept by content."""
        path = self.store.feature_path(model.fingerprint, "prompts", text_key(texts))
        return self.store.load_or_make(path, len(texts), lambda: self._encode_texts(model, texts, progress))

    def query_text(self, model: ModelSource, text: str) -> Features:
        """Feature of a user's text, shape (1, D); never stored.

        Raises:
            QueryError: if the text is empty.
        """
        if not text.strip():
            raise QueryError("The query is empty; type a text, for example a name or a phone number.")
        with self.encoders.lend(model) as encoder:
            return encoder.encode_texts([text.strip()])

    def query_image(self, model: ModelSource, image: Image.Image) -> Features:
        """Feature of a user's picture, shape (1, D); never stored."""
        with self.encoders.lend(model) as encoder:
            return encoder.encode_pixels(encoder.pixels(image)[None])

    def facts(self, model: ModelSource) -> ModelFacts:
        """What loading the model once has told; kept on disk, so that cached features need no loading."""
        known = self.known_facts(model)
        if known is not None:
            return known
        with self.encoders.lend(model) as encoder:
            facts = ModelFacts(
                encoder.dim, encoder.parameters, encoder.logit_scale, str(encoder.device), encoder.weights_digest
            )
        write_text(self.store.facts_path(model.fingerprint), json.dumps(asdict(facts)), "The cache")
        return facts

    def known_facts(self, model: ModelSource) -> ModelFacts | None:
        """The same if the model has been loaded before, else None."""
        try:
            return ModelFacts(**json.loads(self.store.facts_path(model.fingerprint).read_text("utf-8")))
        except (OSError, ValueError, TypeError):  # absent, damaged, or of an older version
            return None

    def _column(
        self, model: ModelSource, data: BenchmarkData, split: Split, column: str, progress: ProgressCallback
    ) -> Features:
        # A derived split is a part of a stored one: if that is known the part is too. If not, only the part is
        # computed, because the whole can be twenty times as large (`retain_joint` of the official data).
        whole = self.store.feature_path(model.fingerprint, data.fingerprint, f"{split.stored}.{column}")
        found = self.store.load(whole, len(data.split(split.stored)))
        if found is not None:
            return found if split.name == split.stored else np.asarray(found[split.rows])
        if column == layout.IMAGE:
            pictures = PictureSet(
                data.fingerprint,
                split.name,
                len(split),
                lambda number: data.image(split.stored, int(split.rows[number])),
            )
            return self.pictures(model, pictures, progress)
        path = self.store.feature_path(model.fingerprint, data.fingerprint, f"{split.name}.{column}")
        return self.store.load_or_make(path, len(split), lambda: self._encode_texts(model, split.texts, progress))

    def _encode_pictures(self, model: ModelSource, pictures: PictureSet, progress: ProgressCallback) -> Features:
        stage = f"{model.name}: pictures of {pictures.name}"
        batches: list[Features] = []
        done = 0
        with self.encoders.lend(model) as encoder:
            progress(Progress(stage, 0, pictures.count))
            for pixels in pixel_batches(self.store, pictures, encoder):
                batches.append(encoder.encode_pixels(pixels))
                done += len(pixels)
                progress(Progress(stage, done, pictures.count))
        return np.concatenate(batches)

    def _encode_texts(self, model: ModelSource, texts: Sequence[str], progress: ProgressCallback) -> Features:
        # Captions repeat; each distinct one is encoded once, so equal texts also get equal bits.
        unique = list(dict.fromkeys(texts))
        stage = f"{model.name}: texts"
        batches = []
        with self.encoders.lend(model) as encoder:
            for start in range(0, len(unique), _TEXTS_PER_STEP):
                progress(Progress(stage, start, len(unique)))
                batches.append(encoder.encode_texts(unique[start : start + _TEXTS_PER_STEP]))
        progress(Progress(stage, len(unique), len(unique)))
        position = {text: i for i, text in enumerate(unique)}
        features: Features = np.concatenate(batches)[[position[text] for text in texts]]
        return features
