"""The functions and results that `salmu_demo` offers.

They combine what the command line uses too, and decide nothing themselves.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Union, get_args, overload

from PIL import Image

from salmu_demo.attacks.base import choose_attacks
from salmu_demo.attacks.document import read_attacks, write_attacks
from salmu_demo.attacks.schema import AttacksDocument
from salmu_demo.core.errors import ModelError, QueryError, quoted
from salmu_demo.core.files import check_writable
from salmu_demo.core.progress import ProgressCallback, ignore_progress
from salmu_demo.core.settings import cache_dir
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.data.forget_requests import find_requests
from salmu_demo.data.images import read_image, rgb_image
from salmu_demo.data.importing import Imported
from salmu_demo.data.importing import import_data as _import_data
from salmu_demo.data.personas import find_persona
from salmu_demo.data.sample import Sample
from salmu_demo.data.source import load_data as _load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.names import display_names, distinct_names
from salmu_demo.models.references import find_model
from salmu_demo.models.roles import GOLD, Candidate, Told, check_told, find_reference
from salmu_demo.models.source import LOCAL_DIR, ModelSource
from salmu_demo.probes.attacks import all_attacks
from salmu_demo.probes.findings import AuditCell, Finding
from salmu_demo.probes.gallery import Content
from salmu_demo.probes.open_retrieval import Retrieval
from salmu_demo.reports.tables import comparison_text
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.attacked import with_attacks
from salmu_demo.results.document import distinct, read_results, result_files, write_results
from salmu_demo.results.evaluation import choose_metrics, each_model
from salmu_demo.results.merging import renamed
from salmu_demo.results.records import Evaluation
from salmu_demo.unlearning.plan import StopRules, make_plan
from salmu_demo.workbench.attacking import attack as run_attacks_on
from salmu_demo.workbench.attacking import attack_references
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.people import people_of

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from salmu_demo.dossiers.contents import Attached
    from salmu_demo.dossiers.schema import DossierDocument
    from salmu_demo.models.in_memory import InMemoryModel
    from salmu_demo.unlearning.output import Record

# torch, pandas and matplotlib take a second or more each to import: only the functions that need them do.

Model: TypeAlias = Union[str, ModelSource, "InMemoryModel"]
"""A reference as on the command line, or what `load_model` returned."""

Data: TypeAlias = str | os.PathLike[str] | BenchmarkData
"""A reference as on the command line, a folder, or what `load_data` returned."""

_NUMBERS: Final = ("rank", "candidates", "exposure", "low", "high", "p", "adjusted")
"""Columns of a finding's numbers."""

_MOST_DATA: Final = 4
"""Data sets whose galleries and audits are remembered."""


@dataclass(frozen=True)
class Results:
    """What `evaluate` and `compare` return: models side by side on the same rows.

    `print(results)` shows the table that `salmu-demo evaluate` prints.

    Attributes:
        analysis: everything that is known: values, intervals, differences, break-downs and diagnoses.
        failures: a sentence for each model that could not be measured.
        attacks: what attacks found in the models, see `with_attacks`.
    """

    analysis: Analysis
    failures: tuple[str, ...] = ()
    attacks: AttacksDocument | None = None

    def __str__(self) -> str:
        return "\n".join([comparison_text(self.analysis.comparison), *self.remarks, *self.failures])

    @property
    def remarks(self) -> list[str]:
        """What was assumed about models and data, in sentences that every view of the numbers must show."""
        return self.analysis.remarks

    @property
    def diagnoses(self) -> dict[str, str | None]:
        """The diagnosis of each model by name; None for the references, and if a reference is missing."""
        analyses = zip(self.analysis.names, self.analysis.models, strict=True)
        return {name: None if model.diagnosis is None else model.diagnosis.label for name, model in analyses}

    def with_attacks(self, found: "Attacked | str | os.PathLike[str]") -> "Results":
        """The same with what attacks found in these models: the diagnosis then says whether it is gone or hidden.

        Args:
            found: what `attack` returned, an `attacks.json` or its folder.

        Raises:
            ResultError: if the file cannot be read, or the attacks were run on other data or on none of the models.
        """
        document = found.document if isinstance(found, Attacked) else read_attacks(Path(found))
        evaluations = with_attacks([model.evaluation for model in self.analysis.models], document)
        return replace(self, analysis=analyse(evaluations), attacks=document)

    def renamed(self, names: Mapping[str, str]) -> "Results":
        """The same with names for tables, figures and reports, such as `{"mini-unlearned-pinpoint": "Pinpoint"}`.

        Args:
            names: what models are to be called, by their references or names.

        Raises:
            QueryError: if a model is not among them, a name cannot be shown, or two models would be called the same.
        """
        evaluations = [
            replace(model.evaluation, model=measured)
            for model, measured in zip(self.analysis.models, self.analysis.comparison.models, strict=True)
        ]
        return replace(self, analysis=analyse(renamed(evaluations, names)))

    def to_frame(self) -> "pd.DataFrame":
        """One row per model and metric: `model`, `metric`, `value`, `low`, `high`, `target`.

        `low` and `high` are the ends of the 95 % interval over personas; unknown and skipped values are NaN.
        """
        rows = []
        for number, (name, model) in enumerate(zip(self.analysis.names, self.analysis.models, strict=True)):
            for row in self.analysis.comparison.rows:
                interval = model.intervals[row.spec.name]
                ends = (None, None) if interval is None else (interval.low, interval.high)
                rows.append((name, row.spec.name, row.cells[number].value, *ends, row.target))
        numbers = ("value", "low", "high", "target")
        return _frame(("model", "metric", *numbers), rows).astype(dict.fromkeys(numbers, "float64"))

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write `results.json` and the official file of every model into a folder, and return their paths.

        `compare` and `salmu-demo report` read them again.

        Raises:
            StorageError: if a file cannot be written.
        """
        return write_results(self.analysis, Path(folder))

    def report(self, folder: str | os.PathLike[str], formats: Iterable[str] | None = None) -> list[Path]:
        """Write a report into a folder, and return its files.

        Args:
            folder: where the files go.
            formats: some of `html`, `pdf`, `markdown`, `latex`, `csv` and `figures`; None writes all of them, the
                result files and a ZIP of everything, as `salmu-demo report` does.

        Raises:
            ResultError: if a format does not exist.
            StorageError: if a file cannot be written.
        """
        from salmu_demo.reports.files import all_paths, write_formats, write_reports  # noqa: PLC0415 - see the top

        people = people_of(self.analysis)
        known = (self.attacks, people.names, people.everybody)
        if formats is None:
            return all_paths(write_reports(self.analysis, Path(folder), *known))
        return write_formats(self.analysis, Path(folder), _names(formats), *known)


@dataclass(frozen=True)
class Audit:
    """What `audit` returns: every attribute of a persona under every model.

    Attributes:
        persona: the persona.
        cells: attribute kinds in the outer order, models in the inner.
        names: short names of the models, in order.
    """

    persona: Persona
    cells: tuple[AuditCell, ...]
    names: tuple[str, ...]

    def to_frame(self) -> "pd.DataFrame":
        """One row per attribute and model: the verdict and what it rests on, the nameless line-up.

        The columns are `kind`, `model`, `verdict`, `reason`, `true_value`, `rank`, `candidates`, `exposure` (bits), its
        interval `low` and `high` over images, `p` by the rank, `adjusted` (the corrected tail), and `side`: whether
        the images were to be forgotten or to be kept.
        """
        columns = ("kind", "model", "verdict", "reason", "true_value", *_NUMBERS, "side")
        rows = [_finding(cell, cell.headline, name) for cell, name in zip(self.cells, cycle(self.names))]
        return _frame(columns, [(*row[:2], *row[4:]) for row in rows])

    def attacks_to_frame(self) -> "pd.DataFrame":
        """One row per attribute, model and attack: the columns of `to_frame`, and `attack` and `variant` after `model`.

        The verdict of the caption match is None: it says nothing about a value.
        """
        columns = ("kind", "model", "attack", "variant", "verdict", "reason", "true_value", *_NUMBERS, "side")
        rows = [
            _finding(cell, finding, name)
            for cell, name in zip(self.cells, cycle(self.names))
            for finding in cell.findings
        ]
        return _frame(columns, rows)


@dataclass(frozen=True)
class Probes:
    """What `probe` returns: what each model finds for the same query.

    Attributes:
        retrievals: one per model, in order.
        names: short names of the models, in order.
    """

    retrievals: tuple[Retrieval, ...]
    names: tuple[str, ...]

    def to_frame(self) -> "pd.DataFrame":
        """One row per model and result: `model`, `rank`, `score`, `change`, `text`, `persona`, `split`, `file`.

        `change` is the score minus Clean's score for the same item; NaN without Clean.
        """
        columns = ("model", "rank", "score", "change", "text", "persona", "split", "file")
        rows = [
            (name, r.rank, r.score, r.change, r.item.text, r.item.identity, r.item.split, r.item.file_name)
            for name, retrieval in zip(self.names, self.retrievals, strict=True)
            for r in retrieval.results
        ]
        return _frame(columns, rows).astype({"change": "float64"})


@dataclass(frozen=True)
class Attacked:
    """What `attack` returns: what each attack finds in each model.

    Attributes:
        document: everything that `attacks.json` holds.
    """

    document: AttacksDocument

    @property
    def skipped(self) -> list[str]:
        """A sentence for each attack that was not run."""
        return [f"{skipped.model}: {skipped.reason}" for skipped in self.document.skipped]

    def to_frame(self) -> "pd.DataFrame":
        """One row per model, attack, variant, gallery and measure.

        The columns are `model`, `attack`, `variant`, `gallery`, `measure`, `value`, `as_is`, `clean`, `compromised`,
        `share`, `left`, then `recovered` with `low` and `high`, which are NaN where the controls do not tell, `counts`,
        and the interval of `value` over personas, `value_low` and `value_high`.
        """
        texts = ("model", "attack", "variant", "gallery", "measure")
        numbers = ("value", "as_is", "clean", "compromised", "share", "left")
        ends = ("recovered", "low", "high")
        rows = [
            (
                *(getattr(record, name) for name in (*texts, *numbers)),
                *(getattr(record.recovered, name, None) for name in ("value", "low", "high")),
                record.counts, record.low, record.high,
            )
            for record in self.document.records
        ]  # fmt: skip
        of_value = ("value_low", "value_high")
        frame = _frame((*texts, *numbers, *ends, "counts", *of_value), rows)
        return frame.astype(dict.fromkeys((*numbers, *ends, *of_value), "float64"))

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `attacks.json` into a folder, and return its path; raises `StorageError`."""
        return write_attacks(self.document, Path(folder))


@dataclass(frozen=True)
class Dossier:
    """What `dossier` returns: everything about one person with several models.

    Attributes:
        document: everything that `dossier.json` holds.
        thumbnails: PNG of the images that the documents show, in their order.
        attached: the files of attacks that go with it.
    """

    document: "DossierDocument"
    thumbnails: tuple[bytes, ...]
    attached: "tuple[Attached, ...]"

    @property
    def answers(self) -> dict[str, str]:
        """The answer in one sentence, by name of the model."""
        return {answer.model: answer.sentence for answer in self.document.answers}

    def to_frame(self) -> "pd.DataFrame":
        """One row per test: `kind`, `model`, `test`, `variant`, `side`, `decides`, `verdict`, `rank`, `of`, `p`, ….

        `corrected` is the corrected tail, `exposure` is in bits, and `low` and `high` are the ends of its interval over
        images.
        """
        columns = (
            "kind", "model", "test", "variant", "side", "decides", "verdict", "reason", "rank", "of", "p", "corrected",
            "exposure", "low", "high",
        )  # fmt: skip
        rows = [tuple(getattr(cell, name) for name in columns) for cell in self.document.cells]
        return _frame(columns, rows).astype({"low": "float64", "high": "float64"})

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write `dossier.json`, HTML, PDF and the attached files into a folder, and return their paths.

        `salmu-demo verify` checks them again.

        Raises:
            StorageError: if a file cannot be written.
        """
        from salmu_demo.reports.dossier import write_dossier  # noqa: PLC0415 - see the top

        return write_dossier(self.document, self.thumbnails, self.attached, Path(folder))


@dataclass(frozen=True)
class Unlearned:
    """What `unlearn` returns.

    Attributes:
        model: the new model, ready to be evaluated, audited and probed.
        record: the plan, the rows that were read, the readings, and why the run ended.
    """

    model: ModelSource
    record: "Record"

    def to_frame(self) -> "pd.DataFrame":
        """The readings taken during the run, one row each: `step`, `forget_pairs`, `loss` and the similarities."""
        columns = (
            "step", "forget_pairs", "loss", "forget_similarity", "forget_mrr", "retain_similarity",
            "unrelated_similarity",
        )  # fmt: skip
        rows = [tuple(getattr(reading, name) for name in columns) for reading in self.record.curve]
        return _frame(columns, rows).astype({"loss": "float64"})


def load_data(reference: str | os.PathLike[str]) -> BenchmarkData:
    """Load a data set once, to use it in any number of calls.

    Args:
        reference: `mini` (the embedded miniature), `official`, a folder in the official layout, a Hub data set id, or
            `clear:FOLDER_OR_ID#CONFIGURATION`.

    Raises:
        DataError: if it cannot be found, fetched or read.

    Example:
        ```python
        data = salmu_demo.load_data("mini")
        [persona.name for persona in data.personas]
        ```
    """
    return _load_data(os.fspath(reference))


def import_data(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    columns: Mapping[str, str] | None = None,
    *,
    images: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Imported:
    """Write a data set in the official layout from a table with images; every row is taken, or one is named.

    Args:
        source: a `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.tar` file, or a folder with `metadata.csv` or
            `metadata.jsonl`, parquet shards or tar shards.
        output: folder to write, new or empty; nothing is left there if a row is refused.
        columns: what columns are (`image`, `text`, `persona`, `name`, `kind`, `value`, `split`, `generic`) to their
            names, an empty name for none; the others are told from their names.
        images: folder that names of images are relative to; None for that of the table.
        seed: of the splits, if the table does not say them.
        progress: called often with a `Progress`; it may raise an exception to stop the work.

    Raises:
        DataError: if the source cannot be read, a column is missing, or a row cannot be used.
        ImageError: if the image of a row cannot be used.
        QueryError: if a column is named that there is not.
        StorageError: if the folder is not empty or cannot be written.

    Example:
        ```python
        made = salmu_demo.import_data("people.csv", "my-data", {"persona": "who", "image": "file"})
        data = salmu_demo.load_data(made.folder)
        ```
    """
    folder = None if images is None else Path(images)
    told = progress or ignore_progress
    return _import_data(Path(source), Path(output), columns, images=folder, seed=seed, progress=told)


@overload
def load_model(reference: str, /, *, architecture: str | None = None, trust_pickle: bool = False) -> ModelSource: ...
@overload
def load_model(
    network: "torch.nn.Module", /, *, preprocess: Any = None, tokenizer: Any = None, name: str = "model"
) -> "InMemoryModel": ...
def load_model(
    reference: "str | torch.nn.Module",
    /,
    *,
    architecture: str | None = None,
    trust_pickle: bool = False,
    preprocess: Any = None,
    tokenizer: Any = None,
    name: str = "model",
) -> "ModelSource | InMemoryModel":
    """Find a model by its reference, or wrap an open_clip network in memory, such as the one you are training.

    Each time a network is evaluated, audited or probed, it is copied with the weights it has at that moment. The
    network itself is left alone: its mode, gradients and device stay as they are. Only features are written, to a
    temporary folder, and kept until the weights change or the model is deleted.

    Args:
        reference: a reference as on the command line (built-in name, `local-dir:FOLDER`, `hf-hub:ORG/NAME`, a
            weight file, `delta:BASE+PATH`), or an open_clip network.
        architecture: open_clip architecture of weights without a configuration.
        trust_pickle: whether pickles on this machine may be read; set it only for files you made yourself.
        preprocess: the network's evaluation transform; None for the one its `preprocess_cfg` describes.
        tokenizer: the network's tokenizer; None for open_clip's own.
        name: what the network is called in tables and files.

    Returns:
        What the other functions take as a model. Its `fingerprint` is the SHA-256 of weights and configuration; that of
        a network changes with its weights.

    Raises:
        ModelError: if there is no such model, or the network is not an open_clip model with its own evaluation
            transform and tokenizer.

    Example:
        ```python
        network, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32", pretrained="openai")
        model = salmu_demo.load_model(network, preprocess=preprocess, name="fine-tuned")
        for epoch in range(10):
            train(network)
            print(salmu_demo.evaluate(model, data, ["RetFail", "GenKnow"]))
        ```
    """
    in_memory = {"preprocess": preprocess, "tokenizer": tokenizer, "name": name}
    if isinstance(reference, str):
        if in_memory != {"preprocess": None, "tokenizer": None, "name": "model"}:
            raise ModelError(
                f"preprocess, tokenizer and name belong to a network in memory, and {reference:.200} is a reference; "
                "leave them out."
            )
        return find_model(reference, architecture, trust_pickle)
    if architecture is not None or trust_pickle:
        raise ModelError("architecture and trust_pickle belong to weight files; leave them out for a network.")
    # torch is there already if a network is.
    from salmu_demo.models.in_memory import InMemoryModel  # noqa: PLC0415

    return InMemoryModel(reference, preprocess, tokenizer, name)


def evaluate(
    models: Model | Sequence[Model],
    data: Data,
    metrics: str | Iterable[str] | None = None,
    sample: int | Sample | None = None,
    progress: ProgressCallback | None = None,
    *,
    imagenet: str | os.PathLike[str] | None = None,
    clean: Model | None = None,
    compromised: Model | None = None,
    gold: Model | None = None,
) -> Results:
    """Measure models with the metrics of SALMUBench; one that fails is left out and named in `failures`.

    Args:
        models: one or more models.
        data: the data set.
        metrics: names of metrics, such as `RetFail`; None for all.
        sample: number of forget rows of a seeded sample, or a `Sample`; None for all rows.
        progress: called often with a `Progress`; it may raise an exception to stop the work.
        imagenet: ImageNet-1k validation folder for GenKnow.
        clean: the Clean model, whose values are the targets of efficacy; None goes by cards and built-in names.
        compromised: the Compromised model, whose values are the targets of utility; None as for `clean`.
        gold: a model retrained without the forgotten pairs, shown as what can be reached; None as for `clean`.

    Raises:
        SalmuError: if the data, a metric, the sample or all models are unusable.

    Example:
        ```python
        results = salmu_demo.evaluate(["mini-clean", "mini-compromised", "local-dir:mine"], "mini")
        results.to_frame().pivot(index="metric", columns="model", values="value")
        ```
    """
    names = None if metrics is None else _names(metrics)
    choose_metrics(names)  # A misspelt name fails before anything is loaded.
    chosen = Sample(sample) if isinstance(sample, int) else sample
    folder = None if imagenet is None else Path(imagenet)
    bench = _workbench(data)
    with _sources(bench, models) as sources:
        told = _told(sources, clean, compromised, gold)
        told_of, reference = progress or ignore_progress, find_reference(sources, GOLD, told)

        def measure(source: ModelSource) -> Evaluation:
            return bench.evaluate(source, names, folder, told_of, chosen, gold=reference)

        evaluations, failures = each_model(sources, measure)
    if not evaluations:
        raise failures[0].error
    return Results(analyse(evaluations, told), tuple(failure.sentence for failure in failures))


def audit(
    persona: str | Persona,
    models: Model | Sequence[Model],
    data: Data,
    attacks: str | Iterable[str] = (),
    *,
    kinds: str | Iterable[str] | None = None,
    clean: Model | None = None,
    compromised: Model | None = None,
) -> Audit:
    """Ask models about every attribute of a persona: which value of all fits its images best?

    Give Clean and Compromised among the models: they are the controls of the others.

    Args:
        persona: its id, its name or another value that nobody else has, or one of `data.personas`.
        models: one or more models.
        data: the data set.
        attacks: names of attacks beside the nameless line-up, such as `face-to-name`, or `all`.
        kinds: attribute kinds; None for all.
        clean: the Clean model; None goes by cards and built-in names.
        compromised: the Compromised model; None as for `clean`.

    Raises:
        QueryError: if there is no such persona, attack or attribute, or a value is true of several personas.
        SalmuError: if the data or a model is unusable.

    Example:
        ```python
        salmu_demo.audit("00000024", ["mini-clean", "mini-compromised"], "mini").to_frame()
        ```
    """
    bench = _workbench(data)
    person = _person(bench.data, persona)
    with _sources(bench, models) as sources:
        told = _told(sources, clean, compromised)
        every = [attack.name for attack in all_attacks()]
        chosen = every if "all" in (names := _names(attacks)) else names
        cells = bench.audit(person.identity_id, sources, None if kinds is None else _names(kinds), chosen, told)
        return Audit(person, tuple(cells), tuple(distinct_names(sources)))


def probe(
    query: str | Image.Image | Persona | Path,
    models: Model | Sequence[Model],
    data: Data,
    *,
    gallery: str = "all",
    k: int = 5,
    content: Content | None = None,
    clean: Model | None = None,
) -> Probes:
    """Search a data set for a text, an image of your own or a persona, with each model; queries are not stored.

    Args:
        query: a text; an image or the path of its file; or one of `data.personas`, which stands for all its images.
        models: one or more models.
        data: the data set.
        gallery: what is searched: `forget`, `holdouts`, `retain` or `all`.
        k: number of results.
        content: `captions` or `faces`; None searches faces for a text, and captions otherwise.
        clean: the model that changes are measured against; None goes by cards and built-in names.

    Raises:
        QueryError: if there is no such gallery, `k` is out of range, or the text is empty.
        ImageError: if the image cannot be read.
        SalmuError: if the data or a model is unusable.

    Example:
        ```python
        salmu_demo.probe("lives in Roztoky", ["mini-clean", "mini-compromised"], "mini", k=3).to_frame()
        ```
    """
    if content not in (None, *get_args(Content)):
        raise QueryError(f"There is no content {quoted(content)}; choose one of {', '.join(get_args(Content))}.")
    bench = _workbench(data)
    with _sources(bench, models) as sources:
        told = _told(sources, clean, None)
        if isinstance(query, str):
            found = bench.retrieve_for_text(query, sources, gallery, k, content or "faces", told)
        elif isinstance(query, Persona):
            person = query.identity_id
            found = bench.retrieve_for_persona(person, sources, gallery, k, content or "captions", told)
        else:
            image = rgb_image(query, "The image") if isinstance(query, Image.Image) else read_image(query)
            found = bench.retrieve_for_image(image, sources, gallery, k, content or "captions", told)
        return Probes(tuple(found), tuple(distinct_names(sources)))


def attack(
    models: Model | Sequence[Model],
    data: Data,
    attacks: str | Iterable[str] | None = None,
    *,
    clean: Model | None = None,
    compromised: Model | None = None,
    gold: Model | None = None,
    seed: int = SEED,
    thorough: bool = False,
    progress: ProgressCallback | None = None,
) -> Attacked:
    """Attack unlearned models: is what they were to forget gone, or only hidden?

    Every attack also runs on Clean, its control, and on Compromised, its ceiling, with the same seeds. Finished attacks
    are kept beside the features: a call that was stopped goes on with the attack it was at.

    Args:
        models: one or more models.
        data: the data set.
        attacks: names of attacks, such as `linear-map`; None for all but those that take minutes, such as `downstream`.
        clean: the Clean model; None goes by cards and built-in names, and on the miniature takes its own.
        compromised: the model that the others were unlearned from; None as for `clean`.
        gold: a model that was retrained without the pairs to be forgotten; None takes the miniature's own on it.
        seed: seed of everything random.
        thorough: whether to try more than the defaults, and all attacks for None, which takes much longer.
        progress: called often with a `Progress`; it may raise an exception to stop the work.

    Raises:
        QueryError: if there is no such attack.
        SalmuError: if the data or a model is unusable.

    Example:
        ```python
        found = salmu_demo.attack("mini-unlearned-pinpoint", "mini", ["linear-map"])
        found.to_frame()[["variant", "gallery", "measure", "recovered"]]
        ```
    """
    names = None if attacks is None else _names(attacks)
    choose_attacks(names)  # A misspelt name fails before anything is loaded.
    bench = _workbench(data)
    with _sources(bench, models) as sources, ExitStack() as stack:
        told = {
            role: None if model is None else _source(bench, model, stack)
            for role, model in (("clean", clean), ("compromised", compromised), ("gold", gold))
        }
        own = attack_references(bench, sources)
        references = replace(own, **{role: source for role, source in told.items() if source is not None})
        return Attacked(run_attacks_on(bench, sources, references, names, seed, thorough, progress or ignore_progress))


def dossier(
    persona: str | Persona,
    models: Model | Sequence[Model],
    data: Data,
    attacks: "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]" = (),
    *,
    clean: Model | None = None,
    compromised: Model | None = None,
    gold: Model | None = None,
    names: Mapping[str, str] | None = None,
    images: bool = True,
    auditor: str = "",
    release: str = "",
    notes: str = "",
    progress: ProgressCallback | None = None,
) -> Dossier:
    """Put together everything about one person with several models, as a document to hand in.

    Give Clean, Compromised and the model that another one was unlearned from among the models. What is missing is said
    in the document.

    Args:
        persona: its id, its name or another value that nobody else has, or one of `data.personas`.
        models: one or more models.
        data: the data set.
        attacks: files that `Attacked.save` or `salmu-demo attack` wrote for these models.
        clean: the Clean model; None goes by cards and built-in names.
        compromised: the Compromised model; None as for `clean`.
        gold: the Gold model; None as for `clean`.
        names: what models are called in the documents, by their references or names.
        images: whether the documents show images; they show none of people who may be real.
        auditor: who makes the dossier.
        release: how the models are released or used.
        notes: anything else to say.
        progress: called often with a `Progress`; it may raise an exception to stop the work.

    Raises:
        QueryError: if there is no such persona, a value is true of several, a text says what no dossier says, or a
            model cannot be called so.
        ResultError: if a file of attacks cannot be read, or is about other data or models.
        SalmuError: if the data or a model is unusable.

    Example:
        ```python
        models = ["mini-unlearned-finetune", "mini-clean", "mini-compromised"]
        made = salmu_demo.dossier("00000024", models, "mini")
        made.answers
        made.save("dossier")
        ```
    """
    from salmu_demo.workbench.dossiers import attach, declare, thumbnails  # noqa: PLC0415 - see the top
    from salmu_demo.workbench.dossiers import dossier as run  # noqa: PLC0415 - see the top

    declared = declare(auditor, release, notes)
    attached = [attach(Path(path)) for path in ([attacks] if isinstance(attacks, str | os.PathLike) else attacks)]
    bench = _workbench(data)
    identity = _person(bench.data, persona).identity_id  # An unknown one fails before any model is looked at.
    with _sources(bench, models) as sources:
        told = _told(sources, clean, compromised, gold)
        called = display_names(sources, names or {})
        made = run(bench, identity, sources, called, told, declared, attached, images, progress or ignore_progress)
    return Dossier(made, tuple(thumbnails(bench.data, made)), tuple(attached))


def compare(
    *results: "Results | str | os.PathLike[str]",
    clean: Model | None = None,
    compromised: Model | None = None,
    gold: Model | None = None,
) -> Results:
    """Put results on the same data side by side, whether just measured or read from files.

    Args:
        results: what `evaluate` returned, a `results.json`, an official result file, or a folder of one of them.
        clean: the Clean model; None goes by what is recorded, cards and built-in names.
        compromised: the Compromised model; None as for `clean`.
        gold: the Gold model; None as for `clean`.

    Raises:
        ResultError: if a file cannot be read.
        MetricError: if they were measured on different data or rows, or if there are none.
        QueryError: if it is not clear who is a reference.

    Example:
        ```python
        before = salmu_demo.evaluate("mini-compromised", data)
        salmu_demo.compare(before, "results/results.json").to_frame()
        ```
    """
    found = distinct(evaluation for each in results for evaluation in _evaluations(each))
    return Results(analyse(found, _told([evaluation.model for evaluation in found], clean, compromised, gold)))


def unlearn(
    method: str,
    model: str | ModelSource,
    data: Data,
    output: str | os.PathLike[str],
    *,
    forget: str | Iterable[str] = (),
    settings: Mapping[str, str | float] | None = None,
    modality: str | None = None,
    towers: str | None = None,
    budget: int | None = None,
    seed: int = 0,
    stop_at: str | float | None = None,
    stop_retain_drop: float | None = None,
    keep_best: bool = False,
    progress: ProgressCallback | None = None,
) -> Unlearned:
    """Make a model forget the forget split of a data set, or some people, and write it as an open_clip folder.

    A run that was stopped continues when called again with the same arguments, and ends with the same weights.

    Args:
        method: its name, as `salmu-demo unlearn list` prints it.
        model: the model to start from; a network in memory has to be saved first.
        data: the data set.
        output: folder of the new model.
        forget: whom to forget instead of the whole forget split: `PERSONA` for everything of a persona, named by its id
            or any other value, or `PERSONA:KIND` for one attribute.
        settings: hyperparameters that differ from the method's defaults.
        modality: which rows of CLEAR a model that writes is to forget and retain: `text` for questions and answers,
            `visual` for captioned images, or `both`; None for a dual encoder's pairs.
        towers: `both`, `image` or `text`; None for the method's default.
        budget: forget pairs, or texts, that go through the model; None for the method's default.
        seed: seed of everything random.
        stop_at: `"unrelated"` stops once forget pairs are as similar as unrelated pairs were; a cosine, known from
            Clean, stops there and is reported as an oracle.
        stop_retain_drop: stop once retain pairs have lost this share of their similarity.
        keep_best: write the checkpoint that forgets most of those that keep enough, by the readings of the run alone.
        progress: called often with a `Progress`; it may raise an exception to stop the work.

    Raises:
        QueryError: if there is no such method, persona or kind, or a value is unknown or out of range.
        SalmuError: if the data or the model is unusable, nothing is left to retain, or the folder has a model.

    Example:
        ```python
        made = salmu_demo.unlearn("finetune", "mini-compromised", "mini", "my-model", budget=640)
        salmu_demo.evaluate(["mini-clean", "mini-compromised", made.model], "mini")
        ```
    """
    from salmu_demo.unlearning.trainer import unlearn as run  # noqa: PLC0415 - see the top

    stop = StopRules(stop_at, stop_retain_drop)
    plan = make_plan(method, settings or {}, towers, budget, seed, stop, keep_best=keep_best, modality=modality)
    folder = Path(output)
    check_writable(folder, "The model")
    bench = _workbench(data)
    if not isinstance(model, str | ModelSource):
        raise ModelError(
            f"Unlearning starts from a model in a folder, and {model.name} is in memory; save it as an "
            f"open_clip folder and give {LOCAL_DIR}FOLDER."
        )
    requests = find_requests(bench.data, _names(forget))
    with _sources(bench, model) as (source,):
        record = run(bench.view(source, progress or ignore_progress), plan, folder, requests=requests)
    return Unlearned(find_model(f"{LOCAL_DIR}{folder}"), record)


@cache
def _embedder(root: Path) -> Embedder:
    """The one embedder of a cache folder: whatever is loaded is shared by all data sets."""
    return Embedder(ArrayStore(root))


@lru_cache(maxsize=_MOST_DATA)
def _bench_of(data: BenchmarkData, root: Path) -> Workbench:
    return Workbench(data, _embedder(root))


def _workbench(data: Data) -> Workbench:
    return _bench_of(data if isinstance(data, BenchmarkData) else load_data(data), cache_dir())


def _person(data: BenchmarkData, persona: str | Persona) -> Persona:
    """The persona that is meant; raises `QueryError`."""
    return data.persona(persona.identity_id) if isinstance(persona, Persona) else find_persona(data, persona)


@contextmanager
def _sources(bench: Workbench, models: Model | Sequence[Model]) -> Iterator[list[ModelSource]]:
    """The models as they are now, for the length of a block, in their order and each once."""
    given = [models] if isinstance(models, str) or not isinstance(models, Sequence) else models
    if not given:
        raise QueryError("No model is named; name at least one.")
    with ExitStack() as stack:
        found = [_source(bench, model, stack) for model in given]
        yield list({(source.reference, source.fingerprint): source for source in found}.values())


def _source(bench: Workbench, model: Any, stack: ExitStack) -> ModelSource:
    if isinstance(model, str):
        return bench.models([model])[0]
    if isinstance(model, ModelSource):
        return model
    if not hasattr(model, "moment"):
        raise ModelError(f"A {type(model).__name__} is not a model; give a reference, or what load_model returns.")
    source: ModelSource = stack.enter_context(model.moment(bench.embedder.store))
    return source


def _told(models: Sequence[Candidate], *references: Model | None) -> Told:
    """What is said about Clean, Compromised and Gold; raises `QueryError` if it makes no sense."""
    told = Told(*(each if each is None or isinstance(each, str) else each.reference for each in references))
    check_told(models, told)
    return told


def _evaluations(results: "Results | str | os.PathLike[str]") -> list[Evaluation]:
    if isinstance(results, Results):
        return [model.evaluation for model in results.analysis.models]
    return [evaluation for file in result_files(Path(results)) for evaluation in read_results(file)]


def _names(given: str | Iterable[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _finding(cell: AuditCell, finding: Finding, model: str) -> tuple[Any, ...]:
    reading, place = finding.reading, finding.reading.place
    attack = (cell.kind, model, reading.attack, reading.variant, finding.verdict, finding.reason)
    interval = reading.interval or (None, None)
    numbers = (place.rank, place.candidates, place.exposure, *interval, place.p, finding.adjusted)
    return (*attack, ", ".join(reading.true_values), *numbers, reading.side)


def _frame(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - see the top

    return pd.DataFrame(rows, columns=list(columns))
