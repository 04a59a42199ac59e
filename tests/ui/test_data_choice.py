"""Another data set is chosen in the page: its people, the same models, and nothing that is not offered."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from salmu_demo.data import layout
from salmu_demo.hub.reference import OFFICIAL_DATA
from salmu_demo.ui.app import Shared, build_app
from salmu_demo.ui.shell.server import listen, serving
from salmu_demo.ui.shell.visitor_files import open_visitor_files
from salmu_demo.workbench.bench import Workbench
from tests.fixtures import tiny
from tests.fixtures.hub import closed_port, speak_to
from tests.ui.client import Visitor
from tests.ui.conftest import OpenPage, unfold_settings

STRANGER = "Somebody Else"


@pytest.fixture(scope="module")
def app_url(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an app that offers two data sets, which differ in a name."""
    other = tiny.write_tiny_data(tmp_path_factory.mktemp("data") / "other")
    people = json.loads((other / layout.IDENTITIES_FILE).read_text("utf-8"))
    people["00000001"]["name"] = STRANGER
    (other / layout.IDENTITIES_FILE).write_text(json.dumps(people), "utf-8")
    files = open_visitor_files(tmp_path_factory.mktemp("gradio"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPACE_ID", raising=False)
        speak_to(closed_port(), tmp_path_factory.mktemp("hub"), patch)
        shared = Shared.of(first := Workbench(), [str(other)])

        def build(name: str):
            return build_app(shared.datasets.workbench(name), shared=shared)

        with serving(build_app(first, shared=shared), listen("127.0.0.1", None), build) as server:
            yield server.url
    files.close()


def test_another_data_set_is_chosen_with_the_models_kept(open_page: OpenPage):
    # A link to a persona of the other data set.
    page = open_page("persona=00000001&kind=city&models=mini-clean", path="data/other/")
    expect(page.locator("#persona h2")).to_have_text(STRANGER)
    expect(page.locator("#data input")).to_have_value(re.compile("/other$"))
    unfold_settings(page)
    page.locator("#data input").click()
    page.get_by_role("option", name="SALMU-Mini").click()
    expect(page).not_to_have_url(re.compile("/data/"))
    expect(page.locator("#people")).to_contain_text(tiny.PERSONAS["00000001"]["name"])
    unfold_settings(page)

    # One that cannot be opened is said, and the page stays.
    page.locator("#data input").click()
    page.get_by_role("option", name="SALMUBench").click()
    expect(page.get_by_test_id("toast-body").first).to_contain_text(OFFICIAL_DATA)
    expect(page.locator("#data input")).to_have_value("SALMU-Mini")
    expect(page).not_to_have_url(re.compile("/data/"))

    page.locator("#data input").click()
    page.get_by_role("option", name="other").click()
    expect(page).to_have_url(re.compile(r"/data/other/\?.*models=mini-clean"))
    expect(page.locator("#people")).to_contain_text(STRANGER)
    expect(page.locator("#data input")).to_have_value(re.compile("/other$"))
    expect(page.locator("#models input:checked")).to_have_count(1)
    page.locator("#people").get_by_role("button", name=STRANGER).click()
    expect(page.locator("#verdicts button.cell")).to_have_count(8)
    expect(page).to_have_url(re.compile("/data/other/.*persona=00000001&models=mini-clean$"))


def test_nobody_opens_what_is_not_offered(app_url: str):
    for name in ("nowhere", "..%2f..%2fetc", "mini%00"):
        answer = httpx.get(f"{app_url}data/{name}/", timeout=60)
        assert answer.status_code == 404
        assert "Traceback" not in answer.text
    outcome = Visitor(app_url).send("data", "input", "/etc")
    assert outcome.error is not None
    assert "does not offer" in outcome.error
