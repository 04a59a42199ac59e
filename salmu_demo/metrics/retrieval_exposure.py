"""RetFailBits and RetFailKind: RetFail read in bits, and in a gallery in which no other kind of caption helps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salmu_demo.data import layout
from salmu_demo.data.values import value_key
from salmu_demo.metrics.base import Metric, MetricData, MetricResult, MetricView, Needs, Texts, find_metric, register
from salmu_demo.metrics.checks import normalised
from salmu_demo.metrics.line_up import exposure_above_guess
from salmu_demo.metrics.protocol import DISTRACTORS_PER_SOURCE, SEED
from salmu_demo.metrics.ranking import MOST_BITS, ROWS_PER_CHUNK, tied_ranks


@dataclass(frozen=True)
class KindGallery:
    """The captions of one kind that images are ranked on.

    Attributes:
        drawn: shape (K,), rows of the whole forget split whose captions compete.
        drawn_facts: shape (K,), number of what each of them says.
        rows: shape (N,), measured forget rows of the kind, each with a rival at least.
        facts: shape (N,), number of what the caption of each says.
    """

    drawn: NDArray[np.int64]
    drawn_facts: NDArray[np.int64]
    rows: NDArray[np.int64]
    facts: NDArray[np.int64]


def kind_galleries(data: MetricData) -> list[KindGallery]:
    """The gallery of each kind: its forget captions, or as many of them as RetFail draws.

    What captions say are the values of their persona; captions of the same say the truth about each other's images,
    and do not compete. One generator draws without replacement for one kind after another, in the order in which they
    occur.
    """
    people = {person.identity_id: person for person in data.personas}
    numbers: dict[tuple[str, ...], int] = {}

    def fact(identity: str | None, kind: str, text: str) -> int:
        person = people.get(identity) if identity else None
        values = person.values(kind) if person else []
        said = ("values", *sorted(map(value_key, values))) if values else ("persona", identity) if identity else None
        return numbers.setdefault((kind, *(said or ("text", text))), len(numbers))

    whole, measured = data.all_rows(layout.FORGET), data.rows(layout.FORGET)
    all_rows: dict[str, list[int]] = {}
    for row, kind in enumerate(whole.kinds):
        if kind is not None:
            all_rows.setdefault(kind, []).append(row)
    generator = np.random.RandomState(SEED)
    found = []
    for kind, of_kind in all_rows.items():
        drawn = np.array(of_kind)
        if len(drawn) > DISTRACTORS_PER_SOURCE:
            drawn = generator.choice(drawn, DISTRACTORS_PER_SOURCE, replace=False)
        drawn_facts = np.array([fact(whole.identities[row], kind, whole.texts[row]) for row in drawn])
        rows = np.array([row for row, other in enumerate(measured.kinds) if other == kind], dtype=np.int64)
        facts = np.array([fact(measured.identities[row], kind, measured.texts[row]) for row in rows], dtype=np.int64)
        ranked = np.array([(drawn_facts != own).any() for own in facts], dtype=bool)
        if ranked.any():
            found.append(KindGallery(drawn, drawn_facts, rows[ranked], facts[ranked]))
    return found


def _read(galleries: list[KindGallery]) -> Texts:
    return Texts(captions={layout.FORGET: np.concatenate([gallery.drawn for gallery in galleries])})


@register
class RetFailBits(Metric):
    """RetFail in the unit in which lifting other captions above the sensitive ones hides nothing."""

    name = "RetFailBits"
    pillar = "efficacy"
    title = "Retrieval of the sensitive caption in bits"
    explanation = (
        "The ranks of RetFail as exposure in bits above a guess, so that a caption that stays far ahead of most others "
        "counts although it is not the first. Not one of the ten official metrics."
    )
    split = layout.FORGET
    grouped = True
    unit = "bits"
    largest = MOST_BITS

    def needs(self, data: MetricData) -> Needs | None:
        return find_metric("RetFail").needs(data)

    def compute(self, view: MetricView) -> MetricResult:
        found = find_metric("RetFail").compute(view)
        assert found.ranks is not None
        assert found.candidates is not None
        bits = exposure_above_guess(found.ranks, found.candidates, np.ones(len(found.ranks), dtype=np.int64))
        return self.result(bits, ranks=found.ranks, candidates=found.candidates, r_at_1=found.r_at_1)


@register
class RetFailKind(Metric):
    """RetFail in a gallery where every caption gives away the same kind of attribute."""

    name = "RetFailKind"
    pillar = "efficacy"
    title = "Retrieval among captions of the same kind"
    explanation = (
        "How near the top an image to be forgotten puts its own sensitive caption among those of other personas that "
        "give away the same kind of attribute, as the mean of one divided by its rank. Not one of the ten official "
        "metrics."
    )
    split = layout.FORGET
    value_key = "MRR"
    grouped = True

    def needs(self, data: MetricData) -> Needs | None:
        galleries = data.once(kind_galleries)
        if not galleries:
            return None
        texts = {"captions that RetFailKind ranks against": _read(galleries)}
        return Needs((self.split,), (self.split,), texts)

    def lacks(self, data: MetricData) -> str:
        return f"{data.name} has no two forget captions of one kind about different values"

    def compute(self, view: MetricView) -> MetricResult:
        galleries = view.data.once(kind_galleries)
        images = normalised(view.images(self.split), "image_features")
        own = normalised(view.captions(self.split), "caption_features")
        texts = normalised(view.texts(_read(galleries)), "distractor_features")
        rows, ranks, candidates, start = [], [], [], 0
        for gallery in galleries:
            rivals, start = texts[start : start + len(gallery.drawn)], start + len(gallery.drawn)
            for first in range(0, len(gallery.rows), ROWS_PER_CHUNK):
                chosen = slice(first, first + ROWS_PER_CHUNK)
                rows.append(gallery.rows[chosen])
                competes = gallery.facts[chosen, None] != gallery.drawn_facts
                scores = np.einsum("nd,nd->n", images[rows[-1]], own[rows[-1]])
                ranks.append(tied_ranks(scores, images[rows[-1]] @ rivals.T, competes))
                candidates.append(1 + np.count_nonzero(competes, axis=1))
        order = np.argsort(np.concatenate(rows))
        found = np.concatenate(ranks)[order]
        return self.result(
            1 / found,
            np.concatenate(rows)[order],
            ranks=found,
            candidates=np.concatenate(candidates)[order],
            r_at_1=float((found == 1).mean()),
        )
