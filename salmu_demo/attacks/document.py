"""Writing and reading `attacks.json`."""

import json
from pathlib import Path

from salmu_demo.attacks.schema import FILE, AttacksDocument
from salmu_demo.core.documents import read_model
from salmu_demo.core.errors import ResultError
from salmu_demo.core.files import write_text


def write_attacks(document: AttacksDocument, folder: Path) -> Path:
    """Write the file into a folder, whole or not at all, and return its path; raises `StorageError`."""
    path = folder / FILE
    text = json.dumps(document.model_dump(mode="json", by_alias=True), ensure_ascii=False, indent=1)
    write_text(path, text + "\n", "The file of attacks")
    return path


def read_attacks(path: Path) -> AttacksDocument:
    """Read the file, or that of a folder; raises `ResultError`."""
    file = path / FILE if path.is_dir() else path
    return read_model(file, AttacksDocument, ResultError, "The file of attacks")
