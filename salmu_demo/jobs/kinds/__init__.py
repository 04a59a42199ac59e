"""The kinds of jobs, one module each; a module in this folder is found and registered automatically.

The functions here describe any job, also one whose kind is unknown because it is damaged or not installed.
"""

from importlib import import_module
from pkgutil import iter_modules

from salmu_demo.jobs.job import KINDS, JobKind, JobSpec

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["KINDS", "facts_of", "failed_of", "title_of", "words_of"]


def title_of(spec: JobSpec) -> str:
    """Title of a job's kind."""
    return KINDS[spec.kind].title if spec.kind in KINDS else "Unknown"


def words_of(spec: JobSpec) -> str:
    """What a job does in a few words, or an empty string."""
    return KINDS[spec.kind].words(spec) if spec.kind in KINDS else ""


def facts_of(spec: JobSpec) -> dict[str, str | None]:
    """What the command line says about a job; see `JobKind.facts`."""
    return KINDS[spec.kind].facts(spec) if spec.kind in KINDS else {"models": ", ".join(spec.models), "data": spec.data}


def failed_of(spec: JobSpec) -> str:
    """What introduces the failures of a job."""
    return KINDS[spec.kind].failed if spec.kind in KINDS else JobKind.failed
