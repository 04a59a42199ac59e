"""Results as files: everything in one versioned JSON, and reading it or an official file back.

The format is `salmu_demo.results.schema`. The part `analysis` is for other programs: it is computed anew.
"""

import codecs
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

from pydantic import BaseModel

from salmu_demo.core.documents import MismatchError, NotJSONError, check_model, parse_model
from salmu_demo.core.errors import ResultError, quoted
from salmu_demo.core.files import write_text
from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.metrics import DECISIONS, Metric, MetricResult, known_metrics, official_metrics
from salmu_demo.metrics.intervals import LEVEL, RESAMPLES, Interval
from salmu_demo.metrics.protocol import SEED
from salmu_demo.results.analysis import Analysis, ModelAnalysis
from salmu_demo.results.diagnosis import Diagnosis
from salmu_demo.results.official import SCHEMA_VERSION, official_names, official_result
from salmu_demo.results.records import Evaluation, MeasuredData, MeasuredModel, Provenance
from salmu_demo.results.schema import (
    AnalysisPart,
    CriterionPart,
    DiagnosisPart,
    DifferencePart,
    Ends,
    ExposurePart,
    IntervalsPart,
    MetricPart,
    ModelAnalysisPart,
    ModelPart,
    Number,
    QuestionPart,
    ResultsDocument,
    SidePart,
    out_of_range,
)

RESULTS_FILE: Final = "results.json"
MAX_BYTES: Final = 400_000_000
"""Largest file that is read; the official data with four models make about 40 MB."""

_IS_FULL: Final = re.compile(rb'"schema"\s*:\s*"salmu-demo/results"')
_UNKNOWN_DATA: Final = "unknown data"


@dataclass(frozen=True)
class ResultFile:
    """What a result file holds.

    Attributes:
        evaluations: one for each model.
        older: whether an older version of this program wrote it.
    """

    evaluations: list[Evaluation]
    older: bool = False


class _OfficialOrigin(BaseModel):
    """The block `salmu_demo` of an official file; other programs write none."""

    schema_version: Number = SCHEMA_VERSION
    date: str = ""
    model: MeasuredModel | None = None
    data: MeasuredData = MeasuredData(_UNKNOWN_DATA)
    genknow_measured_on: str | None = None
    seed: int = SEED
    versions: dict[str, str] = {}
    measured_by: str = ""


class _OfficialDocument(BaseModel):
    """An official file: a section for each pillar, with the metrics by their official keys."""

    efficacy: dict[str, Any] = {}
    utility: dict[str, Any] = {}
    salmu_demo: _OfficialOrigin = _OfficialOrigin()


def results_document(analysis: Analysis) -> dict[str, Any]:
    """Evaluations of the same data, and what they say together, as one JSON object."""
    evaluations = [model.evaluation for model in analysis.models]
    first = evaluations[0]
    return ResultsDocument(
        notice=" ".join(filter(None, (first.data.notice, SCORES_NOTICE))),
        data=first.data,
        rows={name: rows for evaluation in evaluations for name, rows in evaluation.rows.items()},
        models=[
            ModelPart(
                model=evaluation.model,
                made=evaluation.made,
                metrics={name: _metric_part(result) for name, result in evaluation.results.items()},
                attacks=evaluation.attacks,
            )
            for evaluation in evaluations
        ],
        analysis=_analysis_part(analysis),
        decisions=DECISIONS,
    ).model_dump(by_alias=True)


def metric_document(result: MetricResult) -> dict[str, Any]:
    """One metric as JSON; `read_metric` gives the same bits back."""
    return _metric_part(result).model_dump(by_alias=True)


def _metric_part(result: MetricResult) -> MetricPart:
    return MetricPart.model_construct(**{name: getattr(result, name) for name in MetricPart.model_fields})


def read_metric(document: Any, spec: Metric) -> MetricResult:
    """Read what `metric_document` wrote; raises `ResultError`."""
    try:
        part = check_model(document, MetricPart)
    except MismatchError as error:
        raise ResultError(f"{spec.name}.{error}.") from error
    problem = out_of_range(part, spec.largest)
    if problem:
        raise ResultError(f"{spec.name}.{problem}.")
    return _metric_result(part, spec)


def _metric_result(part: MetricPart, spec: Metric) -> MetricResult:
    return MetricResult(spec, **{name: getattr(part, name) for name in MetricPart.model_fields})


def _analysis_part(analysis: Analysis) -> AnalysisPart:
    return AnalysisPart(
        intervals=IntervalsPart(level=LEVEL, resamples=RESAMPLES, drawn="personas, of GenKnow classes"),
        targets={row.spec.name: row.target for row in analysis.comparison.rows},
        models=[_model_part(model) for model in analysis.models],
        differences=[
            DifferencePart(
                metric=d.metric,
                first=d.first,
                second=d.second,
                value=d.difference.value,
                interval=(d.difference.interval.low, d.difference.interval.high),
                significant=d.difference.significant,
            )
            for d in analysis.differences
        ],
        disagreements=list(analysis.disagreements),
    )


def _model_part(model: ModelAnalysis) -> ModelAnalysisPart:
    return ModelAnalysisPart(
        name=model.evaluation.model.name,
        fingerprint=model.evaluation.model.fingerprint,
        intervals={name: _ends(found) for name, found in model.intervals.items()},
        positions=model.positions,
        distances=model.distances,
        diagnosis=None if model.diagnosis is None else _diagnosis_part(model.diagnosis),
        by_kind=model.by_kind,
        by_persona=model.by_persona,
        by_side={
            metric: {side: SidePart.model_validate(mean) for side, mean in sides.items()}
            for metric, sides in model.by_side.items()
        },
        exposure=None if model.exposure is None else ExposurePart.model_validate(model.exposure),
    )


def _diagnosis_part(diagnosis: Diagnosis) -> DiagnosisPart:
    return DiagnosisPart(
        label=diagnosis.label,
        utility_efficient=diagnosis.utility_efficient,
        assocstr_below_clean=diagnosis.below_clean,
        questions=[
            QuestionPart(
                name=question.name,
                question=question.words,
                answer=question.answer,
                sentence=question.deciding.sentence,
                missing=list(question.missing),
            )
            for question in diagnosis.questions
        ],
        criteria=[
            CriterionPart.model_validate(criterion)
            for question in diagnosis.questions
            for criterion in question.criteria
        ],
    )


def _ends(found: Interval | None) -> Ends | None:
    return None if found is None else (found.low, found.high)


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
    """Name and content of the official file of every model, see `official_names`."""
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
    """The evaluations of a `results.json` or an official result file, see `read_result_file`."""
    return read_result_file(path).evaluations


def read_result_file(path: Path) -> ResultFile:
    """Read a `results.json` or an official result file.

    Raises:
        ResultError: if it is neither, or a value does not fit.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ResultError(f"{path} is larger than {MAX_BYTES // 10**6} MB; it is not a result file.")
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        if _IS_FULL.search(content):
            return ResultFile(_evaluations(parse_model(content, ResultsDocument, lone_surrogates=False)))
        sections: Any = parse_model(content, object, lone_surrogates=False)
        if isinstance(sections, dict) and {"efficacy", "utility"} & sections.keys():
            official = parse_model(content, _OfficialDocument, lone_surrogates=False)
            return _read_official(official, path.stem.removeprefix("evaluation_"))
    except NotJSONError as error:
        raise ResultError(f"{path} is not JSON; give a results.json or an official result file.") from error
    except MismatchError as error:
        raise ResultError(f"{path}: {error}.") from error
    except ResultError as error:
        raise ResultError(f"{path}: {error}") from error
    raise ResultError(f"{path} is neither a results.json nor an official result file (with `efficacy` and `utility`).")


def _evaluations(document: ResultsDocument) -> list[Evaluation]:
    specs = {spec.name: spec for spec in known_metrics()}
    return [
        Evaluation(
            part.model,
            document.data,
            {name: _metric_result(part.metrics[name], spec) for name, spec in specs.items() if name in part.metrics},
            document.rows,
            part.made,
            part.attacks,
            tuple(name for name in part.metrics if name not in specs),
        )
        for part in document.models
    ]


def _read_official(document: _OfficialDocument, slug: str) -> ResultFile:
    """An official file: values, and the outcomes it lists, but not which rows they belong to."""
    origin = document.salmu_demo
    sections = {"efficacy": document.efficacy, "utility": document.utility}
    names = {"R@1": "R@1", "ranks": "outcomes", "scores": "scores"}
    results = {}
    for spec in official_metrics():
        if spec.json_key not in sections[spec.pillar]:
            continue
        entry = sections[spec.pillar][spec.json_key]
        if not isinstance(entry, dict):
            raise ResultError(f"{spec.pillar}.{spec.json_key} is {quoted(entry)}; it must be an object.")
        known = {ours: entry[key] for ours, key in {"value": spec.value_key, **names}.items() if key in entry}
        if spec.on_zero_shot_set:
            known["measured_on"] = origin.genknow_measured_on
        results[spec.name] = read_metric(known, spec)
    if not results:
        raise ResultError("it holds none of the ten metrics.")
    made = Provenance(origin.date, origin.seed, origin.versions, origin.measured_by)
    evaluation = Evaluation(origin.model or MeasuredModel(slug, slug), origin.data, results, {}, made)
    return ResultFile([evaluation], origin.schema_version < SCHEMA_VERSION)
