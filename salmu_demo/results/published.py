"""Numbers that were published about SALMUBench and CLEAR, with their sources; see also the rule in `diagnosis`."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from salmu_demo.metrics import official_metrics
from salmu_demo.models.roles import RoleName
from salmu_demo.results.questions import Label

OFFICIAL_ZERO_SHOT: Final = "ImageNet-1k (1000 classes, 50000 pictures)"
"""What GenKnow of the official data is measured on, in the words of our own evaluation: the whole validation set."""

PAPER: Final = "SALMUBench (CVPR 2026, arXiv 2603.26316), main table, 5x compute budget"
THIRD_PARTY: Final = (
    "a third party's run of the official evaluator on the released models, seed 42; GenKnow from the paper's main table"
)


@dataclass(frozen=True)
class PublishedModel:
    """One published row.

    Attributes:
        name: the method, or the reference model.
        values: metric values by name; only those that were published.
        source: where they were published.
        label: the authors' class, or None where they gave none.
        role: of the references, else None.
    """

    name: str
    values: dict[str, float]
    source: str = PAPER
    label: Label | None = None
    role: RoleName | None = None


_MAIN_TABLE: Final = ("RetFail", "GenKnow", "InterIdSim", "IntraIdSim")
_ALL: Final = tuple(spec.name for spec in official_metrics())


def _values(names: tuple[str, ...], *values: float) -> dict[str, float]:
    return dict(zip(names, values, strict=True))


PUBLISHED: Final = (
    PublishedModel(
        "Clean",
        _values(_ALL, 0.000815, 0.141701, 0.601943, 0.010690, 0.151425, 0.633, 0.142796, 0.142810, 0.330845, 0.309103),
        THIRD_PARTY,
        role="clean",
    ),
    PublishedModel(
        "Compromised",
        _values(_ALL, 0.236102, 0.321542, 0.950965, 0.083561, 0.182706, 0.638, 0.321488, 0.321281, 0.305150, 0.280087),
        THIRD_PARTY,
        role="compromised",
    ),
    PublishedModel("CLIPErase", _values(_MAIN_TABLE, 0.001, 0.634, 0.024, 0.024), label=Label.OVER_GENERALISED),
    PublishedModel("DELETE", _values(_MAIN_TABLE, 0.001, 0.632, 0.023, 0.023), label=Label.OVER_GENERALISED),
    PublishedModel("VLUnlearn", _values(_MAIN_TABLE, 0.001, 0.638, 0.210, 0.210)),
    PublishedModel("Finetuning", _values(_MAIN_TABLE, 0.003, 0.638, 0.209, 0.209)),
    PublishedModel("Neg. Gradient", _values(_MAIN_TABLE, 0.009, 0.630, 0.063, 0.061)),
    PublishedModel("Shuffled Captions", _values(_MAIN_TABLE, 0.004, 0.548, 0.212, 0.212), label=Label.CATASTROPHIC),
    PublishedModel("Direct Sim. Min.", _values(_MAIN_TABLE, 0.001, 0.615, -0.420, -0.425), label=Label.CATASTROPHIC),
    PublishedModel("Generic Captions", {}, label=Label.INEFFECTIVE),
)
"""Every published row; of Generic Captions the class alone was published."""

CLEAR_DATA: Final = "clear:therem/CLEAR"
CLEAR_PAPER: Final = "CLEAR (arXiv 2410.18057), Table 1: LLaVA, fine-tuned on all authors, is to forget forget10"
_CLEAR_TABLE: Final = ("RealTables", "RetainTables", "ForgetTables", "FQRowsGen")

_CLEAR_ROWS: Final[tuple[tuple[str, RoleName | None, tuple[float, ...]], ...]] = (
    ("Gold", "gold", (0.50, 0.51, 0.19, 1.00)),
    ("Base", "compromised", (0.48, 0.51, 0.35, 0.85)),
    ("DPO", None, (0.46, 0.48, 0.22, 0.84)),
    ("GD", None, (0.29, 0.00, 0.00, 0.18)),
    ("GA", None, (0.27, 0.00, 0.00, 0.67)),
    ("IDK", None, (0.48, 0.51, 0.33, 0.84)),
    ("KL", None, (0.25, 0.00, 0.00, 0.67)),
    ("LLMU", None, (0.47, 0.51, 0.25, 0.84)),
    ("NPO", None, (0.46, 0.14, 0.11, 0.76)),
    ("Retain FT", None, (0.49, 0.51, 0.37, 0.85)),
    ("RMU", None, (0.24, 0.00, 0.00, 0.75)),
    ("SCRUB", None, (0.49, 0.52, 0.36, 0.85)),
    ("SKU", None, (0.40, 0.32, 0.37, 0.83)),
)
PUBLISHED_CLEAR: Final = tuple(
    PublishedModel(name, _values(_CLEAR_TABLE, *values), CLEAR_PAPER, role=role) for name, role, values in _CLEAR_ROWS
)
"""Every row of CLEAR's main table."""

CLEAR_BY_MODALITY: Final[Mapping[tuple[str, str], tuple[float, float, float, float]]] = MappingProxyType({
    ("rmu", "text"): (0.31, 0.01, 0.02, 0.75),
    ("rmu", "visual"): (0.24, 0.00, 0.00, 0.75),
    ("rmu", "both"): (0.22, 0.00, 0.00, 0.80),
    ("gd", "text"): (0.26, 0.00, 0.00, 0.79),
    ("gd", "visual"): (0.29, 0.00, 0.00, 0.20),
    ("gd", "both"): (0.49, 0.51, 0.37, 0.85),
    ("finetune", "text"): (0.49, 0.51, 0.37, 0.85),
    ("finetune", "visual"): (0.46, 0.45, 0.42, 0.85),
    ("finetune", "both"): (0.46, 0.46, 0.40, 0.85),
    ("ga", "text"): (0.34, 0.00, 0.00, 0.22),
    ("ga", "visual"): (0.29, 0.00, 0.00, 0.32),
    ("ga", "both"): (0.29, 0.00, 0.00, 0.32),
    ("kl", "text"): (0.49, 0.32, 0.23, 0.71),
    ("kl", "visual"): (0.29, 0.00, 0.00, 0.28),
    ("kl", "both"): (0.48, 0.35, 0.27, 0.81),
    ("idk", "text"): (0.48, 0.50, 0.39, 0.85),
    ("idk", "visual"): (0.44, 0.45, 0.35, 0.84),
    ("idk", "both"): (0.46, 0.46, 0.33, 0.84),
    ("npo", "text"): (0.51, 0.51, 0.29, 0.85),
    ("npo", "visual"): (0.48, 0.43, 0.24, 0.84),
    ("npo", "both"): (0.49, 0.00, 0.00, 0.72),
    ("scrub", "text"): (0.49, 0.51, 0.37, 0.85),
    ("scrub", "visual"): (0.48, 0.49, 0.39, 0.85),
    ("scrub", "both"): (0.49, 0.51, 0.37, 0.85),
    ("dpo", "text"): (0.47, 0.45, 0.42, 0.85),
    ("dpo", "visual"): (0.48, 0.49, 0.23, 0.84),
    ("dpo", "both"): (0.46, 0.47, 0.28, 0.84),
    ("llmu", "text"): (0.48, 0.46, 0.40, 0.85),
    ("llmu", "visual"): (0.49, 0.50, 0.37, 0.85),
    ("llmu", "both"): (0.47, 0.48, 0.33, 0.84),
})  # fmt: skip
"""Real, Retain and Forget metric and Forget Quality of Table 3 of arXiv 2410.18057 by method and modality, as printed:
the row of GD with both repeats Retain FT's."""

CLEAR_TRANSFER: Final[Mapping[str, float]] = MappingProxyType({"text": 0.705, "visual": 0.205})
"""Spearman's rho of the ranks by the Forget metric with those of unlearning both, Table 2 of arXiv 2410.18057."""
