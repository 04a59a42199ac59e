"""Audit what CLIP models know about fictitious personas, before and after unlearning.

The names below are the public library; everything else in the package may change without notice::

    import salmu_demo

    data = salmu_demo.load_data("mini")
    results = salmu_demo.evaluate(["mini-clean", "mini-compromised"], data)
    print(results.to_frame())

Importing the package costs nothing: what a name needs is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from salmu_demo._face import (
        Attacked,
        Audit,
        Dossier,
        Probes,
        Results,
        Unlearned,
        attack,
        audit,
        compare,
        dossier,
        evaluate,
        import_data,
        load_data,
        load_model,
        probe,
        unlearn,
    )
    from salmu_demo.core.errors import SalmuError
    from salmu_demo.core.progress import Progress

__version__ = "0.2.0"

__all__ = [
    "Attacked",
    "Audit",
    "Dossier",
    "Probes",
    "Progress",
    "Results",
    "SalmuError",
    "Unlearned",
    "__version__",
    "attack",
    "audit",
    "compare",
    "dossier",
    "evaluate",
    "import_data",
    "load_data",
    "load_model",
    "probe",
    "unlearn",
]

_ELSEWHERE = {"SalmuError": "salmu_demo.core.errors", "Progress": "salmu_demo.core.progress"}


def __getattr__(name: str) -> Any:
    """Import what a name of the face needs."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ELSEWHERE.get(name, "salmu_demo._face")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
