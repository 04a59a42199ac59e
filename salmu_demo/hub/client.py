"""The Hugging Face Hub, with one clear sentence for each way it can fail, and with the rights of whoever asks."""

import errno
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from huggingface_hub import HfApi, constants, errors, get_token, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from salmu_demo.core.errors import SalmuError
from salmu_demo.hub.alone import asks_nobody
from salmu_demo.hub.reference import HubReference

TIMEOUT: Final = 10.0
"""Seconds the Hub may take to answer a question; `HF_HUB_DOWNLOAD_TIMEOUT` is the limit of a stalled download."""

# httpx or httpx2, whichever this huggingface_hub is built on; its `HTTPError` is the base of every network failure.
TRANSPORT_ERROR: Final = cast("type[Exception]", HfHubHTTPError.__bases__[0])
_HTTPX: Final = importlib.import_module(TRANSPORT_ERROR.__module__.partition(".")[0])
_SLOW: Final = cast("type[Exception]", _HTTPX.TimeoutException)
_CUT_OFF: Final = (
    cast("type[Exception]", _HTTPX.RemoteProtocolError),
    cast("type[Exception]", _HTTPX.ReadError),
    # Absent before huggingface_hub 2.
    cast("type[Exception]", getattr(errors, "XetDownloadError", _HTTPX.ReadError)),
)
TRANSFER_ERRORS: Final = (_SLOW, *_CUT_OFF, cast("type[Exception]", _HTTPX.ConnectError))
"""What breaks a transfer that may succeed when it is taken up again."""
# A ValueError is an invalid id, or an answer that is not the Hub's JSON, for example a login page.
HUB_ERRORS: Final = (TRANSPORT_ERROR, LocalEntryNotFoundError, OfflineModeIsEnabled, *_CUT_OFF, OSError, ValueError)


@dataclass(frozen=True)
class Visitor:
    """A stranger on a public page, who has the rights of their own sign-in and none of this machine's.

    Attributes:
        token: of their sign-in, or None; it is kept out of every text this object becomes.
    """

    token: str | None = field(default=None, repr=False)


_VISITOR: ContextVar[Visitor | None] = ContextVar("visitor", default=None)


@contextmanager
def acting_for(visitor: Visitor | None) -> Iterator[None]:
    """Ask the Hub with a visitor's rights inside the block; with this machine's own (`HF_TOKEN`, a login) for None."""
    before = _VISITOR.set(visitor)
    try:
        yield
    finally:
        _VISITOR.reset(before)


def acts_for_visitor() -> bool:
    """Whether the Hub is asked for a visitor."""
    return _VISITOR.get() is not None


def current_token() -> str | bool | None:
    """What huggingface_hub takes as `token`: a visitor's, False for one who is not signed in, None for this machine."""
    visitor = _VISITOR.get()
    return None if visitor is None else visitor.token or False


@contextmanager
def hub_errors(target: HubReference, error_type: type[SalmuError]) -> Iterator[None]:
    """Turn what goes wrong with the Hub inside the block into one sentence of the given type."""
    try:
        yield
    except HUB_ERRORS as error:
        raise error_type(_sentence(error, target)) from error


def ask_for(target: HubReference) -> Any:
    """What the Hub says about a repository at a revision; without retries, raises what the client raises.

    The description of a gated repository is public, so for a visitor it is also asked whether they may read the files:
    these may be in the cache, which does not know whose rights have filled it.
    """
    if asks_nobody():
        raise OfflineModeIsEnabled("What is on this machine is enough.")
    client = HfApi(token=current_token())
    about = client.repo_info(target.repository, repo_type=target.kind, revision=target.revision, timeout=TIMEOUT)
    if acts_for_visitor() and is_restricted(about):
        client.auth_check(target.repository, repo_type=target.kind)
    return about


def is_restricted(about: Any) -> bool:
    """Whether a repository of this description is private or gated."""
    return bool(about.private or about.gated)


def check_access(target: HubReference, visitor: Visitor, error_type: type[SalmuError]) -> bool:
    """Make sure that a visitor may read a repository; without the Hub nobody is let in.

    Returns:
        Whether the repository is private or gated, so that no other visitor may be given it on the strength of this
        answer.

    Raises:
        SalmuError: of the given type, if the Hub refuses or cannot be asked.
    """
    with acting_for(visitor), hub_errors(target, error_type):
        return is_restricted(ask_for(target))


@dataclass(frozen=True)
class LocalSnapshot:
    """What is on this machine of a repository at a revision.

    Attributes:
        folder: the snapshot, named by its commit; None if nothing is there.
        complete: whether every file that was asked for is there.
    """

    folder: Path | None
    complete: bool


def local_snapshot(target: HubReference, patterns: Sequence[str]) -> LocalSnapshot:
    """Look for the files of a repository on this machine, without the network."""
    try:
        folder = snapshot_download(
            target.repository,
            repo_type=target.kind,
            revision=target.revision,
            allow_patterns=list(patterns),
            local_files_only=True,
        )
    except LocalEntryNotFoundError as error:
        part = getattr(error, "snapshot_path", None)
        return LocalSnapshot(Path(part) if part else None, False)
    except HFValidationError:
        return LocalSnapshot(None, False)
    return LocalSnapshot(Path(folder), True)


def _sentence(error: BaseException, target: HubReference) -> str:
    """What went wrong and what to do; the order matters, because the errors inherit from one another."""
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        # The client wraps the reason why it looked on this machine only.
        return _sentence(error.__cause__, target)
    repository = target.repository
    if isinstance(error, HfHubHTTPError):
        return _refusal(error, target)
    if isinstance(error, HFValidationError):
        return f"{repository} is not a valid Hub id; it looks like organisation/name."
    if isinstance(error, OfflineModeIsEnabled) or constants.HF_HUB_OFFLINE:
        return (
            f"Not all of {repository} is on this machine, and HF_HUB_OFFLINE forbids fetching it: unset it, run "
            f"`{fetch_command(target)}`, then set it again."
        )
    if isinstance(error, _SLOW):
        return (
            f"The Hub takes too long to send {repository}: run the same again, it resumes where it stopped; "
            "HF_HUB_DOWNLOAD_TIMEOUT=60 is more patient."
        )
    if isinstance(error, _CUT_OFF) or "Consistency check failed" in str(error):
        return f"The download of {repository} was cut off: run the same again, it resumes where it stopped."
    if isinstance(error, LocalEntryNotFoundError | ConnectionError | TRANSPORT_ERROR):
        return (
            f"{repository} is not on this machine and the Hub cannot be reached; check the network and run the same "
            "again."
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
        return (
            f"{repository} cannot be written to {constants.HF_HUB_CACHE}: {error.strerror}; free space there, or move "
            "it with HF_HOME."
        )
    # No words of the error itself: they may hold a signed address.
    return (
        f"{repository} could not be fetched: what answered is not the Hub ({type(error).__name__}); check the network "
        "for a login page or a proxy, and HF_ENDPOINT."
    )


def _refusal(error: HfHubHTTPError, target: HubReference) -> str:
    """What the Hub means by an error code, and what to do about it."""
    repository, page, status = target.repository, target.page, error.response.status_code
    visitor = _VISITOR.get()
    signed_in = bool(visitor.token) if visitor else get_token() is not None
    sign_in = "sign in with Hugging Face at the top of this page" if visitor else "set HF_TOKEN"
    if status == 401 and signed_in:
        if visitor:
            return f"The Hub no longer accepts your sign-in: sign out and in again to use {repository}."
        return (
            "The Hub does not accept your token (wrong, expired or revoked): set HF_TOKEN to a valid one from "
            f"https://huggingface.co/settings/tokens, or unset it if {repository} is public."
        )
    if isinstance(error, GatedRepoError):
        if not signed_in:
            token = "" if visitor else " to a token of that account"
            return f"{repository} is gated: accept its terms at {page} and {sign_in}{token}."
        whose = "your account" if visitor else "the account of your token"
        return (
            f"{repository} is gated and {whose} may not read it yet: accept its terms at {page} with that account, or "
            "wait for its owners to let you in; a fine-grained token must allow gated repositories."
        )
    if isinstance(error, RepositoryNotFoundError):
        if signed_in:
            return f"The Hub has no {target.kind} {repository} that you may see: check the name."
        return f"The Hub has no {target.kind} {repository}, or it is private: check the name, or {sign_in}."
    if isinstance(error, RevisionNotFoundError):
        return f"{repository} has no revision {target.revision}; see {page}/commits."
    if status == 429:
        return f"Too many requests to the Hub from here (error 429) for {repository}: wait a few minutes, or {sign_in}."
    if status >= 500:
        return f"The Hub has an internal error ({status}) and cannot send {repository}; try again later."
    return f"The Hub refuses to send {repository} (error {status}); see {page} for the reason."


def fetch_command(target: HubReference) -> str:
    """The command that fetches a repository."""
    return f"salmu-demo fetch {'--model ' if target.kind == 'model' else ''}{target.label}"
