"""Fetching a repository on purpose: how large it is, whether it fits, progress, resuming and checking what came."""

import glob
import hashlib
import io
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.hf_api import RepoFile
from tqdm import tqdm

from salmu_demo.errors import SalmuError, StorageError
from salmu_demo.hub import ask_for, current_token, fetch_command, hub_errors, local_snapshot
from salmu_demo.hub_reference import HubReference, pin
from salmu_demo.progress import Progress, ProgressCallback, ignore_progress

UNASKED_BYTES: Final = 1_000_000_000
"""Loading a data set downloads at most this much by itself; for more the user runs `salmu-demo fetch`."""

_MB: Final = 1_000_000
_CHUNK: Final = 4 * _MB


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch.

    Attributes:
        path: in the repository.
        size: in bytes.
        sha256: of its content, where the Hub keeps one (large files); else None.
        present: whether it is on this machine already.
    """

    path: str
    size: int
    sha256: str | None
    present: bool


@dataclass(frozen=True)
class FetchPlan:
    """What fetching a repository would do.

    Attributes:
        target: the repository.
        commit: the commit its revision means now.
        files: the files that are wanted.
        error_type: what it raises when the Hub fails.
    """

    target: HubReference
    commit: str
    files: tuple[RemoteFile, ...]
    error_type: type[SalmuError]

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)

    @property
    def missing_bytes(self) -> int:
        """Size of those that are not on this machine."""
        return sum(file.size for file in self.files if not file.present)

    @property
    def too_large_unasked(self) -> bool:
        """Whether so much is missing that only `salmu-demo fetch` downloads it."""
        return self.missing_bytes > UNASKED_BYTES

    @property
    def at_commit(self) -> HubReference:
        """The repository at the commit."""
        return replace(self.target, revision=self.commit)


def plan_fetch(
    target: HubReference, choose: Callable[[Sequence[str]], Sequence[str]], error_type: type[SalmuError]
) -> FetchPlan:
    """Ask the Hub what there is to fetch; nothing is downloaded.

    Args:
        target: the repository.
        choose: from the paths of all its files to those that are wanted.
        error_type: type of the error when the Hub refuses or fails.
    """
    with hub_errors(target, error_type):
        commit = ask_for(target).sha
        tree = HfApi(token=current_token()).list_repo_tree(
            target.repository, repo_type=target.kind, revision=commit, recursive=True
        )
        found = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
    wanted = choose(list(found))
    here = local_snapshot(replace(target, revision=commit), _exactly(wanted)).folder
    return FetchPlan(
        target,
        commit,
        tuple(
            RemoteFile(
                path,
                found[path].size,
                getattr(found[path].lfs, "sha256", None),
                here is not None and (here / path).is_file(),
            )
            for path in wanted
        ),
        error_type,
    )


def check_space(plans: Sequence[FetchPlan]) -> int:
    """Free bytes where downloads go; raises :class:`StorageError` if they are not enough for what is missing."""
    folder = Path(constants.HF_HUB_CACHE).expanduser()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    needed = sum(plan.missing_bytes for plan in plans)
    if needed > free:
        raise StorageError(
            f"{needed / 1e9:.2f} GB are to be fetched and {free / 1e9:.2f} GB are free in {constants.HF_HUB_CACHE}; "
            "free space there, or move it with HF_HOME."
        )
    return free


def fetch(plan: FetchPlan, progress: ProgressCallback = ignore_progress) -> Path:
    """Download what is missing, going on where an earlier attempt stopped, and check every file.

    Returns:
        The snapshot's folder, named by the commit.

    Raises:
        SalmuError: of the plan's type if the Hub fails or a file came damaged, which is then removed;
            :class:`StorageError` if the disk is too small.
    """
    check_space([plan])
    target = plan.target
    with hub_errors(target, plan.error_type):
        folder = Path(
            snapshot_download(
                target.repository,
                repo_type=target.kind,
                revision=target.revision,
                allow_patterns=_exactly([file.path for file in plan.files]),
                token=current_token(),
                tqdm_class=_reporting_bar(plan, progress),
            )
        )
    if folder.name != plan.commit:
        raise plan.error_type(f"{target.repository} was changed while it was fetched; run the same again.")
    _verify(plan, folder, progress)
    pin(target, plan.commit)
    return folder


def fetch_unasked(plan: FetchPlan) -> Path:
    """Download what is missing because somebody loads the data; what is here already is not read again.

    Raises:
        SalmuError: as :func:`fetch` does, or if more than :data:`UNASKED_BYTES` are missing.
    """
    if plan.too_large_unasked:
        raise plan.error_type(
            f"{plan.target.repository} takes {plan.missing_bytes / 1e9:.2f} GB and is not on this machine; fetch it "
            f"first: {fetch_command(plan.target)}."
        )
    missing = tuple(file for file in plan.files if not file.present)
    here = local_snapshot(plan.at_commit, _exactly([file.path for file in plan.files])).folder
    return fetch(replace(plan, files=missing)) if missing or here is None else here


def _exactly(paths: Sequence[str]) -> list[str]:
    """Patterns that match these paths and nothing else."""
    return [glob.escape(path) for path in paths]


def _reporting_bar(plan: FetchPlan, progress: ProgressCallback) -> type[Any]:
    """A bar for huggingface_hub that draws nothing and reports megabytes."""
    total = max(1, round(plan.missing_bytes / _MB))

    class Bar(tqdm):  # type: ignore[misc]
        monitor_interval = 0

        def __init__(self, *args: Any, **options: Any) -> None:
            self.counts_bytes = options.get("unit") == "B"
            super().__init__(*args, **{**options, "file": io.StringIO()})

        def update(self, n: float | None = 1) -> None:
            super().update(n)
            if self.counts_bytes:
                done = min(total, int(self.n / _MB))
                progress(Progress(f"Fetching {plan.target.label}, megabytes", done, total))

    return Bar


def _verify(plan: FetchPlan, folder: Path, progress: ProgressCallback) -> None:
    """Compare sizes, and digests where the Hub has them; raises an error after removing a file that differs."""
    total, done = max(1, round(plan.bytes / _MB)), 0
    for file in plan.files:
        path = folder / file.path
        digest = hashlib.sha256()
        size = 0
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if file.sha256 is not None:
                    digest.update(chunk)
        if size != file.size or file.sha256 not in (None, digest.hexdigest()):
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise plan.error_type(
                f"{file.path} of {plan.target.repository} came damaged and was removed; run "
                f"`{fetch_command(plan.target)}` again."
            )
        done += size
        progress(Progress(f"Checking {plan.target.label}, megabytes", min(total, round(done / _MB)), total))
