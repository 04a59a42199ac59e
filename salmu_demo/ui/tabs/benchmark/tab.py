"""The Benchmark tab: put a job together, start it, leave, come back, read the results."""

import gradio as gr

from salmu_demo.jobs.manager import JobManager
from salmu_demo.ui.jobs.area import Launcher, Opening, VisitorJobs, connect_jobs, job_area
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.tabs.benchmark.area import result_area
from salmu_demo.ui.tabs.benchmark.form import benchmark_form, connect_start, long_job_offer
from salmu_demo.ui.tabs.benchmark.page import BenchmarkPages
from salmu_demo.workbench.bench import Workbench


def benchmark_tab(
    workbench: Workbench, manager: JobManager, chosen_models: gr.CheckboxGroup, view: gr.State, visitor: VisitorJobs
) -> Opening:
    """Build the tab into the current Blocks context.

    Args:
        workbench: data and models.
        manager: runs the jobs.
        chosen_models: component whose value is the references of the models to measure.
        view: state that holds the :class:`View`.
        visitor: the visitor's jobs.

    Returns:
        How to show the visitor's job when the tab is opened.
    """
    pages = BenchmarkPages(workbench, manager)
    gr.Markdown(text.INTRODUCTION)
    form = benchmark_form(workbench)
    offer = long_job_offer()
    area = job_area(visitor)
    result_area(pages, visitor.finished)
    launcher = Launcher(manager, pages, area, view)
    connect_start(workbench, manager, launcher, form, offer, area, chosen_models, view)
    return connect_jobs(manager, pages, area, view)
