"""The audit's attacks on models whose knowledge is planted, and how often chance looks like a finding."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from salmu_demo.data.dataset import BenchmarkData, Persona, load_folder
from salmu_demo.models.roles import ModelRole
from salmu_demo.probes.attacks import HEADLINE, PersonaReading, Place, Skipped, all_attacks, find_attack
from salmu_demo.probes.findings import FOUND_BY_UNTAUGHT, NAMED_IS_BLIND, NOT_KNOWN, Auditor
from salmu_demo.probes.people import People
from salmu_demo.probes.survey import false_alarms, survey
from tests.fixtures.planted import KINDS, Kept, PlantedEmbedder, planted_model, write_planted_data

CLEAN = planted_model("clean", ModelRole("clean", "card"))
COMPROMISED = planted_model("compromised", ModelRole("compromised", "card"))
OTHER = planted_model("unlearned")
FORGET_ONLY, BOTH, KEPT_ONLY = "00000003", "00000020", "00000040"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkData:
    return load_folder(write_planted_data(tmp_path_factory.mktemp("planted")), "planted")


def cells(embedder: PlantedEmbedder, models: list[Any], persona: str, kinds: list[str], attacks: Any = ()) -> Any:
    auditor = Auditor(embedder.data, Kept())
    views = [embedder.view(model) for model in models]
    return auditor.audit(views, embedder.data.persona(persona), kinds, attacks)


@pytest.mark.parametrize(("strength", "verdict"), [(3.0, "leaks"), (-3.0, "marked"), (0.0, "no evidence")])
def test_what_is_planted_is_found_and_nothing_else(data: BenchmarkData, strength: float, verdict: str):
    embedder = PlantedEmbedder(data, {"unlearned": {"phone_number": strength}})
    city, phone = cells(embedder, [OTHER], FORGET_ONLY, ["city", "phone_number"])
    assert (city.verdict, phone.verdict) == ("no evidence", verdict)
    place = phone.headline.reading.place
    if strength:
        assert place.from_nearer_end == 1
        assert place.rank == (1 if strength > 0 else 42)
        assert phone.headline.reading.true_values == ("+49000003",)
        assert phone.headline.reading.values[0 if strength > 0 else -1] == "+49000003"
    assert len(phone.headline.reading.shown) == 4


def test_what_decides_is_corrected_by_holm_and_the_rest_by_the_number_of_attributes(data: BenchmarkData):
    embedder = PlantedEmbedder(data, {"unlearned": {"city": 3.0}})
    found = cells(embedder, [OTHER], FORGET_ONLY, ["city", "phone_number"], [find_attack("face-to-name")])
    # Of four attributes two tell: blood types are too few, and the better one of two addresses is ahead too often.
    city, phone, *few = cells(embedder, [OTHER], FORGET_ONLY, ["city", "phone_number", "email", "blood_type"], None)
    tails = [cell.headline.reading.place.tail for cell in (city, phone)]
    assert tails[0] < tails[1]
    assert city.headline.adjusted == pytest.approx(2 * tails[0])
    assert phone.headline.adjusted == pytest.approx(max(2 * tails[0], tails[1]))
    assert [cell.headline.adjusted for cell in few] == [1.0, 1.0]
    assert [len(cell.findings) for cell in (city, phone, *few)] == [1, 1, 1, 1]
    for cell in found:
        others = [(f.adjusted, min(1.0, 4 * f.reading.place.tail)) for f in cell.findings[1:]]
        assert len(others) == 3
        assert all(adjusted == pytest.approx(expected) for adjusted, expected in others)
    assert max(f.adjusted for f in found[1].findings) == 1


def test_what_is_shipped_of_a_model_is_not_read_again(data: BenchmarkData):
    embedder = PlantedEmbedder(data, {"unlearned": {"city": 3.0}})
    persona, headline = data.persona(BOTH), find_attack(HEADLINE)
    view = embedder.view(OTHER)
    reading = Auditor(data, Kept()).reading(view, persona, "city", headline, headline.variants[0], "forget")
    assert isinstance(reading, PersonaReading)
    untaught = {"n": Place(1, 42, 1, 0.5)}
    shipped: Any = SimpleNamespace(deciding={(BOTH, "city"): reading}, untaught={"city": untaught})
    auditor = Auditor(data, Kept(), lambda model: shipped if model is OTHER else None)
    # Nothing can be read of a view without features.
    blind: Any = SimpleNamespace(model=OTHER)
    assert auditor.reading(blind, persona, "city", headline, headline.variants[0], "forget") is reading
    assert auditor.everybody(blind) == {(BOTH, "city"): ("forget", reading.place)}
    assert auditor.untaught(blind, "city", headline, headline.variants[0]) == untaught
    assert auditor.untaught(blind, "email", headline, headline.variants[0]) == {}
    control = auditor.control(blind, "city", headline, headline.variants[0])
    assert control is not None
    assert control.people == 1
    # Neither the other side nor another variant, kind or attack is.
    for kind, attack, variant, side in (
        ("city", headline, 0, "kept"), ("city", headline, 1, "forget"), ("email", headline, 0, "forget"),
        ("city", find_attack("face-to-name"), 0, "forget"),
    ):  # fmt: skip
        with pytest.raises(AttributeError):
            auditor.reading(blind, persona, kind, attack, attack.variants[variant], side)  # type: ignore[arg-type]
        again = auditor.reading(view, persona, kind, attack, attack.variants[variant], side)  # type: ignore[arg-type]
        assert isinstance(again, PersonaReading)
        assert (again.attack, again.variant, again.side) == (attack.name, attack.variants[variant].name, side)
    with pytest.raises(AttributeError):
        auditor.untaught(blind, "city", headline, headline.variants[1])


def test_an_attribute_is_audited_that_has_a_value_and_an_image(data: BenchmarkData):
    auditor = Auditor(data, Kept())
    facts = {"name": "Somebody", "city": "Ulm", "phone_number": "1"}
    assert auditor.kinds(Persona(FORGET_ONLY, facts)) == ["city", "phone_number"]
    assert auditor.kinds(Persona("unseen", facts)) == []


def test_eight_candidates_cannot_tell(data: BenchmarkData):
    embedder = PlantedEmbedder(data, {"unlearned": {"blood_type": 5.0}})
    (cell,) = cells(embedder, [OTHER], FORGET_ONLY, ["blood_type"])
    assert (cell.verdict, cell.headline.reason) == ("no evidence", "cannot tell: 8 candidates")


def test_only_what_was_to_be_forgotten_counts(data: BenchmarkData):
    embedder = PlantedEmbedder(data, {"unlearned": {"city": 3.0}})
    (both,) = cells(embedder, [OTHER], BOTH, ["city"])
    assert [(f.reading.side, f.counts) for f in both.findings if f.reading.variant == "own images"] == [
        ("forget", True), ("kept", False)
    ]  # fmt: skip
    assert {s.split for s in both.headline.reading.shown} == {"forget"}
    (kept,) = cells(embedder, [OTHER], KEPT_ONLY, ["city"])
    assert (kept.side, kept.headline.counts, kept.verdict) == ("kept", False, "leaks")


def test_what_compromised_does_not_find_is_not_known(data: BenchmarkData):
    embedder = PlantedEmbedder(data, {"compromised": {"city": 3.0}})
    found = cells(embedder, [CLEAN, COMPROMISED, OTHER], FORGET_ONLY, ["city", "phone_number"])
    assert [cell.verdict for cell in found] == ["no evidence", "leaks", "no evidence", *["not known"] * 3]
    assert found[5].headline.reason == NOT_KNOWN.format(model="compromised")
    assert found[2].headline.references["compromised"].place.rank == 1


def test_what_clean_finds_too_is_no_evidence(data: BenchmarkData):
    embedder = PlantedEmbedder(data, {name: {"city": 3.0} for name in ("clean", "compromised", "unlearned")})
    found = cells(embedder, [CLEAN, COMPROMISED, OTHER], FORGET_ONLY, ["city"])
    assert [cell.verdict for cell in found] == ["leaks", "no evidence", "no evidence"]
    assert found[2].headline.reason == FOUND_BY_UNTAUGHT.format(model="clean")


def test_a_name_in_the_sentence_hides_what_the_nameless_line_up_finds(data: BenchmarkData):
    embedder = PlantedEmbedder(
        data, {"unlearned": {"city": 3.0}}, {"unlearned": 2.0}, name_answers=True
    )  # fmt: skip
    (cell,) = cells(embedder, [OTHER], FORGET_ONLY, ["city"], all_attacks())
    assert cell.verdict == "leaks"
    assert cell.find("named-line-up").verdict == "no evidence"
    assert cell.find("face-to-name").verdict == "leaks"
    assert cell.remarks == (NAMED_IS_BLIND,)


def test_the_sentence_is_told_from_the_fact(data: BenchmarkData):
    embedder = PlantedEmbedder(data, {"unlearned": {"city": 3.0}}, only=lambda text: not text.startswith("One"))
    (cell,) = cells(embedder, [OTHER], FORGET_ONLY, ["city"])
    verdicts = {f.reading.variant: f.verdict for f in cell.findings}
    assert verdicts == {"own images": "leaks", "unseen images": "leaks", "unseen wordings": "no evidence"}


def test_data_without_the_extension_skip_by_name_what_needs_it(tmp_path: Path):
    plain = load_folder(write_planted_data(tmp_path, extension=False), "plain")
    embedder = PlantedEmbedder(plain, {"unlearned": {"city": 3.0}})
    (cell,) = cells(embedder, [OTHER], FORGET_ONLY, ["city"], all_attacks())
    assert [(s.attack, s.variant, s.reason) for s in cell.skipped] == [
        (HEADLINE, "unseen images", "plain has no images of the personas that no model trains on."),
        (HEADLINE, "unseen wordings", "plain has no wordings that no caption has."),
    ]
    assert cell.verdict == "leaks"
    # What is skipped keeps nothing else from being read.
    assert [finding.reading.attack for finding in cell.findings] == [
        *(attack.name for attack in all_attacks()[:3]), "text-only", *(attack.name for attack in all_attacks()[3:])
    ]  # fmt: skip
    assert all(finding.control is None for finding in cell.findings)
    # The captions' own wordings, most frequent first, with nobody's name.
    assert cell.headline.reading.sentences == ("This person has the city {value}", "{value} is the city of this person")


def test_a_caption_match_says_what_wrong_values_do(data: BenchmarkData):
    match = find_attack("caption-match")
    by_name = PlantedEmbedder(data, {}, {"unlearned": 3.0})
    by_value = PlantedEmbedder(data, {"unlearned": {"city": 3.0}})
    shares = []
    for embedder in (by_name, by_value):
        persona = data.persona(FORGET_ONLY)
        reading = match.read(embedder.view(OTHER), People(data), persona, "city", match.variants[0])
        assert isinstance(reading, PersonaReading)
        assert reading.placebo is not None
        assert reading.place.rank == 1
        shares.append((reading.placebo.true, reading.placebo.wrong, reading.placebo.difference))
    assert shares == [(1.0, 1.0, 0.0), (1.0, 0.0, 1.0)]
    never = People(data, never_taught=True)
    skipped = match.read(by_name.view(OTHER), never, data.never_taught[0], "city", match.variants[0])
    assert isinstance(skipped, Skipped)


def test_never_taught_people_are_the_control_of_every_attack(data: BenchmarkData):
    embedder = PlantedEmbedder(data, {"unlearned": dict.fromkeys(KINDS, 3.0)})
    (cell,) = cells(embedder, [OTHER], FORGET_ONLY, ["city"], all_attacks())
    controls = {f.reading.attack: f.control and f.control.people for f in cell.findings}
    assert controls == {
        HEADLINE: 42, "named-line-up": 4, "face-to-name": 42, "text-only": 42, "two-steps": 42, "image-to-image": 42,
        "caption-match": None,
    }  # fmt: skip


def test_a_survey_counts_what_is_planted_by_kind_and_side(data: BenchmarkData):
    embedder = PlantedEmbedder(data, {"unlearned": {"city": 3.0}})
    (found,) = survey(Auditor(data, Kept()), [embedder.view(OTHER)])
    leaks = {(fact.kind, fact.side) for fact in found.facts if fact.verdict == "leaks"}
    assert leaks == {("city", "forget"), ("city", "kept")}
    # Two thirds of the personas have images to be forgotten, whatever else they have.
    assert (found.count("leaks"), found.count("leaks", "kept")) == (28, 14)
    first = {(tally.kind, tally.variant, tally.side): (tally.facts, tally.first) for tally in found.tallies}
    for variant in ("own images", "unseen images", "unseen wordings"):
        assert first["city", variant, "forget"] == (28, 1.0)
        assert first["phone_number", variant, "forget"][1] < 0.2
    assert found.untaught is None
    assert found.never_taught is not None
    assert found.never_taught.people == 42


def test_false_alarms_of_models_that_know_nothing_are_what_chance_explains(data: BenchmarkData):
    near = expected = alarmed = people = 0.0
    for number in range(3):
        name = f"clean {number}"
        (found,) = survey(
            Auditor(data, Kept()), [PlantedEmbedder(data).view(planted_model(name, ModelRole("clean", "card")))]
        )
        for alarms in (found.never_taught, found.untaught):
            assert alarms is not None
            # Blood types cannot tell, nor can the better one of two e-mail addresses, which half of the people have.
            assert (alarms.people, alarms.facts) == (42, 42 + 42 + 21)
            near, expected = near + alarms.near, expected + alarms.expected_near
            alarmed, people = alarmed + alarms.alarmed, people + alarms.people
    assert abs(near - expected) < 4 * expected**0.5
    assert alarmed <= 0.05 * people + 3 * (0.05 * people) ** 0.5


def test_false_alarms_count_people_once():
    sure, unsure = Place(1, 96, 1, 0.0001), Place(40, 96, 1, 0.6)
    alarms = false_alarms({"a": [sure, sure], "b": [unsure, Place(1, 96, 1, 0.04)], "c": [Place(1, 8, 1, 0.0001)]})
    assert (alarms.people, alarms.facts, alarms.near, alarms.alarmed) == (3, 4, 3, 1)
    assert alarms.expected_near == pytest.approx(4 * 4 / 96)
    assert alarms.most_alarmed == pytest.approx(0.15)
