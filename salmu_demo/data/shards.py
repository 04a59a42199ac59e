"""The files of a data set: shards that are all there and belong together, and that stay what was read of them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from salmu_demo.core.errors import DataError
from salmu_demo.core.files import file_digest

# Older versions of `datasets` put a part of a hash behind the numbers.
_SHARD: Final = re.compile(r"(?P<split>.+)-(?P<number>\d+)-of-(?P<total>\d+)(-[0-9a-f]{16})?\.[a-z]+")


class ShardName(NamedTuple):
    """What the name of a shard says."""

    split: str
    number: int
    total: int


def parse_shard(name: str) -> ShardName | None:
    """What a file name `<split>-<shard>-of-<shards>.parquet` says, or None if it has another form.

    >>> parse_shard("forget-extra-00001-of-00002.parquet")
    ShardName(split='forget-extra', number=1, total=2)
    >>> parse_shard("forget-00001-of-00002 (1).parquet")
    """
    found = _SHARD.fullmatch(name)
    return None if found is None else ShardName(found["split"], int(found["number"]), int(found["total"]))


def shards_by_split(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Shards by split, in the order of their numbers; hidden files are none.

    Raises:
        DataError: if a file has a name of another form: nobody could say what it belongs to.
    """
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in sorted(paths):
        if path.name.startswith("."):
            continue
        name = parse_shard(path.name)
        if name is None:
            raise DataError(
                f"{path} is not named <split>-<shard>-of-<shards>{path.suffix}: it may be a copy, or a part of "
                "anything; rename or remove it."
            )
        found.setdefault(name.split, []).append((name.number, path))
    return {split: [path for _, path in sorted(shards)] for split, shards in found.items()}


def check_whole(split: str, shards: Sequence[Path]) -> None:
    """Make sure that the shards of a split are those that their names promise, each once.

    Raises:
        DataError: if one is missing or there twice, or belongs to another writing of the split.
    """
    names = [name for path in shards if (name := parse_shard(path.name))]
    where, totals = shards[0].parent, sorted({name.total for name in names})
    if len(totals) > 1:
        raise DataError(
            f"{where} holds shards of {split} from two versions, one of {totals[0]} and one of {totals[1]} shards; "
            "remove those that are out of date."
        )
    numbers = Counter(name.number for name in names)
    missing = next(number for number in count() if number not in numbers)
    if missing < totals[0]:
        raise DataError(
            f"{where} lacks the shard of {split} with the number {missing}, of {totals[0]}; fetch or copy it."
        )
    twice = [number for number in sorted(numbers) if numbers[number] > 1 or number >= totals[0]]
    if twice:
        raise DataError(
            f"{where} holds more shards of {split} than the {totals[0]} that their names promise, such as another with "
            f"the number {twice[0]}; remove it."
        )


class Watch:
    """Files that are read bit by bit while their content is known by one fingerprint.

    Whatever is read of a file must come from the content that its digest was taken of: a file that is written again
    meanwhile is told by its state (inode, size, times), and then by its digest: touching a file changes nothing.
    """

    def __init__(self, what: str) -> None:
        """Watch the files of `what`, as messages name it."""
        self._what = what
        self._states: dict[Path, _State] = {}
        self._digests: dict[Path, str] = {}

    def note(self, path: Path) -> tuple[int, int]:
        """Size and time of change (ns) of a file when it was first noted or read, now if not before."""
        _, size, changed, _ = self._states.setdefault(path, _state(path))
        return size, changed

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """A block that reads a file.

        Raises:
            DataError: if the file is not, before or after the block, what it was when it was first read or noted.
            OSError: if it cannot be asked for the first time.
        """
        self._check(path)
        yield
        self._check(path)

    def digest(self, path: Path) -> str:
        """SHA-256 of a file's content; raises as `reading` does."""
        with self.reading(path):
            self._digests[path] = file_digest(path)
        return self._digests[path]

    def _check(self, path: Path) -> None:
        try:
            found = _state(path)
        except OSError as error:
            if path not in self._states:
                raise
            raise DataError(
                f"{path} can no longer be read, though {self._what} is in use: {error.strerror or error}. Put it "
                "back and start again."
            ) from error
        if self._states.setdefault(path, found) == found:
            return
        if self._digests.get(path) == file_digest(path) and _state(path) == found:
            self._states[path] = found
            return
        raise DataError(
            f"{path} was saved again while {self._what} was in use: nothing is computed from what it holds now. Wait "
            "until it is written and start again."
        )


_State = tuple[int, int, int, int]


def _state(path: Path) -> _State:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
