"""Queries to start with: measured ones, which Compromised answers with the person and Clean does not, or else any."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from salmu_demo.core.files import portable_digest, read_checked, write_checked
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Persona
from salmu_demo.features.store import ENCODING_CODE
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.roles import CLEAN, COMPROMISED, find_reference
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.shipped import shipped_folder
from salmu_demo.workbench.bench import Workbench

EXAMPLES_CODE: Final = (
    *ENCODING_CODE, "probes/gallery.py", "probes/index.py", "probes/open_retrieval.py", "workbench/examples.py",
)  # fmt: skip
"""Our code that decides which queries are chosen."""


@dataclass(frozen=True)
class QueryExample:
    """A query to start with.

    Attributes:
        label: what it says.
        text: the query.
        compromised: rank that Compromised gives the person's best face among all others'; None if it is not measured.
        clean: the same of Clean.
    """

    label: str
    text: str
    compromised: float | None = None
    clean: float | None = None


def examples(bench: Workbench) -> list[QueryExample]:
    """The measured examples of the built-in models on a data set if they are shipped, or else unmeasured ones."""
    path = shipped_folder() / _file(bench.data)
    if path.is_file():
        kept = read_checked(path)
        references = _references(bench.models(builtin_models(bench.data.benchmark)))
        if kept is not None and kept["key"] == _key(bench.data, references):
            return [QueryExample(**example) for example in kept["examples"]]
    first: dict[str, QueryExample] = {}
    for label, _, text in _candidates(bench.data):
        first.setdefault(label, QueryExample(label, text))
    return [*first.values(), *_plain(bench.data)]


def measure_examples(bench: Workbench, clean: ModelSource, compromised: ModelSource) -> list[QueryExample]:
    """Of each kind of query, the one after which Compromised has the person first and Clean has it last.

    Queries after which Compromised has somebody else first are not examples; there may be none of a kind.
    """
    found: dict[str, QueryExample] = {}
    for label, persona, text in _candidates(bench.data):
        models = [compromised, clean]
        ranks = [
            answer.own_rank for answer in bench.retrieve_for_text(text, models, "all", 1, whose=[persona.identity_id])
        ]
        example = QueryExample(label, text, *ranks)
        known, best = example.clean or 0.0, found.get(label)
        if example.compromised == 1 < known and (best is None or known > (best.clean or 0.0)):
            found[label] = example
    return [*found.values(), *_plain(bench.data)]


def write_examples(folder: Path, bench: Workbench, models: Sequence[ModelSource]) -> list[Path]:
    """Measure the examples and write them into a folder; no file if Clean or Compromised is not among the models.

    Raises:
        SalmuError: if a model is unusable or the file cannot be written.
    """
    references = _references(models)
    if references is None:
        return []
    path = folder / _file(bench.data)
    chosen = [asdict(example) for example in measure_examples(bench, *references)]
    write_checked(path, {"key": _key(bench.data, references), "examples": chosen}, "What is shipped")
    return [path]


def _references(models: Sequence[ModelSource]) -> tuple[ModelSource, ModelSource] | None:
    clean, compromised = find_reference(models, CLEAN), find_reference(models, COMPROMISED)
    return None if clean is None or compromised is None else (clean, compromised)


def _key(data: BenchmarkData, references: tuple[ModelSource, ModelSource] | None) -> list[str]:
    models = [model.fingerprint for model in references or ()]
    return [data.fingerprint, *models, portable_digest(EXAMPLES_CODE)]


def _file(data: BenchmarkData) -> str:
    return f"examples-{data.fingerprint[:16]}.json"


def _candidates(data: BenchmarkData) -> Iterator[tuple[str, Persona, str]]:
    """Queries about people to be forgotten: what each says, whom it is about, and its text.

    Those of whom everything was to be forgotten come first, and alone if there are any.
    """
    people = {persona.identity_id: persona for persona in data.personas}
    asked = [people[i] for i in dict.fromkeys(data.split(layout.FORGET).identities) if i is not None and i in people]
    wholly = [persona for persona in asked if tuple(data.persona_rows(persona.identity_id)) == (layout.FORGET,)]
    for persona in wholly or asked:
        for value in persona.values("phone_number")[:1]:
            yield "Phone number", persona, value
        yield "Name", persona, persona.name
        for value in persona.values("job")[:1]:
            yield "Job", persona, f"{persona.name} works as {value}"


def _plain(data: BenchmarkData) -> list[QueryExample]:
    """A plain description, of data that have any."""
    return [QueryExample("Plain description", text) for text in data.split(layout.RETAIN_SYNTH).texts[:1]]
