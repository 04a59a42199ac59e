"""What a user decides about a model instead of its files, behind the reference and on the command line."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from salmu_demo.cli.main import run
from salmu_demo.core.errors import ModelError
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.half import half_precision
from salmu_demo.models.preprocessing import AGREED
from salmu_demo.models.references import find_model, origin_of
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.models.said import Said, split_said
from salmu_demo.models.source import ModelSource
from tests.accepted.models import head_of

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"


@pytest.fixture
def folder(tiny_assets: Path, tmp_path: Path) -> Path:
    """A model of one's own."""
    return Path(shutil.copytree(tiny_assets / "models" / "mini-compromised", tmp_path / "own"))


def settings(model: ModelSource) -> dict[str, tuple[str, str]]:
    return {each.name: (each.value, each.origin) for each in model.settings}


def configure(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    ("reference", "place", "said"),
    [
        ("mini-clean", "mini-clean", Said()),
        ("a#b", "a#b", Said()),
        ("a#b#quickgelu=yes", "a#b", Said(quickgelu=True)),
        ("hf-hub:a/b@v1#weights=c.safetensors#quickgelu=no", "hf-hub:a/b@v1", Said(False, None, "c.safetensors")),
        ("a#preprocess=openai", "a", Said(preprocess="openai")),
        ("mini-clean#precision=fp16", "mini-clean", Said(precision="fp16")),
    ],
)
def test_what_stands_behind_a_reference(reference: str, place: str, said: Said):
    assert split_said(reference) == (place, said)
    assert split_said(f"{place}{said}") == (place, said)


@pytest.mark.parametrize(
    ("behind", "sentence"),
    [
        ("#quickgelu=maybe", "quickgelu is yes or no, not 'maybe'"),
        ("#quickgelu=yes#quickgelu=no", "decides quickgelu twice"),
        ("#precision=int8", "precision is bf16 or fp16, not 'int8'"),
        ("#preprocess=grey", "There is no preprocessing 'grey'; give openai, or"),
        ("#preprocess=ViT-L-14", r"differ in how images are prepared \(mean, std\)"),
        ("#weights=../other/a.safetensors", "name of a file in the model's folder"),
        ("#weights=absent.safetensors", f"has no weights absent.safetensors; it has {WEIGHTS}"),
        ("#weights=", "name of a file in the model's folder"),
    ],
)
def test_a_decision_that_cannot_be_followed(folder: Path, behind: str, sentence: str):
    with pytest.raises(ModelError, match=sentence):
        find_model(f"local-dir:{folder}{behind}")


def test_the_activation_that_was_decided_is_computed(folder: Path):
    own, quick = (find_model(f"local-dir:{folder}{behind}") for behind in ("", "#quickgelu=yes"))
    assert (settings(own)["activation"], settings(quick)["activation"]) == (
        ("GELU", "its configuration"),
        ("QuickGELU", "the user"),
    )
    assert own.fingerprint != quick.fingerprint
    assert quick.slug == f"{own.slug}_quickgelu-yes"
    assert origin_of(quick.reference) == origin_of(own.reference) == "this machine"
    texts = ["a cat", "a dog at night"]
    features, plain = Encoder(quick).encode_texts(texts), Encoder(own).encode_texts(texts)
    assert np.abs(features - plain).max() > 1e-4
    # As if its own configuration said so, down to the key of the cache.
    configure(folder, model_cfg={**own.config["model_cfg"], "quick_gelu": True})
    written = find_model(f"local-dir:{folder}")
    assert written.fingerprint == quick.fingerprint
    np.testing.assert_array_equal(Encoder(written).encode_texts(texts), features)
    back = find_model(f"local-dir:{folder}#quickgelu=no")
    np.testing.assert_array_equal(Encoder(back).encode_texts(texts), plain)


def test_the_preprocessing_that_was_decided_needs_no_assumption(folder: Path):
    configure(
        folder,
        preprocess_cfg={},
        model_cfg={**find_model(f"local-dir:{folder}").config["model_cfg"], "quick_gelu": True},
    )
    assumed = find_model(f"local-dir:{folder}")
    told = find_model(f"local-dir:{folder}#preprocess=ViT-B-16-SigLIP")
    assert any("does not say how its images were prepared" in remark for remark in assumed.remarks)
    assert told.remarks == ()
    assert settings(told)["preprocessing"][1] == "the user"
    said = {part: tuple(v) if isinstance(v, list) else v for part, v in told.config["preprocess_cfg"].items()}
    assert said == AGREED["ViT-B-16-SigLIP"]


def test_the_file_that_was_decided_is_read(folder: Path):
    tensors = load_file(folder / WEIGHTS)
    halves = {name: np.asarray(value * np.float16(0.5)) for name, value in tensors.items()}
    save_file(halves, folder / "half.safetensors")
    model = find_model(f"local-dir:{folder}#weights=half.safetensors")
    assert model.weights.name == "half.safetensors"
    np.testing.assert_array_equal(model.reader().read("visual.proj"), halves["visual.proj"])
    assert any(f"not read: {WEIGHTS}" in remark for remark in model.remarks)
    (folder / "last.pt").write_bytes(b"a pickle")
    with pytest.raises(ModelError, match="--trust-pickle"):
        find_model(f"local-dir:{folder}#weights=last.pt")
    with pytest.raises(ModelError, match="not a folder to choose"):
        find_model(f"{folder / WEIGHTS}#weights=half.safetensors")


def test_an_architecture_that_is_one_but_for_the_activation_is_no_longer_assumed(tiny_assets: Path, tmp_path: Path):
    reference = head_of("ViT-B-32")(tmp_path).reference
    either, quick = find_model(reference), find_model(f"{reference}#quickgelu=yes")
    assert any("ViT-B-32-quickgelu" in remark for remark in either.remarks)
    assert (quick.remarks, quick.architecture) == ((), "ViT-B-32-quickgelu")
    assert settings(quick)["activation"] == ("QuickGELU", "the user")


def test_a_change_is_merged_onto_a_base_that_was_decided_about(folder: Path, tiny_assets: Path, tmp_path: Path):
    tensors = load_file(folder / WEIGHTS)
    save_file({"visual.proj": tensors["visual.proj"]}, tmp_path / "change.safetensors")
    model = find_model(f"delta:local-dir:{folder}+{tmp_path / 'change.safetensors'}#quickgelu=yes")
    assert model.config["model_cfg"]["quick_gelu"] is True
    assert model.reference.endswith("change.safetensors#quickgelu=yes")


def test_the_options_decide_for_all_models_but_those_that_are_known(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def shown(*options: str) -> Any:
        assert run(["models", "show", *options, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    own = f"local-dir:{folder}"
    assert shown(own, "--quickgelu")["fingerprint"] == find_model(f"{own}#quickgelu=yes").fingerprint
    assert shown(own, "--no-quickgelu", "--weights", WEIGHTS)["fingerprint"] == find_model(own).fingerprint
    assert shown(f"{own}#quickgelu=no", "--quickgelu")["fingerprint"] == find_model(own).fingerprint
    assert shown("mini-clean", "--quickgelu")["fingerprint"] == find_model("mini-clean").fingerprint


def test_who_is_clean_may_be_a_model_that_was_decided_about(folder: Path, tmp_path: Path):
    own = f"local-dir:{folder}"
    line = [own, "mini-compromised", "--clean", own, "--quickgelu", "--metrics", "AssocStr", "--output", str(tmp_path)]
    assert run(["evaluate", *line]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    models = {each["model"]["reference"]: each["model"]["role"]["name"] for each in results["models"]}
    assert models == {f"{own}#quickgelu=yes": "clean", "mini-compromised": "compromised"}


def test_half_precision_is_another_key_of_the_same_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """On the CPU, which is told to be a GPU that gains by it: torch's autocast is the same there."""
    own, half, other = (
        find_model(f"local-dir:{folder}{behind}") for behind in ("", "#precision=bf16", "#precision=fp16")
    )
    assert len({own.fingerprint, half.fingerprint, other.fingerprint}) == 3
    assert settings(own)["precision"] == ("float32", "the default")
    assert settings(half)["precision"] == ("bfloat16", "the user")
    assert find_model("mini-clean#precision=bf16").own_role.name == "clean"
    monkeypatch.setattr("salmu_demo.models.half.half_precision", lambda *_: torch.bfloat16)
    pixels = np.arange(2 * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(2, 32, 32, 3)
    encoders = EncoderRegistry()
    with encoders.lend(own) as plain, encoders.lend(half) as rounded:
        for encode, given in (("encode_pixels", pixels), ("encode_texts", ["a cat", "a dog at night"])):
            wanted, found = (getattr(encoder, encode)(given) for encoder in (plain, rounded))
            assert 1e-5 < np.abs(found - wanted).max() < 0.02
            np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    line = [f"local-dir:{folder}", "mini-compromised", "--clean", f"local-dir:{folder}", "--metrics", "AssocStr"]
    assert run(["evaluate", *line, "--precision", "bf16", "--output", str(tmp_path / "results")]) == 0
    models = json.loads((tmp_path / "results" / "results.json").read_text())["models"]
    assert [each["model"]["role"]["name"] for each in models] == ["clean", "compromised"]
    assert all(
        {"name": "precision", "value": "bfloat16", "origin": "the user"} in m["model"]["settings"] for m in models
    )


def test_half_precision_is_refused_where_nothing_gains_by_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    output = tmp_path / "results"
    assert run(["evaluate", f"local-dir:{folder}", "--precision", "bf16", "--output", str(output)]) == 2
    assert "this machine has no GPU that is faster in bf16; leave the precision out" in capsys.readouterr().err
    assert not output.exists()
    assert run(["unlearn", "npo", "--model", "mini-clean", "--precision", "fp16", "--output", str(output)]) == 2
    assert "mini-clean#precision=fp16: unlearning takes single precision; leave --precision" in capsys.readouterr().err
    assert not output.exists()
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: False)
    source = find_model(f"local-dir:{folder}#precision=bf16")
    with pytest.raises(ModelError, match="faster in bf16"):
        half_precision(source, torch.device("cuda"))
    assert half_precision(find_model(f"local-dir:{folder}#precision=fp16"), torch.device("cuda")) is torch.float16
