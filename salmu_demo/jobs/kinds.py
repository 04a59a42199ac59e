"""The kinds of jobs there are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from salmu_demo.jobs.benchmark import check_benchmark, run_benchmark
from salmu_demo.jobs.estimate import Estimate, estimate_benchmark
from salmu_demo.jobs.job import BENCHMARK, UNLEARN, JobSpec, Report
from salmu_demo.jobs.unlearning import check_unlearning, estimate_unlearning, run_unlearning
from salmu_demo.workbench.bench import Workbench


@dataclass(frozen=True)
class JobKind:
    """What a kind of job does; a new kind is a new entry of :data:`KINDS`.

    Attributes:
        check: refuses a specification that makes no sense with a :class:`SalmuError`; quick, loads nothing.
        run: does the work. It leaves its files in the folder it is given, finds there what an earlier run of the same
            job has finished, reports at least once a batch, and returns one sentence for each part that could not be
            done.
        estimate: says how long the work would take.
    """

    check: Callable[[JobSpec], None]
    run: Callable[[JobSpec, Workbench, Path, Report], tuple[str, ...]]
    estimate: Callable[[JobSpec, Workbench], Estimate]


KINDS: Final = {
    BENCHMARK: JobKind(check_benchmark, run_benchmark, estimate_benchmark),
    UNLEARN: JobKind(check_unlearning, run_unlearning, estimate_unlearning),
}
