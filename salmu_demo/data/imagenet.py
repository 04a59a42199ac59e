"""A local ImageNet-1k validation set: one folder of images for each class, or webdataset shards."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from salmu_demo.core.errors import DataError
from salmu_demo.data.images import decode_image, read_image
from salmu_demo.data.shards import Watch, check_whole, parse_shard
from salmu_demo.data.tar_shards import Member, members

CLASSES: Final = 1000
_SYNSET: Final = re.compile(r"n\d{8}")
_SUFFIXES: Final = (".jpeg", ".jpg", ".png", ".webp")
_LABEL_SUFFIXES: Final = (".cls", ".json")
_MAX_LABEL_BYTES: Final = 1_000_000
_MAX_IMAGE_BYTES: Final = 100_000_000


@dataclass(frozen=True)
class LabelledImages:
    """Images with their classes.

    Attributes:
        fingerprint: SHA-256 over the names, sizes, labels and times of change of the images or their shards.
        names: N names of the images.
        labels: N numbers of their classes, in the order of the sorted synsets, which is also open_clip's.
        image: decodes one of them to RGB by its position; raises `ImageError`, or `DataError` if the file
            was saved again since the fingerprint was taken.
    """

    fingerprint: str
    names: list[str]
    labels: list[int]
    image: Callable[[int], Image.Image]


def load_imagenet(root: Path) -> LabelledImages:
    """Find the images of an ImageNet validation set.

    Args:
        root: a folder of 1,000 class folders named by synset (`n01440764`) or by number (`0` to `999`); or a `.tar`
            file, or a folder with `.tar` files in it or in its subfolder `test`, as webdataset and clip-benchmark write
            them: `<key>.jpg` (or PNG, WebP) beside `<key>.cls` with the number of the class, or `<key>.json` with that
            number as `label` or `cls`.

    Raises:
        DataError: if it is neither, the folders are named in another way, a class has no image, or shards are
            missing or there twice.
    """
    shards = [root] if root.suffix == ".tar" else sorted([*root.glob("*.tar"), *root.glob("test/*.tar")])
    return _load_shards(root, shards) if shards else _load_folders(root)


def _load_folders(root: Path) -> LabelledImages:
    folders = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    if len(folders) != CLASSES:
        raise DataError(
            f"{root} has {len(folders)} class folders; ImageNet-1k needs {CLASSES}, named by synset or by number, or "
            "webdataset shards (.tar)."
        )
    watch = Watch(f"ImageNet in {root}")
    files: list[Path] = []
    labels: list[int] = []
    digest = hashlib.sha256()
    for label, folder in enumerate(_in_order_of_classes(root, folders)):
        images = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        if not images:
            raise DataError(f"The class folder {folder} has no image (JPEG, PNG or WebP).")
        files += images
        labels += [label] * len(images)
        for path in images:
            digest.update(f"{folder.name}/{path.name}\0{watch.note(path)}\0{label}\n".encode())

    def image(number: int) -> Image.Image:
        with watch.reading(files[number]):
            return read_image(files[number])

    return LabelledImages(digest.hexdigest(), [f"{path.parent.name}/{path.name}" for path in files], labels, image)


def _in_order_of_classes(root: Path, folders: list[Path]) -> list[Path]:
    """Class folders by label: by synset, or by number as ImageNet-V2 has them, whose text would sort 10 before 2."""
    names = [folder.name for folder in folders]
    if all(_SYNSET.fullmatch(name) for name in names):
        return sorted(folders)
    if sorted(int(name) for name in names if name.isascii() and name.isdecimal()) == list(range(CLASSES)):
        return sorted(folders, key=lambda folder: int(folder.name))
    odd = next(name for name in sorted(names) if not _SYNSET.fullmatch(name))
    raise DataError(
        f"The class folders in {root} do not say their classes, such as {odd!r}: name all of them by synset "
        f"(n01440764), or by number from 0 to {CLASSES - 1}."
    )


def _load_shards(root: Path, shards: list[Path]) -> LabelledImages:
    """Index the shards in one pass: nothing is unpacked, and images are read from their place when needed."""
    _check_shards(root, shards)
    watch = Watch(f"ImageNet in {root}")
    images: list[Member] = []
    labels: list[int] = []
    contents: dict[tuple[tuple[str, int, int], ...], Path] = {}
    digest = hashlib.sha256()
    for shard in shards:
        samples = list(_samples(shard, watch))
        images += [member for member, _ in samples]
        labels += [label for _, label in samples]
        content = tuple((member.name, member.size, label) for member, label in samples)
        if content and content in contents:
            raise DataError(f"{shard} is a copy of {contents[content]}; remove one of them.")
        contents[content] = shard
        digest.update(f"{shard.name}\0{watch.note(shard)}\0{content}\n".encode())
    missing = sorted(set(range(CLASSES)) - set(labels))
    if missing:
        raise DataError(
            f"The shards in {root} have images of {CLASSES - len(missing)} of the {CLASSES} classes of ImageNet-1k, "
            f"none of number {missing[0]}; fetch all of them."
        )
    names = [f"{member.shard.name}/{member.name}" for member in images]

    def image(number: int) -> Image.Image:
        member = images[number]
        return decode_image(member.read(watch), f"{member.name} in {member.shard}")

    return LabelledImages(digest.hexdigest(), names, labels, image)


def _check_shards(root: Path, shards: list[Path]) -> None:
    """Compare the shards with what their names and the file that clip-benchmark puts beside them promise."""
    numbered = [(name.split, shard) for shard in shards if (name := parse_shard(shard.name))]
    for split in {split for split, _ in numbered}:
        check_whole(split, [shard for name, shard in numbered if name == split])
    promise = shards[0].parent / "nshards.txt"
    if root.suffix == ".tar" or not promise.is_file():
        return
    with promise.open("rb") as stream:
        promised = stream.read(_MAX_LABEL_BYTES).strip()
    if promised != str(len(shards)).encode():
        raise DataError(
            f"{promise} promises {promised[:20].decode(errors='replace')} shards, but there are {len(shards)}; fetch "
            "those that are missing, or remove those that do not belong to it."
        )


def _samples(shard: Path, watch: Watch) -> Iterator[tuple[Member, int]]:
    """The images of one shard with their labels, in the order of the images."""
    images: dict[str, Member] = {}
    labels: dict[str, int] = {}
    limits = dict.fromkeys(_SUFFIXES, _MAX_IMAGE_BYTES) | dict.fromkeys(_LABEL_SUFFIXES, _MAX_LABEL_BYTES)
    for found in members(shard, watch, limits, _LABEL_SUFFIXES):
        if found.content is None:
            images[found.key] = found.member
        else:
            labels.setdefault(found.key, _label(found.content, found.suffix, f"{found.member.name!r} in {shard}"))
    for key, member in images.items():
        if key not in labels:
            raise DataError(f"{member.name!r} in {shard} has no class: no {_LABEL_SUFFIXES[0]} or .json beside it.")
        yield member, labels[key]


def _label(content: bytes, suffix: str, what: str) -> int:
    try:
        found = json.loads(content) if suffix == ".json" else content.decode("ascii")
        if isinstance(found, dict):
            found = found.get("label", found.get("cls"))
        # A number may be written as text; a fraction or true is not one.
        label = int(str(found))
    except (ValueError, TypeError, RecursionError):
        label = -1
    if not 0 <= label < CLASSES:
        raise DataError(f"{what} holds no number of a class from 0 to {CLASSES - 1}.")
    return label
