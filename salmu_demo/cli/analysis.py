"""How a comparison of models is printed."""

from dataclasses import asdict
from typing import Any

from salmu_demo.cli.output import print_table
from salmu_demo.core.text import plain
from salmu_demo.reports.tables import comparison_lines, diagnosis_lines, first_lines, side_lines
from salmu_demo.results.analysis import Analysis


def print_analysis(analysis: Analysis) -> None:
    """The table of all metrics, and what each model did."""
    data = analysis.comparison.data
    for line in filter(None, (data.notice, data.sample and f"{data.title}.")):
        print(f"{line}\n")
    header, *rows = comparison_lines(analysis.comparison)
    print_table(header, rows)
    print("\nIn brackets: distance to the target.")
    for remark in analysis.remarks:
        print(plain(remark))
    for line in (*first_lines(analysis), *side_lines(analysis)):
        print(line)
    for name, model in zip(analysis.names, analysis.models, strict=True):
        if model.diagnosis is not None:
            print("\n" + "\n".join(diagnosis_lines(name, model.diagnosis)))


def comparison_document(analysis: Analysis) -> dict[str, Any]:
    """Data, values, targets and diagnoses as JSON."""
    comparison = analysis.comparison
    return {
        "data": comparison.data.title,
        "remarks": analysis.remarks,
        "roles": {name: asdict(role) for name, role in zip(analysis.names, analysis.roles, strict=True)},
        "rows": [
            {
                "metric": row.spec.name,
                "target": row.target,
                "values": {name: cell.value for name, cell in zip(analysis.names, row.cells, strict=True)},
            }
            for row in comparison.rows
        ],
        "diagnoses": {
            name: model.diagnosis and model.diagnosis.label
            for name, model in zip(analysis.names, analysis.models, strict=True)
        },
        "answers": {
            name: {question.name: question.answer for question in model.diagnosis.questions}
            for name, model in zip(analysis.names, analysis.models, strict=True)
            if model.diagnosis
        },
    }
