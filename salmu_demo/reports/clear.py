"""What reports say of results on data of CLEAR in place of diagnoses: the numbers of the paper's Table 1."""

from typing import Final

from salmu_demo.metrics import find_metric
from salmu_demo.reports.report import Table
from salmu_demo.reports.text import number_cell
from salmu_demo.results.analysis import Analysis

COLUMNS: Final = ("RealTables", "RetainTables", "ForgetTables", "FQRowsGen", "FQGen", "ModelUtility")
"""The columns of the paper's Table 1, then Forget Quality as the paper says it, and Model Utility."""

CAPTION: Final = (
    "CLEAR's aggregates. Real and Retain should be as high as Base's (here Compromised), Forget as low as Gold's and "
    "Forget Quality as high as can be; the first four columns are those of the paper's Table 1."
)


def aggregates(analysis: Analysis) -> Table:
    """A row for each model: CLEAR's aggregates."""
    header = ("Model", *(find_metric(name).title for name in COLUMNS))
    rows = tuple(
        (name, *(number_cell(model.evaluation.value(column)) for column in COLUMNS))
        for name, model in zip(analysis.names, analysis.models, strict=True)
    )
    return Table(CAPTION, header, rows)
