"""What a reference means on the Hub: the official artefacts by short name, repositories by id, and their revisions."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from salmu_demo.core.errors import ModelError
from salmu_demo.core.files import write_text
from salmu_demo.core.settings import cache_dir

OFFICIAL: Final = "official"
"""Short name of the released data set."""
OFFICIAL_DATA: Final = "cvc-mmu/salmubench-512-redistributed"
OFFICIAL_REVISION: Final = "b76aa3885a696969e51de4786c9f92e8064b4679"
"""Revision the published reference values were measured on."""
OFFICIAL_DATASETS: Final[dict[str, str]] = {OFFICIAL: OFFICIAL_DATA, "official-base": "cvc-mmu/salmubench-512-base"}
"""Short names of the released data and its variants. Published values are those of the first alone."""
OFFICIAL_MODELS: Final[dict[str, str]] = {
    "official-clean": "cvc-mmu/clip-vit-b-16-salmu-clean",
    "official-compromised": "cvc-mmu/clip-vit-b-16-salmu-compromised",
}
"""Short names of the released models. No commit of theirs is published, so the first one seen is kept: `pin`."""

HF_HUB: Final = "hf-hub:"
_REPOSITORY: Final = re.compile(r"^[\w.-]+/[\w.-]+$")
_DATA: Final = re.compile(r"^[\w.-]+/[\w.-]+(@[\w.-]+)?$")

Kind = Literal["dataset", "model"]


@dataclass(frozen=True)
class HubReference:
    """A repository of the Hub.

    Attributes:
        kind: what it holds.
        repository: `organisation/name`.
        revision: branch, tag or commit; None for the newest.
        label: the reference without short names, as results and messages show it.
    """

    kind: Kind
    repository: str
    revision: str | None
    label: str

    @property
    def page(self) -> str:
        """Its web page, where terms are accepted."""
        return f"https://huggingface.co/{'datasets/' if self.kind == 'dataset' else ''}{self.repository}"


def data_on_hub(reference: str) -> HubReference | None:
    """The repository a data reference means, or None if it does not have the form of one.

    The released data set is always pinned, whatever it is called, unless the reference names a revision.

    >>> data_on_hub("official").label, data_on_hub("official-base").revision
    ('cvc-mmu/salmubench-512-redistributed', None)
    >>> data_on_hub("org/name@v1").revision, data_on_hub("mini")
    ('v1', None)
    """
    label = OFFICIAL_DATASETS.get(reference, reference)
    if not _DATA.match(label) or label.startswith("."):
        return None
    repository, _, revision = label.partition("@")
    pinned = OFFICIAL_REVISION if repository == OFFICIAL_DATA else None
    return HubReference("dataset", repository, revision or pinned, label)


def model_on_hub(reference: str) -> HubReference | None:
    """The repository a model reference means, or None if the model is not on the Hub.

    Raises:
        ModelError: if it says `hf-hub:` and is no `organisation/name`.

    >>> model_on_hub("official-clean").label
    'hf-hub:cvc-mmu/clip-vit-b-16-salmu-clean'
    >>> model_on_hub("hf-hub:org/name@v1").revision, model_on_hub("mini-clean")
    ('v1', None)
    """
    label = HF_HUB + OFFICIAL_MODELS[reference] if reference in OFFICIAL_MODELS else reference
    if not label.startswith(HF_HUB):
        return None
    repository, _, revision = label.removeprefix(HF_HUB).partition("@")
    if not _REPOSITORY.match(repository):
        raise ModelError(f"{reference} is not a Hub model; it looks like {HF_HUB}organisation/name.")
    return HubReference("model", repository, revision or _pins().get(repository), label)


def pin(target: HubReference, commit: str) -> None:
    """Keep the commit an official model was first resolved to: without a revision it means that one from now on."""
    if target.revision is None and target.repository in OFFICIAL_MODELS.values():
        write_text(_pin_file(), json.dumps({**_pins(), target.repository: commit}, indent=1), "The pinned revision")


def _pin_file() -> Path:
    return cache_dir() / "official_revisions.json"


def _pins() -> dict[str, str]:
    try:
        found = json.loads(_pin_file().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
