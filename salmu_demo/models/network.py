"""The network of a configuration, built by open_clip."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import open_clip
import torch

from salmu_demo.core.errors import ModelError
from salmu_demo.models.configuration import CONFIG_FILE
from salmu_demo.models.header import Shape

# What open_clip raises for values it did not expect in a configuration.
CONFIG_ERRORS: Final = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class ExpectedTensor:
    """A tensor that a network needs: its shape, and whether it holds floating point numbers."""

    shape: Shape
    floating: bool


def build_network(config: dict[str, Any], what: str, device: str = "cpu") -> Any:
    """The network with random weights; on the device `meta` it takes no memory, whatever its size.

    Args:
        config: content of an `open_clip_config.json`.
        what: where it is from, for the message.
        device: where the weights are made.

    Raises:
        ModelError: if open_clip cannot build it.
    """
    with TemporaryDirectory() as folder:
        (Path(folder) / CONFIG_FILE).write_text(json.dumps(config), "utf-8")
        try:
            with torch.device(device), _without_warnings():
                return open_clip.create_model(
                    f"local-dir:{folder}",
                    load_weights=False,
                    pretrained_image=False,
                    pretrained_text=False,
                    device=device,
                )
        except CONFIG_ERRORS as error:
            raise ModelError(f"The configuration of {what} does not build a model: {in_words(error)}.") from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep back what open_clip reports through the root logger: that a model is built without weights is how we do."""
    root, thread = logging.getLogger(), threading.get_ident()

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != thread or record.levelno > logging.WARNING

    root.addFilter(is_of_others)
    try:
        yield
    finally:
        root.removeFilter(is_of_others)


def expected_tensors(config: dict[str, Any], what: str) -> dict[str, ExpectedTensor]:
    """Name to shape and kind of every tensor a checkpoint of a configuration must hold; raises `ModelError`."""
    state = build_network(config, what, "meta").state_dict()
    return {name: ExpectedTensor(tuple(value.shape), value.is_floating_point()) for name, value in state.items()}


def in_words(error: Exception) -> str:
    """What an exception says, in one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
