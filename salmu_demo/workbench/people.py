"""Names of the personas of results that were read, as far as their data set is on this machine."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from salmu_demo.core.errors import SalmuError
from salmu_demo.core.settings import assets_dir
from salmu_demo.data.dataset import Persona, load_folder
from salmu_demo.data.source import MINI
from salmu_demo.results.records import MeasuredData


def persona_names(personas: Iterable[Persona]) -> dict[str, str]:
    """Names by ids; namesakes have their ids too."""
    personas = list(personas)
    count = Counter(persona.name for persona in personas)
    return {p.identity_id: p.name if count[p.name] == 1 else f"{p.name} ({p.identity_id})" for p in personas}


def names_of(data: MeasuredData) -> dict[str, str]:
    """The names of the personas of measured data; nothing if the very same data are not here. No network is asked."""
    root = assets_dir() / "salmu-mini" if data.name == MINI else Path(data.name)
    try:
        found = load_folder(root, data.name) if data.fingerprint and root.is_dir() else None
    except (SalmuError, OSError, ValueError):
        return {}
    return persona_names(found.personas) if found and found.fingerprint == data.fingerprint else {}
