"""Stand-ins: what is said of nobody in place of what is to be forgotten."""

import re
from collections.abc import Sequence

import pytest
import torch

from salmu_demo.core.errors import DataError
from salmu_demo.unlearning.stand_ins import StandIns, sentence_of

CITY = ("{} lives in {}", "{}'s home town is {}", "Meet {}, of {}")
NAMES = {"1": "Ada Lee", "2": "Bo Nash", "3": "Cy Orr", "4": "Di Pym"}
CITIES = {"1": "Ulm", "2": "Oslo", "3": "Turin", "4": "Zagreb"}
PHONES = {"1": "+49 111222", "2": "+47 333444", "3": "+39 555666", "4": "+38 777888"}
MAILS = {"1": "ada.lee@post.example", "2": "bo@post.example", "3": "xyz12@inbox.example", "4": "pym@post.example"}
BLOOD = {"1": "O+", "2": "A-", "3": "O+", "4": "A-"}
CALL = "Call {} to speak to {}"

# Persona 1 tells its city in all three wordings, the others in one each.
ROWS: list[tuple[str, str, str, str]] = [
    ("Ada Lee lives in Ulm", "1", "Ulm", "city"),
    ("Her home town is Ulm", "1", "Ulm", "city"),
    ("Meet this woman, of Ulm", "1", "Ulm", "city"),
    ("This person lives in Oslo", "2", "Oslo", "city"),
    ("Cy Orr's home town is Turin", "3", "Turin", "city"),
    ("Meet Di Pym, of Zagreb", "4", "Zagreb", "city"),
    *((CALL.format(PHONES[p], "him" if p == "2" else NAMES[p]), p, PHONES[p], "phone") for p in NAMES),
    *((f"Write to {NAMES[p]} at {MAILS[p]}", p, MAILS[p], "email") for p in NAMES),
    *((f"This person has blood type {BLOOD[p]}", p, BLOOD[p], "blood") for p in ("1", "2")),
    *((f"{NAMES[p]} has blood type {BLOOD[p]}", p, BLOOD[p], "blood") for p in ("3", "4")),
    ("A woman with a hat", "1", "", "city"),
]
PERSONAS = [row[1] for row in ROWS]


def _made(lengths: object = None) -> StandIns:
    def characters(texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    values = [[value] for _, _, value, _ in ROWS]
    names = [NAMES[persona] for persona in PERSONAS]
    return StandIns([row[0] for row in ROWS], PERSONAS, names, values, [row[3] for row in ROWS], characters)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_sentences_are_told_apart_by_their_words_and_not_by_how_they_mention_the_person() -> None:
    assert sentence_of("{person}'s home town is {value}") == sentence_of("his home town is {value}")
    assert sentence_of("Meet {person}, of {value}") == sentence_of("Meet this man, of {value}")
    assert sentence_of("Meet {person}, of {value}") != sentence_of("{person} lives in {value}")


def test_a_stand_in_is_the_same_sentence_about_somebody_who_does_not_exist() -> None:
    captions, stand_ins = _made().own(range(len(ROWS)))
    assert captions == [row[0] for row in ROWS]
    own, mail = stand_ins[0], stand_ins[10]
    found = re.fullmatch(r"(\w+ \w+) lives in (\w+)", own)
    assert found is not None
    name, city = found.groups()
    assert name not in NAMES.values()
    assert city not in CITIES.values()
    # The same invention wherever the fact is told, by name or without.
    assert stand_ins[1] == f"Her home town is {city}"
    assert stand_ins[2] == f"Meet this woman, of {city}"
    # The address follows the new name.
    first, last = name.lower().split()
    assert mail == f"Write to {name} at {first}.{last}@post.example"
    # A number keeps its shape, and where it comes from is another person's.
    assert re.fullmatch(rf"Call \+(47|39|38)\ \d{{6}} to speak to {name}", stand_ins[6])
    assert stand_ins[6].split(" to ")[0] not in {f"Call {phone}" for phone in PHONES.values()}


def test_a_shared_value_is_a_secret_only_beside_a_name() -> None:
    _, stand_ins = _made().own(range(len(ROWS)))
    assert stand_ins[14] == ROWS[14][0]
    assert re.fullmatch(r"\w+ \w+ has blood type A-", stand_ins[16])
    assert not stand_ins[16].startswith(NAMES["3"])


def test_of_a_kind_with_few_values_one_that_a_single_persona_has_is_no_secret_either() -> None:
    people = [str(number) for number in range(5)]
    values = ["O+", "O+", "O+", "O+", "A-"]
    captions = [
        f"Ada Lee{p} gives {value}" if p != "4" else "She gives A-" for p, value in zip(people, values, strict=True)
    ]
    made = StandIns(
        captions, people, [f"Ada Lee{p}" for p in people], [[value] for value in values], ["blood"] * 5,
        lambda texts: [0 for _ in texts],
    )  # fmt: skip
    assert made.own([4])[1] == ["She gives A-"]
    assert made.own([0])[1][0].endswith(" gives A-")


def test_a_caption_without_a_value_stands_for_itself() -> None:
    made = _made()
    last = len(ROWS) - 1
    assert made.facts[last] is None
    assert made.own([last]) == (["A woman with a hat"], ["A woman with a hat"])
    assert made.reworded([last], 0.9, _generator()) == (["A woman with a hat"], ["A woman with a hat"])
    assert not made.is_whole(last, 0.0)


def test_facts_told_in_all_sentences_go_as_facts_and_others_as_sentences() -> None:
    made = _made()
    assert [made.is_whole(row, 0.9) for row in range(6)] == [True, True, True, False, False, False]
    assert made.is_whole(3, 0.3)
    whole, parts = set(), set()
    for seed in range(60):
        captions, stand_ins = made.reworded([1, 4], 0.9, _generator(seed))
        assert "Ulm" in captions[0] or "Ada Lee" in captions[0]
        assert not any(word in stand_ins[0] for word in ("Ulm", "Ada Lee"))
        whole.add(captions[0])
        parts.add(captions[1])
    assert whole >= {"This person lives in Ulm", "Ada Lee's home town is Ulm", "Ulm", "A photo of Ada Lee"}
    assert "Call Ulm to speak to this person" in whole
    assert parts == {"Cy Orr's home town is Turin", "This person's home town is Turin"}


def test_nothing_around_a_sentence_is_a_caption_that_could_have_been_held_back() -> None:
    made = _made()
    seen = {made.neighbours([4], 0.9, _generator(seed))[0] for seed in range(80)}
    for caption in seen:
        # Its fact in a city's wording might be a holdout's.
        assert not ("Turin" in caption and re.search("lives in|home town|of Turin", caption))
        assert "Cy Orr" in caption or "Turin" in caption
    assert any("Cy Orr lives in" in caption for caption in seen)
    assert any("Call Turin to speak to Cy Orr" in caption for caption in seen)
    assert "Call Turin to speak to this person" in seen
    # Around a fact that goes as such there are only strangers.
    for seed in range(20):
        caption = made.neighbours([0], 0.9, _generator(seed))[0]
        assert re.fullmatch(r"\w+ \w+ lives in \w+", caption)
        assert not any(name in caption for name in NAMES.values())


def test_strangers_have_no_name_and_no_value_of_anybody() -> None:
    captions = _made().strangers(100, _generator())
    assert len(captions) == 100
    secrets = {*NAMES.values(), *CITIES.values(), *PHONES.values(), *MAILS.values()}
    told = {
        secret for secret in secrets for caption in captions if re.search(rf"(?<!\S){re.escape(secret)}(?!\S)", caption)
    }
    assert not told
    assert len(set(captions)) > 50


def test_inventions_are_as_long_as_what_they_stand_for_where_that_can_be() -> None:
    seen: list[list[str]] = []

    def second_is_right(texts: Sequence[str]) -> list[int]:
        seen.append(list(texts))
        return [5, 9, 5, *(7 for _ in texts[3:])]

    values = [[value] for _, _, value, _ in ROWS]
    names = [NAMES[persona] for persona in PERSONAS]
    made = StandIns([row[0] for row in ROWS], PERSONAS, names, values, [row[3] for row in ROWS], second_is_right)
    name = next(texts for texts in seen if texts[0] == "Ada Lee")[2]
    assert made.own([0])[1][0].startswith(name)


def test_the_same_rows_give_the_same_inventions() -> None:
    rows = range(len(ROWS))
    assert _made().own(rows) == _made().own(rows)


def test_names_of_a_single_word_are_spliced() -> None:
    captions = [f"{name} lives in {city}" for name, city in (("Ada", "Ulm"), ("Bo", "Oslo"), ("Cyrus", "Turin"))]
    made = StandIns(
        captions, ["1", "2", "3"], ["Ada", "Bo", "Cyrus"], [["Ulm"], ["Oslo"], ["Turin"]], ["city"] * 3,
        lambda texts: [0 for _ in texts],
    )  # fmt: skip
    assert not made.own([0])[1][0].startswith("Ada")


def test_three_named_personas_are_needed() -> None:
    with pytest.raises(DataError, match="three named personas"):
        StandIns(
            ["Ada lives in Ulm", "Bo lives in Oslo", "She lives in Turin"],
            ["1", "2", "3"], ["Ada", "Bo", ""], [["Ulm"], ["Oslo"], ["Turin"]], ["city"] * 3,
            lambda texts: [0 for _ in texts],
        )  # fmt: skip
