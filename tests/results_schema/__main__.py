"""Write docs/results.schema.json and docs/results-schema.md from the models: `python -m tests.results_schema`."""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from salmu_demo.results.schema import ResultsDocument

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA_FILE = DOCS / "results.schema.json"
PAGE = DOCS / "results-schema.md"

INTRODUCTION = """# The file results.json

`salmu-demo evaluate` and every report write one `results.json`: everything that was measured for one or more models on
one data set, row by row, and what follows from it. `salmu-demo report` and the leaderboard read it. The same numbers,
per model and in the official shape, are in `evaluation_<slug>.json` next to it.

`python -m tests.results_schema` generates this page and the JSON schema, [results.schema.json](results.schema.json),
from the models that read and write the file. `version` is raised whenever a field changes its meaning or goes away, and
a program that knows another version refuses the file. New fields may appear within a version. The part `analysis` is
for other programs; this one computes it from the rest.

Numbers are finite; a value that does not exist is `null`. Texts are UTF-8. In the names below, METRIC is the name of a
metric, SPLIT of a split and KIND of a kind of attribute, PERSONA is the id of a persona, SIDE
whose rows of `forget` they are, PACKAGE is a Python package, and `[]` stands for each entry of a list."""

SECTIONS = {
    "": ("What was measured on what", ""),
    "models[].m": ("Models", ""),
    "models[].metrics": (
        "Metrics",
        "The lists of one metric have one entry per scored row, in the same order. A list may be missing where it is\n"
        "not known, such as in results that came from an official file.",
    ),
    "analysis": (
        "Analysis",
        "Models are numbered from 0 in the order of `models`. A position is 0 at Clean and 1 at Compromised; it needs "
        "both\nreferences and a metric in which they differ.",
    ),
}
"""Start of the fields' names to title and remark; of several, the longest counts."""

_WORDS = {"string": "text", "null": "null", "boolean": "boolean", "integer": "integer", "number": "number"}


class _Described(GenerateJsonSchema):
    """A JSON schema with the descriptions of the docstrings' attributes."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return _described(super().model_schema(schema), schema["cls"])

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        return _described(super().dataclass_schema(schema), schema["cls"])


def _described(found: JsonSchemaValue, cls: type[Any]) -> JsonSchemaValue:
    head, _, attributes = inspect.getdoc(cls).partition("\nAttributes:\n")
    # A name stands four blanks in, and what goes on about it eight.
    entries = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE))
    names = {field.alias: name for name, field in getattr(cls, "model_fields", {}).items() if field.alias}
    for name, entry in found["properties"].items():
        entry["description"] = _plain(entries[names.get(name, name)])
        entry.pop("title", None)
    return {**found, "description": head.strip()}


def _plain(text: str) -> str:
    """A docstring's words for readers of JSON."""
    return re.sub(r"\bNone\b", "null", " ".join(text.split())).removesuffix(".")


def json_schema() -> dict[str, Any]:
    """The JSON schema of the whole file."""
    found = ResultsDocument.model_json_schema(schema_generator=_Described)
    return {"$schema": GenerateJsonSchema.schema_dialect, **found, "title": "results.json"}


def fields() -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of every field."""
    schema = json_schema()
    yield from _fields(schema, schema["$defs"], "")


def _fields(entry: dict[str, Any], definitions: dict[str, Any], name: str) -> Iterator[tuple[str, str, str]]:
    choices = [_resolved(choice, definitions) for choice in entry.get("anyOf", [entry])]
    nested = next((choice for choice in choices if choice["type"] in ("object", "array")), choices[0])
    items = _resolved(nested["items"], definitions) if "items" in nested else {}
    if nested["type"] == "object":
        if len(choices) > 1:
            yield name, "object or null", entry["description"]
        for key, value in nested.get("properties", {}).items():
            yield from _fields(value, definitions, f"{name}.{key}".removeprefix("."))
        if "additionalProperties" in nested:
            # The records know of no placeholders; they have one mapping, of packages to their versions.
            key = nested.get("propertyNames", {"description": "PACKAGE"})["description"]
            inherited = {"description": entry.get("description", ""), **nested["additionalProperties"]}
            yield from _fields(inherited, definitions, f"{name}.{key}")
    elif items.get("type") == "object":
        yield from _fields(items, definitions, f"{name}[]")
    else:
        yield name, " or ".join(_words(choice, definitions) for choice in choices), entry["description"]


def _resolved(entry: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    return definitions[entry["$ref"].rpartition("/")[2]] if "$ref" in entry else entry


def _words(entry: dict[str, Any], definitions: dict[str, Any]) -> str:
    """The type in words."""
    if entry["type"] == "array":
        if "prefixItems" in entry:
            return "two numbers"
        choices = [_resolved(choice, definitions) for choice in entry["items"].get("anyOf", [entry["items"]])]
        return "list of " + " or ".join(re.sub(r"^\w+", r"\g<0>s", _words(choice, definitions)) for choice in choices)
    words = _WORDS[entry["type"]]
    if "minimum" in entry and "maximum" in entry:
        words += f", {entry['minimum']} to {entry['maximum']}".replace("-", "−")
    allowed = entry.get("enum", [entry["const"]] if "const" in entry else [])
    return f"{words}: {', '.join(f'`{value}`' for value in allowed)}" if allowed else words


def page() -> str:
    """The page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield INTRODUCTION
    rows = list(fields())
    for start, (title, remark) in SECTIONS.items():
        yield from (
            "",
            f"## {title}",
            "",
            *([remark, ""] if remark else []),
            "| field | type | meaning |",
            "|---|---|---|",
        )
        for name, words, meaning in rows:
            if max((s for s in SECTIONS if name.startswith(s)), key=len) == start:
                yield f"| `{name}` | {words} | {meaning} |"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(page(), "utf-8")
