"""CLEAR's measures (arXiv 2410.18057): every decision that its paper and its code leave open or tell differently.

The code is somvy/multimodal_unlearning at bb14c96. No other module repeats one of these values.
"""

from salmu_demo.metrics.protocol import Decision

CHOICE_TEMPERATURE = 100.0
"""What cosines are multiplied by before a softmax over candidates: CLIP's logit scale at its limit."""

NAME_PROMPT = "The name of the person on the image is {answer}"
"""The text of a candidate name, of invented and of real persons."""

ANSWER_PROMPT = "{answer}"
"""The text of a candidate caption or answer; a question is not part of it."""

CAPTION_BEGINNING = ""
"""What a decoder is given before a caption. Before a name it is the beginning of `NAME_PROMPT`, before an answer its
question."""

END_COUNTS = True
"""Whether the end of a text is one of the tokens that its likelihood is the mean of."""

CAPTIONS_SHARE = False
"""Whether a decoder's Probability of captions is a share of that of wrong ones, as it is of names and answers."""

ROUGE_STEMS = True
"""Whether ROUGE-L compares stems of words."""

FORGET_QUALITY_TASK = "ForgetCap"
"""The task whose truth ratios Forget Quality compares."""

TABLES_HAVE_ROUGE = False
"""Whether the aggregates of the form `tables` hold ROUGE-L. The paper's text says so, its tables leave it out."""

FORGET_QUALITY_BINS = 20
"""Bins of equal width of t / (1 + t), from 0 to 1, that make a distribution of truth ratios t."""

CLEAR_DECISIONS = (
    Decision(
        topic="all choices",
        question="How does a model without a decoder give probabilities to candidates?",
        decision="By a softmax over the cosines with the image, multiplied by one number for all models.",
        constant=f"{CHOICE_TEMPERATURE = }",
    ),
    Decision(
        topic="names",
        question="What text stands for a candidate name?",
        decision="The sentence that the official code has continued, and the name.",
        constant=f"{NAME_PROMPT = }",
    ),
    Decision(
        topic="captions, real world",
        question="What text stands for a candidate caption or answer?",
        decision="The candidate alone; the right caption is its paraphrase, as in the official truth ratio.",
        constant=f"{ANSWER_PROMPT = }",
    ),
    Decision(
        topic="captions of a decoder",
        question="What is a model given that writes a caption, or whose likelihood of one is taken?",
        decision="The image alone; before a name the sentence above, before an answer its question.",
        constant=f"{CAPTION_BEGINNING = }",
    ),
    Decision(
        topic="likelihoods of a decoder",
        question="Does the end of a text count as a token?",
        decision="Yes, as in training; what is given before does not.",
        constant=f"{END_COUNTS = }",
    ),
    Decision(
        topic="Probability of a decoder",
        question="Is the probability of a caption a share among wrong ones?",
        decision="As the official code runs it: that of the caption itself, per token; names and answers have shares.",
        constant=f"{CAPTIONS_SHARE = }",
    ),
    Decision(
        topic="ROUGE-L",
        question="Which words are equal?",
        decision="Those with one stem (Porter), letters a to z and digits alone, by the library rouge-score.",
        constant=f"{ROUGE_STEMS = }",
    ),
    Decision(
        topic="Forget Quality",
        question="Of which task are the truth ratios?",
        decision="Of the captions to be forgotten.",
        constant=f"{FORGET_QUALITY_TASK = }",
    ),
    Decision(
        topic="Real, Retain and Forget metric",
        question="Of what is the harmonic mean taken?",
        decision="Both forms are computed: `text` with ROUGE-L, and `tables` as the paper's tables are made.",
        constant=f"{TABLES_HAVE_ROUGE = }",
    ),
    Decision(
        topic="Forget Quality of distributions",
        question="How do two samples of truth ratios become distributions?",
        decision="Each ratio is mapped to a share from 0 to 1, and shares are counted in bins of equal width.",
        constant=f"{FORGET_QUALITY_BINS = }",
    ),
)
