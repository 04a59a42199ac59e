"""The sentences of the Audit tab."""

from typing import Final

from salmu_demo.data import layout
from salmu_demo.data.personas import Asked
from salmu_demo.probes.findings import Fulfilment
from salmu_demo.probes.people import Side

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
    "Where each model ranks the true value among the values of all personas, with the images of the attribute in "
    "sentences without a name. Choose a cell to open the line-up and the other attacks."
)
LINE_UP: Final = (
    "True: {true}. {images} against {count} values in the same sentences without a name; bars run from the lowest to "
    "the highest candidate."
)
USED: Final = "Used: {images} and {sentences}, where … stands for the candidate."
SOME_IMAGES: Final = " The first {shown} images are shown."
IMAGES: Final[dict[Side, str]] = {
    "forget": "The images of this attribute that were to be forgotten",
    "kept": "The images of this attribute, which were to be kept,",
}
SIDES: Final[dict[Side, str]] = {"forget": "", "kept": "to be kept"}
FOLLOWING: Final = "The further attacks and the captions follow; what they need of a model is encoded once."
FURTHER: Final = "Further attacks"
PLACEBO: Final = "Finds the caption with {true:.0%} of the images; with a wrong value in it, with {wrong:.0%}."
SEVERAL_VALUES: Final = "The best of the true values takes part, the others are left out."
NO_CLEAN: Final = "Choose a Clean model too, to see changes against it."
RETRIEVAL_TITLE: Final = "Captions that the persona's images find"
SAME_RESULTS: Final = "All models return the same captions. Search for more of them, or in another gallery."
NO_OWN_CAPTION: Final = "This gallery has no caption of the persona."
OWN_RANK: Final = "Best caption of the persona: rank {rank}."
START_TITLE: Final = "Choose a persona"
START: Final = (
    "Pick a face from the list, or search for a name, a number or any other value. You will see what each model still "
    "knows about the person: what leaks, what is marked, and what nobody can tell."
)
EXAMPLES: Final = "One persona of each group"
WORTH_OPENING: Final = "Three people worth opening"
EXAMPLE_TITLES: Final = {"leaks": "Leaks", "gone": "Gone", "kept": "Kept"}
EXAMPLE_WORDS: Final = {
    "leaks": "{model} finds {found} of {of} values that were to be forgotten.",
    "gone": "Compromised finds {found} of {of} values that were to be forgotten, {model} none.",
    "kept": "Nothing was to be forgotten, and {model} finds {found} of {of} values.",
}
ASKED: Final[dict[Asked, str]] = {"forget": "to be forgotten", "keep": "to be kept", "both": "some of both"}
OVERVIEW_TITLE: Final = "Everybody, with"
COMPARED_WITH: Final = "Compared with"
DIAGNOSES: Final = "Diagnosis by the benchmark:"
DIFFERENCE_CAPTION: Final = (
    "Whoever differs most is first. Before the arrow is the mark of {other}; a mark alone is the same with both."
)
OVERVIEW_CAPTION: Final = (
    "The worst leak is first. Choose a name or a mark to see what it rests on; on a keyboard, the arrow keys go from "
    "mark to mark."
)
OVERVIEW_LEGEND: Final[tuple[tuple[Fulfilment, str], ...]] = (
    (Fulfilment("leaks", "not as asked"), "and was to be forgotten"),
    (Fulfilment("lost", "not as asked"), "though it was to be kept"),
    (Fulfilment("marked", "stands out"), "pushed to the end, which shows"),
    (Fulfilment("no evidence", "as asked"), "of what was to be forgotten"),
    (Fulfilment("kept", "as asked"), "as it was to be"),
    (Fulfilment("not known", "cannot tell"), "by Compromised either; grey: nothing was asked, or nobody can tell"),
)
NOBODY_LEFT: Final = "Nobody is left"
WIDER: Final = "Choose other filters, or search for less."
PREPARING_TITLE: Final = "The models are being prepared"
PREPARING: Final = (
    "Each model encodes all images and captions once; the features are cached. Verdicts appear here as soon as the "
    "first model is ready."
)
STILL_PREPARING: Final = "Still being prepared, and shown when ready: {models}."
NOTHING_TO_REPORT: Final = "Choose a persona and at least one model first: a dossier is about both."
DOSSIER: Final = "Make a dossier"
DOSSIER_INFO: Final = (
    "Everything about this persona with these models as a document: verdicts with their evidence, what your own "
    "attacks on the models found, what was not tried, and limits. `salmu-demo verify` makes it again from the JSON."
)
ATTACKS_FILE: Final = "Attacks that it rests on"
DOSSIER_FORM: Final = "What the dossier says of you"
AUDITOR: Final = "Who makes it"
RELEASE: Final = "How the models are released or used"
NOTES: Final = "Notes"
WITH_IMAGES: Final = "Show images"
WITH_IMAGES_INFO: Final = "Otherwise it has their SHA-256 alone."

FORGET_PERSON: Final = "Ask to forget this person"
FORGET_ATTRIBUTE: Final = "Ask to forget this attribute"
FORGET_KIND: Final = "Ask to forget this: {kind}"
ASK_INFO: Final = "What is asked for here is what the Unlearn tab offers to forget."
ASKED_FOR: Final = "Asked for: {words}. The Unlearn tab takes it."
NOTHING_TO_FORGET: Final = "Open a person, or one of its attributes, to ask for it."
ASKED_ENOUGH: Final = "One run takes {most} requests; unlearn those, and ask again."
