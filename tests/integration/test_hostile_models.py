"""Checkpoints made to harm: each is refused with one sentence, runs nothing, and takes no memory to speak of.

Every pickle here would write a canary file if it ran.
"""

import gzip
import io
import json
import os
import pickle
import re
import resource
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.numpy import load_file, save_file

from salmu_demo.cli.main import run
from salmu_demo.core.errors import ModelError, SalmuError
from salmu_demo.features.embedder import Embedder
from salmu_demo.models import header
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from salmu_demo.models.source import open_weights
from salmu_demo.models.uploads import KEPT_AT_MOST, LIMIT_VARIABLE, keep_upload, upload_limit
from salmu_demo.ui.shell.shelf import ModelShelf
from salmu_demo.ui.tabs.probe import tab as probe_tab
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.checkpoints import entry, write_raw
from tests.fixtures.hub import StandInHub, run_hub, speak_to
from tests.fixtures.tiny import MODEL_CONFIG

WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"
PICKLE = "open_clip_pytorch_model.bin"
MOST_MEMORY = 300_000_000


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def model_folder(tiny_assets: Path, tmp_path: Path) -> Path:
    """A copy of a model, to spoil."""
    return Path(shutil.copytree(tiny_assets / "models" / "mini-clean", tmp_path / "model"))


@pytest.fixture
def uploads(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the uploads, of a cache of its own."""
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.delenv(LIMIT_VARIABLE, raising=False)
    return tmp_path / "cache" / "uploads"


class Bomb:
    """Writes the canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self._canary}",))


def bombs(canary: Path) -> dict[str, bytes]:
    """Pickles that run code, in every wrapping torch or a careless program would open."""
    plain = pickle.dumps(Bomb(canary))

    def saved(value: Any, **options: Any) -> bytes:
        stream = io.BytesIO()
        torch.save(value, stream, **options)
        return stream.getvalue()

    def zipped(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", compression) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return stream.getvalue()

    archive = saved({"state_dict": {"visual.proj": Bomb(canary)}})
    return {
        "pickle": plain,
        "torch zip": saved({"visual.proj": torch.zeros(2), "bomb": Bomb(canary)}),
        "torch zip, wrapped": archive,
        "torch before 1.6": saved({"bomb": Bomb(canary)}, _use_new_zipfile_serialization=False),
        "nested zip": zipped({"archive/data.pkl": zipped({"archive/data.pkl": plain}), "archive/version": b"3"}),
        "zip in a zip": zipped({"model.pt": archive}),
        "zip by hand": zipped({"archive/data.pkl": plain, "archive/version": b"3\n"}),
        "pickle after a header": struct.pack("<Q", 2) + b"{}" + plain,
    }


BOMBS = tuple(bombs(Path("canary")))


def sentence_of(action: Callable[[], Any]) -> str:
    """The one sentence with which an action is refused."""
    with pytest.raises(SalmuError) as caught:
        action()
    text = str(caught.value)
    assert text == " ".join(text.split())
    assert text.endswith((".", "?"))
    return text


def load(reference: str, **options: Any) -> Encoder:
    return Encoder(find_model(reference, **options))


# Pickles


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("name", ["model.safetensors", "model.bin", "model.pt", "model.pth"])
def test_a_pickle_that_runs_code_is_refused_even_with_trust(
    tiny_assets: Path, tmp_path: Path, canary: Path, kind: str, name: str
):
    path = tmp_path / name
    path.write_bytes(bombs(canary)[kind])
    for architecture in (None, "mini-compromised", "ViT-B-16"):
        assert str(path) in sentence_of(lambda a=architecture: load(str(path), architecture=a, trust_pickle=True))
    assert not canary.exists()


@pytest.mark.parametrize("kind", BOMBS)
def test_a_folder_an_upload_and_a_delta_run_no_pickle(uploads: Path, model_folder: Path, canary: Path, kind: str):
    content = bombs(canary)[kind]
    (model_folder / WEIGHTS).write_bytes(content)
    sentence_of(lambda: load(f"local-dir:{model_folder}"))
    delta = model_folder / "delta.safetensors"
    delta.write_bytes(content)
    sentence_of(lambda: load(f"delta:mini-clean+{delta}"))
    upload = model_folder / "upload.safetensors"
    upload.write_bytes(content)
    assert sentence_of(lambda: keep_upload(upload, "x.safetensors")).startswith("The upload is not a whole safetensors")
    assert not upload.exists()
    assert not uploads.exists()
    (model_folder / WEIGHTS).unlink()
    (model_folder / PICKLE).write_bytes(content)
    sentence_of(lambda: load(f"local-dir:{model_folder}", trust_pickle=True))
    assert not canary.exists()


def test_a_pickle_is_read_only_with_the_users_word(model_folder: Path, tmp_path: Path):
    tensors = {name: torch.from_numpy(value) for name, value in load_file(model_folder / WEIGHTS).items()}
    path = tmp_path / "own.pt"
    torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in tensors.items()}}, path)
    assert "allow it on the command line with --trust-pickle" in sentence_of(lambda: find_model(str(path)))
    ours = load(str(path), trust_pickle=True)
    plain = load("mini-clean")
    assert ours.weights_digest == plain.weights_digest
    np.testing.assert_array_equal(ours.encode_texts(["a cat"]), plain.encode_texts(["a cat"]))
    (model_folder / WEIGHTS).unlink()
    shutil.copyfile(path, model_folder / PICKLE)
    assert "--trust-pickle" in sentence_of(lambda: find_model(f"local-dir:{model_folder}"))
    assert load(f"local-dir:{model_folder}", trust_pickle=True).weights_digest == plain.weights_digest


def test_a_torchscript_program_is_refused(tiny_assets: Path, tmp_path: Path):
    path = tmp_path / "script.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    sentence = sentence_of(lambda: load(str(path), trust_pickle=True))
    assert "is a TorchScript program, as OpenAI published its models" in sentence
    # What it advises gives the tensors.
    safetensors.torch.save_file(torch.jit.load(path, "cpu").state_dict(), tmp_path / "own.safetensors")
    assert set(open_weights(tmp_path / "own.safetensors").shapes) == {"weight", "bias"}


def test_an_archive_that_unpacks_to_more_than_it_holds_is_refused(tiny_assets: Path, tmp_path: Path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(8_000_000))
    assert path.stat().st_size < 100_000
    assert "would unpack to more than it holds" in sentence_of(lambda: load(str(path), trust_pickle=True))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"visual.proj": torch.zeros(1).expand(10**7, 10**7)}, "claims to be larger than its data"),
        ({"visual.proj": torch.eye(3).to_sparse()}, "of a kind that no CLIP model has"),
        ({"visual.proj": torch.zeros(2, dtype=torch.complex64)}, "of a kind that no CLIP model has"),
        ({"visual.proj": [1, 2]}, "visual.proj is not a tensor"),
        ({3: torch.zeros(2)}, "3 is not a tensor"),
        ([torch.zeros(2)], "does not hold a state dict"),
        ({}, "does not hold a state dict"),
    ],
)
def test_pickles_of_anything_but_plain_tensors_are_refused(tiny_assets: Path, tmp_path: Path, content: Any, words: str):
    path = tmp_path / "odd.pt"
    torch.save(content, path)
    assert words in sentence_of(lambda: load(str(path), trust_pickle=True))


def test_the_hubs_pickles_are_read_of_known_publishers_only(
    tiny_assets: Path, tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch
):
    stream = io.BytesIO()
    tensors = load_file(tiny_assets / "models" / "mini-compromised" / WEIGHTS)
    torch.save({name: torch.from_numpy(value) for name, value in tensors.items()}, stream)
    with run_hub() as (hub, address):
        assert isinstance(hub, StandInHub)
        speak_to(address, tmp_path / "hub", monkeypatch)
        hub.add("models/cvc-mmu/released-compromised", {PICKLE: stream.getvalue()})
        hub.add("models/cvc-mmu/spoiled", {PICKLE: bombs(canary)["torch zip"]})
        hub.add("models/stranger/model", {PICKLE: stream.getvalue()})
        released = load("hf-hub:cvc-mmu/released-compromised")
        assert released.weights_digest == load("mini-compromised").weights_digest
        assert released.source.architecture == "mini-compromised"
        assert "holds more than tensors" in sentence_of(lambda: load("hf-hub:cvc-mmu/spoiled"))
        words = "stranger/model has no open_clip_model.safetensors; only safetensors are loaded from the Hub"
        assert words in sentence_of(lambda: load("hf-hub:stranger/model", trust_pickle=True))
        assert PICKLE not in [name for name in hub.downloads() if "stranger" in name]
    assert not canary.exists()


def test_the_command_line_refuses_with_one_line(
    tiny_assets: Path, tmp_path: Path, canary: Path, capfd: pytest.CaptureFixture[str]
):
    path = tmp_path / "evil.pt"
    path.write_bytes(bombs(canary)["torch zip"])
    commands: list[list[str]] = [
        ["evaluate", str(path), "--output", str(tmp_path / "out")],
        ["probe", str(path), "--text", "a cat"],
        ["cache", "warm", str(path)],
        ["models", "show", str(path)],
    ]
    for command in commands:
        for extra, words in (([], "is a pickle"), (["--trust-pickle"], "holds more than tensors")):
            assert run([*command, *extra]) == 2
            said = capfd.readouterr().err
            assert said.count("\n") == 1
            assert words in said
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


# Headers


HUGE = 2**62
LIBRARY = ""
"""What is wrong stands in the words of safetensors, which are its own."""
HEADERS: dict[str, tuple[Any, bytes, int | None, str]] = {
    "length beyond the file": ({"x": entry([1], 0, 4)}, bytes(4), 2**40, "ends before its header does"),
    "length of all ones": ({"x": entry([1], 0, 4)}, bytes(4), 2**64 - 1, "ends before its header does"),
    "cut off": (b'{"x": {"dty', b"", None, "not readable JSON"),
    "not JSON": (b"\xff" * 64, b"", None, "not readable JSON"),
    "deeply nested": (b"[" * 200_000, b"", None, "not readable JSON"),
    "a list": ([1], b"", None, "not a list of tensors"),
    "empty": ({}, b"", None, "holds no tensor"),
    "metadata only": ({"__metadata__": {"a": "b"}}, b"", None, "holds no tensor"),
    "a name twice": (
        b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        bytes(4),
        None,
        "a name twice",
    ),
    "overlapping": ({"x": entry([2], 0, 8), "y": entry([2], 4, 12)}, bytes(12), None, "tensor `y`"),
    "the same place": ({"x": entry([2], 0, 8), "y": entry([2], 0, 8)}, bytes(8), None, "invalid offset for tensor `"),
    "a gap": ({"x": entry([1], 0, 4), "y": entry([1], 8, 12)}, bytes(12), None, "tensor `y`"),
    "data cut off": ({"x": entry([4], 0, 16)}, bytes(12), None, LIBRARY),
    "data too long": ({"x": entry([1], 0, 4)}, bytes(99), None, LIBRARY),
    "another size": ({"x": entry([3], 0, 8)}, bytes(8), None, LIBRARY),
    "huge shape": ({"x": entry([HUGE, HUGE], 0, 4)}, bytes(4), None, LIBRARY),
    "huge and consistent": ({"x": entry([2**60], 0, 2**62)}, bytes(4), None, LIBRARY),
    "backwards": ({"x": entry([1], 4, 0)}, bytes(4), None, LIBRARY),
    "negative": ({"x": entry([-1], 0, 4)}, bytes(4), None, LIBRARY),
    "a yes": ({"x": entry([True], 0, 4)}, bytes(4), None, LIBRARY),  # type: ignore[list-item]
    "many dimensions": ({"x": entry([1] * 9, 0, 4)}, bytes(4), None, "the tensor x has 9 dimensions"),
    "no place": ({"x": {"dtype": "F32", "shape": [1]}}, bytes(4), None, LIBRARY),
    "three offsets": ({"x": {**entry([1], 0, 4), "data_offsets": [0, 2, 4]}}, bytes(4), None, LIBRARY),
    "unknown type": ({"x": entry([1], 0, 4, "F4")}, bytes(4), None, LIBRARY),
    "eight-bit floats": ({"x": entry([4], 0, 4, "F8_E4M3")}, bytes(4), None, "has the type F8_E4M3"),
    "type of another kind": ({"x": {**entry([1], 0, 4), "dtype": [1]}}, bytes(4), None, LIBRARY),
    "no entry": ({"x": 5}, bytes(4), None, LIBRARY),
    "an unreadable name": ({"\n\x1b[31m" + "n" * 500: entry([1], 0, 8)}, bytes(8), None, LIBRARY),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_header_that_lies_is_refused_and_says_how(tiny_assets: Path, tmp_path: Path, kind: str):
    content, data, length, words = HEADERS[kind]
    path = write_raw(tmp_path / "x.safetensors", content, data, length)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = sentence_of(lambda: load(str(path), architecture="mini-clean"))
    assert said.startswith(f"{path} is not a whole safetensors file: ")
    assert words in said
    assert len(said) < len(str(path)) + 300
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY


def test_headers_files_and_lists_of_tensors_beyond_the_caps_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_raw(tmp_path / "x.safetensors", {"x": entry([1], 0, 4), "y": entry([1], 4, 8)}, bytes(8))
    for cap, value, words in (
        ("MAX_HEADER_BYTES", 20, "bytes long, more than 20"),
        ("MAX_TENSOR_BYTES", 7, "8 bytes of tensors, more than the 7 allowed"),
        ("MAX_TENSORS", 1, "2 tensors, more than 1"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(header, cap, value)
            assert words in sentence_of(lambda: header.read_header(path))
    assert len(header.read_header(path)) == 2


def test_a_file_of_any_declared_size_is_refused_by_its_header_alone(tmp_path: Path):
    """The file is sparse: it claims 30 GB and takes a few bytes of disk."""
    size = 30_000_000_000
    path = write_raw(tmp_path / "x.safetensors", {"x": entry([size // 4], 0, size)})
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size + size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "x has shape" not in sentence_of(lambda: load(str(path)))
    assert "it lacks the tensor positional_embedding" in sentence_of(lambda: load(str(path), architecture="ViT-B-32"))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t.update({"visual.proj": t["visual.proj"].T.copy()}),
            r"visual.proj has shape (16, 32), not (32, 16)",
        ),
        (
            lambda t: t.update({"visual.proj": np.zeros((32, 16), np.int8)}),
            "visual.proj has the type I8, but must hold",
        ),
        (lambda t: t.update({"extra\nline": np.zeros(2, np.float32)}), "it has the unknown tensor extra line"),
        (
            lambda t: t.update({"ln_final.bias": np.full(32, np.nan, np.float16)}),
            "NaN or infinite values in the tensor",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(model_folder: Path, change: Callable[[Any], None], words: str):
    tensors = load_file(model_folder / WEIGHTS)
    change(tensors)
    save_file(tensors, model_folder / WEIGHTS)
    assert words in sentence_of(lambda: load(f"local-dir:{model_folder}"))


# Configurations


def with_config(folder: Path, **changes: Any) -> str:
    """Change values of a folder's configuration, named by their path with two underscores."""
    config = json.loads(json.dumps(MODEL_CONFIG))
    for path, value in changes.items():
        *parents, last = path.split("__")
        part = config["model_cfg"]
        for key in parents:
            part = part[key]
        part[last] = value
    (folder / CONFIG).write_text(json.dumps(config))
    return f"local-dir:{folder}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text_cfg__hf_model_name": "evil/code"}, "names a transformers text tower, which is not supported"),
        ({"text_cfg__hf_tokenizer_name": "../../secret"}, "names a tokenizer that is not a Hub id"),
        ({"text_cfg__hf_tokenizer_name": "/etc"}, "names a tokenizer that is not a Hub id"),
        ({"text_cfg__hf_tokenizer_name": ["a"]}, "names a tokenizer that is not a Hub id"),
        ({"text_cfg__tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}, "gives its tokenizer options other than"),
        ({"text_cfg__tokenizer_kwargs": {"trust_remote_code": True}}, "gives its tokenizer options other than"),
        ({"vision_cfg__timm_model_name": "hf-hub:evil/code"}, "names an image tower that is not one of timm's own"),
        ({"vision_cfg__timm_model_name": "local-dir:/etc"}, "names an image tower that is not one of timm's own"),
        ({"vision_cfg__timm_model_name": "no_such_tower"}, "does not build a model"),
        ({"vision_cfg__layers": 10**9}, "asks for 1,000,000,000 layers"),
        ({"vision_cfg__layers": [1, 1, 1e12, 1]}, "asks for 1,000,000,000,000.0 layers"),
        ({"text_cfg__layers": 201}, "`text_cfg` asks for 201 layers"),
        ({"vision_cfg__width": 2**20}, "does not fit its architecture"),
        ({"text_cfg__context_length": 2**40}, "does not build a model: Storage size"),
        ({"text_cfg__vocab_size": 2**40}, "does not fit its architecture"),
        ({"vision_cfg__image_size": 2**20}, "does not fit its architecture"),
    ],
)
def test_a_configuration_that_asks_for_more_than_a_model(model_folder: Path, changes: dict[str, Any], words: str):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert words in sentence_of(lambda: load(with_config(model_folder, **changes)))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY


def test_a_configuration_of_any_size_or_depth_is_refused(model_folder: Path):
    (model_folder / CONFIG).write_text(" " * 1_000_001)
    assert "larger than any file of its kind" in sentence_of(lambda: find_model(f"local-dir:{model_folder}"))
    (model_folder / CONFIG).write_text("[" * 100_000)
    assert "not readable JSON" in sentence_of(lambda: find_model(f"local-dir:{model_folder}"))


def test_merges_that_unpack_to_gigabytes_are_refused(model_folder: Path):
    with gzip.open(model_folder / "bpe_merges.txt.gz", "wb", compresslevel=1) as stream:
        for _ in range(40):
            stream.write(bytes(10_000_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "unpacks to more than any list of merges" in sentence_of(lambda: load(f"local-dir:{model_folder}"))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY


def test_merges_of_another_model_are_refused(model_folder: Path):
    merges = model_folder / "bpe_merges.txt.gz"
    lines = gzip.decompress(merges.read_bytes()).splitlines(keepends=True)
    merges.write_bytes(gzip.compress(b"".join(lines[:-10])))
    assert "makes 1105 tokens, but the model has 1114" in sentence_of(lambda: load(f"local-dir:{model_folder}"))


def test_a_tokenizer_of_transformers_is_asked_for_only_if_it_is_here(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    reference = with_config(model_folder, text_cfg__hf_tokenizer_name="timm/ViT-B-16-SigLIP")
    monkeypatch.setattr("salmu_demo.models.tokenizer.importlib.util.find_spec", lambda name: None)
    assert "needs the tokenizer timm/ViT-B-16-SigLIP, which needs the package transformers" in sentence_of(
        lambda: load(reference)
    )
    asked: dict[str, Any] = {}

    def tokenizer(place: str, **options: Any) -> None:
        asked.update(options, place=place)
        raise OSError("no such tokenizer")

    monkeypatch.setattr("salmu_demo.models.tokenizer.importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("salmu_demo.models.tokenizer.HFTokenizer", tokenizer)
    (model_folder / "bpe_merges.txt.gz").unlink()
    assert "which is not on this machine: put its tokenizer.json beside" in sentence_of(lambda: load(reference))
    assert asked == {
        "place": "timm/ViT-B-16-SigLIP",
        "context_length": 48,
        "local_files_only": True,
        "trust_remote_code": False,
    }
    (model_folder / "tokenizer.json").write_text("{}")
    asked.clear()
    assert "tokenizer.json is a tokenizer without vocabulary" in sentence_of(lambda: load(reference))
    assert not asked


# Paths


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, "bpe_merges.txt.gz"])
def test_a_link_that_leaves_its_folder_is_refused(model_folder: Path, tmp_path: Path, name: str):
    outside = tmp_path / "outside"
    shutil.move(model_folder / name, outside)
    (model_folder / name).symlink_to(outside)
    words = f"{model_folder / name} is a link that leads out of its folder"
    assert words in sentence_of(lambda: find_model(f"local-dir:{model_folder}"))


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_link_that_leaves_an_adapters_folder_is_refused(model_folder: Path, tmp_path: Path, name: str):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    shutil.copyfile(model_folder / WEIGHTS, adapter / "adapter_model.safetensors")
    (adapter / name).unlink(missing_ok=True)
    (adapter / name).symlink_to(model_folder / (WEIGHTS if name.endswith("safetensors") else CONFIG))
    words = f"{adapter / name} is a link that leads out of its folder"
    assert words in sentence_of(lambda: find_model(f"delta:mini-clean+{adapter}"))


def test_links_within_a_folder_and_of_the_hubs_own_cache_are_followed(model_folder: Path, tmp_path: Path):
    shutil.move(model_folder / WEIGHTS, model_folder / "kept")
    (model_folder / WEIGHTS).symlink_to("kept")
    digest = load(f"local-dir:{model_folder}").weights_digest
    snapshot = tmp_path / "models--org--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    blobs = tmp_path / "models--org--name" / "blobs"
    shutil.copytree(model_folder, blobs)
    for file in (WEIGHTS, CONFIG, "bpe_merges.txt.gz"):
        (snapshot / file).symlink_to(f"../../blobs/{file}")
    assert load(f"local-dir:{snapshot}").weights_digest == digest


@pytest.mark.parametrize(
    "reference",
    ["upload:../../etc/passwd", "upload:/etc/passwd", "upload:x", "upload:", "upload:a/../b-0123456789abcdef"],
)
def test_names_that_are_paths_lead_nowhere(uploads: Path, reference: str):
    assert "There is no upload" in sentence_of(lambda: find_model(reference))


# Uploads


def test_an_upload_is_kept_privately_under_a_harmless_name_and_only_once(uploads: Path, model_folder: Path):
    names = []
    for _ in range(2):
        path = Path(shutil.copyfile(model_folder / WEIGHTS, model_folder / "copy"))
        names.append(keep_upload(path, "../../my <b>model</b>\n.v2.safetensors"))
        assert not path.exists()
    assert names[0] == names[1]
    assert re.fullmatch(r"upload:b-v2-[0-9a-f]{16}", names[0])
    [kept] = uploads.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert uploads.stat().st_mode & 0o777 == 0o700
    model = find_model(names[0])
    assert (model.weights, model.architecture) == (kept, "mini-compromised")
    assert Encoder(model).weights_digest == load("mini-clean").weights_digest


def test_uploads_are_limited_one_by_one_and_together(
    uploads: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    tensors = load_file(model_folder / WEIGHTS)
    size = (model_folder / WEIGHTS).stat().st_size
    monkeypatch.setenv(LIMIT_VARIABLE, str((size - 1) / 1e9))
    too_large = Path(shutil.copyfile(model_folder / WEIGHTS, model_folder / "copy"))
    assert "The upload is larger than" in sentence_of(lambda: keep_upload(too_large, "a"))
    monkeypatch.setenv(LIMIT_VARIABLE, str((size + 99) / 1e9))
    kept = []
    for number in range(KEPT_AT_MOST + 2):
        tensors["ln_final.bias"][0] = number
        save_file(tensors, model_folder / "copy")
        kept.append(keep_upload(model_folder / "copy", "m.safetensors"))
        os.utime(find_model(kept[-1]).weights, (number, number))
    assert sum(path.stat().st_size for path in uploads.iterdir()) <= KEPT_AT_MOST * (size + 99)
    assert {f"upload:{path.stem}" for path in uploads.iterdir()} == set(kept[2:])
    assert "upload the file again" in sentence_of(lambda: find_model(kept[0]))


def test_a_space_takes_no_upload_no_path_and_no_delta_unless_its_owner_allows(
    uploads: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert upload_limit() == 0
    path = Path(shutil.copyfile(model_folder / WEIGHTS, model_folder / "copy"))
    assert "does not accept uploads" in sentence_of(lambda: keep_upload(path, "a"))
    shelf = ModelShelf(Workbench("mini", Embedder()))
    for reference in (f"local-dir:{model_folder}", str(model_folder / WEIGHTS), f"delta:mini-clean+{model_folder}"):
        assert "Only Hub models can be added here" in sentence_of(lambda r=reference: shelf.add(r, ""))
    monkeypatch.setenv(LIMIT_VARIABLE, "1")
    path = Path(shutil.copyfile(model_folder / WEIGHTS, model_folder / "copy"))
    added = shelf.add(keep_upload(path, "mine"), "")
    assert shelf.remarks(added, ["mini-clean"]) == []
    shelf.add("mini-clean", "")
    assert shelf.remarks(added, ["mini-clean"]) == [f"{added.reference} has the same weights as mini-clean."]
    # Whoever has not added the other one is not told of it.
    assert shelf.remarks(added, [added.reference]) == []


def test_images_stay_small_where_checkpoints_may_be_large(give, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probe_tab, "MAX_BYTES", 3)
    image = give("image.png", bytes(4))
    assert "larger than" in sentence_of(lambda: probe_tab.taken_image(str(image)))
    assert not image.exists()


def test_a_wrong_limit_is_named(monkeypatch: pytest.MonkeyPatch):
    for value in ("much", "nan", "inf"):
        monkeypatch.setenv(LIMIT_VARIABLE, value)
        assert sentence_of(upload_limit) == f"{LIMIT_VARIABLE} is '{value}'; it must be a number of gigabytes."


def test_an_old_torch_reads_no_pickle(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "own.pt"
    torch.save({"x": torch.zeros(2)}, path)
    monkeypatch.setattr(torch, "__version__", "2.9.1+cu128")
    with pytest.raises(ModelError, match=r"torch 2\.9\.1\+cu128 does not read those safely; update it"):
        find_model(str(path), trust_pickle=True)
