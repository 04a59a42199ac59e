"""What is started at once and what is asked about first, by how long it would take."""

from dataclasses import replace

import pytest

from salmu_demo.core.errors import DataError, ModelError, QueryError
from salmu_demo.data.sample import Sample
from salmu_demo.jobs.job import Estimate, SampledEstimate
from salmu_demo.jobs.plan import LONG_SECONDS, make_plan
from salmu_demo.workbench.bench import Workbench

MODELS = ["mini-clean", "mini-compromised"]
METRICS = ["RetFail", "AssocStr"]
SAMPLE = Sample(8, 3)


class Estimates:
    """Stands for a job manager: a second for each row."""

    def __init__(self, all_rows: float, suggestion: SampledEstimate | None = None) -> None:
        self.asked = []
        self._all_rows = Estimate(all_rows, 10, 10, suggestion)

    def estimate(self, spec):
        self.asked.append(spec)
        return self._all_rows if spec.sample is None else Estimate(spec.sample, 1, 1)


@pytest.fixture(scope="module")
def workbench(tiny_assets) -> Workbench:
    return Workbench()


def test_a_quick_job_starts_without_a_question(workbench):
    plan = make_plan(workbench, Estimates(LONG_SECONDS), MODELS, METRICS)
    assert plan.choices == ()
    assert (plan.asked.spec.models, plan.asked.spec.metrics) == (tuple(MODELS), tuple(METRICS))
    assert (plan.asked.spec.data, plan.asked.spec.sample, plan.asked.seconds) == ("mini", None, LONG_SECONDS)


def test_a_long_job_offers_all_rows_and_the_suggested_sample(workbench):
    plan = make_plan(workbench, Estimates(9000, SampledEstimate(12, 130)), MODELS, METRICS)
    whole, part = plan.choices
    assert whole == plan.asked
    assert part.spec == replace(whole.spec, sample=12)
    assert whole.label == "All rows (about 2 h 30 min)"
    assert part.label == "A sample of 12 forget rows (about 2 min)"


def test_a_long_job_without_a_sample_asks_all_the_same(workbench):
    plan = make_plan(workbench, Estimates(9000), MODELS, METRICS)
    assert plan.choices == (plan.asked,)


def test_a_quick_sample_is_not_held_up_by_the_estimate_of_all_rows(workbench):
    manager = Estimates(9000)
    plan = make_plan(workbench, manager, MODELS, METRICS, SAMPLE)
    assert plan.choices == ()
    assert manager.asked == [plan.asked.spec]
    assert (plan.asked.spec.sample, plan.asked.spec.seed) == (8, 3)


def test_a_long_sample_is_offered_beside_all_rows(workbench, monkeypatch):
    monkeypatch.setattr("salmu_demo.jobs.plan.LONG_SECONDS", 5)
    plan = make_plan(workbench, Estimates(9000), MODELS, METRICS, SAMPLE)
    assert [(choice.spec.sample, choice.seconds) for choice in plan.choices] == [(None, 9000), (8, 8)]


def test_what_cannot_be_measured_is_refused_before_anything_is_timed(workbench):
    manager = Estimates(1)
    with pytest.raises(QueryError, match="No model is chosen"):
        make_plan(workbench, manager, [], METRICS)
    with pytest.raises(ModelError, match="nonesuch"):
        make_plan(workbench, manager, ["nonesuch"], METRICS)
    with pytest.raises(DataError, match="A sample of 9,999,999 forget rows cannot be taken"):
        make_plan(workbench, manager, MODELS, METRICS, Sample(9_999_999))
    assert manager.asked == []
