"""Write the schemas of result files and their pages in docs/ from the models: `python -m tests.results_schema`."""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from salmu_demo.attacks.schema import AttacksDocument
from salmu_demo.dossiers.schema import DossierDocument
from salmu_demo.results.schema import ResultsDocument

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA_FILE = DOCS / "results.schema.json"
PAGE = DOCS / "results-schema.md"


@dataclass(frozen=True)
class Described:
    """A file whose fields are documented.

    Attributes:
        name: name of the file.
        model: what reads and writes it.
        schema: where its JSON schema goes.
        page: where the page goes.
        introduction: how the page begins.
        sections: start of the fields' names to title and remark; of several, the longest counts.
    """

    name: str
    model: type[BaseModel]
    schema: Path
    page: Path
    introduction: str
    sections: dict[str, tuple[str, str]]


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

RESULTS = Described("results.json", ResultsDocument, SCHEMA_FILE, PAGE, INTRODUCTION, SECTIONS)
ATTACKS = Described(
    "attacks.json",
    AttacksDocument,
    DOCS / "attacks.schema.json",
    DOCS / "attacks-schema.md",
    """# The file attacks.json

`salmu-demo attack` writes one `attacks.json`: what each attack found in each model, beside the same attack on Clean and
on Compromised, with one record for each measure in each gallery. [Attacks](attacks.md) says what they mean.

`python -m tests.results_schema` generates this page and the JSON schema, [attacks.schema.json](attacks.schema.json),
from the models that read and write the file. `version` is raised whenever a field changes its meaning or goes away, and
a program that knows another version refuses the file. New fields may appear within a version.

Numbers are finite; a value that does not exist is `null`. Texts are UTF-8. In the names below, `[]` stands for each
entry of a list.""",
    {
        "": ("What was attacked", ""),
        "attacks": ("Attacks", ""),
        "records": (
            "Records",
            "The recovered share is `(value − clean) / (compromised − clean)` minus the same share before "
            "the\nattack. The controls tell nothing where Compromised, attacked, is not clearly ahead of Clean.",
        ),
        "skipped": ("Attacks that were not run", ""),
        "controls": ("Controls", ""),
    },
)
DOSSIER = Described(
    "dossier.json",
    DossierDocument,
    DOCS / "dossier.schema.json",
    DOCS / "dossier-schema.md",
    """# The file dossier.json

`salmu-demo dossier` writes one `dossier.json`: everything that was found about one person with several models. The same
is in `dossier.html` and `dossier.pdf`, and `salmu-demo verify` makes its digests and numbers again.
[Dossiers](guide/dossier.md) says what they mean.

`python -m tests.results_schema` generates this page and the JSON schema, [dossier.schema.json](dossier.schema.json),
from the models that read and write the file. `version` is raised whenever a field changes its meaning or goes away, and
a program that knows another version refuses the file. New fields may appear within a version.

Numbers are finite; a value that does not exist is `null`. Texts are UTF-8. In the names below, PACKAGE is a Python
package, and `[]` stands for each entry of a list.""",
    {
        "": ("The question and the answers", ""),
        "person": ("The person", ""),
        "pictures": ("Images", ""),
        "cells": ("Tests", "Every tested cell holds `rank`, `of`, `p` and `verdict`."),
        "not_carried_out": ("Tests that could not be carried out", ""),
        "risks": ("Residual risk", ""),
        "before_after": ("Before and after unlearning", ""),
        "requests": ("Requests of the person", ""),
        "recoverability": ("Recoverability", ""),
        "collateral": ("Other people", ""),
        "coverage": ("Classes of attacks", ""),
        "threats": ("Threat models", ""),
        "declared": ("What the auditor declares", ""),
        "limits": ("Limits", ""),
        "models": ("Models", ""),
        "data": ("Data", ""),
        "made": ("How it was made", ""),
    },
)
ALL = (RESULTS, ATTACKS, DOSSIER)

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


def json_schema(of: Described = RESULTS) -> dict[str, Any]:
    """The JSON schema of the whole file."""
    found = of.model.model_json_schema(schema_generator=_Described)
    return {"$schema": GenerateJsonSchema.schema_dialect, **found, "title": of.name}


def fields(of: Described = RESULTS) -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of every field."""
    schema = json_schema(of)
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


def page(of: Described = RESULTS) -> str:
    """The page as Markdown."""
    return "\n".join(_lines(of)) + "\n"


def _lines(of: Described) -> Iterator[str]:
    yield of.introduction
    rows = list(fields(of))
    for start, (title, remark) in of.sections.items():
        yield from (
            "",
            f"## {title}",
            "",
            *([remark, ""] if remark else []),
            "| field | type | meaning |",
            "|---|---|---|",
        )
        for name, words, meaning in rows:
            if max((s for s in of.sections if name.startswith(s)), key=len) == start:
                yield f"| `{name}` | {words} | {meaning} |"


if __name__ == "__main__":
    for each in ALL:
        each.schema.write_text(json.dumps(json_schema(each), indent=2, ensure_ascii=False) + "\n", "utf-8")
        each.page.write_text(page(each), "utf-8")
