"""What an evaluation leaves behind: plain values that can be written to a file, read again, compared and reported.

Nothing here holds a model, a data set or a file open, so a result read from disk is as good as a fresh one.
"""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from salmu_demo import __version__
from salmu_demo.attacks.schema import RecoveredShare
from salmu_demo.metrics import MetricResult, Rows
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.roles import ModelRole, role_by_name
from salmu_demo.models.settings import ModelSetting
from salmu_demo.models.source import ModelSource, slug_of

PACKAGES: Final = ("torch", "open_clip_torch", "numpy", "scikit-learn", "pillow")


@dataclass(frozen=True)
class MeasuredModel:
    """The model an evaluation was made of.

    Attributes:
        reference: what the user typed.
        name: short name for tables.
        fingerprint: SHA-256 over configuration, tokenizer merges and weights; None if a result file does not say.
        revision: Hub revision, or None.
        architecture: open_clip architecture, if it was given or is known.
        parameters: number of parameters, or None if a result file does not say.
        device: where its features were computed, or None if a result file does not say.
        remarks: sentences on what was assumed of it and of the data, and on texts that it reads in part only, which
            every view of its numbers must say.
        role: what it is among the models it is compared with; None if a result file does not say.
        settings: which activation, preprocessing and tokenizer it has, and who says so; empty if a result file does not
            say, or for a network in memory.
    """

    reference: str
    name: str
    fingerprint: str | None = None
    revision: str | None = None
    architecture: str | None = None
    parameters: int | None = None
    device: str | None = None
    remarks: tuple[str, ...] = ()
    role: ModelRole | None = None
    settings: tuple[ModelSetting, ...] = ()

    @property
    def own_role(self) -> ModelRole:
        """The recorded role, or that of its name."""
        return self.role or role_by_name(self.reference)

    @property
    def slug(self) -> str:
        """The name the official result file has: `evaluation_<slug>.json`."""
        return slug_of(self.reference)

    @classmethod
    def of(cls, model: ModelSource, parameters: int, device: str) -> "MeasuredModel":
        """The facts of a model that was found and loaded once."""
        return cls(
            model.reference, model.name, model.fingerprint, model.revision, model.architecture, parameters, device,
            model.remarks, model.own_role, model.settings,
        )  # fmt: skip


@dataclass(frozen=True)
class MeasuredData:
    """The data set an evaluation was made on.

    Attributes:
        name: how the user named it.
        fingerprint: SHA-256 over shards and metadata files; None if a result file does not say.
        revision: Hub revision, or None.
        notice: what every view of these numbers must say about the data, or an empty text.
        sample: how the rows were sampled, in words, or an empty text if all rows were measured.
    """

    name: str
    fingerprint: str | None = None
    revision: str | None = None
    notice: str = ""
    sample: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What must be equal for numbers to be comparable: the content (the name if that is unknown) and the sample."""
        return (self.fingerprint or self.name, self.sample)

    @property
    def title(self) -> str:
        """Name and sample, as tables and files show them.

        >>> MeasuredData("mini", sample="sampled: 4 of 9 forget rows, seed 1").title
        'mini (sampled: 4 of 9 forget rows, seed 1)'
        """
        return f"{self.name} ({self.sample})" if self.sample else self.name

    @property
    def file_mark(self) -> str:
        """What the names of files with numbers of a sample end in, before the dot; empty if all rows were measured."""
        return "-sampled" if self.sample else ""


@dataclass(frozen=True)
class RecordedAttack:
    """One attack on one model, read in one gallery and one measure, see `attacks.json`.

    Attributes:
        model: reference or name of the attacked model.
        attack: name of the attack.
        gallery: what the captions were ranked among.
        measure: unit of the values.
        counts: whether what it recovers counts in the diagnosis; others are reported only.
        variant: which form of the attack; empty if it has one only.
        value: the measure of the attacked model after the attack.
        as_is: the same without the attack.
        clean: the same of Clean after the attack.
        compromised: the same of Compromised after the attack.
        recovered: the recovered share; None where the controls do not separate, or it is not defined.
        reason: why there is no recovered share.
        seed: seed of the attack; None if a file does not say.
        seconds: how long it took; None if a file does not say.
        low: lower end of the interval of `value` over personas; None if there are too few, or a file does not say.
        high: upper end of it; None as for `low`.
    """

    model: str
    attack: str
    gallery: str
    measure: str
    counts: bool
    variant: str = ""
    value: float | None = None
    as_is: float | None = None
    clean: float | None = None
    compromised: float | None = None
    recovered: RecoveredShare | None = None
    reason: str | None = None
    seed: int | None = None
    seconds: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Provenance:
    """How and when numbers were made.

    Attributes:
        date: UTC, ISO 8601; empty if a result file does not say.
        seed: seed of every draw.
        versions: of the packages that matter.
        measured_by: digest of the code and libraries that encoded and measured, see
            `salmu_demo.results.kept.measuring_key`; empty if a result file does not say.
    """

    date: str = ""
    seed: int = SEED
    versions: dict[str, str] = field(default_factory=dict)
    measured_by: str = ""

    @classmethod
    def now(cls, measured_by: str) -> "Provenance":
        """Of numbers made by this process."""
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), SEED, _versions(), measured_by)


@dataclass(frozen=True)
class Evaluation:
    """All metrics of one model on one data set.

    Attributes:
        model: the model.
        data: the data set.
        results: by metric name, in the official order.
        rows: the measured rows by split; without those of splits no metric was measured on.
        made: how and when.
        attacks: what attacks have recovered of it.
        left_out: names of further metrics in the result file, which nothing here defines; every view must say so, see
            `left_out_metrics`.
    """

    model: MeasuredModel
    data: MeasuredData
    results: dict[str, MetricResult]
    rows: dict[str, Rows] = field(default_factory=dict)
    made: Provenance = field(default_factory=Provenance)
    attacks: tuple[RecordedAttack, ...] = ()
    left_out: tuple[str, ...] = ()

    def value(self, metric: str) -> float | None:
        """Headline value of a metric, or None if it was not run or skipped."""
        result = self.results.get(metric)
        return None if result is None else result.value

    @property
    def zero_shot(self) -> str | None:
        """The zero-shot set that was measured on, or None."""
        return next((result.measured_on for result in self.results.values() if result.measured_on is not None), None)

    def identities(self, metric: str) -> list[str | None] | None:
        """Persona of every score of a metric, or None if the scores or their rows are unknown."""
        return self._of_scores(metric, "identities")

    def kinds(self, metric: str) -> list[str | None] | None:
        """Attribute kind of every score of a metric, or None if the scores or their rows are unknown."""
        return self._of_scores(metric, "kinds")

    def clusters(self, metric: str) -> list[str | None] | None:
        """What belongs together in each score of a metric: the persona, of a zero-shot set the class; else None.

        The images of a class stand or fall with its prompts, as the rows of a persona do with its face.
        """
        result = self.results.get(metric)
        return self._of_scores(metric, "texts" if result and result.spec.on_zero_shot_set else "identities")

    def file_names(self, metric: str) -> list[str] | None:
        """Image of every score of a metric, or None if the scores or their rows are unknown."""
        return self._of_scores(metric, "file_names")

    def _of_scores(self, metric: str, column: str) -> list[Any] | None:
        result = self.results.get(metric)
        if result is None or result.scores is None or result.rows is None or result.spec.split not in self.rows:
            return None
        values: Sequence[Any] = getattr(self.rows[result.spec.split], column)
        return [values[row] for row in result.rows]


def _versions() -> dict[str, str]:
    found = {"salmu-demo": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
