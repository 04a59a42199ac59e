"""Sentences above the tabs, and those that several tabs show."""

from typing import Final

TITLE: Final = "salmu-demo"
PURPOSE: Final = (
    "Does this CLIP model still know which face belongs to which phone number, and what did forgetting break?"
)
WHO_IS_CLEAN: Final = (
    "Results are compared with a Clean and a Compromised model. Built-in and official models are recognised by their "
    "name, others by their card (`salmu_role`). If yours is not, choose it here."
)
BY_CARD_OR_NAME: Final = "by card or name"
SKIP: Final = "Skip to the verdicts"
SETTINGS: Final = "Data and models"
NO_MODELS_TITLE: Final = "Choose a model"
NO_MODELS: Final = f"Tick at least one under “{SETTINGS}”, at the top of the page."
DATA: Final = "Data set"
DATA_IS_MINI: Final = "SALMU-Mini comes with the app."
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
LINK_HELP: Final = "Opens the same models, persona and attribute."
