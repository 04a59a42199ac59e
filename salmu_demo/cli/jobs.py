"""`salmu-demo jobs`: benchmarks that survive their terminal, in the same queue folder as the app's."""

import sys
from dataclasses import replace
from typing import Annotated, Any, Final

from salmu_demo.cli import options
from salmu_demo.cli.options import Commands, argument, flag
from salmu_demo.cli.output import TerminalProgress, print_json, print_table
from salmu_demo.core.ending import also_at_end
from salmu_demo.core.errors import JobError
from salmu_demo.core.progress import duration_words
from salmu_demo.data.source import MINI
from salmu_demo.jobs.job import Job, JobState, job_document
from salmu_demo.jobs.kinds import facts_of
from salmu_demo.jobs.kinds.benchmark import BenchmarkSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.source import name_of
from salmu_demo.results.records import MeasuredModel

_LOOK_SECONDS: Final = 0.2

commands = Commands("""\
  salmu-demo jobs run mini-clean mini-compromised mini-unlearned-finetune
  salmu-demo jobs run hf-hub:org/model --data org/data --estimate
  salmu-demo jobs list
  salmu-demo jobs resume Xk3
The folder is SALMU_RUNS_DIR, or salmu-demo/runs in the user's data folder. The start of an id is enough.""")

Id = Annotated[str, argument("ID", "id of the job, or its start if no other begins so")]


@commands.add("  salmu-demo jobs run mini-clean --sample 400", "run")
def _run(
    models: options.Models,
    arch: options.Arch = None,
    trust_pickle: options.TrustPickle = False,
    clean: options.Clean = None,
    compromised: options.Compromised = None,
    gold: options.Gold = None,
    data: options.Data = MINI,
    metrics: options.Metrics = None,
    imagenet: options.ImageNet = None,
    sample: options.SampleRows = None,
    seed: options.SampleSeed = options.SAMPLE_SEED,
    ray: options.Ray = False,
    workers: options.Workers = 2,
    estimate: Annotated[bool, flag("--estimate", "only say how long it would take")] = False,
    json: options.Json = False,
) -> None:
    """Run a benchmark and wait for it."""
    options.ray_cluster(ray, workers)  # Refuses what cannot be before a job is made.
    # Of several models only those without a configuration have use for it.
    named = options.models_without_data(models, arch, trust_pickle) if arch else []
    spec = BenchmarkSpec(
        models=tuple(models),
        metrics=tuple(spec.name for spec in options.chosen_metrics(metrics, data)),
        data=data,
        sample=sample,
        seed=seed,
        # Resumed from another folder it must still be found.
        imagenet=str(imagenet.absolute()) if imagenet else None,
        architectures={model.reference: model.architecture for model in named if model.architecture},
        trust_pickle=trust_pickle,
        told=options.told_references(
            clean, compromised, gold, [MeasuredModel(model, name_of(model)) for model in dict.fromkeys(models)]
        ),
        ray_workers=workers if ray else 0,
    )
    manager = JobManager()
    if not estimate:
        _follow(manager, manager.submit(spec), json)
        return
    found = manager.estimate(spec)
    if json:
        print_json({**vars(found), "sampled": found.sampled and vars(found.sampled)})
    else:
        print(found.words)


@commands.add("  salmu-demo jobs list --json", "list")
def _list(json: options.Json = False) -> None:
    """All jobs, the newest first."""
    jobs = JobManager().jobs()
    if json:
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


@commands.add("  salmu-demo jobs show Xk3", "show")
def _show(id: Id, json: options.Json = False) -> None:
    """How a job is, and where its files are."""
    manager = JobManager()
    _print(manager, manager.job(_find(manager, id)), json)


@commands.add("  salmu-demo jobs resume Xk3", "resume")
def _resume(id: Id, json: options.Json = False) -> None:
    """Run a job again from where it stopped."""
    manager = JobManager()
    _follow(manager, manager.resume(_find(manager, id)), json)


@commands.add("  salmu-demo jobs cancel Xk3", "cancel")
def _cancel(id: Id, json: options.Json = False) -> None:
    """Stop a job, in whichever process it runs."""
    manager = JobManager()
    _print(manager, manager.cancel(_find(manager, id)), json)


def _find(manager: JobManager, start: str) -> str:
    """The id that begins so; raises `JobError` unless there is exactly one."""
    found = [job.id for job in manager.jobs() if job.id.startswith(start)]
    if len(found) != 1:
        what = f"{len(found)} jobs have ids that begin" if found else "No job has an id that begins"
        raise JobError(f"{what} with {start!r}; see `salmu-demo jobs list`.")
    return found[0]


def _follow(manager: JobManager, job: Job, as_json: bool) -> None:
    """Show the progress of a job until it is over, then how it ended; raises `JobError` unless it is done."""
    print(f"Job {job.id}", file=sys.stderr, flush=True)

    def stop() -> None:
        manager.close()
        state = manager.job(job.id).state
        if not state.over or state is JobState.INTERRUPTED:
            print(f"Interrupted; go on with `salmu-demo jobs resume {job.id}`.", file=sys.stderr, flush=True)

    with also_at_end(stop), TerminalProgress() as show:
        while not (job := manager.wait(job.id, _LOOK_SECONDS)).state.over:
            if job.progress is not None:
                left = f", {duration_words(job.progress.remaining)} left" if job.progress.remaining else ""
                show(replace(job.progress, model="", stage=f"{job.progress.fraction:.0%}{left}: {job.progress.text}"))
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
