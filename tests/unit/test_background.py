import logging
import threading

import pytest

from salmu_demo.background import FAULT, BackgroundRun, BusyError, Runner, State
from salmu_demo.errors import QueryError

TIMEOUT = 10


def test_a_run_ends_with_its_result_and_latest_report():
    def work(report):
        report(1)
        report(2)
        return "done"

    status = BackgroundRun(work).wait(TIMEOUT)
    assert (status.state, status.result, status.progress, status.error) == (State.FINISHED, "done", 2, None)
    assert status.over
    assert status.seconds >= 0


def test_reports_are_seen_while_it_runs_and_time_stops_at_the_end():
    reported, go_on = threading.Event(), threading.Event()

    def work(report):
        report("half")
        reported.set()
        go_on.wait(TIMEOUT)

    run = BackgroundRun(work)
    assert reported.wait(TIMEOUT)
    assert (run.status().state, run.status().progress, run.status().over) == (State.RUNNING, "half", False)
    go_on.set()
    ended = run.wait(TIMEOUT)
    assert run.status().seconds == ended.seconds


def test_an_error_of_the_user_becomes_its_sentence():
    def work(report):
        raise QueryError("Choose a model.")

    status = BackgroundRun(work).wait(TIMEOUT)
    assert (status.state, status.error, status.result) == (State.FAILED, "Choose a model.", None)


def test_a_fault_of_ours_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture):
    def work(report):
        raise ZeroDivisionError("secret detail")

    with caplog.at_level(logging.ERROR):
        status = BackgroundRun(work).wait(TIMEOUT)
    assert (status.state, status.error) == (State.FAILED, FAULT)
    assert "secret detail" in caplog.text


def test_a_cancelled_run_stops_at_its_next_report():
    started, asked = threading.Event(), threading.Event()
    batches = []

    def work(report):
        for batch in range(100):
            report(batch)
            started.set()
            asked.wait(TIMEOUT)
            batches.append(batch)

    run = BackgroundRun(work)
    assert started.wait(TIMEOUT)
    run.cancel()
    assert run.status().state is State.CANCELLING
    asked.set()
    status = run.wait(TIMEOUT)
    assert (status.state, status.result, status.error) == (State.CANCELLED, None, None)
    assert batches == [0]


def test_cancelling_after_the_end_changes_nothing():
    run = BackgroundRun(lambda report: 1)
    run.wait(TIMEOUT)
    run.cancel()
    assert run.status().state is State.FINISHED


def test_one_run_at_a_time_and_the_latest_is_found_again():
    runner = Runner()
    assert runner.latest is None
    go_on = threading.Event()
    first = runner.start(lambda report: go_on.wait(TIMEOUT))
    with pytest.raises(BusyError, match="Another benchmark is running"):
        runner.start(lambda report: None)
    assert runner.latest is first
    go_on.set()
    first.wait(TIMEOUT)
    second = runner.start(lambda report: None)
    assert runner.latest is second
    assert second.id != first.id
    second.wait(TIMEOUT)
