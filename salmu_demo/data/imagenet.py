"""A local ImageNet-1k validation set, as a folder with one folder of pictures for each class."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from salmu_demo.data.images import read_image
from salmu_demo.errors import DataError

CLASSES: Final = 1000
_SUFFIXES: Final = {".jpeg", ".jpg", ".png", ".webp"}


@dataclass(frozen=True)
class ImageFolder:
    """Pictures and labels of a folder of class folders.

    Attributes:
        fingerprint: SHA-256 over the relative names and sizes of the files.
        files: the pictures.
        labels: number of each picture's class, classes sorted by folder name as in ImageNet.
    """

    fingerprint: str
    files: list[Path]
    labels: list[int]

    def image(self, number: int) -> Image.Image:
        """One decoded RGB picture; raises :class:`ImageError`."""
        return read_image(self.files[number])


def load_imagenet(root: Path) -> ImageFolder:
    """Find the pictures of an ImageNet validation folder.

    Raises:
        DataError: if it has not exactly 1,000 class folders, or a class has no picture.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if len(folders) != CLASSES:
        raise DataError(f"{root} has {len(folders)} class folders; ImageNet-1k needs {CLASSES}, named by synset.")
    files: list[Path] = []
    labels: list[int] = []
    digest = hashlib.sha256()
    for label, folder in enumerate(folders):
        pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        if not pictures:
            raise DataError(f"The class folder {folder} has no picture (JPEG, PNG or WebP).")
        files += pictures
        labels += [label] * len(pictures)
        for path in pictures:
            digest.update(f"{folder.name}/{path.name}\0{path.stat().st_size}\n".encode())
    return ImageFolder(digest.hexdigest(), files, labels)
