"""What objectives compute with, imported when the first of them computes.

A method's module holds its facts and its objective. Commands and forms ask for the facts of all methods and never
train, while torch takes seconds to import: here a stand-in for each module waits until something of it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "DecoderOutput",
    "Encoded",
    "State",
    "Step",
    "TextStep",
    "TrainedModel",
    "batches",
    "functional",
    "losses",
    "optimisation",
    "text_losses",
    "torch",
]  # fmt: skip

if TYPE_CHECKING:
    import torch
    from torch.nn import functional

    from salmu_demo.models import optimisation
    from salmu_demo.unlearning import batches, losses, text_losses
    from salmu_demo.unlearning.batches import Encoded
    from salmu_demo.unlearning.step import Step
    from salmu_demo.unlearning.text_losses import DecoderOutput
    from salmu_demo.unlearning.text_step import TextStep
    from salmu_demo.unlearning.towers import State, TrainedModel
else:

    class _StandIn:
        """A module that is imported when an attribute of it is first asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            return getattr(import_module(self._name), name)

    torch, functional = _StandIn("torch"), _StandIn("torch.nn.functional")
    batches, losses, text_losses = (
        _StandIn(f"salmu_demo.unlearning.{name}") for name in ("batches", "losses", "text_losses")
    )
    optimisation = _StandIn("salmu_demo.models.optimisation")
    # Types, which stand in annotations only.
    Encoded, Step, State, TrainedModel = "Encoded", "Step", "State", "TrainedModel"
    TextStep, DecoderOutput = "TextStep", "Written"
