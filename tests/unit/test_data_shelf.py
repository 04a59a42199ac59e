"""The data sets that a page offers: what they are called, where their pages are, and that each is opened once."""

import shutil
from pathlib import Path

import pytest

from salmu_demo.core.errors import DataError, QueryError
from salmu_demo.ui.shell.data_shelf import DataShelf
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.tiny import write_tiny_data

OFFICIAL = ("SALMUBench, as released", "salmubench-512-redistributed")
MINI = ("SALMU-Mini", "mini")


@pytest.fixture(autouse=True)
def _own_machine(tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)


def test_what_was_named_the_embedded_and_the_released_data_are_offered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = str(write_tiny_data(tmp_path / "My people"))
    assert DataShelf(Workbench(folder), [folder, "official"]).choices == [(folder, "my-people"), OFFICIAL, MINI]
    assert DataShelf(Workbench()).choices == [MINI, OFFICIAL]
    monkeypatch.setenv("SPACE_ID", "owner/space")
    assert DataShelf(Workbench()).choices == [MINI]


def test_the_first_page_is_at_the_root_and_the_others_in_a_folder():
    shelf = DataShelf(Workbench())
    assert shelf.address("mini", "mini") == "./"
    assert shelf.address(OFFICIAL[1], "mini") == "./data/salmubench-512-redistributed/"
    assert shelf.address("mini", OFFICIAL[1]) == "../../"
    assert shelf.address(OFFICIAL[1], OFFICIAL[1]) == "../../data/salmubench-512-redistributed/"


def test_a_data_set_is_opened_once_with_the_models_of_the_first(tiny_assets: Path, tmp_path: Path):
    folder = str(write_tiny_data(tmp_path / "other"))
    first = Workbench()
    shelf = DataShelf(first, [folder])
    opened = shelf.workbench("other")
    assert (opened.data.name, shelf.workbench("other"), shelf.name(opened)) == (folder, opened, "other")
    assert (shelf.workbench("mini"), shelf.workbench_for("mini"), shelf.workbench_for(folder)) == (first, first, opened)
    weights = tiny_assets / "models" / "mini-clean" / "open_clip_model.safetensors"
    [told] = first.models([str(shutil.copy(weights, tmp_path / "mine.safetensors"))], "mini-compromised")
    assert told.architecture == "mini-compromised"
    assert opened.models([told.reference])[0].architecture == "mini-compromised"


@pytest.mark.parametrize("name", ["", "other", "..", "/etc", "official", "mini/"])
def test_what_is_not_offered_is_refused(name: str):
    shelf = DataShelf(Workbench())
    for ask in (shelf.workbench, lambda name: shelf.address(name, "mini")):
        with pytest.raises(QueryError, match="does not offer the data set"):
            ask(name)


def test_data_of_this_machine_that_cannot_be_opened_is_refused_at_once(tmp_path: Path):
    with pytest.raises(DataError, match="nowhere"):
        DataShelf(Workbench(), [str(tmp_path / "nowhere")])
