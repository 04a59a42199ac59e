"""Checkpoints that were pickled by torch, read as tensors only.

A pickle is a program. torch runs it with `weights_only=True`, which knows a few harmless instructions, and before that
the archive around it is checked. Who may hand in a pickle at all is decided in `source`.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch.torch_version import TorchVersion

from salmu_demo.core.errors import ModelError
from salmu_demo.models.header import MAX_HEADER_BYTES, MAX_TENSOR_BYTES, MAX_TENSORS, Shape, shown
from salmu_demo.models.weights import plain_names

SAFE_TORCH: Final = "2.10"
"""`weights_only` of older versions can be made to corrupt memory (CVE-2026-24747)."""

_DTYPES: Final = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip

_STATE_DICTS: Final = ("state_dict", "model_state_dict", "model", "module")
"""What training code calls the weights among the other things it saves; the first that is there is taken."""

# What torch raises for a pickle that is damaged, or that asks for more than tensors.
_LOAD_ERRORS: Final = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, OSError,
    RecursionError, RuntimeError, TypeError, UnpicklingError, ValueError,
)  # fmt: skip


class PickleReader:
    """The tensors of a checkpoint written by `torch.save`, mapped from disk; see `weights.TensorReader`.

    Attributes:
        taken: name of the state dict that was read among the other things in the file, or None.
        not_read: names of other weights in the file beside it, such as averaged ones.
    """

    def __init__(self, path: Path) -> None:
        """Check the archive and map its tensors; raises `ModelError`."""
        if TorchVersion(torch.__version__) < TorchVersion(SAFE_TORCH):
            raise ModelError(
                f"{path} is a pickle, and torch {torch.__version__} does not read those safely; update it."
            )
        _check_archive(path)
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except _LOAD_ERRORS as error:
            raise ModelError(
                f"{path} is damaged or holds more than tensors, so it was not loaded; save its tensors as safetensors."
            ) from error
        self.taken = _wrapper(content)
        tensors = _state_dict(path, content if self.taken is None else content[self.taken])
        self.not_read = () if self.taken is None else _other_weights(content, self.taken)
        self._tensors = {name: tensors[stored] for name, stored in plain_names(tensors, path).items()}
        self.shapes: Mapping[str, Shape] = {name: tuple(value.shape) for name, value in self._tensors.items()}
        self.dtypes: Mapping[str, str] = {name: _DTYPES[value.dtype] for name, value in self._tensors.items()}

    def read(self, name: str) -> NDArray[Any]:
        """See `weights.TensorReader`."""
        value = self._tensors[name].detach()
        array: NDArray[Any] = (value.float() if value.is_floating_point() else value).numpy()
        return array

    def stored(self, name: str) -> bytes:
        """See `weights.TensorReader`."""
        return self._tensors[name].detach().reshape(-1).view(torch.uint8).numpy().tobytes()


def _check_archive(path: Path) -> None:
    """Refuse what is not a plain archive of one pickle and the bytes of its tensors."""
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    # zipfile raises NotImplementedError for archives of a kind that it cannot read.
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(
            f"{path} is not a whole checkpoint in the zip format of torch.save; save its state dict as safetensors."
        ) from error
    names = [entry.filename for entry in entries]
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise ModelError(
            f"{path} is a TorchScript program, as OpenAI published its models, and programs are not run; if you trust "
            "it, save its tensors with safetensors.torch.save_file(torch.jit.load(FILE, 'cpu').state_dict(), NEW_FILE)."
        )
    pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
    if len(pickles) != 1 or pickles[0].file_size > MAX_HEADER_BYTES:
        raise ModelError(f"{path} is a zip file, but not one of torch.save; save the state dict as safetensors.")
    total = sum(entry.file_size for entry in entries)
    # torch.save never compresses; a compressed archive could unpack to any size.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or total > min(size, MAX_TENSOR_BYTES):
        raise ModelError(f"{path} would unpack to more than it holds; save its state dict as safetensors.")


def _state_dict(path: Path, content: Any) -> dict[str, torch.Tensor]:
    """The tensors of a state dict."""
    if not isinstance(content, dict) or not content or len(content) > MAX_TENSORS:
        raise ModelError(f"{path} does not hold a state dict; save `model.state_dict()` as safetensors.")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ModelError(
                f"{path} does not hold a state dict: {shown(str(name))} is not a tensor; save `model.state_dict()`."
            )
        if value.layout != torch.strided or value.dtype not in _DTYPES:
            raise ModelError(f"{path} holds the tensor {shown(name)} of a kind that no CLIP model has.")
        # A view can claim any size over a few bytes.
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ModelError(f"{path} holds the tensor {shown(name)} that claims to be larger than its data.")
    return content


def _wrapper(content: Any) -> str | None:
    """The name of the state dict among other things, None if the content is one itself."""
    if not isinstance(content, dict):
        return None
    return next((name for name in _STATE_DICTS if isinstance(content.get(name), dict)), None)


def _other_weights(content: dict[Any, Any], taken: str) -> tuple[str, ...]:
    """What else in a checkpoint is a state dict; an optimizer's is nested and holds numbers."""
    return tuple(
        shown(str(name))
        for name, value in content.items()
        if name != taken
        and isinstance(value, dict)
        and value
        and all(isinstance(tensor, torch.Tensor) for tensor in value.values())
    )
