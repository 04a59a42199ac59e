"""Pushing a model's folder to the Hub, from where `hf-hub:` loads it again."""

import shlex
from pathlib import Path
from typing import Final

from salmu_demo.core.errors import ModelError
from salmu_demo.hub.push import Pushed, check_push, push
from salmu_demo.models.checkpoint import check_inside
from salmu_demo.models.configuration import CONFIG_FILE
from salmu_demo.models.made import MADE, made_folder
from salmu_demo.models.references import find_model
from salmu_demo.models.source import LOCAL_DIR, MERGES_FILE, PICKLE_FILE, TOKENIZER_FILE, WEIGHTS_FILES

_COMPANIONS: Final = ("README.md", "unlearning.json", "unlearning_curve.svg", "training_log.json", "training_curve.svg")
"""The card, the record and the curve that training here writes beside a model."""

_OWNED: Final = (CONFIG_FILE, *WEIGHTS_FILES, PICKLE_FILE, MERGES_FILE, TOKENIZER_FILE, *_COMPANIONS)


def push_model(model: str, repository: str, public: bool) -> Pushed:
    """Push what loading a model takes, and its card, record and curve; checkpoints and the state of a run stay here.

    Args:
        model: an open_clip folder, with or without `local-dir:`, or a model that a job made, `made:NAME`.
        repository: `organisation/name`, made if there is none.
        public: whether everybody may see it.

    Raises:
        ModelError: if the folder holds no model with a configuration.
        PushError: if it cannot be pushed.
    """
    folder = made_folder(model) if model.startswith(MADE) else Path(model.removeprefix(LOCAL_DIR)).expanduser()
    if folder.is_dir() and not (folder / CONFIG_FILE).is_file():
        raise ModelError(f"{folder} has no {CONFIG_FILE}; only a folder with configuration and weights is pushed.")
    source = find_model(f"{LOCAL_DIR}{folder}")
    source.reader()  # Refuses weights that are cut off.
    companions = [path for name in _COMPANIONS if (path := folder / name).is_file()]
    for path in companions:
        check_inside(folder, path)
    check_push(repository)
    command = f"salmu-demo models push {shlex.quote(model)} {repository}{' --public' if public else ''}"
    return push(
        [folder / CONFIG_FILE, *source.files, *companions],
        repository,
        public,
        f"{source.name}, pushed by salmu-demo",
        _OWNED,
        f"the model stays where it is, push it again with `{command}`",
    )
