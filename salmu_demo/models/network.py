"""The network of a configuration, built by open_clip."""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
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


def build_network(config: dict[str, Any], what: str) -> Any:
    """The network with random weights, on the CPU.

    Args:
        config: content of an `open_clip_config.json`.
        what: where it is from, for the message.

    Raises:
        ModelError: if open_clip cannot build it.
    """
    with _refused(what):
        return _built(json.dumps(config), "cpu")


def expected_tensors(config: dict[str, Any], what: str) -> Mapping[str, ExpectedTensor]:
    """Name to shape and kind of every tensor a checkpoint of a configuration must hold; raises `ModelError`."""
    with _refused(what):
        return _tensors(json.dumps(config))


# Most models have the architecture of another one: those of one benchmark, and a model in training and its original.
@lru_cache(maxsize=64)
def _tensors(config: str) -> Mapping[str, ExpectedTensor]:
    # On this device a network takes no memory, whatever its size.
    state = _built(config, "meta").state_dict()
    return MappingProxyType({name: ExpectedTensor(tuple(v.shape), v.is_floating_point()) for name, v in state.items()})


def _built(config: str, device: str) -> Any:
    """The network of a configuration on a device; raises what open_clip raises."""
    with TemporaryDirectory() as folder:
        (Path(folder) / CONFIG_FILE).write_text(config, "utf-8")
        with torch.device(device), _without_warnings():
            return open_clip.create_model(
                f"local-dir:{folder}",
                load_weights=False,
                pretrained_image=False,
                pretrained_text=False,
                device=device,
            )


@contextmanager
def _refused(what: str) -> Iterator[None]:
    """Whatever open_clip raises is the fault of a configuration."""
    try:
        yield
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


def in_words(error: Exception) -> str:
    """What an exception says, in one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
