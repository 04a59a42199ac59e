"""Documents that do not hold what they should: one clause names the field and what is wrong with it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

from salmu_demo.core.documents import MismatchError, document_of, parse_model, read_cached, read_model
from salmu_demo.core.errors import SweepError


@dataclass(frozen=True)
class Part:
    path: str
    share: FiniteFloat = 0.0


@dataclass(frozen=True)
class Document:
    parts: tuple[Part, ...]
    count: int | None = None
    settings: dict[str, int | float | str] = field(default_factory=dict)
    pairs: dict[str, tuple[float, float]] = field(default_factory=dict)


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    even: int = 0
    some: list[int] = Field(default=[1], min_length=1)

    @field_validator("even")
    @classmethod
    def check_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("it must be even")
        return value


@pytest.mark.parametrize("path", ["plain", "caf\udce9", "𝄞"])
def test_what_was_written_is_read_again(path: str):
    document = Document((Part(path, 0.5),), 3, {"a": 1, "b": 0.5, "c": "x"})
    found = parse_model(json.dumps(document_of(document)), Document)
    assert found == document
    assert type(found.settings["a"]) is int


@pytest.mark.parametrize(
    ("content", "clause"),
    [
        ([], "it is []; it must be an object"),
        ({}, "parts is missing"),
        ({"parts": "a"}, 'parts is "a"; it must be a list'),
        ({"parts": [{"path": "a"}, {}]}, "parts[1].path is missing"),
        ({"parts": [{"path": 1}]}, "parts[0].path is 1; it must be a string"),
        ({"parts": [{"path": "a", "share": float("inf")}]}, "parts[0].share is inf; it must be a finite number"),
        ({"parts": [], "pairs": {"a": [1]}}, "pairs.a[1] is missing"),
        ({"parts": [], "count": True}, "count is True; it must be a whole number"),
        ({"parts": [], "count": 1.5}, "count is 1.5; it must be a whole number"),
        ({"parts": [], "settings": {"a": []}}, "settings.a is []; it must be a whole number or a number or a string"),
    ],
)
def test_the_first_value_that_does_not_fit_is_named(content: Any, clause: str):
    with pytest.raises(MismatchError) as problem:
        parse_model(json.dumps(content), Document)
    assert str(problem.value) == clause


def test_half_a_surrogate_pair_hides_nothing():
    with pytest.raises(MismatchError, match=r"^count is \"x\"; it must be"):
        parse_model(r'{"parts": [{"path": "\udce9"}], "count": "x"}', Document)


def test_unknown_keys_and_own_rules_are_told_in_the_same_way():
    with pytest.raises(MismatchError, match=r"^odd is not a known key$"):
        parse_model('{"odd": 1}', Closed)
    with pytest.raises(MismatchError, match=r"^even is 3; it must be even$"):
        parse_model('{"even": 3}', Closed)
    with pytest.raises(MismatchError, match=r"^some is \[\]; it must hold at least 1$"):
        parse_model('{"some": []}', Closed)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_what_is_no_json_is_said_to_be_none(text: bytes):
    with pytest.raises(MismatchError, match=r"^it is not JSON$"):
        parse_model(text, Document)


def test_a_file_is_named_with_what_is_wrong(tmp_path: Path):
    path = tmp_path / "file.json"
    with pytest.raises(SweepError, match=rf"^The file {path} cannot be read: No such file or directory\.$"):
        read_model(path, Document, SweepError, "The file")
    path.write_text('{"parts": 3}')
    with pytest.raises(SweepError, match=rf"^The file {path} cannot be used: parts is 3; it must be a list\.$"):
        read_model(path, Document, SweepError, "The file")
    path.write_text('{"parts": []}')
    assert read_model(path, Document, SweepError, "The file") == Document(())


def test_what_can_be_made_anew_is_read_only_if_it_is_whole(tmp_path: Path):
    path = tmp_path / "file.json"
    assert read_cached(path, Document) is None
    path.write_text('{"parts": 3}')
    assert read_cached(path, Document) is None
    path.write_text('{"parts": []}')
    assert read_cached(path, Document) == Document(())
