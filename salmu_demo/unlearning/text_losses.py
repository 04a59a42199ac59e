"""Building blocks of generative objectives: pure functions of what a decoder gives B texts of at most L tokens.

Every loss is a mean over texts, and within a text over the tokens that count: each text weighs the same, as in batches
of one text, which CLEAR (arXiv 2410.18057) trains with.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional


@dataclass(frozen=True)
class DecoderOutput:
    """What a decoder makes of some texts.

    Attributes:
        logits: of the token that follows each, shape (B, L, vocabulary).
        labels: the token that does follow, shape (B, L).
        counted: whether it is one of the text or its end, and not given before or padding, shape (B, L).
    """

    logits: torch.Tensor
    labels: torch.Tensor
    counted: torch.Tensor

    @property
    def log_likelihood(self) -> torch.Tensor:
        """Logarithm of the probability of each text, its end included, shape (B,)."""
        losses = functional.cross_entropy(self.logits.transpose(1, 2), self.labels, reduction="none")
        return -(losses * self.counted).sum(dim=1)

    @property
    def tokens(self) -> torch.Tensor:
        """How many tokens of each text count, shape (B,)."""
        return self.counted.sum(dim=1)


def text_loss(written: DecoderOutput) -> torch.Tensor:
    """Loss per token: minus the mean log probability of the tokens of a text, averaged over texts."""
    return -(written.log_likelihood / written.tokens).mean()


def probability(written: DecoderOutput) -> torch.Tensor:
    """CLEAR's Probability of each text, the geometric mean of its tokens' probabilities, shape (B,)."""
    return (written.log_likelihood / written.tokens).exp()


def token_entropy(written: DecoderOutput) -> torch.Tensor:
    """Entropy of the prediction of a token, averaged over tokens and texts; at most the logarithm of the vocabulary."""
    predicted = written.logits.log_softmax(dim=2)
    return _averaged(-(predicted * predicted.exp()).sum(dim=2), written)


def token_kl(frozen: DecoderOutput, current: DecoderOutput) -> torch.Tensor:
    """KL(frozen || current) of the prediction of a token, averaged over tokens and texts."""
    target, now = frozen.logits.log_softmax(dim=2), current.logits.log_softmax(dim=2)
    return _averaged((target.exp() * (target - now)).sum(dim=2), current)


def _averaged(values: torch.Tensor, written: DecoderOutput) -> torch.Tensor:
    return ((values * written.counted).sum(dim=1) / written.tokens).mean()
