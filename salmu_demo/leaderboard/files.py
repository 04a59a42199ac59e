"""Where result files lie: in the folders of finished jobs, where a user says, and copies of imported ones."""

import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from salmu_demo.core.errors import ResultError
from salmu_demo.core.files import atomic_path, file_digest
from salmu_demo.results.document import RESULTS_FILE, read_results

MAX_MODELS: Final = 100
"""Models in an imported file; more make no table anyone reads."""

_LONGEST_NAME: Final = 50
"""Characters of a file name that was made of a stranger's text; in UTF-8 they fit every file system."""


def job_results(runs: Path, jobs: Collection[str] | None = None) -> list[Path]:
    """The result files of finished jobs, all or those with the given ids; no path is made of an id.

    Of an evaluation whose models were attacked, it is the one that tells of the attacks too.
    """
    attacked = {path.parent.parent: path for path in runs.glob(f"*/attacked/{RESULTS_FILE}")}
    found = [attacked.get(path.parent.parent, path) for path in sorted(runs.glob(f"*/report/{RESULTS_FILE}"))]
    return [path for path in found if jobs is None or path.parent.parent.name in jobs]


def given_results(paths: Iterable[Path]) -> list[Path]:
    """The result files a user named; a folder stands for the `results.json` in it."""
    return [path / RESULTS_FILE if path.is_dir() else path for path in paths]


def imported_results(folder: Path) -> list[Path]:
    """The imported files, each once."""
    return sorted(filter(None, map(_only_file, folder.glob("*/"))))


def import_result(path: Path, folder: Path) -> Path:
    """Check a result file and keep a copy of it; a file with the same content is kept once, under its first name.

    Args:
        path: a `results.json` or an official result file; only its last part is used to name the copy.
        folder: the copy is `folder/<SHA-256 of the content>/<name>.json`.

    Returns:
        The copy.

    Raises:
        ResultError: if it is not a result file.
        StorageError: if the copy cannot be written.
    """
    try:
        count = len(read_results(path))
        digest = file_digest(path)
    except ResultError as error:
        raise ResultError(str(error).replace(str(path), path.name)) from error
    except OSError as error:
        raise ResultError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    if count > MAX_MODELS:
        raise ResultError(f"{path.name} holds {count:,} models; at most {MAX_MODELS} are taken from a file.")
    kept = _only_file(folder / digest)
    if kept is not None:
        return kept
    target = folder / digest / f"{safe_name(path.stem)}.json"
    with atomic_path(target, "The imported result") as temporary:
        shutil.copyfile(path, temporary)
    return target


def safe_name(text: str) -> str:
    """A text from a stranger as part of a file name.

    >>> safe_name("../../etc/passwd"), safe_name("<b>"), safe_name("...")
    ('etc_passwd', 'b', 'model')
    """
    return re.sub(r"[^\w.-]+", "_", text)[:_LONGEST_NAME].strip("._-") or "model"


def _only_file(folder: Path) -> Path | None:
    # A name with a dot is a copy that is being written.
    return min((path for path in folder.glob("*.json") if not path.name.startswith(".")), default=None)
