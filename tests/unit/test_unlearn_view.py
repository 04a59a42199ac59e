"""The Unlearn tab as markup and values, without a browser."""

import re
from dataclasses import replace

import gradio as gr
import pytest

from salmu_demo.core.errors import ModelError, QueryError
from salmu_demo.data.dataset import Persona
from salmu_demo.jobs.job import Job, JobState
from salmu_demo.jobs.kinds.unlearning import UnlearningOptions, UnlearningSpec
from salmu_demo.ui.jobs.status import job_list, job_panel
from salmu_demo.ui.shell.view import People
from salmu_demo.ui.tabs.unlearn.form import (
    COMMON_NUMBERS,
    DEFAULT_METHOD,
    OWN_NUMBERS,
    OWN_WORDS,
    Controls,
    Stop,
    UnlearnInputs,
    asked_job,
    common_controls,
    fields_of,
    own_controls,
    settings_of,
    stop_controls,
    stop_of,
)
from salmu_demo.ui.tabs.unlearn.view import curve_svg, live_view, method_card
from salmu_demo.unlearning import UNRELATED
from salmu_demo.unlearning.methods import all_methods, find_method
from salmu_demo.unlearning.training_metrics import RunOutcome, RunStanding, TextMetrics, TrainingMetrics
from salmu_demo.workbench.bench import Workbench

HOSTILE = '<img src=x onerror="alert(1)">'
FIRST = TrainingMetrics(0, 0, None, 0.8, 1.0, 0.9, 0.1, {"7": 1.0, "9": 1.0}, 96)
LAST = TrainingMetrics(50, 3200, -4.0, 0.24, 0.1, 0.81, 0.1, {"7": 9.0, "9": 40.5}, 96)
SPEC = UnlearningSpec(("base",), UnlearningOptions("npo", "both", 6400, {"beta": 0.1}))
JOB = Job("k3Jf0-_aZ9qLmN4tRv7wXy", SPEC, JobState.RUNNING, "2026-01-02T03:04:05+00:00")


@pytest.fixture(scope="module")
def workbench(tiny_assets) -> Workbench:
    return Workbench()


def values_of(name: str, **changed: object) -> list[object]:
    """What the components of a method hold, at its defaults but for some."""
    spec = find_method(name)
    return [None if key is None else changed.get(key, spec.hyperparameters[key][0]) for key in fields_of(spec).names]


def test_every_method_fits_the_controls():
    for spec in all_methods():
        fields = fields_of(spec)
        assert len(fields.names) == OWN_NUMBERS + OWN_WORDS + COMMON_NUMBERS, spec.name
        own = {*fields.numbers, *fields.words, *fields.common}
        assert own <= spec.hyperparameters.keys()
        assert "batch_size" in own
    assert fields_of(find_method("ssd")).common == ["batch_size"]
    assert "learning_rate" in fields_of(find_method("npo")).common
    assert find_method(DEFAULT_METHOD)


def test_controls_carry_the_ranges_and_defaults_of_the_method():
    with gr.Blocks():
        controls = Controls(*own_controls(), common_controls())
    updates = dict(zip(fields_of(find_method("npo")).names, controls.updates(find_method("npo")), strict=True))
    beta, batch = updates["beta"], updates["batch_size"]
    assert (beta.value, beta.minimum, beta.maximum, beta.precision, beta.visible) == (0.5, 1e-3, 10, None, True)
    assert beta.info == "How soon the ascent fades; towards 0 it never does (0.001 to 10)"
    assert (batch.label, batch.precision, batch.minimum) == ("Batch size", 0, 2)
    words = dict(zip(fields_of(find_method("ga")).names, controls.updates(find_method("ga")), strict=True))["objective"]
    assert [choice for choice, _ in words.choices] == ["entropy", "likelihood"]
    assert sum(update.visible for update in controls.updates(find_method("finetune"))) == COMMON_NUMBERS


def test_only_what_was_changed_is_a_setting():
    assert settings_of(find_method("npo"), values_of("npo")) == {}
    assert settings_of(find_method("npo"), values_of("npo", beta=0.1, batch_size=8)) == {"beta": 0.1, "batch_size": 8}
    with pytest.raises(QueryError, match="Type a number for retain weight"):
        settings_of(find_method("npo"), values_of("npo", retain_weight=None))


def test_a_form_becomes_a_job(workbench: Workbench):
    stop = Stop("unrelated", None, 5)
    spec = asked_job(
        workbench, UnlearnInputs("npo", "mini-compromised", "text", 640, 3, [], stop, values_of("npo", beta=0.1))
    )
    asked = UnlearningOptions("npo", "text", 640, {"beta": 0.1}, UNRELATED, 0.05)
    assert spec == UnlearningSpec(("mini-compromised",), asked, seed=3)
    for wrong, error in (
        ((None, "mini-compromised", "text", 640, 3), QueryError),
        (("npo", "nothing", "text", 640, 3), ModelError),
        (("npo", "mini-compromised", "text", None, 3), QueryError),
    ):
        with pytest.raises(error):
            asked_job(workbench, UnlearnInputs(*wrong, [], stop, values_of("npo")))
    chosen = ("npo", "mini-compromised", "text", 640, 3)
    people = asked_job(workbench, UnlearnInputs(*chosen, ["00000003", "00000004:email"], stop, values_of("npo")))
    assert people.unlearning.forget == ("00000003", "00000004:email")
    # What comes from a client may name anybody.
    for forged, sentence in (("00000099", "no persona '00000099'"), ("00000003:shoes", 'no pairs of "shoes"')):
        with pytest.raises(QueryError, match=sentence):
            asked_job(workbench, UnlearnInputs(*chosen, [forged], stop, values_of("npo")))


def test_stop_rules_are_those_chosen_and_none_for_a_method_that_edits_once():
    npo, ssd = find_method("npo"), find_method("ssd")
    for never in (0, None):
        assert stop_of(npo, Stop("", 0.3, never)) == (None, None)
    assert stop_of(npo, Stop(UNRELATED, 0.3, 12.5)) == (UNRELATED, 0.125)
    assert stop_of(npo, Stop("oracle", 0.0, None)) == (0.0, None)
    with pytest.raises(QueryError, match="Type a number for the cosine to stop at"):
        stop_of(npo, Stop("oracle", None, 10))
    assert stop_of(ssd, Stop(UNRELATED, None, 10)) == (None, None)
    with gr.Blocks():
        controls = stop_controls()
    assert [rule for _, rule in controls.rule.choices] == ["", UNRELATED, "oracle"]
    assert not controls.level.visible
    assert controls.update(npo).visible
    assert not controls.update(ssd).visible


def test_a_standing_says_how_much_is_forgotten_and_kept():
    standing = RunStanding.of(FIRST, LAST)
    assert standing.forgotten == pytest.approx(0.8)
    assert standing.kept == pytest.approx(0.9)
    assert standing.outcome is RunOutcome.FORGETS
    assert RunStanding.of(FIRST, FIRST).outcome is RunOutcome.FORGETS_LITTLE
    assert RunStanding.of(FIRST, replace(LAST, retain_similarity=0.5)).outcome is RunOutcome.DAMAGES
    for level in (0.1, 0.11):
        assert RunStanding.of(replace(FIRST, forget_similarity=level), LAST).forgotten is None


@pytest.mark.parametrize(
    ("start", "now", "kept"),
    [
        (0.1, 0.09, 0.9),
        (0.05, 0.04, 0.9),
        (0.001, -0.009, 0.9),
        (0.0, -0.05, 0.5),
        (-0.2, -0.2, 1.0),
        (-0.2, -0.21, 0.9),
    ],
)
def test_what_is_kept_means_the_same_for_every_start(start: float, now: float, kept: float):
    first, last = (replace(FIRST, retain_similarity=value) for value in (start, now))
    assert RunStanding.of(first, last).kept == pytest.approx(kept)


def test_a_run_is_shown_as_curves_and_as_persons():
    people = People([Persona("7", {"name": "Ada & Co"}), Persona("9", {"name": "Bo"})])
    html = live_view([FIRST, LAST], 6400, people, lambda persona: None)
    assert "<b>80%</b> of the way to unrelated pairs" in html
    assert "<b>90%</b> of the retain similarity kept" in html
    assert "forget pairs from 0.800 to 0.240, retain pairs from 0.900 to 0.810" in html
    ada, bo = re.findall(r'<li class="card watched">.*?</li>', html)
    assert "Ada &amp; Co" in ada
    assert "verdict-partly" in ada
    assert "9 of 96" in ada
    assert "Rank 1 → 9" in ada
    assert "verdict-forgotten" in bo
    assert "Rank 1 → 40.5" in bo
    assert "Rank 1 at every reading" in live_view([FIRST, FIRST], 6400, people, None)
    assert live_view([], 6400, people, None) == ""


def test_a_run_on_texts_is_shown_by_its_probabilities():
    first, last = TextMetrics(0, 0, None, 0.9, 0.8, 0.2), TextMetrics(4, 64, 1.5, 0.34, 0.6, 0.3)
    assert RunStanding.of(first, last).outcome is RunOutcome.DAMAGES
    html = live_view([first, last], 128, People(), None)
    assert "<b>80%</b> of the way to unrelated texts" in html
    assert "<b>75%</b> of the retain probability kept" in html
    assert "texts to forget from 0.900 to 0.340, texts to retain from 0.800 to 0.600" in html
    assert "forget texts spent" in html
    assert re.findall("<th[^>]*>([^<]+)", html)[:4] == [
        "Forget texts", "Forget probability", "Retain probability", "Unrelated probability"
    ]  # fmt: skip
    assert "Personas" not in html


def test_curves_end_where_the_budget_was_spent():
    svg = curve_svg([FIRST, LAST], 6400, "A & B")
    forget = re.search(r'class="forget_side"><polyline points="([^"]+)"', svg)
    assert forget
    (x0, y0), (x1, y1) = (map(float, point.split(",")) for point in forget[1].split())
    assert x1 - x0 == pytest.approx((440 - 40 - 12) / 2)
    # Down by 0.56 of an axis from 0.0 to 0.9 that is 188 high.
    assert y1 - y0 == pytest.approx(188 * 0.56 / 0.9, abs=0.2)
    assert 'aria-label="A &amp; B"' in svg


def test_a_run_is_told_in_words():
    html = job_panel(JOB, None) + job_list([JOB], None)
    assert "npo, beta 0.1, towers both, 6,400 forget pairs, seed 42, mini" in html
    assert 'aria-label="Unlearning job"' in html
    for stop, words in (
        ({"forget_level": UNRELATED}, "pairs, stops once forget pairs look unrelated, seed"),
        ({"forget_level": -0.05}, "pairs, stops at forget similarity -0.05 (oracle), seed"),
        ({"retain_drop": 0.125}, "pairs, stops at 12.5% less retain similarity, seed"),
    ):
        spec = replace(SPEC, unlearning=UnlearningOptions("npo", "both", 6400, **stop))
        assert words in job_panel(replace(JOB, spec=spec), None)


def test_nothing_of_a_run_becomes_markup():
    spec = replace(
        SPEC, models=(HOSTILE,), unlearning=UnlearningOptions(HOSTILE, HOSTILE, 1, {HOSTILE: HOSTILE}, HOSTILE)
    )
    job = replace(JOB, spec=spec)
    reading = replace(LAST, persona_ranks={HOSTILE: 1.0})
    html = (
        job_panel(job, None)
        + job_list([job], None)
        + live_view([reading], 1, People([Persona(HOSTILE, {"name": HOSTILE})]), lambda persona: HOSTILE)
        + live_view([reading], 1, People(), None)
        + method_card(HOSTILE, HOSTILE, HOSTILE, [HOSTILE])
    )
    assert "<img src=x" not in html
    assert 'onerror="' not in html
