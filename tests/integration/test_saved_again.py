"""A checkpoint that is saved again after its fingerprint was taken gives no number, and leaves nothing behind."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from salmu_demo.core.errors import ModelError
from salmu_demo.core.settings import cache_dir
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.view import FeatureView
from salmu_demo.models import encoder as encoder_module
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.profile import profile
from salmu_demo.models.references import find_model
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.model_change import measure_change
from salmu_demo.workbench.bench import Workbench
from tests.accepted.models import PAIR
from tests.fixtures.checkpoints import random_tensors

WEIGHTS = "open_clip_model.safetensors"
AGAIN = "was saved again while it was in use"


@pytest.fixture
def folder(tiny_assets: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_assets / "models" / "mini-clean", tmp_path / "mine"))


@pytest.fixture
def found(folder: Path) -> ModelSource:
    """A model whose fingerprint was taken."""
    source = find_model(f"local-dir:{folder}")
    assert source.fingerprint
    return source


def save_again(folder: Path) -> None:
    """Another checkpoint of the same size, written into the same file as training code does."""
    path = folder / WEIGHTS
    halved = {name: np.asarray(value * np.float16(0.5)) for name, value in load_file(path).items()}
    save_file(halved, path, metadata={"format": "pt"})


def other_merges(folder: Path) -> None:
    path = folder / "bpe_merges.txt.gz"
    head, *merges = gzip.decompress(path.read_bytes()).decode().split("\n")
    path.write_bytes(gzip.compress("\n".join([head, *merges[::-1]]).encode()))


def other_configuration(folder: Path) -> None:
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["preprocess_cfg"]["mean"] = [0.1, 0.1, 0.1]
    path.write_text(json.dumps(config))


@pytest.mark.parametrize("change", [save_again, other_merges, other_configuration])
def test_a_model_that_was_saved_again_before_it_is_loaded_is_refused(
    found: ModelSource, folder: Path, change: Callable[[Path], None]
):
    change(folder)
    with pytest.raises(ModelError, match=AGAIN):
        Encoder(found)


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json"])
def test_an_adapter_that_was_saved_again_is_refused(tiny_assets: Path, tmp_path: Path, file: str):
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 6}
    save_file(random_tensors(PAIR), tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    source = find_model(f"delta:mini-clean+{tmp_path}")
    assert source.fingerprint
    if file.endswith("json"):
        (tmp_path / file).write_text(json.dumps({**config, "lora_alpha": 7}))
    else:
        save_file(random_tensors(PAIR, seed=1), tmp_path / file)
    with pytest.raises(ModelError, match=AGAIN):
        Encoder(source)


def test_a_model_that_is_saved_again_while_it_is_read_is_refused(
    found: ModelSource, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def build(*arguments: object) -> object:
        # After the tensors were checked and before they are copied into the network.
        save_again(folder)
        return real(*arguments)

    real = encoder_module.build_network
    monkeypatch.setattr(encoder_module, "build_network", build)
    with pytest.raises(ModelError, match=AGAIN):
        Encoder(found)


def test_a_model_that_made_room_and_is_loaded_again_is_compared_again(folder: Path, found: ModelSource):
    other = find_model("mini-compromised")
    registry = EncoderRegistry(budget=4 * sum(value.size for value in load_file(folder / WEIGHTS).values()))
    for source in (found, other):
        with registry.lend(source) as encoder:
            assert encoder.source is source
    save_again(folder)
    with pytest.raises(ModelError, match=AGAIN), registry.lend(found):
        pass


def test_nothing_is_stored_of_a_model_that_was_saved_again(found: ModelSource, folder: Path):
    bench = Workbench(embedder=Embedder(ArrayStore(cache_dir() / "saved-again")))
    save_again(folder)
    with pytest.raises(ModelError, match=AGAIN):
        bench.evaluate(found, ["AssocStr"])
    assert not [path for path in (cache_dir() / "saved-again").rglob("*") if found.fingerprint[:8] in str(path)]
    [again] = bench.models([found.reference])
    assert again.fingerprint != found.fingerprint
    assert bench.evaluate(again, ["AssocStr"]).model.fingerprint == again.fingerprint


def test_facts_and_changes_of_a_model_that_was_saved_again_are_refused(found: ModelSource, folder: Path):
    save_again(folder)
    bench = Workbench()
    with pytest.raises(ModelError, match=AGAIN):
        profile(found)
    with pytest.raises(ModelError, match=AGAIN):
        measure_change(FeatureView(found, bench.data, bench.embedder), find_model("mini-clean"), "forget")


def test_the_tokenizer_files_that_transformers_reads_belong_to_the_fingerprint(folder: Path):
    (folder / "bpe_merges.txt.gz").unlink()
    prints = set()
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        (folder / name).write_text("{}")
        prints.add(find_model(f"local-dir:{folder}").fingerprint)
    assert len(prints) == 4
