"""A report as one HTML file that needs no other: style and images are inside, and nothing is asked of any server."""

import base64
from collections.abc import Mapping
from importlib.resources import files

from markupsafe import Markup

from salmu_demo.core.markup import render
from salmu_demo.reports.report import Report


def report_html(report: Report, images: Mapping[str, bytes]) -> str:
    """The report as an HTML page.

    Args:
        report: the report.
        images: PNG of each figure by its name.
    """
    encoded = {name: base64.b64encode(image).decode() for name, image in images.items()}
    style = Markup(files("salmu_demo.reports").joinpath("report.css").read_text("utf-8"))
    return str(render("reports/templates/report.html", report=report, images=encoded, style=style))
