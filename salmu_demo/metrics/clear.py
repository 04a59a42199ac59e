"""CLEAR's multiple choice for models without a decoder: names, captions, real faces and answers among wrong ones.

Each task is read in four ways: accuracy, Probability, and Truth Ratio in the paper's and in the official code's form.
ROUGE-L and questions without an image need a decoder and are not measured here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from salmu_demo.data import layout
from salmu_demo.metrics.base import Metric, MetricData, MetricResult, MetricView, Needs, Texts, register
from salmu_demo.metrics.choices import (
    NO_CANDIDATE,
    choice_cosines,
    choice_credit,
    choice_probability,
    log_shares,
    truth_ratio_over_all,
    truth_ratio_per_example,
)
from salmu_demo.metrics.clear_protocol import ANSWER_PROMPT, CHOICE_TEMPERATURE, NAME_PROMPT

Scores: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """What the rows of a task choose from.

    Attributes:
        rows: shape (N,), measured rows of the split that are asked.
        texts: K distinct texts.
        candidates: shape (N, C), numbers of texts, the right one first; `NO_CANDIDATE` fills up.
    """

    rows: NDArray[np.int64]
    texts: list[str]
    candidates: NDArray[np.int64]


@dataclass(frozen=True)
class ChoiceTask:
    """Multiple choice on the rows of a split.

    Attributes:
        code: in names of metrics.
        split: the split.
        asked: what of the data is asked: `name`, `caption` or `answer`.
        prompt: the text of a candidate.
        title: in tables.
        words: the beginning of an explanation.
        source: what of CLEAR it needs, in words.
        pillar: whether its value is to be that of Clean or that of Compromised.
    """

    code: str
    split: str
    asked: str
    prompt: str
    title: str
    words: str
    source: str
    pillar: Literal["efficacy", "utility"] = "utility"

    def panel(self, data: MetricData) -> Panel | None:
        """What is asked of some data, or None if nothing is."""
        choices = data.choices(self.split, self.asked) or []
        rows = [row for row, found in enumerate(choices) if found]
        if not rows:
            return None
        width = max(len(choices[row]) for row in rows)
        numbers: dict[str, int] = {}
        candidates = np.full((len(rows), width), NO_CANDIDATE)
        for position, row in enumerate(rows):
            for place, answer in enumerate(choices[row]):
                text = self.prompt.format(answer=answer)
                candidates[position, place] = numbers.setdefault(text, len(numbers))
        return Panel(np.array(rows), list(numbers), candidates)


TASKS: Final = (
    ChoiceTask(
        "ForgetFace", layout.FORGET_PERTURBED, "name", NAME_PROMPT, "Name to be forgotten, among others",
        "For an image of a person to be forgotten, the true name among wrong ones", "perturbed names to forget",
        "efficacy",
    ),
    ChoiceTask(
        "ForgetCap", layout.FORGET_PERTURBED, "caption", ANSWER_PROMPT, "Caption to be forgotten, among others",
        "For an image of a person to be forgotten, the paraphrased caption among wrong ones",
        "perturbed captions to forget", "efficacy",
    ),
    ChoiceTask(
        "RetainFace", layout.RETAIN_PERTURBED, "name", NAME_PROMPT, "Name to be kept, among others",
        "For an image of another person, the true name among wrong ones", "perturbed names to keep",
    ),
    ChoiceTask(
        "RetainCap", layout.RETAIN_PERTURBED, "caption", ANSWER_PROMPT, "Caption to be kept, among others",
        "For an image of another person, the paraphrased caption among wrong ones", "perturbed captions to keep",
    ),
    ChoiceTask(
        "RealFace", layout.RETAIN_SYNTH, "answer", NAME_PROMPT, "Name of a real person, among others",
        "For an image of a real person, the true name among its options", "real faces with options",
    ),
    ChoiceTask(
        "RealWorld", layout.REAL_WORLD, "answer", ANSWER_PROMPT, "Answer about the world, among others",
        "For an image of the world, the right answer among its options, the question unread",
        "images of the real world with options",
    ),
)  # fmt: skip
"""What is asked, in the order of tables."""


@dataclass(frozen=True)
class ChoiceScore:
    """One number of a row from the cosines with its candidates.

    Attributes:
        code: in names of metrics.
        title: in tables.
        words: the end of an explanation.
        words_forgotten: the same of rows that are to be forgotten.
        scores: from cosines, shape (N, C), and whether the rows are to be forgotten, to scores, shape (N,).
    """

    code: str
    title: str
    words: str
    words_forgotten: str
    scores: Callable[[Scores, bool], Scores]


_AT: Final = f"at temperature {CHOICE_TEMPERATURE:g}"
_OWN: Final = f"how far the mean of the wrong ones stays below it {_AT}, the paper's Truth Ratio"
READINGS: Final = (
    ChoiceScore(
        "Acc", "accuracy", "how often it is the most similar", "how often it is the most similar",
        lambda cosines, _: choice_credit(cosines),
    ),
    ChoiceScore(
        "Prob", "probability", f"its share of a softmax {_AT}", f"its share of a softmax {_AT}",
        lambda cosines, _: choice_probability(log_shares(cosines)),
    ),
    ChoiceScore(
        "TR", "Truth Ratio (paper)", _OWN, _OWN, lambda cosines, _: truth_ratio_per_example(log_shares(cosines)),
    ),
    ChoiceScore(
        "TRAll", "Truth Ratio (official code)",
        f"how far the mean of the wrong ones of all rows stays below it {_AT}, the Truth Ratio of the official code",
        f"how near it is to the mean of the wrong ones of all rows {_AT}, the Truth Ratio of the official code",
        lambda cosines, forgotten: truth_ratio_over_all(log_shares(cosines), forgotten),
    ),
)  # fmt: skip
"""How every task is read."""


class ChoiceMetric(Metric):
    """A task, read in one way.

    Attributes:
        task: the task.
        reading: the way.
    """

    benchmark = "CLEAR"
    task: ClassVar[ChoiceTask]
    reading: ClassVar[ChoiceScore]

    def needs(self, data: MetricData) -> Needs | None:
        panel = data.once(self.task.panel)
        if panel is None:
            return None
        return Needs((self.split,), texts={f"choices of {self.task.code}": Texts(panel.texts)})

    def lacks(self, data: MetricData) -> str:
        return f"{data.name} has no {self.task.source}"

    def compute(self, view: MetricView) -> MetricResult:
        panel = view.data.once(self.task.panel)
        assert panel is not None
        images = np.asarray(view.images(self.split))[panel.rows]
        cosines = choice_cosines(images, view.prompts(panel.texts), panel.candidates)
        return self.result(self.reading.scores(cosines, self.pillar == "efficacy"), panel.rows)


def _metric(task: ChoiceTask, reading: ChoiceScore) -> type[Metric]:
    words = reading.words_forgotten if task.pillar == "efficacy" else reading.words
    facts = {
        "__doc__": f"{task.title}: {reading.title}.",
        "__module__": __name__,
        "name": task.code + reading.code,
        "pillar": task.pillar,
        "title": f"{task.title}: {reading.title}",
        "explanation": f"{task.words}: {words}.",
        "split": task.split,
        "task": task,
        "reading": reading,
    }
    return cast("type[Metric]", type(task.code + reading.code, (ChoiceMetric,), facts))


for _task in TASKS:
    for _reading in READINGS:
        register(_metric(_task, _reading))
