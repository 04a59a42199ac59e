"""The part of the Benchmark tab that follows a job: progress, cancel, resume, link, and the visitor's other jobs."""

from dataclasses import dataclass, replace
from typing import Any, Final

import gradio as gr

from salmu_demo.jobs.manager import JobManager
from salmu_demo.ui import benchmark_text as text
from salmu_demo.ui.benchmark_page import BenchmarkPages, JobPage, own_ids
from salmu_demo.ui.messages import shows_errors
from salmu_demo.ui.state import JOB_TAB, View, is_job_id
from salmu_demo.ui.widgets import choices, chosen, markup

POLL_SECONDS: Final = 1.0

_JOB_LINK: Final = "(id) => id ? `${window.location.origin}${window.location.pathname}?job=${id}` : ''"
_QUIET: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
# Not queued: these must not wait behind anyone's search. They read a few fields, so they may be called freely.
_AT_ONCE: Final[dict[str, Any]] = {**_QUIET, "queue": False}


@dataclass(frozen=True)
class VisitorJobs:
    """What is known of a visitor's jobs, outside of all tabs so that it is there whichever tab opens first.

    Attributes:
        own: ids of the jobs this browser started, the newest first.
        shown: id of the job that is shown, or an empty text.
        finished: the same, if that job has results.
    """

    own: gr.BrowserState
    shown: gr.Textbox
    finished: gr.Textbox


def visitor_jobs() -> VisitorJobs:
    """Build the components into the current Blocks context."""
    return VisitorJobs(
        # A fixed key and secret: with random ones a restarted server would not find what it had stored.
        own=gr.BrowserState([], storage_key="salmu-demo-jobs", secret="salmu-demo"),
        shown=gr.Textbox(visible="hidden", label="Job shown", elem_id="job-shown"),
        finished=gr.Textbox(visible="hidden", label="Job with results", elem_id="job-finished"),
    )


@dataclass(frozen=True)
class JobArea:
    """Components that depend on the visitor's jobs."""

    visitor: VisitorJobs
    queue: gr.HTML
    panel: gr.HTML
    estimate: gr.HTML
    buttons: gr.Row
    cancel: gr.Button
    resume: gr.Button
    link: gr.Textbox
    link_box: gr.Accordion
    jobs: gr.HTML
    jobs_box: gr.Accordion
    timer: gr.Timer

    @property
    def outputs(self) -> list[Any]:
        """Everything :meth:`show` may change."""
        return [self.visitor.shown, self.visitor.finished, self.queue, self.panel, self.estimate, self.buttons,
                self.cancel, self.resume, self.link_box, self.jobs, self.jobs_box, self.timer]  # fmt: skip

    def show(self, page: JobPage, estimate: str = "") -> dict[Any, Any]:
        """Changes that bring the components to a page; `estimate` is what was said before the job started."""
        return {
            self.visitor.shown: page.job_id,
            self.visitor.finished: page.finished,
            self.queue: page.queue,
            self.panel: page.panel,
            self.estimate: estimate,
            self.buttons: gr.Row(visible=page.can_cancel or page.can_resume),
            self.cancel: gr.Button(visible=page.can_cancel),
            self.resume: gr.Button(visible=page.can_resume),
            self.link_box: gr.Accordion(visible=bool(page.job_id)),
            self.jobs: page.jobs,
            self.jobs_box: gr.Accordion(visible=bool(page.jobs)),
            self.timer: gr.Timer(active=page.polling),
        }


def job_area(visitor: VisitorJobs) -> JobArea:
    """Build the components into the current Blocks context."""
    queue = markup(elem_id="queue")
    panel = markup(elem_id="job")
    estimate = markup(elem_id="job-estimate")
    with gr.Row(visible=False, elem_id="job-buttons") as buttons:
        cancel = gr.Button("Cancel", variant="stop", size="md", visible=False, elem_id="job-cancel")
        resume = gr.Button("Resume", variant="primary", size="md", visible=False, elem_id="job-resume")
    with gr.Row(elem_id="job-extras"):
        with gr.Accordion("Link to this job", open=False, visible=False, elem_id="job-share") as link_box:
            link = gr.Textbox(
                label="Link",
                info=text.LINK,
                interactive=False,
                buttons=["copy"],
                max_lines=2,
                elem_id="job-link",
            )
        with gr.Accordion("Your jobs", open=False, visible=False, elem_id="own-jobs") as jobs_box:
            jobs = choices()
    timer = gr.Timer(POLL_SECONDS, active=False)
    return JobArea(visitor, queue, panel, estimate, buttons, cancel, resume, link, link_box, jobs, jobs_box, timer)


@dataclass(frozen=True)
class Opening:
    """The handler that shows a visitor's job when the tab is opened, for the shell to chain, and its components."""

    open: Any
    inputs: list[Any]
    outputs: list[Any]


def connect_jobs(manager: JobManager, pages: BenchmarkPages, area: JobArea, view: gr.State) -> Opening:
    """Connect the events of the components; `view` is the state that holds the :class:`View`."""
    # Not the view but the browser says which job is shown: a page that was open while the server was started anew has
    # lost its view, and finds its job all the same.
    shown, own_state = area.visitor.shown, area.visitor.own

    def show(job_id: str, own: Any) -> dict[Any, Any]:
        return area.show(pages.page(job_id or None, own_ids(own)))

    def open_tab(seen: View, own: Any) -> dict[Any, Any]:
        if seen.tab != JOB_TAB:
            return {view: gr.skip()}
        page = pages.page(seen.job, own_ids(own), latest=True)
        return {view: replace(seen, job=page.job_id or None), **area.show(page)}

    def look(job_id: str, own: Any) -> dict[Any, Any]:
        panel = pages.progress(job_id)
        # While a job goes on, a poll sends its progress only.
        return show(job_id, own) if panel is None else {area.panel: panel}

    @shows_errors
    def cancel(job_id: str, own: Any) -> dict[Any, Any]:
        manager.cancel(job_id)
        return show(job_id, own)

    @shows_errors
    def resume(job_id: str, own: Any) -> dict[Any, Any]:
        manager.resume(job_id)
        return show(job_id, own)

    def choose(seen: View, own: Any, event: gr.EventData) -> dict[Any, Any]:
        job_id = chosen(event)
        return {view: replace(seen, tab=JOB_TAB, job=job_id if is_job_id(job_id) else None), **show(job_id, own)}

    shown.change(None, shown, area.link, js=_JOB_LINK)
    area.timer.tick(look, [shown, own_state], area.outputs, **_AT_ONCE)
    area.cancel.click(cancel, [shown, own_state], area.outputs, **_AT_ONCE)
    area.resume.click(resume, [shown, own_state], area.outputs, **_AT_ONCE)
    # A state tells of its change only when a queued event has changed it.
    area.jobs.click(choose, [view, own_state], [view, *area.outputs], concurrency_limit=None, **_QUIET)
    return Opening(open_tab, [view, own_state], [view, *area.outputs])
