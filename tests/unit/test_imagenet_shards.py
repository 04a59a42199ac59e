"""ImageNet as webdataset shards: read in place, never unpacked."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from salmu_demo.core.errors import DataError, ImageError
from salmu_demo.data import imagenet
from salmu_demo.data.imagenet import load_imagenet

Member = tuple[str, bytes]


def image(colour: int, encoding: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (colour, 0, 0)).save(stream, encoding)
    return stream.getvalue()


def write_shard(path: Path, members: Sequence[Member], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture(autouse=True)
def _three_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "CLASSES", 3)


def test_shards_as_clip_benchmark_writes_them_are_read_in_place(tmp_path: Path):
    """`test/N.tar` with `sNNNNNNN.webp` and `.cls`, in any order, beside text files."""
    write_shard(
        tmp_path / "test" / "0.tar",
        [("s0000000.cls", b"2"), ("s0000000.webp", image(20, "WEBP")), ("s0000001.jpg", image(120)),
         ("s0000001.cls", b"0\n"), ("s0000001.txt", b"a caption")],
    )  # fmt: skip
    write_shard(tmp_path / "test" / "1.tar", [("x/7.png", image(200, "PNG")), ("x/7.json", b'{"label": 1}')])
    (tmp_path / "classnames.txt").write_text("a\nb\nc\n")
    before = sorted(path for path in tmp_path.rglob("*"))
    found = load_imagenet(tmp_path)
    assert found.names == ["0.tar/s0000000.webp", "0.tar/s0000001.jpg", "1.tar/x/7.png"]
    assert found.labels == [2, 0, 1]
    reds = [int(np.asarray(found.image(number))[..., 0].mean()) for number in range(3)]
    np.testing.assert_allclose(reds, [20, 120, 200], atol=4)
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_one_shard_may_be_named_itself_and_a_changed_label_changes_the_fingerprint(tmp_path: Path):
    members = [(f"{n}.jpg", image(n)) for n in range(3)]
    one = write_shard(tmp_path / "one.tar", [*members, *((f"{n}.cls", str(n).encode()) for n in range(3))])
    found = load_imagenet(one)
    other = write_shard(
        tmp_path / "sub" / "one.tar", [*members, *((f"{n}.cls", str(2 - n).encode()) for n in range(3))]
    )
    assert sorted(found.labels) == [0, 1, 2]
    assert load_imagenet(other).fingerprint != found.fingerprint
    assert load_imagenet(one).fingerprint == found.fingerprint


@pytest.mark.parametrize("label", [b"1", b'"1"', b'{"label": 1}', b'{"cls": "1"}'])
def test_a_label_is_a_number_or_its_text(tmp_path: Path, label: bytes):
    found = load_imagenet(write_shard(tmp_path / "0.tar", [*GOOD, ("9.jpg", image(9)), ("9.json", label)]))
    assert found.labels == [0, 1, 2, 1]


GOOD = [(f"{n}.{s}", c) for n in range(3) for s, c in (("jpg", image(n)), ("cls", str(n).encode()))]


@pytest.mark.parametrize(
    ("members", "pattern"),
    [
        (GOOD[:4], r"have images of 2 of the 3 classes of ImageNet-1k, none of number 2; fetch all"),
        ([*GOOD, ("9.jpg", image(9))], r"'9.jpg' in .* has no class: no .cls or .json beside it"),
        ([*GOOD, ("9.jpg", image(9)), ("9.cls", b"3")], r"'9.cls' in .* holds no number of a class from 0 to 2"),
        ([*GOOD, ("9.jpg", image(9)), ("9.cls", b"n01440764")], "holds no number of a class"),
        ([*GOOD, ("9.jpg", image(9)), ("9.json", b"[" * 100_000)], "holds no number of a class"),
        *(
            ([*GOOD, ("9.jpg", image(9)), ("9.json", label)], r"'9.json' in .* holds no number of a class from 0 to 2")
            for label in (
                b'{"label": null}',
                b'{"label": 2.0}',
                b'{"cls": null}',
                b"1.7",
                b"true",
                b"NaN",
                b"[1]",
                b"-1",
                b"3",
            )
        ),
        ([*GOOD, ("9.cls", b"1" * 2_000_000)], "is cut off or larger than 1,000,000 bytes"),
    ],
)
def test_shards_that_do_not_tell_their_classes_are_refused(tmp_path: Path, members: list[Member], pattern: str):
    write_shard(tmp_path / "0.tar", members)
    with pytest.raises(DataError, match=pattern):
        load_imagenet(tmp_path)


def test_a_shard_that_is_cut_off_compressed_or_none_is_refused(tmp_path: Path):
    whole = write_shard(tmp_path / "0.tar", GOOD)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "0.tar").write_bytes(whole.read_bytes()[:700])
    write_shard(tmp_path / "gz" / "0.tar", GOOD, "w:gz")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "0.tar").write_text("not a tar file")
    for folder in ("cut", "gz", "text"):
        with pytest.raises(DataError, match=r"cut off|is not a whole, uncompressed tar file"):
            load_imagenet(tmp_path / folder)


def test_links_and_paths_in_a_shard_lead_nowhere(tmp_path: Path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(image(99))
    shard = tmp_path / "val" / "0.tar"
    shard.parent.mkdir()
    with tarfile.open(shard, "w") as archive:
        for name, content in [*GOOD, ("../../escape.jpg", image(3)), ("../../escape.cls", b"1"), ("5.cls", b"1")]:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo("5.jpg")
            link.type, link.linkname = kind, str(secret)
            archive.addfile(link)
    found = load_imagenet(tmp_path / "val")
    assert found.names == ["0.tar/0.jpg", "0.tar/1.jpg", "0.tar/2.jpg", "0.tar/../../escape.jpg"]
    assert found.image(3).size == (8, 8)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["0.tar", "secret.jpg", "val"]


def test_a_member_that_is_no_image_is_named(tmp_path: Path):
    write_shard(tmp_path / "0.tar", [*GOOD[:4], ("2.jpg", b"GIF89a nothing"), ("2.cls", b"2")])
    with pytest.raises(ImageError, match=r"2\.jpg in .*0\.tar is not an image that can be read"):
        load_imagenet(tmp_path).image(2)
