"""A model and the Hub: what fetching it downloads, and pushing its folder, from where `hf-hub:` loads it again."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from salmu_demo.core.errors import ModelError
from salmu_demo.hub.fetch import FetchPlan, plan_fetch
from salmu_demo.hub.push import Pushed, check_push, push
from salmu_demo.hub.reference import HubReference
from salmu_demo.models.card import CARD_FILE
from salmu_demo.models.checkpoint import (
    PICKLE_PUBLISHERS,
    TRANSFORMERS_COMPANIONS,
    TRANSFORMERS_WEIGHTS,
    check_inside,
)
from salmu_demo.models.configuration import CONFIG_FILE
from salmu_demo.models.made import MADE, made_folder
from salmu_demo.models.references import find_model
from salmu_demo.models.source import INDEX_FILE, LOCAL_DIR, MERGES_FILE, PICKLE_FILE, WEIGHTS_FILES
from salmu_demo.models.transformers_config import TRANSFORMERS_CONFIG
from salmu_demo.models.vocabulary import TOKENIZER_FILE
from salmu_demo.models.weights import SHARD

_COMPANIONS: Final = (CARD_FILE, "unlearning.json", "unlearning_curve.svg", "training_log.json", "training_curve.svg")
"""The card, the record and the curve that training here writes beside a model."""

_OWNED: Final = (CONFIG_FILE, *WEIGHTS_FILES, PICKLE_FILE, MERGES_FILE, TOKENIZER_FILE, *_COMPANIONS)


def plan_model(target: HubReference) -> FetchPlan:
    """The configuration, the tokenizer, the card and one file of weights, or its shards; raises `ModelError`."""

    def choose(paths: Sequence[str]) -> list[str]:
        if CONFIG_FILE not in paths and TRANSFORMERS_CONFIG in paths:
            whole = [name for name in TRANSFORMERS_WEIGHTS if name in paths]
            shards = [INDEX_FILE, *(name for name in paths if SHARD.fullmatch(name))] if INDEX_FILE in paths else []
            if whole or shards:
                beside = [name for name in TRANSFORMERS_COMPANIONS if name in paths]
                return [*(whole[:1] or shards), TRANSFORMERS_CONFIG, *beside]
        is_trusted = target.repository.partition("/")[0] in PICKLE_PUBLISHERS
        names = (*WEIGHTS_FILES, PICKLE_FILE) if is_trusted else WEIGHTS_FILES
        weights = next((name for name in names if name in paths), None)
        if weights is None:
            raise ModelError(f"{target.repository} has no {WEIGHTS_FILES[0]}; this program cannot load it.")
        return [weights, *(name for name in (CONFIG_FILE, MERGES_FILE, TOKENIZER_FILE, CARD_FILE) if name in paths)]

    return plan_fetch(target, choose, ModelError)


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
        raise ModelError(
            f"{folder} has no {CONFIG_FILE}; only a folder of open_clip with configuration and weights is pushed, as "
            "`salmu-demo models export` writes it, also of an adapter."
        )
    source = find_model(f"{LOCAL_DIR}{folder}")
    source.reader()  # Refuses weights that are cut off.
    companions = [path for name in _COMPANIONS if (path := folder / name).is_file()]
    for path in companions:
        check_inside(folder, path)
    check_push(repository)
    command = f"salmu-demo models push {shlex.quote(model)} {repository}{' --public' if public else ''}"
    return push(
        {file.name: file for file in (folder / CONFIG_FILE, *source.files, *companions)},
        repository,
        public,
        f"{source.name}, pushed by salmu-demo",
        f"the model stays where it is, push it again with `{command}`",
        _OWNED,
    )
