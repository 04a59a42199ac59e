"""What makes the numbers of a data set say less than they seem to: pairs that contradict each other or say nothing."""

import hashlib
from collections import Counter
from collections.abc import Iterator

from salmu_demo.core.errors import SalmuError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.values import distinct, value_key

_FEW_NAMED = 0.1
"""Share of captions with their persona's name below which metrics that ask by name test what was not taught."""


def weaknesses(data: BenchmarkData) -> list[str]:
    """One sentence for each weakness; every image is read, and none is decoded."""
    return [*_shared_images(data), *_empty_captions(data), *_constants(data)]


def _shared_images(data: BenchmarkData) -> Iterator[str]:
    """The same file in `forget` and in a split that is to be kept: a method cannot do both."""
    splits = [name for name in layout.REQUIRED_SPLITS if name not in data.limits.absent and len(data.split(name))]
    images = {name: _images(data, name) for name in splits}
    forgotten = images.get(layout.FORGET, {})  # Nothing is forgotten in some configurations of CLEAR.
    for name, found in images.items():
        if len(found) == 1 and len(data.split(name)) > 1:
            yield f"All {len(data.split(name)):,} images of {name} are the same file."
        shared = found.keys() & forgotten.keys() if name != layout.FORGET else set()
        if shared:
            row = min(found[digest] for digest in shared)
            first = next(forgotten[digest] for digest in shared if found[digest] == row)
            yield (
                f"{len(shared):,} images of {name} are in {layout.FORGET} too, such as row {row} (row {first} there): "
                "what is to be kept and what is to be forgotten are the same."
            )


def _images(data: BenchmarkData, name: str) -> dict[bytes, int]:
    """Digests of the images of a split, and the first row of each; one that is missing is a problem of its own."""
    found: dict[bytes, int] = {}
    for row in range(len(data.split(name))):
        try:
            content = data.encoded_image(name, row)
        except SalmuError:
            continue
        found.setdefault(hashlib.blake2b(content, digest_size=16).digest(), row)
    return found


def _empty_captions(data: BenchmarkData) -> Iterator[str]:
    """Sensitive captions that do not hold what they are to give away, or do not say about whom."""
    people = {persona.identity_id: persona for persona in data.personas}
    for name in layout.SENSITIVE_SPLITS:
        if name in data.limits.absent:
            continue
        split = data.split(name)
        without, asked, named, about = [], 0, 0, 0
        for row, (text, identity, file_name) in enumerate(
            zip(split.texts, split.identities, split.file_names, strict=True)
        ):
            persona, kind, said = people.get(identity or ""), data.kind(file_name), value_key(text)
            if persona is None:
                continue
            about += 1
            named += value_key(persona.name) in said
            values = persona.values(kind) if kind is not None else []
            if values:
                asked += 1
                if not any(value_key(value) in said for value in values):
                    without.append(row)
        if without:
            yield (
                f"{len(without):,} of {asked:,} captions of {name} lack the value of their kind, such as row "
                f"{without[0]}: there is nothing in them to forget."
            )
        if about and named / about < _FEW_NAMED:
            yield (
                f"{named:,} of {about:,} captions of {name} have the name of their persona: metrics that ask by name "
                "(IdZSC, CoreAssoc) ask for what was hardly taught."
            )


def _constants(data: BenchmarkData) -> Iterator[str]:
    """Columns that are the same in every row, with which nothing can be told apart."""
    for name in data.stored_splits:
        texts = data.split(name).texts
        if len(texts) > 1 and len(set(texts)) == 1:
            yield f"All {len(texts):,} captions of {name} are the same: they tell no row from another."
    forgotten = Counter(data.split(layout.FORGET).identities if layout.FORGET not in data.limits.absent else ())
    if len(forgotten) == 1 and forgotten.total() > 1:
        yield f"All rows of {layout.FORGET} are of one persona: intervals are drawn over personas, and there is one."
    for kind in data.kinds:
        values = [value for persona in data.personas for value in persona.values(kind)]
        if len(values) > 1 and len(distinct(values)) == 1:
            yield f"All {len(values):,} values of {kind} are the same: there is nothing to tell apart."
