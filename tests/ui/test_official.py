"""The official choice, end to end: the page, the real client of the Hub, and a stand-in Hub on this machine."""

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import gradio as gr
import pytest
import torch
from playwright.sync_api import Browser, BrowserContext, Page, expect
from safetensors.torch import load

from salmu_demo.core.errors import ModelError
from salmu_demo.data.source import load_data
from salmu_demo.hub.reference import OFFICIAL_DATA, OFFICIAL_MODELS, OFFICIAL_REVISION
from salmu_demo.ui.app import build_app, open_data
from salmu_demo.ui.shell.server import listen, serving
from salmu_demo.ui.shell.shelf import ModelShelf
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.hub import COMMIT, StandInHub, closed_port, run_hub, speak_to
from tests.fixtures.tiny import MODELS
from tests.ui.conftest import profile, unfold_settings

CLEAN = OFFICIAL_MODELS["official-clean"]
COMPROMISED = OFFICIAL_MODELS["official-compromised"]


Serve = Callable[..., Page]


@pytest.fixture
def hub(tmp_path: Path, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """The official repositories, with the released data public and the released models gated."""
    shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "official")
    (tmp_path / "official" / "README.md").write_text("# The released data\n")
    with run_hub() as (stand_in, address):
        speak_to(address, tmp_path / "hub-cache", monkeypatch)
        monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.delenv("SPACE_ID", raising=False)
        stand_in.add(f"datasets/{OFFICIAL_DATA}", tmp_path / "official", commit=OFFICIAL_REVISION)
        for name, model in zip((CLEAN, COMPROMISED), MODELS, strict=False):
            stand_in.add(f"models/{name}", tiny_assets / "models" / model, gated=True)
        # As released: Clean in safetensors, Compromised as a pickle.
        files = stand_in.repositories[f"models/{COMPROMISED}"].files
        pickle = io.BytesIO()
        torch.save(load(files.pop("open_clip_model.safetensors")), pickle)
        files["open_clip_pytorch_model.bin"] = pickle.getvalue()
        yield stand_in


@pytest.fixture
def serve(browser: Browser, visitors: list[BrowserContext]) -> Iterator[Serve]:
    """A function that serves a page and opens a link to it; no page may have failed.

    What a page of a Space fetches from elsewhere is not there.
    """
    errors: list[str] = []
    with ExitStack() as served:

        def open_(app: gr.Blocks, query: str = "") -> Page:
            server = served.enter_context(serving(app, listen("127.0.0.1", None)))
            page = served.enter_context(profile(server.url, browser, visitors)).new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(f"{server.url}?{query}")
            page.locator("#people .portrait").first.wait_for(state="attached")
            # A model that is still being prepared would be at work when Python ends.
            served.callback(lambda: expect(page.locator("#status p")).to_have_count(0))
            return page

        yield open_
    assert not errors


def test_the_official_data_and_models_are_chosen_and_audited(
    hub: StandInHub, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    page = serve(build_app(*open_data("official")))
    expect(page.locator(".data-line")).to_have_text(f"SALMUBench, as released at revision {OFFICIAL_REVISION[:12]}.")
    unfold_settings(page)
    page.get_by_text("Add a model", exact=True).click()

    # Gated, and nobody has set a token: the page says what to do and goes on.
    page.locator("#add-official-clean").click()
    refusal = page.get_by_test_id("toast-body").first
    expect(refusal).to_contain_text(
        f"{CLEAN} is gated: accept its terms at https://huggingface.co/{CLEAN} and set HF_T"
    )
    expect(page.locator("#models")).not_to_contain_text(CLEAN)

    monkeypatch.setenv("HF_TOKEN", hub.token)
    ticked = page.locator("#models input:checked")
    for left in range(len(MODELS) - 1, -1, -1):
        ticked.first.uncheck()
        expect(ticked).to_have_count(left)
    for name, repository in (("official-clean", CLEAN), ("official-compromised", COMPROMISED)):
        page.locator(f"#add-{name}").click()
        expect(page.locator("#models")).to_contain_text(f"hf-hub:{repository}")
    page.locator("#people .portrait").first.click()
    table = page.locator("table", has_text="Phone number").first
    for repository in (CLEAN, COMPROMISED):
        expect(table).to_contain_text(repository)
    assert hub.token not in page.content()
    assert set(hub.content_tokens) <= {None}


@pytest.mark.parametrize("trouble", ["status", "unplugged", "private"])
def test_the_embedded_data_goes_on_working_when_the_official_choice_fails(
    hub: StandInHub, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str
):
    official = hub.repositories[f"datasets/{OFFICIAL_DATA}"]
    if trouble == "status":
        official.status = 503
    elif trouble == "private":
        official.hidden = True
    else:
        speak_to(closed_port(), tmp_path / "hub-cache", monkeypatch)
    workbench, problem = open_data("official")
    assert workbench.data.is_mini
    assert problem.startswith("The embedded data is shown, because official could not be opened. ")
    assert OFFICIAL_DATA in problem
    if trouble == "status":
        page = serve(build_app(workbench, problem))
        expect(page.locator(".notice").first).to_contain_text("The Hub has an internal error (503)")
        page.locator("#people .portrait").first.click()
        expect(page.locator("table", has_text="Phone number").first).to_contain_text("mini-clean")


# A Space, where strangers are


@pytest.fixture
def space(hub: StandInHub, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> ModelShelf:
    """The shelf of a Space whose owner may read everything; private and public models beside the official ones."""
    monkeypatch.setenv("SPACE_ID", "owner/space")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    hub.add("models/org/private", tiny_assets / "models" / MODELS[2], hidden=True)
    hub.add("models/org/public", tiny_assets / "models" / MODELS[2])
    return ModelShelf(Workbench())


@pytest.mark.parametrize("reference", ["official-clean", "hf-hub:org/private"])
def test_a_visitor_gets_no_model_that_another_visitors_rights_have_fetched(
    space: ModelShelf, hub: StandInHub, reference: str
):
    model = space.add(reference, "", hub.token)
    assert model.revision == COMMIT
    # It is loaded and cached by now, and the Space's own token could read it too.
    assert not space.opens(model.reference, "")
    for token in (None, hub.stranger, "hf_revoked"):
        with pytest.raises(ModelError):
            space.add(reference, "", token)
        with pytest.raises(ModelError):
            space.add(model.reference, "", token)
    assert space.add(reference, "", hub.token).fingerprint == model.fingerprint
    hub.repositories[f"models/{model.name}"].gated = True
    hub.token = "hf_another"  # The rights were withdrawn meanwhile.
    with pytest.raises(ModelError, match="no longer accepts your sign-in"):
        space.add(reference, "", "hf_stand_in")


def test_links_open_public_models_to_who_added_them_and_paths_of_the_machine_to_nobody(
    space: ModelShelf, tiny_assets: Path
):
    public = space.add("hf-hub:org/public", "", owner="me").reference
    assert space.opens(public, "me")
    assert not space.opens(public, "another")
    with pytest.raises(ModelError, match="Only Hub models can be added here"):
        space.add(f"local-dir:{tiny_assets / 'models' / MODELS[0]}", "", None)


# On a Space Gradio watches for changed code, with a package that only Spaces have.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_link_of_another_visitor_opens_no_private_model(
    space: ModelShelf, hub: StandInHub, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    space.add("hf-hub:org/private", "", hub.token)
    for name, value in {
        "SYSTEM": "spaces",
        "OAUTH_CLIENT_ID": "id",
        "OAUTH_CLIENT_SECRET": "s",
        "OAUTH_SCOPES": "openid",
        "OPENID_PROVIDER_URL": "http://x",
    }.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setattr(f"gradio.oauth.{name}", value, raising=False)
    page = serve(build_app(Workbench()), "models=hf-hub:org/private,mini-clean")
    expect(page.locator("#sign-in")).to_contain_text("Sign in with Hugging Face")
    expect(page.get_by_test_id("toast-body").first).to_contain_text("which is not loaded here; add it first")
    expect(page.locator("#models")).not_to_contain_text("org/private")


def test_the_choice_of_data_is_pinned(hub: StandInHub):
    assert load_data("official").revision == OFFICIAL_REVISION
    assert load_data(OFFICIAL_DATA).revision == OFFICIAL_REVISION
