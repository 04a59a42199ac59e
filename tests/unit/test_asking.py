"""Requests that a visitor collects in the Audit tab, without a browser."""

import pytest

from salmu_demo.core.errors import QueryError
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import load_data
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.audit import asking
from salmu_demo.ui.tabs.audit.asking import asked_with, asked_words


@pytest.fixture
def data(tiny_assets: object) -> BenchmarkData:
    return load_data("mini")


def test_requests_are_collected_once_and_a_person_takes_in_its_attributes(data: BenchmarkData) -> None:
    asked = asked_with(data, [], View("00000004", "email"), one_attribute=True)
    asked = asked_with(data, asked, View("00000003", "city"), one_attribute=True)
    assert asked == ["00000004:email", "00000003:city"]
    assert asked_with(data, asked, View("00000003", "city"), one_attribute=True) == asked
    assert asked_with(data, asked, View("00000003", "city"), one_attribute=False) == ["00000004:email", "00000003"]
    words = "Asked for: Amara Diallo (00000004): E-mail; 孫 美玲 (00000003): City. The Unlearn tab takes it."
    assert asked_words(data, asked) == words
    assert asked_words(data, []) == ""


def test_what_cannot_be_asked_for_gets_one_sentence(data: BenchmarkData, monkeypatch: pytest.MonkeyPatch) -> None:
    for view, one_attribute in ((View(), False), (View("00000003"), True)):
        with pytest.raises(QueryError, match="Open a person, or one of its attributes"):
            asked_with(data, [], view, one_attribute)
    with pytest.raises(QueryError, match="no pairs of"):
        asked_with(data, [], View("00000003", "shoes"), one_attribute=True)
    monkeypatch.setattr(asking, "MOST_REQUESTS", 1)
    with pytest.raises(QueryError, match="One run takes 1 requests"):
        asked_with(data, ["00000003"], View("00000004"), one_attribute=False)
