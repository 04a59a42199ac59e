"""The leaderboard to take away: a table as CSV, and one row as a file to submit."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.errors import ResultError
from salmu_demo.core.text import csv_text
from salmu_demo.hub.reference import HF_HUB
from salmu_demo.leaderboard.files import safe_name
from salmu_demo.leaderboard.groups import DataGroup
from salmu_demo.leaderboard.rows import Row, RowSource, plain_text
from salmu_demo.metrics import known_metrics
from salmu_demo.models.source import slug_of
from salmu_demo.results.document import read_results
from salmu_demo.results.official import official_result
from salmu_demo.results.records import Evaluation

SCHEMA: Final = "salmu-demo/submission"
VERSION: Final = 1


@dataclass(frozen=True)
class Submission:
    """A file to submit: its name and its content."""

    name: str
    text: str


def board_csv(tables: Iterable[tuple[DataGroup, Iterable[Row]]]) -> str:
    """One line for each row, metrics with six decimals; every line says on what data it was measured, and its source.

    Args:
        tables: groups with those of their rows that are wanted, in order.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    wanted = [(group, list(rows)) for group, rows in tables]
    filled = {name for _, rows in wanted for row in rows for name in row.values}
    known = known_metrics()
    metrics = [spec.name for spec in known if spec.benchmark == "SALMUBench" or spec.name in filled]
    writer.writerow(
        ["data", "data_fingerprint", "revision", "sample", "identified", "model", "fingerprint", "source", "origin",
         "date", "diagnosis", "reason", "mark", "remarks", *metrics, "genknow_measured_on", "notice"]
    )  # fmt: skip
    for group, rows in wanted:
        for row in rows:
            data, checkpoint = row.data, row.model.fingerprint if row.model else None
            texts = (
                data.name, data.fingerprint or "", data.revision or "", data.sample or "all rows",
                "yes" if group.identified else "no", row.name, plain_text(checkpoint or ""), row.source, row.origin,
                row.date, row.diagnosis, row.reason, row.marked, " ".join(row.remarks),
            )  # fmt: skip
            values = [row.values.get(name) for name in metrics]
            writer.writerow(
                [
                    *map(csv_text, texts),
                    *("" if value is None else f"{value:.6f}" for value in values),
                    csv_text(row.zero_shot or ""),
                    csv_text(data.notice),
                ]
            )
    return buffer.getvalue()


def submission(row: Row) -> Submission:
    """A row in the official shape, with the block `submission`, which is the same whoever submits it.

    Names of folders are left out: a reference to this machine becomes the short name.

    Raises:
        ResultError: if the row cannot be submitted, or its file has changed.
    """
    if row.source is RowSource.PUBLISHED or row.file is None:
        raise ResultError(f"{row.name} is a published row; choose a result of your own to submit.")
    if row.data.fingerprint is None or row.model is None or row.model.fingerprint is None:
        raise ResultError(f"{row.name} cannot be submitted: its file does not identify both the model and the data.")
    evaluations = read_results(row.file)
    if row.position >= len(evaluations) or evaluations[row.position].model != row.model:
        raise ResultError(f"{row.origin} has changed; show the leaderboard again.")
    evaluation = _without_folders(evaluations[row.position])
    document = official_result(evaluation)
    document["submission"] = _block(evaluation, row)
    name = f"submission_{safe_name(slug_of(evaluation.model.reference))}.json"
    return Submission(name, json.dumps(document, indent=1, ensure_ascii=True) + "\n")


def _block(evaluation: Evaluation, row: Row) -> dict[str, Any]:
    """What of a submission depends on the measurement alone, and a digest of it."""
    model, data = evaluation.model, evaluation.data
    content = {
        "schema": SCHEMA,
        "version": VERSION,
        "model_fingerprint": model.fingerprint,
        "data_fingerprint": data.fingerprint,
        "data_revision": data.revision,
        "sample": data.sample,
        "genknow_measured_on": evaluation.zero_shot,
        "seed": evaluation.made.seed,
        "values": dict(sorted(row.values.items())),
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {**content, "digest": digest, "model": model.name, "data": data.name, "diagnosis": row.diagnosis}


def _without_folders(evaluation: Evaluation) -> Evaluation:
    """The evaluation as another machine would name model and data."""
    model, data = evaluation.model, evaluation.data
    reference = model.reference if model.reference.startswith(HF_HUB) else model.name
    name = data.name if data.revision else Path(data.name).name
    results = {
        metric: replace(result, measured_on=result.measured_on and result.measured_on.replace(data.name, name))
        for metric, result in evaluation.results.items()
    }
    remarks = tuple(remark.replace(model.reference, reference) for remark in model.remarks)
    model = replace(model, reference=reference, remarks=remarks)
    return replace(evaluation, model=model, data=replace(data, name=name), results=results)
