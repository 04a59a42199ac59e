"""`salmu-demo jobs`: benchmarks that survive their terminal, in the same queue folder as the app's."""

import argparse
import sys
from dataclasses import replace
from typing import Any, Final

from salmu_demo.cli.output import TerminalProgress, print_json, print_table
from salmu_demo.cli.parsing import (
    add_command,
    add_data,
    add_json,
    add_measuring,
    add_models,
    add_references,
    chosen_metrics,
    models_without_data,
    told_references,
)
from salmu_demo.core.ending import also_at_end
from salmu_demo.core.errors import JobError
from salmu_demo.core.progress import duration_words
from salmu_demo.jobs.job import Job, JobState, job_document
from salmu_demo.jobs.kinds import facts_of
from salmu_demo.jobs.kinds.benchmark import BenchmarkSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.source import name_of
from salmu_demo.results.records import MeasuredModel

_LOOK_SECONDS: Final = 0.2

_EXAMPLES = """\
  salmu-demo jobs run mini-clean mini-compromised mini-unlearned-finetune
  salmu-demo jobs run hf-hub:org/model --data org/data --estimate
  salmu-demo jobs list
  salmu-demo jobs resume Xk3
The folder is SALMU_RUNS_DIR, or salmu-demo/runs in the user's data folder. The start of an id is enough."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "jobs", "Run benchmarks as jobs that can be stopped and resumed.", _EXAMPLES)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = add_command(
        actions, "run", "Run a benchmark and wait for it.", "  salmu-demo jobs run mini-clean --sample 400"
    )
    add_models(run)
    add_references(run)
    add_data(run)
    add_measuring(run)
    run.add_argument("--estimate", action="store_true", help="only say how long it would take")
    add_json(run)
    run.set_defaults(run=_run)
    listing = add_command(actions, "list", "All jobs, the newest first.", "  salmu-demo jobs list --json")
    add_json(listing)
    listing.set_defaults(run=_list)
    for name, summary, action in (
        ("show", "How a job is, and where its files are.", _show),
        ("resume", "Run a job again from where it stopped.", _resume),
        ("cancel", "Stop a job, in whichever process it runs.", _cancel),
    ):
        one = add_command(actions, name, summary, f"  salmu-demo jobs {name} Xk3")
        one.add_argument("id", metavar="ID", help="id of the job, or its start if no other begins so")
        add_json(one)
        one.set_defaults(run=action)


def _run(options: argparse.Namespace) -> None:
    # Of several models only those without a configuration have use for it.
    named = models_without_data(options, options.models) if options.arch else []
    spec = BenchmarkSpec(
        models=tuple(options.models),
        metrics=tuple(spec.name for spec in chosen_metrics(options)),
        data=options.data,
        sample=options.sample,
        seed=options.seed,
        # Resumed from another folder it must still be found.
        imagenet=str(options.imagenet.absolute()) if options.imagenet else None,
        architectures={model.reference: model.architecture for model in named if model.architecture},
        trust_pickle=options.trust_pickle,
        told=told_references(
            options, [MeasuredModel(model, name_of(model)) for model in dict.fromkeys(options.models)]
        ),
    )
    manager = JobManager()
    if options.estimate:
        estimate = manager.estimate(spec)
        if options.json:
            print_json({**vars(estimate), "sampled": estimate.sampled and vars(estimate.sampled)})
        else:
            print(estimate.words)
        return
    _follow(manager, manager.submit(spec), options.json)


def _resume(options: argparse.Namespace) -> None:
    manager = JobManager()
    _follow(manager, manager.resume(_find(manager, options.id)), options.json)


def _list(options: argparse.Namespace) -> None:
    jobs = JobManager().jobs()
    if options.json:
        print_json([_document(job) for job in jobs])
        return
    print_table(
        ["id", "state", "done", "data", "models", "submitted"],
        [
            [job.id, job.state, f"{job.progress.fraction:.0%}" if job.progress else "-", job.spec.data,
             ", ".join(job.spec.models), job.submitted[:16]]
            for job in jobs
        ],
    )  # fmt: skip


def _show(options: argparse.Namespace) -> None:
    manager = JobManager()
    _print(manager, manager.job(_find(manager, options.id)), options.json)


def _cancel(options: argparse.Namespace) -> None:
    manager = JobManager()
    _print(manager, manager.cancel(_find(manager, options.id)), options.json)


def _find(manager: JobManager, start: str) -> str:
    """The id that begins so; raises :class:`JobError` unless there is exactly one."""
    found = [job.id for job in manager.jobs() if job.id.startswith(start)]
    if len(found) != 1:
        what = f"{len(found)} jobs have ids that begin" if found else "No job has an id that begins"
        raise JobError(f"{what} with {start!r}; see `salmu-demo jobs list`.")
    return found[0]


def _follow(manager: JobManager, job: Job, as_json: bool) -> None:
    """Show the progress of a job until it is over, then how it ended; raises :class:`JobError` unless it is done."""
    print(f"Job {job.id}", file=sys.stderr, flush=True)
    terminal = TerminalProgress()

    def stop() -> None:
        manager.close()
        state = manager.job(job.id).state
        if not state.over or state is JobState.INTERRUPTED:
            terminal.close()
            print(f"Interrupted; go on with `salmu-demo jobs resume {job.id}`.", file=sys.stderr, flush=True)

    with also_at_end(stop):
        while not (job := manager.wait(job.id, _LOOK_SECONDS)).state.over:
            if job.progress is not None:
                left = f", {duration_words(job.progress.remaining)} left" if job.progress.remaining else ""
                terminal(
                    replace(job.progress, model="", stage=f"{job.progress.fraction:.0%}{left}: {job.progress.text}")
                )
    terminal.close()
    if job.state is not JobState.DONE:
        raise JobError(job.error or f"The job {job.id} was {job.state}.")
    _print(manager, job, as_json)


def _print(manager: JobManager, job: Job, as_json: bool) -> None:
    files, model = manager.results(job)
    if as_json:
        print_json({**_document(job), "files": [str(file) for file in files]})
        return
    lines = {
        "job": job.id,
        "state": job.state,
        **facts_of(job.spec),
        "progress": job.progress and not job.state.over and f"{job.progress.fraction:.0%}, {job.progress.text}",
        "worked": f"{job.seconds:.0f} s",
        "folder": manager.folder(job.id),
        "model": model,
        "error": job.error,
    }
    for name, value in lines.items():
        if value:
            print(f"{name + ':':13}{value}")
    for failure in job.failures:
        print(f"not measured: {failure}")
    for file in files:
        print(file)


def _document(job: Job) -> dict[str, Any]:
    """A job as JSON without its owner."""
    return {name: value for name, value in job_document(job).items() if name != "owner"}
