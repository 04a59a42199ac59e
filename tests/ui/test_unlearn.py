"""Unlearning in a browser: choose a method, watch it, take the new model to the audit, come back to it."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.fixtures import tiny
from tests.ui.axe import violations
from tests.ui.conftest import PHONE, OpenPage, app_with_runs
from tests.ui.test_app import sideways_scroll


@pytest.fixture(scope="module")
def app_url(tiny_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with app_with_runs(tmp_path_factory) as url:
        yield url


def choose_method(page: Page, title: str) -> None:
    page.locator("#unlearn-method input").click()
    page.get_by_role("option", name=re.compile(f"^{title} ")).click()
    expect(page.locator("#unlearn-card b")).to_have_text(title)


def test_a_model_is_made_watched_and_audited(open_page: OpenPage):
    page = open_page("tab=unlearn")
    expect(page.get_by_text("No model made yet")).to_be_visible()
    choose_method(page, "NPO")
    expect(page.locator("#unlearn-card")).to_contain_text("arXiv 2404.05868")
    expect(page.get_by_label("Beta")).to_have_value("0.5")
    page.get_by_text("Optimiser").click()
    page.get_by_label("Batch size").fill("8")
    page.locator("#unlearn-budget input").fill("3")
    page.locator("#unlearn-run").click()
    expect(page.get_by_text("A budget of 3 is less than one batch of 8; raise it.")).to_be_visible()
    choose_method(page, "SSD, selective synaptic dampening")
    expect(page.locator("#unlearn-stop")).to_be_hidden()
    choose_method(page, "Pinpoint")
    expect(page.locator("#unlearn-budget input")).to_have_value("6400")
    choose_method(page, "NPO")
    page.get_by_label("Beta").press("ArrowUp")
    page.get_by_label("Batch size").fill("8")
    page.locator("#unlearn-budget input").fill("32")
    expect(page.locator("#unlearn-stop-level")).to_be_hidden()
    page.locator("#unlearn-stop").get_by_label("At a cosine").check()
    page.locator("#unlearn-stop-level input").fill("-0.9")
    page.locator("#unlearn-estimate").click()
    expect(page.locator("#unlearn-estimated")).to_contain_text(re.compile("This run takes .+ on this machine"))
    page.locator("#unlearn-run").click()
    panel = page.locator("#unlearn-job")
    asked = (
        r"npo, beta 0\.5\d+, batch_size 8, towers both, 32 forget pairs, stops at forget similarity -0\.9 \(oracle\)"
    )
    expect(panel).to_contain_text(re.compile(f"{asked}, seed 0, mini"))
    expect(panel).to_contain_text("It took")
    expect(page.locator("#unlearn-job-live .curve")).to_be_visible()
    expect(page.locator("#unlearn-job-live .watched")).to_have_count(4)
    expect(page).to_have_url(re.compile(r"tab=unlearn&job=[\w-]{22}$"))
    made = page.locator("#made-facts h2")
    expect(made).to_have_text(re.compile(r"npo-[0-9a-f]{16}$"))
    name = made.inner_text().split()[-1]
    page.get_by_text("Model card").click()
    expect(page.locator("#made-card")).to_contain_text("after unlearning the forget split of mini with NPO")
    expect(page.locator("#made-card")).to_contain_text("told to stop at a forget similarity of -0.9")
    expect(page.locator("#models").get_by_label(f"made:{name}")).to_be_checked()
    job = page.url.rpartition("=")[2]

    page.locator("#made-pack").click()
    with page.expect_download() as waiting:
        page.locator("#made-save").click()
    with zipfile.ZipFile(waiting.value.path()) as packed:
        assert {f"{name}/open_clip_model.safetensors", f"{name}/open_clip_config.json"} <= set(packed.namelist())
        assert packed.testzip() is None

    # One of the people that were watched is open, and what was ticked stays ticked.
    watched = page.locator("#unlearn-job-live .watched a").first.inner_text()
    page.locator("#made-audit").click()
    expect(page.locator("#persona h2")).to_have_text(watched)
    expect(page.locator("#verdicts thead")).to_contain_text(name)
    expect(page.locator("#verdicts button.cell")).to_have_count(8 * 4)
    expect(page).to_have_url(re.compile(rf"models={','.join(tiny.MODELS)},made:{name}$"))

    # The browser remembers its jobs, and a link to one opens the tab of its kind.
    home = page.url.partition("?")[0]
    again = page.context.new_page()
    again.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    again.goto(f"{home}?__theme=dark&job={job}")
    expect(again.get_by_role("tab", name="Unlearn")).to_have_attribute("aria-selected", "true")
    expect(again.locator("#unlearn-job")).to_contain_text("It took")
    expect(again.locator("#made-facts h2")).to_contain_text(name)
    expect(again.locator("#models").get_by_label(f"made:{name}")).not_to_be_checked()
    again.get_by_text("The table behind it").click()
    # The form is folded while a run is shown.
    expect(again.locator("#unlearn-budget")).to_be_hidden()
    again.get_by_role("button", name="How to unlearn").click()
    again.get_by_text("Optimiser").click()
    # It is filled in as the run was asked for.
    expect(again.locator("#unlearn-card b")).to_have_text("NPO")
    expect(again.locator("#unlearn-budget input")).to_have_value("32")
    expect(again.get_by_label("Batch size")).to_have_value("8")
    expect(again.locator("#unlearn-stop-level input")).to_have_value("-0.9")
    assert sideways_scroll(again) <= 0
    assert violations(again) == []
    again.locator("#made-benchmark").click()
    expect(again.get_by_role("tab", name="Benchmark")).to_have_attribute("aria-selected", "true")
    expect(again.locator("#models").get_by_label(f"made:{name}")).to_be_checked()
    expect(again.get_by_text("No results yet")).to_be_visible()


def test_whoever_asks_in_the_audit_is_offered_to_be_forgotten(open_page: OpenPage):
    page = open_page(f"persona={tiny.IN_BOTH[0]}&kind=email")
    note, offered = page.locator("#asked-note"), page.locator("#unlearn-forget")
    box = offered.get_by_label("孫 美玲 (00000003): E-mail")

    def ask() -> None:
        page.get_by_role("tab", name="Audit a persona").click()
        expect(note).to_contain_text("What is asked for here")
        page.locator("#forget-attribute").click()
        expect(note).to_contain_text("(00000003): E-mail. The Unlearn tab takes it.")
        page.get_by_role("tab", name="Unlearn").click()
        expect(box).to_be_checked()

    ask()
    assert violations(page, "#unlearn-forget") == []
    box.uncheck()
    ask()
    choose_method(page, "NPO")
    page.get_by_text("Optimiser").click()
    page.get_by_label("Batch size").fill("8")
    page.locator("#unlearn-budget input").fill("16")
    page.locator("#unlearn-run").click()
    expect(page.locator("#unlearn-job")).to_contain_text("16 forget pairs, asked for 00000003:email, seed 0, mini")
    page.get_by_role("button", name="Who is still forgotten?").click()
    followed = page.locator("#made-requests")
    expect(followed).to_contain_text(re.compile(r"Asked for, run 1 \(npo-\w+\): 孫 美玲 \(00000003\): E-mail\."))
    expect(followed.get_by_role("columnheader", name="everybody else")).to_be_visible()
    assert violations(page, "#made-requests") == []
    # Whoever asks next is forgotten in a run that goes on from there.
    page.get_by_role("tab", name="Audit a persona").click()
    page.locator("#forget-person").click()
    expect(note).to_contain_text("孫 美玲 (00000003)")
    page.locator("#people button[data-choice]").first.click()
    expect(page.locator("#persona h2")).not_to_contain_text("孫 美玲")
    page.locator("#forget-person").click()
    page.get_by_role("tab", name="Unlearn").click()
    expect(page.locator("#unlearn-base input")).to_have_value(re.compile("made:npo-"))


def test_a_form_shows_what_its_method_takes_and_keeps_what_was_typed(open_page: OpenPage):
    page = open_page("tab=unlearn")
    choose_method(page, "NPO")
    page.get_by_text("Optimiser").click()
    beta, batch, training = page.get_by_label("Beta"), page.get_by_label("Batch size"), page.get_by_text("Optimiser")
    beta.fill("20")
    expect(beta).not_to_have_attribute("aria-invalid", "true")
    beta.press("Tab")
    expect(page.get_by_role("alert").filter(has_text="Type a number from 0.001 to 10.")).to_be_visible()
    expect(beta).to_have_attribute("aria-invalid", "true")
    page.locator("#unlearn-estimate").click()
    expect(page.get_by_text("“Beta” takes a number of at least 0.001 and at most 10, not 20.")).to_be_visible()
    beta.fill("0.3")
    beta.press("Tab")
    expect(page.get_by_text("Type a number from 0.001 to 10.")).to_be_hidden()
    expect(page.get_by_label("Retain weight")).to_be_focused()
    batch.fill("")
    page.locator("#unlearn-estimate").click()
    expect(page.get_by_text("Type a number for batch size.")).to_be_visible()
    batch.fill("8")
    # Folded away and back, it is as it was left.
    training.click()
    expect(batch).to_be_hidden()
    training.click()
    expect(batch).to_have_value("8")
    # Another method, and this one again, has its own defaults, though its fields are in the same places.
    choose_method(page, "DPO")
    expect(beta).to_have_value("0.1")
    expect(batch).to_have_value("64")
    choose_method(page, "Gradient surgery")
    page.get_by_label("Rule").select_option("munba")
    choose_method(page, "NPO")
    expect(beta).to_have_value("0.5")
