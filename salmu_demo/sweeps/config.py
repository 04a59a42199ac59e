"""The runs of a sweep, read from a TOML file."""

import hashlib
import itertools
import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from salmu_demo.attacks.base import choose_attacks
from salmu_demo.core.documents import MismatchError, parse_model
from salmu_demo.core.errors import SweepError, quoted
from salmu_demo.data.source import MINI, benchmark_of
from salmu_demo.unlearning import DEFAULT_BUDGET, Modality, Towers
from salmu_demo.unlearning.methods import find_method
from salmu_demo.unlearning.plan import UnlearningPlan

_Numbers = Annotated[list[int], Field(min_length=1)]
_Modalities = Annotated[list[Modality], Field(min_length=1)]
_Setting = int | float | str

_NO_MODALITY: Final[Sequence[Modality | None]] = (None,)

DEFAULT_CLEAN: Final = "mini-clean"
"""The Clean model of a sweep by SALMUBench's rule that names none."""


@dataclass(frozen=True)
class EqualForgetting:
    """Level of forgetting at which methods are compared.

    Attributes:
        metric: AssocStr or RetFail.
        level: a run's first checkpoint whose value is at most this is measured.
    """

    metric: Literal["AssocStr", "RetFail"]
    level: FiniteFloat


@dataclass(frozen=True)
class SweepJob:
    """One run of a sweep, as plain values that can be sent to another process.

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
        attacks: names of the attacks on the result.
        clean: reference of the Clean model that attacks are compared with; no run ever sees it.
        gold: reference of the model retrained without the pairs to forget, for attacks and for CLEAR's measures; empty
            without one.
        modality: rows of CLEAR that the run works on; empty for a run by SALMUBench's rule.
    """

    model: str
    data: str
    method: str
    settings: dict[str, _Setting]
    towers: str
    budget: int
    seed: int
    checkpoints: int
    equal_forgetting: EqualForgetting | None
    attacks: tuple[str, ...] = ()
    clean: str = ""
    gold: str = ""
    modality: str = ""

    @property
    def variant(self) -> str:
        """Name in tables of all runs that differ only in seed and budget.

        >>> SweepJob("m", "d", "npo", {"beta": 0.1}, "image", 640, 0, 4, None).variant
        'npo (beta=0.1, towers=image)'
        """
        changes = [f"{key}={value}" for key, value in self.settings.items()]
        spec = find_method(self.method, self._modality)
        if self.modality:
            changes.append(f"modality={self.modality}")
        if self.towers != spec.towers[0]:
            changes.append(f"towers={self.towers}")
        return f"{self.method} ({', '.join(changes)})" if changes else self.method

    @property
    def key(self) -> str:
        """Name of the run's folder: its method and a hash of everything else, including default hyperparameters.

        So a run with other defaults of an earlier version is another run. Attacks change nothing of it: a model that
        is there already can be attacked afterwards.
        """
        apart = ("attacks", "clean", "gold") if self.modality else ("attacks", "clean", "gold", "modality")
        settings = {name: value for name, value in asdict(self).items() if name not in apart}
        content = {**settings, "plan": self.plan().describe()}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.method}-seed{self.seed}-{digest[:10]}"

    def plan(self) -> UnlearningPlan:
        """The run's plan; raises `SalmuError` if it cannot be run."""
        method = find_method(self.method, self._modality).configure(self.settings)
        return UnlearningPlan(
            method,
            Towers(self.towers),
            self.budget,
            self.seed,
            checkpoints=self.checkpoints,
            keep_checkpoints=self.equal_forgetting is not None,
            modality=self._modality,
        )

    @property
    def _modality(self) -> Modality | None:
        return Modality(self.modality) if self.modality else None


@dataclass(frozen=True)
class Sweep:
    """All runs of a sweep.

    Attributes:
        model: reference of the base model, which every table shows as Compromised.
        clean: reference of the Clean model, for targets and diagnoses; no run ever sees it. Empty on CLEAR, which has
            none.
        gold: reference of a model retrained without the pairs to forget, for diagnoses and CLEAR's measures; empty
            without one.
        data: reference of the data set.
        equal_forgetting: where runs are measured on the way, or None.
        attacks: names of the attacks on every result; none if it says nothing of them.
        jobs: the runs, in the order of the file.
    """

    model: str
    clean: str
    gold: str
    data: str
    equal_forgetting: EqualForgetting | None
    attacks: tuple[str, ...]
    jobs: tuple[SweepJob, ...]


class _RunTable(BaseModel):
    """A table `[[runs]]` of the file."""

    model_config = ConfigDict(extra="forbid")

    method: str
    towers: Towers | None = None
    budgets: _Numbers | None = None
    modalities: _Modalities | None = None
    set: dict[str, _Setting | list[_Setting]] = {}


class _SweepFile(BaseModel):
    """Content of a sweep's file."""

    model_config = ConfigDict(extra="forbid")

    model: str = "mini-compromised"
    data: str = MINI
    clean: str | None = None
    gold: str = ""
    seeds: _Numbers = [0]
    budgets: _Numbers = [DEFAULT_BUDGET]
    modalities: _Modalities | None = None
    checkpoints: int = 8
    equal_forgetting: EqualForgetting | None = None
    attacks: list[str] = []
    runs: list[_RunTable] = []


def read_sweep(path: Path) -> Sweep:
    """Read and check a sweep.

    Raises:
        SweepError: if the file cannot be read, or a key is missing, unknown or has a wrong value.
        SalmuError: if a run in it has an unknown method or hyperparameter, or a value out of range, or an attack is
            unknown.
    """
    try:
        # No key takes the types that TOML has and JSON lacks, which are dates and times.
        file = parse_model(json.dumps(tomllib.loads(path.read_text("utf-8")), default=str), _SweepFile)
    except OSError as error:
        raise SweepError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SweepError(f"{path} is not readable TOML: {error}.") from error
    except MismatchError as error:
        raise SweepError(f"{path}: {error}.") from error
    if not file.runs:
        raise SweepError(f"{path} has no runs; add a table [[runs]] with a method.")
    on_clear = benchmark_of(file.data) == "CLEAR"
    clean = ("" if on_clear else DEFAULT_CLEAN) if file.clean is None else file.clean
    named = {"the base model": file.model, "Clean": clean, "Gold": file.gold}
    for (first, one), (second, other) in itertools.combinations(named.items(), 2):
        if one and one == other:
            raise SweepError(f"{path}: {quoted(one)} is both {first} and {second}; name two different models.")
    attacks = tuple(attack.name for attack in choose_attacks(file.attacks)) if file.attacks else ()
    if attacks and not clean:
        raise SweepError(f"{path} names attacks, whose control is a Clean model, and no Clean; leave the attacks out.")
    equal, jobs = file.equal_forgetting, []
    gold = file.gold if attacks or on_clear else ""
    for run in file.runs:
        for modality, settings, budget, seed in itertools.product(
            run.modalities or file.modalities or _NO_MODALITY,
            _crossed(run.set),
            run.budgets or file.budgets,
            file.seeds,
        ):
            method = find_method(run.method, modality)
            towers = str(run.towers or method.towers[0])
            job = SweepJob(
                file.model, file.data, method.name, settings, towers, budget, seed, file.checkpoints, equal, attacks,
                clean if attacks else "", gold, str(modality or ""),
            )  # fmt: skip
            job.plan()
            jobs.append(job)
    return Sweep(file.model, clean, file.gold, file.data, equal, attacks, tuple(jobs))


def _crossed(settings: dict[str, _Setting | list[_Setting]]) -> Iterator[dict[str, _Setting]]:
    """All combinations of the hyperparameters that are given as lists."""
    values = [value if isinstance(value, list) else [value] for value in settings.values()]
    for combination in itertools.product(*values):
        yield dict(zip(settings, combination, strict=True))
