"""CLEAR's measures of a model that writes (arXiv 2410.18057, section 5.1): its texts, and how likely it finds others.

Names, captions and answers are those of `clear`, there chosen by dual encoders. A decoder is given an image and the
beginning of a text; the text goes on with what is asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.base import Metric, MetricData, MetricResult, MetricView, Needs, Prompted, Texts, register
from salmu_demo.metrics.choices import (
    choice_cosines,
    choice_probability,
    log_shares,
    log_truth_ratio_over_all,
    truth_ratio_over_all,
    truth_ratio_per_example,
)
from salmu_demo.metrics.clear import TASKS, ChoiceTask
from salmu_demo.metrics.clear_aggregates import TASKS_OF, Aggregate, Form, TaskName, TaskScores, aggregate
from salmu_demo.metrics.clear_protocol import (
    CAPTION_BEGINNING,
    CAPTIONS_SHARE,
    CHOICE_TEMPERATURE,
    FORGET_QUALITY_TASK,
    NAME_PROMPT,
)
from salmu_demo.metrics.forget_quality import forget_quality_by_row, forget_quality_of_distributions, ks_p_value
from salmu_demo.metrics.rouge import rouge_l_recall

Scores: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class DecoderSheet:
    """What a decoder is asked about the rows of a task.

    Attributes:
        prompted: N images, and what is given.
        truths: N texts that are right as the data have them.
        candidates: N lists of texts, the right one first; of captions it is the paraphrase.
    """

    prompted: Prompted
    truths: list[str]
    candidates: list[Sequence[str]]


def sheet_of(task: ChoiceTask, data: MetricData) -> DecoderSheet | None:
    """What a task asks of some data, or None if nothing."""
    choices = data.choices(task.split, task.asked) or []
    rows = [row for row, found in enumerate(choices) if found]
    if not rows:
        return None
    texts = data.rows(task.split).texts
    candidates = [choices[row] for row in rows]
    truths = [texts[row] if task.asked == "caption" else choices[row][0] for row in rows]
    beginnings = [_beginning(task, texts[row], truth) for row, truth in zip(rows, truths, strict=True)]
    return DecoderSheet(Prompted(task.split, np.array(rows), beginnings), truths, candidates)


def _beginning(task: ChoiceTask, text: str, truth: str) -> str:
    if task.prompt == NAME_PROMPT:
        return NAME_PROMPT.partition("{answer}")[0].strip()
    if task.asked == "caption":
        return CAPTION_BEGINNING
    # Where there is no question, the data have the answer in its place.
    return "" if text == truth else text


def _written(task: ChoiceTask, view: MetricView) -> Scores:
    sheet = _sheet(task, view)
    return rouge_l_recall(view.written(sheet.prompted), sheet.truths)


def _probability(task: ChoiceTask, view: MetricView) -> Scores:
    if task.asked != "caption" or CAPTIONS_SHARE:
        return choice_probability(_likely(task, view))
    sheet = _sheet(task, view)
    return np.exp(view.log_likelihoods(sheet.prompted, [[truth] for truth in sheet.truths])[:, 0])


def _truth_ratio(task: ChoiceTask, view: MetricView) -> Scores:
    return truth_ratio_per_example(_likely(task, view))


def _truth_ratio_over_all(task: ChoiceTask, view: MetricView) -> Scores:
    return truth_ratio_over_all(_likely(task, view), task.pillar == "efficacy")


def _likely(task: ChoiceTask, view: MetricView) -> Scores:
    """Minus the losses of a task's candidates, shape (N, C)."""
    sheet = _sheet(task, view)
    return view.log_likelihoods(sheet.prompted, sheet.candidates)


def _sheet(task: ChoiceTask, view: MetricView) -> DecoderSheet:
    sheet = sheet_of(task, view.data)
    assert sheet is not None
    return sheet


@dataclass(frozen=True)
class DecoderScore:
    """One number of a row that a decoder gives.

    Attributes:
        code: in names of metrics.
        title: in tables.
        words: the end of an explanation.
        scores: of a task's rows, shape (N,), each from 0 to 1.
    """

    code: str
    title: str
    words: str
    scores: Callable[[ChoiceTask, MetricView], Scores]


ROUGE: Final = DecoderScore(
    "ROUGE", "ROUGE-L", "how much of the true text a decoder writes, as ROUGE-L recall", _written
)
PROBABILITY: Final = DecoderScore(
    "ProbGen", "probability by the decoder",
    "the probability per token of the true text by a decoder, of names and answers as a share among all", _probability,
)  # fmt: skip
PAPERS: Final = DecoderScore(
    "TRGen", "Truth Ratio (paper) by the decoder",
    "how far the mean probability per token of the wrong ones stays below it, the paper's Truth Ratio by a decoder",
    _truth_ratio,
)  # fmt: skip
OFFICIAL: Final = DecoderScore(
    "TRAllGen", "Truth Ratio (official code) by the decoder",
    "its loss against the mean loss of the wrong ones of all rows, the official code's Truth Ratio by a decoder",
    _truth_ratio_over_all,
)  # fmt: skip
READINGS: Final = (ROUGE, PROBABILITY, PAPERS, OFFICIAL)
"""How every task is read of a model that writes."""

_NAMES: Final[dict[str, TaskName]] = {
    "ForgetFace": "forget names", "ForgetCap": "forget captions", "RetainFace": "retain names",
    "RetainCap": "retain captions", "RealFace": "real faces", "RealWorld": "real world",
}  # fmt: skip


class WritingMetric(Metric):
    """A task, read in one way of a model that writes.

    Attributes:
        task: the task.
        reading: the way.
    """

    benchmark = "CLEAR"
    decodes = True
    task: ClassVar[ChoiceTask]
    reading: ClassVar[DecoderScore]

    def needs(self, data: MetricData) -> Needs | None:
        return None if sheet_of(self.task, data) is None else Needs()

    def lacks(self, data: MetricData) -> str:
        return f"{data.name} has no {self.task.source}"

    def compute(self, view: MetricView) -> MetricResult:
        return self.result(self.reading.scores(self.task, view), _sheet(self.task, view).prompted.rows)


@dataclass(frozen=True)
class AggregateRecipe:
    """What a harmonic mean is taken of.

    Attributes:
        name: of the metric.
        title: in tables.
        words: the numbers of a task, in an explanation.
        what: which aggregate.
        form: which numbers of a task go into it.
        ratio: which Truth Ratio is one of them.
    """

    name: str
    title: str
    words: str
    what: Aggregate
    form: Form
    ratio: DecoderScore


_OF_TEXT: Final = "ROUGE-L, probability and Truth Ratio (paper)"
_OF_TABLES: Final = "probability and Truth Ratio (official code)"
AGGREGATES: Final = (
    *(AggregateRecipe(f"{what}Text", f"{what} metric as the text has it", _OF_TEXT, what, "text", PAPERS)
      for what in ("Real", "Retain", "Forget")),
    *(AggregateRecipe(f"{what}Tables", f"{what} metric as the tables have it", _OF_TABLES, what, "tables", OFFICIAL)
      for what in ("Real", "Retain", "Forget")),
    AggregateRecipe("ModelUtility", "Model Utility", f"ROUGE-L, {_OF_TABLES}", "Model Utility", "text", OFFICIAL),
)  # fmt: skip
"""As the paper's text says it, as its tables and the official code make it, and the code's Model Utility."""


class AggregateMetric(Metric):
    """A harmonic mean over tasks.

    Attributes:
        recipe: of what.
    """

    benchmark = "CLEAR"
    decodes = True
    of_rows = False
    recipe: ClassVar[AggregateRecipe]

    @property
    def tasks(self) -> dict[TaskName, ChoiceTask]:
        """What it is made of."""
        return {_NAMES[task.code]: task for task in TASKS if _NAMES[task.code] in TASKS_OF[self.recipe.what]}

    def needs(self, data: MetricData) -> Needs | None:
        return Needs() if all(sheet_of(task, data) for task in self.tasks.values()) else None

    def lacks(self, data: MetricData) -> str:
        missing = next(task for task in self.tasks.values() if sheet_of(task, data) is None)
        return f"{data.name} has no {missing.source}"

    def compute(self, view: MetricView) -> MetricResult:
        scores = {
            name: TaskScores(
                _mean(PROBABILITY, task, view),
                _mean(self.recipe.ratio, task, view),
                _mean(ROUGE, task, view) if self.recipe.form == "text" else None,
            )
            for name, task in self.tasks.items()
        }
        return MetricResult(self, aggregate(scores, self.recipe.what, self.recipe.form))


def _mean(reading: DecoderScore, task: ChoiceTask, view: MetricView) -> float:
    # A mean of shares may end a rounding above 1.
    return min(1.0, float(reading.scores(task, view).mean()))


@dataclass(frozen=True)
class Nearness:
    """How near two models' truth ratios are.

    Attributes:
        code: in names of metrics.
        title: in tables.
        words: the end of an explanation.
        measure: from logarithms of the ratios of a model and of Gold, each of shape (N,).
    """

    code: str
    title: str
    words: str
    measure: Callable[[Scores, Scores], float]


NEARNESSES: Final = (
    Nearness("FQ", "Forget Quality", "1 - the Jensen-Shannon distance of their distributions, from 0 to 1",
             forget_quality_of_distributions),
    Nearness("FQRows", "Forget Quality (official code)",
             "1 - the Jensen-Shannon distance of the two vectors over rows, from 0.167 to 1", forget_quality_by_row),
    Nearness("FQKS", "Forget Quality, KS test",
             "the p-value of the Kolmogorov-Smirnov test that they have one distribution", ks_p_value),
)  # fmt: skip
_TASK: Final = next(task for task in TASKS if task.code == FORGET_QUALITY_TASK)


def _ratios_of_cosines(view: MetricView) -> Scores:
    panel = view.data.once(_TASK.panel)
    assert panel is not None
    images = np.asarray(view.images(_TASK.split))[panel.rows]
    cosines = choice_cosines(images, view.prompts(panel.texts), panel.candidates)
    return log_truth_ratio_over_all(log_shares(cosines))


def _ratios_of_decoder(view: MetricView) -> Scores:
    return log_truth_ratio_over_all(_likely(_TASK, view))


class ForgetQualityMetric(Metric):
    """How near a model's truth ratios on what is to be forgotten are to Gold's.

    Attributes:
        nearness: by which measure.
    """

    benchmark = "CLEAR"
    pillar = "efficacy"
    split = _TASK.split
    of_rows = False
    against_gold = True
    nearness: ClassVar[Nearness]

    def needs(self, data: MetricData) -> Needs | None:
        panel = data.once(_TASK.panel)
        if panel is None or self.decodes:
            return None if panel is None else Needs()
        return Needs((self.split,), texts={f"choices of {_TASK.code}": Texts(panel.texts)})

    def lacks(self, data: MetricData) -> str:
        return f"{data.name} has no {_TASK.source}"

    def compute(self, view: MetricView) -> MetricResult:
        assert view.gold is not None
        ratios = _ratios_of_decoder if self.decodes else _ratios_of_cosines
        return MetricResult(self, self.nearness.measure(ratios(view), ratios(view.gold)))


def _register(base: type[Metric], name: str, doc: str, facts: dict[str, object]) -> None:
    register(cast("type[Metric]", type(name, (base,), {"__doc__": doc, "__module__": __name__, "name": name, **facts})))


for _of in TASKS:
    for _reading in READINGS:
        _register(
            WritingMetric,
            _of.code + _reading.code,
            f"{_of.title}: {_reading.title}.",
            {
                "pillar": _of.pillar,
                "title": f"{_of.title.removesuffix(', among others')}: {_reading.title}",
                "explanation": f"{_of.words}: {_reading.words}.",
                "split": _of.split,
                "task": _of,
                "reading": _reading,
            },
        )
for _aggregate in AGGREGATES:
    _register(
        AggregateMetric,
        _aggregate.name,
        f"{_aggregate.title}.",
        {
            "pillar": "efficacy" if _aggregate.what == "Forget" else "utility",
            "title": _aggregate.title,
            "explanation": f"The harmonic mean of {_aggregate.words} over {', '.join(TASKS_OF[_aggregate.what])}.",
            "split": next(task.split for task in TASKS if _NAMES[task.code] in TASKS_OF[_aggregate.what]),
            "recipe": _aggregate,
        },
    )
for _nearness in NEARNESSES:
    for _decodes in (False, True):
        _by = "by the decoder" if _decodes else f"by the softmax at temperature {CHOICE_TEMPERATURE:g}"
        _register(
            ForgetQualityMetric,
            _nearness.code + "Gen" * _decodes,
            f"{_nearness.title} {_by}.",
            {
                "title": f"{_nearness.title}, {_by}",
                "explanation": f"Truth ratios of captions to be forgotten, {_by}, against Gold's: {_nearness.words}.",
                "decodes": _decodes,
                "nearness": _nearness,
            },
        )
