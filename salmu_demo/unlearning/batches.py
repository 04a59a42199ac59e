"""The source of all batches, prepared once: tokens, preprocessed images and the frozen original's features."""

from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
import torch

from salmu_demo.features.pixels import PixelReader
from salmu_demo.features.rows import Rows
from salmu_demo.features.view import FeatureView
from salmu_demo.models.encoder import Encoder
from salmu_demo.unlearning.rows import Part, UnlearningRows
from salmu_demo.unlearning.stand_ins import StandIns
from salmu_demo.unlearning.synthetic_captions import SyntheticCaptions

LEVEL_ROWS: Final = 2048
"""Most forget pairs used to measure the level of unrelated pairs."""

NO_ROWS: Final = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Encoded:
    """A batch of pairs as features.

    Attributes:
        images: normalised, shape (B, D).
        texts: normalised features of the images' captions, shape (B, D).
        groups: shape (B,); pairs of one group are not negatives of each other.
    """

    images: torch.Tensor
    texts: torch.Tensor
    groups: torch.Tensor

    @property
    def similarity(self) -> torch.Tensor:
        """Cosine of each pair, shape (B,)."""
        return (self.images * self.texts).sum(dim=1)


class NumberedImages:
    """The images of some parts, numbered through."""

    def __init__(self, parts: Sequence[Part], readers: Sequence[PixelReader]) -> None:
        self._readers = readers
        # Location of each image: number of its reader, and row in its split.
        self._reader = np.concatenate([NO_ROWS, *(np.full(len(part.split), n) for n, part in enumerate(parts))])
        self._row = np.concatenate([NO_ROWS, *(part.split.rows for part in parts)])

    def __len__(self) -> int:
        return len(self._row)

    def pixels(self, rows: Rows, following: Rows = NO_ROWS) -> torch.Tensor:
        """Preprocessed images of distinct rows, (n, H, W, 3) bytes; reading of the `following` rows starts."""
        result: torch.Tensor | None = None
        for number, reader in enumerate(self._readers):
            here = self._reader[rows] == number
            if here.any():
                ahead = self._row[following][self._reader[following] == number]
                part = torch.from_numpy(np.array(reader.read(self._row[rows][here], ahead)))
                if result is None:
                    result = torch.empty((len(rows), *part.shape[1:]), dtype=torch.uint8)
                result[torch.from_numpy(here)] = part
        if result is None:
            raise ValueError("no rows")
        return result


class PairSet(NumberedImages):
    """All pairs of one side, forget or retain.

    Attributes:
        captions: the N captions.
        tokens: shape (N, context length).
        frozen: features of all pairs under the frozen original, on the CPU, and their groups.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        encoder: Encoder,
        frozen: Encoded,
        readers: Sequence[PixelReader],
    ) -> None:
        super().__init__(parts, readers)
        self.captions = [text for part in parts for text in part.split.texts]
        self.tokens = encoder.tokens(self.captions)
        self.frozen = frozen


@dataclass(frozen=True)
class _RowFacts:
    """What is known of the rows to forget and then of their neighbours, by row, see `Part`."""

    captions: list[str]
    personas: list[str | None]
    names: list[str]
    values: list[list[str]]
    kinds: list[str | None]

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Self:
        """That of some parts."""
        found = cls([], [], [], [], [])
        for part in parts:
            found.captions.extend(part.split.texts)
            found.personas.extend(part.split.identities)
            found.names.extend(part.names)
            found.values.extend(part.values)
            found.kinds.extend(part.kinds)
        return found


class BatchSource:
    """Both sides of a run; a context manager, because reading images uses threads.

    Attributes:
        forget: the pairs to forget; their groups are personas.
        retain: the pairs to retain; their groups are captions.
        identities: persona id of each forget pair, or None.
        kinds: number of each forget pair's attribute kind, shape (N,); -1 if unknown.
        neighbours: rows of `retain` that are pairs like those to forget, of which nobody asked; none without requests.
        neighbour_kinds: number of each neighbour's attribute kind, as in `kinds`.
        neighbour_groups: persona of each neighbour, numbered as the groups of `forget`.
        generic_tokens: tokens of each forget image's generic caption, or None.
        frozen_generic: features of those captions under the frozen original, or None.
    """

    def __init__(self, rows: UnlearningRows, encoder: Encoder, features: FeatureView) -> None:
        """Prepare tokens and features.

        Args:
            rows: what the method may read.
            encoder: encoder of the model in training.
            features: the frozen original's; not stored, because they lead to rows that no method may read.
        """
        self._encoder = encoder
        self._readers = ExitStack()
        self._told = _RowFacts.of([*rows.forget, *rows.neighbours])
        self.identities = [identity for part in rows.forget for identity in part.split.identities]
        personas = [identity if identity is not None else row for row, identity in enumerate(self.identities)]
        captions = [text for part in rows.retain for text in part.split.texts]
        self.forget = self._pair_set(rows.forget, personas, encoder, features)
        self.retain = self._pair_set(rows.retain, captions, encoder, features)
        beside = self._told.personas[len(self.forget) :]
        self.neighbours = np.arange(len(self.retain) - len(beside), len(self.retain))
        number = dict(zip(personas, self.forget.frozen.groups.tolist(), strict=True))
        self.neighbour_groups = torch.tensor(
            [
                number.setdefault(row if identity is None else identity, len(number))
                for row, identity in enumerate(beside, len(self.forget))
            ],
            dtype=torch.int64,
        )
        known = sorted({kind for kind in self._told.kinds if kind is not None})
        kinds = np.array([-1 if kind is None else known.index(kind) for kind in self._told.kinds])
        self.kinds, self.neighbour_kinds = kinds[: len(self.forget)], kinds[len(self.forget) :]
        self.generic_tokens = self.frozen_generic = None
        if rows.generic is not None:
            self.generic_tokens = encoder.tokens(rows.generic)
            self.frozen_generic = torch.from_numpy(np.array(features.prompts(rows.generic)))

    @cached_property
    def synthetic_captions(self) -> SyntheticCaptions:
        """Captions made from parts of the forget captions and their neighbours; raises `DataError` if those hold no
        names."""
        told = self._told
        return SyntheticCaptions(told.captions, told.personas, told.names, told.values, told.kinds)

    @cached_property
    def stand_ins(self) -> StandIns:
        """Invented counterparts of the facts to forget; raises `DataError` if there are too few."""
        told = self._told

        def lengths(texts: Sequence[str]) -> list[int]:
            # A causal tower's end-of-text token has the largest number of all.
            return [int(number) for number in self._encoder.tokens(texts).argmax(dim=1)]

        return StandIns(
            told.captions, told.personas, told.names, told.values, told.kinds, lengths, len(self.neighbours)
        )

    @cached_property
    def unrelated(self) -> torch.Tensor:
        """Cosines, under the frozen original, of forget images with captions of other personas of the same kind.

        What pairs that were never learned look like, as far as can be told without a Clean model. Where no persona
        shares a kind with another, captions of any kind count. With requests, so do the captions of their neighbours.
        In ascending order; a single 0 if there is no such pair.
        """
        known, beside = self.forget.frozen, self.retain.frozen
        rows = np.random.default_rng(0).permutation(len(self.forget))[:LEVEL_ROWS]
        drawn = np.random.default_rng(0).permutation(len(self.neighbours))[: LEVEL_ROWS - len(rows)]
        kinds = np.concatenate([self.kinds[rows], self.neighbour_kinds[drawn]])
        whose = torch.cat([known.groups[rows], self.neighbour_groups[drawn]])
        stranger = known.groups[rows][:, None] != whose[None, :]
        alike = torch.from_numpy(self.kinds[rows][:, None] == kinds[None, :]) & stranger
        chosen = alike if alike.any() else stranger
        texts = torch.cat([known.texts[rows], beside.texts[self.neighbours[drawn]]])
        found = (known.images[rows] @ texts.T)[chosen]
        return found.sort().values if len(found) else torch.zeros(1)

    @property
    def unrelated_level(self) -> float:
        """Mean of `unrelated`."""
        return float(self.unrelated.mean())

    def unrelated_quantile(self, share: float) -> float:
        """Quantile of `unrelated`."""
        return float(self.unrelated[round(share * (len(self.unrelated) - 1))])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self._readers.close()

    def _pair_set(
        self, parts: Sequence[Part], groups: Sequence[Hashable], encoder: Encoder, features: FeatureView
    ) -> PairSet:
        number: dict[Hashable, int] = {}
        numbers = torch.tensor([number.setdefault(group, len(number)) for group in groups])
        pairs = [(features.images(part.split), features.captions(part.split)) for part in parts]
        images, texts = (torch.from_numpy(np.concatenate(side)) for side in zip(*pairs, strict=True))
        readers = open_readers(self._readers, parts, encoder, features)
        return PairSet(parts, encoder, Encoded(images, texts, numbers), readers)


def open_readers(stack: ExitStack, parts: Sequence[Part], encoder: Encoder, features: FeatureView) -> list[PixelReader]:
    """A reader of the images of each part, closed with the stack."""
    store = features.embedder.store
    return [stack.enter_context(PixelReader(store, part.images, encoder)) for part in parts]
