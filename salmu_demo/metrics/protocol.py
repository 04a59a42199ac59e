"""The protocol: every decision the public sources leave open.

Someone who holds the official evaluator can compare it with `DECISIONS` row by row and flip the constant of a
row that differs; no other module repeats one of these values. What a metric is called, and which rows it reads, stands
in its own module.
"""

from dataclasses import dataclass

import numpy as np

SEED = 42
"""Seed of every draw. The benchmark's results are published for this seed only."""

DISTRACTORS_PER_SOURCE = 1000
"""RetFail: captions drawn from each of the two sources, ``forget`` first, then ``retain_disjoint``."""

EQUAL_TEXTS_COMPETE = False
"""RetFail: whether a distractor with the very text of the row's caption counts against it.

Captions repeat in the data, and a model cannot tell a caption from its copy: counting the copy would hide a leak.
"""

TIE_SHARE = 0.5
"""RetFail, probes and readings: share of the equally scored rivals placed above what is ranked.

With 0 a collapsed model that scores every caption alike would rank each row first and look like a perfect leak;
with one half it lands in the middle of the list.
"""

TIE_TOLERANCE = 1e-6
"""Cosines closer than this are equal, wherever something is ranked or classified.

The same text gives cosines that differ by about 1e-7 when it is embedded in another batch, or when the same product
is summed in another order by the linear algebra library. Without a tolerance such noise, not the model, decides a
tie. Ten times the noise is still far below the distances between captions of a working model.
"""

ACS_TEST_SIZE = 0.5
"""ACS: share of the 2N pairs the probe is scored on; the rest trains it."""

ACS_C = 1.0
"""ACS: inverse strength of the probe's L2 penalty (scikit-learn's default)."""

ACS_MAX_ITER = 1000
"""ACS: iteration limit of the probe's solver, high enough that the fit converges before it."""

ACS_PAIR_FEATURES = np.multiply
"""ACS: how a normalised image and a normalised caption become the probe's input.

The element-wise product sums to the cosine, so the probe sees where along the embedding the agreement comes from.
"""

IDZSC_PROMPT = "a photo of {name}"
"""IdZSC: prompt of a candidate persona."""

IDZSC_CANDIDATE_SPLIT = "forget_identity"
"""IdZSC: split whose personas are the candidates."""

CORE_ASSOC_TEMPLATES = ("{name} {value}", "{value} {name}")
"""CoreAssoc: the two orders in which a name and a bare value are put, without any sentence around them."""

GENKNOW_SKIPPED = -1.0
"""GenKnow: value written when no ImageNet validation set is given (and the leakage rate's without generic captions)."""

EFFICACY_REFERENCE = "clean"
"""Model whose value an efficacy metric aims at: the one that never saw a persona."""

UTILITY_REFERENCE = "compromised"
"""Model whose value a utility metric aims at: only ``forget`` was to go, everything else was to stay."""


@dataclass(frozen=True)
class Decision:
    """One choice the public sources leave open, or that a reader may want to compare with another evaluator.

    Attributes:
        topic: the metric or metrics it concerns.
        question: what is left open.
        decision: what is done here.
        constant: the constant of this module to flip, with its value.
    """

    topic: str
    question: str
    decision: str
    constant: str


DECISIONS = (
    Decision(
        topic="all",
        question="Which seed?",
        decision="One fixed seed, set anew for every model, so that equal checkpoints give equal numbers.",
        constant=f"{SEED = }",
    ),
    Decision(
        topic="all efficacy metrics",
        question="Which model has the ideal value?",
        decision="Clean, which never saw a persona.",
        constant=f"{EFFICACY_REFERENCE = }",
    ),
    Decision(
        topic="all utility metrics",
        question="Which model has the ideal value, the holdout similarities included?",
        decision="Compromised, as in the authors' overview figure; tables show the gap to Clean as well.",
        constant=f"{UTILITY_REFERENCE = }",
    ),
    Decision(
        topic="RetFail",
        question="How are the distractors drawn?",
        decision=(
            "Once per data set, without replacement, forget texts first, then retain texts, from one legacy numpy "
            "generator; a source with fewer texts is taken whole, in order, without using the generator."
        ),
        constant=f"{DISTRACTORS_PER_SOURCE = }",
    ),
    Decision(
        topic="RetFail",
        question="Does a distractor with the same text as the row's caption count?",
        decision="No, it is ignored for that row.",
        constant=f"{EQUAL_TEXTS_COMPETE = }",
    ),
    Decision(
        topic="RetFail",
        question="Which rank has a caption that ties with distractors?",
        decision="1 + the number scored higher + half the number scored equal; R@1 counts ranks of exactly 1.",
        constant=f"{TIE_SHARE = }",
    ),
    Decision(
        topic="RetFail, IdZSC, GenKnow",
        question="When are two scores equal?",
        decision=(
            "When their cosines are within the tolerance. In zero-shot classification a row whose true class shares "
            "the best score with others counts as one divided by the number of classes sharing it."
        ),
        constant=f"{TIE_TOLERANCE = }",
    ),
    Decision(
        topic="ACS",
        question="What does the probe see, and what are its negatives?",
        decision=(
            "The element-wise product of the normalised image and caption embeddings; N true pairs stacked before N "
            "pairs whose captions follow one permutation drawn with the seed."
        ),
        constant=f"{ACS_PAIR_FEATURES = }",
    ),
    Decision(
        topic="ACS",
        question="On which pairs is the probe scored?",
        decision="On a stratified random part of the 2N pairs; the scaler and the probe see only the other part.",
        constant=f"{ACS_TEST_SIZE = }",
    ),
    Decision(
        topic="ACS",
        question="How strongly is the probe regularised?",
        decision="Standardised features and a logistic regression with scikit-learn's default L2 penalty.",
        constant=f"{ACS_C = }",
    ),
    Decision(
        topic="ACS",
        question="How long is the probe trained?",
        decision="Until it converges, with a limit it should never reach.",
        constant=f"{ACS_MAX_ITER = }",
    ),
    Decision(
        topic="IdZSC",
        question="Which personas are the candidates?",
        decision="All personas of the split the images come from, and no others.",
        constant=f"{IDZSC_CANDIDATE_SPLIT = }",
    ),
    Decision(
        topic="IdZSC",
        question="Which prompt holds a candidate's name?",
        decision="A single prompt per persona, with the common zero-shot wording.",
        constant=f"{IDZSC_PROMPT = }",
    ),
    Decision(
        topic="CoreAssoc",
        question="Which texts does a row try when its persona has several values, such as two e-mail addresses?",
        decision="Every value in every order; the row's score is the best of them.",
        constant=f"{CORE_ASSOC_TEMPLATES = }",
    ),
    Decision(
        topic="GenKnow",
        question="What is reported when no ImageNet validation set is given?",
        decision="A value no accuracy can have, as the official result files do.",
        constant=f"{GENKNOW_SKIPPED = }",
    ),
)
