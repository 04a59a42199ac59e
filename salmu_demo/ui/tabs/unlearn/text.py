"""English sentences of the Unlearn tab."""

from typing import Final

INTRODUCTION: Final = (
    "Make a model forget the pairs of the `forget` split, and watch what it forgets and what it loses. A method sees "
    "those pairs and rows to retain, never a holdout. The work goes on when you close the page."
)
EMPTY_TITLE: Final = "No model made yet"
EMPTY: Final = "Choose a method and press Unlearn. What the model forgets appears here while it trains."
BUDGET: Final = "Forget pairs that go through the model; methods compare at equal budgets."
SEED: Final = "Of everything random: the same seed gives the same weights."
TOWERS: Final = "Which half of the model may change."
STOP: Final = "Looked at with each reading, on pairs the method may see."
STOP_NEVER: Final = "Spend the whole budget"
STOP_UNRELATED: Final = "Once forget pairs look unrelated"
STOP_ORACLE: Final = "At a cosine"
STOP_LEVEL: Final = "Forget similarity to stop at. Only a Clean model tells it: reported as an oracle."
STOP_DROP: Final = (
    "Stop once retain pairs have lost more of their similarity at the start (of 0.1 if that is lower); 0 never stops."
)
METHOD: Final = "How it is made to forget."
BASE: Final = "The model that is to forget."
TRAINING: Final = "Optimiser"
MISSING: Final = "Type a number for {name}."
NO_CHOICE: Final = "Choose a method and a model to start from."
TIMING: Final = "Timing the model"

CURVE: Final = (
    "Mean cosine of images with their captions over the forget pairs spent: forget pairs from {forget_first:.3f} to "
    "{forget_last:.3f}, retain pairs from {retain_first:.3f} to {retain_last:.3f}; forget images with captions of "
    "other personas now at {unrelated:.3f}."
)
PERSONAS: Final = (
    "Where each person's own images rank the best own caption among {candidates:,}, at each reading: a first place "
    "leaks, the best tenth is partly known."
)
NO_DIAGNOSIS: Final = (
    "Readings are no diagnosis: whether a model forgets too much shows on the holdouts, which no method sees. "
    "Benchmark it to know."
)
PUSH: Final = (
    "\n\nPut it on the Hub as your own repository, from a terminal of this machine: "
    "`salmu-demo models push {reference} ORG/NAME`.\n"
)
KEPT: Final = "Stopped before the budget was spent: the model as it was at the last reading. Resume goes on from there."
