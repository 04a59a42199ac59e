"""What fetching a model from the Hub would download."""

from collections.abc import Sequence
from typing import Final

from salmu_demo.errors import ModelError
from salmu_demo.hub_fetch import FetchPlan, plan_fetch
from salmu_demo.hub_reference import HubReference
from salmu_demo.models.source import CONFIG_FILE, MERGES_FILE, WEIGHTS_FILES

_PICKLE_FILE: Final = "open_clip_pytorch_model.bin"
"""How the released Compromised model comes."""


def plan_model(target: HubReference) -> FetchPlan:
    """The configuration, the tokenizer's merges and one file of weights; raises :class:`ModelError`."""

    def choose(paths: Sequence[str]) -> list[str]:
        weights = next((name for name in (*WEIGHTS_FILES, _PICKLE_FILE) if name in paths), None)
        if weights is None:
            raise ModelError(f"{target.repository} has no {WEIGHTS_FILES[0]}; it is no model this program can load.")
        return [weights, *(name for name in (CONFIG_FILE, MERGES_FILE) if name in paths)]

    return plan_fetch(target, choose, ModelError)
