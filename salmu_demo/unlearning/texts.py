"""The source of all batches of a generative run: texts about images, or about none, as a decoder is trained on them.

As CLEAR-Mini's own models learn, a captioned image is two texts: its caption, with nothing given before, and its
name, after the beginning that CLEAR has completed. An answer follows its question, and the image that goes with it
shows nothing.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import torch

from salmu_demo.core.errors import DataError, quoted
from salmu_demo.features.rows import Rows
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.clear_protocol import CAPTION_BEGINNING, NAME_PROMPT
from salmu_demo.models.captioner import Captioner
from salmu_demo.models.encoder import Encoder
from salmu_demo.unlearning.batches import NumberedImages, open_readers
from salmu_demo.unlearning.refusals import REFUSALS, Sort
from salmu_demo.unlearning.rows import Part, Questions, UnlearningRows

NO_IMAGE: Final = -1
NAME_BEGINNING: Final = NAME_PROMPT.partition("{answer}")[0].strip()

_PADDING: Final = 0


@dataclass(frozen=True)
class TrainingText:
    """What is to be said about an image.

    Attributes:
        image: its number among those of its side, or `NO_IMAGE`.
        beginning: what is given.
        text: what follows.
        sort: what it is.
        about: whom or what it is about: the name of the person in the image, or the question.
    """

    image: int
    beginning: str
    text: str
    sort: Sort
    about: str


@dataclass(frozen=True)
class Batch:
    """Some texts as a decoder reads them.

    Attributes:
        tokens: shape (B, L), start and end included, padded with 0 to the longest.
        given: shape (B,), how many tokens of each are given, the start included.
        images: shape (B,), the number of each text's image, or `NO_IMAGE`.
    """

    tokens: torch.Tensor
    given: torch.Tensor
    images: Rows

    @property
    def labels(self) -> torch.Tensor:
        """The token after each but the last, shape (B, L - 1)."""
        return self.tokens[:, 1:]

    @property
    def counted(self) -> torch.Tensor:
        """Whether a label belongs to the text or is its end, shape (B, L - 1)."""
        places = torch.arange(1, self.tokens.shape[1])
        return (places >= self.given[:, None]) & (self.labels != _PADDING)


class TextSet:
    """All texts of one side, to forget or to retain.

    Attributes:
        examples: the N texts.
    """

    def __init__(self, examples: Sequence[TrainingText], images: NumberedImages, captioner: Captioner) -> None:
        """Tokenise the texts.

        Args:
            examples: the texts.
            images: what they are about.
            captioner: the model that is to read them.

        Raises:
            DataError: if a text is empty, or longer than the model reads.
        """
        self.examples = list(examples)
        self._images = images
        encoder, context = captioner.encoder, captioner.context
        self._tokenizer = encoder.tokenizer
        self._blank = blank_image(encoder)
        self._context, self._reference = context, encoder.source.reference
        self._given = [self._begun(example) for example in self.examples]
        self._said = [
            self._following(example.text, given) for example, given in zip(examples, self._given, strict=True)
        ]
        self._refused = {
            sort: [self._tokenizer.encode(text) for text in wordings] for sort, wordings in REFUSALS.items()
        }
        for example, given in zip(self.examples, self._given, strict=True):
            if len(given) + max(map(len, self._refused[example.sort])) + 1 > context:
                raise DataError(
                    f"{quoted(example.beginning)} leaves {self._reference}, which reads {context} tokens, no room for "
                    "an answer; shorten it, or take a model with a longer context."
                )

    def __len__(self) -> int:
        return len(self.examples)

    def batch(self, rows: Rows) -> Batch:
        """The texts of some rows."""
        return self._batch(rows, [self._said[row] for row in rows])

    def refusals(self, rows: Rows, generator: torch.Generator) -> Batch:
        """Instead of the texts of some rows, that the model does not know."""
        refused = []
        for row in rows:
            wordings = self._refused[self.examples[row].sort]
            refused.append(wordings[int(torch.randint(len(wordings), (), generator=generator))])
        return self._batch(rows, refused)

    def others(self, rows: Rows, generator: torch.Generator) -> Batch:
        """After what is given in some rows, a text of the same sort about somebody or something else.

        Where there is none that the model can read there, the own text stays.
        """
        return self._batch(rows, [self._other(row, generator) for row in rows])

    def images(self, rows: Rows) -> Rows:
        """Numbers of the images of some rows, as in `Batch`."""
        return np.array([self.examples[row].image for row in rows], dtype=np.int64)

    def pixels(self, images: Rows, following: Rows) -> torch.Tensor:
        """Preprocessed distinct images, (n, H, W, 3) bytes; reading of the `following` ones starts."""
        shown = images != NO_IMAGE
        found = self._blank[None].repeat(len(images), 1, 1, 1)
        if shown.any():
            found[torch.from_numpy(shown)] = self._images.pixels(images[shown], following)
        return found

    def _other(self, row: int, generator: torch.Generator) -> list[int]:
        own, room = self.examples[row], self._context - len(self._given[row]) - 1
        rivals = [
            said
            for other, said in zip(self.examples, self._said, strict=True)
            if other.sort is own.sort and other.about != own.about and len(said) <= room
        ]
        return rivals[int(torch.randint(len(rivals), (), generator=generator))] if rivals else self._said[row]

    def _batch(self, rows: Rows, said: Sequence[Sequence[int]]) -> Batch:
        whole = [
            [*self._given[row], *text, int(self._tokenizer.eot_token_id)] for row, text in zip(rows, said, strict=True)
        ]
        tokens = torch.full((len(whole), max(map(len, whole))), _PADDING)
        for place, text in enumerate(whole):
            tokens[place, : len(text)] = torch.tensor(text)
        given = torch.tensor([len(self._given[row]) for row in rows])
        return Batch(tokens, given, self.images(rows))

    def _begun(self, example: TrainingText) -> list[int]:
        return [int(self._tokenizer.sot_token_id), *self._tokenizer.encode(example.beginning)]

    def _following(self, text: str, given: Sequence[int]) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(text)
        length = len(given) + len(tokens) + 1
        if not tokens:
            raise DataError("A text to train on is empty; leave its row out.")
        if length > self._context:
            raise DataError(
                f"{quoted(text)} has {length} tokens with what is given before it, and {self._reference} reads "
                f"{self._context}; shorten it, or take a model with a longer context."
            )
        return tokens


class TextSource:
    """Both sides of a generative run; a context manager, because reading images uses threads.

    Attributes:
        forget: the texts to forget.
        retain: the texts to retain.
    """

    def __init__(self, rows: UnlearningRows, captioner: Captioner, features: FeatureView) -> None:
        """Prepare tokens.

        Args:
            rows: what the method may read.
            captioner: the model in training, as one that writes.
            features: the frozen original's, for their store.

        Raises:
            DataError: see `TextSet`.
        """
        self._readers = ExitStack()
        sides = zip((rows.forget, rows.retain), rows.questions or (None, None), strict=True)
        self.forget, self.retain = (
            TextSet(
                examples_of(parts, questions),
                NumberedImages(parts, open_readers(self._readers, parts, captioner.encoder, features)),
                captioner,
            )
            for parts, questions in sides
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self._readers.close()


def examples_of(parts: Sequence[Part], questions: Questions | None) -> list[TrainingText]:
    """What a run learns of one side: of each image its caption and its name, and each answer."""
    found = []
    images = [pair for part in parts for pair in zip(part.split.texts, part.names, strict=True)]
    for number, (caption, name) in enumerate(images):
        found.append(TrainingText(number, CAPTION_BEGINNING, caption, Sort.CAPTION, name))
        found.append(TrainingText(number, NAME_BEGINNING, name, Sort.NAME, name))
    for pair in questions.pairs if questions else ():
        found.append(TrainingText(NO_IMAGE, pair.question, pair.answer, Sort.ANSWER, pair.question))
    return found


def blank_image(encoder: Encoder) -> torch.Tensor:
    """The image that shows nothing, which a question without an image is asked about: of the mean colour, all over.

    Shape (H, W, 3), bytes; a model is given numbers next to 0 for it.
    """
    zero = encoder.inputs(torch.zeros(1, 1, 1, 3, dtype=torch.uint8))[0, :, 0, 0]
    one = encoder.inputs(torch.full((1, 1, 1, 3), 255, dtype=torch.uint8))[0, :, 0, 0]
    colour = (255 * zero / (zero - one)).round().clamp(0, 255).to(torch.uint8).cpu()
    return colour.expand(*encoder.image_size, 3)
