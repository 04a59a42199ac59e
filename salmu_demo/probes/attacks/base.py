"""What an attack on a persona is: its facts, what it lines up, and one `read`; and the registry of all of them.

Every attack ranks the truth about a persona among the same thing about others: a value among the values of a kind, a
name among names. A model that does not know the person ranks it anywhere with the same chance, so that a rank is a
test.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import QueryError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.line_up import (
    chance_exposure,
    exposure,
    two_sided_p,
    unit_candidates,
    unit_scores,
    value_rank,
)
from salmu_demo.metrics.protocol import SEED, TIE_TOLERANCE
from salmu_demo.metrics.ranking import tied_ranks
from salmu_demo.probes.people import People, Pool, ShownImage, Side, WhichImages, faces

A = TypeVar("A", bound="type[PersonaAttack]")

MOST_OTHERS: Final = 96
"""Personas, drawn by `SEED`, whose wrong candidates say how far from the others chance alone puts one."""

RESAMPLES: Final = 1000
"""Draws of images for the interval of an exposure."""

LEVEL: Final = 0.95
"""Share of the draws within the interval."""

_MOST_COUNTS: Final = 32
"""Numbers of images whose draws are remembered; making them takes longer than the rest of a reading."""


@dataclass(frozen=True)
class Variant:
    """One way to carry out an attack.

    Attributes:
        name: what it is called, such as ``unseen images``.
        images: which images are asked about, those of the kind and side or those no model trained on; None if the
            attack has no image.
        unseen_wordings: whether the sentences are those that no caption has.
    """

    name: str
    images: WhichImages | None = "own"
    unseen_wordings: bool = False


OWN: Final = Variant("own images")


@dataclass(frozen=True)
class Candidates:
    """What a persona is lined up against.

    Attributes:
        values: C candidates.
        true: persona id to the numbers of the candidates that are true for it.
        features: every sentence with every candidate, shape (S, C, D); they are given length 1 here, because every
            reading needs them so.
        sentences: the S sentences, with `{value}` where the candidate goes; empty if candidates are images.
    """

    values: tuple[str, ...]
    true: Mapping[str, tuple[int, ...]]
    features: NDArray[np.float32]
    sentences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", unit_candidates(self.features))


@dataclass(frozen=True)
class Place:
    """Where the truth about one persona stands in one line-up.

    Attributes:
        rank: of the best true candidate among the wrong ones, from 1, by `tied_ranks`.
        candidates: how many were ranked: the wrong ones and the best true one.
        true: how many candidates are true; all but the best take no part.
        tail: how often a wrong candidate, of any persona, is as far from the others of its line-up, from 0 to 1; two
            ends counted, see `Background`. A rank alone cannot be rarer than 2 in `candidates`, this can.
    """

    rank: float
    candidates: int
    true: int
    tail: float

    @property
    def exposure(self) -> float:
        """Bits, see `salmu_demo.metrics.line_up.exposure`."""
        return exposure(self.rank, self.candidates)

    @property
    def chance_exposure(self) -> float:
        """Its mean, in bits, for a model that guesses."""
        return chance_exposure(self.candidates, self.true)

    @property
    def p(self) -> float:
        """How often a guess is as near to either end, see `two_sided_p`."""
        return two_sided_p(self.rank, self.candidates, self.true)

    @property
    def end(self) -> Literal["top", "bottom"]:
        """Which end of the line-up is nearer."""
        return "top" if self.rank <= (self.candidates + 1) / 2 else "bottom"

    @property
    def from_nearer_end(self) -> float:
        """The rank counted from the nearer end."""
        return min(self.rank, self.candidates + 1 - self.rank)

    @property
    def first(self) -> bool:
        """Whether the truth is first: before all others, or tied with one."""
        return self.rank < 2


@dataclass(frozen=True)
class Placebo:
    """A caption match with the true value against the same with wrong ones.

    Attributes:
        true: share of the images that find their persona's caption first.
        wrong: the same share if the caption has another persona's value, over all wrong values tried.
    """

    true: float
    wrong: float

    @property
    def difference(self) -> float:
        """What of the match is due to the value."""
        return self.true - self.wrong


@dataclass(frozen=True)
class PersonaReading:
    """What one attack found about one (persona, kind) with one model.

    Attributes:
        attack: name of the attack.
        variant: name of its variant.
        side: whether the images were to be forgotten or to be kept.
        place: where the truth stands.
        interval: where the exposure lies, in bits, when other images are drawn; None for fewer than 2 images.
        true_values: the candidates that are true.
        values: those that were ranked, best first.
        scores: their scores, best first.
        shown: the images.
        sentences: the sentences, with `{value}` where the candidate goes.
        placebo: of the caption match, what wrong values do; None if no caption of the persona has its value.
    """

    attack: str
    variant: str
    side: Side
    place: Place
    interval: tuple[float, float] | None
    true_values: tuple[str, ...]
    values: tuple[str, ...]
    scores: NDArray[np.float64]
    shown: tuple[ShownImage, ...]
    sentences: tuple[str, ...]
    placebo: Placebo | None = None


@dataclass(frozen=True)
class Skipped:
    """An attack, or a variant of one, that could not be carried out, and why."""

    attack: str
    variant: str
    side: Side
    reason: str


@dataclass(frozen=True)
class Background:
    """How far from the others of its line-up a wrong candidate stands: what chance does.

    For each of several personas, each wrong candidate's mean score is compared with the mean and standard deviation of
    the other wrong ones (externally studentised residuals). The truth about somebody the model does not know is one
    more such candidate. All personas together tell the ends of that distribution finer than one line-up can.

    Attributes:
        distances: sorted, shape (N,).
    """

    distances: NDArray[np.float64]

    def tail(self, distance: float, true: int) -> float:
        """How often chance puts the best of `true` candidates as far to either end, two ends counted."""
        count = len(self.distances) + 1
        ahead = 1 + len(self.distances) - int(np.searchsorted(self.distances, distance - TIE_TOLERANCE, "left"))
        behind = 1 + int(np.searchsorted(self.distances, distance + TIE_TOLERANCE, "right"))
        # The best of several is ahead if any is, and behind if all are.
        top, bottom = 1 - (1 - ahead / count) ** true, (behind / count) ** true
        return min(1.0, 2 * min(top, bottom))


@dataclass(frozen=True)
class Setting:
    """What the readings of one attack on one kind with one model have in common, and need not compute again.

    Attributes:
        candidates: what personas are lined up against.
        background: what chance does.
    """

    candidates: Candidates
    background: Background


class PersonaAttack(ABC):
    """An attack on one attribute of a persona. A registered subclass is all it takes.

    Attributes:
        name: as the user types it.
        title: the attack in plain words.
        gives: what the attacker learns, such as ``face to value``.
        access: what of the model it takes.
        knowledge: what the attacker has to know or own beforehand.
        cost: what it costs, for one attribute of one persona.
        variants: how it is carried out, the one that decides first.
        own_sentences: whether its sentences name the persona, so that each persona has candidates of its own.
        controls: how many never-taught personas are read as controls; None for all of them.
        about_value: whether its verdict is one about the value; the caption match says nothing about it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    gives: ClassVar[str]
    access: ClassVar[str] = "cosines of images and texts of the attacker's choice"
    knowledge: ClassVar[str]
    cost: ClassVar[str]
    variants: ClassVar[tuple[Variant, ...]] = (OWN,)
    own_sentences: ClassVar[bool] = False
    controls: ClassVar[int | None] = None
    about_value: ClassVar[bool] = True

    def lacks(self, people: People, variant: Variant) -> str | None:
        """Why the data cannot give what a variant needs, as a sentence, or None."""
        data = people.data
        unseen = variant.images == "unseen" and not people.never_taught
        if unseen and layout.UNSEEN_IMAGES not in data.stored_splits:
            return f"{data.name} has no images of the personas that no model trains on."
        if variant.unseen_wordings and not any(wordings.unseen for wordings in data.probe_wordings.values()):
            return f"{data.name} has no wordings that no caption has."
        return None

    def texts(self, people: People, kind: str, variant: Variant, persona: Persona | None = None) -> list[str]:
        """The texts outside the data that the attack encodes, so that they can be encoded ahead."""
        return []

    @abstractmethod
    def candidates(
        self, view: FeatureView, people: People, kind: str, variant: Variant, persona: Persona | None = None
    ) -> Candidates:
        """What is lined up; `persona` is given to attacks with `own_sentences`."""

    def queries(
        self, view: FeatureView, people: People, kind: str, variant: Variant, side: Side, whose: Collection[str]
    ) -> Pool:
        """What the candidates are compared with, of some personas: by default the features of their images."""
        return faces(view, people.images(kind, side, variant.images or "own"), whose)

    def scores(self, queries: NDArray[np.float32], candidates: Candidates) -> NDArray[np.float64]:
        """Scores of the candidates for each query, shape (N, C); by default standardised over the candidates."""
        return unit_scores(queries, candidates.features)

    def asked(self, people: People, kind: str, variant: Variant, side: Side) -> list[str]:
        """Who can be asked about: personas with a value of the kind and an image, by id."""
        known = people.values(kind)[1]
        if variant.images is None:
            return list(known)
        return [identity for identity in people.images(kind, side, variant.images) if identity in known]

    def setting(
        self,
        view: FeatureView,
        people: People,
        kind: str,
        variant: Variant,
        side: Side,
        persona: Persona | None = None,
    ) -> Setting:
        """What the readings of a kind have in common."""
        candidates = self.candidates(view, people, kind, variant, persona)
        others = _drawn(self.asked(people, kind, variant, side), MOST_OTHERS)
        if not others:
            return Setting(candidates, Background(np.empty(0)))
        means, _ = self._means(view, people, kind, variant, side, others, candidates)
        # With sentences about one persona, what is true for it stands out beside any face.
        named = () if persona is None else candidates.true.get(persona.identity_id, ())
        distances = [
            wrong_distances(row[_wrong(len(row), (*candidates.true.get(identity, ()), *named))])
            for identity, row in zip(others, means, strict=True)
        ]
        return Setting(candidates, Background(np.sort(np.concatenate(distances))))

    def read(
        self,
        view: FeatureView,
        people: People,
        persona: Persona,
        kind: str,
        variant: Variant,
        side: Side = "forget",
        setting: Setting | None = None,
    ) -> PersonaReading | Skipped:
        """Carry the attack out on one (persona, kind).

        Args:
            view: the model's features.
            people: those the persona is one of.
            persona: the persona.
            kind: the attribute kind.
            variant: one of `variants`.
            side: which of the persona's images; without a meaning for never-taught people, and for attacks without
                an image.
            setting: from `setting`, of the same model, kind, variant and side; None computes it.

        Raises:
            QueryError: if the persona has no value of that kind.
        """
        check_value(people.data, persona, kind)
        reason = self.lacks(people, variant)
        queries = None if reason else self.queries(view, people, kind, variant, side, [persona.identity_id])
        if queries is None or not queries.owners:
            where = "to be forgotten" if side == "forget" else "to be kept"
            return Skipped(self.name, variant.name, side, reason or f"{persona.name} has no such image {where}.")
        own = persona if self.own_sentences else None
        setting = setting or self.setting(view, people, kind, variant, side, own)
        if persona.identity_id not in setting.candidates.true:
            return Skipped(self.name, variant.name, side, f"{persona.name} has nothing else to be compared with.")
        per_query = self.scores(queries.features, setting.candidates)
        return _reading(self, variant, side, persona, per_query, queries.shown, setting)

    def places(
        self,
        view: FeatureView,
        people: People,
        kind: str,
        variant: Variant,
        side: Side = "forget",
        setting: Setting | None = None,
        most: int | None = None,
    ) -> dict[str, Place]:
        """Where the truth about each persona who can be asked about stands, by id: all at once.

        Args:
            view: the model's features.
            people: all of them, or as many as `most` drawn by `SEED`.
            kind: the attribute kind.
            variant: one of `variants`.
            side: which of their images.
            setting: as for `read`; without a meaning for attacks with `own_sentences`.
            most: None for everybody.
        """
        if self.lacks(people, variant):
            return {}
        asked = _drawn(self.asked(people, kind, variant, side), most)
        if not asked:
            return {}
        if self.own_sentences:
            readings = {i: self.read(view, people, people.personas[i], kind, variant, side) for i in asked}
            return {i: reading.place for i, reading in readings.items() if isinstance(reading, PersonaReading)}
        setting = setting or self.setting(view, people, kind, variant, side)
        means, found = self._means(view, people, kind, variant, side, asked, setting.candidates)
        return {
            identity: place_of(row, setting.candidates.true[identity], setting.background)
            for identity, row in zip(asked, means, strict=True)
            if identity in found and identity in setting.candidates.true
        }

    def _means(
        self,
        view: FeatureView,
        people: People,
        kind: str,
        variant: Variant,
        side: Side,
        whose: Sequence[str],
        candidates: Candidates,
    ) -> tuple[NDArray[np.float64], set[str]]:
        """Mean scores of each persona's queries, shape (len(whose), C), and who has any query."""
        queries = self.queries(view, people, kind, variant, side, whose)
        scores = self.scores(queries.features, candidates)
        number = {identity: place for place, identity in enumerate(whose)}
        owners = np.array([number[owner] for owner in queries.owners])
        sums = np.zeros((len(whose), scores.shape[1]))
        np.add.at(sums, owners, scores)
        counts = np.bincount(owners, minlength=len(whose))
        return sums / np.maximum(counts, 1)[:, None], set(queries.owners)


def check_value(data: BenchmarkData, persona: Persona, kind: str) -> None:
    """Refuse a kind that a persona has no value of; raises `QueryError`."""
    if not persona.values(kind):
        known = ", ".join(k for k in data.kinds if persona.values(k)) or "none"
        raise QueryError(f"{persona.name} has no attribute {kind!r} in {data.name}; choose one of {known}.")


def place_of(scores: NDArray[np.float64], true: Sequence[int], background: Background) -> Place:
    """Where the best true candidate stands among mean scores of shape (C,)."""
    is_true = ~_wrong(len(scores), true)
    rank, candidates = value_rank(scores, is_true)
    wrong, best = scores[~is_true], float(scores[is_true].max())
    spread = float(wrong.std()) if len(wrong) else 0.0
    distance = (best - float(wrong.mean())) / spread if spread > TIE_TOLERANCE else 0.0
    return Place(rank, candidates, len(true), background.tail(distance, len(true)))


def wrong_distances(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each of wrong candidates stands from the mean of the others, in their standard deviations; shape (C,).

    >>> wrong_distances(np.array([0.0, 2.0, 5.0])).tolist()
    [-2.3333333333333335, -0.2, 4.0]
    """
    others = len(scores) - 1
    if others < 1:
        return np.zeros(len(scores))
    means = (scores.sum() - scores) / others
    squares = ((scores**2).sum() - scores**2) / others
    spreads = np.sqrt(np.maximum(squares - means**2, 0))
    result: NDArray[np.float64] = np.zeros_like(scores)
    np.divide(scores - means, spreads, out=result, where=spreads > TIE_TOLERANCE)
    return result


def exposure_interval(per_query: NDArray[np.float64], true: Sequence[int]) -> tuple[float, float] | None:
    """Where the exposure of shape (N, C) scores lies when other images are drawn: a percentile bootstrap, seeded.

    None for fewer than 2 images, which say nothing about others.
    """
    return None if len(per_query) < 2 else percentiles(resampled_exposures(per_query, true))


def percentiles(bits: NDArray[np.float64]) -> tuple[float, float]:
    """The ends of the central `LEVEL` of draws."""
    low, high = np.quantile(bits, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def resampled_exposures(per_query: NDArray[np.float64], true: Sequence[int]) -> NDArray[np.float64]:
    """Exposures of `RESAMPLES` draws of images, with shape (N, C) scores; as many images are drawn alike."""
    distinct, inverse = _draws(len(per_query))
    scores, wrong = distinct @ per_query, _wrong(per_query.shape[1], true)
    ranks = tied_ranks(scores[:, list(true)].max(axis=1), scores, wrong)
    candidates = int(wrong.sum()) + 1
    # Few ranks differ.
    different, which = np.unique(ranks, return_inverse=True)
    bits = np.array([exposure(rank, candidates) for rank in different.tolist()])[which]
    return bits[inverse]


@lru_cache(maxsize=_MOST_COUNTS)
def _draws(count: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Weights of `count` images in the different draws, shape (K, count), and which of them each draw is.

    Draws repeat: three images have ten different ones.
    """
    drawn = np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))
    weights = np.zeros((RESAMPLES, count))
    np.add.at(weights, (np.arange(RESAMPLES)[:, None], drawn), 1 / count)
    distinct, inverse = np.unique(weights, axis=0, return_inverse=True)
    return distinct, inverse.ravel()


def _reading(
    attack: PersonaAttack,
    variant: Variant,
    side: Side,
    persona: Persona,
    per_query: NDArray[np.float64],
    shown: tuple[ShownImage, ...],
    setting: Setting,
) -> PersonaReading:
    candidates = setting.candidates
    true = candidates.true[persona.identity_id]
    scores = per_query.mean(axis=0)
    best = max(true, key=lambda number: float(scores[number]))
    order = [i for i in np.argsort(-scores, kind="stable").tolist() if i == best or i not in true]
    return PersonaReading(
        attack.name,
        variant.name,
        side,
        place_of(scores, true, setting.background),
        exposure_interval(per_query, true) if shown else None,
        true_values=tuple(candidates.values[i] for i in true),
        values=tuple(map(candidates.values.__getitem__, order)),
        scores=scores[order],
        shown=shown,
        sentences=candidates.sentences,
    )


def _wrong(count: int, true: Sequence[int]) -> NDArray[np.bool_]:
    wrong = np.ones(count, dtype=bool)
    wrong[list(true)] = False
    return wrong


def _drawn(people: Sequence[str], most: int | None) -> list[str]:
    """At most so many people, always the same ones, in their order."""
    if most is None or len(people) <= most:
        return list(people)
    chosen = np.random.default_rng(SEED).permutation(len(people))[:most]
    return [people[number] for number in sorted(chosen)]


REGISTRY: Final[dict[str, PersonaAttack]] = {}


def register(attack: A) -> A:
    """Class decorator that adds an attack to the registry."""
    REGISTRY[attack.name] = attack()
    return attack


def all_attacks() -> tuple[PersonaAttack, ...]:
    """Every attack, the headline first, the others in the order of the table in the guide."""
    return tuple(sorted(REGISTRY.values(), key=lambda attack: _ORDER.index(attack.name)))


def find_attack(name: str) -> PersonaAttack:
    """The attack of a name; raises `QueryError` if there is none."""
    if name not in REGISTRY:
        raise QueryError(f"There is no attack {name!r:.60}; choose one of {', '.join(a.name for a in all_attacks())}.")
    return REGISTRY[name]


def variants_of(attacks: Sequence[PersonaAttack]) -> Iterator[tuple[PersonaAttack, Variant]]:
    """Every attack with each of its variants."""
    for attack in attacks:
        for variant in attack.variants:
            yield attack, variant


HEADLINE: Final = "nameless-line-up"
_ORDER: Final = (
    HEADLINE, "named-line-up", "face-to-name", "text-only", "two-steps", "image-to-image", "caption-match",
)  # fmt: skip
