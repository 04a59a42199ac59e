"""Pushing files to the user's own repository on the Hub, with this machine's token; nothing is pushed for a visitor."""

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import disable_progress_bars, validate_repo_id  # type: ignore[attr-defined]

from salmu_demo.core.errors import PushError
from salmu_demo.hub.client import HUB_ERRORS, TIMEOUT, TRANSPORT_ERROR
from salmu_demo.hub.reference import HF_HUB

PushedKind = Literal["model", "space"]

_TOKENS: Final = "https://huggingface.co/settings/tokens"
# hf_xet, which transfers large files, raises RuntimeError for whatever its storage answers; so does the client around
# the error of a file.
_ERRORS: Final = (*HUB_ERRORS, RuntimeError)


@dataclass(frozen=True)
class Pushed:
    """What became of a push: the web address of its commit, and whether the repository is private."""

    address: str
    private: bool

    def sentence(self, repository: str) -> str:
        """Where the model went, and how it is loaded from there."""
        who = "private" if self.private else "public"
        return f"Pushed ({who}): {self.address}. Load it: {HF_HUB}{repository}"


def check_push(repository: str) -> None:
    """Make sure, before long work whose result is pushed, that the name is valid and the Hub knows a writing token.

    Raises:
        PushError: if not, or if the Hub cannot be asked.
    """
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise _no_repository(repository) from error
    if repository.count("/") != 1:
        raise _no_repository(repository)
    if get_token() is None:
        raise PushError(f"Pushing to {repository} needs a token that may write: set HF_TOKEN to one from {_TOKENS}.")
    try:
        account = _client().whoami()
    except _ERRORS as error:
        raise PushError(f"{_reason(error, repository)}.") from error
    if account.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise PushError(f"{_may_not_write(repository)}.")


def push(
    files: Mapping[str, Path],
    repository: str,
    public: bool,
    message: str,
    again: str,
    owned: Collection[str] | None = None,
    kind: PushedKind = "model",
) -> Pushed:
    """Write files to a repository in one commit; the repository is made if there is none.

    Args:
        files: what is written, by its name there.
        repository: `organisation/name`.
        public: whether a new repository is public, and an existing one may be.
        message: of the commit.
        again: what to do if the push fails, for the message.
        owned: names that belong to what is pushed: a file of such a name that is not among `files` is removed, because
            it is of an earlier push and would be taken for a part of this one. None for all names.
        kind: what the repository is.

    Raises:
        PushError: if the Hub refuses or fails.
    """
    if not sys.stderr.isatty():  # A log is no place for bars.
        disable_progress_bars()
    client = _client()
    try:
        sdk = "gradio" if kind == "space" else None
        client.create_repo(repository, private=not public, exist_ok=True, repo_type=kind, space_sdk=sdk)
        about: Any = client.repo_info(repository, repo_type=kind, timeout=TIMEOUT)
        if not (about.private or public):
            raise PushError(f"{repository} is public: add --public if everybody may see what you push.")
        old = [entry.rfilename for entry in about.siblings or () if owned is None or entry.rfilename in owned]
        commit = client.create_commit(
            repository,
            [
                *(CommitOperationAdd(name, str(file)) for name, file in files.items()),
                *(CommitOperationDelete(name) for name in old if name not in files),
            ],
            commit_message=message,
            repo_type=kind,
        )
    except _ERRORS as error:
        raise PushError(f"{_reason(error, repository)}; {again}.") from error
    return Pushed(commit.commit_url, bool(about.private))


def _client() -> HfApi:
    return HfApi(token=get_token())


def _no_repository(name: str) -> PushError:
    return PushError(f"{name!r:.80} is not a Hub repository; its name looks like organisation/name.")


def _may_not_write(repository: str) -> str:
    return f"Your token may not write to {repository}: check the name, and set HF_TOKEN to one from {_TOKENS} that may"


def _reason(error: BaseException, repository: str) -> str:
    """What went wrong, without a word of the error itself, which may hold a signed address."""
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        return _reason(error.__cause__, repository)
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status == 401:
            return f"The Hub does not accept your token (wrong, expired or revoked): set HF_TOKEN to one from {_TOKENS}"
        if status in (403, 404):
            return _may_not_write(repository)
        if status == 429:
            return f"Too many requests to the Hub from here (error 429) to push to {repository}: wait a few minutes"
        if status >= 500:
            return f"The Hub has an internal error (error {status}) and cannot take {repository}: try again later"
        return f"The Hub refuses to take {repository} (error {status}): see https://huggingface.co/{repository}"
    if isinstance(error, OfflineModeIsEnabled):
        return f"HF_HUB_OFFLINE forbids to push to {repository}: unset it"
    if isinstance(error, ValueError) and str(error).startswith("Invalid metadata in README.md"):
        return "The Hub does not accept the metadata at the top of README.md: correct it"
    if isinstance(error, TRANSPORT_ERROR | ConnectionError):
        return f"The Hub cannot be reached to push to {repository}, or breaks off: check the network"
    return (
        f"Nothing could be pushed to {repository}: what answered is not the Hub ({type(error).__name__}); check the "
        "network for a login page or a proxy, and HF_ENDPOINT"
    )
