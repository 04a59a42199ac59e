"""Whatever a user gets wrong is answered with an exception of the right type whose one sentence names the thing."""

import io
import json
import re
import resource
import shutil
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from salmu_demo.cli.main import run
from salmu_demo.core.errors import DataError, ImageError, MetricError, ModelError, QueryError, SalmuError
from salmu_demo.data.describe import describe
from salmu_demo.data.images import decode_image, read_image
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import official_metrics
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.models.weights import SafetensorsReader
from salmu_demo.results.evaluation import choose_metrics, evaluate
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.hub import closed_port, speak_to
from tests.fixtures.tiny import MODEL_CONFIG

WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"
MERGES = "bpe_merges.txt.gz"


def one_sentence(error: SalmuError) -> str:
    text = str(error)
    assert text == text.strip()
    assert "\n" not in text
    assert text.endswith((".", "?"))
    assert not re.search(r"0x[0-9a-f]{6}|<class ", text)
    return text


def refused(kind: type[SalmuError], pattern: str, action: Callable[[], Any]) -> None:
    with pytest.raises(SalmuError) as caught:
        action()
    assert type(caught.value) is kind
    assert re.search(pattern, one_sentence(caught.value)), str(caught.value)


# Models


@pytest.fixture
def model_folder(tiny_assets: Path, tmp_path: Path) -> Path:
    """A copy of a model, to break."""
    return Path(shutil.copytree(tiny_assets / "models" / "mini-clean", tmp_path / "broken-model"))


def load(folder: Path) -> Encoder:
    return Encoder(find_model(f"local-dir:{folder}"))


@pytest.mark.parametrize(
    ("reference", "pattern"),
    [
        ("mini-cleann", r"no model 'mini-cleann'. Built in: mini-clean, mini-compromised, mini-unlearned-finetune\."),
        ("no/such/weights.safetensors", r"no weight file no/such/weights.safetensors"),
        ("weights.pt", r"no weight file weights.pt"),
        ("local-dir:/no/such/folder", r"The model folder /no/such/folder does not exist"),
        ("~no-such-user/model", r"'~no-such-user/model' is not a usable path"),
        ("local-dir:~no-such-user", r"'local-dir:~no-such-user' is not a usable path"),
        ("m" * 5000, r"is not a usable path: .*File name too long"),
        ("", r"no model ''\. Built in: "),
    ],
)
def test_a_model_that_does_not_exist(tiny_assets: Path, reference: str, pattern: str):
    refused(ModelError, pattern, lambda: find_model(reference))


def test_a_folder_without_its_scheme_or_weights(model_folder: Path):
    refused(ModelError, f"write local-dir:{model_folder} to load it", lambda: find_model(str(model_folder)))
    (model_folder / WEIGHTS).unlink()
    refused(ModelError, f"{model_folder} has no {WEIGHTS}", lambda: load(model_folder))


def test_a_given_architecture_must_exist(model_folder: Path):
    weights = str(model_folder / WEIGHTS)
    refused(ModelError, r"no architecture 'ViT-B-166'; did you mean ViT-B-16", lambda: find_model(weights, "ViT-B-166"))
    refused(ModelError, r"no architecture 'zzz'; for example ViT-B-16", lambda: find_model(weights, "zzz"))
    numbers = model_folder / "weights.npz"
    numbers.touch()
    refused(ModelError, f"{numbers} is not a safetensors file", lambda: find_model(str(numbers), "ViT-B-16"))


def test_an_architecture_with_another_kind_of_text_tower(model_folder: Path):
    refused(
        ModelError,
        "The architecture roberta-ViT-B-32 names a transformers text tower, which is not supported",
        lambda: find_model(str(model_folder / WEIGHTS), "roberta-ViT-B-32"),
    )


@pytest.mark.parametrize("content", ["truncated", "half a header", "rubbish", "empty", "zip"])
def test_weights_that_are_damaged(model_folder: Path, content: str):
    path = model_folder / WEIGHTS
    whole = path.read_bytes()
    path.write_bytes(
        {
            "truncated": whole[:-100],
            "half a header": whole[:200],
            "rubbish": b"\xff" * 4096,
            "empty": b"",
            "zip": b"PK\x03\x04" + bytes(100),
        }[content]
    )
    refused(ModelError, f"{path} is not a whole safetensors file", lambda: load(model_folder))


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


def test_the_first_tensor_of_another_shape_is_named_with_both_shapes(model_folder: Path):
    config = json.loads(json.dumps(MODEL_CONFIG))
    config["model_cfg"]["vision_cfg"]["width"] = 48
    config["model_cfg"]["text_cfg"]["width"] = 64
    (model_folder / CONFIG).write_text(json.dumps(config))
    # In the order of the architecture, the text tower's positions come first.
    pattern = r"does not fit its architecture: positional_embedding has shape \(48, 32\), not \(48, 64\)\."
    refused(ModelError, pattern, lambda: load(model_folder))
    config["model_cfg"]["text_cfg"]["width"] = 32
    (model_folder / CONFIG).write_text(json.dumps(config))
    refused(
        ModelError,
        r"does not fit its architecture: visual.class_embedding has shape \(32,\), not \(48,\)\.",
        lambda: load(model_folder),
    )


def test_a_missing_and_an_extra_tensor_are_named(model_folder: Path):
    whole = load_file(model_folder / WEIGHTS)
    rewrite(model_folder, lambda tensors: tensors.pop("visual.proj"))
    refused(ModelError, "it lacks the tensor visual.proj", lambda: load(model_folder))
    save_file(whole, model_folder / WEIGHTS)
    rewrite(model_folder, lambda tensors: tensors.update({"adapter.weight": torch.zeros(2)}))
    refused(ModelError, "it has the unknown tensor adapter.weight", lambda: load(model_folder))


def test_the_weights_of_another_architecture_are_refused_before_they_are_read(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    rewrite(model_folder, lambda tensors: tensors.pop("logit_scale"))
    monkeypatch.setattr(SafetensorsReader, "read", lambda self, name: pytest.fail("the weights were read"))
    refused(ModelError, "it lacks the tensor logit_scale", lambda: load(model_folder))


def changed(path: str, value: Any) -> str:
    config = json.loads(json.dumps(MODEL_CONFIG))
    *parents, last = path.split(".")
    part = config
    for key in parents:
        part = part[key]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return json.dumps(config)


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ("{", f"{CONFIG} is not readable JSON"),
        ("\x00\x01", f"{CONFIG} is not readable JSON"),
        ("[1]", f"{CONFIG} is not readable JSON: it must hold one object"),
        ('{"model_type": "bert"}', f"{CONFIG} lacks `model_cfg`"),
        (changed("model_cfg.text_cfg", None), f"{CONFIG} lacks `text_cfg`"),
        (changed("model_cfg.text_cfg", "small"), f"{CONFIG} lacks `text_cfg`"),
        (changed("model_cfg.text_cfg.hf_model_name", "roberta-base"), "names a transformers text tower"),
        (changed("model_cfg.vision_cfg", None), "does not build a model"),
        (changed("model_cfg.vision_cfg.layers", "two"), "does not build a model"),
        (changed("model_cfg.vision_cfg.patch_size", 0), "does not build a model"),
        (changed("model_cfg.vision_cfg.colour", "red"), "does not build a model: .*'colour'"),
        (changed("model_cfg.embed_dim", -3), "does not build a model"),
        (
            changed("model_cfg.embed_dim", 10**13),
            r"does not fit its architecture: text_projection has shape \(32, 16\)",
        ),
        (changed("model_cfg.text_cfg.context_length", "long"), "does not build a model"),
        (changed("preprocess_cfg.interpolation", "guess"), "The `preprocess_cfg` of .* cannot be used"),
        (changed("preprocess_cfg.mean", "grey"), "loads but fails a trial"),
        (changed("preprocess_cfg.std", [0, 0, 0]), "loads but fails a trial"),
    ],
)
def test_a_configuration_that_is_broken(model_folder: Path, content: str, pattern: str):
    (model_folder / CONFIG).write_text(content)
    refused(ModelError, pattern, lambda: load(model_folder))


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        (None, f"loads but fails a trial: .*{MERGES}"),
        (b"not gzip", f"{MERGES} is not a whole gzip file"),
        ("truncated", f"{MERGES} is not a whole gzip file"),
        (b"", f"{MERGES} makes 514 tokens, but the model has 1114"),
    ],
)
def test_a_vocabulary_that_is_not_the_models_own(model_folder: Path, content: Any, pattern: str):
    path = model_folder / MERGES
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(whole[:-200] if content == "truncated" else content)
    refused(ModelError, pattern, lambda: load(model_folder))


def test_weights_that_vanish_while_they_are_needed(model_folder: Path):
    model = find_model(f"local-dir:{model_folder}")
    (model_folder / WEIGHTS).unlink()
    refused(ModelError, f"{WEIGHTS} cannot be read: No such file", lambda: model.fingerprint)


# Data


@pytest.fixture
def data_folder(tiny_assets: Path, tmp_path: Path) -> Path:
    """A copy of the data, to break."""
    return Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "broken-data"))


def shards(folder: Path, split: str) -> list[Path]:
    return sorted((folder / "data").glob(f"{split}-*.parquet"))


def with_column(folder: Path, split: str, column: str, make: Callable[[int], pa.Array] | None) -> None:
    for path in shards(folder, split):
        table = pq.read_table(path)
        place = table.schema.get_field_index(column)
        table = table.remove_column(place)
        if make is not None:
            table = table.add_column(place, column, make(len(table)))
        pq.write_table(table, path)


def texts(*values: str | None) -> Callable[[int], pa.Array]:
    return lambda rows: pa.array([*values, *["a text"] * (rows - len(values))], pa.string())


@pytest.mark.parametrize(
    ("reference", "pattern"),
    [
        (
            "no-such-folder",
            "no-such-folder is not a folder; give `mini`, `clear-mini`, `official`, a folder in the SALMUBench layout",
        ),
        ("/no/such/folder", "/no/such/folder is not a folder"),
        ("~no-such-user/data", "'~no-such-user/data' is not a usable path"),
        ("d" * 5000, "is not a usable path: .*File name too long"),
        ("", "lacks the split forget"),
    ],
)
def test_data_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, pattern: str):
    monkeypatch.chdir(tmp_path)
    refused(DataError, pattern, lambda: load_data(reference))


def test_data_that_is_a_file(tmp_path: Path):
    (tmp_path / "data.zip").write_bytes(b"PK")
    refused(DataError, "data.zip is not a folder", lambda: load_data(str(tmp_path / "data.zip")))


@pytest.mark.parametrize("split", ["forget", "holdout_association", "holdout_identity", "retain_synth"])
def test_a_missing_split(data_folder: Path, split: str):
    for path in shards(data_folder, split):
        path.unlink()
    refused(
        DataError, rf"lacks the split {split}: no file matches data/{split}-\*", lambda: load_data(str(data_folder))
    )


@pytest.mark.parametrize("column", ["image", "text", "identity_id", "file_name"])
def test_a_missing_column(data_folder: Path, column: str):
    with_column(data_folder, "holdout_identity", column, None)
    pattern = f"holdout_identity-00000-of-00001.parquet lacks the column {column}; it needs image, text, "
    refused(DataError, pattern, lambda: load_data(str(data_folder)))


@pytest.mark.parametrize(
    ("column", "make", "pattern"),
    [
        ("text", texts("a", None), r"The split forget has a row without text \(row 1\)"),
        ("text", lambda rows: pa.array(range(rows)), "The column text of the split forget must hold strings"),
        ("image", lambda rows: pa.array([b"x"] * rows), "column image must be a struct with the field `bytes`"),
        (
            "image",
            lambda rows: pa.array([{"path": "x"}] * rows),
            "column image must be a struct with the field `bytes`",
        ),
    ],
)
def test_a_column_of_another_shape(data_folder: Path, column: str, make: Any, pattern: str):
    with_column(data_folder, "forget", column, make)
    refused(DataError, pattern, lambda: load_data(str(data_folder)))


def test_a_split_without_rows(data_folder: Path):
    for path in shards(data_folder, "holdout_identity"):
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    refused(DataError, "The split holdout_identity has no rows", lambda: load_data(str(data_folder)))


@pytest.mark.parametrize("size", [0, 100, -50])
def test_a_parquet_file_that_is_cut_off(data_folder: Path, size: int):
    path = shards(data_folder, "retain_synth")[-1]
    path.write_bytes(path.read_bytes()[:size])
    refused(DataError, f"{path.name} is not a readable parquet file", lambda: load_data(str(data_folder)))


def test_a_parquet_file_whose_images_are_damaged_or_gone(data_folder: Path, tmp_path: Path):
    """Found only when the images are read: the texts and the table of contents are whole."""
    path = shards(data_folder, "forget")[0]
    content = bytearray(path.read_bytes())
    content[60:3000] = bytes(2940)
    path.write_bytes(content)
    data, embedder = load_data(str(data_folder)), Embedder(ArrayStore(tmp_path / "cache"))
    model = find_model("mini-clean")
    pattern = f"images in .*{path.name} cannot be read"
    refused(DataError, pattern, lambda: data.image("forget", 0))
    refused(DataError, pattern, lambda: embedder.images(model, data, data.split("forget")))
    assert not list((tmp_path / "cache").rglob("*.npy"))
    again = load_data(str(data_folder))
    path.unlink()
    gone = f"{path.name} can no longer be read, .*: No such file"
    refused(DataError, gone, lambda: again.image("forget", 0))
    refused(DataError, gone, lambda: again.fingerprint)


FILES = ["identities_metadata.json", "sensitive_set_captions_metadata.json", "sensitive_set_generic_captions.json",
         "fragile_set_ids.json", "genknow_classes.json"]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_metadata_file_that_is_missing_or_broken(data_folder: Path, name: str):
    path = data_folder / name
    other = "[]" if path.read_text("utf-8").startswith("{") else "{}"
    for content in ("", "{", "\ufeff{", other, "[" * 100_000):
        path.write_text(content, "utf-8")
        refused(
            DataError,
            f"{name} (is not readable JSON|cannot be used)",
            lambda: load_data(str(data_folder)),
        )
    path.write_bytes(b"\xff\xfe\x00")
    refused(DataError, f"{name} is not readable JSON", lambda: load_data(str(data_folder)))
    path.unlink()
    refused(DataError, f"lacks {name}", lambda: load_data(str(data_folder)))


@pytest.mark.parametrize(
    ("name", "content", "pattern"),
    [
        ("identities_metadata.json", {"00000001": None}, "00000001 is None; it must be an object"),
        ("identities_metadata.json", {"00000001": ["name"]}, "00000001 is ['name']; it must be an object"),
        ("fragile_set_ids.json", [{"a": 1}], "[0] is {'a': 1}; it must be a string"),
        ("fragile_set_ids.json", [3], "[0] is 3; it must be a string"),
        ("genknow_classes.json", {"classes": [], "templates": []}, "classes is []; it must hold at least 1"),
        ("genknow_classes.json", {"classes": "abc", "templates": "a {}"}, 'classes is "abc"; it must be a list'),
        ("genknow_classes.json", {"classes": ["a"], "templates": [3]}, "templates[0] is 3; it must be a string"),
        (
            "genknow_classes.json",
            {"classes": ["a"], "templates": ["a {name}"]},
            'templates[0] is "a {name}"; write {} where the class goes',
        ),
        (
            "genknow_classes.json",
            {"classes": ["a"], "templates": ["a {"]},
            'templates[0] is "a {"; write {} where the class goes',
        ),
        ("genknow_classes.json", {"classes": ["a"], "templates": ["a {}"]}, "lacks the class 'blue line'"),
    ],
)
def test_metadata_of_another_shape(data_folder: Path, name: str, content: Any, pattern: str):
    (data_folder / name).write_text(json.dumps(content))
    refused(DataError, f"{name} .*{re.escape(pattern)}", lambda: load_data(str(data_folder)))


@pytest.mark.parametrize("change", [{"name": None}, {"name": ""}])
def test_a_persona_without_a_name_is_no_candidate(data_folder: Path, tmp_path: Path, change: dict[str, Any]):
    path = data_folder / "identities_metadata.json"
    content = json.loads(path.read_text("utf-8"))
    content["00000001"].update(change)
    path.write_text(json.dumps(content))
    data = load_data(str(data_folder))
    assert "00000001" not in [persona.identity_id for persona in data.personas]
    assert "1 personas have no metadata with a name, for example 00000001." in describe(data).problems
    specs = choose_metrics(["IdZSC"])
    embedder = Embedder(ArrayStore(tmp_path / "cache"))
    refused(MetricError, "IdZSC needs the name of every persona .* none for 00000001",
            lambda: evaluate(FeatureView(find_model("mini-clean"), data, embedder), specs))  # fmt: skip


def test_a_row_whose_kind_or_value_is_not_known(data_folder: Path, tmp_path: Path):
    path = data_folder / "sensitive_set_captions_metadata.json"
    content = json.loads(path.read_text("utf-8"))
    first = next(iter(content))
    embedder = Embedder(ArrayStore(tmp_path / "cache"))
    for entry, kind in (
        ({"caption": "x"}, None),
        (None, None),
        ({"caption": "x", "data_field": "shoe_size"}, "shoe_size"),
    ):
        path.write_text(json.dumps({**content, first: entry}))
        data = load_data(str(data_folder))
        refused(
            MetricError,
            rf"CoreAssoc needs a name and a value for every forget row; row 0 \({first}, kind {kind}\)",
            lambda: evaluate(FeatureView(find_model("mini-clean"), data, embedder), choose_metrics(["CoreAssoc"])),  # noqa: B023
        )


# Images


def png(width: int, height: int, content: bytes = b"") -> bytes:
    """A PNG file that claims a size, whatever its content."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


def encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@contextmanager
def no_memory_beyond(size: int) -> Iterator[None]:
    """Allocations of more bytes than this in all fail, Pillow's own included."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("side", [60_000, 10_000])
def test_a_decompression_bomb_is_refused_without_its_memory(side: int):
    """60,000 squared is beyond Pillow's own limit, 10,000 squared only beyond ours."""
    bomb = png(side, side, bytes(1000))
    pattern = "The bomb has more than the 50,000,000 pixels that are read; make it smaller"
    with no_memory_beyond(100_000_000):
        refused(ImageError, pattern, partial(decode_image, bomb, "The bomb"))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "BMP"])
def test_an_image_that_is_cut_off_or_damaged(kind: str):
    whole = encoded(kind)
    decode_image(whole, "The image")
    rng = np.random.default_rng(1)
    for cut in [1, 10, len(whole) // 2]:
        pattern = "^The image is not an image that can be read; use a whole JPEG, PNG or WebP file"
        refused(ImageError, pattern, partial(decode_image, whole[:cut], "The image"))
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 400), 3):
            damaged[place] = rng.integers(256)
        # Not all damage can be told from an image: what counts is that nothing else is raised.
        with suppress(ImageError):
            decode_image(bytes(damaged), "The image")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", bytes(1000)]
)
def test_bytes_that_are_no_image(content: bytes):
    refused(ImageError, "The upload is not an image that can be read", lambda: decode_image(content, "The upload"))


def test_an_image_file_that_cannot_be_opened(tmp_path: Path):
    refused(ImageError, "face.png cannot be read: No such file", lambda: read_image(tmp_path / "face.png"))
    refused(ImageError, "cannot be read: Is a directory", lambda: read_image(tmp_path))


@pytest.mark.parametrize(("content", "pattern"), [
    (b"hello", "Row 3 of forget in .* is not an image that can be read"),
    (png(60_000, 60_000), "Row 3 of forget in .* has more than the 50,000,000 pixels"),
    (b"", "Row 3 of forget-00000-of-00001.parquet holds no image bytes"),
    (None, "Row 3 of forget-00000-of-00001.parquet holds no image bytes"),
])  # fmt: skip
def test_a_row_without_a_usable_image_is_named(data_folder: Path, tmp_path: Path, content: bytes | None, pattern: str):
    rows = [row for path in shards(data_folder, "forget") for row in pq.read_table(path).to_pylist()]
    rows[3]["image"] = None if content is None else {"bytes": content, "path": None}
    schema = pq.read_schema(shards(data_folder, "forget")[0])
    for path in shards(data_folder, "forget"):
        path.unlink()
    pq.write_table(pa.Table.from_pylist(rows, schema), data_folder / "data" / "forget-00000-of-00001.parquet")
    data, embedder = load_data(str(data_folder)), Embedder(ArrayStore(tmp_path / "cache"))
    kind = ImageError if content else DataError
    refused(
        kind,
        pattern,
        lambda: evaluate(FeatureView(find_model("mini-clean"), data, embedder), choose_metrics(["AssocStr"])),
    )
    assert not list((tmp_path / "cache").rglob("*.npy"))
    assert [p for p in describe(data, check_images=True).problems if re.search(pattern, p)]


# Questions


@pytest.fixture(scope="module")
def bench(tiny_assets: Path) -> Workbench:
    return Workbench("mini")


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_an_empty_query(bench: Workbench, text: str):
    models = [find_model("mini-clean")]
    refused(QueryError, "The query is empty; type a text", lambda: bench.retrieve_for_text(text, models, "all", 5))


@pytest.mark.parametrize("k", [0, -1, 10_000])
def test_a_number_of_results_out_of_range(bench: Workbench, k: int):
    models = [find_model("mini-clean")]
    pattern = f"k is {k}; choose a number of results between 1 and 1000"
    refused(QueryError, pattern, lambda: bench.retrieve_for_persona("00000001", models, "all", k))


@pytest.mark.parametrize("persona", ["99999999", "1", "", "00000001 "])
def test_a_persona_that_does_not_exist(bench: Workbench, persona: str):
    models = [find_model("mini-clean")]
    pattern = f"There is no persona '{persona}' in mini; ids look like 00000001"
    refused(QueryError, pattern, lambda: bench.audit(persona, models))
    refused(QueryError, pattern, lambda: bench.retrieve_for_persona(persona, models, "all", 5))


def test_a_kind_gallery_or_split_that_does_not_exist(bench: Workbench):
    models = [find_model("mini-clean")]
    pattern = (
        "Zoë Åström has no attribute 'shoe_size' in mini; choose one of city, job, blood_type, phone_number, email"
    )
    refused(QueryError, pattern, lambda: bench.audit("00000001", models, ["shoe_size"]))
    pattern = "There is no attack 'bribery'; choose one of nameless-line-up, named-line-up, face-to-name, text-only, "
    refused(QueryError, pattern, lambda: bench.audit("00000001", models, attacks=["bribery"]))
    pattern = "no gallery 'everything'; choose one of forget, holdouts, retain, all"
    refused(QueryError, pattern, lambda: bench.retrieve_for_text("a", models, "everything", 5))
    refused(QueryError, "has no split 'train'; choose one of forget, ", lambda: bench.data.split("train"))


@pytest.mark.parametrize("names", [["MRR"], ["RetFail", ""], ["RetFail", "GenKnowledge"]])
def test_a_metric_that_does_not_exist(names: list[str]):
    pattern = f"There is no metric called '{names[-1]}': choose one of {', '.join(m.name for m in official_metrics())}"
    refused(MetricError, pattern, lambda: choose_metrics(names))
    refused(MetricError, "No metric is chosen", lambda: choose_metrics([]))


@pytest.fixture
def nan_model(model_folder: Path) -> str:
    """A model whose weights are finite but so large that all its features are NaN."""
    huge = lambda tensors: {n: torch.full(t.shape, 3e38) for n, t in tensors.items() if "proj" in n}  # noqa: E731
    rewrite(model_folder, lambda tensors: tensors.update(huge(tensors)))
    return f"local-dir:{model_folder}"


@pytest.mark.parametrize("metric", [m.name for m in official_metrics()])
def test_features_that_are_not_finite_are_refused_by_every_metric(nan_model: str, tmp_path: Path, metric: str):
    embedder = Embedder(ArrayStore(tmp_path / "cache"))
    refused(
        MetricError,
        "has NaN or infinite numbers in .* check that the model's weights are finite",
        lambda: evaluate(FeatureView(find_model(nan_model), load_data("mini"), embedder), choose_metrics([metric])),
    )


def test_features_that_are_not_finite_are_refused_by_every_probe(nan_model: str, tmp_path: Path):
    bench = Workbench("mini", Embedder(ArrayStore(tmp_path / "cache"), EncoderRegistry()))
    models, image = [find_model(nan_model)], bench.data.image("forget", 0)
    for ask in (
        lambda: bench.retrieve_for_text("a text", models, "all", 5),
        lambda: bench.retrieve_for_image(image, models, "all", 5),
        lambda: bench.retrieve_for_persona("00000001", models, "all", 5),
        lambda: bench.audit("00000001", models),
    ):
        refused(MetricError, "has NaN or infinite numbers", ask)


# The command line


Command = list[str]


def commands(tmp_path: Path, model: Path, data: Path) -> dict[str, tuple[Command, str]]:
    """A dozen and more wrong commands, and what the sentence must say; called once the files are broken."""
    evaluation = ["evaluate", "--output", str(tmp_path / "out")]
    probe = ["probe", "mini-clean"]
    return {
        "unknown model": ([*evaluation, "mini-cleann"], "no model 'mini-cleann'"),
        "second model unknown": ([*evaluation, "mini-clean", "nonsense"], "no model 'nonsense'"),
        "missing weight file": (
            [*evaluation, "gone.safetensors", "--arch", "ViT-B-16"],
            "no weight file gone.safetensors",
        ),
        "unknown architecture": ([*evaluation, str(model / WEIGHTS), "--arch", "zzz"], "no architecture 'zzz'"),
        "unknown metric": ([*evaluation, "mini-clean", "--metrics", "RetFail,MRR"], "no metric called 'MRR'"),
        "metrics come first": (
            [*evaluation, "nonsense", "--data", "/no", "--metrics", "MRR"],
            "no metric called 'MRR'",
        ),
        "no metric": ([*evaluation, "mini-clean", "--metrics", ""], "no metric called ''"),
        "missing data": ([*evaluation, "mini-clean", "--data", "/no/such/data"], "/no/such/data is not a folder"),
        "missing split": ([*evaluation, "mini-clean", "--data", str(data)], "lacks the split forget"),
        "describe missing split": (["data", "describe", str(data)], "lacks the split forget"),
        "wrong imagenet": (
            [*evaluation, "mini-clean", "--metrics", "GenKnow", "--imagenet", str(data)],
            "class folders",
        ),
        "output is a file": (
            ["evaluate", "mini-clean", "--metrics", "AssocStr", "--output", str(data / "README.md")],
            "The result file cannot be written to .*README.md",
        ),
        "empty text": ([*probe, "--text", " "], "The query is empty"),
        "k of 0": ([*probe, "--persona", "00000001", "-k", "0"], "k is 0; choose"),
        "k of 10,000": ([*probe, "--text", "a", "-k", "10000"], "k is 10000; choose"),
        "a value of several": ([*probe, "--persona", "malmo"], "is true of 2 personas, .*00000001.* and .*00000005"),
        "unknown persona": ([*probe, "--persona", "99999999"], "no persona '99999999'"),
        "unknown kind": ([*probe, "--persona", "00000001", "--kind", "shoe_size"], "no attribute 'shoe_size'"),
        "unknown gallery": ([*probe, "--text", "a", "--gallery", "everything"], "no gallery 'everything'"),
        "missing image": ([*probe, "--image", "no-face.png"], "no-face.png cannot be read"),
        "no image": ([*probe, "--image", str(data / "README.md")], "README.md is not an image"),
        "warm an unknown model": (["cache", "warm", "nonsense"], "no model 'nonsense'"),
    }


@pytest.mark.parametrize("name", list(commands(Path(), Path(), Path())))
def test_a_wrong_command_exits_with_2_and_one_line(
    name: str, tmp_path: Path, model_folder: Path, data_folder: Path, capfd: pytest.CaptureFixture[str]
):
    for path in shards(data_folder, "forget"):
        path.unlink()
    command, pattern = commands(tmp_path, model_folder, data_folder)[name]
    assert_refused(command, pattern, capfd)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.rglob("*evaluation_*"))


def test_an_image_pillow_complains_about_is_still_one_line(
    tiny_assets: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
    caplog: pytest.LogCaptureFixture,
):
    """Pillow warns about some damage and logs other before it raises; both would reach standard error."""
    whole = encoded("TIFF")
    samples = struct.pack("<HHI", 277, 3, 1)  # the entry of the number of channels, whose value follows
    assert whole.count(samples) == 1
    damaged = [whole[:100], whole.replace(samples + b"\3\0", samples + b"\0\x50")]
    for number, content in enumerate(damaged):
        path = tmp_path / f"{number}.tiff"
        path.write_bytes(content)
        assert run(["probe", "mini-clean", "--image", str(path)]) == 2
        sentence = f"{path} is not an image that can be read; use a whole JPEG, PNG or WebP file."
        assert capfd.readouterr() == ("", f"salmu-demo: {sentence}\n")
    assert not recwarn.list
    assert not caplog.records


def assert_refused(command: Command, pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(command) == 2
    out, err = capfd.readouterr()
    assert out == ""
    # Lines of progress may come before it if the work had begun.
    *progress, last = err.splitlines()
    assert last.startswith("salmu-demo: ")
    assert re.search(pattern, last), last
    assert all(re.search(r": [\d,]+ of [\d,]+$", line) for line in progress), err
    assert "Traceback" not in err


def break_weights(model: Path, data: Path) -> None:
    (model / WEIGHTS).write_bytes((model / WEIGHTS).read_bytes()[:-100])


def break_tensor(model: Path, data: Path) -> None:
    rewrite(model, lambda tensors: tensors.update({"visual.proj": torch.zeros(3, 4)}))


def break_configuration(model: Path, data: Path) -> None:
    (model / CONFIG).write_text("{")


def break_weights_to_nan(model: Path, data: Path) -> None:
    rewrite(model, lambda tensors: [t.fill_(float("nan")) for n, t in tensors.items() if "proj" in n])


def break_json(model: Path, data: Path) -> None:
    (data / "identities_metadata.json").write_text("{")


def break_parquet(model: Path, data: Path) -> None:
    shards(data, "forget")[0].write_bytes(b"PAR1")


def break_text(model: Path, data: Path) -> None:
    with_column(data, "forget", "text", texts(None))


def break_image(model: Path, data: Path) -> None:
    make = lambda rows: pa.array([{"bytes": b"no image", "path": "x"}] * rows)  # noqa: E731
    with_column(data, "forget", "image", make)


@pytest.mark.parametrize(("damage", "pattern"), [
    (break_weights, f"{WEIGHTS} is not a whole safetensors file"),
    (break_tensor, r"visual.proj has shape \(3, 4\), not \(32, 16\)"),
    (break_configuration, f"{CONFIG} is not readable JSON"),
    (break_weights_to_nan, "NaN or infinite values in the tensor text_projection"),
    (break_json, "identities_metadata.json is not readable JSON"),
    (break_parquet, "is not a readable parquet file"),
    (break_text, "has a row without text"),
    (break_image, "Row 0 of forget in .* is not an image that can be read"),
])  # fmt: skip
def test_an_evaluation_of_broken_files_exits_with_2_and_writes_nothing(
    damage: Callable[[Path, Path], None],
    pattern: str,
    tmp_path: Path,
    model_folder: Path,
    data_folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("SALMU_CACHE_DIR", str(tmp_path / "cache"))
    damage(model_folder, data_folder)
    command = ["evaluate", f"local-dir:{model_folder}", "--data", str(data_folder), "--output", str(tmp_path / "out")]
    assert_refused(command, pattern, capfd)
    assert not (tmp_path / "out").exists()


def test_a_model_that_fails_leaves_the_results_of_the_others(
    tiny_assets: Path, tmp_path: Path, model_folder: Path, capfd: pytest.CaptureFixture[str]
):
    break_weights_to_nan(model_folder, tmp_path)
    command = ["evaluate", "mini-clean", f"local-dir:{model_folder}", "--metrics", "AssocStr"]
    assert run([*command, "--output", str(tmp_path / "out")]) == 2
    printed = capfd.readouterr()
    assert [line for line in printed.err.splitlines() if "NaN" in line and line.startswith("salmu-demo: ")]
    assert "mini-clean" in printed.out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"evaluation_mini-clean.json", "results.json"}
    kept = tmp_path / "out" / "evaluation_mini-clean.json"
    assert json.loads(kept.read_text("utf-8"))["efficacy"]["1.2_AssocStr"]["mean"] > -1


def test_no_network_is_one_line_and_quick(
    tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    speak_to(closed_port(), tmp_path / "hub", monkeypatch)
    start = time.monotonic()
    output = ["--output", str(tmp_path / "out")]
    for command in (
        ["evaluate", "hf-hub:org/name", *output],
        ["evaluate", "mini-clean", "--data", "org/name", *output],
    ):
        assert run(command) == 2
        sentence = (
            "org/name is not on this machine and the Hub cannot be reached; check the network and run the same again."
        )
        assert capfd.readouterr() == ("", f"salmu-demo: {sentence}\n")
    assert time.monotonic() - start < 10
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [[], ["evaluate"], ["probe", "mini-clean"], ["nonsense"], ["cache"],
                                     ["probe", "mini-clean", "--text", "a", "-k", "many"],
                                     ["probe", "mini-clean", "--text", "a", "--persona", "1"]])  # fmt: skip
def test_a_command_that_does_not_parse_exits_with_2_and_says_where_its_usage_is(
    command: Command, capfd: pytest.CaptureFixture[str]
):
    assert run(command) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"salmu-demo: .*(see `salmu-demo .*--help`|choose one of .*)\.\n", err)


def test_a_configuration_with_a_byte_order_mark_is_that_without(tiny_assets: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny_assets / "models" / "mini-clean", tmp_path / "marked"))
    path = folder / "open_clip_config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert find_model(f"local-dir:{folder}").config == find_model("mini-clean").config
