"""What a tab is built on, and what it gives the page.

A tab is a folder here with a `tab.py` that has a `TITLE` and `build(context)`; its name stands in `shell.view.TABS`.
A tab that is another one for data of CLEAR has a second folder, named in `OF_CLEAR`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final, Protocol, cast

import gradio as gr

from salmu_demo.jobs.manager import JobManager
from salmu_demo.metrics import Benchmark
from salmu_demo.ui.jobs.area import VisitorJobs
from salmu_demo.ui.jobs.outcomes import Outcomes
from salmu_demo.ui.shell.bar import TopBar
from salmu_demo.ui.shell.data_shelf import DataShelf
from salmu_demo.ui.shell.shelf import ModelShelf
from salmu_demo.ui.widgets.components import Handler
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.warmup import WarmUp


@dataclass(frozen=True)
class Context:
    """What tabs are built on.

    Attributes:
        workbench: data and models.
        manager: runs the jobs.
        shelf: the models that visitors can choose.
        datasets: the data sets that visitors can choose.
        warm_up: prepares models in the background.
        bar: the components above the tabs.
        view: state that holds the `View`.
        tabs: all tabs, to go to another one.
        own_jobs: the browser's memory of its jobs, whose value is a list of their ids.
        jobs: components about the visitor's jobs, by their kind.
        requests: state that holds whom the visitor asked to forget, as requests are written.
        viewed: state that changes when a tab has been chosen, by the visitor or a link; which one, the view says.
        led: state that changes when components of a tab have led to another one, perhaps with another persona in the
            view.
        outcomes: results of benchmarks, the finished ones and those that are shipped.
    """

    workbench: Workbench
    manager: JobManager
    shelf: ModelShelf
    datasets: DataShelf
    warm_up: WarmUp
    bar: TopBar
    view: gr.State
    tabs: gr.Tabs
    own_jobs: gr.BrowserState
    jobs: Mapping[str, VisitorJobs]
    requests: gr.State
    viewed: gr.State
    led: gr.State
    outcomes: Outcomes


@dataclass(frozen=True)
class TabHandlers:
    """What a tab does when something happens outside it; the page connects it.

    Attributes:
        opened: a link, or the page itself, has been opened.
        remembered: the same, for what has to be known before a tab shows anything, such as what the browser
            remembers; it changes `Context.viewed`.
        told: somebody has said which model is Clean or Compromised.
        prepared: a model that was being prepared is ready.
        viewed: a tab has been chosen, by the visitor, a link or another tab; which one, the view says.
        selected: the visitor has chosen this tab.
        led: see `Context.led`.
    """

    opened: Sequence[Handler] = ()
    remembered: Sequence[Handler] = ()
    told: Sequence[Handler] = ()
    prepared: Sequence[Handler] = ()
    viewed: Sequence[Handler] = ()
    selected: Sequence[Handler] = ()
    led: Sequence[Handler] = ()


class TabModule(Protocol):
    """The module `tab` of a tab's folder."""

    TITLE: str

    def build(self, context: Context) -> TabHandlers:
        """Build the tab into the current Blocks context."""


OF_CLEAR: Final = {"audit": "authors"}
"""Tabs that are others for data of CLEAR, and their folders."""


def tab_module(name: str, benchmark: Benchmark) -> TabModule:
    """The module of a tab, by its name in addresses, for data of a benchmark."""
    folder = OF_CLEAR.get(name, name) if benchmark == "CLEAR" else name
    return cast(TabModule, import_module(f"{__package__}.{folder}.tab"))
