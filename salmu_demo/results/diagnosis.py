"""What unlearning did to a model: a label, by an explicit rule of five questions.

The rule labels every row of the paper's main table (SALMUBench, arXiv 2603.26316) as the authors do, wherever they gave
a class.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from salmu_demo.attacks.schema import CANNOT_TELL, HOLDOUTS, MEMBERSHIP_ATTACK, TPR, TPR_BELOW, RecoveredShare
from salmu_demo.metrics import find_metric
from salmu_demo.metrics.intervals import Interval
from salmu_demo.models.roles import CLEAN, GOLD, TITLES
from salmu_demo.results.evidence import NOTHING, Evidence, ForgetGroup, Mean, Quantity, interval_of
from salmu_demo.results.questions import (
    EFFICIENT_DROP,
    EFFICIENT_REDUCTION,
    FORGETS,
    GENKNOW_DROP,
    HOLDOUT_KEPT,
    LEAKS,
    MARKED,
    MEMBERSHIP,
    MIN_REFERENCE_GAP,
    MIN_REFERENCE_GAP_BITS,
    PUSHED_BELOW,
    RECOVERED,
    RULE,
    Answer,
    Criterion,
    DiagnosisQuestion,
    Label,
)
from salmu_demo.results.records import RecordedAttack

Number = TypeVar("Number", float, NDArray[np.float64])


@dataclass(frozen=True)
class Diagnosis:
    """A label and how it came about.

    Attributes:
        label: what became of the model.
        questions: all questions of the rule in its order, also those after the one that decided.
        utility_efficient: whether the published criterion of utility-efficient deletion is met; None if unknown.
        below_clean: whether AssocStr is below Clean's, which the paper calls a sign of over-generalisation; None if
            unknown.
    """

    label: Label
    questions: tuple[DiagnosisQuestion, ...]
    utility_efficient: bool | None
    below_clean: bool | None

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """What decides each question, in their order."""
        return tuple(question.deciding for question in self.questions)

    @property
    def sentence(self) -> str:
        """Why this label."""
        wanted = {Label.PASS: Answer.YES, Label.UNDECIDED: Answer.UNDECIDED, Label.UNKNOWN: Answer.NOT_MEASURED}
        answer = wanted.get(self.label, Answer.NO)
        found = [question.deciding.sentence for question in self.questions if question.answer is answer]
        return " ".join(found if self.label in (Label.PASS, Label.UNDECIDED) else found[:1])

    @property
    def proviso(self) -> str:
        """What a pass does not rest on, in a sentence; empty for other labels, and if everything was measured."""
        if self.label not in (Label.PASS, Label.UNDECIDED):
            return ""
        lacking = [
            f"{question.name} ({'; '.join(question.missing)})" for question in self.questions if question.missing
        ]
        return f"Not measured: {', '.join(lacking)}." if lacking else ""


def diagnose(
    model: Evidence, clean: Evidence = NOTHING, compromised: Evidence = NOTHING, gold: Evidence = NOTHING
) -> Diagnosis:
    """Apply the rule: the first question answered with a clear no gives the label.

    If none is, a question that is undecided leaves the label undecided, and otherwise it is a clean pass. One of the
    first three questions that cannot be measured stops the rule, because a later one must not decide in its place; the
    last two may be missing, and a pass says so.

    Args:
        model: what was measured of the model.
        clean: the same of Clean.
        compromised: the same of Compromised.
        gold: the same of a model retrained without the forget rows, if there is one.
    """
    case = _Case(model, clean, compromised, gold)
    parts = (case.forgetting(), case.general_knowledge(), case.holdouts(), case.hidden(), case.conspicuous())
    questions = tuple(
        DiagnosisQuestion(name, words, label, tuple(criteria))
        for (name, words, _, _, label), criteria in zip(RULE, parts, strict=True)
    )
    label = Label.PASS
    for question in questions:
        if question.answer is Answer.NO:
            label = question.label
            break
        if question.deciding.required and question.answer is Answer.NOT_MEASURED:
            label = Label.UNKNOWN
            break
        if question.answer is Answer.UNDECIDED:
            label = Label.UNDECIDED
    reduction, drop = case.gone("RetFail", ForgetGroup.ALL).value, questions[1].deciding.value
    own, reference = model.values.get("AssocStr"), clean.values.get("AssocStr")
    return Diagnosis(
        label,
        questions,
        None if reduction is None or drop is None else reduction > EFFICIENT_REDUCTION and drop < EFFICIENT_DROP,
        own < reference if own is not None and reference is not None else None,
    )


def scale_position(
    value: float | None, clean: float | None, compromised: float | None, least: float = MIN_REFERENCE_GAP
) -> float | None:
    """Where a value lies between the references: 0 at Clean, 1 at Compromised; None without a scale.

    >>> scale_position(0.3, 0.1, 0.5), scale_position(0.3, 0.1, 0.11)
    (0.49999999999999994, None)
    """
    if value is None or clean is None or compromised is None or abs(compromised - clean) < least:
        return None
    return (value - clean) / (compromised - clean)


def scaled_distance(
    value: float | None,
    target: float | None,
    clean: float | None,
    compromised: float | None,
    least: float = MIN_REFERENCE_GAP,
) -> float | None:
    """Distance to the target in units of the distance between the references; None without a scale."""
    at = scale_position(value, clean, compromised, least)
    wanted = scale_position(target, clean, compromised, least)
    return None if at is None or wanted is None else abs(at - wanted)


def least_gap(metric: str) -> float:
    """References closer than this span no scale for a metric."""
    return MIN_REFERENCE_GAP_BITS if find_metric(metric).unit == "bits" else MIN_REFERENCE_GAP


@dataclass(frozen=True)
class _ShareReading:
    """A share of the model, its interval and the same share of Gold; or why there is none."""

    value: float | None = None
    interval: Interval | None = None
    gold: float | None = None
    missing: str = ""


@dataclass(frozen=True)
class _Case:
    """A model and what it is held against."""

    model: Evidence
    clean: Evidence
    compromised: Evidence
    gold: Evidence

    def forgetting(self) -> Iterator[Criterion]:
        for metric, words in LEAKS.items():
            for side in self.model.sides(metric):
                # Said once: of the other metrics it is the same.
                if side is ForgetGroup.BOTH and not self.gold.values and metric != "RetFail":
                    continue
                reading = self.gone(metric, side)
                required = metric == "RetFail" and side is not ForgetGroup.BOTH
                yield _criterion(RULE[0][0], metric, reading, FORGETS, True, words, side, required)

    def general_knowledge(self) -> Iterator[Criterion]:
        yield _criterion(
            RULE[1][0], "GenKnow", self._lost(), GENKNOW_DROP, False, "of the general knowledge is lost", required=True
        )

    def holdouts(self) -> Iterator[Criterion]:
        for metric in ("InterIdSim", "IntraIdSim"):
            reading = self._learned(metric, ForgetGroup.ALL, _left)
            yield _criterion(
                RULE[2][0], metric, reading, HOLDOUT_KEPT, True, "of the holdout similarity is kept", required=True
            )

    def hidden(self) -> Iterator[Criterion]:
        counted = [record for record in self.model.attacks if record.counts]
        for record in counted:
            found, where = record.recovered, _where(record)
            reason = (record.reason or "no share").removeprefix(CANNOT_TELL).rstrip(".")
            reading = _ShareReading(missing=f"{where} cannot tell here: {reason}")
            if found is not None:
                twin = self._of_gold(record)
                gold = twin.recovered.value if twin is not None and twin.recovered is not None else None
                reading = _ShareReading(found.value, _ends(found), gold)
            yield _criterion(RULE[3][0], where, reading, RECOVERED, False, f"of the leak comes back by {where}")
        if not counted:
            yield _criterion(RULE[3][0], "attacks", _ShareReading(missing="no attack was run"), RECOVERED, False, "")

    def conspicuous(self) -> Iterator[Criterion]:
        for side in self.model.sides("AssocStr"):
            if side is ForgetGroup.BOTH and not self.gold.values:
                continue
            reading = self._learned("AssocStr", side, _left)
            yield _criterion(RULE[4][0], "AssocStr", reading, -PUSHED_BELOW, True, "of the association is left", side)
        for side in self.model.sides("Marked"):
            words = "more of the values than by chance are in the last tenth"
            yield _criterion(RULE[4][0], "Marked", self._marked(side), MARKED, False, words, side)
        rates = [record for record in self.model.attacks if _is_conspicuous(record)]
        for record in rates:
            twin = self._of_gold(record)
            reading = _ShareReading(record.value, _ends(record), None if twin is None else twin.value)
            end = record.measure.removeprefix(TPR)
            words = f"of the forget pairs are told from {record.gallery} at 1 % false positives{end}"
            yield _criterion(RULE[4][0], _where(record), reading, MEMBERSHIP, False, words)
        if not rates:
            reading = _ShareReading(missing="no membership test was run")
            yield _criterion(RULE[4][0], MEMBERSHIP_ATTACK, reading, MEMBERSHIP, False, "")

    def _of_gold(self, record: RecordedAttack) -> RecordedAttack | None:
        """The same attack on Gold."""
        return next((other for other in self.gold.attacks if _key(other) == _key(record)), None)

    def gone(self, metric: str, side: ForgetGroup) -> _ShareReading:
        """Share of what Compromised learned and the target did not that is gone again."""
        return self._learned(metric, side, _gone)

    def _learned(self, metric: str, side: ForgetGroup, share: Quantity) -> _ShareReading:
        """A share of what Compromised learned and the target did not.

        The target is Clean. A model retrained without the forget rows knows people with pairs on both sides, so of
        these it is Gold.
        """
        role, target = (GOLD, self.gold) if side is ForgetGroup.BOTH else (CLEAN, self.clean)
        about = f"{metric} of {side}" if side is ForgetGroup.BOTH else metric
        found: list[Mean] = []
        for evidence, whose in ((self.model, "the model"), (target, TITLES[role]), (self.compromised, "Compromised")):
            mean = evidence.mean(metric, side)
            if mean is None:
                reason = evidence.reasons.get(metric)
                return _ShareReading(missing=f"{about} of {whose} is missing" + (f" ({reason})" if reason else ""))
            found.append(mean)
        own, low, high = (mean.value for mean in found)
        if scale_position(own, low, high, least_gap(metric)) is None or _may_be_zero(found[1:]):
            return _ShareReading(missing=f"{about} of {TITLES[role]} and of Compromised hardly differ")
        # On a scale upside down a leak would count as forgetting.
        if high < low:
            return _ShareReading(missing=f"{about} of Compromised is below that of {TITLES[role]}")
        gold = self.gold.mean(metric, side)
        return _ShareReading(
            float(share(own, low, high)),
            interval_of(share, found),
            None if gold is None else float(share(gold.value, low, high)),
        )

    def _lost(self) -> _ShareReading:
        own, reference = self.model.mean("GenKnow"), self.compromised.mean("GenKnow")
        if own is None or reference is None:
            return _ShareReading(missing=f"GenKnow of {'the model' if own is None else 'Compromised'} is missing")
        if reference.value < MIN_REFERENCE_GAP:
            return _ShareReading(missing="GenKnow of Compromised is too low for any of it to be lost")
        gold = self.gold.mean("GenKnow")
        return _ShareReading(
            float(_lost(own.value, reference.value)),
            interval_of(_lost, (own, reference)),
            None if gold is None else float(_lost(gold.value, reference.value)),
        )

    def _marked(self, side: ForgetGroup) -> _ShareReading:
        own, gold = self.model.mean("Marked", side), self.gold.mean("Marked", side)
        if own is None:
            reason = self.model.reasons.get("Marked")
            return _ShareReading(missing="Marked of the model is missing" + (f" ({reason})" if reason else ""))
        return _ShareReading(own.value, interval_of(_itself, (own,)), None if gold is None else gold.value)


def _criterion(
    name: str,
    measure: str,
    reading: _ShareReading,
    threshold: float,
    at_least: bool,
    words: str,
    side: ForgetGroup = ForgetGroup.ALL,
    required: bool = False,
) -> Criterion:
    whose = "" if side is ForgetGroup.ALL else f" for {side}"
    return Criterion(
        name, reading.value, threshold, at_least, words + whose, reading.missing,
        measure if side is ForgetGroup.ALL else f"{measure}, {side}", required, reading.interval, reading.gold,
    )  # fmt: skip


def _left(own: Number, low: Number, high: Number) -> Number:
    return (own - low) / (high - low)


def _gone(own: Number, low: Number, high: Number) -> Number:
    return 1 - _left(own, low, high)


def _lost(own: Number, reference: Number) -> Number:
    return 1 - own / reference


def _itself(own: Number) -> Number:
    return own


def _may_be_zero(references: Sequence[Mean]) -> bool:
    """Whether the interval of the distance between the references holds 0."""
    found = interval_of(lambda low, high: high - low, references)
    return found is not None and found.low <= 0 <= found.high


def _key(record: RecordedAttack) -> tuple[str, str, str, str]:
    return record.attack, record.variant, record.gallery, record.measure


def _where(record: RecordedAttack) -> str:
    """An attack, and what it was read on, in words."""
    return f"{record.attack} ({', '.join(filter(None, (record.variant, record.gallery, record.measure)))})"


def _ends(found: RecordedAttack | RecoveredShare) -> Interval | None:
    return None if found.low is None or found.high is None else Interval(found.low, found.high)


def _is_conspicuous(record: RecordedAttack) -> bool:
    """Whether it is a true-positive rate by which what was to be forgotten stands out.

    Pairs that were to be forgotten match worse than kept ones of the same people in a model that was retrained without
    them: a perfect unlearner has a high rate there from below.
    """
    if record.attack != MEMBERSHIP_ATTACK or record.value is None:
        return False
    return record.measure == TPR or (record.measure == TPR_BELOW and record.gallery != HOLDOUTS)
