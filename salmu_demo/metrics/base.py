"""What a metric is: its facts, what it reads, and one `compute`; and the registry of all of them."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError, PluginError
from salmu_demo.core.plugins import METRICS, is_outside, load_entry_points
from salmu_demo.data.layout import GENKNOW_SPLIT
from salmu_demo.metrics.checks import Index
from salmu_demo.metrics.protocol import EFFICACY_REFERENCE, UTILITY_REFERENCE

Benchmark: TypeAlias = Literal["SALMUBench", "CLEAR"]

T = TypeVar("T")
M = TypeVar("M", bound="type[Metric]")


@dataclass(frozen=True)
class Rows:
    """The rows of a split that were measured.

    Attributes:
        file_names: N file names.
        identities: N persona ids, or None for a row without a persona.
        kinds: N attribute kinds, or None for a row without one.
        texts: N captions; for the zero-shot set, the true classes.
    """

    file_names: Sequence[str]
    identities: Sequence[str | None]
    kinds: Sequence[str | None]
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.file_names)


@dataclass(frozen=True)
class ZeroShotSet:
    """A zero-shot classification set; its N images are the rows of the split `genknow`.

    Attributes:
        name: for reports.
        classes: names of the C classes.
        prompts: C x T texts, the T prompts of a class one after another.
        labels: shape (N,), the number of each image's class.
    """

    name: str
    classes: Sequence[str]
    prompts: Sequence[str]
    labels: NDArray[np.int64]


class Person(Protocol):
    """A persona as metrics see it."""

    @property
    def identity_id(self) -> str:
        """Its id."""

    @property
    def name(self) -> str:
        """Its name."""

    def values(self, kind: str) -> list[str]:
        """Its values of an attribute kind."""


class Wordings(Protocol):
    """Sentences of one attribute kind with `{person}` and `{value}` where these go."""

    @property
    def trained(self) -> Sequence[str]:
        """Those of the training captions."""

    @property
    def unseen(self) -> Sequence[str]:
        """Those that no caption has."""


class MetricData(Protocol):
    """What a metric knows about a data set without any model."""

    @property
    def name(self) -> str:
        """Name of the data set."""

    @property
    def personas(self) -> Sequence[Person]:
        """Every persona."""

    @property
    def zero_shot(self) -> ZeroShotSet | None:
        """The zero-shot set, or None."""

    @property
    def probe_wordings(self) -> Mapping[str, Wordings]:
        """Wordings by attribute kind; empty if the data have none."""

    def has(self, split: str) -> bool:
        """Whether there is a stored or derived split of a name."""

    def rows(self, split: str) -> Rows:
        """The measured rows of a stored or derived split: all, or those of the sample."""

    def all_rows(self, split: str) -> Rows:
        """All rows of a split, even if a sample is measured."""

    def generic_caption(self, file_name: str) -> str | None:
        """The plain description of an image, or None."""

    def choices(self, split: str, asked: str) -> Sequence[Sequence[str]] | None:
        """What each measured row of a split chooses from, the right answer first; None if the data have none.

        `asked` is `name`, `caption` or `answer`. A row that is not asked has nothing to choose from.
        """

    def once(self, make: "Callable[[MetricData], T]") -> T:
        """What a function computes from this data set, computed once."""


class MetricView(Protocol):
    """One model's features of one data set, each computed once and cached; float32 rows of length 1."""

    @property
    def data(self) -> MetricData:
        """The data set."""

    def images(self, split: str) -> NDArray[np.float32]:
        """Features of the measured images of a split, shape (N, D)."""

    def captions(self, split: str) -> NDArray[np.float32]:
        """Features of their captions, shape (N, D)."""

    def texts(self, texts: "Texts") -> NDArray[np.float32]:
        """Features of other texts, shape (K, D): the captions in `texts.captions`, then the prompts."""

    def prompts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features of texts that are not in the data, shape (K, D)."""

    def written(self, prompted: "Prompted") -> Sequence[str]:
        """What a model with a text decoder writes about N images after their beginnings, N texts."""

    def log_likelihoods(self, prompted: "Prompted", texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Mean logarithms of the probabilities of the tokens of texts: N lists to shape (N, C), -inf fills up."""

    @property
    def gold(self) -> "MetricView | None":
        """The same view of Gold, for metrics that compare with it, or None."""


@dataclass(frozen=True)
class Texts:
    """Texts that a metric reads in addition to the captions of the measured rows.

    Attributes:
        prompts: texts that are not in the data.
        captions: by split, rows of the whole split whose captions are read; they come before the prompts.
    """

    prompts: Sequence[str] = ()
    captions: Mapping[str, Index] = field(default_factory=dict)


@dataclass(frozen=True)
class Prompted:
    """Images that a model with a text decoder writes about, or finds texts likely for.

    Attributes:
        split: their split.
        rows: shape (N,), which of its measured rows.
        beginnings: N texts that are given, and that texts continue.
    """

    split: str
    rows: NDArray[np.int64]
    beginnings: Sequence[str]


@dataclass(frozen=True)
class Needs:
    """What a metric reads from a data set, and what therefore has to be encoded first.

    Attributes:
        images: splits whose measured images are read.
        captions: splits whose measured captions are read.
        texts: other texts, by a description such as "prompts of IdZSC".
    """

    images: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    texts: Mapping[str, Texts] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricResult:
    """One metric for one model.

    Attributes:
        spec: which metric.
        value: its headline value, the mean of `scores`, within `Metric.largest` of 0; None for one that was skipped,
            because the data hold nothing to measure it on.
        scores: shape (n,), what each measured row or fact contributes: 1 / rank, cosine, credit or bits; None if only
            the value is known.
        rows: shape (n,), the row of the split `spec.split` that each score belongs to, of a fact its first; None if
            that is unknown.
        ranks: shape (n,), of a metric that ranks: the rank of every row's own caption or value, counted from 1.
        candidates: shape (n,), the number of captions or values it was ranked among.
        r_at_1: share of ranks that are exactly 1.
        measured_on: the zero-shot set, of a metric that is measured on one.
        reason: why it was skipped, in words that begin with what the data lack; None if it was not.
        seconds: how long it took, features included.
    """

    spec: "Metric"
    value: float | None
    scores: NDArray[np.float64] | None = None
    rows: NDArray[np.int64] | None = None
    ranks: NDArray[np.float64] | None = None
    candidates: NDArray[np.int64] | None = None
    r_at_1: float | None = None
    measured_on: str | None = None
    reason: str | None = None
    seconds: float = 0.0

    @property
    def skipped(self) -> bool:
        """Whether the data held nothing to measure it on."""
        return self.value is None


class Metric(ABC):
    """A metric: facts for tables and files, and how it is computed. A registered subclass is all it takes.

    Attributes:
        name: as the user types it, such as ``RetFail``.
        number: the official number, such as ``1.1``; ``+`` for further measures.
        pillar: ``efficacy``, which aims at Clean's value, or ``utility``, which aims at Compromised's.
        title: the metric in plain words.
        explanation: one sentence for a reader who meets it for the first time.
        split: the rows its scores belong to; ``genknow`` stands for the zero-shot set.
        value_key: key of the headline value in the official result file.
        benchmark: whose metric it is; on data of SALMUBench those of CLEAR are measured only if they are named.
        official: whether it is one of the benchmark's ten metrics, which the official result file holds.
        lists_scores: whether the official result file lists its scores.
        grouped: whether its scores are also averaged by attribute kind and by persona.
        unit: what its values are counted in, such as ``bits``; empty for shares and cosines.
        largest: no score is further from 0.
        of_rows: whether its value is the mean of scores; a number made of several metrics has none.
        decodes: whether it needs a model with a text decoder; of others it is not measured.
        against_gold: whether it compares with Gold, and is not measured without one.
    """

    name: ClassVar[str]
    pillar: ClassVar[Literal["efficacy", "utility"]]
    title: ClassVar[str]
    explanation: ClassVar[str]
    split: ClassVar[str]
    number: ClassVar[str] = "+"
    value_key: ClassVar[str] = "value"
    benchmark: ClassVar[Benchmark] = "SALMUBench"
    official: ClassVar[bool] = False
    lists_scores: ClassVar[bool] = False
    grouped: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    largest: ClassVar[float] = 1.0
    of_rows: ClassVar[bool] = True
    decodes: ClassVar[bool] = False
    against_gold: ClassVar[bool] = False

    @property
    def reference(self) -> str:
        """The model whose value is the target."""
        return EFFICACY_REFERENCE if self.pillar == "efficacy" else UTILITY_REFERENCE

    @property
    def json_key(self) -> str:
        """Key of the metric in its section of the official result file."""
        return f"{self.number}_{self.name}"

    @property
    def on_zero_shot_set(self) -> bool:
        """Whether it is measured on a zero-shot set, which may differ between runs on the same data."""
        return self.split == GENKNOW_SPLIT

    def needs(self, data: MetricData) -> Needs | None:
        """What the metric reads, by default the pairs of its split; None if the data hold nothing to measure it on.

        Raises:
            MetricError: if the data lack something they should have.
        """
        return Needs((self.split,), (self.split,))

    def lacks(self, data: MetricData) -> str:
        """What the data lack where `needs` is None, in words that end a sentence."""
        return f"{data.name} holds nothing to measure it on"

    @abstractmethod
    def compute(self, view: MetricView) -> MetricResult:
        """Measure a model; called only where `needs` returns something.

        Raises:
            MetricError: if features are not usable.
        """

    def result(self, scores: NDArray[np.float64], rows: NDArray[np.int64] | None = None, **facts: Any) -> MetricResult:
        """The result with these scores, shape (n,), for the given rows, or for every row of the split."""
        rows = np.arange(len(scores)) if rows is None else rows
        return MetricResult(self, float(scores.mean()), scores, rows, **facts)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, in this process or another, is the registered metric itself."""
        return find_metric, (self.name,)


REGISTRY: Final[dict[str, Metric]] = {}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""It is typed in lists, and becomes a file name."""

_FACTS: Final = ("name", "pillar", "title", "explanation", "split")


def register(metric: M) -> M:
    """Class decorator that adds a metric to the registry.

    Raises:
        PluginError: if a fact is missing or wrong, or the name is taken.
    """
    missing = [fact for fact in _FACTS if not hasattr(metric, fact)]
    if missing:
        raise PluginError(f"The metric {metric.__name__} has no {missing[0]}; set it in the class.")
    if metric.pillar not in ("efficacy", "utility"):
        raise PluginError(f"The pillar of {metric.name} is {metric.pillar!r}; it must be 'efficacy' or 'utility'.")
    if not _NAME.fullmatch(metric.name):
        raise PluginError(f"A metric cannot be called {metric.name!r:.40}; use letters, digits, - and _.")
    known = REGISTRY.get(metric.name.casefold())
    # A cell of a notebook may be run again.
    if known is not None and type(known).__module__ != metric.__module__:
        raise PluginError(f"There is already a metric called {metric.name}; choose another name.")
    if metric.official and is_outside(metric.__module__):
        raise PluginError(f"{metric.name} is not one of the benchmark's ten metrics; leave official out.")
    REGISTRY[metric.name.casefold()] = metric()
    return metric


def official_metrics() -> tuple[Metric, ...]:
    """The ten official metrics in the order of the official result file."""
    return tuple(sorted((metric for metric in REGISTRY.values() if metric.official), key=lambda m: m.number))


def all_metrics() -> tuple[Metric, ...]:
    """Everything that is measured on data of SALMUBench: the ten, further ones, and those of plug-ins as loaded."""
    load_entry_points(METRICS)
    further = (metric for metric in REGISTRY.values() if not metric.official and metric.benchmark == "SALMUBench")
    return (*official_metrics(), *further)


def metrics_of(benchmark: Benchmark) -> tuple[Metric, ...]:
    """Everything that is measured on data of a benchmark: `all_metrics`, and on those of CLEAR its own after them."""
    # First of all: it loads plug-ins, which register more.
    common = all_metrics()
    return (*common, *(metric for metric in REGISTRY.values() if metric.benchmark == benchmark != "SALMUBench"))


def known_metrics() -> tuple[Metric, ...]:
    """Every registered metric, in the order of tables."""
    return metrics_of("CLEAR")


def find_metric(name: str) -> Metric:
    """Look a metric up by its name, in any case.

    Args:
        name: a name such as ``RetFail``.

    Raises:
        MetricError: if no metric has this name.

    Example:
        >>> find_metric("retfail").json_key
        '1.1_RetFail'
    """
    load_entry_points(METRICS)
    found = REGISTRY.get(name.casefold())
    if found is None:
        valid = ", ".join(metric.name for metric in all_metrics())
        raise MetricError(
            f"There is no metric called {name!r}: choose one of {valid}. `salmu-demo data describe` lists the further "
            "ones of CLEAR."
        )
    return found
