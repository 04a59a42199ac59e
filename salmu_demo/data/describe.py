"""What a data set holds, and what is odd about it without making it unusable."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from salmu_demo.core.errors import SalmuError
from salmu_demo.core.notices import CLEAR_MINI_NOTICE
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.values import value_key


@dataclass(frozen=True)
class Description:
    """Summary of a data set.

    Attributes:
        name: how the user named it.
        fingerprint: SHA-256 of its files.
        revision: Hub revision, or None.
        splits: rows of each split on disk.
        derived: rows of each derived split.
        personas: number of personas with metadata.
        kinds: rows of the sensitive splits for each attribute kind.
        zero_shot: what GenKnow would be measured on, or None.
        choices: by split, how many rows choose a name, a caption or an answer; empty without multiple choice.
        questions: questions with an answer, and how many of them are about an image.
        bytes: size of the parquet shards and metadata files.
        problems: one sentence for each oddity.
    """

    name: str
    fingerprint: str
    revision: str | None
    splits: dict[str, int]
    derived: dict[str, int]
    personas: int
    kinds: dict[str, int]
    zero_shot: str | None
    choices: dict[str, dict[str, int]]
    questions: dict[str, int]
    bytes: int
    problems: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


def describe(data: BenchmarkData, check_images: bool = False) -> Description:
    """Count what a data set holds and look for problems; `check_images` decodes every image, which takes long."""
    sensitive = [data.split(name) for name in _sensitive_splits(data)]
    kinds = Counter(data.kind(name) or "unknown" for split in sensitive for name in split.file_names)
    files = [*(data.root / layout.DATA_FOLDER).glob("*.parquet"), *data.root.glob("*.json")]
    problems = _problems(data)
    if check_images:
        problems += _broken_images(data)
    return Description(
        name=data.name,
        fingerprint=data.fingerprint,
        revision=data.revision,
        splits={name: len(data.split(name)) for name in data.stored_splits},
        derived={name: len(data.split(name)) for name in _derived_splits(data)},
        personas=len(data.personas),
        kinds={kind: kinds[kind] for kind in [*data.kinds, "unknown"] if kinds[kind]},
        zero_shot=data.zero_shot.name if data.zero_shot else None,
        choices={
            split: {what: sum(map(bool, choices)) for what, choices in asked.items()}
            for split, asked in (data.choices or {}).items()
            if asked
        },
        questions={
            "all": len(data.questions),
            "with_picture": sum(question.file_name is not None for question in data.questions),
        },
        bytes=sum(path.stat().st_size for path in files),
        problems=problems,
    )


def _problems(data: BenchmarkData) -> list[str]:
    problems = [f"The split {name} is left out: {reason}" for name, reason in data.unread_splits.items()]
    problems += [remark for remark in data.remarks if remark != CLEAR_MINI_NOTICE]
    problems += data.limits.absent.values()
    problems += [f"{metric} cannot be measured: {reason}" for metric, reason in data.limits.unmeasurable.items()]
    names = Counter(name for split in _sensitive_splits(data) for name in data.split(split).file_names)
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        problems.append(f"{len(repeated)} file names occur in more than one sensitive row, for example {repeated[0]}.")
    without_kind = [name for name in names if data.kind(name) is None]
    if without_kind:
        problems.append(f"{len(without_kind)} sensitive images have no attribute kind, for example {without_kind[0]}.")
    unknown = [kind for kind in data.kinds if kind not in layout.KINDS]
    if unknown:
        problems.append(f"Attribute kinds outside the official eight: {', '.join(unknown)}.")
    without_generic = [name for name in names if data.generic_caption(name) is None]
    if without_generic:
        problems.append(f"{len(without_generic)} sensitive images have no generic caption.")
    known = {persona.identity_id for persona in data.personas}
    nameless = {
        str(identity)
        for split in _sensitive_splits(data)
        for identity in data.split(split).identities
        if identity not in known
    }
    if nameless:
        problems.append(f"{len(nameless)} personas have no metadata with a name, for example {min(nameless)}.")
    names_of = Counter(value_key(persona.name) for persona in data.personas)
    namesakes = sum(count for count in names_of.values() if count > 1)
    if namesakes:
        problems.append(f"{namesakes} personas share their name with another, so no model can tell them by it.")
    for kind in data.kinds:
        without = [persona.identity_id for persona in data.personas if not persona.values(kind)]
        if without and len(without) < len(data.personas):
            problems.append(
                f"{len(without)} of {len(data.personas)} personas have no value of {kind} (none, null, NaN or blank), "
                f"for example {without[0]}."
            )
    forgotten = set(data.split(layout.FORGET).identities)
    shared = (
        forgotten & set(data.split(layout.HOLDOUT_IDENTITY).identities)
        if layout.HOLDOUT_IDENTITY not in data.limits.absent
        else set()
    )
    if shared:
        problems.append(f"{len(shared)} personas are in both forget and holdout_identity, which must be disjoint.")
    empty = [name for name in _derived_splits(data) if not len(data.split(name))]
    if empty:
        problems.append(f"Empty derived splits, whose metrics cannot be measured: {', '.join(empty)}.")
    return problems


def _sensitive_splits(data: BenchmarkData) -> list[str]:
    return [name for name in layout.SENSITIVE_SPLITS if name not in data.limits.absent]


def _derived_splits(data: BenchmarkData) -> list[str]:
    """Those whose rule can be followed with what is on this machine."""
    return [name for name, needed in layout.DERIVED_FROM.items() if not data.limits.absent.keys() & set(needed)]


def _broken_images(data: BenchmarkData) -> list[str]:
    problems = []
    for name in data.stored_splits:
        for row in range(len(data.split(name))):
            try:
                data.image(name, row)
            except SalmuError as error:
                problems.append(str(error))
    return problems
