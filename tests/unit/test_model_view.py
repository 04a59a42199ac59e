"""The markup of the Models tab: facts, changes with bars, and nothing of a model's name taken for markup."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from salmu_demo.models.difference import GroupChange, WeightDifference
from salmu_demo.models.profile import ModelProfile
from salmu_demo.models.roles import ModelRole
from salmu_demo.models.settings import ModelSetting
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.model_change import ModelChange
from salmu_demo.ui.tabs.models.tab import suggestion
from salmu_demo.ui.tabs.models.view import ModelCard, cards_html, change_html

EVIL = "<img src=x onerror=alert(1)>"
FACTS = ModelProfile(
    reference="org/mine",
    name="mine",
    origin="Hugging Face Hub",
    architecture="ViT-B-16",
    parameters=149_620_737,
    dtypes=("F16", "I64"),
    bytes=299_300_000,
    fingerprint="0123456789abcdef" * 4,
    weights_digest="f" * 64,
    revision="c0ffee00" * 5,
    settings=(ModelSetting("activation", "QuickGELU", "open_clip's table"),),
    warnings=(),
)


def source(name: str) -> ModelSource:
    return ModelSource(name, Path(name), {"model_cfg": {}})


def change(*layers: GroupChange, towers: tuple[GroupChange, ...] = ()) -> ModelChange:
    pair = source("mine"), source("mini-compromised")
    return ModelChange(*pair, WeightDifference(layers, towers), "forget", 1536, 0.25, 0.75)


def words(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", markup).split())


def test_a_card_holds_every_fact_and_remark():
    said = words(cards_html([ModelCard("org/mine", FACTS, ["mine has the same weights as theirs."])]))
    facts = ["⬢ mine", "ViT- B- 16", "149,620,737", "F16, I64, 299.3 MB", "Hugging Face Hub", "0123456789abcdef"]
    for expected in (
        *facts,
        "Activation QuickGELU (open_clip",
        "c0ffee00c0ffee00",
        "mine has the same weights as theirs.",
    ):
        assert expected in said


def test_a_model_that_cannot_be_read_shows_why_beside_the_others():
    cards = [ModelCard("org/mine", FACTS, []), ModelCard("org/gone", None, ["org/gone is gated: accept its terms."])]
    said = words(cards_html(cards))
    assert "org/ gone org/gone is gated: accept its terms." in said
    assert "149,620,737" in said


def test_no_chosen_model_asks_for_one():
    assert "Tick at least one under “Data and models”" in words(cards_html([]))


def test_bars_have_the_length_of_their_numbers():
    layers = (
        GroupChange("image", "block 0", 2.0, 100.0),
        GroupChange("image", "output", 1.0, 100.0),
        GroupChange("text", "block 0", 0.0, 50.0),
        GroupChange("text", "output", 1.0, 0.0),
    )
    towers = (GroupChange("image", "", 2.0, 100.0), GroupChange("text", "", 0.0, 50.0))
    markup = change_html(change(*layers, towers=towers))
    rows = re.findall(
        r'<th scope="row" role="rowheader">([^<]+)</th><td role="cell">.*?"number">([^<]+)<.*?width:([\d.]+)%', markup
    )
    assert rows == [
        ("Image tower", "2.000%", "100.0"), ("Text tower", "0.000%", "0.0"),
        ("Images", "0.2500", "25.0"), ("Captions", "0.7500", "75.0"),
        ("block 0", "2.000%", "100.0"), ("output", "1.000%", "50.0"),
        ("block 0", "0.000%", "0.0"), ("output", "from zero", "100.0"),
    ]  # fmt: skip
    said = words(markup)
    assert "► mine against ■ mini- compromised The edit lies only in the image tower" in said
    assert "1,536 rows of forget" in said


def test_names_and_remarks_cannot_hold_markup():
    facts = replace(FACTS, name=EVIL, architecture=EVIL, origin=EVIL, revision=EVIL, dtypes=(EVIL,))
    evil = replace(change(), model=source(EVIL), split=EVIL)
    for markup in (cards_html([ModelCard(EVIL, facts, [EVIL]), ModelCard(EVIL, None, [EVIL])]), change_html(evil)):
        assert "<img" not in markup
        assert "&lt;img" in markup


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ({}, (None, None)),
        ({"x": "compromised"}, (None, "x")),
        ({"y": "clean", "x": "compromised"}, ("y", "x")),
        ({"y": "clean", "mine": "other", "x": "compromised"}, ("mine", "x")),
        ({"a-compromised": "unlearned", "x": "compromised"}, ("a-compromised", "x")),
    ],
)
def test_the_first_suggestion_is_an_unlearned_model_against_compromised(roles, expected):
    assert suggestion(list(roles), [ModelRole(role) for role in roles.values()]) == expected
