"""What a sweep runs, read from a TOML file."""

import hashlib
import itertools
import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.errors import SweepError, quoted
from salmu_demo.data.source import MINI
from salmu_demo.unlearning import DEFAULT_BUDGET
from salmu_demo.unlearning.methods import find_method
from salmu_demo.unlearning.plan import Plan
from salmu_demo.unlearning.towers import Towers

FORGETTING_METRICS: Final = ("AssocStr", "RetFail")
_KEYS: Final = {"model", "data", "seeds", "budgets", "checkpoints", "equal_forgetting", "clean", "runs"}
_RUN_KEYS: Final = {"method", "towers", "budgets", "set"}


@dataclass(frozen=True)
class EqualForgetting:
    """The level of forgetting at which methods are compared.

    Attributes:
        metric: AssocStr or RetFail.
        level: a run's first checkpoint whose value is at most this is measured.
    """

    metric: str
    level: float


@dataclass(frozen=True)
class SweepJob:
    """One run of a sweep, as plain values that can be handed to another process.

    Attributes:
        model: reference of the base model.
        data: reference of the data set.
        method: name of the method.
        settings: the hyperparameters that are set.
        towers: which towers may change.
        budget: forget pairs forward.
        seed: seed of the run.
        checkpoints: checkpoints on the way.
        equal_forgetting: where to measure on the way, or None.
    """

    model: str
    data: str
    method: str
    settings: dict[str, Any]
    towers: str
    budget: int
    seed: int
    checkpoints: int
    equal_forgetting: EqualForgetting | None

    @property
    def variant(self) -> str:
        """What runs that differ only in seed and budget have in common, for tables.

        >>> SweepJob("m", "d", "npo", {"beta": 0.1}, "image", 640, 0, 4, None).variant
        'npo (beta=0.1, towers=image)'
        """
        changes = [f"{key}={value}" for key, value in self.settings.items()]
        spec = find_method(self.method)
        if self.towers != spec.towers[0]:
            changes.append(f"towers={self.towers}")
        return f"{self.method} ({', '.join(changes)})" if changes else self.method

    @property
    def key(self) -> str:
        """Name of the run's folder: its method and a hash of everything else, hyperparameters at their defaults too.

        So a run made with former defaults is not taken for one with today's.
        """
        content = {**asdict(self), "plan": self.plan().describe()}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.method}-seed{self.seed}-{digest[:10]}"

    def plan(self) -> Plan:
        """The run's plan; raises :class:`SalmuError` for what cannot be run."""
        method = find_method(self.method).configure(self.settings)
        return Plan(
            method,
            Towers(self.towers),
            self.budget,
            self.seed,
            checkpoints=self.checkpoints,
            keep_checkpoints=self.equal_forgetting is not None,
        )


@dataclass(frozen=True)
class Sweep:
    """All runs of a sweep.

    Attributes:
        model: reference of the base model, which every table shows as Compromised.
        clean: reference of the Clean model, for targets and diagnoses; no run ever sees it.
        data: reference of the data set.
        equal_forgetting: where runs are measured on the way, or None.
        jobs: the runs, in the order of the file.
    """

    model: str
    clean: str
    data: str
    equal_forgetting: EqualForgetting | None
    jobs: tuple[SweepJob, ...]


def read_sweep(path: Path) -> Sweep:
    """Read and check a sweep.

    Raises:
        SweepError: if the file cannot be read or lacks or has a key it should not.
        SalmuError: if a run in it has an unknown method or hyperparameter, or a value out of range.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SweepError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SweepError(f"{path} is not readable TOML: {error}.") from error
    _check_keys(path, "the sweep", content, _KEYS)
    runs = content.get("runs")
    if not isinstance(runs, list) or not runs or not all(isinstance(run, dict) for run in runs):
        raise SweepError(f"{path} has no runs; add a table [[runs]] with a method.")
    equal = _equal_forgetting(path, content.get("equal_forgetting"))
    model, data = str(content.get("model", "mini-compromised")), str(content.get("data", MINI))
    clean = str(content.get("clean", "mini-clean"))
    if clean == model:
        raise SweepError(f"{path}: {quoted(model)} is both the base model and Clean; name two different models.")
    seeds = _numbers(path, "seeds", content.get("seeds", [0]))
    budgets = _numbers(path, "budgets", content.get("budgets", [DEFAULT_BUDGET]))
    checkpoints = _numbers(path, "checkpoints", [content.get("checkpoints", 8)])[0]
    jobs = []
    for run in runs:
        _check_keys(path, "a run", run, _RUN_KEYS)
        spec = find_method(str(run.get("method")))
        towers = run.get("towers", str(spec.towers[0]))
        own_budgets = _numbers(path, "budgets", run.get("budgets", budgets))
        for settings in _crossed(run.get("set", {})):
            for budget, seed in itertools.product(own_budgets, seeds):
                job = SweepJob(model, data, spec.name, settings, str(towers), budget, seed, checkpoints, equal)
                if towers not in list(Towers):
                    raise SweepError(f"{path}: towers is {towers!r}; choose one of {', '.join(Towers)}.")
                job.plan()
                jobs.append(job)
    return Sweep(model, clean, data, equal, tuple(jobs))


def _check_keys(path: Path, what: str, content: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(content) - known)
    if unknown:
        raise SweepError(f"{path}: {what} has the unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}.")


def _numbers(path: Path, key: str, value: Any) -> list[int]:
    if not isinstance(value, list) or not value or not all(type(number) is int for number in value):
        raise SweepError(f"{path}: {key} must be a list of whole numbers, such as [0, 1, 2].")
    return value


def _equal_forgetting(path: Path, value: Any) -> EqualForgetting | None:
    if value is None:
        return None
    try:
        equal = EqualForgetting(str(value["metric"]), float(value["level"]))
    except (KeyError, TypeError, ValueError) as error:
        raise SweepError(f"{path}: equal_forgetting needs a metric and a level.") from error
    if equal.metric not in FORGETTING_METRICS:
        raise SweepError(f"{path}: equal_forgetting is by {equal.metric!r}; choose {' or '.join(FORGETTING_METRICS)}.")
    return equal


def _crossed(settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of the values of hyperparameters that are given as lists."""
    values = [value if isinstance(value, list) else [value] for value in settings.values()]
    for combination in itertools.product(*values):
        yield dict(zip(settings, combination, strict=True))
