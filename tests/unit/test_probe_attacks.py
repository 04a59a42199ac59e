"""Every attack on a persona against a plain recomputation, from features of one image or text at a time."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from salmu_demo.core.errors import QueryError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Persona, load_folder
from salmu_demo.probes.attacks import PersonaReading, Skipped, all_attacks, find_attack
from salmu_demo.probes.people import People, ShownImage, Side
from tests.fixtures.planted import KINDS, PlantedEmbedder, planted_model, write_planted_data

Vector = NDArray[np.float64]

MODEL = planted_model("unlearned")
PEOPLE = 9
"""Three with everything to be forgotten, three with images on both sides, three with everything to be kept."""
NAMED = ("{value}", "A photo of {value}", "This is {value}")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkData:
    return load_folder(write_planted_data(tmp_path_factory.mktemp("planted"), people=PEOPLE), "planted")


class Plain:
    """The data and the model, asked for one thing at a time; rows are found by their file names."""

    def __init__(self, data: BenchmarkData, never: bool = False, values: float = 0.6, names: float = 0.4) -> None:
        self.data, self.never = data, never
        # A little is known, so that the truth is neither always first nor anywhere.
        self.embedder = PlantedEmbedder(data, {"unlearned": dict.fromkeys(KINDS, values)}, {"unlearned": names})
        self.people = {p.identity_id: p for p in (data.never_taught if never else data.personas)}

    def text(self, text: str) -> Vector:
        return self.embedder.prompts(MODEL, [text])[0].astype(np.float64)

    def image(self, shown: ShownImage) -> Vector:
        rows = self.data.split(shown.split).take(shown.split, [shown.row])
        return self.embedder.images(MODEL, self.data, rows)[0].astype(np.float64)

    def images(self, identity: str, kind: str, side: Side, unseen: bool = False) -> list[ShownImage]:
        if self.never or unseen:
            name = layout.NEVER_TAUGHT if self.never else layout.UNSEEN_IMAGES
            rows = [row for row, owner in enumerate(self.data.split(name).identities) if owner == identity]
            return [ShownImage(name, row) for row in rows]
        splits = ["forget"] if side == "forget" else ["holdout_association", "holdout_identity"]
        return [
            ShownImage(name, row)
            for name in splits
            for row, file in enumerate(self.data.split(name).file_names)
            if file.startswith(f"{identity}_{kind}_")
        ]

    def values(self, kind: str) -> list[str]:
        return list(dict.fromkeys(value for person in self.people.values() for value in person.values(kind)))


def cosines(query: Vector, texts: Sequence[Vector]) -> Vector:
    return np.array([query @ text / math.sqrt(query @ query) / math.sqrt(text @ text) for text in texts])


def standardised(query: Vector, sentences: Sequence[Sequence[Vector]]) -> Vector:
    """Mean over sentences of the cosines with every candidate, of mean 0 and deviation 1."""
    total = np.zeros(len(sentences[0]))
    for candidates in sentences:
        found = cosines(query, candidates)
        total += (found - found.mean()) / math.sqrt(((found - found.mean()) ** 2).mean()) / len(sentences)
    return total


def distances(wrong: Sequence[float]) -> list[float]:
    found = []
    for number, value in enumerate(wrong):
        others = np.delete(wrong, number)
        found.append((value - others.mean()) / others.std())
    return found


def check(
    reading: PersonaReading | Skipped,
    candidates: Sequence[str],
    per_query: dict[str, list[Vector]],
    true: Callable[[str], Sequence[str]],
    named: Sequence[str] = (),
    identity: str = "",
) -> None:
    """A reading is what follows from the scores of everybody's queries; `named` is true for whom sentences name."""
    assert isinstance(reading, PersonaReading)
    means = {who: np.mean(scores, axis=0) for who, scores in per_query.items()}
    own, mine = set(true(identity)), dict(zip(candidates, means[identity], strict=True))
    background = [
        distance
        for who, scores in means.items()
        for distance in distances(
            [s for c, s in zip(candidates, scores, strict=True) if c not in true(who) and c not in named]
        )
    ]
    best = max(own, key=lambda value: mine[value])
    wrong = [score for value, score in mine.items() if value not in own]
    distance = (mine[best] - np.mean(wrong)) / np.std(wrong)
    count = len(background) + 1
    ahead, behind = 1 + sum(b >= distance for b in background), 1 + sum(b <= distance for b in background)
    tail = min(1.0, 2 * min(1 - (1 - ahead / count) ** len(own), (behind / count) ** len(own)))
    place = reading.place
    assert (place.rank, place.candidates) == (1 + sum(s > mine[best] for s in wrong), len(wrong) + 1)
    assert (place.true, place.tail) == (len(own), pytest.approx(tail))
    assert set(reading.true_values) == own
    ranked = sorted((v for v in mine if v == best or v not in own), key=lambda v: -mine[v])
    assert list(reading.values) == ranked
    assert reading.scores == pytest.approx([mine[value] for value in ranked], abs=1e-5)
    drawn = np.random.default_rng(42).integers(0, len(per_query[identity]), (1000, len(per_query[identity])))
    bits = []
    for chosen in drawn:
        scores = dict(zip(candidates, np.mean([per_query[identity][n] for n in chosen], axis=0), strict=True))
        first = max(scores[value] for value in own)
        bits.append(math.log2(place.candidates / (1 + sum(s > first for v, s in scores.items() if v not in own))))
    expected = None if not reading.shown else pytest.approx(tuple(np.quantile(bits, [0.025, 0.975])))
    assert reading.interval == expected


def said(wording: str, person: str, value: str) -> str:
    text = wording.replace("{person}", person).replace("{value}", value)
    return text[0].upper() + text[1:]


def wordings_of(kind: str, unseen: bool = False) -> list[str]:
    if unseen:
        return [f"one {kind} for {{person}}: {{value}}"]
    return [f"{{person}} has the {kind} {{value}}", f"{{value}} is the {kind} of {{person}}"]


def read(plain: Plain, attack: str, variant: int, identity: str, kind: str, side: Side) -> PersonaReading | Skipped:
    found, people = find_attack(attack), People(plain.data, never_taught=plain.never)
    chosen = found.variants[variant]
    persona = plain.people[identity]
    reading = found.read(plain.embedder.view(MODEL), people, persona, kind, chosen, side)
    # All at once, everybody has the same place as alone.
    places = found.places(plain.embedder.view(MODEL), people, kind, chosen, side)
    if isinstance(reading, PersonaReading) and attack != "caption-match":
        assert places[identity] == reading.place
    return reading


CASES: list[tuple[str, str, Side]] = [
    ("00000001", "city", "forget"), ("00000005", "email", "forget"), ("00000005", "email", "kept"),
    ("00000008", "blood_type", "kept"),
]  # fmt: skip
"""A persona with two addresses, and one whose blood type another one has as well."""


@pytest.mark.parametrize(("identity", "kind", "side"), CASES)
@pytest.mark.parametrize("variant", [0, 1, 2])
def test_the_nameless_line_up(data: BenchmarkData, variant: int, identity: str, kind: str, side: Side):
    plain = Plain(data)
    values = plain.values(kind)
    wordings = wordings_of(kind, variant == 2)
    sentences = [[plain.text(said(wording, "this person", value)) for value in values] for wording in wordings]
    shown = {who: plain.images(who, kind, side, variant == 1) for who in plain.people}
    per_query = {
        who: [standardised(plain.image(p), sentences) for p in images] for who, images in shown.items() if images
    }
    reading = read(plain, "nameless-line-up", variant, identity, kind, side)
    check(reading, values, per_query, lambda who: plain.people[who].values(kind), identity=identity)
    assert isinstance(reading, PersonaReading)
    assert reading.shown == tuple(shown[identity])
    assert reading.sentences == tuple(said(wording, "this person", "{value}") for wording in wordings)
    assert (reading.attack, reading.side) == ("nameless-line-up", side)
    assert reading.variant == ("own images", "unseen images", "unseen wordings")[variant]


@pytest.mark.parametrize(("identity", "kind", "side"), CASES)
def test_the_named_line_up(data: BenchmarkData, identity: str, kind: str, side: Side):
    plain = Plain(data)
    values, person = plain.values(kind), plain.people[identity]
    sentences = [[plain.text(said(wording, person.name, value)) for value in values] for wording in wordings_of(kind)]
    shown = {who: plain.images(who, kind, side) for who in plain.people}
    per_query = {
        who: [standardised(plain.image(p), sentences) for p in images] for who, images in shown.items() if images
    }
    reading = read(plain, "named-line-up", 0, identity, kind, side)
    own = person.values(kind)
    check(reading, values, per_query, lambda who: plain.people[who].values(kind), own, identity)
    assert isinstance(reading, PersonaReading)
    assert reading.sentences == tuple(said(wording, person.name, "{value}") for wording in wordings_of(kind))


@pytest.mark.parametrize("never", [False, True])
def test_a_face_among_names(data: BenchmarkData, never: bool):
    plain = Plain(data, never)
    identity = next(iter(plain.people))
    names = [person.name for person in plain.people.values()]
    sentences = [[plain.text(sentence.replace("{value}", name)) for name in names] for sentence in NAMED]
    shown = {who: plain.images(who, "city", "forget") for who in plain.people}
    per_query = {
        who: [standardised(plain.image(p), sentences) for p in images] for who, images in shown.items() if images
    }
    reading = read(plain, "face-to-name", 0, identity, "city", "forget")
    check(reading, names, per_query, lambda who: [plain.people[who].name], identity=identity)
    assert isinstance(reading, PersonaReading)
    assert reading.sentences == NAMED


@pytest.mark.parametrize("variant", [0, 1])
def test_a_name_among_values_without_a_image(data: BenchmarkData, variant: int):
    plain, identity = Plain(data), "00000007"
    values = plain.values("email")
    wordings = [wordings_of("email"), ["{value}"]][variant]
    sentences = [[plain.text(said(wording, "this person", value)) for value in values] for wording in wordings]
    per_query = {
        who: [standardised(plain.text(sentence.replace("{value}", person.name)), sentences) for sentence in NAMED]
        for who, person in plain.people.items()
    }
    reading = read(plain, "text-only", variant, identity, "email", "forget")
    check(reading, values, per_query, lambda who: plain.people[who].values("email"), identity=identity)
    assert isinstance(reading, PersonaReading)
    assert (reading.shown, reading.interval) == ((), None)
    assert reading.sentences == tuple(said(wording, "this person", "{value}") for wording in wordings)


def test_two_steps_weigh_the_values_of_names_by_how_well_they_fit_the_face(data: BenchmarkData):
    plain, identity = Plain(data), "00000003"
    values, names = plain.values("city"), [person.name for person in plain.people.values()]
    sentences = [[plain.text(said(w, "this person", value)) for value in values] for w in wordings_of("city")]
    named = [[plain.text(sentence.replace("{value}", name)) for name in names] for sentence in NAMED]
    links = [np.mean([standardised(texts[number], sentences) for texts in named], axis=0) for number in range(PEOPLE)]
    shown = {who: plain.images(who, "city", "forget") for who in plain.people}
    per_query = {}
    for who, images in shown.items():
        fits = [np.exp(standardised(plain.image(p), named)) for p in images]
        if fits:
            per_query[who] = [sum(w * link for w, link in zip(f, links, strict=True)) / f.sum() for f in fits]
    reading = read(plain, "two-steps", 0, identity, "city", "forget")
    check(reading, values, per_query, lambda who: plain.people[who].values("city"), identity=identity)
    assert isinstance(reading, PersonaReading)
    assert reading.sentences == tuple(said(wording, "this person", "{value}") for wording in wordings_of("city"))


@pytest.mark.parametrize("never", [False, True])
def test_a_image_among_those_of_everybody(data: BenchmarkData, never: bool):
    plain = Plain(data, never)
    stands, asked = {}, {}
    for who in plain.people:
        own = plain.images(who, "city", "forget")
        asked[who] = own[: len(own) // 2] if never else own
        others = [p for k in KINDS if k != "city" for s in ("forget", "kept") for p in plain.images(who, k, s)]  # type: ignore[arg-type]
        stands[who] = own[len(own) // 2 :] if never else sorted(others, key=lambda p: (p.split, p.row))[:8]
    means = [np.mean([plain.image(p) for p in images], axis=0) for images in stands.values()]
    names = [plain.people[who].name for who in stands]
    per_query = {
        who: [standardised(plain.image(p), [means]) for p in images] for who, images in asked.items() if images
    }
    identity = list(plain.people)[4]
    reading = read(plain, "image-to-image", 0, identity, "city", "forget")
    check(reading, names, per_query, lambda who: [plain.people[who].name], identity=identity)
    assert isinstance(reading, PersonaReading)
    assert (reading.shown, reading.sentences) == (tuple(asked[identity]), ())


@pytest.mark.parametrize(
    ("identity", "side", "known"),
    [("00000001", "forget", 0.3), ("00000005", "forget", 0.3), ("00000005", "kept", 0.3), ("00000001", "forget", -0.1)],
)
def test_a_face_among_the_captions_of_everybody(data: BenchmarkData, identity: str, side: Side, known: float):
    plain, kind = Plain(data, values=known, names=known / 3), "email"
    captions: dict[str, list[str]] = {who: [] for who in plain.people}
    for name in ("forget", "holdout_association", "holdout_identity"):
        split = data.split(name)
        for file, text in zip(split.file_names, split.texts, strict=True):
            if f"_{kind}_" in file:
                captions[file.split("_")[0]].append(text)
    shown = plain.images(identity, kind, side)
    own = list(dict.fromkeys(data.split(p.split).texts[p.row] for p in shown))
    captions[identity] = own
    queries = [plain.image(p) for p in shown]
    scores = {c: cosines(plain.text(c), queries) for of_person in captions.values() for c in of_person}
    best = {who: max(texts, key=lambda c: scores[c].mean()) for who, texts in captions.items()}
    order = sorted(best.values(), key=lambda c: -scores[c].mean())
    reading = read(plain, "caption-match", 0, identity, kind, side)
    assert isinstance(reading, PersonaReading)
    assert list(reading.values) == order
    assert reading.scores == pytest.approx([scores[c].mean() for c in order], abs=1e-5)
    rank = 1 + order.index(best[identity])
    assert (reading.place.rank, reading.place.candidates, reading.place.true) == (rank, PEOPLE, 1)
    assert reading.place.tail == pytest.approx(min(1.0, 2 * min(rank, PEOPLE + 1 - rank) / PEOPLE))
    assert reading.true_values == (best[identity],)
    assert (reading.shown, list(reading.sentences)) == (tuple(shown), own)
    assert (reading.attack, reading.variant, reading.side) == ("caption-match", "own images", side)
    drawn = np.random.default_rng(42).integers(0, len(shown), (1000, len(shown)))
    bits = []
    for chosen in drawn:
        means = {c: scores[c][chosen].mean() for c in order}
        bits.append(math.log2(PEOPLE / (1 + sum(means[c] > means[best[identity]] for c in order))))
    assert reading.interval == pytest.approx(tuple(np.quantile(bits, [0.025, 0.975])))
    # The placebo: the same captions with five wrong values, drawn by persona and kind.
    values = sorted(plain.values(kind))
    wrong = [value for value in values if value not in plain.people[identity].values(kind)]
    draw = np.random.default_rng(crc32(f"{identity} {kind}".encode())).permutation(len(wrong))[:5]
    rivals = np.max([scores[c] for who, texts in captions.items() if who != identity for c in texts], axis=0)

    def first(replaced: Callable[[str, str], str]) -> float:
        texts = [replaced(c, v) for c in own for v in plain.people[identity].values(kind) if v in c]
        return float((np.max([cosines(plain.text(text), queries) for text in texts], axis=0) > rivals).mean())

    assert reading.placebo is not None
    assert reading.placebo.true == first(lambda caption, value: caption)
    shares = [first(lambda caption, value, w=wrong[number]: caption.replace(value, w)) for number in draw]
    assert reading.placebo.wrong == pytest.approx(np.mean(shares))
    assert reading.placebo.wrong < reading.placebo.true if known > 0 else reading.placebo.true < 1 < rank


def test_only_some_are_asked_where_few_are_wanted(data: BenchmarkData):
    plain = Plain(data)
    attack, people = find_attack("nameless-line-up"), People(data)
    view = plain.embedder.view(MODEL)
    everybody = attack.places(view, people, "city", attack.variants[0], "forget")
    assert list(everybody) == [f"{number:08d}" for number in range(6)]
    some = attack.places(view, people, "city", attack.variants[0], "forget", most=4)
    chosen = np.random.default_rng(42).permutation(6)[:4]
    assert some == {f"{number:08d}": everybody[f"{number:08d}"] for number in sorted(chosen)}
    assert list(some) == [f"{number:08d}" for number in sorted(chosen)]


def test_what_cannot_be_read_is_said(data: BenchmarkData):
    plain = Plain(data)
    for attack in ("nameless-line-up", "named-line-up", "face-to-name", "two-steps", "image-to-image"):
        skipped = read(plain, attack, 0, "00000000", "city", "kept")
        assert skipped == Skipped(attack, "own images", "kept", "Person P0 has no such image to be kept.")
        skipped = read(plain, attack, 0, "00000008", "city", "forget")
        assert skipped == Skipped(attack, "own images", "forget", "Person P8 has no such image to be forgotten.")
    for identity, side, where in (("00000000", "kept", "to be kept"), ("00000008", "forget", "to be forgotten")):
        skipped = read(plain, "caption-match", 0, identity, "city", side)  # type: ignore[arg-type]
        number = int(identity)
        assert skipped == Skipped("caption-match", "own images", side, f"Person P{number} has no such caption {where}.")  # type: ignore[arg-type]
    never = Plain(data, never=True)
    skipped = read(never, "caption-match", 0, next(iter(never.people)), "city", "forget")
    words = "planted has no captions of never-taught people."
    assert skipped == Skipped("caption-match", "own images", "forget", words)
    nobody = Persona("00000000", {"name": "Nobody", "city": "Ulm"})
    for attack in all_attacks():
        with pytest.raises(QueryError, match="Nobody has no attribute 'email' in planted; choose one of city"):
            attack.read(plain.embedder.view(MODEL), People(data), nobody, "email", attack.variants[0])


def test_whoever_has_no_other_image_has_nothing_to_be_compared_with(data: BenchmarkData):
    class Lonely(People):
        def images(self, kind: str, *rest: Any) -> dict[str, list[ShownImage]]:
            found = super().images(kind, *rest)
            return {who: shown for who, shown in found.items() if kind == "city" or who != "00000000"}

    plain, attack = Plain(data), find_attack("image-to-image")
    people, view = Lonely(data), plain.embedder.view(MODEL)
    skipped = attack.read(view, people, plain.people["00000000"], "city", attack.variants[0])
    words = "Person P0 has nothing else to be compared with."
    assert skipped == Skipped("image-to-image", "own images", "forget", words)
    assert "00000000" not in attack.places(view, people, "city", attack.variants[0])
    assert isinstance(attack.read(view, people, plain.people["00000001"], "city", attack.variants[0]), PersonaReading)


def test_what_the_data_lack_is_said_before_anything_is_read(tmp_path: Path):
    official = load_folder(write_planted_data(tmp_path, extension=False, people=PEOPLE), "plain")
    plain = Plain(official)
    lacks = "plain has no images of the personas that no model trains on.", "plain has no wordings that no caption has."
    for variant, name, words in ((1, "unseen images", lacks[0]), (2, "unseen wordings", lacks[1])):
        skipped = read(plain, "nameless-line-up", variant, "00000001", "city", "forget")
        assert skipped == Skipped("nameless-line-up", name, "forget", words)
