"""Jobs as markup: every state in words, progress a screen reader can follow, and nothing of a job becomes markup."""

from dataclasses import replace

import pytest

from salmu_demo.jobs.job import Job, JobProgress, JobSpec, JobState
from salmu_demo.jobs.kinds.benchmark import BenchmarkSpec
from salmu_demo.ui.jobs.status import can_cancel, can_resume, job_list, job_panel, queue_line

HOSTILE = '<img src=x onerror="alert(1)">'
JOB = Job(
    "k3Jf0-_aZ9qLmN4tRv7wXy", BenchmarkSpec(("a", "b"), ("RetFail",)), JobState.RUNNING, "2026-01-02T03:04:05.678+00:00"
)
PROGRESS = JobProgress("a: images of forget", 640, 1536, 0.254, 182.0)


def test_every_state_has_its_own_icon_and_words():
    badges = [job_panel(replace(JOB, state=state), None).split("</p>")[0] for state in JobState]
    assert len({badge.split("</span>")[0].rsplit(">")[-1] for badge in badges}) >= len(JobState) - 1
    assert len(set(badges)) == len(JobState)


def test_progress_is_told_in_words_and_to_screen_readers():
    html = job_panel(replace(JOB, progress=PROGRESS, seconds=42.4), None)
    words = "a: images of forget, 640 of 1,536 · 0:42 elapsed · about 3 min left"
    assert f"<b>25 %</b> {words}" in html
    assert 'role="progressbar" aria-label="Benchmark" aria-valuemin="0" aria-valuemax="100" aria-valuenow="25"' in html
    assert f'aria-valuetext="{words}"' in html


def test_before_the_first_report_nothing_is_guessed():
    html = job_panel(JOB, None)
    assert "Starting · 0:00 elapsed" in html
    assert "left" not in html


@pytest.mark.parametrize(
    ("position", "words"), [(0, "Yours is next"), (1, "1 job before yours"), (2, "2 jobs before yours in the queue.")]
)
def test_a_waiting_job_tells_its_place(position, words):
    assert words in job_panel(replace(JOB, state=JobState.QUEUED), position)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (JobState.DONE, "It took 1:02:05."),
        (JobState.CANCELLED, "It was stopped after 1:02:05."),
        (JobState.FAILED, "It stopped after 1:02:05."),
        (JobState.INTERRUPTED, "The server stopped before this job was over, after 1:02:05 of work."),
    ],
)
def test_an_end_says_how_and_whether_it_can_go_on(state, words):
    html = job_panel(replace(JOB, state=state, seconds=3725), None)
    assert words in html
    assert ("Resume goes on" in html) is (state is not JobState.DONE)


def test_only_what_makes_sense_can_be_asked_of_a_job():
    states = {state: replace(JOB, state=state) for state in JobState}
    assert {s for s, job in states.items() if can_cancel(job)} == {JobState.QUEUED, JobState.RUNNING}
    stopped = {JobState.CANCELLED, JobState.FAILED, JobState.INTERRUPTED}
    assert {s for s, job in states.items() if can_resume(job)} == stopped
    assert not can_resume(replace(JOB, state=JobState.FAILED, spec=JobSpec(())))


def test_the_error_and_the_models_that_failed_are_named():
    failed = job_panel(replace(JOB, state=JobState.FAILED, error="The disk is full."), None)
    assert "The disk is full." in failed
    partly = job_panel(replace(JOB, state=JobState.DONE, failures=("b: there is no such model.",)), None)
    assert "Not every model could be measured" in partly
    assert "b: there is no such model." in partly


def test_the_list_opens_each_job_and_marks_the_open_one():
    other = replace(JOB, id="A" * 22, state=JobState.DONE, spec=replace(JOB.spec, sample=1200, seed=7))
    html = job_list([JOB, other], other.id)
    assert f'data-choice="{JOB.id}" aria-pressed="false"' in html
    assert f'data-choice="{other.id}" aria-pressed="true"' in html
    assert "2026-01-02 03:04 · 2 models, 1 metric, mini, sampled: 1,200 forget rows, seed 7" in html
    assert job_list([], None) == ""


def test_a_damaged_job_is_shown_with_its_error():
    damaged = Job(JOB.id, JobSpec(()), JobState.FAILED, "", error="The status file is damaged.")
    assert "The status file is damaged." in job_panel(damaged, None)
    assert "0 models" not in job_panel(damaged, None) + job_list([damaged], None)


def test_the_queue_is_mentioned_only_when_there_is_one():
    assert queue_line(0) == ""
    assert "1 job of other visitors is running or waiting" in queue_line(1)
    assert "3 jobs of other visitors are running or waiting" in queue_line(3)


@pytest.mark.parametrize("state", list(JobState))
def test_nothing_of_a_job_becomes_markup(state):
    spec = BenchmarkSpec((HOSTILE,), (HOSTILE,), data=HOSTILE)
    progress = replace(PROGRESS, stage=HOSTILE)
    job = Job(HOSTILE, spec, state, HOSTILE, progress=progress, error=HOSTILE, failures=(HOSTILE,))
    html = job_panel(job, 1) + job_list([job], None)
    assert "<img" not in html
    assert 'onerror="' not in html
