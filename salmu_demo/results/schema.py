"""The format of `results.json`: what is written, what is read, and what `docs/results-schema.md` lists.

What is read may come from strangers, so every value is checked. The docstrings here and those of the records document
the fields.
"""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    SkipValidation,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from salmu_demo.core.documents import misfit
from salmu_demo.core.errors import quoted
from salmu_demo.metrics import Decision, Rows, known_metrics
from salmu_demo.metrics.intervals import Interval
from salmu_demo.metrics.protocol import GENKNOW_SKIPPED
from salmu_demo.metrics.ranking import MOST_BITS
from salmu_demo.results.analysis import Disagreement
from salmu_demo.results.breakdown import GroupMean
from salmu_demo.results.questions import Answer, Label
from salmu_demo.results.records import MeasuredData, MeasuredModel, Provenance, RecordedAttack

SCHEMA: Final = "salmu-demo/results"
VERSION: Final = 1

_ROUNDING: Final = 1e-3
"""How far beyond 1 a cosine may come out."""
_MOST: Final = MOST_BITS
"""No value or score of our metrics is further from 0; of most it stays within 1, see `out_of_range`."""
_LARGEST_WHOLE: Final = 2.0**53
"""Beyond it a JSON number is not an exact integer."""
_MOST_LEFT_OUT: Final = 100
"""Metrics without their plug-in whose names are read; a stranger's file may hold millions."""


def _number(value: Any) -> float:
    """A finite number; neither a text nor a boolean is one."""
    try:
        if type(value) in (int, float) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer beyond every float
        pass
    raise misfit(f"is {quoted(value)}; it must be a finite number")


def _headline(value: Any) -> float | None:
    if value is None:
        return None
    return _number(value)


def _version(value: Any) -> Any:
    if value != VERSION:
        raise misfit(f"is {quoted(value)}; this program reads version {VERSION}")
    return value


def _floats(value: Any) -> NDArray[np.float64]:
    """A list of finite numbers, checked as an array: entry by entry it takes thirty times as long."""
    if not isinstance(value, list):
        raise misfit(f"is {quoted(value)}; it must be a list")
    if set(map(type, value)) <= {int, float}:
        try:
            numbers = np.array(value, dtype=np.float64)
            if np.isfinite(numbers).all():
                return numbers
        except OverflowError:  # an integer beyond every float
            pass
    # Only the error is looked for entry by entry.
    return np.array([_number(entry) for entry in value])


def _ranks(value: Any) -> NDArray[np.float64]:
    numbers = _floats(value)
    if (numbers < 1).any():
        raise misfit("has a rank below 1; export the file again")
    return numbers


def _whole(value: Any) -> NDArray[np.int64]:
    numbers = _floats(value)
    if ((numbers % 1 != 0) | (abs(numbers) > _LARGEST_WHOLE)).any():
        raise misfit(f"must hold whole numbers below {_LARGEST_WHOLE:g}; export the file again")
    return numbers.astype(np.int64)


def _ends_of(found: Any) -> Any:
    """The two ends of an interval."""
    return (found.low, found.high) if isinstance(found, Interval) else found


def _are_within(rows: NDArray[np.int64], count: int) -> bool:
    return not len(rows) or bool(rows.min() >= 0 and rows.max() < count)


_AS_LIST: Final = PlainSerializer(lambda array: None if array is None else array.tolist())
_SCORES: Final = WithJsonSchema({"type": "array", "items": {"type": "number", "minimum": -_MOST, "maximum": _MOST}})
_NUMBERS: Final = WithJsonSchema({"type": "array", "items": {"type": "number"}})
_INTEGERS: Final = WithJsonSchema({"type": "array", "items": {"type": "integer"}})

Number = Annotated[float, BeforeValidator(_number)]
Ends = tuple[float, float]
MetricName = Annotated[str, Field(description="METRIC")]
SplitName = Annotated[str, Field(description="SPLIT")]
KindName = Annotated[str, Field(description="KIND")]
SideName = Annotated[str, Field(description="SIDE")]
PersonaId = Annotated[str, Field(description="PERSONA")]


class MetricPart(BaseModel):
    """One metric of one model; the lists have one entry for each scored row and belong together entry by entry.

    Attributes:
        value: headline value, the mean of `scores`, from −1 to 1 unless it is in bits; null if skipped, for which
            earlier versions wrote −1.
        seconds: time it took, features included.
        scores: what each row or fact contributes, within the same bounds: 1 / rank, a cosine, bits, or 1 for right and
            0 for wrong.
        rows: row of each score in `rows.SPLIT`, counted from 0; of a fact its first row.
        ranks: of metrics that rank: rank of the row's own caption or value, from 1; ties count half.
        candidates: of metrics that rank: captions or values it was ranked among.
        r_at_1: of metrics that rank: share of ranks that are exactly 1.
        measured_on: GenKnow only: the zero-shot set.
        reason: why it was skipped.
    """

    model_config = ConfigDict(populate_by_name=True)

    value: Annotated[
        float | None, BeforeValidator(_headline), Field(json_schema_extra={"minimum": -_MOST, "maximum": _MOST})
    ]
    seconds: Annotated[Number, PlainSerializer(lambda seconds: round(seconds, 6))] = 0.0
    scores: Annotated[NDArray[np.float64] | None, PlainValidator(_floats), _AS_LIST, _SCORES] = None
    rows: Annotated[NDArray[np.int64] | None, PlainValidator(_whole), _AS_LIST, _INTEGERS] = None
    ranks: Annotated[NDArray[np.float64] | None, PlainValidator(_ranks), _AS_LIST, _NUMBERS] = None
    candidates: Annotated[NDArray[np.int64] | None, PlainValidator(_whole), _AS_LIST, _INTEGERS] = None
    r_at_1: Annotated[Number | None, Field(alias="R@1")] = None
    measured_on: str | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _belong_together(self) -> "MetricPart":
        lists = (self.scores, self.rows, self.ranks, self.candidates)
        if len({len(entries) for entries in lists if entries is not None}) > 1:
            raise misfit("has lists of different lengths; export the file again")
        if self.ranks is not None and self.candidates is not None and (self.ranks > self.candidates).any():
            raise misfit("has a rank above the number of candidates; export the file again")
        if self.value == GENKNOW_SKIPPED and self.scores is None:
            # So official files write a skipped metric; no mean of real similarities is -1.
            self.value = None
        return self

    @model_serializer(mode="wrap")
    def _what_is_known(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if name == "value" or value is not None}


def out_of_range(part: MetricPart, largest: float) -> str:
    """What of a metric lies further from 0 than `largest`, as a clause; empty if nothing does."""
    if part.value is not None and abs(part.value) > largest:
        return f"value is {part.value:g}; it must lie between {-largest:g} and {largest:g}"
    if part.scores is not None and (abs(part.scores) > largest + _ROUNDING).any():
        return f"scores has a number that does not lie between {-largest:g} and {largest:g}; export the file again"
    return ""


def _known_metrics(value: Any) -> Any:
    """A plug-in or a later version may measure more: of such a metric nothing but the name is read."""
    if not isinstance(value, Mapping):
        return value
    known = {spec.name for spec in known_metrics()}
    others = islice((name for name in value if name not in known), _MOST_LEFT_OUT)
    return {name: entry for name, entry in value.items() if name in known} | {name: {"value": None} for name in others}


class ModelPart(BaseModel):
    """A model and what was measured of it.

    Attributes:
        model: the model.
        made: how and when its numbers were made.
        metrics: its metrics.
        attacks: what attacks have recovered of it.
    """

    model: MeasuredModel
    made: Provenance
    metrics: Annotated[dict[MetricName, MetricPart], BeforeValidator(_known_metrics)]
    attacks: tuple[RecordedAttack, ...] = ()


class IntervalsPart(BaseModel):
    """How intervals were made.

    Attributes:
        level: share of resamples an interval holds.
        resamples: number of bootstrap resamples.
        drawn: what is drawn with replacement.
    """

    level: float
    resamples: int
    drawn: str


class CriterionPart(BaseModel, from_attributes=True):
    """One quantity that answers a question of the diagnosis.

    Attributes:
        name: the question it belongs to, in the order of the rule.
        measure: what was measured.
        value: measured share.
        interval: its interval; null if the rows are unknown.
        threshold: what it is held against.
        margin: distance to the threshold, positive on the good side.
        passed: whether it is met; null if it is not measured, or the margin lies inside the interval.
        gold: the same share of the model that was retrained without the forget rows.
        sentence: the quantity in words.
    """

    name: str
    measure: str
    value: float | None
    interval: Annotated[Ends | None, BeforeValidator(_ends_of)]
    threshold: float
    margin: float | None
    passed: bool | None
    gold: float | None
    sentence: str


class QuestionPart(BaseModel):
    """One question of the diagnosis.

    Attributes:
        name: short name of a question of the rule, in its order.
        question: the question.
        answer: its answer.
        sentence: the quantity that decides it, in words.
        missing: what of it was not measured, and why.
    """

    name: str
    question: str
    answer: Answer
    sentence: str
    missing: list[str]


class DiagnosisPart(BaseModel):
    """What a model did.

    Attributes:
        label: what became of the model.
        utility_efficient: whether the published criterion of utility-efficient deletion is met.
        assocstr_below_clean: whether AssocStr is below Clean's.
        questions: the questions of the rule and their answers.
        criteria: the quantities that answer them.
    """

    label: Label
    utility_efficient: bool | None
    assocstr_below_clean: bool | None
    questions: list[QuestionPart]
    criteria: list[CriterionPart]


class ExposurePart(BaseModel, from_attributes=True):
    """How exposed each kind of attribute of each persona is.

    Attributes:
        personas: rows of `bits`.
        kinds: columns of `bits`.
        bits: mean of log2(candidates) − log2(rank) of each persona and kind, in bits.
    """

    personas: list[str]
    kinds: list[str]
    bits: Annotated[
        list[list[float | None]],
        BeforeValidator(lambda bits: [[None if math.isnan(bit) else bit for bit in row] for row in bits.tolist()]),
    ]


class SidePart(BaseModel, from_attributes=True):
    """A metric over the people of one side.

    Attributes:
        people: how many people they are.
        mean: mean of their rows.
        interval: its interval; null for a single person.
    """

    people: int
    mean: float
    interval: Annotated[Ends | None, BeforeValidator(_ends_of)]


class ModelAnalysisPart(BaseModel):
    """One model among those it was measured with.

    Attributes:
        name: as in `models`.
        fingerprint: as in `models`.
        intervals: lower and upper end of the interval of the value.
        positions: place between Clean and Compromised.
        distances: distance to the target in positions, 0 on target.
        diagnosis: null for the references.
        by_kind: means by kind of attribute.
        by_persona: means by persona.
        by_side: means over people with nothing kept and over people with pairs on both sides.
        exposure: null if ranks or their rows are unknown.
    """

    name: str
    fingerprint: str | None
    intervals: dict[MetricName, Ends | None]
    positions: dict[MetricName, float | None]
    distances: dict[MetricName, float | None]
    diagnosis: DiagnosisPart | None
    by_kind: dict[MetricName, dict[KindName, GroupMean]]
    by_persona: dict[MetricName, dict[PersonaId, GroupMean]]
    by_side: dict[MetricName, dict[SideName, SidePart]]
    exposure: ExposurePart | None


class DifferencePart(BaseModel):
    """One metric of two models on the same rows.

    Attributes:
        metric: metric of a paired difference.
        first: number of the first model.
        second: number of the second model.
        value: value of the first minus value of the second.
        interval: its interval, both models resampled with the same personas.
        significant: whether the interval leaves out 0.
    """

    metric: str
    first: int
    second: int
    value: float
    interval: Ends
    significant: bool


class AnalysisPart(BaseModel):
    """What the numbers say together.

    Attributes:
        intervals: how intervals were made.
        targets: value to reach: Clean's for efficacy, Compromised's for utility.
        models: each model.
        differences: paired differences of every two models.
        disagreements: rows on which every two models differ most.
    """

    intervals: IntervalsPart
    targets: dict[MetricName, float | None]
    models: list[ModelAnalysisPart]
    differences: list[DifferencePart]
    disagreements: list[Disagreement]


class ResultsDocument(BaseModel):
    """A whole `results.json`.

    Attributes:
        schema_name: `salmu-demo/results`.
        version: version of this schema; it is raised whenever a field changes its meaning or goes away.
        notice: what every view of these numbers must say.
        data: the data set.
        rows: the measured rows of each split.
        models: each model.
        analysis: what follows from the rest; it is computed anew by whoever reads the file.
        decisions: what the protocol's public description leaves open.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_name: Annotated[Literal["salmu-demo/results"], Field(alias="schema")] = SCHEMA
    version: Annotated[Literal[1], BeforeValidator(_version)] = VERSION
    notice: SkipValidation[str] = ""
    data: MeasuredData
    rows: dict[SplitName, Rows]
    models: list[ModelPart]
    analysis: SkipValidation[AnalysisPart | None] = None
    decisions: SkipValidation[tuple[Decision, ...]] = ()

    @model_validator(mode="after")
    def _belong_together(self) -> "ResultsDocument":
        for split, rows in self.rows.items():
            if len({len(rows.file_names), len(rows.identities), len(rows.kinds), len(rows.texts)}) > 1:
                raise misfit(f"rows.{split} has columns of different lengths; export the file again")
        if not self.models:
            raise misfit("it holds no model; export the file again")
        specs = {spec.name: spec for spec in known_metrics()}
        for number, part in enumerate(self.models):
            for name, metric in part.metrics.items():
                if name not in specs:
                    continue  # Left out, see `_known_metrics`.
                split, where = specs[name].split, f"models[{number}].metrics.{name}"
                measured = self.rows.get(split)
                problem = out_of_range(metric, specs[name].largest)
                if problem:
                    raise misfit(f"{where}.{problem}")
                if metric.rows is not None and not _are_within(metric.rows, 0 if measured is None else len(measured)):
                    raise misfit(f"{where}.rows names rows that {split} does not have; export the file again")
        return self
