"""The state of an interrupted run on disk: everything needed to resume it."""

import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch

from salmu_demo.core.documents import check_model
from salmu_demo.core.errors import StorageError
from salmu_demo.core.files import atomic_path
from salmu_demo.unlearning.towers import State
from salmu_demo.unlearning.training_metrics import AnyReading

STATE_FILE: Final = "unlearning_state.pt"


class AnotherRunError(StorageError):
    """A folder holds an interrupted run with other settings, model, data or code."""


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after some steps.

    Attributes:
        key: of the plan, see `UnlearningPlan.key`.
        step: steps taken.
        weights: the trained tensors, single precision.
        optimizer: state of the optimiser.
        curve: the readings so far.
        best: the trained tensors of the best checkpoint so far, if the run keeps that one.
    """

    key: str
    step: int
    weights: State
    optimizer: dict[str, Any]
    curve: list[AnyReading]
    best: State | None = None


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint over the previous one; raises `StorageError`."""
    content = {
        "key": checkpoint.key,
        "step": checkpoint.step,
        "weights": checkpoint.weights,
        "optimizer": checkpoint.optimizer,
        "curve": [asdict(reading) for reading in checkpoint.curve],
        "best": checkpoint.best,
    }
    with atomic_path(folder / STATE_FILE, "The checkpoint") as temporary, temporary.open("wb") as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:
            # torch reports a full disk only as an unexpected file position.
            if isinstance(error.__context__, OSError):
                raise OSError(*error.__context__.args) from error
            raise


def load_checkpoint(folder: Path, key: str) -> Checkpoint | None:
    """The checkpoint of an interrupted run, or None if the folder has none.

    Raises:
        AnotherRunError: if it belongs to another run.
        StorageError: if it is damaged.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        curve = check_model(content["curve"], list[AnyReading])
        found = Checkpoint(
            content["key"], content["step"], content["weights"], content["optimizer"], curve, content["best"]
        )
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise StorageError(f"The checkpoint {path} cannot be read; remove it to start again.") from error
    if found.key != key:
        raise AnotherRunError(
            f"{folder} holds an interrupted run with other settings, model, data or version of this program or its "
            f"libraries; choose another folder, or remove {STATE_FILE} to start again."
        )
    return found
