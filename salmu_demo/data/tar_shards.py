"""Members of webdataset shards: found in one pass, checked, read from their place; nothing is ever unpacked."""

import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from salmu_demo.core.errors import DataError
from salmu_demo.data.shards import Watch


@dataclass(frozen=True)
class Member:
    """Where the bytes of a file are: its shard, and the position and length in it."""

    shard: Path
    name: str
    start: int
    size: int

    def read(self, watch: Watch) -> bytes:
        """Its bytes; raises as `Watch.reading` does."""
        with watch.reading(self.shard), self.shard.open("rb") as stream:
            stream.seek(self.start)
            return stream.read(self.size)


@dataclass(frozen=True)
class Found:
    """A member of a sample.

    Attributes:
        key: what the members of a sample share.
        suffix: in lower case, with its dot.
        member: where it is.
        content: what it holds, if that was asked for.
    """

    key: str
    suffix: str
    member: Member
    content: bytes | None


def members(shard: Path, watch: Watch, limits: Mapping[str, int], read: Collection[str]) -> Iterator[Found]:
    """The members of one shard, in their order.

    Args:
        shard: the file.
        watch: notes the shard.
        limits: suffix of what is looked for to the largest size in bytes.
        read: suffixes of what is read at once.

    Raises:
        DataError: if the shard is not a whole, uncompressed tar file, or a member is too large or cut off.
    """
    try:
        end, _ = watch.note(shard)
        # "r:" reads no compressed archive, which could unpack to far more than it takes on disk.
        with watch.reading(shard), tarfile.open(shard, "r:") as archive:
            for entry in archive:
                # A name is only a key here and never a path; links and devices are not followed.
                key, suffix = key_of(entry.name)
                if not entry.isreg() or suffix not in limits:
                    continue
                if entry.size > limits[suffix] or entry.offset_data + entry.size > end:
                    raise DataError(f"{entry.name!r} in {shard} is cut off or larger than {limits[suffix]:,} bytes.")
                member = Member(shard, entry.name, entry.offset_data, entry.size)
                stream = archive.extractfile(entry) if suffix in read else None
                yield Found(key, suffix, member, None if stream is None else stream.read())
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise DataError(f"{shard} is not a whole, uncompressed tar file; fetch it again or unpack it.") from error


def key_of(name: str) -> tuple[str, str]:
    """Key and suffix of a member, which webdataset divides at the first dot of the file name.

    >>> key_of("test/s0000012.cls"), key_of("n01440764/a.b.JPG")
    (('test/s0000012', '.cls'), ('n01440764/a', '.jpg'))
    """
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or "_")) if path.name else name, path.suffix.lower()
