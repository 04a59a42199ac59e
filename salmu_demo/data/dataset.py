"""A SALMUBench data set on disk: its splits, derived splits, personas and images."""

import codecs
import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Final, Literal, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from salmu_demo.core.documents import MismatchError, NotJSONError, misfit, parse_model
from salmu_demo.core.errors import DataError, QueryError, quoted
from salmu_demo.core.files import leads_outside
from salmu_demo.data import layout
from salmu_demo.data.images import decode_image
from salmu_demo.data.shards import Watch, check_whole, shards_by_split
from salmu_demo.data.values import distinct, is_missing, is_missing_identity, value_key
from salmu_demo.data.wordings import WrittenCaption, derived_wordings

_MAX_JSON_BYTES: Final = 200_000_000
"""Largest metadata file that is read; those of 60,000 rows have some tens of megabytes."""
MAX_TEXT_BYTES: Final = 2_000_000_000
"""Most text of a split that is read: a small parquet file can unpack to more than any memory holds."""
_TEXT_ROWS: Final = 256
_GROUP_BYTES: Final = 64_000_000
"""Parquet row groups of images kept in memory, per split: as many as fit, and always the last one."""

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """Gaps of a data set that loading it accepts.

    Attributes:
        empty: required splits that have no rows, because the data has nothing of the kind.
        absent: required splits that are not on this machine, each with a sentence that says how to get them.
        unmeasurable: metrics that have no meaning on the data, each with the reason; evaluations skip them.
    """

    empty: frozenset[str] = frozenset()
    absent: Mapping[str, str] = field(default_factory=dict)
    unmeasurable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Split:
    """Rows of one split, without their images.

    Attributes:
        name: official name of the split or derived split.
        stored: name of the split on disk these rows belong to; embeddings are kept for stored splits.
        rows: positions of the rows in the stored split, shape (N,).
        texts: captions, N strings.
        identities: persona ids, N strings or None.
        file_names: file names of the images, N strings.
    """

    name: str
    stored: str
    rows: NDArray[np.int64]
    texts: list[str]
    identities: list[str | None]
    file_names: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table of `text`, `identity_id` and `file_name`; `.to_pandas()` makes it a frame."""
        strings = pa.string()
        columns = (self.texts, self.identities, self.file_names)
        return pa.table(
            {
                name: pa.array(values, strings)
                for name, values in zip((layout.TEXT, layout.IDENTITY, layout.FILE_NAME), columns, strict=True)
            }
        )

    def take(self, name: str, positions: Sequence[int]) -> "Split":
        """The rows at the given positions, as a split of another name."""
        return Split(
            name=name,
            stored=self.stored,
            rows=self.rows[np.asarray(positions, dtype=np.int64)],
            texts=[self.texts[i] for i in positions],
            identities=[self.identities[i] for i in positions],
            file_names=[self.file_names[i] for i in positions],
        )


@dataclass(frozen=True)
class Persona:
    """One fictitious person of the data set and the metadata the data set gives."""

    identity_id: str
    metadata: dict[str, Any]

    @property
    def name(self) -> str:
        """Full name."""
        return str(self.metadata["name"])

    def values(self, kind: str) -> list[str]:
        """All true values of an attribute kind, empty if the metadata has none; null, NaN and blanks are none.

        >>> Persona("00000001", {"name": "A", "emails": ["a@x.example"], "city": "Ulm"}).values("email")
        ['a@x.example']
        """
        for key in layout.KIND_SPELLINGS.get(kind, (kind,)):
            value = self.metadata.get(key)
            found = [str(entry) for entry in (value if isinstance(value, list) else [value]) if not is_missing(entry)]
            if found:
                return found
        return []


@dataclass(frozen=True)
class ZeroShotClasses:
    """Classes and prompts of the zero-shot set that GenKnow is measured on."""

    name: str
    classes: list[str]
    templates: list[str]


def _plain_template(template: str) -> str:
    """A template whose only fields are `{}`: others reach into objects, or fill memory with a width."""
    try:
        fields = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError:
        fields = [("", None, None)]
    if any(field != ("", "", None) for field in fields):
        raise misfit(f"is {quoted(template)}; write {{}} where the class goes")
    return template


def _distinct_classes(classes: list[str]) -> list[str]:
    if len(distinct(classes)) < len(classes):
        raise misfit("has a class twice, or two that differ in case, blanks or Unicode form only")
    return classes


_Caption = Annotated[str | None, BeforeValidator(lambda text: None if is_missing(text) else text)]


@dataclass(frozen=True)
class ProbeWordings:
    """Wordings of one attribute kind for the probes, with `{person}` and `{value}` where these go.

    Attributes:
        trained: those of the training captions.
        unseen: those that no caption has.
    """

    trained: tuple[str, ...]
    unseen: tuple[str, ...]


def _probe_wording(wording: str) -> str:
    """A wording with both places, each once or more, and nothing else in braces."""
    try:
        fields = {part[1:] for part in Formatter().parse(wording) if part[1] is not None}
    except ValueError:
        fields = set()
    if fields != {("person", "", None), ("value", "", None)}:
        raise misfit(f"is {quoted(wording)}; write {{person}} and {{value}} where these go")
    return wording


_Wordings = Annotated[list[Annotated[str, AfterValidator(_probe_wording)]], Field(min_length=1)]


class _KindWordings(BaseModel):
    trained: _Wordings
    unseen: _Wordings


class Question(BaseModel):
    """A question and its answer.

    Attributes:
        question: the question.
        answer: the right answer.
        file_name: the image it is asked about, in the split `captioned`; None for a question without one.
    """

    question: str
    answer: str
    file_name: str | None = None


Choices = Mapping[str, Mapping[str, Sequence[Sequence[str]]]]
"""By split and by what is asked (`name`, `caption` or `answer`), what each row chooses from, the right answer first; an
empty row is not asked."""


class _ZeroShotFile(BaseModel):
    """The file of the classes that GenKnow is measured on."""

    classes: Annotated[list[str], Field(min_length=1), AfterValidator(_distinct_classes)]
    templates: Annotated[list[Annotated[str, AfterValidator(_plain_template)]], Field(min_length=1)]


class _EncodedImages:
    """Encoded images of one stored split, read from parquet one row group at a time."""

    def __init__(self, shards: list[Path], watch: Watch) -> None:
        self._watch = watch
        self._groups: list[tuple[Path, int]] = []
        starts = [0]
        for shard in shards:
            try:
                with watch.reading(shard):
                    metadata = pq.read_metadata(shard)
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"The images in {shard} cannot be read; fetch or write it again.") from error
            for group in range(metadata.num_row_groups):
                self._groups.append((shard, group))
                starts.append(starts[-1] + metadata.row_group(group).num_rows)
        self._starts = np.asarray(starts)
        self._recent: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, row: int) -> bytes:
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        with self._lock:
            column = self._recent.pop(group, None)
            if column is None:
                shard, number = self._groups[group]
                try:
                    with self._watch.reading(shard), pq.ParquetFile(shard, memory_map=True) as file:
                        column = file.read_row_group(number, columns=[layout.IMAGE]).column(0).combine_chunks()
                except (pa.ArrowException, OSError) as error:
                    raise DataError(f"The images in {shard} cannot be read; fetch or write it again.") from error
            self._recent[group] = column
            while len(self._recent) > 1 and sum(kept.nbytes for kept in self._recent.values()) > _GROUP_BYTES:
                self._recent.popitem(last=False)
        content = column[int(row - self._starts[group])].as_py()
        if not content or not content.get("bytes"):
            raise DataError(f"Row {row} of {self._groups[group][0].name} holds no image bytes.")
        return bytes(content["bytes"])


class BenchmarkData:
    """A folder in the SALMUBench layout. Use `load_folder` to make one.

    Attributes:
        name: how the user named it: `mini`, a folder or a Hub data set.
        root: the folder.
        revision: Hub revision, or None.
        identities: persona id to metadata.
        zero_shot: zero-shot set stored beside the splits, or None.
        choices: multiple choice stored beside the splits, which makes it data of CLEAR, or None.
        limits: what it cannot give, and why.
        unread_splits: further splits in another shape, which are left out, and what is odd about them.
        remarks: sentences on what was assumed of it, which every view of its numbers must say.
    """

    def __init__(self, name: str, root: Path, revision: str | None = None, limits: Limits | None = None) -> None:
        self.name = name
        self.root = root
        self.revision = revision
        self.limits = limits or Limits()
        self._watch = Watch(f"the data set {name}")
        self._shards = _find_shards(root, self.limits)
        self._stored: dict[str, Split] = {}
        self.unread_splits: dict[str, str] = {}
        self.identities = self._read_json(layout.IDENTITIES_FILE, dict[str, dict[str, Any]])
        for split, shards in self._shards.items():
            try:
                self._stored[split] = _read_rows(split, shards, self._watch)
            except DataError as error:
                # Further splits, such as `forget_target` of the release, may look different: nothing needs them.
                if split in (*layout.REQUIRED_SPLITS, layout.GENKNOW_SPLIT):
                    raise
                self.unread_splits[split] = str(error)
        for split in (*self.limits.empty, *self.limits.absent):
            self._stored[split] = Split(split, split, np.arange(0), [], [], [])
        captions = self._read_json(layout.CAPTIONS_FILE, dict[str, Any])
        generic = self._read_json(layout.GENERIC_CAPTIONS_FILE, dict[str, _Caption])
        self._generic = {name: text for name, text in generic.items() if text is not None}
        self._fragile = self._read_json(layout.FRAGILE_IDS_FILE, list[str])
        self._kinds = {
            name: layout.canonical_kind(str(entry["data_field"]))
            for name, entry in captions.items()
            if isinstance(entry, dict) and not is_missing(entry.get("data_field"))
        }
        self.zero_shot = self._read_zero_shot()
        self.choices = self._read_choices()
        self._wordings = self._read_wordings()
        self.remarks = (*self._without_missing_identities(), *self._captions_of_nothing(), *self._check_values())
        self._derived = self._derive()
        self._encoded: dict[str, _EncodedImages] = {}
        self._lock = threading.Lock()

    def _without_missing_identities(self) -> Iterator[str]:
        """Read what only looks like the id of a persona as none, and say so."""
        for name, split in self._stored.items():
            found = Counter(i for i in split.identities if i not in (None, *self.identities) and is_missing_identity(i))
            if found:
                identities = [None if identity in found else identity for identity in split.identities]
                self._stored[name] = replace(split, identities=identities)
                written = ", ".join(f"{identity!r} ({count:,})" for identity, count in sorted(found.items()))
                yield f"Rows of {name} in {self.name} write that they have no persona as {written}: read as none."

    def _captions_of_nothing(self) -> Iterator[str]:
        """Say which captions look as if they were missing: they are measured all the same."""
        for name, split in self._stored.items():
            found = Counter(text for text in split.texts if is_missing(text))
            if found:
                written = ", ".join(f"{text!r} ({count:,})" for text, count in sorted(found.items()))
                yield f"Captions of {name} in {self.name} say nothing, such as {written:.80}: measured as they are."

    def _check_values(self) -> Iterator[str]:
        """Refuse values that are neither texts nor numbers, and say which were joined."""
        path = self.root / layout.IDENTITIES_FILE
        for kind in self.kinds:
            values: list[str] = []
            for identity, entry in self.identities.items():
                for key in layout.KIND_SPELLINGS.get(kind, (kind,)):
                    if not _is_value(entry.get(key)):
                        raise DataError(f"{path} has for {identity} a {key} that is neither a text nor a number.")
                values += Persona(identity, entry).values(kind)
            kept = distinct(values)
            joined = sorted(value for value in set(values) if kept[value_key(value)] != value)
            if joined:
                twin = kept[value_key(joined[0])]
                yield (
                    f"{len(joined):,} values of {kind} in {self.name} differ from others in case, blanks or Unicode "
                    f"form only and are one with them in line-ups, such as {joined[0]!r} with {twin!r}."
                )

    def _read_json(self, name: str, kind: type[T]) -> T:
        path = self.root / name
        try:
            size = check_inside(path, self.root).stat().st_size
            if size > _MAX_JSON_BYTES:
                raise DataError(f"{path} has {size:,} bytes; at most {_MAX_JSON_BYTES:,} are read.")
            with self._watch.reading(path):
                content = path.read_bytes()
            # Some editors put a byte order mark before the text.
            return parse_model(content.removeprefix(codecs.BOM_UTF8), kind, lone_surrogates=False)
        except FileNotFoundError as error:
            raise DataError(f"The data set {self.root} lacks {name}.") from error
        except (OSError, NotJSONError) as error:
            raise DataError(f"{path} is not readable JSON; fetch or write it again.") from error
        except MismatchError as error:
            raise DataError(f"{path} cannot be used: {error}.") from error

    def _read_wordings(self) -> dict[str, ProbeWordings]:
        if not (self.root / layout.PROBE_WORDINGS_FILE).exists():
            return {}
        found = self._read_json(layout.PROBE_WORDINGS_FILE, dict[str, _KindWordings])
        return {kind: ProbeWordings(tuple(entry.trained), tuple(entry.unseen)) for kind, entry in found.items()}

    @cached_property
    def probe_wordings(self) -> dict[str, ProbeWordings]:
        """Attribute kind to its wordings for the probes; what the data set does not give comes from its captions."""
        return {kind: self._wordings.get(kind) or self._derived_wordings(kind) for kind in self.kinds}

    def _derived_wordings(self, kind: str) -> ProbeWordings:
        people = {persona.identity_id: persona for persona in self.personas}
        found = []
        for name in layout.SENSITIVE_SPLITS:
            split = self._stored[name]
            for row in self.kind_rows(name, kind):
                persona = people.get(split.identities[row] or "")
                if persona is not None:
                    found.append(WrittenCaption(split.texts[row], persona.name, tuple(persona.values(kind))))
        return ProbeWordings(derived_wordings(kind, found), ())

    def _read_zero_shot(self) -> ZeroShotClasses | None:
        if layout.GENKNOW_SPLIT not in self._stored:
            return None
        found = self._read_json(layout.GENKNOW_FILE, _ZeroShotFile)
        unknown = set(self._stored[layout.GENKNOW_SPLIT].texts) - set(found.classes)
        if unknown:
            path = self.root / layout.GENKNOW_FILE
            raise DataError(f"{path} lacks the class {min(unknown)!r} that the split {layout.GENKNOW_SPLIT} holds.")
        label = f"{self.name} {layout.GENKNOW_SPLIT} ({len(found.classes)} classes)"
        return ZeroShotClasses(label, found.classes, found.templates)

    def _read_choices(self) -> Choices | None:
        path = self.root / layout.CHOICES_FILE
        if not path.exists():
            return None
        found = self._read_json(layout.CHOICES_FILE, dict[str, dict[str, list[list[str]]]])
        for split, asked in found.items():
            rows = len(self._stored[split]) if split in self._stored else 0
            wrong = [what for what, choices in asked.items() if len(choices) != rows]
            if wrong:
                raise DataError(f"{path} has {len(asked[wrong[0]]):,} choices for {rows:,} rows of {split}.")
        return found

    @cached_property
    def questions(self) -> list[Question]:
        """Questions and answers stored beside the splits; raises `DataError`."""
        if not (self.root / layout.QUESTIONS_FILE).exists():
            return []
        return self._read_json(layout.QUESTIONS_FILE, list[Question])

    def _derive(self) -> dict[str, Split]:
        """The derived splits, by the rules of the benchmark's card."""
        forget, retain = self._stored[layout.FORGET], self._stored[layout.RETAIN_SYNTH]
        in_forget = set(forget.identities)
        in_association = set(self._stored[layout.HOLDOUT_ASSOCIATION].identities)
        fragile = set(self._fragile)

        joint = [i for i, identity in enumerate(retain.identities) if identity is not None and identity in in_forget]
        disjoint = [i for i, identity in enumerate(retain.identities) if identity is None]
        only_forget = [i for i, identity in enumerate(forget.identities) if identity not in in_association]
        shared = [i for i, identity in enumerate(forget.identities) if identity in in_association]
        rules = {
            layout.RETAIN_JOINT: (retain, joint),
            layout.RETAIN_DISJOINT: (retain, disjoint),
            layout.FRAGILE_SET: (retain, [i for i in disjoint if retain.file_names[i] in fragile]),
            layout.FORGET_IDENTITY: (forget, only_forget),
            layout.FORGET_ASSOCIATION: (forget, shared),
        }
        return {name: split.take(name, positions) for name, (split, positions) in rules.items()}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the names and contents of all parquet shards and metadata files."""
        digest = hashlib.sha256()
        shards = [path for shards in self._shards.values() for path in shards]
        further = (
            layout.GENKNOW_FILE,
            layout.NEVER_TAUGHT_FILE,
            layout.PROBE_WORDINGS_FILE,
            layout.CHOICES_FILE,
            layout.QUESTIONS_FILE,
        )
        metadata = [self.root / name for name in (*layout.REQUIRED_FILES, *further)]
        for path in sorted(shards) + [path for path in metadata if path.is_file()]:
            try:
                digest.update(f"{path.name}\0{self._watch.digest(path)}\n".encode())
            except OSError as error:
                raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
        return digest.hexdigest()

    @property
    def is_mini(self) -> bool:
        """Whether this is the embedded miniature or a copy of it, which every view must say."""
        card = self.root / "README.md"
        return card.is_file() and "pretty_name: SALMU-Mini" in card.read_text("utf-8", errors="replace")[:300]

    @property
    def benchmark(self) -> Literal["SALMUBench", "CLEAR"]:
        """Whose further metrics are measured on it."""
        return "SALMUBench" if self.choices is None else "CLEAR"

    @property
    def stored_splits(self) -> list[str]:
        """Names of the splits on disk, the official ones first."""
        return sorted(self._shards.keys() & self._stored.keys(), key=lambda s: (s not in layout.REQUIRED_SPLITS, s))

    def split(self, name: str) -> Split:
        """A stored or derived split.

        Raises:
            QueryError: if the data set has none of that name.
            DataError: if it is not on this machine.
        """
        for needed in layout.DERIVED_FROM.get(name, (name,)):
            if needed in self.limits.absent:
                raise DataError(self.limits.absent[needed])
        split = self._stored.get(name, self._derived.get(name))
        if split is None:
            known = ", ".join([*self.stored_splits, *self._derived])
            raise QueryError(f"The data set {self.name} has no split {name!r}; choose one of {known}.")
        return split

    def encoded_image(self, stored_split: str, row: int) -> bytes:
        """Encoded image of one row of a stored split."""
        with self._lock:
            if stored_split not in self._encoded:
                self._encoded[stored_split] = _EncodedImages(self._shards[stored_split], self._watch)
        return self._encoded[stored_split].read(row)

    def image(self, stored_split: str, row: int) -> Image.Image:
        """Decoded RGB image of one row of a stored split; raises `ImageError`."""
        return decode_image(self.encoded_image(stored_split, row), f"Row {row} of {stored_split} in {self.name}")

    def kind(self, file_name: str) -> str | None:
        """Attribute kind that the sensitive caption of an image gives away, or None if the metadata lacks it."""
        return self._kinds.get(file_name)

    @cached_property
    def kinds(self) -> list[str]:
        """Attribute kinds that occur, the official ones first."""
        found = set(self._kinds.values())
        return [k for k in layout.KINDS if k in found] + sorted(found - set(layout.KINDS))

    def kind_rows(self, split: str, kind: str) -> list[int]:
        """Rows of a sensitive split whose captions give away an attribute kind."""
        return self._rows_by_kind[split].get(kind, [])

    @cached_property
    def _rows_by_kind(self) -> dict[str, dict[str, list[int]]]:
        result: dict[str, dict[str, list[int]]] = {name: {} for name in layout.SENSITIVE_SPLITS}
        for name, kinds in result.items():
            for row, file_name in enumerate(self._stored[name].file_names):
                if file_name in self._kinds:
                    kinds.setdefault(self._kinds[file_name], []).append(row)
        return result

    def generic_caption(self, file_name: str) -> str | None:
        """The non-sensitive caption of a sensitive image, if the data set has one."""
        return self._generic.get(file_name)

    @cached_property
    def personas(self) -> list[Persona]:
        """Personas that occur in a sensitive split and have metadata, by id."""
        seen = {i for name in layout.SENSITIVE_SPLITS for i in self._stored[name].identities if i is not None}
        return [
            Persona(i, self.identities[i])
            for i in sorted(seen)
            if not is_missing(self.identities.get(i, {}).get("name"))
        ]

    def persona(self, identity_id: str) -> Persona:
        """The persona of an id; raises `QueryError` if there is none."""
        for persona in self.personas:
            if persona.identity_id == identity_id:
                return persona
        example = self.personas[0].identity_id if self.personas else "none"
        raise QueryError(f"There is no persona {identity_id!r:.80} in {self.name}; ids look like {example}.")

    def persona_rows(self, identity_id: str) -> dict[str, list[int]]:
        """Rows of a persona in each sensitive split that has any."""
        return {name: rows[identity_id] for name, rows in self._rows_by_identity.items() if identity_id in rows}

    @cached_property
    def never_taught(self) -> list[Persona]:
        """Personas of the split `never_taught`, by id, who are controls of the audit; empty if there is no such split.

        Raises:
            DataError: if their metadata is missing or broken.
        """
        if layout.NEVER_TAUGHT not in self._stored:
            return []
        metadata = self._read_json(layout.NEVER_TAUGHT_FILE, dict[str, dict[str, Any]])
        seen = {identity for identity in self._stored[layout.NEVER_TAUGHT].identities if identity is not None}
        return [Persona(i, metadata[i]) for i in sorted(seen) if not is_missing(metadata.get(i, {}).get("name"))]

    @cached_property
    def _rows_by_identity(self) -> dict[str, dict[str, list[int]]]:
        result: dict[str, dict[str, list[int]]] = {}
        for name in layout.SENSITIVE_SPLITS:
            rows = result.setdefault(name, {})
            for row, identity in enumerate(self._stored[name].identities):
                if identity is not None:
                    rows.setdefault(identity, []).append(row)
        return result


def _find_shards(root: Path, limits: Limits) -> dict[str, list[Path]]:
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; give `mini`, a folder in the SALMUBench layout or a Hub data set id.")
    found = shards_by_split((root / layout.DATA_FOLDER).glob("*.parquet"))
    # Of a split that was fetched in part, what is here is not used.
    shards = {
        split: [check_inside(path, root) for path in paths]
        for split, paths in found.items()
        if split not in limits.absent
    }
    for split in layout.REQUIRED_SPLITS:
        if split not in shards and split not in (*limits.empty, *limits.absent):
            wanted = f"{layout.DATA_FOLDER}/{split}-*.parquet"
            raise DataError(f"The data set {root} lacks the split {split}: no file matches {wanted}.")
    return shards


def _read_rows(split: str, shards: list[Path], watch: Watch) -> Split:
    wanted = [layout.TEXT, layout.IDENTITY, layout.FILE_NAME]
    columns: list[list[Any]] = [[], [], []]
    size = 0
    check_whole(split, shards)
    for shard in shards:
        try:
            with watch.reading(shard), pq.ParquetFile(shard) as file:
                missing = [c for c in layout.COLUMNS if c not in file.schema_arrow.names]
                if missing:
                    raise DataError(f"{shard} lacks the column {missing[0]}; it needs {', '.join(layout.COLUMNS)}.")
                image = file.schema_arrow.field(layout.IMAGE).type
                place = image.get_field_index("bytes") if pa.types.is_struct(image) else -1
                if place < 0 or image.field(place).type not in (pa.binary(), pa.large_binary(), pa.null()):
                    raise DataError(f"{shard}: the column {layout.IMAGE} must be a struct with the field `bytes`.")
                for batch in file.iter_batches(_TEXT_ROWS, columns=wanted):
                    size += batch.nbytes
                    if size > MAX_TEXT_BYTES:
                        raise DataError(f"{shard} unpacks to more than {MAX_TEXT_BYTES:,} bytes of text.")
                    for values, name in zip(columns, wanted, strict=True):
                        values += batch.column(name).to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{shard} is not a readable parquet file; fetch or write it again.") from error
    texts, identities, file_names = columns
    if any(text is None for text in texts):
        raise DataError(f"The split {split} has a row without text (row {texts.index(None)}).")
    if not texts:
        raise DataError(f"The split {split} has no rows.")
    if not all(isinstance(text, str) for text in texts):
        raise DataError(f"The column {layout.TEXT} of the split {split} must hold strings.")
    identities = [None if identity is None else _identity(identity) for identity in identities]
    return Split(split, split, np.arange(len(texts)), texts, identities, [str(name) for name in file_names])


def _identity(value: Any) -> str:
    """The id of a persona as a text; whole numbers are floats where other rows of their column have none.

    >>> _identity("00000001"), _identity(7), _identity(7.0)
    ('00000001', '7', '7')
    """
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _is_value(value: Any) -> bool:
    """Whether an entry of a persona's metadata is a value, a list of values, or missing."""
    parts = value if isinstance(value, list) else [value]
    return all(part is None or (isinstance(part, str | int | float) and not isinstance(part, bool)) for part in parts)


def check_inside(path: Path, root: Path) -> Path:
    """The path again; raises `DataError` if it is a link that leads out of its data set."""
    if leads_outside(path, root):
        raise DataError(f"{path} is a link that leads out of the data set; copy the file itself there.")
    return path


def load_folder(
    root: Path, name: str | None = None, revision: str | None = None, limits: Limits | None = None
) -> BenchmarkData:
    """Load and check a folder in the SALMUBench layout; images are read when they are needed.

    Unknown attribute kinds and extra splits are tolerated.

    Raises:
        DataError: if a required split, column or metadata file is missing or broken.
    """
    return BenchmarkData(name or str(root), root, revision, limits)
