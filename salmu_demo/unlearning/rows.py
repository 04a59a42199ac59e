"""The rows an unlearning method may read: those of `forget` and the retain splits.

SALMUBench's rule (arXiv 2603.26316): a method starts from Compromised and never trains on a holdout row. The type here
cannot hold one, and nothing behind it keeps the data set they come from within a method's reach.

Requests say otherwise whom to forget: then the rows of those people are what is to be forgotten, in whatever split they
are, a holdout as well, and the other pairs of `forget` are there to be kept. No other holdout row is read.

CLEAR's rule (arXiv 2410.18057) is another: a run starts from Base, forgets a forget configuration and trains on its
retain configuration. A modality says so, and chooses rows of both: captioned images, question-answer pairs, or both.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from salmu_demo.core.errors import DataError, QueryError
from salmu_demo.data import layout
from salmu_demo.data.clear_rows import RETAIN_OF
from salmu_demo.data.dataset import BenchmarkData, Persona, Question, Split
from salmu_demo.data.forget_requests import (
    REQUESTED_SPLITS,
    Round,
    are_covered,
    find_requests,
    requested_rows,
)
from salmu_demo.data.sampler import Sampler
from salmu_demo.data.source import is_clear, load_data
from salmu_demo.features.pixels import ImageSet
from salmu_demo.models.lineage import rounds_of
from salmu_demo.models.roles import CLEAN, GOLD, UNLEARNED
from salmu_demo.models.source import ModelSource
from salmu_demo.unlearning import Modality

RETAIN_SPLITS: Final = (layout.RETAIN_SYNTH, layout.RETAIN_GENERAL)
CLEAR_RETAIN_SPLITS: Final = (layout.HOLDOUT_IDENTITY,)
"""Where CLEAR's retain configuration is kept."""

_DEFAULT_CONFIGURATION: Final = "forget10"
_QUESTIONS: Final = "+tofu"
"""How the name of a configuration goes on that has questions beside images."""


@dataclass(frozen=True)
class RunRequests:
    """What a run is to forget instead of the whole split `forget`.

    Attributes:
        requests: the requests.
        earlier: those of the runs that the base model is the product of, the first run first. What they ask for is
            never given again as something to keep.
    """

    requests: Round = ()
    earlier: tuple[Round, ...] = ()

    @property
    def rounds(self) -> list[list[str]] | None:
        """All of them as they are written, the run's own last; None if no run was asked for less than the split."""
        found = [[str(request) for request in each] for each in (*self.earlier, self.requests)]
        return found if any(found) else None

    def may_be_kept(self, identity: str | None, kind: str | None) -> bool:
        """Whether a pair of `forget` is one that nobody asked to be forgotten."""
        every = (*self.earlier, self.requests)
        return all(every) and not any(are_covered(each, identity, kind) for each in every)


WHOLE_SPLIT: Final = RunRequests()


def what_is_asked(base: ModelSource, data: BenchmarkData, requests: Round) -> RunRequests:
    """The requests of a run with those of the runs before it, as the record of the base model says.

    Of a model that was unlearned without a record, or that never saw the split `forget`, nothing says what of the split
    it still knows: it counts as having been asked for all of it, so that no run teaches it any.

    Raises:
        QueryError: if the record names a persona or kind that the data set does not have.
    """
    rounds = rounds_of(base, data.fingerprint)
    if rounds is None:
        rounds = ((),) if base.own_role.name in (CLEAN, GOLD, UNLEARNED) else ()
    return RunRequests(requests, tuple(find_requests(data, each) for each in rounds))


@dataclass(frozen=True)
class Part:
    """Rows of one stored split.

    Attributes:
        split: the rows.
        images: the images of the stored split, by row.
        kinds: attribute kind of each row, or None if unknown.
        names: name of each row's persona, empty if unknown.
        values: the persona's values of that kind according to the metadata, for each row.
    """

    split: Split
    images: ImageSet
    kinds: list[str | None]
    names: list[str]
    values: list[list[str]]


@dataclass(frozen=True)
class Questions:
    """The question-answer pairs of a configuration of CLEAR.

    Attributes:
        configuration: its name without `+tofu`.
        fingerprint: of the data they were read from.
        pairs: the questions and their answers.
    """

    configuration: str
    fingerprint: str
    pairs: tuple[Question, ...]

    def __len__(self) -> int:
        return len(self.pairs)


@dataclass(frozen=True)
class UnlearningRows:
    """The rows an unlearning method works on; made by `unlearning_rows` or `clear_rows`.

    Attributes:
        data: name of the data set.
        fingerprint: its fingerprint.
        forget: the rows to forget.
        retain: the rows to retain; those of `forget` come last.
        generic: generic caption of each forget row's image; None if the data set lacks any.
        asked: what is to be forgotten instead of the whole split `forget`.
        modality: which rows of CLEAR these are; None for a run by SALMUBench's rule.
        questions: with a modality that has any, the questions to forget and those to retain.
    """

    data: str
    fingerprint: str
    forget: tuple[Part, ...]
    retain: tuple[Part, ...]
    generic: list[str] | None
    asked: RunRequests = WHOLE_SPLIT
    modality: Modality | None = None
    questions: tuple[Questions, Questions] | None = None

    def __post_init__(self) -> None:
        """Reject rows that the protocol, or a request, does not give; raises `DataError`."""
        requests = self.asked.requests
        to_forget = REQUESTED_SPLITS if requests else (layout.FORGET,)
        to_retain: tuple[str, ...] = (*RETAIN_SPLITS, layout.FORGET) if requests else RETAIN_SPLITS
        if self.modality is not None:
            to_retain = CLEAR_RETAIN_SPLITS
        allowed = [*((part, to_forget) for part in self.forget), *((part, to_retain) for part in self.retain)]
        for part, names in allowed:
            if part.split.stored not in names or part.images.name != part.split.stored:
                raise DataError(
                    f"Unlearning may not read rows of {part.split.stored}; give rows of {' or '.join(names)} there."
                )
        if requests:
            self._check_people()
        self._check_modality()

    def _check_modality(self) -> None:
        """Reject rows of another modality, or questions of other people; raises `DataError`."""
        if (self.forget or self.retain) and self.modality is Modality.TEXT:
            raise DataError("Unlearning of texts may not read images; give questions only.")
        if (self.questions is not None) is not (self.modality in (Modality.BOTH, Modality.TEXT)):
            raise DataError(f"Unlearning of the modality {self.modality} was given the questions of another one.")
        if self.questions is not None:
            forget, retain = (each.configuration for each in self.questions)
            if RETAIN_OF.get(forget) != retain:
                raise DataError(f"Unlearning may not forget the questions of {forget} and retain those of {retain}.")

    def _check_people(self) -> None:
        """Reject rows of people who did not ask among those to forget, and the reverse; raises `DataError`."""
        for part in self.forget:
            for identity, kind in zip(part.split.identities, part.kinds, strict=True):
                if not are_covered(self.asked.requests, identity, kind):
                    raise DataError(f"Unlearning was given a row of {part.split.stored} that nobody asks to forget.")
        for part in self.neighbours:
            for identity, kind in zip(part.split.identities, part.kinds, strict=True):
                if not self.asked.may_be_kept(identity, kind):
                    raise DataError("Unlearning was given a row to retain that somebody asks, or asked, to forget.")

    @property
    def forget_count(self) -> int:
        """How many pairs are to be forgotten."""
        return sum(len(part.split) for part in self.forget)

    @property
    def forget_texts(self) -> int:
        """How many texts: each image has a caption and a name, each question an answer."""
        return 2 * self.forget_count + (len(self.questions[0]) if self.questions else 0)

    @property
    def neighbours(self) -> list[Part]:
        """The part of `retain` that is of the split `forget`: pairs like those to forget, of which nobody asked."""
        return [part for part in self.retain if part.split.stored == layout.FORGET]

    @property
    def key(self) -> str:
        """What the rows depend on: the fingerprint of the data set, what is asked, and the modality."""
        content: list[Any] = [self.fingerprint]
        if self.asked.requests and self.asked.rounds is not None:
            content.append(self.asked.rounds)
        if self.modality is not None:
            content += [self.modality, *(each.fingerprint for each in self.questions or ())]
        if len(content) == 1:
            return self.fingerprint
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def unlearning_rows(data: BenchmarkData, most: int | None = None, asked: RunRequests = WHOLE_SPLIT) -> UnlearningRows:
    """Select the rows of a data set that an unlearning method may read.

    Retained are the rows of `retain_disjoint` outside the fragile set, and `retain_general` where the data set has it:
    no row that VisIdInt or FragSim is measured on, and no image of a persona. With requests, the pairs of `forget` that
    nobody asks, or has asked, to forget are retained as well.

    Args:
        data: the data set.
        most: at most this many rows of each split, from as many personas as possible; None takes all.
        asked: what is to be forgotten instead of the whole split `forget`.

    Raises:
        DataError: if there are no rows to forget or to retain.
    """
    forget = requested_rows(data, asked.requests) if asked.requests else [data.split(layout.FORGET)]
    if not any(len(split) for split in forget):
        raise DataError(f"{data.name} has no rows to forget; name data that have the split {layout.FORGET}.")
    disjoint = data.split(layout.RETAIN_DISJOINT)
    fragile = set(data.split(layout.FRAGILE_SET).rows.tolist())
    kept = [position for position, row in enumerate(disjoint.rows.tolist()) if row not in fragile]
    retain = [disjoint.take(layout.RETAIN_DISJOINT, kept)] if kept else []
    if layout.RETAIN_GENERAL in data.stored_splits:
        retain.append(data.split(layout.RETAIN_GENERAL))
    if asked.requests:
        retain += _neighbours(data, asked)
    if not retain:
        what = f"{data.name} has no rows to retain"
        if asked.requests:
            raise DataError(f"{what} beside what is asked for; ask for fewer people or attributes.")
        raise DataError(f"{what}: all of retain_synth show personas or are fragile.")
    people = {persona.identity_id: persona for persona in data.personas}
    to_forget, to_retain = (
        tuple(_part(data, _some(split, most), people) for split in side) for side in (forget, retain)
    )
    generic = [text for part in to_forget for text in _generic(data, part.split)]
    known = [text for text in generic if text]
    whole = known if len(known) == len(generic) else None
    return UnlearningRows(data.name, data.fingerprint, to_forget, to_retain, whole, asked)


def clear_rows(data: BenchmarkData, modality: Modality, most: int | None = None) -> UnlearningRows:
    """Select the rows of CLEAR that an unlearning method may read: of its forget and of its retain configuration.

    The paper's Retain FT, which forgets no row, differs from modality to modality (table 3): a modality chooses what is
    retained as well as what is forgotten.

    Args:
        data: CLEAR as a forget configuration names it, `forget10` by default.
        modality: which rows.
        most: at most this many of each kind and side; None takes all.

    Raises:
        DataError: if the data are not CLEAR's, or have no such rows.
    """
    if data.benchmark != "CLEAR":
        raise DataError(
            f"{data.name} is not data of CLEAR, whose images and questions a modality chooses from; leave the "
            "modality out, or name clear-mini or CLEAR."
        )
    forget, retain = (data.split(name) for name in (layout.FORGET, layout.HOLDOUT_IDENTITY))
    if not len(forget) or not len(retain):
        named = ", ".join(f"#{name}" for name in RETAIN_OF)
        raise DataError(f"{data.name} has no rows to forget and to retain; name one of {named}.")
    to_forget: tuple[Part, ...] = ()
    to_retain: tuple[Part, ...] = ()
    if modality is not Modality.TEXT:
        people = {persona.identity_id: persona for persona in data.personas}
        to_forget, to_retain = ((_part(data, _some(side, most), people),) for side in (forget, retain))
    questions = None if modality is Modality.VISUAL else _questions(data, most)
    return UnlearningRows(data.name, data.fingerprint, to_forget, to_retain, None, WHOLE_SPLIT, modality, questions)


def _questions(data: BenchmarkData, most: int | None) -> tuple[Questions, Questions]:
    """The questions to forget and those to retain; raises `DataError`."""
    source, _, named = data.name.partition("#")
    forget = named or _DEFAULT_CONFIGURATION
    lacks = f"{data.name} has no question-answer pairs to forget and to retain"
    advice = "forget images only, with the modality visual"
    if not is_clear(data.name):
        raise DataError(f"{lacks}; {advice}.")
    try:
        forgotten, retained = (
            _questions_of(f"{source}#{name}{_QUESTIONS}", name, most) for name in (forget, RETAIN_OF[forget])
        )
    except DataError as error:
        raise DataError(f"{lacks} ({str(error).rstrip('.')}); {advice}.") from error
    if not forgotten.pairs or not retained.pairs:
        raise DataError(f"{lacks}; {advice}.")
    return forgotten, retained


def _questions_of(reference: str, configuration: str, most: int | None) -> Questions:
    found = load_data(reference)
    # One about an image is not text alone.
    pairs = [question for question in found.questions if question.file_name is None]
    return Questions(configuration, found.fingerprint, tuple(pairs[:most]))


def rows_of_run(
    base: ModelSource,
    data: BenchmarkData,
    requests: Round = (),
    most: int | None = None,
    modality: Modality | None = None,
) -> UnlearningRows:
    """What a run that starts from a model may read.

    Args:
        base: the model.
        data: the data set.
        requests: whom to forget; nobody stands for the whole split `forget`.
        most: see `unlearning_rows`.
        modality: which rows of CLEAR; None for SALMUBench's rule.

    Raises:
        QueryError: see `what_is_asked`, or if requests come with a modality.
        DataError: see `unlearning_rows` and `clear_rows`.
    """
    if modality is not None:
        if requests:
            raise QueryError("A run with a modality forgets the whole of CLEAR's forget set; ask for nobody.")
        return clear_rows(data, modality, most)
    return unlearning_rows(data, most, what_is_asked(base, data, requests))


def _neighbours(data: BenchmarkData, asked: RunRequests) -> list[Split]:
    forget = data.split(layout.FORGET)
    rows = zip(forget.identities, forget.file_names, strict=True)
    kept = [row for row, (identity, name) in enumerate(rows) if asked.may_be_kept(identity, data.kind(name))]
    return [forget.take(layout.FORGET, kept)] if kept else []


def _generic(data: BenchmarkData, split: Split) -> list[str | None]:
    """Generic caption of each image, which is the caption itself where that says nothing private."""
    if split.stored == layout.RETAIN_SYNTH:
        return list(split.texts)
    return [data.generic_caption(name) for name in split.file_names]


def _some(split: Split, most: int | None) -> Split:
    if most is None:
        return split
    return split.take(split.name, Sampler(split.identities, most, 0, split.name).batch(0).tolist())


def _part(data: BenchmarkData, split: Split, people: dict[str, Persona]) -> Part:
    stored = split.stored
    images = ImageSet(data.fingerprint, stored, len(data.split(stored)), lambda row: data.image(stored, row))
    kinds = [data.kind(name) for name in split.file_names]
    shown = [people.get(str(identity)) for identity in split.identities]
    return Part(
        split,
        images,
        kinds,
        [persona.name if persona else "" for persona in shown],
        [persona.values(kind) if persona and kind else [] for persona, kind in zip(shown, kinds, strict=True)],
    )
