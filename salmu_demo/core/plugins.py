"""Metrics and unlearning methods from outside: entry points of installed packages, and files of one's own.

A plug-in is a module that registers what it defines when it is imported, as the modules of this package do.
"""

import hashlib
import importlib.util
import os
import sys
import threading
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

from salmu_demo.core.errors import PluginError, SalmuError

METRICS: Final = "salmu_demo.metrics"
METHODS: Final = "salmu_demo.methods"
ATTACKS: Final = "salmu_demo.attacks"
"""The entry-point groups."""

VARIABLE: Final = "SALMU_PLUGINS"
"""Environment variable of files to load, separated as those of `PATH`; it hands files on to subprocesses."""

_lock: Final = threading.RLock()
LOADED: Final[set[str]] = set()
SEARCHED: Final[set[str]] = set()


def load_plugins(files: Sequence[Path] = ()) -> None:
    """Import plug-in files, each once, and those that `VARIABLE` names; subprocesses will import them too.

    Entry points are imported by the registries when they are first asked, see `load_entry_points`, so that a
    command which lists metrics does not wait for the libraries of a method.

    Raises:
        PluginError: if a file is missing or fails.
    """
    with _lock:
        named = [*map(Path, filter(None, os.environ.get(VARIABLE, "").split(os.pathsep))), *files]
        paths = list(dict.fromkeys(file.expanduser().resolve() for file in named))
        for path in paths:
            _load_file(path)
        if files:
            os.environ[VARIABLE] = os.pathsep.join(map(str, paths))


def load_entry_points(group: str) -> None:
    """Import the plug-ins of an entry-point group, and the files that `VARIABLE` names, once.

    Raises:
        PluginError: if one fails.
    """
    with _lock:
        if group in SEARCHED:
            return
        # At once: a plug-in may ask the registry that is being filled.
        SEARCHED.add(group)
        try:
            load_plugins()
            for point in entry_points(group=group):
                _load_entry_point(point)
        except PluginError:
            SEARCHED.discard(group)
            raise


def outside_code(kind: type) -> str:
    """Digest of the code of a plug-in's class, by which its results are kept; an empty text for our own classes.

    Of a package all its modules count, of a single file that file.
    """
    return outside_digest(kind.__module__) if is_outside(kind.__module__) else ""


@cache
def outside_digest(module: str) -> str:
    """Digest of the package or file that a module from outside belongs to, as it is when it is first asked for."""
    package = sys.modules.get(module.partition(".")[0])
    folders = [Path(folder) for folder in getattr(package, "__path__", [])]
    file = getattr(sys.modules.get(module), "__file__", None)
    sources = sorted({path for folder in folders for path in folder.rglob("*.py")} | ({Path(file)} if file else set()))
    digest = hashlib.sha256(module.encode())
    for source in sources:
        digest.update(f"\0{source.name}\0".encode() + source.read_bytes())
    return digest.hexdigest()


def is_outside(module: str) -> bool:
    """Whether a module is not one of this package."""
    return not module.startswith("salmu_demo.")


def _load_entry_point(point: EntryPoint) -> None:
    try:
        point.load()
    except Exception as error:
        owner = point.dist.name if point.dist else point.value
        raise PluginError(
            f"The plug-in {point.name} of the package {owner} cannot be loaded: {_words(error)}."
        ) from error


def _load_file(path: Path) -> None:
    if str(path) in LOADED:
        return
    if not path.is_file():
        raise PluginError(f"The plug-in {path} is not a file; give a Python file.")
    # Two files of one name are two modules, and a file is the same module in every process.
    name = f"salmu_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"The plug-in {path} is not a Python file; its name must end in .py.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    LOADED.add(str(path))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        LOADED.discard(str(path))
        del sys.modules[name]
        raise PluginError(f"The plug-in {path} cannot be loaded: {_words(error)}.") from error


def _words(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0].rstrip(".")
    return text if isinstance(error, SalmuError) else f"{type(error).__name__}{f': {text}' if text else ''}"
