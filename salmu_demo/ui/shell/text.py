"""Sentences above the tabs, and those that several tabs show."""

from typing import Final

from salmu_demo.metrics import Benchmark

TITLE: Final = "salmu-demo"
DESCRIPTION: Final = "Audit what CLIP models know about fictitious personas, before and after unlearning"
PURPOSES: Final[dict[Benchmark, str]] = {
    "SALMUBench": (
        "Does this CLIP model still know which face belongs to which phone number, and what did forgetting break?"
    ),
    "CLEAR": "Does this model still say whom an image shows and what is known about them, and what did it lose?",
}
_RECOGNISED: Final = (
    "Built-in and official models are recognised by their name, others by their card (`salmu_role`). If yours is not, "
    "choose it here."
)
WHO_IS_CLEAN: Final[dict[Benchmark, str]] = {
    "SALMUBench": f"Results are compared with a Clean and a Compromised model. {_RECOGNISED}",
    "CLEAR": (
        "Results are compared with a Gold model, which was taught those to be kept alone, and with CLEAR's Base, which "
        f"was taught everybody: choose it as Compromised. {_RECOGNISED}"
    ),
}
BY_CARD_OR_NAME: Final = "by card or name"
SKIP: Final = "Skip to the verdicts"
SETTINGS: Final = "Data and models"
NO_MODELS_TITLE: Final = "Choose a model"
NO_MODELS: Final = f"Tick at least one under “{SETTINGS}”, at the top of the page."
WHY_THEY_DIFFER_TITLE: Final = "Why audit and diagnosis can differ"
WHY_THEY_DIFFER: Final = (
    "The audit tests every value of every person against chance. The diagnosis averages metrics over all pairs, holds "
    "the mean against Clean and Compromised, and also asks what forgetting broke. So a model can pass on average and "
    "still leak on a few people; and one that has forgotten half of what it knew may still be found out on nearly "
    "everybody, because half of it is far more than chance."
)
DATA: Final = "Data set"
DATA_IS_EMBEDDED: Final = "{name} comes with the app."
DATA_IS_OTHER: Final = "{name}{revision}."
OPENING_DATA: Final = "Opening the data set"
DATA_FAILED: Final = "The embedded data is shown, because {reference} could not be opened. {problem}"
ADD_MODEL: Final = (
    "A folder with safetensors (local-dir:FOLDER), a Hub model (hf-hub:ORG/NAME), a .safetensors file, or "
    "delta:BASE+PATH to merge a LoRA adapter onto another model. Only safetensors are loaded here."
)
ADD_MODEL_ON_SPACE: Final = (
    "A Hub model with safetensors weights: hf-hub:ORG/NAME. Sign in first for a gated or private model, which nobody "
    "else sees."
)
OFFICIAL_MODELS: Final = (
    "The released SALMUBench models are gated: accept their terms on the Hub once. About 0.6 GB each."
)
TOO_MANY_MODELS: Final = "At most {count} models fit side by side; the first {count} are kept."
MODEL_ADDED: Final = "{name} was added. Its features are being computed in the background."
MODEL_ADDED_UNTICKED: Final = "{name} was added to the list; untick another model to show it."
LINK_HELP: Final = "Opens the same models, persona and attribute, or the same search by text."
