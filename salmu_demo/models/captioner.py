"""What a CoCa model writes about images, and how likely it finds a text: greedy decoding and log-likelihoods.

CoCa (arXiv 2205.01917) is a dual encoder with a text decoder that looks at the image. open_clip's own `generate` needs
a part of transformers that newer ones lack and assumes CLIP's vocabulary. A text is continued without reading it again
where the decoder is open_clip's own, which a trial tells; else each step is a `forward` of the whole text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.tokenizer import SimpleTokenizer

from salmu_demo.core.errors import ModelError, QueryError, quoted
from salmu_demo.models.encoder import IMAGE_BATCH, Encoder
from salmu_demo.models.network import CONFIG_ERRORS, in_words

CAPTION_BATCH: Final = 32
"""Rows decoded at a time; a smaller batch is filled up, as the encoder's are."""

LENGTH_STEP: Final = 8
"""Texts are padded to a multiple of so many tokens, so that a text has the same bits beside any others."""


@dataclass(frozen=True)
class Seen:
    """What a captioner reads of N images.

    Attributes:
        features: shape (N, D), of length 1; `forward` asks for them, the decoder does not look at them.
        tokens: shape (N, Q, width), what the decoder looks at.
    """

    features: torch.Tensor
    tokens: torch.Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: Sequence[int]) -> "Seen":
        """Some of the images, in any order and any number of times."""
        return Seen(self.features[list(rows)], self.tokens[list(rows)])

    def filled(self, size: int) -> "Seen":
        """So many images, the first one repeated."""
        return Seen(_filled(self.features, size), _filled(self.tokens, size))


class _Continuation:
    """A text that grows token by token: each block keeps what it read, and only the new token passes through it."""

    def __init__(self, model: Any, images: torch.Tensor) -> None:
        self._model, self._images = model, images
        self._place = 0
        self._kept: dict[Any, torch.Tensor] = {}

    def add(self, tokens: torch.Tensor) -> torch.Tensor:
        """Take the next token of each text, shape (N,), and return the logits of what follows, (N, vocabulary)."""
        text, decoder = self._model.text, self._model.text_decoder
        states = text.token_embedding(tokens[:, None]) + text.positional_embedding[self._place]
        self._place += 1
        for block in text.transformer.resblocks:
            states = self._attended(block, states)
        if text.cls_emb is None:
            states = text.ln_final(states)
        for block, cross in zip(decoder.resblocks, decoder.cross_attn, strict=True):
            states = cross(self._attended(block, states), k_x=self._images, v_x=self._images)
        logits: torch.Tensor = decoder.ln_final(states[:, 0]) @ decoder.text_projection
        return logits.float()

    def _attended(self, block: Any, states: torch.Tensor) -> torch.Tensor:
        new = block.ln_1(states)
        read = torch.cat([self._kept[block], new], dim=1) if block in self._kept else new
        self._kept[block] = read
        states = states + block.ls_1(block.attn(new, read, read, need_weights=False)[0])
        return states + block.ls_2(block.mlp(block.ln_2(states)))  # type: ignore[no-any-return]


_TRIAL: Final = 4
"""Tokens of the trial that compares a continuation with `forward`."""

_ROUNDING: Final = 1e-3
"""Differences that are rounding: logits are of the order of 1 to 10."""


class Captioner:
    """A CoCa model that writes: deterministic, in batches, each row as if it were alone.

    Attributes:
        encoder: the loaded model.
        context: most tokens of a text, start and end included.
        grows: whether its decoder is open_clip's own, so that a text grows by a token without being read anew.
    """

    def __init__(self, encoder: Encoder) -> None:
        """Take a loaded model.

        Raises:
            ModelError: if it has no text decoder, another tokenizer than CLIP's byte pairs, or fails a trial.
        """
        what, model = encoder.source.reference, encoder.model
        if not hasattr(model, "text_decoder"):
            raise ModelError(
                f"{what} has no text decoder: it compares texts with images and writes none; take a CoCa model."
            )
        if not isinstance(encoder.tokenizer, SimpleTokenizer):
            raise ModelError(f"{what} writes with a tokenizer that is not CLIP's byte pairs, which is not read here.")
        self.encoder = encoder
        self.context = min(int(encoder.tokenizer.context_length), int(model.text_decoder.context_length))
        self._start, self._end = int(encoder.tokenizer.sot_token_id), int(encoder.tokenizer.eot_token_id)
        try:
            seen = self.look(np.zeros((1, *encoder.image_size, 3), np.uint8), fill=False)
            vocabulary = self._logits(seen, torch.zeros((1, self.context), dtype=torch.long)).shape[2]
            self.grows = self._can_continue(seen)
        except CONFIG_ERRORS as error:
            raise ModelError(f"{what} loads but cannot write: {in_words(error)}.") from error
        if vocabulary != encoder.tokenizer.vocab_size:
            raise ModelError(
                f"{what} writes with {vocabulary:,} tokens, but its tokenizer has {encoder.tokenizer.vocab_size:,}."
            )

    @torch.inference_mode()
    def look(self, pixels: NDArray[np.uint8], fill: bool = True) -> Seen:
        """Read preprocessed images, (N, H, W, 3) bytes; without `fill` a batch is as small as it is."""
        parts = []
        for start in range(0, len(pixels), IMAGE_BATCH):
            batch = torch.from_numpy(np.array(pixels[start : start + IMAGE_BATCH]))
            inputs = self.encoder.inputs(_filled(batch, IMAGE_BATCH) if fill else batch)
            found = self.encoder.model(inputs)
            parts.append(Seen(found["image_features"][: len(batch)], found["image_embs"][: len(batch)]))
        return Seen(torch.cat([part.features for part in parts]), torch.cat([part.tokens for part in parts]))

    def write(self, seen: Seen, beginnings: Sequence[str] | None = None, fill: bool = True) -> list[str]:
        """What the model writes about N images, word by word the likeliest, until it ends or its context is full.

        Args:
            seen: the images.
            beginnings: N texts that are continued; by default none.
            fill: whether small batches are filled up, so that a row has the same bits in any company.

        Returns:
            N texts without their beginnings; words and marks are apart, as the tokenizer has them.

        Raises:
            QueryError: if a beginning leaves no room for a word.
        """
        given = [self._beginning(text) for text in beginnings or [""] * len(seen)]
        written = [""] * len(seen)
        # Those of one length are continued together: the next token of all is at the same place.
        for rows in _batches([len(tokens) for tokens in given]):
            part = seen.take(rows)
            first = torch.tensor([given[row] for row in rows])
            if fill:
                part, first = part.filled(CAPTION_BATCH), _filled(first, CAPTION_BATCH)
            for row, tokens in zip(rows, self._decode(part, first), strict=False):
                written[row] = self.encoder.tokenizer.decode(tokens).strip()
        return written

    def log_likelihoods(
        self, seen: Seen, texts: Sequence[str], beginnings: Sequence[str] | None = None, fill: bool = True
    ) -> list[NDArray[np.float64]]:
        """Logarithms of the probabilities of the tokens of N texts, each given its image and what precedes.

        Args:
            seen: N images.
            texts: N texts.
            beginnings: N texts that precede them and are given; by default none.
            fill: as `write`.

        Returns:
            N arrays, one number for each token of the text and a last one for its end. Their sum is the text's
            log-likelihood, their mean minus its loss per token.

        Raises:
            QueryError: if a text is empty, or with its beginning longer than the model reads.
        """
        given = [self._beginning(text) for text in beginnings or [""] * len(seen)]
        whole = [
            [*tokens, *self._text(text, len(tokens)), self._end] for tokens, text in zip(given, texts, strict=True)
        ]
        found: list[NDArray[np.float64]] = [np.empty(0)] * len(seen)
        # Rounded up by a row's own length alone.
        lengths = [min(-(-(len(tokens) - 1) // LENGTH_STEP) * LENGTH_STEP, self.context - 1) for tokens in whole]
        for rows in _batches(lengths):
            length = lengths[rows[0]]
            part, tokens = seen.take(rows), torch.full((len(rows), length + 1), self._end)
            for place, row in enumerate(rows):
                tokens[place, : len(whole[row])] = torch.tensor(whole[row])
            if fill:
                part, tokens = part.filled(CAPTION_BATCH), _filled(tokens, CAPTION_BATCH)
            likely = self._likelihoods(part, tokens)
            for place, row in enumerate(rows):
                found[row] = likely[place, len(given[row]) - 1 : len(whole[row]) - 1]
        return found

    @torch.inference_mode()
    def _can_continue(self, seen: Seen) -> bool:
        """Whether `_Continuation` gives what `forward` does with this model."""
        tokens = torch.arange(1, min(_TRIAL, self.context) + 1)[None]
        try:
            continuation = _Continuation(self.encoder.model, seen.tokens)
            steps = torch.stack([continuation.add(token.to(seen.tokens.device)) for token in tokens.T], dim=1)
        except (AttributeError, TypeError, RuntimeError, AssertionError):
            return False
        return torch.allclose(steps, self._logits(seen, tokens), rtol=0.0, atol=_ROUNDING)

    @torch.inference_mode()
    def _decode(self, seen: Seen, tokens: torch.Tensor) -> list[list[int]]:
        """The tokens that follow, up to the end; `tokens` has shape (N, length of the beginning)."""
        begun = tokens.shape[1]
        ended = torch.zeros(len(tokens), dtype=torch.bool)
        continuation = _Continuation(self.encoder.model, seen.tokens)
        for token in tokens[:, :-1].T if self.grows else ():
            continuation.add(token.to(seen.tokens.device))
        while tokens.shape[1] < self.context and not ended.all():
            if self.grows:
                logits = continuation.add(tokens[:, -1].to(seen.tokens.device))
            else:
                logits = self._logits(seen, tokens)[:, -1]
            following = logits.argmax(dim=1).cpu()
            ended |= following == self._end
            tokens = torch.cat([tokens, following[:, None]], dim=1)
        texts = tokens[:, begun:].tolist()
        return [text[: text.index(self._end)] if self._end in text else text for text in texts]

    @torch.inference_mode()
    def _likelihoods(self, seen: Seen, tokens: torch.Tensor) -> NDArray[np.float64]:
        """Of each token but the first, shape (N, length - 1)."""
        logits = self._logits(seen, tokens[:, :-1])
        chosen = logits.gather(2, tokens[:, 1:, None].to(logits.device))[..., 0]
        return (chosen - logits.logsumexp(dim=2)).double().cpu().numpy()

    def _logits(self, seen: Seen, tokens: torch.Tensor) -> torch.Tensor:
        """Of the token after each, shape (N, length, vocabulary)."""
        logits: torch.Tensor = self.encoder.model(
            image=None,
            text=tokens.to(self.encoder.device),
            image_latent=seen.features,
            image_embs=seen.tokens,
            output_labels=False,
        )["logits"]
        return logits.float()

    def _beginning(self, text: str) -> list[int]:
        tokens = [self._start, *self.encoder.tokenizer.encode(text)]
        if len(tokens) >= self.context:
            raise QueryError(f"{quoted(text)} leaves no room to go on: {self._reads()}; shorten it.")
        return tokens

    def _text(self, text: str, before: int) -> list[int]:
        tokens: list[int] = self.encoder.tokenizer.encode(text)
        if not tokens:
            raise QueryError("An empty text has no likelihood; leave it out.")
        if before + len(tokens) + 1 > self.context:
            raise QueryError(
                f"{quoted(text)} has {len(tokens):,} tokens after {before - 1:,} of its beginning: {self._reads()}; "
                "shorten it."
            )
        return tokens

    def _reads(self) -> str:
        return f"{self.encoder.source.reference} reads {self.context} tokens, start and end included"


def _filled(batch: torch.Tensor, size: int) -> torch.Tensor:
    """The batch with its first row repeated until it has the size."""
    return torch.cat([batch, batch[:1].expand(size - len(batch), *batch.shape[1:])])


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Numbers of rows of one length, at most `CAPTION_BATCH` together."""
    rows: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        rows.setdefault(length, []).append(row)
    return [
        of_length[start : start + CAPTION_BATCH]
        for of_length in rows.values()
        for start in range(0, len(of_length), CAPTION_BATCH)
    ]
