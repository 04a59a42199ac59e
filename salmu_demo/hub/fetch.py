"""Fetching a repository on purpose: how large it is, whether it fits, progress, resuming and checking what came."""

import glob
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from filelock import FileLock
from huggingface_hub import (
    HfApi,
    constants,
    get_hf_file_metadata,
    get_session,
    hf_hub_url,
    snapshot_download,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]
from tqdm import tqdm

from salmu_demo.core.errors import SalmuError, StorageError
from salmu_demo.core.files import file_digest
from salmu_demo.core.progress import Progress, ProgressCallback, Unit, ignore_progress
from salmu_demo.hub.client import (
    TIMEOUT,
    TRANSFER_ERRORS,
    acts_for_visitor,
    ask_for,
    current_token,
    fetch_command,
    hub_errors,
    local_snapshot,
)
from salmu_demo.hub.reference import HF_HUB, HubReference, pin

UNASKED_BYTES: Final = 1_000_000_000
"""Loading a data set downloads at most this much by itself; for more the user runs `salmu-demo fetch`."""

_MB: Final = 1_000_000
_RETRIES: Final = 3
RETRY_PAUSE: Final = 1.0
"""Seconds before a transfer that broke off is taken up again; given up after three that bring nothing."""


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
                _digest_of(found[path]),
                here is not None and (here / path).is_file(),
            )
            for path in wanted
        ),
        error_type,
    )


def check_space(plans: Sequence[FetchPlan]) -> int:
    """Free bytes where downloads go; raises `StorageError` if they are not enough for what is missing."""
    folder = Path(constants.HF_HUB_CACHE).expanduser()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    needed = sum(plan.missing_bytes for plan in plans)
    if needed > free:
        raise StorageError(
            f"{needed / 1e9:.2f} GB have to be fetched, but only {free / 1e9:.2f} GB are free in "
            f"{constants.HF_HUB_CACHE}; free space there, or move it with HF_HOME."
        )
    return free


def fetch(plan: FetchPlan, progress: ProgressCallback = ignore_progress) -> Path:
    """Download what is missing, going on where an earlier attempt stopped, and check every file.

    huggingface_hub begins a file again that was not finished, which can be half a gigabyte; so large files are
    downloaded here and put into its cache, whole and with the digest the Hub announces, before it looks for them.

    Returns:
        The snapshot's folder, named by the commit.

    Raises:
        SalmuError: of the plan's type if the Hub fails or a file came damaged, which is then removed;
            `StorageError` if the disk is too small.
    """
    check_space([plan])
    meter = _Meter(plan, progress)
    target = plan.target
    with hub_errors(target, plan.error_type):
        for file in plan.files:
            if file.sha256 is not None and not file.present:
                _download(plan, file, meter)
        folder = Path(
            snapshot_download(
                target.repository,
                repo_type=target.kind,
                revision=target.revision,
                allow_patterns=_exactly([file.path for file in plan.files]),
                token=current_token(),
                tqdm_class=_NoBar,
            )
        )
    if folder.name != plan.commit:
        raise plan.error_type(f"{target.repository} was changed while it was fetched; run the same again.")
    for file in plan.files:
        if not file.present and file.sha256 is not None:
            continue  # Its digest was compared when it came.
        path = folder / file.path
        if path.stat().st_size != file.size or file.sha256 not in (None, file_digest(path)):
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise _damaged(plan, file)
    meter.finish()
    pin(target, plan.commit)
    return folder


def fetch_unasked(plan: FetchPlan) -> Path:
    """Download what is missing because somebody loads the data; what is here already is not read again.

    Raises:
        SalmuError: as `fetch` does, or if more than `UNASKED_BYTES` are missing.
    """
    if plan.too_large_unasked:
        raise plan.error_type(
            f"{plan.target.repository} takes {plan.missing_bytes / 1e9:.2f} GB and is not on this machine; fetch it "
            f"first: {fetch_command(plan.target)}."
        )
    return _fetch_missing(plan)


def download_file(
    repository: str, filename: str, revision: str | None, error_type: type[SalmuError], largest: int | None = None
) -> Path | None:
    """Fetch one file of a model repository; None if the repository does not have it, or it is larger than `largest`.

    If the Hub refuses or fails, the file of an earlier call is used; a visitor of a public page then gets nothing.
    """
    label = HF_HUB + repository + (f"@{revision}" if revision else "")
    target = HubReference("model", repository, revision, label)
    try:
        plan = plan_fetch(target, lambda paths: [filename] if filename in paths else [], error_type)
    except error_type:
        here = local_snapshot(target, [filename])
        if here.folder is None or not here.complete or acts_for_visitor():
            raise
        path = here.folder / filename
        return path if path.is_file() else None
    if not plan.files or (largest is not None and plan.bytes > largest):
        return None
    return _fetch_missing(plan) / filename


def _fetch_missing(plan: FetchPlan) -> Path:
    """Fetch without reading again what is here; a terminal is shown how far it is."""
    missing = tuple(file for file in plan.files if not file.present)
    here = local_snapshot(plan.at_commit, _exactly([file.path for file in plan.files])).folder
    if not missing and here is not None:
        return here
    wanted = replace(plan, files=missing)
    # disable=None: drawn only on a terminal.
    with tqdm(total=_megabytes(wanted.missing_bytes), unit="MB", desc=plan.target.label, disable=None) as bar:
        return fetch(wanted, lambda report: bar.update(report.done - bar.n))


def _digest_of(entry: RepoFile) -> str | None:
    """SHA-256 of a large file as the Hub says; only what has the form of one, because it becomes a file name here."""
    digest = getattr(entry.lfs, "sha256", None)
    return digest if isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) else None


def _megabytes(count: int) -> int:
    """Bytes as megabytes, begun ones included, and one at least."""
    return max(1, -(-count // _MB))


def _exactly(paths: Sequence[str]) -> list[str]:
    """Patterns that match these paths and nothing else."""
    return [glob.escape(path) for path in paths]


class _NoBar(tqdm):  # type: ignore[misc]
    """A progress bar for huggingface_hub that is not drawn."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "disable": True})


class _Meter:
    """Reports the megabytes that have come."""

    def __init__(self, plan: FetchPlan, progress: ProgressCallback) -> None:
        self._stage = f"Fetching {plan.target.label}, megabytes"
        self._total = _megabytes(plan.missing_bytes)
        self._progress = progress
        self._done = 0

    def add(self, count: int) -> None:
        self._done += count
        self._progress(Progress(self._stage, min(self._done // _MB, self._total), self._total, unit=Unit.MEGABYTES))

    def finish(self) -> None:
        self._progress(Progress(self._stage, self._total, self._total, unit=Unit.MEGABYTES))


def _download(plan: FetchPlan, file: RemoteFile, meter: _Meter) -> None:
    """Bring a large file into huggingface_hub's cache; what came of it stays beside it until it is whole."""
    target = plan.target
    storage = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=target.repository, repo_type=target.kind)
    blob = storage / "blobs" / str(file.sha256)
    part = blob.with_name(f"{blob.name}.part")
    blob.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(part.with_suffix(".lock")):
        if blob.exists():
            return
        part.touch()
        failures = 0
        have = part.stat().st_size
        meter.add(have)
        while have < file.size:
            try:
                _append(plan, file, part, meter)
            except TRANSFER_ERRORS:
                grown = part.stat().st_size
                failures = 0 if grown > have else failures + 1
                have = grown
                if failures > _RETRIES:
                    raise
                time.sleep(RETRY_PAUSE)
            else:
                have = part.stat().st_size
                break
        if have != file.size or file_digest(part) != file.sha256:
            part.unlink()
            raise _damaged(plan, file)
        part.replace(blob)


def _append(plan: FetchPlan, file: RemoteFile, part: Path, meter: _Meter) -> None:
    """Ask for what is missing of a file and append it; raises what the client raises, with what came kept."""
    target = plan.target
    url = hf_hub_url(target.repository, file.path, repo_type=target.kind, revision=plan.commit)
    place = get_hf_file_metadata(url, token=current_token(), timeout=TIMEOUT).location
    # A content network is another host, whose address is signed; it must not be sent the token.
    is_hub = urlsplit(place).netloc == urlsplit(url).netloc
    headers = build_hf_headers(token=current_token()) if is_hub else {}
    with part.open("ab") as stream:
        headers |= {"Range": f"bytes={stream.tell()}-", "Accept-Encoding": "identity"}
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with get_session().stream("GET", place, headers=headers, timeout=timeout, follow_redirects=True) as response:
            hf_raise_for_status(response)
            if response.status_code == 200:  # The range was ignored, and the file comes from its beginning.
                meter.add(-stream.tell())
                stream.truncate(0)
            # As the bytes come: with a chunk size, what has come of a chunk would be lost with the connection.
            for chunk in response.iter_bytes():
                stream.write(chunk)
                meter.add(len(chunk))


def _damaged(plan: FetchPlan, file: RemoteFile) -> SalmuError:
    return plan.error_type(
        f"{file.path} of {plan.target.repository} came damaged and was removed; run `{fetch_command(plan.target)}` "
        "again."
    )
