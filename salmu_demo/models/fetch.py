"""What fetching a model from the Hub would download."""

from collections.abc import Sequence

from salmu_demo.core.errors import ModelError
from salmu_demo.hub.fetch import FetchPlan, plan_fetch
from salmu_demo.hub.reference import HubReference
from salmu_demo.models.card import CARD_FILE
from salmu_demo.models.checkpoint import PICKLE_PUBLISHERS
from salmu_demo.models.configuration import CONFIG_FILE
from salmu_demo.models.source import MERGES_FILE, PICKLE_FILE, TOKENIZER_FILE, WEIGHTS_FILES


def plan_model(target: HubReference) -> FetchPlan:
    """The configuration, the tokenizer, the card and one file of weights; raises :class:`ModelError`."""

    def choose(paths: Sequence[str]) -> list[str]:
        is_trusted = target.repository.partition("/")[0] in PICKLE_PUBLISHERS
        names = (*WEIGHTS_FILES, PICKLE_FILE) if is_trusted else WEIGHTS_FILES
        weights = next((name for name in names if name in paths), None)
        if weights is None:
            raise ModelError(f"{target.repository} has no {WEIGHTS_FILES[0]}; it is no model this program can load.")
        return [weights, *(name for name in (CONFIG_FILE, MERGES_FILE, TOKENIZER_FILE, CARD_FILE) if name in paths)]

    return plan_fetch(target, choose, ModelError)
