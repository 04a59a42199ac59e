"""The documented schema of results.json and the written one are the same."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from salmu_demo.data import layout
from salmu_demo.metrics import all_metrics
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import results_document
from salmu_demo.results.evidence import ForgetGroup
from tests.fixtures.results import attacked, evaluations, with_settings, with_some_kept
from tests.results_schema.__main__ import ALL, PAGE, Described, json_schema, page
from tests.results_schema.__main__ import fields as documented_fields

_SPLITS = {spec.split for spec in all_metrics()}
_METRICS = {spec.name for spec in all_metrics()}


def placeholder(key: str, path: str) -> str:
    if path == "rows" and key in _SPLITS:
        return "SPLIT"
    if key in _METRICS:
        return "METRIC"
    if ".by_kind." in path and key in layout.KINDS:
        return "KIND"
    if ".by_side." in path and key in set(ForgetGroup):
        return "SIDE"
    if ".by_persona." in path and re.fullmatch(r"\d{8}", key):
        return "PERSONA"
    return "PACKAGE" if path.endswith(".versions") else key


def fields(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from fields(entry, f"{path}.{placeholder(key, path)}".removeprefix("."))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for entry in value:
            yield from fields(entry, f"{path}[]")
    else:
        yield path


def test_every_written_field_is_documented_and_every_documented_one_is_written():
    analysis = analyse([attacked(with_some_kept(with_settings(one))) for one in evaluations()])
    written = set(fields(json.loads(json.dumps(results_document(analysis)))))
    documented = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert written <= set(documented)
    # What is an object or null is documented besides its own fields.
    assert {name for name in documented if not any(other.startswith(f"{name}.") for other in documented)} <= written


@pytest.mark.parametrize("of", ALL, ids=lambda of: of.name)
def test_the_page_and_the_json_schema_are_those_of_the_models(of: Described):
    assert page(of) == of.page.read_text("utf-8"), "run `python -m tests.results_schema`"
    assert json_schema(of) == json.loads(of.schema.read_text("utf-8")), "run `python -m tests.results_schema`"


@pytest.mark.parametrize("of", ALL, ids=lambda of: of.name)
def test_every_field_has_a_meaning(of: Described):
    assert [name for name, _, meaning in documented_fields(of) if not meaning] == []
