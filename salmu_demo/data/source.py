"""Every way to name a data set: one table, from what a user typed to loading and fetching what it means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from salmu_demo.core.errors import DataError
from salmu_demo.core.notices import CLEAR_MINI_NOTICE
from salmu_demo.core.settings import assets_dir
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.hub.reference import OFFICIAL, HubReference, data_on_hub

if TYPE_CHECKING:
    from salmu_demo.hub.fetch import FetchPlan

MINI: Final = "mini"
CLEAR_MINI: Final = "clear-mini"


@dataclass(frozen=True)
class DataKind:
    """One way to name a data set.

    Attributes:
        is_one: whether a reference is of this kind.
        load: loads the data set.
        plan: says what fetching it would do, at a revision and of some splits only if they are named; None if it is
            never fetched.
    """

    is_one: Callable[[str], bool]
    load: Callable[[str], BenchmarkData]
    plan: "Callable[[str, str | None, Sequence[str] | None], FetchPlan] | None" = None


def load_data(reference: str) -> BenchmarkData:
    """Load the data set a user named.

    Args:
        reference: `mini` or `clear-mini` (the embedded miniatures; of the second, `#forget10` or another configuration
            may follow), `official` (the release, pinned), `official-base` (its variant of
            that name), a folder in the official layout, a Hub data set id, optionally with a revision
            (`org/name@revision`), or `clear:` and what `salmu_demo.data.clear.load_clear` takes.

    Raises:
        DataError: if it cannot be found, fetched or read.
    """
    for kind in DATA_KINDS:
        if kind.is_one(reference):
            return kind.load(reference)
    raise DataError(
        f"{reference} is not a folder; give `mini`, `clear-mini`, `official`, a folder in the SALMUBench layout or a "
        "Hub data set id."
    )


def benchmark_of(reference: str) -> Literal["SALMUBench", "CLEAR"]:
    """Whose metrics a data set is made for, as `BenchmarkData.benchmark` says once it is loaded."""
    return "CLEAR" if is_clear(reference) else "SALMUBench"


def is_clear(reference: str) -> bool:
    """Whether a reference names CLEAR or its miniature."""
    return reference.startswith(layout.CLEAR) or _is_clear_mini(reference)


def _is_clear_mini(reference: str) -> bool:
    return reference.partition("#")[0] == CLEAR_MINI


def plan_fetch_of(reference: str, revision: str | None = None, splits: Sequence[str] | None = None) -> "FetchPlan":
    """What fetching a data set would do.

    Args:
        reference: as for `load_data`.
        revision: branch, tag or commit; None for the one the reference names.
        splits: only these splits, with all metadata; None for every one.

    Raises:
        DataError: if it is not on the Hub, or the Hub cannot be asked.
    """
    for kind in DATA_KINDS:
        if kind.plan is not None and kind.is_one(reference):
            return kind.plan(reference, revision, splits)
    raise DataError(f"{reference} is not on the Hub; write {OFFICIAL} or a Hub data set id like ORG/NAME.")


def may_be_fetched(reference: str) -> bool:
    """Whether a data set may come from the Hub; raises `DataError` if it cannot be a path."""
    kind = next((kind for kind in DATA_KINDS if kind.is_one(reference)), None)
    return kind is not None and kind.plan is not None


def existing_path(reference: str) -> Path | None:
    """The file or folder of this machine that a reference names, or None; raises `DataError`."""
    try:
        folder = Path(reference).expanduser()
        return folder if folder.exists() else None
    except (OSError, RuntimeError) as error:  # a name too long, a home folder that does not exist
        raise DataError(f"{reference!r} is not a usable path: {getattr(error, 'strerror', error)}.") from error


# The Hub's client takes a quarter of a second to import, which local data does not need.


def _load_clear(reference: str) -> BenchmarkData:
    from salmu_demo.data.clear import load_clear  # noqa: PLC0415

    return load_clear(reference.removeprefix(layout.CLEAR))


def _load_clear_mini(reference: str) -> BenchmarkData:
    from salmu_demo.data.clear import load_clear  # noqa: PLC0415

    data = load_clear(f"{assets_dir() / CLEAR_MINI}{reference.removeprefix(CLEAR_MINI)}", reference)
    data.remarks = (CLEAR_MINI_NOTICE, *data.remarks)
    return data


def _plan_clear(reference: str, revision: str | None, splits: Sequence[str] | None) -> "FetchPlan":
    from salmu_demo.data.clear import plan_clear  # noqa: PLC0415

    if revision or splits:
        raise DataError(f"{reference} names its revision (ID@REVISION) and configuration (#forget10) itself.")
    return plan_clear(reference.removeprefix(layout.CLEAR))


def _on_hub(reference: str) -> HubReference:
    target = data_on_hub(reference)
    assert target is not None
    return target


def _load_from_hub(reference: str) -> BenchmarkData:
    from salmu_demo.data.hub_data import load_from_hub  # noqa: PLC0415

    return load_from_hub(_on_hub(reference))


def _plan_on_hub(reference: str, revision: str | None, splits: Sequence[str] | None) -> "FetchPlan":
    from salmu_demo.data.hub_data import plan_data  # noqa: PLC0415

    target = _on_hub(reference)
    if revision:
        target = replace(target, revision=revision, label=f"{target.repository}@{revision}")
    return plan_data(target, splits)


DATA_KINDS: Final = (
    DataKind(lambda reference: reference == MINI, lambda _: load_folder(assets_dir() / "salmu-mini", MINI)),
    DataKind(_is_clear_mini, _load_clear_mini),
    DataKind(lambda reference: reference.startswith(layout.CLEAR), _load_clear, _plan_clear),
    DataKind(lambda reference: existing_path(reference) is not None, lambda r: load_folder(Path(r).expanduser(), r)),
    DataKind(lambda reference: data_on_hub(reference) is not None, _load_from_hub, _plan_on_hub),
)
"""Every way to name a data set, in the order they are tried."""
