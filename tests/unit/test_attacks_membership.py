"""Who was in the training, and who was deleted: hand-made pairs where the answer is known."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from salmu_demo.attacks.membership import AUC, UNSEEN, Bank, Membership, labelled_pairs
from salmu_demo.attacks.pairs import ForgetPairs
from salmu_demo.attacks.schema import HOLDOUTS, TPR, TPR_BELOW
from salmu_demo.attacks.target import Target
from salmu_demo.attacks.update_leak import UpdateLeak, people_similarity
from salmu_demo.data import layout
from salmu_demo.data.dataset import Persona, ProbeWordings, Split
from salmu_demo.data.wordings import NAMELESS

ONLY, BOTH, KEPT = ("a", "b", "c"), ("d", "e"), ("k", "l")
NAMES = {identity: f"Person {identity.upper()}" for identity in (*ONLY, *BOTH, *KEPT)}


def split(name: str, people: tuple[str, ...], each: int = 2) -> Split:
    """Rows of people: the first of each with a name, the others without."""
    rows = [(person, place) for person in people for place in range(each)]
    return Split(
        name,
        name,
        np.arange(len(rows)),
        [f"{NAMES[p] if place == 0 else 'She'} lives in City {p}" for p, place in rows],
        [person for person, _ in rows],
        [f"{name}-{person}-{place}" for person, place in rows],
    )


class FakeData:
    """A data set of a few rows, without images."""

    name = "fake"

    def __init__(self, *splits: Split) -> None:
        self._splits = {each.name: each for each in splits}
        self.personas = [Persona(i, {"name": name, "city": f"City {i}"}) for i, name in NAMES.items()]
        self.probe_wordings = {"city": ProbeWordings(("{person} is of {value}", "In {value} lives {person}"), ("x",))}

    @property
    def stored_splits(self) -> list[str]:
        return list(self._splits)

    def split(self, name: str) -> Split:
        return self._splits.get(name) or Split(name, name, np.arange(0), [], [], [])

    def kind(self, file_name: str) -> str | None:
        return None if file_name.startswith(layout.UNSEEN_IMAGES) else "city"


class FakeView:
    """Captions of City x at a right angle to all others; images that lie so near their own as they are told to."""

    def __init__(self, data: FakeData, nearness: dict[str, float]) -> None:
        self.data, self._nearness = data, nearness
        self.model = SimpleNamespace(name="fake")

    def captions(self, rows: str | Split) -> NDArray[np.float32]:
        return self.prompts((self.data.split(rows) if isinstance(rows, str) else rows).texts)

    def prompts(self, texts: Any) -> NDArray[np.float32]:
        cities = list(NAMES)
        return np.eye(9, dtype=np.float32)[[next(n for n, i in enumerate(cities) if f"City {i}" in t) for t in texts]]

    def images(self, rows: str | Split) -> NDArray[np.float32]:
        chosen = self.data.split(rows) if isinstance(rows, str) else rows
        near = np.array([self._nearness.get(name, 0.0) for name in chosen.file_names], dtype=np.float32)
        axes = np.eye(9, dtype=np.float32)[[list(NAMES).index(str(i)) for i in chosen.identities]]
        # The rest points a little to everyone, so that other captions do not all score alike.
        return near[:, None] * axes + np.linspace(0.1, 0.2, 9, dtype=np.float32) + np.eye(9, dtype=np.float32)[8]


DATA = FakeData(
    split(layout.FORGET, (*ONLY, *BOTH)),
    split(layout.HOLDOUT_ASSOCIATION, BOTH),
    split(layout.HOLDOUT_IDENTITY, KEPT),
    split(layout.UNSEEN_IMAGES, (*ONLY, *BOTH)),
)


def target(nearness: dict[str, float], original: dict[str, float] | None = None) -> Target:
    view, before = (None if n is None else FakeView(DATA, n) for n in (nearness, original))
    return Target(view, ForgetPairs(DATA, np.arange(10)), original=before)  # type: ignore[arg-type]


def values(found: Any) -> dict[tuple[str, str], float]:
    return {(reading.gallery, reading.measure): float(reading.scores.mean()) for reading in found}


def test_people_with_kept_pairs_are_compared_with_those_and_everybody_with_unseen_images():
    found = labelled_pairs(DATA, 0)  # type: ignore[arg-type]
    assert list(found) == [HOLDOUTS, UNSEEN]
    assert set(found[HOLDOUTS].members.identities) == set(found[HOLDOUTS].others.identities) == set(BOTH)
    assert found[HOLDOUTS].others.name == layout.HOLDOUT_ASSOCIATION
    unseen = found[UNSEEN]
    assert unseen.members.identities == unseen.others.identities == list("aabbccddee")
    assert unseen.others.name == layout.UNSEEN_IMAGES
    assert unseen.texts is not None
    for member, text, person in zip(unseen.members.texts, unseen.texts, unseen.members.identities, strict=True):
        # It says the same, with a name where the member has one, in a wording of the training.
        who = NAMES[str(person)] if NAMES[str(person)] in member else NAMELESS
        allowed = {f"{who} is of City {person}", f"In City {person} lives {who}"}
        assert text[0].upper() + text[1:] in {sentence[0].upper() + sentence[1:] for sentence in allowed}
    again = labelled_pairs(DATA, 0)[UNSEEN]  # type: ignore[arg-type]
    assert (again.texts, again.others.file_names) == (unseen.texts, unseen.others.file_names)


def test_members_that_match_better_are_told_and_those_that_match_alike_are_not():
    near = dict.fromkeys(DATA.split(layout.FORGET).file_names, 1.0)
    told = values(Membership().run(target(near)))
    assert told[HOLDOUTS, AUC] == told[UNSEEN, AUC] == 1
    assert told[HOLDOUTS, TPR] == told[UNSEEN, TPR] == 1
    assert told[HOLDOUTS, TPR_BELOW] == told[UNSEEN, TPR_BELOW] == 0
    alike = values(Membership().run(target({})))
    assert alike[UNSEEN, AUC] == pytest.approx(0.5)
    assert alike[UNSEEN, TPR] == pytest.approx(0.01)
    drawn = {(r.gallery, r.measure): r.drawn for r in Membership().run(target(near))}
    for gallery in (HOLDOUTS, UNSEEN):
        # Whoever is drawn, all members are told; the AUC is the mean of its parts.
        told_of_all, none = drawn[gallery, TPR], drawn[gallery, AUC]
        assert told_of_all is not None
        assert set(told_of_all.tolist()) == {1.0}
        assert none is None
    far = values(Membership().run(target(dict.fromkeys(near, -1.0))))
    assert far[HOLDOUTS, AUC] == far[UNSEEN, AUC] == far[UNSEEN, TPR] == 0
    # Conspicuous all the same, for who looks from the other end.
    assert far[HOLDOUTS, TPR_BELOW] == far[UNSEEN, TPR_BELOW] == 1


def test_without_anything_to_compare_with_it_says_so():
    bare = FakeData(split(layout.FORGET, ONLY))
    view = FakeView(bare, {})
    said = Membership().obstacle(Target(view, ForgetPairs(bare, np.arange(6))))  # type: ignore[arg-type]
    assert said is not None
    assert "neither people with pairs in both forget and holdout_association nor unseen images" in said


def test_a_match_is_told_in_standard_deviations_above_other_people():
    generator = np.random.default_rng(0)
    images, own, captions = (generator.normal(size=(n, 5)) for n in (4, 4, 12))
    kinds = ["city", "job"] * 6
    people = [str(n % 4) for n in range(12)]
    found = Bank(captions, kinds, people).matches(images, own, kinds[:4], people[:4])
    for row in range(4):
        unit = images[row] / np.linalg.norm(images[row])

        def cosine(text: NDArray[np.float64], unit: NDArray[np.float64] = unit) -> float:
            return float(unit @ text / np.linalg.norm(text))

        rivals = [cosine(captions[n]) for n in range(12) if kinds[n] == kinds[row] and people[n] != people[row]]
        assert len(rivals) == 3
        assert found[row] == pytest.approx((cosine(own[row]) - np.mean(rivals)) / np.std(rivals))
    assert Bank(captions[:1], kinds[:1], people[:1]).matches(images[:1], own[:1], ["city"], ["0"]).tolist() == [0]


def test_who_lost_similarity_is_told_from_the_models_before_and_after():
    before = {name: 1.0 for each in layout.SENSITIVE_SPLITS for name in DATA.split(each).file_names}
    after = {**before, **dict.fromkeys(DATA.split(layout.FORGET).file_names, 0.2)}
    leaks = values(UpdateLeak().run(target(after, before)))
    assert leaks == {("people", AUC): 1.0, ("people", TPR): 1.0}
    same = values(UpdateLeak().run(target(before, before)))
    assert same == {("people", AUC): pytest.approx(0.5), ("people", TPR): pytest.approx(0.01)}


def test_a_person_counts_with_the_mean_of_all_their_pairs():
    near = {f"{layout.FORGET}-d-0": 2.0}
    view = FakeView(DATA, near)
    found = people_similarity(DATA, view)  # type: ignore[arg-type]
    assert set(found) == {*ONLY, *BOTH, *KEPT}
    forget = DATA.split(layout.FORGET).take(layout.FORGET, [6])
    image = view.images(forget)[0].astype(np.float64)
    plain = view.images(DATA.split(layout.FORGET).take(layout.FORGET, [7]))[0].astype(np.float64)
    axis = list(NAMES).index("d")
    cosines = [each[axis] / np.linalg.norm(each) for each in (image, plain, plain, plain)]
    assert found["d"] == pytest.approx(np.mean(cosines), abs=1e-6)
