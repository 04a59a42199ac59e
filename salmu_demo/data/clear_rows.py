"""The 21 configurations of CLEAR (arXiv 2410.18057, `therem/CLEAR`): their columns, what these are for, and their rows.

=====================================================  ==============================================================
configurations                                         columns
=====================================================  ==============================================================
`default`, `full`, `forget01/05/10`, `retain99/95/90`  image, caption, name
`forget01/05/10_perturbed`, `retain_perturbed`         the same, perturbed_captions, paraphrased_caption,
                                                       perturbed_names
each of `full`, `forget…`, `retain…` with `+tofu`      image (null where there is only text), caption, question, answer
`real_faces`                                           image, answer, options
`real_world`                                           question, answer, options, image
=====================================================  ==============================================================

Later uploads may name columns otherwise: what is missing or unknown is said in one sentence, with what is left of the
configuration.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from salmu_demo.core.errors import DataError
from salmu_demo.data.shards import Watch
from salmu_demo.data.values import is_missing, value_key

IMAGE: Final = "image"
CAPTION: Final = "caption"
NAME: Final = "name"
PERTURBED_CAPTIONS: Final = "perturbed_captions"
PARAPHRASED_CAPTION: Final = "paraphrased_caption"
PERTURBED_NAMES: Final = "perturbed_names"
QUESTION: Final = "question"
ANSWER: Final = "answer"
OPTIONS: Final = "options"

RETAIN_OF: Final = {"forget01": "retain99", "forget05": "retain95", "forget10": "retain90"}
"""Forget configuration to the retain configuration that holds the other persons."""
REAL_FACES: Final = "real_faces"
REAL_WORLD: Final = "real_world"
RETAIN_PERTURBED: Final = "retain_perturbed"

_LISTS: Final = frozenset({PERTURBED_CAPTIONS, PERTURBED_NAMES, OPTIONS})
_BATCH_ROWS: Final = 64


@dataclass(frozen=True)
class Family:
    """Configurations of the same columns.

    Attributes:
        name: in code.
        columns: the columns of the release.
        uses: what is measured of it, in words, each with the columns that it takes.
        images: whether every row has an image.
    """

    name: Literal["captions", "perturbed", "questions", "faces", "world"]
    columns: tuple[str, ...]
    uses: Mapping[str, tuple[str, ...]]
    images: bool = True


CAPTIONS: Final = Family(
    "captions",
    (IMAGE, CAPTION, NAME),
    {"faces and names": (IMAGE, NAME), "captions": (IMAGE, NAME, CAPTION)},
)
PERTURBED: Final = Family(
    "perturbed",
    (*CAPTIONS.columns, PERTURBED_CAPTIONS, PARAPHRASED_CAPTION, PERTURBED_NAMES),
    {
        "the choice of the name": (IMAGE, NAME, PERTURBED_NAMES),
        "the choice of the caption": (IMAGE, PARAPHRASED_CAPTION, PERTURBED_CAPTIONS),
    },
)
QUESTIONS: Final = Family(
    "questions",
    (IMAGE, CAPTION, QUESTION, ANSWER),
    {"captioned images": (IMAGE, CAPTION), "questions and answers": (QUESTION, ANSWER)},
    images=False,
)
FACES: Final = Family(
    "faces",
    (IMAGE, ANSWER, OPTIONS),
    {"real faces and names": (IMAGE, ANSWER), "the choice of the real name": (IMAGE, ANSWER, OPTIONS)},
)
WORLD: Final = Family(
    "world",
    (QUESTION, ANSWER, OPTIONS, IMAGE),
    {"the choice of the answer": (IMAGE, ANSWER, OPTIONS)},
)

_PLAIN: Final = (*RETAIN_OF, *RETAIN_OF.values())
CONFIGURATIONS: Final[dict[str, Family]] = {
    **dict.fromkeys(("default", "full", *_PLAIN), CAPTIONS),
    **dict.fromkeys((*(f"{forget}_perturbed" for forget in RETAIN_OF), RETAIN_PERTURBED), PERTURBED),
    **dict.fromkeys((f"{name}+tofu" for name in ("full", *_PLAIN)), QUESTIONS),
    REAL_FACES: FACES,
    REAL_WORLD: WORLD,
}
"""Every configuration of the release and its family."""


@dataclass(frozen=True)
class Columns:
    """What the files of a configuration have of its columns.

    Attributes:
        configuration: its name.
        known: the columns of the release that every shard has.
        unknown: other columns of any shard, which are left out.
    """

    configuration: str
    known: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def family(self) -> Family:
        """Its family."""
        return CONFIGURATIONS[self.configuration]

    @property
    def usable(self) -> list[str]:
        """What can be measured of it, in words."""
        return [use for use, columns in self.family.uses.items() if set(columns) <= set(self.known)]

    @property
    def sentence(self) -> str:
        """What is missing or unknown, and what is left; empty if all is as in the release."""
        missing = [column for column in self.family.columns if column not in self.known]
        if not missing and not self.unknown:
            return ""
        found = [f"lacks {_columns(missing)}"] if missing else []
        found += [f"has {_columns(self.unknown)}, unknown here and left out"] if self.unknown else []
        lost = [use for use in self.family.uses if use not in self.usable]
        parts = [f"not measurable: {', '.join(lost)}"] if lost else []
        parts.append(f"{'still ' if lost else ''}measurable: {', '.join(self.usable) or 'nothing of it'}")
        return f"{self.configuration} {' and '.join(found)}; {'; '.join(parts)}."


def read_columns(configuration: str, paths: Sequence[Path], watch: Watch) -> Columns:
    """Which columns the shards of a configuration have; raises `DataError` if one is unreadable."""
    of_shards = []
    for path in paths:
        with _readable(path, watch) as file:
            of_shards.append(file.schema_arrow.names)
    columns = CONFIGURATIONS[configuration].columns
    return Columns(
        configuration,
        tuple(name for name in columns if all(name in names for names in of_shards)),
        tuple(sorted(set(chain.from_iterable(of_shards)) - set(columns))),
    )


def read_rows(
    columns: Columns, paths: Sequence[Path], watch: Watch, only: Iterable[str] | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of a configuration, each a dictionary of all its columns; those that are missing are None or empty.

    Images are bytes, texts are strings or None, lists are those of their entries that say something.

    Args:
        columns: the columns that are there.
        paths: the shards.
        watch: notices a shard that is written again meanwhile.
        only: the columns to read; None for all.

    Raises:
        DataError: if a shard is unreadable, or a row holds something else.
    """
    wanted = [name for name in columns.known if only is None or name in only]
    empty: dict[str, Any] = {name: [] if name in _LISTS else None for name in columns.family.columns}
    for path in paths:
        with _readable(path, watch) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=wanted):
                for row in batch.to_pylist():
                    yield {**empty, **{name: _cell(name, row[name], columns, path) for name in wanted}}


@contextmanager
def _readable(path: Path, watch: Watch) -> Iterator[pq.ParquetFile]:
    try:
        with watch.reading(path), pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a readable parquet file; fetch or write it again.") from error


def _cell(column: str, value: Any, columns: Columns, path: Path) -> Any:
    """A checked value; raises `DataError`."""
    if column == IMAGE:
        if value is None and not columns.family.images:
            return None
        if not (isinstance(value, dict) and isinstance(value.get("bytes"), bytes)):
            raise DataError(f"{path} has a row whose image is not a struct with image `bytes`.")
        return value["bytes"]
    if column in _LISTS:
        if not isinstance(value, list | None) or not all(isinstance(entry, str | None) for entry in value or ()):
            raise DataError(f"{path} has a row whose {column} are not a list of texts.")
        return [entry for entry in value or () if not is_missing(entry)]
    if not isinstance(value, str | None):
        raise DataError(f"{path} has a row whose {column} is not text.")
    return None if is_missing(value) else value


def choice(truth: str | None, others: Iterable[str]) -> list[str]:
    """What a model chooses from, the right answer first; empty if there is none, or nothing else.

    >>> choice("Ana", ["Ben", "ana", "Cem"])
    ['Ana', 'Ben', 'Cem']
    >>> choice("Ana", []), choice(None, ["Ben"])
    ([], [])
    """
    if truth is None:
        return []
    rivals = [other for other in others if value_key(other) != value_key(truth)]
    return [truth, *rivals] if rivals else []


def _columns(names: Sequence[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {', '.join(names)}"
