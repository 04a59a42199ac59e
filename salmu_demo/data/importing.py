"""Data sets of other people's tables: `import_data` writes the official layout."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.errors import DataError, QueryError, quoted
from salmu_demo.core.files import atomic_folder
from salmu_demo.core.progress import Progress, ProgressCallback, Unit, ignore_progress
from salmu_demo.data import layout
from salmu_demo.data.dataset import load_folder
from salmu_demo.data.drawn_splits import Pair, draw_splits
from salmu_demo.data.images import decode_image
from salmu_demo.data.tables import KEY, MEMBER, EncodedImage, TableFile, find_tables
from salmu_demo.data.values import is_missing, is_missing_identity, value_key
from salmu_demo.data.writing import SplitWriter, StoredRow, write_json

IMAGE: Final = "image"
TEXT: Final = "text"
PERSONA: Final = "persona"
NAME: Final = "name"
KIND: Final = "kind"
VALUE: Final = "value"
SPLIT: Final = "split"
GENERIC: Final = "generic"

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    IMAGE: (
        MEMBER, "img", "picture", "photo", "file_name", "filename", "file", "image_path", "image_file", "img_path",
        "filepath", "path",
    ),
    TEXT: (layout.TEXT, "caption", "txt", "title", "description"),
    PERSONA: (layout.IDENTITY, PERSONA, "persona_id", "person", "person_id", "identity", "subject"),
    NAME: (NAME, "full_name", "person_name", "persona_name"),
    KIND: (KIND, "data_field", "attribute", "attribute_kind", "field"),
    VALUE: (VALUE, "attribute_value"),
    SPLIT: (SPLIT,),
    GENERIC: (GENERIC, "generic_caption"),
}  # fmt: skip
"""What a column can be to the names it is known by, the likeliest first; case does not count."""

NAME_KIND: Final = NAME
"""Kind of pairs of a persona in tables without kinds and values, as in CLEAR: a face and a name."""

SPLITS: Final = {
    **{name: name for name in (*layout.REQUIRED_SPLITS, layout.RETAIN_GENERAL)},
    "retain": layout.RETAIN_SYNTH,
    layout.UNSEEN_IMAGES: layout.UNSEEN_IMAGES,
    layout.NEVER_TAUGHT: layout.NEVER_TAUGHT,
}
"""What a column of splits may say to the split it means; case, blanks and hyphens do not count."""

_TARGETS: Final = " or ".join(f"{target}=COLUMN" for target in COLUMNS)
_OF_PERSONAS: Final = (*layout.SENSITIVE_SPLITS, layout.UNSEEN_IMAGES, layout.NEVER_TAUGHT)
ROWS_PER_SHARD: Final = 5_000
_MAX_TEXT: Final = 100_000
_MAX_NAME: Final = 200
_WHOLE_FLOAT: Final = re.compile(r"(\d+)\.0")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""What JSON can hold and no file in UTF-8 can."""
_EMAILS: Final = "emails"


@dataclass(frozen=True)
class Imported:
    """What became of a table.

    Attributes:
        folder: where the data set is.
        rows: of the table, all of which were taken.
        columns: what was read to the column it was read from.
        unread: columns that were not read.
        splits: rows of each split.
        seed: what the splits were drawn with; None if the table says them.
        personas: how many there are.
        kinds: rows of the sensitive splits for each attribute kind.
        remarks: sentences on what was assumed.
    """

    folder: Path
    rows: int
    columns: dict[str, str]
    unread: list[str]
    splits: dict[str, int]
    seed: int | None
    personas: int
    kinds: dict[str, int]
    remarks: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class _Entry:
    """A row of a table that was read and checked, without its image.

    Attributes:
        where: the row, for sentences.
        text: the caption.
        persona: what the row calls its persona, later the persona's id; or None.
        name: the persona's name, or None.
        kind: canonical name of the attribute kind, or None.
        values: of that kind.
        split: official name, or None if the table has no column of splits.
        generic: the caption that gives nothing away, or None.
        image: digest of the encoded image.
    """

    where: str
    text: str
    persona: str | None
    name: str | None
    kind: str | None
    values: tuple[str, ...]
    split: str | None
    generic: str | None
    image: str


def parse_columns(given: Iterable[str]) -> dict[str, str]:
    """What columns are, from `TARGET=COLUMN,TARGET=COLUMN`; without a column, none is.

    Raises:
        QueryError: if a part is none of these, or names a target once more.

    >>> parse_columns(["image=file,text=caption", "split="])
    {'image': 'file', 'text': 'caption', 'split': ''}
    """
    found: dict[str, str] = {}
    for part in (part for entry in given for part in entry.split(",")):
        target, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise QueryError(f"{quoted(part)} does not say what a column is; write {_TARGETS}.")
        if target in found:
            raise QueryError(
                f"{target} is said to be both {quoted(found[target])} and {quoted(column)}; give one column."
            )
        found[target] = column
    return found


def import_data(
    source: Path,
    output: Path,
    columns: Mapping[str, str] | None = None,
    *,
    images: Path | None = None,
    seed: int = 0,
    progress: ProgressCallback = ignore_progress,
) -> Imported:
    """Write a data set in the official layout from a table with images.

    Args:
        source: what `find_tables` takes.
        output: folder to write, new or empty; nothing is left there if a row is refused.
        columns: what columns are, as `parse_columns` gives it; the others are told by their names (`COLUMNS`).
        images: what names of images are relative to; None for the folder of the table.
        seed: of the splits, if the table does not say them; see `salmu_demo.data.drawn_splits`.
        progress: called often; it may raise to stop.

    Raises:
        DataError: if the source cannot be read, a column is missing, or a row cannot be used, which is named.
        ImageError: if the image of a row cannot be used, which is named.
        QueryError: if a column is named that there is not.
        StorageError: if the folder is not empty or cannot be written.
    """
    with atomic_folder(output, "The data set") as folder:
        tables = find_tables(source, images)
        chosen, unread = _choose(source, tables, columns or {})
        entries, names = _identified(list(_entries(tables, chosen, _parted(tables, chosen, columns or {}))), chosen)
        if not entries:
            raise DataError(f"{source} has no rows.")
        remarks = list(_remarks(entries, chosen))
        drawn = entries[0].split is None
        if drawn:
            entries, said = _drawn(entries, seed)
            remarks += said
        _check_splits(source, entries, names)
        _write(folder, tables, chosen[IMAGE], entries, names, progress)
        sensitive = (entry for entry in entries if entry.split in layout.SENSITIVE_SPLITS)
        report = Imported(
            folder=output,
            rows=len(entries),
            columns=chosen,
            unread=unread,
            splits=_counts(SPLITS.values(), (str(entry.split) for entry in entries)),
            seed=seed if drawn else None,
            personas=len({entry.persona for entry in entries if entry.persona is not None}),
            kinds=_counts(layout.KINDS, (entry.kind for entry in sensitive if entry.kind is not None)),
            remarks=remarks,
        )
        _write_card(folder, source, report)
        # Whatever is wrong with it must not be left for whoever uses it.
        load_folder(folder, str(output))
    return report


def _drawn(entries: Sequence[_Entry], seed: int) -> tuple[list[_Entry], list[str]]:
    """The rows with the splits that were drawn for them, and what there is to say of it."""
    found = draw_splits([Pair(entry.persona, entry.kind, entry.image) for entry in entries], seed)
    said = [f"No column says the split; splits were drawn with the seed {seed}."]
    if found.retained:
        said.append(
            f"No row is without a persona; of {len(found.retained):,} personas all rows became {layout.RETAIN_SYNTH}, "
            "without their ids."
        )
    return [
        replace(entry, split=split, persona=None if entry.persona in found.retained else entry.persona)
        for entry, split in zip(entries, found.splits, strict=True)
    ], said


def _choose(source: Path, tables: Sequence[TableFile], told: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What is read to the column it is read from, and the columns that are not read."""
    known = list(dict.fromkeys(name for table in tables for name in table.columns() if name))
    listed = ", ".join(known)
    chosen: dict[str, str] = {}
    for target, column in told.items():
        if target not in COLUMNS:
            raise QueryError(f"A column cannot be {quoted(target)}; write {_TARGETS}.")
        if column and column not in known:
            raise QueryError(f"{source} has no column {quoted(column)} for {target}; it has {listed:.300}.")
        chosen |= {target: column} if column else {}
    by_name = {name.lower(): name for name in reversed(known)}
    for target, names in COLUMNS.items():
        found = [by_name[name] for name in names if name in by_name and by_name[name] not in chosen.values()]
        if target == IMAGE:
            held = list(dict.fromkeys(name for table in tables for name in table.images()))
            found = held if len(held) == 1 else found
        if target not in told and found:
            chosen[target] = found[0]
    for target in (IMAGE, TEXT):
        if target not in chosen:
            raise DataError(
                f"{source} has no column that is known as the {target}; it has {listed:.300}. Say which one is with "
                f"--map {target}=COLUMN."
            )
    if PERSONA not in chosen and NAME in chosen:
        chosen[PERSONA] = chosen[NAME]
    if PERSONA not in chosen:
        raise DataError(
            f"{source} has no column that is known to say whose image a row is; it has {listed:.300}. Say which one "
            f"does with --map {PERSONA}=COLUMN."
        )
    return {target: chosen[target] for target in COLUMNS if target in chosen}, [
        name for name in known if name not in chosen.values() and name != KEY
    ]


def _parted(tables: Sequence[TableFile], columns: Mapping[str, str], told: Mapping[str, str]) -> bool:
    """Whether the names of shards or folders say the splits."""
    if SPLIT in columns or SPLIT in told:
        return False
    parts = {table.part: _split_of(table.part) for table in tables}
    said, silent = ([part for part, split in parts.items() if bool(split) is known] for known in (True, False))
    if said and silent:
        raise DataError(
            f"The name {said[0]} is that of a split, and {silent[0] or 'that of another table'} is not; name all by "
            f"splits ({', '.join(SPLITS)}), or leave them out with --map {SPLIT}=."
        )
    return bool(said)


def _entries(tables: Sequence[TableFile], columns: Mapping[str, str], parted: bool) -> Iterator[_Entry]:
    """Every row, checked by itself."""
    for table in tables:
        for number, cells in enumerate(table.rows(set(columns.values())), start=1):
            where = table.where(number)
            split = _split_of(table.part) if parted else None
            if SPLIT in columns:
                said = _word(cells, columns, SPLIT, where)
                split = None if said is None else _split_of(said)
                if split is None:
                    raise DataError(
                        f"{where} has {'no split' if said is None else f'the split {quoted(said)}'}; write one of "
                        f"{', '.join(SPLITS)}, or leave the column out with --map {SPLIT}=."
                    )
            yield _entry(table, cells, columns, where, split)


def _entry(
    table: TableFile, cells: Mapping[str, Any], columns: Mapping[str, str], where: str, split: str | None
) -> _Entry:
    image = _image(table, cells.get(columns[IMAGE]), where)
    text = _word(cells, columns, TEXT, where)
    if text is None:
        raise DataError(f"{where} has no {TEXT} (column {columns[TEXT]}).")
    persona = _persona(_word(cells, columns, PERSONA, where))
    kind, values = _word(cells, columns, KIND, where), tuple(_words(cells, columns, VALUE, where))
    if persona is None and (kind is not None or values or split in _OF_PERSONAS):
        has = f"the {KIND} {quoted(kind)}" if kind else f"a {VALUE}" if values else f"the {SPLIT} {split}"
        raise DataError(f"{where} has {has} but no {PERSONA} (column {columns[PERSONA]}).")
    if values and kind is None and KIND in columns:
        raise DataError(f"{where} has a {VALUE} but no {KIND} (column {columns[KIND]}).")
    if persona is not None and KIND not in columns:
        kind = NAME_KIND if VALUE not in columns else columns[VALUE] if values else None
    return _Entry(
        where=where,
        text=text,
        persona=persona,
        name=_word(cells, columns, NAME, where) if persona is not None else None,
        kind=None if kind is None else _kind(kind),
        # A name is what the persona is called, and no value beside it.
        values=() if kind == NAME_KIND else values,
        split=split,
        generic=_word(cells, columns, GENERIC, where),
        image=_digest(image.content),
    )


def _image(table: TableFile, cell: Any, where: str) -> EncodedImage:
    found = table.image(cell, where)
    if found is None:
        raise DataError(f"{where} has no image: the cell holds neither its bytes nor the name of a file.")
    return found


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _word(cells: Mapping[str, Any], columns: Mapping[str, str], target: str, where: str) -> str | None:
    """What a row says of a target as text, or None."""
    found = list(_words(cells, columns, target, where))
    if len(found) > 1:
        raise DataError(f"{where} has a list as the {target}; only a {VALUE} may be one.")
    return found[0] if found else None


def _words(cells: Mapping[str, Any], columns: Mapping[str, str], target: str, where: str) -> Iterator[str]:
    cell = cells.get(columns[target]) if target in columns else None
    for part in cell if isinstance(cell, list) else [cell]:
        if is_missing(part):
            continue
        if isinstance(part, bool) or not isinstance(part, str | int | float):
            raise DataError(f"{where} has as the {target} neither a text nor a number (column {columns[target]}).")
        word = str(int(part) if isinstance(part, float) and part.is_integer() else part).strip()
        if len(word) > _MAX_TEXT:
            raise DataError(f"{where} has a {target} of more than {_MAX_TEXT:,} characters.")
        if _LONE_SURROGATE.search(word):
            raise DataError(f"{where} has a {target} with half of a character (a lone surrogate); write it again.")
        yield word


def _persona(word: str | None) -> str | None:
    """The id without the fraction that a program writes where other rows of the column have none."""
    if word is None or is_missing_identity(word):
        return None
    whole = _WHOLE_FLOAT.fullmatch(word)
    return whole[1] if whole else word


def _kind(word: str) -> str:
    """The official name, however it is spelt; another kind is what it is called."""
    kind = layout.canonical_kind(_spelling(word))
    return kind if kind in layout.KINDS else word


def _split_of(word: str) -> str | None:
    return SPLITS.get(_spelling(word))


def _spelling(word: str) -> str:
    return "_".join(re.split(r"[\s_-]+", word.strip().lower()))


def _remarks(entries: Sequence[_Entry], columns: Mapping[str, str]) -> Iterator[str]:
    if KIND not in columns and VALUE not in columns:
        yield (
            f"No column says the kind; what pairs of a persona give away is the {NAME_KIND}, and CoreAssoc, which puts "
            "a value beside the name, has no meaning."
        )
    elif KIND not in columns:
        yield f"No column says the kind; it is {_kind(columns[VALUE])}, as the column of values is called."
    plain = sum(entry.persona is not None and entry.kind is None for entry in entries)
    if plain:
        yield f"{plain:,} rows have a persona but no kind."


def _identified(entries: Sequence[_Entry], columns: Mapping[str, str]) -> tuple[list[_Entry], dict[str, str]]:
    """The rows with the ids of their personas, and the name of each id; who is called by a name alone gets a number.

    Raises:
        DataError: if a persona has two names or none.
    """
    rows = [entry for entry in entries if entry.persona is not None]
    by_name = columns.get(NAME, columns[PERSONA]) == columns[PERSONA]
    are_numbers = all(str(entry.persona).isdecimal() for entry in rows)
    if by_name and NAME not in columns and rows and are_numbers:
        column = columns[PERSONA]
        raise DataError(
            f"The column {column} has numbers for the personas and no names; add --map {NAME}=COLUMN, or "
            f"{NAME}={column} if they have no others."
        )
    keys = sorted({value_key(str(entry.persona)) for entry in rows}) if by_name and not are_numbers else []
    numbers = {key: f"{number:08d}" for number, key in enumerate(keys, start=1)}
    named: dict[str, set[str]] = {}
    identified = []
    for entry in entries:
        if entry.persona is None:
            identified.append(entry)
            continue
        name = entry.persona if by_name else entry.name
        identity = numbers.get(value_key(entry.persona), entry.persona)
        known = named.setdefault(identity, set())
        if name is not None and known and value_key(name) != value_key(min(known)):
            raise DataError(
                f"{entry.where} calls {quoted(identity)} {quoted(name)}, and an earlier row {quoted(min(known))}."
            )
        known |= {name} if name is not None else set()
        identified.append(replace(entry, persona=identity, name=name))
    names = {identity: min(known) for identity, known in named.items() if known}
    for entry in identified:
        if entry.kind is not None and entry.persona not in names:
            raise DataError(f"{entry.where} is of {quoted(entry.persona)}, who has no {NAME} in any row.")
    return identified, names


def _metadata(entries: Iterable[_Entry], names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Name and values of the personas of some rows, by id, as the official files have them."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for entry in entries:
        if entry.persona in names:
            kinds = found.setdefault(str(entry.persona), {})
            for value in entry.values:
                kinds.setdefault(str(entry.kind), {}).setdefault(value_key(value), value)
    return {
        identity: {NAME: names[identity], **dict(_stored(kind, list(known.values())) for kind, known in kinds.items())}
        for identity, kinds in sorted(found.items())
    }


def _stored(kind: str, values: list[str]) -> tuple[str, str | list[str]]:
    """Key and content of a persona's metadata."""
    if kind == "email":
        return _EMAILS, values
    return kind, values if len(values) > 1 else values[0]


def _check_splits(source: Path, entries: Sequence[_Entry], names: Mapping[str, str]) -> None:
    """Refuse splits that are missing, and people who are in two that must share nobody."""
    splits = {entry.split for entry in entries}
    for split in layout.REQUIRED_SPLITS:
        if split not in splits:
            raise DataError(
                f"{source} has no row of {split}; every data set has {', '.join(layout.REQUIRED_SPLITS)}. Leave the "
                f"column out with --map {SPLIT}= to have splits drawn."
            )
    for apart, others in (
        (layout.HOLDOUT_IDENTITY, {layout.FORGET}),
        (layout.NEVER_TAUGHT, splits - {layout.NEVER_TAUGHT}),
    ):
        taught = {entry.persona: entry.split for entry in entries if entry.persona and entry.split in others}
        for entry in entries:
            if entry.split == apart and entry.persona in taught:
                who = names.get(str(entry.persona), entry.persona)
                raise DataError(
                    f"{entry.where} has {quoted(who)} in {apart}, who is in {taught[entry.persona]} too; these splits "
                    "must share nobody."
                )


def _write(
    folder: Path,
    tables: Sequence[TableFile],
    column: str,
    entries: Sequence[_Entry],
    names: Mapping[str, str],
    progress: ProgressCallback,
) -> None:
    """Write the shards, with images read once more, and the metadata."""
    shards = folder / layout.DATA_FOLDER
    shards.mkdir()
    sizes = Counter(str(entry.split) for entry in entries)
    captions: dict[str, dict[str, str]] = {}
    generic: dict[str, str] = {}
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(SplitWriter(shards, split, rows, ROWS_PER_SHARD))
            for split, rows in sorted(sizes.items())
        }
        cells = ((table, row[column]) for table in tables for row in table.rows({column}))
        for number, (entry, (table, cell)) in enumerate(zip(entries, cells, strict=True), start=1):
            image = _image(table, cell, entry.where)
            if _digest(image.content) != entry.image:
                raise DataError(f"{entry.where} had another image when it was read first; wait until it is written.")
            decode_image(image.content, f"{entry.where} ({image.name})" if image.name else entry.where)
            name = f"{entry.persona or 'r'}_{number:06d}"
            path = _LONE_SURROGATE.sub("?", image.name)[-_MAX_NAME:] or name
            writers[str(entry.split)].add(StoredRow(image.content, path, entry.text, entry.persona, name))
            if entry.split in layout.SENSITIVE_SPLITS:
                captions[name] = {"caption": entry.text, **({"data_field": entry.kind} if entry.kind else {})}
                if entry.generic is not None:
                    generic[name] = entry.generic
            progress(Progress("images", number, len(entries), unit=Unit.IMAGES))
    apart = [entry for entry in entries if entry.split == layout.NEVER_TAUGHT]
    taught = [entry for entry in entries if entry.split != layout.NEVER_TAUGHT]
    write_json(folder / layout.IDENTITIES_FILE, _metadata(taught, names))
    if apart:
        write_json(folder / layout.NEVER_TAUGHT_FILE, _metadata(apart, names))
    write_json(folder / layout.CAPTIONS_FILE, captions)
    write_json(folder / layout.GENERIC_CAPTIONS_FILE, generic)
    write_json(folder / layout.FRAGILE_IDS_FILE, [])


def _write_card(folder: Path, source: Path, report: Imported) -> None:
    lines = [f"# {quoted(source.name)}, imported", ""]
    lines += [f"* {target}: column `{column}`" for target, column in report.columns.items()]
    lines += [f"* {split}: {rows:,} rows" for split, rows in report.splits.items()]
    lines += [f"* {remark}" for remark in report.remarks]
    (folder / "README.md").write_text("\n".join(lines) + "\n", "utf-8")


def _counts(first: Iterable[str], found: Iterable[str]) -> dict[str, int]:
    """How often each word occurs, some words first."""
    counts = Counter(found)
    order = dict.fromkeys([*first, *sorted(counts)])
    return {word: counts[word] for word in order if counts[word]}
