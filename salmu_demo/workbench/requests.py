"""Models that are the product of forget requests, one after another: which comes from which, and what it did."""

from collections.abc import Sequence
from contextlib import suppress

from salmu_demo.core.errors import QueryError, SalmuError
from salmu_demo.core.progress import ProgressCallback, ignore_progress
from salmu_demo.data.forget_requests import find_requests
from salmu_demo.models.lineage import Rounds, base_of, rounds_of
from salmu_demo.models.made import MADE
from salmu_demo.models.names import distinct_names
from salmu_demo.models.roles import NOTHING_TOLD, Told
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.persistence import Persistence, persistence
from salmu_demo.workbench.bench import Workbench


def follow_requests(
    bench: Workbench,
    models: Sequence[ModelSource],
    told: Told = NOTHING_TOLD,
    progress: ProgressCallback = ignore_progress,
) -> Persistence:
    """Follow requests through the runs that were asked for them.

    Args:
        bench: the data and the models found so far.
        models: the model that the first run started from and the result of each run, in any order. Others are controls
            of the audits.
        told: which models the user says are the references.
        progress: called often with a `Progress`.

    Raises:
        QueryError: if none of the models was asked to forget anybody, one that another was made from is missing, or the
            models are of several lines of runs.
    """
    line, rounds = line_of_runs(models, bench.data.fingerprint)
    for model in models:
        bench.warm_audit(model, progress)
    every = bench.matrices(models, told)
    by_fingerprint = {matrix.model.fingerprint: matrix for matrix in every}
    asked = [find_requests(bench.data, each) for each in rounds]
    return persistence([by_fingerprint[model.fingerprint] for model in line], asked)


def line_before(model: ModelSource, known: Sequence[ModelSource]) -> list[ModelSource]:
    """The models that one was made from, one from another, as far as they are known; the first is the last of them."""
    by_fingerprint = {each.fingerprint: each for each in known}
    line: list[ModelSource] = []
    while (base := base_of(line[-1] if line else model)) is not None and base.fingerprint in by_fingerprint:
        # A record may come from anybody, and name a model that was made from its own.
        line.append(by_fingerprint.pop(base.fingerprint))
    return line


def next_run(bench: Workbench, asked: Sequence[str], base: str, listed: Sequence[str]) -> tuple[str, list[str]]:
    """What to start the next run from, and what of the requests is new to it.

    It goes on from the last model that a job made for some of the people who ask, if there is something new, and `base`
    is still what that one was made from.

    Args:
        bench: the data and the models found so far.
        asked: the requests, as they are written.
        base: reference of the model that is chosen to start from.
        listed: references of the models there are, the last made last.
    """
    for reference in reversed([reference for reference in listed if reference.startswith(MADE)]):
        with suppress(SalmuError):  # What is gone is nothing to go on from.
            last, chosen = (bench.models([each])[0] for each in (reference, base))
            before = [request for each in rounds_of(last, bench.data.fingerprint) or () for request in each]
            if not before:
                continue
            new = [each for each in asked if each not in before and each.partition(":")[0] not in before]
            same = {each.partition(":")[0] for each in asked} & {each.partition(":")[0] for each in before}
            made_from = base_of(last)
            goes_on = new and same and made_from and made_from.fingerprint == chosen.fingerprint
            return (reference, new) if goes_on else (base, list(asked))
    return base, list(asked)


def line_of_runs(models: Sequence[ModelSource], data: str) -> tuple[list[ModelSource], Rounds]:
    """The models in the order they were made in, and what each but the first was asked for.

    Args:
        models: some models, in any order.
        data: fingerprint of the data set.

    Raises:
        QueryError: see `follow_requests`.
    """
    names = dict(zip((model.fingerprint for model in models), distinct_names(models), strict=True))
    known = {model.fingerprint: model for model in models}
    found = {model.fingerprint: rounds for model in models if (rounds := rounds_of(model, data))}
    bases = {fingerprint: base for fingerprint in found if (base := base_of(known[fingerprint])) is not None}
    ends = [
        fingerprint
        for fingerprint in found
        if any(found[fingerprint]) and fingerprint not in {base.fingerprint for base in bases.values()}
    ]
    if not ends:
        raise QueryError(
            "None of these models has a record of requests on this data; name one that `unlearn --forget` made, and "
            "the model that it was made from."
        )
    if len(ends) > 1:
        several = " and ".join(names[fingerprint] for fingerprint in ends)
        raise QueryError(f"{several} are not made one from another; name the models of one line of requests.")
    line, rounds = [known[ends[0]]], found[ends[0]]
    # As long as there is a record, and never beyond the runs that the last one tells of, which may be anybody's.
    while line[0].fingerprint in bases and len(line) <= len(rounds):
        last, base = line[0].fingerprint, bases[line[0].fingerprint]
        if base.fingerprint not in known:
            raise QueryError(
                f"{names[last]} was made from {base.name} (SHA-256 {base.fingerprint}), which is not among these "
                "models; name it with them."
            )
        line.insert(0, known[base.fingerprint])
    return line, rounds[len(rounds) - len(line) + 1 :]
