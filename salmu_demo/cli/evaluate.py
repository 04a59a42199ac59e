"""`salmu-demo evaluate`: the official metrics of one or more models."""

import argparse
from pathlib import Path
from typing import Any

from salmu_demo.cli.output import TerminalProgress, comparison_document, print_analysis, print_json, print_notes
from salmu_demo.cli.parsing import (
    add_command,
    add_data,
    add_json,
    add_measuring,
    add_models,
    add_references,
    chosen_metrics,
    chosen_models,
    chosen_sample,
    told_references,
)
from salmu_demo.core.files import check_writable
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import write_results
from salmu_demo.results.official import official_names, write_official
from salmu_demo.workbench.bench import Workbench

_EXAMPLES = """\
  salmu-demo evaluate mini-clean mini-compromised mini-unlearned-finetune --output results
  salmu-demo evaluate local-dir:my-model --metrics RetFail,GenKnow --output results
  salmu-demo evaluate local-dir:my-model --sample 400 --output results
  salmu-demo evaluate local-dir:clean local-dir:leaky local-dir:mine --clean clean --compromised leaky --output results
  salmu-demo evaluate weights.safetensors --arch ViT-B-16 --data folder --imagenet imagenet/val --output results"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "evaluate", "Measure models with the ten official metrics.", _EXAMPLES)
    add_models(parser)
    add_references(parser)
    add_data(parser)
    add_measuring(parser)
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="folder of the result files")
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    metrics = [spec.name for spec in chosen_metrics(options)]  # A misspelt name fails before anything is loaded.
    bench = Workbench(options.data)
    models = chosen_models(bench, options, options.models)
    told = told_references(options, models)
    check_writable(options.output, "The result file")  # Now rather than after minutes of work.
    progress = TerminalProgress()
    evaluations = []
    for model in models:
        evaluations.append(bench.evaluate(model, metrics, options.imagenet, progress, chosen_sample(options)))
        # Each file is written as soon as its model is done: a later failure loses nothing.
        names = official_names(models, evaluations[-1].data)
        write_official(evaluations[-1], options.output, names[len(evaluations) - 1])
    progress.close()
    print_notes(remark for model in models for remark in bench.twin_remarks(model))
    analysis = analyse(evaluations, told)
    files = write_results(analysis, options.output)
    if options.json:
        print_json({"files": [str(path) for path in files], **comparison_document(analysis)})
        return
    print_analysis(analysis)
    for metric, reason in bench.data.limits.unmeasurable.items():
        if metric in metrics:
            print(f"{metric} cannot be measured: {reason}")
    print("\nWritten: " + ", ".join(str(path) for path in files))
