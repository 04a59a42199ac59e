"""Models that unlearning jobs left in their folders, by names that do not give the jobs away."""

import hashlib
import re
from pathlib import Path
from typing import Final

from salmu_demo.core.errors import ModelError
from salmu_demo.core.settings import runs_dir
from salmu_demo.models.delta import ADAPTER_FILE

MADE: Final = "made:"
MODEL_FOLDER: Final = "model"
"""In the folder of a job: holds one folder, named as the model."""

WEIGHTS_FILE: Final = "open_clip_model.safetensors"
"""Written after all that is needed to load it."""

_NAME: Final = re.compile(r"[a-z0-9-]{1,60}-[0-9a-f]{8}([0-9a-f]{8})?")
"""Earlier versions gave eight digits, which are few for what opens a model to whoever names it."""


def made_name(method: str, job_id: str) -> str:
    """Name of the model a job makes; whoever sees it cannot tell the job, whose id allows to cancel it.

    >>> made_name("npo", "k3Jf0-_aZ9qLmN4tRv7wXy")
    'npo-b04258563ff48135'
    """
    return f"{method}-{hashlib.sha256(job_id.encode()).hexdigest()[:16]}"


def made_in(job_folder: Path) -> list[str]:
    """References of the models in the folder of a job."""
    folder = job_folder / MODEL_FOLDER
    weights = sorted(path for name in (WEIGHTS_FILE, ADAPTER_FILE) for path in folder.glob(f"*/{name}"))
    return [f"{MADE}{path.parent.name}" for path in weights if _NAME.fullmatch(path.parent.name)]


def made_folder(reference: str) -> Path:
    """Folder of the model of a reference `made:NAME`; raises `ModelError` if there is none."""
    name = reference.removeprefix(MADE)
    if _NAME.fullmatch(name):
        for folder in runs_dir().glob(f"*/{MODEL_FOLDER}/{name}"):
            return folder
    raise ModelError(f"There is no model {reference!r:.80}; the unlearning job that made it may have been removed.")
