"""The CLEAR data set (arXiv 2410.18057, `therem/CLEAR`) in SALMUBench's layout.

CLEAR binds faces of 200 invented authors to their names. `#forget01`, `#forget05` and `#forget10` put together what the
benchmark evaluates:

=================================  ====================  ===========================================================
CLEAR                              split                 role
=================================  ====================  ===========================================================
`forget01/05/10`                   `forget`              pairs that are to be forgotten: 1, 5 or 10 % of the persons
`retain99/95/90`                   `holdout_identity`    persons nobody asked to forget
`real_faces`                       `retain_synth`        real persons and their names, without a persona
`forget…_perturbed`                `forget_perturbed`    the same images, names and captions among wrong ones
`retain_perturbed`                 `retain_perturbed`    the same of other persons
`real_world`                       `real_world`          images with a question and answers to choose from
=================================  ====================  ===========================================================

Only the first two have to be there. Every other configuration is read by itself, `full` and `default` as
`holdout_identity`, and of `…+tofu` the images as `captioned` and the questions as `BenchmarkData.questions`. The
attribute kind of every pair is `name`. What CLEAR does not have is in `UNMEASURABLE`, its columns are in `clear_rows`.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pyarrow as pa
from filelock import FileLock

from salmu_demo.core.errors import DataError, StorageError
from salmu_demo.core.settings import cache_dir
from salmu_demo.data import clear_rows as rows
from salmu_demo.data import layout
from salmu_demo.data.clear_convert import ALSO_WRITTEN, REMARKS_FILE, ConfigurationFiles, Conversion, shard_of
from salmu_demo.data.clear_rows import CONFIGURATIONS, RETAIN_OF, read_columns
from salmu_demo.data.dataset import BenchmarkData, Limits, check_inside, load_folder
from salmu_demo.data.shards import Watch, check_whole, shards_by_split
from salmu_demo.hub.client import local_snapshot
from salmu_demo.hub.fetch import FetchPlan, fetch_unasked, plan_fetch
from salmu_demo.hub.reference import HubReference, data_on_hub

UNMEASURABLE: Final[dict[str, str]] = {
    "CoreAssoc": "CLEAR binds faces to names alone; there is no private value to put beside the name.",
    "IntraIdSim": "CLEAR keeps no pair of a forgotten person back (no holdout_association).",
    "VisIdInt": "CLEAR has no plain images of the forgotten persons (no retain_joint).",
    "FragSim": "CLEAR names no pairs that unlearning is likely to damage (no fragile_set).",
    "LeakRate": "CLEAR has no generic captions to compare its own with.",
}
"""Metrics that CLEAR has no data for, with the reason."""

_VERSION: Final = 3
"""Of the conversion below: another one is another folder of the cache."""
_OF_FAMILY: Final = {
    "captions": layout.HOLDOUT_IDENTITY,
    "perturbed": layout.FORGET_PERTURBED,
    "questions": layout.CAPTIONED,
    "faces": layout.RETAIN_SYNTH,
    "world": layout.REAL_WORLD,
}
"""Family of a configuration that is read by itself to the split its rows become, unless `_ALONE` says otherwise."""
_ALONE: Final = {rows.RETAIN_PERTURBED: layout.RETAIN_PERTURBED}


def load_clear(reference: str, name: str | None = None) -> BenchmarkData:
    """Load CLEAR, converted once to the official layout in the cache folder.

    Args:
        reference: `SOURCE` or `SOURCE#CONFIGURATION`: a folder or a Hub data set id with CLEAR's configurations as
            subfolders of parquet files, and one of `clear_rows.CONFIGURATIONS` (default: `forget10`).
        name: what the data are called; None for `clear:` and the reference.

    Raises:
        DataError: if there is none, or it lacks the columns without which nothing of it can be measured.
        StorageError: if the cache cannot be written.
    """
    source, configuration = _parse(reference)
    folder = Path(source).expanduser()
    commit = None
    if not folder.is_dir():
        folder = _snapshot(reference, source, configuration)
        commit = folder.name
    watch = Watch("CLEAR")
    sources, remarks = _find_sources(folder, configuration, watch)
    converted = _convert_once(sources, configuration, commit, watch)
    here = [split for split in layout.REQUIRED_SPLITS if shard_of(converted, split).is_file()]
    limits = Limits(empty=frozenset(layout.REQUIRED_SPLITS) - set(here), unmeasurable=UNMEASURABLE)
    data = load_folder(converted, name or layout.CLEAR + reference, commit, limits)
    data.remarks += (*remarks, *json.loads((converted / REMARKS_FILE).read_text("utf-8")))
    joined = [(twin, entry["name"]) for entry in data.identities.values() for twin in entry.get(ALSO_WRITTEN, ())]
    if joined:
        data.remarks += (
            f"{len(joined):,} names in {data.name} differ from others in case, blanks or Unicode form only and are "
            f"those of one person with them, such as {joined[0][0]!r} with {joined[0][1]!r}.",
        )
    return data


def plan_clear(reference: str) -> FetchPlan:
    """What fetching the configurations a reference needs would do; raises `DataError`."""
    source, configuration = _parse(reference)
    wanted = [pattern for name in _splits(configuration).values() for pattern in _patterns(name)]

    def choose(paths: Sequence[str]) -> list[str]:
        return [path for path in paths if any(fnmatch(path, pattern) for pattern in wanted)]

    return plan_fetch(_target(reference, source), choose, DataError)


def _parse(reference: str) -> tuple[str, str]:
    source, _, configuration = reference.partition("#")
    configuration = configuration or "forget10"
    if configuration not in CONFIGURATIONS:
        known = ", ".join(CONFIGURATIONS)
        raise DataError(f"CLEAR has no configuration {configuration!r}; choose one of {known}.")
    return source, configuration


def _target(reference: str, source: str) -> HubReference:
    target = data_on_hub(source)
    if target is None:
        raise DataError(
            f"{source!r} is neither a folder nor a Hub data set; write "
            f"{layout.CLEAR}FOLDER or {layout.CLEAR}therem/CLEAR."
        )
    return replace(target, label=layout.CLEAR + reference)


def _splits(configuration: str) -> dict[str, str]:
    """The splits that a reference to a configuration has, and the configuration that each is made of."""
    if configuration in RETAIN_OF:
        return {
            layout.FORGET: configuration,
            layout.HOLDOUT_IDENTITY: RETAIN_OF[configuration],
            layout.RETAIN_SYNTH: rows.REAL_FACES,
            layout.FORGET_PERTURBED: f"{configuration}_perturbed",
            layout.RETAIN_PERTURBED: rows.RETAIN_PERTURBED,
            layout.REAL_WORLD: rows.REAL_WORLD,
        }
    return {_ALONE.get(configuration, _OF_FAMILY[CONFIGURATIONS[configuration].name]): configuration}


def _patterns(configuration: str) -> tuple[str, str]:
    return (f"{configuration}/*.parquet", f"{layout.DATA_FOLDER}/{configuration}-*.parquet")


def _snapshot(reference: str, source: str, configuration: str) -> Path:
    target = _target(reference, source)
    patterns = [pattern for name in _splits(configuration).values() for pattern in _patterns(name)]
    here = local_snapshot(target, patterns)
    try:
        return fetch_unasked(plan_clear(reference))
    except DataError:
        if here.folder is None or not here.complete:
            raise
        return here.folder


def _find_sources(folder: Path, configuration: str, watch: Watch) -> tuple[list[ConfigurationFiles], list[str]]:
    """The files of each configuration that is needed, and what is odd about their columns.

    Raises:
        DataError: if one that has to be there is missing, or nothing of it can be measured.
    """
    found, remarks = [], []
    for split, name in _splits(configuration).items():
        needed = name in (configuration, RETAIN_OF.get(configuration))
        shards = _shards(folder, name)
        if not shards:
            if needed:
                raise DataError(f"{folder} has no CLEAR configuration {name}: no file matches {name}/*.parquet.")
            continue
        columns = read_columns(name, shards, watch)
        if needed and not columns.usable:
            raise DataError(f"{folder}: {columns.sentence}{_elsewhere(folder, name, watch)}")
        if columns.usable:
            found.append(ConfigurationFiles(split, columns, shards))
        if columns.sentence:
            remarks.append(columns.sentence)
    return found, remarks


def _elsewhere(folder: Path, broken: str, watch: Watch) -> str:
    """Which configurations of a folder can be measured by themselves, as a further sentence."""
    others = [name for name in CONFIGURATIONS if name not in (broken, *RETAIN_OF) and _shards(folder, name)]
    usable = [name for name in others if read_columns(name, _shards(folder, name), watch).usable]
    return f" By itself can be measured: {', '.join(usable)}." if usable else ""


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


def _convert_once(sources: Sequence[ConfigurationFiles], configuration: str, commit: str | None, watch: Watch) -> Path:
    """The converted folder, made if it is not there; its name is a digest of all it depends on."""
    digest = hashlib.sha256(f"{_VERSION}\0{configuration}\0{commit}\0{pa.__version__}".encode())
    for source in sources:
        for path in source.shards:
            content = "" if commit else watch.digest(path)
            digest.update(f"{source.columns.configuration}\0{path.name}\0{content}\n".encode())
    target = cache_dir() / "converted" / f"clear-{configuration}-{digest.hexdigest()[:16]}"
    unfinished = target.with_name(f".{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not target.is_dir():
                shutil.rmtree(unfinished, ignore_errors=True)
                try:
                    Conversion(unfinished, watch).run(sources)
                    unfinished.replace(target)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"The converted data cannot be written to {target}: {error.strerror or error}; set SALMU_CACHE_DIR."
        ) from error
    return target
