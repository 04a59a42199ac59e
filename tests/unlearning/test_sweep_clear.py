"""Sweeps on CLEAR: modalities, Gold as what is compared with, and a table of CLEAR's own measures."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from salmu_demo.core.errors import QueryError, SweepError
from salmu_demo.core.executor import LocalProcesses
from salmu_demo.metrics import metrics_of
from salmu_demo.results.evidence import Evidence
from salmu_demo.sweeps.clear_tables import clear_tables
from salmu_demo.sweeps.config import read_sweep
from salmu_demo.sweeps.measured import Measured
from salmu_demo.sweeps.run import RunResult, do_run, measure_references, run_sweep
from salmu_demo.sweeps.table import CLEAR_COLUMNS, sweep_table, table_csv, table_markdown
from tests.fixtures.clear import write_release
from tests.fixtures.tiny import COCA_CONFIG, write_model

SHIPPED = Path(__file__).parents[2] / "benchmarks" / "sweeps" / "clear-mini.toml"
SWEEP = """
model = "local-dir:{base}"
gold = "local-dir:{gold}"
data = "clear:{data}"
budgets = [16]
checkpoints = 1
modalities = ["both"]

[[runs]]
method = "finetune"
modalities = ["visual", "text"]
set.batch_size = 8
[[runs]]
method = "twins"
modalities = ["visual"]
set.batch_size = 8
"""


def configured(context: int) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(json.dumps(COCA_CONFIG))
    for part in ("text_cfg", "multimodal_cfg"):
        config["model_cfg"][part]["context_length"] = context
    return config


@pytest.fixture(scope="module")
def sweep_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clear-sweep")
    for number, name in enumerate(("base", "gold")):
        write_model(folder / name, configured(72), seed=number)
    write_release(folder / "data", measured=4)
    path = folder / "sweep.toml"
    path.write_text(SWEEP.format(base=folder / "base", gold=folder / "gold", data=folder / "data"), "utf-8")
    return path


class Nobody(LocalProcesses):
    """Runs that are not there already are not made."""

    def run(self, work: Any, jobs: Any) -> Any:
        return iter([RunResult(job, 0, 0.0, None, None, None, "no") for job in jobs])


def test_a_run_is_made_for_each_modality(sweep_file: Path) -> None:
    sweep = read_sweep(sweep_file)
    assert [(job.method, job.modality) for job in sweep.jobs] == [
        ("finetune", "visual"),
        ("finetune", "text"),
        ("twins", "visual"),
    ]
    assert sweep.jobs[0].variant == "finetune (batch_size=8, modality=visual)"
    assert len({job.key for job in sweep.jobs}) == 3
    assert sweep.clean == ""
    assert {job.gold for job in sweep.jobs} == {sweep.gold}
    assert [job.plan().towers for job in sweep.jobs] == ["both", "both", "image"]


def test_the_sweep_of_clear_mini_has_every_method_of_clear() -> None:
    sweep = read_sweep(SHIPPED)
    assert len(sweep.jobs) == 3 * (3 * 11 + 3)
    assert {job.modality for job in sweep.jobs if job.method == "dpo"} == {"both", "visual", "text"}


def test_what_a_sweep_cannot_do_is_said(sweep_file: Path, tmp_path: Path) -> None:
    text = sweep_file.read_text("utf-8")
    for change, error, words in (
        (("gold =", 'attacks = ["linear-map"]\ngold ='), SweepError, "names attacks, whose control is a Clean model"),
        (('["visual", "text"]', '["sound"]'), SweepError, "modalities"),
        (('"finetune"', '"ssd"'), QueryError, "ssd has no form for models that write"),
        (('method = "twins"\nmodalities = ["visual"]', 'method = "twins"'), QueryError, "choose visual"),
    ):
        (tmp_path / "sweep.toml").write_text(text.replace(*change), "utf-8")
        with pytest.raises(error, match=words):
            read_sweep(tmp_path / "sweep.toml")


def test_runs_are_measured_by_clears_metrics_against_gold(
    sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    sweep = read_sweep(sweep_file)
    found = do_run(sweep.jobs[0], tmp_path / "out")
    assert found.problem == ""
    assert found.final is not None
    measured = found.final.values
    assert all(measured[name] is not None for name in CLEAR_COLUMNS)
    references = measure_references(sweep, tmp_path / "out")
    assert set(references.measured) == {"compromised", "gold"}
    # Gold is as near to itself as can be, and nothing else is.
    gold = references.measured["gold"].values
    assert gold["FQRowsGen"] == pytest.approx(1.0)
    assert (measured["FQRowsGen"] or 0) < 1
    made_from = json.loads((tmp_path / "out" / "runs" / sweep.jobs[0].key / "made_from.json").read_text("utf-8"))
    assert made_from["gold"] == references.measured_from["gold"]

    results = run_sweep(sweep, tmp_path / "out", Nobody(1, 1), lambda result: None)
    assert results[0] == found
    assert [(result.job.method, result.problem) for result in results[1:]] == [("finetune", "no"), ("twins", "no")]


def test_the_table_has_clears_measures_and_no_diagnosis(sweep_file: Path) -> None:
    job = read_sweep(sweep_file).jobs[0]
    values = dict.fromkeys(CLEAR_COLUMNS, 0.25)
    runs = [RunResult(job, 2, 1.0, Measured({**values, "ForgetTables": level}), None, None) for level in (0.1, 0.3)]
    rows = sweep_table(runs, {"compromised": Evidence(values), "gold": Evidence(values)})
    assert set(CLEAR_COLUMNS) <= {metric.name for metric in metrics_of("CLEAR")}
    *_, row = rows
    assert (row.metrics["ForgetTables"].mean, row.criteria, row.diagnoses) == (pytest.approx(0.2), (), {})
    lines = table_markdown(rows).splitlines()
    assert lines[2] == f"| method | seeds | pairs | {' | '.join(CLEAR_COLUMNS)} |"
    assert {line.count("|") for line in lines[2:]} == {len(CLEAR_COLUMNS) + 4}
    assert "0.200 ± 0.141" in lines[-1]
    read = list(csv.DictReader(io.StringIO(table_csv(rows))))
    assert float(read[-1]["ForgetTables"]) == pytest.approx(0.2)


def test_the_papers_tables_have_what_was_measured_and_what_was_published(sweep_file: Path, tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(
        sweep_file.read_text("utf-8").partition("[[runs]]")[0].replace('["both"]', '["both", "visual", "text"]')
        + "".join(f'[[runs]]\nmethod = "{method}"\n' for method in ("ga", "dpo", "finetune", "sku"))
        + '[[runs]]\nmethod = "kl"\nset.batch_size = 8\n',
        "utf-8",
    )
    levels = {"ga": 0.1, "dpo": 0.2, "finetune": 0.4, "sku": 0.3}
    turned = {"visual": -1.0, "text": 1.0, "both": 1.0}
    runs = []
    for job in read_sweep(tmp_path / "sweep.toml").jobs:
        forget = 0.5 + turned[job.modality] * levels.get(job.method, 0.0)
        values = {"RealText": 0.25, "RetainText": 0.5, "ForgetText": forget, "FQRowsGen": 0.75}
        runs.append(RunResult(job, 2, 1.0, Measured(values), None, None))
    base = Evidence({"RealText": 0.8, "RetainText": 0.9, "ForgetText": 0.95, "FQRowsGen": 0.2})
    lines = clear_tables(runs, {"compromised": base, "gold": base}).splitlines()
    # With the paper's values of table 1, and of table 3 for the same method.
    assert "| Gold | 0.800 *0.50* | 0.900 *0.51* | 0.950 *0.19* | 0.200 *1.00* |" in lines
    assert "| GA | 0.250 *0.27* | 0.500 *0.00* | 0.600 *0.00* | 0.750 *0.67* |" in lines
    assert "| DPO | 0.250 *0.46* | 0.500 *0.48* | 0.700 *0.22* | 0.750 *0.84* |" in lines
    assert "| DPO | visual | 0.250 *0.48* | 0.500 *0.49* | 0.300 *0.23* | 0.750 *0.84* |" in lines
    # Table 3 has no SKU, and other hyperparameters are another method.
    assert "| SKU | text | 0.250 | 0.500 | 0.800 | 0.750 |" in lines
    assert not [line for line in lines if line.startswith("| KL")]
    # Text alone orders the methods as both do, images alone the other way round.
    assert "| text | 1.000 *0.705* | 0.000 | 4 |" in lines
    assert "| visual | -1.000 *0.205* | 0.000 | 4 |" in lines


@pytest.mark.usefixtures("shipped_assets")
def test_the_tables_in_the_docs_are_those_of_the_kept_runs() -> None:
    sweep = read_sweep(SHIPPED)
    kept = SHIPPED.parent / "clear-mini"
    results = run_sweep(sweep, kept, Nobody(1, 1), lambda result: None)
    tables = clear_tables(results, measure_references(sweep, kept).evidence)
    docs = (SHIPPED.parents[2] / "docs" / "clear.md").read_text("utf-8")
    assert [result.problem for result in results] == [""] * 108
    for table in re.findall(r"(?:^\|.*\n?)+", tables, re.MULTILINE):
        assert table.strip() in docs
