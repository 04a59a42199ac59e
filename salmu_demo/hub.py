"""The Hugging Face Hub, with one clear sentence for each way it can fail."""

from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

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
    if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled | ConnectionError):
        return (
            f"{repository} is not on this machine and the Hub cannot be reached; check the network or HF_HUB_OFFLINE."
        )
    if isinstance(error, HFValidationError):
        return f"{repository} is not a valid Hub id; it looks like organisation/name."
    if isinstance(error, HfHubHTTPError):
        return f"The Hub answered with an error for {repository}; try again later."
    return f"{repository} could not be fetched: {error}"


_ERRORS = (
    HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError, OSError,
)  # fmt: skip


def download_snapshot(
    repository: str, kind: str, revision: str | None, patterns: list[str], error_type: type[SalmuError]
) -> Path:
    """Fetch the files of a repository that match the patterns; later calls find them on disk.

    Returns:
        The snapshot's folder, named by its commit.
    """
    try:
        return Path(snapshot_download(repository, repo_type=kind, revision=revision, allow_patterns=patterns))
    except _ERRORS as error:
        raise error_type(_sentence(error, repository, kind, revision)) from error


def download_file(repository: str, filename: str, revision: str | None, error_type: type[SalmuError]) -> Path | None:
    """Fetch one file of a model repository; None if the repository does not have it."""
    try:
        return Path(hf_hub_download(repository, filename, revision=revision))
    except LocalEntryNotFoundError as error:
        raise error_type(_sentence(error, repository, "model", revision)) from error
    except EntryNotFoundError:
        return None
    except _ERRORS as error:
        raise error_type(_sentence(error, repository, "model", revision)) from error
