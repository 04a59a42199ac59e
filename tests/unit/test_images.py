"""Images are read by one rule, whatever their mode and format, and at a bounded cost."""

import ast
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import salmu_demo
from salmu_demo.core.errors import ImageError
from salmu_demo.core.files import syntax_tree
from salmu_demo.data import imagenet
from salmu_demo.data.dataset import load_folder
from salmu_demo.data.imagenet import load_imagenet
from salmu_demo.data.images import decode_image, read_image
from tests.accepted import Case
from tests.accepted.images import CASES, scanned
from tests.unit.test_imagenet_shards import write_shard


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_image_is_read_by_the_stated_rule_or_refused(case: Case):
    content = case.make()
    if case.outcome == "refused":
        with pytest.raises(ImageError, match=f"^Row 3 .*{re.escape(case.expected)}") as error:
            decode_image(content, "Row 3")
        assert "\n" not in str(error.value)
    else:
        image = decode_image(content, "Row 3")
        assert image.mode == "RGB"
        # JPEG and the like may be off by a little.
        np.testing.assert_allclose(np.asarray(image)[0, 0], case.expected, atol=3)


PATHS: dict[str, Callable[[Path, Path, bytes], object]] = {}


def path(work: Callable[[Path, Path, bytes], object]) -> Callable[[Path, Path, bytes], object]:
    PATHS[work.__name__.replace("_", " ").strip()] = work
    return work


@path
def _file(folder: Path, assets: Path, content: bytes) -> object:
    (folder / "a.jpg").write_bytes(content)
    return read_image(folder / "a.jpg")


@path
def _data_set(folder: Path, assets: Path, content: bytes) -> object:
    data = Path(shutil.copytree(assets / "salmu-mini", folder / "data"))
    for shard in (data / "data").glob("forget-*"):
        table = pq.read_table(shard)
        images = pa.array([{"bytes": content, "path": None}] * len(table), table.schema.field("image").type)
        pq.write_table(table.set_column(table.column_names.index("image"), "image", images), shard)
    return load_folder(data).image("forget", 0)


@path
def _class_folders(folder: Path, assets: Path, content: bytes) -> object:
    for name in ("n00000001", "n00000002", "n00000003"):
        (folder / "val" / name).mkdir(parents=True)
        (folder / "val" / name / "a.jpg").write_bytes(content)
    return load_imagenet(folder / "val").image(0)


@path
def _shards(folder: Path, assets: Path, content: bytes) -> object:
    members = [(f"{number}.{suffix}", value) for number in range(3)
               for suffix, value in (("jpg", content), ("cls", str(number).encode()))]  # fmt: skip
    return load_imagenet(write_shard(folder / "0.tar", members)).image(0)


@pytest.mark.parametrize("name", PATHS)
def test_every_path_refuses_an_image_that_costs_too_much(
    name: str, tmp_path: Path, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(imagenet, "CLASSES", 3)
    with pytest.raises(ImageError, match="more than 100 scans"):
        PATHS[name](tmp_path, tiny_assets, scanned(64, 120))


def test_images_of_others_are_opened_in_one_place_only():
    root = Path(salmu_demo.__file__).parent
    found = set()
    for source in root.rglob("*.py"):
        for node in ast.walk(syntax_tree(source)):
            if isinstance(node, ast.Attribute) and node.attr == "open" and ast.unparse(node.value).endswith("Image"):
                found.add(str(source.relative_to(root)))
    # The miniature's own images are drawn by the same folder.
    assert {name for name in found if not name.startswith("mini/")} == {"data/images.py"}
