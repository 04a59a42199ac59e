"""The Hugging Face Hub, with one clear sentence for each way it can fail."""

import sys
from pathlib import Path
from typing import Final, cast

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars

from salmu_demo.errors import SalmuError


def _sentence(error: Exception, repository: str, kind: str, revision: str | None) -> str:
    """What went wrong and what to do; the order matters, because the errors inherit from one another."""
    page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{repository}"
    if isinstance(error, GatedRepoError):
        return f"{repository} is gated: accept its terms at {page} and set HF_TOKEN to a token of that account."
    if isinstance(error, RepositoryNotFoundError):
        return f"The Hub has no {kind} {repository}, or it is private: check the name, or set HF_TOKEN."
    if isinstance(error, RevisionNotFoundError):
        return f"{repository} has no revision {revision}; see {page}/commits."
    if isinstance(error, HFValidationError):
        return f"{repository} is not a valid Hub id; it looks like organisation/name."
    if isinstance(error, HfHubHTTPError):
        return f"The Hub answered with an error for {repository}; try again later."
    if isinstance(error, LocalEntryNotFoundError | ConnectionError | _TRANSPORT_ERROR):
        return (
            f"{repository} is not on this machine and the Hub cannot be reached; check the network or HF_HUB_OFFLINE."
        )
    return f"{repository} could not be fetched: {' '.join(str(error).split())}"


_TRANSPORT_ERROR: Final = cast("type[Exception]", HfHubHTTPError.__bases__[0])
"""Base of every network failure: `HTTPError` of httpx or httpx2, whichever this huggingface_hub is built on."""

# A ValueError is an invalid id, or an answer that is not the Hub's JSON, for example a login page.
_ERRORS: Final = (_TRANSPORT_ERROR, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError)
_TIMEOUT: Final = 10.0


def download_snapshot(
    repository: str, kind: str, revision: str | None, patterns: list[str], error_type: type[SalmuError]
) -> Path:
    """Fetch the files of a repository that match the patterns; later calls find them on disk.

    Without a network the files of an earlier call are used.

    Returns:
        The snapshot's folder, named by its commit.
    """
    if not sys.stderr.isatty():
        disable_progress_bars()
    # One question without retries: huggingface_hub repeats a failed download for half a minute.
    unreachable: Exception | None = None
    try:
        HfApi().repo_info(repository, repo_type=kind, revision=revision, timeout=_TIMEOUT)
    except (RevisionNotFoundError, HFValidationError) as error:
        raise error_type(_sentence(error, repository, kind, revision)) from error
    except _ERRORS as error:
        unreachable = error
    try:
        return Path(
            snapshot_download(
                repository,
                repo_type=kind,
                revision=revision,
                allow_patterns=patterns,
                local_files_only=unreachable is not None,
            )
        )
    except _ERRORS as error:
        raise error_type(_sentence(unreachable or error, repository, kind, revision)) from error


def download_file(repository: str, filename: str, revision: str | None, error_type: type[SalmuError]) -> Path | None:
    """Fetch one file of a model repository; None if the repository does not have it."""
    path = download_snapshot(repository, "model", revision, [filename], error_type) / filename
    return path if path.is_file() else None
