"""Free search with several models: what was asked, what came back, and the same as files."""

import csv
import io
import json
import threading
import weakref
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from salmu_demo.core.errors import QueryError, SalmuError
from salmu_demo.core.notices import MINI_NOTICE, SCORES_NOTICE
from salmu_demo.core.progress import ProgressCallback, ignore_progress
from salmu_demo.core.text import csv_text
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.data.layout import KINDS
from salmu_demo.features.pixels import VisitorImage
from salmu_demo.models.names import distinct_names
from salmu_demo.models.roles import NOTHING_TOLD, OTHER, ModelRole, Told, assign_roles
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.gallery import GALLERIES, Content
from salmu_demo.probes.open_retrieval import Retrieval
from salmu_demo.workbench.bench import Workbench

MAX_K: Final = 50
MAX_TEXT: Final = 500
MAX_IMAGE_BYTES: Final = 64_000_000
"""What the images of all visitors may take in memory: some 400 at 224 x 224 pixels."""


@dataclass(frozen=True)
class Query:
    """What is searched for: a text, or the image of a visitor, which lives in this object only."""

    text: str = ""
    image: VisitorImage | None = None

    @property
    def title(self) -> str:
        """The query in words."""
        return "your image" if self.image is not None else f"“{self.text.strip()}”"


class KeptImages:
    """Visitors' images at the models' input sizes: those unused for longest are dropped when all take too much.

    An image is owned by the state of its page, so that it is gone when the visitor gives another one, forgets it, or
    leaves; here is only known which ones there are.
    """

    def __init__(self, budget: int = MAX_IMAGE_BYTES) -> None:
        self._budget = budget
        self._known: OrderedDict[int, weakref.ref[VisitorImage]] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, image: VisitorImage) -> None:
        """Reduce an image that was searched with, and note that it was used."""
        image.reduce()
        with self._lock:
            self._known[id(image)] = weakref.ref(image)
            self._known.move_to_end(id(image))
            living = {key: kept for key, known in self._known.items() if (kept := known()) is not None}
            total = sum(kept.kept_bytes for kept in living.values())
            for key, kept in list(living.items()):
                if total <= self._budget:
                    break
                total -= kept.kept_bytes
                kept.drop()
                del living[key]
            self._known = OrderedDict((key, self._known[key]) for key in living)


@dataclass(frozen=True)
class Settings:
    """Where is searched, and how many results are wanted."""

    content: Content
    gallery: str
    k: int


@dataclass(frozen=True)
class Column:
    """What one model answered: results, or the sentence that says why there are none; and what it is to the others."""

    name: str
    retrieval: Retrieval | None
    error: str = ""
    role: ModelRole = OTHER


@dataclass(frozen=True)
class SearchAnswer:
    """The answers of all models to one query.

    Attributes:
        query: what was searched for.
        settings: where.
        columns: one for each model, in the order they were chosen.
        named: personas that the text names or gives a private value of.
        data: the data set.
    """

    query: Query
    settings: Settings
    columns: tuple[Column, ...]
    named: tuple[Persona, ...]
    data: BenchmarkData

    @property
    def models(self) -> list[ModelSource]:
        """Models that answered."""
        return [column.retrieval.model for column in self.columns if column.retrieval is not None]


def settings_of(content: str, gallery: str, k: float | None) -> Settings:
    """Settings from the values of the controls; raises `QueryError` for anything the page does not offer."""
    if content not in ("captions", "faces"):
        raise QueryError(f"There is nothing called {content!r} to search in; choose captions or faces.")
    if gallery not in GALLERIES:
        raise QueryError(f"There is no gallery {gallery!r}; choose one of {', '.join(GALLERIES)}.")
    if k is None or not 1 <= k <= MAX_K:
        raise QueryError(f"Choose a number of results between 1 and {MAX_K}.")
    return Settings("captions" if content == "captions" else "faces", gallery, int(k))


def search(
    workbench: Workbench,
    references: Sequence[str],
    query: Query,
    settings: Settings,
    progress: ProgressCallback = ignore_progress,
    told: Told = NOTHING_TOLD,
) -> SearchAnswer:
    """Ask all models; one that fails gets a column with its error and does not hide the others.

    Changes are measured against the model that is Clean, by `told` or else by its card or name.

    Raises:
        QueryError: if no model is chosen or the query is empty or too long.
        ImageError: if the image is no longer kept.
    """
    if not references:
        raise QueryError("No model is chosen; choose at least one at the top of the page.")
    if query.image is None and not query.text.strip():
        raise QueryError("The query is empty; type a text, for example a name or a phone number.")
    if len(query.text) > MAX_TEXT:
        raise QueryError(f"The query has {len(query.text):,} characters; {MAX_TEXT} are read.")
    ready: dict[str, ModelSource] = {}
    errors: dict[str, str] = {}
    for reference in dict.fromkeys(references):
        try:
            ready[reference] = _prepared(workbench, reference, query.image, settings, progress)
        except SalmuError as error:
            errors[reference] = str(error)
    models, k = list(ready.values()), settings.k
    named = named_personas(workbench.data, query.text)
    if query.image is None:
        whose = [persona.identity_id for persona in named]
        found = workbench.retrieve_for_text(query.text, models, settings.gallery, k, settings.content, told, whose)
    else:
        found = workbench.retrieve_for_image(query.image, models, settings.gallery, k, settings.content, told)
    columns = {reference: Column(reference, None, error) for reference, error in errors.items()}
    roles = assign_roles(models, told).roles
    for reference, name, retrieval, role in zip(ready, distinct_names(models), found, roles, strict=True):
        columns[reference] = Column(name, retrieval, role=role)
    in_order = tuple(columns[reference] for reference in dict.fromkeys(references))
    return SearchAnswer(query, settings, in_order, named, workbench.data)


def _prepared(
    workbench: Workbench,
    reference: str,
    image: VisitorImage | None,
    settings: Settings,
    progress: ProgressCallback,
) -> ModelSource:
    """The model, loaded and with features of the gallery, which take minutes the first time."""
    (model,) = workbench.models([reference])
    # A model that does not load, or cannot look at the image, is refused before its features are looked for.
    with workbench.embedder.encoders.lend(model) as encoder:
        if image is not None:
            image.pixels(encoder)
    view = workbench.view(model, progress)
    for split in GALLERIES[settings.gallery]:
        view.captions(split) if settings.content == "captions" else view.images(split)
    return model


def named_personas(data: BenchmarkData, text: str) -> tuple[Persona, ...]:
    """Personas whose name the text holds, or a private value that nobody else has (so not a city or a blood type)."""
    wanted = text.casefold()
    if not wanted.strip():
        return ()
    values = {
        persona.identity_id: {value.casefold() for kind in KINDS for value in persona.values(kind)}
        for persona in data.personas
    }
    owners = Counter(value for own in values.values() for value in own)
    return tuple(
        persona
        for persona in data.personas
        if persona.name.casefold() in wanted
        or any(owners[value] == 1 and len(value) >= 6 and value in wanted for value in values[persona.identity_id])
    )


def answer_document(answer: SearchAnswer) -> dict[str, Any]:
    """The answer for a JSON file; a visitor's image is not in it."""
    data, settings = answer.data, answer.settings
    people = {persona.identity_id: persona.name for persona in data.personas}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "revision": data.revision,
            "notice": MINI_NOTICE if data.is_mini else None,
        },
        "query": {"kind": "text", "text": answer.query.text.strip()}
        if answer.query.image is None
        else {"kind": "image"},
        "searched": settings.content,
        "gallery": settings.gallery,
        "k": settings.k,
        "named_personas": [persona.identity_id for persona in answer.named],
        "models": [_column_document(column, people) for column in answer.columns],
        "notice": SCORES_NOTICE,
    }


def _column_document(column: Column, people: dict[str, str]) -> dict[str, Any]:
    if column.retrieval is None:
        return {"name": column.name, "error": column.error}
    retrieval = column.retrieval
    return {
        "name": column.name,
        "fingerprint": retrieval.model.fingerprint,
        "role": column.role.name,
        "role_from": column.role.origin,
        "gallery_size": retrieval.gallery_size,
        "recall": retrieval.recall,
        "results": [
            {
                "rank": result.rank,
                "score": result.score,
                "change_to_clean": result.change,
                "shared_by_all": result.shared,
                "text": result.item.text,
                "identity_id": result.item.identity,
                "persona": people.get(result.item.identity or ""),
                "split": result.item.split,
                "file_name": result.item.file_name,
            }
            for result in retrieval.results
        ],
    }


def answer_json(answer: SearchAnswer) -> str:
    """The answer as a JSON file."""
    return json.dumps(answer_document(answer), ensure_ascii=False, indent=1) + "\n"


def answer_csv(answer: SearchAnswer) -> str:
    """The answer as a CSV file: one line for each result of each model, safe to open in a spreadsheet."""
    buffer = io.StringIO()
    fields = ["rank", "score", "change_to_clean", "shared_by_all", "text", "identity_id", "persona", "split",
              "file_name"]  # fmt: skip
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["model", *fields])
    for model in answer_document(answer)["models"]:
        for result in model.get("results", []):
            cells = ("" if result[field] is None else result[field] for field in fields)
            writer.writerow([csv_text(v) if isinstance(v, str) else v for v in (model["name"], *cells)])
    return buffer.getvalue()
