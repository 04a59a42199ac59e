"""Everything a finished benchmark leaves to download: one button, one click, one file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from salmu_demo.reports.files import ReportFiles
from salmu_demo.ui.shell.view import MAX_MODELS
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.widgets.components import markup
from salmu_demo.ui.widgets.markup import notice

_MOST_TABLES: Final = 8


@dataclass(frozen=True)
class Downloads:
    """The buttons."""

    reports: list[gr.DownloadButton]
    official: list[gr.DownloadButton]
    tables: list[gr.DownloadButton]
    remark: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """All components, in the order of :meth:`updates`."""
        return [*self.reports, *self.official, *self.tables, self.remark]

    def updates(self, files: ReportFiles) -> list[Any]:
        """New values of the components."""
        reports = [files.pdf, files.html, files.markdown, files.archive, files.results]
        more = len(files.official) > len(self.official)
        return [
            *(gr.DownloadButton(value=served(path)) for path in reports),
            *_named(self.official, files.official),
            *_named(self.tables, files.tables),
            notice(text.OFFICIAL_MORE, "quiet") if more else "",
        ]


def downloads() -> Downloads:
    """Build the buttons into the current Blocks context."""
    labels = ("Report as PDF", "Report as HTML", "Report as Markdown", "All files (ZIP)", "Everything as JSON")
    ids = ("pdf", "html", "markdown", "zip", "results")
    with gr.Row():
        reports = [
            gr.DownloadButton(label, elem_id=f"download-{name}", variant="primary" if name == "pdf" else "secondary")
            for label, name in zip(labels, ids, strict=True)
        ]
    markup("<h3>Official result files</h3>")
    with gr.Row():
        official = _pool("official", MAX_MODELS)
    remark = markup()
    markup("<h3>Tables (CSV)</h3>")
    with gr.Row():
        tables = _pool("table", _MOST_TABLES)
    return Downloads(reports, official, tables, remark)


def served(path: Path) -> str:
    """A copy of a file that Gradio serves, under an address with the file's digest that nobody can guess.

    So no folder of jobs has to be opened to visitors, whose files lie under names that are easy to guess.
    """
    return str(save_file_to_cache(path, get_upload_folder()))


def _pool(name: str, count: int) -> list[gr.DownloadButton]:
    return [gr.DownloadButton(visible=False, elem_id=f"download-{name}-{n}", size="sm") for n in range(count)]


def _named(buttons: Sequence[gr.DownloadButton], paths: Sequence[Path]) -> list[Any]:
    """A file for each button as long as there are any; the rest of the buttons are hidden."""
    shown = [gr.DownloadButton(path.name, value=served(path), visible=True) for path in paths[: len(buttons)]]
    return shown + [gr.DownloadButton(visible=False)] * (len(buttons) - len(shown))
