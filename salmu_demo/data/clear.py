"""The CLEAR data set (arXiv 2410.18057, `therem/CLEAR`) as a SALMUBench data set of face and name.

CLEAR binds faces of 200 invented authors to their names. Its configurations are mapped like this:

=================  ======================  ===========================================================
CLEAR              split                   role
=================  ======================  ===========================================================
`forget01/05/10`   `forget`                pairs that are to be forgotten: 1, 5 or 10 % of the persons
`retain99/95/90`   `holdout_identity`      persons nobody asked to forget
`real_faces`       `retain_synth`          real persons and their names, without a persona
=================  ======================  ===========================================================

The attribute kind of every pair is `name`. What CLEAR has not is in `UNMEASURABLE`.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from salmu_demo.core.errors import DataError, StorageError
from salmu_demo.core.settings import cache_dir
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Limits, check_inside, load_folder
from salmu_demo.data.shards import Watch, check_whole, shards_by_split
from salmu_demo.data.values import distinct, is_missing, value_key
from salmu_demo.hub.client import local_snapshot
from salmu_demo.hub.fetch import FetchPlan, fetch_unasked, plan_fetch
from salmu_demo.hub.reference import HubReference, data_on_hub

RETAIN_OF: Final = {"forget01": "retain99", "forget05": "retain95", "forget10": "retain90"}
"""Forget configuration to the retain configuration that holds the other persons."""
REAL_FACES: Final = "real_faces"
NAME_KIND: Final = "name"

UNMEASURABLE: Final[dict[str, str]] = {
    "CoreAssoc": "CLEAR binds faces to names alone; there is no private value to put beside the name.",
    "IntraIdSim": "CLEAR keeps no pair of a forgotten person back (no holdout_association).",
    "VisIdInt": "CLEAR has no plain images of the forgotten persons (no retain_joint).",
    "FragSim": "CLEAR names no pairs that unlearning is likely to damage (no fragile_set).",
    "LeakRate": "CLEAR has no generic captions to compare its own with.",
}
"""Metrics that CLEAR has no data for, with the reason."""

_VERSION: Final = 2
"""Of the conversion below: another one is another folder of the cache."""
_ALSO: Final = "also_written"
"""Key of the other spellings of a person's name in the converted metadata."""
_BATCH_ROWS: Final = 64
_SCHEMA: Final = pa.schema(
    [
        (layout.IMAGE, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        (layout.TEXT, pa.string()),
        (layout.IDENTITY, pa.string()),
        (layout.FILE_NAME, pa.string()),
    ]
)


def load_clear(reference: str) -> BenchmarkData:
    """Load CLEAR, converted once to the official layout in the cache folder.

    Args:
        reference: `SOURCE` or `SOURCE#CONFIGURATION`: a folder or a Hub data set id with CLEAR's
            configurations as subfolders of parquet files, and `forget01`, `forget05` or `forget10` (the default).

    Raises:
        DataError: if there is none, or it has other columns than `image`, `caption` and `name`.
        StorageError: if the cache cannot be written.
    """
    source, forget = _parse(reference)
    folder = Path(source).expanduser()
    commit = None
    if not folder.is_dir():
        folder = _snapshot(reference, source, forget)
        commit = folder.name
    shards = _find_configurations(folder, forget)
    converted = _convert_once(shards, forget, commit)
    has_faces = (converted / layout.DATA_FOLDER / layout.shard_name(layout.RETAIN_SYNTH)).is_file()
    empty = {layout.HOLDOUT_ASSOCIATION} if has_faces else {layout.HOLDOUT_ASSOCIATION, layout.RETAIN_SYNTH}
    limits = Limits(empty=frozenset(empty), unmeasurable=UNMEASURABLE)
    data = load_folder(converted, layout.CLEAR + reference, commit, limits)
    joined = [(twin, entry["name"]) for entry in data.identities.values() for twin in entry.get(_ALSO, ())]
    if joined:
        data.remarks += (
            f"{len(joined):,} names in {data.name} differ from others in case, blanks or Unicode form only and are "
            f"those of one person with them, such as {joined[0][0]!r} with {joined[0][1]!r}.",
        )
    return data


def plan_clear(reference: str) -> FetchPlan:
    """What fetching the configurations a reference needs would do; raises `DataError`."""
    source, forget = _parse(reference)
    wanted = [pattern for name in _configurations(forget) for pattern in _patterns(name)]

    def choose(paths: Sequence[str]) -> list[str]:
        return [path for path in paths if any(fnmatch(path, pattern) for pattern in wanted)]

    return plan_fetch(_target(reference, source), choose, DataError)


def _parse(reference: str) -> tuple[str, str]:
    source, _, forget = reference.partition("#")
    forget = forget or "forget10"
    if forget not in RETAIN_OF:
        raise DataError(f"CLEAR has no configuration {forget!r} to forget; choose one of {', '.join(RETAIN_OF)}.")
    return source, forget


def _target(reference: str, source: str) -> HubReference:
    target = data_on_hub(source)
    if target is None:
        raise DataError(
            f"{source!r} is neither a folder nor a Hub data set; write "
            f"{layout.CLEAR}FOLDER or {layout.CLEAR}therem/CLEAR."
        )
    return replace(target, label=layout.CLEAR + reference)


def _configurations(forget: str) -> tuple[str, ...]:
    return (forget, RETAIN_OF[forget], REAL_FACES)


def _patterns(configuration: str) -> tuple[str, str]:
    return (f"{configuration}/*.parquet", f"{layout.DATA_FOLDER}/{configuration}-*.parquet")


def _snapshot(reference: str, source: str, forget: str) -> Path:
    target = _target(reference, source)
    patterns = [pattern for name in _configurations(forget) for pattern in _patterns(name)]
    here = local_snapshot(target, patterns)
    try:
        return fetch_unasked(plan_clear(reference))
    except DataError:
        if here.folder is None or not here.complete:
            raise
        return here.folder


def _find_configurations(folder: Path, forget: str) -> dict[str, list[Path]]:
    """The parquet files of each configuration; only the real faces may be missing."""
    found = {name: _shards(folder, name) for name in _configurations(forget)}
    for name in (forget, RETAIN_OF[forget]):
        if not found[name]:
            raise DataError(f"{folder} has no CLEAR configuration {name}: no file matches {name}/*.parquet.")
    return found


def _shards(folder: Path, configuration: str) -> list[Path]:
    """The shards of a configuration: all files of its folder, or those of its name in the common one."""
    own, common = (shards_by_split(folder.glob(pattern)) for pattern in _patterns(configuration))
    sets = [*own.values(), *([common[configuration]] if configuration in common else [])]
    if len(sets) > 1:
        raise DataError(
            f"{folder} holds the CLEAR configuration {configuration} more than once, as {sets[0][0]} and as "
            f"{sets[1][0]}; keep one of them."
        )
    for shards in sets:
        check_whole(configuration, shards)
    return [check_inside(path, folder) for shards in sets for path in shards]


def _convert_once(shards: dict[str, list[Path]], forget: str, commit: str | None) -> Path:
    """The converted folder, made if it is not there; its name is a digest of all it depends on."""
    digest = hashlib.sha256(f"{_VERSION}\0{forget}\0{commit}\0{pa.__version__}".encode())
    watch = Watch("CLEAR")
    for paths in shards.values():
        for path in paths:
            digest.update(f"{path.name}\0{'' if commit else watch.digest(path)}\n".encode())
    target = cache_dir() / "converted" / f"clear-{forget}-{digest.hexdigest()[:16]}"
    unfinished = target.with_name(f".{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not target.is_dir():
                shutil.rmtree(unfinished, ignore_errors=True)
                try:
                    _convert(shards, forget, unfinished, watch)
                    unfinished.replace(target)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"The converted data cannot be written to {target}: {error.strerror or error}; set SALMU_CACHE_DIR."
        ) from error
    return target


def _convert(shards: dict[str, list[Path]], forget: str, folder: Path, watch: Watch) -> None:
    """Write the official layout, a batch of rows in memory at a time."""
    (folder / layout.DATA_FOLDER).mkdir(parents=True)
    names = {row[NAME_KIND] for name in (forget, RETAIN_OF[forget]) for row in _rows(shards[name], False, watch)}
    persons = distinct(names)
    metadata: dict[str, dict[str, Any]] = {key: {NAME_KIND: name} for key, name in persons.items()}
    for name in sorted(names - set(persons.values())):
        metadata[value_key(name)].setdefault(_ALSO, []).append(name)
    numbers = {key: f"{number:08d}" for number, key in enumerate(persons, start=1)}
    captions: dict[str, dict[str, str]] = {}
    splits = {layout.FORGET: forget, layout.HOLDOUT_IDENTITY: RETAIN_OF[forget], layout.RETAIN_SYNTH: REAL_FACES}
    for split, configuration in splits.items():
        if not shards[configuration]:
            continue
        count = 0
        with pq.ParquetWriter(folder / layout.DATA_FOLDER / layout.shard_name(split), _SCHEMA) as writer:
            batch: list[dict[str, Any]] = []
            for row in _rows(shards[configuration], True, watch):
                name = row[NAME_KIND]
                identity = None if configuration == REAL_FACES else numbers[value_key(name)]
                file_name = f"{identity or configuration}_{count:05d}"
                text = f"A photo of {name}" if is_missing(row["caption"]) else row["caption"]
                count += 1
                if identity is not None:
                    captions[file_name] = {"caption": text, "data_field": NAME_KIND}
                image = {"bytes": row[layout.IMAGE]["bytes"], "path": None}
                batch.append(dict(zip(_SCHEMA.names, (image, text, identity, file_name), strict=True)))
                if len(batch) == _BATCH_ROWS:
                    writer.write_table(pa.Table.from_pylist(batch, schema=_SCHEMA))
                    batch = []
            if batch:
                writer.write_table(pa.Table.from_pylist(batch, schema=_SCHEMA))
    for file, content in {
        layout.IDENTITIES_FILE: {number: metadata[key] for key, number in numbers.items()},
        layout.CAPTIONS_FILE: captions,
        layout.GENERIC_CAPTIONS_FILE: {},
        layout.FRAGILE_IDS_FILE: [],
    }.items():
        (folder / file).write_text(json.dumps(content, ensure_ascii=False), "utf-8")


def _rows(paths: Sequence[Path], images: bool, watch: Watch) -> Iterator[dict[str, Any]]:
    """Name and caption, and the image if asked for, of every row; raises `DataError`."""
    for path in paths:
        try:
            with watch.reading(path), pq.ParquetFile(path) as file:
                found = [name for name in (layout.IMAGE, "caption", NAME_KIND) if name in file.schema_arrow.names]
                if layout.IMAGE not in found or NAME_KIND not in found:
                    raise DataError(f"{path} is not a CLEAR file: it needs the columns image, caption and name.")
                columns = found if images else found[1:]
                for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                    for row in batch.to_pylist():
                        yield _checked({"caption": None, **row}, images, path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} is not a readable parquet file; fetch or write it again.") from error


def _checked(row: dict[str, Any], images: bool, path: Path) -> dict[str, Any]:
    name, caption = row[NAME_KIND], row["caption"]
    if not isinstance(name, str) or is_missing(name) or not isinstance(caption, str | None):
        raise DataError(f"{path} has a row whose name or caption is not text, or whose name is missing.")
    image = row.get(layout.IMAGE)
    if images and not (isinstance(image, dict) and isinstance(image.get("bytes"), bytes)):
        raise DataError(f"{path} has a row whose image is not a struct with image `bytes`.")
    return row
