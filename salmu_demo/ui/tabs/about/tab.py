"""The About tab: what the data is, what the numbers mean and where they come from."""

import gradio as gr

from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.metrics import official_metrics
from salmu_demo.metrics.protocol import DECISIONS
from salmu_demo.ui.tabs.about import text as about_text
from salmu_demo.ui.widgets.components import markup
from salmu_demo.ui.widgets.markup import definition_table


def about_tab(data: BenchmarkData) -> None:
    """Build the tab into the current Blocks context."""
    with gr.Column(elem_classes="about"):
        gr.Markdown(about_text.introduction(data))
        markup(splits_table(data))
        if data.limits.unmeasurable:
            reasons = list(data.limits.unmeasurable.items())
            markup(definition_table(reasons, about_text.UNMEASURABLE_COLUMNS, about_text.UNMEASURABLE_CAPTION))
        gr.Markdown(about_text.AUDIT)
        gr.Markdown(about_text.METRICS_TITLE)
        markup(metrics_table())
        with gr.Accordion("Every decision of the protocol", open=False):
            markup(decisions_table())
        gr.Markdown(about_text.LIMITS)
        gr.Markdown(about_text.SOURCES)


def splits_table(data: BenchmarkData) -> str:
    """The splits of a data set and what they hold."""
    rows = [
        (name, f"{len(data.split(name)):,}", about_text.SPLITS.get(name, about_text.OTHER_SPLIT))
        for name in data.stored_splits
    ]
    return definition_table(rows, about_text.SPLIT_COLUMNS, about_text.SPLIT_CAPTION)


def metrics_table() -> str:
    """The ten metrics: what each tells, and whose value is the target."""
    rows = [
        (f"{m.number} {m.name}", m.title, m.explanation, m.reference.capitalize(), m.split) for m in official_metrics()
    ]
    return definition_table(rows, about_text.METRIC_COLUMNS, about_text.METRIC_CAPTION)


def decisions_table() -> str:
    """What the public sources leave open, and what is done here."""
    rows = [(d.topic, d.question, d.decision, d.constant) for d in DECISIONS]
    return definition_table(rows, about_text.DECISION_COLUMNS, about_text.DECISION_CAPTION)
