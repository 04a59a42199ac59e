"""The part of a tab that follows a job: progress, cancel, resume, link, and the visitor's other jobs."""

from dataclasses import dataclass, replace
from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from salmu_demo.core.progress import duration_words
from salmu_demo.jobs.job import JobSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.ui.jobs.page import JobPage, JobPages, own_ids, with_job
from salmu_demo.ui.jobs.status import ESTIMATED, LINK
from salmu_demo.ui.shell.messages import shows_errors
from salmu_demo.ui.shell.view import View, is_job_id
from salmu_demo.ui.shell.visitors import owner_of
from salmu_demo.ui.widgets.components import QUEUED, Handler, choices, chosen, markup
from salmu_demo.ui.widgets.markup import Action, actions, notice

POLL_SECONDS: Final = 1.0

_CANCEL, _KEEP, _RESUME = "cancel", "keep", "resume"

_JOB_LINK: Final = "(id) => id ? `${window.location.origin}${window.location.pathname}?job=${id}` : ''"
_QUIET: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
# Not queued: these must not wait behind anyone's search. They read a few fields, so they may be called freely.
_AT_ONCE: Final[dict[str, Any]] = {**_QUIET, "queue": False}


@dataclass(frozen=True)
class VisitorJobs:
    """What is known of a visitor's jobs of one kind, outside of all tabs so that it is there whichever tab opens first.

    Attributes:
        own: ids of the jobs of any kind this browser started, the newest first.
        shown: id of the job that is shown, or an empty text.
        finished: the same, if that job has results.
        prefix: what the names of all elements of the tab begin with.
    """

    own: gr.BrowserState
    shown: gr.Textbox
    finished: gr.Textbox
    prefix: str


def own_jobs() -> gr.BrowserState:
    """Build the browser's memory of its jobs into the current Blocks context."""
    # A fixed key and secret: with random ones a restarted server would not find what it had stored.
    return gr.BrowserState([], storage_key="salmu-demo-jobs", secret="salmu-demo")


def visitor_jobs(own: gr.BrowserState, prefix: str = "") -> VisitorJobs:
    """Build the components of one kind of jobs into the current Blocks context."""
    return VisitorJobs(
        own,
        shown=gr.Textbox(visible="hidden", label="Job shown", elem_id=f"{prefix}job-shown"),
        finished=gr.Textbox(visible="hidden", label="Job with results", elem_id=f"{prefix}job-finished"),
        prefix=prefix,
    )


@dataclass(frozen=True)
class JobArea:
    """Components that depend on the visitor's jobs; `form` starts them, and is folded where one, or a result, shows."""

    visitor: VisitorJobs
    form: gr.Accordion
    queue: gr.HTML
    panel: gr.HTML
    estimate: gr.HTML
    buttons: gr.HTML
    live: gr.HTML
    link: gr.Textbox
    link_box: gr.Accordion
    jobs: gr.HTML
    jobs_box: gr.Accordion
    timer: gr.Timer

    @property
    def outputs(self) -> list[Any]:
        """Everything `show` may change."""
        return [self.form, self.visitor.shown, self.visitor.finished, self.queue, self.panel, self.estimate,
                self.buttons, self.live, self.link_box, self.jobs, self.jobs_box, self.timer]  # fmt: skip

    def show(self, page: JobPage, estimate: str = "") -> dict[Any, Any]:
        """Changes that bring the components to a page; `estimate` is what was said before the job started."""
        return {
            self.form: gr.Accordion(open=not (page.job_id or page.finished)),
            self.visitor.shown: page.job_id,
            self.visitor.finished: page.finished,
            self.queue: page.queue,
            self.panel: page.panel,
            self.estimate: estimate,
            self.buttons: self.actions(page.can_cancel, page.can_keep, page.can_resume),
            self.live: page.live,
            self.link_box: gr.Accordion(visible=bool(page.job_id)),
            self.jobs: page.jobs,
            self.jobs_box: gr.Accordion(visible=bool(page.jobs)),
            self.timer: gr.Timer(active=page.polling),
        }

    def actions(self, can_cancel: bool, can_keep: bool, can_resume: bool = False) -> Markup:
        """The buttons that stop a job or go on with it, as far as it can be done now."""
        buttons = (
            (can_cancel, _CANCEL, "Cancel", "stop"),
            (can_keep, _KEEP, "Cancel and keep", ""),
            (can_resume, _RESUME, "Resume", "foremost"),
        )
        prefix = self.visitor.prefix
        return actions(Action(name, words, css, f"{prefix}job-{name}") for shown, name, words, css in buttons if shown)


def job_area(visitor: VisitorJobs, form: gr.Accordion) -> JobArea:
    """Build the components into the current Blocks context."""
    prefix = visitor.prefix
    queue = markup(elem_id=f"{prefix}queue", elem_classes="job-queue")
    panel = markup(elem_id=f"{prefix}job")
    estimate = markup(elem_id=f"{prefix}job-estimate", elem_classes="job-estimate")
    buttons = choices(elem_classes="job-actions")
    live = markup(elem_id=f"{prefix}job-live", elem_classes="job-live")
    with gr.Row(elem_classes="job-extras"):
        with gr.Accordion("Link to this job", open=False, visible=False, elem_id=f"{prefix}job-share") as link_box:
            link = gr.Textbox(
                label="Link",
                info=LINK,
                interactive=False,
                buttons=["copy"],
                max_lines=2,
                elem_id=f"{prefix}job-link",
            )
        with gr.Accordion("Your jobs", open=False, visible=False, elem_id=f"{prefix}own-jobs") as jobs_box:
            jobs = choices()
    timer = gr.Timer(POLL_SECONDS, active=False)
    return JobArea(
        visitor,
        form,
        queue,
        panel,
        estimate,
        buttons,
        live,
        link,
        link_box,
        jobs,
        jobs_box,
        timer,
    )


class Launcher:
    """Starts jobs and shows them in their tab."""

    def __init__(self, manager: JobManager, pages: JobPages, area: JobArea, view: gr.State) -> None:
        self._manager = manager
        self._pages = pages
        self._area = area
        self._view = view

    @property
    def outputs(self) -> list[Any]:
        """Everything `launch` may change."""
        return [self._view, self._area.visitor.own, *self._area.outputs]

    def launch(self, spec: JobSpec, seconds: float, seen: View, own: Any, request: gr.Request) -> dict[Any, Any]:
        """Submit a job that was estimated to take some seconds, and show it; raises `SalmuError`."""
        job = self._manager.submit(spec, owner_of(request))
        ids = with_job(job.id, own_ids(own))
        estimate = notice(ESTIMATED.format(time=duration_words(seconds)), "quiet")
        return {
            self._view: replace(seen, tab=self._pages.tab, job=job.id),
            self._area.visitor.own: ids,
            **self._area.show(self._pages.page(job.id, ids), estimate),
        }


def connect_jobs(manager: JobManager, pages: JobPages, area: JobArea, view: gr.State) -> Handler:
    """Connect the events of the components; returns how to show the visitor's job when the tab is opened."""
    # Not the view but the browser says which job is shown: a page that was open while the server was started anew has
    # lost its view, and finds its job all the same.
    shown, own_state = area.visitor.shown, area.visitor.own

    def show(job_id: str, own: Any) -> dict[Any, Any]:
        return area.show(pages.page(job_id or None, own_ids(own)))

    def open_tab(seen: View, own: Any) -> dict[Any, Any]:
        if seen.tab != pages.tab:
            return {view: gr.skip()}
        page = pages.page(seen.job, own_ids(own), latest=True)
        followed = gr.skip() if pages.leaves_view(seen.job) else replace(seen, job=page.job_id or None)
        return {view: followed, **area.show(page)}

    def look(job_id: str, own: Any, live: str | None) -> dict[Any, Any]:
        found = pages.progress(job_id)
        if found is None:
            # Whoever has unfolded the form meanwhile is at it.
            return {**show(job_id, own), area.form: gr.skip()}
        # While a job goes on, a poll sends only what has changed.
        return {
            area.panel: found.panel,
            area.live: gr.skip() if found.live == (live or "") else found.live,
            area.buttons: area.actions(found.can_cancel, found.can_keep),
        }

    @shows_errors
    def act(job_id: str, own: Any, event: gr.EventData) -> dict[Any, Any]:
        action = chosen(event)
        if action in (_CANCEL, _KEEP):
            manager.cancel(job_id, keep=action == _KEEP)
        elif action == _RESUME:
            manager.resume(job_id)
        return show(job_id, own)

    def choose(seen: View, own: Any, event: gr.EventData) -> dict[Any, Any]:
        job_id = chosen(event)
        return {view: replace(seen, tab=pages.tab, job=job_id if is_job_id(job_id) else None), **show(job_id, own)}

    shown.change(None, shown, area.link, js=_JOB_LINK)
    area.timer.tick(look, [shown, own_state, area.live], area.outputs, **_AT_ONCE)
    area.buttons.click(act, [shown, own_state], area.outputs, **_AT_ONCE)
    # A state tells of its change only when a queued event has changed it.
    area.jobs.click(choose, [view, own_state], [view, *area.outputs], concurrency_limit=None, **_QUIET)
    return Handler(open_tab, [view, own_state], [view, *area.outputs], QUEUED)
