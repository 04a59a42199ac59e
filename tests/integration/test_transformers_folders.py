"""Models of transformers: converted without changing a number, from folders and from the Hub, and written as such.

`TEXT` and `IMAGE` were computed once by transformers 5.24 (`CLIPModel`, `SiglipModel`) from the folders of
`tests.fixtures.transformers_folders`.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from timm.models.vision_transformer import VisionTransformer

from salmu_demo.cli.main import run
from salmu_demo.core.errors import ModelError, StorageError
from salmu_demo.hub.reference import model_on_hub
from salmu_demo.models.configuration import architecture_configuration, open_clip_architectures
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.formats import export_model
from salmu_demo.models.hub import plan_model
from salmu_demo.models.references import find_model
from salmu_demo.models.source import ModelSource
from salmu_demo.models.tokenizer import cut_texts
from salmu_demo.models.transformers_config import image_activation, network_of
from salmu_demo.models.transformers_document import document_of_network
from tests.fixtures.hub import StandInHub, run_hub, speak_to
from tests.fixtures.tiny import MODELS
from tests.fixtures.transformers_folders import SIDE, smallest_siglip, write_clip, write_siglip

BASE = MODELS[1]
SENTENCE = {"clip": "the cat, in 2 hats", "siglip": "a cat sat"}
TEXT = {
    "clip": [0.4955029, 0.5704658, 0.4069633, -0.3650440, -0.2387507, -0.1963832, 0.0658963, 0.1739509],
    "siglip": [0.1547657, -0.3908383, 0.0637465, -0.2189948, 0.2812320, 0.0593679, 0.1030379, -0.1426095],
}
"""The features of a sentence; of SigLIP's the first eight."""
IMAGE = {
    "clip": [-0.0969569, 0.0097487, -0.2350001, -0.4083535, -0.6398237, -0.3002980, 0.0588206, -0.5152800],
    "siglip": [0.0488272, 0.0358980, 0.0291087, -0.1995536, -0.2370800, 0.3618325, -0.1245333, -0.3848585],
}


def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 255, (2, SIDE, SIDE, 3), dtype=np.uint8)


def found(folder: Path) -> ModelSource:
    return find_model(f"local-dir:{folder}")


def check_equal(one: Encoder, other: Encoder, texts: list[str]) -> None:
    assert one.weights_digest == other.weights_digest
    assert one.tokens(texts).tolist() == other.tokens(texts).tolist()
    size = one.image_size
    images = np.random.default_rng(2).integers(0, 255, (2, *size, 3), dtype=np.uint8)
    np.testing.assert_allclose(one.encode_texts(texts), other.encode_texts(texts), atol=1e-5)
    np.testing.assert_allclose(one.encode_pixels(images), other.encode_pixels(images), atol=1e-5)
    assert one.preprocessing == other.preprocessing


@pytest.fixture(scope="module", autouse=True)
def siglip_of_two_layers() -> Iterator[None]:
    with smallest_siglip():
        yield


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_the_features_are_those_of_transformers(tmp_path: Path, family: str):
    source = found(write_clip(tmp_path) if family == "clip" else write_siglip(tmp_path))
    encoder = Encoder(source)
    np.testing.assert_allclose(encoder.encode_texts([SENTENCE[family]])[0, :8], TEXT[family], atol=1e-5)
    np.testing.assert_allclose(encoder.encode_pixels(pixels())[0, :8], IMAGE[family], atol=1e-5)
    assert source.remarks == ()


def test_a_built_in_model_goes_to_transformers_and_back(tiny_assets: Path, tmp_path: Path):
    source = find_model(BASE)
    export_model(source, "transformers", tmp_path / "theirs")
    export_model(found(tmp_path / "theirs"), "open_clip", tmp_path / "ours")
    ours, theirs = found(tmp_path / "ours"), found(tmp_path / "theirs")
    assert (theirs.family, ours.family) == ("clip", None)
    before, after = source.reader(), ours.reader()
    assert {name: (before.dtypes[name], before.stored(name)) for name in before.shapes} == {
        name: (after.dtypes[name], after.stored(name)) for name in after.shapes
    }
    texts = ["Zoë Åström's phone number is +46 70 111 22 33", "a “quoted” 猫"]
    encoder = Encoder(source)
    check_equal(encoder, Encoder(theirs), texts)
    check_equal(encoder, Encoder(ours), texts)
    stored = load_file(tmp_path / "theirs" / "model.safetensors")
    joined = before.read("transformer.resblocks.1.attn.in_proj_weight")
    np.testing.assert_array_equal(stored["text_model.encoder.layers.1.self_attn.k_proj.weight"], joined[32:64])
    np.testing.assert_array_equal(stored["visual_projection.weight"], before.read("visual.proj").T)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "theirs"]


def test_a_siglip_goes_to_open_clip_and_back(tmp_path: Path):
    source = found(write_siglip(tmp_path / "siglip"))
    export_model(source, "open_clip", tmp_path / "ours")
    export_model(found(tmp_path / "ours"), "transformers", tmp_path / "theirs")
    assert (found(tmp_path / "ours").family, found(tmp_path / "theirs").family) == (None, "siglip")
    encoder = Encoder(source)
    for name in ("ours", "theirs"):
        check_equal(encoder, Encoder(found(tmp_path / name)), ["a cat", "a dog sat"])
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("siglip", "theirs"))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_the_tokenizer_of_a_siglip_ends_fills_and_cuts_texts_as_its_files_say(tmp_path: Path):
    folder = write_siglip(tmp_path)
    tokenizer = Encoder(found(folder)).tokenizer
    # Words are numbered from "a", 3; 1 ends a text and fills the rest. Punctuation goes, capitals do not count.
    assert tokenizer(["A cat!", "a cat sat dog a cat sat"]).tolist() == [[3, 4, 1, 1, 1, 1], [3, 4, 5, 6, 3, 1]]
    whole = "a cat sat dog a"
    assert list(cut_texts(tokenizer, ["a", whole, f"{whole} cat"])) == [f"{whole} cat"]
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"pad_token": {"content": "<pad>"}, "padding_side": "left"})
    )
    assert Encoder(found(folder)).tokenizer(["a cat"]).tolist() == [[0, 0, 0, 3, 4, 1]]
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError, match=r"does not say how texts are padded; put its tokenizer_config\.json"):
        Encoder(found(folder))
    (folder / "tokenizer.json").write_text('{"model": {"type": "WordLevel", "vocab": {"a": "b"}}}')
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read as a tokenizer: "):
        Encoder(found(folder))


def test_an_adapter_that_was_trained_on_a_model_of_transformers_is_merged_by_its_names(tmp_path: Path):
    base = write_clip(tmp_path / "base")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    name = "text_model.encoder.layers.0.self_attn.v_proj"
    down, up = np.ones((1, 16), np.float32), np.arange(16, dtype=np.float32)[:, None]
    prefix = "base_model.model."
    save_file({f"{prefix}{name}.lora_A.weight": down, f"{prefix}{name}.lora_B.weight": up},
              adapter / "adapter_model.safetensors")  # fmt: skip
    config = {"peft_type": "LORA", "r": 1, "lora_alpha": 2, "target_modules": ["v_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    merged = find_model(f"delta:local-dir:{base}+{adapter}").reader()
    target = "transformer.resblocks.0.attn.in_proj_weight"
    change = merged.read(target) - found(base).reader().read(target)
    # Only the third part, of the values, and there twice the number of the row.
    np.testing.assert_allclose(change, np.repeat(np.r_[np.zeros(32), 2 * np.arange(16)][:, None], 16, 1), atol=1e-5)


def test_a_model_of_transformers_comes_from_the_hub_with_what_belongs_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = write_clip(tmp_path / "own")
    encoder = Encoder(found(folder))
    with run_hub() as (hub, address):
        assert isinstance(hub, StandInHub)
        speak_to(address, tmp_path / "hub", monkeypatch)
        hub.add("models/org/clip", folder)
        fetched = find_model("hf-hub:org/clip")
        assert (fetched.family, fetched.revision) == ("clip", hub.repositories["models/org/clip"].commit)
        check_equal(encoder, Encoder(fetched), ["the cat"])
        target = model_on_hub("hf-hub:org/clip")
        assert target is not None
        assert {file.path for file in plan_model(target).files} == {
            "model.safetensors", "config.json", "preprocessor_config.json", "merges.txt", "vocab.json",
        }  # fmt: skip
        content = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**content, "model_type": "blip"}))
        hub.add("models/org/blip", folder)
        hub.requests.clear()
        with pytest.raises(ModelError, match=r"config\.json of org/blip describes a model of the type 'blip'"):
            find_model("hf-hub:org/blip")
        assert hub.downloads() == ["config.json"]


def test_every_siglip_of_open_clip_can_be_written_and_says_the_same_when_it_is_read():
    written = 0
    for name, model in open_clip_architectures().items():
        tower = model["vision_cfg"].get("timm_model_name", "")
        if "siglip" not in tower or "hf_model_name" in model["text_cfg"] or not tower.startswith("vit_"):
            continue
        width, patch = model["embed_dim"], int(tower.split("patch")[1].split("_")[0])
        shapes = {
            "visual.trunk.patch_embed.proj.weight": (width, 3, patch, patch),
            "visual.trunk.blocks.0.mlp.fc1.weight": (4 * width, width),
        }
        if not model["text_cfg"].get("proj_bias"):
            with pytest.raises(ModelError, match="sets proj_bias to false, which SiglipModel does not compute"):
                document_of_network(model, shapes, None, name)
            continue
        document = document_of_network(model, shapes, None, name)
        again, remarks = network_of(document, name)
        assert remarks == ()
        assert again["vision_cfg"] == model["vision_cfg"]
        # The repositories of several sizes have one tokenizer.
        assert again["text_cfg"]["tokenizer_kwargs"] == model["text_cfg"]["tokenizer_kwargs"]
        written += 1
    assert written > 10


def test_the_activations_of_siglips_image_towers_are_those_of_timm():
    for name in ("ViT-B-16-SigLIP", "ViT-B-32-SigLIP2-256"):
        config = architecture_configuration(name)
        # On this device its weights take no memory.
        with torch.device("meta"):
            trunk = open_clip.create_model(name, load_weights=False, device="meta").visual.trunk
        assert isinstance(trunk, VisionTransformer)
        is_exact = type(trunk.blocks[0].mlp.act).__name__ == "GELU"
        assert (image_activation(config["model_cfg"]["vision_cfg"]["timm_model_name"]) == "gelu") is is_exact


def test_a_siglip_whose_image_tower_is_computed_otherwise_says_so(tmp_path: Path):
    folder = write_siglip(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["hidden_act"] = "gelu"
    (folder / "config.json").write_text(json.dumps(config))
    [remark] = found(folder).remarks
    assert "asks for gelu in its image tower, but open_clip computes it with timm's vit_smallest" in remark
    config["vision_config"]["image_size"] = 48
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"of a size that open_clip has no image tower for \(width 24, patches of 16"):
        found(folder)


def test_what_transformers_does_not_compute_is_not_written(tiny_assets: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny_assets / "models" / BASE, tmp_path / "own"))
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["vision_cfg"]["patch_dropout"] = 0.5
    path.write_text(json.dumps(config))
    with pytest.raises(
        ModelError, match=r"its configuration sets patch_dropout to 0\.5, which CLIPModel does not compute"
    ):
        export_model(found(folder), "transformers", tmp_path / "new")
    del config["model_cfg"]["vision_cfg"]["patch_dropout"]
    config["preprocess_cfg"]["resize_mode"] = "longest"
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match="its images are prepared with resize_mode longest"):
        export_model(found(folder), "transformers", tmp_path / "new")
    with pytest.raises(StorageError, match="is not an empty folder; name a new one"):
        export_model(found(folder), "transformers", folder)
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_the_command_writes_a_folder_and_says_how_to_load_it(
    tiny_assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    output = tmp_path / "new"
    command = ["models", "export", "mini-clean", "--format", "transformers", "--output", str(output)]
    assert run(command) == 0
    assert f"Load it: local-dir:{output}" in capsys.readouterr().out
    assert {path.name for path in output.iterdir()} == {
        "README.md", "config.json", "merges.txt", "model.safetensors", "preprocessor_config.json",
        "special_tokens_map.json", "tokenizer_config.json", "vocab.json",
    }  # fmt: skip
    assert run(command) == 2
    assert "is not an empty folder" in capsys.readouterr().err
