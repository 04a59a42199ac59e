"""Tables for a paper: hand-computed cells, nothing a stranger wrote becomes a command, names as they are wanted."""

import re
from dataclasses import replace

import pytest

from salmu_demo.core.errors import QueryError
from salmu_demo.reports.latex import bibtex, latex_tables, paper_name
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.merging import renamed, with_others
from salmu_demo.results.records import MeasuredData
from tests.fixtures.results import NAMES, evaluations, valued

CLEAN = {"RetFail": 0.1, "GenKnow": 0.6, "InterIdSim": 0.2, "IntraIdSim": 0.2}
COMPROMISED = {"RetFail": 0.5, "GenKnow": 0.8, "InterIdSim": 0.6, "IntraIdSim": 0.7}
BETWEEN = {"RetFail": 0.2, "GenKnow": 0.76, "InterIdSim": 0.5, "IntraIdSim": 0.6}
BELOW = {"RetFail": 0.05, "GenKnow": 0.76, "InterIdSim": -0.5, "IntraIdSim": 0.4}


@pytest.fixture(scope="module")
def by_hand() -> Analysis:
    names = (*NAMES, "my_own")
    values = (CLEAN, COMPROMISED, BETWEEN, BELOW)
    return analyse([valued(name, metrics) for name, metrics in zip(names, values, strict=True)])


def lines(analysis: Analysis, label: str) -> list[str]:
    """The lines of a table between its rules."""
    table = next(part for part in latex_tables(analysis).split("\\begin{table*}") if f"{{tab:salmu-{label}}}" in part)
    return [line.strip() for line in table.splitlines() if line.strip().endswith("\\\\")]


def test_metrics_stand_by_pillar_with_the_nearest_to_the_target_in_bold(by_hand: Analysis):
    assert lines(by_hand, "metrics") == [
        r"& \multicolumn{1}{c}{Forgetting (target: Clean)} & \multicolumn{3}{c}{Kept (target: Compromised)} \\",
        r"Model & RetFail & GenKnow & InterIdSim & IntraIdSim \\",
        r"Clean & 0.100 & 0.600 & 0.200 & 0.200 \\",
        r"Compromised & 0.500 & 0.800 & 0.600 & 0.700 \\",
        r"mini-unlearned-finetune & 0.200 & \textbf{0.760} & \textbf{0.500} & \textbf{0.600} \\",
        r"my\_own & \textbf{0.050} & \textbf{0.760} & $-$0.500 & 0.400 \\",
    ]
    assert r"\cmidrule(lr){2-2}\cmidrule(lr){3-5}" in latex_tables(by_hand)


def test_a_model_alone_is_not_the_best():
    alone = analyse([valued(name, v) for name, v in zip(NAMES, (CLEAN, COMPROMISED, BETWEEN), strict=True)])
    assert "textbf{0" not in latex_tables(alone)
    assert "Bold" not in latex_tables(alone)


def test_diagnoses_and_intervals_are_those_of_the_analysis(by_hand: Analysis):
    # 1 - (0.2 - 0.1) / 0.4 gone; 1 - 0.76 / 0.8 lost; the smaller of 0.3 / 0.4 and 0.4 / 0.5 kept.
    assert lines(by_hand, "diagnosis")[1] == r"mini-unlearned-finetune & ineffective forgetting & 75.0 & 5.0 & 75.0 \\"
    measured = analyse(evaluations())
    found, value = measured.models[2].intervals["AssocStr"], measured.models[2].evaluation.value("AssocStr")
    cell = f"{value:.3f} [{found.low:.3f}, {found.high:.3f}]"
    assert next(line for line in lines(measured, "intervals-1") if line.startswith("AssocStr")).endswith(f"{cell} \\\\")


def test_every_line_of_a_table_has_as_many_cells_as_its_columns(by_hand: Analysis):
    tables = re.findall(r"begin\{tabular\}\{(\w+)\}(.*?)\\end", latex_tables(by_hand), re.DOTALL)
    assert len(tables) == 3
    for columns, body in tables:
        for line in (line for line in body.splitlines() if line.endswith("\\\\")):
            spanned = sum(int(count) - 1 for count in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert line.count(" & ") + 1 + spanned == len(columns)


def test_nothing_of_a_name_is_a_command():
    hostile = r"\input{/etc/passwd}%&$^~#_{x}"
    text = latex_tables(analyse([valued(hostile, CLEAN, MeasuredData(hostile))]))
    assert r"\input{" not in text.split("\n", 2)[2]
    assert r"\textbackslash{}input\{/etc/passwd\}\%\&\$\textasciicircum{}\textasciitilde{}\#\_\{x\}" in text


def test_what_is_cited_has_an_entry(by_hand: Analysis):
    cited = set(re.findall(r"\\cite\{([^}]*)\}", latex_tables(analyse(evaluations()))))
    entries = re.findall(r"@\w+\{([^,]*),", bibtex(by_hand))
    assert cited == set(entries) == {"salmubench", "salmu-demo"}
    assert "0.0.0" in bibtex(analyse(evaluations()))
    assert bibtex(by_hand).count("{") == bibtex(by_hand).count("}")


def test_models_are_called_as_somebody_wants():
    found = renamed(evaluations(), {NAMES[2]: "Ours"})
    analysis = analyse(found)
    assert analysis.names == [*NAMES[:2], "Ours"]
    assert [paper_name(model) for model in analysis.comparison.models] == ["Clean", "Compromised", "Ours"]
    assert paper_name(analyse(renamed(evaluations(), {NAMES[0]: "Never saw"})).comparison.models[0]) == "Never saw"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ({"nobody": "x"}, 'No model here is called "nobody"'),
        ({NAMES[1]: "  "}, "give it a name of 1 to 80 printable characters"),
        ({NAMES[1]: "a\nb"}, "give it a name of 1 to 80 printable characters"),
        ({NAMES[1]: "\u202egpj.x"}, "give it a name of 1 to 80 printable characters"),
        ({NAMES[1]: "x" * 81}, "give it a name of 1 to 80 printable characters"),
        ({NAMES[1]: NAMES[0]}, f'Two models would be called "{NAMES[0]}"'),
    ],
)
def test_names_that_make_no_sense_are_refused(names: dict[str, str], sentence: str):
    with pytest.raises(QueryError, match=re.escape(sentence)):
        renamed(evaluations(), names)


def test_only_what_was_measured_on_the_same_rows_joins_and_each_model_once():
    mine, others = evaluations(NAMES[:2]), evaluations((*NAMES, "elsewhere"))
    sampled = replace(others[3], data=replace(others[3].data, sample="sampled"))
    assert [e.model.name for e in with_others(mine, [*others[:3], sampled])] == list(NAMES)
