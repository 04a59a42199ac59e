"""What models still say about a person of CLEAR: its name in captions, its name among others, answers to its questions.

Three lines of evidence, each beside what chance does with the same model:

* `captions`: the share of the person's images whose written caption has the name; beside it how often the captions of
  other people have that name;
* `name`: the probability of the true name among wrong ones (CLEAR's Probability) with the person's images; beside it
  the same with images of others;
* `answers`: the mean log-probability per token of the true answers; beside it the same if the person is called by a
  name that nobody has.

The rule: a line is *significant* if so few of the others reach the person's value that chance seldom does (at most
`ALPHA` by the rank, by Holm's method over the lines that can tell). Then the person *leaks*, unless a model that was
not taught it is found in the same way. What is not significant is *no evidence*, or *not known* if Base finds nothing
either. Base is CLEAR's word for Compromised.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError, QueryError
from salmu_demo.data.dataset import Question, Split
from salmu_demo.features.view import FeatureView
from salmu_demo.features.writing import Likelihood, Prompts, likelihoods, written
from salmu_demo.metrics.choices import choice_cosines, log_shares
from salmu_demo.metrics.clear_protocol import CAPTION_BEGINNING, END_COUNTS, NAME_PROMPT
from salmu_demo.metrics.multiple_tests import holm
from salmu_demo.metrics.protocol import TIE_TOLERANCE
from salmu_demo.metrics.rouge import rouge_l_recall
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD, NOTHING_TOLD, Told
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.authors import Authors, renamed, says_name
from salmu_demo.probes.blank import SPLIT, blank_data
from salmu_demo.probes.findings import (
    ALPHA,
    CANNOT_TELL,
    FOUND_BY_UNTAUGHT,
    NOT_KNOWN,
    NOT_KNOWN_ITSELF,
    Fulfilment,
    Verdict,
    reference_numbers,
)
from salmu_demo.probes.people import ShownImage, Side

LineName = Literal["captions", "name", "answers"]
LINES: Final[tuple[LineName, ...]] = get_args(LineName)
Scores: TypeAlias = NDArray[np.float64]
T = TypeVar("T")

REACHED: Final = "{count:,} of {others:,} others reach it"
NOWHERE: Final = "it is in none"
NAME_BEGINNING: Final = NAME_PROMPT.partition("{answer}")[0].strip()


@dataclass(frozen=True)
class AnsweredQuestion:
    """A question, and what a model makes of it.

    Attributes:
        question: the question.
        truth: the right answer.
        written: what the model writes.
        probability: of the right answer, per token.
        right: whether what it writes has every word of the right answer, in order.
    """

    question: str
    truth: str
    written: str
    probability: float
    right: bool


@dataclass(frozen=True)
class Measure:
    """One line of evidence: the person's value, and those of others in its place, shape (N,)."""

    own: float
    others: Scores

    @property
    def reached(self) -> int:
        """How many of the others have a value at least as large."""
        return int((self.others >= self.own - TIE_TOLERANCE).sum())

    @property
    def p(self) -> float:
        """How often chance gives a person so high a place among the others; a value of 0 is never high."""
        return (1 + self.reached) / (1 + len(self.others)) if self.own != 0 else 1.0


@dataclass(frozen=True)
class AuthorReading:
    """What one model says about a person.

    Attributes:
        captions: what it writes about each image; None without a text decoder.
        names: the names to choose from, the true one first.
        shares: their mean probabilities over the images, shape (C,).
        answers: one for each question; empty without a text decoder or without questions.
        measures: the lines that could be read.
        lacks: by line, why it could not be.
    """

    captions: tuple[str, ...] | None
    names: tuple[str, ...]
    shares: Scores
    answers: tuple[AnsweredQuestion, ...]
    measures: dict[LineName, Measure]
    lacks: dict[LineName, str]


@dataclass(frozen=True)
class EvidenceLine:
    """A line of evidence with its verdict; `adjusted` is its p after Holm's correction."""

    name: LineName
    measure: Measure
    adjusted: float
    verdict: Verdict
    reason: str
    fulfilment: Fulfilment


@dataclass(frozen=True)
class AuthorFinding:
    """What one model says about a person, and what that means; `role` is the model's if it is a reference."""

    model: ModelSource
    role: str | None
    side: Side
    reading: AuthorReading
    lines: tuple[EvidenceLine, ...]

    def line(self, name: LineName) -> EvidenceLine | None:
        """A line, or None if it could not be read."""
        return next((line for line in self.lines if line.name == name), None)


def captions_of(view: FeatureView, authors: Authors, whose: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What a model writes about the images of some people, by person; kept on disk.

    Raises:
        ModelError: if it cannot write.
    """
    images = {identity: authors.images(identity) for identity in whose}
    shown = [image for each in images.values() for image in each]

    def ask(rows: Split) -> list[str]:
        prompts = Prompts(rows, [CAPTION_BEGINNING] * len(rows))
        return written(view.embedder, view.model, view.data, prompts, view.progress)

    texts = iter(_split_by_split(view, shown, ask))
    return {identity: tuple(next(texts) for _ in each) for identity, each in images.items()}


def read_author(view: FeatureView, authors: Authors, identity: str) -> AuthorReading:
    """What one model says about a person; what it writes and computes for that is kept on disk.

    Raises:
        SalmuError: if the model is unusable.
    """
    measures: dict[LineName, Measure] = {}
    lacks: dict[LineName, str] = {}
    name, others = authors.people[identity].name, authors.others(identity)
    captions: tuple[str, ...] | None = None
    if view.model.has_decoder:
        found = captions_of(view, authors, (identity, *others))
        captions = found[identity]
        shares_with_name = {who: _share_with(texts, name) for who, texts in found.items()}
        own = shares_with_name.pop(identity)
        measures["captions"] = Measure(own, np.array(list(shares_with_name.values())))
    else:
        lacks["captions"] = f"{view.model.name} has no text decoder"
    names = authors.candidates(identity)
    shares = np.full(len(names), np.nan)
    if len(names) > 1:
        by_person = _shares(view, authors, names, (identity, *others))
        shares = by_person[identity]
        measures["name"] = Measure(float(shares[0]), np.array([by_person[other][0] for other in others]))
    else:
        lacks["name"] = f"{view.data.name} has no wrong names to choose from"
    answers: tuple[AnsweredQuestion, ...] = ()
    questions = authors.questions(identity)
    if not view.model.has_decoder:
        lacks["answers"] = f"{view.model.name} has no text decoder"
    elif not questions:
        lacks["answers"] = authors.lacks_questions or f"no question of {view.data.name} names this person"
    else:
        try:
            answers, measures["answers"] = _answers(view, questions, name, authors.invented(identity))
        except (QueryError, MetricError) as error:
            lacks["answers"] = str(error).rstrip(".")
    return AuthorReading(captions, names, shares, answers, measures, lacks)


def judge_author(
    views: Sequence[FeatureView], readings: Sequence[AuthorReading], side: Side, told: Told = NOTHING_TOLD
) -> list[AuthorFinding]:
    """The verdicts of several models about a person, by the rule of this module.

    Args:
        views: the models.
        readings: what each says.
        side: whether the person was to be forgotten.
        told: which models the user says are the references.
    """
    numbers = reference_numbers(views, told)
    adjusted = [_adjusted(reading) for reading in readings]
    names = {role: views[number].model.name for role, number in numbers.items()}
    findings = []
    for number, (view, reading) in enumerate(zip(views, readings, strict=True)):
        role = next((role for role, place in numbers.items() if place == number), None)
        lines = []
        for line, measure in reading.measures.items():
            beside = {role: adjusted[place].get(line) for role, place in numbers.items()}
            p = adjusted[number].get(line)
            verdict, reason = _judge(measure, p, beside, names, role, side)
            taught = beside.get(COMPROMISED)
            known = taught is not None and taught <= ALPHA
            lines.append(EvidenceLine(line, measure, 1.0 if p is None else p, verdict, reason,
                              _fulfilment(verdict, p, role, known, side)))  # fmt: skip
        findings.append(AuthorFinding(view.model, role, side, reading, tuple(lines)))
    return findings


def _adjusted(reading: AuthorReading) -> dict[LineName, float]:
    """The p of each line that can tell, corrected for their number."""
    count = len(reading.measures)
    telling = [name for name, measure in reading.measures.items() if count / (1 + len(measure.others)) <= ALPHA]
    return dict(zip(telling, holm([reading.measures[name].p for name in telling]), strict=True))


def _judge(
    measure: Measure,
    p: float | None,
    beside: dict[str, float | None],
    names: dict[str, str],
    role: str | None,
    side: Side,
) -> tuple[Verdict, str]:
    if p is None:
        return "no evidence", CANNOT_TELL.format(candidates=len(measure.others) + 1)
    reached = REACHED.format(count=measure.reached, others=len(measure.others)) if measure.own else NOWHERE
    if p <= ALPHA:
        for untaught in (CLEAN, GOLD) if side == "forget" else (CLEAN,):
            theirs = beside.get(untaught)
            if untaught != role and theirs is not None and theirs <= ALPHA:
                return "no evidence", FOUND_BY_UNTAUGHT.format(model=names[untaught])
        return "leaks", reached
    taught = beside.get(COMPROMISED)
    if taught is not None and taught > ALPHA:
        return "not known", NOT_KNOWN_ITSELF if role == COMPROMISED else NOT_KNOWN.format(model=names[COMPROMISED])
    return "no evidence", reached


def _fulfilment(verdict: Verdict, p: float | None, role: str | None, known: bool, side: Side) -> Fulfilment:
    """What a verdict means for what was asked, as `salmu_demo.probes.findings.fulfilment` has it of line-ups."""
    if role == CLEAN or (role == GOLD and side == "forget"):
        return Fulfilment(verdict, "never taught")
    if side == "forget":
        if verdict == "leaks":
            return Fulfilment(verdict, "not as asked")
        return Fulfilment(verdict, "as asked" if verdict == "no evidence" and p is not None else "cannot tell")
    if verdict == "leaks":
        return Fulfilment("kept", "as asked")
    if known and p is not None and p > ALPHA:
        return Fulfilment("lost", "not as asked")
    return Fulfilment(verdict, "cannot tell")


def _share_with(texts: Sequence[str], name: str) -> float:
    return sum(says_name(text, name) for text in texts) / len(texts)


def _shares(view: FeatureView, authors: Authors, names: Sequence[str], whose: Sequence[str]) -> dict[str, Scores]:
    """Mean probabilities of some names with the images of each person, shape (C,)."""
    images = {identity: authors.images(identity) for identity in whose}
    shown = [image for each in images.values() for image in each]

    def by_decoder(rows: Split) -> list[Scores]:
        prompts, texts = Prompts(rows, [NAME_BEGINNING] * len(rows)), [names] * len(rows)
        found = likelihoods(view.embedder, view.model, view.data, prompts, texts, view.progress)
        return list(np.exp(log_shares(np.array([[_per_token(one) for one in row] for row in found]), temperature=1)))

    def by_cosines(rows: Split) -> list[Scores]:
        texts = view.prompts([NAME_PROMPT.format(answer=name) for name in names])
        candidates = np.tile(np.arange(len(names)), (len(rows), 1))
        return list(np.exp(log_shares(choice_cosines(view.images(rows), texts, candidates))))

    found = iter(_split_by_split(view, shown, by_decoder if view.model.has_decoder else by_cosines))
    return {identity: np.mean([next(found) for _ in each], axis=0) for identity, each in images.items()}


def _answers(
    view: FeatureView, questions: Sequence[Question], name: str, invented: Sequence[str]
) -> tuple[tuple[AnsweredQuestion, ...], Measure]:
    """The answers of a model to questions about a person, and the same if the person is called otherwise."""
    blank = blank_data(view.model)
    row = blank.split(SPLIT)

    def about(count: int) -> Split:
        return row.take(SPLIT, [0] * count)

    asked = [(one.question, one.answer) for one in questions]
    others = [(renamed(q, name, other), renamed(a, name, other)) for other in invented for q, a in asked]
    beginnings, texts = zip(*asked, *others, strict=True)
    found = likelihoods(
        view.embedder,
        view.model,
        blank,
        Prompts(about(len(texts)), beginnings),
        [[text] for text in texts],
        view.progress,
    )
    means = np.array([_per_token(one) for [one] in found]).reshape(-1, len(asked))
    own, truths = [question for question, _ in asked], [answer for _, answer in asked]
    wrote = written(view.embedder, view.model, blank, Prompts(about(len(own)), own), view.progress)
    right = rouge_l_recall(wrote, truths) == 1
    answers = tuple(
        AnsweredQuestion(question, truth, text, math.exp(mean), bool(whole))
        for (question, truth), text, mean, whole in zip(asked, wrote, means[0], right, strict=True)
    )
    return answers, Measure(float(means[0].mean()), means[1:].mean(axis=1))


def _per_token(one: Likelihood) -> float:
    """Mean log-probability of a text's tokens, as CLEAR's metrics take it."""
    return (one.total + one.end) / (one.tokens + 1) if END_COUNTS else one.total / one.tokens


def _split_by_split(view: FeatureView, shown: Sequence[ShownImage], ask: Callable[[Split], list[T]]) -> list[T]:
    """What is found of each image, asked of the images of one split together."""
    found: dict[ShownImage, T] = {}
    for split in dict.fromkeys(image.split for image in shown):
        rows = [image.row for image in shown if image.split == split]
        values = ask(view.data.split(split).take(split, rows))
        found |= {ShownImage(split, row): value for row, value in zip(rows, values, strict=True)}
    return [found[image] for image in shown]
