"""CLEAR's visual protocol on CLEAR-Mini: many face encoders, each made to forget by every method, and what is told.

The paper has 128 encoders of 100 of 200 identities, with 20 fixed ones to forget. Here it is half of 60 authors, with
12 fixed ones: with a tenth of them, 6, an encoder would forget three people. Encoders come in pairs: whom of the 12 one
knows, the other does not, so each is known by exactly half. The first half of the encoders are shadows, the others
targets.
"""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from salmu_demo.core.errors import DataError, QueryError
from salmu_demo.core.files import file_digest, read_checked, write_checked
from salmu_demo.data import clear_rows as columns
from salmu_demo.metrics.intervals import Interval, interval, resampled_sums
from salmu_demo.metrics.shadow_membership import ENROLLED, Bools, Floats, enrolment_logits, recognised, u_lira, u_mia
from salmu_demo.mini import face_encoders
from salmu_demo.mini.clear_build import SHIPPED, known_images, plan_clear
from salmu_demo.mini.clear_train import read_configuration
from salmu_demo.mini.face_encoders import METHODS, SIDE, FaceEncoder, Faces, embed, train, unlearn

FIXED: Final = 12
"""Authors of whom every encoder knows half and forgets these."""

KNOWN_IMAGES: Final = 24
"""Images of each person whom encoders know from before."""

ORIGINAL, GOLD = "original", "gold"
TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {ORIGINAL: "Original", GOLD: "Gold"} | {name: method.title for name, method in METHODS.items()}
)

PAPER: Final[Mapping[str, tuple[float, float, float, float, float]]] = MappingProxyType({
    ORIGINAL: (1.0, 0.185, 1.0, 1.0, 0.96),
    GOLD: (0.1543, 0.1504, 0.9752, 0.5, 0.5),
    "finetune": (1.0, 0.1854, 1.0, 1.0, 0.92),
    "scrub": (0.9974, 0.1677, 0.9993, 0.98, 0.9),
    "llmu": (0.8572, 0.1462, 0.8899, 0.83, 0.75),
    "rmu": (0.6797, 0.1727, 0.9999, 0.77, 0.6),
    "dpo": (0.5021, 0.1393, 0.8149, 0.73, 0.62),
    "scrub-bio": (0.4259, 0.1425, 0.9944, 0.71, 0.57),
    "sparsity": (0.6641, 0.1444, 0.8357, 0.78, 0.73),
    "twins": (0.5, 0.2034, 0.9972, 0.73, 0.54),
})  # fmt: skip
"""Table 5 of arXiv 2410.18057: accuracy on forgotten, held-out and retained people, U-LIRA, U-MIA."""


@dataclass(frozen=True)
class FaceAlbum:
    """Everybody's images.

    Attributes:
        images: as bytes, shape (people, images of each, 3, SIDE, SIDE).
        fixed: numbers of those of whom every encoder forgets some.
        key: what results depend on, besides the code.
    """

    images: torch.Tensor
    fixed: NDArray[np.int64]
    key: str


@dataclass(frozen=True)
class Half:
    """Whom an encoder knows.

    Attributes:
        forget: numbers of the fixed people among them.
        retain: numbers of the others.
    """

    forget: NDArray[np.int64]
    retain: NDArray[np.int64]


@dataclass(frozen=True)
class EncoderResult:
    """What is kept of an encoder.

    Attributes:
        knew: of each of the fixed people, whether it was trained on them.
        logits: by method, of the fixed people's images, shape (FIXED, K); see `enrolment_logits`.
        recognised: by method, the share of each of the fixed people's images that is recognised.
        retained: by method, the share of the images of those who are kept.
    """

    knew: list[bool]
    logits: dict[str, list[list[float]]]
    recognised: dict[str, list[float]]
    retained: dict[str, float]


def read_album(data: Path, seed: int) -> FaceAlbum:
    """Images of CLEAR-Mini's authors; raises `DataError` if an image is missing or of too few people."""
    rows = [row for name in ("forget10", "retain90") for row in read_configuration(data, name)]
    names = sorted({str(row[columns.NAME]) for row in rows})
    shown = [[row[columns.IMAGE] for row in rows if row[columns.NAME] == name] for name in names]
    fewest = min(map(len, shown))
    if len(names) < 2 * FIXED or fewest <= ENROLLED:
        raise DataError(
            f"{data} has {len(names)} authors and at least {fewest} images of each; the visual protocol needs "
            f"{2 * FIXED} authors and {ENROLLED + 1} images."
        )
    images = torch.stack([
        torch.stack([_pixels(Image.open(io.BytesIO(image))) for image in own[:fewest]]) for own in shown
    ])  # fmt: skip
    fixed = np.random.default_rng([seed, *b"fixed"]).permutation(len(names))[:FIXED]
    code = file_digest(Path(face_encoders.__file__))
    digest = hashlib.sha256(images.numpy().tobytes()).hexdigest()
    return FaceAlbum(images, np.sort(fixed), json.dumps([seed, code, digest, names]))


def _pixels(image: Image.Image) -> torch.Tensor:
    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)


def half_of(album: FaceAlbum, number: int, seed: int) -> Half:
    """Whom an encoder knows; of the fixed people, an even one and the one after it know each half."""
    pair, odd = divmod(number, 2)
    rng = np.random.default_rng([seed, *b"half", pair])
    mixed = rng.permutation(album.fixed)
    forget = mixed[FIXED // 2 :] if odd else mixed[: FIXED // 2]
    others = np.setdiff1d(np.arange(len(album.images)), album.fixed)
    rng = np.random.default_rng([seed, *b"others", number])
    return Half(np.sort(forget), np.sort(rng.permutation(others)[: len(others) // 2]))


@cache
def common_start(seed: int) -> FaceEncoder:
    """An encoder of the people who are known from before."""
    people = plan_clear(seed, SHIPPED).known
    shown = known_images(seed, people, KNOWN_IMAGES, "pre-training")
    numbers = {person.name: number for number, person in enumerate(people)}
    faces = Faces(
        torch.stack([_pixels(known.image) for known in shown]),
        torch.tensor([numbers[known.answer] for known in shown]),
    )
    return train(faces, len(people), seed)


def run_encoder(album: FaceAlbum, number: int, seed: int) -> EncoderResult:
    """Train an encoder, have a copy of it forget by each method, and read all of them."""
    half, start = half_of(album, number, seed), common_start(seed)
    order = [*half.forget.tolist(), *half.retain.tolist()]
    forget, retain = (_faces(album, part, order) for part in (half.forget, half.retain))
    both = Faces(torch.cat([forget.images, retain.images]), torch.cat([forget.people, retain.people]))
    own = 1000 * seed + number
    original = train(both, len(order), own, start)
    encoders: dict[str, FaceEncoder] = {
        ORIGINAL: original,
        GOLD: train(_faces(album, half.retain, half.retain.tolist()), len(half.retain), own, start),
    }
    for name, method in METHODS.items():
        encoders[name] = unlearn(original, method, forget, retain, own)
    result = EncoderResult([person in half.forget for person in album.fixed.tolist()], {}, {}, {})
    for name, encoder in encoders.items():
        embeddings = embed(encoder, album.images.flatten(0, 1)).reshape(*album.images.shape[:2], -1)
        result.logits[name] = enrolment_logits(embeddings)[album.fixed].round(6).tolist()
        result.recognised[name] = recognised(embeddings, album.fixed).mean(axis=1).round(6).tolist()
        result.retained[name] = round(float(recognised(embeddings, half.retain).mean()), 6)
    return result


def _faces(album: FaceAlbum, people: NDArray[np.int64], order: Sequence[int]) -> Faces:
    images = album.images[torch.from_numpy(people)]
    numbers = torch.tensor([order.index(person) for person in people.tolist()])
    return Faces(images.flatten(0, 1), numbers.repeat_interleave(images.shape[1]))


def run_shadows(
    data: Path, output: Path, encoders: int, seed: int, workers: int, progress: Callable[[str], None]
) -> list[EncoderResult]:
    """Results of so many encoders, each kept in a file of the folder; those that are there are not made again.

    Raises:
        QueryError: if the number of encoders is not a positive multiple of 4.
        DataError: if the data cannot be used.
        StorageError: if a file cannot be written.
    """
    if encoders < 4 or encoders % 4:
        raise QueryError(f"{encoders} encoders cannot be shared out; choose 4, 8, 12 or more.")
    album = read_album(data, seed)
    files = [output / f"encoder-{number:03d}.json" for number in range(encoders)]
    kept = [read_checked(file) for file in files]
    missing = [number for number, found in enumerate(kept) if found is None or found["key"] != album.key]
    with ProcessPoolExecutor(workers, get_context("spawn"), _alone) as pool:
        running = {pool.submit(_one, data, number, seed): number for number in missing}
        for done, future in enumerate(as_completed(running), len(files) - len(missing) + 1):
            write_checked(files[running[future]], {"key": album.key, **asdict(future.result())}, "The results")
            progress(f"{done} of {len(files)} encoders")
    return [_result(read_checked(file) or {}) for file in files]


def _alone() -> None:
    torch.set_num_threads(1)


def _one(data: Path, number: int, seed: int) -> EncoderResult:
    return run_encoder(read_album(data, seed), number, seed)


def _result(document: Mapping[str, Any]) -> EncoderResult:
    return EncoderResult(**{name: document[name] for name in EncoderResult.__dataclass_fields__})


@dataclass(frozen=True)
class Share:
    """A share with its interval when other people are drawn; None where nothing is drawn."""

    value: float
    interval: Interval | None


def measure(results: Sequence[EncoderResult], method: str) -> dict[str, Share]:
    """What the table says of a method; the first half of the results are shadows."""
    half = len(results) // 2
    logits = np.array([result.logits[method] for result in results])
    knew = np.array([result.knew for result in results])
    targets = results[half:]
    shares = np.array([result.recognised[method] for result in targets])
    arguments = (logits[:half], knew[:half], logits[half:], knew[half:])
    return {
        "Forget accuracy": _over_people(shares, knew[half:]),
        "Holdout accuracy": _over_people(shares, ~knew[half:]),
        "Retain accuracy": Share(float(np.mean([result.retained[method] for result in targets])), None),
        "U-LIRA": _over_people(u_lira(*arguments).mean(axis=2)),
        "U-MIA": _over_people(u_mia(*arguments).mean(axis=2)),
        "U-MIA (tree)": _over_people(u_mia(*arguments, tree=True).mean(axis=2)),
    }


def _over_people(shares: Floats, counted: Bools | None = None) -> Share:
    """Mean of shares, shape (T, FIXED), over those counted, with an interval over people."""
    counts = np.ones(shares.shape) if counted is None else counted.astype(np.float64)
    sums, sizes = (shares * counts).sum(axis=0), counts.sum(axis=0)
    return Share(float(sums.sum() / sizes.sum()), interval(resampled_sums(sums[:, None], sizes)[:, 0]))


def shadows_table(results: Sequence[EncoderResult]) -> str:
    """All methods as Markdown, each value beside the paper's where it has one."""
    rows = {name: measure(results, name) for name in TITLES}
    heads = list(rows[ORIGINAL])
    lines = [f"| Method | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for name, shares in rows.items():
        published = [*PAPER[name], None]
        cells = [_cell(share, paper) for share, paper in zip(shares.values(), published, strict=True)]
        lines.append(f"| {TITLES[name]} | {' | '.join(cells)} |")
    half = len(results) // 2
    lines.append("")
    lines.append(
        f"{half} shadows and {len(results) - half} targets. In brackets: 95 % intervals over the {FIXED} people. In "
        "italics: the paper's value, of other people and another network."
    )
    return "\n".join(lines) + "\n"


def _cell(share: Share, paper: float | None) -> str:
    around = f" [{share.interval.low:.2f}, {share.interval.high:.2f}]" if share.interval else ""
    return f"{share.value:.2f}{around}" + ("" if paper is None else f" *{paper:.2f}*")
