"""Writing, sealing and reading `dossier.json`."""

import hashlib
import json
from pathlib import Path
from typing import Any

from salmu_demo.core.documents import MismatchError, NotJSONError, parse_model
from salmu_demo.core.errors import ResultError
from salmu_demo.core.files import write_text
from salmu_demo.dossiers.schema import FILE, DossierDocument

_MOST_BYTES = 200_000_000
"""Largest file that is read."""


def content_of(dossier: DossierDocument) -> dict[str, Any]:
    """A dossier as plain JSON data."""
    return dossier.model_dump(mode="json", by_alias=True)


def digest_of(dossier: DossierDocument) -> str:
    """SHA-256 over everything in a dossier but its own digest."""
    content = content_of(dossier)
    del content["digest"]
    # A lone surrogate, which a name of a file may hold, is hashed as its escape.
    text = json.dumps(content, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(dossier: DossierDocument) -> DossierDocument:
    """The dossier with its digest."""
    return dossier.model_copy(update={"digest": digest_of(dossier)})


def write_dossier(dossier: DossierDocument, folder: Path) -> Path:
    """Write the file into a folder, whole or not at all, and return its path; raises `StorageError`."""
    path = folder / FILE
    write_text(path, json.dumps(content_of(dossier), ensure_ascii=False, indent=1) + "\n", "The dossier")
    return path


def read_dossier(path: Path) -> DossierDocument:
    """Read the file, or that of a folder.

    Raises:
        ResultError: if it cannot be read or is not a dossier.
    """
    file = path / FILE if path.is_dir() else path
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ResultError(f"The dossier {file} is larger than {_MOST_BYTES:,} bytes; give another file.")
        return parse_model(file.read_bytes(), DossierDocument, lone_surrogates=False)
    except OSError as error:
        raise ResultError(f"The dossier {file} cannot be read: {error.strerror or error}.") from error
    except NotJSONError as error:
        raise ResultError(f"{file} is not a dossier: it is not JSON; give the {FILE} that `dossier` wrote.") from error
    except MismatchError as error:
        raise ResultError(f"{file} is not a dossier: {error}; give the {FILE} that `dossier` wrote.") from error
