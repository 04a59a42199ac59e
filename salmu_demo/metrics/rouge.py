"""ROUGE-L recall (Lin, 2004): how much of a true text a written one holds, in order."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError, quoted
from salmu_demo.metrics.checks import check_same_rows
from salmu_demo.metrics.clear_protocol import ROUGE_STEMS


def rouge_l_recall(written: Sequence[str], truths: Sequence[str]) -> NDArray[np.float64]:
    """Length of the longest common subsequence of words, divided by the words of the truth, shape ``(N,)``.

    Words are runs of the letters a to z and digits, in lower case, and equal if their stems are, as the library
    rouge-score has it and CLEAR's official code calls it.

    Args:
        written: N texts.
        truths: N texts.

    Raises:
        MetricError: if the two differ in length, or a truth has no such word.

    Example:
        >>> rouge_l_recall(["a man holding red apples", ""], ["A man holds an apple.", "Ana"]).tolist()
        [0.8, 0.0]
    """
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 (its stemmer takes a second to import)

    check_same_rows(written, "written", truths, "truths")
    scorer = RougeScorer(["rougeL"], use_stemmer=ROUGE_STEMS)
    for truth in truths:
        if not any(letter.isascii() and letter.isalnum() for letter in truth):
            raise MetricError(f"{quoted(truth)} has no letter from a to z or digit, of which ROUGE-L makes words.")
    scores = [scorer.score(truth, text)["rougeL"].recall for truth, text in zip(truths, written, strict=True)]
    return np.array(scores, dtype=np.float64)
