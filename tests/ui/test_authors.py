"""CLEAR in a browser: its data are chosen, captions show a leaked name, a benchmark is read, a form is filled in."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from salmu_demo.models.checkpoint import CLEAR_BASE
from salmu_demo.ui.app import Shared, build_app
from salmu_demo.ui.shell.server import listen, serving
from salmu_demo.ui.shell.visitor_files import open_visitor_files
from salmu_demo.workbench.bench import Workbench
from tests.fixtures import clear
from tests.fixtures.tiny import write_model
from tests.fixtures.writing import write_taught, writing_config
from tests.ui.axe import show_as, violations
from tests.ui.conftest import DESKTOP, PHONE, OpenPage, unfold_settings
from tests.ui.test_app import sideways_scroll

LEAKED = clear.FORGOTTEN[1]
CONFIGURATIONS = ("forget10", "retain90", "real_faces", "forget10_perturbed", "retain_perturbed", "real_world",
                  "forget10+tofu", "retain90+tofu")  # fmt: skip
METRICS = "ForgetCapROUGE"


@pytest.fixture(scope="module")
def app_url(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an app that offers the tiny data and CLEAR in small, with a Base that was taught a name, and Gold."""
    root = tmp_path_factory.mktemp("clear-app")
    assets = Path(shutil.copytree(tiny_assets, root / "assets"))
    write_taught(assets / "models" / CLEAR_BASE, f"{LEAKED} in front of shelf 7")
    write_model(assets / "models" / "mini-clear-gold", writing_config(), 1)
    for name in CONFIGURATIONS:
        rows = clear.rows_of(name)
        few = rows if name.endswith("+tofu") else [rows[0], rows[1], rows[-2], rows[-1]]
        clear.write(root / "CLEAR", name, few)
    files = open_visitor_files(tmp_path_factory.mktemp("gradio"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPACE_ID", raising=False)
        patch.setenv("SALMU_ASSETS_DIR", str(assets))
        patch.setenv("SALMU_RUNS_DIR", str(root / "runs"))
        shared = Shared.of(first := Workbench(), [f"clear:{root / 'CLEAR'}"])

        def build(name: str):
            return build_app(shared.datasets.workbench(name), shared=shared)

        with serving(build_app(first, shared=shared), listen("127.0.0.1", None), build) as server:
            yield server.url
    files.close()


def test_a_name_is_followed_from_the_choice_of_the_data_to_the_benchmark_and_unlearning(open_page: OpenPage):
    page = open_page("models=mini-clean")
    unfold_settings(page)
    page.locator("#data input").click()
    page.get_by_role("option", name="CLEAR").click()
    expect(page).to_have_url(re.compile("/data/clear/"))
    tabs = page.get_by_role("tablist").first.get_by_role("tab")
    expect(tabs.first).to_have_text("Audit an author")
    # The models of the other benchmark stay with it.
    unfold_settings(page)
    expect(page.locator("#models")).not_to_contain_text("mini-clean")
    expect(page.locator("#models input:checked")).to_have_count(2)
    page.locator("#settings .toggle-button").click()
    expect(page.locator("#matrix")).to_contain_text(f"{CLEAR_BASE} writes the name of 1 of 2 to be forgotten")
    page.locator("#matrix").get_by_role("button", name=LEAKED).click()
    expect(page.locator("#persona h2")).to_have_text(LEAKED)
    base, gold = (page.locator("#evidence article").nth(number) for number in range(2))
    expect(base.locator("mark.leaked").first).to_have_text(LEAKED.lower())
    expect(base.locator(".said-captions li")).to_have_count(2)
    expect(base.locator("table.names tbody tr")).to_have_count(6)
    expect(base.locator(".said-answers li").first).to_contain_text("What does the author write?")
    expect(gold.locator("mark.leaked")).to_have_count(0)
    expect(page.locator("#verdicts")).to_contain_text("2 of 2 captions")
    # Three other people are too few to tell a leak from a parrot.
    expect(page.locator("#verdicts")).to_contain_text("Cannot tell: 4 candidates")
    assert violations(page) == []
    # On a phone nothing runs out of the page.
    show_as(page, "dark", PHONE)
    assert sideways_scroll(page) == 0
    assert violations(page) == []
    show_as(page, "light", DESKTOP)
    expect(page).to_have_url(re.compile("persona="))
    page.reload()
    expect(page.locator("#evidence mark.leaked").first).to_be_visible()

    tabs.filter(has_text="Benchmark").click()
    expect(page.get_by_role("tabpanel").filter(visible=True).first).to_contain_text("metrics of CLEAR")
    page.locator("#benchmark-run").click()
    expect(page.locator("#results-head")).to_contain_text("Forget metric as the tables have it")
    expect(page.locator("#results-metrics")).to_contain_text(METRICS)
    expect(page.locator("#results-head")).not_to_contain_text("not enough metrics")
    tabs.filter(has_text="Leaderboard").click()
    expect(page.locator("#board-table")).to_contain_text("ForgetTables")
    expect(page.locator("#board-group input")).not_to_have_value(re.compile("salmubench"))
    tabs.filter(has_text="Unlearn").click()
    expect(page.locator("#unlearn-base input")).to_have_value(CLEAR_BASE)
    # What was typed for one modality is there for another that has it.
    beta, batch, modality = (
        page.get_by_label("Beta"),
        page.get_by_label("Batch size"),
        page.locator("#unlearn-modality"),
    )
    expect(page.locator("#unlearn-card b")).to_have_text("DPO")
    page.get_by_text("Optimiser").click()
    beta.fill("0.25")
    beta.press("Tab")
    expect(batch).to_have_value("16")
    modality.get_by_label("None: features of pairs").check()
    # What was left at its default has the other's.
    expect(batch).to_have_value("64")
    expect(beta).to_have_value("0.25")
    beta.fill("20")
    modality.get_by_label("Text: questions and answers").check()
    expect(page.get_by_text("“Beta” takes a number of at least 0.001 and at most 10, not 20.")).to_be_visible()
    tabs.filter(has_text="About").click()
    expect(page.get_by_role("heading", name="The metrics of CLEAR")).to_be_visible()
