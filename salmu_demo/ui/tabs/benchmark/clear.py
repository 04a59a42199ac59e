"""What the Benchmark tab shows of results on data of CLEAR in place of diagnoses."""

from markupsafe import Markup

from salmu_demo.reports.clear import aggregates
from salmu_demo.results.analysis import Analysis
from salmu_demo.ui.widgets.markup import text_table


def summary(analysis: Analysis) -> Markup:
    """CLEAR's aggregates of each model."""
    table = aggregates(analysis)
    return text_table(table.header, table.rows, table.caption)
