"""What the command line and the app have in common: loaded data, shared models, indexed galleries, and the questions.

Everything is loaded once and shared; all methods may be called from several threads.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from salmu_demo.core.executor import Executor
from salmu_demo.core.memory import size_of
from salmu_demo.core.progress import ProgressCallback, ignore_progress
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.sample import Sample
from salmu_demo.data.source import MINI, load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.pixels import VisitorImage
from salmu_demo.features.view import FeatureView
from salmu_demo.hub.alone import asks_nobody
from salmu_demo.hub.reference import model_on_hub
from salmu_demo.metrics import Metric
from salmu_demo.models.profile import ModelProfile, profile
from salmu_demo.models.references import find_model, find_models
from salmu_demo.models.roles import CLEAN, NOTHING_TOLD, ModelRole, Told, find_reference, role_by_name
from salmu_demo.models.said import split_said
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.attacks import HEADLINE, find_attack
from salmu_demo.probes.author_findings import AuthorFinding, AuthorReading, captions_of, judge_author, read_author
from salmu_demo.probes.authors import Authors
from salmu_demo.probes.findings import AuditCell, Auditor
from salmu_demo.probes.gallery import GALLERIES, Content, Gallery, SearchableGallery
from salmu_demo.probes.index import check_k
from salmu_demo.probes.matrix import Matrix, matrices
from salmu_demo.probes.model_change import ModelChange, measure_change
from salmu_demo.probes.open_retrieval import Retrieval, compare_retrieval, mean_query
from salmu_demo.probes.people import SIDES, persona_features
from salmu_demo.probes.shipped import ShippedReadings, read_shipped, shipped_folder
from salmu_demo.probes.shipped_authors import read_authors
from salmu_demo.probes.survey import Survey, survey
from salmu_demo.results.evaluation import choose_metrics, evaluate
from salmu_demo.results.inputs import MetricInputs
from salmu_demo.results.kept import KeptMetrics
from salmu_demo.results.records import Evaluation
from salmu_demo.results.shipped import of_metrics, read_evaluation
from salmu_demo.results.spread import spread
from salmu_demo.results.workload import Workload

MOST_MODELS: Final = 1000
"""Models that a workbench remembers by name."""


@dataclass(frozen=True)
class _KnownModel:
    """A model that was found, and what was told about it."""

    model: ModelSource
    architecture: str | None
    trusted: bool


class Workbench:
    """One data set and the models that are looked at on it."""

    def __init__(self, data: str | BenchmarkData = MINI, embedder: Embedder | None = None) -> None:
        """Load the data set, unless it is loaded already.

        Raises:
            DataError: if it cannot be loaded.
        """
        self.data: BenchmarkData = load_data(data) if isinstance(data, str) else data
        self.embedder = embedder or Embedder()
        self._memory = self.embedder.encoders.memory
        self._data_key = object()  # not the data's id, which another data set has after this one is gone
        self._known: OrderedDict[str, _KnownModel] = OrderedDict()
        self._lock = threading.Lock()
        self.auditor = Auditor(self.data, self._once, self._shipped)

    def beside(self, data: str) -> "Workbench":
        """Another data set with the same models: what was found, told and loaded for one holds for both.

        Raises:
            DataError: if it cannot be loaded.
        """
        other = Workbench(data, self.embedder)
        other._known, other._lock = self._known, self._lock
        return other

    def view(self, model: ModelSource, progress: ProgressCallback = ignore_progress) -> FeatureView:
        """The features of a model on the data set."""
        return FeatureView(model, self.data, self.embedder, progress)

    def models(
        self, references: Sequence[str], architecture: str | None = None, trust_pickle: bool = False
    ) -> list[ModelSource]:
        """Find models by reference, see `find_models`; raises `ModelError`.

        A model that was found before is the same object, so that its weights are not hashed again; an architecture or
        trust that was given once holds for later calls, until `MOST_MODELS` others have been found.
        """
        found = find_models(
            references, architecture, lambda reference, chosen: self._model(reference, chosen, trust_pickle)
        )
        # Two references may mean one model, such as a short name and its repository.
        return list({model.reference: model for model in found}.values())

    def own_role(self, reference: str) -> ModelRole:
        """The role of a model by its card, if it was found before, or else by its name."""
        found = self._by_reference().get(reference)
        return role_by_name(reference) if found is None else found.own_role

    def twin_remarks(self, model: ModelSource, visible: Collection[str] | None = None) -> list[str]:
        """A sentence if other models found so far have the same weights; those that were never loaded are left out.

        Args:
            model: the model.
            visible: references that may be named, or None for all: a visitor must not learn of another's private model.
        """
        facts = self.embedder.known_facts(model)
        twins = [
            other.reference
            for other in self._by_reference().values()
            if facts is not None
            and other.reference != model.reference
            and (visible is None or other.reference in visible)
            and (known := self.embedder.known_facts(other)) is not None
            and known.weights_digest == facts.weights_digest
        ]
        return [f"{model.reference} has the same weights as {', '.join(twins)}."] if twins else []

    def profile(self, model: ModelSource) -> ModelProfile:
        """Facts about a model's files; raises `ModelError`."""
        key = ("profile", model.reference, model.fingerprint)
        known: ModelProfile = self._once(key, lambda: profile(model))
        return known

    def model_change(
        self, model: ModelSource, against: ModelSource, split: str, progress: ProgressCallback = ignore_progress
    ) -> ModelChange:
        """What changed between two models, see `measure_change`; raises `SalmuError`."""
        key = ("change", model.fingerprint, against.fingerprint, split)
        known: ModelChange = self._once(key, lambda: measure_change(self.view(model, progress), against, split))
        return known

    def _model(self, reference: str, architecture: str | None, trust_pickle: bool) -> ModelSource:
        with self._lock:
            known = self._known.get(reference)
        chosen = architecture or (None if known is None else known.architecture)
        trusted = trust_pickle or (known is not None and known.trusted)
        found = self._find(reference, chosen, trusted)
        with self._lock:
            # Only now: an architecture that does not fit must not be remembered.
            self._known[reference] = _KnownModel(found, chosen if found.architecture is not None else None, trusted)
            self._known.move_to_end(reference)
            if len(self._known) > MOST_MODELS:
                self._known.popitem(last=False)
        return found

    def _by_reference(self) -> dict[str, ModelSource]:
        """The models found last, by what they call themselves."""
        with self._lock:
            return {known.model.reference: known.model for known in self._known.values()}

    def _find(self, reference: str, architecture: str | None, trusted: bool) -> ModelSource:
        if model_on_hub(split_said(reference)[0]) is not None:
            # Asking the Hub takes a request; the revision stays what it was when the model was first asked for.
            hub: ModelSource = self._once(
                ("model", reference, architecture, asks_nobody()), lambda: find_model(reference, architecture)
            )
            return hub
        found = find_model(reference, architecture, trusted)
        files = [path.stat() for path in found.files]
        # A checkpoint that was saved again under the same name is another model.
        state = tuple((file.st_ino, file.st_mtime_ns, file.st_ctime_ns, file.st_size) for file in files)
        known: ModelSource = self._once(("model", reference, repr(found.config), found.card_role, state), lambda: found)
        return known

    def has_verdicts(self, model: ModelSource) -> bool:
        """Whether the verdicts of a model are shipped, so that nothing has to be computed to show them."""
        found = self._shipped_authors(model) if self.data.benchmark == "CLEAR" else self._shipped(model)
        return found is not None

    def missing_for_verdicts(self, model: ModelSource) -> Workload:
        """What has to be encoded before the verdicts about everybody are known; no model is loaded."""
        if self.has_verdicts(model):
            return Workload(0, 0)
        view, headline = self.view(model), find_attack(HEADLINE)
        images = (*layout.SENSITIVE_SPLITS, layout.NEVER_TAUGHT)
        texts = [
            text
            for people in (self.auditor.people, self.auditor.never_taught)
            for kind in self.data.kinds
            for text in headline.texts(people, kind, headline.variants[0])
        ]
        return Workload(
            sum(view.missing_images(name) for name in images if name in self.data.stored_splits),
            view.missing_prompts(texts),
        )

    def _shipped(self, model: ModelSource) -> ShippedReadings | None:
        found: ShippedReadings | None = self._once(
            ("shipped", model.fingerprint),
            lambda: read_shipped(shipped_folder(), model.fingerprint, self.auditor.people, self.auditor.never_taught),
        )
        return found

    def _shipped_authors(self, model: ModelSource) -> dict[str, AuthorReading] | None:
        found: dict[str, AuthorReading] | None = self._once(
            ("shipped authors", model.fingerprint), lambda: read_authors(shipped_folder(), model.fingerprint, self.data)
        )
        return found

    def warm(self, models: Sequence[ModelSource], progress: ProgressCallback = ignore_progress) -> None:
        """Compute everything probes need, so that they answer at once: audits first, because they need the least."""
        for model in models:
            self.warm_audit(model, progress)
        for model in models:
            self.warm_galleries(model, progress)

    def warm_audit(self, model: ModelSource, progress: ProgressCallback = ignore_progress) -> None:
        """Compute what the headline of audits with a model needs: images, sentences, and what chance does.

        On data of CLEAR it is what the model writes about everybody, or the features of a model that writes nothing.
        """
        self.embedder.facts(model)
        if self.data.benchmark == "CLEAR":
            if model.has_decoder:
                self.author_captions(model, progress)
            else:
                self.warm_galleries(model, progress)
            return
        view = self.view(model, progress)
        for name in layout.SENSITIVE_SPLITS:
            if name in self.data.stored_splits:
                self._warm_split(model, name, progress)
        headline = find_attack(HEADLINE)
        for kind in self.data.kinds:
            for variant in headline.variants:
                if headline.lacks(self.auditor.people, variant) is None:
                    for side in SIDES:
                        self.auditor.setting(view, self.auditor.people, kind, headline, variant, side)
                self.auditor.control(view, kind, headline, variant)
        self.auditor.everybody(view)

    def warm_galleries(self, model: ModelSource, progress: ProgressCallback = ignore_progress) -> None:
        """Compute what searching any gallery with a model needs."""
        for name in GALLERIES["all"]:
            if name in self.data.stored_splits:
                self._warm_split(model, name, progress)

    def _warm_split(self, model: ModelSource, name: str, progress: ProgressCallback) -> None:
        view = self.view(model, progress)
        view.images(name)
        view.captions(name)

    def audit(
        self,
        identity_id: str,
        models: Sequence[ModelSource],
        kinds: Sequence[str] | None = None,
        attacks: Iterable[str] | None = (),
        told: Told = NOTHING_TOLD,
        progress: ProgressCallback = ignore_progress,
    ) -> list[AuditCell]:
        """Audit attributes of a persona with every model: kinds in the outer order, models in the inner.

        Args:
            identity_id: the persona.
            models: the models; Clean and Compromised among them are controls of the others, by `told` or else by cards
                and names.
            kinds: attribute kinds; None for all that the persona has values and images of.
            attacks: names of the attacks that are carried out beside the headline and its variants; None reads nothing
                but what decides.
            told: which models the user says are the references.
            progress: told about every batch that has to be computed.

        Raises:
            QueryError: if there is no such persona, kind or attack.
        """
        persona = self.data.persona(identity_id)
        chosen = None if attacks is None else [find_attack(name) for name in attacks]
        views = [self.view(model, progress) for model in models]
        return self.auditor.audit(views, persona, self.auditor.kinds(persona) if kinds is None else kinds, chosen, told)

    @cached_property
    def authors(self) -> Authors:
        """The people of data of CLEAR, and what is asked about them."""
        return Authors(self.data)

    def author_captions(
        self, model: ModelSource, progress: ProgressCallback = ignore_progress
    ) -> dict[str, tuple[str, ...]]:
        """What a model with a text decoder writes about the images of everybody in data of CLEAR, by person; kept.

        Raises:
            ModelError: if it cannot write.
        """
        shipped = self._shipped_authors(model)
        if shipped is not None:
            return {identity: reading.captions or () for identity, reading in shipped.items()}
        found: dict[str, tuple[str, ...]] = self._once(
            ("captions", model.fingerprint),
            lambda: captions_of(self.view(model, progress), self.authors, list(self.authors.people)),
        )
        return found

    def author(
        self,
        identity_id: str,
        models: Sequence[ModelSource],
        told: Told = NOTHING_TOLD,
        progress: ProgressCallback = ignore_progress,
    ) -> list[AuthorFinding]:
        """What every model still says about a person of data of CLEAR, see `salmu_demo.probes.author_findings`.

        Raises:
            QueryError: if there is no such person.
            SalmuError: if a model is unusable.
        """
        self.data.persona(identity_id)
        views = [self.view(model, progress) for model in models]
        readings = [self._author_reading(view, identity_id) for view in views]
        return judge_author(views, readings, self.authors.side(identity_id), told)

    def _author_reading(self, view: FeatureView, identity_id: str) -> AuthorReading:
        shipped = self._shipped_authors(view.model)
        if shipped is not None:
            return shipped[identity_id]
        found: AuthorReading = self._once(
            ("author", view.model.fingerprint, identity_id), partial(read_author, view, self.authors, identity_id)
        )
        return found

    def survey(
        self, models: Sequence[ModelSource], progress: ProgressCallback = ignore_progress, told: Told = NOTHING_TOLD
    ) -> list[Survey]:
        """Carry the headline attack out on everybody with every model, see `salmu_demo.probes.survey`."""
        return survey(self.auditor, [self.view(model, progress) for model in models], told)

    def matrices(self, models: Sequence[ModelSource], told: Told = NOTHING_TOLD) -> list[Matrix]:
        """Everybody by attributes with every model, see `salmu_demo.probes.matrix`; kept."""
        key = ("matrices", tuple((model.fingerprint, model.reference, model.own_role) for model in models), told)
        found: list[Matrix] = self._once(key, lambda: matrices(self.auditor, [self.view(m) for m in models], told))
        return found

    def retrieve_for_persona(
        self,
        identity_id: str,
        models: Sequence[ModelSource],
        gallery: str,
        k: int,
        content: Content = "captions",
        told: Told = NOTHING_TOLD,
        progress: ProgressCallback = ignore_progress,
    ) -> list[Retrieval]:
        """Search a gallery with the mean direction of a persona's images; its own items are marked as hits.

        Changes are measured against the model that is Clean, by `told` or else by its card or name.

        Raises:
            QueryError: if there is no such persona or gallery, or `k` is out of range.
        """
        self.data.persona(identity_id)
        own = self._check(gallery, content, k).of_persona(identity_id)
        views = [self.view(model, progress) for model in models]
        queries = {view.model.fingerprint: mean_query(persona_features(view, identity_id)) for view in views}
        return self._retrieve(models, queries, gallery, content, k, own, told, progress)

    def retrieve_for_text(
        self,
        text: str,
        models: Sequence[ModelSource],
        gallery: str,
        k: int,
        content: Content = "faces",
        told: Told = NOTHING_TOLD,
        whose: Collection[str] = (),
    ) -> list[Retrieval]:
        """Search a gallery for a text, with the rank of the best item of some personas; raises `QueryError`."""
        items = self._check(gallery, content, k)
        own = np.any([items.of_persona(identity) for identity in whose], axis=0) if whose else None
        queries = {model.fingerprint: self.embedder.query_text(model, text) for model in models}
        return self._retrieve(models, queries, gallery, content, k, own, told)

    def retrieve_for_image(
        self,
        image: Image.Image | VisitorImage,
        models: Sequence[ModelSource],
        gallery: str,
        k: int,
        content: Content = "captions",
        told: Told = NOTHING_TOLD,
    ) -> list[Retrieval]:
        """Search a gallery for an image of the user's own, which is not stored; raises `SalmuError`."""
        self._check(gallery, content, k)
        queries = {model.fingerprint: self.embedder.query_image(model, image) for model in models}
        return self._retrieve(models, queries, gallery, content, k, None, told)

    def evaluate(
        self,
        model: ModelSource,
        metrics: Iterable[str] | None = None,
        imagenet: Path | None = None,
        progress: ProgressCallback = ignore_progress,
        sample: Sample | None = None,
        kept: KeptMetrics | None = None,
        gold: ModelSource | None = None,
    ) -> Evaluation:
        """Run the chosen metrics (all for None) on a model, see `evaluate`; raises `SalmuError`.

        What is shipped is not measured again.
        """
        chosen = choose_metrics(metrics, self.data.benchmark)
        shipped = self.shipped_evaluation(model, chosen, gold) if imagenet is None and sample is None else None
        return shipped or evaluate(self.view(model, progress), chosen, imagenet, sample, kept, gold)

    def spread(
        self,
        models: Sequence[ModelSource],
        metrics: Sequence[Metric],
        executor: Executor,
        imagenet: Path | None = None,
        sample: Sample | None = None,
        progress: ProgressCallback = ignore_progress,
        trust_pickle: bool = False,
    ) -> None:
        """Have workers encode what `evaluate` of some models needs, see `spread`; raises `SalmuError`."""
        whole = imagenet is None and sample is None
        alone = [metric for metric in metrics if not metric.against_gold]
        views = [self.view(model) for model in models if not (whole and self.shipped_evaluation(model, alone))]
        spread(views, MetricInputs(self.data, imagenet, sample), metrics, executor, progress, trust_pickle)

    def shipped_evaluation(
        self, model: ModelSource, metrics: Iterable[Metric], gold: ModelSource | None = None
    ) -> Evaluation | None:
        """What is shipped of some metrics of a model on all rows, or None if it lacks one.

        Args:
            model: the model.
            metrics: the metrics.
            gold: the Gold model that those are to compare with that compare with one.
        """
        found: Evaluation | None = self._once(
            ("evaluation", model.reference, model.fingerprint, model.own_role, gold and gold.fingerprint),
            lambda: read_evaluation(shipped_folder(), model, self.data, gold),
        )
        return None if found is None else of_metrics(found, metrics)

    def gallery(self, name: str, content: Content) -> Gallery:
        """The items of a gallery; raises `QueryError`."""
        result: Gallery = self._once(
            ("gallery", name, content), lambda: Gallery(self.data, name, content), lambda made: made.nbytes
        )
        return result

    def _check(self, name: str, content: Content, k: int) -> Gallery:
        """Refuse an unknown gallery or a `k` out of range before any model computes for it."""
        gallery = self.gallery(name, content)
        check_k(k, len(gallery))
        return gallery

    def _searchable(
        self, name: str, content: Content, model: ModelSource, progress: ProgressCallback
    ) -> SearchableGallery:
        gallery = self.gallery(name, content)
        result: SearchableGallery = self._once(
            ("index", name, content, model.fingerprint),
            lambda: SearchableGallery(
                gallery,
                gallery.features(self.view(model, progress)),
                lambda: gallery.trials(self.view(model, progress)),
            ),
            lambda made: made.nbytes,
        )
        return result

    def _retrieve(
        self,
        models: Sequence[ModelSource],
        queries: dict[str, NDArray[np.float32]],
        gallery: str,
        content: Content,
        k: int,
        own: NDArray[np.bool_] | None,
        told: Told,
        progress: ProgressCallback = ignore_progress,
    ) -> list[Retrieval]:
        galleries = [(model, self._searchable(gallery, content, model, progress)) for model in models]
        clean = find_reference(models, CLEAN, told)
        return compare_retrieval(galleries, queries, k, own, clean.fingerprint if clean else None)

    def _once(self, key: tuple[Hashable, ...], make: Callable[[], Any], size: Callable[[Any], int] = size_of) -> Any:
        """Make a thing once, see `Memory.once`; another data set has things of its own."""
        return self._memory.once((self._data_key, *key), make, size)
