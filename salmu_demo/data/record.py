"""What files of attacks and dossiers say about the data set that they are about."""

from pydantic import BaseModel

from salmu_demo.core.documents import Digest
from salmu_demo.core.notices import MINI_NOTICE
from salmu_demo.data.dataset import BenchmarkData


class DataRecord(BaseModel):
    """The data set.

    Attributes:
        name: how the user named it.
        fingerprint: SHA-256 over shards and metadata files.
        revision: Hub revision, or null.
        notice: what every view of these numbers must say about the data, or an empty text.
    """

    name: str
    fingerprint: Digest
    revision: str | None
    notice: str

    @classmethod
    def of(cls, data: BenchmarkData) -> "DataRecord":
        """What is said about a data set."""
        notice = MINI_NOTICE if data.is_mini else ""
        return cls(name=data.name, fingerprint=data.fingerprint, revision=data.revision, notice=notice)
