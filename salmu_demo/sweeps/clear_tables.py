"""The tables of CLEAR's paper from a sweep's results, the paper's values beside them in italics."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from scipy.stats import spearmanr

from salmu_demo.models.roles import COMPROMISED, GOLD
from salmu_demo.results.evidence import Evidence, Values
from salmu_demo.results.published import CLEAR_BY_MODALITY, CLEAR_TRANSFER, PUBLISHED_CLEAR
from salmu_demo.sweeps.run import RunResult
from salmu_demo.sweeps.table import Spread, spread_of
from salmu_demo.unlearning import find_modality
from salmu_demo.unlearning.methods import find_method

COLUMNS: Final = ("RealText", "RetainText", "ForgetText", "FQRowsGen")
"""The columns of the paper's tables; the first three as its text defines them, with ROUGE-L."""

PAPER_NAMES: Final[Mapping[str, str]] = MappingProxyType({
    "finetune": "Retain FT", "ga": "GA", "gd": "GD", "kl": "KL", "idk": "IDK", "dpo": "DPO", "npo": "NPO",
    "scrub": "SCRUB", "llmu": "LLMU", "rmu": "RMU", "sku": "SKU",
})  # fmt: skip
"""What the paper's tables call the methods."""

HEADS: Final = ("Real metric", "Retain metric", "Forget metric", "Forget Quality")
FORGET: Final = COLUMNS.index("ForgetText")
BOTH: Final = "both"

_Row = tuple[Spread, ...]


def clear_tables(results: Sequence[RunResult], references: Mapping[str, Evidence]) -> str:
    """Tables 1, 3 and 2 of arXiv 2410.18057 as Markdown, of the runs whose hyperparameters are the defaults.

    Args:
        results: all runs of a sweep on CLEAR.
        references: what was measured of Base ("compromised") and of Gold.
    """
    found: dict[tuple[str, str], list[Values]] = {}
    for result in results:
        if result.final is not None and not result.job.settings:
            found.setdefault((result.job.method, result.job.modality), []).append(result.final.values)
    rows = {run: _row(values) for run, values in found.items()}
    titles = {run: PAPER_NAMES.get(run[0]) or find_method(run[0], find_modality(run[1])).title for run in rows}
    return "\n\n".join([
        *_both(rows, titles, references),
        *_by_modality(rows, titles),
        *_transfer(rows),
    ])  # fmt: skip


def _row(values: Sequence[Values]) -> _Row:
    return tuple(spread_of([value for of in values if (value := of.get(name)) is not None]) for name in COLUMNS)


def _both(
    rows: Mapping[tuple[str, str], _Row], titles: Mapping[tuple[str, str], str], references: Mapping[str, Evidence]
) -> list[str]:
    """Table 1: the references, and the methods that forgot both modalities."""
    published = {model.name: tuple(model.values.values()) for model in PUBLISHED_CLEAR}
    lines = [
        _line([title], _row([references[role].values]), published[title])
        for role, title in ((GOLD, "Gold"), (COMPROMISED, "Base"))
        if role in references
    ]
    lines += [
        _line([titles[run]], row, published.get(titles[run])) for run, row in sorted(rows.items()) if run[1] == BOTH
    ]
    return [f"## Both modalities forgotten (the paper's Table 1)\n\n{_table(['method'], lines)}"]


def _by_modality(rows: Mapping[tuple[str, str], _Row], titles: Mapping[tuple[str, str], str]) -> list[str]:
    """Table 3: every method by what it was given to forget."""
    lines = [_line([titles[run], run[1]], row, CLEAR_BY_MODALITY.get(run)) for run, row in sorted(rows.items())]
    return [f"## By modality (the paper's Table 3)\n\n{_table(['method', 'modality'], lines)}"]


def _transfer(rows: Mapping[tuple[str, str], _Row]) -> list[str]:
    """Table 2: whether the order of the methods by the Forget metric is that of forgetting both."""
    lines = []
    for modality, published in CLEAR_TRANSFER.items():
        pairs = [
            (one, both)
            for (method, of), row in rows.items()
            if of == modality
            and (other := rows.get((method, BOTH))) is not None
            and (one := row[FORGET].mean) is not None
            and (both := other[FORGET].mean) is not None
        ]
        if len(pairs) > 2:
            rho, p = spearmanr(*zip(*pairs, strict=True))
            lines.append(f"| {modality} | {rho:.3f} *{published:.3f}* | {p:.3f} | {len(pairs)} |")
    head = "| forgotten alone | Spearman's rho with both | p | methods |\n|---|---|---|---|"
    title = "## Does forgetting one modality foretell forgetting both? (the paper's Table 2)"
    return ["\n".join([title, "", head, *lines])] if lines else []


def _table(first: Sequence[str], lines: Sequence[str]) -> str:
    head = [*first, *HEADS]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines])


def _line(first: Sequence[str], row: _Row, published: Sequence[float] | None) -> str:
    beside = [f" *{value:.2f}*" for value in published] if published else [""] * len(row)
    return f"| {' | '.join([*first, *(f'{spread}{paper}' for spread, paper in zip(row, beside, strict=True))])} |"
