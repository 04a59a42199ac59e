"""`salmu-demo fetch`, what it leaves for work without a network, and every way a download can fail."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from salmu_demo.cli.main import run
from salmu_demo.core.errors import DataError, ModelError, SalmuError
from salmu_demo.data.dataset import load_folder
from salmu_demo.data.source import load_data
from salmu_demo.hub import client as hub_client
from salmu_demo.hub import fetch as hub_fetch
from salmu_demo.hub.client import Visitor, acting_for, check_access
from salmu_demo.hub.reference import OFFICIAL_DATA, OFFICIAL_MODELS, OFFICIAL_REVISION, HubReference
from salmu_demo.models.references import find_model
from salmu_demo.models.roles import find_reference
from tests.fixtures.hub import COMMIT, StandInHub, closed_port, run_hub, speak_to
from tests.fixtures.tiny import MODELS

DATA = f"datasets/{OFFICIAL_DATA}"
CLEAN = f"models/{OFFICIAL_MODELS['official-clean']}"
CANARY = "hf_canaryThatMustNeverBeWrittenDown"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_assets: Path) -> Iterator[StandInHub]:
    """The stand-in with the official data in the official layout; downloads retry without a pause."""
    with run_hub() as (stand_in, address):
        speak_to(address, tmp_path / "hub-cache", monkeypatch)
        monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setattr(hub_fetch, "RETRY_PAUSE", 0.0)
        stand_in.add(DATA, tiny_assets / "salmu-mini", commit=OFFICIAL_REVISION)
        stand_in.add(CLEAN, tiny_assets / "models" / MODELS[0], gated=True)
        yield stand_in


def size_of(hub: StandInHub, name: str = DATA) -> int:
    return sum(len(content) for content in hub.repositories[name].files.values())


def printed(capfd: pytest.CaptureFixture[str], command: list[str]) -> list[dict]:
    assert run([*command, "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def refused(capfd: pytest.CaptureFixture[str], command: list[str]) -> str:
    assert run(command) == 2
    return capfd.readouterr().err


# What is fetched


def test_a_dry_run_says_how_much_there_is_and_fetches_nothing(hub: StandInHub, capfd: pytest.CaptureFixture[str]):
    (plan,) = printed(capfd, ["fetch", "official", "--dry-run"])
    assert plan["repository"] == OFFICIAL_DATA
    assert plan["commit"] == OFFICIAL_REVISION
    assert plan["bytes"] == plan["missing_bytes"] == size_of(hub)
    assert plan["folder"] is None
    assert hub.downloads() == []


def test_fetched_data_is_used_without_a_network_by_name_and_by_folder(
    hub: StandInHub, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    assert run(["fetch", "official", "--yes"]) == 0
    output = capfd.readouterr()
    assert f"{size_of(hub) / 1e6:.1f} MB to download" in output.out
    assert "is here, whole and checked" in output.out
    assert f"Fetching {OFFICIAL_DATA}, megabytes" in output.err
    (plan,) = printed(capfd, ["fetch", "official"])
    assert plan["missing_bytes"] == 0
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for reference in ("official", OFFICIAL_DATA, f"{OFFICIAL_DATA}@{OFFICIAL_REVISION}"):
        data = load_data(reference)
        assert data.revision == OFFICIAL_REVISION
        assert data.fingerprint == load_folder(tiny_assets / "salmu-mini").fingerprint
    assert load_data(plan["folder"]).fingerprint == data.fingerprint
    assert hub.requests == []


def test_a_download_that_is_cut_off_goes_on_where_it_stopped(hub: StandInHub, capfd: pytest.CaptureFixture[str]):
    repository = hub.repositories[DATA]
    shards = {path: content for path, content in repository.files.items() if path.endswith(".parquet")}
    repository.files = {**dict(list(shards.items())[:1]), "identities_metadata.json": b"{}"}
    (path,) = (path for path in repository.files if path in shards)
    repository.cut = [1000] + [0] * 50
    assert "was cut off: run the same again, it resumes where it stopped." in refused(capfd, ["fetch", "official"])
    repository.cut = []
    hub.ranges.clear()
    (plan,) = printed(capfd, ["fetch", "official"])
    assert hub.ranges == ["bytes=1000-"]
    assert not list(Path(constants.HF_HUB_CACHE).rglob("*.part"))
    assert (Path(plan["folder"]) / path).read_bytes() == shards[path]


def test_a_file_that_came_damaged_is_named_and_fetched_again(hub: StandInHub, capfd: pytest.CaptureFixture[str]):
    hub.repositories[DATA].damaged = True
    message = refused(capfd, ["fetch", "official"])
    assert "came damaged and was removed; run `salmu-demo fetch" in message
    hub.repositories[DATA].damaged = False
    # Every shard was damaged, and one is found in each run.
    while run(["fetch", "official"]) == 2:
        assert "came damaged" in capfd.readouterr().err
    assert load_data("official").split("forget").texts


def test_what_does_not_fit_the_disk_is_refused_before_it_is_fetched(
    hub: StandInHub, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    assert "0.00 GB are free in" in refused(capfd, ["fetch", "official"])
    assert hub.downloads() == []


def test_a_large_data_set_is_not_downloaded_unasked(hub: StandInHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub_fetch, "UNASKED_BYTES", 1000)
    with pytest.raises(DataError, match=rf"fetch it first: salmu-demo fetch {OFFICIAL_DATA}\.$"):
        load_data("official")
    assert hub.downloads() == []


@pytest.mark.parametrize("is_offline", [True, False])
def test_who_needs_a_split_that_was_not_fetched_is_told_how_to_fetch_it(
    hub: StandInHub,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    is_offline: bool,
):
    assert run(["fetch", "official", "--splits", "forget,retain_synth"]) == 0
    assert not any("holdout" in path for path in hub.downloads())
    monkeypatch.setattr(hub_fetch, "UNASKED_BYTES", 100)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", is_offline)
    evaluate = ["evaluate", "mini-clean", "--data", "official", "--output", str(tmp_path / "out"), "--metrics"]
    assert run([*evaluate, "AssocStr,FragSim"]) == 0
    assert run(["data", "describe", "official"]) == 0
    capfd.readouterr()
    assert refused(capfd, [*evaluate, "InterIdSim"]) == (
        f"salmu-demo: The split holdout_identity of {OFFICIAL_DATA} is not on this machine; fetch it: salmu-demo fetch "
        f"{OFFICIAL_DATA} --splits holdout_identity.\n"
    )
    # Which persons are in forget alone, IdZSC's, cannot be told without the split that shares some of them.
    assert "The split holdout_association of" in refused(capfd, [*evaluate, "IdZSC"])


def test_a_split_of_which_some_shards_are_missing_is_not_used(hub: StandInHub, monkeypatch: pytest.MonkeyPatch):
    folder = load_data("official").root
    shards = sorted((folder / "data").glob("retain_synth-*"))
    assert len(shards) == 2
    shards[1].unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    data = load_data("official")
    with pytest.raises(DataError, match="The split retain_synth of"):
        data.split("retain_disjoint")
    assert len(data.split("forget"))


def test_misspelt_splits_and_targets_are_named(hub: StandInHub, capfd: pytest.CaptureFixture[str]):
    assert "has no split forgot; it has forget, genknow, holdout" in refused(
        capfd, ["fetch", "official", "--splits", "forgot"]
    )
    assert "mini-clean is not on the Hub" in refused(capfd, ["fetch", "--model", "mini-clean"])
    assert "mini is not on the Hub" in refused(capfd, ["fetch", "mini"])
    assert "go with a data set" in refused(capfd, ["fetch", "--model", "official-clean", "--revision", "v1"])


# Official models


def test_an_official_model_keeps_the_commit_it_was_first_resolved_to(
    hub: StandInHub, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("HF_TOKEN", hub.token)
    (plan,) = printed(capfd, ["fetch", "--model", "official-clean"])
    assert {"open_clip_model.safetensors", "open_clip_config.json"} <= set(plan["files"])
    assert "README.md" in plan["files"]  # It may say what the model is.
    hub.repositories[CLEAN].commit, hub.repositories[CLEAN].older = "beef" * 10, (COMMIT,)
    model = find_model("official-clean")
    assert model.revision == COMMIT
    assert model.reference == f"hf-hub:{OFFICIAL_MODELS['official-clean']}"
    assert find_reference([model], "clean") is model
    pinned = find_model(f"{model.reference}@main")
    assert pinned.revision == "beef" * 10
    assert find_reference([pinned], "clean") is pinned


# Refusals, each with its own sentence


def gated(hub: StandInHub, _: pytest.MonkeyPatch) -> None:
    hub.repositories[DATA].gated = True


def private(hub: StandInHub, _: pytest.MonkeyPatch) -> None:
    hub.repositories[DATA].hidden = True


def missing(hub: StandInHub, _: pytest.MonkeyPatch) -> None:
    del hub.repositories[DATA]


def moved(hub: StandInHub, _: pytest.MonkeyPatch) -> None:
    hub.repositories[DATA].commit = COMMIT


def broken(hub: StandInHub, _: pytest.MonkeyPatch) -> None:
    hub.repositories[DATA].status = 503


def slow(hub: StandInHub, patch: pytest.MonkeyPatch) -> None:
    hub.repositories[DATA].slow = 1.0
    patch.setattr(hub_client, "TIMEOUT", 0.1)


def stalled(hub: StandInHub, patch: pytest.MonkeyPatch) -> None:
    hub.repositories[DATA].stall = 0.4
    patch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.05)


def cut(hub: StandInHub, _: pytest.MonkeyPatch) -> None:
    hub.repositories[DATA].cut = [0] * 1000


def unplugged(_: StandInHub, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(constants, "ENDPOINT", closed_port())


def offline(_: StandInHub, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(constants, "HF_HUB_OFFLINE", True)


def login_page(hub: StandInHub, _: pytest.MonkeyPatch) -> None:
    hub.login_page = True


ANONYMOUS, STRANGER, REVOKED = None, "stranger", CANARY
PAGE = f"https://huggingface.co/datasets/{OFFICIAL_DATA}"
FAILURES = [
    (gated, ANONYMOUS, f"{OFFICIAL_DATA} is gated: accept its terms at {PAGE} and set HF_TOKEN to a token of that"),
    (gated, STRANGER, f"is gated and the account of your token may not read it yet: accept its terms at {PAGE} with"),
    (gated, REVOKED, "The Hub does not accept your token (wrong, expired or revoked): set HF_TOKEN to a valid one"),
    (private, ANONYMOUS, f"The Hub has no dataset {OFFICIAL_DATA}, or it is private: check the name, or set HF_TOKEN."),
    (private, STRANGER, f"The Hub has no dataset {OFFICIAL_DATA} that you may see: check the name."),
    (missing, ANONYMOUS, f"The Hub has no dataset {OFFICIAL_DATA}, or it is private: check the name, or set HF_TOKEN."),
    (moved, STRANGER, f"{OFFICIAL_DATA} has no revision {OFFICIAL_REVISION}; see {PAGE}/commits."),
    (broken, STRANGER, f"The Hub has an internal error (503) and cannot send {OFFICIAL_DATA}; try again later."),
    (
        slow,
        STRANGER,
        f"The Hub takes too long to send {OFFICIAL_DATA}: run the same again, it resumes where it stopped",
    ),
    (stalled, STRANGER, "The Hub takes too long to send"),
    (cut, STRANGER, f"The download of {OFFICIAL_DATA} was cut off: run the same again, it resumes where it stopped."),
    (unplugged, STRANGER, f"{OFFICIAL_DATA} is not on this machine and the Hub cannot be reached; check the network"),
    (offline, STRANGER, "HF_HUB_OFFLINE forbids fetching it: unset it, run `salmu-demo fetch"),
    (login_page, STRANGER, f"{OFFICIAL_DATA} could not be fetched: what answered is not the Hub"),
]


@pytest.mark.parametrize(
    ("failure", "token", "sentence"),
    FAILURES,
    ids=[f"{failure.__name__}-{'revoked' if token == CANARY else token}" for failure, token, _ in FAILURES],
)
def test_every_failure_has_its_sentence_and_no_token_is_written_down(
    hub: StandInHub,
    failure: Callable[[StandInHub, pytest.MonkeyPatch], None],
    token: str | None,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    hub.stranger = CANARY if token == STRANGER else "nobody"
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", CANARY)
    failure(hub, monkeypatch)
    for command in (
        ["fetch", "official"],
        ["evaluate", "mini-clean", "--data", "official", "--output", str(tmp_path / "out")],
    ):
        assert run(command) == 2
        output = capfd.readouterr()
        assert output.err.startswith("salmu-demo: ")
        assert sentence in output.err
        assert output.err.count("\n") == 1
        for text in (output.out, output.err, caplog.text):
            assert CANARY not in text
            assert "signature=secret" not in text
    assert not (tmp_path / "out").exists()
    for folder, _, names in os.walk(tmp_path):
        for name in names:
            assert CANARY.encode() not in (Path(folder) / name).read_bytes()
    # The content network gets no token either.
    assert set(hub.content_tokens) <= {None}


def test_no_two_failures_share_a_sentence():
    by_failure = {(failure, token): sentence for failure, token, sentence in FAILURES}
    # A stalled transfer is a slow one; who may not see a private repository cannot tell it from a missing one.
    apart = {key: s for key, s in by_failure.items() if key[0] not in (stalled, missing)}
    assert len(set(apart.values())) == len(apart)


def test_an_embedded_data_set_needs_no_hub(hub: StandInHub, monkeypatch: pytest.MonkeyPatch):
    unplugged(hub, monkeypatch)
    assert load_data("mini").personas
    assert hub.requests == []


# Visitors of a public page


MODEL = HubReference("model", "org/secret", None, "hf-hub:org/secret")


@pytest.mark.parametrize("limits", [{"gated": True}, {"hidden": True}])
def test_a_visitor_is_let_in_by_their_own_rights_whatever_is_cached(
    hub: StandInHub, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, bool]
):
    hub.add("models/org/secret", tiny_assets / "models" / MODELS[0], **limits)
    owner = Visitor(hub.token)
    assert check_access(MODEL, owner, ModelError)
    with acting_for(owner):
        find_model("hf-hub:org/secret")  # Now it is in the cache of this machine.
    # Neither the cache nor the rights of the machine itself help somebody else.
    monkeypatch.setenv("HF_TOKEN", hub.token)
    for visitor, words in (
        (Visitor(), "sign in with Hugging Face at the top of this page"),
        (Visitor(hub.stranger), "may"),
        (Visitor("hf_revoked"), "The Hub no longer accepts your sign-in"),
    ):
        with pytest.raises(ModelError, match=words):
            check_access(MODEL, visitor, ModelError)
        with acting_for(visitor), pytest.raises(ModelError):
            find_model("hf-hub:org/secret")
    assert find_model("hf-hub:org/secret").revision == COMMIT  # The machine's own rights are back.
    unplugged(hub, monkeypatch)
    with pytest.raises(ModelError, match="the Hub cannot be reached"):
        check_access(MODEL, owner, ModelError)


def test_a_public_model_needs_no_sign_in(hub: StandInHub, tiny_assets: Path):
    hub.add("models/org/secret", tiny_assets / "models" / MODELS[0])
    assert check_access(MODEL, Visitor(), ModelError) is False


def test_a_visitor_is_not_written_with_their_token():
    assert CANARY not in repr(Visitor(CANARY))


def test_a_cache_that_cannot_be_written_is_said_to_be_so(hub: StandInHub, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub_fetch, "snapshot_download", full)
    with pytest.raises(SalmuError, match="No space left on device; free space there, or move it with HF_HOME"):
        load_data("official")
