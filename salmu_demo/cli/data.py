"""`salmu-demo data`: what a data set holds, and one from a table with images."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from salmu_demo.cli.options import Commands, Json, argument, data_names, flag, model_names, option
from salmu_demo.cli.output import TerminalProgress, print_json, print_table
from salmu_demo.core.errors import DataError, MetricError, SalmuError
from salmu_demo.core.notices import CLEAR_MINI_NOTICE, MINI_NOTICE
from salmu_demo.core.text import plain, size_text
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.describe import describe
from salmu_demo.data.importing import COLUMNS, import_data, parse_columns
from salmu_demo.data.source import load_data
from salmu_demo.data.weaknesses import weaknesses
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import find_metric, known_metrics, metrics_of
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.references import find_model
from salmu_demo.probes.attacks import HEADLINE, find_attack
from salmu_demo.probes.claims import small_galleries
from salmu_demo.probes.people import People
from salmu_demo.results.cuts import Cut, count_cuts, measured_texts
from salmu_demo.results.inputs import MetricInputs

commands = Commands(
    "  salmu-demo data describe mini --json\n  salmu-demo data import people.csv --output my-data --map persona=who"
)


@commands.add("  salmu-demo data describe mini\n  salmu-demo data describe my-folder --check-images", "describe")
def _describe(
    data: Annotated[
        str, argument("DATA", "mini, clear-mini, official, a folder, or a Hub data set id", completion=data_names)
    ],
    check_images: Annotated[
        bool, flag("--check-images", "decode every image (takes long)", "--check-pictures")
    ] = False,
    model: Annotated[
        list[str] | None,
        option(
            "--model",
            "count the texts that this model cuts off; may be given several times (default: the first built-in one)",
            completion=model_names,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Splits, derived splits, personas, kinds, sizes, problems and what makes numbers weak."""
    loaded = load_data(data)
    description = describe(loaded, check_images)
    weak = [*weaknesses(loaded), *small_galleries(loaded)]
    cuts = _cuts(loaded, model or builtin_models(loaded.benchmark)[:1])
    measurable, reasons = _measurable(loaded)
    if json:
        cut_off = [asdict(cut) for cut in cuts]
        found = {"weak": weak, "cut": cut_off, "measurable": measurable, "not_measurable": reasons}
        print_json({**description.as_dict(), **found})
        return
    for notice in [MINI_NOTICE] if loaded.is_mini else {CLEAR_MINI_NOTICE} & set(loaded.remarks):
        print(f"{notice}\n")
    print(f"{description.name}: {description.personas} personas, {size_text(description.bytes)}")
    print(f"fingerprint {description.fingerprint}, revision {description.revision or 'none'}")
    print(f"GenKnow is measured on: {description.zero_shot or 'nothing (give an ImageNet folder)'}\n")
    rows = [[name, "stored", rows] for name, rows in description.splits.items()]
    rows += [[name, "derived", rows] for name, rows in description.derived.items()]
    print_table(["split", "", "rows"], rows)
    print()
    print_table(["attribute kind", "sensitive rows"], list(description.kinds.items()))
    if description.choices:
        print()
        chosen = [[split, what, rows] for split, asked in description.choices.items() for what, rows in asked.items()]
        print_table(["split", "multiple choice of", "rows"], chosen)
    if description.questions["all"]:
        count, about_images = description.questions["all"], description.questions["with_picture"]
        print(f"\n{count:,} questions with an answer, {about_images:,} of them about an image; none is measured here.")
    compared = {name for name in measurable if find_metric(name).against_gold}
    written = {name for name in measurable if find_metric(name).decodes} - compared
    by_any = [name for name in measurable if name not in compared | written]
    print(f"\nCan be measured: {', '.join(by_any) or 'nothing'}.")
    for who, further in (("models with a text decoder", written), ("models beside a Gold model", compared)):
        if further:
            print(f"Of {who} also: {', '.join(name for name in measurable if name in further)}.")
    # Those that the data set itself rules out are among the problems.
    others = {name: reason for name, reason in reasons.items() if name not in loaded.limits.unmeasurable}
    for reason in dict.fromkeys(others.values()):
        names = ", ".join(name for name, found in others.items() if found == reason)
        print(f"{names} cannot be measured: {plain(reason)}.")
    for cut in cuts:
        print(f"\nCut off: {plain(cut.sentence)}")
    for sentence in weak:
        print(f"\nWeak: {plain(sentence)}")
    print("\n" + ("\n".join(f"Problem: {plain(p)}" for p in description.problems) or "No problems."))


def _measurable(data: BenchmarkData) -> tuple[list[str], dict[str, str]]:
    """The metrics of its benchmark that a data set allows, and why it does not allow the others."""
    inputs, names, reasons = MetricInputs(data), [], {}
    for spec in metrics_of(data.benchmark):
        try:
            if inputs.needs(spec) is not None:
                names.append(spec.name)
                continue
            reasons[spec.name] = inputs.lacks(spec)
        except SalmuError as error:  # Such as a split that was not fetched.
            reasons[spec.name] = str(error).rstrip(".")
    return names, reasons


@commands.add(
    "  salmu-demo data import people.csv --output my-data\n"
    "  salmu-demo data import table.parquet --output my-data --map image=photo,text=caption,persona=who,kind=field\n"
    "  salmu-demo data import people.jsonl --images photos --output my-data --map split= --seed 1",
    "import",
)
def _import(
    source: Annotated[
        Path,
        argument(
            "SOURCE",
            "a .csv, .tsv, .jsonl, .parquet or .tar file, or a folder with metadata.csv or .jsonl, or with shards",
            Path,
        ),
    ],
    output: Annotated[Path, option("--output", "new or empty folder", "DIR", Path)],
    columns: Annotated[
        list[str] | None,
        option(
            "--map",
            f"what columns are, comma-separated: {', '.join(f'{target}=COLUMN' for target in COLUMNS)}; nothing for "
            "COLUMN leaves one out; may be given several times (default: told from their names)",
            "WHAT=COLUMN",
        ),
    ] = None,
    images: Annotated[
        Path | None, option("--images", "folder of the images (default: that of the table)", "DIR", Path)
    ] = None,
    seed: Annotated[int, option("--seed", "seed of the splits, if no column says them", kind=int)] = 0,
    json: Json = False,
) -> None:
    """Write a data set in the official layout from a table with images."""
    with TerminalProgress() as progress:
        report = import_data(source, output, parse_columns(columns or ()), images=images, seed=seed, progress=progress)
    if json:
        print_json(report.as_dict())
        return
    print(f"{report.folder}: {report.rows:,} rows, {report.personas:,} personas\n")
    print_table(["what", "column"], [*report.columns.items(), *(["not read", name] for name in report.unread)])
    print()
    print_table(["split", "rows"], list(report.splits.items()))
    print()
    print_table(["attribute kind", "sensitive rows"], list(report.kinds.items()))
    print("\n" + "\n".join([*map(plain, report.remarks), f"Next: salmu-demo data describe {report.folder}"]))


def _cuts(data: BenchmarkData, references: list[str]) -> list[Cut]:
    """Which texts of a data set the models cut off."""
    inputs = MetricInputs(data)
    stored = [name for name in data.stored_splits if name != layout.GENKNOW_SPLIT]
    texts: dict[str, Sequence[str]] = {f"captions of {name}": data.split(name).texts for name in stored}
    for spec in known_metrics():
        # What the data lack for a metric, or were not fetched with, is a problem of its own.
        with suppress(MetricError, DataError):
            texts = {**measured_texts(inputs, [spec]), **texts}
    headline, people = find_attack(HEADLINE), People(data)
    for kind in data.kinds:
        texts[f"line-up sentences of {kind}"] = headline.texts(people, kind, headline.variants[0])
    return [cut for reference in references for cut in count_cuts(FeatureView(find_model(reference), data), texts)]
