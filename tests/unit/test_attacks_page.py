"""The part of the Benchmark tab about attacks, without a browser."""

import re
from pathlib import Path

import pytest

from salmu_demo.core.errors import QueryError, ResultError
from salmu_demo.jobs.job import JobState
from salmu_demo.jobs.kinds import KINDS
from salmu_demo.jobs.kinds.attack import ATTACK, Attacks, AttackSpec
from salmu_demo.jobs.kinds.benchmark import BENCHMARK, REPORT_FOLDER
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.roles import NOTHING_TOLD, Told
from salmu_demo.reports.attacks import write_attack_reports
from salmu_demo.ui.app import tab_of_job
from salmu_demo.ui.shell.view import JOB_PREFIXES, JOB_TABS, TAB_OF_JOBS, TABS, View
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.tabs.benchmark.attacks import AttackPages, asked_attacks, attacks_view
from salmu_demo.ui.tabs.benchmark.page import BenchmarkPages
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.jobs import SPEC, TIMEOUT, at_once, doing
from tests.unit.test_reports_attacks import FOUND

MODELS = ("mini-clean", "mini-compromised", "mini-unlearned-finetune")


@pytest.fixture(scope="module")
def bench(tiny_assets: Path) -> Workbench:
    return Workbench()


def test_the_references_are_compared_with_and_the_others_attacked(bench: Workbench):
    spec = asked_attacks(bench, MODELS, NOTHING_TOLD, ["relearning"], thorough=True)
    assert (spec.models, spec.attacks, spec.thorough, spec.data) == (MODELS[2:], ("relearning",), True, "mini")
    assert spec.told == Told("mini-clean", "mini-compromised")
    # Who is told to be Clean is not a model to attack; who only has its name is one.
    told = asked_attacks(bench, MODELS, Told(clean=MODELS[2]), ["relearning"], thorough=False)
    assert (told.models, told.told.clean) == (("mini-clean",), MODELS[2])


def test_what_cannot_be_asked_for_is_said(bench: Workbench):
    with pytest.raises(QueryError, match="Only Clean and Compromised are chosen"):
        asked_attacks(bench, MODELS[:2], NOTHING_TOLD, ["relearning"], thorough=False)
    with pytest.raises(QueryError, match="No attack is chosen"):
        asked_attacks(bench, MODELS, NOTHING_TOLD, [], thorough=False)
    with pytest.raises(QueryError, match="There is no attack called 'magic'"):
        Attacks().check(AttackSpec(("m",), ("magic",)))


def test_the_table_shows_what_the_report_says_with_texts_escaped():
    shown = attacks_view(FOUND)
    assert "linear-map · with holdout" in shown
    assert "35.0 % to 45.0 %" in shown
    assert "A miniature." in shown


@pytest.fixture
def manager(tmp_path: Path):
    def work(spec, workbench, folder, report):
        write_attack_reports(FOUND, folder / REPORT_FOLDER)
        return at_once(spec, workbench, folder, report)

    kinds = {BENCHMARK: doing(BENCHMARK, at_once), ATTACK: doing(ATTACK, work)}
    made = JobManager(tmp_path, lambda data: None, kinds=kinds)  # type: ignore[arg-type, return-value]
    yield made
    made.close(0)


def test_two_kinds_of_jobs_share_the_tab_and_each_shows_its_own(bench: Workbench, manager: JobManager):
    attack, benchmark = (manager.submit(spec).id for spec in (AttackSpec(("m",), ("relearning",)), SPEC))
    for job_id in (attack, benchmark):
        assert manager.wait(job_id, TIMEOUT).state is JobState.DONE
    guest, host = AttackPages(manager), BenchmarkPages(bench, manager)
    assert guest.page(attack, [attack]).finished == attack
    assert guest.page(benchmark, [attack, benchmark], latest=True).finished == attack
    assert host.page(attack, [attack, benchmark], latest=True).finished == benchmark
    # A link to attacks opens the tab, and the benchmarks there do not take its place in the address.
    assert tab_of_job(manager, View(tab="benchmark", job=attack)) == "benchmark"
    assert (host.leaves_view(attack), host.leaves_view(benchmark), host.leaves_view(None)) == (True, False, False)
    assert guest.leaves_view(attack)
    assert (guest.shows(attack), guest.shows(benchmark), guest.shows(None)) == (True, False, False)
    shown = guest.results(attack)
    assert "linear-map" in shown
    assert re.findall(r'download="attacks(\.\w+)"', shown) == [".pdf", ".html", ".csv", ".json"]
    (manager.folder(attack) / REPORT_FOLDER / "attacks.csv").unlink()
    with pytest.raises(ResultError) as gone:
        guest.results(attack)
    assert str(gone.value) == text.ATTACKS_GONE


def test_every_kind_of_job_has_a_tab_and_names_for_its_elements():
    assert TAB_OF_JOBS.keys() == JOB_PREFIXES.keys() == KINDS.keys()
    assert set(JOB_TABS) <= set(TABS)
    assert len(set(JOB_PREFIXES.values())) == len(JOB_PREFIXES)
