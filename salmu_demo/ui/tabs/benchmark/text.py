"""English sentences of the Benchmark tab."""

from typing import Final, Literal

from salmu_demo.metrics import Benchmark
from salmu_demo.metrics.intervals import LEVEL, RESAMPLES

Pillar = Literal["efficacy", "utility"]

_CONTINUES: Final = (
    "The job continues when you close the page: reload it, open another tab or follow the link to the job to see it "
    "again."
)
INTRODUCTIONS: Final[dict[Benchmark, str]] = {
    "SALMUBench": (
        "Measure the chosen models with the ten official SALMUBench metrics and the further ones of this tool. "
        f"{_CONTINUES}"
    ),
    "CLEAR": (
        "Measure the chosen models with the metrics of CLEAR: ROUGE-L, Probability and Truth Ratio of captions, names, "
        f"real faces and the real world, and Forget Quality against Gold. {_CONTINUES}"
    ),
}
FORM: Final = "What to measure"
PILLARS: Final[dict[Benchmark, dict[Pillar, tuple[str, str]]]] = {
    "SALMUBench": {
        "efficacy": ("Has it forgotten?", "Target: the Clean model's value."),
        "utility": ("What did forgetting break?", "Target: the Compromised model's value."),
    },
    "CLEAR": {
        "efficacy": ("Has it forgotten?", "Wanted: the value of Gold, which was taught those to be kept alone."),
        "utility": ("What did forgetting break?", "Wanted: the value of Base, which was taught everybody."),
    },
}
SAMPLING: Final = (
    "A sample takes the same share of every persona and attribute kind. It is faster, its intervals are wider, and its "
    "numbers are marked as sampled and compare only with those of the same sample."
)
TIMING: Final = "Timing a few batches"
NO_SAMPLE: Final = "Type how many forget rows to measure, and a seed."

OFFER: Final = "This takes {time} on this machine. What would you like to run?"
DECLINE: Final = "Neither"

EMPTY_TITLE: Final = "No results yet"
EMPTY: Final = "Choose models under “Data and models” and press Run. What each of them forgot and broke appears here."

BESIDE: Final = "Finished jobs on the same rows: their models stand in the same tables, figures and reports."
BUILT_IN: Final = "The built-in models"
BUILT_IN_ABOUT: Final = (
    "Measured when this version was made, and shipped with the built-in models. For reports, or for models of your own "
    "beside them, run a benchmark: what is shipped is not measured again."
)
AUDITS: Final = "What the audit says of the same models"
NO_FILES: Final = (
    "Run a benchmark of the models you want in a report: it writes PDF, HTML, Markdown, LaTeX, CSV and the official "
    "result files. What is shipped is not measured again, so that takes less than a minute."
)
NO_DIAGNOSIS: Final = (
    "A diagnosis needs Clean and Compromised beside the model, and RetFail, GenKnow, InterIdSim and IntraIdSim."
)
REFERENCES: Final = {
    "clean": "Never saw a persona: the target for what should be forgotten.",
    "compromised": "Learned every pair: the target for what should be kept.",
    "gold": "Retrained without the pairs to forget: what perfect unlearning could reach.",
}
TABLE: Final = (
    f"Below each value: its {LEVEL:.0%} interval over personas, of GenKnow over classes ({RESAMPLES:,} resamples), the "
    "distance to the target, and that distance where 1 is the distance between Clean and Compromised."
)
NO_REFERENCES: Final = "Without {missing} among the models, some targets and distances are missing."
DIFFERENCES: Final = (
    f"{{first}} minus {{second}} on the same rows, with the {LEVEL:.0%} interval of the difference. Better is nearer "
    "to the target. It is clear if that interval and the one of the distances to the target leave out 0: then it is "
    "more than the choice of personas explains."
)
NO_DIFFERENCES: Final = "These results do not say which rows they come from, so models cannot be compared in pairs."
ONE_MODEL: Final = "Measure two or more models to compare them in pairs."
EXAMPLES: Final = (
    "The forget rows where the two models differ most in 1 / rank of the image's own caption. Rank 1: the model "
    "finds the private caption at once."
)
NO_EXAMPLES: Final = "Examples need RetFail of both models."
NO_GROUPS: Final = "None of the measured metrics has rows with a persona and an attribute kind."
SAME_MODEL: Final = "Choose two different models."
SOME_PERSONAS: Final = "The {count} highest and the {count} lowest of {total:,} personas, ordered by {model}."
ALL_PERSONAS: Final = "All {total:,} personas, ordered by {model}."
NOT_ATTACKED_TITLE: Final = "No attack yet"
NOT_ATTACKED: Final = (
    "Press Attack these models above: what the attacks bring back appears here, in the diagnosis and in the reports."
)
NO_ATTACKS_ON_CLEAR: Final = "Attacks compare with a Clean model, which CLEAR does not have."
ATTACK_ABOVE: Final = "Choose models under “Data and models” and press Run attacks above."
NOTHING_TO_ATTACK: Final = "Only references were measured, or other data than that of this page."
ATTACK_THESE: Final = "Attack these models"
OTHER_DATA: Final = "These models were measured on other data than that of this page; attack them on a page with that."
NO_IMAGES: Final = "Images and names are shown for the data set of this page only."
ATTACKS_TITLE: Final = "Gone, or only hidden? Attacks on the models"
ATTACKS: Final = (
    "Each attack tries to bring back what the chosen models were to forget, and is run on Clean and Compromised "
    "as well: what comes back of Clean is not a leak, and where the two do not differ an attack cannot tell. Attacks "
    "that train or read the weights take a minute or two for each model. If results of these models are shown below, "
    "their diagnosis then says whether it is gone or hidden."
)
ATTACKS_FORM: Final = "Which attacks"
THOROUGH: Final = "Tries more people, both towers and several learning rates; takes much longer."
ATTACKS_EMPTY_TITLE: Final = "No attack yet"
ATTACKS_EMPTY: Final = "Choose models under “Data and models” and press Run attacks."
ATTACKS_GONE: Final = "What these attacks found is gone; run them again."
NO_ATTACK: Final = "No attack is chosen; choose at least one."
ONLY_REFERENCES: Final = (
    "Only Clean and Compromised are chosen, which attacks compare with; choose a model to attack as well."
)
