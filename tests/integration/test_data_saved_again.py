"""Data that are saved again after their fingerprint was taken give no number, and leave nothing behind."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from salmu_demo.core.errors import DataError
from salmu_demo.data import imagenet, layout
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.data.imagenet import load_imagenet
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.models.references import find_model
from tests.accepted.data import first, tars

AGAIN = "was saved again while the data set .* was in use"


@pytest.fixture
def folder(tiny_assets: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data set"))


def other_images(shard: Path, target: Path | None = None) -> None:
    """The same rows, their images in the opposite order."""
    table = pq.read_table(shard)
    images = table.column(layout.IMAGE).to_pylist()[::-1]
    number = table.column_names.index(layout.IMAGE)
    pq.write_table(table.set_column(number, layout.IMAGE, [images]), target or shard, row_group_size=16)


def in_place(folder: Path) -> None:
    other_images(first(folder, layout.FORGET))


def by_renaming(folder: Path) -> None:
    other_images(first(folder, layout.FORGET), folder / "new")
    (folder / "new").replace(first(folder, layout.FORGET))


def with_old_times(folder: Path) -> None:
    shard = first(folder, layout.FORGET)
    stat = shard.stat()
    in_place(folder)
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def removed(folder: Path) -> None:
    first(folder, layout.FORGET).unlink()


def metadata(folder: Path) -> None:
    path = folder / layout.IDENTITIES_FILE
    path.write_text(json.dumps({key: {**value, "city": "Ulm"} for key, value in json.loads(path.read_text()).items()}))


def features(data: BenchmarkData, cache: Path) -> np.ndarray:
    return np.array(Embedder(ArrayStore(cache)).images(find_model("mini-clean"), data, data.split(layout.FORGET)))


@pytest.mark.parametrize("change", [in_place, by_renaming, with_old_times])
def test_images_that_were_saved_again_are_not_encoded(folder: Path, tmp_path: Path, change: Callable[[Path], None]):
    data = load_folder(folder)
    assert data.fingerprint
    change(folder)
    with pytest.raises(DataError, match=AGAIN):
        features(data, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]
    again = load_folder(folder)
    assert again.fingerprint != data.fingerprint
    other = features(load_folder(folder), tmp_path / "other cache")
    np.testing.assert_array_equal(features(again, tmp_path / "cache"), other)


@pytest.mark.parametrize("change", [in_place, by_renaming, metadata])
def test_rows_and_metadata_that_were_saved_again_get_no_fingerprint(folder: Path, change: Callable[[Path], None]):
    data = load_folder(folder)
    change(folder)
    with pytest.raises(DataError, match=AGAIN):
        _ = data.fingerprint


def test_a_shard_that_was_saved_again_between_two_images_is_noticed(folder: Path):
    data = load_folder(folder)
    assert data.fingerprint
    data.image(layout.FORGET, 0)
    in_place(folder)
    with pytest.raises(DataError, match=AGAIN):
        data.image(layout.FORGET, len(data.split(layout.FORGET)) // 2 - 1)


def test_a_shard_that_was_removed_is_named(folder: Path):
    data = load_folder(folder)
    removed(folder)
    with pytest.raises(DataError, match=r"forget-00000-of-00002.parquet can no longer be read, .*: No such file"):
        data.image(layout.FORGET, 0)


def test_a_shard_that_was_only_touched_is_the_same(folder: Path):
    data = load_folder(folder)
    assert data.fingerprint
    first(folder, layout.FORGET).touch()
    assert data.image(layout.FORGET, 0).mode == "RGB"


def test_an_image_of_imagenet_that_was_saved_again_is_not_encoded_under_the_old_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(imagenet, "CLASSES", 1)
    path = tmp_path / "n00000001" / "a.png"
    path.parent.mkdir()
    Image.new("RGB", (8, 8), (10, 0, 0)).save(path)
    found, size = load_imagenet(tmp_path), path.stat().st_size
    assert found.image(0).getpixel((0, 0)) == (10, 0, 0)
    Image.new("RGB", (8, 8), (11, 0, 0)).save(path)
    assert path.stat().st_size == size
    with pytest.raises(DataError, match="was saved again while ImageNet in"):
        found.image(0)
    assert load_imagenet(tmp_path).fingerprint != found.fingerprint


def test_a_shard_of_imagenet_that_was_saved_again_is_not_encoded_under_the_old_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(imagenet, "CLASSES", 3)
    tars(["0.tar"])(tmp_path)
    found = load_imagenet(tmp_path)
    content = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "0.tar").write_bytes(content)
    with pytest.raises(DataError, match="was saved again while ImageNet in"):
        found.image(0)
    assert load_imagenet(tmp_path).fingerprint != found.fingerprint
