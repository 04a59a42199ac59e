"""The sentences of the Audit tab of data of CLEAR."""

from typing import Final

from salmu_demo.probes.author_findings import LineName
from salmu_demo.probes.authors import IMAGES, WRONG_NAMES
from salmu_demo.probes.findings import ALPHA
from salmu_demo.probes.people import Side

GROUPS: Final[dict[Side, tuple[str, str]]] = {
    "forget": (
        "To be forgotten.",
        "A good unlearned model says of this author what Gold says, which never saw it.",
    ),
    "kept": ("To be kept.", "A good unlearned model still says of this author what Base says."),
}
ASKED: Final[dict[Side, str]] = {"forget": "to be forgotten", "kept": "to be kept"}
START_TITLE: Final = "Choose an author"
START: Final = (
    "You will see what each model writes about the author's images, which name it finds likeliest, and how it "
    "answers the questions about the author."
)
REFERENCES: Final = (
    "Base, which CLEAR compares with, was taught every author: it is Compromised here. Gold was taught those to be "
    "kept alone."
)
OVERVIEW_TITLE: Final = "Everybody"
OVERVIEW_CAPTION: Final = (
    f"In how many of the captions that a model writes, one for each of {IMAGES} images, the author's name stands. "
    "Those to be forgotten come first. Choose a name to see the captions."
)
OVERVIEW_COUNT: Final = "{model} writes the name of {forget} to be forgotten, and of {kept} to be kept."
OF_AUTHORS: Final = "{count:,} of {total:,}"
OVERVIEW_SHOWN: Final = "{shown:,} of {total:,} authors; search to see others."
NO_WRITER: Final = "None of the chosen models has a text decoder, so none writes captions; open an author all the same."
TABLE_CAPTION: Final = "What each model still says about the author, beside what chance does with the same model."
LINES: Final[dict[LineName, tuple[str, str]]] = {
    "captions": ("Says the name", "in the captions that it writes; beside it: in its captions of other people"),
    "name": (
        "Finds the name likely",
        f"its probability among {WRONG_NAMES} names that nobody has; beside it: with images of other people",
    ),
    "answers": (
        "Answers questions",
        "answers with every word of the true one, and the probability of the true one per token; beside it: if the "
        "author is called by a name that nobody has",
    ),
}
RULE: Final = (
    "leaks: so few of the others reach the author's value that chance seldom does "
    f"(p at most {ALPHA}, corrected for the number of lines). no evidence: more do, or a model that was not taught the "
    "author is found in the same way. not known: Base finds nothing either. as asked: what was to be forgotten is not "
    "found, and what was to be kept is. never taught: nothing was asked of the model."
)
CAPTIONS: Final = "What it writes"
TRUE_CAPTION: Final = "True: {caption}"
NAMES: Final = "Which name it finds likeliest"
ANSWERS: Final = "How it answers"
NOT_READ: Final = "Not read: {reason}."
FOLLOWING: Final = "What the models say about the author is asked now, once for each; it is kept."
