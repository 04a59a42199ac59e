"""From CLEAR's rows to SALMUBench's layout: splits, persons, multiple choice, and questions with answers."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from salmu_demo.core.errors import DataError
from salmu_demo.data import clear_rows as rows
from salmu_demo.data import layout
from salmu_demo.data.clear_rows import Columns, choice, read_rows
from salmu_demo.data.shards import Watch
from salmu_demo.data.values import distinct, value_key
from salmu_demo.data.writing import SCHEMA

NAME_KIND: Final = "name"
"""Attribute kind of every pair."""
ALSO_WRITTEN: Final = "also_written"
"""Key of the other spellings of a person's name in the converted metadata."""
REMARKS_FILE: Final = "remarks.json"
"""What the conversion found odd, one sentence each."""

Row: TypeAlias = dict[str, Any]

_BATCH_ROWS: Final = 64
_SCHEMA: Final = SCHEMA.remove_metadata()
"""Without what the Hub shows: another byte would be another fingerprint."""


@dataclass(frozen=True)
class ConfigurationFiles:
    """The files of a configuration, and the split that its rows become."""

    split: str
    columns: Columns
    shards: list[Path]


def shard_of(folder: Path, split: str) -> Path:
    """Where a converted split is kept."""
    return folder / layout.DATA_FOLDER / layout.shard_name(split)


@dataclass
class _Converted:
    """What a row of CLEAR becomes.

    Attributes:
        image: encoded image, or None for a question without one.
        text: its caption.
        person: whom it shows, or None.
        choices: by what is asked, what a model chooses from, the right answer first.
        question: a question and its answer, or None.
    """

    image: bytes | None
    text: str
    person: str | None = None
    choices: dict[str, list[str]] = field(default_factory=dict)
    question: tuple[str, str] | None = None


class Conversion:
    """Writes the official layout into a folder, a batch of rows in memory at a time."""

    def __init__(self, folder: Path, watch: Watch) -> None:
        self._folder, self._watch = folder, watch
        self._numbers: dict[str, str] = {}
        self._captions: dict[str, dict[str, str]] = {}
        self._choices: dict[str, dict[str, list[list[str]]]] = {}
        self._questions: list[dict[str, str | None]] = []
        self._odd: Counter[str] = Counter()

    def run(self, sources: Sequence[ConfigurationFiles]) -> None:
        """Convert all sources; raises `DataError`."""
        (self._folder / layout.DATA_FOLDER).mkdir(parents=True)
        metadata = self._persons(sources)
        for source in sources:
            self._split(source)
        for file, content in {
            layout.IDENTITIES_FILE: metadata,
            layout.CAPTIONS_FILE: self._captions,
            layout.GENERIC_CAPTIONS_FILE: {},
            layout.FRAGILE_IDS_FILE: [],
            layout.CHOICES_FILE: self._choices,
            layout.QUESTIONS_FILE: self._questions,
            REMARKS_FILE: [f"{count:,} {what}" for what, count in self._odd.items()],
        }.items():
            (self._folder / file).write_text(json.dumps(content, ensure_ascii=False), "utf-8")

    def _persons(self, sources: Sequence[ConfigurationFiles]) -> dict[str, dict[str, Any]]:
        """Number the persons of all rows by their names; their metadata by number."""
        named = [source for source in sources if rows.NAME in source.columns.known]
        names = {
            row[rows.NAME]
            for source in named
            for row in read_rows(source.columns, source.shards, self._watch, [rows.NAME])
            if row[rows.NAME] is not None
        }
        persons = distinct(names)
        metadata: dict[str, dict[str, Any]] = {key: {NAME_KIND: name} for key, name in persons.items()}
        for name in sorted(names - set(persons.values())):
            metadata[value_key(name)].setdefault(ALSO_WRITTEN, []).append(name)
        self._numbers = {key: f"{number:08d}" for number, key in enumerate(persons, start=1)}
        return {number: metadata[key] for key, number in self._numbers.items()}

    def _split(self, source: ConfigurationFiles) -> None:
        split, configuration = source.split, source.columns.configuration
        asked = self._choices.setdefault(split, {})
        count = 0
        with pq.ParquetWriter(shard_of(self._folder, split), _SCHEMA) as writer:
            batch: list[dict[str, Any]] = []
            for row in self._converted(source):
                identity = None if row.person is None else self._numbers[value_key(row.person)]
                sensitive = split in layout.SENSITIVE_SPLITS
                file_name = f"{identity if sensitive else configuration}_{count:05d}"
                if row.question:
                    question, answer = row.question
                    about = None if row.image is None else file_name
                    self._questions.append({"question": question, "answer": answer, "file_name": about})
                if row.image is None:
                    continue
                count += 1
                if sensitive:
                    self._captions[file_name] = {"caption": row.text, "data_field": NAME_KIND}
                for what, candidates in row.choices.items():
                    asked.setdefault(what, []).append(candidates)
                image = {"bytes": row.image, "path": None}
                batch.append(dict(zip(_SCHEMA.names, (image, row.text, identity, file_name), strict=True)))
                if len(batch) == _BATCH_ROWS:
                    writer.write_table(pa.Table.from_pylist(batch, schema=_SCHEMA))
                    batch = []
            if batch:
                writer.write_table(pa.Table.from_pylist(batch, schema=_SCHEMA))
        if not count:
            shard_of(self._folder, split).unlink()
            del self._choices[split]
            if not self._questions:
                raise DataError(f"The CLEAR configuration {configuration} has no rows.")

    def _converted(self, source: ConfigurationFiles) -> Iterator[_Converted]:
        read = {
            "captions": self._captioned,
            "perturbed": self._perturbed,
            "questions": self._asked,
            "faces": self._faces,
            "world": self._world,
        }[source.columns.family.name]
        for row in read_rows(source.columns, source.shards, self._watch):
            yield read(row, source.columns)

    def _captioned(self, row: Row, columns: Columns) -> _Converted:
        name = self._needed(row, rows.NAME, columns)
        caption = row[rows.CAPTION]
        if caption is None and rows.CAPTION in columns.known:
            self._odd[f"rows of {columns.configuration} have no caption: read as 'A photo of' and the name."] += 1
        return _Converted(row[rows.IMAGE], caption or f"A photo of {name}", name)

    def _perturbed(self, row: Row, columns: Columns) -> _Converted:
        name = row[rows.NAME]
        choices = {
            "name": self._choice(name, row, rows.PERTURBED_NAMES, columns),
            "caption": self._choice(row[rows.PARAPHRASED_CAPTION], row, rows.PERTURBED_CAPTIONS, columns),
        }
        text = row[rows.CAPTION] or row[rows.PARAPHRASED_CAPTION] or f"A photo of {name or 'a person'}"
        return _Converted(row[rows.IMAGE], text, name, choices)

    def _asked(self, row: Row, columns: Columns) -> _Converted:
        question, answer, caption = row[rows.QUESTION], row[rows.ANSWER], row[rows.CAPTION]
        pair = None if question is None and answer is None else (question, self._needed(row, rows.ANSWER, columns))
        if pair is not None:
            self._needed(row, rows.QUESTION, columns)
        if caption is None and pair is None:
            raise DataError(f"{columns.configuration} has a row with neither a caption nor a question; write it again.")
        return _Converted(row[rows.IMAGE], caption or " ".join(pair or ()), question=pair)

    def _faces(self, row: Row, columns: Columns) -> _Converted:
        name = self._needed(row, rows.ANSWER, columns)
        choices = {"answer": self._choice(name, row, rows.OPTIONS, columns)}
        return _Converted(row[rows.IMAGE], f"A photo of {name}", choices=choices)

    def _world(self, row: Row, columns: Columns) -> _Converted:
        answer = self._needed(row, rows.ANSWER, columns)
        choices = {"answer": self._choice(answer, row, rows.OPTIONS, columns)}
        return _Converted(row[rows.IMAGE], row[rows.QUESTION] or answer, choices=choices)

    def _needed(self, row: Row, column: str, columns: Columns) -> str:
        if row[column] is None:
            raise DataError(f"{columns.configuration} has a row whose {column} is missing; write it again.")
        return str(row[column])

    def _choice(self, truth: str | None, row: Row, column: str, columns: Columns) -> list[str]:
        """What a row chooses from; counts those that cannot be asked, and options that lack the answer."""
        found = choice(truth, row[column])
        if column in columns.known and not found:
            self._odd[f"rows of {columns.configuration} have no {column} besides the truth: not asked."] += 1
        elif column == rows.OPTIONS and len(found) > len(row[column]):
            self._odd[f"rows of {columns.configuration} have options without the answer: it is added to them."] += 1
        return found
