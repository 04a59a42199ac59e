"""What several commands share: how a command is made, options, and what they mean."""

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from salmu_demo.attacks import all_attacks
from salmu_demo.cli.grammar import Command, Group
from salmu_demo.cli.output import print_notes
from salmu_demo.core.errors import QueryError, quoted
from salmu_demo.core.executor import Executor, RayCluster
from salmu_demo.core.runtime import quiet_libraries, use_one_blas_thread
from salmu_demo.data.sample import Sample
from salmu_demo.data.source import CLEAR_MINI, MINI, benchmark_of
from salmu_demo.hub.reference import OFFICIAL_DATASETS, OFFICIAL_MODELS
from salmu_demo.metrics import Metric, all_metrics
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.names import Referred, check_names, display_names, known_as
from salmu_demo.models.references import find_model, find_models
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD, TITLES, Candidate, Told, check_told
from salmu_demo.models.said import Said, split_said
from salmu_demo.models.source import ModelSource
from salmu_demo.results.evaluation import choose_metrics
from salmu_demo.workbench.bench import Workbench

F = TypeVar("F", bound=Callable[..., None])


class _ListingCommand(Command):
    def format_options(self, ctx: Any, formatter: Any) -> None:
        # Of plug-ins too, which are imported for it.
        for each in self.params:
            if each.name == "metrics":
                each.help = f"{each.help}: {','.join(metric.name for metric in all_metrics())}"
            if each.name == "attacks":
                slow = ",".join(attack.name for attack in all_attacks() if not attack.by_default)
                names = ",".join(attack.name for attack in all_attacks())
                each.help = f"{each.help}: {names}; default all but {slow}, which takes minutes"
        super().format_options(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        quiet_libraries()
        use_one_blas_thread()
        return super().invoke(ctx)


class Commands(typer.Typer):
    """The command, or the group of commands, of a module; the help of each ends with examples."""

    def __init__(self, examples: str = "") -> None:
        """With examples, a group."""
        super().__init__(add_completion=False, rich_markup_mode=None)
        if examples:
            self.callback(cls=Group, epilog=examples, subcommand_metavar="ACTION ...")(_nothing)

    def add(self, examples: str, name: str | None = None) -> Callable[[F], F]:
        """Decorator that makes a function a command; its docstring is the first line of the help."""

        def made(function: F) -> F:
            self.command(name, cls=_ListingCommand, epilog=examples)(_deciding(function))
            return function

        return made


def _nothing() -> None:
    pass


def argument(metavar: str, words: str, kind: Callable[[str], Any] = str, completion: Any = None) -> Any:
    """A positional argument; `kind` makes its value, and raises ValueError if it cannot."""
    return typer.Argument(metavar=metavar, help=words, parser=kind, autocompletion=completion, show_default=False)


def option(
    name: str, words: str, metavar: str | None = None, kind: Callable[[str], Any] = str, completion: Any = None
) -> Any:
    """An option with a value; `kind` makes it, and raises ValueError if it cannot."""
    shown = metavar or name.strip("-").upper()
    return typer.Option(name, help=words, metavar=shown, parser=kind, autocompletion=completion)


def flag(name: str, words: str, *former: str) -> Any:
    """An option without a value, which may have had other names."""
    return typer.Option(*former, name, help=words)


def model_names() -> list[str]:
    """The models that a shell can complete."""
    return [*builtin_models(), *OFFICIAL_MODELS]


def data_names() -> list[str]:
    """The data sets that a shell can complete."""
    return [MINI, CLEAR_MINI, *OFFICIAL_DATASETS]


MODEL_WORDS = (
    "built-in name, official-clean, official-compromised, local-dir:FOLDER, hf-hub:ORG/NAME[@REVISION], a .safetensors "
    "file, or delta:BASE+PATH to merge a LoRA adapter or partial weights onto one of these"
)
DATA_WORDS = (
    "mini, clear-mini, official, official-base, a folder, a Hub data set id, or clear:FOLDER_OR_ID#CONFIGURATION"
)

Models = Annotated[list[str], argument("MODEL...", MODEL_WORDS, completion=model_names)]
SomeModels = Annotated[list[str] | None, argument("[MODEL...]", MODEL_WORDS, completion=model_names)]
Model = Annotated[str, argument("MODEL", "a model, as for `salmu-demo evaluate`", completion=model_names)]
Arch = Annotated[
    str | None,
    option(
        "--arch",
        "open_clip architecture, or built-in model, of weights without a configuration (default: told from them); "
        "models with a configuration keep their own",
        "NAME",
    ),
]
TrustPickle = Annotated[
    bool,
    flag(
        "--trust-pickle",
        "also read .pt, .pth and .bin files of this machine; a pickle can hold a program, and although only tensors "
        "are read (weights_only), a fault of torch could let it run: use it for files you made yourself",
    ),
]
QuickGelu = Annotated[
    bool | None,
    typer.Option(
        "--quickgelu/--no-quickgelu",
        help="compute the activation QuickGELU, or GELU, whatever the model's files say; built-in and official models "
        "keep their own",
        show_default=False,
    ),
]
Preprocess = Annotated[
    str | None,
    option(
        "--preprocess",
        "prepare images for these models as OpenAI did (`openai`), or as open_clip does for an architecture",
        "NAME",
    ),
]
Weights = Annotated[
    str | None, option("--weights", "read this file of the models' folders instead of the usual one", "FILE")
]
Precision = Annotated[
    Literal["bf16", "fp16"] | None,
    typer.Option(
        help="multiply the models' matrices in half precision, which is several times as fast on a GPU and moves "
        "scores in the third decimal",
        show_default=False,
    ),
]
Data = Annotated[str, option("--data", DATA_WORDS, completion=data_names)]
Json = Annotated[bool, flag("--json", "print JSON instead of text")]
Names = Annotated[
    list[str] | None,
    option(
        "--name", "what a model is called in tables, figures and documents; may be given several times", "MODEL=NAME"
    ),
]
Metrics = Annotated[str | None, option("--metrics", "comma-separated; default all", "NAMES")]
ImageNet = Annotated[Path | None, option("--imagenet", "ImageNet-1k validation folder for GenKnow", "DIR", Path)]
Settings = Annotated[list[str] | None, option("--set", "a hyperparameter; may be given several times", "KEY=VALUE")]
Ray = Annotated[
    bool, flag("--ray", "compute on a Ray cluster: that of RAY_ADDRESS, or workers of this machine (extra `ray`)")
]
Workers = Annotated[int, option("--workers", "workers of this machine for --ray", kind=int)]
SampleRows = Annotated[
    int | None, option("--sample", "measure a sample with this many forget rows (default: all rows)", "ROWS", int)
]
SampleSeed = Annotated[int, option("--seed", "seed of the sample", kind=int)]
SAMPLE_SEED = SEED


def ray_cluster(ray: bool, workers: int) -> Executor | None:
    """The cluster to compute on, with a CPU thread for each worker, or None; raises `SalmuError`."""
    if workers < 1:
        raise QueryError(f"--workers is {workers}; choose 1 or more.")
    return RayCluster(workers, 1) if ray else None


def reference(
    role: str, what: str = "model", default: str = "the one whose card says so, or the built-in or official one"
) -> Any:
    """The option that says who is a reference."""
    return option(f"--{role}", f"which {what} is {TITLES[role]} (default: {default})", "MODEL")


Clean = Annotated[list[str] | None, reference(CLEAN)]
Compromised = Annotated[list[str] | None, reference(COMPROMISED)]
Gold = Annotated[list[str] | None, reference(GOLD)]


def _deciding(function: Callable[..., None]) -> Callable[..., None]:
    """A command that takes models of any kind, with the options that decide what their files leave open.

    What is decided is written behind the references, see `salmu_demo.models.said`.
    """
    parameters = inspect.signature(function).parameters
    if "arch" not in parameters:
        return function
    references = [name for name, each in parameters.items() if _names_models(each.annotation)]

    @functools.wraps(function)
    def command(
        *, quickgelu: bool | None, preprocess: str | None, weights: str | None, precision: str | None, **given: Any
    ) -> None:
        said = Said(quickgelu, preprocess, weights, precision)
        for name in references:
            value = given[name]
            if isinstance(value, str):
                given[name] = _with_said(value, said)
            elif value is not None:
                given[name] = [_with_said(each, said) for each in value]
        function(**given)

    added = {"quickgelu": QuickGelu, "preprocess": Preprocess, "weights": Weights, "precision": Precision}
    kind = inspect.Parameter.KEYWORD_ONLY
    listed = [
        *(each.replace(kind=kind) for each in parameters.values()),
        *(inspect.Parameter(name, kind, default=None, annotation=annotation) for name, annotation in added.items()),
    ]
    command.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in listed}
    return command


def _names_models(annotation: Any) -> bool:
    """Whether a parameter's placeholder says that its value is one model or several."""
    placeholders = {getattr(each, "metavar", None) for each in getattr(annotation, "__metadata__", ())}
    return not placeholders.isdisjoint(("MODEL", "MODEL...", "[MODEL...]", "BASE"))


def _with_said(reference: str, said: Said) -> str:
    """A reference with what the line decides; what stands behind it already has precedence."""
    place, own = split_said(reference)
    if place in model_names():
        said = Said(precision=said.precision)
    decided = {name: value for name, value in vars(own).items() if value is not None}
    return f"{place}{replace(said, **decided)}"


def chosen_models(
    bench: Workbench, references: Sequence[str], arch: str | None, trust_pickle: bool
) -> list[ModelSource]:
    """Find models the way `--arch` and `--trust-pickle` say, and print what there is to remark on them."""
    models = bench.models(references, arch, trust_pickle)
    print_notes(remark for model in models for remark in model.remarks)
    return models


def models_without_data(references: Sequence[str], arch: str | None, trust_pickle: bool) -> list[ModelSource]:
    """Find models as `chosen_models` does, where no data set is needed, and print nothing."""
    return find_models(references, arch, lambda model, architecture: find_model(model, architecture, trust_pickle))


def settings_of(given: Sequence[str] | None) -> dict[str, str]:
    """What `--set KEY=VALUE` says, the last of a key; raises `QueryError`."""
    settings: dict[str, str] = {}
    for entry in given or ():
        key, equals, value = entry.partition("=")
        if not equals:
            raise QueryError(f"--set {entry} is not a setting; write it as KEY=VALUE.")
        settings[key] = value
    return settings


def told_once(
    clean: Sequence[str] | None, compromised: Sequence[str] | None, gold: Sequence[str] | None = None
) -> Told:
    """What `--clean`, `--compromised` and `--gold` say; raises `QueryError` if one of them names two."""
    told = {}
    for role, given in ((CLEAN, clean), (COMPROMISED, compromised), (GOLD, gold)):
        named = list(dict.fromkeys(given or ()))
        if len(named) > 1:
            raise QueryError(f"--{role} names {named[0]} and {named[1]}; there is one {TITLES[role]} at most.")
        told[role] = named[0] if named else None
    return Told(told[CLEAN], told[COMPROMISED], told[GOLD])


def told_references(
    clean: Sequence[str] | None,
    compromised: Sequence[str] | None,
    gold: Sequence[str] | None,
    models: Sequence[Candidate],
) -> Told:
    """What `--clean`, `--compromised` and `--gold` say about models; raises `QueryError` if it makes no sense."""
    told = told_once(clean, compromised, gold)
    check_told(models, told)
    return told


def read_names(entries: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """What entries `MODEL=NAME` say; a model's own `=`, as in `local-dir:a#quickgelu=yes`, is part of it.

    Args:
        entries: what the user typed.
        known: what models may be called there, such as their references and short names.

    Raises:
        QueryError: if an entry has no name, two are about one model, or as `check_names` does.

    >>> read_names(["a#b=yes=Ours, b=1"], ["a", "a#b=yes"])
    {'a#b=yes': 'Ours, b=1'}
    """
    found: dict[str, str] = {}
    for entry in entries:
        fitting = [model for model in known if entry.startswith(f"{model}=")]
        model = max(fitting, key=len, default=entry.partition("=")[0])
        name = entry[len(model) + 1 :].strip()
        if not name or not model:
            raise QueryError(f"--name {quoted(entry)} names nothing; write it as MODEL=NAME.")
        if model in found:
            raise QueryError(f"--name gives {quoted(model)} two names; give it one.")
        found[model] = name
    check_names(found, known)
    return found


def shown_names(models: Sequence[Referred], given: Sequence[str] | None) -> list[str]:
    """What models are called where they are shown, as `--name` says; raises `QueryError`."""
    return display_names(models, read_names(given or (), known_as(models)))


def chosen_metrics(names: str | None, data: str) -> list[Metric]:
    """The metrics `--metrics` names, or else all for a data set; raises `MetricError` for a misspelt one."""
    return choose_metrics(names.split(",") if names is not None else None, benchmark_of(data))


def chosen_sample(rows: int | None, seed: int) -> Sample | None:
    """The sample `--sample` and `--seed` describe, or None for all rows."""
    return None if rows is None else Sample(rows, seed)
