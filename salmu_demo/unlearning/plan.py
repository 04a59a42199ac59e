"""The plan of a run: method, budget, stop rules and seed."""

import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any, Final

from salmu_demo.core.errors import QueryError
from salmu_demo.core.files import code_digest
from salmu_demo.core.plugins import outside_code
from salmu_demo.features.store import encoding_key
from salmu_demo.unlearning import DEFAULT_BUDGET, UNRELATED, LoRA, Modality, Towers, find_modality, find_towers
from salmu_demo.unlearning.methods import Form, Method, Need, SteppedMethod, find_method
from salmu_demo.unlearning.rows import UnlearningRows

_METHODS: Final = "salmu_demo.unlearning.methods."


@dataclass(frozen=True)
class StopRules:
    """Rules that end a run before its budget is spent; checked at every checkpoint.

    Attributes:
        forget_level: stop once the probe's forget similarity, or probability, is at most this. "unrelated" means the
            level that unrelated pairs, or texts, have in the original. A number is an oracle, because it can only come
            from a Clean model or from holdout rows; cards report it.
        retain_drop: stop once the probe's retain similarity, or probability, has fallen from that of the first reading
            by this share of it, or of `LEAST_START` where it began below that.
    """

    forget_level: str | float | None = None
    retain_drop: float | None = None

    def __post_init__(self) -> None:
        """Reject an invalid level or share; raises `QueryError`."""
        level = self.forget_level
        if isinstance(level, str):
            if level != UNRELATED:
                raise QueryError(f"The level to stop at is {level!r}; it must be {UNRELATED!r} or a cosine.")
        elif level is not None and not -1 <= level <= 1:
            raise QueryError(f"The level to stop at is {level}; it must be a cosine, -1 to 1.")
        if self.retain_drop is not None and not 0 < self.retain_drop <= 1:
            raise QueryError(f"The drop to stop at is {self.retain_drop}; it must be a share, above 0 and at most 1.")

    @property
    def oracle(self) -> float | None:
        """The level if it is oracle information, otherwise None."""
        return None if self.forget_level is None or isinstance(self.forget_level, str) else float(self.forget_level)


@dataclass(frozen=True)
class UnlearningPlan:
    """A method and how to run it.

    Attributes:
        method: the method with its hyperparameters.
        towers: which towers may change.
        budget: forget pairs, or texts, that go forward through the model, the unit in which methods compare; a method
            without forget pairs takes as many retain pairs.
        seed: random seed.
        stop: when to stop early.
        checkpoints: number of readings and resumable states on the way; the last one is the result.
        keep_checkpoints: whether each checkpoint is also kept as a model.
        keep_best: whether the result is the best checkpoint, see `training_metrics.best_reading`, and not the last.
        modality: which rows of CLEAR the run works on; None for a run by SALMUBench's rule.
    """

    method: Method
    towers: Towers = Towers.BOTH
    budget: int = DEFAULT_BUDGET
    seed: int = 0
    stop: StopRules = field(default_factory=StopRules)
    checkpoints: int = 8
    keep_checkpoints: bool = False
    keep_best: bool = False
    modality: Modality | None = None

    def __post_init__(self) -> None:
        """Reject a plan that cannot be run; raises `QueryError`."""
        spec = self.method.spec
        if self.modality not in (spec.modalities or (None,)):
            raise QueryError(f"The {spec.form} form of {spec.name} does not work on the modality {self.modality}.")
        if self.towers not in spec.towers:
            allowed = ", ".join(spec.towers)
            raise QueryError(f"{spec.name} cannot be told to change the towers {self.towers}; choose {allowed}.")
        if self.budget < self.method.batch_size:
            raise QueryError(f"A budget of {self.budget} is less than one batch of {self.method.batch_size}; raise it.")
        if self.checkpoints < 1:
            raise QueryError(f"{self.checkpoints} checkpoints are too few; choose at least 1.")
        if self.seed < 0:
            raise QueryError(f"The seed is {self.seed}; choose 0 or more.")
        if spec.is_one_shot and self.stop != StopRules():
            raise QueryError(f"{spec.name} edits the model once and cannot stop early; leave the stop rules out.")
        if spec.is_one_shot and self.keep_best:
            raise QueryError(f"{spec.name} edits the model once and has no checkpoints; do not keep the best.")

    @property
    def lora(self) -> LoRA | None:
        """The changes to train in place of the weights, or None."""
        return self.method.lora(self.seed) if isinstance(self.method, SteppedMethod) else None

    def check(self, rows: UnlearningRows) -> None:
        """Reject rows that lack what the method needs; raises `QueryError`."""
        if Need.GENERIC in self.method.needs and rows.generic is None:
            raise QueryError(
                f"{self.method.spec.name} needs a generic caption of every forget image, and {rows.data} lacks some; "
                "choose another method or add them to sensitive_set_generic_captions.json."
            )
        if rows.asked.requests and Need.PEOPLE in self.method.needs:
            pairs = Counter(identity for part in rows.forget for identity in part.split.identities)
            if 2 * max(pairs.values()) > rows.forget_count:
                raise QueryError(
                    f"{self.method.spec.name} sets the people to forget against each other, and most pairs asked for "
                    "are of one person; choose another method, or name more people."
                )

    def to_forget(self, rows: UnlearningRows) -> int:
        """How many pairs, or texts, the method is given to forget."""
        return rows.forget_texts if self.method.spec.form is Form.GENERATIVE else rows.forget_count

    def steps(self, forget_rows: int) -> int:
        """Number of steps that spend the budget."""
        return self.budget // min(self.method.batch_size, forget_rows)

    def steps_between(self, steps: int) -> int:
        """Number of steps between checkpoints."""
        return math.ceil(steps / self.checkpoints)

    def readings(self, steps: int) -> int:
        """Number of readings, including the one before the first step."""
        return 2 if self.method.spec.is_one_shot else 1 + math.ceil(steps / self.steps_between(steps))

    def describe(self) -> dict[str, Any]:
        """The plan as plain data, for cards and files."""
        return {
            "method": self.method.spec.name,
            "hyperparameters": {entry.name: getattr(self.method, entry.name) for entry in fields(self.method)},
            "towers": str(self.towers),
            "budget": self.budget,
            "seed": self.seed,
            "stop": asdict(self.stop),
            "oracle_level": self.stop.oracle,
            "checkpoints": self.checkpoints,
            "keep_best": self.keep_best,
            # Runs without one have the same keys as ever.
            **({} if self.modality is None else {"modality": str(self.modality)}),
        }

    def key(self, base: str, data: str) -> str:
        """Digest of everything the weights depend on; an interrupted run is only resumed with the same one."""
        by = encoding_key() + code_of(type(self.method))
        content = {**self.describe(), "base": base, "data": data, "by": by}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def code_of(method: type[Method]) -> str:
    """Digest of the code that decides weights and readings, leaving out other methods."""
    module = sys.modules[method.__module__]
    used = {getattr(value, "__module__", "") for value in vars(module).values()} | {module.__name__}
    own = [f"{name.removeprefix('salmu_demo.').replace('.', '/')}.py" for name in used if name.startswith(_METHODS)]
    shared = (
        "data/*.py", "models/captioner.py", "models/optimisation.py", "metrics/clear_protocol.py",
        "metrics/protocol.py", "metrics/ranking.py", "unlearning/*.py",
    )  # fmt: skip
    return code_digest((*shared, *own), ("numpy",)) + outside_code(method)


def make_plan(
    method: str,
    settings: Mapping[str, str | float],
    towers: str | None = None,
    budget: int | None = None,
    seed: int = 0,
    stop: StopRules | None = None,
    keep_checkpoints: bool = False,
    keep_best: bool = False,
    modality: str | None = None,
) -> UnlearningPlan:
    """Make a plan from a method's name and hyperparameters; towers and budget default to the method's.

    The modality decides which form of the method it is.

    Raises:
        QueryError: if there is no such method, or a value is unknown or out of range.
    """
    chosen = find_modality(modality)
    spec = find_method(method, chosen)
    return UnlearningPlan(
        spec.configure(settings),
        spec.towers[0] if towers is None else find_towers(towers),
        spec.budget if budget is None else budget,
        seed,
        stop or StopRules(),
        keep_checkpoints=keep_checkpoints,
        keep_best=keep_best,
        modality=chosen,
    )
