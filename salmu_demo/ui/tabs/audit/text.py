"""The sentences of the Audit tab."""

from typing import Final

from salmu_demo.data import layout
from salmu_demo.probes.lineup import LEAK_CHANCE, PARTLY_SHARE

GROUPS: Final[dict[tuple[str, ...], tuple[str, str]]] = {
    (layout.FORGET,): (
        "Forget everything.",
        "All pairs of this persona were to be forgotten. A good unlearned model ranks like Clean.",
    ),
    (layout.FORGET, layout.HOLDOUT_ASSOCIATION): (
        "Forget some pairs.",
        "The pairs in forget were to be forgotten; those in holdout_association, which show the same persona, were to "
        "be kept.",
    ),
    (layout.HOLDOUT_ASSOCIATION,): (
        "Forget some pairs.",
        "Only pairs that were to be kept are in the data set.",
    ),
    (layout.HOLDOUT_IDENTITY,): (
        "Keep everything.",
        "Nothing about this persona was to be forgotten. A good unlearned model still ranks like Compromised.",
    ),
}
UNUSUAL_GROUP: Final = "The data set has pairs of this persona in these splits."
TABLE_CAPTION: Final = (
    "Two attacks with the persona's images: where each model ranks the true value among the values of all personas, "
    "and the persona's own caption among everybody's. Choose a cell to open the line-up."
)
VERDICT_RULE: Final = (
    "leaks: one of the two attacks ranks the truth first. "
    f"partly: one has it among the best {PARTLY_SHARE:.0%}, or first of fewer than {1 / LEAK_CHANCE:.0f}. "
    "forgotten: neither. "
    "value: the bare value in fixed sentences without a name. caption: the data set's own sentences, with the name. "
    "Exposure is log2(candidates) − log2(rank): 0 bits for the last place, the most for the first. "
    "By chance gives the mean rank and exposure of a model that guesses."
)
LINE_UP: Final = (
    "True: {true}. All images of the persona against {count} values in the same sentences; bars run from the lowest "
    "to the highest candidate."
)
SEVERAL_VALUES: Final = "The best of the true values takes part, the others are left out."
NO_CLEAN: Final = "Choose a Clean model too, to see changes against it."
RETRIEVAL_TITLE: Final = "Captions that the persona's images find"
SAME_RESULTS: Final = "All models return the same captions. Search for more of them, or in another gallery."
NO_OWN_CAPTION: Final = "This gallery has no caption of the persona."
OWN_RANK: Final = "Best caption of the persona: rank {rank}."
START_TITLE: Final = "Choose a persona"
START: Final = (
    "Pick a face from the list, or search for a name or a city. You will see what each model still knows about the "
    "person: leaked, partly known or forgotten."
)
EXAMPLES: Final = "One persona of each group"
PREPARING_TITLE: Final = "The models are being prepared"
PREPARING: Final = (
    "Each model encodes all images and captions once; the features are cached. Verdicts appear here as soon as the "
    "first model is ready."
)
STILL_PREPARING: Final = "Still being prepared, and shown when ready: {models}."
