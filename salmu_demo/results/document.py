"""Results as files: everything in one versioned JSON, and reading it or an official file back.

The schema of `results.json` is described in `docs/results-schema.md`. What is read may come from strangers: every
value is checked, and the first that does not fit is named. The part `analysis` is for other programs: what is read is
analysed anew.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePath
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import ResultError
from salmu_demo.core.files import write_text
from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.metrics import DECISIONS, Metric, MetricResult, Rows, all_metrics, official_metrics
from salmu_demo.metrics.protocol import GENKNOW_SKIPPED, SEED
from salmu_demo.models.roles import ORIGINS, REFERENCES, ROLE_NAMES, ModelRole
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.analysis_document import analysis_document
from salmu_demo.results.official import SCHEMA_VERSION, official_names, official_result
from salmu_demo.results.records import Evaluation, MeasuredData, MeasuredModel, Provenance

SCHEMA: Final = "salmu-demo/results"
VERSION: Final = 1
RESULTS_FILE: Final = "results.json"
MAX_BYTES: Final = 400_000_000
"""Largest file that is read; the official data with four models make about 40 MB."""

_ARRAYS: Final = {"scores": np.float64, "rows": np.int64, "ranks": np.float64, "candidates": np.int64}
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_ROUNDING: Final = 1e-3
"""How far beyond 1 a cosine may come out."""

_LARGEST_WHOLE: Final = 2.0**53
"""Beyond it a number of JSON is no exact integer."""
_UNKNOWN_DATA: Final = "unknown data"

T = TypeVar("T")
C = TypeVar("C", bound=str)


@dataclass(frozen=True)
class ResultFile:
    """What a result file holds.

    Attributes:
        evaluations: one for each model.
        older: whether an older version of this program wrote it.
    """

    evaluations: list[Evaluation]
    older: bool = False


def results_document(analysis: Analysis) -> dict[str, Any]:
    """Evaluations of the same data, and what they say together, as one JSON object."""
    evaluations = [model.evaluation for model in analysis.models]
    first = evaluations[0]
    rows = {name: value for evaluation in evaluations for name, value in evaluation.rows.items()}
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "notice": " ".join(filter(None, (first.data.notice, SCORES_NOTICE))),
        "data": asdict(first.data),
        "rows": {name: {f.name: list(getattr(value, f.name)) for f in fields(Rows)} for name, value in rows.items()},
        "models": [
            {
                "model": asdict(evaluation.model),
                "made": asdict(evaluation.made),
                "metrics": {name: metric_document(result) for name, result in evaluation.results.items()},
            }
            for evaluation in evaluations
        ],
        "analysis": analysis_document(analysis),
        "decisions": [asdict(decision) for decision in DECISIONS],
    }


def metric_document(result: MetricResult) -> dict[str, Any]:
    """One metric as JSON; :func:`read_metric` gives the same bits back."""
    document: dict[str, Any] = {"value": result.value, "seconds": round(result.seconds, 6)}
    for name in _ARRAYS:
        array = getattr(result, name)
        if array is not None:
            document[name] = array.tolist()
    if result.r_at_1 is not None:
        document["R@1"] = result.r_at_1
    if result.measured_on is not None:
        document["measured_on"] = result.measured_on
    return document


def read_metric(document: Any, spec: Metric) -> MetricResult:
    """Read what :func:`metric_document` wrote; raises :class:`ResultError`."""
    where = spec.name
    entry = _object(document, where)
    arrays = {name: _array(entry[name], f"{where}.{name}", kind) for name, kind in _ARRAYS.items() if name in entry}
    if len({len(array) for array in arrays.values()}) > 1:
        raise ResultError(f"{where} has lists of different lengths; export the file again.")
    if "scores" in arrays and (abs(arrays["scores"]) > 1 + _ROUNDING).any():
        raise ResultError(f"{where}.scores has a number that does not lie between -1 and 1; export the file again.")
    if "ranks" in arrays and (arrays["ranks"] < 1).any():
        raise ResultError(f"{where}.ranks has a rank below 1; export the file again.")
    if {"ranks", "candidates"} <= arrays.keys() and (arrays["ranks"] > arrays["candidates"]).any():
        raise ResultError(f"{where}.ranks has a rank above the number of candidates; export the file again.")
    return MetricResult(
        spec,
        _metric_value(entry.get("value"), where, "scores" in arrays),
        **arrays,
        r_at_1=None if entry.get("R@1") is None else _number(entry["R@1"], f"{where}.R@1"),
        measured_on=_text(entry.get("measured_on"), f"{where}.measured_on"),
        seconds=_number(entry.get("seconds", 0.0), f"{where}.seconds"),
    )


def write_results(analysis: Analysis, folder: Path) -> list[Path]:
    """Write `results.json` and the official file of every model; returns their paths, `results.json` first.

    Raises:
        StorageError: if a file cannot be written.
    """
    paths = [folder / RESULTS_FILE]
    write_text(paths[0], json.dumps(results_document(analysis), ensure_ascii=False) + "\n", "The result file")
    for name, document in official_files([model.evaluation for model in analysis.models]).items():
        paths.append(folder / name)
        write_text(paths[-1], document, "The result file")
    return paths


def official_files(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Name and content of the official file of every model, see :func:`official_names`."""
    names = official_names([evaluation.model for evaluation in evaluations], evaluations[0].data)
    return {
        f"{name}.json": json.dumps(official_result(evaluation), indent=1, ensure_ascii=False) + "\n"
        for name, evaluation in zip(names, evaluations, strict=True)
    }


def result_files(path: Path) -> list[Path]:
    """The result files a path stands for; of a folder `results.json`, or else its official files.

    Raises:
        ResultError: if a folder holds none.
    """
    if not path.is_dir():
        return [path]
    if (path / RESULTS_FILE).is_file():
        return [path / RESULTS_FILE]
    official = sorted(path.glob("evaluation_*.json"))
    if not official:
        raise ResultError(f"{path} holds neither {RESULTS_FILE} nor evaluation_*.json; give a folder of results.")
    return official


def distinct(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Each model on each data once, with its rows if any file has them: references are measured along every time."""
    found: dict[tuple[str, str | None, tuple[str, str]], Evaluation] = {}
    for evaluation in evaluations:
        model = evaluation.model
        # Beside a namesake it had a longer name.
        key = (PurePath(model.name).name, model.fingerprint, evaluation.data.key)
        if key not in found or (evaluation.rows and not found[key].rows):
            found[key] = evaluation
    return list(found.values())


def read_results(path: Path) -> list[Evaluation]:
    """The evaluations of a `results.json` or an official result file, see :func:`read_result_file`."""
    return read_result_file(path).evaluations


def read_result_file(path: Path) -> ResultFile:
    """Read a `results.json` or an official result file.

    Raises:
        ResultError: if it is neither, or a value does not fit.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ResultError(f"{path} is larger than {MAX_BYTES // 10**6} MB; it is no result file.")
        text = path.read_text("utf-8-sig")
        document = json.loads(text)
        if _SURROGATE.search(text):
            # Half of a pair is a string to JSON but can be written to no file.
            json.dumps(document, ensure_ascii=False).encode()
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path} is not JSON; give a results.json or an official result file.") from error
    try:
        if isinstance(document, dict) and document.get("schema") == SCHEMA:
            return ResultFile(_read_full(document))
        if isinstance(document, dict) and {"efficacy", "utility"} & document.keys():
            return _read_official(document, path.stem.removeprefix("evaluation_"))
    except ResultError as error:
        raise ResultError(f"{path}: {error}") from error
    raise ResultError(f"{path} is neither a results.json nor an official result file (with `efficacy` and `utility`).")


def _read_full(document: dict[str, Any]) -> list[Evaluation]:
    if document.get("version") != VERSION:
        raise ResultError(f"its schema version is {document.get('version')!r}; this program reads version {VERSION}.")
    data = _read_data(document.get("data"))
    rows = {}
    for name, entry in _object(document.get("rows"), "rows").items():
        columns = {f.name: _column(_object(entry, name).get(f.name), f"rows.{name}.{f.name}") for f in fields(Rows)}
        if len({len(column) for column in columns.values()}) > 1:
            raise ResultError(f"rows.{name} has columns of different lengths; export the file again.")
        rows[name] = Rows(**columns)
    evaluations = []
    for number, entry in enumerate(_list(document.get("models"), "models")):
        content = _object(entry, f"models[{number}]")
        metrics = _object(content.get("metrics"), "metrics")
        results = {s.name: read_metric(metrics[s.name], s) for s in all_metrics() if s.name in metrics}
        for name, result in results.items():
            _check_rows(name, result, rows)
        made = _read_made(content.get("made"))
        evaluations.append(Evaluation(_read_model(content.get("model")), data, results, rows, made))
    if not evaluations:
        raise ResultError("it holds no model; export the file again.")
    return evaluations


def _check_rows(name: str, result: MetricResult, rows: dict[str, Rows]) -> None:
    """Row numbers must point at rows that are there."""
    if result.rows is None or not len(result.rows):
        return
    count = len(rows[result.spec.split]) if result.spec.split in rows else 0
    if result.rows.min() < 0 or result.rows.max() >= count:
        raise ResultError(f"{name}.rows names rows that {result.spec.split} does not have; export the file again.")


def _read_official(document: dict[str, Any], slug: str) -> ResultFile:
    """An official file: values, and the outcomes it lists, but not which rows they belong to."""
    own = _object(document.get("salmu_demo", {}), "salmu_demo")
    results = {}
    for spec in official_metrics():
        section = _object(document.get(spec.pillar, {}), spec.pillar)
        if spec.json_key not in section:
            continue
        entry = _object(section[spec.json_key], spec.json_key)
        names = {"value": spec.value_key, "R@1": "R@1", "ranks": "outcomes", "scores": "scores"}
        known = {ours: entry[official] for ours, official in names.items() if official in entry}
        if spec.on_zero_shot_set:
            known["measured_on"] = own.get("genknow_measured_on")
        results[spec.name] = read_metric(known, spec)
    if not results:
        raise ResultError("it holds none of the ten metrics.")
    data = _read_data(own["data"]) if "data" in own else MeasuredData(_UNKNOWN_DATA)
    model = _read_model(own["model"]) if "model" in own else MeasuredModel(slug, slug)
    older = _number(own.get("schema_version", SCHEMA_VERSION), "schema_version") < SCHEMA_VERSION
    return ResultFile([Evaluation(model, data, results, {}, _read_made(own))], older)


def _read_model(document: Any) -> MeasuredModel:
    entry = _object(document, "model")
    texts = {
        name: _text(entry.get(name), f"model.{name}") for name in ("fingerprint", "revision", "architecture", "device")
    }
    parameters = entry.get("parameters")
    return MeasuredModel(
        _required_text(entry.get("reference"), "model.reference"),
        _required_text(entry.get("name"), "model.name"),
        **texts,
        parameters=None if parameters is None else int(_number(parameters, "model.parameters")),
        remarks=_texts(entry.get("remarks", []), "model.remarks"),
        role=None if entry.get("role") is None else _read_role(entry["role"]),
    )


def _read_role(document: Any) -> ModelRole:
    entry = _object(document, "model.role")

    def one_of(field: str, allowed: Sequence[C]) -> C | None:
        value = _text(entry.get(field), f"model.role.{field}")
        for choice in allowed:
            if choice == value:
                return choice
        if value is not None:
            raise ResultError(f"model.role.{field} is {_short(value)}; it must be one of {', '.join(allowed)}.")
        return None

    name = one_of("name", ROLE_NAMES)
    return ModelRole(name or "other", one_of("origin", ORIGINS), one_of("refused", REFERENCES))


def _read_data(document: Any) -> MeasuredData:
    entry = _object(document, "data")
    return MeasuredData(
        _required_text(entry.get("name"), "data.name"),
        _text(entry.get("fingerprint"), "data.fingerprint"),
        _text(entry.get("revision"), "data.revision"),
        _text(entry.get("notice"), "data.notice") or "",
        _text(entry.get("sample"), "data.sample") or "",
    )


def _read_made(document: Any) -> Provenance:
    entry = _object(document, "made")
    versions = {
        name: _required_text(value, f"versions.{name}")
        for name, value in _object(entry.get("versions", {}), "versions").items()
    }
    seed = int(_number(entry.get("seed", SEED), "seed"))
    measured_by = _text(entry.get("measured_by"), "measured_by") or ""
    return Provenance(_text(entry.get("date"), "date") or "", seed, versions, measured_by)


def _metric_value(value: Any, where: str, scored: bool) -> float | None:
    """The value, or None for a metric that was skipped."""
    if value is None:
        return None
    number = _number(value, where)
    if not -1 <= number <= 1:
        raise ResultError(f"{where} is {number:g}; it must lie between -1 and 1.")
    # Official files, and ours of earlier versions, write a skipped metric so; no mean of real similarities is -1.
    return None if number == GENKNOW_SKIPPED and not scored else number


def _number(value: Any, where: str) -> float:
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer beyond every float
        pass
    raise ResultError(f"{where} must be a finite number, not {_short(value)}.")


def _array(value: Any, where: str, kind: type) -> NDArray[Any]:
    numbers = np.array([_number(entry, f"{where}[{n}]") for n, entry in enumerate(_list(value, where))])
    if kind is np.int64 and ((numbers % 1 != 0) | (abs(numbers) > _LARGEST_WHOLE)).any():
        raise ResultError(f"{where} must hold whole numbers below {_LARGEST_WHOLE:g}; export the file again.")
    return numbers.astype(kind)


def _column(value: Any, where: str) -> list[Any]:
    return [_text(entry, f"{where}[{n}]") for n, entry in enumerate(_list(value, where))]


def _texts(value: Any, where: str) -> tuple[str, ...]:
    return tuple(_required_text(entry, f"{where}[{n}]") for n, entry in enumerate(_list(value, where)))


def _text(value: Any, where: str) -> str | None:
    return None if value is None else _required_text(value, where)


def _required_text(value: Any, where: str) -> str:
    return _checked(value, str, where, "a text")


def _list(value: Any, where: str) -> list[Any]:
    return _checked(value, list, where, "a list")


def _object(value: Any, where: str) -> dict[str, Any]:
    return _checked(value, dict, where, "an object")


def _checked(value: Any, kind: type[T], where: str, what: str) -> T:
    if not isinstance(value, kind):
        raise ResultError(f"{where} must be {what}, not {_short(value)}.")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
