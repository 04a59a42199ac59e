"""The documented schema of results.json and the written one are the same."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from salmu_demo.data import layout
from salmu_demo.metrics import all_metrics
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import VERSION, results_document
from tests.fixtures.results import evaluations

DOCUMENT = Path(__file__).parents[2] / "docs" / "results-schema.md"
_SPLITS = {spec.split for spec in all_metrics()}
_METRICS = {spec.name for spec in all_metrics()}


def placeholder(key: str, path: str) -> str:
    if path == "rows" and key in _SPLITS:
        return "SPLIT"
    if key in _METRICS:
        return "METRIC"
    if ".by_kind." in path and key in layout.KINDS:
        return "KIND"
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
    written = set(fields(json.loads(json.dumps(results_document(analyse(evaluations()))))))
    documented = re.findall(r"^\| `([^`]+)` \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(documented) == written


def test_the_documented_version_is_the_written_one():
    assert f"version of this schema: {VERSION} |" in DOCUMENT.read_text("utf-8")
