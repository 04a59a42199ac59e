"""English sentences of the Unlearn tab."""

from typing import Final

from salmu_demo.unlearning import Modality

INTRODUCTION: Final = (
    "Make a model forget the pairs of the `forget` split, and watch what it forgets and what it loses. A method sees "
    "those pairs and rows to retain, never a holdout. People and attributes that you ask for in the Audit tab are "
    "forgotten instead. The run continues when you close the page."
)
FORM: Final = "How to unlearn"
EMPTY_TITLE: Final = "No model made yet"
EMPTY: Final = "Choose a method and press Unlearn. What the model forgets appears here while it trains."
BUDGET: Final = "Forget {units} that go through the model; methods compare at equal budgets."
MODALITY: Final = (
    "What of CLEAR is forgotten and retained, as in table 3 of its paper. People who asked are forgotten by the "
    "features of their pairs."
)
MODALITIES: Final = {
    Modality.BOTH: "Both",
    Modality.TEXT: "Text: questions and answers",
    Modality.VISUAL: "Visual: captioned images",
}
PAIRS: Final = "None: features of pairs"
SEED: Final = "The same seed gives the same weights."
TOWERS: Final = "Which half of the model may change."
STOP: Final = "Checked at each reading, on pairs the method may see."
STOP_NEVER: Final = "Spend the whole budget"
STOP_UNRELATED: Final = "Once forget pairs look unrelated"
STOP_ORACLE: Final = "At a cosine"
STOP_ORACLE_OF_CLEAR: Final = "At a level"
STOP_LEVEL: Final = "Forget similarity to stop at. Only a Clean model reveals it, so the run is reported as an oracle."
STOP_LEVEL_OF_CLEAR: Final = (
    "Forget probability to stop at, or forget similarity if features are compared. Only a model that never saw the "
    "rows reveals it, so the run is reported as an oracle."
)
STOP_DROP: Final = (
    "Stop once retain pairs have lost more than this share of their initial similarity (of 0.1 if that is lower). "
    "0: never."
)
BEST: Final = (
    "Keep the checkpoint that forgets most of those that keep enough, by the readings below, and not the last one."
)
KEPT_SO_FAR: Final = "Kept so far: the model at {pairs:,} forget pairs. It is {rule}."
METHOD: Final = "How the model is made to forget."
BASE: Final = "The model that will forget."
TRAINING: Final = "Optimiser"
MISSING: Final = "Type a number for {name}."
FORGET: Final = (
    "All pairs of those who asked, in whatever split; everybody else's pairs of `forget` are there to be kept. Untick "
    "one to take it back; without any, the whole split `forget` goes. Whoever asks after a run is forgotten in one "
    "that starts from its model."
)
ESTIMATE: Final = "How long?"
ESTIMATED: Final = "This run takes {time} on this machine."
GROUPS: Final = {
    "one-shot": "edits the weights once",
    "retain": "trains on retain pairs alone",
    "forget": "trains on forget pairs alone",
    "generic": "puts generic captions in place of the private ones",
    "both": "forgets and retains side by side",
}
FOLLOW: Final = "Who is still forgotten?"
DOWNLOAD: Final = "Pack it for download"
DOWNLOADED: Final = "Save {name}.zip"
NO_CHOICE: Final = "Choose a method and a model to start from."
TIMING: Final = "Timing the model"

CURVE: Final = (
    "Mean cosine of images with their captions over the forget pairs spent: forget pairs from {forget_first:.3f} to "
    "{forget_last:.3f}, retain pairs from {retain_first:.3f} to {retain_last:.3f}; forget images with captions of "
    "other personas now at {unrelated:.3f}."
)
CURVE_OF_TEXTS: Final = (
    "Mean probability per token over the forget texts spent: texts to forget from {forget_first:.3f} to "
    "{forget_last:.3f}, texts to retain from {retain_first:.3f} to {retain_last:.3f}; texts about somebody else in "
    "place of those to forget now at {unrelated:.3f}."
)
PERSONAS: Final = (
    "Where each person's own images rank the best own caption among {candidates:,}, at each reading. This is about "
    "whole captions, in most cases about names; the Audit tab says what is known of each value."
)
NO_DIAGNOSIS: Final = (
    "Readings are not a diagnosis: whether a model forgets too much shows on the holdouts, which no method sees. "
    "Benchmark it to find out."
)
NO_DIAGNOSIS_OF_TEXTS: Final = (
    "Readings are of the texts that the method trains on. Benchmark the model to see what it writes of the people to "
    "forget, of others and of the world."
)
PUSH: Final = (
    "\n\nTo put it on the Hub as your own repository, run this in a terminal on this machine: "
    "`salmu-demo models push {reference} ORG/NAME`.\n"
)
KEPT: Final = "Stopped before the budget was spent: the model as it was at the last reading. Resume goes on from there."
