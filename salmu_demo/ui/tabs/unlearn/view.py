"""What the Unlearn tab shows of methods, runs and the models they made; no component is touched here."""

import math
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from markupsafe import Markup

from salmu_demo.core.errors import ResultError, SalmuError
from salmu_demo.core.files import atomic_path
from salmu_demo.core.markup import render
from salmu_demo.core.progress import ProgressCallback, ignore_progress
from salmu_demo.core.settings import on_space
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.jobs.job import Job, JobState
from salmu_demo.jobs.kinds.unlearning import UNLEARN, UnlearningSpec, read_readings
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.configuration import CONFIG_FILE
from salmu_demo.models.lineage import rounds_of
from salmu_demo.models.made import made_folder, made_in
from salmu_demo.models.names import distinct_names
from salmu_demo.models.roles import CLEAN, Told
from salmu_demo.probes.persistence import Persistence
from salmu_demo.reports.requests import (
    EFFECTS,
    STANDINGS,
    asked_sentences,
    effect_lines,
    hurt_sentences,
    standing_lines,
)
from salmu_demo.ui.jobs.page import JobPages
from salmu_demo.ui.shell.view import PagePersonas
from salmu_demo.ui.shell.visitor_files import visitor_files
from salmu_demo.ui.tabs.models.view import cards_html, model_card
from salmu_demo.ui.tabs.unlearn import text
from salmu_demo.ui.widgets.images import Portraits
from salmu_demo.ui.widgets.markup import empty_state, notice, rank_text
from salmu_demo.unlearning.training_metrics import (
    BEST,
    AnyReading,
    RunOutcome,
    RunStanding,
    TextMetrics,
    TrainingMetrics,
    best_reading,
)
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.requests import follow_requests, line_before

LINES: Final = (("forget_side", "Forget", "●"), ("retain_side", "Retain", "■"), ("unrelated_side", "Unrelated", "▲"))
"""Class in the style sheet, name and marker of the curve of each of a reading's sides."""

FIRST_RANK: Final = 1.5
"""First, alone or tied with one other."""

BEST_SHARE: Final = 0.1

_WIDTH, _HEIGHT = 440, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 8, 34

_OUTCOMES: Final[dict[RunOutcome, tuple[str, RunOutcome, str]]] = {
    outcome: (icon, outcome, css)
    for outcome, icon, css in (
        (RunOutcome.DAMAGES, "⚠", "leaks"),
        (RunOutcome.FORGETS_LITTLE, "✗", "partly"),
        (RunOutcome.FORGETS, "✓", "forgotten"),
    )
}
"""Icon, words and colour of each outcome."""


def method_card(title: str, idea: str, citation: str, needs: Sequence[str]) -> Markup:
    """A method in a few lines: its title, one-line idea, citation, and what it has to be given."""
    facts = f"{citation}. Needs {', '.join(needs)}."
    return render("ui/templates/unlearn.html#method", title=title, idea=idea, facts=facts)


@dataclass(frozen=True)
class _Watched:
    """A persona that is looked at with each reading; an image is shown if the data is at hand."""

    identity: str
    shown: bool
    address: str | None
    standing: tuple[str, str, str]
    rank: str
    way: str


def live_view(
    readings: Sequence[AnyReading],
    budget: int,
    people: PagePersonas,
    portrait: Callable[[str], str | None] | None,
    keep_best: bool = False,
) -> Markup:
    """What a run has found out so far; nothing before its first reading.

    Args:
        readings: in the order of their steps.
        budget: forget pairs, or texts, of the whole run.
        people: names of the personas.
        portrait: address of a persona's image; None if the run is on other data than the page.
        keep_best: whether the run keeps its best checkpoint, which is then what is shown of it.
    """
    if not readings:
        return Markup()
    first, last, kept = readings[0], readings[-1], ""
    model = last
    if keep_best and len(readings) > 1:
        model = best_reading(readings)
        kept = text.KEPT_SO_FAR.format(pairs=model.forget_pairs, rule=BEST)
    standing, units = RunStanding.of(first, model), _units(last)
    shares = [
        (standing.forgotten, f"of the way to unrelated {units}"),
        (standing.kept, f"of the retain {last.quantity} kept"),
    ]
    (forget_first, retain_first, _), (forget_last, retain_last, unrelated) = first.sides, last.sides
    sentence = (text.CURVE_OF_TEXTS if isinstance(last, TextMetrics) else text.CURVE).format(
        forget_first=forget_first,
        forget_last=forget_last,
        retain_first=retain_first,
        retain_last=retain_last,
        unrelated=unrelated,
    )
    watched = model if isinstance(model, TrainingMetrics) else None
    return render(
        "ui/templates/unlearn.html#run",
        standing=_OUTCOMES[standing.outcome],
        shares=[(f"{share:.0%}", what) for share, what in shares if share is not None],
        curves=curve_svg(readings, budget, sentence),
        sentence=sentence,
        header=(f"Forget {units}", *map(_head, last.curves)),
        readings=[
            (f"{reading.forget_pairs:,}", *(f"{getattr(reading, name):.3f}" for name in reading.curves))
            for reading in readings
        ],
        proviso=text.NO_DIAGNOSIS_OF_TEXTS if isinstance(last, TextMetrics) else text.NO_DIAGNOSIS,
        kept=kept,
        about=text.PERSONAS.format(candidates=watched.candidates) if watched else "",
        personas=[
            _Watched(
                identity=persona,
                shown=portrait is not None,
                address=portrait(persona) if portrait else None,
                standing=_standing(rank, watched.candidates),
                rank=rank_text(rank, watched.candidates),
                way=_way(readings, persona),
            )
            for persona, rank in watched.persona_ranks.items()
        ]
        if watched
        else [],
        people=people,
    )


def _head(curve: str) -> str:
    """The head of a column.

    >>> _head("forget_mrr"), _head("retain_probability")
    ('Forget MRR', 'Retain probability')
    """
    return curve.replace("_", " ").capitalize().replace("mrr", "MRR")


def _units(reading: AnyReading) -> str:
    """What a run's budget counts."""
    return "texts" if isinstance(reading, TextMetrics) else "pairs"


def _standing(rank: float, candidates: int) -> tuple[str, str, str]:
    """Where a persona's own caption stands among all: icon, words and colour."""
    if rank <= FIRST_RANK:
        return "✗", "first", "leaks"
    return ("◐", "best tenth", "partly") if rank <= BEST_SHARE * candidates else ("✓", "further down", "forgotten")


def _way(readings: Sequence[AnyReading], persona: str) -> str:
    """The ranks of a persona from reading to reading, each once as long as it stays."""
    ranked = [reading.persona_ranks for reading in readings if isinstance(reading, TrainingMetrics)]
    ranks = [ranks[persona] for ranks in ranked if persona in ranks]
    changes = [f"{rank:g}" for rank, _ in groupby(ranks)]
    return f"Rank {changes[0]} at every reading" if len(changes) == 1 else f"Rank {' → '.join(changes)}"


@dataclass(frozen=True)
class _Curve:
    """One curve: its class in the style sheet, what it is, its marker, and where its points are."""

    name: str
    title: str
    marker: str
    points: Sequence[tuple[float, float]]


def curve_svg(readings: Sequence[AnyReading], budget: int, sentence: str) -> Markup:
    """The curves over the budget, with their legend; `sentence` is what a screen reader says instead."""
    values, units = [value for reading in readings for value in reading.sides], _units(readings[0])
    low, high = math.floor(10 * min(0.0, *values)) / 10, math.ceil(10 * max(0.1, *values)) / 10
    step = 0.1 if high - low <= 0.5 else 0.2

    def across(pairs: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, pairs / budget)

    def down(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low)

    ticks = [low + number * step for number in range(round((high - low) / step) + 1)]
    places = ((0, "middle"), (budget // 2, "middle"), (budget, "end"))
    return render(
        "ui/templates/unlearn.html#curves",
        sentence=sentence,
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        ticks=[(f"{tick:.1f}", down(tick)) for tick in ticks],
        places=[(f"{pairs:,}", across(pairs), anchor) for pairs, anchor in places],
        units=units,
        lines=[
            _Curve(name, f"{title} {units}", marker, [(across(r.forget_pairs), down(r.sides[side])) for r in readings])
            for side, (name, title, marker) in enumerate(LINES)
        ],
    )


@dataclass(frozen=True)
class MadeModel:
    """A model that a job made.

    Attributes:
        reference: of the model.
        base: of the model it was made from.
        facts: markup of what its files tell.
        card: its model card, as Markdown.
        watched: who was asked to be forgotten, or was watched while it trained; None if the page knows nobody of them.
        was_asked: whether it, or a model that it was made from, was asked to forget single people of the page's data.
    """

    reference: str
    base: str
    facts: str
    card: str
    watched: str | None
    was_asked: bool


def followed_view(data: BenchmarkData, found: Persistence) -> Markup:
    """What became of the requests that runs were asked for, one after another."""
    names = distinct_names(found.models)
    return render(
        "ui/templates/unlearn.html#followed",
        asked=asked_sentences(data, found, names),
        tables=[(STANDINGS, *standing_lines(found, names)), (EFFECTS, *effect_lines(found))],
        hurt=hurt_sentences(found),
    )


class UnlearnPages(JobPages):
    """Makes the tab's content."""

    def __init__(self, workbench: Workbench, manager: JobManager) -> None:
        super().__init__(manager, UNLEARN, empty_state(text.EMPTY_TITLE, text.EMPTY))
        self._workbench = workbench
        self._people = PagePersonas(workbench.data.personas)
        self._portraits = Portraits(workbench.data)

    def live(self, job: Job) -> Markup:
        """The readings of a run as curves and persons."""
        if not isinstance(job.spec, UnlearningSpec):
            return Markup()
        readings = read_readings(self._manager.folder(job.id))
        here = job.spec.data == self._workbench.data.name
        people = self._people if here else PagePersonas()
        asked = job.spec.unlearning
        return live_view(readings, asked.budget, people, self._portraits.portrait if here else None, asked.keep_best)

    def can_keep(self, job: Job) -> bool:
        """Whether a run has come to a checkpoint, which every reading but the first goes with."""
        return job.state is JobState.RUNNING and len(read_readings(self._manager.folder(job.id))) > 1

    def has_results(self, job: Job) -> bool:
        """Whether a run has left a model, whole or kept when it was cancelled."""
        return job.state.over and bool(made_in(self._manager.folder(job.id)))

    def made(self, job_id: str) -> MadeModel:
        """The model a job made.

        Raises:
            JobError: if there is no such job.
            ResultError: if its model is gone.
        """
        job = self._manager.job(job_id)
        found = made_in(self._manager.folder(job_id))
        if not found:
            raise ResultError("The model of this job is gone; make it again.")
        [reference] = found
        kept = Markup() if job.state is JobState.DONE else notice(text.KEPT)
        facts = cards_html([model_card(self._workbench, reference, [reference])])
        card = card_markdown(_card(made_folder(reference)))
        is_whole = (made_folder(reference) / CONFIG_FILE).is_file()
        push = text.PUSH.format(reference=reference) if is_whole and not on_space() else ""
        (model,) = self._workbench.models([reference])
        was_asked = any(rounds_of(model, self._workbench.data.fingerprint) or ())
        return MadeModel(reference, job.spec.models[0], kept + facts, card + push, self._watched(job), was_asked)

    def followed(
        self, job_id: str, listed: Sequence[str], told: Told, progress: ProgressCallback = ignore_progress
    ) -> Markup:
        """What became of the requests that the model of a job, and those that it was made from, were asked for.

        Args:
            job_id: the job.
            listed: references of the models that the visitor has, among which its line is looked for.
            told: which of them are said to be the references.
            progress: told about what has to be encoded.

        Raises:
            SalmuError: if a model of the line is not among them, or is unusable.
        """
        made = self.made(job_id)
        known = []
        for reference in dict.fromkeys([*listed, made.base]):
            with suppress(SalmuError):  # One that is gone is missed only if it is of the line.
                known += self._workbench.models([reference])
        (model,) = self._workbench.models([made.reference])
        clean = [each for each in known if told.clean in (None, each.reference) and each.own_role.name == CLEAN]
        models = list({each.fingerprint: each for each in [*clean, *line_before(model, known), model]}.values())
        told = told.among([each.reference for each in models])
        return followed_view(self._workbench.data, follow_requests(self._workbench, models, told, progress))

    def _watched(self, job: Job) -> str | None:
        readings = read_readings(self._manager.folder(job.id))
        asked = job.spec.unlearning.forget if isinstance(job.spec, UnlearningSpec) else ()
        watched = [
            i for reading in readings[-1:] if isinstance(reading, TrainingMetrics) for i in reading.persona_ranks
        ]
        people = [*(request.partition(":")[0] for request in asked), *watched]
        return next((identity for identity in people if self._people.name(identity) is not None), None)

    @contextmanager
    def packed(self, job_id: str) -> Iterator[Path]:
        """The model a job made, as a ZIP of its folder that is gone after the block; raises as `made`.

        Raises:
            StorageError: if there is no room.
        """
        folder = made_folder(self.made(job_id).reference)
        with TemporaryDirectory(dir=visitor_files().private) as place:
            archive = Path(place) / f"{folder.name}.zip"
            # Weights hardly get smaller.
            with atomic_path(archive, "The packed model") as path, zipfile.ZipFile(path, "w") as packing:
                for file in sorted(entry for entry in folder.iterdir() if entry.is_file()):
                    packing.write(file, f"{folder.name}/{file.name}")
            yield archive

    def made_by(self, own: list[str]) -> list[str]:
        """References of the models that a visitor's jobs made."""
        return [
            reference
            for job in self._known(own)
            if job.spec.kind == UNLEARN and job.state.over
            for reference in made_in(self._manager.folder(job.id))
        ]


def card_markdown(card: str) -> str:
    """A model card without its front matter, its title one of a section.

    >>> card_markdown("---\\nlicense: mit\\n---\\n\\n# npo-1\\n\\nText.\\n")
    '### npo-1\\n\\nText.\\n'
    """
    body = card.split("---\n", 2)[-1].lstrip() if card.startswith("---\n") else card
    return f"##{body}" if body.startswith("# ") else body


def _card(folder: Path) -> str:
    try:
        return (folder / "README.md").read_text("utf-8")
    except OSError as error:
        raise ResultError(f"The card of {folder.name} cannot be read: {error.strerror or error}.") from error
