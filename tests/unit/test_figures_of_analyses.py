"""Figures of whole analyses: what is drawn where, what the sentence says, and why a figure is missing."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.text import Text

from salmu_demo.data import layout
from salmu_demo.reports.figures import report_figures
from salmu_demo.reports.figures.canvas import figure_svg, page_svg
from salmu_demo.reports.figures.exposure import aligned_grids
from salmu_demo.reports.figures.plane import PlanePoint, plane_sentence
from salmu_demo.reports.report import MissingFigure, ReportFigure
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.breakdown import ExposureGrid
from tests.fixtures.results import NAMES, evaluations, valued

CLEAN = {"RetFail": 0.1, "GenKnow": 0.6, "InterIdSim": 0.2, "IntraIdSim": 0.2}
COMPROMISED = {"RetFail": 0.5, "GenKnow": 0.8, "InterIdSim": 0.6, "IntraIdSim": 0.7}
BETWEEN = {"RetFail": 0.2, "GenKnow": 0.76, "InterIdSim": 0.5, "IntraIdSim": 0.6}
"""75 % of the leak gone; 95 % of the knowledge kept; of the holdouts 75 % and 80 %."""


@pytest.fixture(scope="module")
def measured() -> Analysis:
    return analyse(evaluations())


@pytest.fixture(scope="module")
def by_hand() -> Analysis:
    values = (CLEAN, COMPROMISED, BETWEEN)
    return analyse([valued(name, metrics) for name, metrics in zip(NAMES, values, strict=True)])


def figure_of(analysis: Analysis, name: str) -> ReportFigure:
    return next(f for f in report_figures(analysis) if isinstance(f, ReportFigure) and f.name == name)


def missing_of(analysis: Analysis) -> dict[str, str]:
    return {f.title: f.reason for f in report_figures(analysis) if isinstance(f, MissingFigure)}


def dots(axes) -> list[tuple[str, float, float]]:
    lines = [line for line in axes.lines if line.get_linestyle() == "None"]
    return [(line.get_marker(), round(line.get_xdata()[0], 6), round(line.get_ydata()[0], 6)) for line in lines]


def test_the_plane_shows_shares_and_the_thresholds_of_the_diagnosis(by_hand: Analysis):
    figure = figure_of(by_hand, "forgetting-utility")
    knowledge, holdouts = figure.draw().axes
    assert dots(knowledge) == [("o", 1.0, 0.75), ("s", 0.0, 1.0), ("^", 0.75, 0.95)]
    assert dots(holdouts) == [("o", 1.0, 0.0), ("s", 0.0, 1.0), ("^", 0.75, 0.75)]
    for axes, threshold in ((knowledge, 0.98), (holdouts, 0.8)):
        across = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
        upright = [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]]
        assert across == [pytest.approx(threshold)]
        assert upright == [0.95]
        (corner,) = axes.patches
        assert corner.get_xy() == (0.95, pytest.approx(threshold))
    assert figure.table.rows[2] == ("mini-unlearned-finetune", "0.7500", "0.9500", "0.7500")


def test_the_plane_says_what_its_axes_are_and_where_the_model_lies(by_hand: Analysis):
    sentence = figure_of(by_hand, "forgetting-utility").sentence
    assert "for mini-unlearned-finetune 75.0 % of the leak is gone" in sentence
    assert "95.0 % of the general knowledge and 75.0 % of the holdouts are kept, not beyond all" in sentence
    assert "GenKnow as a share of Compromised's" in sentence


def test_several_models_are_counted_by_the_thresholds():
    points = [
        PlanePoint(0, "good", 0.95, 0.981, 0.8, False),
        PlanePoint(1, "leaks", 0.94, 1.0, 1.0, False),
        PlanePoint(2, "damaged", 1.0, 0.98, 1.0, False),
        PlanePoint(3, "over", 1.0, 1.0, 0.79, False),
        PlanePoint(4, "unknown", 1.0, 1.0, None, False),
        PlanePoint(5, "a-clean", 1.0, 1.0, 1.0, True),
    ]
    assert plane_sentence(points).endswith("beyond all dashed thresholds lie 1 of 5 models: good.")
    assert plane_sentence(points[1:3]).endswith("none of the 2 models lies beyond all dashed thresholds.")
    assert plane_sentence(points[-1:]).endswith("only the references are shown.")


def test_a_plane_without_general_knowledge_has_the_other_panel_only():
    values = ({**v} for v in (CLEAN, COMPROMISED, BETWEEN))
    without = [{k: x for k, x in v.items() if k != "GenKnow"} for v in values]
    analysis = analyse([valued(name, v) for name, v in zip(NAMES, without, strict=True)])
    assert len(figure_of(analysis, "forgetting-utility").draw().axes) == 1


def test_positions_put_clean_at_0_and_compromised_at_1(by_hand: Analysis):
    figure = figure_of(by_hand, "positions")
    (axes,) = figure.draw().axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["RetFail", "GenKnow", "InterIdSim", "IntraIdSim"]
    assert [x for _, x, _ in dots(axes)] == [0, 1, 0.25, 0, 1, 0.8, 0, 1, 0.75, 0, 1, 0.8]
    targets = [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == 1.6]
    assert targets == [0.0, 1.0, 1.0, 1.0]
    assert "furthest from its target is mini-unlearned-finetune in " in figure.sentence
    assert "at 0.2500, 0.2500 away" in figure.sentence or "at 0.7500, 0.2500 away" in figure.sentence


def test_positions_have_intervals_on_the_same_scale(measured: Analysis):
    figure = figure_of(measured, "positions")
    clean, compromised = (model.evaluation.value("AssocStr") for model in measured.models[:2])
    interval = measured.models[2].intervals["AssocStr"]
    wanted = [(end - clean) / (compromised - clean) for end in (interval.low, interval.high)]
    (axes,) = figure.draw().axes
    bars = [list(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 2.2]
    assert any(bar == pytest.approx(wanted) for bar in bars)


def test_metrics_in_which_the_references_hardly_differ_have_no_position(measured: Analysis):
    figure = figure_of(measured, "positions")
    assert "GenKnow" not in {row[0] for row in figure.table.rows}
    assert "; without GenKnow" in figure.sentence


def test_distributions_count_every_row_and_name_the_median(measured: Analysis):
    figure = figure_of(measured, "similarity-distributions")
    panels = figure.draw().axes
    assert len(panels) == 3
    scores = measured.models[1].evaluation.results["InterIdSim"].scores
    row = next(r for r in figure.table.rows if r[:2] == ("InterIdSim", "mini-compromised"))
    assert row[2:4] == ("96", f"{scores.mean():.4f}")
    assert row[6] == f"{np.median(scores):.4f}"
    median = np.median(measured.models[0].evaluation.results["AssocStr"].scores)
    assert f"the median of AssocStr is {median:.4f} for mini-clean" in figure.sentence
    for axes in panels:
        for patch in axes.patches:
            assert patch.get_data().values.sum() == pytest.approx(1.0)


def test_a_collapsed_model_has_a_distribution_too():
    collapsed = evaluations(NAMES[:1])[0]
    for name in ("AssocStr", "InterIdSim", "IntraIdSim"):
        collapsed.results[name].scores[:] = 0.5
    figure_of(analyse([collapsed]), "similarity-distributions").draw()


def test_exposure_orders_personas_over_all_models_and_keeps_cells_together():
    first = ExposureGrid(("p", "q"), ("city", "job"), np.array([[1.0, 2.0], [5.0, np.nan]]))
    second = ExposureGrid(("q", "r"), ("job",), np.array([[7.0], [3.0]]))
    one, two = aligned_grids([first, second])
    assert one.personas == two.personas == ("q", "r", "p")
    assert np.array_equal(one.bits, [[5, np.nan], [np.nan, np.nan], [1, 2]], equal_nan=True)
    assert np.array_equal(two.bits, [[np.nan, 7], [np.nan, 3], [np.nan, np.nan]], equal_nan=True)


def test_exposure_is_one_map_for_each_model_with_one_scale(measured: Analysis):
    figure = figure_of(measured, "exposure")
    *maps, bar = figure.draw().axes
    images = [axes.images[0] for axes in maps]
    assert [image.get_array().shape for image in images] == [(6, len(layout.KINDS))] * 3
    assert len({image.get_clim() for image in images}) == 1
    assert {image.get_cmap().name for image in images} == {"viridis"}
    mean = float(measured.models[1].exposure.bits.mean())
    assert f"{mean:.4f} bits for mini-compromised" in figure.sentence
    top = max(float(model.exposure.bits.max()) for model in measured.models)
    assert f"the highest is {top:.4f} bits" in figure.sentence
    assert "bits" in bar.get_xlabel()


def test_disagreements_show_pairs_with_an_unlearned_model_and_both_ranks(measured: Analysis):
    figure = figure_of(measured, "disagreements")
    pairs = figure.draw().axes
    assert len(pairs) == 2
    example = next(d for d in measured.disagreements if (d.first, d.second) == (0, 2)).examples[0]
    assert dots(pairs[0])[:2] == [("o", example.first, 0.7), ("^", example.second, 0.7)]
    assert figure.table.rows[0][2] == example.text
    assert figure.table.rows[0][3:] == (
        f"mini-clean: {example.first:g}",
        f"mini-unlearned-finetune: {example.second:g}",
    )


def test_an_imported_file_without_rows_has_reasons_instead_of_images(by_hand: Analysis):
    assert set(missing_of(by_hand)) == {
        "Distributions of similarity",
        "Caption exposure by persona and attribute",
        "Where two models disagree most",
    }
    assert "results.json" in missing_of(by_hand)["Caption exposure by persona and attribute"]


def test_without_references_there_is_no_scale_and_no_plane():
    missing = missing_of(analyse([valued("model", BETWEEN)]))
    assert "needs RetFail of Clean and of Compromised" in missing["Forgetting and utility"]
    assert "needs Clean and Compromised" in missing["Between the two references"]


def test_a_set_of_the_official_size_stays_readable():
    personas = tuple(f"{n:08d}" for n in range(774))
    base = evaluations(NAMES[:1])[0]
    analysis = analyse([base])
    grid = ExposureGrid(personas, layout.KINDS, np.random.default_rng(0).random((774, 8)))
    object.__setattr__(analysis.models[0], "exposure", grid)
    figure = figure_of(analysis, "exposure")
    image = figure.draw()
    assert image.get_figheight() < 9
    assert image.axes[0].get_ylabel() == "774 personas, most exposed first"
    assert len(figure.table.rows) == 20


@pytest.mark.parametrize("count", [4, 6, 10, 20])
def test_maps_of_many_personas_and_models_fit_a_page(count: int):
    personas = tuple(f"{n:08d}" for n in range(96))
    analysis = analyse([valued(f"model-{n}", {"AssocStr": 0.25}) for n in range(count)])
    grid = ExposureGrid(personas, layout.KINDS, np.random.default_rng(0).random((96, 8)))
    for model in analysis.models:
        object.__setattr__(model, "exposure", grid)
    drawn = figure_of(analysis, "exposure").draw(landscape=True)
    assert drawn.get_figheight() * 25.4 <= 232
    assert min(axes.get_position().height for axes in drawn.axes[:count]) * drawn.get_figheight() > 0.5


@pytest.mark.parametrize("count", [3, 12])
def test_landscape_figures_fit_a_page_with_no_text_under_7_points(count: int):
    names = (*NAMES, *(f"model-{n}" for n in range(count - 3)))
    figures = [f for f in report_figures(analyse(evaluations(names))) if isinstance(f, ReportFigure)]
    assert len(figures) == 6
    for figure in figures:
        for wide in (False, True):
            drawn = figure.draw(landscape=wide)
            sizes = [text.get_fontsize() for text in drawn.findobj(Text) if text.get_text().strip()]
            assert min(sizes) >= 7, figure.name
        assert drawn.get_figwidth() == 7.0
        assert drawn.get_figheight() * 25.4 <= 232, figure.name


def test_landscape_panels_stand_side_by_side_with_the_same_dots(by_hand: Analysis):
    figure = figure_of(by_hand, "forgetting-utility")
    upright, wide = figure.draw().axes, figure.draw(landscape=True).axes
    assert [dots(axes) for axes in upright] == [dots(axes) for axes in wide]
    assert wide[0].get_position().y0 == wide[1].get_position().y0
    assert wide[0].get_position().x1 < wide[1].get_position().x0


def test_marks_say_what_they_are_and_lead_to_the_persona(measured: Analysis):
    figure = figure_of(measured, "exposure")
    svg = figure_svg(figure.draw())
    grid = measured.models[0].exposure
    row, column = grid.personas.index("00000003"), grid.kinds.index("city")
    words = f"persona 00000003, City, mini-clean: {grid.bits[row, column]:.4f} bits"
    assert f'data-persona="00000003" data-kind="city"><title>{words}</title>' in svg.decode()
    assert b"<a " not in svg
    page = page_svg(svg, "exposure", lambda persona, kind: f"?persona={persona}&kind={kind}")
    assert f'<a href="?persona=00000003&amp;kind=city" tabindex="-1" aria-label="{words}"><title>' in page
    assert page.count("<a ") == page.count("</a>") == 3 * 6 * 8
    assert "<a " not in page_svg(svg, "exposure")
    ElementTree.fromstring(svg)  # It is well-formed.


def test_a_page_colours_ink_and_paper_and_no_id_is_used_twice(measured: Analysis):
    pages = [page_svg(figure_svg(figure_of(measured, n).draw()), n) for n in ("metrics", "positions")]
    for page in pages:
        assert "fill: var(--paper, #ffffff)" in page
        assert "var(--ink, #1f2937)" in page
        assert "<style" not in page
        used = set(re.findall(r'(?:url\(#|xlink:href="#)([^)"]+)', page))
        assert used <= set(re.findall(r' id="([^"]+)"', page))
    first, second = (set(re.findall(r' id="([^"]+)"', page)) for page in pages)
    assert not first & second


def test_what_a_mark_says_is_no_markup():
    names = ('<script>"&', *NAMES[1:])
    svg = figure_svg(figure_of(analyse(evaluations(names)), "metrics").draw()).decode()
    assert "<script>" not in svg
    assert "of &lt;script&gt;&quot;&amp;: " in svg


def test_models_that_look_alike_are_numbered():
    names = (*NAMES[:2], *"abcdefghi")
    values = (CLEAN, COMPROMISED, *[BETWEEN] * 9)
    analysis = analyse([valued(name, v) for name, v in zip(names, values, strict=True)])
    image = figure_of(analysis, "forgetting-utility").draw()
    labels = [text.get_text() for text in image.legends[0].get_texts()]
    assert labels[:11] == ["mini-clean", "mini-compromised", "a", "4. b", *"cdefgh", "11. i"]
    assert {text.get_text() for text in image.axes[0].texts} >= {"4", "11"}
