"""The sheet all figures are drawn on, and the dot plot of the metrics."""

import io
import sys

import pytest
from PIL import Image

from salmu_demo.metrics import official_metrics
from salmu_demo.metrics.intervals import Interval
from salmu_demo.models.roles import ModelRole
from salmu_demo.reports.figures import report_figures
from salmu_demo.reports.figures.canvas import DPI, WIDTH, FigureSheet, figure_png, figure_svg
from salmu_demo.reports.figures.metrics import figure_sentence, metric_figure
from salmu_demo.reports.report import ReportFigure
from salmu_demo.reports.roles import CLEAN, COMPROMISED, role_styles
from salmu_demo.results.analysis import analyse
from salmu_demo.results.comparison import Comparison, ComparisonCell, ComparisonRow
from salmu_demo.results.records import MeasuredData, MeasuredModel
from tests.fixtures.results import evaluations

NAMES = ("mini-clean", "mini-compromised", "mini-unlearned")

METRICS = official_metrics()


def comparison(names=NAMES, values=None, specs=METRICS) -> Comparison:
    """Each metric has the values 0.1, 0.2 and so on, and targets where there is a reference."""
    values = values if values is not None else [(n + 1) / 10 for n in range(len(names))]
    by_name = dict(zip(names, values, strict=True))
    rows = []
    for spec in specs:
        target = by_name.get(f"mini-{spec.reference}")
        rows.append(ComparisonRow(spec, target, tuple(ComparisonCell(value, None, None) for value in values)))
    return Comparison(tuple(MeasuredModel(name, name) for name in names), tuple(rows), MeasuredData("invented"))


def drawn(table: Comparison, note: str = ""):
    return metric_figure(table, [{}] * len(table.models), note)


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_every_metric_is_a_row_in_its_group():
    figure = drawn(comparison())
    labels = [[tick.get_text() for tick in axes.get_yticklabels()] for axes in figure.axes]
    assert labels == [[s.name for s in METRICS if s.pillar == p] for p in ("efficacy", "utility")]
    assert [text.get_text()[:7] for text in figure.texts if text.get_text()] == ["Forgett", "Keeping"]


def test_values_and_targets_stand_where_they_belong():
    (axes,) = drawn(comparison(specs=METRICS[:1])).axes
    assert sorted(texts(axes.figure)) == ["0.1000", "0.2000", "0.3000"]
    lines = [line.get_xdata() for line in axes.lines]
    assert [list(x) for x in lines if len(x) == 2 and x[0] == x[1]] == [[0.1, 0.1]]


def test_intervals_are_bars_and_stay_inside_the_row():
    intervals = [{"RetFail": Interval(0.05, 0.9)}, {"RetFail": None}, {}]
    (axes,) = metric_figure(comparison(specs=METRICS[:1]), intervals).axes
    bars = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 2.2]
    assert [(list(bar.get_xdata()), bar.get_color()) for bar in bars] == [([0.05, 0.9], CLEAN.colour)]
    assert axes.get_xlim()[1] > 0.9


def test_each_role_has_its_own_colour_and_marker():
    (axes,) = drawn(comparison(specs=METRICS[:1])).axes
    dots = [(line.get_color(), line.get_marker()) for line in axes.lines if line.get_linestyle() == "None"]
    (other,) = role_styles(NAMES[2:], [ModelRole()])
    assert dots == [(CLEAN.colour, "o"), (COMPROMISED.colour, "s"), (other.colour, "h")]


def test_all_styles_of_models_can_be_drawn():
    figure_png(drawn(comparison(("a", "b", "c", "d", "e", "f"), specs=METRICS[:2])))


def test_a_missing_value_is_said_and_a_missing_reference_has_no_target():
    figure = drawn(comparison(("one", "two"), [0.5, None], METRICS[:1]))
    assert sorted(texts(figure)) == ["0.5000", "not measured"]
    assert [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2] == []
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]


def test_negative_values_stay_inside_the_row():
    (axes,) = drawn(comparison(values=[0.1, -0.425, 0.3], specs=METRICS[1:2])).axes
    low, high = axes.get_xlim()
    assert low < -0.425
    assert high > 0.3
    assert "−0.4250" in texts(axes.figure)


def test_the_image_is_sharp_white_and_without_global_state():
    content = figure_png(drawn(comparison(specs=METRICS[:1]), note="A note."))
    image = Image.open(io.BytesIO(content)).convert("RGB")
    assert DPI >= 150
    assert image.width == pytest.approx(WIDTH * DPI, abs=1)
    assert image.getpixel((1, 1)) == (255, 255, 255)
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_names_are_not_read_as_mathematics_and_keep_their_end():
    figure = drawn(comparison(("_hidden", "$x^$y", "a" * 300 + "-clean"), specs=METRICS[:1]))
    figure_png(figure)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == " _hidden"
    assert len(labels[2]) < 60
    assert labels[2].endswith("-clean")


def test_a_long_note_gets_the_lines_it_needs():
    short, long = (
        FigureSheet([MeasuredModel("a", "a")], 1.0, note).figure.get_figheight()
        for note in ("Words.", "Many words. " * 40)
    )
    assert long > short + 0.3


def test_equal_figures_are_equal_bytes_in_both_formats():
    first, second = (drawn(comparison(specs=METRICS[:2]), "A note.") for _ in range(2))
    assert figure_png(first) == figure_png(second)
    assert figure_svg(first) == figure_svg(second)
    assert b"<dc:date>" not in figure_svg(first)


def test_figures_of_a_sample_say_so_in_name_and_image():
    data = MeasuredData("mini", sample="sampled: 48 of 96 forget rows (50 %), seed 1")
    figures = [f for f in report_figures(analyse(evaluations(data=data))) if isinstance(f, ReportFigure)]
    assert len(figures) == 6
    for figure in figures:
        assert figure.name.endswith("-sampled")
        assert any("sampled: 48 of 96" in text.get_text() for text in figure.draw().texts)


def test_the_sentence_names_models_and_the_furthest_from_target():
    sentence = figure_sentence(comparison(values=[0.1, 0.9, 0.3], specs=METRICS[:1]))
    assert sentence == (
        "Dot plot of 1 metric for mini-clean, mini-compromised and mini-unlearned, each against its target; furthest "
        "off is mini-compromised in RetFail, 0.8000 above."
    )


def test_the_sentence_without_references_or_without_gaps():
    assert "no target is drawn" in figure_sentence(comparison(("one",), [0.5]))
    assert "every model is on target" in figure_sentence(comparison(NAMES[:1], [0.5], METRICS[:1]))
