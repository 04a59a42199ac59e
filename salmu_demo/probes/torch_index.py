"""Exact search on a GPU by torch, for machines whose FAISS finds none, and what searches a gallery here."""

import logging
import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.probes.index import FaissIndex, gpu_resources

BY_TORCH: Final = "torch on the GPU, where FAISS finds none"
BY_FAISS: Final = "FAISS on the GPU"
ON_CPU: Final = "FAISS on the CPU"
"""What searches, in words."""

_DRIVER: Final = Path("/dev/nvidiactl")
"""Is there where NVIDIA's driver runs; torch, which would know, takes seconds to import."""

_log = logging.getLogger(__name__)


class TorchIndex:
    """Inner products with all items, sorted, on a GPU.

    Attributes:
        features: what was indexed, shape (N, D); not to be changed.
    """

    def __init__(self, features: NDArray[np.float32], device: str = "cuda") -> None:
        """Put features on a device; raises `RuntimeError` if they do not fit."""
        import torch  # noqa: PLC0415 - see `_DRIVER`

        self.features: NDArray[np.float32] = np.ascontiguousarray(features, dtype=np.float32)
        self._torch = torch
        self._there = torch.tensor(self.features, device=device)

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `Index`."""
        scores = self._torch.tensor(queries, dtype=self._there.dtype, device=self._there.device) @ self._there.T
        best, items = scores.sort(dim=1, descending=True, stable=True)
        return best[:, :k].cpu().numpy(), items[:, :k].cpu().numpy()


def exact_index(features: NDArray[np.float32]) -> tuple[FaissIndex | TorchIndex, str]:
    """An exact search of features, shape (N, D), on the GPU by what works there, else on the CPU; and what it is."""
    has_faiss = gpu_resources() is not None
    if not has_faiss and _torch_has_gpu():
        try:
            return TorchIndex(features), BY_TORCH
        except RuntimeError as error:
            _log.warning("FAISS searches on the CPU, because the features do not fit on the GPU: %s", error)
    return FaissIndex(features), BY_FAISS if has_faiss else ON_CPU


def _torch_has_gpu() -> bool:
    if "torch" not in sys.modules and not _DRIVER.exists():
        return False
    import torch  # noqa: PLC0415 - see `_DRIVER`

    return torch.cuda.is_available()
