"""Data sets in the official layout from the Hub: what is fetched, and what can be done with a part of it."""

from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Final

from salmu_demo.core.errors import DataError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Limits, load_folder
from salmu_demo.data.shards import parse_shard
from salmu_demo.hub.client import fetch_command, local_snapshot
from salmu_demo.hub.fetch import FetchPlan, fetch_unasked, plan_fetch
from salmu_demo.hub.reference import HubReference

# The splits and metadata the protocol reads: nothing else of a repository is wanted here.
_SHARDS: Final = f"{layout.DATA_FOLDER}/*.parquet"
_METADATA: Final = ("*.json", "README.md")
_PATTERNS: Final = (_SHARDS, *_METADATA)


def load_from_hub(target: HubReference) -> BenchmarkData:
    """Load a data set, from this machine or the Hub.

    More than `salmu_demo.hub.fetch.UNASKED_BYTES` are not downloaded without `salmu-demo fetch`. Where some
    splits were fetched, the data set is loaded with these, and only who asks for another is refused.

    Raises:
        DataError: if it is not here and cannot be fetched.
    """
    here = local_snapshot(target, _PATTERNS)
    if here.folder is not None and here.complete and here.folder.name == target.revision:
        # A commit never changes: nothing has to be asked.
        return load_folder(here.folder, target.label, target.revision)
    try:
        plan = plan_data(target)
    except DataError:
        if here.folder is None or not (here.complete or _has_a_part(here.folder)):
            raise
        return _load_part(here.folder, target)
    here = local_snapshot(plan.at_commit, _PATTERNS)
    if plan.too_large_unasked and here.folder is not None and _has_a_part(here.folder):
        return _load_part(here.folder, target)
    return load_folder(fetch_unasked(plan), target.label, plan.commit)


def plan_data(target: HubReference, splits: Sequence[str] | None = None) -> FetchPlan:
    """What fetching a data set in the official layout would do; raises `DataError`.

    Args:
        target: the data set.
        splits: only these splits, with all metadata; None for every one.
    """

    def choose(paths: Sequence[str]) -> list[str]:
        shards = [path for path in paths if fnmatch(path, _SHARDS)]
        metadata = [path for path in paths if any(fnmatch(path, pattern) for pattern in _METADATA)]
        known = sorted({_split_of(path) for path in shards})
        unknown = sorted(set(splits or ()) - set(known))
        if unknown:
            raise DataError(f"{target.repository} has no split {unknown[0]}; it has {', '.join(known) or 'none'}.")
        return [
            *(path for path in shards if splits is None or _split_of(path) in splits),
            *metadata,
        ]

    return plan_fetch(target, choose, DataError)


def _load_part(folder: Path, target: HubReference) -> BenchmarkData:
    """Load a snapshot of which some splits may not have been fetched: only who needs them is refused."""
    absent = {
        split: f"The split {split} of {target.label} is not on this machine; fetch it: {fetch_command(target)} "
        f"--splits {split}."
        for split in _incomplete_splits(folder)
    }
    return load_folder(folder, target.label, folder.name, Limits(absent=absent))


def _has_a_part(folder: Path) -> bool:
    """Whether a snapshot can be loaded without its missing splits."""
    metadata = all((folder / name).is_file() for name in layout.REQUIRED_FILES)
    return metadata and layout.FORGET not in _incomplete_splits(folder)


def _split_of(path: str) -> str:
    name = parse_shard(PurePosixPath(path).name)
    return path if name is None else name.split


def _incomplete_splits(folder: Path) -> list[str]:
    """Splits of which no shard is here, or fewer than their names promise."""
    names = [name for path in (folder / layout.DATA_FOLDER).glob("*.parquet") if (name := parse_shard(path.name))]
    here = Counter(name.split for name in names)
    promised = dict.fromkeys(layout.REQUIRED_SPLITS, 1) | {name.split: name.total for name in names}
    return [split for split, count in promised.items() if here[split] < count]
