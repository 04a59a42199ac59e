"""`salmu-demo evaluate`: the official metrics of one or more models."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from salmu_demo.cli.output import TerminalProgress, print_json
from salmu_demo.cli.parsing import add_command, add_data, add_json, add_models
from salmu_demo.errors import StorageError
from salmu_demo.files import check_writable
from salmu_demo.metrics import METRICS
from salmu_demo.models.source import ModelSource
from salmu_demo.notices import MINI_NOTICE
from salmu_demo.reports.tables import comparison_text
from salmu_demo.results.comparison import compare
from salmu_demo.results.evaluation import choose_metrics
from salmu_demo.results.official import write_official
from salmu_demo.workbench import Workbench

_EXAMPLES = """\
  salmu-demo evaluate mini-clean mini-compromised mini-unlearned-finetune --output results
  salmu-demo evaluate local-dir:my-model --metrics RetFail,GenKnow --output results
  salmu-demo evaluate weights.safetensors --arch ViT-B-16 --data folder --imagenet imagenet/val --output results"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "evaluate", "Measure models with the ten official metrics.", _EXAMPLES)
    add_models(parser)
    add_data(parser)
    names = ",".join(spec.name for spec in METRICS)
    parser.add_argument("--metrics", metavar="NAMES", help=f"comma-separated; default all: {names}")
    parser.add_argument("--imagenet", metavar="DIR", type=Path, help="ImageNet-1k validation folder for GenKnow")
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder of the result files")
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    metrics = options.metrics.split(",") if options.metrics is not None else None
    choose_metrics(metrics)  # A misspelt name fails before anything is loaded.
    bench = Workbench(options.data)
    models = bench.models(options.models, options.arch)
    _check_output(options.output, models)
    progress = TerminalProgress()
    evaluations, files = [], []
    for model in models:
        evaluations.append(bench.evaluate(model, metrics, options.imagenet, progress))
        # Each file is written as soon as its model is done: a later failure loses nothing.
        files.append(write_official(evaluations[-1], options.output))
    progress.close()
    comparison = compare(evaluations)
    if options.json:
        rows = [
            {
                "metric": row.spec.name,
                "target": row.target,
                "values": {m.name: c.value for m, c in zip(models, row.cells, strict=True)},
            }
            for row in comparison.rows
        ]
        print_json({"data": bench.data.name, "files": [str(path) for path in files], "rows": rows})
        return
    if bench.data.is_mini:
        print(f"{MINI_NOTICE}\n")
    print(comparison_text(comparison))
    print("\nIn brackets: distance to the target. Written: " + ", ".join(str(path) for path in files))


def _check_output(output: Path, models: Sequence[ModelSource]) -> None:
    """Refuse now what would be lost after minutes of work."""
    taken: dict[str, ModelSource] = {}
    for model in models:
        other = taken.setdefault(model.slug, model)
        if other is not model:
            raise StorageError(
                f"{other.reference} and {model.reference} would both be written to evaluation_{model.slug}.json, the "
                "official name; evaluate them into different folders."
            )
    check_writable(output, "The result file")
