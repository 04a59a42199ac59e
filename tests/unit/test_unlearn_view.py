"""The Unlearn tab as markup and values, without a browser."""

import json
import re
from dataclasses import fields, replace
from itertools import groupby
from pathlib import Path

import gradio as gr
import pytest

from salmu_demo.core.errors import ModelError, QueryError
from salmu_demo.data.dataset import Persona
from salmu_demo.data.source import load_data
from salmu_demo.jobs.job import Job, JobState
from salmu_demo.jobs.kinds.unlearning import UnlearningOptions, UnlearningSpec
from salmu_demo.leaderboard.sweeps import sweep_outcomes
from salmu_demo.ui.jobs.status import job_list, job_panel
from salmu_demo.ui.shell.view import PagePersonas
from salmu_demo.ui.tabs.unlearn import text
from salmu_demo.ui.tabs.unlearn.fields import Field, filled, typed_into
from salmu_demo.ui.tabs.unlearn.form import (
    DEFAULT_METHOD,
    Stop,
    UnlearnInputs,
    asked_job,
    carried,
    group_of,
    hyperparameters_of,
    kept_method,
    method_choices,
    methods_of,
    settings_of,
    stop_controls,
    stop_of,
    unlearn_form,
)
from salmu_demo.ui.tabs.unlearn.view import curve_svg, live_view, method_card
from salmu_demo.unlearning import UNRELATED, Modality
from salmu_demo.unlearning.methods import Form, TrainedMethod, all_methods, find_method
from salmu_demo.unlearning.training_metrics import RunOutcome, RunStanding, TextMetrics, TrainingMetrics
from salmu_demo.workbench.bench import Workbench
from tests.fixtures import clear

UNUSED = {entry.name for entry in fields(TrainedMethod)} - {"batch_size"}
"""Hyperparameters that a method without steps has no use for."""

HOSTILE = '<img src=x onerror="alert(1)">'
FIRST = TrainingMetrics(0, 0, None, 0.8, 1.0, 0.9, 0.1, {"7": 1.0, "9": 1.0}, 96)
LAST = TrainingMetrics(50, 3200, -4.0, 0.24, 0.1, 0.81, 0.1, {"7": 9.0, "9": 40.5}, 96)
SPEC = UnlearningSpec(("base",), UnlearningOptions("npo", "both", 6400, {"beta": 0.1}))
JOB = Job("k3Jf0-_aZ9qLmN4tRv7wXy", SPEC, JobState.RUNNING, "2026-01-02T03:04:05+00:00")


@pytest.fixture(scope="module")
def workbench(tiny_assets) -> Workbench:
    return Workbench()


def values_of(name: str, modality: Modality | None = None, **typed: object) -> list[dict[str, object]]:
    """What the page sends for the fields of a method in which some values were typed."""
    known = hyperparameters_of(find_method(name, modality))
    assert typed.keys() <= {field.name for field in known.all}
    return [filled(known.own, typed), filled(known.common, typed)]


def test_every_hyperparameter_has_a_field():
    for spec in (spec for form in Form for spec in all_methods(form)):
        known = hyperparameters_of(spec)
        defaults = {field.name: field.default for field in known.all}
        every = {name: default for name, (default, _) in spec.hyperparameters.items()}
        assert defaults.items() <= every.items()
        assert every.keys() - defaults.keys() == (every.keys() & UNUSED if spec.is_one_shot else set()), spec.name
        assert all(field.checked(field.default) == field.default for field in known.all)
        rendered = filled(known.all)["markup"]
        assert re.findall(r'<label for="field-(\w+)">', rendered) == list(defaults)
    assert find_method(DEFAULT_METHOD)


def test_methods_stand_in_groups_with_what_was_measured_of_them(tmp_path: Path):
    line = {"compared_at": "budget", "variant": "npo", "seeds": [3, 3], "seconds": 130.0, "metrics": {}}
    lines = [
        {**line, "diagnoses": {"clean pass": 2, "undecided": 1}},
        {**line, "variant": "ga", "compared_at": "reference", "diagnoses": {"clean pass": 3}},
        {**line, "variant": "gd", "seconds": None, "diagnoses": {"clean pass": 3}},
        {**line, "variant": "ssd", "diagnoses": {}},
    ]
    (tmp_path / "sweep.json").write_text(json.dumps(lines))
    outcomes = sweep_outcomes([tmp_path])
    assert list(outcomes) == ["npo"]
    labels = [label for label, _ in method_choices(outcomes)]
    assert "NPO (clean pass, about 2 min) · forgets and retains side by side" in labels
    groups = [label.partition(" · ")[2] for label in labels]
    assert [group for group, _ in groupby(groups)] == list(text.GROUPS.values())
    for name, group in (("ssd", "one-shot"), ("finetune", "retain"), ("ga", "forget"), ("npo", "both")):
        assert group_of(find_method(name)) == group


def test_the_modality_decides_which_methods_are_offered():
    names = {modality: {name for _, name in method_choices({}, modality)} for modality in (*Modality, None)}
    generative = {spec.name for spec in all_methods(Form.GENERATIVE)}
    assert names[Modality.BOTH] == names[Modality.TEXT] == generative
    assert names[Modality.VISUAL] == generative | {spec.name for spec in all_methods(Form.VISUAL)}
    assert names[None] == {spec.name for spec in all_methods()}
    # A method that the other modality has too stays chosen, in the form for it.
    assert kept_method("scrub", Modality.TEXT) == find_method("scrub", Modality.TEXT)
    assert kept_method("scrub", None) == find_method("scrub")
    for gone, modality in (("twins", Modality.BOTH), ("ssd", Modality.TEXT), (None, Modality.VISUAL)):
        assert kept_method(gone, modality).name == "dpo"
    assert kept_method("nothing", None).name == kept_method(None, None).name == DEFAULT_METHOD


def test_only_data_of_clear_have_a_modality(workbench: Workbench, tmp_path: Path):
    for name in ("forget10", "retain90"):
        clear.write(tmp_path, name, clear.rows_of(name))
    of_clear, other = load_data(f"clear:{tmp_path}"), workbench.data
    with gr.Blocks():
        shown, hidden = unlearn_form(of_clear), unlearn_form(other)
    assert [value for _, value in shown.modality.choices] == ["both", "text", "visual", ""]
    assert (shown.modality.value, shown.modality.visible) == ("both", True)
    assert ([value for _, value in hidden.modality.choices], hidden.modality.visible) == ([""], False)
    budgets = {}
    for modality, name in ((Modality.BOTH, "dpo"), (Modality.VISUAL, "twins"), (None, "npo")):
        updates = shown.method_updates(find_method(name, modality))
        budgets[modality] = updates[shown.method_outputs.index(shown.budget)].info.split(" that ")[0]
    assert budgets == {Modality.BOTH: "Forget texts", Modality.VISUAL: "Forget pairs", None: "Forget pairs"}
    # A run that is opened fills the form with its modality, and the methods of it.
    asked = UnlearningOptions("twins", "image", 64, {"batch_size": 8}, -0.1, 0.25, modality="visual")
    updates = dict(zip(shown.job_outputs, shown.job_updates(UnlearningSpec(("m",), asked), ["m"]), strict=True))
    assert (updates[shown.modality], updates[shown.method].value) == ("visual", "twins")
    assert {value for _, value in updates[shown.method].choices} == {spec.name for spec in methods_of(Modality.VISUAL)}
    assert (updates[shown.budget].value, updates[shown.towers].value, updates[shown.base].value) == (64, "image", "m")
    assert updates[shown.controls.common]["typed"] == [["batch_size", 8]]
    shown_stop = Stop(updates[shown.stop.rule], updates[shown.stop.level].value, updates[shown.stop.drop])
    assert stop_of(find_method("npo"), shown_stop) == (-0.1, 0.25)


def test_fields_carry_the_ranges_and_defaults_of_the_method():
    fields = {field.name: field for field in hyperparameters_of(find_method("npo")).all}
    beta, batch = fields["beta"], fields["batch_size"]
    assert beta == Field(
        "beta", "Beta", "How soon the ascent fades; towards 0 it never does (0.001 to 10)", 0.5, 1e-3, 10
    )
    assert (beta.precision, beta.step, batch.precision, batch.step, batch.minimum) == (None, 0.05, 0, 1, 2)
    rendered = str(filled([beta, batch])["markup"])
    assert '<input type="number" id="field-beta" name="beta" value="0.5" min="0.001" max="10" step="0.05"' in rendered
    assert rendered.count("data-whole") == 1
    [words] = hyperparameters_of(find_method("ga")).own
    assert list(words.words) == ["entropy", "likelihood"]
    assert "<option selected>entropy</option><option>likelihood</option>" in filled([words])["markup"]


def test_a_method_may_have_any_number_of_hyperparameters():
    many = [Field(f"weight_{number}", f"Weight {number}", "of a loss", 1.0, 0, 10) for number in range(40)]
    value = {**filled(many), "typed": [["weight_39", 2.5], ["weight_3", None], ["another", "x"]]}
    assert value["markup"].count("<input") == 40
    assert typed_into(many, value) == {"weight_3": None, "weight_39": 2.5}


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ([["beta", 20]], r"“Beta” takes a number of at least 0.001 and at most 10, not 20."),
        ([["beta", "0.5"]], '“Beta” takes a number, not "0.5"'),
        ([["beta", True]], "“Beta” takes a number"),
        ([["beta", float("nan")]], "“Beta” takes a number"),
        ([["steps", 2.5]], "“Steps” takes a whole number, not 2.5."),
        ([["rule", "nothing"]], '“Rule” does not offer "nothing"'),
        ([["rule", None]], "“Rule” does not offer None"),
        ([["beta"]], "not sent as the page sends them"),
        ([[["beta"], 1]], "not sent as the page sends them"),
        ({"beta": 1}, "not sent as the page sends them"),
        (None, "not sent as the page sends them"),
    ],
)
def test_what_no_field_could_hold_is_refused(typed: object, sentence: str):
    fields = [
        Field("beta", "Beta", "", 0.5, 1e-3, 10),
        Field("steps", "Steps", "", 3, 1, 100),
        Field("rule", "Rule", "", "pcgrad", words=("pcgrad", "munba")),
    ]
    with pytest.raises(QueryError, match=sentence):
        typed_into(fields, {"markup": "", "typed": typed})
    for value in (None, "x", [], {}):
        with pytest.raises(QueryError, match="not sent as the page sends them"):
            typed_into(fields, value)


def test_what_was_typed_for_one_modality_stays_for_another_as_far_as_that_has_it():
    before, after = find_method("scrub", Modality.TEXT), find_method("scrub")
    typed = {"learning_rate": 3e-5, "alpha": 2.0}
    kept = carried(before, after, "image", 77, *values_of("scrub", Modality.TEXT, **typed))
    assert (kept.method, kept.towers, kept.budget, kept.settings) == ("scrub", "image", 77, typed)
    # What was at the default of one is at that of the other, and so is what is empty.
    assert before.hyperparameters["batch_size"][0] != after.hyperparameters["batch_size"][0]
    emptied = values_of("scrub", Modality.TEXT, alpha=None)
    assert carried(before, after, "image", None, *emptied) == UnlearningOptions("scrub", "image", after.budget, {})
    # Another method takes what it has by that name and can be; here neither beta nor the towers.
    twins = find_method("twins", Modality.VISUAL)
    values = values_of("npo", Modality.TEXT, beta=0.2, retain_weight=0.25, batch_size=16)
    kept = carried(find_method("npo", Modality.TEXT), twins, "text", 1920, *values)
    assert (kept.method, kept.towers, kept.settings) == ("twins", "image", {"retain_weight": 0.25})
    values = values_of("twins", Modality.VISUAL, retain_weight=500, lora_rank=4)
    assert carried(twins, find_method("npo", Modality.TEXT), "image", 64, *values).settings == {"lora_rank": 4}


def test_only_what_was_changed_is_a_setting():
    assert settings_of(find_method("npo"), *values_of("npo")) == {}
    assert settings_of(find_method("npo"), *values_of("npo", beta=0.5)) == {}
    assert settings_of(find_method("npo"), *values_of("npo", beta=0.1, batch_size=8)) == {"beta": 0.1, "batch_size": 8}
    with pytest.raises(QueryError, match="Type a number for retain weight"):
        settings_of(find_method("npo"), *values_of("npo", retain_weight=None))


def test_a_form_becomes_a_job(workbench: Workbench):
    stop = Stop("unrelated", None, 5)
    spec = asked_job(
        workbench, UnlearnInputs("", "npo", "mini-compromised", "text", 640, 3, [], stop, values_of("npo", beta=0.1))
    )
    asked = UnlearningOptions("npo", "text", 640, {"beta": 0.1}, UNRELATED, 0.05)
    assert spec == UnlearningSpec(("mini-compromised",), asked, seed=3)
    for wrong, error in (
        ((None, "mini-compromised", "text", 640, 3), QueryError),
        (("npo", "nothing", "text", 640, 3), ModelError),
        (("npo", "mini-compromised", "text", None, 3), QueryError),
    ):
        with pytest.raises(error):
            asked_job(workbench, UnlearnInputs("", *wrong, [], stop, values_of("npo")))
    chosen = ("npo", "mini-compromised", "text", 640, 3)
    people = asked_job(workbench, UnlearnInputs("", *chosen, ["00000003", "00000004:email"], stop, values_of("npo")))
    assert people.unlearning.forget == ("00000003", "00000004:email")
    # What comes from a client may name anybody.
    for forged, sentence in (("00000099", "no persona '00000099'"), ("00000003:shoes", 'no pairs of "shoes"')):
        with pytest.raises(QueryError, match=sentence):
            asked_job(workbench, UnlearnInputs("", *chosen, [forged], stop, values_of("npo")))


def test_a_form_with_a_modality_becomes_a_job_of_it(workbench: Workbench):
    def asked(modality: str, method: str) -> UnlearningSpec:
        given = (modality, method, "mini-compromised", "image", 640, 3, [], Stop("", None, 0), values_of("dpo"))
        return asked_job(workbench, UnlearnInputs(*given))

    for modality in Modality:
        assert asked(modality, "dpo").unlearning == UnlearningOptions("dpo", "image", 640, modality=modality)
    assert asked("visual", "twins").unlearning.modality == "visual"
    # What comes from a client may name any modality, and any method with it.
    for modality, method, sentence in (
        ("sound", "dpo", "no modality 'sound'"),
        ("text", "twins", "twins has no form that forgets the modality text"),
        ("visual", "ssd", "ssd has no form for models that write"),
    ):
        with pytest.raises(QueryError, match=sentence):
            asked(modality, method)


def test_stop_rules_are_those_chosen_and_none_for_a_method_that_edits_once():
    npo, ssd = find_method("npo"), find_method("ssd")
    for never in (0, None):
        assert stop_of(npo, Stop("", 0.3, never)) == (None, None)
    assert stop_of(npo, Stop(UNRELATED, 0.3, 12.5)) == (UNRELATED, 0.125)
    assert stop_of(npo, Stop("oracle", 0.0, None)) == (0.0, None)
    with pytest.raises(QueryError, match="Type a number for the level to stop at"):
        stop_of(npo, Stop("oracle", None, 10))
    assert stop_of(ssd, Stop(UNRELATED, None, 10)) == (None, None)
    with gr.Blocks():
        controls = stop_controls("SALMUBench")
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
    people = PagePersonas([Persona("7", {"name": "Ada & Co"}), Persona("9", {"name": "Bo"})])
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
    html = live_view([first, last], 128, PagePersonas(), None)
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
        + live_view([reading], 1, PagePersonas([Persona(HOSTILE, {"name": HOSTILE})]), lambda persona: HOSTILE)
        + live_view([reading], 1, PagePersonas(), None)
        + method_card(HOSTILE, HOSTILE, HOSTILE, [HOSTILE])
    )
    assert "<img src=x" not in html
    assert 'onerror="' not in html


def test_a_number_of_hundreds_of_digits_is_refused_in_a_sentence():
    with pytest.raises(QueryError, match="“A” takes a number"):
        typed_into([Field("a", "A", "", 3, 1, 100)], {"typed": [["a", 10**400]]})
