"""The small JSON files that come with a model: configurations and tokenizers, read whole or refused."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.errors import ModelError

MAX_CONFIG_BYTES: Final = 1_000_000
MAX_TOKENIZER_BYTES: Final = 100_000_000
"""Three times the largest of SigLIP, with a vocabulary of 256,000."""


def read_object(path: Path, largest: int = MAX_CONFIG_BYTES) -> tuple[dict[str, Any], str]:
    """The JSON object in a file, and the SHA-256 of its bytes.

    Args:
        path: the file.
        largest: bytes that such a file may have.

    Raises:
        ModelError: if it cannot be read, is larger, or holds no JSON object.
    """
    raw = read_bytes(path, largest)
    try:
        content = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _no_object(path) from error
    if not isinstance(content, dict):
        raise _no_object(path)
    return content, hashlib.sha256(raw).hexdigest()


def read_bytes(path: Path, largest: int) -> bytes:
    """The content of a file; raises `ModelError` if it cannot be read or is larger than that."""
    try:
        if path.stat().st_size > largest:
            raise ModelError(f"{path} is larger than any file of its kind; fetch it again.")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error


def _no_object(path: Path) -> ModelError:
    return ModelError(f"{path} is not readable JSON: it must hold one object; fetch it again.")
