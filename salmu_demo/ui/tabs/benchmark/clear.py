"""What the Benchmark tab shows of results on CLEAR in place of diagnoses: the numbers of the paper's Table 1."""

from typing import Final

from markupsafe import Markup

from salmu_demo.metrics import find_metric
from salmu_demo.reports.text import number_cell
from salmu_demo.results.analysis import Analysis
from salmu_demo.ui.widgets.markup import text_table

COLUMNS: Final = ("RealTables", "RetainTables", "ForgetTables", "FQRowsGen", "FQGen", "ModelUtility")
"""The columns of the paper's Table 1, then Forget Quality as the paper says it, and Model Utility."""

CAPTION: Final = (
    "Real and Retain should be as high as Base's, Forget as low as Gold's and Forget Quality as high as can be; the "
    "first four columns are those of the paper's Table 1. The table below has every metric, with what a model without "
    "a text decoder is measured on instead."
)


def summary(analysis: Analysis) -> Markup:
    """A row for each model: CLEAR's aggregates."""
    head = ("Model", *(find_metric(name).title for name in COLUMNS))
    rows = [
        (name, *(number_cell(model.evaluation.value(column)) for column in COLUMNS))
        for name, model in zip(analysis.names, analysis.models, strict=True)
    ]
    return text_table(head, rows, CAPTION)
