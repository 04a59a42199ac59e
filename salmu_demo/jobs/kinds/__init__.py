"""The kinds of jobs, one module each; a module put here is registered by itself.

Whoever shows a job asks here for the words of its kind, which may be unknown: a damaged job has forgotten its own.
"""

from importlib import import_module
from pkgutil import iter_modules

from salmu_demo.jobs.job import KINDS, JobKind, JobSpec

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["KINDS", "facts_of", "failed_of", "title_of", "words_of"]


def title_of(spec: JobSpec) -> str:
    """The kind of a job for people."""
    return KINDS[spec.kind].title if spec.kind in KINDS else "Unknown"


def words_of(spec: JobSpec) -> str:
    """What a job does, in a few words."""
    return KINDS[spec.kind].words(spec) if spec.kind in KINDS else ""


def facts_of(spec: JobSpec) -> dict[str, str | None]:
    """What a job is asked for, as lines; see :meth:`JobKind.facts`."""
    return KINDS[spec.kind].facts(spec) if spec.kind in KINDS else {"models": ", ".join(spec.models), "data": spec.data}


def failed_of(spec: JobSpec) -> str:
    """What is said before the failures of a job."""
    return KINDS[spec.kind].failed if spec.kind in KINDS else JobKind.failed
