"""`salmu-demo evaluate`: the official metrics of one or more models."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from salmu_demo.cli.output import TerminalProgress, comparison_document, print_analysis, print_json, print_notes
from salmu_demo.cli.parsing import (
    add_command,
    add_data,
    add_json,
    add_measuring,
    add_models,
    chosen_metrics,
    chosen_models,
    chosen_sample,
)
from salmu_demo.errors import StorageError
from salmu_demo.files import check_writable
from salmu_demo.models.source import ModelSource
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import write_results
from salmu_demo.results.official import write_official
from salmu_demo.workbench import Workbench

_EXAMPLES = """\
  salmu-demo evaluate mini-clean mini-compromised mini-unlearned-finetune --output results
  salmu-demo evaluate local-dir:my-model --metrics RetFail,GenKnow --output results
  salmu-demo evaluate local-dir:my-model --sample 400 --output results
  salmu-demo evaluate weights.safetensors --arch ViT-B-16 --data folder --imagenet imagenet/val --output results"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "evaluate", "Measure models with the ten official metrics.", _EXAMPLES)
    add_models(parser)
    add_data(parser)
    add_measuring(parser)
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder of the result files")
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    metrics = [spec.name for spec in chosen_metrics(options)]  # A misspelt name fails before anything is loaded.
    bench = Workbench(options.data)
    models = chosen_models(bench, options, options.models)
    _check_output(options.output, models)
    progress = TerminalProgress()
    evaluations = []
    for model in models:
        evaluations.append(bench.evaluate(model, metrics, options.imagenet, progress, chosen_sample(options)))
        # Each file is written as soon as its model is done: a later failure loses nothing.
        write_official(evaluations[-1], options.output)
    progress.close()
    print_notes(remark for model in models for remark in bench.twin_remarks(model))
    analysis = analyse(evaluations)
    files = write_results(analysis, options.output)
    if options.json:
        print_json({"files": [str(path) for path in files], **comparison_document(analysis)})
        return
    print_analysis(analysis)
    for metric, reason in bench.data.limits.unmeasurable.items():
        if metric in metrics:
            print(f"{metric} cannot be measured: {reason}")
    print("\nWritten: " + ", ".join(str(path) for path in files))


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
