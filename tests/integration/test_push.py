"""Models pushed to the Hub by the real client and loaded from there again; the Hub is a stand-in on this machine."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from salmu_demo.cli.main import run
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from tests.fixtures.hub import Repository, StandInHub, closed_port, run_hub, speak_to

NAME = "org/mine"
MODEL = {"open_clip_config.json", "open_clip_model.safetensors", "bpe_merges.txt.gz", "README.md"}
TRAINING = ["unlearn", "npo", "--model", "mini-compromised", "--budget", "16", "--set", "batch_size=8"]
NEEDS_TOKEN = "needs a token that may write: set HF_TOKEN to one from https://huggingface.co/settings/tokens."


@pytest.fixture
def hub(tmp_path: Path, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """The Hub, and this machine with a token that may write to it."""
    with run_hub() as (stand_in, address):
        speak_to(address, tmp_path / "hub-cache", monkeypatch)
        monkeypatch.setenv("HF_TOKEN", stand_in.token)
        yield stand_in


@pytest.fixture
def folder(tiny_assets: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_assets / "models" / "mini-clean", tmp_path / "my model"))


def pushed(hub: StandInHub) -> Repository:
    return hub.repositories[f"models/{NAME}"]


def refused(capfd: pytest.CaptureFixture[str], *command: str) -> str:
    """The one sentence a command fails with, in which there is no token and no signed address."""
    assert run(list(command)) == 2
    out, err = capfd.readouterr()
    assert not any(secret in out + err for secret in ("hf_", "signature"))
    return err.splitlines()[-1]


def test_an_unlearned_model_is_pushed_and_loads_as_it_was(
    hub: StandInHub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    output = tmp_path / "made"
    assert run([*TRAINING, "--keep-checkpoints", "--output", str(output), "--push", NAME, "--json"]) == 0
    assert (output / "checkpoints").is_dir()
    found = find_model(f"hf-hub:{NAME}")
    assert json.loads(capfd.readouterr().out)["pushed"] == f"https://huggingface.co/{NAME}/commit/{found.revision}"
    assert set(pushed(hub).files) == MODEL | {"unlearning.json", "unlearning_curve.svg"}
    assert pushed(hub).hidden
    local = find_model(f"local-dir:{output}")
    assert found.fingerprint == local.fingerprint
    pixels = np.full((1, 32, 32, 3), 99, np.uint8)
    np.testing.assert_array_equal(Encoder(found).encode_pixels(pixels), Encoder(local).encode_pixels(pixels))
    # Uploads and downloads of large files were sent no token.
    assert set(hub.content_tokens) == {None}


def test_a_folder_is_pushed_without_what_else_lies_in_it(
    hub: StandInHub, folder: Path, capfd: pytest.CaptureFixture[str]
):
    for name in ("unlearning_state.pt", "notes.txt", "open_clip_pytorch_model.bin", "checkpoints/8/README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"not for the Hub")
    assert run(["models", "push", str(folder), NAME]) == 0
    address = f"https://huggingface.co/{NAME}/commit/{pushed(hub).commit}"
    assert capfd.readouterr().out == f"Pushed (private): {address}. Load it: hf-hub:{NAME}\n"
    assert set(pushed(hub).files) == MODEL
    assert find_model(f"hf-hub:{NAME}").fingerprint == find_model("mini-clean").fingerprint


def test_a_later_push_replaces_the_model_and_keeps_the_users_own_files(hub: StandInHub, folder: Path):
    assert run(["models", "push", f"local-dir:{folder}", NAME, "--public"]) == 0
    assert not pushed(hub).hidden
    pushed(hub).files["paper.pdf"] = b"%PDF"
    (folder / "README.md").unlink()
    (folder / "open_clip_model.safetensors").replace(folder / "model.safetensors")
    shutil.copyfile(find_model("mini-compromised").weights, folder / "model.safetensors")
    assert run(["models", "push", str(folder), NAME, "--public"]) == 0
    assert set(pushed(hub).files) == {*MODEL, "model.safetensors", "paper.pdf"} - {
        "README.md", "open_clip_model.safetensors",
    }  # fmt: skip
    assert find_model(f"hf-hub:{NAME}").fingerprint == find_model("mini-compromised").fingerprint


def test_a_model_of_the_unlearn_tab_is_pushed_by_its_reference(
    hub: StandInHub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "runs"))
    shutil.copytree(folder, tmp_path / "runs" / "job" / "model" / "npo-0123abcd")
    assert run(["models", "push", "made:npo-0123abcd", NAME]) == 0
    assert find_model(f"hf-hub:{NAME}").fingerprint == find_model("made:npo-0123abcd").fingerprint


def test_nobody_trains_for_a_push_that_must_fail(
    hub: StandInHub, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    output = tmp_path / "made"

    def told(name: str = NAME) -> str:
        error = refused(capfd, *TRAINING, "--output", str(output), "--push", name)
        assert not output.exists()
        return error

    for name in ("mine", "org/mine/too", "org/mine@v1", "org/..", "", "hf-hub:org/mine"):
        assert f"{name!r} is not a Hub repository; its name looks like organisation/name." in told(name)
    assert hub.requests == []
    hub.role = "read"
    assert "Your token may not write to org/mine: check the name, and set HF_TOKEN to one from" in told()
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    assert "The Hub does not accept your token (wrong, expired or revoked)" in told()
    monkeypatch.setenv("HF_TOKEN", hub.token)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids to push to org/mine: unset it." in told()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.login_page = True
    assert "Nothing could be pushed to org/mine: what answered is not the Hub" in told()
    monkeypatch.delenv("HF_TOKEN")
    assert f"Pushing to org/mine {NEEDS_TOKEN}" in told()
    speak_to(closed_port(), tmp_path / "hub-cache", monkeypatch)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert "The Hub cannot be reached to push to org/mine, or breaks off: check the network." in told()
    assert "--public is for --push" in refused(capfd, *TRAINING, "--output", str(output), "--public")


def test_when_a_push_fails_the_model_stays_and_the_sentence_pushes_it_again(
    hub: StandInHub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    output = tmp_path / "made"
    hub.add(f"models/{NAME}", {}, status=503)
    error = refused(capfd, *TRAINING, "--output", str(output), "--push", NAME, "--public")
    command = f"salmu-demo models push {output} {NAME} --public"
    assert "The Hub has an internal error (error 503) and cannot take org/mine: try again later" in error
    assert error.endswith(f"; the model stays where it is, push it again with `{command}`.")
    pushed(hub).status = None
    assert run(command.split()[1:]) == 0
    assert find_model(f"hf-hub:{NAME}").fingerprint == find_model(f"local-dir:{output}").fingerprint


def test_what_the_hub_does_not_take_is_explained(
    hub: StandInHub, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def told(*options: str) -> str:
        return refused(capfd, "models", "push", str(folder), NAME, *options)

    hub.add(f"models/{NAME}", {})
    assert f"{NAME} is public: add --public if everybody may see what you push." in told()
    (folder / "README.md").write_text("---\nlicense: mit\n")
    assert "The Hub does not accept the metadata at the top of README.md: correct it; the model stays" in told(
        "--public"
    )
    assert pushed(hub).files == {}
    (folder / "README.md").unlink()
    monkeypatch.setenv("HF_TOKEN", hub.stranger)
    assert f"Your token may not write to {NAME}: check the name" in told("--public")
    monkeypatch.setenv("HF_TOKEN", hub.token)
    for status, words in (
        (429, "Too many requests to the Hub"),
        (402, "refuses to take org/mine (error 402)"),
    ):
        pushed(hub).status = status
        assert words in told("--public")
    assert f"`salmu-demo models push '{folder}' {NAME} --public`" in told("--public")


def test_what_is_no_model_folder_is_not_pushed(
    hub: StandInHub, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    def told(model: Path | str) -> str:
        return refused(capfd, "models", "push", str(model), NAME)

    assert "The model folder no/such does not exist" in told("no/such")
    assert f"The model folder {folder / 'README.md'} does not exist" in told(folder / "README.md")
    assert "There is no model 'made:npo-01234567'" in told("made:npo-01234567")
    (tmp_path / "empty").mkdir()
    assert (
        "empty has no open_clip_config.json; only a folder of open_clip with configuration and weights is pushed"
        in told(tmp_path / "empty")
    )
    (tmp_path / "empty" / "adapter_config.json").write_text('{"base_model_name_or_path": "mini-clean"}')
    (tmp_path / "empty" / "adapter_model.safetensors").write_bytes(b"of any size")
    assert "as `salmu-demo models export` writes it, also of an adapter." in told(tmp_path / "empty")
    (tmp_path / "secret").write_text("secret")
    (folder / "unlearning.json").symlink_to(tmp_path / "secret")
    assert "unlearning.json is a link that leads out of its folder" in told(folder)
    (folder / "unlearning.json").unlink()
    weights = folder / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "is not a whole safetensors file" in told(folder)
    weights.unlink()
    assert "has no open_clip_model.safetensors" in told(folder)
    assert hub.requests == []
