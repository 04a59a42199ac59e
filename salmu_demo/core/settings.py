"""Where things live; every folder can be moved by an environment variable."""

import os
from pathlib import Path


def assets_dir() -> Path:
    """Folder of the embedded data and models: `SALMU_ASSETS_DIR`, inside the installed package, or beside it."""
    moved = os.environ.get("SALMU_ASSETS_DIR")
    if moved:
        return Path(moved)
    package = Path(__file__).parents[1]
    return package / "assets" if (package / "assets").is_dir() else package.parent / "assets"


def cache_dir() -> Path:
    """Folder of everything that can be computed again: `SALMU_CACHE_DIR`, or `salmu-demo` in the user's cache."""
    moved = os.environ.get("SALMU_CACHE_DIR")
    if moved:
        return Path(moved)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "salmu-demo"


def on_space() -> bool:
    """Whether the app runs on a Hugging Face Space, where strangers use it."""
    return bool(os.environ.get("SPACE_ID"))


def runs_dir() -> Path:
    """Folder of the jobs and their results: `SALMU_RUNS_DIR`, or `salmu-demo/runs` in the user's data folder."""
    moved = os.environ.get("SALMU_RUNS_DIR")
    if moved:
        return Path(moved)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "salmu-demo" / "runs"


def leaderboard_dir(runs: Path) -> Path:
    """Folder of the result files that were imported: `leaderboard`, beside the folder of the jobs."""
    return runs.parent / "leaderboard"


def imports_dir() -> Path:
    """Folder of the data sets that were imported in the page: `imports`, beside the folder of the jobs."""
    return runs_dir().parent / "imports"
