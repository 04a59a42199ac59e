"""Data and models from the Hub, spoken to by the real client; the Hub is a stand-in on this machine."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save

from salmu_demo.cli.main import run
from salmu_demo.core.errors import DataError, ModelError
from salmu_demo.data.dataset import load_folder
from salmu_demo.data.source import load_data
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from salmu_demo.models.roles import find_reference
from salmu_demo.results.analysis import analyse
from salmu_demo.results.evaluation import measured_data
from salmu_demo.results.records import MeasuredModel
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.people import people_of, persona_names
from tests.fixtures.hub import COMMIT, StandInHub, closed_port, run_hub, speak_to
from tests.fixtures.results import valued
from tests.fixtures.tiny import MODELS

GATED = (
    "{name} is gated: accept its terms at https://huggingface.co/{page} and set HF_TOKEN to a token of that account."
)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    with run_hub() as (stand_in, address):
        speak_to(address, tmp_path / "hub-cache", monkeypatch)
        yield stand_in


@pytest.fixture
def data_folder(tiny_assets: Path) -> Path:
    return tiny_assets / "salmu-mini"


@pytest.fixture
def model_folder(tiny_assets: Path) -> Path:
    return tiny_assets / "models" / MODELS[0]


def pull_the_plug(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    """Nobody answers any more; what was downloaded stays."""
    speak_to(closed_port(), tmp_path / "hub-cache", patch)


# Data


@pytest.mark.parametrize("reference", ["org/data", "org/data@v1", f"org/data@{COMMIT}"])
def test_data_is_loaded_by_id(hub: StandInHub, data_folder: Path, reference: str):
    hub.add("datasets/org/data", data_folder).files.update({"notes.pdf": b"large", "other/part.parquet": b"large"})
    data = load_data(reference)
    local = load_folder(data_folder)
    assert data.revision == COMMIT
    assert data.name == reference
    assert data.fingerprint == local.fingerprint
    assert data.split("forget").texts == local.split("forget").texts
    assert data.encoded_image("retain_synth", 20) == local.encoded_image("retain_synth", 20)
    # Only what the protocol reads is fetched.
    assert not {"notes.pdf", "other/part.parquet"} & set(hub.downloads())


def test_loading_again_fetches_nothing(hub: StandInHub, data_folder: Path):
    hub.add("datasets/org/data", data_folder)
    first = load_data("org/data")
    assert len(hub.downloads()) > 5
    hub.requests.clear()
    assert load_data("org/data").root == first.root
    assert hub.downloads() == []


@pytest.mark.parametrize("reference", ["org/data", f"org/data@{COMMIT}"])
def test_data_is_loaded_again_without_a_network(
    hub: StandInHub, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
):
    hub.add("datasets/org/data", data_folder)
    fingerprint = load_data(reference).fingerprint
    pull_the_plug(tmp_path, monkeypatch)
    assert load_data(reference).fingerprint == fingerprint


def test_a_download_that_was_cut_off_is_not_taken_for_the_data(
    hub: StandInHub, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hub.add("datasets/org/data", data_folder)
    snapshot = load_data("org/data").root
    next((snapshot / "data").glob("forget-*")).unlink()
    pull_the_plug(tmp_path, monkeypatch)
    with pytest.raises(DataError, match="org/data is not on this machine and the Hub cannot be reached"):
        load_data("org/data")


def test_hub_data_that_is_no_salmubench_is_named(hub: StandInHub):
    hub.add("datasets/org/other", {"README.md": b"# Cats", "data/train-00000-of-00001.parquet": b"PAR1"})
    with pytest.raises(DataError, match="lacks the split forget"):
        load_data("org/other")


# Models


def test_a_model_with_a_configuration_equals_its_folder(hub: StandInHub, model_folder: Path):
    hub.add("models/org/tiny-clean", model_folder)
    model, local = find_model("hf-hub:org/tiny-clean"), find_model(f"local-dir:{model_folder}")
    assert (model.name, model.slug) == ("org/tiny-clean", "hf-hub_org_tiny-clean")
    assert model.revision == COMMIT
    assert model.architecture is None
    assert model.fingerprint == local.fingerprint
    texts = ["Zoë Åström lives in Malmö"]
    np.testing.assert_array_equal(Encoder(model).encode_texts(texts), Encoder(local).encode_texts(texts))


def test_a_repository_is_a_reference_by_its_card_and_not_by_its_name(hub: StandInHub, model_folder: Path):
    files = hub.add("models/org/tiny-clean", model_folder).files
    model = find_model(f"hf-hub:org/tiny-clean@{COMMIT}")
    assert model.revision == COMMIT
    assert find_reference([model], "clean") is None
    files["README.md"] = b"---\nlicense: mit\nsalmu_role: compromised\n---\n# A model\n"
    hub.repositories["models/org/tiny-clean"].commit = "beef" * 10
    carded = find_model("hf-hub:org/tiny-clean")
    assert find_reference([carded], "compromised") is carded
    assert carded.fingerprint == model.fingerprint


def test_people_of_results_and_their_verdicts_are_found_without_asking_the_hub(
    hub: StandInHub, data_folder: Path, model_folder: Path
):
    hub.add("datasets/org/data", data_folder)
    hub.add("models/org/tiny", model_folder)
    bench = Workbench("org/data")
    (model,) = bench.models(["hf-hub:org/tiny"])
    bench.warm_audit(model)
    measured = valued(model.reference, {"AssocStr": 0.25}, measured_data(bench.data, None))
    measured = replace(measured, model=MeasuredModel.of(model, 0, "cpu"))
    elsewhere = replace(measured, model=replace(measured.model, reference="hf-hub:org/elsewhere", name="elsewhere"))
    hub.requests.clear()
    known = people_of(analyse([measured, elsewhere]))
    assert known.names == persona_names(bench.data.personas)
    assert [(m.model.reference, m.rows) for m in known.everybody] == [
        (model.reference, bench.matrices([model])[0].rows)
    ]
    assert hub.requests == []


def test_a_card_of_any_size_is_not_fetched(hub: StandInHub, model_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("salmu_demo.models.checkpoint.LARGEST_CARD", 20)
    hub.add("models/org/tiny", model_folder).files["README.md"] = b"---\nsalmu_role: clean\n---\n"
    assert find_model("hf-hub:org/tiny").card_role is None


def test_the_other_name_of_the_weights_is_found(hub: StandInHub, model_folder: Path):
    files = hub.add("models/org/tiny", model_folder).files
    files["model.safetensors"] = files.pop("open_clip_model.safetensors")
    assert find_model("hf-hub:org/tiny").weights.name == "model.safetensors"


def test_weights_of_both_names_are_fetched_once(hub: StandInHub, model_folder: Path):
    files = hub.add("models/org/tiny", model_folder).files
    files["model.safetensors"] = files["open_clip_model.safetensors"]
    assert find_model("hf-hub:org/tiny").weights.name == "open_clip_model.safetensors"
    assert "model.safetensors" not in hub.downloads()


def small_architecture() -> tuple[str, dict[str, Any]]:
    """The open_clip architecture whose parameters take the least memory: one is loaded for real here."""
    name = "ViT-S-32-alt"
    return name, open_clip.get_model_config(name)


def test_a_model_without_a_configuration_has_the_architecture_its_tensors_tell_or_the_given_one(
    hub: StandInHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name, config = small_architecture()
    with torch.random.fork_rng(devices=[]):
        network = open_clip.create_model(name)
    hub.add(
        "models/org/bare", {"open_clip_model.safetensors": save({k: v.half() for k, v in network.state_dict().items()})}
    )

    told = find_model("hf-hub:org/bare")
    assert (told.architecture, told.config["model_cfg"]) == (name, config)
    # Nobody has published weights of it, and with them how its images are prepared.
    [remark] = told.remarks
    assert "does not say how its images were prepared" in remark

    given = find_model("hf-hub:org/bare", name)
    assert (given.architecture, given.config["model_cfg"], given.revision) == (name, config, COMMIT)
    features = Encoder(given).encode_texts(["a cat", "a dog"])
    with torch.inference_mode():
        plain = (
            network.half().float().eval().encode_text(open_clip.get_tokenizer(name)(["a cat", "a dog"]), normalize=True)
        )
    np.testing.assert_allclose(features, plain.numpy(), atol=1e-5)

    pull_the_plug(tmp_path, monkeypatch)
    assert find_model("hf-hub:org/bare", name).fingerprint == given.fingerprint


def test_a_model_without_safetensors_is_named(hub: StandInHub):
    hub.add("models/org/pickled", {"open_clip_pytorch_model.bin": b"cos\nsystem\n"})
    with pytest.raises(
        ModelError, match=r"org/pickled has no open_clip_model.safetensors; only safetensors are loaded"
    ):
        find_model("hf-hub:org/pickled")
    assert hub.downloads() == []


def test_an_adapter_is_named_and_not_fetched(hub: StandInHub):
    """Its base would be whatever its publisher wrote there, a folder of this machine too."""
    config = b'{"peft_type": "LORA", "r": 2, "lora_alpha": 2, "base_model_name_or_path": "mini-clean"}'
    hub.add("models/org/lora", {"adapter_config.json": config, "adapter_model.safetensors": b"of any size"})
    with pytest.raises(
        ModelError, match=r"org/lora is an adapter, .*\(`hf download org/lora --local-dir DIR`\) and give"
    ):
        find_model("hf-hub:org/lora")
    assert not any("adapter_model" in path for path in hub.downloads())


def test_a_configuration_that_is_no_open_clip_one_is_named(hub: StandInHub, model_folder: Path):
    hub.add("models/org/odd", model_folder).files["open_clip_config.json"] = b'{"model_type": "bert"}'
    with pytest.raises(ModelError, match=r"open_clip_config.json lacks `model_cfg`"):
        find_model("hf-hub:org/odd")


# Refusals


@pytest.mark.parametrize("limits", [{"gated": True}, {"gated": True, "hidden": True}], ids=["files", "all"])
def test_gated_repositories_say_where_to_accept_the_terms(hub: StandInHub, model_folder: Path, limits: dict[str, bool]):
    hub.add("models/org/gated", model_folder, **limits)
    hub.add("datasets/org/gated", {"data/forget-00000-of-00001.parquet": b"PAR1"}, **limits)
    with pytest.raises(ModelError) as error:
        find_model("hf-hub:org/gated")
    assert str(error.value) == GATED.format(name="org/gated", page="org/gated")
    with pytest.raises(DataError) as problem:
        load_data("org/gated")
    assert str(problem.value) == GATED.format(name="org/gated", page="datasets/org/gated")


def test_a_token_opens_a_gated_repository(hub: StandInHub, model_folder: Path, monkeypatch: pytest.MonkeyPatch):
    hub.add("models/org/gated", model_folder, gated=True, hidden=True)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert find_model("hf-hub:org/gated").revision == COMMIT


def test_a_gated_model_without_a_configuration_is_gated_and_not_weightless(hub: StandInHub):
    """The released Clean model may be just this: the listing is public, the weights are not."""
    hub.add("models/org/gated", {"open_clip_model.safetensors": b"", "README.md": b""}, gated=True)
    with pytest.raises(ModelError, match=r"org/gated is gated"):
        find_model("hf-hub:org/gated")


def test_what_the_hub_does_not_have_is_named(hub: StandInHub, model_folder: Path, data_folder: Path):
    with pytest.raises(ModelError, match=r"^The Hub has no model org/nothing, or it is private: check the name"):
        find_model("hf-hub:org/nothing")
    with pytest.raises(DataError, match=r"^The Hub has no dataset org/nothing, or it is private: check the name"):
        load_data("org/nothing")
    hub.add("models/org/tiny", model_folder)
    hub.add("datasets/org/data", data_folder)
    with pytest.raises(ModelError, match=r"^org/tiny has no revision v9; see https://huggingface.co/org/tiny/commits"):
        find_model("hf-hub:org/tiny@v9")
    with pytest.raises(DataError, match=r"^org/data has no revision v9; see https://huggingface.co/datasets/org/data/"):
        load_data("org/data@v9")


@pytest.mark.parametrize("reference", ["org/name", f"org/name@{COMMIT}", "org/name@v1"])
def test_without_a_network_the_refusal_is_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str):
    speak_to(closed_port(), tmp_path, monkeypatch)
    sentence = (
        "^org/name is not on this machine and the Hub cannot be reached; check the network and run the same again"
    )
    start = time.monotonic()
    with pytest.raises(DataError, match=sentence):
        load_data(reference)
    with pytest.raises(ModelError, match=sentence):
        find_model(f"hf-hub:{reference}")
    # huggingface_hub left to itself tries for 23 seconds.
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (403, r"^The Hub refuses to send org/tiny \(error 403\); see https://huggingface.co/org/tiny for the reason.$"),
        (
            429,
            r"^Too many requests to the Hub from here \(error 429\) for org/tiny: wait a few minutes, or set HF_TOKEN",
        ),
        (500, r"^The Hub has an internal error \(500\) and cannot send org/tiny; try again later.$"),
        (503, r"^The Hub has an internal error \(503\) and cannot send org/tiny; try again later.$"),
    ],
)
def test_a_hub_in_trouble_is_said_to_be_so_and_what_is_here_is_used(
    hub: StandInHub, data_folder: Path, model_folder: Path, status: int, sentence: str
):
    hub.add("models/org/tiny", model_folder, status=status)
    with pytest.raises(ModelError, match=sentence):
        find_model("hf-hub:org/tiny")
    hub.add("datasets/org/data", data_folder)
    fingerprint = load_data("org/data").fingerprint
    hub.repositories["datasets/org/data"].status = status
    assert load_data("org/data").fingerprint == fingerprint


def test_a_login_page_is_not_taken_for_the_hub(hub: StandInHub):
    hub.login_page = True
    with pytest.raises(ModelError, match=r"^org/tiny could not be fetched: "):
        find_model("hf-hub:org/tiny")


@pytest.mark.parametrize("name", ["hf-hub:tiny", "hf-hub:", "hf-hub:a/b/c", "hf-hub:../b", "hf-hub:a--b/c..d"])
def test_what_is_no_hub_id_is_refused_without_asking(hub: StandInHub, name: str):
    with pytest.raises(ModelError, match=r"looks like (hf-hub:)?organisation/name"):
        find_model(name)
    assert hub.requests == []


def test_the_command_line_shows_the_sentence_alone(
    hub: StandInHub, model_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    hub.add("models/org/gated", model_folder, gated=True)
    assert run(["evaluate", "hf-hub:org/gated", "--output", str(tmp_path / "out")]) == 2
    assert capfd.readouterr().err == "salmu-demo: " + GATED.format(name="org/gated", page="org/gated") + "\n"
    assert not (tmp_path / "out").exists()


def test_results_of_hub_models_and_data_hold_their_revisions(
    hub: StandInHub, model_folder: Path, data_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    hub.add("models/org/tiny-clean", model_folder)
    hub.add("datasets/org/data", data_folder)
    command = ["evaluate", "hf-hub:org/tiny-clean", "--data", "org/data", "--metrics", "AssocStr"]
    assert run([*command, "--output", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "evaluation_hf-hub_org_tiny-clean.json").read_text("utf-8"))
    assert result["salmu_demo"]["model"]["revision"] == result["salmu_demo"]["data"]["revision"] == COMMIT
