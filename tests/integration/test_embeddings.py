"""Features are computed once, kept whole or not at all, and are the same however they were come by."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from salmu_demo.core import files as files_module
from salmu_demo.core.errors import DataError, StorageError
from salmu_demo.core.progress import Progress
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import load_data
from salmu_demo.features import embedder as embedder_module
from salmu_demo.features import store as store_module
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.rows import RowArray
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.texts import TextTable
from salmu_demo.models import encoder as encoder_module
from salmu_demo.models.encoder import Encoder
from salmu_demo.models.references import find_model
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.models.source import ModelSource
from tests.fixtures.tiny import MODEL_CONFIG, write_model


@pytest.fixture
def data(tiny_assets: Path) -> BenchmarkData:
    return load_data("mini")


@pytest.fixture
def model(tiny_assets: Path) -> ModelSource:
    return find_model("mini-clean")


@pytest.fixture(scope="module")
def encoders() -> EncoderRegistry:
    """Loaded models, shared because loading takes longest; no test looks at it."""
    return EncoderRegistry()


@pytest.fixture
def embedder(tmp_path: Path, encoders: EncoderRegistry) -> Embedder:
    return Embedder(ArrayStore(tmp_path / "cache"), encoders)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts texts and images encoded, and images decoded."""
    counts: Counter[str] = Counter()

    def counted(name: str, original: Callable[..., Any], size: Callable[[Any], int]) -> Callable[..., Any]:
        lock = threading.Lock()

        def wrapper(self: Any, *arguments: Any, **options: Any) -> Any:
            with lock:
                counts[name] += size(arguments[0])
            return original(self, *arguments, **options)

        return wrapper

    monkeypatch.setattr(Encoder, "encode_texts", counted("texts", Encoder.encode_texts, len))
    monkeypatch.setattr(Encoder, "encode_pixels", counted("images", Encoder.encode_pixels, len))
    monkeypatch.setattr(BenchmarkData, "image", counted("decoded", BenchmarkData.image, lambda _: 1))
    return counts


def arrays(folder: Path) -> list[str]:
    """Everything in a cache folder but locks and checksums: arrays, and what should not be there."""
    aside = (".lock", ".sums")
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.suffix not in aside)


# What is computed and what is kept


def test_features_from_disk_equal_fresh_ones_bit_for_bit(
    embedder: Embedder, encoders: EncoderRegistry, data: BenchmarkData, model: ModelSource, tmp_path: Path
):
    split = data.split("forget")
    first = (
        embedder.images(model, data, split),
        embedder.captions(model, data, split),
        embedder.prompts(model, ["ä", "b"]),
    )
    again = Embedder(embedder.store, encoders)
    cached = again.images(model, data, split), again.captions(model, data, split), again.prompts(model, ["ä", "b"])
    other = Embedder(ArrayStore(tmp_path / "other"), encoders)
    fresh = other.images(model, data, split), other.captions(model, data, split), other.prompts(model, ["ä", "b"])
    for one, two, three in zip(first, cached, fresh, strict=True):
        assert one.dtype == np.float32
        assert one.tobytes() == two.tobytes() == three.tobytes()


def test_features_have_length_one_and_cannot_be_changed(embedder: Embedder, data: BenchmarkData, model: ModelSource):
    features = embedder.images(model, data, data.split("forget"))
    assert features.shape == (len(data.split("forget")), embedder.facts(model).dim)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        features[0, 0] = 1


def test_nothing_is_computed_or_loaded_twice(
    embedder: Embedder, data: BenchmarkData, model: ModelSource, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
):
    split = data.split("holdout_identity")
    embedder.images(model, data, split)
    embedder.captions(model, data, split)
    embedder.facts(model)
    assert calls["images"] == len(split)
    calls.clear()
    monkeypatch.setattr(EncoderRegistry, "lend", lambda self, source: pytest.fail("a model was loaded"))
    again = Embedder(ArrayStore(embedder.store.root), EncoderRegistry())
    again.images(model, data, split)
    again.captions(model, data, split)
    assert again.facts(model).dim == MODEL_CONFIG["model_cfg"]["embed_dim"]
    assert not calls


def test_a_caption_that_repeats_is_encoded_once_and_has_equal_bits(
    embedder: Embedder, data: BenchmarkData, model: ModelSource, calls: Counter[str]
):
    split = data.split("retain_synth")
    with embedder.encoders.lend(model):
        pass
    calls.clear()
    features = embedder.captions(model, data, split)
    assert calls["texts"] == len(set(split.texts)) < len(split)
    first = {}
    for text, feature in zip(split.texts, features, strict=True):
        assert first.setdefault(text, feature.tobytes()) == feature.tobytes()


def test_prompts_are_kept_by_content_and_order(embedder: Embedder, model: ModelSource):
    one, two = embedder.prompts(model, ["a", "b"]), embedder.prompts(model, ["b", "a"])
    assert one[::-1].tobytes() == two.tobytes()
    assert embedder.prompts(model, ["a", "c"]).tobytes() != one.tobytes()


def test_a_query_is_never_stored(embedder: Embedder, data: BenchmarkData, model: ModelSource):
    text = embedder.query_text(model, "  a secret  ")
    image = embedder.query_image(model, data.image("forget", 0))
    assert text.tobytes() == embedder.query_text(model, "a secret").tobytes()
    assert image.shape == text.shape == (1, 16)
    assert arrays(embedder.store.root) == []


# Derived splits


def test_a_derived_split_of_a_known_whole_is_its_slice(
    embedder: Embedder, data: BenchmarkData, model: ModelSource, calls: Counter[str]
):
    whole = {c: getattr(embedder, c)(model, data, data.split("retain_synth")) for c in ("images", "captions")}
    calls.clear()
    for name in ("retain_joint", "retain_disjoint", "fragile_set"):
        part = data.split(name)
        for column, features in whole.items():
            assert getattr(embedder, column)(model, data, part).tobytes() == features[part.rows].tobytes()
    assert not calls


def test_a_derived_split_of_an_unknown_whole_computes_its_rows_only(
    embedder: Embedder, data: BenchmarkData, model: ModelSource, calls: Counter[str]
):
    part = data.split("fragile_set")
    images = embedder.images(model, data, part)
    assert calls["decoded"] == len(part) < len(data.split("retain_synth"))
    whole = embedder.images(model, data, data.split("retain_synth"))
    assert images.tobytes() == whole[part.rows].tobytes()
    assert calls["decoded"] == len(data.split("retain_synth"))


# Two at once


def test_threads_that_ask_at_once_share_one_computation(
    tmp_path: Path, data: BenchmarkData, model: ModelSource, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
):
    loaded: list[str] = []

    class Counted(Encoder):
        def __init__(self, source: ModelSource) -> None:
            loaded.append(source.name)
            super().__init__(source)

    monkeypatch.setattr(encoder_module, "Encoder", Counted)
    split, start = data.split("holdout_association"), threading.Barrier(4)
    registry = EncoderRegistry()

    def ask(_: int) -> bytes:
        # An embedder each, as two sessions of an app have with one cache folder.
        embedder = Embedder(ArrayStore(tmp_path), registry)
        start.wait(timeout=30)
        return embedder.images(model, data, split).tobytes() + embedder.captions(model, data, split).tobytes()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert len(set(answers)) == 1
    assert len(loaded) == 1
    assert calls["decoded"] == len(split)
    assert calls["images"] == len(split) + 1  # one for the trial of a loaded model


def test_processes_that_fill_an_array_at_once_share_the_work(tmp_path: Path):
    program = """
import sys, time
from pathlib import Path
import numpy as np
from salmu_demo.features.rows import RowArray
from salmu_demo.features.store import ArrayStore

store, marks, name = ArrayStore(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
path, rows = store.feature_path("m", "d", "split.text"), np.arange(12)
(marks / f"ready-{name}").touch()
while len(list(marks.glob("ready-*"))) < 2:
    time.sleep(0.01)
while (found := RowArray(path, 12).read()) is None:
    with store.turn(path):
        array = RowArray(path, 12)
        missing = array.missing(rows)[:2]
        if len(missing):
            (marks / f"{name}-{missing[0]}").touch()
            time.sleep(0.05)
            array.write(missing, np.stack([missing, missing], axis=1).astype(np.float32))
assert (found == np.arange(12)[:, None]).all()
"""
    marks = tmp_path / "marks"
    marks.mkdir()
    command = [sys.executable, "-c", program, str(tmp_path / "cache"), str(marks)]
    processes = [subprocess.Popen([*command, name]) for name in ("one", "two")]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    done = [mark.name.split("-") for mark in marks.iterdir() if not mark.name.startswith("ready")]
    assert sorted(int(row) for _, row in done) == [0, 2, 4, 6, 8, 10]
    assert {name for name, _ in done} == {"one", "two"}


# Damage


@pytest.mark.parametrize("damage", ["truncated", "empty", "rubbish", "header only", "other number of rows", "pickle"])
def test_a_damaged_array_is_replaced(
    embedder: Embedder, data: BenchmarkData, model: ModelSource, calls: Counter[str], damage: str
):
    split = data.split("holdout_identity")
    good = embedder.captions(model, data, split).tobytes()
    (path,) = embedder.store.root.rglob("*.text.npy")
    content = path.read_bytes()
    path.unlink()  # the file may still be mapped
    if damage == "other number of rows":
        np.save(path, np.zeros((3, 16), dtype=np.float32))
    elif damage == "pickle":
        np.save(path, np.array([{"a": 1}] * len(split), dtype=object), allow_pickle=True)
    else:
        path.write_bytes(
            {"truncated": content[:-40], "empty": b"", "rubbish": b"\0" * 500, "header only": content[:100]}[damage]
        )
    calls.clear()
    assert embedder.captions(model, data, split).tobytes() == good
    assert calls["texts"] > 0
    assert path.read_bytes() == content


def damaged(content: bytes, suffix: str) -> Iterator[tuple[str, bytes]]:
    """A file as a failing disk or a power loss leaves it, in words and as bytes."""
    rng = np.random.default_rng(11)
    header = {".npy": 128, ".sums": 12, ".sqlite": 100}[suffix]
    places = [*range(header), *rng.integers(header, len(content), 24).tolist()]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        yield f"byte {place} flipped", bytes(changed)
    yield "body of zeros", content[:header] + bytes(len(content) - header)
    yield "zeros", bytes(len(content))
    yield "last third of zeros", content[: len(content) * 2 // 3] + bytes(len(content) - len(content) * 2 // 3)
    yield "truncated", content[:-7]


def replace_file(path: Path, content: bytes) -> None:
    path.unlink()  # the file may still be mapped
    path.write_bytes(content)


@pytest.mark.parametrize("finished", [4, 9], ids=["partial", "whole"])
@pytest.mark.parametrize("suffix", [".npy", ".sums"])
def test_no_damage_to_an_array_gives_a_wrong_row_and_all_of_it_is_said_and_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, finished: int
):
    path = tmp_path / "split.image.npy"
    values = np.random.default_rng(5).normal(size=(9, 6)).astype(np.float32)
    rows = np.random.default_rng(6).permutation(9)[:finished]
    RowArray(path, 9).write(rows, values[rows])
    whole = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for what, content in damaged(whole[path.with_suffix(suffix)], suffix):
        for file, good in whole.items():
            replace_file(file, good)
        replace_file(path.with_suffix(suffix), content)
        caplog.clear()
        wanted = None if finished == 9 else rows
        given = RowArray(path, 9).read(wanted)
        touched = False
        if given is None:
            # What the embedder does in its turn.
            again = RowArray(path, 9).to_write(rows)
            touched = bool(caplog.messages)
            if "byte" in what and int(what.split()[1]) >= {".npy": 128, ".sums": 12}[suffix]:
                holes = np.setdiff1d(np.arange(9), rows)
                place = (int(what.split()[1]) - 128) // 24 if suffix == ".npy" else (int(what.split()[1]) - 12) // 4
                assert again.tolist() == ([] if place in holes else [place]), what
            if len(again):
                RowArray(path, 9).write(again, values[again])
            given = RowArray(path, 9).read(wanted)
        elif suffix == ".npy":
            # Damage to a row that was never written.
            assert "flipped" in what
            touched = (int(what.split()[1]) - 128) // 24 not in rows
        assert given is not None, what
        assert given.tobytes() == (values if wanted is None else values[rows]).tobytes(), what
        assert touched, what
        assert all(str(path) in message and "damaged" in message for message in caplog.messages)
        assert RowArray(path, 9).missing(rows).tolist() == []


def test_no_damage_to_a_table_of_texts_gives_a_wrong_feature_and_all_of_it_is_said_and_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path, texts = tmp_path / "prompts.sqlite", [f"text {number}" for number in range(60)]
    values = np.random.default_rng(5).normal(size=(60, 32)).astype(np.float32)
    TextTable(path).append(texts, values)
    whole = path.read_bytes()
    harmless = []
    for what, content in damaged(whole, ".sqlite"):
        replace_file(path, content)
        caplog.clear()
        table = TextTable(path)
        found = table.read(texts)
        if found is not None:
            # What is between the rows, or says when the file was written, holds nothing.
            harmless.append(what)
            assert found.tobytes() == values.tobytes(), what
            assert not caplog.messages
            continue
        again = table.missing(texts)
        table.append(again, values[[texts.index(text) for text in again]])
        for reader in (table, TextTable(path)):
            found = reader.read(texts)
            assert found is not None, what
            assert found.tobytes() == values.tobytes(), what
        assert [f"The cache file {path} is damaged" in message for message in caplog.messages] == [True], what
    assert all("flipped" in what for what in harmless)


def test_of_a_table_of_texts_only_the_damaged_rows_are_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path, texts = tmp_path / "prompts.sqlite", [f"text {number}" for number in range(60)]
    values = np.random.default_rng(5).normal(size=(60, 32)).astype(np.float32)
    TextTable(path).append(texts, values)
    content = bytearray(path.read_bytes())
    for number in (7, 41):
        content[content.index(values[number].tobytes()) + 5] ^= 1
    replace_file(path, bytes(content))
    assert TextTable(path).missing(texts) == ["text 7", "text 41"]
    assert [f"{path} is damaged (2 of its 60 texts)" in message for message in caplog.messages] == [True]


def test_a_damaged_store_of_a_sample_gives_the_numbers_of_a_fresh_one_and_says_what_was_damaged(
    encoders: EncoderRegistry, data: BenchmarkData, model: ModelSource, tmp_path: Path, calls: Counter[str],
    caplog: pytest.LogCaptureFixture,
):  # fmt: skip
    part = data.split("forget").take("forget", [3, 1, 30, 7, 8, 9])

    def numbers(folder: Path) -> list[bytes]:
        embedder = Embedder(ArrayStore(folder), encoders)
        found = embedder.images(model, data, part), embedder.captions(model, data, part)
        return [f.tobytes() for f in (*found, embedder.prompts(model, ["ä", "b", "c"]))]

    fresh = numbers(tmp_path / "fresh")
    rng = np.random.default_rng(2)
    files = sorted(path.relative_to(tmp_path / "fresh") for path in (tmp_path / "fresh").rglob("*") if path.is_file())
    files = [path for path in files if path.suffix != ".lock"]
    assert sorted(path.suffix for path in files) == [".npy", ".npy", ".npy", ".sqlite", ".sums", ".sums", ".sums"]
    other = find_model("mini-compromised")
    others = Embedder(ArrayStore(tmp_path / "others"), encoders).images(other, data, part).tobytes()
    for number, file in enumerate(files):
        folder = tmp_path / f"damaged{number}"
        shutil.copytree(tmp_path / "fresh", folder)
        content = bytearray((folder / file).read_bytes())
        if file.suffix == ".npy":
            # Somewhere in a row that was written.
            row = (len(content) - 128) // len(data.split("forget"))
            content[128 + 30 * row + int(rng.integers(row))] ^= 4
        elif file.suffix == ".sqlite":
            content[content.index(fresh[-1][:16]) + int(rng.integers(16))] ^= 4
        else:
            content[int(rng.integers(20, len(content)))] ^= 4
        replace_file(folder / file, bytes(content))
        caplog.clear()
        calls.clear()
        assert numbers(folder) == fresh, file
        if file.parts[0] == "pixels":
            # Whoever needs them next finds the damage, decodes what is lost and mends it.
            assert Embedder(ArrayStore(folder), encoders).images(other, data, part).tobytes() == others
            assert 0 < calls["decoded"] <= len(part)
        assert [
            str(folder / file.with_suffix("")) in message and "damaged" in message for message in caplog.messages
        ] == [True], file
        caplog.clear()
        calls.clear()
        assert numbers(folder) == fresh
        assert not calls
        assert not caplog.messages


def test_an_array_is_compared_with_its_checksums_whenever_its_file_has_changed(tmp_path: Path):
    path = tmp_path / "split.image.npy"
    values = np.ones((40, 8), dtype=np.float32)
    RowArray(path, 40).write(np.arange(40), values)
    assert RowArray(path, 40).read() is not None
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    assert RowArray(path, 40).read() is None
    os.utime(path, (1, 1))
    assert RowArray(path, 40).read() is None


def test_an_array_and_a_table_of_an_older_version_are_computed_anew_without_a_word(
    embedder: Embedder, data: BenchmarkData, model: ModelSource, caplog: pytest.LogCaptureFixture
):
    split = data.split("holdout_identity")
    good = embedder.captions(model, data, split).tobytes(), embedder.prompts(model, ["a", "b"]).tobytes()
    (sums,) = embedder.store.root.rglob("*.text.sums")
    sums.unlink()
    (table,) = embedder.store.root.rglob("*.sqlite")
    table.rename(table.with_suffix(".texts"))
    again = Embedder(embedder.store, embedder.encoders)
    assert again.captions(model, data, split).tobytes() == good[0]
    assert again.prompts(model, ["a", "b"]).tobytes() == good[1]
    assert sums.exists()
    assert not caplog.messages


def test_what_was_read_of_data_that_failed_is_not_kept(
    embedder: Embedder, data: BenchmarkData, model: ModelSource, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(embedder_module, "BATCH", 8)
    split, image = data.split("forget"), BenchmarkData.image

    def changed(self: BenchmarkData, name: str, row: int) -> Image.Image:
        if row == 20:
            raise DataError("The shard was saved again.")
        return image(self, name, row)

    monkeypatch.setattr(BenchmarkData, "image", changed)
    with pytest.raises(DataError, match="saved again"):
        embedder.images(model, data, split)
    assert embedder.missing_images(model, data, split) == len(split)
    assert arrays(embedder.store.root) == []


def test_features_of_another_version_of_the_encoding_are_not_found(
    embedder: Embedder, data: BenchmarkData, model: ModelSource, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
):
    split = data.split("holdout_identity")
    embedder.images(model, data, split)
    embedder.captions(model, data, split)
    embedder.facts(model)
    calls.clear()
    monkeypatch.setattr(store_module, "encoding_key", lambda: "0" * 64)
    assert embedder.known_facts(model) is None
    assert embedder.missing_captions(model, data, split) > 0
    embedder.images(model, data, split)
    assert calls["decoded"] == calls["images"] == len(split)


def test_the_encoding_key_follows_code_and_libraries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def key() -> str:
        return files_module.code_digest(store_module.ENCODING_CODE, store_module.ENCODING_PACKAGES)

    package = Path(files_module.__file__).parents[1]
    copy = tmp_path / "package"
    for source in store_module.ENCODING_CODE:
        (copy / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package / source, copy / source)
    monkeypatch.setattr(files_module, "__file__", str(copy / "core" / "files.py"))
    today = key()
    assert today == store_module.encoding_key()
    source = copy / "models" / "encoder.py"
    code = source.read_text("utf-8")
    source.write_text(f"# A comment.\n{code}", "utf-8")
    assert key() == today
    source.write_text(code.replace("IMAGE_BATCH: Final = 64", "IMAGE_BATCH: Final = 32"), "utf-8")
    assert key() != today
    source.write_text(code, "utf-8")
    assert key() == today
    monkeypatch.setattr(files_module, "version", lambda name: "0.0.0")
    assert key() != today


def test_damaged_facts_are_replaced(embedder: Embedder, model: ModelSource, caplog: pytest.LogCaptureFixture):
    facts = embedder.facts(model)
    path = embedder.store.facts_path(model.fingerprint)
    whole = path.read_text("utf-8")
    another = whole.replace('"dim": 16', '"dim": 17')
    for content in ("{", "[]", '{"dim": 3}', "", another):
        caplog.clear()
        path.write_text(content)
        assert embedder.facts(model) == facts
        assert path.read_text("utf-8") == whole
        assert [f"{path} is damaged" in message for message in caplog.messages] == [True]


class StoppedError(Exception):
    pass


def test_work_that_is_stopped_keeps_its_batches_and_goes_on_where_it_was(
    embedder: Embedder, encoders: EncoderRegistry, data: BenchmarkData, model: ModelSource, calls: Counter[str],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
):  # fmt: skip
    monkeypatch.setattr(embedder_module, "BATCH", 8)
    split = data.split("forget")
    with encoders.lend(model):
        pass
    calls.clear()

    def stop(progress: Progress) -> None:
        if progress.done >= 16:
            raise StoppedError

    with pytest.raises(StoppedError):
        embedder.images(model, data, split, stop)
    assert calls["images"] == 16
    assert embedder.missing_images(model, data, split) == len(split) - 16
    seen: list[Progress] = []
    features = embedder.images(model, data, split, seen.append)
    assert calls["images"] == len(split)
    assert [p.done for p in seen] == list(range(16, len(split) + 1, 8))
    assert {p.total for p in seen} == {len(split)}
    assert embedder.missing_images(model, data, split) == 0
    undisturbed = Embedder(ArrayStore(tmp_path / "other"), encoders).images(model, data, split)
    assert features.tobytes() == undisturbed.tobytes()


def test_captions_and_prompts_that_are_stopped_go_on_where_they_were(
    embedder: Embedder, encoders: EncoderRegistry, data: BenchmarkData, model: ModelSource, calls: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setattr(embedder_module, "TEXTS", 5)
    split = data.split("retain_synth")
    distinct = len(set(split.texts))
    with encoders.lend(model):
        pass

    def stop(progress: Progress) -> None:
        if progress.done >= 10:
            raise StoppedError

    for work, missing in (
        (
            lambda told: embedder.captions(model, data, split, told),
            lambda: embedder.missing_captions(model, data, split),
        ),
        (lambda told: embedder.prompts(model, split.texts, told), lambda: embedder.missing_prompts(model, split.texts)),
    ):
        calls.clear()
        assert missing() == distinct
        with pytest.raises(StoppedError):
            work(stop)
        assert missing() == distinct - 10
        work(lambda progress: None)
        assert calls["texts"] == distinct
        assert missing() == 0


def test_a_killed_writer_loses_only_the_batch_it_was_writing(tmp_path: Path):
    path, rows = tmp_path / "split.image.npy", np.arange(6)
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    RowArray(path, 6).write(rows[:2], values[:2])
    # As a kill leaves it between the rows and their checksums: written, but not known to be.
    sums = (tmp_path / "split.image.sums").read_bytes()
    RowArray(path, 6).write(rows[2:4], -values[2:4])
    (tmp_path / "split.image.sums").write_bytes(sums)
    array = RowArray(path, 6)
    assert array.missing(rows).tolist() == [2, 3, 4, 5]
    assert array.read(rows[:2]).tolist() == values[:2].tolist()
    assert array.read(rows[1:3]) is None
    array.write(rows[2:], values[2:])
    assert array.read().tolist() == values.tolist()
    assert arrays(tmp_path) == ["split.image.npy"]


def test_checksums_of_another_number_of_rows_count_as_none(tmp_path: Path):
    path = tmp_path / "split.image.npy"
    RowArray(path, 4).write(np.arange(2), np.ones((2, 3), dtype=np.float32))
    assert RowArray(path, 5).missing(np.arange(5)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("damage", ["cut off", "cut header", "rubbish", "empty", "another table"])
def test_a_damaged_table_of_texts_is_mended(tmp_path: Path, damage: str):
    path = tmp_path / "prompts.sqlite"
    features = np.arange(8, dtype=np.float32).reshape(4, 2)
    TextTable(path).append(["a", "b"], features[:2])
    whole = path.read_bytes()
    path.write_bytes({"cut off": whole[:-3], "cut header": whole[:5], "rubbish": b"x" * 99}.get(damage, b""))
    if damage == "another table":
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE others (key BLOB)")
    table = TextTable(path)
    assert table.missing(["a", "b", "b", "c", "d"]) == ["a", "b", "c", "d"]
    table.append(["a", "b", "c", "d"], features)
    for reader in (table, TextTable(path)):
        assert reader.read(["d", "a", "a"]).tolist() == features[[3, 0, 0]].tolist()
        assert reader.missing(["a", "b", "c", "d"]) == []


def test_a_table_of_texts_that_was_cleared_meanwhile_is_read_anew(tmp_path: Path):
    path = tmp_path / "prompts.sqlite"
    table = TextTable(path)
    table.append(["a"], np.ones((1, 2), dtype=np.float32))
    assert table.read(["a"]) is not None
    path.unlink()
    TextTable(path).append(["b", "c"], np.zeros((2, 2), dtype=np.float32))
    assert table.missing(["a", "b"]) == ["a"]


# Samples


def test_the_features_of_a_sample_are_reused_by_the_whole(
    embedder: Embedder, encoders: EncoderRegistry, data: BenchmarkData, model: ModelSource, calls: Counter[str],
    tmp_path: Path,
):  # fmt: skip
    whole = data.split("forget")
    part = whole.take("forget", [3, 1, 30, 7])
    calls.clear()
    sampled = embedder.images(model, data, part)
    assert calls["decoded"] == 4
    features = embedder.images(model, data, whole)
    assert calls["decoded"] == len(whole)
    assert sampled.tobytes() == features[[3, 1, 30, 7]].tobytes()
    alone = Embedder(ArrayStore(tmp_path / "alone"), encoders)
    assert alone.images(model, data, whole).tobytes() == features.tobytes()
    assert alone.captions(model, data, whole).tobytes() == embedder.captions(model, data, whole).tobytes()


# Pixels


def test_a_second_model_of_the_same_preprocessing_decodes_nothing(
    embedder: Embedder, encoders: EncoderRegistry, data: BenchmarkData, calls: Counter[str], tmp_path: Path
):
    split = data.split("holdout_identity")
    embedder.images(find_model("mini-clean"), data, split)
    assert calls["decoded"] == len(split)
    shared = embedder.images(find_model("mini-compromised"), data, split)
    assert calls["decoded"] == len(split)
    alone = Embedder(ArrayStore(tmp_path / "alone"), encoders).images(find_model("mini-compromised"), data, split)
    assert shared.tobytes() == alone.tobytes()


def test_pixels_are_shared_across_normalisations_but_not_across_sizes(
    embedder: Embedder, data: BenchmarkData, calls: Counter[str], tmp_path: Path
):
    split = data.split("holdout_identity")
    embedder.images(find_model("mini-clean"), data, split)
    calls.clear()
    model_cfg = MODEL_CONFIG["model_cfg"]
    brighter = {"model_cfg": model_cfg, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]}}
    embedder.images(find_model(f"local-dir:{write_model(tmp_path / 'brighter', brighter)}"), data, split)
    assert calls["decoded"] == 0
    larger = {
        "model_cfg": {**model_cfg, "vision_cfg": {**model_cfg["vision_cfg"], "image_size": 48}},
        "preprocess_cfg": {},
    }
    embedder.images(find_model(f"local-dir:{write_model(tmp_path / 'larger', larger)}"), data, split)
    assert calls["decoded"] == len(split)


def test_pixels_are_those_of_open_clips_transform(
    embedder: Embedder, encoders: EncoderRegistry, data: BenchmarkData, model: ModelSource
):
    embedder.images(model, data, data.split("holdout_identity"))
    (path,) = (embedder.store.root / "pixels").rglob("*.npy")
    stored = np.load(path)
    assert stored.dtype == np.uint8
    assert stored.shape == (16, 32, 32, 3)
    for row in (0, 7, 15):
        image = data.image("holdout_identity", row)
        # 40 by 48: the shorter side becomes 32, the middle 32 of the longer one are kept.
        resized = image.resize((32, 38), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(stored[row], np.asarray(resized.crop((0, 3, 32, 35))))


def test_without_a_pixel_budget_nothing_is_kept_and_the_numbers_are_the_same(
    embedder: Embedder,
    encoders: EncoderRegistry,
    data: BenchmarkData,
    model: ModelSource,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    split = data.split("forget")
    kept = embedder.images(model, data, split)
    assert (embedder.store.root / "pixels").is_dir()
    monkeypatch.setenv("SALMU_PIXEL_CACHE_GB", "0")
    without = Embedder(ArrayStore(tmp_path / "without"), encoders)
    assert without.images(model, data, split).tobytes() == kept.tobytes()
    assert not (tmp_path / "without" / "pixels").exists()


def test_a_split_beyond_the_pixel_budget_is_not_kept(
    embedder: Embedder, data: BenchmarkData, model: ModelSource, monkeypatch: pytest.MonkeyPatch
):
    size = len(data.split("forget")) * 32 * 32 * 3
    monkeypatch.setenv("SALMU_PIXEL_CACHE_GB", str((size - 1) / 1e9))
    embedder.images(model, data, data.split("forget"))
    embedder.images(model, data, data.split("holdout_identity"))
    assert [Path(name).name.split(".")[0] for name in arrays(embedder.store.root / "pixels")] == ["holdout_identity"]


@pytest.mark.parametrize("budget", ["two", "", "inf"])
def test_a_pixel_budget_that_is_no_number_is_named(
    embedder: Embedder, data: BenchmarkData, model: ModelSource, monkeypatch: pytest.MonkeyPatch, budget: str
):
    monkeypatch.setenv("SALMU_PIXEL_CACHE_GB", budget)
    with pytest.raises(StorageError, match=f"SALMU_PIXEL_CACHE_GB is '{budget}'"):
        embedder.images(model, data, data.split("holdout_identity"))


# Disks and folders that refuse


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Writes beyond the size fail in the operating system, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("what", ["images", "captions", "facts"])
def test_a_full_disk_is_an_error_and_leaves_no_part_of_a_file(
    embedder: Embedder, data: BenchmarkData, model: ModelSource, what: str
):
    split = data.split("forget")
    work: dict[str, Callable[[], Any]] = {
        "images": lambda: embedder.images(model, data, split),
        "captions": lambda: embedder.captions(model, data, split),
        "facts": lambda: embedder.facts(model),
    }
    with embedder.encoders.lend(model):
        pass
    with (
        no_file_larger_than(20),
        pytest.raises(StorageError, match=r"The cache cannot be written to .*cache/") as error,
    ):
        work[what]()
    assert isinstance(error.value.__cause__, OSError)
    assert arrays(embedder.store.root) == []
    work[what]()
    assert arrays(embedder.store.root) != []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder whose parents any user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take the right to write away; root has it always and therefore becomes nobody meanwhile."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_read_only_cache_gives_what_it_has_and_refuses_the_rest(
    encoders: EncoderRegistry, data: BenchmarkData, model: ModelSource, open_folder: Path
):
    split = data.split("holdout_identity")
    embedder = Embedder(ArrayStore(open_folder), encoders)
    known = embedder.captions(model, data, split).tobytes()
    data.fingerprint  # noqa: B018 - nobody may read pytest's folder
    with read_only(open_folder):
        reader = Embedder(ArrayStore(open_folder), encoders)
        assert reader.captions(model, data, split).tobytes() == known
        with pytest.raises(StorageError, match=r"cannot be written: Permission denied; set SALMU_CACHE_DIR"):
            reader.captions(model, data, data.split("forget"))
        with pytest.raises(StorageError, match=r"cannot be written: Permission denied; set SALMU_CACHE_DIR"):
            reader.images(model, data, split)
        with pytest.raises(StorageError, match=r"The cache cannot be written to .*Permission denied"):
            reader.facts(model)


def test_a_damaged_array_in_a_read_only_cache_is_named(
    encoders: EncoderRegistry, data: BenchmarkData, model: ModelSource, open_folder: Path
):
    split = data.split("holdout_identity")
    Embedder(ArrayStore(open_folder), encoders).captions(model, data, split)
    (path,) = open_folder.rglob("*.text.npy")
    path.unlink()
    path.write_bytes(b"rubbish")
    with read_only(open_folder), pytest.raises(StorageError, match=rf"{path} is damaged and cannot be removed"):
        Embedder(ArrayStore(open_folder), encoders).captions(model, data, split)


def test_a_file_in_the_place_of_the_cache_folder_is_named(
    encoders: EncoderRegistry, data: BenchmarkData, model: ModelSource, tmp_path: Path
):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(
        StorageError, match=r"The cache folder .* cannot be written: Not a directory; set SALMU_CACHE_DIR"
    ):
        Embedder(ArrayStore(tmp_path / "cache"), encoders).prompts(model, ["a"])


def test_a_cache_that_cannot_be_cleared_does_not_say_it_was(
    encoders: EncoderRegistry, data: BenchmarkData, model: ModelSource, open_folder: Path
):
    store = ArrayStore(open_folder)
    Embedder(store, encoders).prompts(model, ["a"])
    with read_only(open_folder), pytest.raises(StorageError, match=r"cannot be removed"):
        store.clear()
    assert store.clear() > 0


# The cache as a whole


def test_entries_say_what_is_kept_and_clear_frees_it(embedder: Embedder, data: BenchmarkData):
    store = embedder.store
    assert store.entries() == []
    models = [find_model("mini-clean"), find_model("mini-compromised")]
    for model in models:
        embedder.images(model, data, data.split("holdout_identity"))
        embedder.prompts(model, ["a"])
    entries = {(entry.kind, entry.key): entry for entry in store.entries()}
    features = [("features", model.fingerprint[:32]) for model in models]
    assert set(entries) == {*features, ("pixels", data.fingerprint[:32])}
    for kind, key in entries:
        files = [path for path in (store.root / kind / key).rglob("*") if path.suffix in (".npy", ".sqlite")]
        assert entries[kind, key].files == len(files) == (2 if kind == "features" else 1)
        assert entries[kind, key].bytes == sum(path.stat().st_blocks * 512 for path in files) > 0

    assert store.clear("no such key") == 0
    assert len(store.entries()) == 3
    assert store.clear(features[0][1][:8]) == entries[features[0]].bytes
    assert {(entry.kind, entry.key) for entry in store.entries()} == {features[1], ("pixels", data.fingerprint[:32])}
    assert store.clear() == sum(e.bytes for key, e in entries.items() if key != features[0])
    assert store.entries() == []
    assert len(embedder.prompts(models[0], ["a"])) == 1
